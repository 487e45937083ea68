"""Makes python/kdistill/_api.py from the public headers: constants, structs, prototypes and docstrings.

    python3 python/generate.py            writes the file
    python3 python/generate.py --docs     writes docs/reference/*.md, one page a header
"""
import glob
import os
import re
import sys

here = os.path.dirname(os.path.abspath(__file__))
ORDER = ["status", "array", "context", "data", "model", "student", "teacher", "head", "store", "import", "tokenizer", "record", "generator", "gguf", "verify", "loss", "schedule", "optimizer", "monitor", "metrics", "packer", "answers", "curation", "augment", "compare", "checkpoint"]
SIMPLE = {"int32_t": "c_int32", "int64_t": "c_int64", "uint32_t": "c_uint32", "uint64_t": "c_uint64", "size_t": "c_size_t", "double": "c_double",
          "float": "c_float", "kd_status": "c_int32"}


def header(name):
    with open(os.path.join(here, "..", "include", "kdistill", name + ".h")) as file:
        return file.read()


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def constants():
    found = {}
    for name in ORDER:
        for key, value in re.findall(r"^#define (KD_[A-Z0-9_]+) \(?(-?\d+)\)?", header(name), flags=re.M):
            found[key] = int(value)
    return found


def ctype(declaration):
    """'const kd_array *const *parts' -> (ctypes expression, name)"""
    declaration = re.sub(r"\bconst\b", "", declaration).strip()
    array = re.match(r"(.*?)(\w+)\[(\w+)\]$", declaration)
    length = None
    if array:
        declaration, length = array.group(1) + array.group(2), array.group(3)
    match = re.match(r"(\w+)\s*([*\s]*)(\w*)$", declaration)
    base, stars, name = match.group(1), match.group(2).count("*"), match.group(3)
    if base == "char" and stars:
        result, stars = "c_char_p", stars - 1
    elif base == "void":
        result, stars = ("c_void_p", stars - 1) if stars else ("None", 0)
    elif base in SIMPLE:
        result = SIMPLE[base]
    elif base in structs:
        result = base
    else:
        result, stars = "c_void_p", stars - 1  # an opaque handle
    for _ in range(stars):
        result = f"POINTER({result})"
    if length:
        result = f"{result} * {length}"
    return result, name


def callback(declaration):
    """'kd_status (*read)(void *user, ...)' -> (CFUNCTYPE expression, name)"""
    result, name, parameters = re.match(r"(.+?)\(\*(\w+)\)\((.*)\)$", declaration, flags=re.S).groups()
    types = [ctype(p.strip())[0] for p in split(parameters)]
    return f"CFUNCTYPE({', '.join([ctype(result.strip())[0]] + types)})", name


def split(parameters):
    parameters = " ".join(parameters.split())
    return [] if parameters in ("", "void") else [p for p in parameters.split(",")]


def struct_fields(body):
    fields = []
    for declaration in without_comments(body).split(";"):
        declaration = " ".join(declaration.split())
        if not declaration:
            continue
        if "(*" in declaration:
            fields.append(callback(declaration)[::-1])
            continue
        base, rest = re.match(r"((?:const )?\w+ ?\**(?:const ?\*)?)(.*)$", declaration).groups()
        pieces = rest.split(",")
        for piece in pieces:
            kind, name = ctype(base + piece.strip())
            fields.append((name, kind))
    return fields


def all_structs():
    found = {}
    for name in ORDER:
        for tag, body in re.findall(r"typedef struct (kd_\w+) \{(.*?)\n\} \1;", header(name), flags=re.S):
            found[tag] = body
    return found


structs = all_structs()


def functions():
    """[(header, result, name, parameters, comment)]"""
    found = []
    for name in ORDER:
        text = header(name)
        for match in re.finditer(r"(/\*(?:(?!\*/).)*\*/\n)?((?:KD_API [^;]+;(?:[ \t]*/\*(?:(?!\*/).)*\*/)?\n)+)", text, flags=re.S):
            comment, block = match.groups()
            for result, function, parameters in re.findall(r"KD_API ([\w\s*]+?)\b(kd_\w+)\s*\(([^)]*)\);", without_comments(block)):
                found.append((name, result.strip(), function, split(parameters), tidy(comment)))
    return found


def tidy(comment):
    if not comment or comment.startswith("/* ----"):
        return ""
    lines = comment.strip()[2:-2].strip().split("\n")
    return "\n".join(re.sub(r"^\s*\* ?", "", line).rstrip() for line in lines)


def python_file():
    lines = ['"""Made by python/generate.py from the headers. Do not edit."""',
             "from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p)", ""]
    known = constants()
    lines += [f"{key} = {value}" for key, value in known.items()]
    for tag, body in structs.items():
        lines += ["", "", f"class {tag}(Structure):", "    _fields_ = ["]
        lines += [f'        ("{name}", {kind}),' for name, kind in struct_fields(body)]
        lines += ["    ]"]
    lines += ["", "", f"STRUCTS = [{', '.join(structs)}]", "", "#: name: (result, argument types, the header's comment)", "FUNCTIONS = {"]
    for _, result, name, parameters, comment in functions():
        kinds = [re.sub(r"^(.*) \* \w+$", r"POINTER(\1)", ctype(p.strip())[0]) for p in parameters]
        lines.append(f'    "{name}": ({ctype(result)[0]}, [{", ".join(kinds)}], {comment!r}),')
    lines += ["}", ""]
    return "\n".join(lines)


def pages():
    """One page a noun: the header's introduction, then each function with its comment."""
    made = {}
    for name in ORDER:
        text = header(name)
        intro = tidy(re.match(r"/\*.*?\*/", text, flags=re.S).group(0))
        lines = [f"# kdistill/{name}.h", "", "Made from the header by `make docs`.", "", "```", intro, "```", ""]
        for comment, block in re.findall(r"(/\*(?:(?!\*/).)*\*/\n)?(typedef struct kd_\w+ \{.*?\n\} kd_\w+;)", text, flags=re.S):
            lines += ["```c", (comment or "") + block, "```", ""]
        for match in re.finditer(r"(/\*(?:(?!\*/).)*\*/\n)?((?:KD_API [^;]+;(?:[ \t]*/\*(?:(?!\*/).)*\*/)?\n)+)", text, flags=re.S):
            names = re.findall(r"\b(kd_\w+)\s*\(", match.group(2))
            lines += [f"## {', '.join(dict.fromkeys(names))}", "", "```c", match.group(0).replace("KD_API ", "").rstrip(), "```", ""]
        made[name] = "\n".join(line.rstrip() for line in "\n".join(lines).split("\n"))
    return made


if __name__ == "__main__":
    if "--docs" in sys.argv:
        folder = os.path.join(here, "..", "docs", "reference")
        os.makedirs(folder, exist_ok=True)
        for name, page in pages().items():
            open(os.path.join(folder, name + ".md"), "w").write(page)
    else:
        open(os.path.join(here, "kdistill", "_api.py"), "w").write(python_file())
