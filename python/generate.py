"""Writes the generated files of python/kdistill and the reference pages of the C headers.

    python3 python/generate.py            the files of the package
    python3 python/generate.py --docs     docs/reference/*.md, one page a header

The package's part: `_api.py` (ctypes structs and prototypes), `enums.py` (constants), `options.py`
(options as typed keywords) and `results.py` (filled structs as data classes).
"""

from __future__ import annotations

import functools
import keyword
import os
import re
import sys
import textwrap

import headers
import tables

HERE = os.path.dirname(os.path.abspath(__file__))
MADE = '"""{}\n\nMade by python/generate.py from the headers: do not edit.\n"""\n'
CTYPES = {
    "int32_t": "c_int32",
    "int64_t": "c_int64",
    "uint8_t": "c_uint8",
    "uint32_t": "c_uint32",
    "uint64_t": "c_uint64",
    "size_t": "c_size_t",
    "double": "c_double",
    "float": "c_float",
    "kd_status": "c_int32",
}
WIDTH = 100

STRUCTS = {struct.name: struct for struct in headers.structs()}
CALLBACKS = set(re.findall(r"\(\*(kd_\w+)\)", "".join(headers.read(n) for n in headers.order())))


def camel(name: str) -> str:
    """`kd_term_options` is TermOptions."""
    return "".join(part.capitalize() for part in name[3:].split("_"))


def safe(name: str) -> str:
    """A member's name in Python: keywords get an underscore."""
    return name + "_" if keyword.iskeyword(name) else name


def quoted(text: str) -> str:
    """A string literal, in double quotes where it has none itself."""
    made = repr(text)
    return made if '"' in text else '"' + made[1:-1].replace("\\'", "'") + '"'


def literal(text: str, indent: int) -> list[str]:
    """Lines of string literals, joined by the compiler, none longer than the page is wide."""
    lines: list[str] = []
    rest = text
    while rest or not lines:
        size = (rest.find("\n") + 1) or len(rest)
        while len(quoted(rest[:size])) > WIDTH - indent:
            size -= 1
        lines.append(" " * indent + quoted(rest[:size]))
        rest = rest[size:]
    return lines


def entry(key: str, kind: str, text: str) -> list[str]:
    """A member of options.MEMBERS."""
    line = f'        "{key}": ("{kind}", {quoted(text)}),'
    if len(line) <= WIDTH:
        return [line]
    return [f'        "{key}": (', f'            "{kind}",', *literal(text, 12), "        ),"]


def docstring(text: str, indent: int) -> list[str]:
    """A docstring of one paragraph."""
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    text = text if text.endswith((".", "!", "?")) else text + "."
    pad = " " * indent
    if indent + len(text) + 6 <= WIDTH:
        return [f'{pad}"""{text}"""']
    wrapped = textwrap.wrap(text, WIDTH - indent - 3, break_on_hyphens=False)
    lines = [f'{pad}"""{wrapped[0]}', *(pad + line for line in wrapped[1:])]
    return [*lines, f'{pad}"""']


# ---- _api.py ----


def ctype(base: str, stars: int, length: str = "") -> str:
    """The ctypes expression of a declaration."""
    if base == "char" and stars:
        made, stars = "c_char_p", stars - 1
    elif base == "void":
        made, stars = ("c_void_p", stars - 1) if stars else ("None", 0)
    elif base in CTYPES:
        made = "c_void_p" if base == "uint8_t" and stars else CTYPES[base]
        stars -= base == "uint8_t" and stars > 0
    elif base in STRUCTS:
        made = base
    else:
        made, stars = "c_void_p", max(stars - 1, 0)  # an opaque handle, a callback's type
    made = "POINTER(" * stars + made + ")" * stars
    return f"{made} * {length}" if length else made


def parameter(text: str) -> str:
    """The ctypes expression of a parameter: arrays are pointers."""
    base, stars, length, _ = headers.declaration(text)
    made = ctype(base, stars)
    return f"POINTER({made})" if length else made


