"""Training and evaluating image students beside PyTorch in the same run (make bench-images).

    python bench/images.py [net .. | patches]

A step at batch 128 of 28x28 images: forward, cross-entropy, backward, SGD with momentum; and an
evaluating pass of a frozen model, whose norms are folded. The nets are examples/images/*.json.
Rivals: torch eager, eager with channels last, and compiled (COMPILE=0 leaves it out), each in a
process of its own under its best setting (bench/rivals.py). Ours and torch alternate; medians of
ROUNDS, and of the ratios of each round. Goal of a training step: 1.2 times torch eager's speed.

`patches`: ours alone, a training step of a small ViT whose passes leave patches out
(kd_patch_dropout), beside one that keeps all, in turns.
"""

import json
import os
import statistics
import sys
import time

import numpy
import rivals
import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "examples", "images")
sys.path.insert(0, os.path.join(HERE, "..", "python"))
import kdistill as kd

ROUNDS = int(os.environ.get("ROUNDS", "11"))
ROWS = int(os.environ.get("ROWS", "128"))
NETS = ["resnet", "mobilenet"]
RIVALS = ["eager", "channels last"] + ["compiled"] * (os.environ.get("COMPILE") != "0")
ACTIVATIONS = {"relu": nn.ReLU, "relu6": nn.ReLU6, "hardswish": nn.Hardswish, "silu": nn.SiLU}


def config_of(name):
    with open(os.path.join(EXAMPLES, f"{name}.json")) as file:
        return json.load(file)


def module_of(spec, shape):
    """torch's layer, and what it gives of images of a shape."""
    kind, channels = spec["type"], shape[0]
    if kind == "conv2d":
        sizes = {k: spec[k] for k in ("stride", "padding", "groups", "bias") if k in spec}
        made = nn.Conv2d(channels, spec["channels"], spec["kernel_size"], **sizes)
    elif kind == "batch_norm2d":
        made = nn.BatchNorm2d(channels)
    elif kind == "global_avg_pool2d":
        made = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    elif kind == "linear":
        made = nn.Linear(channels, spec["units"])
    else:
        made = nn.Identity()
    with torch.no_grad():
        after = made.eval()(torch.zeros(1, *shape)).shape[1:]
    if "activation" in spec:
        made = nn.Sequential(made, ACTIVATIONS[spec["activation"]](inplace=True))
    return made.train(), tuple(after)


class Net(nn.Module):
    """A config as a torch module."""

    def __init__(self, config):
        super().__init__()
        self.specs, self.made = config["layers"], nn.ModuleList()
        shape, named = tuple(config["input_shape"]), {}
        for spec in self.specs:
            source = spec.get("from") if spec["type"] != "add" else None
            made, shape = module_of(spec, named[source] if source else shape)
            self.made.append(made)
            named[spec.get("name")] = shape

    def forward(self, x):
        named = {}
        for spec, made in zip(self.specs, self.made):
            if spec["type"] == "add":
                x = made(x + named[spec["from"]])
            else:
                x = made(named[spec["from"]] if "from" in spec else x)
            named[spec.get("name")] = x
        return x


def images():
    rng = numpy.random.default_rng(0)
    x = rng.normal(size=(ROWS, 1, 28, 28)).astype(numpy.float32)
    return x, rng.integers(0, 10, ROWS)


def torch_step(net, rival, trains):
    x, labels = (torch.from_numpy(v) for v in images())
    model = Net(config_of(net)).train(trains)
    if rival == "channels last":
        model, x = (
            model.to(memory_format=torch.channels_last),
            x.contiguous(memory_format=torch.channels_last),
        )
    run = torch.compile(model) if rival == "compiled" else model
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)

    def train():
        optimizer.zero_grad()
        nn.functional.cross_entropy(run(x), labels).backward()
        optimizer.step()

    def evaluate():
        with torch.inference_mode():
            run(x)

    return train if trains else evaluate


