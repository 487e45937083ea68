#!/bin/sh
# Each public header alone, C11 and C++17, gcc and clang, without a warning.
set -eu
for header in include/kdistill.h include/kdistill/*.h; do
    for c in gcc clang; do
        command -v $c > /dev/null || { echo "$c is missing"; exit 1; }
        $c -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c "$header"
    done
    for c in g++ clang++; do
        $c -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c++ "$header"
    done
done
long=$(wc -l include/kdistill/*.h | awk '$2 != "total" && $1 > 300 { print $2 ": " $1 " lines" }')
[ -z "$long" ] || { echo "more than a person reads in ten minutes: $long"; exit 1; }
echo "headers: each alone, C11 and C++17, gcc and clang"
