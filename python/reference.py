"""Writes docs/reference/python.md from the package itself: signatures, defaults, docstrings.

    python3 python/reference.py

The library must be built: the defaults are those that it gives.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import os
import re
import sys
import textwrap
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import kdistill as kd  # noqa: E402
from kdistill import _api  # noqa: E402

import generate  # noqa: E402
import headers  # noqa: E402

PAGE = os.path.join(HERE, "..", "docs", "reference", "python.md")
SECTIONS = ("Parameters", "Other Parameters", "Returns", "Raises", "Attributes")
WIDTH = 100


def c_names(member: Any, owner: type | None = None) -> list[str]:
    """The C functions that a wrapper calls, by its source and by the names its class holds."""
    function = member.fget if isinstance(member, property) else inspect.unwrap(member)
    plain: Any = getattr(function, "__func__", function)
    source = inspect.getsource(plain)
    held = [getattr(owner, name, None) for name in re.findall(r"\bself\.(_\w+)", source)]
    found = dict.fromkeys([*re.findall(r"\bkd_\w+", source), *filter(None, held)])
    return [name for name in found if name in _api.FUNCTIONS]


def _annotation(text: Any) -> str:
    return str(text).strip("'").replace('"', "")


def _value(value: Any) -> str:
    if isinstance(value, enum.Enum):
        kind = type(value).__name__
        return f"{kind}.{value.name}" if value.name else f"{kind}({value.value})"
    return repr(value)


def _parameter(parameter: inspect.Parameter) -> str:
    made: str = parameter.name
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        made = ("*" if parameter.kind is parameter.VAR_POSITIONAL else "**") + made
    if parameter.annotation is not parameter.empty:
        made += f": {_annotation(parameter.annotation)}"
    default = parameter.default
    if parameter.name in ("end_token", "stop_token") and default is not parameter.empty:
        default = kd.EndToken(default)  # an int, as ids are, but never an id by default
    if default is not parameter.empty:
        made += f" = {_value(default)}"
    return made


def signature(name: str, function: Any, constructor: bool = False) -> list[str]:
    """A function's head as code, one parameter a line where it is long."""
    own = inspect.signature(function)
    parameters = [p for p in own.parameters.values() if p.name not in ("self", "cls")]
    parts: list[str] = []
    starred = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts, starred = [*parts, "*"], True
        parts.append(_parameter(parameter))
    empty = own.return_annotation is own.empty
    end = ")" if constructor or empty else f") -> {_annotation(own.return_annotation)}"
    line = f"{name}({', '.join(parts)}{end}"
    if len(line) <= WIDTH:
        return ["```python", line, "```"]
    return ["```python", f"{name}(", *(f"    {part}," for part in parts), end, "```"]


def _entries(title: str, lines: list[str]) -> list[str]:
    """A section of a NumPy docstring as a list."""
    made, text = [f"{title}:", ""], ""
    for line in [*lines, ""]:
        if line and not line.startswith(" "):
            made += wrapped(text)
            text = f"- `{line}`"
        elif line.strip():
            text += (": " if text.endswith("`") else " ") + line.strip()
    return [*made, *wrapped(text), ""]


def wrapped(text: str) -> list[str]:
    """A list's entry in lines of the page's width."""
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def documentation(text: str | None) -> list[str]:
    """A NumPy docstring as Markdown."""
    lines, made = inspect.cleandoc(text or "").split("\n"), []
    at = 0
    while at < len(lines):
        if lines[at] in SECTIONS and lines[at + 1].startswith("---"):
            end = at + 2
            while end < len(lines) and not (
                lines[end] in SECTIONS and lines[end + 1 : end + 2] == ["-" * len(lines[end])]
            ):
                end += 1
            title = lines[at].replace("Other Parameters", "Options")
            made += _entries(title, [line for line in lines[at + 2 : end] if line])
            at = end
        else:
            made.append(lines[at])
            at += 1
    return [*made, ""]


def _c_line(names: list[str]) -> list[str]:
    return ["C: " + ", ".join(f"`{name}`" for name in names), ""] if names else []


