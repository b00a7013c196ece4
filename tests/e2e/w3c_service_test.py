#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/w3c-service hands on what came in: traceparent, tracestate and baggage by the rules of W3C Trace Context
level 2 and W3C Baggage, seen from both sides of the wire."""
import http.client
import http.server
import json
import os
import re
import subprocess
import sys
import threading

SERVICE = sys.argv[1]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
FORM = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[0-3])$")
received = []


class Callee(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received.append((self.path, self.headers, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


class Service:
    def __init__(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        environment["THROUGHLINE_SOCKET"] = "/nonexistent/agent.sock"
        self.process = subprocess.Popen([SERVICE, "0"], stdout=subprocess.PIPE, env=environment, text=True)
        self.port = int(self.process.stdout.readline().rsplit(" ", 1)[1])
        self.callee = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callee)
        threading.Thread(target=self.callee.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.callee.server_address[1]}"

    def post(self, headers, body, path="/test", method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path)
        connection.putheader("Content-Length", str(len(body)))
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def relay(self, headers, calls=1):
        """What each of the calls carried: (trace id, span id, flags, tracestate lines joined, baggage)."""
        received.clear()
        work = [{"url": f"{self.url}/{number}", "arguments": [number]} for number in range(calls)]
        status = self.post(headers, json.dumps(work).encode())
        assert status == 200, status
        assert [path for path, _, _ in received] == [f"/{number}" for number in range(calls)], received
        assert [json.loads(body) for _, _, body in received] == [[number] for number in range(calls)]
        seen = []
        for _, got, _ in received:
            lines = got.get_all("traceparent") or []
            assert len(lines) == 1 and FORM.match(lines[0]), lines
            assert set(lines[0].split("-")[1]) != {"0"} and set(lines[0].split("-")[2]) != {"0"}, lines
            seen.append((*FORM.match(lines[0]).groups(), ",".join(got.get_all("tracestate") or []),
                         got.get("baggage")))
        return seen

    def one(self, *headers):
        return self.relay(list(headers))[0]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0
        self.callee.shutdown()


def continues(service, traceparent, *more):
    trace, span, *_ = service.one(("traceparent", traceparent), *more)
    assert trace == TRACE and span != SPAN, (traceparent, trace, span)


def starts_anew(service, *headers):
    trace, _, flags, state, _ = service.one(*headers)
    assert trace != TRACE and state == "", (headers, trace, state)
    assert flags == "03", flags  # our own root: sampled, and its trace id is random


def check_traceparent(service):
    for good in (GOOD, f"00-{TRACE}-{SPAN}-00", f" {GOOD}\t", f"01-{TRACE}-{SPAN}-01", f"fe-{TRACE}-{SPAN}-01",
                 f"7a-{TRACE}-{SPAN}-01-more", f"01-{TRACE}-{SPAN}-01-"):
        continues(service, good)
    for name in ("Traceparent", "TRACEPARENT", "tRaCePaReNt"):
        assert service.one((name, GOOD))[0] == TRACE
    for bad in ("", "-", "00", GOOD[:-1], GOOD + "0", GOOD + "-", GOOD + "-x", GOOD.upper(), "0" + GOOD, GOOD[1:],
                f"ff-{TRACE}-{SPAN}-01", f"0g-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
                f"00-{TRACE[:-1]}-{SPAN}-01", f"00-{TRACE}-{SPAN[:-1]}-01", f"00-{TRACE}-{SPAN}-0x",
                f"00-{TRACE}-{SPAN}-1", f"00_{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}_01", f"01-{TRACE}-{SPAN}-01x",
                f"00-{TRACE[:-1]}g-{SPAN}-01", f"00-{TRACE}-{SPAN[:-1]}/-01"):
        starts_anew(service, ("traceparent", bad), ("tracestate", "a=1"))
    starts_anew(service)
    starts_anew(service, ("tracestate", "a=1"))
    starts_anew(service, ("trace-parent", GOOD), ("x-traceparent", GOOD))
    starts_anew(service, ("traceparent", GOOD), ("traceparent", GOOD))
    starts_anew(service, ("traceparent", GOOD), ("Traceparent", f"00-{'1' * 32}-{SPAN}-01"))


def check_flags(service):
    for flags, expected in (("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"), ("fc", "00")):
        assert service.one(("traceparent", f"00-{TRACE}-{SPAN}-{flags}"))[2] == expected, flags


def check_tracestate(service):
    longest = "k" * 256 + "=" + "v" * 256
    members = [f"m{number}={number}" for number in range(33)]
    kept = {
        "a=1": "a=1", "a=1,b=2": "a=1,b=2", "a=1 \t,\t b=2 ": "a=1,b=2", ",,a=1,,b=2,": "a=1,b=2", "a=1,a=2": "a=1,a=2",
        "0=x": "0=x", "t@v=1,t@@v=2,t@=3": "t@v=1,t@@v=2,t@=3", "a=  b": "a=  b", longest: longest,
        "a_-*/9=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~": "a_-*/9=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~",
        ",".join(members[:32]): ",".join(members[:32]),
    }
    for text, expected in kept.items():
        trace, _, _, state, _ = service.one(("traceparent", GOOD), ("TraceState", text))
        assert (trace, state) == (TRACE, expected), (text, state)
    for text in ("", " ", ",", "a", "a=", "=1", "a=1,b", "a=1,b=", "a =1", "A=1", "a.b=1", "_a=1", "@a=1,b=2", "a=b=c",
                 "a=\x7f", "a=1\tb", "k" * 257 + "=1", "a=" + "v" * 257, ",".join(members)):
        trace, _, _, state, _ = service.one(("traceparent", GOOD), ("tracestate", text))
        assert (trace, state) == (TRACE, ""), (text, state)
    state = service.one(("traceparent", GOOD), ("tracestate", "a=1,b=2"), ("tracestate", ""), ("TRACESTATE", "c=3"))[3]
    assert state == "a=1,b=2,c=3", state
    assert service.one(("traceparent", GOOD), ("tracestate", "a=1"), ("tracestate", "B=2"))[3] == ""
    assert service.one(("traceparent", GOOD), ("trace-state", "a=1"))[3] == ""


def check_baggage(service):
    for text, expected in (("a=1,b=2;p;q=3", "a=1,b=2;p;q=3"), (" a = 1 , b=%20 ", "a=1,b=%20"), ("a=1,,=2,c d=3", "a=1"),
                           ("a=%c3%a4", "a=%C3%A4"), ("", None), (",", None)):
        assert service.one(("traceparent", GOOD), ("baggage", text))[4] == expected, text
    assert service.one(("baggage", "a=1"), ("Baggage", "b=2"))[4] == "a=1,b=2"
    many = ",".join(f"k{number}=v" for number in range(64))
    assert service.one(("baggage", many))[4] == many
    big = "k=" + "v" * 8190
    assert service.one(("baggage", big))[4] == big
    assert service.one(("baggage", big + "v"))[4] is None


def check_calls(service):
    seen = service.relay([("traceparent", GOOD)], calls=5)
    assert {trace for trace, *_ in seen} == {TRACE}
    assert len({span for _, span, *_ in seen}) == 5
    roots = [service.one()[0] for _ in range(5)]
    assert len(set(roots)) == 5, roots
    for bad in (b"", b"{}", b"[", b"null", json.dumps([{}] * 65).encode()):
        assert service.post([], bad) == 400, bad
    assert service.post([], b"[]") == 200
    assert service.post([], b"[{}]") == 502
    assert service.post([], json.dumps([{"url": "file:///etc/hostname", "arguments": []}]).encode()) == 502
    assert service.post([], b"[" + b" " * 1024 * 1024 + b"]") == 413
    assert service.post([], b"[]", path="/other") == 404
    assert service.post([], b"", method="GET") == 404


def main():
    service = Service()
    try:
        for check in (check_traceparent, check_flags, check_tracestate, check_baggage, check_calls):
            check(service)
            print(check.__name__, "ok")
    finally:
        service.stop()


if __name__ == "__main__":
    main()
