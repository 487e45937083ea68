"""Emoji as pairs of an image and a name: what is read, how it is split, what a step sees."""

import gzip
import json
import os

import kdistill as kd
import numpy as np

STYLES = ("twitter", "google")
SHIFT = 2  # pixels at most, in training


def read_images(path):
    """(images, height, width, 3) uint8 of an IDX file of rank 4."""
    with gzip.open(path) as file:
        whole = file.read()
    shape = np.frombuffer(whole, ">u4", 4, 4).astype(int)
    if whole[:4] != b"\0\0\x08\x04" or len(whole) != 20 + shape.prod():
        raise SystemExit(f"{path}: expected an IDX file of bytes, of rank 4")
    return np.frombuffer(whole, np.uint8, offset=20).reshape(shape)


class Emoji:
    """Images (styles, names, 3, 32, 32) uint8, names, and the number of each one's category."""

    def __init__(self, folder):
        with open(os.path.join(folder, "labels.jsonl"), encoding="utf-8") as file:
            labels = [json.loads(line) for line in file]
        self.names = [label["name"].lower() for label in labels]
        said = [label["category"] for label in labels]
        self.categories = sorted(set(said))
        self.category = np.array([self.categories.index(each) for each in said])
        files = [os.path.join(folder, f"{style}-images-idx4-ubyte.gz") for style in STYLES]
        self.images = np.stack([read_images(file) for file in files]).transpose(0, 1, 4, 2, 3)

    def split(self, share, seed):
        """Numbers of names to learn from and of names that are held out; equal names together."""
        unique = sorted(set(self.names))
        chosen = np.random.default_rng(seed).permutation(len(unique))[: int(share * len(unique))]
        held = {unique[i] for i in chosen}
        is_held = np.array([name in held for name in self.names])
        return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def words_of(tokenizer, count):
    """The first words of a tokenizer's vocabulary that are whole and of three letters or more."""
    whole = (tokenizer.token(i)[0] for i in range(len(tokenizer)))
    found = [word for word in whole if len(word) > 2 and word.isascii() and word.isalpha()]
    return found[:count]


def tokens_of(tokenizer, texts):
    """(texts, longest) ids, -1 where a text is over."""
    ids = [tokenizer.encode(text) for text in texts]
    made = np.full((len(ids), max(map(len, ids))), -1, np.int64)
    for row, each in zip(made, ids):
        row[: len(each)] = each
    return made


def pixels_of(images, random=None):
    """Numbers from -1 to 1; with a generator, each image is moved by some pixels."""
    if random is not None:
        size = images.shape[-1]
        edge = ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT))
        wide = np.pad(images, edge, constant_values=255)
        at = random.integers(0, 2 * SHIFT + 1, (len(images), 2))
        moved = [one[:, y : y + size, x : x + size] for one, (y, x) in zip(wide, at)]
        images = np.stack(moved)
    return (images.astype(np.float32) - 127.5) / 127.5


def orders(count, together, epochs, random):
    """Numbers of each step's samples."""
    for _ in range(epochs):
        order = random.permutation(count)
        for first in range(0, count - together + 1, together):
            yield order[first : first + together]


def embed(ctx, model, output, fields):
    """(samples, width): an output of samples whose fields are (samples, ...)."""
    batch, made = kd.Batch(ctx), []
    count = len(next(iter(fields.values())))
    for first in range(0, count, 256):
        part = {name: values[first : first + 256] for name, values in fields.items()}
        batch.begin(min(256, count - first))
        for name, values in part.items():
            batch.set(name, values)
        model.forward(batch, kd.Mode.EVALUATE)
        made.append(model.output(output).copy())
    return np.concatenate(made)
