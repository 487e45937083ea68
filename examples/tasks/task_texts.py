"""Texts of three tasks: whether a review is positive (SST-2), what a question asks for (TREC),
which language a caption is written in (Multi30k)."""

import gzip

import numpy as np

TASKS = {"sentiment": 2, "question": 6, "language": 2}
LONGEST = 64  # tokens


def labeled(path):
    """Lines of "label text"."""
    with open(path, encoding="latin-1") as file:
        pairs = [line.strip().split(" ", 1) for line in file]
    return [(text, int(label)) for label, text in pairs]


def captions(data, part):
    """Every caption in English (0) and in German (1), by turns."""
    sides = []
    for language in ("en", "de"):
        with gzip.open(f"{data}/text/multi30k/{part}.{language}.gz", "rt", encoding="utf-8") as f:
            sides.append([line.strip() for line in f])
    return [(text, label) for pair in zip(*sides) for label, text in enumerate(pair)]


def read(data, count):
    """Training and test texts, {task: [(text, label)]}; at most `count` to train on a task, and a
    quarter of that to test on."""
    text, found = f"{data}/text", {}
    found["sentiment"] = [labeled(f"{text}/stsa.binary.{part}") for part in ("train", "test")]
    found["question"] = [labeled(f"{text}/TREC.{part}.all") for part in ("train", "test")]
    found["language"] = [captions(data, part) for part in ("train", "test_2016_flickr")]
    mix = np.random.default_rng(1)
    parts = []
    for at, most in enumerate((count, max(4, count // 4))):
        chosen = {task: mix.permutation(len(rows[at]))[:most] for task, rows in found.items()}
        parts.append({task: [found[task][at][i] for i in own] for task, own in chosen.items()})
    return parts


class Samples:
    """Texts of tasks as ids, each with the label of its own task."""

    def __init__(self, tokenizer, texts):
        rows = [(task, *row) for task in texts for row in texts[task]]
        self.tasks = np.array([task for task, _, _ in rows])
        self.labels = np.array([label for _, _, label in rows], np.int64)
        ids = [tokenizer.encode(text, special=True) for _, text, _ in rows]
        self.ids = [i if len(i) <= LONGEST else np.append(i[: LONGEST - 1], i[-1]) for i in ids]
        self.of = {task: np.flatnonzero(self.tasks == task) for task in texts}

    def fill(self, batch, chosen):
        """The batch: texts, and labels of each task for the texts that are its own."""
        ids = [self.ids[i] for i in chosen]
        batch.begin_packed(np.cumsum([0, *map(len, ids)]))
        batch.set("tokens", np.concatenate(ids).astype(np.int64))
        for task in self.of:
            own = self.tasks[chosen] == task
            batch.set_per_sample("label." + task, np.where(own, self.labels[chosen], 0), own)
        return batch

    def draw(self, rng, tasks, count):
        """Texts of a step: as many of each task as of the others, on average."""
        which = rng.integers(0, len(tasks), count)
        return np.array([rng.choice(self.of[tasks[task]]) for task in which])
