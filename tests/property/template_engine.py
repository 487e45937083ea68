"""Random templates rendered by the library equal jinja2's rendering in the environment that
transformers makes; errors are errors on both sides.

    python tests/property/template_engine.py [templates] [seed]        20,000 by default
    python tests/property/template_engine.py --goldens                 what
        tests/internal/templates.c compares with, as a header in C

Templates come from a grammar of statements and expressions over a few variables; what the library
refuses by name (KD_ERR_UNSUPPORTED, KD_ERR_RANGE) is counted and must stay rare; unknown filters
and tests are refused even where jinja2 works out beforehand that it never comes to them. A list of
hand-written templates of quirks goes first."""

import collections
import json
import logging
import os
import random
import re
import sys
import tempfile
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
from transformers.utils import chat_template_utils

import kdistill
from chat_templates import make_tokenizer

logging.disable(logging.WARNING)
warnings.simplefilter("ignore")
VARIABLES = {
    "s": "Hello, World",
    "t": "  Ünï çode\n line ",
    "e": "",
    "n": 5,
    "m": -3,
    "f": 2.5,
    "z": 0,
    "yes": True,
    "no": False,
    "nothing": None,
    "big": 123456789012345678901234567890,
    "xs": [3, 1, 2],
    "ws": ["b", "A", "c", "a"],
    "d": {"b": 1, "a": [1, 2], "items": 7, "K": None},
    "rows": [{"k": "x", "v": 2}, {"k": "y", "v": 1}, {"k": "X", "v": 2, "w": {"q": [9]}}],
    "none_list": [],
    "nested": {"x": {"y": {"z": "deep"}}},
    "mixed": [1, "a", None, 2.0, True, [1], {"q": 1}],
}
GIVEN = {"messages": [], "tools": None, "documents": None, "add_generation_prompt": False}
REFUSED = (
    "| random",
    "joiner(', ')",
    "count=1",
)  # by name; and an argument that has a name since Python 3.13
HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "templates", "quirks.txt"), encoding="utf-8") as file:
    QUIRKS = file.read()


