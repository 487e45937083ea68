"""The core in two files: amalgamate.py OUT writes OUT/kdistill.c and OUT/kdistill.h.

`cc -O3 app.c kdistill.c -lm -pthread` is all that a program needs. Every file of the core's folders
(src/floors.txt, up to core/) goes in once, headers first. Names that several files use for things
of their own get the file's number in front. The kernels of x86-64 go in three times, each in a
region of functions for its instruction set.
"""

import collections
import os
import re
import sys

import tree

CORE = re.compile(r"(base|formats(/\w+)?|math|nn|core/\w+)$")
KERNEL_PART = re.compile(r"math/(vector|kernels_\w+)\.h$")
TOKEN = re.compile(
    r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*'
    r"|[A-Za-z_]\w*|\d[\w.]*|##|->|\s+|.",
    re.S,
)
DIRECTIVE = r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$"
WORD = re.compile(r"[A-Za-z_]\w*$")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<])([^">]+)[">].*$', re.M)
#: Names of the C library that files of the core use for static things of their own.
TAKEN = {"index", "remove", "select", "time", "link", "read", "write", "round", "y0", "y1"}
#: Names that another file makes by pasting.
TAKEN |= {"tile_portable", "tile_avx2"}
REGIONS = {
    "portable": None,
    "avx2": ("avx2,fma,f16c", 8),
    "avx512": ("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c", 16),
}
KEYWORDS = set(
    "static const inline extern void int char float double long short unsigned signed struct union "
    "enum volatile _Atomic _Thread_local _Alignas __attribute__ register restrict".split()
)


def tokens(text):
    """The text as C tokens, white space and comments among them."""
    return TOKEN.findall(text)


def lines_joined(text):
    """Without comments, and with continued lines in one."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return text.replace("\\\n", " ")


def macros(text):
    """Names of macros that a text defines."""
    return re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", text, re.M)


def _declared(statement):
    """Names that a statement at the top level declares for its file alone."""
    text = re.sub(r"__attribute__\s*\(\(.*?\)\)(?!\))", "", "".join(statement), flags=re.S)
    words = [word for word in tokens(text) if not word.isspace()]
    if "{" in words and _is_function(words):
        words = [*words[: words.index("{")], "{", "}"]  # what its body declares is the body's
    found = []
    if "typedef" in words:
        pointer = re.search(r"\( \* (\w+) \)", " ".join(words))
        plain = [word for word in words if WORD.match(word)]
        function = re.search(r"(\w+) \([^()]*\) ;$", " ".join(words))
        found.append(pointer[1] if pointer else function[1] if function else plain[-1])
    if "enum" in words and "{" in words:
        body = words[words.index("{") + 1 :]
        found += [w for w, before in zip(body, ["{", *body]) if before in "{," and WORD.match(w)]
    for kind in ("struct", "union", "enum"):
        for at, word in enumerate(words[:-2]):
            if word == kind and WORD.match(words[at + 1]) and words[at + 2] == "{":
                found.append(words[at + 1])
    if "static" in words and "typedef" not in words:
        found += _variables(words)
    return found


def _variables(words):
    depth, at, expects = 0, 0, True
    found = []
    while at < len(words):
        word = words[at]
        if word == "__attribute__":
            at += 1
            depth_before = depth
            while at < len(words):
                depth += words[at] == "("
                depth -= words[at] == ")"
                at += 1
                if depth == depth_before:
                    break
            continue
        after = words[at + 1] if at + 1 < len(words) else ";"
        if depth == 0 and expects and WORD.match(word) and word not in KEYWORDS:
            if after in "(=[;,":
                found.append(word)
                expects = False
        if word == "(" and depth == 0 and after == "*" and expects:  # a pointer to a function
            found.append(words[at + 2])
            expects = False
        if word == "," and depth == 0:
            expects = True
        depth += word in "([{"
        depth -= word in ")]}"
        at += 1
    return found


def local_names(text):
    """What a file declares at its top level for itself: functions, variables, types, constants."""
    text = re.sub(r"^[ \t]*#[^\n]*(\\\n[^\n]*)*", "", lines_joined(text), flags=re.M)
    found, statement, depth = [], [], 0
    for token in tokens(text):
        statement.append(token)
        depth += token in ("{", "(")
        depth -= token in ("}", ")")
        words = [word for word in statement if not word.isspace()]
        if depth == 0 and (token == ";" or (token == "}" and _is_function(words))):
            found += _declared(statement)
            statement = []
    return [name for name in found if not name.startswith(("kd_", "KD_"))]


def _is_function(words):
    """Does a statement that ends here with } need no semicolon?"""
    head = words[: words.index("{")]
    return ")" in head and "=" not in head and "typedef" not in head


def rename(text, names):
    """The text with names replaced: not those of members, nor within strings."""
    out, structs, last = [], [], ""
    found = tokens(text)
    depth, head = 0, []
    for at, token in enumerate(found):
        if token == "{":
            structs.append(bool(head) and re.search(r"\b(struct|union)\b", " ".join(head[-4:])))
            depth += 1
        elif token == "}" and structs:
            structs.pop()
            depth -= 1
        if token in (";", "{", "}"):
            head = []
        elif not token.isspace():
            head.append(token)
        if token in names and last not in (".", "->"):
            after = next((t for t in found[at + 1 :] if not t.isspace()), "")
            member = structs and structs[-1] and after[:1] in (";", ",", "[", ":", ")")
            token = token if member else names[token]
        if not token.isspace() and not token.startswith("/*"):
            last = token
        out.append(token)
    return "".join(out)


def make_static(text):
    """The text with functions and variables that files share (kd__...) made static."""
    out, words, begin, depth = [], [], None, 0
    for match in re.finditer(DIRECTIVE + "|" + TOKEN.pattern, text, re.S | re.M):
        token = match[0]
        out.append(token)
        if token.isspace() or token.startswith("/*") or token.lstrip().startswith("#"):
            continue
        if begin is None:
            begin = len(out) - 1
        words.append(token)
        depth += token in ("{", "(")
        depth -= token in ("}", ")")
        if depth or not (token == ";" or (token == "}" and _is_function(words))):
            continue
        if _is_shared(words):
            out[begin] = "static" if out[begin] == "extern" else "static " + out[begin]
        words, begin = [], None
    return "".join(out)


def _is_shared(words):
    """Does a statement declare a function or variable of the library's own?"""
    head = words[: words.index("(")] if "(" in words else words
    if "typedef" in head or "static" in head or "{" in head[:4] or len(words) == 3:
        return False
    names = _variables(words)
    return bool(names) and names[0].startswith("kd__")


