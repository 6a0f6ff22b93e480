#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A gRPC health server (grpc.health.v1) by Debian's python3-grpcio, with the two messages of one field as raw bytes.

usage: grpc_health.py        prints its port; "good" is SERVING, "bad" is NOT_SERVING, all else is NOT_FOUND
"""
import concurrent.futures
import sys

import grpc

STATUS = {b"": 1, b"\x0a\x04good": 1, b"\x0a\x03bad": 2}


def check(request: bytes, context) -> bytes:
    if request not in STATUS:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
    return bytes([8, STATUS[request]])


def main() -> None:
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=2))
    handler = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
        "Check": grpc.unary_unary_rpc_method_handler(check, lambda data: data, lambda data: data)})
    server.add_generic_rpc_handlers((handler,))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination(float(sys.argv[1]) if len(sys.argv) > 1 else 60)


if __name__ == "__main__":
    main()
