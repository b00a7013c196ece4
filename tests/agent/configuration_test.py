#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Anything wrong in a configuration is told with file, line and column, the value and what was expected; exit 2; nothing
started. What is printed as the effective configuration means the same when it is read."""
import json
import os
import socket
import sys
import tempfile
import time

from configured import run

PROGRAM = sys.argv[1]
PIPELINE = "service: {pipelines: {traces: {receivers: [otlp_http], exporters: [store]}}}\n"
PARTS = "receivers: {otlp_http: {}}\nexporters: {store: {}}\n"

# The text, and the lines that must be said behind the file's name.
CASES = [
    # Not YAML, or not one configuration.
    ("", [":1:1: no YAML document is in it"]),
    ("# only a comment\n", [":1:1: no YAML document is in it"]),
    ("\xff\xfe\x00\x01", [":1:1: byte 0xff is not text in UTF-8"]),
    (PARTS + "%\x00\x00\xc4", [":3:2: byte 0x00 is not text in UTF-8"]),
    ("receivers: {otlp_http: {endpoint: \"\x1b[31m\"}}\n", [":1:36: byte 0x1b is not text in UTF-8"]),
    ("just text\n", [":1:1: a map with receivers, exporters and service was expected"]),
    ("- a\n- b\n", [":1:3: a map with receivers, exporters and service was expected"]),
    ("{}\n", [":1:1: service.pipelines: a map of pipelines was expected"]),
    ("receivers: [\n", [":2:1: flow sequence without a closing bracket"]),
    ("receivers:\n\totlp_http: {}\n", [":2:1: tab character may not be used as indentation"]),
    ("a: \"b\n", [":1:5: double-quoted scalar without closing quote"]),
    (PARTS + PIPELINE + "---\n" + PARTS, [":5:1: a second document: a configuration is one"]),
    (PARTS + PIPELINE + "---\n]\n", [":5:1: flow sequence with invalid extra closing bracket"]),
    # Keys: unknown, twice, of a wrong kind.
    ("reciever: {}\n" + PARTS + PIPELINE, [":1:1: 'reciever' is not receivers, processors, exporters, service or api"]),
    ("receivers: {otlp_http: {}}\n" + PARTS + PIPELINE, [":2:1: duplicate key"]),
    ("receivers: {otlp_http: {}, otlp_http: {}}\n", [":1:28: duplicate key"]),
    ("? [a, b]\n: c\n" + PARTS + PIPELINE, [":1:4: '' is not receivers, processors, exporters, service or api"]),
    (PARTS + "service: {pipelins: {}, pipelines: {}}\n", [":3:11: 'pipelins' is not pipelines, telemetry or extensions"]),
    (PARTS + "service: {pipelines: {traces: {receivers: [otlp_http], reciver: [x], exporters: [store]}}}\n",
     [":3:56: 'reciver' is not receivers, processors or exporters of a pipeline"]),
    ("receivers: {otlp: {protocols: {htpp: {}}}}\nexporters: {store: {}}\n" + PIPELINE.replace("otlp_http", "otlp"),
     [":1:32: 'htpp' is not http or grpc"]),
    ("receivers: {otlp: {endpoint: x}}\nexporters: {store: {}}\n" + PIPELINE.replace("otlp_http", "otlp"),
     [":1:20: 'endpoint' is not protocols, the one setting of receivers.otlp"]),
    ("receivers: [otlp_http]\nexporters: {store: {}}\n", [":1:13: receivers: a map was expected", "service.pipelines"]),
    ("receivers: {otlp_http: []}\nexporters: {store: {}}\n" + PIPELINE, [": receivers.otlp_http: '' is not a map of settings"]),
    ("receivers: {otlp_http: yes}\nexporters: {store: {}}\n" + PIPELINE, [":1:24: receivers.otlp_http: 'yes' is not a map of settings"]),
    (PARTS + "service: {pipelines: {traces: {receivers: otlp_http, exporters: [store]}}}\n", [":3:43: receivers: a list was expected"]),
    (PARTS + "service: {pipelines: [traces]}\n", [":3:1: service.pipelines: a map of pipelines was expected"]),
    # Components and references.
    ("receivers: {kafka: {}}\n" + "exporters: {store: {}}\n" + PIPELINE.replace("otlp_http", "kafka"),
     [":1:13: receivers: 'kafka' is not a known type"]),
    (PARTS + "processors: {tail: {}}\n" + PIPELINE, [":3:14: processors: 'tail' is not a known type"]),
    (PARTS + PIPELINE.replace("otlp_http", "otlp_htp"), [":3:44: 'otlp_htp' is not defined under receivers"]),
    (PARTS + PIPELINE.replace("[store]", "[store, file]"), [":3:75: 'file' is not defined under exporters"]),
    (PARTS + PIPELINE.replace("exporters", "processors: [batch], exporters"), [":3:69: 'batch' is not defined under processors"]),
    (PARTS + PIPELINE.replace("[store]", "[]"), [":3:23: service.pipelines.traces: at least one receiver and one exporter are needed"]),
    (PARTS + PIPELINE.replace("traces", "profiles"), [":3:23: service.pipelines: 'profiles' is not traces, metrics or logs with its lists"]),
    (PARTS + "service: {pipelines: {traces: }}\n", [":3:23: service.pipelines: 'traces' is not traces, metrics or logs with its lists"]),
    # Values.
    ("receivers: {otlp_http: {endpoint: \"127.0.0.1:43x8\"}}\nexporters: {store: {}}\n" + PIPELINE,
     [":1:36: receivers.otlp_http: endpoint: '43x8' is not a port"]),
    ("receivers: {otlp_http: {endpoint: \"127.0.0.1\"}}\nexporters: {store: {}}\n" + PIPELINE, [":1:36: receivers.otlp_http: endpoint: '127.0.0.1' is not host:port"]),
    ("receivers: {otlp_http: {endpoint: \"127.0.0.300:1\"}}\nexporters: {store: {}}\n" + PIPELINE,
     [":1:36: receivers.otlp_http: endpoint: '127.0.0.300' is not an IP address or localhost"]),
    ("receivers: {otlp_http: {endpoint: \"[::1:4318\"}}\nexporters: {store: {}}\n" + PIPELINE,
     [":1:36: receivers.otlp_http: endpoint: '[::1' is not an IP address or localhost"]),
    (PARTS + PIPELINE + "api: {endpoint: \"page.example:80\"}\n", [":4:18: api: endpoint: 'page.example' is not an IP address or localhost"]),
    ("receivers: {otlp_http: {endpoint: [1, 2]}}\nexporters: {store: {}}\n" + PIPELINE, [":1:25: receivers.otlp_http: endpoint: one value was expected"]),
    ("receivers: {otlp_http: {max_connections: many}}\nexporters: {store: {}}\n" + PIPELINE,
     [":1:42: receivers.otlp_http: max_connections: 'many' is not a whole number"]),
    ("receivers: {otlp_http: {max_connections: -1}}\nexporters: {store: {}}\n" + PIPELINE,
     [":1:42: receivers.otlp_http: max_connections: '-1' is not a whole number"]),
    ("receivers: {otlp_http: {max_request_size: 64 Mb}}\nexporters: {store: {}}\n" + PIPELINE,
     [":1:43: receivers.otlp_http: max_request_size: '64 Mb' is not a size such as 512KiB or 64MiB"]),
    ("receivers: {otlp_http: {max_request_size: 99999999999GiB}}\nexporters: {store: {}}\n" + PIPELINE,
     [":1:43: receivers.otlp_http: max_request_size: '99999999999GiB' is too large"]),
    (PARTS + "processors:\n  batch:\n    timeout: 10 s\n" + PIPELINE,
     [":5:14: processors.batch: timeout: '10 s' is not a duration such as 10s, 200ms or 5m"]),
    ("receivers: {otlp_http: {}}\nexporters: {store: {}, otlp_http: {endpoint: \"ftp://x\", compression: lzma}}\n" + PIPELINE,
     [":2:47: exporters.otlp_http: endpoint: 'ftp://x' is not an http:// or https:// URL",
      ":2:70: exporters.otlp_http: compression: 'lzma' is not one of none|gzip|zstd"]),
    (PARTS.replace("store: {}", "store: {max_size: \"${SIZE:-x}\"}") + PIPELINE, [":2:32: exporters.store: max_size: 'x' is not a size"]),
    (PARTS.replace("store: {}", "store: {max_size: \"${SIZE\"}") + PIPELINE, [":2:32: '${SIZE' is not a reference such as ${env:NAME}"]),
    ("x: &x 1s\n" + PARTS + "processors: {batch: {timeout: *x}}\n" + PIPELINE,
     [":1:1: 'x' is not", ":4:22: processors.batch: timeout: a value was expected, not an alias ('*x')"]),
    (PARTS + PIPELINE + "api: {endpoint: \"127.0.0.1:99999\"}\n", [":4:18: api: endpoint: '99999' is not a port"]),
    (PARTS + PIPELINE + "api: {endpont: x}\n", [":4:7: api: 'endpont' is not a setting"]),
    # All of them at once, in one order.
    ("receivers: {otlp_http: {endpoint: x, foo: 1}, nope: {}}\nprocessors: {batch: {timeout: 3}}\nexporters: {store: {max_size: huge}}\n"
     "service: {pipelines: {traces: {receivers: [nope, a], exporters: [store, b]}, x: {}}}\nbla: 1\n",
     [":5:1: 'bla' is not", ":1:35: receivers.otlp_http: endpoint: 'x'", ":1:38: receivers.otlp_http: 'foo' is not a setting",
      ":1:47: receivers: 'nope' is not a known type", ":2:31: processors.batch: timeout: '3' is not a duration",
      ":3:31: exporters.store: max_size: 'huge' is not a size", ":4:50: 'a' is not defined under receivers",
      ":4:73: 'b' is not defined under exporters", ":4:78: service.pipelines: 'x' is not"]),
    # Hostile: aliases of aliases are not followed, nesting has an end, a flood of mistakes is cut.
    ("a: &a [x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [{','.join(['*' + p] * 8)}]\n" for p, c in zip("abcdefgh", "bcdefghi")) + "receivers: *i\n",
     [":1:1: 'a' is not", ":10:13: receivers: a map was expected"]),
    ("receivers: &r {otlp_http: *r}\nexporters: {store: {}}\n" + PIPELINE, [":1:28: receivers.otlp_http: 'r' is not a map of settings"]),
    ("[" * 100000, [":1:64: Max depth (64) exceeded"]),
    ("receivers: {" + ", ".join(f"x{n}: {{}}" for n in range(1000)) + "}\n", [":1:13: receivers: 'x0' is not a known type"]),
    ("receivers: {otlp_http: {endpoint: \"" + "x" * 100000 + "\"}}\nexporters: {store: {}}\n" + PIPELINE, [":1:36: receivers.otlp_http: endpoint: 'xxx"]),
    (PARTS + PIPELINE + "#" * (300 << 10), [": larger than 256 KiB"]),
]


def mistakes():
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        path = os.path.join(folder, "agent.yaml")
        for text, expected in CASES:
            with open(path, "wb") as file:
                file.write(text.encode("latin-1"))
            began = time.monotonic()
            result = run(PROGRAM, "validate", "-c", path)
            assert time.monotonic() - began < 20, text[:100]
            said = result.stderr.splitlines()
            assert result.returncode == 2 and result.stdout == "", (text[:300], result)
            assert all(line.startswith(f"throughline: {path}:") for line in said) and len(said) <= 50, (text[:300], said)
            for words in expected:
                assert any(words in line for line in said), (text[:300], words, said)
            agent = run(PROGRAM, "agent", "-c", path, "--data-dir", os.path.join(folder, "data"))
            assert (agent.returncode, agent.stderr) == (2, result.stderr), (text[:300], agent)
            assert os.listdir(folder) == ["agent.yaml"], "something was started"
        print(f"{len(CASES)} configurations refused")
        many = json.loads(run(PROGRAM, "validate", "-o", "json", "-c", path).stdout)
        assert many["valid"] is False and many["problems"] == [f"{path}: larger than 256 KiB"], many


def files():
    """What is no readable file, and pipes."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        fifo, bound = os.path.join(folder, "fifo"), os.path.join(folder, "socket")
        os.mkfifo(fifo)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(bound)
            for path, words in [(fifo, ":1:1: no YAML document"), ("/dev/zero", "larger than"), (folder, "Is a directory"), ("/dev/null", ":1:1: no YAML"),
                                (os.path.join(folder, "none"), "No such file"), (bound, "No such device or address"), ("", "No such file")]:
                result = run(PROGRAM, "validate", "-c", path)
                assert result.returncode == 2 and words in result.stderr, (path, result)
        result = run("bash", "-c", f"{PROGRAM} validate -c <(sleep 0.2; printf '{PARTS}{PIPELINE}')")
        assert result.returncode == 0, result


