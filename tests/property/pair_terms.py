"""Terms of two sides against public formulas in PyTorch's autograd, in double, on random batches:
    python tests/property/pair_terms.py [cases] [seed]

The formulas are written here as open_clip's ClipLoss and DistillClipLoss, SigLIP's loss and
sentence-transformers' MultipleNegativesRankingLoss, MarginMSELoss and DistillKLDivLoss have them;
where sentence-transformers is installed, its own first loss is asked as well. Values, gradients of
both sides and of the scale are compared; the error is over the size of the largest number of what
is compared."""

import os
import random
import sys

import numpy
import torch
from torch.nn.functional import cross_entropy, logsigmoid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

torch.set_default_dtype(torch.float64)
K = kd.LossKind
LIMIT = {"value": 1e-5, "gradient": 2e-5, "spread": 1e-5}
WATCHED, LEAST = 64, 8  # rows of a side that diagnostics look at
worst = {}


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


# ---- public formulas: two outputs, row i with row i ----


def clip_loss(a, b, scale):
    """open_clip.ClipLoss"""
    logits, labels = scale * a @ b.T, torch.arange(len(a))
    return (cross_entropy(logits, labels) + cross_entropy(logits.T, labels)) / 2


def distill_clip_loss(a, b, scale, ta, tb, teacher_scale):
    """open_clip.DistillClipLoss, its second part, minus the teacher's entropy."""
    total = 0
    ours, theirs = scale * a @ b.T, teacher_scale * ta @ tb.T
    for z, t in ((ours, theirs), (ours.T, theirs.T)):
        p = torch.softmax(t, 1)
        crossed = -(p * torch.log_softmax(z, 1)).sum(1).mean()
        entropy = -(p * torch.log_softmax(t, 1)).sum(1).mean()
        total = total + (crossed - entropy) / 2
    return total


def siglip_loss(a, b, scale, bias):
    labels = 2 * torch.eye(len(a)) - 1
    return -logsigmoid(labels * (scale * a @ b.T + bias)).sum() / len(a)


def ranking_loss(a, b, scale=20.0):
    """sentence_transformers' MultipleNegativesRankingLoss; more candidates than anchors: hard
    negatives after the positives."""
    return cross_entropy(scale * a @ b.T, torch.arange(len(a)))


# ---- a teacher's ranking of a query's candidates: lists of (candidates,) ----


def margin_loss(z, y):
    """MarginMSELoss of all pairs of candidates; of two it is sentence-transformers'."""
    j, k = torch.tril_indices(len(z), len(z), -1)
    return torch.nn.functional.mse_loss(z[j] - z[k], y[j] - y[k])


def list_loss(z, y):
    """DistillKLDivLoss at temperature 1."""
    p, q = torch.log_softmax(y, 0), torch.log_softmax(z, 0)
    return torch.nn.functional.kl_div(q, p, reduction="sum", log_target=True)


# ---- groups: positives in equal parts, or masked ----


def one_way(z, same, own, masked):
    """The mean over rows that have a positive."""
    total, count = 0, 0
    for row, positive, mine in zip(z, same, own):
        if not (mine if masked else positive).any():
            continue
        count += 1
        if masked:
            negatives = row[~positive]
            parts = [torch.logsumexp(torch.cat([negatives, x[None]]), 0) - x for x in row[mine]]
            total = total + sum(parts) / len(parts)
        else:
            total = total - torch.log_softmax(row, 0)[positive].mean()
    return total / count


def grouped(z, same, own, masked, direction):
    ways = []
    if direction != kd.PairDirection.FROM_OTHER:
        ways.append(one_way(z, same, own, masked))
    if direction != kd.PairDirection.TO_OTHER:
        ways.append(one_way(z.T, same.T, own.T, masked))
    return sum(ways) / len(ways)


def grouped_sigmoid(z, same, own, masked, bias):
    sign = torch.where(same, 1.0, -1.0)
    losses = -logsigmoid(sign * (z + bias))
    if masked:
        losses = torch.where(same & ~own, torch.zeros_like(losses), losses)
    return losses.sum() / len(z)


# ---- a case ----


