"""Names follow docs/naming.md: its lists are read, the public headers parsed.

python3 tests/gates/names.py
"""

import re
import sys

import tree
from spelling import BRITISH

PAGE = "docs/naming.md"
errors = []


def wrong(where, name, reason):
    errors.append(f"{where}: {name}: {reason}")


# ---- the page ----
def block(name):
    """The lines of a fenced list of the page."""
    return re.search(rf"```{name}\n(.*?)```", open(PAGE).read(), flags=re.S).group(1).splitlines()


def by_header():
    """{header: nouns}, {header: prefixes of constants}"""
    nouns, prefixes = {}, {}
    for line in block("headers"):
        name, left, right = re.match(r"(\w+): ([^|]*)\|(.*)", line).groups()
        nouns.setdefault(name, []).extend(left.split())
        prefixes.setdefault(name, []).extend(right.split())
    return nouns, prefixes


class Header:
    def __init__(self, path):
        self.path, self.name = path, re.search(r"(\w+)\.h$", path).group(1)
        self.text = without_comments(open(path).read())

    def functions(self):
        found = re.findall(r"KD_API [^;(]*?\b(kd_\w+)\s*\(([^)]*)\);", self.text)
        return [(name, [" ".join(p.split()) for p in list_.split(",")]) for name, list_ in found]

    def structs(self):
        return re.findall(r"typedef struct (kd_\w+) \{(.*?)\n\} \1;", self.text, flags=re.S)

    def handles(self):
        return re.findall(r"typedef struct (kd_\w+) \1;", self.text)

    def callbacks(self):
        return re.findall(r"typedef \w+ \(\*(kd_\w+)\)", self.text)

    def constants(self):
        found = re.findall(r"^#define (KD_\w+)(?!\w|\()", self.text, flags=re.M)
        return [name for name in found if not name.endswith(("_INIT", "KD_API"))]


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


# ---- functions ----
class Function:
    """A declaration, cut into noun and rest by the longest of its header's nouns that fits."""

    def __init__(self, header, name, parameters, page):
        self.path, self.name, self.parameters = header.path, name, parameters
        nouns = sorted(page["nouns"].get(header.name, []), key=len, reverse=True)
        self.noun = next((noun for noun in nouns if name.startswith(f"kd_{noun}_")), None)
        self.rest = name[len(self.noun) + 4 :] if self.noun else ""
        outputs = [p for p in parameters[1:] if is_output(p)]
        self.outputs = len(outputs)
        self.fills_struct = any(p.split(" ")[0] in page["structs"] for p in outputs)
        self.counts = len(outputs) == 1 and re.match(r"int(32|64)_t \*", outputs[0])

    def wrong(self, reason):
        wrong(self.path, self.name, reason)

    def begins(self, words):
        return any(self.rest == word or self.rest.startswith(word + "_") for word in words)


def is_output(parameter):
    constant = parameter.startswith("const") and "**" not in parameter
    return "*" in parameter and "*const" not in parameter and not constant


def check_function(function, page):
    if function.name in page["library"] or function.name.endswith("_init"):
        return
    if not function.noun:
        return function.wrong("its noun is none of this header's")
    check_first(function, page)
    if function.noun in page["acting"] or function.begins(page["verbs"]):
        return check_get(function)
    if function.rest not in page["values"]:
        return function.wrong(f"'{function.rest}' is neither a verb nor a value of {PAGE}")
    check_value(function)


def check_first(function, page):
    """The first parameter is the noun's handle, or a new one; an estimate has none yet."""
    first = re.match(r"(?:const )?(kd_\w+) (\*\*out)?", function.parameters[0])
    if not first or first.group(1) == "kd_context":
        return
    if first.group(2):
        if not function.begins(page["makers"]):
            function.wrong("makes a handle without one of: " + " ".join(page["makers"]))
    elif f"kd_{function.noun}" in page["types"] and not function.begins(["estimate"]):
        if first.group(1) != f"kd_{function.noun}":
            function.wrong(f"its first parameter is a {first.group(1)}")


def check_get(function):
    if function.begins(["get"]) and function.rest != "get":
        if not function.fills_struct and function.outputs < 2:
            function.wrong("get_ fills a struct or several values; one value has no verb")


def check_value(function):
    if function.fills_struct:
        function.wrong(f"fills a struct: get_{function.rest}")
    if function.counts and re.search(r"(?<!byte)s$", function.rest):
        function.wrong(f"a count ends in _count ({function.rest[:-1]}_count)")


# ---- constants, types, members ----
def check_constants(header, page):
    prefixes = page["prefixes"].get(header.name) or ["?"]
    for name in header.constants():
        if name not in page["words"] and not name.startswith(tuple(prefixes)):
            wrong(header.path, name, f"none of this header's prefixes ({' '.join(prefixes)})")


def check_types(header, page):
    for name in header.callbacks():
        if not name.endswith("_function"):
            wrong(header.path, name, "a callback's type ends in _function")
    for name, body in header.structs():
        words = set(re.findall(r"\b(\w+)\b(?=\s*[,;\[])", body)) & set(page["opaque"])
        if name.endswith("_options") and words:
            wrong(header.path, name, "a member that says nothing: " + " ".join(sorted(words)))


# ---- spelling ----
def identifiers(path, text):
    if path.endswith(".py"):
        text = re.sub(r'"""[\s\S]*?"""|"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])*\'|#.*', "", text)
    else:
        text = re.sub(r'"(\\.|[^"\\\n])*"|//.*', "", without_comments(text))
    return set(re.findall(r"[A-Za-z_]\w*", text))


def check_spelling():
    files = tree.files("include", "src", "python", "tests", "examples", "bench")
    for path in files:
        if BRITISH.search(path) and "corpus" not in path:
            wrong(path, path, "American spelling")
        if not path.endswith((".c", ".h", ".py", ".cpp")) or path == "tests/gates/spelling.py":
            continue
        for name in sorted(identifiers(path, open(path, encoding="utf-8").read())):
            if BRITISH.search(name):
                wrong(path, name, "American spelling")


def main():
    files = tree.files("include/kdistill")
    headers = [Header(path) for path in files]
    page = {
        name: " ".join(block(name)).split()
        for name in ("verbs", "values", "opaque", "library", "acting", "words")
    }
    page["makers"] = block("verbs")[0].split()
    page["nouns"], page["prefixes"] = by_header()
    page["structs"] = {name for header in headers for name, _ in header.structs()} - {"kd_array"}
    page["types"] = page["structs"] | {name for header in headers for name in header.handles()}
    for header in headers:
        for name, parameters in header.functions():
            check_function(Function(header, name, parameters, page), page)
        check_constants(header, page)
        check_types(header, page)
    check_spelling()
    if errors:
        sys.exit("\n".join(errors) + f"\nnames: {len(errors)} departures from {PAGE}")
    count = sum(len(header.functions()) for header in headers)
    print(f"names: {count} functions follow {PAGE}")


main()
