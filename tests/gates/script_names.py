"""Benchmarks and examples call what the package has: script_names.py MYPY SCRIPT...

mypy must come to an end and find no attribute that is not defined; what else it finds in scripts
without types is not asked for."""

import os
import re
import subprocess
import sys

done = subprocess.run(
    [
        sys.argv[1],
        "--check-untyped-defs",
        "--ignore-missing-imports",
        "--explicit-package-bases",
        *sys.argv[2:],
    ],
    capture_output=True,
    text=True,
    env=dict(os.environ, MYPYPATH="python"),
)
gone = [line for line in done.stdout.splitlines() if "[attr-defined]" in line]
print("\n".join(gone), end="\n" if gone else "")
if not re.search(r"^(Found|Success)", done.stdout, re.MULTILINE):
    sys.exit(f"mypy did not run: {done.stdout[-500:]}{done.stderr[-500:]}")
if gone:
    sys.exit(1)
print(f"scripts: {len(sys.argv) - 2} call names that are there")
