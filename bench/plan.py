"""What a plan says beside what runs of one and of several ranks took: tokens a second, bytes sent,
memory of a rank.

    PEERS=folder RANKS_C=build/bench/ranks sh bench/with_peers.sh bench/plan.py [RANKS ...]

Each number of ranks (1, 2, 4) is planned from what as many processes measure at once; STEPS (5) are
timed. Bytes and memory have to agree within 15 % anywhere (else it ends with 1); times where the
machine has a core for each rank and nothing else runs: of more ranks one step is taken, and the
time is not compared. The table is also build/bench-plan.json.
"""

import json
import os
import subprocess
import sys

import ranks as runs

import kdistill as kd

SHAPES = (("Llama 288 x 6", runs.CONFIG, 4), ("384 x 8", runs.MIDDLE, 4))
WITHIN = 0.15
SECONDS = 10
MEASURED = ("flops", "efficiency", "update_bytes")


def measure():
    """A line of JSON: what this process attains."""
    with kd.Context(threads=1) as ctx:
        machine = kd.plan_measure_machine(ctx, seconds=SECONDS)
    print("RESULT " + json.dumps({name: getattr(machine, name) for name in MEASURED}))


def machine_of(ranks):
    """What so many ranks attain together, each: means of what they measured at once."""
    command = [sys.executable, os.path.abspath(__file__), "--measure"]
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    options = dict(stdout=subprocess.PIPE, text=True, env=alone)
    started = [subprocess.Popen(command, **options) for _ in range(ranks)]
    said = [process.communicate()[0] for process in started]
    lines = [json.loads(x[7:]) for out in said for x in out.splitlines() if x.startswith("RESULT ")]
    if len(lines) != ranks:
        raise SystemExit(f"{ranks} processes measured: {len(lines)} told what")
    return {name: sum(line[name] for line in lines) / ranks for name in MEASURED}


def link_of(ranks):
    """The exchange's bytes a second and rank."""
    if ranks == 1 or ranks > os.cpu_count():
        return 1e9
    usual = runs.mpi(ranks, "exchange", json.dumps(runs.MIDDLE), 10)[2]
    return 2 * (ranks - 1) / ranks * usual["bytes"] / usual["seconds"]


def plan_of(config, texts, ranks, machine, link):
    tokens = ranks * texts * runs.LENGTH
    with kd.Context(threads=1) as ctx:
        return kd.plan_estimate(
            ctx,
            config,
            ranks=ranks,
            samples=ranks * texts,
            tokens=tokens,
            batch_tokens=tokens,
            kind=0,
            **machine,
            link_bytes=link,
            latency=1e-6,
        )


def row(what, planned, measured, compares=True):
    """Prints both; 1: they agree, or need not."""
    near = abs(planned / measured - 1) <= WITHIN if measured else planned == 0
    agrees = near or not compares
    ratio = planned / measured if measured else 1
    print(f"  {what:28s} {planned:14.4g} {measured:14.4g} {ratio:7.3f} {'' if agrees else 'APART'}")
    return agrees


def compare(title, config, texts, ranks, machine, link):
    """Rows of one run: do bytes agree, does the time?"""
    has_cores = ranks <= os.cpu_count()
    took = runs.train(ranks, config, texts, runs.STEPS if has_cores else 1)
    plan = plan_of(config, texts, ranks, machine, link)
    print(f"{title}, {ranks} rank(s)                    planned       measured   ratio")
    pairs = {
        "tokens a second": (plan.tokens_per_second, took["speed"]),
        "memory of a rank, bytes": (plan.total_bytes, took["peak"]),
        "sent by a rank, bytes a step": (plan.sent_bytes, took["sent"]),
    }
    in_time, *in_bytes = [
        row(what, *pair, has_cores or "second" not in what) for what, pair in pairs.items()
    ]
    return dict(shape=title, ranks=ranks, bytes=all(in_bytes), time=in_time, pairs=pairs)


def main():
    table = []
    for ranks in [int(word) for word in sys.argv[1:]] or [1, 2, 4]:
        machine = machine_of(min(ranks, os.cpu_count()))
        link = link_of(ranks)
        print(
            f"{ranks} rank(s): products {machine['flops'] / 1e9:.1f} GFLOP/s each, passes "
            f"{machine['efficiency']:.2f} of them, updates {machine['update_bytes'] / 1e9:.2f} "
            f"GB/s, exchange {link / 1e9:.2f} GB/s a rank, load {os.getloadavg()[0]:.2f}"
        )
        for shape in SHAPES:
            table.append(compare(*shape, ranks, machine, link))
    with open(os.path.join(runs.ROOT, "build", "bench-plan.json"), "w", encoding="utf-8") as file:
        json.dump(table, file, indent=1)
    agree = all(entry["bytes"] for entry in table)
    in_time = all(entry["time"] for entry in table)
    print(f"bytes and memory within 15 %: {agree}; time: {in_time}")
    sys.exit(not agree)


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure()
    else:
        main()
