"""The files of the project: what git tracks, or in a release archive all that is not built."""

import os
import subprocess

BUILT = {"build", ".git", "__pycache__"}


def walk(folder):
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - BUILT)
        yield from (os.path.normpath(os.path.join(place, name)) for name in sorted(names))


def files(*folders):
    listed = subprocess.run(["git", "ls-files", *folders], capture_output=True, text=True)
    if os.path.exists(".git") and listed.returncode == 0:
        return listed.stdout.split()
    return [path for folder in folders or (".",) for path in walk(folder)]
