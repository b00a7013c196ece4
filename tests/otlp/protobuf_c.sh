#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# protobuf_c.sh IN OUT: protobuf-c's code of every .proto in IN, into OUT. Debian's protoc-c knows no `optional` in
# proto3: a oneof of one member is the same on the wire and to us.
set -eu
mkdir -p "$2"
for proto in "$1"/*.proto; do
    sed -E 's/optional double ([a-z]+) = ([0-9]+);/oneof has_\1 { double \1 = \2; }/' "$proto" > "$2/$(basename "$proto")"
done
cd "$2"
protoc-c --c_out=. ./*.proto
