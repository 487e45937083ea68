"""What every package is made of: the version, the commit's time, the sources and their flags."""

import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUMMARY = "Knowledge distillation on CPUs: small models learn from large ones"
#: 1980 is the first year of a zip file.
FIRST_TIME = 315532800
PLAIN = ["-std=gnu11", "-fPIC", "-fvisibility=hidden", "-pthread", "-DKD_BLAS_NONE"]
KERNELS = ["-ffp-contract=fast", "-fno-math-errno"]
#: Flags of the three files that the Makefile compiles with flags of their own.
FLAGS = {
    "src/math/kernels_portable.c": KERNELS,
    "src/math/kernels_avx2.c": [*KERNELS, "-mavx2", "-mfma", "-mf16c"],
    "src/math/kernels_avx512.c": [
        *KERNELS,
        *("-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma".split()),
        "-mprefer-vector-width=512",
    ],
}


def path(*parts):
    """A path in the tree."""
    return os.path.join(ROOT, *parts)


def read(*parts):
    """A file's text."""
    with open(path(*parts), encoding="utf-8") as file:
        return file.read()


def version():
    """The version that the header tells, as "0.2.0"."""
    header = read("include", "kdistill", "status.h")
    return ".".join(
        re.search(rf"#define KD_VERSION_{part} (\d+)", header)[1]
        for part in ("MAJOR", "MINOR", "PATCH")
    )


def git(*words):
    """What git says of this tree, or None where it is no checkout of its own."""
    if not os.path.exists(path(".git")):
        return None
    done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def time():
    """Seconds since 1970 of all files in packages: SOURCE_DATE_EPOCH, or the last commit's."""
    given = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct")
    if not given and os.path.exists(path("PKG-INFO")):  # an unpacked sdist
        given = os.stat(path("PKG-INFO")).st_mtime
    return max(int(float(given or FIRST_TIME)), FIRST_TIME)


def files(*folders, ends=""):
    """Files below folders, sorted; those of git where this is a checkout."""
    known = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders)
    if known is not None:
        found = [name for name in known.split("\0") if name and os.path.isfile(path(name))]
    else:
        found = []
        for folder in folders:
            if os.path.isfile(path(folder)):
                found.append(folder)
            for at, _, names in os.walk(path(folder)):
                found += [os.path.relpath(os.path.join(at, name), ROOT) for name in names]
        found = [name for name in found if "__pycache__" not in name]
    return sorted(name.replace(os.sep, "/") for name in found if name.endswith(ends))


def sources(processor):
    """The library's C files for a processor, as in the Makefile."""
    kernels = ["src/math/kernels_portable.c"]
    if processor in ("x86_64", "AMD64"):
        kernels = list(FLAGS)
    others = [
        name for name in files("src", ends=".c") if not re.match(r"src/(tool/|math/kernels_)", name)
    ]
    return sorted(others + kernels)
