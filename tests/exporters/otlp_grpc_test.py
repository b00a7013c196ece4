#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OTLP/gRPC as the library's module sends it, against PyPI's grpcio with opentelemetry-proto's services.
Arguments: CASE FOLDER DRIVER PIPE_DRIVER."""
import os
import socket
import sys
import tempfile
import threading
import time
from concurrent import futures

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from driving import SIGNALS, VERSION, Certificates, Driver, Times, many_spans, messages, pipe_run, run_case, under_packages  # noqa: E402

under_packages()

import grpc  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc  # noqa: E402
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc  # noqa: E402
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc  # noqa: E402

RETRYABLE = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")


class Sink:
    """Keeps requests and their metadata; `answer(request, context)` returns a response, or None for an empty one."""

    def __init__(self, answer=None, credentials=None, compression=None, workers=16):
        self.requests, self.metadata = [], []
        self.answer = answer or (lambda request, context: None)
        self.server = grpc.server(futures.ThreadPoolExecutor(workers), compression=compression,
                                  options=(("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)))
        for signal, response, add in (
                ("traces", trace_service_pb2.ExportTraceServiceResponse, trace_service_pb2_grpc.add_TraceServiceServicer_to_server),
                ("metrics", metrics_service_pb2.ExportMetricsServiceResponse, metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server),
                ("logs", logs_service_pb2.ExportLogsServiceResponse, logs_service_pb2_grpc.add_LogsServiceServicer_to_server)):
            add(self.Service(self, signal, response), self.server)
        if credentials:
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    class Service:
        def __init__(self, sink, signal, response):
            self.sink, self.signal, self.response = sink, signal, response

        def Export(self, request, context):
            self.sink.requests.append((self.signal, request))
            self.sink.metadata.append(dict(context.invocation_metadata()))
            return self.sink.answer(request, context) or self.response()

    def urls(self, scheme="http://"):
        return [f"{signal}={scheme}127.0.0.1:{self.port}" for signal in SIGNALS]


def driver():
    return Driver(sys.argv[3], "grpc")


def bodies():
    return {signal: message.SerializeToString() for signal, message in messages().items()}


def failing(code, details=None, message="no", exhausted_by=None):
    """An answer that fails with that code, and with details in a google.rpc.Status when there are any."""
    def answer(request, context):
        if details is not None:
            status = status_pb2.Status(code=code.value[0], message=message)
            for detail in details:
                status.details.add().Pack(detail)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        if exhausted_by is not None:
            context.set_trailing_metadata((("grpc-status-details-bin", exhausted_by),))
        context.abort(code, message)

    return answer


def retry_info(seconds, nanos=0):
    info = error_details_pb2.RetryInfo()
    info.retry_delay.seconds, info.retry_delay.nanos = seconds, nanos
    return info


def protobuf():
    """Each signal arrives at its service, whole, with headers as metadata in lower case."""
    sink, sender = Sink(), driver()
    answers = sender.answers(*sink.urls(), "header=Authorization:Bearer secret", "header=X-Scope-OrgID:7", **bodies())
    assert [(answer.result, answer.status, answer.rejected) for answer in answers] == [("DONE", 0, 0)] * 3, answers
    assert sink.requests == list(messages().items())
    assert all(each["authorization"] == "Bearer secret" and each["x-scope-orgid"] == "7" for each in sink.metadata), sink.metadata
    assert sender.exporter == ["otlp_grpc_exporter", "127.0.0.1", str(sink.port)], sender.exporter


def user_agent():
    """The user agent begins as the specification asks for."""
    sink = Sink()
    assert driver().answer(*sink.urls(), traces=bodies()["traces"]).result == "DONE"
    assert sink.metadata[0]["user-agent"].startswith(f"OTel-OTLP-Exporter-C/{VERSION} "), sink.metadata


def endpoints():
    """A scheme decides about TLS; without one the option does. What is none is refused with the reason."""
    sink, body = Sink(), bodies()["traces"]
    assert driver().answer(*sink.urls(""), "insecure", traces=body).result == "DONE"
    assert driver().answer(*sink.urls("http://"), traces=body).result == "DONE"
    assert driver().answer(f"traces=http://localhost:{sink.port}/ignored", traces=body).result == "DONE"
    assert driver().answer(f"traces=dns:///127.0.0.1:{sink.port}", "insecure", traces=body).result == "DONE"
    for secure in (sink.urls("https://"), sink.urls("")):
        answer = driver().answer(*secure, "timeout=3000", traces=body)
        assert answer.result == "RETRY", answer
    assert len(sink.requests) == 4
    for argument, reason in (("traces=ftp://x", "endpoint: 'ftp' is neither http nor https"), ("traces=:4317", "endpoint: ':4317' has no host"),
                             ("header=grpc-timeout:1", "headers: 'grpc-timeout' is not a header of gRPC"),
                             ("header=a b:1", "headers: 'a b' is not a header of gRPC"),
                             ("key=/dev/null", "client_key_file and client_certificate_file go together"),
                             ("ca=/no/such/file", "ca_file: /no/such/file: No such file or directory")):
        assert driver().run(argument) == ["FAILED\t-22\t" + reason], argument
    sender = driver()
    sender.run()
    assert sender.exporter == ["otlp_grpc_exporter", "localhost", "4317"], sender.exporter


class Counting:
    """Passes one connection after another on to a port, and counts the bytes towards it."""

    def __init__(self, port):
        self.to, self.bytes = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()

    def pump(self, source, target, counts):
        try:
            while data := source.recv(65536):
                self.bytes += len(data) if counts else 0
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def compressed():
    """With gzip far fewer bytes go over the wire, and the same request arrives."""
    sink, sent = Sink(), many_spans(3000)
    sizes = []
    for extra in ([], ["gzip"]):
        counting = Counting(sink.port)
        assert driver().answer(f"traces=http://127.0.0.1:{counting.port}", *extra, traces=sent.SerializeToString()).result == "DONE"
        sizes.append(counting.bytes)
    assert [request for _, request in sink.requests] == [sent, sent]
    assert sizes[0] > sent.ByteSize() and sizes[1] < sizes[0] / 5, sizes


def codes():
    """The codes that the specification calls retryable are retried, all others are not."""
    for code in grpc.StatusCode:
        if code is grpc.StatusCode.OK:
            continue
        sink = Sink(failing(code))
        answer = driver().answer(*sink.urls(), traces=bodies()["traces"])
        assert answer.result == ("RETRY" if code.name in RETRYABLE else "REFUSED"), (code, answer)
        assert answer.status == code.value[0] and answer.wait_ms == 0, answer
        assert answer.message == f"http://127.0.0.1:{sink.port} answered {code.name}: no", answer


def throttling():
    """RESOURCE_EXHAUSTED is retried only with RetryInfo; its delay counts, for UNAVAILABLE too."""
    other = error_details_pb2.DebugInfo(detail="x" * 500)
    exhausted, unavailable = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE
    for code, details, result, wait_ms in (
            (exhausted, [], "REFUSED", 0), (exhausted, [other], "REFUSED", 0), (exhausted, [retry_info(0)], "RETRY", 0),
            (exhausted, [other, retry_info(7, 1)], "RETRY", 7001), (unavailable, [retry_info(3, 500000000)], "RETRY", 3500),
            (unavailable, [other], "RETRY", 0), (unavailable, [retry_info(-3)], "RETRY", 0), (unavailable, [retry_info(2 ** 40)], "RETRY", 3600000),
            (grpc.StatusCode.INVALID_ARGUMENT, [retry_info(3)], "REFUSED", 0)):
        sink = Sink(failing(code, details))
        answer = driver().answer(*sink.urls(), traces=bodies()["traces"])
        assert (answer.result, answer.wait_ms) == (result, wait_ms), (code, details, answer)
    for hostile in (b"", b"\xff" * 100, b"\x1a\x7f", b"\x1a\x02\x0a\x7f"):
        sink = Sink(failing(exhausted, exhausted_by=hostile))
        assert driver().answer(*sink.urls(), traces=bodies()["traces"]).result == "REFUSED"


def partial_success():
    """A partial success is done, with what was rejected and why; a warning rejects nothing."""
    for signal, response, field in (("traces", trace_service_pb2.ExportTraceServiceResponse, "rejected_spans"),
                                    ("metrics", metrics_service_pb2.ExportMetricsServiceResponse, "rejected_data_points"),
                                    ("logs", logs_service_pb2.ExportLogsServiceResponse, "rejected_log_records")):
        for rejected, message in ((3, "three are odd"), (0, "be quick"), (5, "")):
            reply = response()
            setattr(reply.partial_success, field, rejected)
            reply.partial_success.error_message = message
            sink = Sink(lambda request, context, reply=reply: reply)
            answer = driver().answer(*sink.urls(), **{signal: bodies()[signal]})
            assert (answer.result, answer.rejected, answer.status, answer.message) == ("DONE", rejected, 0, message), answer


def request_limit():
    """A request over the limit is refused and not sent; 64 MiB when nothing else is said."""
    sink, body = Sink(), bodies()["traces"]
    answer = driver().answer(*sink.urls(), f"max_request={len(body) - 1}", "gzip", traces=body)
    assert (answer.result, answer.status) == ("REFUSED", 0) and "more than" in answer.message, answer
    answer = driver().answer(*sink.urls(), traces=b"\x0a" * (64 * 2 ** 20 + 1))
    assert answer.result == "REFUSED" and str(64 * 2 ** 20) in answer.message, answer
    assert not sink.requests
    assert driver().answer(*sink.urls(), f"max_request={len(body)}", traces=body).result == "DONE"


def response_limit():
    """A response over the limit, as it is or decompressed, is not retried; 4 MiB when nothing else is said."""
    for limit, size, compression, result in ((["max_response=1000"], 2000, None, "REFUSED"), (["max_response=5000"], 2000, None, "DONE"),
                                             ([], 5 * 2 ** 20, None, "REFUSED"), ([], 100 * 2 ** 20, grpc.Compression.Gzip, "REFUSED"),
                                             (["max_response=5000"], 2000, grpc.Compression.Gzip, "DONE")):
        reply = trace_service_pb2.ExportTraceServiceResponse()
        reply.partial_success.error_message = "x" * size
        sink = Sink(lambda request, context, reply=reply: reply, compression=compression)
        answer = driver().answer(*sink.urls(), *limit, traces=bodies()["traces"])
        assert answer.result == result, (size, compression, answer)
        assert (answer.message == "x" * 255) == (result == "DONE"), answer


def lost():
    """No connection, a connection lost without an answer, and an answer that comes too late: another attempt."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        answer = driver().answer(f"traces=http://127.0.0.1:{unheard.getsockname()[1]}", traces=bodies()["traces"])
        assert (answer.result, answer.status) == ("RETRY", 14), answer
    with socket.create_server(("127.0.0.1", 0)) as mute:
        def hang_up():
            while True:
                client, _ = mute.accept()
                client.recv(100)
                client.close()
        threading.Thread(target=hang_up, daemon=True).start()
        answer = driver().answer(f"traces=http://127.0.0.1:{mute.getsockname()[1]}", traces=many_spans(5000).SerializeToString())
        assert answer.result == "RETRY", answer
    over = threading.Event()
    sink = Sink(lambda request, context: over.wait(30) and None)
    for late in ("timeout=200", "deadline=200"):
        started = time.monotonic()
        answer = driver().answer(*sink.urls(), late, traces=bodies()["traces"])
        assert (answer.result, answer.status) == ("RETRY", 4) and 0.15 < time.monotonic() - started < 5, answer
    over.set()


