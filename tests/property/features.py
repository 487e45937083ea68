"""Terms of features against PyTorch's autograd in double, on random terms:
    python tests/property/features.py [cases] [seed]

Each case is a loss of one to three terms on the same two sides: a kind, a projection that terms may
share, `first`, a normalization, a mask, presence, row weights where the kind has them, sides in
float32, float16 or bfloat16. One case in ten has several rows a sample, as images have, and the
teacher's flat at times. Values, gradients of the student's rows and of all parameters are
compared; the error is over the size of the largest number of what is compared, and times the square
of the least length or distance that the case divides by."""

import os
import random
import sys

import numpy
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

torch.set_default_dtype(torch.float64)
K = kd.LossKind
LIMIT = {"value": 1e-5, "gradient": 2e-5}
ROWS = [K.MEAN_SQUARED_ERROR, K.HUBER, K.HIDDEN_COSINE, K.HIDDEN_DISTANCE, K.VARIATIONAL]
RELATIONS = [
    K.SIMILARITY,
    K.GRAM,
    K.RKD_DISTANCE,
    K.RKD_ANGLE,
    K.PKT,
    K.CKA,
    K.RELATION_KL,
]
worst = {}


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def normalized(x, how):
    if how == kd.Normalize.ROWS:
        return unit(x)
    if how == kd.Normalize.LAYER:
        return torch.nn.functional.layer_norm(x, x.shape[-1:])
    return x


# ---- kinds that compare rows: the value of each row ----


def row_values(kind, s, t, rho):
    d = s - t
    if kind == K.MEAN_SQUARED_ERROR:
        return (d * d).mean(1)
    if kind == K.HUBER:
        return torch.nn.functional.smooth_l1_loss(s, t, reduction="none").mean(1)
    if kind == K.HIDDEN_COSINE:
        return 1 - (unit(s) * unit(t)).sum(1)
    if kind == K.HIDDEN_DISTANCE:
        return d.norm(dim=1)
    variance = 1e-5 + torch.nn.functional.softplus(rho)
    return (0.5 * variance.log() + d * d / (2 * variance)).mean(1)


# ---- relations: one number of all rows, as the papers' codes have it ----


def similarity(s, t):
    a, b = (torch.nn.functional.normalize(x @ x.T) for x in (s, t))
    return ((a - b) ** 2).sum() / len(s) ** 2


def gram(s, t):
    u, w = unit(s), unit(t)
    return ((u @ u.T - w @ w.T) ** 2).sum() / len(s) ** 2


def distances(x):
    gap = x[:, None] - x[None]
    square = (gap * gap).sum(-1)
    away = square > 1e-20  # of equal rows, too, the distance has no slope
    d = torch.zeros_like(square)
    d[away] = square[away].sqrt()
    return d / d[away].mean()


def rkd_distance(s, t):
    return torch.nn.functional.smooth_l1_loss(distances(s), distances(t))


def angles(x):
    e = torch.nn.functional.normalize(x[None] - x[:, None], dim=2)
    return torch.bmm(e, e.transpose(1, 2))


def rkd_angle(s, t):
    return torch.nn.functional.smooth_l1_loss(angles(s), angles(t))


def pkt(s, t):
    p, q = ((1 + unit(x) @ unit(x).T) / 2 for x in (t, s))
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    return (p * torch.log((p + 1e-7) / (q + 1e-7))).mean()


def hsic(a, b):
    n, one = len(a), torch.ones(len(a))
    a, b = a - torch.diag(torch.diag(a)), b - torch.diag(torch.diag(b))
    ab = a @ b
    mean = (one @ a @ one) * (one @ b @ one) / ((n - 1) * (n - 2))
    return (torch.trace(ab) + mean - 2 / (n - 2) * (one @ ab @ one)) / (n * (n - 3))


def cka(s, t, unbiased):
    if unbiased:
        a, b = s @ s.T, t @ t.T
        return 1 - hsic(a, b) / (hsic(a, a) * hsic(b, b)).sqrt()
    s, t = s - s.mean(0), t - t.mean(0)
    return 1 - (s.T @ t).norm() ** 2 / ((s.T @ s).norm() * (t.T @ t).norm())


