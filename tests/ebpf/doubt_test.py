#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the tap must do nothing, or say nothing: bytes that only look like requests, loops whose parents nobody can tell,
retries and delays of a proxy, calls that a stream verdict would change, connections that fail."""
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e"))
from running import Agent, eventually, free_port  # noqa: E402

PROGRAM = sys.argv[1]

LOOP = r"""
import asyncio, selectors, sys
port, upstream, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
pool = []
async def serve(reader, writer):
    try:
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            await asyncio.sleep(0.002)
            inner = pool.pop() if pool else await asyncio.open_connection("127.0.0.1", upstream)
            inner[1].write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            await inner[0].readuntil(b"\r\n\r\n")
            await inner[0].readexactly(2)
            pool.append(inner)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=512)
    await server.serve_forever()
selector = {"poll": selectors.PollSelector, "select": selectors.SelectSelector, "epoll": selectors.EpollSelector}[kind]()
asyncio.SelectorEventLoop(selector).run_until_complete(main())
"""

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid{port}; error_log {folder}/error{port}.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    {http}
    server {{
        listen 127.0.0.1:{port} backlog=512;
        location / {{ {location} proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header traceparent ""; }}
    }}
}}
"""

# Reads with calls that look at more than the socket's next bytes; prints what they gave.
READS = r"""
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def fresh(text, more=b""):
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    connection.sendall(text + b"\n")
    return connection
all_of_it = fresh(b"halves").recv(10, socket.MSG_WAITALL)
read_end, write_end = os.pipe()
connection = fresh(b"once")
moved = libc.splice(connection.fileno(), None, write_end, None, 600, 0)
print(len(all_of_it), moved)
"""


# Asks how much there is to read, until it is told right; then on a second connection, once.
ASKS = r"""
import fcntl, socket, struct, sys, termios, time
def asked(connection):
    return struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0]
def fresh():
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    connection.sendall(b"hello\n")
    connection.recv(1, socket.MSG_PEEK)
    return connection
first, deadline = fresh(), time.time() + 5
while asked(first) != 600 and time.time() < deadline:
    time.sleep(0.01)
print(asked(first), len(first.recv(1000)), asked(fresh()))
"""


class Upstream:
    """Answers "ok" and keeps the trace id that each path came with."""

    def __init__(self):
        self.seen = {}
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        got = b""
        try:
            while True:
                while b"\r\n\r\n" not in got:
                    more = connection.recv(65536)
                    if not more:
                        return
                    got += more
                head, got = got.split(b"\r\n\r\n", 1)
                lines = head.decode().split("\r\n")
                context = [line.split(":", 1)[1].strip() for line in lines if line.lower().startswith("traceparent:")]
                self.seen[lines[0].split()[1]] = context[0].split("-")[1] if context else None
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except OSError:
            return


class Pieces:
    """Accepts one connection, plays a list of (wait until the bytes have come, answer), returns all bytes."""

    def __init__(self, plays):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.plays, self.got = plays, b""
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        connection, _ = self.listener.accept()
        connection.settimeout(20)
        for wanted, answer in self.plays:
            while wanted not in self.got:
                self.got += connection.recv(65536)
            connection.sendall(answer)
        while True:
            more = connection.recv(65536)
            if not more:
                return
            self.got += more

    def bytes(self):
        self.thread.join(30)
        return self.got


SEND = r"""
import json, socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for piece, awaits in json.loads(sys.argv[2]):
    connection.sendall(piece.encode())
    if awaits:
        connection.recv(65536)
"""


