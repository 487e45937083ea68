"""Students of speech: a small convolutional network on mel spectrograms, and how it is trained."""

import kdistill as kd
import numpy as np
from digits_data import BANDS, DIGITS, FRAMES
from emoji_data import embed

RATE, DECAY, TOGETHER, MOVE = 3e-3, 0.05, 64, 4
TEMPERATURE, SOFT, COSINE = 2, 0.5, 1
POOLED = 9  # the layer that is compared with the teacher's vectors


def config_of(channels=(16, 32, 64, 96), classes=DIGITS):
    """Strided convolutions and a 1x1 one with batch norm, the mean of places, a linear layer."""
    layers = []
    for at, width in enumerate(channels):
        size = {"kernel_size": 3, "stride": 2, "padding": 1}
        if at == len(channels) - 1:
            size = {"kernel_size": 1}
        layers.append({"type": "conv2d", "channels": width, "bias": False, **size})
        layers.append({"type": "batch_norm2d", "activation": "relu"})
    layers += [{"type": "global_avg_pool2d"}, {"type": "dropout", "p": 0.1}]
    layers.append({"type": "linear", "units": classes})
    shape = [1, FRAMES, BANDS]
    return {"model_type": "sequential", "input_shape": shape, "input": "mel", "layers": layers}


def size_of(model):
    """Parameters, without the running statistics of norms."""
    return sum(values.size for name, values in model.tensors if "running" not in name)


def moved(mels, random):
    """Each spectrogram some frames later or earlier."""
    wide = np.pad(mels, ((0, 0), (MOVE, MOVE), (0, 0)))
    at = random.integers(0, 2 * MOVE + 1, len(mels))
    return np.stack([each[i : i + mels.shape[1]] for each, i in zip(wide, at)])


class Told:
    """What a teacher says of every sound: logits (sounds, digits), vectors (sounds, w)."""

    def __init__(self, logits, vectors):
        self.logits, self.vectors = logits, vectors


def add_terms(loss, told, features):
    """Labels; with a teacher its distribution, and its vectors through a projection."""
    loss.add(kd.LossKind.CROSS_ENTROPY, 1, label_field="label")
    if told is None:
        return
    soft = {"teacher_field": "logits", "temperature": TEMPERATURE}
    loss.add(kd.LossKind.FORWARD_KL, SOFT, **soft)
    if features:
        sides = {"student_output": f"hidden.{POOLED - 1}", "teacher_field": "vector"}
        term = loss.add(kd.LossKind.HIDDEN_COSINE, COSINE, **sides)
        width = told.vectors.shape[1]
        loss.set_projection(term, name="fit", from_=config_of()["layers"][6]["channels"], to=width)


class Steps:
    """Sounds of a step: half with their digits, half of any kind."""

    def __init__(self, mels, digits, known, seen, together=TOGETHER):
        self.mels, self.digits, self.known, self.seen = mels, digits, known, seen
        self.is_known = np.isin(np.arange(len(digits)), known)
        self.half = min(together // 2, len(known))

    def draw(self, random):
        sides = [random.choice(side, self.half, replace=False) for side in (self.known, self.seen)]
        return np.concatenate(sides)

    def fill(self, batch, targets, chosen, random, told):
        batch.begin(len(chosen)).set("mel", moved(self.mels[chosen], random))
        batch.set("label", self.digits[chosen], present=self.is_known[chosen])
        if told is not None:
            targets.begin(len(chosen)).set("logits", told.logits[chosen])
            targets.set("vector", told.vectors[chosen])


def learn(ctx, steps, count, seed, told=None, features=False):
    """A student after `count` steps; told: of the teacher, None: labels alone."""
    model, loss = kd.Model(ctx, config_of(), seed=seed), kd.Loss(ctx)
    add_terms(loss, told, features)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model, weight_decay=DECAY, clip_norm=1)
    optimizer.add_loss(loss)
    batch, targets = kd.Batch(ctx), kd.Targets(ctx)
    random = np.random.default_rng(seed)
    for step in range(count):
        steps.fill(batch, targets, steps.draw(random), random, told)
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, None if told is None else targets)
        optimizer.step(RATE * min(1, 20 * (step + 1) / count) * (1 - step / count))
    return model


def accuracy(ctx, model, mels, digits):
    """Percent of sounds whose digit is named."""
    said = embed(ctx, model, "logits", {"mel": mels}).argmax(1)
    return 100 * float((said == digits).mean())
