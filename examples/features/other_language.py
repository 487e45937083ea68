"""Another language: a student that gives a German sentence the vector that an English teacher gives
its translation.

    python examples/features/other_language.py MINILM DATA OUT.json [SEEDS [STEPS [PAIRS]]]

MINILM is the folder of all-MiniLM-L6-v2 (bench/minilm.py), which knows no German; DATA holds
text/multi30k and text/stsb. The student has three of its layers and a new vocabulary of both
languages. It learns from PAIRS (all) of Multi30k's captions and of STS-B's training sentences,
without their scores, STEPS (1,000) for each of SEEDS (1). Tests: the share of 1,000 captions whose
nearest caption in the other language is their translation, and STS-B. Needs the `tokenizers`
package, which makes the vocabulary.
"""

import csv
import gzip
import json
import os
import sys
import tempfile
import time

import numpy as np
import table
import tokenizers

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

LAYERS = (0, 2, 5)  # of the teacher
VOCABULARY, TOGETHER, LONGEST, RATE = 16000, 64, 128, 5e-4
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "embeddings.word_embeddings.weight"


# ---- texts ----
def captions(data, part):
    """(English, German) captions."""
    sides = []
    for language in ("en", "de"):
        with gzip.open(f"{data}/text/multi30k/{part}.{language}.gz", "rt", encoding="utf-8") as f:
            sides.append([line.strip() for line in f])
    return list(zip(*sides))


def sts(data, language, part):
    with open(f"{data}/text/stsb/stsb-{language}-{part}.csv", encoding="utf-8") as file:
        return [(first, second, float(score)) for first, second, score in csv.reader(file)]


def training_pairs(data, count):
    """Captions and STS-B's sentences, each once, with their translations, in a mixed order."""
    pairs = dict.fromkeys(captions(data, "train"))
    for english, german in zip(sts(data, "en", "train"), sts(data, "de", "train")):
        pairs.update(dict.fromkeys(zip(english[:2], german[:2])))
    chosen = np.random.default_rng(1).permutation(len(pairs))[:count]
    every = list(pairs)
    return [every[i] for i in chosen]


def new_tokenizer(ctx, pairs, folder):
    """WordPiece of both languages, lower case, umlauts kept, as BERT puts texts together."""
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer(strip_accents=False)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.decoder = tokenizers.decoders.WordPiece()
    trainer = tokenizers.trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL)
    made.train_from_iterator((text for pair in pairs for text in pair), trainer)
    ends = [(name, made.token_to_id(name)) for name in ("[SEP]", "[CLS]")]
    made.post_processor = tokenizers.processors.BertProcessing(*ends)
    made.save(folder + "/tokenizer.json")
    return kd.Tokenizer(ctx, folder)


# ---- models ----
def new_student(ctx, teacher, theirs, ours, seed):
    """Layers of the teacher, its rows for words that both vocabularies have, others random."""
    config = {**teacher.config, "num_hidden_layers": len(LAYERS), "vocab_size": len(ours)}
    student = kd.Model(ctx, config, seed=seed)
    tensors = dict(teacher.tensors)
    for name, values in student.tensors:
        part = name.split(".")
        if "layer" in part:
            at = part.index("layer") + 1
            part[at] = str(LAYERS[int(part[at])])
        if name != WORDS:
            values[:] = tensors[".".join(part)]
    rows = dict(student.tensors)[WORDS]
    shared = ours.map(theirs)
    rows[shared >= 0] = tensors[WORDS][shared[shared >= 0]]
    return student


class Side:
    """A model with its tokenizer."""

    def __init__(self, ctx, model, tokenizer):
        self.model, self.tokenizer, self.batch = model, tokenizer, kd.Batch(ctx)

    def fill(self, texts):
        """The batch of these texts, cut where one is very long."""
        ids = [self.tokenizer.encode(text, special=True) for text in texts]
        ids = [i if len(i) <= LONGEST else np.append(i[: LONGEST - 1], i[-1]) for i in ids]
        self.batch.begin_packed(np.cumsum([0, *map(len, ids)]))
        return self.batch.set("tokens", np.concatenate(ids).astype(np.int64))

    def embed(self, texts):
        order, made = sorted(range(len(texts)), key=lambda i: -len(texts[i])), []
        for first in range(0, len(order), TOGETHER):
            chosen = [texts[i] for i in order[first : first + TOGETHER]]
            self.model.forward(self.fill(chosen), kd.Mode.EVALUATE)
            made.append(self.model.output("embedding").copy())
        found = np.concatenate(made)
        found[order] = found.copy()
        return found