def concurrent():
    """As many requests are under way at once as were allowed, each with its own answer; the descriptor says when to look."""
    for mode in ("begin", "poll"):
        together = threading.Barrier(4)
        sink = Sink(lambda request, context, together=together: together.wait(20) < 0 or None)
        lines = driver().run(*sink.urls(), "in_flight=4", f"mode={mode}", "repeat=12", traces=bodies()["traces"])
        assert sorted(int(line.split("\t")[0]) for line in lines) == list(range(12)), lines
        assert all(line.split("\t")[1] == "DONE" for line in lines), lines


def tls():
    """https is verified by the given authority, a client certificate is shown; without it or by another authority nothing is sent."""
    with tempfile.TemporaryDirectory() as folder:
        certificates, body = Certificates(folder), bodies()["traces"]
        pair = [(certificates.read("server.key"), certificates.read("server.pem"))]
        sink = Sink(credentials=grpc.ssl_server_credentials(pair))
        ours = "ca=" + certificates["ca.pem"]
        for urls in (sink.urls("https://"), sink.urls("")):
            assert driver().answer(*urls, ours, traces=body).result == "DONE"
        assert driver().answer(*sink.urls("https://"), "timeout=3000", "ca=" + certificates["other.pem"], traces=body).result == "RETRY"
        mutual = Sink(credentials=grpc.ssl_server_credentials(pair, certificates.read("ca.pem"), True))
        client = ["key=" + certificates["client.key"], "cert=" + certificates["client.pem"]]
        assert driver().answer(*mutual.urls("https://"), ours, *client, traces=body).result == "DONE"
        assert driver().answer(*mutual.urls("https://"), "timeout=3000", ours, traces=body).result == "RETRY"
        assert len(sink.requests) == 2 and len(mutual.requests) == 1
        answer = driver().answer(*sink.urls("https://"), "timeout=3000", "ca=" + certificates["ca.key"], traces=body)
        assert answer.result != "DONE", answer


