"""Compiles the library for one target without make: with `zig cc` for any, or the machine's CC."""

import concurrent.futures
import os
import platform
import shlex
import subprocess
import sys

import tree

SONAME = "libkdistill.so.0"
#: Wheels carry no unwinding tables: C needs none, and they are a seventh of the library.
SMALL = (
    "-ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables"
).split()
ELF = (
    "-shared -s -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,defs "
    f"-Wl,--build-id=none -Wl,-soname,{SONAME} -Wl,--version-script=lib/libkdistill.map"
).split()
#: What runs once for each number is compiled for speed, the rest for size.
FAST = ("src/math/", "src/nn/", "src/core/loss/rows", "src/core/optimizer/", "src/audio/mel_")


class Target:
    """A system and processor: the tags of its wheels, and how zig names it."""

    def __init__(self, name, zig, tags, processor):
        self.name, self.zig, self.tags = name, zig, tags
        self.processor = processor


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


def _object(folder, source):
    return os.path.join(folder, source[4:-2].replace("/", "-") + ".o")


def build(folder, target=None, compiler=None):
    """Builds the shared library into a folder.

    target: one of TARGETS, by zig. Without one `compiler` (or $CC, or cc) builds for this machine.
    Returns the library's path.
    """
    os.makedirs(folder, exist_ok=True)
    processor = target.processor if target else platform.machine()
    extra = {}
    if target:
        compiler = [*zig_command(), "cc", "-target", target.zig, "-fno-sanitize=undefined"]
        extra = {"ZIG_GLOBAL_CACHE_DIR": os.path.join(os.path.dirname(folder), "zig-cache")}
        extra["ZIG_LOCAL_CACHE_DIR"] = extra["ZIG_GLOBAL_CACHE_DIR"]
    compiler = compiler or shlex.split(os.environ.get("CC", "cc"))
    prefix = f"-ffile-prefix-map={tree.ROOT}=."
    common = [*compiler, *tree.PLAIN, *SMALL, prefix, "-Iinclude", "-Isrc"]

    def compile_one(source):
        speed = "-O3" if source.startswith(FAST) else "-Os"
        made = _object(folder, source)
        _run([*common, speed, *tree.FLAGS.get(source, []), "-c", source, "-o", made], extra)
        return made

    names = tree.sources(processor)
    jobs = int(os.environ.get("JOBS") or os.cpu_count())
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        objects = list(pool.map(compile_one, names))
    library = os.path.join(folder, SONAME)
    _run([*compiler, *ELF, "-o", library, *objects, "-lm", "-pthread"], extra)
    return library


if __name__ == "__main__":
    print(build(os.path.abspath(sys.argv[1]), TARGETS[sys.argv[2]] if sys.argv[2:] else None))
