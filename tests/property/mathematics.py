"""MATH-500 and AIME 2024: every reference answer is itself, in each of its rewritten forms and as
its own solution boxes it, and is not what one changed digit, sign or bracket makes of it."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kdistill as kd
from mathematics_forms import RIGHT, WRONG, forms

folder = os.environ.get("KD_DATA")
if not folder:
    print("SKIPPED mathematics: KD_DATA is not set")
    sys.exit(0)


def same(a, b):
    return kd.verify_answer(a, b, verifiers=kd.Verifier.LATEX).right


answers = [json.loads(line) for line in open(folder + "/math/math500.jsonl")]
counts, wrong = [0, 0, 0], []
for row in answers:
    answer = row["answer"]
    counts[0] += 1
    if not same(row["solution"], answer):
        wrong.append(("solution", answer))
    for _, form in forms(RIGHT, answer):
        counts[1] += 1
        if not same(form, answer):
            wrong.append((form, answer))
    for _, form in forms(WRONG, answer):
        counts[2] += 1
        if same(form, answer):
            wrong.append(("changed", form, answer))
for line in open(folder + "/math/aime24.jsonl"):
    row = json.loads(line)
    counts[0] += 1
    if not same("\\boxed{%s}" % row["answer"], str(row["answer"])) or same(
        "\\boxed{%s}" % row["answer"], str(int(row["answer"]) + 1)
    ):
        wrong.append(("AIME", row["answer"]))
for case in wrong[:40]:
    print(case)
print(
    f"mathematics: {counts[0]} answers, {counts[1]} rewritten forms, {counts[2]} changed "
    f"ones: {len(wrong)} wrong verdicts" + ("" if wrong else "; all agreed")
)
sys.exit(bool(wrong))
