"""Reads the public headers: constants, structs, callbacks and functions, with their comments.

What the generators of the binding and of the reference pages share. It knows the headers' style
(docs/developing.md), not C: one `#define` a constant, one `typedef struct kd_x { ... } kd_x;` a
struct, every function marked KD_API.
"""

from __future__ import annotations

import glob
import os
import re
from typing import NamedTuple

INCLUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "include")
COMMENT = re.compile(r"/\*.*?\*/", flags=re.S)
FUNCTIONS = re.compile(
    r"(/\*(?:(?!\*/).)*\*/\n)?((?:KD_API [^;]+;(?:[ \t]*/\*(?:(?!\*/).)*\*/)?\n)+)", flags=re.S
)
STRUCT = re.compile(r"(/\*(?:(?!\*/).)*\*/\n)?typedef struct (kd_\w+) \{(.*?)\n\} \2;", flags=re.S)


class Constant(NamedTuple):
    """`#define NAME value`, and the comment on its line."""

    name: str
    value: int
    comment: str


class Field(NamedTuple):
    """A member of a struct: `declaration` is its C text without the name's comment."""

    name: str
    base: str
    stars: int
    length: str
    callback: str
    comment: str


class Struct(NamedTuple):
    """A struct with the comment above it."""

    name: str
    fields: list[Field]
    comment: str


class Function(NamedTuple):
    """A function with the comment above the block of prototypes that it stands in."""

    header: str
    result: str
    name: str
    parameters: list[str]
    comment: str


def read(name: str) -> str:
    """The text of a header, "loss" or "../kdistill"."""
    with open(os.path.join(INCLUDE, "kdistill", name + ".h"), encoding="utf-8") as file:
        return file.read()


def order() -> list[str]:
    """The headers that declare something, each after those that it includes."""
    found: list[str] = []

    def visit(name: str) -> None:
        for inner in re.findall(r"^#include <kdistill/(\w+)\.h>", read(name), flags=re.M):
            if inner not in found:
                visit(inner)
        if name not in found and "\nKD_API " in read(name):
            found.append(name)

    visit("../kdistill")
    for path in sorted(glob.glob(os.path.join(INCLUDE, "kdistill", "*.h"))):
        visit(os.path.basename(path)[:-2])
    return found


def tidy(comment: str | None) -> str:
    """The text of a comment without its marks; "" for the titles of sections."""
    if not comment or comment.startswith("/* ----"):
        return ""
    lines = comment.strip()[2:-2].strip().split("\n")
    return "\n".join(re.sub(r"^\s*\* ?", "", line).rstrip() for line in lines)


def one_line(comment: str | None) -> str:
    """A comment as one line with single spaces."""
    return " ".join(tidy(comment).split())


def without_comments(text: str) -> str:
    """C without its comments."""
    return COMMENT.sub("", text)


def split(parameters: str) -> list[str]:
    """The parameters of a prototype, one each."""
    parameters = " ".join(parameters.split())
    return [] if parameters in ("", "void") else [p.strip() for p in parameters.split(",")]


def constants() -> list[Constant]:
    """Every constant with a number, with the comment after it or on the lines above it."""
    pattern = (
        r"(\n?)(?:^(/\*(?:[^*]|\*(?!/))*\*/)\n)?"
        r"^#define (KD_[A-Z0-9_]+) \(?(-?\d+)\)?(?:[ \t]*(/\*.*?\*/))?[ \t]*$"
    )
    made = []
    for name in order():
        for blank, above, key, value, after in re.findall(pattern, read(name), flags=re.M | re.S):
            comment = one_line(after) or ("" if blank and _title(above) else one_line(above))
            made.append(Constant(key, int(value), comment))
    return made


def _title(comment: str) -> bool:
    """A sentence, or a section's line: after a blank line it is about the whole group."""
    return comment.startswith("/* ----") or comment.endswith(". */")


def declaration(text: str) -> tuple[str, int, str, str]:
    """Takes `const kd_array *const *parts[2]` apart: base, stars, length, name."""
    text = re.sub(r"\bconst\b", "", text).strip()
    length = re.search(r"\[(\w+)\]$", text)
    text = text[: length.start()] if length else text
    match = re.match(r"(\w+)\s*([*\s]*)(\w*)$", text)
    if match is None:
        raise ValueError(f"a declaration of an unknown form: {text}")
    return match.group(1), match.group(2).count("*"), length.group(1) if length else "", match[3]


def _members(text: str, comment: str) -> list[Field]:
    callback = re.match(r"(.+?)\(\*(\w+)\)\((.*)\)$", text, flags=re.S)
    if callback:
        return [Field(callback.group(2), "", 0, "", text, comment)]
    match = re.match(r"((?:const )?\w+ ?\**(?:const ?\*)?)(.*)$", text)
    if match is None:
        raise ValueError(f"a member of an unknown form: {text}")
    made = []
    for piece in match.group(2).split(","):
        base, stars, length, name = declaration(match.group(1) + piece.strip())
        made.append(Field(name, base, stars, length, "", comment))
    return made


def members(body: str) -> list[Field]:
    """The members of a struct's body, each with the comment after it or on the lines above it."""
    comments: list[str] = []

    def keep(match: re.Match[str]) -> str:
        comments.append(match.group(0))
        return f"@{len(comments) - 1}@"

    made = []
    for text, after in re.findall(r"([^;]+);[ \t]*(?:@(\d+)@)?", COMMENT.sub(keep, body)):
        above = re.search(r"@(\d+)@", text)
        number = after or (above.group(1) if above else "")
        plain = " ".join(re.sub(r"@\d+@", "", text).split())
        made += _members(plain, one_line(comments[int(number)]) if number else "")
    return made


def structs() -> list[Struct]:
    """Every struct whose members are public."""
    made = []
    for name in order():
        for comment, tag, body in STRUCT.findall(read(name)):
            made.append(Struct(tag, members(body), tidy(comment)))
    return made


def functions() -> list[Function]:
    """Every function, in the headers' order."""
    made = []
    prototype = r"KD_API ([\w\s*]+?)\b(kd_\w+)\s*\(([^)]*)\);"
    for header in order():
        for comment, block in FUNCTIONS.findall(read(header)):
            for result, name, parameters in re.findall(prototype, without_comments(block)):
                made.append(
                    Function(header, result.strip(), name, split(parameters), tidy(comment))
                )
    return made
