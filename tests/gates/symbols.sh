#!/bin/sh
# Header, version script, nm -D, the static archive and the recorded list agree.  symbols.sh SHARED
# STATIC
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 lib/symbols.py > "$work/header"
cat lib/symbols-*.txt | sort > "$work/recorded"
python3 lib/symbols.py --map | diff - lib/libkdistill.map || {
    echo "lib/libkdistill.map is not what lib/symbols.py makes"
    exit 1
}
nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort > "$work/shared"
nm -g --defined-only "$2" | awk 'NF == 3 { print $3 }' | sort > "$work/static"
for list in header shared static; do
    sort "$work/$list" | diff "$work/recorded" - > "$work/diff" || {
        echo "recorded list and $list differ:"
        cat "$work/diff"
        exit 1
    }
done
readelf -d "$1" | grep -q 'SONAME.*libkdistill.so.0' || { echo "wrong soname"; exit 1; }
echo "symbols: $(wc -l < "$work/recorded") names agree in header, list, shared and static library"
