"""What makes the teacher's part cheap, as ratios of a step's time: cached vectors, a frozen text
tower, a large batch in chunks."""

import os
import time

import kdistill as kd
import numpy as np
import table
from emoji_data import STYLES
from emoji_teacher import ImageModel
from emoji_train import Steps, add_terms, student_of

ENCODER = {  # a text tower that costs something
    "model_type": "bert",
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "max_position_embeddings": 64,
    "pooling": "mean",
}


def median(repeats, work):
    """Seconds of one call, after one that is not counted."""
    work()
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return float(np.median(found))


class Timed:
    """Steps of a student on one batch."""

    def __init__(self, example, together, text=None, other=None, taught=True):
        self.ctx = example.ctx
        vocabulary = len(example.text_model.tokenizer)
        if text:
            text = {**text, "vocab_size": vocabulary}
        self.model = student_of(example.ctx, vocabulary, example.o.width, 1, text)
        names = example.tokens[: example.names]
        self.steps = Steps(example.emoji, names, STYLES, example.train, together)
        self.batch, self.targets = kd.Batch(self.ctx), kd.Targets(self.ctx)
        self.chosen, self.random = np.arange(self.steps.together), np.random.default_rng(1)
        self.vectors = example.vectors
        self.loss = kd.Loss(self.ctx)
        if other:
            term = self.loss.add(kd.LossKind.CONTRASTIVE, 1, student_output="embedding.image")
            self.loss.set_pairs(
                term, group_field="name", other_output=other, scale_output="logit_scale"
            )
        else:
            add_terms(self.loss, 1, example.vectors if taught else None)
        self.optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, self.model)
        self.optimizer.add_group("towers.text.*", lazy=1)

    def fill(self, batch=None, targets=None, chosen=None):
        at = batch or self.batch, self.chosen if chosen is None else chosen, self.random
        self.steps.fill(*at, targets or self.targets, self.vectors)

    def step(self):
        self.fill()
        self.model.forward(self.batch, kd.Mode.TRAIN)
        self.loss.backward(self.model, self.batch, self.targets)
        self.optimizer.step(1e-4)

    def pass_only(self):
        self.model.forward(self.batch, kd.Mode.TRAIN)
        self.loss.backward(self.model, self.batch, self.targets)
        self.model.zero_gradients()


def live_teacher(example, repeats):
    """A step with vectors that were kept, and one that asks both big models first."""
    student = Timed(example, example.o.batch)
    cached = median(repeats, student.step)
    style, name = student.chosen % len(STYLES), example.train[student.chosen // len(STYLES)]
    images, names = example.emoji.images[style, name], [example.emoji.names[i] for i in name]
    texts = median(max(1, repeats // 5), lambda: example.text_model.vectors(names))
    if example.o.image_vectors:
        return [("cached vectors, live text model", (cached + texts) / cached)]
    model = ImageModel(os.path.join(example.o.folder, "image-model"))
    seen = median(max(1, repeats // 5), lambda: model.vectors(images))
    return [("cached vectors, live image and text models", (cached + texts + seen) / cached)]


def frozen_tower(example, repeats):
    """A text tower of two layers: trained; frozen; frozen, with its vectors kept."""
    at = example, example.o.batch
    trained = median(repeats, Timed(*at, ENCODER, "embedding.text").step)
    frozen = median(repeats, Timed(*at, {**ENCODER, "frozen": True}, "embedding.text").step)
    kept = median(repeats, Timed(*at, {**ENCODER, "frozen": True}, "teacher:teacher.text").step)
    return [
        ("frozen text tower, trained", trained / frozen),
        ("frozen text tower with cached vectors, trained", trained / kept),
    ]


def chunks(example, repeats):
    """Passes over four batches at once, and the same in four chunks."""
    count = min(4 * example.o.batch, len(STYLES) * len(example.train)) // 4
    whole, parts = Timed(example, 4 * count), Timed(example, 4 * count)
    whole.fill()
    batches = [kd.Batch(example.ctx) for _ in range(4)]
    targets = [kd.Targets(example.ctx) for _ in range(4)]
    for i, (batch, said) in enumerate(zip(batches, targets)):
        parts.fill(batch, said, np.arange(i * count, (i + 1) * count))

    def in_chunks():
        parts.loss.backward_chunks(parts.model, batches, targets)
        parts.model.zero_gradients()

    at_once, repeated = median(repeats, whole.pass_only), median(repeats, in_chunks)
    return [(f"{4 * count} pairs at once, in 4 chunks", repeated / at_once)]


def measure(example, repeats):
    """Ratios: how many times the second's step takes of the first's. Not measured quietly."""
    rows = []
    for part in (live_teacher, frozen_tower, chunks):
        rows += part(example, repeats)
    text = [[name, f"{ratio:.2f}"] for name, ratio in rows]
    table.show(["first, second", "second's time / first's"], text)
    return [{"name": name, "ours": ratio, "goal": None} for name, ratio in rows]
