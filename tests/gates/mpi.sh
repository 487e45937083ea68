#!/bin/sh
# The same parameters, to the bit, over every MPI that is installed, mpi4py and torch's gloo; runs
# that were killed continue on as many ranks; a launcher of another MPI is refused. What is not
# installed is left out with a message. MPI_BIN: a further folder with mpicc and mpirun. PYTHON:
# with mpi4py or torch for theirs.
set -eu
lib=$1 build=$2 scratch=$3
python=${PYTHON:-python3}
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
export OMPI_MCA_btl_base_warn_component_unused=0 HYDRA_LAUNCHER=fork
mkdir -p "$build/mpi" "$scratch"
reference= engines=0

fail() {
    echo "check-mpi: $1"
    exit 1
}

# The line of two and of three ranks; every engine must print the same.
bits() {
    for n in 2 3; do "$@" "$n" | grep -a parameters || fail "no result: $*"; done
}

compare() {
    [ -n "$reference" ] || reference=$2
    [ "$reference" = "$2" ] || fail "$1: other bits
$2
expected
$reference"
    engines=$((engines + 1))
    echo "check-mpi: $1: the same bits on two and three ranks"
}

run_c() {
    "$runner" -n "$1" "$program" 2> "$scratch/mpi.log" || { cat "$scratch/mpi.log"; return 1; }
}

# The newest process of the run with saves, once there is one.
victim() {
    for _ in $(seq 500); do
        pgrep -n -f "^$program $scratch/saves" && return 0
        sleep 0.01
    done
    return 1
}

# A run with saves, killed four times at other moments; then the line of an unbroken run.
killed() {
    rm -rf "$scratch/saves"
    attempt=0 kills=0
    while :; do
        attempt=$((attempt + 1))
        "$runner" -n 2 "$program" "$scratch/saves" > "$scratch/killed.log" 2>&1 &
        job=$!
        if [ "$kills" -lt 4 ] && rank=$(victim); then
            sleep "0.$((attempt % 8 * 5 + 10))"
            kill -9 "$rank" 2> /dev/null || true
        fi
        if ! wait "$job" 2> /dev/null; then
            kills=$((kills + 1))
        elif [ "$kills" -gt 0 ]; then
            break
        else
            rm -rf "$scratch/saves" # it ended before it was killed
        fi
        [ "$attempt" -lt 30 ] ||
            fail "$1: of $attempt runs $kills were killed, none ended: $(cat "$scratch/killed.log")"
    done
    line=$(grep -a parameters "$scratch/killed.log")
    [ "$line" = "$(echo "$reference" | head -1)" ] || fail "$1: after kills $line"
    echo "check-mpi: $1: killed $kills times, the same bits"
}

singleton() {
    if OMPI_COMM_WORLD_SIZE=2 PMI_SIZE=2 "$program" > "$scratch/single.log" 2>&1; then
        fail "$1: a process alone of two was not refused"
    fi
    echo "check-mpi: $1: a launcher of another MPI is refused"
}

# ---- a slow network: loopback of a namespace of its own, with a delay and a rate ----

shape=
for try in "netem delay 1ms rate 500mbit" "tbf rate 500mbit burst 256kb latency 400ms"; do
    if unshare -n sh -c "ip link set lo up && tc qdisc add dev lo root $try" 2> /dev/null; then
        shape=$try
        break
    fi
done
case $shape in
"") echo "check-mpi: SKIPPED: a slow network (needs root, unshare, ip and tc)" ;;
tbf*) echo "check-mpi: no netem in this kernel: a slow network has a rate, delays are LEFT OUT" ;;
esac

within() {
    unshare -n sh -c "ip link set lo up && tc qdisc add dev lo root $shape && exec \"\$@\"" sh "$@"
}

# The bits of two ranks that talk by TCP over it.
slowly() {
    [ -n "$shape" ] || return 0
    name=$1
    shift
    line=$(within timeout 300 "$@" 2> "$scratch/slow.log" | grep -a parameters) ||
        fail "$name, slow network:
$(cat "$scratch/slow.log")"
    [ "$line" = "$(echo "$reference" | head -1)" ] || fail "$name, slow network: $line"
    echo "check-mpi: $name: the same bits over $shape"
}

for bin in "mpicc.openmpi mpirun.openmpi" "mpicc.mpich mpiexec.mpich" \
    ${MPI_BIN:+"$MPI_BIN/mpicc $MPI_BIN/mpirun"}; do
    compiler=${bin% *} runner=${bin#* }
    command -v "$compiler" > /dev/null && command -v "$runner" > /dev/null || {
        echo "check-mpi: $compiler is not installed: left out"
        continue
    }
    name=$(echo "$compiler" | tr / _)
    program=$build/mpi/ranks-$name
    "$compiler" -std=gnu11 -O2 -Wall -Wextra -fPIC -Iinclude -Impi examples/ranks.c \
        mpi/transport_mpi.c -o "$program" -L"$lib" -Wl,-rpath,"$(realpath "$lib")" -lkdistill -lm
    compare "$compiler" "$(bits run_c)"
    killed "$compiler"
    singleton "$compiler"
    OMPI_MCA_btl=tcp,self OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo \
        MPIR_CVAR_NOLOCAL=1 MPIR_CVAR_CH4_OFI_IFNAME=lo FI_TCP_IFACE=lo \
        slowly "$compiler" "$runner" -n 2 "$program"
done

run_mpi4py() { "$runner" -n "$1" "$python" examples/ranks.py; }
run_torch() {
    "$python" -m torch.distributed.run --nproc_per_node "$1" examples/ranks.py \
        2> "$scratch/torch.log"
}
export KDISTILL_LIBRARY="$(realpath "$lib")/libkdistill.so"
reference=
runner=${MPI_BIN:+$MPI_BIN/mpirun} runner=${runner:-mpirun}
if "$python" -c 'import mpi4py.MPI' 2> /dev/null && command -v "$runner" > /dev/null; then
    compare mpi4py "$(bits run_mpi4py)"
else echo "check-mpi: no mpi4py: left out"; fi
if "$python" -c 'import torch.distributed' 2> /dev/null; then
    compare gloo "$(bits run_torch)"
    GLOO_SOCKET_IFNAME=lo slowly gloo "$python" -m torch.distributed.run --nproc_per_node 2 \
        --master_addr 127.0.0.1 examples/ranks.py
else echo "check-mpi: no torch: left out"; fi
[ "$engines" -gt 0 ] || echo "check-mpi: SKIPPED: no MPI, mpi4py or torch"