def relation_kl(s, t, tau_s, tau_t):
    own = torch.eye(len(s), dtype=torch.bool)
    p = torch.log_softmax((unit(t) @ unit(t).T / tau_t).masked_fill(own, -1e30), 1)
    q = torch.log_softmax((unit(s) @ unit(s).T / tau_s).masked_fill(own, -1e30), 1)
    return (p.exp() * (p - q)).masked_fill(own, 0).sum() / len(s)


def relation(term, s, t):
    simple = {
        K.SIMILARITY: similarity,
        K.GRAM: gram,
        K.RKD_DISTANCE: rkd_distance,
        K.RKD_ANGLE: rkd_angle,
        K.PKT: pkt,
    }
    if term["kind"] in simple:
        return simple[term["kind"]](s, t)
    if term["kind"] == K.CKA:
        return cka(s, t, term["numbers"]["unbiased"])
    tau = term["numbers"]["temperature"]
    return relation_kl(s, t, tau, term["numbers"]["teacher_temperature"] or tau)


def attention(x):
    return torch.nn.functional.normalize((x * x).mean(1).flatten(1))


def attention_transfer(s, t):
    h, w = min(s.shape[2], t.shape[2]), min(s.shape[3], t.shape[3])
    pool = torch.nn.functional.adaptive_avg_pool2d
    return ((attention(pool(s, (h, w))) - attention(pool(t, (h, w)))) ** 2).mean(1)


# ---- relations of tokens: a padded batch with masks, as eager attention has it ----


def padded(x, lengths):
    return torch.nn.utils.rnn.pad_sequence(torch.split(x, lengths), batch_first=True)


