# SPDX-License-Identifier: Apache-2.0
"""What the tests of the agent share: an agent with a configuration of the test's own, requests, counters, memory."""
import atexit
import http.client
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from running import Agent, eventually, free_port, skip  # noqa: E402, F401  (the tests import them from here)

JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}
CONFIG = """
receivers: {otlp_http: {endpoint: "127.0.0.1:OTLP"}, ring: {}}
processors: {batch: {timeout: 10ms}}
exporters: {store: {}}
api: {endpoint: "127.0.0.1:API"}
service: {pipelines: {traces: {receivers: [otlp_http, ring], processors: [batch], exporters: [store]}}}
"""


def ask(port, method, path, body=None, headers=None, host="127.0.0.1"):
    """One request; the answer with its body in `data`."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    answer.data = answer.read()
    connection.close()
    return answer


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


class Configured(Agent):
    """OTLP and API in the configuration become free ports, FOLDER the agent's folder; `before` is put before the command."""

    def __init__(self, program, config=CONFIG, before=()):
        self.folder = tempfile.mkdtemp(prefix="throughline-test-")
        atexit.register(shutil.rmtree, self.folder, True)
        self.otlp, self.api = free_port(), free_port()
        self.socket = os.path.join(self.folder, "agent.sock")
        self.environment = dict(os.environ, THROUGHLINE_SOCKET=self.socket)
        self.config = os.path.join(self.folder, "agent.yaml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config.replace("OTLP", str(self.otlp)).replace("API", str(self.api)).replace("FOLDER", self.folder))
        self.command = [*before, program, "agent", "-c", self.config, "--data-dir", self.folder]
        self.start()

    def start(self):
        self.log = open(os.path.join(self.folder, "log"), "a", encoding="utf-8")
        self.process = subprocess.Popen(self.command, env=self.environment, stderr=self.log)
        # A test that fails leaves nothing running.
        atexit.register(self.process.kill)
        eventually(self.answers)

    def text(self):
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def post(self, body, headers, path="/v1/traces"):
        return ask(self.otlp, "POST", path, body, headers)

    def metric(self, name):
        for line in ask(self.api, "GET", "/metrics").data.decode().splitlines():
            if line.startswith(name + " "):
                return int(line.split()[1])
        raise AssertionError(name + " is not in /metrics")

    def memory_kib(self, row):
        """A row of /proc/PID/status: VmRSS now, VmHWM the most there ever was."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return int(next(line for line in file if line.startswith(row + ":")).split()[1])
