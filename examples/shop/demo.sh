#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ./dev demo: an agent with its store and page, the shop, traffic, and one whole trace as text; then modest traffic until
# Ctrl-C. Everything it started has ended when it ends, whichever way that is.
#
#   demo.sh [--once] [--data-dir DIR]
#
# Exit status 0: the trace printed was complete, as check.py understands it.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
BIN=$(cd "$HERE/../../build/release/bin" && pwd)
PROGRAM=$BIN/throughline
PAGE=http://127.0.0.1:4320
WARM_UP=20 TRACE_S=20
once='' data_dir='' agent=''
folder=$(mktemp -d "${TMPDIR:-/tmp}/throughline-demo-XXXXXX")
chmod 755 "$folder"
export DATA=$folder/shop CONSUMER=$BIN/shop-consumer RUN=${RUN-$PROGRAM run --}

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

# Milliseconds since $1, as seconds; $EPOCHREALTIME has six digits after a point or comma.
now_us() { echo "${EPOCHREALTIME/[.,]/}"; }
since() { printf '%d.%d s' $((($(now_us) - $1) / 1000000)) $((($(now_us) - $1) / 100000 % 10)); }

usage() {
    echo 'usage: ./dev demo [--once] [--data-dir DIR]' >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --once) once=yes ;;
    --data-dir)
        data_dir=${2:-}
        [ -n "$data_dir" ] || usage
        shift
        ;;
    *) usage ;;
    esac
    shift
done

# shellcheck disable=SC2317 # called by the trap
# The shop first, so that the agent still has its last spans.
clean_up() {
    local status=$?

    trap '' INT TERM HUP
    trap - EXIT
    [ ! -d "$DATA" ] || "$HERE/shop.sh" stop || true
    if [ -n "$agent" ]; then
        kill "$agent" 2>/dev/null || true
        wait "$agent" 2>/dev/null || true
    fi
    rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
# Ctrl-C is how the demo ends: not a failure once its trace was complete.
trap 'exit ${result:-130}' INT
trap 'exit 143' TERM HUP

fail() {
    say "$*"
    [ ! -s "$folder/agent.log" ] || tail -20 "$folder/agent.log" >&2
    exit 1
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_agent() {
    local port end=$((SECONDS + 20))

    [ "$(id -u)" = 0 ] || fail "the demo traces programs that were not changed, by eBPF: only root may"
    for port in 4317 4318 4320; do
        port_is_free $port || fail "port $port is taken: is another agent running? The demo needs 4317, 4318 and 4320."
    done
    # In a session of its own: Ctrl-C reaches the agent when the shop has been stopped.
    setsid "$PROGRAM" agent --data-dir "${data_dir:-$folder/data}" >"$folder/agent.log" 2>&1 &
    agent=$!
    until curl -fsS -m 3 -o /dev/null "$PAGE/ready" 2>/dev/null; do
        kill -0 "$agent" 2>/dev/null || fail "the agent ended"
        [ $SECONDS -lt $end ] || fail "the agent is not ready"
        sleep 0.1
    done
    # With another agent on the cgroup THROUGHLINE_CGROUP=NAME gives the demo one of its own.
    ! grep -q 'left_out receiver=ebpf' "$folder/agent.log" || fail "the agent cannot trace programs that were not changed:"
}

# Prints the trace of order $1 when it is complete, or what there is of it in time; 1 when it is not complete.
show_trace() {
    local said id status=0

    said=$("$HERE/check.py" "$1" "$PAGE" $TRACE_S) || status=1
    case $said in
    trace*)
        read -r _ id <<<"$said"
        echo
        "$PROGRAM" trace "$id"
        echo
        said=${said#*$'\n'}
        ;;
    esac
    [ $status = 0 ] || say "the trace of order $1 is not complete:"
    echo "$said"
    return $status
}

started=$(now_us)
start_agent
say "agent ready after $(since "$started"); page: $PAGE"
started=$(now_us)
mkdir "$DATA"
"$HERE/shop.sh" start || fail "the shop did not start"
say "shop ready after $(since "$started"): $("$HERE/shop.sh" url)/orders/ID"
started=$(now_us)
# Numbers that no earlier run used: a data folder may be kept.
order=$((EPOCHSECONDS % 100000 * 1000))
for _ in $(seq $WARM_UP); do
    order=$((order + 1))
    "$HERE/shop.sh" drive $order >/dev/null || fail "order $order was not answered"
done
if show_trace $order; then result=0; else result=1; fi
say "traffic and trace took $(since "$started")"
[ -z "$once" ] || exit $result

say "page: $PAGE   shop: $("$HERE/shop.sh" url)/orders/ID   Ctrl-C ends everything"
while kill -0 "$agent" 2>/dev/null; do
    order=$((order + 1))
    "$HERE/shop.sh" drive $order >/dev/null || say "order $order was not answered"
    sleep 0.5
done
fail "the agent ended"
