#!/bin/sh
# The core in one file: every compiler that is here builds it with one command and no warning, only
# kd_* is visible, training ends with the bits of the library, and the core's suite passes.
# amalgamation.sh LIBRARY
set -eu
library=$1 files=build/amalgamation zig_python=build/zig/bin/python
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
fail() { echo "amalgamation: $*"; exit 1; }
${CC:-gcc} -O1 -Iinclude tests/gates/bits.c -o "$work/library" "$library" \
    -Wl,-rpath,"$(cd "$(dirname "$library")" && pwd)"
"$work/library" > "$work/expected"

# Suites of tests/unit whose files need the core's header alone. Each file of tests/unit/core and
# formats that the header lacks something for belongs to the wings.
suites() { # compiler's words
    mkdir -p "$work/suite"
    rm -f "$work/suite"/*
    for test in tests/unit/core/*.c tests/unit/formats/*.c; do
        object=$work/suite/$(basename "$test" .c).o
        $1 -std=gnu11 -O1 -g0 -w -Werror=implicit-function-declaration -I$files -Iinclude -Itests \
            -Itests/unit $(pkg-config --cflags check) -c "$test" -o "$object" 2> /dev/null || {
            rm -f "$object"
        }
    done
    nm "$work"/suite/*.o | sed -n 's/.* T \(.*\)_suite$/SUITE(\1)/p' | sort > "$work/suites.h"
    {
        printf '#include <check.h>\n#include <stdio.h>\n'
        sed 's/SUITE(\(.*\))/Suite *\1_suite(void);/' "$work/suites.h"
        sed "s|\"suites.h\"|\"$work/suites.h\"|; /\"unit.h\"/d" tests/unit/main.c
    } > "$work/main.c"
    $1 -std=gnu11 -O1 -w $(pkg-config --cflags check) -c "$work/main.c" -o "$work/suite/main.o"
}

compilers=${AMALGAMATION_BY:-gcc
clang}
[ ! -x $zig_python ] || [ -n "${AMALGAMATION_BY:-}" ] || compilers="$compilers
$zig_python -m ziglang cc"
printf '%s\n' "$compilers" > "$work/compilers"
while read -r compiler <&3; do
    command -v ${compiler%% *} > /dev/null || { echo "SKIPPED $compiler: not installed"; continue; }
    began=$(date +%s)
    $compiler -O2 -Wall -Wextra -c $files/kdistill.c -o "$work/kdistill.o" 2> "$work/said" ||
        { cat "$work/said"; fail "$compiler does not compile it"; }
    [ ! -s "$work/said" ] || { head "$work/said"; fail "$compiler warns"; }
    took=$(($(date +%s) - began))
    others=$(nm -g --defined-only "$work/kdistill.o" | awk '$3 !~ /^kd_[a-z]/ { print $3 }')
    [ -z "$others" ] || fail "names that are not the interface's: $others"
    $compiler -O1 -I$files tests/gates/bits.c "$work/kdistill.o" -o "$work/bits" -lm -pthread
    "$work/bits" > "$work/got"
    if [ "$compiler" = gcc ]; then
        diff "$work/expected" "$work/got" || fail "$compiler: other bits than the library's"
    fi
    suites "$compiler"
    $compiler "$work"/suite/*.o "$work/kdistill.o" -o "$work/unit" \
        $(pkg-config --libs check) -lm -pthread
    mkdir -p "$work/scratch"
    KD_DATA= KD_TEST_FEW=1 KD_OLD_FILES=$(pwd)/tests/old KD_TEST_DIR=$work/scratch \
        CK_VERBOSITY=minimal "$work/unit" > "$work/log" || {
        tail -n 20 "$work/log"
        fail "$compiler: the core's suite fails"
    }
    echo "$compiler: $took s, the core's suite: $(tail -n 1 "$work/log")"
done 3< "$work/compilers"
echo "amalgamation: one file, $(wc -l < "$work/expected") training runs with the library's bits"
