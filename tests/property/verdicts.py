"""Verdicts on GSM8K's own solutions, and on model solutions whose file says which are right:
python tests/property/verdicts.py        KD_DATA names the data
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

folder = os.path.join(os.environ.get("KD_DATA", ""), "gsm8k")
if not os.path.isdir(folder):
    print("SKIPPED (verdicts: KD_DATA is not set)")
    sys.exit()
labeled = own = 0
for line in open(os.path.join(folder, "example_model_solutions.jsonl")):
    problem = json.loads(line)
    for value in problem.values():
        if isinstance(value, dict):
            labeled += 1
            if (
                kd.verify_answer(value["solution"], problem["ground_truth"]).right
                != value["is_correct"]
            ):
                sys.exit(f"verdict differs from the label: {value}")
for name in ("train", "test"):
    for line in open(os.path.join(folder, name + ".jsonl")):
        answer = json.loads(line)["answer"]
        own += 1
        if (
            not kd.verify_answer(answer, answer).right
            or kd.verify_answer(answer + "1", answer).right
        ):
            sys.exit(f"a solution against itself, and against another number: {answer}")
print(
    f"verdicts: {labeled} of {labeled} model solutions as their labels say, {own} own "
    "solutions agreed"
)
