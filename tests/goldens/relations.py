"""Makes tests/goldens/relations.h from PyTorch (make peers installs it): python3
tests/goldens/relations.py > tests/goldens/relations.h

The formulas of relations between samples are written here as their authors' code has them, on
inputs that the tests compute as well, in double; autograd gives the gradients. Where torchdistill
can be imported, its losses are compared on the way, and the factor between the two is told.
"""

import sys
import textwrap

import torch
from torch.nn.functional import adaptive_avg_pool2d, normalize, smooth_l1_loss

ROWS, STUDENT, TEACHER = 6, 5, 7
EPSILON = 1e-7


def side(width, a, b, c):
    """Row i, number k: sin(a i + b k + c i k), as float32."""
    i = torch.arange(ROWS, dtype=torch.float64)[:, None]
    k = torch.arange(width, dtype=torch.float64)[None]
    return torch.sin(a * i + b * k + c * i * k).float().double()


def maps(channels, height, width, a):
    """Number n of a map: sin(a n) + n / count, as float32."""
    count = channels * height * width
    n = torch.arange(count, dtype=torch.float64)
    return (torch.sin(a * n) + n / count).float().double().reshape(1, channels, height, width)


def similarity(s, t):
    g, h = normalize(s @ s.T), normalize(t @ t.T)
    return ((g - h) ** 2).sum() / len(s) ** 2


def gram(s, t):
    u, w = normalize(s), normalize(t)
    return ((u @ u.T - w @ w.T) ** 2).mean()


def distances(x):
    # autograd of a root at 0 is NaN: the diagonal goes through 1
    one = torch.eye(len(x), dtype=x.dtype)
    d = (((x[:, None] - x[None]) ** 2).sum(2) + one).sqrt() * (1 - one)
    return d / d[d > 0].mean()


def rkd_distance(s, t):
    return smooth_l1_loss(distances(s), distances(t))


def angles(x):
    unit = normalize(x[None] - x[:, None], dim=2)
    return torch.bmm(unit, unit.transpose(1, 2))


def rkd_angle(s, t):
    return smooth_l1_loss(angles(s), angles(t))


def pkt(s, t):
    def shares(x):
        k = (normalize(x) @ normalize(x).T + 1) / 2
        return k / k.sum(1, keepdim=True)

    p, q = shares(t), shares(s)
    return (p * ((p + EPSILON) / (q + EPSILON)).log()).mean()


def cka(s, t):
    s, t = s - s.mean(0), t - t.mean(0)
    return 1 - (s.T @ t).norm() ** 2 / ((s.T @ s).norm() * (t.T @ t).norm())


def cka_unbiased(s, t):
    def hsic(k, m):
        n = len(k)
        one = torch.ones(n, dtype=k.dtype)
        k, m = k - k.diag().diag(), m - m.diag().diag()
        rest = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return ((k @ m).trace() + rest - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))

    k, m = s @ s.T, t @ t.T
    return 1 - hsic(k, m) / (hsic(k, k) * hsic(m, m)).sqrt()


def relation_kl(s, t, temperature=0.25, teacher_temperature=0.2):
    def logarithms(x, tau):
        z = normalize(x) @ normalize(x).T / tau
        beside = ~torch.eye(len(x), dtype=torch.bool)
        return z[beside].reshape(len(x), -1).log_softmax(1)

    log_p, log_q = logarithms(t, teacher_temperature), logarithms(s, temperature)
    return (log_p.exp() * (log_p - log_q)).sum(1).mean()


def attention_transfer(s, t):
    size = [min(a, b) for a, b in zip(s.shape[2:], t.shape[2:])]
    q, p = (normalize(adaptive_avg_pool2d(x, size).pow(2).mean(1).flatten(1)) for x in (s, t))
    return (q - p).pow(2).mean()


def emit(name, values):
    numbers = torch.as_tensor(values, dtype=torch.float64).flatten().tolist()
    body = textwrap.fill(
        ", ".join(f"{x:.9g}" for x in numbers), 96, initial_indent="    ", subsequent_indent="    "
    )
    print(f"static const double {name}[] = {{\n{body}\n}};")


def emit_loss(name, function, s, t):
    leaf = s.clone().requires_grad_(True)
    value = function(leaf, t)
    value.backward()
    emit(f"golden_{name}", value.detach())
    emit(f"golden_{name}_gradient", leaf.grad)
    return value.item()


def peers():
    """Losses of torchdistill, as functions of the two sides; none where it is missing."""
    try:
        from torchdistill.losses import mid_level as m
    except ImportError:
        return {}
    rkd = m.RKDLoss("s", "t", 1, 1, "mean")
    spkd = m.SPKDLoss("s", "t", "batchmean")
    return {
        "similarity": lambda s, t: spkd.compute_spkd_loss(t, s) / len(s) ** 2,
        "rkd_distance": lambda s, t: rkd.compute_rkd_distance_loss(t, s),
        "rkd_angle": lambda s, t: rkd.compute_rkd_angle_loss(t, s),
        "pkt": m.PKTLoss("s", "output", "t", "output").cosine_similarity_loss,
        "attention_transfer": m.ATLoss({}, "code").compute_at_loss,
    }


def main():
    version = torch.__version__.split("+")[0]
    print(f"/* Made by tests/goldens/relations.py with PyTorch {version}. Do not edit. */")
    print("/* clang-format off */")
    s, t = side(STUDENT, 0.7, 1.3, 0.21), side(TEACHER, 1.9, 0.4, 0.37)
    theirs = peers()
    relations = (similarity, gram, rkd_distance, rkd_angle, pkt, cka, cka_unbiased, relation_kl)
    for function in relations:
        name = function.__name__
        value = emit_loss(name, function, s, t)
        if name in theirs:
            print(name, "theirs / ours:", theirs[name](s, t).item() / value, file=sys.stderr)
    equal = maps(3, 4, 5, 1.1), maps(2, 4, 5, 0.6)
    value = emit_loss("attention_transfer", attention_transfer, *equal)
    if theirs:
        ratio = theirs["attention_transfer"](*equal).item() / value
        print("attention_transfer theirs / ours:", ratio, file=sys.stderr)
    emit_loss(
        "attention_larger_student", attention_transfer, maps(3, 7, 5, 1.1), maps(2, 4, 3, 0.6)
    )
    emit_loss(
        "attention_larger_teacher", attention_transfer, maps(2, 3, 3, 1.1), maps(4, 8, 6, 0.6)
    )


if __name__ == "__main__":
    main()
