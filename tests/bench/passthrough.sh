#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# OTLP/HTTP in -> batch -> OTLP/HTTP out beside the OpenTelemetry Collector, built here from the Go
# module proxy, and two floors: bare sockets (floor.c) and nginx as a proxy. Prints rows: name, ours, peer, ratio.
# usage: passthrough.sh [PROGRAM]    env: WORK (kept between runs), RUNS, SECONDS_PER_RUN
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:-$here/../../build/release/bin/throughline}")
work=${WORK:-$here/../../build/bench/passthrough}
version=v0.155.0
collector=- reason=

mkdir -p "$work/collector"
work=$(cd "$work" && pwd)

# Leaves `collector` or the `reason` why there is none.
build_collector() {
    local module=go.opentelemetry.io/collector
    if ! command -v go > /dev/null; then reason="go is not installed"; return; fi
    if [ -x "$work/collector/otelcol" ]; then collector=$work/collector/otelcol; return; fi
    cp "$here/collector/main.go" "$work/collector/"
    if (cd "$work/collector" && rm -f go.mod go.sum && go mod init bench &&
        go get $module/otelcol@$version $module/receiver/otlpreceiver@$version \
            $module/processor/batchprocessor@$version $module/exporter/otlphttpexporter@$version &&
        go mod tidy && go build -ldflags='-s -w' -o otelcol .) > "$work/collector.log" 2>&1; then
        collector=$work/collector/otelcol
    else
        reason="$(go version | cut -d' ' -f3) cannot build it: $(tail -1 "$work/collector.log")"
    fi
}

for tool in wrk python3 gcc; do
    command -v $tool > /dev/null || { printf 'passthrough\t-\t-\t-\t# %s is not installed\n' $tool; exit 0; }
done
build_collector
gcc -D_GNU_SOURCE -O2 -o "$work/sink" "$here/sink.c" -lmicrohttpd
gcc -D_GNU_SOURCE -O2 -Wall -o "$work/floor" "$here/floor.c"
python3 "$here/payload.py" "$work/payload.pb"
python3 "$here/passthrough.py" "$work" "$program" "$work/sink" "$work/floor" "$collector" "$reason"
