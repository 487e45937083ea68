"""The Makefile, CMakeLists.txt and packaging/tree.py compile the same files, and the kernels with
the same flags of their own; the version is the same wherever it stands."""

import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, "packaging")
import tree

errors = []
KERNELS = [name for name in tree.FLAGS]


def said(*words):
    """What a command prints."""
    made = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(words, check=True, capture_output=True, text=True, env=made).stdout


def own_flags(words):
    """Flags of instruction sets and arithmetic, which differ by file."""
    return sorted(w for w in words if re.match(r"-m|-ffp-contract|-fno-math-errno", w))


def compare(what, mine, others):
    """Notes where two lists differ."""
    for name in sorted(set(mine) ^ set(others)):
        where = "the Makefile" if name in mine else what
        errors.append(f"{name}: only {where} compiles it")


make = said("make", "-s", "print-sources").split()
compare("packaging/tree.py", make, tree.sources(os.uname().machine))

with tempfile.TemporaryDirectory() as folder:
    said("cmake", "-S", ".", "-B", folder, "-DKDISTILL_BLAS=none", "-DKDISTILL_TESTS=OFF",
         "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")  # fmt: skip
    with open(folder + "/compile_commands.json", encoding="utf-8") as file:
        commands = {os.path.relpath(c["file"]): c["command"].split() for c in json.load(file)}
compare("CMakeLists.txt", make, commands)

for name in set(KERNELS) & set(make):
    made = "build/obj/" + name[4:-2] + ".o"
    lines = said("make", "-n", "-B", "BLAS=none", made).splitlines()
    line = next(each for each in lines if f" -c {name} " in each)
    expected = own_flags(line.split())
    for what, flags in (
        ("packaging/tree.py", tree.FLAGS[name]),
        ("CMakeLists.txt", commands[name]),
    ):
        if own_flags(flags) != expected:
            errors.append(f"{name}: {what} has {own_flags(flags)}, the Makefile {expected}")

for path, pattern in {
    "Makefile": r"^VERSION := (\S+)",
    "python/pyproject.toml": r'^version = "(\S+)"',
    "CHANGELOG.md": r"^## (\S+)",
}.items():
    found = re.search(pattern, tree.read(path), re.M)[1]
    if found != tree.version():
        errors.append(f"{path}: version {found}, include/kdistill/status.h has {tree.version()}")

if errors:
    sys.exit("\n".join(errors))
print(f"lists: {len(make)} sources agree in the Makefile, CMake and the wheels")
