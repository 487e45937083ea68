"""Ranks of this machine beside one rank, beside as many threads, and beside torch's
DistributedDataParallel and ZeroRedundancyOptimizer over gloo: every row of the goals, as ratios of
one run, medians of rounds that alternate.

    PEERS=folder RANKS_C=build/bench/ranks sh bench/with_peers.sh bench/ranks.py [N [ROUNDS]]

Ours runs over MPI (bench/ranks.c) and over gloo; a rank is a process of one thread.
Worth something only where nothing else runs.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "python"))


def llama(vocabulary, hidden, inner, layers, heads, keys=None):
    return dict(
        model_type="llama",
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=keys or heads,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
    )


CONFIG = llama(8192, 288, 768, 6, 6)
MIDDLE = llama(4096, 384, 1024, 8, 6)  # 63 MB: of the goals on the exchange
SMOLLM2 = llama(49152, 576, 1536, 30, 9, 3)  # its shape
TEXTS, LENGTH = 4, 256
STEPS = int(os.environ.get("STEPS", "5"))
CAPS = (5, 25, 100)  # bucket_cap_mb of DistributedDataParallel: the best one counts
RUNNER = os.environ.get("MPIRUN", "mpirun")
PROGRAM = os.environ.get("RANKS_C", "build/bench/ranks")


def tokens_of(step, rank):
    rng = np.random.default_rng(1000 * step + rank)
    return rng.integers(0, CONFIG["vocab_size"], (TEXTS, LENGTH))


def start_gloo():
    import torch
    import torch.distributed

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def resident():
    """The most that this process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def report(rank, ranks, times, **more):
    """The line that the parent reads: tokens a second of all ranks, by the median step."""
    if rank == 0:
        seconds = statistics.median(times[1:])
        print("RESULT " + json.dumps(dict(speed=ranks * TEXTS * LENGTH / seconds, **more)))


# ---- ours, over gloo ----
def ours(told):
    import kdistill as kd

    rank, ranks = start_gloo()
    before = resident()
    ctx = kd.Context(threads=1, seed=1, blas_threads=1)
    student = kd.Model(ctx, CONFIG)
    loss = kd.Loss(ctx)
    loss.add(kd.LossKind.CROSS_ENTROPY, 1, label_field="tokens", align=kd.Align.NEXT)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, student)
    exchange = kd.Exchange(ctx, kd.transport.from_torch())
    exchange.add_optimizer(optimizer)
    batch, times = kd.Batch(ctx), []
    for step in range(STEPS + 1):
        began = time.perf_counter()
        batch.begin_packed(np.arange(TEXTS + 1) * LENGTH)
        batch.set("tokens", tokens_of(step, rank).reshape(-1))
        counts = loss.count(batch)
        if told:
            exchange.set_learning_rate(1e-4)
        exchange.sum_counts(batch, counts)
        exchange.begin()
        student.forward(batch)
        loss.backward(student, batch, None, counts)
        exchange.step(1e-4)
        times.append(time.perf_counter() - began)
    info = exchange.info
    early = info.early_bytes / max(1, info.sent_bytes)
    report(rank, ranks, times, early=early, resident=resident(), before=before)


# ---- torch ----
def train_torch(kind, cap, steps):
    """Seconds of steps of a new student."""
    import torch
    from torch.distributed.optim import ZeroRedundancyOptimizer
    from torch.nn.parallel import DistributedDataParallel
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = {k: v for k, v in CONFIG.items() if k != "model_type"}
    student = LlamaForCausalLM(LlamaConfig(**config))
    both = DistributedDataParallel(student, bucket_cap_mb=cap, gradient_as_bucket_view=True)
    if kind == "zero":
        optimizer = ZeroRedundancyOptimizer(
            both.parameters(), torch.optim.AdamW, lr=1e-4, fused=True
        )
    else:
        optimizer = torch.optim.AdamW(both.parameters(), lr=1e-4, fused=True)
    rank, times = torch.distributed.get_rank(), []
    for step in range(steps + 1):
        began = time.perf_counter()
        ids = torch.from_numpy(tokens_of(step, rank))
        both(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - began)
    return times


def peer(kind, cap):
    import transformers.models.llama.modeling_llama  # noqa: F401

    rank, ranks = start_gloo()
    before = resident()
    times = train_torch(kind, int(cap), STEPS)
    report(rank, ranks, times, cap=int(cap), resident=resident(), before=before)


def try_caps():
    """Which size of buckets is best for each kind, in one process group."""
    rank, _ = start_gloo()
    found = {}
    for kind in ("ddp", "zero"):
        steps = max(2, STEPS // 2)
        seconds = {c: statistics.median(train_torch(kind, c, steps)[1:]) for c in CAPS}
        found[kind] = min(seconds, key=seconds.get)
    if rank == 0:
        print("RESULT " + json.dumps(found))


# ---- runs ----
def results_of(command, **environment):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    lines = [json.loads(x[7:]) for x in done.stdout.splitlines() if x.startswith("RESULT ")]
    if not lines:
        raise SystemExit(f"{' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-3000:]}")
    return lines


def gloo(ranks, *arguments):
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(ranks)]
    own = [os.path.abspath(__file__), "--work", *map(str, arguments)]
    return results_of([sys.executable, *launch, *own])[0]


def mpi(ranks, *arguments, threads=1):
    bind = ["--bind-to", "core"] if ranks > 1 else ["--bind-to", "none"]
    command = [RUNNER, "-n", str(ranks), *bind, PROGRAM, *map(str, arguments)]
    return results_of(
        command,
        OMPI_ALLOW_RUN_AS_ROOT="1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        OPENBLAS_NUM_THREADS=str(threads),
    )


