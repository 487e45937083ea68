"""The examples of digits that are seen and heard, on bright squares and tones."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import unittest

import numpy as np
from test_embed import ROOT

import kdistill as kd

from support import Case

RATE, SOUND = 8000, 800  # Hz, samples


class DigitsTest(Case):
    def setUp(self):
        super().setUp()
        self.rng = np.random.default_rng(1)
        self.out = os.path.join(self.folder, "out")
        for name in ("data/mnist", "data/speech", "out"):
            os.makedirs(os.path.join(self.folder, name))
        for part, count in (("train", 120), ("t10k", 20)):
            self.write_images(part, np.arange(count) % 10)
        path = os.path.join(self.folder, "data/speech/fsdd-recordings.tar")
        with tarfile.open(path, "w") as tar:
            for digit in range(10):
                for take in range(8):
                    self.write_sound(tar, digit, take)

    def write_images(self, part, digits):
        """A digit is the line that is bright."""
        images = self.rng.integers(0, 60, (len(digits), 28, 28)).astype(np.uint8)
        for image, digit in zip(images, digits):
            image[2 * digit + 3 : 2 * digit + 8] = 255
        for name, array in (("images-idx3", images), ("labels-idx1", digits.astype(np.uint8))):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            path = os.path.join(self.folder, f"data/mnist/{part}-{name}-ubyte.gz")
            with gzip.open(path, "wb") as file:
                file.write(head + array.tobytes())

    def write_sound(self, tar, digit, take):
        """A digit is a pitch."""
        at = np.arange(SOUND) / RATE
        tone = np.sin(2 * np.pi * (300 + 300 * digit + 3 * take) * at).astype(np.float32)
        path = os.path.join(self.folder, "sound.wav")
        kd.Audio.from_array(self.ctx, 0.5 * tone, RATE).save(path)
        with open(path, "rb") as file:
            whole = file.read()
        member = tarfile.TarInfo(f"recordings/{digit}_someone_{take}.wav")
        member.size = len(whole)
        tar.addfile(member, io.BytesIO(whole))

    def run_example(self, name, place, *options):
        script, data = f"{ROOT}/examples/multimodal/{name}.py", os.path.join(self.folder, "data")
        words = [sys.executable, "-W", "error", script, data, place, *options]
        done = subprocess.run(words, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def read(self, name):
        with open(os.path.join(self.out, name), encoding="utf-8") as file:
            return json.load(file)

    def test_students_see_and_some_hear(self):
        place = os.path.join(self.out, "digits.json")
        small = ["--seeds", "1", "--samples", "50", "--epochs", "40", "--width", "8"]
        more = ["--rate", "0.01", "--teacher-samples", "60", "--teacher-epochs", "40"]
        said = self.run_example("digits", place, *small, *more)
        found = self.read("digits.json")
        runs = found["rows"]["runs"]
        self.assertEqual((len(runs), len(runs[0])), (1, 9))
        for run in runs:
            for name, values in run.items():
                self.assertIn(f"| {name} |", said)
                self.assertEqual(len(values), 1 if name.startswith("0 %") else 3)
                self.assertGreater(values["image"], 40, name)  # guessing: 10
        teachers = found["rows"]["teachers"]
        self.assertEqual(set(teachers["teacher of images"]), {"image"})
        self.assertEqual(len(teachers["privileged teacher"]), 3)
        self.assertEqual([row["goal"] for row in found["goals"]], [1, 3])

    def test_students_of_speech(self):
        vectors = np.eye(10, dtype=np.float32)[np.repeat(np.arange(10), 8)]
        path = os.path.join(self.folder, "vectors.npz")
        np.savez(path, vectors=vectors + 0.1 * self.rng.normal(size=vectors.shape))
        small = ["--seeds", "1", "--steps", "50", "--labels", "1", "--vectors", path]
        said = self.run_example("speech", self.out, *small)
        self.assertIn("30 sounds to learn from, 50 to ask; 30714 parameters", said)
        found = self.read("speech.json")
        few, all_ = (found["rows"][labels][0] for labels in ("few labels", "all labels"))
        self.assertEqual((len(few), len(all_)), (5, 4))
        self.assertEqual(all_["teacher"], 100)
        self.assertGreater(all_["labels, teacher, its vectors"], 40)
        students = [value for name, value in few.items() if name != "teacher"]
        self.assertGreater(len(set(students)), 1)  # rows are other ways to train
        self.assertEqual(len(found["goals"]), 3)


if __name__ == "__main__":
    unittest.main()