class Grammar:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, *options):
        return self.r.choice(options)

    def name(self):
        return self.pick(*VARIABLES, *VARIABLES, "x", "y", "missing", "loop.index", "loop.first")

    def literal(self):
        r = self.r
        return self.pick(
            str(r.randint(-3, 12)),
            str(r.randint(0, 9) / 4),
            repr(self.pick("", "a", "Hello", " b ", "é", "1", "2.5", "l", "\n", "<b>")),
            "true",
            "false",
            "none",
            "[]",
            "{}",
            "[1, 2]",
            "{'a': 1, 'b': x}",
            "('a', 1)",
            "['b', 'a', 'B']",
        )

    KINDS = {
        "text": ["s", "t", "e", "'a b'", "'1,2'", "s[2:]", "t.strip()", "('<' | safe)", "x"],
        "list": [
            "xs",
            "ws",
            "none_list",
            "range(4)",
            "[1, 2.5, 0]",
            "ws[1:]",
            "s.split('o')",
            "('b', 'a')",
        ],
        "dict": ["d", "nested", "rows[0]", "{'a': 1, 'b': [2]}", "dict(q=n)"],
        "rows": ["rows", "rows[:2]", "rows | list"],
        "number": ["n", "m", "f", "z", "3", "2.25", "yes", "(n + 1)"],
    }

    def of(self, kind, depth):
        """A value of a kind most of the time."""
        return self.expression(depth) if self.r.random() < 0.15 else self.pick(*self.KINDS[kind])

    def expression(self, depth=3):
        if depth <= 0:
            return self.pick(self.name(), self.literal())
        e = lambda: self.expression(depth - self.pick(1, 1, 2))
        kind = self.r.randrange(17)
        if kind < 3:
            return self.pick(self.name(), self.literal())
        if kind == 3:
            return (
                f"{self.of('number', depth - 1)} "
                f"{self.pick('+', '-', '*', '/', '//', '%')} "
                f"{self.of('number', depth - 1)}"
                if self.r.random() < 0.9
                else f"{self.pick('n', 'm', 'f', '2', '10')} ** "
                f"{self.pick('n', 'm', 'f', 'z', '2', '3')}"
            )
        if kind == 4:
            same = self.pick("text", "list", "number")
            return (
                f"({self.of(same, depth - 1)} {self.pick('+', '~', '==', '<', '>=', '!=')} "
                f"{self.of(same, depth - 1)})"
            )
        if kind == 5:
            return (
                f"{e()} {self.pick('==', '!=', 'in', 'not in', '~', '<')} "
                f"{self.pick(e(), self.of('list', 1), self.of('text', 1))}"
            )
        if kind == 6:
            return f"{e()} {self.pick('and', 'or')} {e()}"
        if kind == 7:
            return f"(not {e()})"
        if kind == 8:
            return f"({e()} if {e()} else {e()})"
        if kind == 9:
            part = self.pick(
                "[0]",
                "[-1]",
                "[1:]",
                "[:-1]",
                "[::-1]",
                "[::2]",
                "[1:3]",
                "[n]",
                ".k",
                "[x]",
                ".missing",
                ".a",
                "[]",
                "[0, 1]",
            )
            if ":" in part or part[0] == "[":
                return f"({self.of(self.pick('text', 'list', 'rows'), depth - 1)}){part}"
            return f"({self.of(self.pick('dict', 'rows'), 1)}){part}"
        if kind < 12:
            name, over = self.typed_filter(depth)
            return f"({self.of(over, depth - 1)}) | {name}"
        if kind == 12:
            return f"({e()}) | {self.filter(depth)}"
        if kind == 13:
            return f"({e()}) is {self.pick('', 'not ')}{self.test(depth)}"
        if kind == 14:
            name = self.method(depth)
            of_dict = name.split("(")[0] in ("get", "items", "keys", "values", "update")
            return f"({self.of('dict' if of_dict else 'text', depth - 1)}).{name}"
        if kind == 15:
            return f"[{', '.join(self.expression(depth - 2) for _ in range(self.r.randint(0, 3)))}]"
        return self.pick(
            f"range({self.r.randint(0, 4)})",
            f"dict(a={e()})",
            f"namespace(q={e()}).q",
            f"mac({e()})",
            f"mac({e()}, q={e()})",
            f"-{self.of('number', 1)}",
            f"'%s' % ({e()})",
            f"'{{:>5}}|{{}}'.format({self.of('text', 1)}, {e()})",
            f"'%d|%.1f|%5s' % ({self.of('number', 0)}, {self.of('number', 0)}, "
            f"{self.of('text', 0)})",
        )

    def typed_filter(self, depth):
        name, t = self.filter(depth), lambda: self.of("text", 0)
        numbers, rows = (
            ("abs", "round", "round(1)", "round(1, 'floor')"),
            ("attribute", "selectattr", "rejectattr", "groupby"),
        )
        if self.r.random() < 0.2:
            return self.pick(
                f"replace({t()}, {t()})", f"join({t()})", f"trim({t()})", f"default({t()})"
            ), "text"
        if name in numbers:
            return name, "number"
        if any(r in name for r in rows):
            return name, "rows"
        if name.startswith(("dictsort", "items", "attr", "tojson")):
            return name, "dict"
        lists = (
            "first",
            "last",
            "list",
            "sort",
            "unique",
            "reverse",
            "join",
            "min",
            "max",
            "sum",
            "map",
            "select",
            "reject",
            "batch",
            "slice",
            "length",
            "count",
        )
        return name, "list" if name.startswith(lists) else "text"

    def filter(self, depth):
        e = lambda: self.expression(0)
        if self.r.random() < 0.01:
            return "nope"
        return self.pick(
            "trim",
            "length",
            "upper",
            "lower",
            "title",
            "capitalize",
            "first",
            "last",
            "list",
            "string",
            "int",
            "float",
            "abs",
            "round",
            "sort",
            "unique | list",
            "reverse | list",
            "tojson",
            "tojson(indent=2)",
            "tojson(sort_keys=true)",
            "safe",
            "e",
            "join",
            f"join({e()})",
            f"default({e()})",
            f"d({e()}, true)",
            "items | list",
            f"replace({e()}, {e()})",
            "dictsort",
            "dictsort(true, 'value')",
            "min",
            "max",
            "sum",
            "map('string') | list",
            "map(attribute='k') | list",
            "map('upper') | join('|')",
            "select | list",
            "reject | list",
            "select('string') | list",
            "selectattr('k') | list",
            "rejectattr('v', 'eq', 2) | list",
            "indent",
            "indent(2, true)",
            "batch(2) | list",
            "slice(2) | list",
            "groupby('v') | list",
            "round(1)",
            "round(1, 'floor')",
            f"int({e()})",
            "center(9)",
            "wordcount",
            "truncate(6)",
            "sort(reverse=true)",
            "sort(attribute='v')",
            "map('length') | list",
            "trim('H d')",
            "format(1)",
            "count",
            "attr('a')",
            "forceescape",
            "select('in', [1, 2]) | list",
            "select('gt', 1) | list",
            "list | length",
            "map('int') | sum",
            "reverse",
            "map('first') | list",
            "sort(attribute='k') | map(attribute='v') | list",
        )

    def test(self, depth):
        if self.r.random() < 0.02:
            return "nope"
        return self.pick(
            "defined",
            "undefined",
            "none",
            "string",
            "mapping",
            "iterable",
            "sequence",
            "number",
            "integer",
            "float",
            "boolean",
            "true",
            "false",
            "odd",
            "even",
            "divisibleby(2)",
            "eq(1)",
            f"equalto({self.expression(0)})",
            f"in({self.expression(0)})",
            "gt(1)",
            "callable",
            "lower",
            "upper",
            "escaped",
            "ne('a')",
            "sameas(none)",
            "lt 3",
            "in [1, 'a']",
        )

    def method(self, depth):
        e = lambda: self.expression(0)
        return self.pick(
            "strip()",
            "lstrip()",
            "rstrip()",
            f"strip({e()})",
            "split()",
            f"split({e()})",
            f"split({e()}, 1)",
            f"rsplit({e()}, 1)",
            "splitlines()",
            f"startswith({e()})",
            f"endswith({e()})",
            f"replace({e()}, {e()})",
            f"replace({e()}, {e()}, 1)",
            "upper()",
            "lower()",
            "title()",
            "capitalize()",
            f"find({e()})",
            f"rfind({e()})",
            f"count({e()})",
            f"index({e()})",
            f"join({e()})",
            "isdigit()",
            "isalpha()",
            "isupper()",
            "get('a')",
            f"get({e()}, {e()})",
            "items() | list",
            "keys() | list",
            "values() | list",
            "items()",
            "swapcase()",
            f"removeprefix({e()})",
            f"removesuffix({e()})",
            "zfill(5)",
            "partition('l')",
            "rpartition('l')",
            "copy()",
            "append(1)",
            "update({})",
            "pop()",
            "format(1)",
            "isspace()",
            "ljust(8)",
            "rjust(8)",
            "center(8)",
            "islower()",
            "isalnum()",
            "isnumeric()",
            "splitlines(true)",
        )

    def statement(self, depth):
        body = lambda: self.body(depth - 1)
        dash = lambda: self.pick("", "", "", "-")
        open_, close = (
            lambda: "{%" + self.pick("", "", "", "-", "+") + " ",
            lambda: " " + dash() + "%}",
        )
        kind = self.r.randrange(14)
        if depth <= 0 or kind < 5:
            return "{{" + dash() + " " + self.expression(self.pick(1, 2, 3)) + " " + dash() + "}}"
        if kind == 5:
            return self.pick(" ", "\n", "text\n", "  \n  ", "é", "{ x }", "a\r\nb")
        if kind == 6:
            return (
                open_()
                + "if "
                + self.expression(2)
                + close()
                + body()
                + self.pick("", open_() + "elif " + self.expression(1) + close() + body())
                + self.pick("", open_() + "else" + close() + body())
                + open_()
                + "endif"
                + close()
            )
        if kind < 9:
            target = self.pick("x", "x", "y", "k, v")
            over = self.pick(
                self.expression(1), "xs", "rows", "ws", "d", "d.items()", "s", "range(3)"
            )
            return (
                open_()
                + f"for {target} in {over}"
                + self.pick("", "", f" if {self.expression(1)}")
                + close()
                + body()
                + self.pick(
                    "",
                    "",
                    "{% if x == 1 %}{% continue %}{% endif %}",
                    "{% if loop.index > 2 %}{% break %}{% endif %}",
                )
                + "{{ loop.index }}{{ loop.last }}"
                + self.pick("", open_() + "else" + close() + body())
                + open_()
                + "endfor"
                + close()
            )
        if kind < 11:
            return (
                open_()
                + "set "
                + self.pick("x", "y", "ns.q", "x, y")
                + " = "
                + self.expression(2)
                + close()
            )
        if kind == 11:
            return (
                open_()
                + "set x"
                + self.pick("", " | upper")
                + close()
                + body()
                + open_()
                + "endset"
                + close()
            )
        if kind == 12:
            return self.pick(
                "{# a comment #}",
                "{#- a -#}",
                "{# a #}\n",
                "{% raw %}{{ a }}{% endraw %}",
                "{% filter upper %}" + body() + "{% endfilter %}",
                "{% with x = 1 %}" + body() + "{% endwith %}",
                "{% call mac(1) %}" + body() + "{% endcall %}",
                "{% generation %}" + body() + "{% endgeneration %}",
            )
        return "{{ ns.q }}{{ x }}{{ y }}"

    def body(self, depth):
        return "".join(
            self.statement(depth) + self.pick("", "", " ", "\n", "-")
            for _ in range(self.r.randint(1, 3))
        )

    def template(self):
        return (
            "{% set ns = namespace(q=0) %}{% macro mac(p, q='d') %}<{{ p }}|{{ q }}{% if "
            "caller %}{{ caller() }}{% endif %}>{% endmacro %}" + self.body(3)
        )


