"""Two ranks beside one, beside two threads, and beside torch's DistributedDataParallel and
ZeroRedundancyOptimizer over gloo: tokens a second of one student, medians of rounds that alternate.

    PEERS=folder sh bench/with_peers.sh bench/ranks.py [RANKS [ROUNDS]]

Every rank is a process with one thread; transports are gloo's for all.
Prints ratios: worth something only where nothing else runs.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "python"))

CONFIG = dict(
    model_type="llama",
    vocab_size=8192,
    hidden_size=288,
    intermediate_size=768,
    num_hidden_layers=6,
    num_attention_heads=6,
    num_key_value_heads=6,
    max_position_embeddings=256,
    tie_word_embeddings=True,
    rms_norm_eps=1e-5,
)
TEXTS, LENGTH, STEPS = 8, 256, 6
CAPS = (5, 25, 100)  # bucket_cap_mb of DistributedDataParallel: the best one counts


def tokens_of(step, rank):
    rng = np.random.default_rng(1000 * step + rank)
    return rng.integers(0, CONFIG["vocab_size"], (TEXTS, LENGTH))


def start_gloo():
    import torch
    import torch.distributed

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def report(rank, ranks, times, **more):
    """The line that the parent reads: tokens a second of all ranks, by the median step."""
    if rank == 0:
        seconds = statistics.median(times[1:])
        print("RESULT " + json.dumps(dict(speed=ranks * TEXTS * LENGTH / seconds, **more)))


# ---- ours ----
def ours(threads, together):
    import kdistill as kd

    rank, ranks = start_gloo() if together else (0, 1)
    ctx = kd.Context(threads=threads, seed=1, blas_threads=1)
    student = kd.Model(ctx, CONFIG)
    loss = kd.Loss(ctx)
    loss.add(kd.LossKind.CROSS_ENTROPY, 1, label_field="tokens", align=kd.Align.NEXT)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, student)
    exchange = kd.Exchange(ctx, kd.transport.from_torch() if together else None)
    exchange.add_optimizer(optimizer)
    batch, times = kd.Batch(ctx), []
    for step in range(STEPS):
        began = time.perf_counter()
        batch.begin_packed(np.arange(TEXTS + 1) * LENGTH)
        batch.set("tokens", tokens_of(step, rank).reshape(-1))
        counts = loss.count(batch)
        exchange.sum_counts(batch, counts)
        exchange.begin()
        student.forward(batch)
        loss.backward(student, batch, None, counts)
        exchange.step(1e-4)
        times.append(time.perf_counter() - began)
    info = exchange.info
    report(
        rank,
        ranks,
        times,
        peak=ctx.info.peak_bytes,
        exposed=info.waited_seconds / STEPS,
        early=info.early_bytes / max(1, info.sent_bytes),
    )


# ---- torch ----
def peer(kind, cap):
    import torch
    from torch.distributed.optim import ZeroRedundancyOptimizer
    from torch.nn.parallel import DistributedDataParallel
    from transformers import LlamaConfig, LlamaForCausalLM

    rank, ranks = start_gloo()
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
    times = []
    for step in range(STEPS):
        began = time.perf_counter()
        ids = torch.from_numpy(tokens_of(step, rank))
        both(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - began)
    report(rank, ranks, times, cap=cap)


# ---- runs ----
def run(ranks, *arguments):
    own = [os.path.abspath(__file__), "--work", *map(str, arguments)]
    command = [sys.executable, *own]
    if ranks > 1:
        launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(ranks)]
        command = [sys.executable, *launch, *own]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line[7:])
    raise SystemExit(f"{arguments}: {done.stderr[-3000:]}")


def main():
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    works = {
        "one rank, one thread": (1, "ours", 1, 0),
        f"one rank, {ranks} threads": (1, "ours", ranks, 0),
        f"{ranks} ranks, one thread": (ranks, "ours", 1, 1),
    }
    for cap in CAPS:
        works[f"torch DDP, buckets of {cap} MB"] = (ranks, "peer", "ddp", cap)
        works[f"torch ZeRO, buckets of {cap} MB"] = (ranks, "peer", "zero", cap)
    results = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            results[name].append(run(*work))
    speed = {n: statistics.median(r["speed"] for r in rs) for n, rs in results.items()}
    for name, rs in results.items():
        spread = min(r["speed"] for r in rs), max(r["speed"] for r in rs)
        print(f"{name:34s} {speed[name]:9.0f} tokens/s ({spread[0]:.0f} .. {spread[1]:.0f})")
    together = speed[f"{ranks} ranks, one thread"]
    one, threads = speed["one rank, one thread"], speed[f"one rank, {ranks} threads"]
    print(f"\n{ranks} ranks over one                    {together / one:.3f}")
    print(f"{ranks} ranks over one with {ranks} threads     {together / threads:.3f}")
    for kind in ("DDP", "ZeRO"):
        best = max(v for n, v in speed.items() if n.startswith(f"torch {kind}"))
        print(f"over torch {kind}, its best buckets      {together / best:.3f}")
    last = results[f"{ranks} ranks, one thread"][-1]
    print(f"sent during the backward pass         {last['early']:.2f} of all bytes")
    print(f"waited in a step                      {last['exposed']:.4f} s")
    print(f"load: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    if "--work" not in sys.argv:
        main()
    else:
        kind, first, second = sys.argv[sys.argv.index("--work") + 1 :][:3]
        if kind == "ours":
            ours(int(first), second == "1")
        else:
            peer(first, int(second))
