"""MATH-500 and AIME 2024: every reference answer is itself, in each of its rewritten forms and as its own solution boxes it, and is not what one changed
digit, sign or bracket makes of it."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

folder = os.environ.get("KD_DATA")
if not folder:
    print("SKIPPED mathematics: KD_DATA is not set")
    sys.exit(0)


def same(a, b):
    return kd.verify(a, b, verifiers=kd.VERIFY_LATEX)[0]


def rewritten(a):
    yield "\\boxed{" + a + "}"
    yield "$" + a + "$"
    yield "The answer is " + a
    yield a.replace("\\frac", "\\dfrac")
    yield re.sub(r"(?<![\w ])\\frac\{(\w+)\}\{(\w+)\}", r"{\1}/{\2}", a)
    yield a.replace("(", "\\left(").replace(")", "\\right)")
    yield re.sub(r"([+=,])", r" \1 ", a) if "\\!" not in a and "\\text" not in a else a
    yield a.replace("\\pi", "{\\pi}")
    yield "<think>\\boxed{0}</think>So it is \\boxed{" + a + "}."


def perturbed(a):
    for digit in re.finditer(r"\d", re.sub(r"\\(mbox|text)\{.*", "", a)):
        yield a[:digit.start()] + str((int(digit.group()) + 1) % 10) + a[digit.end():]
    if re.fullmatch(r"[\d.]+", a) and float(a):
        yield "-" + a
    if a.startswith("(") and a.endswith(")") and "," in a:
        yield "[" + a[1:]


answers = [json.loads(line) for line in open(folder + "/math/math500.jsonl")]
counts, wrong = [0, 0, 0], []
for row in answers:
    answer = row["answer"]
    counts[0] += 1
    if not same(row["solution"], answer):
        wrong.append(("solution", answer))
    for form in rewritten(answer):
        counts[1] += 1
        if not same(form, answer):
            wrong.append((form, answer))
    for form in perturbed(answer):
        counts[2] += 1
        if same(form, answer):
            wrong.append(("changed", form, answer))
for line in open(folder + "/math/aime24.jsonl"):
    row = json.loads(line)
    counts[0] += 1
    if not same("\\boxed{%s}" % row["answer"], str(row["answer"])) or same("\\boxed{%s}" % row["answer"], str(int(row["answer"]) + 1)):
        wrong.append(("AIME", row["answer"]))
for case in wrong[:40]:
    print(case)
print(f"mathematics: {counts[0]} answers, {counts[1]} rewritten forms, {counts[2]} changed ones: {len(wrong)} wrong verdicts" + ("" if wrong else "; all agreed"))
sys.exit(bool(wrong))
