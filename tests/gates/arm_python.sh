#!/bin/sh
# A Python of arm64 with numpy under qemu-user, unpacked into build/arm64-python; prints the command
# that starts it. The machine's own package lists stay as they are.
set -eu
here=$(pwd)/build/arm64-python
system=$here/system
if [ ! -e "$here/ready" ]; then
    mkdir -p "$system" "$here/lists/partial" "$here/debs"
    options="-oAPT::Architecture=arm64 -oAPT::Architectures=arm64 -oDir::State::Lists=$here/lists"
    options="$options -oDebug::NoLocking=1 -oAPT::Sandbox::User=root"
    apt-get $options -q update > "$here/log" 2>&1
    name=$(apt-cache $options depends python3-minimal | grep -oE 'python3\.[0-9]+' | head -n 1)
    (cd "$here/debs" && apt-get $options -q download libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 \
        libffi8 libssl3 libbz2-1.0 liblzma5 libuuid1 libsqlite3-0 libreadline8 libtinfo6 \
        libncursesw6 libcrypt1 libblas3 liblapack3 libgfortran5 python3-numpy \
        "$name-minimal" "lib$name-minimal" "lib$name-stdlib" >> "$here/log" 2>&1)
    for deb in "$here"/debs/*.deb; do dpkg -x "$deb" "$system"; done
    echo "$name" > "$here/ready"
fi
libraries=$system/usr/lib/aarch64-linux-gnu
paths=$libraries:$libraries/blas:$libraries/lapack:$system/lib/aarch64-linux-gnu
echo "qemu-aarch64 -L $system -E LD_LIBRARY_PATH=$paths $system/usr/bin/$(cat "$here/ready")"
