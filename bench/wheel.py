"""The library of a wheel (no BLAS) beside another build of it, in the same run:

    python bench/wheel.py WHEELS-LIBRARY OTHER-LIBRARY      THREADS (1), ROUNDS (5), SHORT=1

Each round starts a process a library, in turns; a process times steps of training and passes
without, and prints milliseconds. Told are medians, and the median of the rounds' ratios: above 1
the wheel is faster. `make bench-wheel` compares the manylinux wheel with the Makefile's build.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

SHORT = os.environ.get("SHORT") == "1"
ROUNDS = int(os.environ.get("ROUNDS", "1" if SHORT else "5"))
THREADS = int(os.environ.get("THREADS", "1"))
STEPS = 3 if SHORT else 15
#: name: (config, rows, columns of the inputs, labels)
NETWORKS = {
    "mlp 784-1200-1200-10": (
        dict(model_type="mlp", input_size=784, hidden_sizes=[1200, 1200], num_labels=10),
        (128, 784),
    ),
    "images 3x3, 32 and 64 channels": (
        dict(
            model_type="sequential",
            input_shape=[1, 28, 28],
            layers=[
                dict(type="conv2d", channels=32, kernel_size=3, activation="relu"),
                dict(type="conv2d", channels=64, kernel_size=3, activation="relu"),
                dict(type="max_pool2d", kernel_size=2),
                dict(type="linear", units=10),
            ],
        ),
        (64, 28, 28),
    ),
}
LANGUAGE = dict(
    model_type="llama",
    hidden_size=288,
    intermediate_size=768,
    num_hidden_layers=6,
    vocab_size=4096,
    num_attention_heads=6,
    num_key_value_heads=6,
    max_position_embeddings=256,
    tie_word_embeddings=True,
)


def median_of(work):
    """Milliseconds of a call, the median of some; the first are not counted."""
    for _ in range(2):
        work()
    times = []
    for _ in range(STEPS):
        began = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def measure():
    """In a process of its own: all times of the library that KDISTILL_LIBRARY names."""
    import kdistill as kd

    found = {}
    random = np.random.default_rng(0)
    ctx = kd.Context(threads=THREADS)

    def take(name, model, batch):
        loss = kd.Loss(ctx)
        loss.add(kd.LossKind.CROSS_ENTROPY, 1.0)
        optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model)

        def step():
            model.forward(batch)
            loss.backward(model, batch)
            optimizer.step(1e-4)

        found[name + ", step"] = median_of(step)
        found[name + ", pass"] = median_of(lambda: model.forward(batch, kd.Mode.EVALUATE))

    for name, (config, shape) in NETWORKS.items():
        batch = kd.Batch(ctx).begin(shape[0])
        batch.set("inputs", random.normal(size=shape).astype(np.float32))
        batch.set("label", random.integers(0, 10, shape[0]))
        take(name, kd.Model(ctx, config), batch)
    tokens = random.integers(0, LANGUAGE["vocab_size"], 4 * 256)
    batch = kd.Batch(ctx).begin_packed(np.arange(0, tokens.size + 1, 256))
    batch.set("tokens", tokens)
    batch.set("label", np.roll(tokens, -1))
    take("llama 288 x 6, 4 x 256 tokens", kd.Model(ctx, LANGUAGE), batch)
    print(json.dumps({"build": kd.build_info(), "isa": ctx.info.isa, "times": found}))


def run(library):
    """One process with a library."""
    environment = {**os.environ, "KDISTILL_LIBRARY": os.path.abspath(library)}
    words = [sys.executable, os.path.abspath(__file__), "--measure"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{library}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Rounds in turns, then a table."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rounds = [[run(library) for library in sys.argv[1:]] for _ in range(ROUNDS)]
    for each in rounds[0]:
        print(f"{each['build']}; instruction set {each['isa']}; {THREADS} threads")
    print("| | wheel, ms | other, ms | ratio |\n|---|---|---|---|")
    for name in rounds[0][0]["times"]:
        pairs = [[each["times"][name] for each in pair] for pair in rounds]
        mine, other = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"| {name} | {mine:.2f} | {other:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    measure() if "--measure" in sys.argv else main()