def callback(text: str) -> str:
    """The ctypes expression of a pointer to a function."""
    match = re.match(r"(.+?)\(\*(\w+)\)\((.*)\)$", text, flags=re.S)
    if match is None:
        raise ValueError(f"not a callback: {text}")
    kinds = [parameter(p) for p in headers.split(match.group(3))]
    result = ctype(*headers.declaration(match.group(1).strip())[:3])
    return f"CFUNCTYPE({', '.join([result, *kinds])})"


def annotation(field: headers.Field) -> str:
    """What a type checker may know of a member."""
    if field.length or field.callback or field.base in STRUCTS or field.base in CALLBACKS:
        return "Any"
    if field.base == "char" and field.stars == 1:
        return "_Text | None"
    if field.stars:
        return "Any"
    return "float" if field.base in ("double", "float") else "int"


def wrapped(prefix: str, items: list[str], suffix: str, indent: int) -> list[str]:
    """`prefix item, item suffix` on one line, or broken after the prefix."""
    line = " " * indent + prefix + ", ".join(items) + suffix
    if len(line) <= WIDTH:
        return [line]
    pad = " " * (indent + 4)
    body = textwrap.wrap(", ".join(items) + ",", WIDTH - indent - 4, break_long_words=False)
    return [" " * indent + prefix, *(pad + one for one in body), " " * indent + suffix]


def _struct(struct: headers.Struct) -> list[str]:
    lines = ["", "", f"class {struct.name}(Structure):"]
    lines += docstring(f"`{struct.name}` of the headers.", 4)
    lines += ["", "    _fields_ = ["]
    for field in struct.fields:
        kind = callback(field.callback) if field.callback else ctype(*field[1:4])
        head, _, rest = f'("{field.name}", {kind}),'.partition("CFUNCTYPE(")
        if len(head + rest) + 18 <= WIDTH or not field.callback:
            lines.append(f'        ("{field.name}", {kind}),')
            continue
        kinds = re.split(r", (?![^()]*\))", rest[:-3])
        lines += [f'        ("{field.name}",', *wrapped(" CFUNCTYPE(", kinds, ")),", 8)]
    lines += ["    ]"]
    return lines + [
        f"    {safe(f.name)}: {annotation(f)}" for f in struct.fields if f.name == safe(f.name)
    ]


def _function(function: headers.Function) -> list[str]:
    kinds = [parameter(p) for p in function.parameters]
    result = ctype(*headers.declaration(function.result)[:2])
    return wrapped(f'"{function.name}": ({result}, [', kinds, "]),", 4)


def api_file() -> str:
    """`_api.py`: structs and prototypes for ctypes."""
    names = "CFUNCTYPE POINTER Structure c_char_p c_double c_float c_int32 c_int64 c_size_t"
    lines = [MADE.format("The C interface: structs, and the prototypes of all functions."), ""]
    lines[0] += "# ruff: noqa: N801\nfrom __future__ import annotations\n\nfrom ctypes import (\n"
    lines[0] += "".join(f"    {n},\n" for n in [*names.split(), "c_uint32", "c_uint64", "c_void_p"])
    lines[0] += (
        ")\nfrom typing import Any\n\n_Text = bytes  # a struct may have a member of that name"
    )
    for constant in headers.constants():
        if re.fullmatch(tables.NUMBERS, constant.name):
            lines.append(f"{constant.name} = {constant.value}")
    for struct in STRUCTS.values():
        lines += _struct(struct)
    lines += ["", "", "STRUCTS: list[type[Structure]] = ["]
    lines += [f"    {name}," for name in STRUCTS]
    lines += ["]", "", "#: constant of C: its enumeration and member here"]
    lines += ["CONSTANTS: dict[str, tuple[str, str]] = {"]
    for name, held in enums().items():
        first = len(prefix([c.name for c in held]))
        lines += [f'    "{c.name}": ("{name}", "{c.name[first:]}"),' for c in held]
    lines += ["}", "", "#: name: (result, argument types)"]
    lines += ["FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {"]
    for function in headers.functions():
        lines += _function(function)
    return "\n".join([*lines, "}", ""])


