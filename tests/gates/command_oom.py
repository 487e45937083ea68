"""Allocations of `kdistill` fail in turn, once and from then on: it ends with a message and 1,
and a run that failed so ends well when it is called again.

command_oom.py KDISTILL FOLDER TRIALS: a command linked with command_oom.c, a folder for its files,
how many allocations of each command are tried (spread evenly).
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np

RECIPE = {
    "out": "run",
    "teacher": {"arrays": {"logits": "logits.npy"}},
    "student": {
        "config": {"model_type": "mlp", "input_size": 4, "hidden_sizes": [4], "num_labels": 3}
    },
    "data": {"arrays": {"inputs": "inputs.npy", "label": "labels.npy"}},
    "validation": {"share": 0.2, "every": 2, "metric": "accuracy", "keep": "best"},
    "loss": [
        {"kind": "forward_kl", "temperature": {"kind": "linear", "from": 4, "to": 1}},
        {"kind": "cross_entropy"},
    ],
    "learning_rate": 1e-2,
    "steps": 4,
    "batch": {"samples": 10},
    "threads": 1,
}
ANSWERS = [{"prompt": f"{i}", "completion": f"#### {i}", "expected": f"{i % 7}"} for i in range(9)]


def write_files(folder):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 4)).astype(np.float32)
    np.save(folder + "/inputs.npy", inputs)
    np.save(folder + "/logits.npy", 3 * inputs[:, :3])
    np.save(folder + "/labels.npy", inputs[:, :3].argmax(1))
    with open(folder + "/recipe.json", "w", encoding="utf-8") as file:
        json.dump(RECIPE, file)
    with open(folder + "/answers.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(answer) + "\n" for answer in ANSWERS)


def run(words, folder, **environment):
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}
    )


def count(words, folder):
    done = run(words, folder, KD_COUNT_TO="count")
    if done.returncode:
        sys.exit(f"{words}: {done.stderr}")
    with open(folder + "/count", encoding="utf-8") as file:
        return int(file.read())


def fail(words, folder, at, goes_on):
    shutil.rmtree(folder + "/run", ignore_errors=True) if "train" in words else None
    done = run(words, folder, KD_FAIL_AT=str(at), KD_FAIL_ON=str(goes_on))
    if done.returncode not in (0, 1) or (done.returncode and not done.stderr):
        sys.exit(f"{words}: allocation {at}: expected a message and 1, got {done}")
    return done.returncode


def main(command, folder, trials):
    os.makedirs(folder, exist_ok=True)
    write_files(folder)
    for words in (["train", "recipe.json"], ["report", "run"], ["judge", "answers.jsonl"]):
        words = [command, *words]
        total = count(words, folder)
        failed = 0
        for i, at in enumerate(sorted({total * i // trials for i in range(trials)})):
            failed += fail(words, folder, at, i % 2)
            if "train" in words and i % 8 == 0:
                again = run(words, folder)
                if again.returncode:
                    sys.exit(f"allocation {at} had failed: {again.stderr}")
        if not failed:
            sys.exit(f"{words}: no allocation made it fail: nothing was tested")
        run(words, folder)
        print(
            f"{words[1]}: {total} allocations, {min(total, trials)} tried, {failed} ended it, "
            "each with a message"
        )


main(os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
