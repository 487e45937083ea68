"""The mass outside a top-k between the temperatures that a store keeps, against what it is.

python tests/property/tails.py        KD_DATA names the data
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

TEXTS = (
    "Once upon a time, there was a little girl named Lily. She loved to play with her "
    "toys in the park. One day she found a big red ball and",
    "The sun was warm and the dog was happy to run. He saw a bird and said hello to it "
    "but the bird flew",
    '"What is that?" asked Tom, and his mom smiled because',
)
TEMPERATURES = (1.1, 1.25, 1.5, 1.75, 2.5, 3, 5, 20)


def inside(ctx, targets, rows, classes, temperature, retemper):
    """Each row's mass on its ids."""
    batch, found = kd.Batch(ctx).begin(rows), []
    for row in range(rows):
        loss = kd.Loss(ctx)
        loss.set_diagnostics()
        loss.add(
            kd.LossKind.FORWARD_KL,
            temperature=temperature,
            retemper=retemper,
            teacher_field="top",
            mask_field="one",
        )
        batch.set("one", (np.arange(rows) == row).astype(np.uint8))
        loss.evaluate({"logits": np.zeros((rows, classes), np.float32)}, batch, targets)
        found.append(loss.diagnostics(0).captured_mass)
    return np.array(found)


def main():
    data = os.environ.get("KD_DATA")
    if not data:
        print("SKIPPED tails.py: KD_DATA is not set")
        return
    ctx, folder = kd.Context(), data + "/tinystories-656k"
    model, batch, targets = kd.Model.load(ctx, folder, frozen=1), kd.Batch(ctx), kd.Targets(ctx)
    batch.begin_texts(kd.Tokenizer(ctx, folder), TEXTS, kd.EndToken.NONE)
    logits = model.forward(batch, False).output("logits").copy()
    rows, classes = logits.shape
    worst = 0
    print(f"{rows} rows, {classes} classes: largest error of the mass outside")
    for k in (8, 32, 128):
        for name, retemper, further in (
            ("", kd.Retemper.BETWEEN, [2, 4]),
            (" even", kd.Retemper.UNIFORM, None),
        ):
            line = []
            for temperature in TEMPERATURES:
                targets.begin(rows)
                targets.select("top", logits, k=k, temperature=temperature)
                exact = inside(ctx, targets, rows, classes, temperature, kd.Retemper.EXACT)
                targets.begin(rows)
                targets.select(
                    "top",
                    logits,
                    k=k,
                    further=None if further is None else np.array(further, np.float32),
                )
                line.append(
                    np.abs(inside(ctx, targets, rows, classes, temperature, retemper) - exact).max()
                )
            worst = max(worst, max(line)) if k >= 32 and further else worst
            print(f"| {k}{name} | " + " | ".join(f"{error:.4f}" for error in line) + " |")
    assert worst < 0.01, worst


if __name__ == "__main__":
    main()
