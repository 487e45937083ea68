#!/bin/sh
# make bench: our figures beside PyTorch's from the same run, alternating; the table, and build/bench.json.
#   PEERS=folder   a virtual environment with torch (make peers makes build/peers)
set -eu
peers=${PEERS:-build/peers}
[ -x "$peers/bin/python" ] || { echo "no PyTorch in $peers: run make peers"; exit 1; }
[ -f "$peers/environment" ] && . "$peers/environment"
[ -f "$peers/activate-peers" ] && . "$peers/activate-peers"
mkdir -p build/bench
${CC:-cc} -O2 -Wall -Wextra -Iinclude bench/measure.c -o build/bench/measure -Llib -Wl,-rpath,"$(pwd)/lib" -lkdistill -lm
# The peer's best settings: passive waiting, big blocks kept by malloc; ours get the same, and BLAS kernels for this processor.
case $(grep -o -m1 avx512f /proc/cpuinfo || true) in avx512f) core=SkylakeX ;; *) core=Haswell ;; esac
export OMP_WAIT_POLICY=passive MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000 OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-$core}
exec "$peers/bin/python" bench/run.py
