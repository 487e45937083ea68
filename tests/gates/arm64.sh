#!/bin/sh
# Cross-compiles for arm64 and runs the suites (kernels with NEON, losses, parsers) under qemu-user.
# The arm64 packages are unpacked into build/arm64/system; the machine's own package lists stay as
# they are.
set -eu
here=$(pwd)/build/arm64
system=$here/system
lists=$here/lists
if [ ! -e "$system/done" ]; then
    mkdir -p "$system" "$lists/partial" "$here/debs"
    options="-oAPT::Architecture=arm64 -oAPT::Architectures=arm64 -oDir::State::Lists=$lists"
    options="$options -oDebug::NoLocking=1 -oAPT::Sandbox::User=root"
    apt-get $options -q update > "$here/apt.log"
    (cd "$here/debs" && apt-get $options -q download libopenblas0-pthread libopenblas-dev \
        libopenblas-pthread-dev libgfortran5 zlib1g zlib1g-dev check libsubunit0 libsubunit-dev \
        >> "$here/apt.log")
    for deb in "$here"/debs/*.deb; do dpkg -x "$deb" "$system"; done
    touch "$system/done"
fi
libraries=$system/usr/lib/aarch64-linux-gnu
blas=$libraries/openblas-pthread
export CK_FORK=no CK_TIMEOUT_MULTIPLIER=20 CK_DEFAULT_TIMEOUT=600
export KD_DATA= KD_TEST_FEW=1 KD_EMULATED=1
includes="-isystem $system/usr/include"
target=$system/lib/aarch64-linux-gnu
headers=$system/usr/include/aarch64-linux-gnu
paths=$blas:$libraries:$target
make --no-print-directory CC=aarch64-linux-gnu-gcc BUILD=build/arm64/made \
    LIB=build/arm64/made/lib ZLIB=yes \
    BLAS_FLAGS="-DKD_BLAS_OPENBLAS -isystem $headers/openblas-pthread -isystem $headers $includes" \
    BLAS_LIBS="-L$blas -L$libraries -lopenblas -Wl,-rpath-link,$libraries:$target -L$target" \
    CHECK_FLAGS="$includes" \
    CHECK_LIBS="-L$libraries -Wl,-rpath-link,$paths -lcheck_pic -lsubunit -lrt -lm" \
    RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$paths" \
    unit internal
