"""Sizes that a reader can hold: files of at most 600 lines, functions of at most 70; no word of any machine's paths; no tab, no trailing space."""
import re
import subprocess
import sys

errors = []
files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split()
for path in files:
    if not re.search(r"\.(c|h|cpp|py|sh|md|mk)$|Makefile$", path) or "goldens.h" in path or path.endswith("unicode_tables.h") or path.startswith("lib/abi") or path.endswith("_api.py"):
        continue
    lines = open(path, encoding="utf-8").read().split("\n")
    limit = 900 if path.startswith(("tests/", "python/")) else 600
    if len(lines) > limit and not path.endswith(".md"):
        errors.append(f"{path}: {len(lines)} lines, at most {limit}")
    start = None
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            errors.append(f"{path}:{number}: space at the end")
        if "\t" in line and not path.endswith(("Makefile", ".mk")):
            errors.append(f"{path}:{number}: a tab")
        if re.search(r"(^|[^\w./-])/(root|work|home)/", line):
            errors.append(f"{path}:{number}: a path of one machine")
        if path.startswith("src/") and line == "{":
            start = number
        if path.startswith("src/") and line == "}" and start:
            if number - start > 70:
                errors.append(f"{path}:{start}: a function of {number - start} lines")
            start = None
if errors:
    sys.exit("\n".join(errors[:30]))
print(f"style: {len(files)} files")
