#!/bin/sh
# An outside program built through pkg-config and CMake, shared and static, C and C++, from an
# installed copy alone.  install.sh MAKE-ARGS...
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
source=$(pwd)
make -s install prefix="$work/place" "$@" > /dev/null
make -s install prefix=/opt/kdistill DESTDIR="$work/stage" "$@" > /dev/null
test -f "$work/stage/opt/kdistill/lib/pkgconfig/kdistill.pc"
if grep -rIl "$source" "$work/place" ||
    strings "$work/place/lib/libkdistill.so" | grep -q "$source"; then
    echo "the installed files name the source tree"
    exit 1
fi
# The command runs from where it was put, by both of its names.
env -i "$work/place/bin/kdistill" --version > /dev/null
env -i "$work/place/bin/kdistill-store" --help > /dev/null
env -i "$work/place/bin/kdistill" train --init classifier > "$work/recipe.json"
for page in kdistill kdistill-train kdistill-store; do
    test -f "$work/place/share/man/man1/$page.1"
done
mkdir "$work/outside"
cp examples/loop.c examples/check.h examples/own_model.c examples/distil.cpp "$work/outside/"
cd "$work/outside"
export PKG_CONFIG_PATH="$work/place/lib/pkgconfig"
cc loop.c -o shared $(pkg-config --cflags --libs kdistill) -lm
LD_LIBRARY_PATH="$work/place/lib" ./shared > /dev/null
cc loop.c -o static $(pkg-config --cflags kdistill) "$work/place/lib/libkdistill.a" \
    $(pkg-config --libs --static kdistill | sed 's/-lkdistill//') -lm
./static > /dev/null
if ldd ./static | grep -q kdistill; then
    echo "the static program needs the shared library"
    exit 1
fi
c++ -std=c++17 distil.cpp -o cpp $(pkg-config --cflags --libs kdistill)
LD_LIBRARY_PATH="$work/place/lib" ./cpp > /dev/null
cat > CMakeLists.txt <<CMAKE
cmake_minimum_required(VERSION 3.18)
project(outside C CXX)
find_package(kdistill 0.1 REQUIRED)
add_executable(a loop.c)
target_link_libraries(a kdistill::kdistill m)
add_executable(b loop.c)
target_link_libraries(b kdistill::static m)
CMAKE
cmake -S . -B made -DCMAKE_PREFIX_PATH="$work/place" > cmake.log
cmake --build made >> cmake.log 2>&1 || { cat cmake.log; exit 1; }
./made/a > /dev/null && ./made/b > /dev/null
# Debian's folders, in a tree that is moved after the installation.
cd "$source"
make -s install prefix="$work/debian" libdir="$work/debian/lib/x86_64-linux-gnu" "$@" > /dev/null
if grep -E -- '-L/usr|-Wl,-rpath' "$work/debian/lib/x86_64-linux-gnu/pkgconfig/kdistill.pc"; then
    echo "kdistill.pc holds a path of this machine"
    exit 1
fi
mv "$work/debian" "$work/moved"
cd "$work/outside"
cmake -S . -B again -DCMAKE_PREFIX_PATH="$work/moved" \
    -DCMAKE_LIBRARY_ARCHITECTURE=x86_64-linux-gnu > cmake.log
cmake --build again >> cmake.log 2>&1 || { cat cmake.log; exit 1; }
./again/a > /dev/null && ./again/b > /dev/null
cd "$source"
make -s uninstall prefix="$work/place" "$@"
left=$(find "$work/place" ! -type d | head -n 3)
[ -z "$left" ] || { echo "uninstall left: $left"; exit 1; }
echo "install: outside programs build and run, shared and static, C and C++, pkg-config and CMake"
