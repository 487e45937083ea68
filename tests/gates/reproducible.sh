#!/bin/sh
# Two builds of the last commit, in folders of other lengths, with other HOME, umask, time zone,
# language and number of jobs, give the same bytes: archive, source package, amalgamation, library,
# static library, wheel and Debian packages.   reproducible.sh [sources libraries wheel debian]
set -eu
here=$(pwd)
asked=" ${*:-sources libraries wheel debian} "
fail() { echo "reproducible: $*"; exit 1; }
for part in $asked; do
    case $part in
        sources | libraries) ;;
        wheel) [ -x build/zig/bin/python ] || {
            echo "SKIPPED the wheel: no build/zig (make zig-python)"
            asked=$(echo "$asked" | sed 's/ wheel / /')
        } ;;
        debian) command -v dh > /dev/null && command -v dh_python3 > /dev/null || {
            echo "SKIPPED Debian's packages: no dh or dh_python3 (Debian: debhelper dh-python)"
            asked=$(echo "$asked" | sed 's/ debian / /')
        } ;;
        *) fail "expected sources, libraries, wheel or debian, got $part" ;;
    esac
done
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

part() { # name, words ..: one part of a build, if it was asked for
    case $asked in *" $1 "*) ;; *) return 0 ;; esac
    name=$1
    shift
    "$@" > log 2>&1 || { tail -n 40 log; fail "$name is not built"; }
}
build() { # folder, umask, zone, language, jobs
    mkdir -p "$(dirname "$1")"
    git clone -q "$here" "$1"
    (
        umask "$2"
        export TZ=$3 LC_ALL=$4 JOBS=$5 HOME="$work/home-$5" DEB_BUILD_OPTIONS=nocheck
        unset MAKEFLAGS MAKELEVEL
        mkdir -p "$HOME"
        cd "$1"
        part libraries make -s -j"$5" all
        part sources make -s dist ANYWAY=yes
        part sources make -s sdist amalgamation
        part wheel "$here/build/zig/bin/python" packaging/wheel.py build/wheels manylinux-x86_64
        part debian sh packaging/deb.sh build/deb
    )
}
one=$work/a two=$work/a-longer/much/longer-name/b compared=0
build "$one" 022 UTC C 2
build "$two" 077 Asia/Kathmandu C.UTF-8 1

same() { # pattern: files of the first build, at least one, are those of the second
    for made in "$one"/$1; do
        [ -f "$made" ] || fail "no $1 was made"
        name=${made#"$one"/}
        cmp "$made" "$two/$name" || fail "$name differs"
        echo "same: $(sha256sum < "$made" | cut -c 1-16) $name"
        compared=$((compared + 1))
    done
}
for kind in $asked; do
    case $kind in
        sources)
            same 'build/dist/libkdistill-*.tar.gz'
            same 'build/wheels/kdistill-*.tar.gz'
            same build/amalgamation/kdistill.c
            same build/amalgamation/kdistill.h
            ;;
        libraries)
            same 'lib/libkdistill.so.*.*.*'
            same lib/libkdistill.a
            same build/kdistill
            ;;
        wheel) same 'build/wheels/*.whl' ;;
        debian) same 'build/deb/*.deb' ;;
    esac
done
echo "reproducible: $compared files of two builds are equal:$asked"