# ---- enums.py ----


def by_case(name: str) -> tuple[bool, str]:
    """What is all in capitals comes first."""
    return not name.isupper(), name


def exported(names: list[str]) -> list[str]:
    """The module's list of its public names."""
    return ["__all__ = [", *(f'    "{name}",' for name in sorted(names, key=by_case)), "]"]


@functools.cache
def enums() -> dict[str, list[headers.Constant]]:
    """The constants of each enumeration."""
    found: dict[str, list[headers.Constant]] = {name: [] for name in tables.ENUMS}
    for constant in headers.constants():
        owners = [
            n for n, (_, pattern, _) in tables.ENUMS.items() if re.fullmatch(pattern, constant.name)
        ]
        if len(owners) != 1 and not (not owners and re.fullmatch(tables.NUMBERS, constant.name)):
            raise SystemExit(
                f"{constant.name}: one entry of python/tables.py must name it, not {owners}"
            )
        for owner in owners:
            found[owner].append(constant)
    empty = [name for name, held in found.items() if not held]
    if empty:
        raise SystemExit(f"python/tables.py: no header has constants of {', '.join(empty)}")
    return found


def prefix(names: list[str]) -> str:
    """The longest common beginning of names that ends in an underscore."""
    low, high = min(names), max(names)
    size = next((i for i, (a, b) in enumerate(zip(low, high)) if a != b), len(low))
    return low[: low.rindex("_", 0, size) + 1]


def enums_file() -> str:
    """`enums.py`: constants as enumerations."""
    lines = [MADE.format("The constants of the C headers, as enumerations.")]
    lines[0] += "from __future__ import annotations\n\nfrom enum import IntEnum, IntFlag\n"
    numbers = [c for c in headers.constants() if re.fullmatch(tables.NUMBERS, c.name)]
    lines += exported([*tables.ENUMS, *(c.name[3:] for c in numbers)])
    lines += ["", *[f"{c.name[3:]} = {c.value}" for c in numbers]]
    for name, constants in enums().items():
        base, _, text = tables.ENUMS[name]
        first = prefix([c.name for c in constants])
        lines += ["", "", f"class {name}({base}):", *docstring(f"{text} C: `{first}...`", 4), ""]
        for constant in constants:
            lines += [f"    #: {line}" for line in textwrap.wrap(constant.comment, WIDTH - 7)]
            lines.append(f"    {constant.name[len(first) :]} = {constant.value}")
    return "\n".join([*lines, ""])


# ---- options.py and results.py ----


def python_type(struct: str, field: headers.Field) -> str:
    """The annotation of a plain member."""
    if field.base == "char":
        return "str | None"
    if field.base in ("double", "float"):
        return "float"
    key = f"{struct}.{field.name}"
    held = tables.ENUM_MEMBERS.get(key) or tables.ENUM_MEMBERS.get(field.name)
    return held if held and field.base == "int32_t" and key not in tables.PLAIN_MEMBERS else "int"


def spoken(text: str) -> str:
    """A header's comment with the constants and the NULL of Python."""
    for name, held in enums().items():
        first = len(prefix([c.name for c in held]))
        for constant in held:
            text = re.sub(rf"\b{constant.name}\b", f"{name}.{constant.name[first:]}", text)
    return re.sub(r"\bNULL\b", "None", text)


def is_plain(field: headers.Field) -> bool:
    """A number or a text, and nobody's reserve."""
    if (
        field.name.startswith(("struct_size", "reserved", "unused"))
        or field.callback
        or field.length
    ):
        return False
    return (field.base in CTYPES and not field.stars) or (field.base == "char" and field.stars == 1)


