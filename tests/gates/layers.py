"""src/floors.txt lists every folder of src/, lowest first: a file includes only from its own folder
and from lower floors, public headers counted; what is not C11 is included by
one file of each kind (base/os_posix.c, math/blas.c); no two files of src/
have one name; every file says at its top what lives there."""

import collections
import glob
import os
import re
import sys

PREFIX = {"kdistill.h": ""}
# Headers that every C11 compiler has; all others have their places.
STANDARD = """complex ctype errno float inttypes limits locale math stdarg stdatomic stddef
stdint stdio stdlib string time"""
STANDARD = {name + ".h" for name in STANDARD.split()}
PLACES = {
    "pthread.h": r"src/base/thread\.c|src/core/store/store\.h",
    "immintrin.h": r"src/math/.*",
    "arm_neon.h": r"src/math/.*",
    "cpuid.h": r"src/math/cpu\.c",
    "cblas.h": r"src/math/blas\.c",
    "blis.h": r"src/math/blas\.c",
    "zlib.h": r"src/base/file\.c",
}
SYSTEM = r"src/base/os_\w+\.c|src/tool/.*"
floors, owners, errors = {}, {}, []
for number, line in enumerate(open("src/floors.txt", encoding="utf-8")):
    folders, _, headers = line.split("#")[0].partition(":")
    for folder in folders.split():
        floors[folder] = number
        owners.update({PREFIX.get(h, "kdistill/") + h: folder for h in headers.split()})


def check(path, folder, included):
    if included.startswith("kdistill/") and included not in owners:
        errors.append(f"{path}: {included} has no folder in src/floors.txt")
    other = owners.get(included) or os.path.dirname(included)
    if other == folder or other not in floors:
        return
    if floors[other] >= floors[folder]:
        errors.append(f"{path}: {included} is not on a floor below {folder}")


names = collections.defaultdict(list)
for path in sorted(glob.glob("src/**/*.[ch]", recursive=True)):
    folder = os.path.dirname(path)[4:]
    names[os.path.basename(path)].append(path)
    text = open(path, encoding="utf-8").read()
    if folder not in floors:
        errors.append(f"{path}: {folder} is not in src/floors.txt")
        continue
    if not text.startswith("/*"):
        errors.append(f"{path}: no comment at its top says what lives here")
    for included in re.findall(r'^\s*#include\s+["<]([^">]+)[">]', text, flags=re.M):
        check(path, folder, included)
    for included in re.findall(r"^\s*#include\s+<([^>]+)>", text, flags=re.M):
        place = PLACES.get(included, SYSTEM)
        if included in STANDARD or included in owners or re.fullmatch(place, path):
            continue
        errors.append(f"{path}: <{included}> belongs into {place}; base/os.h has what is needed")
errors += [" and ".join(paths) + " have one name" for paths in names.values() if len(paths) > 1]
errors += [f"include/{h}: no such header" for h in owners if not os.path.exists(f"include/{h}")]
if errors:
    sys.exit("\n".join(sorted(errors)))
print(f"layers: {len(floors)} folders, no upward include, no name twice")
