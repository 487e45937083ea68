#!/bin/sh
# A benchmark in Python with the peers and their best settings: PEERS=folder with_peers.sh SCRIPT ...
set -eu
peers=${PEERS:-build/peers}
[ -x "$peers/bin/python" ] || { echo "no PyTorch in $peers: run make peers"; exit 1; }
[ -f "$peers/environment" ] && . "$peers/environment"
[ -f "$peers/activate-peers" ] && . "$peers/activate-peers"
export OMP_WAIT_POLICY=passive MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000
exec "$peers/bin/python" "$@"
