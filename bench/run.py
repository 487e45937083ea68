"""Ours (build/bench/measure) beside PyTorch and ONNX Runtime: medians of ROUNDS alternating rounds,
the ratio and the goal; each rival under its best setting, which is printed. Called by bench/run.sh.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

import rivals

ROUNDS = int(os.environ.get("ROUNDS", "5"))
results = []


# ---- rivals: each prepares its work and returns it ----
def mlp(*sizes):
    import torch

    layers = []
    for before, after in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def torch_step(rows, adam, compiled):
    import torch

    F = torch.nn.functional
    torch.manual_seed(0)
    model = mlp(784, 800, 800, 10)
    kind = torch.optim.Adam if adam else torch.optim.SGD
    optimizer = kind(model.parameters(), 1e-4)
    x, v = torch.rand(rows, 784), torch.randn(rows, 10)
    y = torch.zeros(rows, dtype=torch.long)

    def loss(x):
        z = model(x)
        lq, lp = F.log_softmax(z / 4, 1), F.log_softmax(v / 4, 1)
        kl = F.kl_div(lq, lp, reduction="batchmean", log_target=True)
        return 0.9 * 16 * kl + 0.1 * F.cross_entropy(z, y)

    loss = torch.compile(loss) if compiled else loss

    def step():
        optimizer.zero_grad()
        loss(x).backward()
        optimizer.step()

    return step


def torch_forward(rows, compiled):
    import torch

    model, x = mlp(784, 1200, 1200, 10), torch.rand(rows, 784)
    model = torch.compile(model) if compiled else model

    def forward():
        with torch.no_grad():
            model(x)

    return forward


def onnx_forward(rows):
    import onnxruntime
    import torch

    x = torch.rand(rows, 784)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "teacher.onnx")
        torch.onnx.export(mlp(784, 1200, 1200, 10).eval(), (x,), path, input_names=["x"])
        session = onnxruntime.InferenceSession(path, rivals.onnx_options(onnxruntime))
    return lambda: session.run(None, {"x": x.numpy()})


def torch_kl(rows, compiled):
    import torch

    F = torch.nn.functional
    z, v = torch.randn(rows, 49152, requires_grad=True), torch.randn(rows, 49152)

    def loss(z):
        lq, lp = F.log_softmax(z / 2, 1), F.log_softmax(v / 2, 1)
        return 4 * F.kl_div(lq, lp, reduction="batchmean", log_target=True)

    loss = torch.compile(loss) if compiled else loss

    def both():
        z.grad = None
        loss(z).backward()

    return both


# ---- ours, and the driver ----
def ours(rows, kind, threads=None):
    """A side that measures one kind of build/bench/measure's work."""
    command = ["build/bench/measure", str(rows), kind]

    def side(repeats):
        line = command + [str(repeats), str(threads or rivals.CORES)]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        return [float(value) for value in done.stdout.split()]

    return side


def rival(title, name, *arguments):
    """A side that measures a rival under its best setting; None where it does not run."""
    found = rivals.best_worker(__file__, name, arguments)
    setting = rivals.describe(found.setting) if found else "does not run here"
    print(f"  {title}: {setting}", flush=True)
    return found


def alternate(sides, repeats):
    """name -> median seconds; sides that do not run are left out."""
    sides = {name: side for name, side in sides.items() if side}
    times = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            times[name] += side(repeats)
    for side in sides.values():
        if isinstance(side, rivals.Worker):
            side.close()
    settings = {n: s.setting for n, s in sides.items() if isinstance(s, rivals.Worker)}
    return {name: statistics.median(found) for name, found in times.items()}, settings


def row(name, found, peer, goal, rate=None, mine="ours", settings=None):
    """rate: what is done in that time, for a table of rates; else milliseconds are shown."""
    a, b = found[mine], found[peer]
    setting = (settings or {}).get(peer)
    result = {
        "name": name,
        "unit": "samples/s" if rate else "ms",
        "ours": rate / a if rate else 1e3 * a,
        "peer": rate / b if rate else 1e3 * b,
        "which": peer,
        "ratio": b / a,
        "goal": goal,
        "setting": rivals.describe(setting) if setting else None,
    }
    results.append(result)
    shown = f"{result['ours']:12.2f} {result['peer']:12.2f} {result['unit']:10s} {peer:16s}"
    print(f"{name:52s} {shown} {b / a:6.2f} (goal {goal:.2f})", flush=True)


def best(found):
    return min((name for name in found if name.startswith(("torch", "onnx"))), key=found.get)


def steps():
    for rows, goal in ((128, 1.4), (1024, 1.1)):
        for kind in ("sgd", "adam"):
            sides = {"ours": ours(rows, kind), "products alone": ours(rows, "products")}
            for peer, compiled in (("torch eager", False), ("torch compiled", True)):
                sides[peer] = rival(peer, "torch_step", rows, kind == "adam", compiled)
            found, settings = alternate(sides, 30 if rows == 128 else 10)
            title = f"MLP 784-800-800-10, {kind}, batch {rows}"
            row(title, found, best(found), goal, rows, settings=settings)
            share = 1 / (1.3 if kind == "adam" else 1.15)
            row(f"  its step over its own products, {kind}", found, "products alone", share)


def forwards():
    for rows, goal in ((128, 1.15), (1024, 1.0)):
        sides = {"ours": ours(rows, "forward")}
        sides["torch eager"] = rival("torch eager", "torch_forward", rows, False)
        sides["torch compiled"] = rival("torch compiled", "torch_forward", rows, True)
        sides["onnxruntime"] = rival("onnxruntime", "onnx_forward", rows)
        found, settings = alternate(sides, 20)
        for peer in list(found)[1:]:
            title = f"teacher 784-1200-1200-10, forward, batch {rows}"
            row(title, found, peer, goal, rows, settings=settings)


def threads():
    sides = {"ours": ours(1024, "sgd"), "one thread": ours(1024, "sgd", 1)}
    found, _ = alternate(sides, 8)
    row("MLP step, batch 1024: all cores against one", found, "one thread", 0.85 * rivals.CORES)


def kl():
    sides = {"ours": ours(1024, "kl"), "near": ours(1024, "kl-near")}
    sides["memory"] = ours(1024, "stream", 1)
    sides["torch eager"] = rival("torch eager", "torch_kl", 1024, False)
    sides["torch compiled"] = rival("torch compiled", "torch_kl", 1024, True)
    found, settings = alternate(sides, 4)
    for mine, title in (("ours", "KL from logits 1024 x 49,152, T = 2"), ("near", "  near q = p")):
        for peer, goal in (("torch eager", 8), ("torch compiled", 3)):
            if peer in found:
                row(title, found, peer, goal, mine=mine, settings=settings)
    row("  against plain C over memory, one thread", found, "memory", 0.5)


def main():
    print(f"{rivals.CORES} cores, {ROUNDS} rounds")
    for part in (steps, forwards, threads, kl):
        part()
    rivals.write_tables("build/bench", results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        rivals.serve(globals()[sys.argv[2]], json.loads(sys.argv[3]))
    else:
        main()
