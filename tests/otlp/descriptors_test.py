#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our own .proto declarations are the published protocol: file by file, every message, field (number, name, type, label,
oneof, JSON name), enum value, reserved range and method equals the descriptors shipped in PyPI's opentelemetry-proto.
That libtrace/otlp/schema.c equals our declarations is shown by oracle_test."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e"))
from running import python_packages  # noqa: E402

FOLDER = sys.argv[-1]
FILES = {"common": "common.v1.common", "resource": "resource.v1.resource", "trace": "trace.v1.trace",
         "metrics": "metrics.v1.metrics", "logs": "logs.v1.logs", "trace_service": "collector.trace.v1.trace_service",
         "metrics_service": "collector.metrics.v1.metrics_service", "logs_service": "collector.logs.v1.logs_service"}
READ = r"""
import importlib, json, sys
from google.protobuf import descriptor_pb2 as pb

def ranges(message):
    return sorted(number for each in message.reserved_range for number in range(each.start, each.end))

def camel(name):
    words = name.split("_")
    return words[0] + "".join(word.capitalize() for word in words[1:])

def message_rows(message, prefix, out):
    name = prefix + message.name
    # protoc adds a oneof "_x" for each optional x: the flag says it.
    out[name] = {"reserved": ranges(message), "fields": {}}
    for field in message.field:
        has_oneof = field.HasField("oneof_index") and not field.proto3_optional
        out[name]["fields"][field.number] = [field.name, pb.FieldDescriptorProto.Type.Name(field.type), field.label, field.type_name,
            message.oneof_decl[field.oneof_index].name if has_oneof else None, field.proto3_optional, field.json_name or camel(field.name),
            field.default_value, field.options.SerializeToString().hex()]
    for each in message.enum_type:
        out[name + "." + each.name] = {value.number: value.name for value in each.value}
    for each in message.nested_type:
        message_rows(each, name + ".", out)

def rows(file):
    out = {"package": file.package, "syntax": file.syntax}
    for each in file.message_type:
        message_rows(each, "", out)
    for each in file.enum_type:
        out[each.name] = {value.number: value.name for value in each.value}
    for service in file.service:
        out[service.name] = {method.name: [method.input_type, method.output_type, method.client_streaming, method.server_streaming]
                             for method in service.method}
    return out

ours = pb.FileDescriptorSet.FromString(open(sys.argv[1], "rb").read())
theirs = {}
for name, module in json.loads(sys.argv[2]).items():
    file = pb.FileDescriptorProto()
    importlib.import_module(f"opentelemetry.proto.{module}_pb2").DESCRIPTOR.CopyToProto(file)
    theirs[name] = rows(file)
print(json.dumps([{file.name.removesuffix(".proto"): rows(file) for file in ours.file}, theirs]))
"""


def main():
    python = python_packages(FOLDER, "google.protobuf, opentelemetry.proto.trace.v1.trace_pb2", ["opentelemetry-proto"])
    if sys.argv[1] == "--fetch":
        return
    protos = os.path.join(os.path.dirname(os.path.abspath(__file__)), "proto")
    described = os.path.join(FOLDER, "ours.bin")
    subprocess.run(["protoc", "-I", protos, "--descriptor_set_out", described, *(f"{protos}/{name}.proto" for name in FILES)], check=True)
    run = subprocess.run([python, "-c", READ, described, json.dumps(FILES)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    ours, theirs = json.loads(run.stdout)
    fields = 0
    for name in FILES:
        for part in sorted(set(ours[name]) | set(theirs[name])):
            got, expected = ours[name].get(part), theirs[name].get(part)
            assert got == expected, f"{name}.proto {part}:\n ours   {got}\n theirs {expected}"
            fields += len(got["fields"]) if isinstance(got, dict) and "fields" in got else 0
    print(f"{fields} fields of {len(FILES)} files are equal")
    assert fields > 150, fields


main()