def train(ranks, config, texts, steps, form="told", threads=1, bucket=0):
    line = "train", json.dumps(config), texts, LENGTH, steps, threads, form, bucket
    return mpi(ranks, *line, threads=threads)[0]


def goal(name, value, bound, more=True):
    """A row: more 1: at least the bound, 0: at most."""
    met = value >= bound if more else value <= bound
    print(
        f"{name:58s} {value:7.3f}   goal {'>=' if more else '<='} {bound:<5g}"
        f" {'met' if met else 'NOT met'}",
        flush=True,
    )


def speeds(ranks, rounds, caps):
    """Medians of speeds, and the last results."""
    one, many = "one rank, one thread", f"{ranks} ranks, MPI"
    works = {
        one: lambda: train(1, CONFIG, TEXTS, STEPS),
        f"one rank, {ranks} threads": lambda: train(1, CONFIG, TEXTS, STEPS, threads=ranks),
        many: lambda: train(ranks, CONFIG, TEXTS, STEPS),
        f"{ranks} ranks, gloo": lambda: gloo(ranks, "ours", 1),
        f"torch DDP, gloo, buckets of {caps['ddp']} MB": lambda: gloo(ranks, "ddp", caps["ddp"]),
        f"torch ZeRO, gloo, buckets of {caps['zero']} MB": lambda: gloo(
            ranks, "zero", caps["zero"]
        ),
    }
    results = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            results[name].append(work())
    speed = {n: statistics.median(r["speed"] for r in rs) for n, rs in results.items()}
    for name, rs in results.items():
        spread = min(r["speed"] for r in rs), max(r["speed"] for r in rs)
        print(f"{name:44s} {speed[name]:9.0f} tokens/s ({spread[0]:.0f} .. {spread[1]:.0f})")
    print(flush=True)
    return list(speed.values()), [rs[-1] for rs in results.values()]


def hidden(ranks, moved):
    """What a step waits for that was told and begun, beside one of which nothing leaves early."""
    for title, config in (("63 MB", MIDDLE), ("Llama 288 x 6", CONFIG)):
        runs = {f: train(ranks, config, TEXTS, STEPS, f) for f in ("plain", "begun", "told")}
        alone_ = moved["seconds"] * 4 * runs["plain"]["parameters"] / moved["bytes"]
        rest = runs["plain"]["last"] - alone_  # norm and update: computing
        share = {f: (runs[f]["last"] - rest) / alone_ for f in ("begun", "told")}
        early = {f: runs[f]["early"] for f in share}
        for f, what in (("begun", "begun"), ("told", "rate told")):
            print(
                f"{title}, {what}: {early[f]:.2f} of the bytes left early, {share[f]:.2f} exposed"
            )
        if config is MIDDLE:
            goal("exposed exchange over all of it, 63 MB", share["told"], 0.25, False)


def alone(ranks, repeats):
    ours_ = mpi(ranks, "exchange", json.dumps(MIDDLE), repeats)
    theirs = mpi(ranks, "allreduce", ours_[0]["bytes"], repeats)
    for name, lines in (("exchange", ours_), ("MPI_Allreduce", theirs)):
        sizes = ", ".join(f"{x['bucket'] >> 10} KiB {1e3 * x['seconds']:.1f}" for x in lines)
        print(f"{name}, {lines[0]['bytes'] / 1e6:.0f} MB, ms by buckets: {sizes}")
    best = [min(lines, key=lambda x: x["seconds"]) for lines in (ours_, theirs)]
    ratio = best[0]["seconds"] / best[1]["seconds"]
    goal("exchange alone over the best MPI_Allreduce", ratio, 1.4, False)
    return ours_[2]  # of the usual size of buckets


def compare_speeds(ranks, rounds):
    caps = gloo(ranks, "caps", 0)
    (one, threads, many, ours_, ddp, zero), last = speeds(ranks, rounds, caps)
    goal(f"{ranks} ranks over one", many / one, 0.925 * ranks)
    goal(f"{ranks} ranks over one with {ranks} threads", many / threads, 0.95)
    goal("over torch DDP, both over gloo", ours_ / ddp, 1.25)
    goal("ours over MPI, over torch DDP over gloo", many / ddp, 1.25)
    goal("over torch ZeRO, both over gloo", ours_ / zero, 1.3)
    own, sharded = last[2]["resident"], last[5]["resident"]
    goal("memory of a process, ours over MPI / torch ZeRO", own / sharded, 0.55, False)
    more = [last[i]["resident"] - last[i]["before"] for i in (3, 5)]
    goal("memory beyond what imports take, both gloo", more[0] / more[1], 0.55, False)


def compare_memory(ranks):
    small = [train(n, SMOLLM2, 1, 2)["resident"] for n in (1, ranks)]
    print(
        f"SmolLM2-135M's shape: {small[0] / 1e9:.2f} GB of one rank, {small[1] / 1e9:.2f} of each"
    )
    goal(f"memory of a rank of {ranks} over one's, whole process", small[1] / small[0], 0.8, False)


def main():
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    parts = os.environ.get("PARTS", "exchange speeds memory").split()
    began = time.perf_counter()
    if "exchange" in parts:
        hidden(ranks, alone(ranks, 4 * STEPS))
    if "speeds" in parts:
        compare_speeds(ranks, rounds)
    if "memory" in parts:
        compare_memory(ranks)
    print(f"{time.perf_counter() - began:.0f} s; load {os.getloadavg()[0]:.2f} on {os.cpu_count()}")


if __name__ == "__main__":
    if "--work" not in sys.argv:
        main()
    else:
        kind, first = sys.argv[sys.argv.index("--work") + 1 :][:2]
        if kind == "ours":
            ours(first == "1")
        elif kind == "caps":
            try_caps()
        else:
            peer(kind, first)
