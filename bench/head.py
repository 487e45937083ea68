"""The head fused with the loss, beside PyTorch in the same run: python bench/head.py [REAL]   (make bench-head)

REAL: a folder made by bench/smollm2.py; without it logits are made up and the parts on real distributions are left out.
Ours and torch alternate; medians of ROUNDS, and of the ratios of each round: a machine that is slow for a while is slow for both.
torch: eager and compiled, two threads, big blocks kept by malloc (bench/with_peers.sh). ONLY=torch, skipping or large: that part alone.
"""
import ctypes
import json
import os
import statistics
import sys
import time

import numpy
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd  # noqa: E402

torch.set_num_threads(2)
F = torch.nn.functional
ROUNDS = int(os.environ.get("ROUNDS", "5"))
TOKENS = 1024
context = kd.Context(threads=2)
results = []


def clock(work):
    time.sleep(0.3)  # the threads of the side that ran before spin for a while
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_all(works):
    """Of each work its times, round by round."""
    for work in works:
        work()
    times = [[] for _ in works]
    for _ in range(ROUNDS):
        for i, work in enumerate(works):
            times[i].append(clock(work))
    return times


def faster(*times):
    return min(times, key=statistics.median)


def row(name, mine, peer, peer_name, goal, note=""):
    ours_ms, peer_ms, ratio = 1e3 * statistics.median(mine), 1e3 * statistics.median(peer), statistics.median(b / a for a, b in zip(mine, peer))
    results.append({"name": name, "ours_ms": ours_ms, "peer_ms": peer_ms, "peer": peer_name, "ratio": ratio, "goal": goal, "note": note})
    print(f"{name:58s} {ours_ms:9.1f} {peer_ms:9.1f} ms  {peer_name:24s} {ratio:5.2f} (goal {goal:.2f}) {note}", flush=True)


