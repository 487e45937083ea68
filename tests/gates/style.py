"""Sizes that a reader can hold: files of at most 600 lines, lines of at most 100 columns, functions
of at most 70 lines; no word of any machine's paths; no tab, no trailing space."""

import re
import sys

import tree

# Files of the Python package that python/generate.py writes, and what goldens and tables are made.
MADE = re.compile(
    r"python/kdistill/(_api|enums|options|results)\.py$"
    r"|goldens\.h$|/(unicode|character|crc)_tables\.h$|^lib/abi|^tests/goldens/vectors\.h$"
)
CODE = re.compile(r"\.(c|h|cpp|py|sh)$")
READ = re.compile(r"\.(c|h|cpp|py|sh|md|mk)$|Makefile$")
LINES, COLUMNS, FUNCTION = 600, 100, 70
#: Tests of many cases by one rule, benchmarks of many parts.
LONG = re.compile(r"^(bench|tests/(gates|property|python|internal|unit))/")


def sizes(path, lines):
    """Too many lines, too many columns."""
    most = 900 if LONG.match(path) else LINES
    if len(lines) > most and not path.endswith(".md"):
        yield f"{path}: {len(lines)} lines, at most {most}"
    for number, line in enumerate(lines, 1):
        if CODE.search(path) and len(line) > COLUMNS:
            yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS}"


def marks(path, lines):
    """Spaces, tabs and paths that do not belong."""
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield f"{path}:{number}: space at the end"
        if "\t" in line and not path.endswith(("Makefile", ".mk")):
            yield f"{path}:{number}: a tab"
        if re.search(r"(^|[^\w./-])/(root|work|home)/", line):
            yield f"{path}:{number}: a path of one machine"


def functions(path, lines):
    """Functions of the library that are too long."""
    start = 0
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        if line == "}" and start and number - start > FUNCTION:
            yield f"{path}:{start}: a function of {number - start} lines"


errors = []
files = [path for path in tree.files() if READ.search(path) and not MADE.search(path)]
for path in files:
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    errors += [*sizes(path, lines), *marks(path, lines)]
    errors += functions(path, lines) if path.startswith("src/") else []
if errors:
    sys.exit("\n".join(errors[:30]))
print(f"style: {len(files)} files")