def method(owner: type, name: str, member: Any) -> list[str]:
    """A method or property of a class."""
    lines = [f"### {owner.__name__}.{name}", ""]
    if isinstance(member, property):
        getter: Any = member.fget
        kind = _annotation(inspect.signature(getter).return_annotation)
        lines += ["```python", f"{name}: {kind}", "```", "", *documentation(member.__doc__)]
    else:
        bound = getattr(owner, name)
        lines += [*signature(name, bound), "", *documentation(bound.__doc__)]
    return [*lines, *_c_line(c_names(member, owner))]


def public(owner: type) -> list[tuple[str, Any]]:
    """The members of a class and of its private bases, in the order of the source."""
    found: dict[str, Any] = {}
    for base in reversed(owner.__mro__):
        if base.__module__.startswith("kdistill") and not issubclass(base, kd.Error):
            found.update(vars(base))
    kinds = (property, classmethod, staticmethod)
    return [
        (name, member)
        for name, member in found.items()
        if not name.startswith("_")
        and (isinstance(member, kinds) or inspect.isfunction(member))
        and not is_old(member)
    ]


def is_old(member: Any) -> bool:
    """A method of 0.1 that warns."""
    return getattr(member, "__module__", "") == "kdistill._deprecated"


def remarks(kind: type) -> dict[str, str]:
    """What the `#:` comments of a class say about its members."""
    found, text = {}, ""
    for line in inspect.getsource(kind).split("\n"):
        remark, member = re.match(r" +#: (.*)", line), re.match(r"    (\w+): ", line)
        if member:
            found[member.group(1)] = text.strip()
        text = f"{text} {remark.group(1)}" if remark else ""
    return found


def plain_class(kind: type) -> list[str]:
    """A data class, a named tuple or a dict: its members."""
    lines = [f"## {kind.__name__}", "", *documentation(kind.__doc__)]
    lines += ["| member | type | |", "|---|---|---|"]
    names, said = kind.__annotations__, remarks(kind)
    for name, text in names.items():
        shown = _annotation(getattr(text, "__forward_arg__", text)).replace(" | ", " or ")
        remark = said[name].replace("|", "\\|")
        lines.append(f"| `{name}` | `{shown}` | {remark} |")
    return [*lines, ""]


def handle_class(kind: type) -> list[str]:
    """A class with methods."""
    lines = [f"## {kind.__name__}", ""]
    constructor = vars(kind).get("__init__")
    if constructor is not None:
        lines += [*signature(f"kd.{kind.__name__}", constructor, True), ""]
    lines += documentation(kind.__doc__)
    if constructor is not None:
        lines += documentation(constructor.__doc__)
        lines += _c_line(c_names(constructor))
    for name, member in public(kind):
        if name != "close":
            lines += method(kind, name, member)
    return lines


def enumerations() -> list[str]:
    """All constants with their names in C."""
    comments = {c.name: c.comment for c in headers.constants()}
    lines = ["# Constants", ""]
    for name, constants in generate.enums().items():
        kind = getattr(kd, name)
        first = len(generate.prefix([c.name for c in constants]))
        lines += [
            f"## {name}",
            "",
            *documentation(kind.__doc__),
            "| member | C | |",
            "|---|---|---|",
        ]
        for constant in constants:
            text = comments[constant.name].replace("|", "\\|")
            lines.append(f"| `{constant.name[first:]}` | `{constant.name}` | {text} |")
        lines.append("")
    return lines


def page() -> str:
    """The whole page."""
    lines = ["# Python", "", "Made from the package by `make docs`.", ""]
    lines += [inspect.cleandoc(kd.__doc__ or ""), ""]
    simple, functions = [], ["# Functions", ""]
    classes: list[str] = ["# Classes", ""]
    for name in kd.__all__:
        value = getattr(kd, name)
        if inspect.isfunction(value):
            functions += [f"## {name}", "", *signature(f"kd.{name}", value), ""]
            functions += [*documentation(value.__doc__), *_c_line(c_names(value))]
        elif inspect.isclass(value) and not issubclass(value, enum.Enum):
            flat = dataclasses.is_dataclass(value) or issubclass(value, (tuple, dict))
            simple += plain_class(value) if flat else []
            classes += [] if flat else handle_class(value)
    lines += [*classes, *functions, "# Results", "", *simple, *enumerations()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).rstrip() + "\n"


if __name__ == "__main__":
    with open(PAGE, "w", encoding="utf-8") as made:
        made.write(page())
