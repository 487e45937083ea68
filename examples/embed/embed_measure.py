"""What a student is worth: STS-B, sentences a second, parameters, its folder read by others."""

import json
import statistics
import time
import warnings

import embed_texts
import kdistill as kd
import numpy as np
from embed_texts import Samples


class Benchmark:
    """STS-B's test set for a teacher: its vectors, and tokens with and without special ones."""

    def __init__(self, ctx, teacher, tokenizer, data, length):
        first, second, self.scores = embed_texts.pairs(data, "test")
        self.ctx, self.teacher = ctx, teacher
        self.samples = Samples(ctx, tokenizer, first + second, length)
        self.vectors = self.samples.embed(ctx, teacher)

    def correlation(self, vectors, width):
        """Spearman's, of the cosines of pairs by their first numbers with the scores."""
        cut = vectors[:, :width]
        first, second = np.split(cut / np.linalg.norm(cut, axis=1, keepdims=True), 2)
        return kd.metrics_correlation(self.ctx, (first * second).sum(1), self.scores)

    def speeds(self, model, samples, rounds=5):
        """Sentences a second of a student and of the teacher, 64 a pass, asked in turns."""
        numbers = np.arange(min(512, len(samples) // 64 * 64)).reshape(-1, 64)
        sides = [(model, samples), (self.teacher, self.samples)]
        batches = [[s.fill(kd.Batch(self.ctx), each) for each in numbers] for _, s in sides]
        found = [[clock(m, b) for (m, _), b in zip(sides, batches)] for _ in range(rounds)]
        return [numbers.size / statistics.median(times) for times in zip(*found)]


def clock(model, batches):
    began = time.perf_counter()
    for batch in batches:
        model.forward(batch, kd.Mode.EVALUATE).output("embedding")
    return time.perf_counter() - began


class Table:
    """Rows: name, ours, peer (the teacher's), their ratio, the goal or None. A goal is one of ours,
    but of the ratio where sentences a second are counted."""

    def __init__(self):
        self.rows = []

    def add(self, name, ours, peer, goal=None):
        row = {"name": name, "ours": ours, "peer": peer, "ratio": ours / peer, "goal": goal}
        self.rows.append(row)
        form = ".4f" if ours < 2 else ".0f"
        print(
            f"{name:36s} {ours:10{form}}   teacher {peer:10{form}}   ratio {ours / peer:7.3f}   "
            f"goal {goal or '-'}",
            flush=True,
        )

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.rows, file, indent=1)


def judge(table, benchmark, name, model, samples, goals, faster):
    """A student's rows; goals: by how many numbers of a vector count; faster: times the teacher."""
    made = samples.embed(benchmark.ctx, model)
    for width, goal in goals.items():
        theirs = benchmark.correlation(benchmark.vectors, width)
        table.add(f"{name}, STS-B at {width}", benchmark.correlation(made, width), theirs, goal)
    teacher = benchmark.teacher.info.parameters
    table.add(f"{name}, parameters", model.info.parameters, teacher)
    table.add(f"{name}, sentences a second", *benchmark.speeds(model, samples), faster)


def check_folder(ctx, model, tokenizer, folder, texts, length):
    """sentence-transformers loads a student's folder and gives the same embeddings."""
    model.save(folder)
    with warnings.catch_warnings(action="ignore"):
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            print(f"  {folder}: saved; sentence-transformers is not installed to compare with")
            return
        expected = SentenceTransformer(folder, device="cpu").encode(texts)
    found = Samples(ctx, tokenizer, texts, length).embed(ctx, kd.Model.load(ctx, folder))
    worst = float(np.abs(found - expected).max())
    print(f"  {folder}: sentence-transformers differs by {worst:.1e}")
    if worst > 1e-5:
        raise SystemExit("expected at most 1e-5")