def theirs(template):
    try:
        return chat_template_utils._compile_jinja_template.__wrapped__(template).render(
            **GIVEN, **VARIABLES
        )
    except Exception as error:
        return error


def c_string(text):
    """A literal of C: bytes that are not plain as octal numbers."""
    plain = {10: "\\n", 34: '\\"', 92: "\\\\"}
    return (
        '"'
        + "".join(
            plain.get(b) or (chr(b) if 32 <= b < 127 and b != 63 else f"\\{b:03o}")
            for b in text.encode()
        )
        + '"'
    )


def all_quirks():
    return (
        QUIRKS.split("\n")
        + re.findall(r"\{\{.*?\}\}", QUIRKS)
        + ["\n".join(QUIRKS.split("\n")[-15:-4])]
    )


def goldens(count):
    """Each template once, and its text, or NULL where it must be refused."""
    grammar, seen = Grammar(7), set()
    print(
        "/* Templates and what jinja2 makes of them: written by "
        "tests/property/template_engine.py --goldens. */"
    )
    print(
        "static const char golden_variables[] = "
        + c_string(json.dumps({**VARIABLES, **GIVEN}, ensure_ascii=False))
        + ";"
    )
    print("static const struct {\n    const char *jinja, *text;\n} golden_templates[] = {")
    for template in all_quirks() + [grammar.template() for _ in range(count)]:
        expected = theirs(template)
        if (
            template in seen
            or " at 0x" in str(expected)
            or any(word in template for word in REFUSED)
        ):
            continue
        seen.add(template)
        print(
            f"    {{ {c_string(template)}, "
            f"{'NULL' if isinstance(expected, Exception) else c_string(expected)} }},"
        )
    print("};")