def pointer(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def products(hidden, weight):
    """The three products alone, on arrays that are there."""
    n, d = hidden.shape
    v = weight.shape[0]
    z, dh, dw = numpy.zeros((n, v), numpy.float32), numpy.zeros((n, d), numpy.float32), numpy.zeros((v, d), numpy.float32)

    def work():
        call = kd.lib.kd_context_matmul
        call(context._pointer, 0, 1, n, v, d, 1, pointer(hidden), d, pointer(weight), d, 0, pointer(z), v)
        call(context._pointer, 0, 0, n, d, v, 1, pointer(z), v, pointer(weight), d, 0, pointer(dh), d)
        call(context._pointer, 1, 0, v, d, n, 1, pointer(z), v, pointer(hidden), d, 1, pointer(dw), d)

    return work


def ours(hidden, weight, kind, teacher=None, labels=None, bound=0.0, limit=64 << 20, fresh=True, **options):
    """A call of the fused loss; .dh, .dw, .result after it ran."""
    loss = context.loss(memory_limit=limit)
    loss.add(kind, 1.0, **options)
    batch, targets = context.batch().begin(len(hidden)), context.targets().begin(len(hidden))
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
            self.result = loss.eval({"logits": hidden}, batch, targets, gradients={"logits": self.dh}, heads={"logits": head})

    return Work()


def torch_head(hidden, weight, value, compiled):
    h, w = torch.tensor(hidden, requires_grad=True), torch.tensor(weight, requires_grad=True)
    value = torch.compile(value) if compiled else value

    def work():
        h.grad = w.grad = None
        value(h, w).backward()

    return work


def torch_kl(teacher):
    t = torch.from_numpy(teacher)
    return lambda h, w: 4 * F.kl_div(F.log_softmax(h @ w.T / 2, -1), F.log_softmax(t / 2, -1), reduction="batchmean", log_target=True)


def torch_top(ids, logs):
    """Top-64 with a bucket, T = 1: the selected log-probabilities and the tail's."""
    i, p = torch.from_numpy(ids), torch.from_numpy(logs)
    rest = torch.log1p(-p.exp().sum(1).clamp(max=1 - 1e-6))

    def value(h, w):
        q = F.log_softmax(h @ w.T, -1)
        s = q.gather(1, i)
        tail = torch.log1p(-s.exp().sum(1).clamp(max=1 - 1e-6))
        return ((p.exp() * (p - s)).sum(1) + rest.exp() * (rest - tail)).mean()

    return value


def real_data(folder):
    """Student states (perturbed), head and teacher logits with the vocabulary sorted by mean probability; the next tokens."""
    hidden, head = numpy.load(os.path.join(folder, "hidden.npy")), numpy.load(os.path.join(folder, "head.npy"))
    tokens = numpy.load(os.path.join(folder, "tokens.npy"))
    hidden, labels = hidden[:TOKENS], tokens[1:TOKENS + 1]
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
        kl = float((torch.from_numpy(p[::8]) * (torch.log(torch.from_numpy(p[::8]).clamp(min=1e-30)) - q)).sum(1).mean())
        low, high = (size, high) if kl < 0.39 else (low, size)
    return (hidden + size * noise).astype(numpy.float32), numpy.ascontiguousarray(head[order]), numpy.ascontiguousarray(logits[:, order]), place[labels], kl


def made_up(d, v):
    generator = numpy.random.default_rng(0)
    hidden, head = (generator.normal(0, s, shape).astype(numpy.float32) for s, shape in ((1, (TOKENS, d)), (0.1, (v, d))))
    teacher = generator.normal(0, 3, (TOKENS, v)).astype(numpy.float32)
    return hidden, head, teacher, generator.integers(0, v, TOKENS)


def against_torch(hidden, weight, teacher, labels):
    alone = products(hidden, weight)
    dense = ours(hidden, weight, kd.FORWARD_KL, teacher, temperature=2)
    mine, product, eager, compiled = time_all([dense, alone, torch_head(hidden, weight, torch_kl(teacher), False), torch_head(hidden, weight, torch_kl(teacher), True)])
    row("head 576 -> 49,152, dense KL, over its products", mine, product, "its three products", 1 / 1.1)
    row("  dense KL against the best torch", mine, faster(eager, compiled), "torch, best", 1.15)
    row("  dense KL against eager", mine, eager, "torch eager", 1.35)
    values, ids = torch.topk(torch.log_softmax(torch.from_numpy(teacher), -1), 64)
    ids, values = ids.numpy(), values.numpy()
    top = ours(hidden, weight, kd.FORWARD_KL, lambda t: t.set_sparse("topk", ids, values), teacher_field="topk")
    mine, eager, compiled = time_all([top, torch_head(hidden, weight, torch_top(ids, values), False), torch_head(hidden, weight, torch_top(ids, values), True)])
    row("  top-64 with a bucket against the best torch", mine, faster(eager, compiled), "torch, best", 1.1)
    row("  top-64 against eager", mine, eager, "torch eager", 1.2)
    y = torch.from_numpy(labels)

    def value(h, w):
        return F.cross_entropy(h @ w.T, y)

    hard = ours(hidden, weight, kd.CROSS_ENTROPY, labels=labels)
    mine, eager, compiled = time_all([hard, torch_head(hidden, weight, value, False), torch_head(hidden, weight, value, True)])
    row("  cross-entropy against the best torch", mine, faster(eager, compiled), "torch, best", 1.0)
    return faster(eager, compiled)


def kinds(hidden, weight, teacher):
    works = [ours(hidden, weight, kind, teacher, temperature=2) for kind in
             (kd.FORWARD_KL, kd.JSD, kd.REVERSE_KL, kd.SKEWED_FORWARD_KL, kd.SKEWED_REVERSE_KL, kd.TOTAL_VARIATION)]
    times = time_all(works)
    for name, mine in zip(("JSD", "reverse KL", "skewed forward KL", "skewed reverse KL", "total variation"), times[1:]):
        row(f"  {name} against forward KL", mine, times[0], "forward KL", 1 / 1.25)


def blocks(hidden, weight, teacher):
    limits = (16, 64, 256)
    works = [ours(hidden, weight, kd.FORWARD_KL, teacher, limit=limit << 20, temperature=2) for limit in limits]
    times = time_all(works)
    for limit, mine in zip(limits, times):
        loss = context.loss(memory_limit=limit << 20)
        size, block = loss.memory(len(hidden), len(weight), hidden.shape[1], 0)
        row(f"  memory limit {limit} MiB: blocks of {block} rows", mine, times[-1], "256 MiB", 1.0, f"{size / 2**20:.0f} MiB used")


def skipping(hidden, weight, teacher, labels, kl):
    exact = ours(hidden, weight, kd.FORWARD_KL, teacher)
    t = torch.from_numpy(teacher)

    def value(h, w):
        return F.kl_div(F.log_softmax(h @ w.T, -1), F.log_softmax(t, -1), reduction="batchmean", log_target=True)

    peers = [torch_head(hidden, weight, value, False), torch_head(hidden, weight, value, True)]
    bounds = (1e-6, 1e-5, 3e-5, 1e-4, 2e-4, 1e-3)
    works = [ours(hidden, weight, kd.FORWARD_KL, teacher, bound=b) for b in bounds]
    times = time_all([exact] + peers + works)
    peer = faster(*times[1:3])
    print(f"real distributions, student at KL {kl:.2f}, vocabulary sorted by mean probability")
    row("  exact", times[0], peer, "torch, best", 1.15)
    for bound, work, mine in zip(bounds, works, times[3:]):
        dw = numpy.linalg.norm(work.dw - exact.dw) / numpy.linalg.norm(exact.dw)
        dh = numpy.linalg.norm(work.dh - exact.dh) / numpy.linalg.norm(exact.dh)
        row(f"  skip bound {bound:g}", mine, peer, "torch, best", 1.35,
            f"skipped {100 * work.result['skipped_share']:.0f} %, error dW {dw:.1e}, dH {dh:.1e}")


def large():
    d, v = 896, 151936
    generator = numpy.random.default_rng(1)
    hidden, weight = (generator.normal(0, s, shape).astype(numpy.float32) for s, shape in ((1, (TOKENS, d)), (0.1, (v, d))))
    teacher = numpy.tile(generator.normal(0, 3, (1, v)).astype(numpy.float32), (TOKENS, 1))
    limits = [64 << 20, 256 << 20, 1 << 30]
    times = time_all([ours(hidden, weight, kd.FORWARD_KL, teacher, fresh=False, limit=limit, temperature=2) for limit in limits] + [products(hidden, weight)])
    for limit, mine in zip(limits, times):
        size, block = context.loss(memory_limit=limit).memory(TOKENS, v, d, 0)
        row(f"head 896 -> 151,936, dense KL, limit {limit >> 20} MiB", mine, times[-1], "its three products", 1 / 1.15,
            f"blocks of {block} rows, {size / 2**20:.0f} MiB used")


info = context.info()
print(f"torch {torch.__version__}, two threads; BLAS kernels {info['blas_kernels']}, products: {'own' if info['gemm'] == 2 else 'CBLAS'}; 1,024 tokens")
print(f"{'':58s} {'ours':>9s} {'peer':>9s}")
real = sys.argv[1] if len(sys.argv) > 1 else ""
ONLY = os.environ.get("ONLY", "")
if ONLY == "large":
    large()
    sys.exit()
if real:
    hidden, weight, teacher, labels, kl = real_data(real)
    if ONLY == "skipping":
        skipping(hidden, weight, teacher, labels, kl)
        sys.exit()
else:
    hidden, weight, teacher, labels = made_up(576, 49152)
against_torch(hidden, weight, teacher, labels)
if ONLY == "torch":
    sys.exit()
kinds(hidden, weight, teacher)
blocks(hidden, weight, teacher)
if real:
    skipping(hidden, weight, teacher, labels, kl)
del hidden, weight, teacher
large()
os.makedirs("build", exist_ok=True)
with open("build/bench-head.json", "w") as file:
    json.dump(results, file, indent=1)
with open("build/bench-head.md", "w") as file:
    file.write("| what | ours, ms | peer, ms | which | ratio | goal | |\n|---|---|---|---|---|---|---|\n")
    for r in results:
        file.write(f"| {r['name'].strip()} | {r['ours_ms']:.0f} | {r['peer_ms']:.0f} | {r['peer']} | {r['ratio']:.2f} | {r['goal']:.2f} | {r['note']} |\n")
print("wrote build/bench-head.json and build/bench-head.md")