def near(name, what, found, wanted, case):
    size = max(1, float(numpy.abs(wanted).max()))
    error = float(numpy.abs(found - wanted).max()) / size
    if not error < LIMIT[what]:
        raise SystemExit(f"case {case}: {name}: {what} is off by {error:.3g}")
    worst[name, what] = max(worst.get((name, what), 0), error)


def side(generator, rows, width):
    given = generator.normal(0, 1, (rows, width)).astype(numpy.float32)
    return given, torch.tensor(given.astype(numpy.float64)).requires_grad_(True)


def compare(name, loss, batch, targets, outputs, value, case):
    """outputs: {name: (given, exact)}"""
    gradients = {key: numpy.empty_like(given) for key, (given, _) in outputs.items()}
    given = {key: given for key, (given, _) in outputs.items()}
    made = loss.evaluate(given, batch, targets, gradients=gradients)
    value.backward()
    near(name, "value", numpy.array(made.value), value.detach().numpy(), case)
    for key, (_, exact) in outputs.items():
        near(name, "gradient", gradients[key], exact.grad.numpy(), case)


# ---- diagnostics: Wang and Isola's align_loss and uniform_loss, RankMe, the gap of two means ----


def uniformity(x):
    return numpy.log(numpy.exp(-2 * numpy.array([*distances_of(x[:WATCHED])])).mean())


def distances_of(x):
    for i in range(len(x)):
        for j in range(i):
            yield ((x[i] - x[j]) ** 2).sum()


def effective_rank(x):
    sigma = numpy.linalg.svd(x[:WATCHED], compute_uv=False)
    p = sigma[sigma > 0] / sigma.sum()
    return numpy.exp(-(p * numpy.log(p)).sum())


def spread(name, loss, a, b, same, case):
    """What a loss told of its only term: a (n, w), b (m, w) of length 1, same (n, m)."""
    seen, same = loss.diagnostics(0), numpy.array(same, bool)
    a, b = (x.detach().numpy() for x in (a, b))
    apart = ((a[:, None] - b[None]) ** 2).sum(2)
    wanted = {
        "modality_gap": numpy.linalg.norm(a.mean(0) - b.mean(0)),
        "alignment": apart[same].mean() if same.any() else None,
    }
    enough = [len(x) >= LEAST for x in (a, b)]
    wanted["uniformity"] = (uniformity(a) + uniformity(b)) / 2 if all(enough) else None
    wanted["student_effective_rank"] = effective_rank(a) if enough[0] else None
    wanted["teacher_effective_rank"] = effective_rank(b) if enough[1] else None
    for what, value in wanted.items():
        found = getattr(seen, what)
        if value is None:
            if not numpy.isnan(found):
                raise SystemExit(f"case {case}: {name}: {what} is {found}, expected none")
            continue
        near(f"{name}: {what}", "spread", numpy.array(found), numpy.array(value), case)


def two_outputs(rng, generator, context, case):
    kind = rng.choice([K.CONTRASTIVE, K.SIGMOID_CONTRASTIVE, K.AFFINITY_KL])
    rows = rng.choice([rng.randint(2, 40), 80])
    width, taught = rng.randint(4, 40), rng.randint(4, 40)
    scale = rng.choice([1.0, 10.0, 20.0, 100.0])
    learned = rng.random() < 0.5
    log_scale = numpy.full((1, 1), numpy.log(scale), numpy.float32)
    exact_log = torch.tensor(log_scale.astype(numpy.float64)).requires_grad_(True)
    outputs = {"image": side(generator, rows, width), "text": side(generator, rows, width)}
    a, b = (unit(exact) for _, exact in outputs.values())
    loss, batch = kd.Loss(context), kd.Batch(context).begin(rows)
    targets, pairs = kd.Targets(context).begin(rows), {"other_output": "text"}
    options = {"student_output": "image"}
    numbers = {"scale": scale}
    if learned:
        pairs["scale_output"] = "logit_scale"
        outputs["logit_scale"] = (log_scale, exact_log)
        numbers = {}
    exact_scale = exact_log.exp()[0, 0] if learned else scale
    if kind == K.AFFINITY_KL:
        numbers["teacher_scale"] = rng.choice([5.0, 50.0])
        options["teacher_field"], pairs["other_teacher_field"] = "image", "text"
        given, sides = zip(*(side(generator, rows, taught) for _ in range(2)))
        targets.set("image", given[0]).set("text", given[1])
        ta, tb = (unit(x.detach()) for x in sides)
        value = distill_clip_loss(a, b, exact_scale, ta, tb, numbers["teacher_scale"])
    elif kind == K.SIGMOID_CONTRASTIVE:
        numbers["bias"] = rng.choice([-10.0, 0.0, 2.0])
        value = siglip_loss(a, b, exact_scale, numbers["bias"])
    else:
        value = clip_loss(a, b, exact_scale)
    term = loss.add(kind, 1, **options, **numbers)
    loss.set_pairs(term, **pairs)
    loss.set_diagnostics(True)
    compare(kind.name.lower(), loss, batch, targets, outputs, value, case)
    spread("two outputs", loss, a, b, numpy.eye(rows), case)


