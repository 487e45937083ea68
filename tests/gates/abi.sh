#!/bin/sh
# abidiff and the layouts of the structs against every recorded baseline (lib/abi/VERSION); a
# program built with the oldest recorded headers runs on today's library.
#
#   abi.sh LIBDIR VERSION SOVERSION             the gate
#   abi.sh --recorded VERSION                   is there a baseline of VERSION, and is it this tree?
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

recorded() { # version: says what the newest baseline lacks; 1 if anything
    if [ ! -e "lib/abi/$1/libkdistill.abi" ]; then
        echo "abi: no baseline of $1 (newest: ${newest:-none}). Record this tree's: make record-abi"
        return 1
    fi
    diff -rq include "lib/abi/$1/include" > "$work/older" && return 0
    echo "abi: lib/abi/$1 is older than these headers. Before a release: make record-abi"
    sed 's/^/    /' "$work/older"
    return 1
}
newest=$(ls lib/abi 2> /dev/null | sort -V | tail -n 1)
[ "$1" != --recorded ] || { recorded "$2" && echo "abi: lib/abi/$2 is this tree's"; exit; }

lib=$1 version=$2 soversion=$3
if [ -z "$newest" ]; then
    echo "abi: lib/abi holds no baseline to compare with. Record this tree's: make record-abi"
    exit 1
fi
recorded "$version" || true
{
    cat lib/abi.suppress
    printf '\n[suppress_type]\n  type_kind = struct\n  name_regexp = ^('
    sed -nE 's/^typedef struct (kd_[a-z_]+) \1;.*/\1/p' include/kdistill/*.h |
        sort -u | paste -sd '|' | tr -d '\n'
    printf ')$\n'
} > "$work/suppress"
for baseline in lib/abi/*/; do
    status=0
    abidiff --suppressions "$work/suppress" --no-added-syms --headers-dir1 "$baseline/include" \
        --headers-dir2 include "$baseline/libkdistill.abi" "$lib/libkdistill.so.$soversion" \
        > "$work/report" || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$work/report"
        echo "abi: not compatible with $baseline (abidiff: $status)."
        echo "    docs/abi.md says how a break is made"
        exit 1
    fi
    python3 tests/gates/layout.py "$baseline/include" include
done
oldest=$(ls lib/abi | sort -V | head -n 1)
${CC:-cc} -std=c11 -O1 -I"lib/abi/$oldest/include" "lib/abi/$oldest/loop.c" -o "$work/loop" \
    -L"$lib" -Wl,-rpath,"$(cd "$lib" && pwd)" -lkdistill -lm
"$work/loop" > /dev/null
echo "abi: compatible with $(ls lib/abi | sort -V | tr '\n' ' ')- an old program runs"
