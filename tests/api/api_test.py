#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API and the page's files as HTTP: headers, shapes, limits, the live stream. One case per run."""
import contextlib
import gzip
import http.client
import json
import os
import re
import socket
import sys
import time
from urllib.parse import quote

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "page")]
import traces  # noqa: E402
from running import Agent, eventually, free_port  # noqa: E402

PROGRAM = sys.argv[2]


def ask(port, path, method="GET", address="127.0.0.1", **headers):
    connection = http.client.HTTPConnection(address, port, timeout=30)
    connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def get(agent, path, status=200):
    answer, body = ask(agent.api, path)
    assert answer.status == status, (path, answer.status, body[:300])
    return json.loads(body)


@contextlib.contextmanager
def agent_with(*sent):
    agent = Agent(PROGRAM)
    try:
        if sent:
            traces.send(agent.otlp, *sent)
            eventually(lambda: check(len(get(agent, "/api/v1/traces?limit=1000&lookback=0s")["traces"]) == len(sent)))
        yield agent
    finally:
        if agent.process.poll() is None:
            agent.stop()


def check(is_true, why=""):
    assert is_true, why


def page():
    """Files have types, tags, compression and a policy; views share one document; the rest is 404."""
    with agent_with() as agent:
        answer, body = ask(agent.api, "/")
        assert answer.status == 200 and answer.getheader("Content-Type") == "text/html; charset=utf-8"
        assert answer.getheader("Cache-Control") == "no-cache" and answer.getheader("X-Frame-Options") == "DENY"
        policy = answer.getheader("Content-Security-Policy")
        assert "default-src 'none'" in policy and "unsafe" not in policy and "require-trusted-types-for 'script'" in policy, policy
        for path in ("/map", "/traces?service=x", "/trace/0af7", "/service/a%20b"):
            other, same = ask(agent.api, path)
            assert other.status == 200 and same == body, path
        assert ask(agent.api, "/", If_None_Match=answer.getheader("ETag"))[0].status == 304
        assert ask(agent.api, "/", If_None_Match='W/"x", W/' + answer.getheader("ETag"))[0].status == 304
        assert ask(agent.api, "/", If_None_Match='"other"')[0].status == 200
        names = re.findall(rb'"(/page/[^"]+)"', body)
        assert len(names) > 8, body
        for name in names:
            plain, data = ask(agent.api, name.decode())
            packed, small = ask(agent.api, name.decode(), Accept_Encoding="br, gzip;q=0.8")
            assert plain.status == 200 and "immutable" in plain.getheader("Cache-Control") and plain.getheader("Vary") == "Accept-Encoding", name
            assert plain.getheader("X-Content-Type-Options") == "nosniff" and plain.getheader("Content-Encoding") is None
            assert packed.getheader("Content-Encoding") is None or gzip.decompress(small) == data, name
            if name.endswith(b".js"):
                assert plain.getheader("Content-Type").startswith("text/javascript") and packed.getheader("Content-Encoding") == "gzip"
        head, nothing = ask(agent.api, "/", "HEAD")
        assert head.status == 200 and nothing == b"" and int(head.getheader("Content-Length")) == len(body)
        for path in ("/page/", "/page/000/app.js", "/index.html", "/trace/", "/service/", "/page/../etc/passwd", "/VENDOR.tsv"):
            assert ask(agent.api, path)[0].status == 404, path
        assert ask(agent.api, "/", "POST")[0].status == 405


class Stream:
    """A reader of server-sent events, by hand: the bytes matter here."""

    def __init__(self, port, receive_buffer=0):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(15)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        self.text = b""

    def until(self, wanted):
        while wanted not in self.text:
            more = self.socket.recv(4096)
            assert more, self.text
            self.text += more
        found, self.text = self.text.split(wanted, 1)
        return found

    def close(self):
        self.socket.close()


