"""Relations between samples beside PyTorch in the same run (make bench-features).

    python bench/features.py

Value and gradient of each kind through kd_loss_eval, on 1024 rows of 384 numbers (the angles: 128
and 512 rows), beside the authors' formulas in PyTorch, eager and float32, with autograd's backward
pass. Ours and torch alternate; medians of ROUNDS, and of the ratios of each round. torch runs in a
process of its own under its best setting (bench/rivals.py). Goals are milliseconds of ours.
"""

import json
import os
import statistics
import sys
import time

import numpy
import rivals
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "python"), os.path.join(HERE, "..", "tests", "goldens")]
import kdistill as kd
import relations

ROUNDS = int(os.environ.get("ROUNDS", "7"))
WIDTH = 384
# kind, rows, goal in milliseconds
WORKS = [
    ("similarity", 1024, 30),
    ("gram", 1024, 30),
    ("pkt", 1024, 30),
    ("cka", 1024, 30),
    ("relation_kl", 1024, 30),
    ("rkd_distance", 1024, None),
    ("rkd_angle", 128, 5),
    ("rkd_angle", 512, 250),
]


def sides(rows):
    rng = numpy.random.default_rng(rows)
    return [rng.normal(size=(rows, WIDTH)).astype(numpy.float32) for _ in range(2)]


def distances_by_products(x):
    """As RKD's authors have it: relations.py subtracts, which takes rows^2 x width numbers."""
    square = (x * x).sum(1)
    d = (square[:, None] + square[None] - 2 * x @ x.T).clamp(min=1e-12).sqrt()
    d = d * (1 - torch.eye(len(x)))
    return d / d[d > 0].mean()


def torch_work(name, rows):
    s, t = (torch.tensor(x) for x in sides(rows))
    s.requires_grad_(True)
    relations.distances = distances_by_products
    function = getattr(relations, name)

    def work():
        s.grad = None
        function(s, t).backward()

    return work


def our_work(name, rows):
    s, t = sides(rows)
    gradient = numpy.empty_like(s)
    batch = kd.Batch(context).begin(rows)
    targets = kd.Targets(context).begin(rows).set("hidden", t)
    loss = kd.Loss(context)
    numbers = {"temperature": 0.25, "teacher_temperature": 0.2} if name == "relation_kl" else {}
    loss.add(kd.LossKind[name.upper()], student_output="hidden", teacher_field="hidden", **numbers)
    return lambda: loss.evaluate({"hidden": s}, batch, targets, gradients={"hidden": gradient})


def clock(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(name, rows, goal):
    peer = rivals.best_worker(__file__, "torch_work", [name, rows], 2)
    work = our_work(name, rows)
    work()
    pairs = [(clock(work), peer(1)[0]) for _ in range(ROUNDS)]
    setting = rivals.describe(peer.setting)
    peer.close()
    found = {
        "name": f"{name}, {rows} rows",
        "ours_ms": 1e3 * statistics.median(a for a, _ in pairs),
        "goal_ms": goal,
        "peer": "torch eager",
        "peer_ms": 1e3 * statistics.median(b for _, b in pairs),
        "ratio": statistics.median(b / a for a, b in pairs),
        "setting": setting,
    }
    print(
        f"{found['name']:24s} {found['ours_ms']:9.1f} {found['peer_ms']:9.1f} ms "
        f"{found['ratio']:6.2f}   goal {goal or '-'} ms   {setting}",
        flush=True,
    )
    return found


def main():
    print(f"torch {torch.__version__}, {rivals.CORES} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':24s} {'ours':>9s} {'torch':>9s}    {'ratio':>6s}")
    rivals.write_tables("build/bench-features", [measure(*work) for work in WORKS])


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        rivals.serve(globals()[sys.argv[2]], json.loads(sys.argv[3]))
    else:
        context = kd.Context(threads=rivals.CORES)
        main()
