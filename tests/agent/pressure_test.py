#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A destination that stops answering: what was accepted is kept, the rest is refused with 429 after one wait, other signals
pass, and once the destination answers again everything accepted arrives, no more and no less.
usage: pressure_test.py PROGRAM"""
import http.client
import http.server
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HEADERS = {"Content-Type": "application/x-protobuf"}
ANSWERS = threading.Event()
QUEUE_BYTES = 64 << 20


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received = 0

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        self.rfile.read(size)
        ANSWERS.wait()
        Sink.received += size
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def field(number, body):
    size, head = len(body), bytearray([number << 3 | 2])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def request(name):
    """One span (or log record) with a name that long."""
    return field(1, field(2, field(2, field(5, name))))


def start(folder, sink_port, port):
    config = os.path.join(folder, "agent.yaml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"""
receivers: {{otlp_http: {{endpoint: "127.0.0.1:{port}"}}}}
exporters: {{otlp_http: {{endpoint: "http://127.0.0.1:{sink_port}", timeout: 60s}}, file: {{path: {folder}/logs.json}}}}
api: {{endpoint: "127.0.0.1:0"}}
service: {{pipelines: {{traces: {{receivers: [otlp_http], exporters: [otlp_http]}}, logs: {{receivers: [otlp_http], exporters: [file]}}}}}}
""")
    process = subprocess.Popen([sys.argv[1], "agent", "-c", config, "--data-dir", folder])
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            assert process.poll() is None
            threading.Event().wait(0.02)


def main():
    sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    port, body = free_port(), request(b"n" * (1 << 20))
    with tempfile.TemporaryDirectory() as folder:
        process = start(folder, sink.server_port, port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def post(path, what):
            connection.request("POST", path, what, HEADERS)
            answer = connection.getresponse()
            answer.read()
            return answer

        accepted = 0
        while (answer := post("/v1/traces", body)).status == 200:
            accepted += len(body)
            assert accepted < 2 * QUEUE_BYTES
        assert answer.status == 429 and answer.getheader("Retry-After") == "1", answer.status
        assert accepted > QUEUE_BYTES - len(body), accepted
        began = time.monotonic()
        for _ in range(50):
            assert post("/v1/traces", body).status == 429
            assert post("/v1/logs", field(1, field(2, field(2, b"")))).status == 200
        assert time.monotonic() - began < 50 * 0.1, "each refusal waited"
        ANSWERS.set()
        while (answer := post("/v1/traces", body)).status == 429:
            threading.Event().wait(0.05)
        assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert Sink.received == accepted + len(body), (Sink.received, accepted)


main()
