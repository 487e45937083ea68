"""Verdicts beside Math-Verify's (PyPI math-verify), on pairs whose right verdict is known:
    python tests/property/verdicts_beside.py [TESTS]        KD_DATA names the data

TESTS: the folder of Math-Verify's own tests; left out: where `make peers` unpacks them. Sets of
pairs:
  public     its own tests
  own        tests/unit/verdicts.h, mathematics.h and course/test_verify_edges.c
  the rest   reference answers of MATH-500 and AIME 2024 in other forms (right) or changed (wrong),
             by kind
Prints a table for docs/verify.md; every pair on which one of the two is wrong goes to
build/verdicts.json. A pair that is wrong here and right there is an error, but for those of
DIFFERENT."""

import ast
import json
import logging
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "python"))
sys.path.insert(0, HERE)
import kdistill as kd
from mathematics_forms import RIGHT, SAID, WRONG, forms

try:
    from math_verify import parse, verify
except ImportError:
    parse = None
if not parse or not os.environ.get("KD_DATA"):
    print(
        "SKIPPED verdicts_beside: "
        + ("KD_DATA is not set" if parse else "math-verify is not installed")
    )
    sys.exit(0)
logging.disable(logging.CRITICAL)

BOTH = kd.Verifier.NUMBER | kd.Verifier.LATEX
BITS = {"N": kd.Verifier.NUMBER, "L": kd.Verifier.LATEX, "B": BOTH}

# Of Math-Verify's own tests: the ends of the text and of the expected answer, and why the verdict
# here is another one.
DIFFERENT = {
    ("$ \n 9 \n $", "$9$"): "a formula may have line breaks",
    ("\\( \n 9 \n \\)", "$9$"): "a formula may have line breaks",
    (
        "$-2 \\\\le x \\\\le 7$",
        "$x \\in [-2,7]$",
    ): "an inequality is its interval, whichever of them is expected",
    ("$13$", "$\text{13}$"): "a tab and ext{13}: a sentence whose number is 13",
    (
        "W(x)=1orW(x)=-1",
        "\\\\boxed{W(n) = 1 \\\\text{ and } W(n) = -1",
    ): "a box that is not closed is no answer",
    ("$f(y)$", "$f(x)$"): "other names are other answers",
    ("$1 + \\frac{1}{\\mathrm{e}}$", "$1 - \\frac{1}{\\mathrm{e}}$"): "the values differ",
}


def tests_of(folder):
    """(text, expected, right, tolerance) of its parametrized tests."""
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(open(os.path.join(folder, name)).read())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "parametrize"):
                continue
            names = [n.strip() for n in ast.literal_eval(node.args[0]).split(",")]
            for row in node.args[1].elts if "gold" in names else ():
                try:
                    values = dict(zip(names, ast.literal_eval(row)))
                except ValueError:  # a row that calls a function
                    continue
                right = bool(values.get("expected", values.get("result")))
                yield values["pred"], values["gold"], right, 10.0 ** -values.get("precision", 6)


def strings(source):
    return b"".join(
        ast.literal_eval('b"' + part + '"') for part in re.findall(r'"((?:[^"\\]|\\.)*)"', source)
    ).decode("utf-8", "replace")


def own():
    text = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
    after = re.compile(r"\{\s*" + text + r",\s*" + text + r",\s*(?:([NLB]),)?\s*([01])\s*\}")
    before = re.compile(r"\{\s*([NLB]),\s*" + text + r",\s*" + text + r",\s*([01])\s*\}")
    for name in ("verdicts.h", "mathematics.h", "course/test_verify_edges.c"):
        source = open(os.path.join(HERE, "..", "unit", name)).read()
        for m in after.finditer(source):
            yield strings(m[1]), strings(m[2]), m[4] == "1", BITS[m[3] or "L"]
        for m in before.finditer(source):
            yield strings(m[2]), strings(m[3]), m[4] == "1", BITS[m[1]]


def references():
    for name in ("math500", "aime24"):
        for line in open(os.path.join(os.environ["KD_DATA"], "math", name + ".jsonl")):
            yield str(json.loads(line)["answer"])


