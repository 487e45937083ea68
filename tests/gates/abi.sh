#!/bin/sh
# abidiff and the structs' layouts against the recorded baseline; a program built with the oldest recorded headers runs on today's library.  abi.sh LIBDIR
set -eu
lib=$1
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for baseline in lib/abi/*/; do
    status=0
    abidiff --suppressions lib/abi.suppress --no-added-syms --headers-dir1 "$baseline/include" --headers-dir2 include "$baseline/libkdistill.abi" "$lib/libkdistill.so.0" > "$work/report" || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$work/report"
        echo "the ABI differs from $baseline (abidiff: $status). A break on purpose: make record-abi, and a line with the reason in CHANGELOG.md"
        exit 1
    fi
    python3 tests/gates/layout.py "$baseline/include" include
done
oldest=$(ls -d lib/abi/*/ | sort -V | head -n 1)
${CC:-cc} -std=c11 -O1 -I"$oldest/include" "$oldest/loop.c" -o "$work/loop" -L"$lib" -Wl,-rpath,"$(cd "$lib" && pwd)" -lkdistill -lm
"$work/loop" > /dev/null
echo "abi: no incompatible change since $(ls -d lib/abi/*/ | tr '\n' ' '); an old program runs"
