#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program that only has OTEL_* (or a configuration file) exports to a sink: variables_test.py CASE PROGRAM LIBRARY"""
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading


class Sink(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted; answers every GET with a sampling strategy of 1."""
    posts = []
    gets = []

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Sink.posts.append((self.path, dict(self.headers.items()), body))
        self.answer(b"{}")

    def do_GET(self):
        Sink.gets.append(self.path)
        self.answer(b'{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":1}}')

    def log_message(self, *_):
        pass


def run(program, variables, *arguments, library=None):
    Sink.posts, Sink.gets = [], []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment["THROUGHLINE_SOCKET"] = "/nonexistent/agent.sock"
    environment["SINK"] = address
    if library:
        environment["LD_LIBRARY_PATH"] = library
    environment.update({name: value.replace("SINK", address) for name, value in variables.items()})
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, timeout=50, check=False)
    server.shutdown()
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def sent(path):
    return [json.loads(body) for at, _, body in Sink.posts if at == path]


def spans_of(requests):
    return [span for request in requests for resource in request["resourceSpans"]
            for scope in resource["scopeSpans"] for span in scope["spans"]]


def otlp(program, _):
    done = run(program, {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "SINK", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "SINK/elsewhere",
        "OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "stage=test",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "2", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "1", "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "100"})
    assert "OTEL_" not in done.stderr, done.stderr
    assert all(headers.get("x-key") == "a b" for _, headers, _ in Sink.posts), Sink.posts
    request = sent("/v1/traces")[0]
    resource = {item["key"]: item["value"] for item in request["resourceSpans"][0]["resource"]["attributes"]}
    assert resource["service.name"] == {"stringValue": "shop"} and resource["stage"] == {"stringValue": "test"}, resource
    span = spans_of([request])[0]
    assert span["name"] == "checkout" and len(span["events"]) == 1 and span["droppedEventsCount"] == 1, span
    assert [item["key"] for item in span["attributes"]] == ["a", "b"] and span["droppedAttributesCount"] == 1, span
    assert span["attributes"][0]["value"] == {"stringValue": "1234"}, span
    metrics = json.dumps(sent("/v1/metrics"))
    assert '"things"' in metrics and '"asInt": "3"' in metrics, metrics
    assert "out of stock" in json.dumps(sent("/elsewhere")), Sink.posts
    assert not sent("/v1/logs")


def record_of(requests, kind, scopes, records):
    return [record for request in requests for resource in request[kind] for scope in resource[scopes] for record in scope[records]]


def limits(program, _):
    """The general limits, those of spans, events, links and log records, each with a value of its own."""
    run(program, {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "SINK", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_METRICS_EXPORTER": "none",
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "2", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "5", "OTEL_SPAN_LINK_COUNT_LIMIT": "1",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "0",
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"})
    span = spans_of(sent("/v1/traces"))[0]
    assert [item["key"] for item in span["attributes"]] == ["a", "b"], span
    assert span["attributes"][0]["value"] == {"stringValue": "12345"}, span
    assert len(span["links"]) == 1 and span["droppedLinksCount"] == 1, span
    assert not span["links"][0].get("attributes") and span["links"][0]["droppedAttributesCount"] == 3, span
    assert len(span["events"]) == 2 and len(span["events"][0]["attributes"]) == 1, span
    log = record_of(sent("/v1/logs"), "resourceLogs", "scopeLogs", "logRecords")[0]
    assert log["attributes"] == [{"key": "x", "value": {"stringValue": "123"}}] and log["droppedAttributesCount"] == 1, log


def metrics(program, _):
    run(program, {
        "OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "SINK/v1/metrics",
        "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json",
        "OTEL_METRIC_EXPORT_INTERVAL": "20", "OTEL_METRIC_EXPORT_TIMEOUT": "5000", "OTEL_METRICS_EXEMPLAR_FILTER": "always_on",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram"}, "3000")
    found = {metric["name"]: metric for metric in record_of(sent("/v1/metrics"), "resourceMetrics", "scopeMetrics", "metrics")}
    assert found["things"]["sum"]["aggregationTemporality"] == 1, found
    assert found["waits"]["exponentialHistogram"]["dataPoints"][0]["count"] == "1", found
    assert found["things"]["sum"]["dataPoints"][0]["exemplars"], found
    run(program, {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "SINK/v1/metrics",
                  "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json",
                  "OTEL_METRICS_EXEMPLAR_FILTER": "always_off"})
    found = {metric["name"]: metric for metric in record_of(sent("/v1/metrics"), "resourceMetrics", "scopeMetrics", "metrics")}
    assert found["things"]["sum"]["aggregationTemporality"] == 2 and found["waits"]["histogram"], found
    assert not found["things"]["sum"]["dataPoints"][0].get("exemplars"), found


def propagators(program, _):
    nothing = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    done = run(program, {**nothing, "OTEL_PROPAGATORS": "b3,tracecontext,b3"})
    assert done.stdout.count("field b3\n") == 1 and done.stdout.count("field traceparent\n") == 1, done.stdout
    done = run(program, {**nothing, "OTEL_PROPAGATORS": "none"})
    assert "field" not in done.stdout, done.stdout


def log_level(program, _):
    nothing = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    done = run(program, {**nothing, "OTEL_LOG_LEVEL": "WARN", "OTEL_BSP_SCHEDULE_DELAY": "soon"})
    assert "OTEL_BSP_SCHEDULE_DELAY: 'soon'" in done.stderr, done.stderr
    done = run(program, {**nothing, "OTEL_LOG_LEVEL": "error", "OTEL_BSP_SCHEDULE_DELAY": "soon"})
    assert "OTEL_BSP_SCHEDULE_DELAY" not in done.stderr, done.stderr


def sampler(program, _):
    done = run(program, {"OTEL_EXPORTER_OTLP_ENDPOINT": "SINK", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
                         "OTEL_TRACES_SAMPLER": "always_off"})
    assert "recording 0 " in done.stdout and not sent("/v1/traces") and sent("/v1/logs"), (done.stdout, Sink.posts)
    done = run(program, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "SINK/v1/traces", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
                         "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
                         "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, "1000")
    spans = spans_of(sent("/v1/traces"))
    assert 150 < len(spans) < 350, len(spans)
    assert all(span["traceState"] == "ot=th:c" for span in spans)


def jaeger(program, _):
    done = run(program, {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
                         "OTEL_SERVICE_NAME": "my shop", "OTEL_TRACES_SAMPLER": "jaeger_remote",
                         "OTEL_TRACES_SAMPLER_ARG": "endpoint=SINK,pollingIntervalMs=20,initialSamplingRate=0"}, "until-recording")
    assert Sink.gets and Sink.gets[0] == "/sampling?service=my%20shop", Sink.gets
    assert "recording 0 " not in done.stdout, done.stdout


def disabled(program, _):
    done = run(program, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "SINK"})
    assert "recording 0 " in done.stdout and not Sink.posts, (done.stdout, Sink.posts)


def console(program, _):
    done = run(program, {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "otlp/stdout"})
    lines = done.stdout.splitlines()
    assert any("checkout" in line for line in lines), done.stdout
    assert any(json.loads(line).get("resourceLogs") for line in lines if line.startswith("{")), done.stdout
    assert "things" not in done.stdout


def file(program, _):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write("""
file_format: "1.1"
resource: {attributes: [{name: service.name, value: "${SHOP:-of-the-file}"}]}
tracer_provider:
  processors:
    - batch: {exporter: {otlp_http: {endpoint: "${SINK}/v1/traces", encoding: json}}}
  limits: {event_count_limit: 1}
logger_provider:
  processors:
    - simple: {exporter: {otlp_http: {endpoint: "${SINK}/v1/logs", encoding: json}}}
""")
        config.flush()
        done = run(program, {"OTEL_CONFIG_FILE": config.name, "OTEL_SDK_DISABLED": "true",
                             "OTEL_SERVICE_NAME": "of-the-environment", "OTEL_METRICS_EXPORTER": "otlp",
                             "OTEL_EXPORTER_OTLP_ENDPOINT": "SINK"})
        assert "yaml" not in done.stderr, done.stderr
        text = json.dumps(sent("/v1/traces"))
        assert "of-the-file" in text and "of-the-environment" not in text, text
        assert len(spans_of(sent("/v1/traces"))[0]["events"]) == 1
        assert "out of stock" in json.dumps(sent("/v1/logs"))
        assert not sent("/v1/metrics")
    done = run(program, {"OTEL_CONFIG_FILE": "/nonexistent.yaml", "OTEL_EXPORTER_OTLP_ENDPOINT": "SINK"})
    assert "OTEL_CONFIG_FILE: /nonexistent.yaml" in done.stderr and not Sink.posts, done.stderr


def missing(program, library):
    """The library alone, without its modules: the ring takes what was meant for an exporter."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(library, os.path.join(folder, "libthroughline.so.1"))
        done = run(program, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "SINK/v1/traces", "OTEL_METRICS_EXPORTER": "none",
                             "OTEL_LOGS_EXPORTER": "none"}, library=folder)
        assert "traces go to the agent's ring: " in done.stderr and "libthroughline-http.so.1" in done.stderr, done.stderr
        assert "recording 1 " in done.stdout and not Sink.posts


def ring(program, _):
    """Nothing is named: the agent's ring, and without an agent OTLP's default place; never the sink."""
    done = run(program, {})
    assert "recording 1 " in done.stdout and not Sink.posts and "OTEL_" not in done.stderr, (done.stdout, done.stderr)


globals()[sys.argv[1]](sys.argv[2], sys.argv[3])
