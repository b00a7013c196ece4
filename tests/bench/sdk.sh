#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Our SDK beside the SDKs of Rust, Go and Java, which are built here from their registries: the same
# cases, the same attributes, in turns. Prints rows: name, ours, peer, ratio, bar.
# usage: sdk.sh [quick]    env: WORK (kept between runs), ROUNDS, PEERS ("rust go java"), ONLY (a pattern of row names)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${WORK:-$root/build/bench/sdk}
peers=${PEERS:-rust go}
built="" reasons=""

mkdir -p "$work"
work=$(cd "$work" && pwd)
[ "${1:-}" != quick ] || export ROUNDS=${ROUNDS:-3} OPS=${OPS:-100000}

missing() { reasons+="$1 is left out: $2"$'\n'; }

# A source folder is copied, so that nothing is written into the tree.
copied() {
    mkdir -p "$work/$1.src"
    cp -r "$here/sdk/$1/." "$work/$1.src/"
    chmod -R u+w "$work/$1.src"
}

build_rust() {
    command -v cargo > /dev/null || { missing rust "cargo is not installed"; return; }
    copied rust
    if (cd "$work/rust.src" && cargo build --release --target-dir "$work/rust") > "$work/rust.log" 2>&1; then
        built+=" rust"
    else
        missing rust "$(tail -1 "$work/rust.log")"
    fi
}

build_go() {
    command -v go > /dev/null || { missing go "go is not installed"; return; }
    copied go
    if (cd "$work/go.src" && go build -o "$work/bench_go" .) > "$work/go.log" 2>&1; then
        built+=" go"
    else
        missing go "$(tail -1 "$work/go.log")"
    fi
}

build_java() {
    command -v mvn > /dev/null || { missing java "mvn is not installed"; return; }
    copied java
    if (cd "$work/java.src" && mvn -q -B package) > "$work/java.log" 2>&1; then
        built+=" java"
    else
        missing java "$(tail -1 "$work/java.log")"
    fi
}

for peer in $peers; do
    case $peer in
    rust) build_rust ;;
    go) build_go ;;
    java) build_java ;;
    *) missing "$peer" "no such peer" ;;
    esac
done
gcc -D_GNU_SOURCE -std=gnu17 -O2 -shared -fPIC -o "$work/mcount.so" "$here/sdk/mcount.c"
gcc -D_GNU_SOURCE -std=gnu17 -O2 -o "$work/sink" "$here/sdk/sink.c"
gcc -D_GNU_SOURCE -std=gnu17 -O2 -o "$work/floor" "$here/sdk/floor.c" -lpthread
cmake --build "$root/build/release" --target bench_sdk throughline_http_so > "$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
printf '%s' "$reasons" | sed 's/^/# /'
# shellcheck disable=SC2086
exec python3 "$here/sdk.py" "$root/build/release" "$work" $built