def live():
    """Changes and heartbeats arrive; streams are bounded; who goes away makes room; the end is proper."""
    with agent_with(traces.browse(1, time.time_ns())) as agent:
        first = Stream(agent.api)
        head = first.until(b"\r\n\r\n")
        assert b" 200 " in head and b"text/event-stream" in head and b"no-store" in head, head
        first.until(b"event: change\ndata: {\"version\":")
        # The store is looked at four times a second.
        first.until(b"\n\n")
        traces.send(agent.otlp, traces.browse(2, time.time_ns()))
        began = time.time()
        first.until(b"event: change\n")
        assert time.time() - began < 3
        first.until(b": beat\n\n")
        others = [Stream(agent.api) for _ in range(31)]
        for stream in others:
            assert b" 200 " in stream.until(b"\r\n\r\n")
        answer, body = ask(agent.api, "/api/v1/live")
        assert answer.status == 503 and answer.getheader("Retry-After") == "5" and b"too many" in body
        others.pop().close()

        def room():
            stream = Stream(agent.api)
            is_taken = b" 200 " in stream.until(b"\r\n\r\n")
            others.append(stream)
            assert is_taken
        eventually(room, 10)
        assert ask(agent.api, "/api/v1/live", Origin="http://evil.example")[0].status == 403
        assert ask(agent.api, "/api/v1/live", "HEAD")[0].status == 404
        began = time.time()
        agent.stop()
        assert time.time() - began < 4
        first.until(b"\r\n0\r\n\r\n")


def span_of(found, name):
    return next(span for span in found["spans"] if span["operationName"] == name)


