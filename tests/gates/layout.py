"""Structs of a recorded header keep the place, size and type of every field: `layout.py OLD_INCLUDE
NEW_INCLUDE`.

abidiff's suppression for structs that grow at their end also hides fields whose type changed, so
this looks at the layouts themselves: one C program, written from the old headers, is compiled
against both folders and must print the same."""

import glob
import os
import re
import subprocess
import sys
import tempfile

KINDS = [
    "int32_t",
    "uint32_t",
    "int64_t",
    "uint64_t",
    "float",
    "double",
    "const char *",
    "char *",
    "void *",
    "const void *",
]


def structs(folder):
    for path in sorted(glob.glob(os.path.join(folder, "kdistill", "*.h"))):
        text = re.sub(r"/\*.*?\*/", "", open(path).read(), flags=re.S)
        for name, body in re.findall(r"typedef struct (kd_\w+) \{(.*?)\n\} \1;", text, flags=re.S):
            yield (
                name,
                [field for line in body.split(";") if line.strip() for field in fields(line)],
            )


def fields(declaration):
    callback = re.search(r"\(\*(\w+)\)", declaration)
    if callback:
        return [callback.group(1)]
    return [
        re.search(r"(\w+)(\[\w+\])?$", piece.strip()).group(1) for piece in declaration.split(",")
    ]


def field_now(field, index, now):
    """What stands in its place: a reserved field may have got a name."""
    given = field.startswith("reserved") and field not in now and index < len(now)
    return now[index] if given else field


def program(folder, now):
    """Prints the recorded fields of `folder`; `now`: the fields of each struct that is compiled."""
    cases = " ".join(f'{kind}: "{kind}",' for kind in KINDS)
    lines = [
        "#include <kdistill.h>",
        "#include <stddef.h>",
        "#include <stdio.h>",
        f'#define KIND(x) _Generic((x), {cases} default: "other")',
        "int main(void) {",
    ]
    for name, names in structs(folder):
        for index, field in enumerate(names):
            here = field_now(field, index, now.get(name, names))
            lines.append(
                f'printf("{name}.{field} at %zu, %zu bytes, %s\\n", offsetof({name}, '
                f"{here}), sizeof((({name} *)0)->{here}), KIND((({name} *)0)->{here}));"
            )
    return "\n".join(lines + ["return 0; }"])


def printed(work, source, folder):
    with open(os.path.join(work, "layout.c"), "w") as file:
        file.write(source)
    binary = os.path.join(work, "layout")
    subprocess.run(
        [
            os.environ.get("CC", "cc"),
            "-std=c11",
            "-I" + folder,
            os.path.join(work, "layout.c"),
            "-o",
            binary,
        ],
        check=True,
    )
    return subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()


def main(old, new):
    with tempfile.TemporaryDirectory() as work:
        before = printed(work, program(old, {}), old)
        after = printed(work, program(old, dict(structs(new))), new)
    for b, a in zip(before, after):
        if a != b:
            print(f"{b} in {old}; now {a}")
    if before != after:
        sys.exit(
            "a field moved. A break on purpose: make record-abi, and a line with the "
            "reason in CHANGELOG.md"
        )
    print(f"layout: {len(before)} recorded fields stand where they stood")


main(*sys.argv[1:])