def conditions(text, position):
    """The #if lines that a position lies in, an include guard left out."""
    guard = re.search(r"^#ifndef (\w+_H)$", text, re.M)
    stack = []
    for match in re.finditer(r"^[ \t]*#[ \t]*(if|ifdef|ifndef|else|elif|endif)\b.*$", text, re.M):
        if match.start() > position:
            break
        if match[1].startswith("if"):
            stack.append(match[0].strip())
        elif match[1] == "endif":
            stack.pop()
        elif stack:
            stack[-1] = None
    return [line for line in stack if line and not (guard and line == "#ifndef " + guard[1])]


class Amalgamation:
    """Collects the parts of kdistill.c."""

    def __init__(self, folders):
        self.folders = folders
        self.system = collections.OrderedDict()
        self.headers = {}
        self.header_text = []

    def take_system(self, text):
        """Notes the system's headers and takes their lines out."""

        def note(match):
            name = match[2]
            if match[1] == '"':
                return match[0]
            if not name.startswith("kdistill"):
                self.system.setdefault((name, tuple(conditions(text, match.start()))))
            return ""

        text = re.sub(r"^#define _GNU_SOURCE.*$", "", text, flags=re.M)
        text = re.sub(r"^#ifndef _GNU_SOURCE\n\n?#endif\n", "", text, flags=re.M)
        return INCLUDE.sub(note, text)

    def inline(self, text, kernel=None):
        """The text with the headers of src/ in place; those seen before are left out."""

        def take(match):
            name = match[2]
            inner = tree.read("src", name)
            if name.endswith(".inc"):
                return self.inline(self.take_system(inner), kernel)
            if kernel is not None and KERNEL_PART.search(name):
                if name in kernel:
                    return ""
                kernel.add(name)
                return self.inline(self.take_system(inner), kernel)
            self.header(name)
            return ""

        return INCLUDE.sub(take, text)

    def header(self, name):
        """Puts a header, after those that it includes, in front of all sources."""
        if name in self.headers:
            return
        self.headers[name] = True
        text = self.inline(self.take_system(tree.read("src", name)))
        self.header_text.append(f"/* ======== {name} ======== */\n{text.strip()}\n")