def jaeger():
    """Shapes, types and errors as Jaeger's query service gives them."""
    now = time.time_ns()
    failed, good = traces.order(0xa1, now - 2_000_000_000, fails=True), traces.order(0xa2, now - 1_000_000_000)
    typed = traces.Trace(0xa3, now)
    typed.span("typed", "all", traces.SERVER, 0, 3, s="x", i=5, big=(1 << 60), f=1.5, b=True, l=["a", 1])
    with agent_with(failed, good, typed) as agent:
        assert get(agent, "/api/services") == {"data": ["edge", "mailer", "orders", "stock", "typed"], "total": 5, "limit": 0, "offset": 0, "errors": None}
        assert get(agent, "/api/services/typed/operations") == {"data": ["all"], "total": 1, "limit": 0, "offset": 0, "errors": None}
        assert get(agent, "/api/operations?service=typed")["data"] == [{"name": "all", "spanKind": "server"}]
        assert get(agent, "/api/operations?service=edge&spanKind=client")["data"] == [{"name": "POST", "spanKind": "client"}]
        for path, message in (("/api/operations", "parameter 'service' is required"), ("/api/traces", "parameter 'service' is required"),
                              ("/api/traces?service=edge&minDuration=soon", "parameter 'minDuration' is not"), ("/api/traces?service=edge&tags=x", "parameter 'tags'"),
                              ("/api/traces?service=edge&limit=1001", "parameter 'limit'"), ("/api/traces/nothex", "hexadecimal"), ("/api/traces?traceID=zz", "parameter 'traceID'")):
            error = get(agent, path, 400)
            assert error["data"] is None and error["errors"][0]["code"] == 400 and message in error["errors"][0]["msg"], (path, error)
        assert get(agent, "/api/traces/ff", 404) == {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": 404, "msg": "trace not found"}]}
        one = get(agent, "/api/traces/a1")
        assert one["errors"] is None and one["total"] == 0 and len(one["data"]) == 1
        found = one["data"][0]
        assert set(found) == {"traceID", "spans", "processes", "warnings"} and found["warnings"] is None
        assert {process["serviceName"] for process in found["processes"].values()} == {"edge", "orders"} and len(found["processes"]) == 2
        span = span_of(found, "INSERT orders")
        assert set(span) == {"traceID", "spanID", "flags", "operationName", "references", "startTime", "duration", "tags", "logs", "processID", "warnings"}, span
        assert span["references"] == [{"refType": "CHILD_OF", "traceID": failed.trace_id, "spanID": span_of(found, "POST /orders")["spanID"]}] or len(span["references"]) == 1
        assert isinstance(span["startTime"], int) and span["duration"] == 30000 and span["warnings"] is None
        tags = {tag["key"]: tag for tag in span["tags"]}
        assert tags["error"] == {"key": "error", "type": "bool", "value": True} and tags["span.kind"]["value"] == "client"
        assert tags["otel.status_code"]["value"] == "ERROR" and tags["otel.status_description"]["value"] == "deadlock detected"
        assert tags["otel.scope.name"]["value"] == "throughline.tests" and tags["otel.scope.version"]["value"] == "1"
        fields = {field["key"]: field["value"] for field in span["logs"][0]["fields"]}
        assert fields["event"] == "exception" and fields["exception.type"].endswith("DeadlockDetected") and span["logs"][0]["timestamp"] > span["startTime"]
        link = span_of(get(agent, "/api/traces/a2")["data"][0], "process orders.created")["references"]
        assert [each["refType"] for each in link] == ["CHILD_OF", "FOLLOWS_FROM"]
        kinds = {tag["key"]: (tag["type"], tag["value"]) for tag in get(agent, "/api/traces/a3")["data"][0]["spans"][0]["tags"]}
        assert kinds["s"] == ("string", "x") and kinds["i"] == ("int64", 5) and kinds["big"] == ("int64", str(1 << 60)) and kinds["f"] == ("float64", 1.5)
        assert kinds["b"] == ("bool", True) and kinds["l"] == ("string", '["a",1]'), kinds

        def ids(query):
            return [each["traceID"][-2:] for each in get(agent, "/api/traces?" + query)["data"]]
        assert ids("service=edge") == ["a2", "a1"] and ids("service=edge&limit=1") == ["a2"]
        assert ids("traceID=a1&traceID=00a3&traceID=77") == ["a1", "a3"]
        assert ids("service=edge&tags=" + quote('{"error":"true"}')) == ["a1"]
        assert ids("service=edge&tags=" + quote('{"messaging.system":"rabbitmq"}')) == ["a2"]
        assert ids("service=edge&tags=" + quote('{"http.response.status_code":"502","host.name":"node-7"}')) == ["a1"]
        assert ids("service=edge&tags=" + quote('{"customer.tier":"tin"}')) == []
        assert ids("service=orders&operation=GET") == ["a2", "a1"] and ids("service=edge&minDuration=90ms") == ["a2"]
        assert ids(f"service=edge&start={now // 1000 - 1_500_000}&end={now // 1000}") == ["a2"]
        edges = {(each["parent"], each["child"]): each["callCount"] for each in get(agent, f"/api/dependencies?endTs={now // 1_000_000 + 60000}&lookback=3600000")["data"]}
        assert edges[("edge", "orders")] == 2 and edges[("orders", "postgresql/shop")] == 4 and edges[("rabbitmq", "mailer")] == 1 and not any("" in pair for pair in edges), edges
        assert get(agent, "/api/dependencies?endTs=1000&lookback=1000")["data"] == []


def parameters():
    """What is too long, wrong or hostile is refused by name, and nothing else is."""
    with agent_with(traces.browse(1, time.time_ns())) as agent:
        for path, name in (("/api/v1/services?lookback=yesterday", "lookback"), ("/api/v1/services?lookback=-1s", "lookback"), ("/api/v1/map?lookback=nan", "lookback"),
                           ("/api/v1/traces?limit=1001", "limit"), ("/api/v1/traces?limit=-1", "limit"), ("/api/v1/traces?start_ns=99999999999999999999", "start_ns"),
                           ("/api/v1/traces?min_duration=5", "min_duration"), ("/api/v1/traces?service=" + "x" * 1025, "service"), ("/api/v1/traces?operation=a%00b", "operation"),
                           ("/api/v1/operations", "service"), ("/api/v1/services?lookback=1e400s", "lookback")):
            assert f"parameter '{name}'" in get(agent, path, 400)["error"], path
        for path in ("/api/v1/traces?limit=", "/api/v1/traces?limit=1000&service=%3Cscript%3E", "/api/v1/traces?service=%ff%fe", "/api/v1/services?lookback=1ns",
                     "/api/v1/services?lookback=0s", "/api/v1/operations?service=none", "/api/v1/traces?service=' OR 1=1--", "/api/services/a%2Fb/operations"):
            get(agent, path.replace(" ", "%20"))
        for path in ("/api/v1/traces/", "/api/v1/traces/zz", "/api/v1/traces/" + "0" * 33, "/api/v1/nothing", "/api/nothing", "/api/services/x/y"):
            get(agent, path, 404)
        assert ask(agent.api, "/api/v1/traces?service=" + "x" * 40000)[0].status in (400, 413, 414, 431)
        assert ask(agent.api, "/health")[1] == b"ok\n" and ask(agent.api, "/ready")[0].status == 200
        answer, text = ask(agent.api, "/metrics")
        assert answer.getheader("Content-Type").startswith("text/plain; version=0.0.4")
        names = re.findall(r"^(throughline_\w+) \d+$", text.decode(), re.M)
        assert len(names) == len(set(names)) > 20 and text.decode().count("# HELP") == text.decode().count("# TYPE") == len(names)


def hosts():
    """Loopback answers to its names; elsewhere to addresses and to names that are listed; no foreign page reads or embeds."""
    with agent_with() as agent:
        for headers, status in (({"Host": "evil.example"}, 403), ({"Host": "10.1.2.3"}, 403), ({"Host": "127.0.0.1.evil.example"}, 403), ({"Host": f"localhost:{agent.api}"}, 200), ({"Host": "[::1]"}, 200),
                                ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
                                ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200), ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200)):
            for path in ("/", "/health", "/metrics"):
                connection = http.client.HTTPConnection("127.0.0.1", agent.api, timeout=10)
                connection.request("GET", path, headers=headers)
                assert connection.getresponse().status == status, (path, headers)
                connection.close()
        port = free_port()
        config = os.path.join(agent.folder, "open.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""
receivers: {{otlp_http: {{endpoint: "127.0.0.1:{free_port()}"}}}}
exporters: {{store: {{}}}}
api: {{endpoint: "0.0.0.0:{port}", allowed_hosts: [tracing.example]}}
service: {{pipelines: {{traces: {{receivers: [otlp_http], exporters: [store]}}}}}}
""")
        import subprocess
        folder = os.path.join(agent.folder, "open")
        other = subprocess.Popen([PROGRAM, "agent", "-c", config, "--data-dir", folder], stderr=subprocess.DEVNULL, env=agent.environment)
        try:
            def answers():
                try:
                    assert ask(port, "/health")[0].status == 200
                except OSError as error:
                    raise AssertionError from error
            eventually(answers)
            assert ask(port, "/health", Host="tracing.example:80")[0].status == 200
            assert ask(port, "/health", Host="other.example")[0].status == 403
            assert ask(port, "/health", Host="10.1.2.3:80")[0].status == ask(port, "/health", Host="[fd00::1]:80")[0].status == 200
            assert ask(port, "/health", Host="tracing.example", Origin="https://tracing.example")[0].status == 200
        finally:
            other.terminate()
            assert other.wait(20) == 0


def figures():
    """Rates, errors, quantiles and edges are those of what was sent."""
    now = time.time_ns()
    sent = [traces.order(i + 1, now - (i + 1) * 10_000_000_000, fails=i % 10 == 0) for i in range(20)]
    alone = traces.Trace(0xff, now - 5_000_000_000)
    alone.span("job", "nightly", traces.INTERNAL, 0, 1000)
    late = traces.Trace(0xfe, now - 5_000_000_000)
    late.span("job", "lost", traces.SERVER, 0, 10, parent="00000000000000aa")
    with agent_with(*sent, alone, late) as agent:
        answer = get(agent, "/api/v1/services?lookback=10m")
        services = {service["name"]: service for service in answer["services"]}
        assert set(services) == {"edge", "orders", "mailer", "stock", "job"} and answer["is_cut"] is False
        edge = services["edge"]
        assert edge["spans"] == 20 and edge["errors"] == 2 and edge["error_rate"] == 0.1 and abs(edge["rate"] - 20 / 600) < 1e-3
        assert edge["p50_ms"] == edge["p99_ms"] == edge["max_ms"] == 64 and sum(edge["counts"]) == 20 and sum(edge["failures"]) == 2 and len(edge["counts"]) == 60
        operations = {(each["name"], each["kind"]): each for each in get(agent, "/api/v1/operations?service=orders")["operations"]}
        assert list(operations) == [("POST /orders", "server")] and operations[("POST /orders", "server")]["errors"] == 2
        edges = {(each["from"], each["to"], each["kind"]): each for each in get(agent, "/api/v1/map")["edges"]}
        assert edges[("", "edge", "entry")]["count"] == 20 and edges[("", "job", "entry")]["count"] == 1
        call = edges[("edge", "orders", "service")]
        assert call["count"] == 20 and call["errors"] == 2 and call["p50_ms"] == 61, call
        assert edges[("orders", "postgresql/shop", "database")]["count"] == 40 and edges[("orders", "redis", "database")]["count"] == 20
        assert edges[("orders", "rabbitmq", "queue")]["count"] == edges[("rabbitmq", "mailer", "consume")]["count"] == 18
        assert ("orders", "mailer", "service") not in edges and ("mailer", "stock", "service") in edges
        assert edges[("mailer", "smtp.example.com", "external")]["count"] == 18 and ("mailer", "stock", "external") not in edges and ("edge", "orders", "external") not in edges
        failed = get(agent, "/api/v1/traces?error=true")["traces"]
        assert len(failed) == 2 and all(each["culprit_service"] == "orders" and each["culprit_name"] == "INSERT orders" for each in failed)
        incomplete = [each for each in get(agent, "/api/v1/traces?service=job")["traces"] if not each["complete"]]
        assert len(incomplete) == 1 and incomplete[0]["root_name"] == "lost"
        assert get(agent, "/api/v1/services?lookback=1ms")["services"] == []


{"page": page, "live": live, "jaeger": jaeger, "parameters": parameters, "hosts": hosts, "figures": figures}[sys.argv[1]]()