class Check:
    def __init__(self):
        self.cgroup = f"throughline-doubt-{os.getpid()}"
        self.agent = Agent(PROGRAM, cgroup=self.cgroup)
        self.folder = tempfile.mkdtemp(prefix="throughline-doubt-")
        os.chmod(self.folder, 0o755)
        self.upstream = Upstream()

    def start(self, command, **more):
        environment = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")
        return subprocess.Popen([PROGRAM, "run", "--cgroup", self.cgroup, "--", *command], env=environment, **more)

    def send(self, pieces, plays):
        server = Pieces(plays)
        assert self.start([sys.executable, "-c", SEND, str(server.port), json.dumps(pieces)]).wait(30) == 0
        return server.bytes().decode()

    def bytes_that_look_like_requests_are_left_alone(self):
        inner = "GET / HTTP/1.1\r\nHost: in\r\n\r\n"
        head = f"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: {2 * len(inner)}\r\nExpect: 100-continue\r\n\r\n"
        got = self.send([(head, True), (inner, False), (inner, True)],
                        [(b"continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"), (2 * inner.encode(), b"HTTP/1.1 200 OK\r\n\r\n")])
        assert got.endswith("\r\n\r\n" + 2 * inner) and got.count("traceparent") == 1, got
        upgrade = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n"
        got = self.send([(upgrade, True), ("GET key\r\n\r\n", False), (inner, False)],
                        [(b"Upgrade\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n")])
        assert got.endswith("\r\n\r\nGET key\r\n\r\n" + inner) and got.count("traceparent") == 1, got
        for first in ("POST-mortem of last night\r\n=====\r\n\r\n", "GET key\r\n\r\n", "\0\0\0\x40header"):
            got = self.send([(first, False), ("PUT it on the table\r\n\r\n", False), (inner, False)], [])
            assert got == first + "PUT it on the table\r\n\r\n" + inner, got
        early = f"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: {len(inner) + 4}\r\n\r\nbody"
        got = self.send([(early, True), (inner, False)], [(b"body", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")])
        assert got.endswith("\r\n\r\nbody" + inner), got
        chunked = "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"
        got = self.send([(chunked, False), (inner, True), (inner, False)], [(inner.encode(), b"HTTP/1.1 200 OK\r\n\r\n")])
        assert got.endswith("\r\n\r\n5\r\n" + 2 * inner) and got.count("traceparent") == 1, got

    def reads_give_what_they_gave_untraced(self):
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            for _ in range(2):
                connection, _ = listener.accept()
                if connection.recv(100) == b"halves\n":
                    connection.sendall(b"12345")
                    threading.Event().wait(0.1)
                    connection.sendall(b"67890")
                else:
                    connection.sendall(b"x" * 600)
                kept.append(connection)
        kept = []
        threading.Thread(target=serve, daemon=True).start()
        reader = self.start([sys.executable, "-c", READS, str(listener.getsockname()[1])], stdout=subprocess.PIPE, text=True)
        assert reader.communicate(timeout=20)[0].split() == ["10", "600"]

    def who_asks_how_much_waits_is_told_right(self):
        listener = socket.create_server(("127.0.0.1", 0))
        kept = []

        def serve():
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(100)
                connection.sendall(b"x" * 600)
                kept.append(connection)
        threading.Thread(target=serve, daemon=True).start()
        program = self.start([sys.executable, "-c", ASKS, str(listener.getsockname()[1])], stdout=subprocess.PIPE, text=True)
        assert program.communicate(timeout=20)[0].split() == ["600", "600", "600"]

    def drive(self, port, count=400, workers=16):
        """Requests with a trace each, from outside; how many came upstream with theirs, with another's, with none."""
        sent, self.upstream.seen = {}, {}

        def work(numbers):
            connection = socket.create_connection(("127.0.0.1", port))
            for number in numbers:
                trace = sent[f"/{number}"] = f"{random.getrandbits(128) | 1:032x}"
                connection.sendall(f"GET /{number} HTTP/1.1\r\nHost: x\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n".encode())
                got = b""
                while not got.endswith(b"\r\n\r\nok"):
                    got += connection.recv(65536)
        threads = [threading.Thread(target=work, args=(range(start, count, workers),)) for start in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        ours = set(sent.values())
        seen = [(sent[path], trace) for path, trace in self.upstream.seen.items()]
        assert len(seen) == count, len(seen)
        return {"right": sum(a == b for a, b in seen), "wrong": sum(a != b and b in ours for a, b in seen)}

    def served(self, command, port, **more):
        server = self.start(command)
        try:
            eventually(lambda: self.answers(port))
            return self.drive(port, **more)
        finally:
            server.terminate()
            server.wait(20)

    @staticmethod
    def answers(port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError as error:
            raise AssertionError("it does not answer") from error

    def loops_have_no_wrong_parent(self):
        for kind in ("poll", "select", "epoll"):
            port = free_port()
            found = self.served([sys.executable, "-c", LOOP, str(port), str(self.upstream.port), kind], port)
            print("  asyncio with", kind, found)
            assert found["wrong"] == 0, (kind, found)
            # One at a time leaves no doubt, but where it is seen that the loop waits for others, too.
            alone = self.served([sys.executable, "-c", LOOP, str(port), str(self.upstream.port), kind], port, count=50, workers=1)
            assert alone["wrong"] == 0 and (kind != "select" or alone["right"] == 50), (kind, alone)

    def proxies_that_retry_or_delay_have_no_wrong_parent(self):
        flaky = socket.create_server(("127.0.0.1", 0), backlog=512)

        def fail():
            while True:
                connection, _ = flaky.accept()
                threading.Thread(target=lambda held=connection: (held.recv(4000), threading.Event().wait(random.random() * 0.003), held.close()),
                                 daemon=True).start()
        threading.Thread(target=fail, daemon=True).start()
        good, bad = self.upstream.port, flaky.getsockname()[1]
        kept = f"upstream up {{ server 127.0.0.1:{good}; keepalive 64; }}"
        for name, http, location in (
                ("plain", kept, "proxy_pass http://up;"),
                ("limit_req", kept + " limit_req_zone $server_name zone=z:1m rate=1000r/s;", "limit_req zone=z burst=500; proxy_pass http://up;"),
                ("next_upstream", f"upstream up {{ server 127.0.0.1:{bad} max_fails=0; server 127.0.0.1:{good} backup; }}",
                 "proxy_pass http://up; proxy_next_upstream error timeout;")):
            port = free_port()
            config = os.path.join(self.folder, f"{name}.conf")
            with open(config, "w", encoding="utf-8") as file:
                file.write(NGINX.format(folder=self.folder, port=port, http=http, location=location))
            found = self.served(["nginx", "-p", self.folder, "-c", config], port, count=800, workers=32)
            print("  nginx", name, found)
            assert found == {"right": 800, "wrong": 0}, (name, found)

    def connections_that_fail_leave_nothing(self):
        fail = "import socket, sys\nfor n in range(3000):\n    try: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 1)\n    except OSError: pass\n"
        assert self.start([sys.executable, "-c", fail, str(free_port())]).wait(60) == 0
        assert self.agent.counter("throughline_probe_connections_full_total") == 0

    def stop(self):
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
        for name in ("bytes_that_look_like_requests_are_left_alone", "reads_give_what_they_gave_untraced", "who_asks_how_much_waits_is_told_right", "loops_have_no_wrong_parent",
                     "proxies_that_retry_or_delay_have_no_wrong_parent", "connections_that_fail_leave_nothing"):
            getattr(check, name)()
            print("ok", name, flush=True)
        for name in ("blocked", "malformed"):
            assert check.agent.counter(f"throughline_probe_{name}_total") == 0, name
    finally:
        check.stop()
    return 0


sys.exit(main())
