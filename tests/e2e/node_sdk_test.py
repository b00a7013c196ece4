#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified OpenTelemetry JS SDK exports OTLP/HTTP JSON from Node: every span is in the store, ids byte-equal, with
all attributes, events and links. Debian's Node is 18: these are the last versions that run on it."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from running import Agent, eventually, node_packages  # noqa: E402

PROGRAM, FOLDER = sys.argv[1], sys.argv[2]
PACKAGES = ["@opentelemetry/api@1.9.0", "@opentelemetry/sdk-trace-base@2.12.1", "@opentelemetry/resources@2.12.1",
            "@opentelemetry/exporter-trace-otlp-http@0.223.1"]
SPANS = 500
CLIENT = r"""
const { trace, context, SpanKind, SpanStatusCode, TraceFlags } = require("@opentelemetry/api");
const { BasicTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-http");

const [url, compression, count] = process.argv.slice(2);
const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "node-client" }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url, compression }), { maxQueueSize: 10000 })],
});
const tracer = provider.getTracer("check", "1.2");
const sent = [];
let last = null;
for (let number = 0; number < Number(count); number++) {
    const links = last ? [{ context: last, attributes: { from: number - 1 } }] : [];
    const outer = tracer.startSpan("outer", { kind: SpanKind.SERVER, links });
    outer.setAttributes({ text: "a\u00e4\u6f22\ud83d\udc0c\n\"", int: number, big: Number.MAX_SAFE_INTEGER, float: number / 3,
                          negative: -0.5, bool: true, list: ["x", "y"], ints: [1, -2], none: [] });
    outer.addEvent("retry", { attempt: number });
    outer.addEvent("empty");
    const inner = tracer.startSpan("inner", {}, trace.setSpan(context.active(), outer));
    inner.recordException(new Error("no luck"));
    inner.setStatus({ code: SpanStatusCode.ERROR, message: "no luck" });
    inner.end();
    outer.end();
    const ids = (span) => ({ trace: span.spanContext().traceId, span: span.spanContext().spanId });
    sent.push({ ...ids(outer), link: last && last.spanId, number }, { ...ids(inner), number });
    last = outer.spanContext();
}
provider.forceFlush().then(() => provider.shutdown()).then(() => console.log(JSON.stringify(sent)));
"""


def check(agent, sent):
    for outer_sent, inner_sent in zip(sent[::2], sent[1::2]):
        number = outer_sent["number"]
        spans = {span["span_id"]: span for span in agent.get(f"/api/v1/traces/{outer_sent['trace']}")["spans"]}
        assert set(spans) == {outer_sent["span"], inner_sent["span"]}, outer_sent
        outer, inner = spans[outer_sent["span"]], spans[inner_sent["span"]]
        assert inner["parent_id"] == outer["span_id"] and inner["status"] == "error" and inner["status_message"] == "no luck"
        assert [event["name"] for event in inner["events"]] == ["exception"]
        attributes = {each["key"]: each["value"] for each in outer["attributes"]}
        # JavaScript has one kind of number: what is whole arrives as an int.
        assert attributes == {"text": "a\u00e4\u6f22\U0001f40c\n\"", "int": number, "big": 2**53 - 1, "float": number / 3,
                              "negative": -0.5, "bool": True, "list": ["x", "y"], "ints": [1, -2], "none": []}, attributes
        assert [event["name"] for event in outer["events"]] == ["retry", "empty"]
        assert outer["events"][0]["attributes"] == [{"key": "attempt", "value": number}]
        assert [link["span_id"] for link in outer["links"]] == ([outer_sent["link"]] if outer_sent["link"] else [])
        assert outer["scope"] == "check" and outer["service"] == "node-client" and outer["kind"] == "server"


def main():
    node_packages(FOLDER, PACKAGES)
    if PROGRAM == "--fetch":
        return
    script = os.path.join(FOLDER, "client.js")
    with open(script, "w", encoding="utf-8") as file:
        file.write(CLIENT)
    agent = Agent(PROGRAM)
    for compression in ("none", "gzip"):
        run = subprocess.run(["node", script, f"http://127.0.0.1:{agent.otlp}/v1/traces", compression, str(SPANS // 2)],
                             capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        sent = json.loads(run.stdout)
        assert len(sent) == SPANS, len(sent)
        eventually(lambda sent=sent: check(agent, sent))
        print(f"{len(sent)} spans found again, compression {compression}")
    agent.stop()


main()
