"""Runs ours (build/bench/measure) and PyTorch alternately and prints both, the ratio of medians, and the goal. Called by bench/run.sh."""
import json
import statistics
import subprocess
import time

import torch

torch.set_num_threads(2)
F = torch.nn.functional
ROUNDS = 5


def ours(rows, kind, repeats, threads=2):
    done = subprocess.run(["build/bench/measure", str(rows), kind, str(repeats), str(threads)], capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def timed(work, repeats):
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def mlp_step(rows, adam, compiled=False):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(784, 800), torch.nn.ReLU(), torch.nn.Linear(800, 800), torch.nn.ReLU(), torch.nn.Linear(800, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-4) if adam else torch.optim.SGD(model.parameters(), 1e-4)
    x, v, y = torch.rand(rows, 784), torch.randn(rows, 10), torch.zeros(rows, dtype=torch.long)

    def loss(x):
        z = model(x)
        kl = F.kl_div(F.log_softmax(z / 4, 1), F.log_softmax(v / 4, 1), reduction="batchmean", log_target=True)
        return 0.9 * 16 * kl + 0.1 * F.cross_entropy(z, y)

    loss = torch.compile(loss) if compiled else loss

    def step():
        optimizer.zero_grad()
        loss(x).backward()
        optimizer.step()

    return step


def teacher_forward(rows):
    model = torch.nn.Sequential(torch.nn.Linear(784, 1200), torch.nn.ReLU(), torch.nn.Linear(1200, 1200), torch.nn.ReLU(), torch.nn.Linear(1200, 10))
    x = torch.rand(rows, 784)

    def forward():
        with torch.no_grad():
            model(x)

    return forward


def kl(rows, compiled):
    z, v = torch.randn(rows, 49152, requires_grad=True), torch.randn(rows, 49152)

    def loss(z):
        return 4 * F.kl_div(F.log_softmax(z / 2, 1), F.log_softmax(v / 2, 1), reduction="batchmean", log_target=True)

    loss = torch.compile(loss) if compiled else loss

    def both():
        z.grad = None
        loss(z).backward()

    return both


def alternate(ours_work, peer_work, repeats):
    """Medians of ROUNDS rounds, one after the other."""
    mine, peer = [], []
    for _ in range(ROUNDS):
        mine += ours_work(repeats)
        peer += peer_work(repeats)
    return statistics.median(mine), statistics.median(peer)


results = []


def row(name, unit, mine, peer, peer_name, goal, higher_is_better):
    ratio = mine / peer if higher_is_better else peer / mine
    results.append({"name": name, "unit": unit, "ours": mine, "peer": peer, "peer_name": peer_name, "ratio": ratio, "goal": goal, "runs": ROUNDS})
    print(f"{name:52s} {mine:12.2f} {peer:12.2f} {unit:10s} {peer_name:22s} {ratio:6.2f} (goal {goal:.2f})", flush=True)


print(f"torch {torch.__version__}, two threads\n{'':52s} {'ours':>12s} {'peer':>12s}")
for rows, goal in ((128, 1.4), (1024, 1.1)):
    for adam in (False, True):
        kind, step, products = "adam" if adam else "sgd", mlp_step(rows, adam), []
        compiled = mlp_step(rows, adam, compiled=True)
        repeats = 30 if rows == 128 else 10
        mine, eager, fast = [], [], []
        for _ in range(ROUNDS):
            mine += ours(rows, kind, repeats)
            eager += timed(step, repeats)
            fast += timed(compiled, repeats)
            products += ours(rows, "products", repeats)
        mine, eager, fast, products = (statistics.median(t) for t in (mine, eager, fast, products))
        row(f"MLP 784-800-800-10, {kind}, batch {rows}", "samples/s", rows / mine, rows / min(eager, fast), "torch, eager or compiled", goal, True)
        row(f"  its step over its own products, {kind}", "ms", 1e3 * mine, 1e3 * products, "products alone", 1 / (1.3 if adam else 1.15), False)
for rows, goal in ((128, 1.15), (1024, 1.0)):
    mine, peer = alternate(lambda n: ours(rows, "forward", n), lambda n: timed(teacher_forward(rows), n), 20)
    row(f"teacher 784-1200-1200-10, forward, batch {rows}", "samples/s", rows / mine, rows / peer, "torch eager", goal, True)
one, two = [], []
for _ in range(ROUNDS):
    one += ours(1024, "sgd", 8, threads=1)
    two += ours(1024, "sgd", 8)
row("MLP step, batch 1024: two threads against one", "ms", 1e3 * statistics.median(two), 1e3 * statistics.median(one), "one thread", 1.7, False)
for compiled, goal in ((False, 8), (True, 3)):
    work = kl(1024, compiled)
    mine, peer = alternate(lambda n: ours(1024, "kl", n), lambda n: timed(work, n), 4)
    row("KL from logits 1024 x 49,152, T = 2", "ms", 1e3 * mine, 1e3 * peer, "torch compiled" if compiled else "torch eager", goal, False)
stream = statistics.median(ours(1024, "stream", 8, threads=1))
row("  the same against plain C over memory, one thread", "ms", 1e3 * mine, 1e3 * stream, "read two, write one", 0.5, False)
with open("build/bench.json", "w") as file:
    json.dump(results, file, indent=1)
with open("build/bench.md", "w") as file:
    file.write("| what | unit | ours | peer | which | ratio | goal |\n|---|---|---|---|---|---|---|\n")
    for r in results:
        file.write(f"| {r['name'].strip()} | {r['unit']} | {r['ours']:.4g} | {r['peer']:.4g} | {r['peer_name']} | {r['ratio']:.2f} | {r['goal']:.2f} |\n")
print("wrote build/bench.json and build/bench.md")
