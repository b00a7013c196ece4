# SPDX-License-Identifier: Apache-2.0
"""An agent whose ring receiver sends on to a sink in this process, and the numbers a ring_service shows."""
import collections
import http.server
import mmap
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from running import eventually, free_port  # noqa: E402  pylint: disable=wrong-import-position

SPAN = re.compile(rb"\x0a\x10kill(.{4})span(.{4})\x12\x08is(.{2})(.{4})", re.S)

SERVICE = re.compile(rb"\x0a\x10kill(.{4})span", re.S)


class Sink(http.server.ThreadingHTTPServer):
    """Keeps the ids of spans of ring_service: numbers by service; `twice` counts those that came again. Without ids it
    only counts, by service."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, keeps_ids=True):
        self.lock, self.twice, self.mixed = threading.Lock(), 0, 0
        self.counts = collections.Counter()
        self.keeps_ids = keeps_ids
        self.spans = collections.defaultdict(set)
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.take(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, body):
        if not self.keeps_ids:
            counts = collections.Counter(SERVICE.findall(body))
            with self.lock:
                self.counts.update(counts)
            return
        with self.lock:
            for service, number, low, again in SPAN.findall(body):
                self.mixed += service[2:] != low or number != again
                numbers, number = self.spans[struct.unpack(">I", service)[0]], struct.unpack(">I", number)[0]
                self.twice += number in numbers
                numbers.add(number)


class Agent:
    def __init__(self, program, sink):
        self.folder = tempfile.mkdtemp(prefix="throughline-guest-")
        self.api = free_port()
        self.socket = os.path.join(self.folder, "agent.sock")
        self.environment = dict(os.environ, THROUGHLINE_SOCKET=self.socket)
        config = os.path.join(self.folder, "agent.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""
receivers: {{ring: {{}}}}
exporters: {{otlp_http: {{endpoint: "http://127.0.0.1:{sink.server_address[1]}", compression: none}}}}
api: {{endpoint: "127.0.0.1:{self.api}"}}
service: {{pipelines: {{traces: {{receivers: [ring], exporters: [otlp_http]}}}}}}
""")
        self.log = open(os.path.join(self.folder, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen([program, "agent", "-c", config, "--data-dir", self.folder],
                                        env=self.environment, stderr=self.log)
        eventually(self.answers)

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("the agent ended: " + open(self.log.name, encoding="utf-8").read())
        try:
            socket.create_connection(("127.0.0.1", self.api), 1).close()
        except OSError as error:
            raise AssertionError("the agent does not answer") from error

    def signal(self, number):
        self.process.send_signal(number)

    def __enter__(self):
        return self

    def __exit__(self, *failed):
        # Whatever went wrong, no agent stays behind.
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, open(self.log.name, encoding="utf-8").read()


class Shown:
    """The numbers of a service, readable also after it was killed."""
    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        with open(self.path, "wb") as file:
            file.write(bytes(4096))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def _at(self, index):
        return struct.unpack_from("<Q", self.map, 8 * index)[0]

    def ended(self):
        return self._at(0)

    def dropped(self):
        return self._at(1)

    def made(self, threads):
        return sum(self._at(2 + i) for i in range(threads))
