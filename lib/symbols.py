"""Lists the functions that the public headers declare; --map prints the linker's version script for
them.

    python3 lib/symbols.py            one name a line
    python3 lib/symbols.py --new 0.2  those that no list of an earlier version has: what `make
                                      record-symbols` writes
    python3 lib/symbols.py --map      lib/libkdistill.map
Names that an earlier version had stay in that version's node (lib/symbols-VERSION.txt); the rest
belong to the current one."""

import glob
import os
import re
import sys

here = os.path.dirname(os.path.abspath(__file__))


def declared():
    names = set()
    for path in glob.glob(os.path.join(here, "..", "include", "kdistill", "*.h")):
        text = re.sub(r"/\*.*?\*/", "", open(path).read(), flags=re.S)
        names |= set(re.findall(r"KD_API[^;{]*?\b(kd_\w+)\s*\(", text))
    return sorted(names)


def nodes():
    """[(version, names)] of the recorded lists, oldest first."""
    found = []
    for path in glob.glob(os.path.join(here, "symbols-*.txt")):
        version = re.search(r"symbols-(.*)\.txt", path).group(1)
        found.append(
            (tuple(int(x) for x in version.split(".")), version, open(path).read().split())
        )
    return [(version, names) for _, version, names in sorted(found)]


def script():
    lines, before, left = [], None, set(declared())
    for version, names in nodes():
        lines += [f"KDISTILL_{version} {{", "  global:"] + [f"    {name};" for name in names]
        if before is None:
            lines += ["  local:", "    *;"]
        lines += [f"}}{' KDISTILL_' + before if before else ''};"]
        left -= set(names)
        before = version
    if left:
        sys.exit(
            "declared but in no recorded list: "
            + " ".join(sorted(left))
            + "\n(run: make record-symbols)"
        )
    return "\n".join(lines)


def added(current):
    """Names that no version before `current` has."""
    number = tuple(int(x) for x in current.split("."))
    before = {
        name
        for version, names in nodes()
        if tuple(int(x) for x in version.split(".")) < number
        for name in names
    }
    return [name for name in declared() if name not in before]


if __name__ == "__main__":
    if "--new" in sys.argv:
        print("\n".join(added(sys.argv[sys.argv.index("--new") + 1])))
    else:
        print(script() if "--map" in sys.argv else "\n".join(declared()))
