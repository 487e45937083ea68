#!/bin/sh
# What is too much for every change takes turns, chosen by the commit: turn.sh PARTS prints
# TURN/PARTS, turn.sh PARTS WORD .. those words whose turn it is.
set -eu
parts=${1:-1}
[ $# -eq 0 ] || shift
turn=$((0x$(git rev-parse --short=4 HEAD 2> /dev/null || echo 0) % parts))
[ $# -gt 0 ] || exec echo "$turn/$parts"
count=0
for word; do
    [ $((count % parts)) -ne "$turn" ] || printf '%s ' "$word"
    count=$((count + 1))
done
echo
