#!/bin/sh
# Windows, by zig and wine: the DLL exports the interface and needs the system alone, the command is
# built, and under wine a C program, the suites and a recipe's training run.   windows.sh WHEELS
set -eu
here=$(pwd) python=build/zig/bin/python made=build/wheel/windows-x86_64 work=build/windows
fail() { echo "windows: $*"; exit 1; }
ZIG_GLOBAL_CACHE_DIR=$here/build/wheel/zig-cache ZIG_LOCAL_CACHE_DIR=$ZIG_GLOBAL_CACHE_DIR
export ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR
zig="$python -m ziglang cc -target x86_64-windows-gnu -fno-sanitize=undefined -std=gnu11 -O1"
not_here="chat|opening|verify|answers|curation|filter_numbers|import"
jobs=${JOBS:-$(nproc)}
version=$(sed -n 's/^VERSION := //p' Makefile)
wheel=$1/kdistill-$version-py3-none-win_amd64.whl
[ -e "$wheel" ] || fail "make wheels TARGETS=windows-x86_64 first"
rm -rf "$work/wheel"
mkdir -p "$work/unit" "$work/tool" "$work/scratch" "$work/bin"
$python -m zipfile -e "$wheel" "$work/wheel"
dll=$work/wheel/kdistill/lib/kdistill-0.dll

# ---- the file ----
objdump -p "$dll" > "$work/headers"
system='api-ms-win-crt-[a-z0-9-]+\.dll|KERNEL32.dll'
sed -n 's/.*DLL Name: //p' "$work/headers" | grep -vxiE "$system" &&
    fail "the library needs more than Windows has"
sed -n '/Name Pointer\] Table/,/^$/p' "$work/headers" |
    grep -oE '\bkd_[a-z0-9_]+' | sort > "$work/has"
grep -oE '\bkd_[a-z0-9_]+;' lib/libkdistill.map | tr -d ';' | sort > "$work/promised"
diff "$work/promised" "$work/has" > "$work/differ" ||
    fail "other names: $(head -n 3 "$work/differ")"

# ---- the command; a program and the suites against the DLL ----
compile() { # folder of objects, flags, files on standard input
    xargs -P "$jobs" -I '{}' sh -c "$zig $2 -c '{}' -o $1/\$(echo '{}' | tr / -).o || {
        echo 'windows: {} does not compile'; exit 255; }"
}
find src/tool -name '*.c' | sort | compile "$work/tool" "-Wall -Wextra -Werror -Iinclude -Isrc"
$zig "$work"/tool/*.o $(find $made -name '*.o') -o "$work/bin/kdistill.exe"
$zig -Iinclude examples/loop.c -o "$work/bin/loop.exe" $made/libkdistill.dll.a
cp "$dll" "$work/bin/"
# What asks for fork, hard links, POSIX's regular expressions, or blocks that free() cannot take.
left='core/test_context|core/test_store_writers|course/test_patterns|course/test_verify_hostile'
find tests/unit -name '*.c' ! -name main.c | grep -vE "$left|formats/test_bounds" | sort |
    compile "$work/unit" "-w -Iinclude -Itests -Itests/unit -Itests/musl"
nm "$work"/unit/*.o | sed -n 's/.* T \(.*\)_suite$/SUITE(\1)/p' > "$work/has"
grep -xFf "$work/has" tests/unit/suites.h > "$work/suites.h"
{
    printf '#include <check.h>\n'
    sed 's/SUITE(\(.*\))/Suite *\1_suite(void);/' "$work/suites.h"
    sed "s|\"suites.h\"|\"$here/$work/suites.h\"|; /\"unit.h\"/d" tests/unit/main.c
} > "$work/main.c"
$zig -w -Itests/musl "$work/main.c" "$work"/unit/*.o -o "$work/bin/unit.exe" $made/libkdistill.dll.a
echo "windows: the library, the command and $(wc -l < "$work/suites.h") suites are built"

# ---- run ----
command -v wine > /dev/null || {
    echo "SKIPPED running them: no wine (Debian: wine wine64)"
    exit 0
}
export WINEPREFIX="$here/$work/prefix" WINEDEBUG=-all
cd "$work"
run() { wine "$@" 2>&1 | tr -d '\r'; }
run bin/loop.exe > loop.log || true
tail -n 1 loop.log | grep -q '^agreement with the teacher 0\.9' ||
    { cat loop.log; fail "a C program fails"; }
run bin/kdistill.exe --version | grep -q "kdistill $version" || fail "kdistill.exe --version"
run bin/kdistill.exe train --init classifier > recipe.json
grep -q '"student"' recipe.json || fail "kdistill train --init"
# Each suite is a process of its own. Left out: chats, which ask a shell for folders, and what
# verifies answers, where a process was seen to end in cabs(), which wine 8 lacks.
rm -rf scratch && mkdir scratch
export KD_DATA='' KD_TEST_FEW=1 KD_OLD_FILES="$here/tests/old" KD_TEST_DIR="$here/$work/scratch"
ran=0
for suite in $(sed 's/SUITE(\(.*\))/\1/' suites.h | grep -vxE "${WINDOWS_LEFT:-$not_here}"); do
    CK_RUN_SUITE=$suite run bin/unit.exe > "$suite.log" || true
    tail -n 1 "$suite.log" | grep -qE '^[1-9][0-9]* tests, 0 failed$' ||
        { tail -n 20 "$suite.log"; fail "the suite $suite"; }
    ran=$((ran + $(tail -n 1 "$suite.log" | cut -d ' ' -f 1)))
done
[ "$ran" -ge 700 ] || fail "expected 700 tests at least, $ran ran"
echo "windows: under wine a program, the command and $ran tests of the suites run"
