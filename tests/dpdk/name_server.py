# SPDX-License-Identifier: Apache-2.0
"""name_server.py NAME ADDRESS…: answers TCP connections and UDP datagrams on port 80 with NAME.
name_server.py --ask tcp|udp ADDRESS TIMEOUT [SOURCE]: prints who answers, or nothing.
name_server.py --ask-often ADDRESS TIMES: as many connections, 1 ms apart; prints how many were answered, and TIMES.
name_server.py --flood ADDRESS SECONDS: sends junk."""
import selectors
import socket
import sys
import time

PORT = 80


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


IPV6_FREEBIND = 78  # linux/in6.h


def ask(protocol, address, timeout_s, source=None):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family(address), kind) as connection:
        connection.settimeout(float(timeout_s))
        try:
            if source:
                if family(source) == socket.AF_INET6:
                    connection.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
                connection.bind((source, 0))
            connection.connect((address, PORT))
            connection.send(b"?")
            print(connection.recv(100).decode())
        except OSError:
            pass


def ask_often(address, times):
    answered = 0
    for _ in range(int(times)):
        with socket.socket(family(address), socket.SOCK_STREAM) as connection:
            connection.settimeout(0.9)  # less than TCP needs to send a lost packet again
            try:
                connection.connect((address, PORT))
                answered += bool(connection.recv(100))
            except OSError:
                pass
        time.sleep(0.001)
    print(answered, times)


def flood(address, seconds):
    """Datagrams to the discard port, as many as a process can send."""
    end = time.monotonic() + float(seconds)
    with socket.socket(family(address), socket.SOCK_DGRAM) as junk:
        junk.connect((address, 9))
        while time.monotonic() < end:
            for _ in range(100):
                try:
                    junk.send(b"junk")
                except OSError:
                    pass


def serve(name):
    waiting = selectors.DefaultSelector()
    for any_address in ("0.0.0.0", "::"):
        listener = socket.create_server((any_address, PORT), family=family(any_address))
        waiting.register(listener, selectors.EVENT_READ)
    # A UDP answer must come from the address that was asked: one socket each.
    for address in sys.argv[2:]:
        datagrams = socket.socket(family(address), socket.SOCK_DGRAM)
        datagrams.bind((address, PORT))
        waiting.register(datagrams, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj.type == socket.SOCK_STREAM:
                connection, _ = key.fileobj.accept()
                with connection:
                    connection.sendall(name.encode())
            else:
                _, sender = key.fileobj.recvfrom(2048)
                key.fileobj.sendto(name.encode(), sender)


if sys.argv[1] == "--ask":
    ask(*sys.argv[2:])
elif sys.argv[1] == "--ask-often":
    ask_often(*sys.argv[2:])
elif sys.argv[1] == "--flood":
    flood(*sys.argv[2:])
else:
    serve(sys.argv[1])
