"""Prune, distil, repeat: prune_distil.py TEACHER SIZES STEPS TEXT ...   (TEACHER: a folder, a GGUF
file, or "train"; SIZES: layers of each round, 20,14,10)

A language model loses layers in rounds, each chosen on the model that the round before has trained,
and learns from the whole model in between; beside it students of the last size that are cut at
once, by influence and uniformly, and get all steps. [Minitron, Muralidharan et al. 2024; ShortGPT,
Men et al. 2024]"""

import math
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

LENGTH, TOGETHER = 256, 4


def packed(ctx, sequences):
    batch = kd.Batch(ctx).begin_packed(np.arange(0, sequences.size + 1, sequences.shape[1]))
    batch.set("tokens", sequences.reshape(-1))
    return batch


def train(ctx, model, sequences, steps, rate, teacher=None, first=0):
    """Steps first .. first + steps - 1 over the texts, from the teacher's distributions."""
    loss, targets = kd.Loss(ctx), kd.Targets(ctx)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model, weight_decay=0.01, clip_norm=1)
    if teacher:
        loss.add(kd.LossKind.FORWARD_KL, 1.0)
    else:
        loss.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)
    cosine, warm = (
        kd.Schedule.cosine(ctx, rate, rate / 10, steps),
        kd.Schedule.linear(ctx, 0.02, 1, steps // 20 + 1),
    )
    for step in range(steps):
        numbers = (first + step) * TOGETHER + np.arange(TOGETHER)
        batch = packed(ctx, sequences[numbers % len(sequences)])
        if teacher:
            teacher.read(batch, targets)
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, targets if teacher else None)
        optimizer.step(cosine(step) * warm(step))


def measure(ctx, model, teacher, held):
    """Perplexity of the texts held back, and KL(teacher, model) of a token."""
    hard, soft, targets, sums = kd.Loss(ctx), kd.Loss(ctx), kd.Targets(ctx), np.zeros(2)
    hard.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)
    soft.add(kd.LossKind.FORWARD_KL, 1.0)
    for sequence in held:
        batch = packed(ctx, sequence[None])
        teacher.read(batch, targets)
        model.forward(batch, kd.Mode.EVALUATE)
        sums += (
            hard.forward(model, batch).value,
            soft.forward(model, batch, targets).value,
        )
    return math.exp(sums[0] / len(held)), sums[1] / len(held)


def texts(tokens):
    """Sequences to train on, and one in ten held back."""
    sequences = np.random.default_rng(1).permutation(
        tokens[: len(tokens) // LENGTH * LENGTH].reshape(-1, LENGTH)
    )
    held = max(1, len(sequences) // 10)
    return sequences[held:], sequences[:held]


def main(path, sizes, steps, *paths):
    ctx = kd.Context()
    sizes = [int(size) for size in sizes.split(",")]
    raw = b"".join(open(path, "rb").read() for path in paths)
    if path == "train":
        whole = kd.Model(ctx, dict(kd.student_preset("llama-1m"), vocab_size=256))
        tokens = np.frombuffer(raw, np.uint8)
    else:
        whole, tokens = kd.Model.load(ctx, path), kd.Tokenizer(ctx, path).encode(raw)
    sequences, held = texts(np.asarray(tokens, np.int64))
    held, rate = held[:16], 3e-4
    if path == "train":
        rate = 2e-3
        train(ctx, whole, sequences, 2 * steps, 3e-3)
    teacher = kd.Teacher.from_model(whole)
    calibration = packed(ctx, sequences[-1:])

    def report(name, model):
        perplexity, kl = measure(ctx, model, teacher, held)
        print(f"| {name} | {perplexity:.4g} | {kl:.3f} |", flush=True)

    print("| model | perplexity | KL |\n|---|---|---|")
    report(f"{len(whole.measure_influence())} layers, the teacher", whole)
    model, done = whole, 0
    for round_, size in enumerate(sizes, 1):
        layers = model.map_layers(size, kd.LayerChoice.INFLUENCE, calibration)
        model = model.student(layer_map=layers)
        report(f"round {round_}, {size} layers, cut", model)
        share = steps * round_ // len(sizes) - done
        train(ctx, model, sequences, share, rate, teacher, done)
        done += share
        report(f"round {round_}, {size} layers, after {done} steps", model)
    for choice in kd.LayerChoice.INFLUENCE, kd.LayerChoice.UNIFORM:
        name = f"at once by {choice.name.lower()}, {sizes[-1]} layers"
        model = whole.student(layer_map=whole.map_layers(sizes[-1], choice, calibration))
        report(name + ", cut", model)
        train(ctx, model, sequences, steps, rate, teacher)
        report(f"{name}, after {steps} steps", model)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
