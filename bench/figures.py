"""What the code looks like in numbers, beside commit 62e357f, from which the redesign began.

    python bench/figures.py [TREE]        prints a table and writes build/figures.json

Counted over the .c and .h files of src/ and include/, generated tables left out. A function goes
from the first line of its head to the `}` in column 0; its characters are without indentation.
Rooms are the folders of src/, floors the lines of src/floors.txt; an arrow is a pair of rooms of
which one includes from the other, public headers counted as the room that owns them; it points
upward when that room is not on a lower floor; a circle is a set of rooms that reach each other.
"""

import collections
import glob
import json
import math
import os
import re
import sys

# Of 62e357f: lines and functions by this script, rooms and arrows by its rules (that tree has no
# src/floors.txt).
BEFORE = {
    "files": 224,
    "file lines, median": 134,
    "file lines, longest": 599,
    "functions": 2045,
    "function lines, median": 11,
    "function lines, p90": 22,
    "function lines, p99": 35,
    "function lines, longest": 68,
    "function characters, median": 432,
    "function characters, p99": 1657,
    "function characters, longest": 2715,
    "characters a line in functions": 41.1,
    "lines > 100 columns, %": 11.85,
    "lines > 120 columns, %": 6.23,
    "blank lines, %": 9.7,
    "rooms": 26,
    "floors": 9,
    "arrows": 136,
    "upward arrows": 13,
    "circles": 5,
}
GENERATED = re.compile(r"(unicode|character|crc)\w*_tables\.[ch]$")


def sources(tree):
    paths = [
        path
        for top in ("src", "include")
        for path in glob.glob(f"{tree}/{top}/**/*.[ch]", recursive=True)
    ]
    return {
        os.path.relpath(p, tree): open(p, encoding="utf-8").read()
        for p in sorted(paths)
        if not GENERATED.search(p)
    }


def functions(text):
    """The lines of each function: a head that begins in column 0, `{`, a body, `}`."""
    lines, head = text.split("\n"), 0
    for number, line in enumerate(lines):
        if line == "{":
            end = lines.index("}", number)
            yield lines[head : end + 1]
        if not line or line.endswith((";", "*/", "}")) or line.startswith("#"):
            head = number + 1


def quantile(values, share):
    """The smallest value that at least this share of them does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else 0


def density(files):
    lines = [line for text in files.values() for line in text.split("\n")[:-1]]
    bodies = [body for text in files.values() for body in functions(text)]
    spans = [len(body) for body in bodies]
    characters = [sum(len(line.strip()) for line in body) for body in bodies]

    def share(columns):
        return round(100 * sum(len(line) > columns for line in lines) / len(lines), 2)

    return {
        "files": len(files),
        "file lines, median": quantile([text.count("\n") for text in files.values()], 0.5),
        "file lines, longest": max(text.count("\n") for text in files.values()),
        "functions": len(bodies),
        "function lines, median": quantile(spans, 0.5),
        "function lines, p90": quantile(spans, 0.9),
        "function lines, p99": quantile(spans, 0.99),
        "function lines, longest": max(spans),
        "function characters, median": quantile(characters, 0.5),
        "function characters, p99": quantile(characters, 0.99),
        "function characters, longest": max(characters),
        "characters a line in functions": round(sum(characters) / sum(spans), 1),
        "lines > 100 columns, %": share(100),
        "lines > 120 columns, %": share(120),
        "blank lines, %": round(100 * sum(not line for line in lines) / len(lines), 1),
    }


def floors(tree):
    """Each room's floor, and the room of each public header."""
    level, owner, path = {}, {"kdistill.h": ""}, f"{tree}/src/floors.txt"
    for line in open(path, encoding="utf-8") if os.path.exists(path) else []:
        rooms, _, headers = line.split("#")[0].partition(":")
        floor = max(level.values(), default=-1) + 1
        for room in rooms.split():
            level[room] = floor
            owner.update(
                {h if h == "kdistill.h" else "kdistill/" + h: room for h in headers.split()}
            )
    return level, owner


def arrows(files, level, owner):
    reached = collections.defaultdict(set)
    for path, text in files.items():
        room = os.path.dirname(path)[4:]
        if not path.startswith("src/"):
            continue
        for included in re.findall(r'^\s*#include\s+["<]([^">]+)[">]', text, flags=re.M):
            other = owner.get(included) or os.path.dirname(included)
            if other in level and other != room:
                reached[room].add(other)
    return reached


def reachable(reached, start):
    seen, waiting = set(), [start]
    while waiting:
        for other in reached[waiting.pop()] - seen:
            seen.add(other)
            waiting.append(other)
    return seen


def circles(reached):
    beyond = {room: reachable(reached, room) for room in list(reached)}
    return {
        frozenset(other for other in beyond[room] if room in beyond.get(other, ()))
        for room in beyond
        if room in beyond[room]
    }


def house(files, tree):
    level, owner = floors(tree)
    if not level:
        return {}
    reached = arrows(files, level, owner)
    pairs = [(a, b) for a in reached for b in reached[a]]
    return {
        "rooms": len(level),
        "floors": max(level.values()) + 1,
        "arrows": len(pairs),
        "upward arrows": sum(level[b] >= level[a] for a, b in pairs),
        "circles": len(circles(reached)),
    }


def main():
    tree = sys.argv[1] if len(sys.argv) > 1 else "."
    files = sources(tree)
    now = {**density(files), **house(files, tree)}
    print(f"{'':34}{'62e357f':>10}{'now':>10}")
    for name, value in now.items():
        print(f"{name:34}{BEFORE.get(name, ''):>10}{value:>10}")
    print("\n" + __doc__.split("\n\n")[-1].strip())
    os.makedirs("build", exist_ok=True)
    with open("build/figures.json", "w", encoding="utf-8") as out:
        json.dump({"62e357f": BEFORE, "now": now}, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