def kernels(parts, isa, region):
    """The kernels for one instruction set."""
    seen = set()
    name = f"math/kernels_{isa}.c"
    text = parts.inline(parts.take_system(tree.read("src", name)), seen)
    text = re.sub(r"^#ifndef (KD_MATH_\w+_H)\n#define \1\n", "#if 1\n", text, flags=re.M)
    without = re.sub(r"^KERNEL\(.*?\)\)$", "", text, flags=re.M | re.S)
    names = set(local_names(without)) | set(re.findall(r"^KERNEL\([^,()]+, (\w+),", text, re.M))
    names -= {"KERNEL"}
    prefix = f"kd__{isa}_"
    lists, body = [], []
    # The lists of kernels stay as they are: their names are those of the table's members too.
    for piece in re.split(r"(^KERNEL\(.*?\)\)$)", text, flags=re.M | re.S):
        is_list = piece.startswith("KERNEL(")
        (lists if is_list else body).append(piece)
    bodies = rename("\0".join(body), {one: prefix + one for one in names})
    pieces = bodies.split("\0")
    whole = pieces[0] + "".join(a + b for a, b in zip(lists, pieces[1:]))
    declare = "#define KERNEL(result, name, arguments) static result name arguments;"
    fill = "#define KERNEL(result, name, arguments) .name = name,"
    if whole.count(declare) != 1 or whole.count(fill) != 1:
        raise SystemExit("amalgamate: kernels_body.h or kernels_fill.inc looks different")
    whole = whole.replace(declare, declare.replace("result name", f"result {prefix}##name"))
    whole = whole.replace(fill, fill.replace("= name", f"= {prefix}##name"))
    begin, end = "", ""
    if region:
        features, width = region
        begin = (
            "#ifdef __x86_64__\n#ifdef __clang__\n"
            f'#pragma clang attribute push(__attribute__((target("{features}"))), '
            "apply_to = function)\n#else\n#pragma GCC push_options\n"
            f'#pragma GCC target("{features}")\n#endif\n#define KD__VECTOR_WIDTH {width}\n'
        )
        end = (
            "#undef KD__VECTOR_WIDTH\n#ifdef __clang__\n#pragma clang attribute pop\n#else\n"
            "#pragma GCC pop_options\n#endif\n#endif\n"
        )
    gone = "".join(f"#undef {one}\n" for one in sorted(set(macros(whole))))
    return f"/* ======== {name} ======== */\n{begin}{whole.strip()}\n{gone}{end}"


def public_header(owners):
    """kdistill.h: the public headers of the core's folders, in the order of include/kdistill.h."""
    out, seen = [], set()

    def take(name):
        if name in seen or name not in owners:
            return
        seen.add(name)
        text = tree.read("include", "kdistill", name)
        for match in re.finditer(r"^#include <kdistill/(\w+\.h)>.*$", text, re.M):
            take(match[1])
        text = re.sub(r"^#include <kdistill/.*\n", "", text, flags=re.M)
        out.append(text.strip() + "\n")

    for name in re.findall(r"<kdistill/(\w+\.h)>", tree.read("include", "kdistill.h")):
        take(name)
    for name in sorted(owners):
        take(name)
    return "\n".join(out)


