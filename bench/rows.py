"""What a step costs where part of it needs no work: rows that no term looks at, layers that are not
trained.

    KDISTILL_LIBRARY=lib/libkdistill.so python bench/rows.py      THREADS, ROUNDS, SHORT=1

For each shape, times over those of the whole: steps with half of the rows masked (of prompts, in
whole pieces), from labels and from a teacher of the same shape that gives hidden states; steps with
a mask that masks nothing; steps that train the top third of the layers. Everything is timed in
turns in one process, and the medians are compared.
"""

import os
import statistics
import sys
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

SHORT = os.environ.get("SHORT") == "1"
ROUNDS = int(os.environ.get("ROUNDS", "1" if SHORT else "5"))
SHAPES = {
    "llama-288x6": (
        dict(hidden_size=288, intermediate_size=768, num_hidden_layers=6),
        32000,
        6,
        6,
    ),
    "smollm2-135m": (
        dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30),
        49152,
        9,
        3,
    ),
}
ROWS, LENGTH = (2 if SHORT else 4), 256


def config_of(name):
    sizes, vocabulary, heads, groups = SHAPES[name]
    return dict(
        sizes,
        model_type="llama",
        vocab_size=vocabulary,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=LENGTH,
        tie_word_embeddings=True,
    )


def batch_of(ctx, vocabulary, masked):
    """The first half of each sequence is its prompt."""
    tokens = np.random.default_rng(0).integers(0, vocabulary, (ROWS, LENGTH))
    answer = np.ones((ROWS, LENGTH), np.int64)
    answer[:, : int(LENGTH * masked)] = 0
    batch = kd.Batch(ctx).begin_packed(np.arange(0, tokens.size + 1, LENGTH))
    batch.set("tokens", tokens.reshape(-1).astype(np.int64))
    batch.set("answer", answer.reshape(-1))
    return batch


def step_of(ctx, config, masked=None, teacher=None, trained=None):
    """A function that takes one step. masked: share of rows, None: no mask at all."""
    model, loss, targets = kd.Model(ctx, config), kd.Loss(ctx), kd.Targets(ctx)
    where = {} if masked is None else dict(mask_field="answer")
    if teacher:
        loss.add(kd.LossKind.FORWARD_KL, 1.0, **where)
    else:
        loss.add(
            kd.LossKind.CROSS_ENTROPY,
            1.0,
            label_field="tokens",
            align=kd.Align.NEXT,
            **where,
        )
    batch = batch_of(ctx, config["vocab_size"], masked or 0)
    if teacher:
        teacher.read(batch, targets)
    if trained:
        model.freeze("*")
        model.freeze("model.norm.weight", False)
        for layer in range(config["num_hidden_layers"] - trained, config["num_hidden_layers"]):
            model.freeze(f"model.layers.{layer}.*", False)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model)

    def step():
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, targets if teacher else None)
        optimizer.step(1e-4)

    return step


def medians(steps):
    """Seconds of each, taken in turns."""
    times = {name: [] for name in steps}
    for round_ in range(ROUNDS + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if round_:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def main():
    ctx = kd.Context(threads=int(os.environ.get("THREADS", "0")))
    print("| step | shape | seconds | of the whole |\n|---|---|---|---|")
    for name in SHAPES if not SHORT else ["llama-288x6"]:
        config = config_of(name)
        layers = config["num_hidden_layers"]
        teacher = kd.Teacher.from_model(kd.Model(ctx, dict(config), frozen=1, seed=2))
        groups = [
            {
                "all rows": step_of(ctx, config),
                "a mask that masks none": step_of(ctx, config, 0),
                "half of the rows masked": step_of(ctx, config, 0.5),
                f"top {layers // 3} of {layers} layers": step_of(ctx, config, trained=layers // 3),
            },
            {
                "all rows, teacher's head": step_of(ctx, config, teacher=teacher),
                "half masked, teacher's head": step_of(ctx, config, 0.5, teacher),
            },
        ]
        for steps in groups:
            found = medians(steps)
            whole = next(iter(found.values()))
            for what, seconds in found.items():
                print(
                    f"| {what} | {name} | {seconds:.3f} | {seconds / whole:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
