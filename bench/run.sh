#!/bin/sh
# make bench: our figures beside PyTorch's and ONNX Runtime's from the same run, alternating; the
# table, build/bench.json and build/bench.md.
#   PEERS=folder   a virtual environment with torch (make peers makes build/peers)
set -eu
mkdir -p build/bench
${CC:-cc} -O2 -Wall -Wextra -Iinclude bench/measure.c -o build/bench/measure -Llib \
    -Wl,-rpath,"$(pwd)/lib" -lkdistill -lm
# BLAS kernels for this processor, which old versions of OpenBLAS do not know.
case $(grep -o -m1 avx512f /proc/cpuinfo || true) in
    avx512f) core=SkylakeX ;;
    *) core=Haswell ;;
esac
export OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-$core}
exec sh bench/with_peers.sh bench/run.py
