"""muon.py [matrices] [seed]: steps of Muon beside torch.optim.Muon on random matrices, with torch's
iteration in float32 (equal to 1e-5) and as it is, in bfloat16 (equal to a few hundredths)."""

import os
import random
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

RATE, DECAY, STEPS = 0.02, 0.1, 6


def in_float32(grad, ns_coefficients, ns_steps, eps):
    a, b, c = ns_coefficients
    x = grad.to(torch.float32, copy=True)
    turned = x.size(0) > x.size(1)
    x = x.T if turned else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(ns_steps):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if turned else x


def torch_steps(start, gradients, momentum, nesterov):
    p = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.Muon(
        [p],
        lr=RATE,
        weight_decay=DECAY,
        momentum=momentum,
        nesterov=nesterov,
        adjust_lr_fn="match_rms_adamw",
    )
    for g in gradients:
        p.grad = torch.tensor(g)
        optimizer.step()
    return p.detach().numpy()


def own_steps(ctx, start, gradients, momentum, nesterov):
    values, gradient = start.copy(), np.zeros_like(start)
    optimizer = kd.Optimizer(
        ctx,
        kd.OptimizerKind.MUON,
        momentum=momentum,
        nesterov=int(nesterov),
        weight_decay=DECAY,
    )
    optimizer.borrow_array("w", values, gradient)
    for g in gradients:
        gradient[:] = g
        optimizer.step(RATE)
    return values


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    module = torch.optim._muon
    half = module._zeropower_via_newtonschulz
    worst = {"float32": 0.0, "bfloat16": 0.0}
    with kd.Context(threads=2) as ctx:
        for case in range(count):
            shape = rng.randint(2, 120), rng.randint(2, 120)
            numbers = np.random.default_rng(case)
            start = numbers.standard_normal(shape, dtype=np.float32)
            gradients = numbers.standard_normal((STEPS, *shape), dtype=np.float32)
            gradients *= np.float32(10.0 ** rng.uniform(-4, 2))
            momentum, nesterov = rng.choice([0.5, 0.9, 0.95]), rng.random() < 0.7
            ours = own_steps(ctx, start, gradients, momentum, nesterov)
            for name, rule in ("float32", in_float32), ("bfloat16", half):
                module._zeropower_via_newtonschulz = rule
                theirs = torch_steps(start, gradients, momentum, nesterov)
                moved = np.linalg.norm(theirs - start)
                off = float(np.linalg.norm(ours - theirs) / moved)
                worst[name] = max(worst[name], off)
            module._zeropower_via_newtonschulz = half
    print(
        f"muon: {count} matrices: off by {worst['float32']:.1e} of what was moved, "
        f"{worst['bfloat16']:.1e} of torch's in bfloat16"
    )
    return worst["float32"] > 2e-5 or worst["bfloat16"] > 0.05


if __name__ == "__main__":
    sys.exit(main())
