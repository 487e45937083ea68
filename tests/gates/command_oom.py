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
TOKENIZER = {
    "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate("abcdefg .\n")}, "merges": []}
}
LANGUAGE = {
    "out": "language",
    "tokenizer": "tokenizer",
    "student": {
        "config": {
            "model_type": "llama",
            "hidden_size": 8,
            "intermediate_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "max_position_embeddings": 64,
        }
    },
    "data": {"text": "text.txt", "length": 16},
    "loss": [{"kind": "cross_entropy"}],
    "learning_rate": 1e-2,
    "steps": 2,
    "batch": {"tokens": 32},
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
    with open(folder + "/language.json", "w", encoding="utf-8") as file:
        json.dump(LANGUAGE, file)
    os.makedirs(folder + "/tokenizer", exist_ok=True)
    with open(folder + "/tokenizer/tokenizer.json", "w", encoding="utf-8") as file:
        json.dump(TOKENIZER, file)
    with open(folder + "/text.txt", "w", encoding="utf-8") as file:
        file.write("abc def. gab.\n" * 12)
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
    for made in ("run", "language") if "train" in words else ("t.kdt", "t.kdt.part"):
        path = os.path.join(folder, made)
        shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
    done = run(words, folder, KD_FAIL_AT=str(at), KD_FAIL_ON=str(goes_on))
    if done.returncode not in (0, 1) or (done.returncode and not done.stderr):
        sys.exit(f"{words}: allocation {at}: expected a message and 1, got {done}")
    return done.returncode


def main(command, folder, trials):
    os.makedirs(folder, exist_ok=True)
    write_files(folder)
    for words in (
        ["train", "recipe.json"],
        ["report", "run"],
        ["judge", "answers.jsonl"],
        ["train", "language.json"],
        ["generate", "language/student", "abc", "--max-tokens", "4", "--threads", "1"],
        ["store", "collect", "language.json", "t.kdt", "--teacher-model", "language/student"],
    ):
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
