"""Values of sides that are nearly the same against sums in long double, at random distances from
1e-6 to 2:
    python tests/property/near.py [cases] [seed]

The reference is written in terms that are never negative (see src/core/loss/close.c), with d =
log(q/p) centered until sum p expm1(d) is 0. A value must be right to 3e-6 of itself (2e-6 but for a
few in ten thousand); of ULD, whose sorted sides hide small gaps beside large ones, to 1e-12
besides."""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

WIDE = np.longdouble
LIMIT = 3e-6
NAMES = [
    "FORWARD_KL",
    "REVERSE_KL",
    "JSD",
    "SKEWED_FORWARD_KL",
    "SKEWED_REVERSE_KL",
    "TOTAL_VARIATION",
    "TAID",
    "STANDARDIZED_KL",
    "ALPHA_BETA",
    "DKD",
    "ULD",
    "BINARY_KL",
]


def above_exp(x):
    """e^x - 1 - x"""
    series = x * x * (WIDE(1) / 2 + x * (WIDE(1) / 6 + x * (WIDE(1) / 24 + x / 120)))
    return np.where(abs(x) < 1e-4, series, np.expm1(x) - x)


def above_log(t):
    """t - log(1 + t)"""
    series = t * t * (WIDE(1) / 2 - t * (WIDE(1) / 3 - t * (WIDE(1) / 4 - t / 5)))
    return np.where(abs(t) < 1e-4, series, t - np.log1p(t))


def probabilities(x, temperature):
    x = WIDE(x) / WIDE(temperature)
    e = np.exp(x - x.max())
    return e / e.sum()


def log_ratio(p, z, v, temperature):
    """log(q/p), so that sum p (q/p) is 1."""
    d = (WIDE(z) - WIDE(v)) / WIDE(temperature)
    d = d - d.mean()
    for _ in range(2):
        d = d - np.log1p((p * np.expm1(d)).sum())
    return d


def forward(z, v, temperature):
    p = probabilities(v, temperature)
    return (p * above_exp(log_ratio(p, z, v, temperature))).sum()


def mixed(p, d, share):
    return (p * above_log(share * np.expm1(d))).sum()


def binary(p, other, gap):
    x, y = other * np.expm1(-gap), p * np.expm1(gap)
    return p * above_log(-x / (1 + x)) + other * above_log(-y / (1 + y))


def alpha_beta(p, d, a, b):
    return (p ** (a + b) * (b / (a + b) * above_exp((a + b) * d) - above_exp(b * d))).sum() / (
        a * b
    )


def decoupled(z, v, temperature, label, alpha, beta):
    rest = np.arange(len(z)) != label
    p = probabilities(v, temperature)
    part = probabilities(v[rest], temperature)
    d = (WIDE(z[rest]) - WIDE(v[rest])) / temperature
    middle = d.mean()
    gap = (
        (WIDE(z[label]) - WIDE(v[label])) / temperature
        - middle
        - np.log1p((part * np.expm1(d - middle)).sum())
    )
    return alpha * binary(p[label], p[rest].sum(), gap) + beta * forward(
        z[rest], v[rest], temperature
    )


def standardized(x):
    x = WIDE(x)
    return (x - x.mean()) / x.std(ddof=1)


