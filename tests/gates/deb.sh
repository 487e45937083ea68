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
inside apt-get install -y -q --no-install-recommends gcc libc6-dev pkg-config man-db \
    $(ls "$root/debs" | sed 's|^|/debs/|') > build/deb-install.log 2>&1 ||
    { tail -n 20 build/deb-install.log; fail "the packages do not install"; }
cp -r packaging/debian/tests "$root/debs/"
for test in program python commands; do
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
inside apt-get install -y -q --reinstall $(ls "$root/debs"/*.deb | sed "s|^$root||") \
    > build/deb-upgrade.log 2>&1 || {
    tail -n 20 build/deb-upgrade.log
    fail "installing over itself fails"
}
inside apt-get purge -y -q libkdistill0 libkdistill-dev kdistill-tools python3-kdistill \
    > build/deb-purge.log 2>&1
left=$(find "$root/usr" "$root/etc" -iname '*kdistill*' | head -n 3)
[ -z "$left" ] || fail "a purge leaves $left"
echo "deb: installed into a bare $suite, tests and README's example pass, a purge leaves nothing"
