# SPDX-License-Identifier: Apache-2.0
"""What the tests of exporters share: requests made with PyPI's opentelemetry-proto, the driver and its answers, TLS files."""
import collections
import os
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from running import python_packages  # noqa: E402

PACKAGES = ["grpcio", "googleapis-common-protos", "opentelemetry-proto"]
MODULES = "grpc, google.rpc.error_details_pb2, opentelemetry.proto.collector.trace.v1.trace_service_pb2"
Answer = collections.namedtuple("Answer", "result wait_ms rejected status message")
LEAKS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "leaks.supp")
SIGNALS = ("traces", "metrics", "logs")
VERSION = "0.1.0"


def under_packages():
    """Goes on with the python that has the packages; `--fetch` only gets them."""
    python = python_packages(sys.argv[2], MODULES, PACKAGES)
    if sys.argv[1] == "--fetch":
        sys.exit(0)
    if os.path.realpath(sys.prefix) != os.path.realpath(sys.argv[2]):
        os.execv(python, [python, *sys.argv])


def run_case(cases):
    """Runs the case that the command line names, or lists nothing and fails."""
    name = sys.argv[1]
    cases[name]()
    print("ok", name)


def messages():
    """A request of each signal with every kind of value that JSON writes in a way of its own."""
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    traces = trace_service_pb2.ExportTraceServiceRequest()
    group = traces.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.44.0")
    group.resource.attributes.add(key="service.name").value.string_value = "shop \u00e4\u20ac \"quoted\"\n"
    spans = group.scope_spans.add(schema_url="https://opentelemetry.io/schemas/1.44.0")
    spans.scope.name = "driver"
    span = spans.spans.add(trace_id=bytes(range(16)), span_id=bytes(range(8)), parent_span_id=b"\xff" * 8, name="GET /orders", kind=2,
                           start_time_unix_nano=1700000000000000001, end_time_unix_nano=1700000000100000000, flags=0x301)
    for key, field, value in (("text", "string_value", "x"), ("yes", "bool_value", True), ("small", "int_value", -(2 ** 63)),
                              ("half", "double_value", 0.1), ("nan", "double_value", float("inf")), ("raw", "bytes_value", b"\x00\xff")):
        setattr(span.attributes.add(key=key).value, field, value)
    span.attributes.add(key="list").value.array_value.values.add().int_value = 7
    span.events.add(time_unix_nano=1700000000000000500, name="cache.miss")
    span.links.add(trace_id=b"\x11" * 16, span_id=b"\x22" * 8)
    span.status.code, span.status.message = 2, "no luck"

    metrics = metrics_service_pb2.ExportMetricsServiceRequest()
    group = metrics.resource_metrics.add(schema_url="https://opentelemetry.io/schemas/1.44.0").scope_metrics.add()
    point = group.metrics.add(name="orders", unit="{order}").sum
    point.aggregation_temporality, point.is_monotonic = 2, True
    point.data_points.add(time_unix_nano=1700000000000000001, as_int=2 ** 53 + 1).exemplars.add(trace_id=bytes(range(16)), as_double=1.5)
    histogram = group.metrics.add(name="duration").histogram
    histogram.aggregation_temporality = 1
    histogram.data_points.add(time_unix_nano=1, count=3, sum=0.3, bucket_counts=[1, 2], explicit_bounds=[0.1], min=0.05, max=0.15)

    logs = logs_service_pb2.ExportLogsServiceRequest()
    record = logs.resource_logs.add(schema_url="https://opentelemetry.io/schemas/1.44.0").scope_logs.add().log_records.add(
        time_unix_nano=1700000000000000001, severity_number=9, severity_text="INFO", trace_id=bytes(range(16)), span_id=bytes(range(8)))
    record.body.string_value = "order placed"
    return {"traces": traces, "metrics": metrics, "logs": logs}


def kind_of(signal):
    return type(messages()[signal])


class Driver:
    """Runs the driver with requests in files of a folder of its own."""

    def __init__(self, program, kind):
        self.program, self.kind = program, kind
        self.folder = tempfile.TemporaryDirectory(prefix="throughline-exporters-")
        self.exporter = None
        self.environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        self.environment["LSAN_OPTIONS"] = f"suppressions={LEAKS}:print_suppressions=0"

    def file(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def run(self, *arguments, **requests):
        """Requests are name=bytes, the name begins with a signal; the lines that it printed, and nothing on its stderr."""
        sends = [f"send.{name.split('_')[0]}={self.file(name, content)}" for name, content in requests.items()]
        run = subprocess.run([self.program, self.kind, *map(str, arguments), *sends], capture_output=True, timeout=60, check=False,
                             env=self.environment)
        assert run.returncode == 0 and not run.stderr, (run.returncode, run.stderr.decode(errors="replace")[-3000:])
        lines = run.stdout.decode().splitlines()
        if lines and lines[0].startswith("EXPORTER\t"):
            self.exporter = lines.pop(0).split("\t")[1:]
        return lines

    def answers(self, *arguments, **requests):
        return [answer_of(line.split("\t")) for line in self.run(*arguments, **requests)]

    def answer(self, *arguments, **requests):
        answers = self.answers(*arguments, **requests)
        assert len(answers) == 1, answers
        return answers[0]


def pipe_run(program, kind, spans, *urls):
    """Spans through a batch processor for each URL: what the library said meanwhile, flush's result, exported, dropped."""
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    environment["LSAN_OPTIONS"] = f"suppressions={LEAKS}:print_suppressions=0"
    run = subprocess.run([program, kind, str(spans), *urls], capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert run.returncode == 0 and not run.stderr, (run.returncode, run.stderr[-3000:])
    *said, flushed, counts = run.stdout.splitlines()
    exported, dropped = (int(each.split("=")[1]) for each in counts.split())
    return [line.split(" ", 2)[2] for line in said], flushed, exported, dropped


class Times(list):
    """When requests came, and what was in them: (seconds, span ids)."""

    def add(self, request):
        spans = [span.span_id for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
        self.append((time.monotonic(), spans))
        return len(self)

    def gaps(self):
        return [later[0] - sooner[0] for sooner, later in zip(self, self[1:])]


def answer_of(columns):
    result, wait_ms, rejected, status, message = columns
    return Answer(result, int(wait_ms), int(rejected), int(status), message)


def many_spans(count):
    request = messages()["traces"]
    spans = request.resource_spans[0].scope_spans[0].spans
    for number in range(count):
        spans.add().CopyFrom(spans[0])
        spans[-1].span_id = struct.pack(">Q", number + 1)
    return request


class Certificates:
    """An authority, a server's certificate for 127.0.0.1 and localhost, a client's, and another authority."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("ca", "other"):
            self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                         "-keyout", self[name + ".key"], "-out", self[name + ".pem"], "-addext", "basicConstraints=critical,CA:TRUE")
        for name, names in (("server", "subjectAltName=DNS:localhost,IP:127.0.0.1"), ("client", "subjectAltName=DNS:client")):
            self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                         "-keyout", self[name + ".key"], "-out", self[name + ".csr"])
            with open(self[name + ".ext"], "w", encoding="utf-8") as file:
                file.write(names)
            self.openssl("x509", "-req", "-in", self[name + ".csr"], "-CA", self["ca.pem"], "-CAkey", self["ca.key"], "-CAcreateserial",
                         "-days", "2", "-extfile", self[name + ".ext"], "-out", self[name + ".pem"])

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def __getitem__(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self[name], "rb") as file:
            return file.read()