def option_structs() -> dict[str, list[headers.Field]]:
    """The structs that have an _init function, with the members that are plain keywords."""
    inits = {f.name[:-5] for f in headers.functions() if f.name.endswith("_options_init")}
    inits |= {n for n in STRUCTS if any(f.name == n + "_init" for f in headers.functions())}
    found = {}
    for name in [n for n in STRUCTS if n in inits - tables.NO_OPTIONS - {"kd_array"}]:
        kept = [f for f in STRUCTS[name].fields if is_plain(f) and not f.name.endswith("_count")]
        kept = [f for f in kept if f"{name}.{f.name}" not in tables.SPELLED_OUT]
        if kept:
            found[name] = kept
    return found


def _imports(names: set[str]) -> str:
    listed = sorted(names & set(tables.ENUMS), key=lambda n: (not n.isupper(), n.lower()))
    inner = "".join(f"    {name},\n" for name in listed)
    return f"from .enums import (\n{inner})\n"


def numbers_of(name: str) -> dict[str, str]:
    """The keywords of an enumeration of numbers, with what the header says."""
    constants = enums()[name]
    first = prefix([c.name for c in constants])
    return {c.name[len(first) :].lower(): spoken(c.comment) for c in constants}


def options_file() -> str:
    """`options.py`: options as keywords that a type checker knows."""
    lines, used = [], set()
    for name, fields in option_structs().items():
        lines += ["", "", f"class {camel(name)}(TypedDict, total=False):"]
        lines += [*docstring(f"Options of `{name}`.", 4), ""]
        for field in fields:
            kind = python_type(name, field)
            used.add(kind)
            lines.append(f"    {safe(field.name)}: {kind}")
    for name in ("TermNumber", "FilterNumber", "OptimizerNumber"):
        lines += ["", "", f"class {name}s(TypedDict, total=False):"]
        lines += [*docstring(f"Values by the lower case names of `{name}`.", 4), ""]
        lines += [f"    {key}: float" for key in numbers_of(name)]
    for name, (struct, own) in tables.SETTINGS.items():
        made = name.replace("Number", "Settings")
        lines += ["", "", f"class {made}({camel(struct)}, total=False):"]
        lines += [*docstring(f"Options of `{struct}` and values of `{name}`.", 4), ""]
        lines += [f"    {key}: float" for key in numbers_of(name) if key not in own]
    lines += ["", "", "#: struct: {keyword: (type, what the header says)}"]
    lines += ["MEMBERS: dict[str, dict[str, tuple[str, str]]] = {"]
    for name, fields in option_structs().items():
        lines.append(f'    "{name}": {{')
        for field in fields:
            text = spoken(field.comment)
            lines += entry(safe(field.name), python_type(name, field), text)
        lines.append("    },")
    lines += ["}", "", "#: struct: {keyword: what the header says}, of numbers beside its members"]
    lines += ["NUMBERS: dict[str, dict[str, str]] = {"]
    for name, (struct, own) in tables.SETTINGS.items():
        lines.append(f'    "{struct}": {{')
        for key, text in numbers_of(name).items():
            if key not in own:
                lines.append(f'        "{key}": {quoted(text)},')
        lines.append("    },")
    head = MADE.format("Options of the C structs as typed keywords.")
    head += "from __future__ import annotations\n\nfrom typing import TypedDict\n\n"
    return "\n".join([head + _imports(used).rstrip(), *lines, "}", ""])


def result_structs() -> list[headers.Struct]:
    """The structs that the library fills."""
    inits = {f.name[:-5] for f in headers.functions() if f.name.endswith("_init")}
    made = []
    for struct in STRUCTS.values():
        pointers = any(f.callback or (f.stars and f.base != "char") for f in struct.fields)
        filled = struct.fields[0].name == "struct_size" and not pointers
        if filled and struct.name not in inits | tables.OWN_CLASS:
            made.append(struct)
    return made