def groups(rng, generator, context, case):
    """Groups, masks, directions; two outputs, or sides of one output in any order."""
    kind = rng.choice([K.CONTRASTIVE, K.SIGMOID_CONTRASTIVE])
    rows, width, scale = rng.randint(4, 30), rng.randint(4, 20), rng.choice([1.0, 20.0])
    masked = rng.random() < 0.5
    direction = rng.choice(list(kd.PairDirection)) if kind == K.CONTRASTIVE else 0
    group = generator.integers(0, max(2, rows // 3), rows)
    group[:2] = 0, 1
    batch, pairs = kd.Batch(context).begin(rows).set("group", group), {"group_field": "group"}
    loss = kd.Loss(context)
    numbers = {"scale": scale}
    if kind == K.SIGMOID_CONTRASTIVE:
        numbers["bias"] = -1.0
    term = loss.add(kind, 1, student_output="x", **numbers)
    sided = rng.random() < 0.5
    outputs = {"x": side(generator, rows, width)}
    if sided:
        sides = generator.integers(0, 2, rows)
        sides[:4] = 0, 1, 1, 0
        group[2:4] = 0, 1
        batch.set("side", sides).set("group", group)
        pairs["side_field"] = "side"
        at = [torch.tensor(numpy.flatnonzero(sides == n)) for n in (0, 1)]
        a, b = (unit(outputs["x"][1][i]) for i in at)
        ga, gb = (torch.tensor(group)[i] for i in at)
    else:
        outputs["y"] = side(generator, rows, width)
        pairs["other_output"] = "y"
        a, b = (unit(outputs[key][1]) for key in "xy")
        ga = gb = torch.tensor(group)
    same = ga[:, None] == gb[None]
    own = same if sided else torch.eye(rows, dtype=torch.bool)
    loss.set_pairs(
        term,
        directions=direction,
        positives=kd.Positives.MASK if masked else kd.Positives.MEAN,
        **pairs,
    )
    z = scale * a @ b.T
    if kind == K.SIGMOID_CONTRASTIVE:
        value = grouped_sigmoid(z, same, own, masked, -1.0)
    else:
        value = grouped(z, same, own, masked, direction)
    name = f"{kind.name.lower()}, groups{', masked' if masked else ''}"
    loss.set_diagnostics(True)
    compare(name, loss, batch, None, outputs, value, case)
    spread("groups", loss, a, b, own if masked else same, case)


class Encoded(torch.nn.Module):
    """What sentence-transformers' losses take for a model: embeddings that are there already."""

    def forward(self, features):
        return {"sentence_embedding": features["x"]}


def sentence_losses():
    try:
        from sentence_transformers.sentence_transformer import losses
    except ImportError:
        print("without sentence-transformers: its formula alone")
        return []
    return [losses.MultipleNegativesRankingLoss, losses.CachedMultipleNegativesRankingLoss]


def ranking(rng, generator, context, case, classes):
    """Anchors, a positive each, and a hard negative each, as rows of one output."""
    rows, width = rng.randint(2, 20), rng.randint(4, 30)
    hard = rng.random() < 0.5
    parts = 3 if hard else 2
    given, exact = side(generator, parts * rows, width)
    group = numpy.concatenate([numpy.arange(rows)] * 2 + [numpy.arange(rows) + rows] * hard)
    sides = numpy.repeat([0, 1, 1][:parts], rows)
    batch = kd.Batch(context).begin(parts * rows).set("group", group).set("side", sides)
    loss = kd.Loss(context)
    term = loss.add(K.CONTRASTIVE, 1, student_output="x", scale=20)
    loss.set_pairs(
        term,
        side_field="side",
        group_field="group",
        directions=kd.PairDirection.TO_OTHER,
    )
    pieces = torch.split(exact, rows)
    value = ranking_loss(unit(pieces[0]), unit(torch.cat(pieces[1:])))
    for made in classes[:1] if case % 8 == 3 else classes:
        theirs = made(torch.nn.Sequential(Encoded()), scale=20.0)
        if hasattr(theirs, "calculate_loss"):  # the cached one, without its own passes
            told = theirs.calculate_loss([[x.detach()] for x in pieces])
        else:
            told = theirs.compute_loss_from_embeddings([x.detach() for x in pieces], None)
        near(made.__name__, "value", told.detach().numpy(), value.detach().numpy(), case)
    compare("ranking", loss, batch, None, {"x": (given, exact)}, value, case)


def teacher_ranking(rng, generator, context, case):
    """Queries with some candidates each, in any order, as rows of one output."""
    kind = rng.choice([K.MARGIN_MSE, K.LISTWISE_KL])
    formula = margin_loss if kind == K.MARGIN_MSE else list_loss
    counts = generator.integers(0, 6, rng.randint(1, 12))
    counts[0] = max(2, counts[0])
    rows, width = len(counts) + int(counts.sum()), rng.randint(4, 30)
    order = generator.permutation(rows)
    queries = numpy.arange(len(counts))
    group = numpy.concatenate([queries, numpy.repeat(queries, counts)])[order]
    sides = numpy.concatenate([0 * queries, numpy.ones(int(counts.sum()), int)])[order]
    scores = generator.normal(0, 3, (rows, 1)).astype(numpy.float32)
    given, exact = side(generator, rows, width)
    normalize = rng.choice([kd.Normalize.NONE, kd.Normalize.ROWS])
    scale, taught = rng.choice([0.3, 1.0, 20.0]), rng.choice([0.0, 0.5, 3.0])
    batch = kd.Batch(context).begin(rows).set("group", group).set("side", sides)
    targets = kd.Targets(context).begin(rows).set("score", scores)
    loss = kd.Loss(context)
    numbers = {"scale": scale, "teacher_scale": taught, "normalize": normalize}
    term = loss.add(kind, 1, student_output="x", **numbers)
    loss.set_pairs(term, side_field="side", group_field="group")
    x = unit(exact) if normalize == kd.Normalize.ROWS else exact
    y = (taught or 1) * torch.tensor(scores[:, 0].astype(numpy.float64))
    found = []
    for query in queries[counts > 1]:
        at = [torch.tensor(numpy.flatnonzero((group == query) & (sides == n))) for n in (0, 1)]
        found.append(formula(scale * (x[at[1]] @ x[at[0]][0]), y[at[1]]))
    value = sum(found) / len(found)
    compare(kind.name.lower(), loss, batch, targets, {"x": (given, exact)}, value, case)


def main():
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng, generator = random.Random(seed), numpy.random.default_rng(seed)
    classes = sentence_losses()
    with kd.Context(threads=2) as context:
        for case in range(cases):
            if case % 4 == 0:
                two_outputs(rng, generator, context, case)
            elif case % 4 == 1:
                groups(rng, generator, context, case)
            elif case % 4 == 2:
                teacher_ranking(rng, generator, context, case)
            else:
                ranking(rng, generator, context, case, classes)
    for (name, what), error in sorted(worst.items()):
        print(f"{name:36s} {what:9s} {error:.2e}")
    print(f"{cases} cases of terms of two sides agree with PyTorch")


main()
