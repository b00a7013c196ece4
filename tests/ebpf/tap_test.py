#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the socket tap does on the wire and says about it, with unmodified programs: nginx as a proxy, Python threads,
raw clients that cut, pipeline and deceive. One agent, one cgroup of its own."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e"))
from running import Agent, eventually, free_port  # noqa: E402

PROGRAM = sys.argv[1]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"

# Answers with what it was sent: the path and every traceparent, and the body's length.
ECHO = r"""
import http.server, json, sys, time
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "/slow" in self.path:
            time.sleep(0.05)
        text = json.dumps({"path": self.path, "traceparent": self.headers.get_all("traceparent") or [],
                           "body": len(body), "head": len(str(self.headers))}).encode()
        self.send_response(500 if "/fail" in self.path else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    do_GET = do_POST = do_PUT = do_DELETE = answer
    def log_message(self, *args):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""

# Sends pieces as they are, prints what comes back. Arguments: port, JSON list of pieces, answers to wait for.
RAW = r"""
import json, re, socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for piece in json.loads(sys.argv[2]):
    connection.sendall(piece.encode("latin-1"))
    time.sleep(0.02)
got, wanted = b"", int(sys.argv[3])
while len(re.findall(rb"HTTP/1\.1 [245]", got)) < wanted or not got.rstrip().endswith(b"}"):
    more = connection.recv(65536)
    if not more:
        break
    got += more
print(json.dumps([json.loads(each) for each in re.findall(rb"\{[^}]*\}", got)]))
"""

DRIVE = r"""
import http.client, json, sys, threading
port, workers, each, body = (int(word) for word in sys.argv[1:5])
wrong = []
def work(worker):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(each):
        path = f"/w{worker}/n{number}"
        connection.request("POST" if body else "GET", path, b"x" * body if body else None)
        answer = json.loads(connection.getresponse().read())
        if answer["path"] != path or answer["body"] != body or len(answer["traceparent"]) != 1:
            wrong.append(answer)
threads = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(wrong))
"""

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    upstream kept {{ server 127.0.0.1:{upstream}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{ proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
    server {{
        listen 127.0.0.1:{fresh} backlog=1024;
        location / {{ proxy_pass http://127.0.0.1:{upstream}; }}
    }}
}}
"""


