#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs that are traced keep every byte: big bodies through nginx both ways, slow readers, and an agent that is
killed, stopped and started while bytes are on their way."""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e"))
from running import Agent, eventually, free_port  # noqa: E402

PROGRAM = sys.argv[1]
BYTES = 12 << 20

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off; client_max_body_size 0;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    upstream kept {{ server 127.0.0.1:{inner}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{outer};
        location / {{ proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        location /fresh/ {{ proxy_pass http://127.0.0.1:{inner}/; }}
        location /unbuffered/ {{
            proxy_pass http://kept/; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off; proxy_request_buffering off;
        }}
    }}
    server {{
        listen 127.0.0.1:{inner};
        root {folder};
        location /echo {{ proxy_pass http://127.0.0.1:{echo}; proxy_http_version 1.1; proxy_request_buffering off; }}
    }}
}}
"""

ECHO = r"""
import hashlib, http.server, sys
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 65536))
            digest.update(piece)
            left -= len(piece)
        text = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


def cgroup_folder(name):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return os.path.join(next(line for line in file if " - cgroup2 " in line).split()[4], name)


class Check:
    def __init__(self):
        self.cgroup = f"throughline-endure-{os.getpid()}"
        self.agent = Agent(PROGRAM, cgroup=self.cgroup)
        self.inode = os.stat(cgroup_folder(self.cgroup)).st_ino
        self.folder = tempfile.mkdtemp(prefix="throughline-endure-")
        os.chmod(self.folder, 0o755)
        self.inner, self.outer, echo = free_port(), free_port(), free_port()
        self.file = os.path.join(self.folder, "file")
        with open(self.file, "wb") as file:
            file.write(os.urandom(BYTES))
        with open(self.file, "rb") as file:
            self.digest = hashlib.sha256(file.read()).hexdigest()
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(NGINX.format(folder=self.folder, inner=self.inner, outer=self.outer, echo=echo))
        self.running = [self.start(["python3", "-c", ECHO, str(echo)]), self.start(["nginx", "-p", self.folder, "-c", config])]
        subprocess.run(["curl", "-s", "--retry", "50", "--retry-connrefused", "--retry-delay", "0", "--retry-max-time", "20",
                        f"http://127.0.0.1:{self.outer}/ready"], check=True, stdout=subprocess.DEVNULL)

    def start(self, command, **more):
        environment = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")
        return subprocess.Popen([PROGRAM, "run", "--cgroup", self.cgroup, "--", *command], env=environment, **more)

    def download(self, path, *more):
        return self.start(["curl", "-sS", *more, f"http://127.0.0.1:{self.outer}{path}"], stdout=subprocess.PIPE)

    def whole(self, download):
        digest = hashlib.sha256()
        while True:
            piece = download.stdout.read(65536)
            if not piece:
                break
            digest.update(piece)
        assert download.wait(60) == 0
        return digest.hexdigest() == self.digest

    def bodies_pass_both_ways(self):
        for path in ("/file", "/unbuffered/file"):
            downloads = [self.download(path) for _ in range(4)]
            assert all([self.whole(download) for download in downloads]), path
        for path in ("/echo", "/unbuffered/echo"):
            uploads = [self.start(["curl", "-sS", "-H", "Expect:", "--data-binary", "@" + self.file, f"http://127.0.0.1:{self.outer}{path}"],
                                  stdout=subprocess.PIPE, text=True) for _ in range(4)]
            assert [upload.communicate(timeout=60)[0] for upload in uploads] == [self.digest] * 4, path

    def slow_readers_hold_the_sender_back(self):
        before = self.agent.counter("throughline_probe_records_total")
        slow = self.download("/unbuffered/file", "--limit-rate", "6M")
        assert self.whole(slow)
        assert self.agent.counter("throughline_probe_records_total") > before

    def killed_agent_loses_no_byte(self):
        """In the middle of a download: killed, then another one takes over, then that one is stopped."""
        slow = self.download("/unbuffered/file", "--limit-rate", "2M")
        time.sleep(1)
        assert slow.poll() is None
        self.agent.process.kill()
        self.agent.process.wait(10)
        time.sleep(1)
        assert slow.poll() is None
        self.agent = Agent(PROGRAM, cgroup=self.cgroup)
        assert self.whole(self.download("/file"))
        assert slow.poll() is None
        self.agent.stop()
        assert self.whole(slow)
        self.agent = Agent(PROGRAM, cgroup=self.cgroup)

    def later_agents_trace_again(self):
        """On new connections: those that are older than an agent are not followed."""
        assert self.whole(self.download("/fresh/file"))

        def found():
            traces = self.agent.get("/api/v1/traces?limit=10&service=nginx")["traces"]
            spans = self.agent.get("/api/v1/traces/" + traces[0]["trace_id"])["spans"] if traces else []
            assert len(spans) == 4, len(spans)  # curl, nginx outside, its request, nginx inside
        eventually(found)

    def second_agent_is_refused(self):
        config = os.path.join(self.folder, "second.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"receivers: {{ebpf: {{cgroup: {self.cgroup}}}}}\nexporters: {{store: {{}}}}\napi: {{endpoint: '127.0.0.1:{free_port()}'}}\n"
                       "service: {pipelines: {traces: {receivers: [ebpf], exporters: [store]}}}\n")
        second = subprocess.run([PROGRAM, "agent", "-c", config, "--data-dir", os.path.join(self.folder, "data")],
                                capture_output=True, text=True, timeout=20, check=False)
        assert second.returncode == 1 and "another agent traces the cgroup" in second.stderr, second
        assert os.stat(cgroup_folder(self.cgroup)).st_ino == self.inode

    def stop(self):
        for process in self.running:
            process.terminate()
            process.wait(20)
        self.agent.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    if os.geteuid() != 0:
        print("SKIPPED: eBPF needs root")
        return 77
    if not shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        print("SKIPPED: nginx is not installed")
        return 77
    check = Check()
    try:
        if "receiver.left_out" in open(check.agent.log.name, encoding="utf-8").read():
            print("SKIPPED: " + open(check.agent.log.name, encoding="utf-8").read())
            return 77
        for name in ("bodies_pass_both_ways", "slow_readers_hold_the_sender_back", "second_agent_is_refused",
                     "killed_agent_loses_no_byte", "later_agents_trace_again"):
            getattr(check, name)()
            print("ok", name, flush=True)
    finally:
        check.stop()
    # Others may have theirs.
    pin = f"throughline-sockets-{check.inode}"
    assert not any(os.path.exists(os.path.join(folder, pin)) for folder in ("/sys/fs/bpf", "/run/throughline/bpf"))
    print("ok nothing is left pinned")
    return 0


sys.exit(main())
