#!/bin/sh
# packaging/conan makes a package and a program against it, shared and static, without a server.
set -eu
if [ ! -x build/conan/bin/conan ]; then
    python3 -m venv build/conan
    build/conan/bin/pip install -q --disable-pip-version-check conan==2.34.0
fi
conan=$(pwd)/build/conan/bin/conan
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
export CONAN_HOME="$work/home"
"$conan" profile detect > /dev/null 2>&1
"$conan" remote remove '*' > /dev/null 2>&1 || true
for shared in False True; do
    "$conan" create packaging/conan -o "kdistill/*:shared=$shared" -s build_type=Release \
        -c tools.cmake.cmake_layout:test_folder="$work/test" \
        -c tools.cmake.cmaketoolchain:user_presets= > "$work/log" 2>&1 || {
        tail -n 40 "$work/log"
        echo "conan: shared=$shared fails"
        exit 1
    }
done
left=$(git status --porcelain -- packaging/conan)
[ -z "$left" ] || { echo "conan: the tree is changed: $left"; exit 1; }
echo "conan: packages, shared and static, and a program against each"
