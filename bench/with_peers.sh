#!/bin/sh
# A benchmark in Python with the peers: PEERS=folder with_peers.sh SCRIPT ...
# malloc keeps big blocks, which PyTorch needs most. How a rival's threads wait and how many there
# are is tried for each rival and each work by bench/rivals.py.
set -eu
peers=${PEERS:-build/peers}
[ -x "$peers/bin/python" ] || { echo "no PyTorch in $peers: run make peers"; exit 1; }
[ -f "$peers/environment" ] && . "$peers/environment"
[ -f "$peers/activate-peers" ] && . "$peers/activate-peers"
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000
exec "$peers/bin/python" "$@"
