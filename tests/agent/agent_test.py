#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the real program and talks to it as clients do. One case per run."""
import atexit
import gzip
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM = sys.argv[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Agent:
    def __init__(self, config="", folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="throughline-test-")
        atexit.register(shutil.rmtree, self.folder, True)
        self.otlp, self.api = free_port(), free_port()
        self.config = os.path.join(self.folder, "agent.yaml")
        text = config or """
receivers: {otlp_http: {endpoint: "127.0.0.1:OTLP"}}
processors: {batch: {timeout: 10ms}}
exporters: {store: {}}
api: {endpoint: "127.0.0.1:API"}
service: {pipelines: {traces: {receivers: [otlp_http], processors: [batch], exporters: [store]},
  metrics: {receivers: [otlp_http], exporters: [store]}, logs: {receivers: [otlp_http], exporters: [store]}}}
"""
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text.replace("OTLP", str(self.otlp)).replace("API", str(self.api)))
        self.start()

    def start(self):
        self.log = open(os.path.join(self.folder, "log"), "a+", encoding="utf-8")
        self.process = subprocess.Popen([PROGRAM, "agent", "-c", self.config, "--data-dir", self.folder], stderr=self.log)
        deadline = time.time() + 30
        while time.time() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.api), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, self.text()
        raise AssertionError("the agent did not start: " + self.text())

    def text(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        assert code == 0, (code, self.text())
        return self.text()


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def get(agent, path):
    answer, data = ask(agent.api, "GET", path)
    return answer.status, json.loads(data)


def eventually(check, seconds=20):
    deadline = time.time() + seconds
    while True:
        try:
            return check()
        except AssertionError:
            if time.time() > deadline:
                raise
            threading.Event().wait(0.02)


JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def span(number, parent="", name="GET /orders", kind=2, service="shop", trace="0af7651916cd43dd8448eb211c80319c", error=False):
    return {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"scope": {"name": "test"}, "spans": [{
                "traceId": trace, "spanId": f"{number:016x}", "parentSpanId": parent, "name": name, "kind": kind,
                "startTimeUnixNano": str(time.time_ns() - 50_000_000 + number), "endTimeUnixNano": str(time.time_ns() + number),
                "attributes": [{"key": "n", "value": {"intValue": str(number)}},
                               {"key": "db.system.name", "value": {"stringValue": "postgresql"}}] if kind == 3 else [],
                "events": [{"timeUnixNano": "7", "name": "retry", "attributes": []}],
                "links": [{"traceId": trace, "spanId": "00000000000000aa"}],
                "status": {"code": 2, "message": "no luck"} if error else {}}]}]}


def request(*groups):
    return json.dumps({"resourceSpans": list(groups)}).encode()


def receive():
    """JSON, gzip and an empty request are taken; a trace comes back whole through both APIs and the command."""
    agent = Agent()
    root = "00000000000000" + "01"
    body = request(span(1), span(2, root, "SELECT orders", 3), span(3, root, "SET", 3, error=True))
    answer, data = ask(agent.otlp, "POST", "/v1/traces", gzip.compress(body), {**JSON, "Content-Encoding": "gzip"})
    assert (answer.status, data) == (200, b"{}"), (answer.status, data)
    assert answer.getheader("Content-Type") == "application/json"
    answer, data = ask(agent.otlp, "POST", "/v1/logs", b"", PROTOBUF)
    assert (answer.status, data) == (200, b"")

    def whole():
        status, trace = get(agent, "/api/v1/traces/0af7651916cd43dd8448eb211c80319c")
        assert status == 200 and len(trace["spans"]) == 3, (status, trace)
        return trace
    trace = eventually(whole)
    by_id = {each["span_id"]: each for each in trace["spans"]}
    assert by_id["0000000000000003"]["status"] == "error" and by_id["0000000000000003"]["status_message"] == "no luck"
    assert by_id["0000000000000002"]["parent_id"] == root
    assert by_id["0000000000000001"]["events"][0]["name"] == "retry"
    assert by_id["0000000000000001"]["links"][0]["span_id"] == "00000000000000aa"
    assert get(agent, "/api/v1/services")[1]["services"][0]["name"] == "shop"
    assert get(agent, "/api/v1/traces?service=shop")[1]["traces"][0]["spans"] == 3
    assert get(agent, "/api/v1/traces?service=other")[1]["traces"] == []
    assert "postgresql" in [edge["to"] for edge in get(agent, "/api/v1/map")[1]["edges"]]
    assert get(agent, "/api/services")[1]["data"] == ["shop"]
    assert get(agent, "/api/services/shop/operations")[1]["data"] == ["GET /orders", "SELECT orders", "SET"]
    jaeger = get(agent, "/api/traces/af7651916cd43dd8448eb211c80319c")[1]["data"][0]
    assert len(jaeger["spans"]) == 3 and jaeger["processes"]["p1"]["serviceName"] == "shop"
    assert get(agent, "/api/traces?service=shop&limit=5")[1]["data"][0]["traceID"] == "0af7651916cd43dd8448eb211c80319c"
    assert get(agent, "/api/traces/ff")[0] == 404
    assert get(agent, "/api/v1/traces/ff")[0] == 404
    printed = subprocess.run([PROGRAM, "trace", "0af76519", "--endpoint", f"http://127.0.0.1:{agent.api}"],
                             capture_output=True, text=True, check=True).stdout
    assert "├─shop  SELECT orders [client]" in printed and "ERROR" in printed, printed
    missing = subprocess.run([PROGRAM, "trace", "ffff", "--endpoint", f"http://127.0.0.1:{agent.api}"], capture_output=True, text=True, check=False)
    assert missing.returncode == 1 and "trace not found" in missing.stderr
    answer, metrics = ask(agent.api, "GET", "/metrics")
    assert b"throughline_agent_otlp_http_records_total 3\n" in metrics
    agent.stop()