def expected(name, z, v, t, o, label):
    p, q = probabilities(v, t), probabilities(z, t)
    d = log_ratio(p, z, v, t)
    if name == "FORWARD_KL":
        return forward(z, v, t)
    if name == "REVERSE_KL":
        return (q * above_exp(-d)).sum()
    if name == "JSD":
        b = WIDE(o["teacher_share"])
        value = b * mixed(p, d, 1 - b) + (1 - b) * mixed(q, -d, b)
        return value / (b * (1 - b)) if o["normalized"] else value
    if name == "SKEWED_FORWARD_KL":
        return mixed(p, d, 1 - WIDE(o["skew"]))
    if name == "SKEWED_REVERSE_KL":
        return mixed(q, -d, 1 - WIDE(o["skew"]))
    if name == "TOTAL_VARIATION":
        return (p * abs(np.expm1(d))).sum() / 2
    if name == "TAID":
        share = WIDE(o["progress"])
        return forward(z, (1 - share) * WIDE(z) + share * WIDE(v), t)
    if name == "STANDARDIZED_KL":
        return forward(standardized(z), standardized(v), t)
    if name == "ALPHA_BETA":
        return alpha_beta(p, d, WIDE(o["ab_alpha"]), WIDE(o["ab_beta"]))
    if name == "DKD":
        return decoupled(z, v, t, label, o["dkd_alpha"], o["dkd_beta"])
    if name == "ULD":
        p = np.sort(p)[::-1]
        return (p * abs(np.expm1(log_ratio(p, np.sort(z)[::-1], np.sort(v)[::-1], t)))).sum()
    own = WIDE(1) / (1 + np.exp(-WIDE(v) / t))
    return binary(own, WIDE(1) / (1 + np.exp(WIDE(v) / t)), (WIDE(z) - WIDE(v)) / t).sum()


def settings(rng, name):
    if name == "JSD":
        return dict(teacher_share=float(rng.uniform(0.05, 0.95)), normalized=int(rng.integers(2)))
    if name.startswith("SKEWED"):
        return dict(skew=float(rng.uniform(0.05, 0.9)))
    if name == "TAID":
        return dict(progress=float(rng.uniform(0.01, 1)))
    if name == "ALPHA_BETA":
        return dict(ab_alpha=float(rng.uniform(0.1, 1)), ab_beta=float(rng.uniform(0.1, 1)))
    if name == "DKD":
        return dict(dkd_alpha=float(rng.uniform(0.1, 2)), dkd_beta=float(rng.uniform(0.1, 4)))
    return {}


def one(context, rng, name):
    n = int(rng.choice([2, 3, 10, 100, 3000, 30000]))
    if name == "STANDARDIZED_KL":
        n = max(n, 3)
    t, spread = float(rng.choice([0.5, 1, 4, 12])), float(rng.choice([0.1, 1, 4]))
    distance = float(10 ** rng.uniform(-6, 0.3))
    v = rng.normal(0, spread, n).astype(np.float32)
    z = (v + rng.normal(0, distance, n)).astype(np.float32)
    o, label = settings(rng, name), int(rng.integers(n))
    loss, targets, batch = (
        kd.Loss(context),
        kd.Targets(context).begin(1),
        kd.Batch(context).begin(1),
    )
    batch.set("label", np.array([label]))
    targets.borrow("logits", v[None])
    loss.add(kd.LossKind[name], 1.0, temperature=t, t2=kd.T2.OFF, **o)
    found = loss.evaluate({"logits": z[None]}, batch, targets).sum[0]
    right = float(expected(name, z, v, t, o, label))
    error = max(abs(found - right) - (1e-12 if name == "ULD" else 1e-25), 0) / max(
        abs(right), 1e-30
    )
    return (
        error,
        f"{name}: {n} classes, T {t}, logits {spread}, distance {distance:.2g}, {o}: "
        f"{found:.9g}, expected {right:.9g}",
    )


def main():
    cases, seed = (
        int(sys.argv[1]) if len(sys.argv) > 1 else 1200,
        int(sys.argv[2]) if len(sys.argv) > 2 else 1,
    )
    context, worst = kd.Context(threads=1), {}
    for case in range(cases):
        name = NAMES[case % len(NAMES)]
        error, what = one(context, np.random.default_rng([seed, case]), name)
        if not error < LIMIT:
            raise SystemExit(f"case {case} of seed {seed}: {what}: off by {error:.2g} of itself")
        worst[name] = max(worst.get(name, 0), error)
    for name, error in worst.items():
        print(f"{name.lower():24s} {error:.1e}")
    print(f"{cases} values nearly 0 agreed to {LIMIT:g} of themselves")


main()
