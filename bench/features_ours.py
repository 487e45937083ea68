"""Ours of bench/features.py: each function prepares a work and returns it as a callable. Texts and
numbers that both sides get are made here."""

import csv
import json
import os
import sys

import numpy
import rivals

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))
SHORT = os.environ.get("SHORT") == "1"
WIDTH, HEADS = 384, 48
TOGETHER = 32  # texts in a packed batch
STUDENT = {
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
    "hidden_act": "gelu",
}
STATIC = {"model_type": "static_embedding", "vocab_size": 30522, "hidden_size": 256}
STATIC_BATCH = 1024


# ---- what both sides get ----
def sides(rows, width=WIDTH):
    rng = numpy.random.default_rng(rows)
    return [rng.normal(size=(rows, width)).astype(numpy.float32) for _ in range(2)]


def mixed_texts(data):
    """Captions, sentence pairs, reviews and word problems: 4 to 250 tokens."""
    count = 64 if SHORT else 256
    with open(f"{data}/text/stsb/stsb-en-test.csv", encoding="utf-8") as file:
        pairs = [row[0] for row in csv.reader(file)][: 2 * count]
    with open(f"{data}/text/stsa.binary.test", encoding="latin-1") as file:
        reviews = [line.strip().split(" ", 1)[1] for line in file][:count]
    with open(f"{data}/gsm8k/test.jsonl", encoding="utf-8") as file:
        problems = [json.loads(line)["question"] for line in file][:count]
    return pairs + reviews + problems


def short_texts(data):
    """Questions and reviews, a line each."""
    found = []
    for name in ("stsa.binary.train", "TREC.train.all"):
        with open(f"{data}/text/{name}", encoding="latin-1") as file:
            found += [line.strip().split(" ", 1)[1] for line in file]
    return found[: 2000 if SHORT else None]


def sentence_lengths(count=64):
    return numpy.random.default_rng(0).integers(8, 41, count)


def token_ids(count):
    return numpy.random.default_rng(1).integers(1000, 30000, count)


# ---- ours ----
def kd_context(threads=rivals.CORES):
    import kdistill

    return kdistill, kdistill.Context(threads=threads, seed=1)


def encode(folder, data, weights="FLOAT32"):
    """Texts to embeddings, longest first, packed."""
    kd, context = kd_context()
    model = kd.Model.load(context, folder, frozen=1, weights=kd.DType[weights])
    return embedder(kd, context, model, kd.Tokenizer(context, folder), mixed_texts(data), TOGETHER)


def embedder(kd, context, model, tokenizer, texts, together):
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    batch = kd.Batch(context)

    def work():
        made = []
        for first in range(0, len(order), together):
            chosen = [texts[i] for i in order[first : first + together]]
            batch.begin_texts(tokenizer, chosen, kd.EndToken.NONE)
            made.append(model.forward(batch, kd.Mode.EVALUATE).output("embedding").copy())
        found = numpy.empty_like(numpy.concatenate(made))
        found[order] = numpy.concatenate(made)
        return found

    return work


def student_step():
    """A step of a student that learns embeddings; the table is frozen."""
    kd, context = kd_context()
    model = kd.Model(context, {**STUDENT, "kd_pooling": "mean", "kd_normalize": True})
    model.freeze("*word_embeddings*")
    offsets = numpy.cumsum([0, *sentence_lengths()])
    batch = kd.Batch(context).begin_packed(offsets).set("tokens", token_ids(offsets[-1]))
    targets = kd.Targets(context).begin(int(offsets[-1]))
    targets.set_per_sample("embedding", sides(len(offsets) - 1)[0])
    loss = kd.Loss(context)
    loss.add(kd.LossKind.HIDDEN_COSINE, student_output="embedding", teacher_field="embedding")
    return step_of(kd, context, model, loss, batch, targets)


def step_of(kd, context, model, loss, batch, targets):
    optimizer = kd.Optimizer(context, kd.OptimizerKind.ADAMW, model)

    def work():
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, targets)
        optimizer.step(1e-5)

    return work


def token_step(samples, length):
    """A step of the same student on texts of one length, its loss left out."""
    kd, context = kd_context()
    model = kd.Model(context, STUDENT)
    model.freeze("*word_embeddings*")
    offsets = numpy.arange(0, samples * length + 1, length)
    batch = kd.Batch(context).begin_packed(offsets).set("tokens", token_ids(offsets[-1]))
    optimizer = kd.Optimizer(context, kd.OptimizerKind.ADAMW, model)
    gradient = sides(samples * length)[0]

    def work():
        model.forward(batch, kd.Mode.TRAIN)
        model.add_output_gradient("hidden", gradient)
        model.backward()
        optimizer.step(1e-5)

    return work