class Bench:
    """An agent that traces one cgroup, an echo server and an nginx in it."""

    def __init__(self):
        self.cgroup = f"throughline-test-{os.getpid()}"
        self.agent = Agent(PROGRAM, cgroup=self.cgroup)
        self.folder = tempfile.mkdtemp(prefix="throughline-tap-")
        self.echo, self.nginx, self.fresh = free_port(), free_port(), free_port()
        self.running = [self.start(["python3", "-c", ECHO, str(self.echo)], "echo")]
        if shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
            path = os.path.join(self.folder, "nginx.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write(NGINX.format(folder=self.folder, port=self.nginx, upstream=self.echo, fresh=self.fresh))
            os.chmod(self.folder, 0o755)
            self.running.append(self.start(["nginx", "-p", self.folder, "-c", path], None))
        self.get(self.echo, "/ready", wait=True)
        self.get(self.nginx, "/ready", wait=True)

    def start(self, command, service):
        environment = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")
        if service:
            environment["OTEL_SERVICE_NAME"] = service
        return subprocess.Popen([PROGRAM, "run", "--cgroup", self.cgroup, "--", *command], env=environment)

    def output(self, command, traced=True):
        head = [PROGRAM, "run", "--cgroup", self.cgroup, "--"] if traced else []
        return subprocess.run([*head, *command], capture_output=True, text=True, check=True, timeout=60).stdout

    def get(self, port, path, *more, traced=False, wait=False):
        retry = ["--retry", "50", "--retry-connrefused", "--retry-delay", "0", "--retry-max-time", "20"] if wait else []
        return json.loads(self.output(["curl", "-s", *retry, *more, f"http://127.0.0.1:{port}{path}"], traced))

    def raw(self, pieces, answers=1):
        return json.loads(self.output(["python3", "-c", RAW, str(self.echo), json.dumps(pieces), str(answers)]))

    def spans(self, trace):
        return self.agent.get(f"/api/v1/traces/{trace}")["spans"]

    def stop(self):
        for process in self.running:
            process.terminate()
            process.wait(20)
        self.agent.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def value(span, key):
    return {each["key"]: each["value"] for each in span["attributes"]}.get(key)


def path_of(span):
    return value(span, "url.path") or (value(span, "url.full") or "").split("/", 3)[-1].join(["/", ""])


def traced_client_is_the_root(bench):
    answer = bench.get(bench.echo, "/plain", traced=True)
    assert len(answer["traceparent"]) == 1, answer
    _, trace, span, flags = answer["traceparent"][0].split("-")

    def found():
        spans = {each["kind"]: each for each in bench.spans(trace)}
        assert set(spans) == {"client", "server"}, spans
        assert spans["client"]["span_id"] == span and not spans["client"]["parent_id"]
        assert spans["server"]["parent_id"] == span and spans["server"]["service"] == "echo"
        assert spans["client"]["service"] == "curl" and value(spans["server"], "url.path") == "/plain"
        assert value(spans["server"], "http.response.status_code") == 200
    assert flags == "01"
    eventually(found)


def server_errors_are_errors(bench):
    _, trace, _, _ = bench.get(bench.echo, "/fail", traced=True)["traceparent"][0].split("-")

    def found():
        spans = bench.spans(trace)
        assert len(spans) == 2 and all(each["status"] == "error" for each in spans), spans
        assert all(value(each, "http.response.status_code") == 500 for each in spans)
    eventually(found)


def context_of_an_application_is_left_alone(bench):
    own = f"00-{TRACE}-{PARENT}-01"
    answer = bench.get(bench.echo, "/own", "-H", f"Traceparent:  {own}", traced=True)
    assert answer["traceparent"] == [own], answer

    def found():
        server = [each for each in bench.spans(TRACE) if each["kind"] == "server"]
        assert [each["parent_id"] for each in server] == [PARENT], server
    eventually(found)


def heads_in_pieces_pass_whole(bench):
    head = "GET /cut HTTP/1.1\r\nHost: x\r\nX-Long: " + "y" * 3000 + "\r\n\r\n"
    for size in (1, 7, 100, 2000):
        pieces = [head[i:i + size] for i in range(0, min(len(head), 40 * size), size)] + [head[40 * size:]]
        answer = bench.raw(pieces)
        assert answer[0]["path"] == "/cut" and answer[0]["traceparent"] == [], answer


def long_heads_get_their_line(bench):
    for size in (300, 445, 460, 500, 4000, 4030, 4090, 15000, 16200):
        answer = bench.raw([f"GET /long{size} HTTP/1.1\r\nHost: x\r\nX-Long: {'y' * size}\r\n\r\n"])
        assert answer[0]["path"] == f"/long{size}" and len(answer[0]["traceparent"]) == 1, (size, answer)


def heads_beyond_the_limit_pass_unchanged(bench):
    answer = bench.raw([f"GET /huge HTTP/1.1\r\nHost: x\r\nX-Long: {'y' * 20000}\r\nX-More: {'z' * 20000}\r\n\r\n"])
    assert answer[0]["path"] == "/huge" and answer[0]["traceparent"] == [], answer


def bodies_that_look_like_requests_pass_unchanged(bench):
    body = "GET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = bench.raw([f"POST /outer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n", body])
    assert answer == [{"path": "/outer", "traceparent": answer[0]["traceparent"], "body": len(body), "head": answer[0]["head"]}]
    assert len(answer[0]["traceparent"]) == 1


def pipelined_requests_pass_whole(bench):
    answer = bench.raw(["".join(f"GET /pipe{number} HTTP/1.1\r\nHost: x\r\n\r\n" for number in range(5))], 5)
    assert [each["path"] for each in answer] == [f"/pipe{number}" for number in range(5)], answer


def through_nginx(bench, port, traced, body):
    before = bench.agent.counter("throughline_probe_requests_total")
    wrong = json.loads(bench.output(["python3", "-c", DRIVE, str(port), "32", "20", str(body)], traced))
    assert wrong == [], wrong[:3]

    def counted():
        seen = bench.agent.counter("throughline_probe_requests_total") - before
        assert seen >= 2 * 640, (port, traced, body, seen)
    eventually(counted)
    eventually(lambda: every_parent_is_right(bench))


def every_parent_is_right(bench):
    """Over the last 640 that nginx proxied: its client span below its server span of the same path, Python's below that."""
    traces = bench.agent.get("/api/v1/traces?limit=640&service=nginx")["traces"]
    wrong, right = [], 0
    for trace in traces:
        spans = bench.spans(trace["trace_id"])
        by_id = {span["span_id"]: span for span in spans}
        for span in spans:
            parent = by_id.get(span["parent_id"])
            if span["service"] == "nginx" and span["kind"] == "client":
                if parent and parent["service"] == "nginx" and parent["kind"] == "server" and path_of(parent) == path_of(span):
                    right += 1
                else:
                    wrong.append((span, parent))
            elif span["service"] == "echo" and not (parent and parent["service"] == "nginx" and path_of(parent) == path_of(span)):
                wrong.append((span, parent))
    assert not wrong, (len(wrong), wrong[:2])
    assert right == 640, right


def main():
    if os.geteuid() != 0:
        print("SKIPPED: eBPF needs root")
        return 77
    bench = Bench()
    try:
        if "receiver.left_out" in open(bench.agent.log.name, encoding="utf-8").read():
            print("SKIPPED: " + open(bench.agent.log.name, encoding="utf-8").read())
            return 77
        for check in (traced_client_is_the_root, server_errors_are_errors, context_of_an_application_is_left_alone,
                      heads_in_pieces_pass_whole, long_heads_get_their_line, heads_beyond_the_limit_pass_unchanged,
                      bodies_that_look_like_requests_pass_unchanged, pipelined_requests_pass_whole):
            check(bench)
            print("ok", check.__name__)
        for port in (bench.nginx, bench.fresh):
            for traced in (True, False):
                for body in (0, 30000):
                    if body and not traced:
                        continue  # the driver's own check needs a traced client or a proxy: both are covered
                    through_nginx(bench, port, traced, body)
                    print("ok through_nginx", "traced client" if traced else "untraced client", f"{body} bytes")
        for name in ("records_dropped", "write_failed", "blocked", "malformed", "connections_full"):
            assert bench.agent.counter(f"throughline_probe_{name}_total") == 0, name
    except BaseException:
        print(open(bench.agent.log.name, encoding="utf-8").read()[-3000:])
        raise
    finally:
        bench.stop()
    return 0


sys.exit(main())
