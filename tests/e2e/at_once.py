#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""at_once.py PORT ID...: GET /orders/ID for all ids at once, a connection and a thread each: every request is sent
before any answer is read. Prints the seconds it took; exit 1 when an answer is not the order's own."""
import json
import socket
import sys
import threading
import time

SECONDS = 120


class Request(threading.Thread):
    def __init__(self, port, order, gate):
        super().__init__(daemon=True)
        self.port, self.order, self.gate, self.failure = port, order, gate, "no answer"

    def run(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
                self.gate.wait(SECONDS)
                connection.sendall(f"GET /orders/{self.order} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())
                self.gate.wait(SECONDS)
                answer = b""
                while data := connection.recv(65536):
                    answer += data
            head, _, body = answer.partition(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                self.failure = repr(head[:80])
            elif json.loads(body)["order"] != self.order:
                self.failure = "answered for " + json.loads(body)["order"]
            else:
                self.failure = None
        except (OSError, threading.BrokenBarrierError, ValueError) as error:
            self.failure = repr(error)


def main():
    port, orders = int(sys.argv[1]), sys.argv[2:]
    gate = threading.Barrier(len(orders))
    requests = [Request(port, order, gate) for order in orders]
    started = time.monotonic()
    for request in requests:
        request.start()
    for request in requests:
        request.join(SECONDS)
    failures = [f"{request.order}: {request.failure}" for request in requests if request.failure]
    print(f"{len(orders) - len(failures)} of {len(orders)} answered in {time.monotonic() - started:.1f} s")
    for failure in failures[:10]:
        print(failure)
    return 1 if failures else 0


sys.exit(main())