def relation_loss(kd, context):
    loss = kd.Loss(context)
    for part in ("query", "key", "value"):
        name = "attention.2." + part
        loss.add(
            kd.LossKind.ATTENTION_RELATION,
            student_output=name,
            teacher_field=name,
            relation_heads=HEADS,
        )
    return loss


def token_relations(samples, length):
    """MiniLM's three relations of queries, keys and values, 48 heads: value and gradient."""
    kd, context = kd_context()
    offsets = numpy.arange(0, samples * length + 1, length)
    batch = kd.Batch(context).begin_packed(offsets)
    targets, loss = kd.Targets(context).begin(samples * length), relation_loss(kd, context)
    student, teacher = sides(samples * length)
    outputs, gradients = {}, {}
    for part in ("query", "key", "value"):
        name = "attention.2." + part
        targets.set(name, teacher)
        outputs[name], gradients[name] = student, numpy.empty_like(student)
    return lambda: loss.evaluate(outputs, batch, targets, gradients=gradients)


def relation_scratch(length):
    """Bytes of the three terms beside the host's arrays: those of the longest sample."""
    kd, context = kd_context()
    return relation_loss(kd, context).estimate_memory(length, WIDTH).size


def relation(name, rows):
    """Value and gradient of a relation between samples."""
    kd, context = kd_context()
    s, t = sides(rows)
    gradient = numpy.empty_like(s)
    batch, targets = kd.Batch(context).begin(rows), kd.Targets(context).begin(rows)
    targets.set("hidden", t)
    loss = kd.Loss(context)
    numbers = {"temperature": 0.25, "teacher_temperature": 0.2} if name == "relation_kl" else {}
    loss.add(kd.LossKind[name.upper()], student_output="hidden", teacher_field="hidden", **numbers)
    return lambda: loss.evaluate({"hidden": s}, batch, targets, gradients={"hidden": gradient})


def projected(rows, projection):
    """A cosine of hidden states, with a projection 384 to 384 or without: value, gradients."""
    kd, context = kd_context()
    s, t = sides(rows)
    gradient, loss = numpy.empty_like(s), kd.Loss(context)
    batch, targets = kd.Batch(context).begin(rows), kd.Targets(context).begin(rows)
    targets.set("hidden", t)
    term = loss.add(kd.LossKind.HIDDEN_COSINE)
    if projection:
        loss.set_projection(term, name="fit", from_=WIDTH, to=WIDTH)
    return lambda: loss.evaluate({"hidden": s}, batch, targets, gradients={"hidden": gradient})


def wordpiece(folder, data):
    """Lines to ids on one thread."""
    kd, context = kd_context(1)
    tokenizer, texts, batch = kd.Tokenizer(context, folder), short_texts(data), kd.Batch(context)
    return lambda: batch.begin_texts(tokenizer, texts, kd.EndToken.NONE)


def static_batch():
    offsets = numpy.cumsum([0, *sentence_lengths(STATIC_BATCH)])
    return offsets, token_ids(offsets[-1])


def static_step():
    """A step of a static student on 1,024 sentences: only rows that were read change."""
    kd, context = kd_context()
    model = kd.Model(context, {**STATIC, "normalize": True})
    offsets, tokens = static_batch()
    batch = kd.Batch(context).begin_packed(offsets).set("tokens", tokens)
    targets = kd.Targets(context).begin(int(offsets[-1]))
    targets.set_per_sample("embedding", sides(STATIC_BATCH, STATIC["hidden_size"])[0])
    loss = kd.Loss(context)
    loss.add(kd.LossKind.HIDDEN_COSINE, student_output="embedding", teacher_field="embedding")
    optimizer = kd.Optimizer(context, kd.OptimizerKind.ADAMW, model)
    optimizer.add_group("embedding.weight", lazy=1)

    def work():
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, targets)
        optimizer.step(1e-3)

    return work


def static_encode(folder, data):
    kd, context = kd_context()
    model = kd.Model(context, {**STATIC, "normalize": True}, frozen=1)
    tokenizer = kd.Tokenizer(context, folder)
    return embedder(kd, context, model, tokenizer, short_texts(data), STATIC_BATCH)
