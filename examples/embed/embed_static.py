"""A static student beside the others: a table with a row for each token learns the same vectors."""

import embed_measure
import numpy as np
from embed_train import train, vectors_of

TOGETHER, RATE, EPOCHS = 512, 3e-3, 4
GOALS = {256: 0.76, 64: 0.73}  # STS-B test, by numbers of a vector


def principal(vectors, count):
    """Axes (width, count) on which the vectors are largest: the first numbers keep most of a
    cosine."""
    _, axes = np.linalg.eigh(vectors.T @ vectors / len(vectors))
    return np.ascontiguousarray(axes[:, ::-1][:, :count])


def turn(ctx, student, samples, wanted):
    """The linear map that brings the student's vectors nearest to those that are wanted."""
    some = min(4096, len(samples))
    found = samples.first(some).embed(ctx, student)
    table = dict(student.tensors)["embedding.weight"]
    table[:] = table @ np.linalg.lstsq(found, wanted[:some], rcond=None)[0]


def add_rows(ctx, o, teacher, tokenizer, samples, store, benchmark, table):
    student = teacher.static_student(tokenizer, hidden_size=o.static)
    width = student.output_info("embedding").width
    goals = {n: GOALS.get(n) for n in (width, 64) if n <= width}
    vectors, texts = vectors_of(ctx, samples, store), samples.plain()
    wanted = vectors @ principal(vectors, width)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    made = benchmark.samples.plain().embed(ctx, student)
    for n in goals:
        theirs = benchmark.correlation(benchmark.vectors, n)
        table.add(f"static, untrained, STS-B at {n}", benchmark.correlation(made, n), theirs)
    turn(ctx, student, texts, wanted)

    def read(batch, numbers, targets):
        targets.begin(batch.counts.rows).set_per_sample("embedding", wanted[numbers])

    steps = o.steps or EPOCHS * len(texts) // TOGETHER + 1
    widths = list(goals)
    seconds = train(
        ctx, student, texts, read, steps, RATE, widths, TOGETHER, lazy="embedding.weight"
    )
    print(f"static: {steps} steps in {seconds:.0f} s")
    at = benchmark.samples.plain()
    embed_measure.judge(table, benchmark, "static", student, at, goals, 100)
    student.save(o.folder + "/static")
