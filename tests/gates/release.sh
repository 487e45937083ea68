#!/bin/sh
# `make release` refuses each broken tree and names what is wrong; a whole one is ready.
set -eu
here=$(pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
version=$(sed -n 's/^VERSION := //p' Makefile)
git clone -q "$here" "$work/good"
cd "$work/good"
git config user.email gate@example.org && git config user.name gate
cp -r "$here/packaging" .
sed -i "s/^## $version.*/## $version (1 January 2027)/" CHANGELOG.md
mkdir -p "lib/abi/$version"
rm -rf "lib/abi/$version/include"
cp -r include "lib/abi/$version/"
[ -e "lib/abi/$version/libkdistill.abi" ] || : > "lib/abi/$version/libkdistill.abi"
commit='mkdir -p build/ci && git add -A && git commit -q -m gate &&
    git rev-parse HEAD > build/ci/green'
sh -c "$commit"
env -u MAKEFLAGS -u MAKELEVEL make -s release RELEASE=--check > "$work/log" 2>&1 ||
    { cat "$work/log"; echo "release: refuses a tree that is ready"; exit 1; }
refused=0
refuses() { # what must be said, a command that breaks a copy
    rm -rf "$work/broken" && cp -r "$work/good" "$work/broken" && cd "$work/broken"
    sh -eu -c "commit() { $commit; }; $2"
    if env -u MAKEFLAGS -u MAKELEVEL \
        make -s release RELEASE="--check ${3:-}" > "$work/log" 2>&1; then
        echo "release: takes a tree although: $1"
        exit 1
    fi
    grep -q "$1" "$work/log" || { cat "$work/log"; echo "release: does not say: $1"; exit 1; }
    [ "$(grep -c '^  - ' "$work/log")" -eq 1 ] || {
        cat "$work/log"
        echo "release: one thing is broken, and it says more"
        exit 1
    }
    refused=$((refused + 1))
}
refuses "not committed" "echo >> README.md"
refuses "gates were not green" "rm build/ci/green"
refuses "no section of $version" "sed -i 's/^## $version/## 0.0.1/' CHANGELOG.md; commit"
refuses "not released" "sed -i 's/^## $version .*/## $version (not released)/' CHANGELOG.md; commit"
refuses "ABI of $version is not recorded" \
    "sed -i 's/^typedef/typedef /' include/kdistill/loss.h; commit"
refuses "is there already" "git tag v$version"
refuses "expected the version of the headers" ":" 9.9.9
cd "$here"
python3 - "$work" << 'PYTHON' || exit 1
import os, sys
sys.path.insert(0, "packaging")
import build, release
folder = sys.argv[1] + "/wheels"
os.makedirs(folder)
for target in list(build.TARGETS.values())[1:]:
    open(f"{folder}/kdistill-1.2.3-py3-none-{'.'.join(target.tags)}.whl", "w").close()
missing = release.missing_wheels(folder, "1.2.3")
if missing != ["manylinux-x86_64"]:
    sys.exit(f"release: a wheel is missing, but it says {missing}")
PYTHON
echo "release: a whole tree is ready, $refused broken ones and a set without a wheel are refused"