def main(count, seed):
    context, counts, bad, grammar = (
        kdistill.Context(threads=1),
        collections.Counter(),
        [],
        Grammar(seed),
    )
    with tempfile.TemporaryDirectory() as folder:
        make_tokenizer().save(folder + "/tokenizer.json")
        quirks = all_quirks()
        for number in range(len(quirks) + count):
            template = quirks[number] if number < len(quirks) else grammar.template()
            with open(folder + "/chat_template.jinja", "w", encoding="utf-8", newline="") as out:
                out.write(template)
            expected = theirs(template)
            if isinstance(expected, (MemoryError, RecursionError)) or " at 0x" in str(expected):
                continue
            status = 0
            try:
                got = kdistill.chat_render(
                    kdistill.Tokenizer(context, folder), [], variables=json.dumps(VARIABLES)
                )
            except kdistill.Error as error:
                got, status = error, error.status
            failed = isinstance(expected, Exception), isinstance(got, Exception)
            if failed == (True, True):
                counts["errors"] += 1
            elif "has no slices" in str(got):
                counts["slices of constants, which jinja2 works out beforehand by other rules"] += 1
            elif status in (kdistill.Status.ERR_UNSUPPORTED, kdistill.Status.ERR_RANGE):
                counts["refused by name"] += 1
                counts[str(got).split(": ", 2)[2][:60]] += 1
            elif failed[0] != failed[1] or expected != got:
                bad.append(f"{template!r}\n  got      {got!r}\n  expected {expected!r}")
            else:
                counts["equal"] += 1
    refused = counts["refused by name"]
    print(
        f"{count} random templates and {len(quirks)} of quirks: {counts['equal']} texts "
        f"equal, {counts['errors']} errors on both sides, {refused} refused by name"
    )
    for what, n in counts.most_common(30):
        if what not in ("equal", "errors", "refused by name") and os.environ.get("KD_TELL"):
            print(f"  {n:6} {what}")
    if bad:
        sys.exit("\n".join(bad[: int(os.environ.get("KD_MOST", 10))]) + f"\n{len(bad)} differ")
    if refused > (count + 100) // 20:
        sys.exit("too many are refused")


if __name__ == "__main__" and sys.argv[1:] == ["--goldens"]:
    goldens(300)
elif __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 20000,
        int(sys.argv[2]) if len(sys.argv) > 2 else 1,
    )
