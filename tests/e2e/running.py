# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a running agent, a wait with a deadline, JSON by HTTP."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import venv


def free_port():
    """Not one of those that the kernel gives to connections: a server may start seconds after it was chosen."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def eventually(check, seconds=30):
    deadline = time.time() + seconds
    while True:
        try:
            return check()
        except AssertionError:
            if time.time() > deadline:
                raise
            threading.Event().wait(0.05)


def skip(reason):
    print("SKIPPED: " + reason)
    sys.exit(77)


def python_packages(folder, modules, packages):
    """A virtual environment in `folder` that can import `modules`, from PyPI once; its python."""
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        venv.create(folder, with_pip=True)
    if subprocess.run([python, "-c", "import " + modules], capture_output=True, check=False).returncode:
        run = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True, check=False)
        if run.returncode:
            skip("PyPI cannot be reached: " + run.stderr[-300:])
    return python


def node_packages(folder, packages):
    """npm's packages in `folder`, installed once; scripts there can require them."""
    if not shutil.which("node") or not shutil.which("npm"):
        skip("node and npm are not installed")
    done = os.path.join(folder, "installed")
    if os.path.exists(done):
        return
    os.makedirs(folder, exist_ok=True)
    run = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", folder, *packages],
                         capture_output=True, text=True, check=False)
    if run.returncode:
        skip("the npm registry cannot be reached: " + run.stderr[-300:])
    with open(done, "w", encoding="utf-8") as file:
        file.write("\n".join(packages))


class Agent:
    """With a `cgroup` (its name below the mount) the agent also traces by eBPF what runs in it."""

    def __init__(self, program, cgroup=None):
        self.folder = tempfile.mkdtemp(prefix="throughline-e2e-")
        self.otlp, self.api = free_port(), free_port()
        self.socket = os.path.join(self.folder, "agent.sock")
        self.environment = dict(os.environ, THROUGHLINE_SOCKET=self.socket)
        self.environment.pop("THROUGHLINE_CGROUP", None)
        config = os.path.join(self.folder, "agent.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""
receivers: {{otlp_http: {{endpoint: "127.0.0.1:{self.otlp}"}}, ring: {{}}{f', ebpf: {{cgroup: "{cgroup}"}}' if cgroup else ''}}}
processors: {{batch: {{timeout: 10ms}}}}
exporters: {{store: {{}}}}
api: {{endpoint: "127.0.0.1:{self.api}"}}
service: {{pipelines: {{traces: {{receivers: [otlp_http, ring{', ebpf' if cgroup else ''}], processors: [batch], exporters: [store]}}}}}}
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

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.api}{path}", timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code}") from error

    def counter(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api}/metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.split("{")[0].split(" ")[0] == name:
                    return int(float(line.rsplit(" ", 1)[1]))
        raise AssertionError(f"no counter {name}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, open(self.log.name, encoding="utf-8").read()
        shutil.rmtree(self.folder)