def fork():
    """A child that is the first to send does; one whose parent has sent is refused and told why, and the parent goes on."""
    sink = Sink()
    answers = driver().answers(*sink.urls(), "mode=fork_first", traces=bodies()["traces"])
    assert [answer.result for answer in answers] == ["DONE"] * 2 and len(sink.requests) == 2, answers
    answers = driver().answers(*sink.urls(), "mode=fork", traces=bodies()["traces"])
    assert [answer.result for answer in answers] == ["DONE", "REFUSED", "DONE"], answers
    assert answers[1].message == "gRPC was in use before this process was forked off: it cannot send by gRPC", answers
    lines = driver().run(*sink.urls(), "mode=fork_under_way", "repeat=3", traces=bodies()["traces"])
    assert sorted(line.split("\t")[:2] for line in lines) == [[str(number), result] for number in range(3) for result in ("DONE", "REFUSED")], lines


def at_exit():
    """A program that ends while a thread of it sends over TLS ends well, whenever it does."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(folder)
        sink = Sink(credentials=grpc.ssl_server_credentials([(certificates.read("server.key"), certificates.read("server.pem"))]))
        for wait_ms in range(40):
            assert driver().run(*sink.urls("https://"), "ca=" + certificates["ca.pem"], "mode=exit", f"repeat={wait_ms}",
                                traces=bodies()["traces"]) == []


def pipe():
    """A pause that RetryInfo asks for is kept, then all of it is taken; a partial success is counted and told."""
    times = Times()

    def answer(request, context):
        if times.add(request) == 1:
            failing(grpc.StatusCode.RESOURCE_EXHAUSTED, [retry_info(2)])(request, context)
        reply = trace_service_pb2.ExportTraceServiceResponse()
        reply.partial_success.rejected_spans, reply.partial_success.error_message = 3, "odd"
        return reply

    sink = Sink(answer)
    said, flushed, exported, dropped = pipe_run(sys.argv[4], "grpc", 10, f"http://127.0.0.1:{sink.port}")
    assert (exported, dropped) == (7, 3) and len(said) == 2, (said, flushed, exported, dropped)
    assert "RESOURCE_EXHAUSTED" in said[0] and "3 of 10 records rejected: odd" in said[1], said
    assert len(times) == 2 and times[0][1] == times[1][1] and 2 <= times.gaps()[0] < 6, times


run_case({"protobuf": protobuf, "user_agent": user_agent, "endpoints": endpoints, "gzip": compressed, "codes": codes,
          "throttling": throttling, "partial_success": partial_success, "request_limit": request_limit, "response_limit": response_limit,
          "lost": lost, "concurrent": concurrent, "tls": tls, "fork": fork, "exit": at_exit, "pipe": pipe})
