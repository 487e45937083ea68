"""A language model in four bits: rounded after training, with and without importance, and trained on
the numbers that the file holds, at the same bytes.

    quantize.py MODEL OUT [--format Q4_0] [--steps 300] [--rate 3e-4] [--texts 600]

MODEL: a folder or a GGUF file of a model that was trained in float32. It writes the texts itself;
a part of them is held back. OUT: a folder for the files, each of which llama.cpp runs. Where the
package llama_cpp is installed, its KL and speed from the same files stand beside the library's."""

import argparse
import math
import os
import sys
import time

import numpy as np
import quantize_llama

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

LENGTH, TOGETHER, HELD = 256, 8, 24  # tokens of a sequence, sequences of a step, held-out ones


# ---- texts ----
def write_texts(model, tokenizer, count):
    """Sequences of what the model itself writes, one text after another."""
    begin = tokenizer.begin_token
    start = [begin] if begin >= 0 else [int(tokenizer.encode("Once")[0])]
    generator = kd.Generator(model, max_sequences=32, cache_tokens=32 * 320)
    for i in range(count):
        generator.add(start, max_tokens=300, seed=i + 1, temperature=1.0)
    found = {text.request: text.ids for text in generator}
    ids = np.concatenate([np.concatenate([start, found[key]]) for key in sorted(found)])
    return ids[: len(ids) // LENGTH * LENGTH].reshape(-1, LENGTH).astype(np.int64)


def batch_of(ctx, sequences):
    batch = kd.Batch(ctx).begin_packed(np.arange(0, len(sequences) * LENGTH + 1, LENGTH))
    batch.set("tokens", np.ascontiguousarray(sequences).reshape(-1))
    return batch


# ---- figures ----
def log_softmax(logits):
    logits = logits.astype(np.float64)
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


class Held:
    """What the float model says of the held-out texts, and how far others are from it."""

    def __init__(self, ctx, model, sequences):
        self.ctx, self.sequences = ctx, sequences
        self.said = [log_softmax(self.logits(model, one)) for one in sequences]

    def logits(self, model, one):
        model.forward(batch_of(self.ctx, one[None]), kd.Mode.EVALUATE)
        return model.output("logits")

    def compare(self, logits_of):
        """Mean KL in nat, and perplexity."""
        far, surprise = [], []
        for one, said in zip(self.sequences, self.said):
            now = log_softmax(logits_of(one))
            far.append((np.exp(said) * (said - now)).sum(axis=1).mean())
            surprise.append(-now[np.arange(LENGTH - 1), one[1:]].mean())
        return float(np.mean(far)), math.exp(np.mean(surprise))


def tokens_a_second(model, count=200):
    """One sequence, the best of three."""
    best = 0.0
    for _ in range(3):
        generator = kd.Generator(model, max_sequences=1)
        generator.add([1], max_tokens=count, seed=1, stop_tokens=[])
        start = time.perf_counter()
        made = sum(len(text.ids) for text in generator)
        best = max(best, made / (time.perf_counter() - start))
    return best


# ---- training ----
def train(ctx, model, teacher, sequences, steps, rate):
    """Towards the float model's own answers: no labels, no weight decay, cosine to 0."""
    loss, targets = kd.Loss(ctx), kd.Targets(ctx)
    loss.add(kd.LossKind.FORWARD_KL, 1.0)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAM, model, clip_norm=1)
    cosine, live = kd.Schedule.cosine(ctx, rate, 0, steps), kd.Teacher.from_model(teacher)
    order = np.random.default_rng(3).permutation(len(sequences))
    for step in range(steps):
        numbers = order[np.arange(step * TOGETHER, (step + 1) * TOGETHER) % len(order)]
        batch = batch_of(ctx, sequences[numbers])
        live.read(batch, targets)
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, targets)
        optimizer.step(cosine(step))


def main(o):
    ctx = kd.Context(seed=1)
    os.makedirs(o.out, exist_ok=True)
    model, tokenizer = kd.Model.load(ctx, o.model), kd.Tokenizer(ctx, o.model)
    sequences = write_texts(model, tokenizer, o.texts)
    held, sequences = Held(ctx, model, sequences[:HELD]), sequences[HELD:]
    form = kd.Block[o.format]
    pure = {"format": form, "mixture": kd.Mix.PURE, "head": kd.Block.Q8_0}
    rows = []

    def add(name, info, path):
        read = kd.Model.load(ctx, path)
        far, perplexity = held.compare(lambda one: held.logits(read, one))
        there = quantize_llama.measure(path, held)
        rows.append((name, info.bytes, far, perplexity, tokens_a_second(read), *there))

    path = os.path.join(o.out, "float.gguf")
    add("float16", model.write_gguf(tokenizer, path, format=kd.DType.FLOAT16), path)
    path = os.path.join(o.out, "rounded.gguf")
    add(f"{o.format}, rounded", model.write_gguf(tokenizer, path, **pure), path)
    importance = kd.Importance(model)
    for at in range(0, min(len(sequences), 64), TOGETHER):
        importance.add(batch_of(ctx, sequences[at : at + TOGETHER]))
    path = os.path.join(o.out, "importance.gguf")
    info = model.write_gguf(tokenizer, path, importance=importance, **pure)
    add(f"{o.format}, importance", info, path)

    student = kd.Model.load(ctx, o.model)
    student.set_lattice(format=form)
    student.set_lattice("*embed_tokens.weight", format=kd.Block.Q8_0)
    start = time.perf_counter()
    train(ctx, student, model, sequences, o.steps, o.rate)
    seconds = time.perf_counter() - start
    path = os.path.join(o.out, "lattice.gguf")
    info = student.write_gguf(tokenizer, path, format=0)
    add(f"{o.format}, trained", info, path)
    seen, _ = held.compare(lambda one: held.logits(student, one))
    if seen != rows[-1][2]:
        sys.exit(f"the file's KL is {rows[-1][2]}, what was trained had {seen}")

    print("| file | bytes | KL | perplexity | tokens/s | KL in llama.cpp | tokens/s in llama.cpp |")
    print("|---|---|---|---|---|---|---|")
    for name, size, far, perplexity, speed, other, other_speed in rows:
        print(
            f"| {name} | {size:,} | {far:.5f} | {perplexity:.3f} | {speed:.0f} | "
            f"{other} | {other_speed} |"
        )
    print(
        f"{o.steps} steps of {TOGETHER * LENGTH} tokens in {seconds:.0f} s; KL of the trained file "
        f"over the better rounded one's: {rows[3][2] / min(rows[1][2], rows[2][2]):.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--format", default="Q4_0", choices=["Q4_0", "Q4_1", "IQ4_NL", "Q4_K"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--texts", type=int, default=600)
    main(parser.parse_args())
