#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified OpenTelemetry Python SDK exports OTLP/HTTP protobuf: every span is in the store, ids byte-equal, with
all attributes, events and links."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from running import Agent, eventually, python_packages  # noqa: E402

PROGRAM, FOLDER = sys.argv[1], sys.argv[2]
SPANS = 500
CLIENT = r"""
import json, sys
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

provider = TracerProvider(resource=Resource.create({"service.name": "python-client"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1], compression=Compression(sys.argv[2]))))
tracer = provider.get_tracer("check", "1.2")
sent, last = [], None
for number in range(int(sys.argv[3])):
    with tracer.start_as_current_span("outer", kind=SpanKind.SERVER, links=[Link(last)] if last else []) as outer:
        outer.set_attributes({"text": "a\u00e4\u6f22", "int": number, "float": number / 3, "bool": True, "list": ["x", "y"], "ints": [1, -2]})
        outer.add_event("retry", {"attempt": number})
        with tracer.start_as_current_span("inner") as inner:
            inner.set_status(Status(StatusCode.ERROR, "no luck"))
        for span in (outer, inner):
            context = span.get_span_context()
            sent.append({"trace": format(context.trace_id, "032x"), "span": format(context.span_id, "016x"),
                         "link": format(last.span_id, "016x") if last and span is outer else None, "number": number})
        last = outer.get_span_context()
provider.shutdown()
print(json.dumps(sent))
"""


def install():
    return python_packages(FOLDER, "opentelemetry.exporter.otlp.proto.http",
                           ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"])


def check(agent, sent):
    by_trace = {}
    for each in sent:
        by_trace.setdefault(each["trace"], []).append(each)
    for trace, expected in by_trace.items():
        spans = {span["span_id"]: span for span in agent.get(f"/api/v1/traces/{trace}")["spans"]}
        assert set(spans) == {each["span"] for each in expected}, trace
        outer, inner = spans[expected[0]["span"]], spans[expected[1]["span"]]
        number = expected[0]["number"]
        assert inner["parent_id"] == outer["span_id"] and inner["status"] == "error" and inner["status_message"] == "no luck"
        attributes = {each["key"]: each["value"] for each in outer["attributes"]}
        assert attributes == {"text": "a\u00e4\u6f22", "int": number, "float": number / 3, "bool": True, "list": ["x", "y"], "ints": [1, -2]}, attributes
        assert [event["name"] for event in outer["events"]] == ["retry"]
        assert outer["events"][0]["attributes"] == [{"key": "attempt", "value": number}]
        assert [link["span_id"] for link in outer["links"]] == ([expected[0]["link"]] if expected[0]["link"] else [])
        assert outer["scope"] == "check" and outer["service"] == "python-client" and outer["kind"] == "server"


def main():
    import json
    python = install()
    if PROGRAM == "--fetch":
        return
    agent = Agent(PROGRAM)
    for compression in ("none", "gzip"):
        run = subprocess.run([python, "-c", CLIENT, f"http://127.0.0.1:{agent.otlp}/v1/traces", compression, str(SPANS // 2)],
                             capture_output=True, text=True, check=True)
        sent = json.loads(run.stdout)
        assert len(sent) == SPANS, len(sent)
        eventually(lambda sent=sent: check(agent, sent))
        print(f"{len(sent)} spans found again, compression {compression}")
    agent.stop()


main()
