#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OTLP/HTTP as the library's module sends it, against a server that decodes with PyPI's opentelemetry-proto and answers
all that a server may. Arguments: CASE FOLDER DRIVER PROGRAM PIPE_DRIVER."""
import base64
import collections
import contextlib
import email.utils
import gzip
import http.server
import json
import os
import shutil
import socket
import socketserver
import ssl
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from driving import (SIGNALS, VERSION, Certificates, Driver, Times, kind_of, many_spans, messages, pipe_run, run_case,  # noqa: E402
                     under_packages)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
Request = collections.namedtuple("Request", "path headers body")


class Sink(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Keeps what it is sent; `answer` makes status, headers and body of a request."""
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer=None, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.connections = [], 0
        self.answer = answer or (lambda request: (200, {"Content-Type": request.headers["Content-Type"]}, b""))
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.base = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def urls(self, signals=SIGNALS):
        return [f"{signal}={self.base}/v1/{signal}" for signal in signals]

    def handle_error(self, request, client_address):
        pass  # a client that is refused hangs up


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections += 1

    def handle(self):
        with contextlib.suppress(OSError):
            super().handle()

    def do_POST(self):
        request = Request(self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        reply = self.server.answer(request)
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, headers, body = reply
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.requests.append(Request(self.path, self.headers, b""))
        status, headers, body = self.server.answer(self.server.requests[-1])
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def driver():
    return Driver(sys.argv[3], "http")


def bodies():
    return {signal: message.SerializeToString() for signal, message in messages().items()}


def protobuf():
    """The bytes arrive as they were, each signal at its endpoint as it was given, with type, agent and headers."""
    sink, sender, sent = Sink(), driver(), bodies()
    urls = [f"{signal}={sink.base}/some/where/{signal}?x=1" for signal in SIGNALS]
    answers = sender.answers(*urls, "header=Authorization:Bearer secret", "header=X-Scope-OrgID:7", **sent)
    assert [(answer.result, answer.status, answer.rejected) for answer in answers] == [("DONE", 200, 0)] * 3, answers
    assert sender.exporter == ["otlp_http_exporter", "127.0.0.1", str(sink.server_port)], sender.exporter
    for signal, got in zip(SIGNALS, sink.requests):
        assert got.path == f"/some/where/{signal}?x=1" and got.body == sent[signal], got
        assert kind_of(signal).FromString(got.body) == messages()[signal]
        assert got.headers["Content-Type"] == PROTOBUF and got.headers["Content-Encoding"] is None and got.headers["Expect"] is None
        assert got.headers["Authorization"] == "Bearer secret" and got.headers["X-Scope-OrgID"] == "7"
    assert sink.connections == 1, "the connection is kept"


def user_agent():
    """The user agent is the one that the specification asks for."""
    sink = Sink()
    assert driver().answer(*sink.urls(), traces=bodies()["traces"]).result == "DONE"
    assert sink.requests[0].headers["User-Agent"] == f"OTel-OTLP-Exporter-C/{VERSION}", sink.requests[0].headers


def ids_to_base64(node):
    """OTLP/JSON's hexadecimal ids as plain protobuf JSON has them."""
    if isinstance(node, list):
        return [ids_to_base64(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: base64.b64encode(bytes.fromhex(value)).decode() if key in ("traceId", "spanId", "parentSpanId") else ids_to_base64(value)
            for key, value in node.items()}


def read_json(signal, body):
    from google.protobuf import json_format

    return json_format.Parse(json.dumps(ids_to_base64(json.loads(body))), kind_of(signal)(), ignore_unknown_fields=False)


def as_json():
    """JSON bodies decode to the same messages: hexadecimal ids, integer enums, 64-bit integers as text."""
    sink, sender = Sink(), driver()
    answers = sender.answers(*sink.urls(), "json", **bodies())
    assert [answer.result for answer in answers] == ["DONE"] * 3, answers
    assert sender.exporter[0] == "otlp_http_json_exporter", sender.exporter
    for signal, got in zip(SIGNALS, sink.requests):
        assert got.headers["Content-Type"] == JSON and got.path == f"/v1/{signal}"
        assert read_json(signal, got.body) == messages()[signal], got.body
    span = json.loads(sink.requests[0].body)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert span["traceId"] == bytes(range(16)).hex() and span["kind"] == 2 and span["startTimeUnixNano"] == "1700000000000000001", span


def compressed():
    """With gzip the body is gzip and says so, in both encodings; what is unknown is refused when the exporter is made."""
    sink, sent = Sink(), many_spans(1000)
    for extra in ([], ["json"]):
        assert driver().answer(*sink.urls(), "gzip", *extra, traces=sent.SerializeToString()).result == "DONE"
    assert [got.headers["Content-Encoding"] for got in sink.requests] == ["gzip", "gzip"]
    assert kind_of("traces").FromString(gzip.decompress(sink.requests[0].body)) == sent
    assert read_json("traces", gzip.decompress(sink.requests[1].body)) == sent
    assert len(sink.requests[0].body) < sent.ByteSize() / 10
    refused = driver().run(*sink.urls(), "compression=snappy", traces=b"")
    assert refused == ["FAILED\t-22\tcompression: 'snappy' is neither none nor gzip"], refused


def retryable():
    """429, 502, 503 and 504 are worth another attempt."""
    for status in (429, 502, 503, 504):
        sink = Sink(lambda request, status=status: (status, {}, b""))
        answer = driver().answer(*sink.urls(), traces=bodies()["traces"])
        assert (answer.result, answer.status, answer.wait_ms) == ("RETRY", status, 0), answer
        assert answer.message == f"{sink.base}/v1/traces answered {status}", answer


def not_retryable():
    """Every other code is not, and redirects are not followed; the status in the body is told in both encodings."""
    from google.rpc import status_pb2

    for status in (301, 302, 307, 308, 400, 401, 403, 404, 405, 408, 409, 413, 415, 418, 500, 501, 505, 511):
        sink = Sink(lambda request, status=status: (status, {"Location": "/elsewhere"}, b"<html>no</html>"))
        answer = driver().answer(*sink.urls(), traces=bodies()["traces"])
        assert (answer.result, answer.status) == ("REFUSED", status) and len(sink.requests) == 1, answer
    replies = {PROTOBUF: status_pb2.Status(code=3, message="span 7 is odd").SerializeToString(),
               JSON: json.dumps({"code": 3, "message": "span 7 is odd", "details": [{"@type": "x"}]}).encode()}
    sink = Sink(lambda request: (400, {"Content-Type": request.headers["Content-Type"]}, replies[request.headers["Content-Type"]]))
    for extra in ([], ["json"]):
        answer = driver().answer(*sink.urls(), *extra, traces=bodies()["traces"])
        assert answer.message == f"{sink.base}/v1/traces answered 400: span 7 is odd", answer


def retry_after():
    """Retry-After counts in seconds and as a date; what is none, past or of a refusal is not, what is absurd is an hour."""
    soon = email.utils.formatdate(time.time() + 100, usegmt=True)
    past = email.utils.formatdate(time.time() - 100, usegmt=True)
    for status in (429, 503):
        for value, low, high in (("7", 7000, 7000), (soon, 90000, 100000), (past, 0, 0), ("0", 0, 0), ("-5", 0, 0), ("soon", 0, 0),
                                 ("99999999999", 3600000, 3600000)):
            sink = Sink(lambda request, status=status, value=value: (status, {"Retry-After": value}, b""))
            answer = driver().answer(*sink.urls(), traces=bodies()["traces"])
            assert answer.result == "RETRY" and low <= answer.wait_ms <= high, (value, answer)
    sink = Sink(lambda request: (500, {"Retry-After": "7"}, b""))
    answer = driver().answer(*sink.urls(), traces=bodies()["traces"])
    assert (answer.result, answer.wait_ms) == ("REFUSED", 0), answer


def partial_success():
    """A partial success is done, with what was rejected and why, in both encodings; a warning rejects nothing."""
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    def reply(request, rejected, message):
        if request.headers["Content-Type"] == JSON:
            body = json.dumps({"x": [1], "partialSuccess": {"errorMessage": message, "rejectedSpans": str(rejected)}}).encode()
        else:
            response = trace_service_pb2.ExportTraceServiceResponse()
            response.partial_success.rejected_spans, response.partial_success.error_message = rejected, message
            body = response.SerializeToString()
        return 200, {"Content-Type": request.headers["Content-Type"]}, body

    for rejected, message in ((3, "three are odd"), (0, "be quick"), (5, "")):
        sink = Sink(lambda request, rejected=rejected, message=message: reply(request, rejected, message))
        for extra in ([], ["json"]):
            answer = driver().answer(*sink.urls(), *extra, traces=bodies()["traces"])
            assert (answer.result, answer.rejected, answer.status, answer.message) == ("DONE", rejected, 200, message), answer
    # What is no answer of OTLP was taken all the same.
    for kind, body in ((PROTOBUF, b"\xff\xff"), (JSON, b"{"), ("text/html", b"<html>")):
        sink = Sink(lambda request, kind=kind, body=body: (200, {"Content-Type": kind}, body))
        answer = driver().answer(*sink.urls(), traces=bodies()["traces"])
        assert (answer.result, answer.rejected, answer.message) == ("DONE", 0, ""), answer


def request_limit():
    """A request over the limit, before compression or as JSON, is refused and not sent; 64 MiB when nothing else is said."""
    sink, body = Sink(), bodies()["traces"]
    for extra in ([], ["gzip"], ["json"]):
        answer = driver().answer(*sink.urls(), f"max_request={len(body) - 1}", *extra, traces=body)
        assert (answer.result, answer.status) == ("REFUSED", 0) and "more than" in answer.message, answer
    answer = driver().answer(*sink.urls(), f"max_request={len(body)}", "json", traces=body)
    assert answer.result == "REFUSED" and "as JSON" in answer.message, answer
    assert not sink.requests
    assert driver().answer(*sink.urls(), f"max_request={len(body)}", traces=body).result == "DONE"
    answer = driver().answer(*sink.urls(), "gzip", traces=b"\x0a" * (64 * 2 ** 20 + 1))
    assert answer.result == "REFUSED" and str(64 * 2 ** 20) in answer.message, answer
    assert len(sink.requests) == 1
    assert [each.split("\t")[1] for each in driver().run(*sink.urls(), "mode=poll", "max_request=9", "repeat=9", traces=body)] == ["REFUSED"] * 9


def response_limit():
    """A response over the limit, as it is or decompressed, is not retried; 4 MiB when nothing else is said."""
    bomb = gzip.compress(b"\0" * (64 * 2 ** 20))
    cases = ((["max_response=1000"], {}, b"x" * 1001, "REFUSED"), (["max_response=1000"], {}, b"x" * 1000, "DONE"),
             ([], {}, b"x" * (4 * 2 ** 20 + 1), "REFUSED"), ([], {"Content-Encoding": "gzip"}, bomb, "REFUSED"),
             ([], {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 1000), "DONE"))
    for status in (200, 503):
        for extra, headers, body, result in cases:
            sink = Sink(lambda request, status=status, headers=headers, body=body: (status, headers, body))
            answer = driver().answer(*sink.urls(), *extra, traces=bodies()["traces"])
            assert answer.result == (result if status == 200 or result == "REFUSED" else "RETRY"), (status, answer)
            assert ("larger than the limit" in answer.message) == (result == "REFUSED"), answer


def lost():
    """No connection, a connection lost without an answer, and an answer that comes too late: another attempt."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        answer = driver().answer(f"traces=http://127.0.0.1:{unheard.getsockname()[1]}/v1/traces", traces=bodies()["traces"])
        assert (answer.result, answer.status) == ("RETRY", 0) and "connect" in answer.message, answer
    sink = Sink(lambda request: None)
    answers = driver().answers(*sink.urls(), "repeat=3", traces=many_spans(5000).SerializeToString())
    assert [answer.result for answer in answers] == ["RETRY"] * 3, answers
    over = threading.Event()
    sink = Sink(lambda request: (over.wait(30) and 200, {}, b""))
    for late in ("timeout=200", "deadline=200"):
        started = time.monotonic()
        answer = driver().answer(*sink.urls(), late, traces=bodies()["traces"])
        assert answer.result == "RETRY" and 0.15 < time.monotonic() - started < 5, answer
    over.set()
    answer = driver().answer("traces=http://no.such.host.invalid/v1/traces", traces=bodies()["traces"])
    assert answer.result == "RETRY", answer


def concurrent():
    """As many requests are under way at once as were allowed, each with its own answer; the descriptor says when to look."""
    for mode in ("begin", "poll"):
        together = threading.Barrier(4)
        sink = Sink(lambda request, together=together: (together.wait(20) >= 0 and 200, {}, b""))
        lines = driver().run(*sink.urls(), "in_flight=4", f"mode={mode}", "repeat=12", traces=bodies()["traces"])
        assert sorted(int(line.split("\t")[0]) for line in lines) == list(range(12)), lines
        assert all(line.split("\t")[1] == "DONE" for line in lines) and sink.connections == 4, (lines, sink.connections)
    statuses = iter(range(1000))
    sink = Sink(lambda request: (503 if next(statuses) % 2 else 200, {}, b""))
    lines = driver().run(*sink.urls(), "in_flight=8", "mode=poll", "gzip", "repeat=100", traces=many_spans(100).SerializeToString())
    assert len(lines) == 100 and sum("RETRY" in line for line in lines) == 50, lines
    sink = Sink()
    answers = driver().answers(*sink.urls(), "in_flight=1", "repeat=5", traces=bodies()["traces"])
    assert len(answers) == 5 and sink.connections == 1


def server_tls(certificates, wants_client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates["ca.pem"])
    return context


def tls():
    """https is verified by the given authority, a client certificate is shown; without it or by another authority nothing is sent."""
    with tempfile.TemporaryDirectory() as folder:
        certificates, body = Certificates(folder), bodies()["traces"]
        sink = Sink(tls=server_tls(certificates))
        ours = "ca=" + certificates["ca.pem"]
        assert driver().answer(*sink.urls(), ours, traces=body).result == "DONE"
        for untrusted in ([], ["ca=" + certificates["other.pem"]]):
            answer = driver().answer(*sink.urls(), *untrusted, traces=body)
            assert (answer.result, answer.status) == ("RETRY", 0) and "certificate" in answer.message, answer
        mutual = Sink(tls=server_tls(certificates, wants_client=True))
        client = ["key=" + certificates["client.key"], "cert=" + certificates["client.pem"]]
        assert driver().answer(*mutual.urls(), ours, *client, traces=body).result == "DONE"
        assert driver().answer(*mutual.urls(), ours, traces=body).result == "RETRY"
        assert len(sink.requests) == 1 and len(mutual.requests) == 1
        answers = driver().answers(*sink.urls(), ours, "mode=fork", traces=body)
        assert [answer.result for answer in answers] == ["DONE"] * 3, answers
        lines = driver().run(*sink.urls(), "ca=/no/such/file", traces=body)
        assert lines == ["FAILED\t-22\tca_file: /no/such/file: No such file or directory"], lines


def fork():
    """A child of fork sends over connections of its own: before its parent, after it, or while the parent has some under way."""
    for mode in ("fork", "fork_first"):
        sink = Sink()
        answers = driver().answers(*sink.urls(), f"mode={mode}", "repeat=2", traces=bodies()["traces"])
        assert [answer.result for answer in answers] == ["DONE"] * len(sink.requests), answers
        assert sink.connections == 2, sink.connections
    # Three are under way when the child is made: it gets the answers of its own three, and the parent still those.
    sink = Sink()
    lines = driver().run(*sink.urls(), "mode=fork_under_way", "repeat=3", traces=bodies()["traces"])
    assert sorted(line.split("\t")[:2] for line in lines) == [[str(number), "DONE"] for number in (0, 0, 1, 1, 2, 2)], lines


def at_exit():
    """A program that ends while a thread of it sends over TLS ends well, whenever it does."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(folder)
        sink = Sink(tls=server_tls(certificates))
        for wait_ms in range(40):
            assert driver().run(*sink.urls(), "ca=" + certificates["ca.pem"], "mode=exit", f"repeat={wait_ms}", traces=bodies()["traces"]) == []


def settings():
    """Endpoints and headers that are none are refused with the reason; defaults are the specification's."""
    for argument, reason in (("traces=localhost:4318", "endpoint: 'localhost:4318' has no http:// or https://"),
                             ("traces=ftp://x/", "endpoint: 'ftp' is neither http nor https"),
                             ("traces=http://", "endpoint: 'http://' has no host"), ("traces=http://x:99999/", "endpoint: '99999' is not a port"),
                             ("traces=http://a b/", "endpoint: it has a blank or a control character"),
                             ("header=a\nb:c", "headers: 'a\nb' is not a header"), ("header=a:c\r\nEvil: 1", "headers: 'a' is not a header")):
        lines = driver().run(argument)
        assert "\n".join(lines) == "FAILED\t-22\t" + reason, lines
    sender = driver()
    sender.run()
    assert sender.exporter == ["otlp_http_exporter", "localhost", "4318"], sender.exporter
    sender.run("traces=https://user:secret@[::1]/v1/traces")
    assert sender.exporter == ["otlp_http_exporter", "::1", "443"], sender.exporter
    sink = Sink(lambda request: (400, {}, b""))
    answer = driver().answer(f"traces=http://user:secret@127.0.0.1:{sink.server_port}/x?key=secret", traces=bodies()["traces"])
    assert answer.message == f"{sink.base}/x answered 400", answer


def agent():
    """The node agent takes all of it, and says what it does not take."""
    from running import Agent

    server = Agent(sys.argv[4])
    try:
        sent = many_spans(50).SerializeToString()
        url = f"traces=http://127.0.0.1:{server.otlp}/v1/traces"
        for extra in ([], ["json"], ["gzip"], ["json", "gzip"]):
            answer = driver().answer(url, *extra, traces=sent)
            assert (answer.result, answer.status, answer.rejected) == ("DONE", 200, 0), answer
        assert server.counter("throughline_agent_otlp_http_records_total") == 51 * 4
        answer = driver().answer(url, traces=b"\x0a\x05nonse")
        assert answer.result == "REFUSED" and answer.status == 400 and "answered 400: " in answer.message, answer
    finally:
        server.stop()


def fetch():
    """A GET gives the body, or the reason why there is none."""
    module = "path=" + os.path.join(os.path.dirname(os.path.dirname(sys.argv[3])), "lib", "libthroughline-http.so.1")
    over = threading.Event()
    answers = {"/ok?service=x": (200, {}, b'{"strategyType":0}'), "/none": (200, {}, b""), "/missing": (404, {}, b"no"), "/moved": (302, {"Location": "/ok"}, b""),
               "/large": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * (5 * 2 ** 20)))}
    sink = Sink(lambda request: answers.get(request.path) or (over.wait(30) and 200, {}, b""))
    for path, line in (("/ok?service=x", 'FETCHED\t18\t{"strategyType":0}'), ("/none", "FETCHED\t0\t"),
                       ("/missing", f"FAILED\t-5\t{sink.base}/missing answered 404"), ("/moved", f"FAILED\t-5\t{sink.base}/moved answered 302"),
                       ("/large", f"FAILED\t-7\t{sink.base}/large: the answer is larger than 4194304 bytes"),
                       ("/late", f"FAILED\t-5\t{sink.base}/late: Timeout was reached")):
        assert Driver(sys.argv[3], "fetch").run(module, f"traces={sink.base}{path}", "timeout=500") == [line], path
    over.set()
    lines = Driver(sys.argv[3], "fetch").run(module, "traces=file:///etc/passwd", "timeout=500")
    assert len(lines) == 1 and lines[0].startswith("FAILED\t-5\tfile:///etc/passwd: "), lines


