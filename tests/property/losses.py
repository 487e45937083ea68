"""Values and gradients of every loss against PyTorch in double, on random shapes and settings:
    python tests/property/losses.py [cases] [seed]

The error of a row is the norm of the difference over the size of what is subtracted in its
gradient, |p| + |q| (times T^2, the weight and 1/T), and must stay below 2e-6; the value's over 1
plus the sizes of its logarithms. float16 and bfloat16 logits are rounded first."""

import math
import os
import random
import sys

import numpy
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

torch.set_default_dtype(torch.float64)
LIMIT = 2e-6
worst = {}
gaps = [1.0]  # of the last adaptive KL: the least sum of |p - q|


def softmax_logs(x, t):
    return torch.log_softmax((x - x.max(-1, keepdim=True).values) / t, -1)


def xlogy(p, log_ratio):
    return torch.where(
        p > 0, p * torch.where(p > 0, log_ratio, torch.zeros_like(p)), torch.zeros_like(p)
    )


def divergence(kind, o, lp, lq, bucket=False):
    """Over the last axis; lp and lq may hold -inf."""
    p, q = lp.exp(), lq.exp()
    if kind == kd.LossKind.FORWARD_KL:
        return xlogy(p, lp - lq).sum(-1)
    if kind == kd.LossKind.REVERSE_KL:
        return xlogy(q, lq - lp).sum(-1)
    if kind == kd.LossKind.JSD:
        b = o["teacher_share"]
        lm = torch.logaddexp(math.log(b) + lp, math.log1p(-b) + lq)
        value = b * xlogy(p, lp - lm).sum(-1) + (1 - b) * xlogy(q, lq - lm).sum(-1)
        return value / (b * (1 - b)) if o.get("normalized") else value
    if kind == kd.LossKind.SKEWED_FORWARD_KL:
        a = o["skew"]
        return xlogy(p, lp - torch.logaddexp(math.log(a) + lp, math.log1p(-a) + lq)).sum(-1)
    if kind == kd.LossKind.SKEWED_REVERSE_KL:
        a = o["skew"]
        lm = torch.logaddexp(math.log(a) + lq, math.log1p(-a) + lp)
        return xlogy(q, lq - (lm.detach() if o.get("detach_mixture") else lm)).sum(-1)
    if kind == kd.LossKind.TOTAL_VARIATION:
        return 0.5 * (p - q).abs().sum(-1)
    if kind == kd.LossKind.ACCEPTANCE:
        return -torch.minimum(p, q).sum(-1).log()
    if kind == kd.LossKind.ALPHA_BETA:
        a, b = o["ab_alpha"], o["ab_beta"]
        return -(
            (a * lp + b * lq).exp()
            - a / (a + b) * ((a + b) * lp).exp()
            - b / (a + b) * ((a + b) * lq).exp()
        ).sum(-1) / (a * b)
    if kind == kd.LossKind.ADAPTIVE_KL:
        with torch.no_grad():
            gap, weights = (p - q).abs(), []
            for row in range(p.shape[0]):
                order = torch.argsort(
                    p[row][:-1] if bucket else p[row], descending=True, stable=True
                )
                mass = torch.cumsum(p[row][order], 0)
                head = order[: max(1, int((mass < o["head_mass"]).sum()) + 1)]
                weights.append(
                    gap[row][head].sum() / gap[row].sum()
                    if gap[row].sum() > 0
                    else torch.tensor(0.5)
                )
            w = torch.stack(weights)
            gaps[0] = float(gap.sum(-1).min()) + 1e-30
        return w * xlogy(p, lp - lq).sum(-1) + (1 - w) * xlogy(q, lq - lp).sum(-1)
    raise ValueError(kind)


DIVERGENCES = [
    kd.LossKind.FORWARD_KL,
    kd.LossKind.REVERSE_KL,
    kd.LossKind.JSD,
    kd.LossKind.SKEWED_FORWARD_KL,
    kd.LossKind.SKEWED_REVERSE_KL,
    kd.LossKind.TOTAL_VARIATION,
    kd.LossKind.ACCEPTANCE,
    kd.LossKind.ALPHA_BETA,
    kd.LossKind.ADAPTIVE_KL,
]
CORNERS = {kd.LossKind.TOTAL_VARIATION, kd.LossKind.ACCEPTANCE}  # gradients jump where p = q
T2_OFF = CORNERS | {kd.LossKind.DIST, kd.LossKind.ULD, kd.LossKind.LOGIT_MSE}


