"""What the tests share: a context and a folder a test, and a record of the C functions called."""

import gc
import shutil
import sys
import tempfile
import unittest

import numpy as np

import kdistill as kd
from kdistill import _api

#: Names of the functions that tests called.
CALLED = set()
#: Errors in destructors and callbacks, which Python only prints: ResourceWarnings, too.
UNRAISABLE = []
MLP = {"model_type": "mlp", "input_size": 4, "hidden_sizes": [8], "num_labels": 3}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 29,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
}


def _recorded(name, function):
    def call(*arguments):
        CALLED.add(name)
        return function(*arguments)

    return call


PLAIN = {name: getattr(kd.lib, name) for name in _api.FUNCTIONS}
for _name, _function in PLAIN.items():
    setattr(kd.lib, _name, _recorded(_name, _function))
sys.unraisablehook = lambda error: UNRAISABLE.append(repr(error.exc_value))


class Case(unittest.TestCase):
    """A context of two threads, and a folder that goes with the test."""

    threads = 2

    def setUp(self):
        self.ctx = kd.Context(threads=self.threads, seed=3)
        self.folder = tempfile.mkdtemp()
        self.addCleanup(self.ctx.close)
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class Samples(Case):
    """60 samples of three classes: `y` is the largest of `v`, which `x` tells."""

    def setUp(self):
        super().setUp()
        self.x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
        self.v = (2 * self.x[:, :3]).astype(np.float32)
        self.y = self.v.argmax(1)

    def data(self):
        return kd.Dataset(self.ctx, inputs=self.x, label=self.y)

    def batch(self):
        return kd.Batch(self.ctx).begin(60).set("inputs", self.x).set("label", self.y)


def collected():
    """Destructors that are due have run."""
    gc.collect()
    return UNRAISABLE
