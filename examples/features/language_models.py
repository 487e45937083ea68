"""Features in a language model: a third of the layers, by logits alone, with mapped hidden states,
and with relations of the last layer's values, each for the same time.

    python examples/features/language_models.py MODEL DATA OUT.json [SEEDS [MINUTES]]

MODEL is the folder of SmolLM2-135M (or another language model with its tokenizer), DATA the folder
with gsm8k. Students learn from problems with their solutions, SEEDS (3) orders of them, all within
MINUTES (17). The teacher runs beside them with 8-bit weights. Perplexity on test problems, after a
third of the steps and at the end, mean and 95 % interval.
"""

import json
import math
import os
import sys
import time

import numpy as np
import table

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

LENGTH, TOGETHER, TESTED = 256, 2, 16
TERMS = {
    "logits": (),
    "logits and hidden states": ("hidden",),
    "logits and values": ("values",),
}


def sequences(tokenizer, data, part, count):
    """Problems with their solutions as (count, LENGTH) ids, one text after the other."""
    found = []
    with open(f"{data}/gsm8k/{part}.jsonl", encoding="utf-8") as file:
        for line in file:
            text = json.loads(line)
            found.append(tokenizer.encode(f"{text['question']}\n{text['answer']}\n\n"))
            if sum(map(len, found)) >= count * LENGTH:
                break
    ids = np.concatenate(found)[: count * LENGTH].astype(np.int64)
    return ids[: len(ids) // LENGTH * LENGTH].reshape(-1, LENGTH)


def packed(ctx, rows):
    batch = kd.Batch(ctx).begin_packed(np.arange(0, rows.size + 1, LENGTH))
    return batch.set("tokens", rows.reshape(-1))


def loss_of(ctx, parts, layers, teacher_layers):
    """The terms of one row of the table; widths are equal, so that none needs a projection."""
    loss = kd.Loss(ctx)
    loss.add(kd.LossKind.FORWARD_KL)
    if "hidden" in parts:
        teacher_of = loss.map_layers(kd.LayerChoice.BLOCKS, layers, teacher_layers)
        names = {"student_output": "hidden.%d", "teacher_field": "hidden.%d"}
        loss.add_mapped(kd.LossKind.HIDDEN_COSINE, teacher_of, **names)
    if "values" in parts:
        last = f"attention.{layers - 1}.value", f"attention.{teacher_layers - 1}.value"
        names = {"student_output": last[0], "teacher_field": last[1]}
        loss.add(kd.LossKind.ATTENTION_RELATION, **names)
    return loss


class Course:
    """One student, its terms, and its teacher."""

    def __init__(self, ctx, big, parts, layers, teacher_layers):
        self.ctx, self.targets = ctx, kd.Targets(ctx)
        blocks = kd.Loss.map_layers(kd.LayerChoice.BLOCKS, layers, teacher_layers)
        self.student = big.student(layer_map=blocks)
        self.loss = loss_of(ctx, parts, layers, teacher_layers)
        self.teacher = kd.Teacher.from_model(big)
        self.loss.keep_outputs(None, self.teacher)
        self.optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, self.student, clip_norm=1)

    def step(self, rows, rate):
        batch = packed(self.ctx, rows)
        self.teacher.read(batch, self.targets)
        self.student.forward(batch, kd.Mode.TRAIN)
        self.loss.backward(self.student, batch, self.targets)
        self.optimizer.step(rate)

    def seconds(self, rows):
        """Of a step, the fastest of three; rate 0 leaves the weights alone. What else runs on the
        machine is not to count: time of the processor, over its cores."""
        times = []
        for _ in range(3):
            began = time.process_time()
            self.step(rows, 0)
            times.append(time.process_time() - began)
        return min(times) / len(os.sched_getaffinity(0))


def perplexity(ctx, model, held):
    loss, total = kd.Loss(ctx), 0.0
    loss.add(kd.LossKind.CROSS_ENTROPY, label_field="tokens", align=kd.Align.NEXT)
    for rows in held:
        batch = packed(ctx, rows[None])
        model.forward(batch, kd.Mode.EVALUATE)
        total += loss.forward(model, batch).value
    return math.exp(total / len(held))


class Models:
    """Teacher and texts."""

    def __init__(self, folder, data):
        self.ctx = kd.Context(seed=1)
        tokenizer = kd.Tokenizer(self.ctx, folder)
        self.big = kd.Model.load(self.ctx, folder, frozen=1, weights=kd.DType.INT8)
        self.teacher_layers = self.big.config["num_hidden_layers"]
        self.layers = max(self.teacher_layers // 3, 1)
        self.texts = sequences(tokenizer, data, "train", 4000)
        self.held = sequences(tokenizer, data, "test", TESTED)

    def course(self, name):
        return Course(self.ctx, self.big, TERMS[name], self.layers, self.teacher_layers)

    def run(self, name, seed, steps):
        """Perplexities after a third of the steps and at the end."""
        course, found = self.course(name), []
        order = np.random.default_rng(seed).permutation(len(self.texts))
        rate = kd.Schedule.cosine(self.ctx, 5e-4, 5e-5, steps)
        for step in range(steps):
            chosen = order[np.arange(step * TOGETHER, (step + 1) * TOGETHER) % len(order)]
            course.step(self.texts[chosen], rate(step) * min(1, (step + 1) / (steps // 10 + 1)))
            if step + 1 in (max(steps // 3, 1), steps):
                found.append(perplexity(self.ctx, course.student, self.held))
        return found[0], found[-1]


def main(folder, data, out, seeds=3, minutes=17.0):
    models = Models(folder, data)
    budget = 60 * minutes / (len(TERMS) * seeds)
    teacher = perplexity(models.ctx, models.big, models.held)
    untrained = perplexity(models.ctx, models.course("logits").student, models.held)
    print(f"{models.layers} of {models.teacher_layers} layers; {budget:.0f} seconds a student")
    lines, rows = [], []
    for name in TERMS:
        steps = max(int(budget / models.course(name).seconds(models.texts[:TOGETHER])), 3)
        third, end = zip(*(models.run(name, seed, steps) for seed in range(1, seeds + 1)))
        rows.append({"terms": name, "steps": steps, "third": third, "end": end})
        lines.append([name, str(steps), table.text(third), table.text(end)])
        print(f"  {name}: {lines[-1][1:]}", flush=True)
    print(f"perplexity: teacher {teacher:.2f}, student before training {untrained:.2f}")
    table.show(["terms", "steps", "after a third", "at the end"], lines)
    found = {"teacher": teacher, "untrained": untrained, "seconds": budget, "rows": rows}
    alone = table.interval(rows[0]["end"])[0]
    found["table"] = [table.row(r["terms"] + ", perplexity", r["end"], alone) for r in rows]
    table.keep(out, "language models", found)


if __name__ == "__main__":
    main(*sys.argv[1:4], *(int(s) for s in sys.argv[4:5]), *(float(m) for m in sys.argv[5:6]))
