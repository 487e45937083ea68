"""Losses through a head where terms look at some rows only, beside PyTorch in double on those rows,
gathered.

    python tests/property/head_rows.py [cases] [seed]

Random shapes, masks of one or two terms, biases, scales, soft caps, teachers with logits or with a
head of their own, memory limits that cut blocks; the student has a head, or gives logits.
"""

import os
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402


def masks_of(rng, rows):
    """Two masks: the same, others, or with no row, one, or all."""
    share = rng.choice([0, 0.1, 0.5, 0.9, 1])
    first = rng.random(rows) < share
    if rng.random() < 0.2:
        first[:] = False
        first[rng.integers(rows)] = True
    second = first if rng.random() < 0.5 else rng.random(rows) < rng.choice([0.2, 0.7])
    return first, second


def head_logits(hidden, weight, bias, scale, cap):
    z = scale * (hidden @ weight.T + bias)
    return cap * torch.tanh(z / cap) if cap else z


def expected(case, hidden, weight, bias, teacher):
    """Value and gradients in double, on the rows that a term looks at."""
    soft, hard = case["masks"]
    chosen = np.flatnonzero(soft | hard)
    h, w, b = (
        torch.tensor(x.astype(np.float64), requires_grad=True) for x in (hidden, weight, bias)
    )
    rows = h[torch.tensor(chosen)]
    z = head_logits(rows, w, b, case["scale"], case["cap"]) if case["has_head"] else rows
    t, value = case["temperature"], torch.zeros((), dtype=torch.float64)
    if soft.any():
        at = torch.tensor(np.flatnonzero(soft[chosen]))
        lp = torch.log_softmax(torch.tensor(teacher[chosen]) / t, 1)[at]
        lq = torch.log_softmax(z / t, 1)[at]
        value = value + 0.7 * t * t * (lp.exp() * (lp - lq)).sum(1).mean()
    if hard.any():
        at = torch.tensor(np.flatnonzero(hard[chosen]))
        labels = torch.tensor(case["labels"][chosen])[at]
        value = value + 0.3 * torch.nn.functional.cross_entropy(z[at], labels)
    if value.requires_grad:
        value.backward()
    slopes = [x.grad.numpy() if x.grad is not None else np.zeros(x.shape) for x in (h, w, b)]
    return value.item(), slopes


def near(name, found, wanted, case):
    size = np.sqrt((wanted**2).sum())
    off = np.sqrt(((found - wanted) ** 2).sum())
    assert off <= 1e-5 * size + 1e-6, f"{name}: off by {off:.2g} of {size:.2g}: {case}"


def one(ctx, rng):
    rows, classes, width = int(rng.integers(1, 90)), int(rng.integers(2, 700)), 24
    case = dict(
        masks=masks_of(rng, rows),
        labels=rng.integers(0, classes, rows),
        scale=float(rng.choice([1, 0.5, -2])),
        cap=float(rng.choice([0, 0, 5])),
        temperature=float(rng.choice([1, 2])),
        has_head=rng.random() < 0.7,
        teachers_head=rng.random() < 0.5,
        limit=int(rng.choice([1, 300_000, 64 << 20])),
    )
    normal = rng.standard_normal
    hidden = normal((rows, width if case["has_head"] else classes), np.float32)
    weight, bias = normal((classes, width), np.float32) / 3, normal(classes, np.float32)
    behind, top = normal((rows, 12), np.float32), normal((classes, 12), np.float32)
    teacher = behind.astype(np.float64) @ top.T.astype(np.float64)
    loss, batch, targets = (
        kd.Loss(ctx, memory_limit=case["limit"]),
        kd.Batch(ctx).begin(rows),
        kd.Targets(ctx).begin(rows),
    )
    loss.add(kd.LossKind.FORWARD_KL, 0.7, temperature=case["temperature"], mask_field="soft")
    loss.add(kd.LossKind.CROSS_ENTROPY, 0.3, mask_field="hard")
    for name, mask in zip(("soft", "hard"), case["masks"]):
        batch.set(name, mask.astype(np.uint8))
    batch.set("label", case["labels"].astype(np.int64))
    if case["teachers_head"]:
        targets.set("hidden", behind)
        targets.borrow_head("logits", "hidden", kd.Head(top))
    else:
        targets.set("logits", teacher.astype(np.float32))
    slopes = [
        np.full(hidden.shape, 7, np.float32),
        np.zeros_like(weight),
        np.zeros_like(bias),
    ]
    head = kd.Head(weight, bias, *slopes[1:], scale=case["scale"], soft_cap=case["cap"])
    heads = {"logits": head} if case["has_head"] else None
    value = loss.evaluate(
        {"logits": hidden}, batch, targets, gradients={"logits": slopes[0]}, heads=heads
    ).value
    wanted, wanted_slopes = expected(case, hidden, weight, bias, teacher)
    assert abs(value - wanted) <= 1e-5 * (1 + abs(wanted)), (value, wanted, case)
    for name, found, right in zip(("hidden", "weight", "bias"), slopes, wanted_slopes):
        near(name, found, right, case)
    nobody = ~(case["masks"][0] | case["masks"][1])
    assert not slopes[0][nobody].any(), case


def main():
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    contexts = [kd.Context(threads=n) for n in (1, 2, 3)]
    for case in range(cases):
        one(contexts[case % 3], np.random.default_rng([seed, case]))
    print(f"{cases} losses on some rows of a head are PyTorch's")


if __name__ == "__main__":
    main()
