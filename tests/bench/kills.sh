#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 200 services with a million spans die by SIGKILL, SIGSEGV and abort; and an agent is stopped for a minute under a
# service's full load. Prints what was lost, and what the service felt.
# usage: kills.sh [KILLS] [SPANS_EACH] [SECONDS_STOPPED]
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake --build build/release --target bench_ring_service > /dev/null
printf '# %s services of about %s spans\n' "${1:-200}" "${2:-5100}"
python3 tests/guest/kills_test.py build/release/bin/throughline build/release/bin/bench_ring_service "${1:-200}" "${2:-5100}"
printf '# the agent stopped for %s s, 1 thread\n' "${3:-60}"
RATIO_MIN=0.99 python3 tests/guest/stopped_agent_test.py build/release/bin/throughline build/release/bin/bench_ring_service "${3:-60}"