def printed():
    """The effective configuration, read again, is the same; environment variables and data directory are in it."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        path = os.path.join(folder, "agent.yaml")
        for text in (None, PARTS + PIPELINE, "receivers: {otlp: {protocols: {grpc: , http: {endpoint: \"[::1]:${PORT:-4318}\", max_request_size: 1MiB}}}}\n"
                     "processors: {batch: {timeout: \"${env:WAIT}\"}}\nexporters: {store/a: {directory: \"/x/$$y\"}, store/b-2: {directory: \"a\\\"b\\\\c\\td\"}, otlphttp: {endpoint: \"http://h:1\", compression: zstd}}\n"
                     "api: {allowed_hosts: [a, b.c]}\n"
                     "service: {pipelines: {traces/x: {receivers: [otlp], processors: [batch], exporters: [store/a, otlphttp]}}}\n"):
            options = []
            if text:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                options = ["-c", path]
            environment = dict(os.environ, WAIT="70ms")
            first = run(PROGRAM, "config", "print", *options, env=environment)
            assert first.returncode == 0 and first.stderr == "", first
            if text and "WAIT" in text:
                for words in ("timeout: 70ms", 'endpoint: "[::1]:4318"', "max_request_size: 1048576", 'directory: "/x/$$y"', '"a", "b.c"'):
                    assert words in first.stdout, (words, first.stdout)
            with open(path, "w", encoding="utf-8") as file:
                file.write(first.stdout)
            second = run(PROGRAM, "config", "print", "-c", path)
            assert second.stdout == first.stdout, (first.stdout, second.stdout)
            result = run(PROGRAM, "validate", "-o", "json", "-c", path)
            assert result.returncode == 0 and json.loads(result.stdout) == {"valid": True, "problems": []}, result
        assert f'directory: "{folder}"' in run(PROGRAM, "config", "print", "--data-dir", folder).stdout


mistakes()
files()
printed()
