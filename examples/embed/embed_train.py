"""A teacher's vectors, kept once, and a student that learns them."""

import os
import time

import kdistill as kd
import numpy as np

WIDTH = {"student_output": "embedding", "teacher_field": "embedding"}
GRAM = 10  # mean squares of differences of cosines are small beside 1 - cosine


def cache(ctx, folder, samples, path):
    """A store with a vector for each text, by the teacher in 8 bits; a run that was killed goes on
    where it stopped."""
    have = set()
    if os.path.exists(path):
        with kd.Store(ctx, path) as store:
            have = {store.record(i).key for i in range(len(store))}
    missing = [i for i, key in enumerate(samples.keys.tolist()) if tuple(key) not in have]
    if not missing:
        return
    teacher = kd.Model.load(ctx, folder, frozen=True, weights=kd.DType.INT8)
    live, batch, targets = kd.Teacher.from_model(teacher), kd.Batch(ctx), kd.Targets(ctx)
    field = {"kind": kd.StoreKind.EMBEDDING, "name": "embedding", "source": "embedding"}
    field.update(width=teacher.output_info("embedding").width, encoding=kd.DType.FLOAT16)
    began = time.time()
    with kd.StoreWriter(ctx, path, [field], append=int(bool(have))) as writer:
        for first in range(0, len(missing), 128):
            live.read(samples.fill(batch, missing[first : first + 128]), targets)
            writer.add(batch, targets)
            if first % 25600 == 0:
                print(f"  teacher: {first} of {len(missing)} texts, {time.time() - began:.0f} s")


def vectors_of(ctx, samples, store):
    """(texts, width): a store's vectors in the order of the texts."""
    teacher, batch, targets, made = kd.Teacher.open(ctx, store), kd.Batch(ctx), kd.Targets(ctx), []
    for first in range(0, len(samples), 1024):
        numbers = np.arange(first, min(first + 1024, len(samples)))
        teacher.read(samples.fill(batch, numbers), targets)
        made.append(targets.field("embedding").copy())
    return np.concatenate(made)


def add_terms(loss, widths):
    """The vectors, and how a batch's texts lie to each other: whole, and their beginnings."""
    for width in widths:
        loss.add(kd.LossKind.HIDDEN_COSINE, 1 / len(widths), first=width, **WIDTH)
        loss.add(kd.LossKind.GRAM, GRAM / len(widths), first=width, **WIDTH)


def train(ctx, student, samples, read, steps, rate, widths, together, lazy=None, faster=1):
    """Seconds that it took. read(batch, numbers, targets) fills in the teacher's vectors; lazy: a
    pattern of tensors whose untouched rows a step leaves alone, at `faster` times the rate."""
    loss, batch, targets = kd.Loss(ctx), kd.Batch(ctx), kd.Targets(ctx)
    add_terms(loss, widths)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, student, weight_decay=0.01, clip_norm=1)
    if lazy:
        optimizer.add_group(lazy, lazy=1, weight_decay=0, learning_rate=faster)
    warm = kd.Schedule.linear(ctx, 0.02, 1, steps // 10 + 1)
    fall = kd.Schedule.linear(ctx, rate, 0, steps)
    order, waiting, began = np.random.default_rng(1), np.empty(0, int), time.time()
    for step in range(steps):
        while len(waiting) < together:
            waiting = np.concatenate([waiting, order.permutation(len(samples))])
        numbers, waiting = waiting[:together], waiting[together:]
        read(samples.fill(batch, numbers), numbers, targets)
        student.forward(batch, kd.Mode.TRAIN)
        result = loss.backward(student, batch, targets)
        optimizer.step(warm(step) * fall(step))
        if step % 200 == 0:
            print(f"  step {step} of {steps}: loss {result.value:.4f}, {time.time() - began:.0f} s")
    return time.time() - began