def timed(times, answer):
    """A sink that notes when a request came; `answer` gets how many there were so far."""
    return Sink(lambda request: answer(times.add(kind_of("traces").FromString(request.body))))


def delivered(times, attempts, spans=10):
    """The same records came again each time."""
    assert len(times) == attempts and len(set(times[-1][1])) == spans, [(at, len(ids)) for at, ids in times]
    assert all(ids == times[0][1] for _, ids in times)


def pipe_backoff():
    """What may be sent again is, later each time, until it is taken; nothing is lost and nothing is doubled."""
    times = Times()
    sink = timed(times, lambda count: ((503, {}, b"") if count < 3 else (200, {}, b"")))
    said, flushed, exported, dropped = pipe_run(sys.argv[5], "http", 10, sink.base + "/v1/traces")
    assert (flushed, exported, dropped) == ("flush 0", 10, 0), (said, flushed, exported, dropped)
    delivered(times, 3)
    first, second = times.gaps()
    assert first > 0.3 and second > 0.6, times.gaps()
    assert len(said) == 2 and all("answered 503" in line for line in said), said


def pipe_throttled():
    """A destination that asks for a pause gets it."""
    times = Times()
    sink = timed(times, lambda count: ((429, {"Retry-After": "2"}, b"") if count == 1 else (200, {}, b"")))
    assert pipe_run(sys.argv[5], "http", 10, sink.base + "/v1/traces")[1:] == ("flush 0", 10, 0)
    delivered(times, 2)
    assert 2 <= times.gaps()[0] < 6, times.gaps()