def train(ctx, side, pairs, vectors, steps, seed):
    """Both sentences of a pair learn the teacher's vector, and how the batch's vectors lie."""
    model, targets, loss = side.model, kd.Targets(ctx), kd.Loss(ctx)
    names = {"student_output": "embedding", "teacher_field": "embedding"}
    loss.add(kd.LossKind.HIDDEN_COSINE, **names)
    loss.add(kd.LossKind.RELATION_KL, 0.2, temperature=0.05, **names)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model, clip_norm=1)
    optimizer.add_group(WORDS, lazy=1, learning_rate=5)
    order, rng = np.empty(0, np.int64), np.random.default_rng(seed)

    def step(rate):
        nonlocal order
        if len(order) < TOGETHER:
            order = np.append(order, rng.permutation(len(pairs)))
        chosen, order = order[:TOGETHER], order[TOGETHER:]
        texts = [text for language in (0, 1) for text in (pairs[i][language] for i in chosen)]
        model.forward(side.fill(texts), kd.Mode.TRAIN)
        targets.begin(int(side.batch.counts.rows))
        targets.set_per_sample("embedding", np.concatenate([vectors[chosen]] * 2))
        loss.backward(model, side.batch, targets)
        optimizer.step(rate)

    for i in range(steps):
        step(RATE * min(1, (i + 1) / (steps // 10 + 1)) * (1 - i / steps))


# ---- measures ----
def translations(english, german):
    """Share of captions whose nearest one in the other language is theirs, both ways."""
    cosines, own = english @ german.T, np.arange(len(english))
    return float((cosines.argmax(1) == own).mean()), float((cosines.argmax(0) == own).mean())


def spearman(ctx, first, second, rows):
    cosines = (first * second).sum(1)
    return kd.metrics_correlation(ctx, cosines, [row[2] for row in rows])


MEASURES = ("en to de", "de to en", "STS-B en", "STS-B de", "STS-B crossed")
GOALS = {"en to de": 0.85, "de to en": 0.85, "STS-B de": 0.70}


def measure(ctx, side, data):
    found = translations(*(side.embed(list(x)) for x in zip(*captions(data, "test_2016_flickr"))))
    en, de = (sts(data, language, "test") for language in ("en", "de"))
    (en1, en2), (de1, de2) = (
        [side.embed([r[i] for r in rows]) for i in (0, 1)] for rows in (en, de)
    )
    pairs = ((en1, en2), (de1, de2), (en1, de2))
    found += tuple(spearman(ctx, *pair, en) for pair in pairs)
    return dict(zip(MEASURES, found))


def main(minilm, data, out, seeds=1, steps=1000, count=None):
    ctx = kd.Context(seed=1)
    loaded, theirs = kd.Model.load(ctx, minilm, frozen=1), kd.Tokenizer(ctx, minilm)
    teacher, pairs, rows = Side(ctx, loaded, theirs), training_pairs(data, count), []
    quick = Side(ctx, kd.Model.load(ctx, minilm, frozen=1, weights=kd.DType.INT8), theirs)
    vectors = quick.embed([english for english, _ in pairs])
    with tempfile.TemporaryDirectory() as folder:
        ours = new_tokenizer(ctx, pairs, folder)
    before = measure(ctx, teacher, data)
    for seed in range(1, seeds + 1):
        student = Side(ctx, new_student(ctx, loaded, theirs, ours, seed), ours)
        began = time.perf_counter()
        train(ctx, student, pairs, vectors, steps, seed)
        seconds = time.perf_counter() - began
        rows.append(measure(ctx, student, data))
        print(f"  seed {seed}: {seconds:.0f} seconds, {json.dumps(rows[-1])}", flush=True)
    print(f"{len(pairs)} pairs, {len(ours)} tokens, {steps} steps")
    lines = [
        [
            name,
            f"{before[name]:.3f}",
            table.text([r[name] for r in rows], 3),
            f"{GOALS.get(name, '')}",
        ]
        for name in MEASURES
    ]
    table.show(["measure", "teacher", "student", "goal"], lines)
    compared = [
        table.row(name, [r[name] for r in rows], before[name], GOALS.get(name)) for name in MEASURES
    ]
    table.keep(out, "other language", {"students": rows, "table": compared})


if __name__ == "__main__":
    main(*sys.argv[1:4], *(int(number) for number in sys.argv[4:7]))