def asked(text, expected):
    try:
        return bool(verify(parse(expected), parse(text)))
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


def fenced(text):
    return text if re.search(r"\$|\\\(|\\\[|boxed|answer", text) else "$" + text + "$"


def theirs(text, expected, right):
    """Math-Verify's verdict on the pair as it is and, where that is wrong, with $ around what has
    none: the better one."""
    verdict = asked(text, expected)
    if verdict == right or (fenced(text), fenced(expected)) == (text, expected):
        return verdict
    return right if asked(fenced(text), fenced(expected)) == right else verdict


def is_different(text, expected):
    return any(text.endswith(t) and expected.endswith(e) for t, e in DIFFERENT)


class Table:
    def __init__(self):
        self.rows, self.differ, self.behind = {}, [], []

    def ask(self, name, right, text, expected, bits=BOTH, tolerance=1e-6):
        began = time.process_time()
        mine = kd.verify_answer(text, expected, verifiers=bits, tolerance=tolerance).right
        middle = time.process_time()
        other = theirs(text, expected, right)
        took = (middle - began, time.process_time() - middle)
        row = self.rows.setdefault(
            name,
            {"right": right, "pairs": 0, "here": 0, "there": 0, "only here": 0, "seconds": [0, 0]},
        )
        row["right"] = right if row["right"] == right else None
        row["pairs"] += 1
        row["here"] += mine != right
        row["there"] += other != right
        row["only here"] += mine != right and other == right
        row["seconds"] = [a + b for a, b in zip(row["seconds"], took)]
        if mine != right or other != right:
            self.differ.append(
                {
                    "set": name,
                    "text": text,
                    "expected": expected,
                    "right": right,
                    "here": mine,
                    "there": other,
                }
            )
        if mine != right and other == right and not is_different(text, expected):
            self.behind.append((name, text[-200:], expected[-200:], "right" if right else "wrong"))

    def show(self):
        line = "| {:<28} | {:<8} | {:>6} | {:>10} | {:>20} | {:>24} | {:>8} | {:>11} |"
        print(
            line.format(
                "pairs",
                "right is",
                "number",
                "wrong here",
                "wrong by Math-Verify",
                "wrong here, right there",
                "here",
                "Math-Verify",
            )
        )
        print("|---|---|" + "---:|" * 6)
        for name, row in self.rows.items():
            here, there = (f"{1e6 * seconds / row['pairs']:.0f} us" for seconds in row["seconds"])
            is_right = {True: "right", False: "wrong", None: "both"}[row["right"]]
            print(
                line.format(
                    name,
                    is_right,
                    row["pairs"],
                    row["here"],
                    row["there"],
                    row["only here"],
                    here,
                    there,
                )
            )


table = Table()
folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(sys.prefix, "math-verify", "tests")
if os.path.isdir(folder):
    for text, expected, right, tolerance in tests_of(folder):
        table.ask("Math-Verify's own tests", right, text, expected, tolerance=tolerance)
else:
    print("SKIPPED verdicts_beside: Math-Verify's own tests, no folder " + folder)
for text, expected, right, bits in own():
    table.ask("the library's unit tests", right, text, expected, bits)
for answer in references():
    for kinds, right in ((RIGHT, True), (SAID, True), (WRONG, False)):
        for kind, text in forms(kinds, answer):
            table.ask(kind, right, text, answer)
table.show()
for case in table.behind[:40]:
    print("wrong here, right there:", case)
os.makedirs("build", exist_ok=True)
json.dump(
    {"table": table.rows, "differ": table.differ},
    open("build/verdicts.json", "w"),
    indent=1,
    ensure_ascii=False,
)
total = {key: sum(row[key] for row in table.rows.values()) for key in ("pairs", "here", "there")}
print(
    f"verdicts_beside: {total['pairs']} pairs, {total['here']} wrong here, "
    f"{total['there']} wrong by Math-Verify; "
    f"{len(table.behind)} wrong here alone beside {len(DIFFERENT)} that are listed"
    + ("" if table.behind else "; all others agreed")
)
sys.exit(bool(table.behind))
