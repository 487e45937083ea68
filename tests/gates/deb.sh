#!/bin/sh
# The Debian packages: lintian is silent, they install into a bare system (debootstrap, or this
# machine where DEB_HERE=yes), their tests pass there, an upgrade keeps them working, and a purge
# leaves nothing.   deb.sh FOLDER
set -eu
debs=$(cd "$1" && pwd)
fail() { echo "deb: $*"; exit 1; }
ls "$debs"/libkdistill0_*.deb "$debs"/libkdistill-dev_*.deb "$debs"/kdistill-tools_*.deb \
    "$debs"/python3-kdistill_*.deb > /dev/null || fail "make deb first"
if command -v lintian > /dev/null; then
    # What a native package of no archive cannot have: a bug that asks for it.
    said=$(lintian -i --pedantic --allow-root --suppress-tags initial-upload-closes-no-bugs \
        "$debs"/*.changes 2>&1 | grep -E '^[EWP]:' || true)
    [ -z "$said" ] || fail "lintian says:
$said"
    echo "deb: lintian is silent"
else
    echo "SKIPPED lintian: not installed"
fi
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
root=${DEB_ROOT:-build/deb-root}
if [ ! -e "$root/ready" ]; then
    command -v debootstrap > /dev/null || { echo "SKIPPED a bare system: no debootstrap"; exit 0; }
    mirror=$(sed -nE 's/^deb (\[.*\] )?([^ ]*) .* main.*/\2/p; s/^URIs: *([^ ]*).*/\1/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null | head -n 1)
    debootstrap --variant=minbase "$suite" "$root" "$mirror" > build/deb-root.log 2>&1 ||
        { tail -n 5 build/deb-root.log; fail "debootstrap cannot make a bare system"; }
    rm -f "$root/etc/apt/sources.list" # debootstrap's: the host's tell the same a second time
    cp /etc/apt/sources.list "$root/etc/apt/" 2> /dev/null || true
    cp /etc/apt/sources.list.d/* "$root/etc/apt/sources.list.d/" 2> /dev/null || true
    cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2> /dev/null || true
    cp /etc/resolv.conf /etc/hosts "$root/etc/" 2> /dev/null || true
    chroot "$root" apt-get -q update >> build/deb-root.log 2>&1
    touch "$root/ready"
fi
inside() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
rm -rf "$root/debs" && mkdir "$root/debs" && cp "$debs"/*.deb "$root/debs/"
rm -f "$root"/debs/*dbgsym*
mpi= skip=--skip-test=ranks
[ ! -e "$(ls "$debs"/libkdistill-mpi-dev_*.deb 2> /dev/null)" ] || mpi=mpi-default-bin skip=
inside apt-get install -y -q --no-install-recommends gcc libc6-dev pkg-config man-db $mpi \
    $(ls "$root/debs" | sed 's|^|/debs/|') > build/deb-install.log 2>&1 ||
    { tail -n 20 build/deb-install.log; fail "the packages do not install"; }
if command -v autopkgtest > /dev/null; then
    autopkgtest -B $skip "$root"/debs/*.deb "$debs"/*.dsc -- \
        chroot "$root" > build/deb-autopkgtest.log 2>&1 || {
        grep -E 'PASS|FAIL|ERROR' build/deb-autopkgtest.log
        fail "autopkgtest fails: build/deb-autopkgtest.log"
    }
    echo "deb: autopkgtest: $(grep -c ' PASS' build/deb-autopkgtest.log) lines of tests that pass"
else
    echo "SKIPPED autopkgtest: not installed; its tests run without it"
fi
cp -r packaging/debian/tests "$root/debs/"
for test in program python commands ${mpi:+ranks}; do
    inside sh -c "mkdir -p /tmp/t && AUTOPKGTEST_TMP=/tmp/t sh /debs/tests/$test" \
        > build/deb-$test.log 2>&1 || {
        tail -n 20 build/deb-$test.log
        fail "the test $test fails"
    }
done
# README's C example, through pkg-config
awk '/^```c$/ { on = !seen++; next } /^```$/ { on = 0 } on' README.md > "$root/tmp/readme.c"
inside sh -c 'cd /tmp &&
    cc -O1 readme.c -o readme $(pkg-config --cflags --libs kdistill) -lm && ./readme' \
    > build/deb-readme.log 2>&1 || { tail build/deb-readme.log; fail "README's example fails"; }
inside dpkg --audit
# An upgrade: from packages of an earlier version, which differ in that and in a file that is gone.
rm -rf "$root/before" && mkdir "$root/before"
version=$(sed -n 's/^VERSION := //p' Makefile)
for deb in "$root"/debs/*.deb; do
    rm -rf build/deb-before
    dpkg-deb -R "$deb" build/deb-before
    sed -i "s/\b$version\b/$version~before/g" build/deb-before/DEBIAN/control
    name=$(sed -n 's/^Package: //p' build/deb-before/DEBIAN/control)
    mkdir -p "build/deb-before/usr/share/$name" && touch "build/deb-before/usr/share/$name/gone"
    dpkg-deb --root-owner-group -b build/deb-before "$root/before/" > build/deb-before.log
done
for from in before debs; do
    inside apt-get install -y -q --allow-downgrades \
        $(ls "$root/$from"/*.deb | sed "s|^$root||") > build/deb-upgrade.log 2>&1 || {
        tail -n 20 build/deb-upgrade.log
        fail "the packages in $from do not install over others"
    }
done
inside sh -c 'test -z "$(dpkg-query -W -f "\${Version}\n" "*kdistill*" | grep before)" &&
    kdistill --version && AUTOPKGTEST_TMP=/tmp/t sh /debs/tests/python' > build/deb-upgrade.log ||
    { tail build/deb-upgrade.log; fail "an upgrade leaves something that does not work"; }
gone=$(find "$root/usr/share" -name gone -path '*kdistill*')
[ -z "$gone" ] || fail "an upgrade leaves $gone"
inside apt-get purge -y -q libkdistill0 libkdistill-dev kdistill-tools python3-kdistill \
    ${mpi:+libkdistill-mpi0 libkdistill-mpi-dev} > build/deb-purge.log 2>&1
left=$(find "$root/usr" "$root/etc" -iname '*kdistill*' | head -n 3)
[ -z "$left" ] || fail "a purge leaves $left"
echo "deb: installed into a bare $suite, tests and README's example pass, an" \
    "upgrade works, a purge leaves nothing"
