#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program collects, read by others: OTLP by PyPI's opentelemetry-proto, both of Prometheus' texts by the parsers
of PyPI's prometheus_client (the strict one for OpenMetrics), and the served page by its content negotiation."""
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e"))
from running import python_packages  # noqa: E402

FOLDER = sys.argv[-1]
READ = r"""
import sys
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict
from prometheus_client.parser import text_string_to_metric_families as plain

folder = sys.argv[1]
request = ExportMetricsServiceRequest.FromString(open(folder + "/request.bin", "rb").read())
(group,) = request.resource_metrics
assert group.schema_url == "https://opentelemetry.io/schemas/1.40.0"
assert {a.key: a.value.string_value for a in group.resource.attributes}["service.name"] == "show"
(scoped,) = group.scope_metrics
assert scoped.schema_url == group.schema_url
assert (scoped.scope.name, scoped.scope.version) == ("shop", "1.0")
metrics = {metric.name: metric for metric in scoped.metrics}
assert sorted(metrics) == ["cpu.time", "latency", "open", "requests", "size", "temperature"], sorted(metrics)
requests = metrics["requests"]
assert (requests.unit, requests.description) == ("{request}", "Requests\nof all kinds")
assert requests.sum.is_monotonic and requests.sum.aggregation_temporality == 2
(point,) = requests.sum.data_points
assert point.as_int == 42 and 0 < point.start_time_unix_nano <= point.time_unix_nano
values = {a.key: a.value for a in point.attributes}
assert values["http.route"].string_value == '/a "b"' and values["n"].int_value == 3
assert values["ok"].bool_value is True and values["d"].double_value == 1.5
assert [v.string_value for v in values["list"].array_value.values] == ["x", "y"]
(exemplar,) = point.exemplars
assert exemplar.trace_id == b"\x11" * 16 and exemplar.span_id == b"\x22" * 8 and exemplar.as_int == 42
assert exemplar.time_unix_nano <= point.time_unix_nano
assert metrics["open"].sum.data_points[0].as_int == -3 and not metrics["open"].sum.is_monotonic
assert metrics["temperature"].gauge.data_points[0].as_double == 21.25
assert metrics["cpu.time"].sum.data_points[0].as_double == 12.5
(latency,) = metrics["latency"].histogram.data_points
assert latency.count == 2 and latency.sum == 100006.5 and latency.min == 7.5 and latency.max == 99999
assert len(latency.bucket_counts) == len(latency.explicit_bounds) + 1 == 16
assert latency.bucket_counts[2] == 1 and latency.bucket_counts[15] == 1
(size,) = metrics["size"].exponential_histogram.data_points
assert (size.count, size.zero_count, size.scale) == (2, 1, 20)
assert list(size.positive.bucket_counts) == [1] and size.positive.offset == 10 * 2**20 - 1

def samples(families):
    return {family.name: family for family in families}

for name, parse in (("text.prom", plain), ("text.om", strict)):
    found = samples(parse(open(f"{folder}/{name}", encoding="utf-8").read()))
    counter = found["requests"]
    assert counter.type == "counter" and counter.documentation == "Requests\nof all kinds", counter
    (total,) = [s for s in counter.samples if s.name == "requests_total"]
    assert total.value == 42
    assert total.labels == {"http_route": '/a "b"', "n": "3", "ok": "true", "d": "1.5", "list": '["x","y"]',
                            "otel_scope_name": "shop", "otel_scope_version": "1.0", "otel_scope_team": "a",
                            "otel_scope_schema_url": "https://opentelemetry.io/schemas/1.40.0"}, total.labels
    assert found["temperature_celsius"].samples[0].value == 21.25
    assert found["open"].type == "gauge" and found["cpu_time_seconds"].type == "counter"
    histogram = found["latency_milliseconds"]
    assert histogram.type == "histogram"
    buckets = {s.labels["le"]: s for s in histogram.samples if s.name.endswith("_bucket")}
    assert buckets["+Inf"].value == 2 and len(buckets) == 16
    assert {s.value for s in histogram.samples if s.name.endswith("_sum")} == {100006.5}
    info = found["target"] if "target" in found else found["target_info"]
    assert info.samples[0].labels == {"service_name": "show"} and info.samples[0].value == 1
    if name == "text.om":
        assert found["temperature_celsius"].unit == "celsius"
        assert total.exemplar.labels == {"trace_id": "11" * 16, "span_id": "22" * 8} and total.exemplar.value == 42
        assert buckets["10.0"].exemplar.value == 7.5
        assert info.type == "info"
print("read", len(metrics), "metrics")
"""


def get(port, accept=None, path="/metrics", method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept} if accept else {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], ""


def check_served(port):
    status, kind, text = get(port)
    assert status == 200 and kind == "text/plain; version=0.0.4; charset=utf-8", (status, kind)
    assert "\nrequests_total{" in text and "# EOF" not in text
    status, kind, text = get(port, "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8" and text.endswith("# EOF\n"), kind
    _, kind, _ = get(port, "application/openmetrics-text;q=0.2, text/plain;q=0.9")
    assert kind.startswith("text/plain"), kind
    _, kind, _ = get(port, "application/openmetrics-text;q=0")
    assert kind.startswith("text/plain"), kind
    assert get(port, path="/")[0] == 404
    assert get(port, method="DELETE")[0] == 405
    assert get(port, method="HEAD")[:2] == (200, "text/plain; version=0.0.4; charset=utf-8")


def main():
    python = python_packages(FOLDER, "prometheus_client, opentelemetry.proto.metrics.v1.metrics_pb2",
                             ["opentelemetry-proto", "prometheus-client"])
    if sys.argv[1] == "--fetch":
        return
    with tempfile.TemporaryDirectory() as folder:
        with subprocess.Popen([sys.argv[1], folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shown:
            port = int(shown.stdout.readline())
            check_served(port)
            shown.stdin.close()
            assert shown.wait(30) == 0
        run = subprocess.run([python, "-c", READ, folder], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        print(run.stdout)


main()