def pipe_refused():
    """What may not be sent again is dropped at once, counted and told."""
    times = Times()
    said, _, exported, dropped = pipe_run(sys.argv[5], "http", 10, timed(times, lambda count: (400, {}, b"")).base + "/v1/traces")
    delivered(times, 1)
    assert (exported, dropped) == (0, 10) and len(said) == 1 and "10 records dropped" in said[0] and "answered 400" in said[0], said


def pipe_partial():
    """What an answer rejects in part is counted and told, and not sent again."""
    times = Times()
    body = b"\x0a\x07\x08\x03\x12\x03odd"
    sink = timed(times, lambda count: (200, {"Content-Type": PROTOBUF}, body))
    said, flushed, exported, dropped = pipe_run(sys.argv[5], "http", 10, sink.base + "/v1/traces")
    delivered(times, 1)
    assert (exported, dropped) == (7, 3) and len(said) == 1 and "3 of 10 records rejected: odd" in said[0], (said, flushed, exported, dropped)


def pipe_destinations():
    """Each destination has a queue and attempts of its own: one that fails does not hold the other up."""
    slow, quick = Times(), Times()
    first = timed(slow, lambda count: ((503, {"Retry-After": "2"}, b"") if count < 3 else (200, {}, b"")))
    second = timed(quick, lambda count: (200, {}, b""))
    started = time.monotonic()
    assert pipe_run(sys.argv[5], "http", 10, first.base + "/v1/traces", second.base + "/v1/traces")[1:] == ("flush 0", 20, 0)
    delivered(slow, 3)
    delivered(quick, 1)
    assert sorted(slow[-1][1]) == sorted(quick[0][1])
    assert quick[0][0] - started < 2 and slow[-1][0] - quick[0][0] > 3, (started, quick[0][0], slow[-1][0])


def absent_module():
    """Without the module's file the reason names it."""
    build = os.path.join(os.path.dirname(os.path.dirname(sys.argv[3])), "lib")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(build, "libthroughline.so.1"), folder)
        for kind in ("http", "grpc"):
            sender = Driver(sys.argv[3], kind)
            sender.environment["LD_LIBRARY_PATH"] = folder
            lines = sender.run()
            assert len(lines) == 1 and lines[0].startswith(f"FAILED\t-2\tlibthroughline-{kind}.so.1: "), lines


CASES = {"protobuf": protobuf, "user_agent": user_agent, "json": as_json, "gzip": compressed, "retryable": retryable,
         "not_retryable": not_retryable, "retry_after": retry_after, "partial_success": partial_success, "request_limit": request_limit,
         "response_limit": response_limit, "lost": lost, "concurrent": concurrent, "tls": tls, "fork": fork, "exit": at_exit, "settings": settings,
         "agent": agent, "fetch": fetch, "pipe_backoff": pipe_backoff, "pipe_throttled": pipe_throttled, "pipe_refused": pipe_refused,
         "pipe_partial": pipe_partial, "pipe_destinations": pipe_destinations, "absent_module": absent_module}

under_packages()
run_case(CASES)
