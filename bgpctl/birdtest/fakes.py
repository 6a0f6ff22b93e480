# SPDX-License-Identifier: Apache-2.0
"""The other daemons' sockets, as far as bgpctl asks them."""
import http.server
import json
import socketserver
import threading
import time


class HttpFake(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers every GET with what body() returns."""
    daemon_threads = True

    def __init__(self, path):
        self.path = path
        path.unlink(missing_ok=True)

        class Handler(http.server.BaseHTTPRequestHandler):
            def address_string(self):
                return "unix"

            def log_message(self, *_):
                pass

            def do_GET(self):
                body = json.dumps(self.server.body()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()
        self.path.unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Monitor(HttpFake):
    """GET /v1/state of the health monitor."""

    def __init__(self, path):
        self.wish = {"name": "web", "announce": True, "cause": "all is well", "hold_down_remaining_ms": 0}
        super().__init__(path)

    def body(self):
        return {"pop": "ams", "announcements": [self.wish]}


class Dataplane(HttpFake):
    """GET /v1/stats of a dataplane that forwards `pps` packets a second to each of the services web4 and web6."""

    def __init__(self, path, pps):
        self.pps, self.since, self.packets = pps, time.monotonic(), 0
        super().__init__(path)

    def set_pps(self, pps):
        now = time.monotonic()
        self.packets += self.pps * (now - self.since)
        self.pps, self.since = pps, now

    def body(self):
        self.set_pps(self.pps)
        backends = [{"name": "b1", "packets": int(self.packets), "bytes": 0}]
        return {"instance": "1", "verdicts": [],
                "services": [{"name": name, "backends": backends} for name in ("web4", "web6")]}
