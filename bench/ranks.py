"""Ranks of this machine beside one rank, beside as many threads, and beside torch's
DistributedDataParallel and ZeroRedundancyOptimizer over gloo: every row of the goals, as ratios of
one run, medians of rounds that alternate.

    PEERS=folder RANKS_C=build/bench/ranks sh bench/with_peers.sh bench/ranks.py [N [ROUNDS]]

Ours runs over MPI (bench/ranks.c) and over gloo; a rank is a process of one thread. It ends within
SECONDS (840): a round that would not fit is left out, a run that takes longer than LIMIT (150) or
than what is left is ended, and its rows say so. The table is also build/bench-ranks.json, written
after each row. PARTS: some of "memory exchange speeds"; STEPS of a run.
Times are worth something only where nothing else runs: ranks wait by asking, and on a busy machine
each waits for the other to get a processor; memory may be measured anywhere.
"""

import json
import os
import resource
import signal
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
BUDGET = float(os.environ.get("SECONDS", "840"))
LIMIT = float(os.environ.get("LIMIT", "150"))
BEGAN = time.perf_counter()
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
class NoResult(Exception):
    """A run that gave none, and why."""


def left():
    return BUDGET - (time.perf_counter() - BEGAN)


def end(process):
    """The launcher and all its ranks, which are of its session."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def output_of(command, environment):
    limit = min(LIMIT, left())
    if limit <= 1:
        raise NoResult(f"the {BUDGET:.0f} s are over")
    pipe = subprocess.PIPE
    own = dict(env={**os.environ, **environment}, start_new_session=True, text=True)
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, **own) as process:
        try:
            out, problems = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            end(process)
            raise NoResult(f"did not end within {limit:.0f} s") from None
    return out, problems


def results_of(command, **environment):
    out, problems = output_of(command, environment)
    lines = [json.loads(x[7:]) for x in out.splitlines() if x.startswith("RESULT ")]
    if not lines:
        raise NoResult(f"{' '.join(command)}: {out[-1000:]}{problems[-3000:]}")
    return lines


def gloo(ranks, *arguments):
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(ranks)]
    own = [os.path.abspath(__file__), "--work", *map(str, arguments)]
    return results_of([sys.executable, *launch, *own])[0]


def mpi(ranks, *arguments, threads=1):
    bind = ["--bind-to", "core" if 1 < ranks <= os.cpu_count() else "none"]
    bind += ["--oversubscribe"] if ranks > os.cpu_count() else []
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


# ---- the table ----
GOALS, RUNS, WITHOUT = [], {}, []


def keep(name=None, value=None):
    if name:
        RUNS[name] = value
    table = dict(goals=GOALS, runs=RUNS, without=WITHOUT)
    table.update(seconds=time.perf_counter() - BEGAN, load=os.getloadavg()[0])
    folder = os.path.join(ROOT, "build")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "bench-ranks.json"), "w", encoding="utf-8") as file:
        json.dump(table, file, indent=1)


def goal(name, parts, bound, more=True, of=lambda a, b: a / b):
    """A row of two numbers: more 1: at least the bound, 0: at most. None: not measured."""
    value = None if None in parts else of(*parts)
    met = value is not None and (value >= bound if more else value <= bound)
    said = "  -    " if value is None else f"{value:7.3f}"
    word = "met" if met else "not measured" if value is None else "NOT met"
    print(f"{name:58s} {said}   goal {'>=' if more else '<='} {bound:<5g} {word}", flush=True)
    row = dict(name=name, value=value, bound=bound, at_least=more, met=met)
    GOALS.append(row)
    keep()


def attempt(name, work):
    """What it gives, or None with a line that says why not."""
    try:
        value = work()
    except NoResult as why:
        print(f"{name}: no result: {why}", flush=True)
        WITHOUT.append(dict(name=name, why=str(why)))
        value = None
    keep(name, value)
    return value


# ---- parts ----
def works_of(ranks, caps):
    """Name and work of each row of speeds."""
    ddp, zero = caps["ddp"], caps["zero"]
    return {
        "one": ("one rank, one thread", lambda: train(1, CONFIG, TEXTS, STEPS)),
        "threads": (
            f"one rank, {ranks} threads",
            lambda: train(1, CONFIG, TEXTS, STEPS, threads=ranks),
        ),
        "mpi": (f"{ranks} ranks, MPI", lambda: train(ranks, CONFIG, TEXTS, STEPS)),
        "gloo": (f"{ranks} ranks, gloo", lambda: gloo(ranks, "ours", 1)),
        "torch": ("torch, one rank", lambda: gloo(1, "ddp", ddp)),
        "ddp": (f"torch DDP, gloo, buckets of {ddp} MB", lambda: gloo(ranks, "ddp", ddp)),
        "zero": (f"torch ZeRO, gloo, buckets of {zero} MB", lambda: gloo(ranks, "zero", zero)),
    }


def rounds_of(works, rounds):
    """Results of each, of as many rounds as time is left for."""
    results, longest = {key: [] for key in works}, 0
    for n in range(rounds):
        if n and left() < 1.3 * longest:
            print(f"{n} of {rounds} rounds: another one would not fit")
            break
        began = time.perf_counter()
        for key, (name, work) in works.items():
            result = attempt(f"{name}, round {n + 1}", work)
            results[key] += [result] if result else []
        longest = max(longest, time.perf_counter() - began)
    return results


def speeds(ranks, rounds, caps):
    """Medians of speeds, and the last results; None where there is none."""
    works = works_of(ranks, caps)
    results = rounds_of(works, rounds)
    speed, last = dict.fromkeys(works), dict.fromkeys(works)
    for key, runs in results.items():
        if not runs:
            continue
        each = [run["speed"] for run in runs]
        speed[key], last[key] = statistics.median(each), runs[-1]
        spread = f"({min(each):.0f} .. {max(each):.0f}, {len(each)} rounds)"
        print(f"{works[key][0]:44s} {speed[key]:9.0f} tokens/s {spread}")
    print(flush=True)
    return speed, last


def compare_speeds(ranks, rounds):
    caps = attempt("best buckets of torch", lambda: gloo(ranks, "caps", 0))
    speed, last = speeds(ranks, rounds, caps or {"ddp": CAPS[1], "zero": CAPS[1]})

    def over(a, b):
        return speed[a], speed[b]

    goal(f"{ranks} ranks over one", over("mpi", "one"), 0.925 * ranks)
    goal(f"{ranks} ranks over one with {ranks} threads", over("mpi", "threads"), 0.95)
    goal("over torch DDP, both over gloo", over("gloo", "ddp"), 1.25)
    goal("ours over MPI, over torch DDP over gloo", over("mpi", "ddp"), 1.25)
    goal("over torch ZeRO, both over gloo", over("gloo", "zero"), 1.3)
    scaling = [a / b if a and b else None for a, b in (over("mpi", "one"), over("ddp", "torch"))]
    goal("scaling, ours less that of torch DDP", scaling, 0.03, of=lambda a, b: a - b)

    def memory(key, beyond):
        run = last[key]
        return run and run["resident"] - (run["before"] if beyond else 0)

    whole = memory("mpi", 0), memory("zero", 0)
    goal("memory of a process, ours over MPI / torch ZeRO", whole, 0.55, False)
    more = memory("gloo", 1), memory("zero", 1)
    goal("memory beyond what imports take, both gloo", more, 0.55, False)


def exposed_of(title, runs, moved):
    """Shares of the exchange that a step waits for: begun, and with the rate told before it."""
    if not moved or None in runs.values():
        return None
    alone_ = moved["seconds"] * 4 * runs["plain"]["parameters"] / moved["bytes"]
    rest = runs["plain"]["last"] - alone_  # norm and update: computing
    share = {form: (runs[form]["last"] - rest) / alone_ for form in ("begun", "told")}
    for form, what in (("begun", "begun"), ("told", "rate told")):
        early = runs[form]["early"]
        print(f"{title}, {what}: {early:.2f} of the bytes left early, {share[form]:.2f} exposed")
    return share["told"]


def hidden(ranks, moved):
    """What a step waits for that was told and begun, beside one of which nothing leaves early."""
    for title, config in (("63 MB", MIDDLE), ("Llama 288 x 6", CONFIG)):
        runs = {}
        for form in ("plain", "begun", "told"):
            runs[form] = attempt(
                f"{title}, {form}", lambda c=config, f=form: train(ranks, c, TEXTS, STEPS, f)
            )
        share = exposed_of(title, runs, moved)
        if config is MIDDLE:
            goal("exposed exchange over all of it, 63 MB", (share, 1), 0.25, False)


def alone(ranks, repeats):
    """The exchange and MPI's own sum, by sizes of buckets; the usual size's numbers."""
    shape = json.dumps(MIDDLE)
    ours_ = attempt("exchange alone", lambda: mpi(ranks, "exchange", shape, repeats))
    size = ours_[0]["bytes"] if ours_ else 63e6
    theirs = attempt("MPI_Allreduce", lambda: mpi(ranks, "allreduce", int(size), repeats))
    best = []
    for name, lines in (("exchange", ours_), ("MPI_Allreduce", theirs)):
        best.append(min(x["seconds"] for x in lines) if lines else None)
        if not lines:
            continue
        sizes = ", ".join(f"{x['bucket'] >> 10} KiB {1e3 * x['seconds']:.1f}" for x in lines)
        print(f"{name}, {lines[0]['bytes'] / 1e6:.0f} MB, ms by buckets: {sizes}")
    goal("exchange alone over the best MPI_Allreduce", best, 1.4, False)
    return ours_[2] if ours_ else None


def compare_memory(ranks):
    """Of one step after the first: a rank's memory does not grow from then on."""
    small = []
    for n in (1, ranks):
        run = attempt(f"SmolLM2-135M's shape, {n} rank(s)", lambda n=n: train(n, SMOLLM2, 1, 1))
        small.append(run and run["resident"])
        if run:
            print(f"SmolLM2-135M's shape, {n} rank(s): {small[-1] / 1e9:.3f} GB of each")
    goal(f"memory of a rank of {ranks} over one's, whole process", small[::-1], 0.8, False)


def main():
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    parts = os.environ.get("PARTS", "memory exchange speeds").split()
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors at the beginning")
    if "memory" in parts:
        compare_memory(ranks)
    if "exchange" in parts:
        hidden(ranks, alone(ranks, 4 * STEPS))
    if "speeds" in parts:
        compare_speeds(ranks, rounds)
    keep()
    print(f"{time.perf_counter() - BEGAN:.0f} s; load {os.getloadavg()[0]:.2f} on {os.cpu_count()}")


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
