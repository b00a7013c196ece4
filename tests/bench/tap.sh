#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the eBPF receiver costs nginx: with an agent and without, in turns.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 tests/bench/tap.py build/release/bin/throughline