def settings(rng, kind):
    o = {}
    if kind == kd.LossKind.JSD:
        o["teacher_share"] = rng.choice([0.1, 0.5, 0.9, rng.uniform(0.05, 0.95)])
        o["normalized"] = rng.randint(0, 1)
    if kind in (kd.LossKind.SKEWED_FORWARD_KL, kd.LossKind.SKEWED_REVERSE_KL):
        o["skew"] = rng.choice([0.1, 0.5, rng.uniform(0.02, 0.9)])
        if kind == kd.LossKind.SKEWED_REVERSE_KL:
            o["detach_mixture"] = rng.randint(0, 1)
    if kind == kd.LossKind.ALPHA_BETA:
        o["ab_alpha"] = rng.uniform(0.1, 1.2)
        o["ab_beta"] = rng.uniform(0.1, 1.2)
    if kind == kd.LossKind.ADAPTIVE_KL:
        o["head_mass"] = rng.choice([0.5, 0.9])
    if kind == kd.LossKind.TAID:
        o["progress"] = rng.random()
    if kind == kd.LossKind.DKD:
        o["dkd_alpha"], o["dkd_beta"] = rng.uniform(0, 3), rng.uniform(0, 8)
    return o


def tempered(topk, t_s, t, n, policy):
    """log p on S and log of the mass outside at t, the tail uniform."""
    lp, lt, k = topk
    a = t_s / t
    lp = a * lp
    others = n - k
    lt = (
        (math.log(others) + a * (lt - math.log(others)))
        if others
        else torch.full_like(lt, -math.inf)
    )
    total = torch.logsumexp(torch.cat([lp, lt[:, None]], 1), 1)
    return lp - total[:, None], lt - total


def sparse_value(kind, o, policy, z, ids, lp, lt, t):
    lq = softmax_logs(z, t)
    n = z.shape[1]
    ls = torch.gather(lq, 1, ids)
    off = lq.scatter(1, ids, -math.inf)
    lst = torch.logsumexp(off, 1) if ids.shape[1] < n else torch.full((z.shape[0],), -math.inf)
    if policy == kd.Tail.UNIFORM:
        full = (
            (lt - math.log(n - ids.shape[1]))[:, None].expand(-1, n).scatter(1, ids, lp)
            if ids.shape[1] < n
            else torch.zeros(z.shape).scatter(1, ids, lp)
        )
        return divergence(kind, o, full, lq)
    if policy == kd.Tail.RENORM_BOTH:
        return divergence(
            kind, o, lp - torch.logsumexp(lp, 1, True), ls - torch.logsumexp(ls, 1, True)
        )
    if policy == kd.Tail.TRUNCATE:
        return divergence(kind, o, lp, ls)
    if policy == kd.Tail.RENORM_TEACHER:
        lp, lt = lp - torch.logsumexp(lp, 1, True), torch.full_like(lt, -math.inf)
    return divergence(
        kind, o, torch.cat([lp, lt[:, None]], 1), torch.cat([ls, lst[:, None]], 1), True
    )


def rounded(rng, x):
    """(what the library gets, the same in double)"""
    form = rng.choice(["float32", "float32", "float16", "bfloat16"])
    x = x.astype(numpy.float32)
    if form == "float16":
        x = numpy.clip(x, -6e4, 6e4).astype(numpy.float16)
        return x, torch.tensor(x.astype(numpy.float64))
    if form == "bfloat16":
        b = kd.Bfloat16(x)
        return b, torch.tensor(b.to_float32().astype(numpy.float64))
    return x, torch.tensor(x.astype(numpy.float64))


def near(name, found, expected, size, case):
    error = float(numpy.max(numpy.linalg.norm(found - expected, axis=-1) / size))
    if not error < LIMIT:
        raise SystemExit(f"{name}: error {error:.3g} in case {case}")
    worst[name] = max(worst.get(name, 0), error)


def one(rng, generator, context, case):
    rows, n = rng.randint(1, 5), rng.choice([2, 3, 8, 17, 100, 1000, rng.randint(2, 3000)])
    t, weight = rng.choice([0.25, 0.5, 1, 1, 2, 4, 20]), rng.uniform(0.1, 2)
    spread = rng.choice([0.5, 2, 5, 20])
    z, zd = rounded(rng, generator.normal(0, spread, (rows, n)))
    v, vd = rounded(
        rng,
        zd.numpy() + generator.normal(0, 0.1, (rows, n))
        if rng.random() < 0.2
        else generator.normal(0, spread, (rows, n)),
    )
    labels = generator.integers(0, n, rows)
    kind = rng.choice(
        DIVERGENCES * 3
        + [
            kd.LossKind.CROSS_ENTROPY,
            kd.LossKind.LOGIT_MSE,
            kd.LossKind.DKD,
            kd.LossKind.TAID,
            kd.LossKind.STANDARDIZED_KL,
            kd.LossKind.DIST,
            kd.LossKind.ULD,
        ]
    )
    o = settings(rng, kind)
    sparse = kind in DIVERGENCES and rng.random() < 0.6 and n > 2
    loss, targets, batch = (
        kd.Loss(context),
        kd.Targets(context).begin(rows),
        kd.Batch(context).begin(rows),
    )
    batch.set("label", labels)
    zd = zd.clone().requires_grad_(True)
    name = kind.name.lower()
    t2 = 1 if kind in T2_OFF or kind == kd.LossKind.CROSS_ENTROPY else t * t
    extra = 1.0
    p_norm = torch.softmax((vd - vd.max(1, keepdim=True).values) / t, 1).norm(dim=1)
    if sparse:
        k = rng.choice([1, min(4, n - 1), min(64, n - 1), rng.randint(1, n - 1)])
        t_s = rng.choice([t, 1.0])
        policies = [kd.Tail.BUCKET] * 2 + [kd.Tail.UNIFORM, kd.Tail.RENORM_BOTH]
        if kind in (kd.LossKind.FORWARD_KL, kd.LossKind.SKEWED_FORWARD_KL):
            policies += [kd.Tail.TRUNCATE, kd.Tail.RENORM_TEACHER]
        if kind in CORNERS | {kd.LossKind.JSD, kd.LossKind.SKEWED_REVERSE_KL}:
            policies += [kd.Tail.RENORM_TEACHER]
        policy = rng.choice(policies)
        if kind == kd.LossKind.ALPHA_BETA:
            o["ab_alpha"] = rng.uniform(0.1, 0.9)
            o["ab_beta"] = 1 - o["ab_alpha"]
        lv = softmax_logs(vd, t_s)
        top = torch.topk(lv, k, dim=1)
        ids, order = top.indices.sort(dim=1)  # ties are taken in the order of the ids
        lp = top.values.gather(1, order).float().double()
        lt = torch.logsumexp(lv.scatter(1, ids, -math.inf), 1).float().double()
        targets.set_sparse(
            "topk",
            ids.numpy(),
            lp.float().numpy(),
            tail=lt.float().numpy(),
            temperature=t_s,
            vocabulary=n,
        )
        loss.add(
            kind,
            weight,
            temperature=t,
            teacher_field="topk",
            tail=policy,
            retemper=kd.Retemper.UNIFORM,
            **o,
        )
        if t == t_s:
            total = torch.logsumexp(torch.cat([lp, lt[:, None]], 1), 1)
            lp, lt = lp - total[:, None], lt - total
        else:
            lp, lt = tempered((lp, lt, k), t_s, t, n, policy)
        value = sparse_value(kind, o, policy, zd, ids, lp, lt, t)
        name += (
            " "
            + {
                kd.Tail.BUCKET: "bucket",
                kd.Tail.UNIFORM: "uniform",
                kd.Tail.RENORM_BOTH: "renorm both",
                kd.Tail.TRUNCATE: "truncate",
                kd.Tail.RENORM_TEACHER: "renorm teacher",
            }[policy]
        )
        p_norm = torch.maximum(
            torch.maximum(p_norm, lp.exp().norm(dim=1)),
            torch.ones(()) if policy in (kd.Tail.RENORM_BOTH, kd.Tail.RENORM_TEACHER) else p_norm,
        )
    else:
        if kind not in (kd.LossKind.CROSS_ENTROPY,):
            targets.borrow("logits", v) if not isinstance(v, kd.Bfloat16) else targets.borrow(
                "logits", v
            )
        lp, lq = softmax_logs(vd, t), softmax_logs(zd, t)
        if kind == kd.LossKind.CROSS_ENTROPY:
            value = torch.nn.functional.cross_entropy(zd, torch.tensor(labels), reduction="none")
            t = 1
        elif kind == kd.LossKind.LOGIT_MSE:
            value = 0.5 * (((zd - vd) - (zd - vd).mean(1, True)) ** 2).mean(1)
            p_norm, extra, t = (zd.detach().norm(dim=1) + vd.norm(dim=1)) / n, 1, 1
        elif kind == kd.LossKind.DKD:
            y = torch.tensor(labels)[:, None]
            hot = torch.zeros(rows, n).scatter(1, y, 1).bool()
            lqy, lpy = lq.gather(1, y)[:, 0], lp.gather(1, y)[:, 0]
            lqo, lpo = (
                torch.logsumexp(lq.masked_fill(hot, -math.inf), 1),
                torch.logsumexp(lp.masked_fill(hot, -math.inf), 1),
            )
            tckd = lpy.exp() * (lpy - lqy) + xlogy(lpo.exp(), lpo - lqo)
            nckd = xlogy(
                (lp - lpo[:, None]).exp().masked_fill(hot, 0),
                ((lp - lpo[:, None]) - (lq - lqo[:, None])).masked_fill(hot, 0),
            ).sum(1)
            value = o["dkd_alpha"] * tckd + o["dkd_beta"] * nckd
            extra = o["dkd_alpha"] + o["dkd_beta"] + 1
        elif kind == kd.LossKind.TAID:
            target = softmax_logs((1 - o["progress"]) * zd.detach() + o["progress"] * vd, t)
            value = xlogy(target.exp(), target - lq).sum(1)
            p_norm = target.exp().norm(dim=1)
        elif kind == kd.LossKind.STANDARDIZED_KL:
            if float(zd.detach().std(1).min()) < 1e-3 or float(vd.std(1).min()) < 1e-3:
                return
            z1, v1 = ((x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True) for x in (zd, vd))
            value = xlogy(softmax_logs(v1, t).exp(), softmax_logs(v1, t) - softmax_logs(z1, t)).sum(
                1
            )
            extra = float((4 / zd.detach().std(1)).max())
        elif kind == kd.LossKind.DIST:

            def pearson(a, b, axis):
                a, b = a - a.mean(axis, keepdim=True), b - b.mean(axis, keepdim=True)
                return (a * b).sum(axis) / (a.norm(dim=axis) * b.norm(dim=axis) + 1e-8)

            value = 1 - pearson(lq.exp(), lp.exp(), 1) + (1 - pearson(lq.exp(), lp.exp(), 0)).mean()
            if rows == 1:
                return
            with torch.no_grad():  # what is subtracted: b / (A B) and rho a / A^2 of both parts
                c = lq.exp() - lq.exp().mean(0)
                r = lq.exp() - 1 / n
                if float((c.norm(dim=0) / (lq.exp().max(0).values + 1e-6)).min()) < 1e-3:
                    return  # a column without differences: its correlation is lost in float32
                extra = float(
                    (4 / r.norm(dim=1)).max() + (4 * rows / n / c.norm(dim=0).clamp(min=1e-9)).max()
                )
        elif kind == kd.LossKind.ULD:
            ranked_q, ranked_p, k = (
                torch.sort(lq.exp(), descending=True).values,
                torch.sort(lp.exp(), descending=True).values,
                n,
            )
            if rng.random() < 0.5 and isinstance(
                v, numpy.ndarray
            ):  # the k largest alone: ranks, then both masses below
                k = rng.randint(1, n - 1)
                targets.select("topk", v, k, temperature=t)
                o["teacher_field"] = "topk"
                name += " of a top-k"
            below = ranked_q[:, k:].sum(1) - ranked_p[:, k:].sum(1)
            if (
                k < n
                and float((below.detach().abs() / (ranked_p.detach()[:, k:].sum(1) + 1e-30)).min())
                < 1e-4
            ):
                return
            value = (ranked_q - ranked_p)[:, :k].abs().sum(1) + below.abs()
            with torch.no_grad():  # ties and near-ties: the sign is not defined
                sorted_q = torch.sort(lq.exp(), descending=True).values
                if (
                    n > 100
                    or float(((sorted_q[:, :-1] - sorted_q[:, 1:]) / sorted_q[:, :-1]).min()) < 1e-4
                ):
                    return
                gap = (
                    torch.sort(lq.exp(), descending=True).values
                    - torch.sort(lp.exp(), descending=True).values
                ).abs()
                if (
                    float((gap / (torch.sort(lp.exp(), descending=True).values + 1e-30)).min())
                    < 1e-4
                ):
                    return
        else:
            value = divergence(kind, o, lp, lq)
            if kind in CORNERS:
                with torch.no_grad():
                    if float(((lp - lq).abs()).min()) < 1e-4:
                        return
        loss.add(
            kind,
            weight,
            **(
                {}
                if kind in (kd.LossKind.CROSS_ENTROPY, kd.LossKind.LOGIT_MSE)
                else {"temperature": t}
            ),
            **o,
        )
    if kind == kd.LossKind.ALPHA_BETA:
        extra = max(extra, 2 / o["ab_alpha"])
        p_norm = torch.maximum(
            p_norm,
            (o["ab_beta"] * softmax_logs(zd, t) + o["ab_alpha"] * softmax_logs(vd, t))
            .exp()
            .norm(dim=1)
            .detach()
            + ((o["ab_alpha"] + o["ab_beta"]) * softmax_logs(zd, t)).exp().norm(dim=1).detach(),
        )
    if kind == kd.LossKind.JSD and o.get("normalized"):
        extra = 1 / (o["teacher_share"] * (1 - o["teacher_share"]))
    if kind in (
        kd.LossKind.REVERSE_KL,
        kd.LossKind.JSD,
        kd.LossKind.SKEWED_REVERSE_KL,
        kd.LossKind.ADAPTIVE_KL,
        kd.LossKind.SKEWED_FORWARD_KL,
    ):
        with torch.no_grad():  # q log(q/p): the logarithms are subtracted as well
            extra *= float(
                (
                    1
                    + (
                        softmax_logs(zd, t).exp()
                        * (softmax_logs(zd, t).abs() + softmax_logs(vd, t).abs())
                    ).sum(1)
                ).max()
            )
    if kind == kd.LossKind.ADAPTIVE_KL:  # its weights are shares of the gap |p - q|
        extra *= 1 + 1 / gaps[0]
    if kind in CORNERS and sparse:
        with torch.no_grad():
            lq = softmax_logs(zd, t)
            if float((torch.gather(lq, 1, ids) - lp).abs().min()) < 1e-4:
                return
            if (
                policy == kd.Tail.RENORM_BOTH
                and float(
                    (
                        (torch.gather(lq, 1, ids) - torch.gather(lq, 1, ids).logsumexp(1, True))
                        - (lp - lp.logsumexp(1, True))
                    )
                    .abs()
                    .min()
                )
                < 1e-4
            ):
                return
    if kind == kd.LossKind.ACCEPTANCE and float(value.detach().max()) > 20:
        return  # below 1e-9 the library's value is that of 1e-9
    (value.sum() * weight / rows * t2).backward()
    gradient = numpy.full((rows, n), 7, numpy.float32)
    result = loss.evaluate({"logits": z}, batch, targets, gradients={"logits": gradient})
    size = (
        (p_norm + torch.softmax(zd.detach() / t, 1).norm(dim=1)).numpy()
        * weight
        / rows
        * t2
        / t
        * extra
    )
    near(name, gradient.astype(numpy.float64), zd.grad.numpy(), numpy.maximum(size, 1e-30), case)
    total = float(value.detach().sum()) * t2
    scale = (
        rows
        * t2
        * extra
        * (
            1
            + float(softmax_logs(zd.detach(), t).abs().max(1).values.mean())
            + abs(total) / rows / t2
        )
    )
    if not abs(result.sum[0] - total) / scale < LIMIT:
        raise SystemExit(f"{name}: value {result.sum[0]} instead of {total} in case {case}")


def main():
    cases, seed = (
        int(sys.argv[1]) if len(sys.argv) > 1 else 2000,
        int(sys.argv[2]) if len(sys.argv) > 2 else 1,
    )
    context = kd.Context(threads=2)
    for case in range(cases):
        one(
            random.Random(seed * 1000003 + case),
            numpy.random.default_rng(seed * 1000003 + case),
            context,
            (case, seed),
        )
    for name, error in sorted(worst.items()):
        print(f"{name:40s} {error:.2e}")
    print(f"{cases} cases agreed with PyTorch {torch.__version__} in double")


main()