def result_type(struct: str, field: headers.Field) -> str | None:
    """The annotation of a filled member; None: left out."""
    if field.name.startswith(("struct_size", "reserved", "unused")):
        return None
    if field.length:
        inner = "float" if field.base == "double" else "int"
        return f"tuple[{inner}, {inner}]" if field.length == "2" else f"tuple[{inner}, ...]"
    if field.base in STRUCTS:
        return camel(field.base)
    return python_type(struct, field).replace("str | None", "str")


def results_file() -> str:
    """`results.py`: what the library fills, as frozen data classes."""
    lines, used = [], set()
    for struct in result_structs():
        lines += ["", "", "@dataclass(frozen=True)", f"class {camel(struct.name)}:"]
        lines += [*docstring(f"What `{struct.name}` tells.", 4), ""]
        for field in struct.fields:
            kind = result_type(struct.name, field)
            if kind is None:
                continue
            used.add(kind)
            text = spoken(field.comment)
            lines += [f"    #: {line}" for line in textwrap.wrap(text, WIDTH - 7)]
            lines.append(f"    {safe(field.name)}: {kind}")
    head = MADE.format("What the library tells, as data classes.")
    head += "from __future__ import annotations\n\nfrom dataclasses import dataclass\n\n"
    names = exported([camel(struct.name) for struct in result_structs()])
    return "\n".join([head + _imports(used), *names, *lines, ""])


def check_tables() -> None:
    """Every name in tables.py is one of a header."""
    members = {f.name for s in STRUCTS.values() for f in s.fields}
    full = {f"{s.name}.{f.name}" for s in STRUCTS.values() for f in s.fields}
    named = set(tables.ENUM_MEMBERS) | tables.PLAIN_MEMBERS | tables.SPELLED_OUT
    strange = sorted(named - members - full) + sorted(
        (tables.NO_OPTIONS | tables.OWN_CLASS) - set(STRUCTS)
    )
    if strange:
        raise SystemExit(f"python/tables.py: no header has {', '.join(strange)}")


def package_files() -> dict[str, str]:
    """The generated files of the package by name."""
    check_tables()
    return {
        "_api.py": api_file(),
        "enums.py": enums_file(),
        "options.py": options_file(),
        "results.py": results_file(),
    }


# ---- the reference pages of the headers ----


def page(name: str) -> str:
    """A header's introduction, its structs, then each function with its comment."""
    text = headers.read(name)
    intro = re.match(r"/\*.*?\*/", text, flags=re.S)
    lines = [f"# kdistill/{name}.h", "", "Made from the header by `make docs`.", "", "```"]
    lines += [headers.tidy(intro.group(0) if intro else ""), "```", ""]
    pattern = r"(/\*(?:(?!\*/).)*\*/\n)?(typedef struct kd_\w+ \{.*?\n\} kd_\w+;)"
    for comment, block in re.findall(pattern, text, flags=re.S):
        lines += ["```c", (comment or "") + block, "```", ""]
    for match in headers.FUNCTIONS.finditer(text):
        names = dict.fromkeys(re.findall(r"\b(kd_\w+)\s*\(", match.group(2)))
        lines += [f"## {', '.join(names)}", "", "```c"]
        lines += [match.group(0).replace("KD_API ", "").rstrip(), "```", ""]
    return "\n".join(line.rstrip() for line in "\n".join(lines).split("\n"))


def pages() -> dict[str, str]:
    """One page a header, by name."""
    return {name: page(name) for name in headers.order()}


def write(folder: str, files: dict[str, str]) -> None:
    """Writes texts into files of a folder."""
    os.makedirs(folder, exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    if "--docs" in sys.argv:
        made = {name + ".md": text for name, text in pages().items()}
        write(os.path.join(HERE, "..", "docs", "reference"), made)
    else:
        write(os.path.join(HERE, "kdistill"), package_files())