def refuse():
    """Every wrong request has its status, a google.rpc.Status body and a counter."""
    agent = Agent()
    table = [
        ("POST", "/v1/traces", b"{", JSON, 400), ("POST", "/v1/traces", b"\x0a\x05ab", PROTOBUF, 400),
        ("POST", "/v1/traces", b"x", {**JSON, "Content-Encoding": "gzip"}, 400),
        ("POST", "/v1/traces", b"x", {**JSON, "Content-Encoding": "zstd"}, 400),
        ("POST", "/v1/traces", b"x", {"Content-Type": "text/plain"}, 415),
        ("POST", "/v1/traces", b"x", {**JSON, "Content-Encoding": "br"}, 415),
        ("GET", "/v1/traces", None, {}, 405), ("POST", "/v1/other", b"", JSON, 404),
        ("POST", "/v1/traces", b"", {**JSON, "Origin": "http://evil.example"}, 403),
        ("POST", "/v1/traces", b"", {**JSON, "Host": "evil.example"}, 403),
        ("POST", "/v1/traces", gzip.compress(bytes(65 << 20)), {**JSON, "Content-Encoding": "gzip"}, 413),
    ]
    for method, path, body, headers, expected in table:
        answer, data = ask(agent.otlp, method, path, body, headers)
        assert answer.status == expected, (path, headers, answer.status, data)
        if headers.get("Content-Type") == JSON["Content-Type"]:
            assert "message" in json.loads(data), data
    connection = socket.create_connection(("127.0.0.1", agent.otlp))
    connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n")
    assert b" 413 " in connection.recv(4096)
    connection.close()
    for path, expected in (("/nothing", 404), ("/health", 200), ("/ready", 200)):
        assert ask(agent.api, "GET", path)[0].status == expected, path
    assert ask(agent.api, "GET", "/health", headers={"Host": "evil.example"})[0].status == 403
    assert ask(agent.api, "POST", "/api/v1/services", b"")[0].status == 405
    metrics = ask(agent.api, "GET", "/metrics")[1].decode()
    for name, count in (("malformed", 4), ("forbidden", 2), ("unknown", 4), ("too_large", 2)):
        assert f"throughline_agent_otlp_http_{name}_total {count}\n" in metrics, (name, metrics)
    agent.stop()


def store():
    """Spans outlive a restart; a newer store is refused; a damaged one is kept aside."""
    agent = Agent()
    assert ask(agent.otlp, "POST", "/v1/traces", request(span(1)), JSON)[0].status == 200
    agent.stop()
    agent.start()
    assert get(agent, "/api/v1/traces/0af7651916cd43dd8448eb211c80319c")[0] == 200
    agent.stop()
    listed = subprocess.run([PROGRAM, "traces", "--data-dir", agent.folder], capture_output=True, text=True, check=True).stdout
    assert "0af7651916cd43dd8448eb211c80319c" in listed, listed
    path = os.path.join(agent.folder, "store.sqlite")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    run = subprocess.run([PROGRAM, "agent", "-c", agent.config, "--data-dir", agent.folder], capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 1 and "is of version 99" in run.stderr, run
    with open(path, "r+b") as file:
        file.write(b"not a database at all")
    for name in ("-wal", "-shm"):
        if os.path.exists(path + name):
            os.unlink(path + name)
    agent.start()
    assert "store.damaged" in agent.text()
    assert any(".damaged-" in name for name in os.listdir(agent.folder))
    agent.stop()


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    got, refusals = [], 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if Sink.refusals > 0:
            Sink.refusals -= 1
            self.send_response(503)
        else:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            Sink.got.append((self.path, body))
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def forward():
    """What comes in goes out as the very bytes, plain and gzip, after the destination refused twice."""
    for compression in ("none", "gzip"):
        sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        Sink.got, Sink.refusals = [], 2
        agent = Agent(f"""
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:OTLP"}}}}}}}}
processors: {{batch: {{timeout: 10ms}}}}
exporters: {{otlphttp: {{endpoint: "http://127.0.0.1:{sink.server_port}", compression: {compression}}}}}
api: {{endpoint: "127.0.0.1:API"}}
service: {{pipelines: {{traces: {{receivers: [otlp], processors: [batch], exporters: [otlphttp]}}}}}}
""")
        # A resource with an unknown field 99 must pass unchanged.
        piece = bytes.fromhex("0a0c" "0a04" "9a060178" "1204" "1202" "2a00")
        for _ in range(20):
            assert ask(agent.otlp, "POST", "/v1/traces", piece, PROTOBUF)[0].status == 200
        eventually(lambda: check_sum(piece * 20))
        # No pipeline takes logs: told, not swallowed.
        logs = bytes.fromhex("0a06" "1204" "1202" "2a00")
        assert ask(agent.otlp, "POST", "/v1/logs", logs, PROTOBUF)[0].status == 404
        log = agent.stop()
        assert "exporter.retry" in log, log
        sink.shutdown()


def check_sum(expected):
    assert b"".join(body for _, body in Sink.got) == expected, Sink.got


{"receive": receive, "refuse": refuse, "store": store, "forward": forward}[sys.argv[1]]()