def our_step(net, trains):
    x, labels = images()
    model = kd.Model(context, config_of(net), frozen=not trains)
    batch = kd.Batch(context).begin(ROWS)
    batch.set("inputs", x)
    batch.set("label", labels)
    if not trains:
        return lambda: model.forward(batch, kd.Mode.EVALUATE)
    loss = kd.Loss(context)
    loss.add(kd.LossKind.CROSS_ENTROPY, 1.0)
    optimizer = kd.Optimizer(context, kd.OptimizerKind.SGD, momentum=0.9)
    optimizer.add_model(model)

    def train():
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch)
        optimizer.step(1e-3)

    return train


def clock(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(net, trains):
    """One row for each rival; all of them and ours take turns."""
    peers = {}
    for rival in RIVALS:
        peer = rivals.best_worker(__file__, "torch_step", [net, rival, trains], 2)
        if peer:
            peers[rival] = peer
    work, ours, theirs = our_step(net, trains), [], {rival: [] for rival in peers}
    for _ in range(3):
        work()
    for _ in range(ROUNDS):
        ours.append(clock(work))
        for rival, peer in peers.items():
            theirs[rival].append(peer(1)[0])
    for rival, peer in peers.items():
        found = {
            "name": f"{net}, {'training step' if trains else 'evaluating pass'}",
            "rows": ROWS,
            "ours_ms": 1e3 * statistics.median(ours),
            "peer": f"torch {rival}",
            "peer_ms": 1e3 * statistics.median(theirs[rival]),
            "ratio": statistics.median(b / a for a, b in zip(ours, theirs[rival])),
            "goal": 1.2 if trains and rival == "eager" else None,
            "setting": rivals.describe(peer.setting),
        }
        peer.close()
        print(
            f"{found['name']:28s} {found['ours_ms']:8.1f} ms  {found['peer']:20s} "
            f"{found['peer_ms']:8.1f} ms {found['ratio']:6.2f}   {found['setting']}",
            flush=True,
        )
        yield found


VIT = {
    "model_type": "vit",
    "architectures": ["ViTForImageClassification"],
    "image_size": 64,
    "patch_size": 8,
    "hidden_size": 192,
    "num_hidden_layers": 6,
    "num_attention_heads": 3,
    "intermediate_size": 768,
    "num_labels": 10,
}


def vit_step(share, rows=64):
    rng = numpy.random.default_rng(0)
    model = kd.Model(context, VIT | {"kd_patch_dropout": share})
    batch = kd.Batch(context).begin(rows)
    batch.set("pixels", rng.normal(size=(rows, 3, 64, 64)).astype(numpy.float32))
    batch.set("label", rng.integers(0, 10, rows))
    loss = kd.Loss(context)
    loss.add(kd.LossKind.CROSS_ENTROPY, 1.0)
    optimizer = kd.Optimizer(context, kd.OptimizerKind.ADAMW)
    optimizer.add_model(model)

    def train():
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch)
        optimizer.step(1e-3)

    return train


def measure_patches():
    """A row for each share of patches that is left out."""
    shares = [0, 0.25, 0.5, 0.75]
    steps, times = [vit_step(share) for share in shares], [[] for _ in shares]
    for step in steps:
        step()
    for _ in range(ROUNDS):
        for step, found in zip(steps, times):
            found.append(clock(step))
    for share, found in zip(shares, times):
        ratio = statistics.median(a / b for a, b in zip(times[0], found))
        ms = 1e3 * statistics.median(found)
        print(f"ViT 64 x 6 x 192, {share:4.0%} left out {ms:8.1f} ms {ratio:6.2f}", flush=True)
        yield {"name": "ViT, training step", "left out": share, "ours_ms": ms, "ratio": ratio}


def main():
    print(f"torch {torch.__version__}, {rivals.CORES} cores, load {os.getloadavg()[0]:.1f}")
    results = []
    if sys.argv[1:] == ["patches"]:
        rivals.write_tables("build/bench-patches", list(measure_patches()))
        return
    for net in sys.argv[1:] or NETS:
        for trains in (True, False):
            results += measure(net, trains)
    rivals.write_tables("build/bench-images", results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        rivals.serve(globals()[sys.argv[2]], json.loads(sys.argv[3]))
    else:
        context = kd.Context(threads=rivals.CORES)
        main()
