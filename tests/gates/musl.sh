# Other C libraries and systems, without BLAS and zlib. With musl-gcc (Debian: musl-tools) the
# suites run on musl; with zig (pip install ziglang) the library is built for musl, and every file
# is compiled for systems that are not here. What is missing is skipped, and said.
set -e
for try in "$ZIG" zig "build/zig/bin/python -m ziglang" "python3 -m ziglang"; do
    if [ -n "$try" ] && $try version > /dev/null 2>&1; then
        zig=$try
        break
    fi
done
make="${MAKE:-make} --no-print-directory BLAS=none ZLIB=no"

if command -v musl-gcc > /dev/null; then
    $make CC=musl-gcc BUILD=build/musl LIB=build/musl/lib CHECK_FLAGS=-Itests/musl CHECK_LIBS= \
        unit internal
else
    echo "SKIPPED suites on musl: no musl-gcc (Debian: apt-get install musl-tools)"
fi

if [ -z "$zig" ]; then
    echo "SKIPPED builds by zig: none found (python3 -m venv build/zig &&" \
        "build/zig/bin/pip install ziglang)"
    exit 0
fi
$make CC="$zig cc -target x86_64-linux-musl" BUILD=build/zig-musl LIB=build/zig-musl/lib all
for target in x86_64-freebsd aarch64-linux-musl aarch64-macos x86_64-windows-gnu; do
    compile="$zig cc -target $target -std=gnu11 -O0 -fno-sanitize=undefined -Wall -Wextra -Werror
        -Iinclude -Isrc -DKD_BLAS_NONE"
    find src -name '*.c' ! -name 'kernels_avx*' | sort |
        xargs -P "${JOBS:-$(nproc)}" -I '{}' sh -c "$(echo $compile) -c '{}' \
            -o build/zig-musl/compiled-\$\$.o && rm build/zig-musl/compiled-\$\$.o ||
            { echo '{} does not compile for $target'; exit 255; }"
    echo "every file compiles for $target"
done
