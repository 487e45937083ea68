#!/bin/sh
# Two builds of the last commit, in folders of other lengths, with other HOME, umask, time zone,
# language and number of jobs, give the same bytes: archive, source package, library, static
# library, amalgamation, and the wheels and Debian packages where their tools are here.
set -eu
here=$(pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
build() { # folder, umask, zone, language, jobs
    umask "$2"
    export TZ=$3 LC_ALL=$4 JOBS=$5 HOME="$work/home-$5"
    mkdir -p "$HOME" "$(dirname "$1")"
    git clone -q "$here" "$1"
    cd "$1"
    env -u MAKEFLAGS -u MAKELEVEL sh -eu -c '
        make -s -j"$JOBS" all > log 2>&1 || { tail log; exit 1; }
        make -s dist ANYWAY=yes sdist amalgamation > log 2>&1 || { tail log; exit 1; }
        if [ -x "'"$here"'/build/zig/bin/python" ]; then
            "'"$here"'/build/zig/bin/python" packaging/wheel.py build/wheels manylinux-x86_64 > log
        fi
        if command -v dh > /dev/null && command -v dh_python3 > /dev/null; then
            sh packaging/deb.sh build/deb > log 2>&1 || { tail log; exit 1; }
        fi'
    cd "$here"
    umask 022
}
build "$work/a" 022 UTC C 2
build "$work/a/much/longer-name/b" 077 Asia/Kathmandu C.UTF-8 1
one=$work/a two=$work/a/much/longer-name/b kinds=0
for file in build/dist/libkdistill-*.tar.gz build/wheels/kdistill-*.tar.gz build/wheels/*.whl \
    lib/libkdistill.so.*.*.* lib/libkdistill.a build/amalgamation/kdistill.c build/deb/*.deb; do
    for made in "$one"/$file; do
        [ -f "$made" ] || continue
        same=${made#"$one"/}
        cmp "$made" "$two/$same" || { echo "reproducible: $same differs"; exit 1; }
        kinds=$((kinds + 1))
    done
done
[ "$kinds" -ge 5 ] || { echo "reproducible: expected five files at least, got $kinds"; exit 1; }
echo "reproducible: $kinds files of two builds are equal"
