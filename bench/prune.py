"""Students of fewer layers before they learn, by how their layers are chosen, and after some steps.

    KDISTILL_LIBRARY=lib/libkdistill.so python bench/prune.py SMOLLM2 DATA [STEPS]

Perplexity and KL(teacher, student) a token on GSM8K; layers are chosen on 256 tokens of
tinyshakespeare, or on random tokens. STEPS: so many of distilling the smallest of each, 1,024
tokens of GSM8K a step. The table also lies in build/prune.json. SIZES=25,20,15,10; WITHOUT=greedy
leaves that column out.
"""

import json
import math
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

SIZES = [int(size) for size in os.environ.get("SIZES", "25,20,15,10").split(",")]
CHOICES = [
    ("uniform", kd.LayerChoice.UNIFORM, None),
    ("influence", kd.LayerChoice.INFLUENCE, "text"),
    ("influence, random tokens", kd.LayerChoice.INFLUENCE, None),
    ("greedy", kd.LayerChoice.GREEDY, "text"),
    ("greedy, random tokens", kd.LayerChoice.GREEDY, None),
]
LENGTH, TOGETHER, RATE = 256, 4, 3e-4


def packed(ctx, tokens, length=LENGTH):
    batch = kd.Batch(ctx).begin_packed(np.arange(0, len(tokens) + 1, length))
    batch.set("tokens", np.asarray(tokens, np.int64))
    return batch


def gsm8k(tokenizer, path, count):
    text = ""
    for line in open(path):
        sample = json.loads(line)
        text += sample["question"] + "\n" + sample["answer"] + "\n\n"
        if len(text) > 8 * count:
            break
    return np.asarray(tokenizer.encode(text), np.int64)[:count]


class Judge:
    """Perplexity, and KL from the whole model, of a text held back."""

    def __init__(self, ctx, whole, tokens):
        self.hard, self.soft, self.targets = kd.Loss(ctx), kd.Loss(ctx), kd.Targets(ctx)
        self.hard.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)
        self.soft.add(kd.LossKind.FORWARD_KL, 1.0)
        self.batch, self.teacher = packed(ctx, tokens), kd.Teacher.from_model(whole)

    def __call__(self, model):
        self.teacher.read(self.batch, self.targets)
        model.forward(self.batch, kd.Mode.EVALUATE)
        kl = self.soft.forward(model, self.batch, self.targets).value
        return math.exp(self.hard.forward(model, self.batch).value), kl


def distil(ctx, model, judge, tokens, steps):
    loss = kd.Loss(ctx)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model, weight_decay=0.01, clip_norm=1)
    loss.add(kd.LossKind.FORWARD_KL, 1.0)
    targets, cosine = kd.Targets(ctx), kd.Schedule.cosine(ctx, RATE, RATE / 10, steps)
    chunk = LENGTH * TOGETHER
    for step in range(steps):
        at = step * chunk % (len(tokens) - chunk)
        batch = packed(ctx, tokens[at : at + chunk])
        judge.teacher.read(batch, targets)
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, targets)
        optimizer.step(cosine(step) * min(1, (step + 1) / (steps // 20 + 1)))


def main(folder, data, steps=0):
    ctx = kd.Context(threads=int(os.environ.get("THREADS", "0")))
    whole, tokenizer = kd.Model.load(ctx, folder, frozen=1), kd.Tokenizer(ctx, folder)
    text = open(os.path.join(data, "text", "tinyshakespeare.txt")).read()[:4000]
    texts = {"text": packed(ctx, tokenizer.encode(text)[:LENGTH]), None: None}
    judge = Judge(ctx, whole, gsm8k(tokenizer, os.path.join(data, "gsm8k", "test.jsonl"), 1024))
    train = gsm8k(tokenizer, os.path.join(data, "gsm8k", "train.jsonl"), (steps + 2) * 1024)
    rows = [dict(choice="whole", layers=len(whole.measure_influence()))]
    rows[0]["perplexity"], rows[0]["kl"] = judge(whole)
    print("| chosen | layers | perplexity | KL | seconds to choose | KL after |")
    print("|---|---|---|---|---|---|")
    print(f"| the whole model | {rows[0]['layers']} | {rows[0]['perplexity']:.4g} | 0 | | |")
    for name, choice, on in CHOICES:
        if name.split(",")[0] in os.environ.get("WITHOUT", "").split(","):
            continue
        for size in SIZES:
            start = time.perf_counter()
            layers = whole.map_layers(size, choice, texts[on])
            took = time.perf_counter() - start
            model = whole.student(layer_map=layers)
            row = dict(choice=name, layers=size, map=layers, seconds=took)
            row["perplexity"], row["kl"] = judge(model)
            after = ""
            if steps and size == SIZES[-1]:
                distil(ctx, model, judge, train, steps)
                row["perplexity_after"], row["kl_after"] = judge(model)
                after = f"{row['kl_after']:.3f}"
            rows.append(row)
            print(
                f"| {name} | {size} | {row['perplexity']:,.4g} | {row['kl']:.2f} | {took:.1f} "
                f"| {after} |",
                flush=True,
            )
    os.makedirs("build", exist_ok=True)
    with open("build/prune.json", "w") as file:
        json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
