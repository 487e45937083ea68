#!/bin/sh
# Outside programs built the ways that hosts build theirs, from an installed copy alone or from the
# sources as a part of theirs.  install.sh MAKE-ARGS...
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
source=$(pwd)
fail() { echo "install: $*"; exit 1; }
ways=0
way() { ways=$((ways + 1)); }
make -s install prefix="$work/place" "$@" > /dev/null
make -s install prefix=/opt/kdistill DESTDIR="$work/stage" "$@" > /dev/null
test -f "$work/stage/opt/kdistill/lib/pkgconfig/kdistill.pc"
if grep -rIl -e "$source" -e "$work" "$work/place" ||
    strings "$work/place/lib/libkdistill.so" | grep -q "$source"; then
    fail "the installed files name the source tree or the folder that they were installed into"
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
export PKG_CONFIG_PATH="$work/place/lib/pkgconfig" LD_LIBRARY_PATH="$work/place/lib"

# ---- pkg-config: C, C++, only what is needed, static, static through the linker's optimizer ----
cc loop.c -o shared $(pkg-config --cflags --libs kdistill) -lm
./shared > /dev/null && way
c++ -std=c++17 distil.cpp -o cpp $(pkg-config --cflags --libs kdistill)
./cpp > /dev/null && way
cc loop.c -o needed -Wl,--as-needed $(pkg-config --cflags --libs kdistill) -lm
./needed > /dev/null && way
static_flags="$(pkg-config --cflags kdistill) $work/place/lib/libkdistill.a
    $(pkg-config --libs --static kdistill | sed 's/-lkdistill//') -lm"
cc loop.c -o static $static_flags
LD_LIBRARY_PATH='' ./static > /dev/null && way
ldd ./static | grep -q kdistill && fail "the static program needs the shared library"
cc -O1 -flto loop.c -o lto $static_flags
LD_LIBRARY_PATH='' ./lto > /dev/null && way
unset LD_LIBRARY_PATH

# ---- find_package, shared and static ----
cat > CMakeLists.txt <<CMAKE
cmake_minimum_required(VERSION 3.18)
project(outside C CXX)
find_package(kdistill 0.1 REQUIRED)
add_executable(a loop.c)
target_link_libraries(a kdistill::kdistill m)
add_executable(b loop.c)
target_link_libraries(b kdistill::static m)
CMAKE
cmake_builds() { # folder, cmake's words ..: the programs a and b
    built=$1
    shift
    cmake -S . -B "$built" "$@" > cmake.log 2>&1 || { cat cmake.log; exit 1; }
    cmake --build "$built" -j "${JOBS:-2}" >> cmake.log 2>&1 || { tail -n 40 cmake.log; exit 1; }
    "./$built/a" > /dev/null && "./$built/b" > /dev/null
}
cmake_builds made -DCMAKE_PREFIX_PATH="$work/place" && way

# ---- Debian's folders, in a tree that is moved after the installation: CMake and pkg-config ----
cd "$source"
make -s install prefix="$work/debian" libdir="$work/debian/lib/x86_64-linux-gnu" "$@" > /dev/null
pc=lib/x86_64-linux-gnu/pkgconfig
if grep -E -- '-L/|-Wl,-rpath|=/' "$work/debian/$pc/kdistill.pc"; then
    fail "kdistill.pc holds a path of this machine"
fi
mv "$work/debian" "$work/moved"
cd "$work/outside"
cmake_builds again -DCMAKE_PREFIX_PATH="$work/moved" \
    -DCMAKE_LIBRARY_ARCHITECTURE=x86_64-linux-gnu && way
cc loop.c -o moved $(PKG_CONFIG_PATH=$work/moved/$pc pkg-config --cflags --libs kdistill) -lm
LD_LIBRARY_PATH="$work/moved/lib/x86_64-linux-gnu" ./moved > /dev/null && way

# ---- the sources as a part of another project; nothing but the targets comes along ----
launcher=
! command -v ccache > /dev/null || launcher="-DCMAKE_C_COMPILER_LAUNCHER=$(command -v ccache)"
for how in add_subdirectory FetchContent; do
    if [ $how = add_subdirectory ]; then
        bring="add_subdirectory(\"$source\" part)"
    else
        bring="include(FetchContent)
FetchContent_Declare(kdistill SOURCE_DIR \"$source\")
FetchContent_MakeAvailable(kdistill)"
    fi
    cat > CMakeLists.txt <<CMAKE
cmake_minimum_required(VERSION 3.18)
project(outside C)
set(CMAKE_C_FLAGS "-O0")
$bring
if(DEFINED BUILD_TESTING OR CMAKE_BUILD_TYPE OR CMAKE_RUNTIME_OUTPUT_DIRECTORY)
  message(FATAL_ERROR "libkdistill changed a setting of its host")
endif()
add_executable(a loop.c)
target_link_libraries(a kdistill::kdistill m)
add_executable(b loop.c)
target_link_libraries(b kdistill::static m)
install(TARGETS a DESTINATION bin)
CMAKE
    cmake_builds $how $launcher -DKDISTILL_BLAS=none && way
    cmake --install $how --prefix "$work/$how" > cmake.log
    [ "$(find "$work/$how" -type f | wc -l)" -eq 1 ] || fail "$how installs the library unasked"
done

cd "$source"
make -s uninstall prefix="$work/place" "$@"
left=$(find "$work/place" ! -type d | head -n 3)
[ -z "$left" ] || fail "uninstall left $left"
[ "$ways" -eq 10 ] || fail "expected 10 ways, $ways worked"
echo "install: outside programs build and run in $ways ways"
