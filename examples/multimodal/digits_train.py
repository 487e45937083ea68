"""Students that see digits and may hear them: towers of images, sounds and words, a head on what is
fused; how they are trained, with and without a teacher."""

import kdistill as kd
import numpy as np
from digits_data import BANDS, DIGITS, FRAMES
from emoji_data import embed

DECAY, TOGETHER, DROP = 0.05, 50, 0.2
TEMPERATURE, SOFT, COSINE, ALIGN = 4, 1, 1, 0.1


def tower(shape, channels, width):
    """Strided convolutions and a linear layer."""
    conv = {"type": "conv2d", "kernel_size": 3, "stride": 2, "padding": 1, "activation": "relu"}
    layers = [{**conv, "channels": count} for count in channels]
    layers += [{"type": "dropout", "p": DROP}, {"type": "linear", "units": width}]
    return {"model_type": "sequential", "input_shape": [1, *shape], "layers": layers}


def model_of(ctx, words, width, seed, channels=(16, 32), audio_drop=0.0):
    """Words are never fused: they name the digit, and are what the other two are aligned with."""
    towers = {
        "image": {**tower((28, 28), channels, width), "input": "pixels"},
        "audio": {**tower((FRAMES, BANDS), (*channels, channels[-1]), width), "input": "mel"},
        "text": {
            "model_type": "static_embedding",
            "vocab_size": words,
            "hidden_size": width,
            "input": "tokens",
        },
    }
    config = {
        "model_type": "towers",
        "towers": towers,
        "projection_dim": width,
        "logit_scale_init_value": 2.6592,
        "fusion": {"type": "concat", "drop": {"text": 1, "audio": audio_drop}},
        "kd_heads": {"digit": {"num_labels": DIGITS, "from": "fused"}},
    }
    return kd.Model(ctx, config, seed=seed)


class Pairs:
    """An image and a sound of each sample, of one digit, and the word in some language."""

    def __init__(self, written, spoken_of, mels, languages, numbers, seed):
        """numbers: of images; spoken_of: for each digit the sounds to choose from."""
        rng = np.random.default_rng(seed)
        self.images, self.mels = written.images[numbers], mels
        self.digits = written.digits[numbers]
        self.sounds = np.array([rng.choice(spoken_of[digit]) for digit in self.digits])
        self.words = languages[rng.integers(0, len(languages), len(numbers)), self.digits]
        self.order = rng.permutation(len(numbers))

    def hears(self, share):
        """Which samples have a sound: the first of an order, so that a larger share adds some."""
        return self.order < round(share * len(self.digits))

    def fields(self, chosen, modalities, hears=None):
        """{field: (values, which samples have it)}."""
        found = {}
        if "image" in modalities:
            pixels = self.images[chosen].astype(np.float32) / 127.5 - 1
            found["pixels"] = pixels, None
        if "audio" in modalities:
            own = None if hears is None else hears[chosen]
            found["mel"] = self.mels[self.sounds[chosen]], own
        if "text" in modalities:
            found["tokens"] = self.words[chosen, None], None
        return found


def add_terms(loss, told):
    """Labels, images and sounds beside words; with a teacher its answers and its vectors."""
    loss.add(kd.LossKind.CROSS_ENTROPY, 1, student_output="logits.digit", label_field="digit")
    for name in ("image", "audio"):
        term = loss.add(kd.LossKind.CONTRASTIVE, ALIGN, student_output=f"embedding.{name}")
        other = {"other_output": "embedding.text", "scale_output": "logit_scale"}
        loss.set_pairs(term, group_field="digit", **other)
    if told is None:
        return
    sides = {"student_output": "logits.digit", "teacher_field": "logits"}
    loss.add(kd.LossKind.FORWARD_KL, SOFT, temperature=TEMPERATURE, **sides)
    for name in told:
        if name != "logits":
            sides = {"student_output": f"embedding.{name}", "teacher_field": name}
            loss.add(kd.LossKind.HIDDEN_COSINE, COSINE, **sides)


def learn(ctx, model, pairs, modalities, epochs, rate, seed, hears=None, told=None):
    """told: {"logits", "image", "audio"}: what a teacher says of each sample; None: no teacher."""
    loss, batch, targets = kd.Loss(ctx), kd.Batch(ctx), kd.Targets(ctx)
    add_terms(loss, told)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model, weight_decay=DECAY, clip_norm=1)
    optimizer.add_group("logit_*", weight_decay=0)
    random, count = np.random.default_rng(seed), len(pairs.digits)
    steps, step = epochs * (count // TOGETHER), 0
    for _ in range(epochs):
        order = random.permutation(count)
        for first in range(0, count - TOGETHER + 1, TOGETHER):
            chosen = order[first : first + TOGETHER]
            batch.begin(TOGETHER).set("digit", pairs.digits[chosen])
            for name, (values, own) in pairs.fields(chosen, modalities, hears).items():
                batch.set(name, values, present=own)
            if told:
                targets.begin(TOGETHER)
                for name, values in told.items():
                    targets.set(name, values[chosen])
            model.forward(batch, kd.Mode.TRAIN)
            loss.backward(model, batch, targets if told else None)
            optimizer.step(rate * min(1, 20 * (step + 1) / steps) * (1 - step / steps))
            step += 1
    return model


def answers(ctx, model, pairs, modalities):
    """{"logits", and the vectors of each modality} of all samples."""
    chosen = np.arange(len(pairs.digits))
    fields = {name: values for name, (values, _) in pairs.fields(chosen, modalities).items()}
    found = {"logits": "logits.digit", **{name: f"embedding.{name}" for name in modalities}}
    model.keep("logits.digit")
    return {name: embed(ctx, model, output, fields) for name, output in found.items()}


def accuracy(ctx, model, pairs, modalities):
    """Percent of samples whose digit is named."""
    said = answers(ctx, model, pairs, modalities)["logits"].argmax(1)
    return 100 * float((said == pairs.digits).mean())
