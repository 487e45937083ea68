"""A file of src/ includes only from its own floor or from below, folders have no circle, and CBLAS is included by one file."""
import collections
import glob
import re
import sys

FLOORS = {"base": 0, "math": 1, "nn": 2}
errors, edges = [], collections.defaultdict(set)
for path in sorted(glob.glob("src/*/*.[ch]")):
    folder = path.split("/")[1]
    for included in re.findall(r'^\s*#include\s+["<]([^">]+)[">]', open(path).read(), flags=re.M):
        parts = included.split("/")
        if included in ("cblas.h", "blis.h") and path != "src/math/blas.c":
            errors.append(f"{path}: only src/math/blas.c includes {included}")
        if len(parts) != 2 or parts[0] in ("kdistill", "sys"):
            continue
        if FLOORS.get(parts[0], 3) > FLOORS.get(folder, 3):
            errors.append(f"{path}: {included} lies on a higher floor")
        if parts[0] != folder:
            edges[folder].add(parts[0])


def visit(folder, trail):
    if folder in trail:
        errors.append("a circle: " + " -> ".join(trail[trail.index(folder):] + [folder]))
        return
    for other in sorted(edges[folder]):
        visit(other, trail + [folder])


for folder in sorted(edges):
    visit(folder, [])
if errors:
    sys.exit("\n".join(sorted(set(errors))[:20]))
print("layers: no upward include, no circle")
