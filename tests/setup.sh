#!/bin/sh
# Installs the Debian packages that building, the demo and the tests need, or those that are named;
# as root, or through sudo.
set -eu
packages="gcc g++ make libc6-dev pkg-config libopenblas-dev libblis-dev zlib1g-dev check
    dataset-fashion-mnist python3 python3-numpy clang libclang-rt-14-dev
    abigail-tools cmake binutils"
[ $# -eq 0 ] || packages="$*"
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -z "$missing" ] && { echo "setup: everything is installed"; exit 0; }
as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
$as_root apt-get update -q
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing
