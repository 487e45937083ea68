"""The head fused with the loss, beside PyTorch in the same run (make bench-head).

    python bench/head.py [REAL]

REAL: a folder made by bench/smollm2.py; without it logits are made up and the parts on real
distributions are left out.
Ours and torch alternate; medians of ROUNDS, and of the ratios of each round: a machine that is slow
for a while is slow for both. torch runs eager and compiled, each in a process of its own under its
best setting (bench/rivals.py). ONLY=torch, skipping or large: that part alone; ROWS: tokens.
"""

import ctypes
import json
import os
import statistics
import sys
import tempfile
import time

import numpy
import rivals
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

F = torch.nn.functional
ROUNDS = int(os.environ.get("ROUNDS", "5"))
TOKENS = int(os.environ.get("ROWS", "1024"))
results = []


def clock(work):
    if isinstance(work, rivals.Worker):
        return work(1)[0]
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Times(list):
    """Seconds, round by round; setting: of a rival."""

    setting = None


def time_all(works):
    """Of each work its times, round by round."""
    for work in works:
        clock(work)
    times = [Times() for _ in works]
    for _ in range(ROUNDS):
        for i, work in enumerate(works):
            times[i].append(clock(work))
    for found, work in zip(times, works):
        if isinstance(work, rivals.Worker):
            found.setting = rivals.describe(work.setting)
            work.close()
    return times


def faster(*times):
    return min(times, key=statistics.median)


def row(name, mine, peer, peer_name, goal, note=""):
    ours_ms, peer_ms, ratio = (
        1e3 * statistics.median(mine),
        1e3 * statistics.median(peer),
        statistics.median(b / a for a, b in zip(mine, peer)),
    )
    results.append(
        {
            "name": name,
            "ours_ms": ours_ms,
            "peer_ms": peer_ms,
            "peer": peer_name,
            "ratio": ratio,
            "goal": goal,
            "note": note,
            "setting": getattr(peer, "setting", None),
        }
    )
    print(
        f"{name:58s} {ours_ms:9.1f} {peer_ms:9.1f} ms  {peer_name:24s} {ratio:5.2f} "
        f"(goal {goal:.2f}) {note}",
        flush=True,
    )


def pointer(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def products(hidden, weight):
    """The three products alone, on arrays that are there."""
    n, d = hidden.shape
    v = weight.shape[0]
    z, dh, dw = (
        numpy.zeros((n, v), numpy.float32),
        numpy.zeros((n, d), numpy.float32),
        numpy.zeros((v, d), numpy.float32),
    )

    def work():
        call = kd.lib.kd_context_matmul
        call(
            context._pointer,
            0,
            1,
            n,
            v,
            d,
            1,
            pointer(hidden),
            d,
            pointer(weight),
            d,
            0,
            pointer(z),
            v,
        )
        call(
            context._pointer, 0, 0, n, d, v, 1, pointer(z), v, pointer(weight), d, 0, pointer(dh), d
        )
        call(
            context._pointer, 1, 0, v, d, n, 1, pointer(z), v, pointer(hidden), d, 1, pointer(dw), d
        )

    return work


def ours(
    hidden,
    weight,
    kind,
    teacher=None,
    labels=None,
    bound=0.0,
    limit=64 << 20,
    fresh=True,
    **options,
):
    """A call of the fused loss; .dh, .dw, .result after it ran."""
    loss = kd.Loss(context, memory_limit=limit)
    loss.add(kind, 1.0, **options)
    batch, targets = kd.Batch(context).begin(len(hidden)), kd.Targets(context).begin(len(hidden))
    if labels is not None:
        batch.set("label", labels)
    if isinstance(teacher, numpy.ndarray):
        targets.borrow("logits", teacher)
    elif teacher is not None:
        teacher(targets)

    class Work:
        dh, dw = numpy.zeros_like(hidden), numpy.zeros_like(weight)
        result = None

        def __call__(self):
            if fresh:  # torch makes a new gradient as well; the products alone add to what is there
                self.dw[:] = 0
            head = kd.Head(weight, None, self.dw, skip_bound=bound)
            self.result = loss.evaluate(
                {"logits": hidden},
                batch,
                targets,
                gradients={"logits": self.dh},
                heads={"logits": head},
            )

    return Work()


# ---- torch, in processes of its own: a folder has the arrays ----
def torch_kl(load, temperature):
    t = load("teacher")

    def value(h, w):
        lq = F.log_softmax(h @ w.T / temperature, -1)
        lp = F.log_softmax(t / temperature, -1)
        kl = F.kl_div(lq, lp, reduction="batchmean", log_target=True)
        return temperature * temperature * kl

    return value


def torch_top(load, temperature):
    """Top-64 with a bucket, T = 1: the selected log-probabilities and the tail's."""
    i, p = load("ids"), load("values")
    rest = torch.log1p(-p.exp().sum(1).clamp(max=1 - 1e-6))

    def value(h, w):
        s = F.log_softmax(h @ w.T, -1).gather(1, i)
        tail = torch.log1p(-s.exp().sum(1).clamp(max=1 - 1e-6))
        return ((p.exp() * (p - s)).sum(1) + rest.exp() * (rest - tail)).mean()

    return value


def torch_hard(load, temperature):
    y = load("labels")
    return lambda h, w: F.cross_entropy(h @ w.T, y)


def torch_head(folder, name, compiled, temperature):
    def load(array):
        return torch.from_numpy(numpy.load(os.path.join(folder, array + ".npy")))

    h, w = load("hidden").requires_grad_(), load("weight").requires_grad_()
    value = globals()[name](load, temperature)
    value = torch.compile(value) if compiled else value

    def work():
        h.grad = w.grad = None
        value(h, w).backward()

    return work


def both(name, temperature=1, **arrays):
    """torch's workers, eager and compiled, each under its best setting."""
    with tempfile.TemporaryDirectory() as folder:
        for key, array in arrays.items():
            numpy.save(os.path.join(folder, key + ".npy"), array)
        return [worker(name, folder, compiled, temperature) for compiled in (False, True)]


def worker(name, folder, compiled, temperature):
    arguments = [folder, name, compiled, temperature]
    found = rivals.best_worker(__file__, "torch_head", arguments, 2)
    title = "torch compiled" if compiled else "torch eager"
    print(f"  {title}, {name[6:]}: {rivals.describe(found.setting)}", flush=True)
    return found


def real_data(folder):
    """Student states (perturbed), head and teacher logits, the vocabulary sorted by mean
    probability; the next tokens.
    """
    hidden, head = (
        numpy.load(os.path.join(folder, "hidden.npy")),
        numpy.load(os.path.join(folder, "head.npy")),
    )
    tokens = numpy.load(os.path.join(folder, "tokens.npy"))
    hidden, labels = hidden[:TOKENS], tokens[1 : TOKENS + 1]
    logits = hidden @ head.T
    p = torch.softmax(torch.from_numpy(logits), 1).numpy()
    order = numpy.argsort(-p.mean(0), kind="stable")
    place = numpy.empty_like(order)
    place[order] = numpy.arange(len(order))
    generator, low, high = numpy.random.default_rng(0), 0.0, 4.0
    noise = generator.normal(0, 1, hidden.shape).astype(numpy.float32) * hidden.std()
    for _ in range(12):  # the noise whose KL to the teacher is .39 nat a token
        size = (low + high) / 2
        q = torch.log_softmax(torch.from_numpy((hidden + size * noise)[::8] @ head.T), 1)
        kl = float(
            (torch.from_numpy(p[::8]) * (torch.log(torch.from_numpy(p[::8]).clamp(min=1e-30)) - q))
            .sum(1)
            .mean()
        )
        low, high = (size, high) if kl < 0.39 else (low, size)
    return (
        (hidden + size * noise).astype(numpy.float32),
        numpy.ascontiguousarray(head[order]),
        numpy.ascontiguousarray(logits[:, order]),
        place[labels],
        kl,
    )


def made_up(d, v):
    generator = numpy.random.default_rng(0)
    hidden, head = (
        generator.normal(0, s, shape).astype(numpy.float32)
        for s, shape in ((1, (TOKENS, d)), (0.1, (v, d)))
    )
    teacher = generator.normal(0, 3, (TOKENS, v)).astype(numpy.float32)
    return hidden, head, teacher, generator.integers(0, v, TOKENS)


def against_torch(hidden, weight, teacher, labels):
    alone = products(hidden, weight)
    dense = ours(hidden, weight, kd.LossKind.FORWARD_KL, teacher, temperature=2)
    peers = both("torch_kl", 2, hidden=hidden, weight=weight, teacher=teacher)
    mine, product, eager, compiled = time_all([dense, alone, *peers])
    row(
        "head 576 -> 49,152, dense KL, over its products",
        mine,
        product,
        "its three products",
        1 / 1.1,
    )
    row("  dense KL against the best torch", mine, faster(eager, compiled), "torch, best", 1.15)
    row("  dense KL against eager", mine, eager, "torch eager", 1.35)
    values, ids = torch.topk(torch.log_softmax(torch.from_numpy(teacher), -1), 64)
    ids, values = ids.numpy(), values.numpy()
    top = ours(
        hidden,
        weight,
        kd.LossKind.FORWARD_KL,
        lambda t: t.set_sparse("topk", ids, values),
        teacher_field="topk",
    )
    peers = both("torch_top", hidden=hidden, weight=weight, ids=ids, values=values)
    mine, eager, compiled = time_all([top, *peers])
    row(
        "  top-64 with a bucket against the best torch",
        mine,
        faster(eager, compiled),
        "torch, best",
        1.1,
    )
    row("  top-64 against eager", mine, eager, "torch eager", 1.2)
    hard = ours(hidden, weight, kd.LossKind.CROSS_ENTROPY, labels=labels)
    peers = both("torch_hard", hidden=hidden, weight=weight, labels=labels)
    mine, eager, compiled = time_all([hard, *peers])
    row("  cross-entropy against the best torch", mine, faster(eager, compiled), "torch, best", 1.0)


def kinds(hidden, weight, teacher):
    works = [
        ours(hidden, weight, kind, teacher, temperature=2)
        for kind in (
            kd.LossKind.FORWARD_KL,
            kd.LossKind.JSD,
            kd.LossKind.REVERSE_KL,
            kd.LossKind.SKEWED_FORWARD_KL,
            kd.LossKind.SKEWED_REVERSE_KL,
            kd.LossKind.TOTAL_VARIATION,
        )
    ]
    times = time_all(works)
    for name, mine in zip(
        ("JSD", "reverse KL", "skewed forward KL", "skewed reverse KL", "total variation"),
        times[1:],
    ):
        row(f"  {name} against forward KL", mine, times[0], "forward KL", 1 / 1.25)


def blocks(hidden, weight, teacher):
    limits = (16, 64, 256)
    works = [
        ours(hidden, weight, kd.LossKind.FORWARD_KL, teacher, limit=limit << 20, temperature=2)
        for limit in limits
    ]
    times = time_all(works)
    for limit, mine in zip(limits, times):
        loss = kd.Loss(context, memory_limit=limit << 20)
        size, block = loss.estimate_memory(len(hidden), len(weight), hidden.shape[1], 0)
        row(
            f"  memory limit {limit} MiB: blocks of {block} rows",
            mine,
            times[-1],
            "256 MiB",
            1.0,
            f"{size / 2**20:.0f} MiB used",
        )


def skipping(hidden, weight, teacher, kl):
    exact = ours(hidden, weight, kd.LossKind.FORWARD_KL, teacher)
    peers = both("torch_kl", 1, hidden=hidden, weight=weight, teacher=teacher)
    bounds = (1e-6, 1e-5, 3e-5, 1e-4, 2e-4, 1e-3)
    works = [ours(hidden, weight, kd.LossKind.FORWARD_KL, teacher, bound=b) for b in bounds]
    times = time_all([exact] + peers + works)
    peer = faster(*times[1:3])
    print(f"real distributions, student at KL {kl:.2f}, vocabulary sorted by mean probability")
    row("  exact", times[0], peer, "torch, best", 1.15)
    for bound, work, mine in zip(bounds, works, times[3:]):
        dw = numpy.linalg.norm(work.dw - exact.dw) / numpy.linalg.norm(exact.dw)
        dh = numpy.linalg.norm(work.dh - exact.dh) / numpy.linalg.norm(exact.dh)
        row(
            f"  skip bound {bound:g}",
            mine,
            peer,
            "torch, best",
            1.35,
            f"skipped {100 * work.result.skipped_share:.0f} %, error dW {dw:.1e}, dH {dh:.1e}",
        )


def large():
    d, v = 896, 151936
    generator = numpy.random.default_rng(1)
    hidden, weight = (
        generator.normal(0, s, shape).astype(numpy.float32)
        for s, shape in ((1, (TOKENS, d)), (0.1, (v, d)))
    )
    teacher = numpy.tile(generator.normal(0, 3, (1, v)).astype(numpy.float32), (TOKENS, 1))
    limits = [64 << 20, 256 << 20, 1 << 30]
    times = time_all(
        [
            ours(
                hidden,
                weight,
                kd.LossKind.FORWARD_KL,
                teacher,
                fresh=False,
                limit=limit,
                temperature=2,
            )
            for limit in limits
        ]
        + [products(hidden, weight)]
    )
    for limit, mine in zip(limits, times):
        size, block = kd.Loss(context, memory_limit=limit).estimate_memory(TOKENS, v, d, 0)
        row(
            f"head 896 -> 151,936, dense KL, limit {limit >> 20} MiB",
            mine,
            times[-1],
            "its three products",
            1 / 1.15,
            f"blocks of {block} rows, {size / 2**20:.0f} MiB used",
        )


def main(real):
    only = os.environ.get("ONLY", "")
    info = context.info
    products = "own" if info.gemm == kd.Gemm.OWN else "CBLAS"
    print(
        f"torch {torch.__version__}, {rivals.CORES} cores; BLAS kernels {info.blas_kernels}, "
        f"products: {products}; {TOKENS} tokens"
    )
    print(f"{'':58s} {'ours':>9s} {'peer':>9s}")
    if only != "large":
        *data, kl = real_data(real) if real else (*made_up(576, 49152), None)
        if only != "skipping":
            against_torch(*data)
        if only not in ("torch", "skipping"):
            kinds(*data[:3])
            blocks(*data[:3])
        if real and only != "torch":
            skipping(*data[:3], kl)
    if only in ("", "large"):
        large()
    rivals.write_tables("build/bench-head", results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        rivals.serve(globals()[sys.argv[2]], json.loads(sys.argv[3]))
    else:
        context = kd.Context(threads=rivals.CORES)
        main(sys.argv[1] if len(sys.argv) > 1 else "")
