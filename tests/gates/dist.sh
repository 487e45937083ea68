#!/bin/sh
# The release archive builds and passes from itself alone, and is made twice with the same bytes.
#   dist.sh ARCHIVE: that `make dist` has just made
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cp "$1" "$work/first.tar.gz"
make -s dist ANYWAY="${ANYWAY:-}" > /dev/null
cmp "$1" "$work/first.tar.gz" || { echo "dist: two archives of one commit differ"; exit 1; }
tar xzf "$1" -C "$work"
cd "$work"/libkdistill-*
for left in .ci .git .gitattributes build; do
    [ ! -e "$left" ] || { echo "dist: $left does not belong into the archive"; exit 1; }
done
env -u MAKEFLAGS -u MAKELEVEL \
    make -s built check-names check-layers unit internal > "$work/log" 2>&1 || {
    tail -n 40 "$work/log"
    echo "dist: the archive alone does not build and pass"
    exit 1
}
echo "dist: builds and passes from the archive alone: $(grep -c 'Failures: 0' "$work/log") suites"
