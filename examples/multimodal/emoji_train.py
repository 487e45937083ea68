"""Students of two towers, and how they are trained: pairs alone, or a teacher's vectors too."""

import kdistill as kd
import numpy as np
from emoji_data import STYLES, embed, orders, pixels_of

RATE, DECAY, TABLE_RATE = 2e-3, 0.05, 2
TABLE_START = 0.05
COSINE, AFFINITY = 5, 1


def student_of(ctx, vocabulary, width, seed, text=None):
    """Towers of an image's pixels and of a name's tokens; text: another tower than a table."""
    conv = {"type": "conv2d", "padding": 1, "kernel_size": 3, "activation": "relu"}
    layers = [{**conv, "stride": 2, "channels": channels} for channels in (32, 64, 128)]
    layers += [{"type": "dropout", "p": 0.2}, {"type": "linear", "units": 256}]
    image = {"model_type": "sequential", "input_shape": [3, 32, 32], "layers": layers}
    table = {"model_type": "static_embedding", "vocab_size": vocabulary, "hidden_size": width}
    config = {
        "model_type": "towers",
        "projection_dim": width,
        "normalize": True,
        "logit_scale_init_value": 2.6592,
        "towers": {
            "image": {**image, "input": "pixels"},
            "text": {**(text or table), "input": "tokens"},
        },
    }
    model = kd.Model(ctx, config, seed=seed)
    if text is None:  # rows begin with a deviation of 1, far from what steps can move
        dict(model.tensors)["towers.text.embedding.weight"][:] *= TABLE_START
    return model


def begin_table(model, tokens, vectors):
    """Rows of the table begin as the teacher's vectors of words that are one token each."""
    tensors, one = dict(model.tensors), (tokens[:, 1:] < 0).all(1)
    tensors["towers.text.embedding.weight"][tokens[one, 0]] = vectors[one]
    tensors["projection.text.weight"][:] = np.eye(vectors.shape[1])


class Vectors:
    """What the teacher says: of images (styles, names, w), names (names, w), words (words, w)."""

    def __init__(self, images, names, words, scale):
        self.images, self.names, self.words, self.scale = images, names, words, scale


def add_terms(loss, contrast, vectors):
    """CONTRASTIVE; with a teacher the cosine of each tower and how the pairs lie to each other."""
    sides = {"student_output": "embedding.image"}
    other = {"other_output": "embedding.text", "scale_output": "logit_scale"}
    if contrast:
        term = loss.add(kd.LossKind.CONTRASTIVE, contrast, **sides)
        loss.set_pairs(term, group_field="name", **other)
    if vectors is None:
        return
    for name in ("image", "text"):
        told = {"student_output": f"embedding.{name}", "teacher_field": f"teacher.{name}"}
        loss.add(kd.LossKind.HIDDEN_COSINE, COSINE, **told)
    numbers = {"scale": vectors.scale, "teacher_scale": vectors.scale}
    told = {**sides, "teacher_field": "teacher.image"}
    term = loss.add(kd.LossKind.AFFINITY_KL, AFFINITY, **told, **numbers)
    loss.set_pairs(term, other_output="embedding.text", other_teacher_field="teacher.text")


class Steps:
    """Fills in what a step sees: pairs of the styles asked for."""

    def __init__(self, emoji, tokens, styles, numbers, together):
        self.emoji, self.tokens, self.numbers = emoji, tokens, numbers
        self.styles = np.array([STYLES.index(style) for style in styles])
        self.count = len(self.styles) * len(numbers)
        self.together = min(together, self.count)

    def fill(self, batch, chosen, random, targets=None, vectors=None):
        style = self.styles[chosen % len(self.styles)]
        name = self.numbers[chosen // len(self.styles)]
        batch.begin(len(name)).set("pixels", pixels_of(self.emoji.images[style, name], random))
        batch.set("tokens", self.tokens[name]).set("name", name)
        if vectors is not None:
            targets.begin(len(name)).set_per_sample("teacher.image", vectors.images[style, name])
            targets.set_per_sample("teacher.text", vectors.names[name])


def learn(ctx, model, steps, epochs, seed, contrast=1.0, vectors=None):
    loss, batch, targets = kd.Loss(ctx), kd.Batch(ctx), kd.Targets(ctx)
    add_terms(loss, contrast, vectors)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model, weight_decay=DECAY, clip_norm=1)
    optimizer.add_group("logit_*", weight_decay=0)
    optimizer.add_group("towers.text.*", weight_decay=0, lazy=1, learning_rate=TABLE_RATE)
    random = np.random.default_rng(seed)
    plan = list(orders(steps.count, steps.together, epochs, random))
    rate = kd.Schedule.product(
        ctx,
        kd.Schedule.cosine(ctx, RATE, 0, len(plan)),
        kd.Schedule.linear(ctx, 0.05, 1, len(plan) // 20 + 1),
    )
    told = None if vectors is None else targets
    for step, chosen in enumerate(plan):
        steps.fill(batch, chosen, random, told, vectors)
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, told)
        optimizer.step(rate(step))
    return model


class Student:
    """A trained model, as what judges ask for."""

    def __init__(self, ctx, model):
        self.ctx, self.model = ctx, model

    def images(self, images):
        return embed(self.ctx, self.model, "embedding.image", {"pixels": pixels_of(images)})

    def texts(self, tokens):
        return embed(self.ctx, self.model, "embedding.text", {"tokens": tokens})
