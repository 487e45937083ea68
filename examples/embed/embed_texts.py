"""Texts for sentence embeddings: what a teacher reads once, STS-B's pairs, and packed batches."""

import csv
import glob
import gzip
import os

import kdistill as kd
import numpy as np

WORDNET = "/usr/share/wordnet"


def lines_of(path):
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", errors="replace") as file:
        return [line.strip() for line in file]


def glosses(folder):
    """WordNet's glosses, definitions with their examples: what follows the bar of a line."""
    return [
        line.split("|", 1)[1].strip()
        for path in sorted(glob.glob(os.path.join(folder, "data.*")))
        for line in lines_of(path)
        if "|" in line and not line.startswith("  ")
    ]


def pairs(data, part):
    """STS-B: two lists of sentences, and scores from 0 to 5."""
    path = os.path.join(data, "text", "stsb", f"stsb-en-{part}.csv")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return [row[0] for row in rows], [row[1] for row in rows], [float(row[2]) for row in rows]


def training_texts(data, wordnet=WORDNET):
    """Each text once, in a fixed order; nothing of a text's labels or scores."""
    text = os.path.join(data, "text")
    found = glosses(wordnet)
    if not found:
        print(f"no WordNet in {wordnet}: install Debian's wordnet-base, or unpack it (dpkg -x) and")
        print("set KD_WORDNET to its usr/share/wordnet; it goes on without its glosses")
    found += lines_of(os.path.join(text, "multi30k", "train.en.gz"))
    for name in ("stsa.binary.train", "TREC.train.all"):  # "label text"
        found += [line.split(" ", 1)[-1] for line in lines_of(os.path.join(text, name))]
    first, second, _ = pairs(data, "train")
    return [text for text in dict.fromkeys(found + first + second) if text]


# ---- texts as tokens, packed ----


class Samples:
    """Texts as ids with their keys; what stands around a text stays when it is cut."""

    def __init__(self, ctx, tokenizer, texts, length):
        whole = [tokenizer.encode(text, special=True) for text in texts]
        whole = [t if len(t) <= length else np.append(t[: length - 1], t[-1]) for t in whole]
        self.ids = [t.astype(np.int64) for t in whole]
        self.keys = np.array([kd.store_key(ctx, ids) for ids in self.ids], np.uint64)

    def __len__(self):
        return len(self.ids)

    def _with(self, ids, keys):
        made = object.__new__(Samples)
        made.ids, made.keys = ids, keys
        return made

    def first(self, count):
        return self._with(self.ids[:count], self.keys[:count])

    def plain(self):
        """Without what stands around a text, under the same keys."""
        return self._with([ids[1:-1] for ids in self.ids], self.keys)

    def fill(self, batch, numbers):
        """The batch, packed with these texts."""
        ids = [self.ids[i] for i in numbers]
        batch.begin_packed(np.cumsum([0] + [len(each) for each in ids]))
        batch.set("tokens", np.concatenate(ids))
        return batch.set_samples(keys=self.keys[numbers])

    def embed(self, ctx, model):
        """(texts, width)"""
        batch, made = kd.Batch(ctx), []
        for first in range(0, len(self), 64):
            numbers = np.arange(first, min(first + 64, len(self)))
            model.forward(self.fill(batch, numbers), kd.Mode.EVALUATE)
            made.append(model.output("embedding").copy())
        return np.concatenate(made)
