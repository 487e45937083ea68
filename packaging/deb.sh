#!/bin/sh
# Builds the Debian packages out of the last commit (with ANYWAY=yes: out of the files as they are)
# into a folder, unsigned: deb.sh OUT
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
version=$(sed -n 's/^VERSION := //p' Makefile)
for tool in dh dh_python3 dpkg-buildpackage; do
    command -v $tool > /dev/null || {
        echo "deb: no $tool: sh tests/setup.sh debhelper dh-python dpkg-dev installs it"
        exit 1
    }
done
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
tree=$work/libkdistill-$version
mkdir "$tree"
if [ -n "${ANYWAY:-}" ]; then
    git ls-files --cached --others --exclude-standard | tar cf - -T - | tar xf - -C "$tree"
else
    git archive HEAD | tar xf - -C "$tree"
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
cp -r "$tree/packaging/debian" "$tree/debian"
maintainer=$(sed -n 's/^Maintainer: //p' packaging/debian/control)
moment=$(LC_ALL=C TZ=UTC date -R -d "@$SOURCE_DATE_EPOCH")
cat > "$tree/debian/changelog" << CHANGELOG
libkdistill ($version) unstable; urgency=medium

  * See /usr/share/doc/libkdistill-dev/changelog.gz of this version.

 -- $maintainer  $moment
CHANGELOG
profile=
[ -e /usr/bin/mpicc ] || {
    profile=-Ppkg.libkdistill.nompi
    echo "deb: without libkdistill-mpi0 and -dev: no mpicc (Debian: mpi-default-dev)"
}
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd "$tree" && env -u MAKEFLAGS -u MAKELEVEL PATH=/usr/bin:/bin:/usr/sbin:/sbin \
    dpkg-buildpackage $profile -us -uc -j"${JOBS:-$(nproc)}" > "$work/log" 2>&1) || {
    tail -n 60 "$work/log"
    exit 1
}
rm -f "$out"/*kdistill*
find "$work" -maxdepth 1 -type f -name '*kdistill*' -exec cp {} "$out/" \;
cp "$work/log" "$out/log"
ls -l "$out"/*.deb