def floors():
    """The core's folders, and the public headers whose nouns live there."""
    folders, owners = [], []
    for line in tree.read("src", "floors.txt").splitlines():
        names, _, headers = line.split("#")[0].partition(":")
        core = [name for name in names.split() if CORE.match(name)]
        folders += core
        owners += headers.split() if core else []
    return folders, owners


def source_text(parts, folders):
    """All sources but the kernels, each with its own names kept apart."""
    names = [f for f in tree.files("src", ends=".c") if os.path.dirname(f)[4:] in folders]
    names.sort(key=lambda name: (folders.index(os.path.dirname(name)[4:]), name))
    texts = {}
    for name in names:
        if not re.search(r"math/kernels_(portable|avx)", name):
            texts[name] = parts.inline(parts.take_system(tree.read(name)))
    engines = tree.read("tests", "gates", "core_engines.c")
    # A static array is declared with its size.
    for table, entries in re.findall(r"(kd__\w+)\[\] = \{(.*?)\}", engines):
        size = entries.count(",") + 1
        parts.header_text[:] = [
            text.replace(table + "[];", f"{table}[{size}];") for text in parts.header_text
        ]
        engines = engines.replace(table + "[]", f"{table}[{size}]")
    texts["src/engines/engines.c"] = parts.inline(parts.take_system(engines))
    locals_of = {name: set(local_names(text)) for name, text in texts.items()}
    users = collections.Counter(one for each in locals_of.values() for one in each)
    users.update(local_names("\n".join(parts.header_text)))
    out = []
    for number, (name, text) in enumerate(texts.items(), 1):
        shared = {one for one in locals_of[name] if users[one] > 1 or one in TAKEN}
        renamed = rename(text, {one: f"kd__s{number:03}_{one}" for one in shared})
        gone = "".join(f"#undef {one}\n" for one in sorted(set(macros(text))))
        out.append(f"/* ======== {name[4:]} ======== */\n{renamed.strip()}\n{gone}")
    return out


FRONT = """/* kdistill.c - libkdistill {version}, the core, in one file.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     cc -O3 app.c kdistill.c -lm -pthread
 *
 * Made by `make amalgamation` from the library's sources; change those. For gcc and clang, in their
 * GNU mode (not -std=c11). -DKD_WITH_ZLIB (and -lz) reads gzip files, -DKD_BLAS_OPENBLAS (and
 * -lopenblas) multiplies matrices with OpenBLAS. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#if !defined(KD_BLAS_OPENBLAS) && !defined(KD_BLAS_BLIS) && !defined(KD_BLAS_NONE)
#define KD_BLAS_NONE
#endif
#include "kdistill.h"
/* What the core does not use of its own functions. */
#pragma GCC diagnostic ignored "-Wunused-function"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* which the library is built without */
#endif
"""


def main():
    """Writes both files."""
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    folders, owners = floors()
    parts = Amalgamation(folders)
    sources = source_text(parts, folders)
    tables = [kernels(parts, isa, region) for isa, region in REGIONS.items()]
    system = []
    for name, lines in parts.system:
        system.append("\n".join([*lines, f"#include <{name}>", *["#endif"] * len(lines)]))
    text = FRONT.format(version=tree.version()) + "\n".join(system) + "\n\n"
    if "immintrin.h" not in text:
        text += "#ifdef __x86_64__\n#include <immintrin.h>\n#endif\n"
    text += make_static("\n".join(parts.header_text + sources))
    text += "\n#ifdef __clang__\n#pragma clang fp contract(fast)\n#endif\n"
    text += make_static("\n".join(tables))
    for name, content in (("kdistill.c", text), ("kdistill.h", public_header(owners))):
        content = re.sub(r"\n{3,}", "\n\n", content)
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            file.write(content)
        print(f"{out}/{name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
