# SPDX-License-Identifier: Apache-2.0
"""Daemons that say what they are told to, on sockets in a folder, for tests of the programs that ask them."""
import http.server
import json
import os
import socketserver
import threading


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("", 0)


class FakeDaemon:
    """`answers`: path → a JSON value, or a function that makes one."""

    def __init__(self, path, answers):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                answer = answers.get(self.path)
                body = json.dumps(answer() if callable(answer) else answer).encode()
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.path = str(path)
        self.server = _Server(self.path, Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        os.unlink(self.path)


class FakePop:
    """A PoP of one service; every look at its counters finds 1000 more packets."""

    def __init__(self, folder, name="test"):
        self.folder, self.packets, self.announce = folder, 0, True
        folder.mkdir(exist_ok=True)
        self.config = folder / "pop.yaml"
        self.config.write_text(json.dumps({
            "pop": name, "run_dir": str(folder),
            "dataplane": {"ports": [{"name": "up", "af_xdp": "eth1"}], "hash_key": "00" * 16},
            "services": [{"name": "web4", "vip": "198.51.100.1", "protocol": "tcp", "port": 80, "probe": {"type": "tcp"},
                          "backends": [{"name": "b1", "address": "10.0.0.1"}]}],
            "announcements": [{"name": "web", "prefixes": ["198.51.100.0/24"]}]}))
        self.dataplane = FakeDaemon(folder / "dataplane.sock", {
            "/v1/heartbeat": lambda: {"instance": "i", "generation": 3, "workers": [
                {"worker": 0, "loops": 9 + self.packets, "age_ms": 0.1}]},
            "/v1/state": {"version": "1", "pop": name, "instance": "i", "pid": 1, "generation": 3, "ports": [
                {"name": "up", "device": "eth1", "mac": "02:00:00:00:00:01", "link_up": True, "rx_packets": 1,
                 "tx_packets": 1, "rx_missed": 0, "tx_dropped": 0}], "services": [
                     {"name": "web4", "vip": "198.51.100.1", "protocol": "tcp", "port": 80, "backends": [
                         {"name": "b1", "address": "10.0.0.1", "weight": 1, "healthy": True, "resolved": True,
                          "mac": "02:00:00:00:00:02", "slots": 65537}]}]},
            "/v1/stats": self.stats})
        self.monitor = FakeDaemon(folder / "healthmon.sock", {"/v1/state": lambda: {
            "pop": name, "announcements": [{"name": "web", "announce": self.announce, "cause": "said so",
                                            "exported_to": ["t1"] if self.announce else []}], "services": []}})

    def stats(self):
        self.packets += 1000
        return {"instance": "i", "verdicts": [{"verdict": "forward", "packets": self.packets}],
                "services": [{"name": "web4", "backends": [
                    {"name": "b1", "packets": self.packets, "bytes": 100 * self.packets}]}]}

    def stop(self):
        for daemon in (self.dataplane, self.monitor):
            if os.path.exists(daemon.path):
                daemon.stop()