def raw_scores(q, k, heads, lengths):
    """(samples, heads, rows, rows); key heads may be fewer."""
    q, k = (padded(x, lengths) for x in (q, k))
    width = q.shape[-1] // heads
    q, k = (x.unflatten(-1, (-1, width)).transpose(1, 2) for x in (q, k))
    k = k.repeat_interleave(heads // k.shape[1], dim=1)
    return q @ k.transpose(2, 3) / width**0.5


def seen_pairs(lengths, causal):
    count = torch.tensor(lengths)[:, None]
    there = torch.arange(max(lengths))[None] < count
    pairs = there[:, :, None] & there[:, None]
    return torch.tril(pairs) if causal else pairs


def token_relation(kind, student, teacher, heads, lengths, causal):
    see = seen_pairs(lengths, causal)[:, None]
    z, zt = (raw_scores(q, k, heads, lengths) for q, k in (student, teacher))
    if kind == K.ATTENTION_MSE:
        rows = torch.where(see, (z - zt) ** 2, 0).sum(-1) / see.sum(-1).clamp(min=1)
        return rows.mean(1).sum() / sum(lengths)
    log_q, log_p = (torch.log_softmax(x.masked_fill(~see, -1e30), -1) for x in (z, zt))
    rows = torch.where(see, log_p.exp() * (log_p - log_q), 0).sum(-1)
    return rows.mean(1).sum() / sum(lengths)


# ---- a case ----


def rounded(rng, x):
    """(what the library gets, the same in double)"""
    form = rng.choice(["float32", "float32", "float16", "bfloat16"])
    x = x.astype(numpy.float32)
    if form == "float16":
        x = x.astype(numpy.float16)
    if form == "bfloat16":
        given = kd.Bfloat16(x)
        return given, torch.tensor(given.to_float32().astype(numpy.float64))
    return x, torch.tensor(x.astype(numpy.float64))


def random_term(rng, widths, kinds):
    kind = rng.choice(kinds)
    both = min(widths)
    numbers = {
        "first": rng.choice([0, 0, rng.randint(max(2, both // 2), both)]),
        "normalize": rng.choice(list(kd.Normalize)),
    }
    if kind == K.CKA:
        numbers["unbiased"] = rng.randint(0, 1)
    if kind == K.RELATION_KL:
        numbers["temperature"] = rng.choice([0.1, 0.5, 1, 3])
        numbers["teacher_temperature"] = rng.choice([0, 0.2, 2])
    if (numbers["first"] or both) < 4:
        numbers["normalize"] = kd.Normalize.NONE  # few directions are left, or none
    term = {"kind": kind, "numbers": numbers, "weight": rng.uniform(0.2, 2), "projection": None}
    unequal = widths[0] != widths[1] and not numbers["first"]
    if (kind in ROWS and unequal) or rng.random() < 0.4:
        term["projection"] = rng.choice([kd.Projection.LINEAR, kd.Projection.LINEAR_BIAS])
        if rng.random() < 0.3:
            term["projection"] = kd.Projection.MLP
    term["weighted"] = kind in ROWS and rng.random() < 0.4
    term["masked"] = rng.random() < 0.4
    return term


def add(loss, term, rng):
    o = {"student_output": "hidden.2", "teacher_field": "hidden.5"}
    o.update(term["numbers"])
    if term["weighted"]:
        o["weight_field"] = "weight"
    if term["masked"]:
        o["mask_field"] = "mask"
    number = loss.add(term["kind"], term["weight"], **o)
    if term["projection"] is not None:
        first = term["numbers"]["first"]
        name = f"shared.{int(term['projection'])}.{first}"
        term["name"] = name
        loss.set_projection(number, kind=term["projection"], name=name)
    return number


def projected(term, s, parameters):
    if term["projection"] is None:
        return s
    p = {n: parameters[f"projection.{term['name']}.{n}"] for n in _parts(term["projection"])}
    if term["projection"] == kd.Projection.MLP:
        hidden = torch.relu(s @ p["0.weight"].T + p["0.bias"])
        return hidden @ p["2.weight"].T + p["2.bias"]
    s = s @ p["weight"].T
    return s + p["bias"] if "bias" in p else s


def _parts(projection):
    if projection == kd.Projection.MLP:
        return ["0.weight", "0.bias", "2.weight", "2.bias"]
    return ["weight", "bias"] if projection == kd.Projection.LINEAR_BIAS else ["weight"]


def sharpest(term, a):
    """How near to 0 the lengths, or distances, come that a term divides by: at most 1."""
    with torch.no_grad():
        gaps = torch.pdist(a) if term["kind"] in (K.RKD_DISTANCE, K.RKD_ANGLE) else a.norm(dim=1)
        if term["kind"] == K.PKT:  # and probabilities of rows that are opposite
            gaps = torch.cat([gaps, (1 + unit(a) @ unit(a).T).flatten() / 2])
        gaps = gaps[gaps > 1e-10]
        return min(1.0, float(gaps.min()) ** 2) if gaps.numel() else 1.0


def expected(terms, s, t, present, mask, weight, parameters):
    """The value, and the share of an error that is the case's own doing."""
    total, sharp = 0, 1.0
    for number, term in enumerate(terms):
        keep = present & mask if term["masked"] else present
        first = term["numbers"]["first"] or None
        a, b = s[keep][:, :first], t[keep][:, :first]
        a = projected(term, a, parameters)
        sharp = min(sharp, sharpest(term, a))
        a = normalized(a, term["numbers"]["normalize"])
        b = normalized(b, term["numbers"]["normalize"])
        if term["kind"] in RELATIONS:
            value = relation(term, a, b)
        else:
            rho = parameters.get(f"variance.{number}")
            rows = row_values(term["kind"], a, b, rho)
            value = (rows * (weight[keep] if term["weighted"] else 1)).sum() / len(a)
        total = total + term["weight"] * value
    return total, sharp


def effective_rank(x):
    """RankMe's, of the first 64 rows; fewer than 8: none."""
    sigma = numpy.linalg.svd(x[:64].detach().numpy(), compute_uv=False)
    p = sigma[sigma > 0] / sigma.sum()
    return numpy.exp(-(p * numpy.log(p)).sum()) if len(x) >= 8 else numpy.nan


def is_feature(term):
    """Kinds 9 and 10 are terms of features only with one of these."""
    numbers = term["numbers"]
    plain = numbers["normalize"] in (kd.Normalize.DEFAULT, kd.Normalize.NONE)
    more = term["projection"] is not None or numbers["first"] or not plain
    return more or term["kind"] not in (K.MEAN_SQUARED_ERROR, K.HUBER)


def ranks(loss, terms, s, t, present, mask, parameters, case):
    """Diagnostics of both sides of each term, after the projection."""
    for number, term in enumerate(terms):
        seen, keep = loss.diagnostics(number), present & mask if term["masked"] else present
        first = term["numbers"]["first"] or None
        sides = projected(term, s[keep][:, :first], parameters), t[keep][:, :first]
        for side, x in zip(("student", "teacher"), sides):
            found = getattr(seen, f"{side}_effective_rank")
            wanted = effective_rank(x) if is_feature(term) and seen.rows else numpy.nan
            if numpy.isnan(wanted) != numpy.isnan(found):
                raise SystemExit(f"case {case}: rank of the {side}: {found}, expected {wanted}")
            if not numpy.isnan(wanted):
                near("effective rank", "value", numpy.array(found), numpy.array(wanted), case)


def near(name, what, found, wanted, case, sharp=1.0):
    size = max(1, float(numpy.abs(wanted).max())) if wanted.size else 1
    error = sharp * float(numpy.abs(found - wanted).max()) / size if wanted.size else 0
    if not error < LIMIT[what]:
        raise SystemExit(f"case {case}: {name}: {what} is off by {error:.3g}")
    worst[name, what] = max(worst.get((name, what), 0), error)


def one(rng, generator, context, case, patches=1):
    rows = rng.randint(6, 12)
    widths = [rng.choice([2, 3, 8, 17, rng.randint(2, 40)]) for _ in range(2)]
    if rng.random() < 0.5:
        widths[1] = widths[0]
    given_s, s = rounded(rng, generator.normal(0, 1, (rows * patches, widths[0])))
    given_t, t = rounded(rng, generator.normal(0, 1, (rows * patches, widths[1])))
    present, mask = (numpy.ones(rows, numpy.uint8) for _ in range(2))
    present[: rng.randint(0, 1)] = 0
    mask[rows - rng.randint(0, 1) :] = 0
    weight = generator.uniform(0.5, 2, rows).astype(numpy.float32)
    batch = kd.Batch(context).begin(rows).set("mask", mask).set("weight", weight)
    kinds = ROWS if patches > 1 else ROWS + RELATIONS
    shape = (rows, patches, widths[0]) if patches > 1 else (rows, widths[0])
    if patches > 1:  # rows inside samples; of a store's, only the student's shape tells how many
        given_s = cut(given_s, shape)
        flat = rng.random() < 0.3
        given_t = cut(given_t, (rows, patches * widths[1]) if flat else (rows, patches, widths[1]))
    targets = kd.Targets(context).begin(rows).set("hidden.5", given_t, present)
    loss = kd.Loss(context)
    terms = [random_term(rng, widths, kinds) for _ in range(rng.randint(1, 3))]
    for term in terms:
        add(loss, term, rng)
    loss.set_diagnostics(True)
    gradient = numpy.empty(shape, numpy.float32)
    made = loss.evaluate({"hidden.2": given_s}, batch, targets, gradients={"hidden.2": gradient})
    parameters = {
        name: torch.tensor(v.astype(numpy.float64)).requires_grad_(True) for name, v in loss.tensors
    }
    s = s.clone().requires_grad_(True)
    keep = [torch.tensor(x != 0).repeat_interleave(patches) for x in (present, mask)]
    weights = torch.tensor(weight.astype(numpy.float64)).repeat_interleave(patches)
    value, sharp = expected(terms, s, t, *keep, weights, parameters)
    value.backward()
    ranks(loss, terms, s, t, *keep, parameters, case)
    name = "+".join(sorted({term["kind"].name.lower() for term in terms}))
    if len(terms) > 1:
        name = "several"
    if patches > 1:
        name = "rows inside samples"
    near(name, "value", numpy.array(made.value), value.detach().numpy(), case)
    near(name, "gradient", gradient.reshape(s.shape), s.grad.numpy(), case, sharp)
    for number, (tensor, _) in enumerate(loss.tensors):
        wanted = parameters[tensor].grad
        wanted = 0 * parameters[tensor].detach() if wanted is None else wanted
        near(name, "gradient", loss.tensor_gradient(number), wanted.numpy(), case, sharp)


def cut(x, shape):
    if isinstance(x, kd.Bfloat16):
        return kd.Bfloat16(x.to_float32().reshape(shape))
    return x.reshape(shape)


def grids(rng, generator, context, case):
    one(rng, generator, context, case, patches=rng.randint(2, 6))


def maps(rng, generator, context, case):
    rows = rng.randint(1, 6)
    shapes = [[rng.randint(1, 5), rng.randint(1, 8), rng.randint(1, 8)] for _ in range(2)]
    given_s, s = rounded(rng, generator.normal(0, 1, (rows, *shapes[0])))
    given_t, t = rounded(rng, generator.normal(0, 1, (rows, *shapes[1])))
    batch, targets = kd.Batch(context).begin(rows), kd.Targets(context).begin(rows)
    targets.set("hidden", given_t)
    loss = kd.Loss(context)
    loss.add(K.ATTENTION_TRANSFER, 0.7)
    gradient = numpy.empty((rows, *shapes[0]), numpy.float32)
    made = loss.evaluate({"hidden": given_s}, batch, targets, gradients={"hidden": gradient})
    s = s.clone().requires_grad_(True)
    value = 0.7 * attention_transfer(s, t).mean()
    value.backward()
    near("attention_transfer", "value", numpy.array(made.value), value.detach().numpy(), case)
    near("attention_transfer", "gradient", gradient, s.grad.numpy(), case)


def tokens(rng, generator, context, case):
    kind = rng.choice([K.ATTENTION_RELATION, K.ATTENTION_KL, K.ATTENTION_MSE])
    own, causal = kind == K.ATTENTION_RELATION, rng.randint(0, 1)
    lengths = [rng.randint(1, 20) for _ in range(rng.randint(1, 4))]
    heads, rows = rng.randint(1, 6), sum(lengths)
    divisors = [1] if own else [n for n in range(1, heads + 1) if heads % n == 0]
    shared = [rng.choice(divisors) for _ in "st"]
    given, exact = {}, {}
    for side, share in zip("st", shared):
        width = rng.randint(1, 9)
        for part, count in (("query", heads), ("key", heads // share)):
            x = generator.normal(0, 1, (rows, count * width))
            given[side, part], exact[side, part] = rounded(rng, x)
    batch = kd.Batch(context).begin_packed(numpy.cumsum([0, *lengths]))
    targets, loss = kd.Targets(context).begin(rows), kd.Loss(context)
    parts = ["query"] if own else ["query", "key"]
    for part in parts:
        targets.set(f"attention.3.{part}", given["t", part])
    names = {"student_output": "attention.1.query", "teacher_field": "attention.3.query"}
    loss.add(kind, 0.7, relation_heads=heads, causal=causal, **names)
    outputs = {f"attention.1.{part}": given["s", part] for part in parts}
    gradients = {name: numpy.empty(exact["s", name[12:]].shape, numpy.float32) for name in outputs}
    made = loss.evaluate(outputs, batch, targets, gradients=gradients)
    for part in parts:
        exact["s", part] = exact["s", part].clone().requires_grad_(True)
    sides = [[exact[side, part] for part in (parts * 2)[:2]] for side in "st"]
    value = 0.7 * token_relation(kind, *sides, heads, lengths, causal)
    value.backward()
    name = kind.name.lower()
    near(name, "value", numpy.array(made.value), value.detach().numpy(), case)
    for output, gradient in gradients.items():
        near(name, "gradient", gradient, exact["s", output[12:]].grad.numpy(), case)


def main():
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng, generator = random.Random(seed), numpy.random.default_rng(seed)
    with kd.Context(threads=2) as context:
        for case in range(cases):
            {0: maps, 1: tokens, 2: grids}.get(case % 10, one)(rng, generator, context, case)
    for (name, what), error in sorted(worst.items()):
        print(f"{name:22s} {what:9s} {error:.2e}")
    print(f"{cases} cases of feature terms agree with PyTorch")


main()
