#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/sdk: what the specification wants said is said, and what is named exists. One case per run."""
import glob
import os
import re
import sys

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCS = os.path.join(TREE, "docs/sdk")


def text_of(path):
    with open(os.path.join(TREE, path), encoding="utf-8") as file:
        return file.read()


def pages():
    return {os.path.basename(path): text_of(path) for path in sorted(glob.glob(os.path.join(DOCS, "*.md")))}


def says(path, sentence):
    """Said in one sentence, wherever its lines break."""
    text = re.sub(r"\s+(//\s+)?", " ", text_of(path))
    assert re.search(sentence, text), f"{path} does not say: {sentence}"


def attributes_at_start():
    """Attributes at creation are preferred: in the manual and where the function is declared."""
    says("docs/sdk/traces.md", r"Attributes given when the span is started are preferred\*\*: samplers see only those")
    says("libtrace/include/throughline/trace.h", r"Prefer attributes given at the start: samplers see only those")


def null_attributes():
    """A null value is invalid."""
    says("docs/sdk/traces.md", r"An attribute without a value is invalid.\*\* There is no null attribute")
    says("libtrace/include/throughline/base.h", r"TL_TYPE_EMPTY is no value and, given to an attribute, is invalid")


def exemplar_attributes():
    """What a view leaves out may stand on exemplars."""
    says("docs/sdk/metrics.md", r"Attributes that a view leaves out may still appear on exemplars")
    says("libtrace/include/throughline/sdk.h", r"What a view leaves out may still stand on exemplars")


def names():
    """Functions, macros, struct members, files and pages that are named are there."""
    headers = "".join(text_of(path) for path in glob.glob(os.path.join(TREE, "libtrace/include/throughline/*.h")))
    problems = []
    for page, text in pages().items():
        for name in set(re.findall(r"\b(?:tl|TL)_\w+\b", text)):
            if not re.search(rf"\b{name}\b", headers):
                problems.append(f"{page}: {name} is in no header")
        for name in set(re.findall(r"\btl_stats\.(\w+)", text)):
            if not re.search(rf"uint64_t {name}\b", headers):
                problems.append(f"{page}: tl_stats has no {name}")
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            if not os.path.exists(os.path.join(DOCS, link)):
                problems.append(f"{page}: no page {link}")
        for path in set(re.findall(r"`((?:examples|docs|tests)/[\w./-]+)`", text)):
            if not os.path.exists(os.path.join(TREE, path)):
                problems.append(f"{page}: no file {path}")
    index = text_of("docs/sdk/README.md")
    problems += [f"README.md does not lead to {page}" for page in pages() if page != "README.md" and f"({page})" not in index]
    assert not problems, "\n".join(problems)


# As the specification lists them; what only deprecated components read is left out.
VARIABLES = """SDK_DISABLED CONFIG_FILE EXPERIMENTAL_CONFIG_FILE LOG_LEVEL SERVICE_NAME RESOURCE_ATTRIBUTES ENTITIES PROPAGATORS TRACES_SAMPLER TRACES_SAMPLER_ARG
TRACES_EXPORTER METRICS_EXPORTER LOGS_EXPORTER ATTRIBUTE_VALUE_LENGTH_LIMIT ATTRIBUTE_COUNT_LIMIT SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT
SPAN_ATTRIBUTE_COUNT_LIMIT SPAN_EVENT_COUNT_LIMIT SPAN_LINK_COUNT_LIMIT EVENT_ATTRIBUTE_COUNT_LIMIT LINK_ATTRIBUTE_COUNT_LIMIT
LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT LOGRECORD_ATTRIBUTE_COUNT_LIMIT METRICS_EXEMPLAR_FILTER METRIC_EXPORT_INTERVAL METRIC_EXPORT_TIMEOUT
EXPORTER_PROMETHEUS_HOST EXPORTER_PROMETHEUS_PORT EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE
EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION""".split()
VARIABLES += [f"{queue}_{what}" for queue in ("BSP", "BLRP")
              for what in ("SCHEDULE_DELAY", "EXPORT_TIMEOUT", "MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE")]
VARIABLES += ["EXPORTER_OTLP_" + what for what in ("ENDPOINT", "PROTOCOL", "HEADERS", "COMPRESSION", "TIMEOUT", "INSECURE", "CERTIFICATE",
                                                   "CLIENT_KEY", "CLIENT_CERTIFICATE")]


def environment():
    """Each variable has one row; each that the library reads is among them."""
    rows = re.findall(r"^\| `(\w+)` \|", text_of("docs/sdk/environment.md"), re.M)
    problems = [f"{name} has {rows.count('OTEL_' + name)} rows" for name in VARIABLES if rows.count("OTEL_" + name) != 1]
    problems += [f"{name} is none that we know" for name in rows if name[5:] not in VARIABLES and not name.startswith("THROUGHLINE_")]
    read = set()
    for path in glob.glob(os.path.join(TREE, "libtrace/**/*.[ch]"), recursive=True):
        read.update(re.findall(r'"((?:OTEL|THROUGHLINE)_[A-Z0-9_]*[A-Z0-9])"', text_of(path)))
    read.discard("OTEL_CTX")  # the name of a mapping
    signals = re.compile(r"OTEL_EXPORTER_OTLP_(TRACES|METRICS|LOGS)_")
    problems += [f"{name} is read and has no row" for name in sorted(read)
                 if name not in rows and signals.sub("OTEL_EXPORTER_OTLP_", name) not in rows]
    print(f"{len(rows)} rows; not found as a text of the library: " + " ".join(sorted(set(rows) - read)))
    assert not problems, "\n".join(problems)


{"attributes_at_start": attributes_at_start, "null_attributes": null_attributes, "exemplar_attributes": exemplar_attributes,
 "names": names, "environment": environment}[sys.argv[1]]()
