# SPDX-License-Identifier: Apache-2.0
"""long_lived.py --serve NAME ADDRESS…: answers each line on a TCP connection to port 81, and each UDP datagram, with NAME
and what it got; connections stay open.
long_lived.py --hold COUNT ADDRESS…: holds COUNT connections to each address, and asks on each 10 times a second; prints
"ready" when all have been answered. On a line of input: asks once more on each, then prints JSON: how many are broken
(closed, reset, or silent for 20 s), how many were ever answered by another backend than at first, and the backends.
long_lived.py --pace PER_SECOND ADDRESS: so many datagrams a second, until a line of input; then prints JSON: how many
were sent, how many were never answered, and the longest time without an answer."""
import collections
import json
import selectors
import socket
import sys
import time

PORT = 81
PATIENCE_S = 20


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(name, *addresses):
    waiting = selectors.DefaultSelector()
    for any_address in ("0.0.0.0", "::"):
        waiting.register(socket.create_server((any_address, PORT), family=family(any_address)), selectors.EVENT_READ,
                         "listener")
    for address in addresses:
        datagrams = socket.socket(family(address), socket.SOCK_DGRAM)
        datagrams.bind((address, PORT))
        waiting.register(datagrams, selectors.EVENT_READ, "datagrams")
    while True:
        for key, _ in waiting.select():
            if key.data == "listener":
                waiting.register(key.fileobj.accept()[0], selectors.EVENT_READ, "connection")
            elif key.data == "datagrams":
                data, sender = key.fileobj.recvfrom(2048)
                key.fileobj.sendto(name.encode() + b" " + data, sender)
            else:
                answer_connection(waiting, key.fileobj, name)


def answer_connection(waiting, connection, name):
    try:
        lines = connection.recv(65536)
        for _ in range(lines.count(b"\n")):
            connection.sendall(name.encode() + b"\n")
    except OSError:
        lines = b""
    if not lines:
        waiting.unregister(connection)
        connection.close()


class Connection:
    def __init__(self, address):
        self.socket = socket.create_connection((address, PORT), PATIENCE_S)
        self.socket.setblocking(False)
        self.asked = self.answered = 0
        self.first = None
        self.moved = False
        self.broken = ""

    def ask(self):
        if self.broken or self.asked > self.answered:
            return
        try:
            self.asked += self.socket.send(b"?\n") // 2
        except OSError as error:
            self.broken = str(error)

    def hear(self):
        try:
            data = self.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            self.broken = str(error)
            return
        if not data:
            self.broken = "closed"
        for name in data.decode().split():
            self.answered += 1
            self.first = self.first or name
            self.moved = self.moved or name != self.first


def hold(count, *addresses):
    connections = [Connection(address) for address in addresses for _ in range(int(count))]
    waiting = selectors.DefaultSelector()
    for connection in connections:
        waiting.register(connection.socket, selectors.EVENT_READ, connection)
    waiting.register(sys.stdin, selectors.EVENT_READ)
    ready, last_end = False, None
    ask_at = time.monotonic()
    while last_end is None or (time.monotonic() < last_end and any(c.answered < c.asked and not c.broken for c in connections)):
        if time.monotonic() >= ask_at and last_end is None:
            ask_at += 0.1
            for connection in connections:
                connection.ask()
        for key, _ in waiting.select(0.02):
            if key.data is None:
                waiting.unregister(sys.stdin)
                last_end = time.monotonic() + PATIENCE_S
                for connection in connections:
                    connection.ask()
            else:
                key.data.hear()
                if key.data.broken:
                    waiting.unregister(key.fileobj)
        if not ready and all(c.answered for c in connections):
            ready = True
            print("ready", flush=True)
    for connection in connections:
        if connection.answered < connection.asked and not connection.broken:
            connection.broken = "silent"
    print(json.dumps({
        "connections": len(connections), "broken": [c.broken for c in connections if c.broken],
        "moved": sum(c.moved for c in connections), "answers": sum(c.answered for c in connections),
        "backends": collections.Counter(c.first for c in connections)}))


def pace(per_second, address):
    """One sender, one receiver, by the clock: what is late is sent at once."""
    interval = 1 / float(per_second)
    waiting = selectors.DefaultSelector()
    datagrams = socket.socket(family(address), socket.SOCK_DGRAM)
    datagrams.connect((address, PORT))
    datagrams.setblocking(False)
    waiting.register(datagrams, selectors.EVENT_READ)
    waiting.register(sys.stdin, selectors.EVENT_READ)
    answered, sent, stop = {}, 0, None
    begin = time.monotonic()
    while stop is None or time.monotonic() < stop:
        while stop is None and time.monotonic() >= begin + sent * interval:
            try:
                datagrams.send(str(sent).encode())
            except OSError:
                pass
            sent += 1
        for key, _ in waiting.select(interval / 2):
            if key.fileobj is sys.stdin:
                waiting.unregister(sys.stdin)
                stop = time.monotonic() + 0.5
                continue
            try:
                answered[int(datagrams.recv(2048).split()[-1])] = True
            except OSError:
                pass
    missing = [n for n in range(sent) if n not in answered]
    longest = run = 0
    for number in range(sent):
        run = 0 if number in answered else run + 1
        longest = max(longest, run)
    print(json.dumps({"sent": sent, "lost": len(missing), "gap_ms": round(longest * interval * 1000, 1)}))


{"--serve": serve, "--hold": hold, "--pace": pace}[sys.argv[1]](*sys.argv[2:])
