"""The example of images and their names, on a few squares of color and a random encoder."""

import gzip
import json
import os
import subprocess
import sys
import unittest

import numpy as np
from test_embed import BERT, ROOT, TOKENIZER

import kdistill as kd

from support import Case

COLORS = ["a", "man", "plays", "the", "red", "guitar", "on", "stage", "two", "dogs"]


class EmojiTest(Case):
    def setUp(self):
        super().setUp()
        kd.Model(self.ctx, BERT).save(os.path.join(self.folder, "text"))
        self.write("text/tokenizer.json", json.dumps(TOKENIZER))
        os.mkdir(os.path.join(self.folder, "data"))
        rng, count = np.random.default_rng(1), 40
        names = [f"{COLORS[i % 10]} {COLORS[i // 10]}" for i in range(count)]
        line = '{{"name": "{}", "category": "{}"}}\n'
        self.write("data/labels.jsonl", "".join(line.format(n, i % 3) for i, n in enumerate(names)))
        colors, found = rng.integers(0, 255, (count, 1, 1, 3)), []
        for style in ("twitter", "google"):
            noise = rng.integers(0, 30, (count, 32, 32, 3))
            images = np.minimum(colors + noise, 255).astype(np.uint8)
            head = np.array(images.shape, ">u4").tobytes()
            path = os.path.join(self.folder, f"data/{style}-images-idx4-ubyte.gz")
            with gzip.open(path, "wb") as file:
                file.write(bytes([0, 0, 8, 4]) + head + images.tobytes())
            found.append(images.mean((1, 2)) / 255)
        np.savez(os.path.join(self.folder, "image.npz"), image=np.float32(found))

    def run_example(self, *options):
        script = ROOT + "/examples/multimodal/emoji.py"
        places = [os.path.join(self.folder, name) for name in ("data", "text", "out")]
        small = ["--batch", "8", "--epochs", "2", "--width", "8", "--seeds", "2", "--repeats", "1"]
        image = ["--image-vectors", os.path.join(self.folder, "image.npz")]
        done = subprocess.run(
            [sys.executable, "-W", "error", script, *places, *small, *image, *options],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(os.path.join(self.folder, "out", "found.json"), encoding="utf-8") as file:
            return done.stdout, json.load(file)

    def test_students_of_images_and_names(self):
        said, found = self.run_example()
        self.assertIn("32 names to learn from, 8 held out", said)
        rows = found["rows"]
        self.assertEqual([len(runs) for runs in rows.values()], [1, 1, 2, 2, 2, 2, 2])
        for runs in rows.values():
            self.assertTrue(all(0 <= each <= 100 for run in runs for each in run))
        students = [json.dumps(rows[name]) for name in rows if "student" in name]
        self.assertEqual(len(set(students)), len(students))  # each is another way to train
        self.assertEqual([row["goal"] for row in found["goals"]], [1.3, 0.85])
        self.assertEqual(len(found["savings"]), 4)

    def test_validation_leaves_what_is_held_out_alone(self):
        said, found = self.run_example("--validation", "--seeds", "1", "--repeats", "0")
        self.assertIn("26 names to learn from, 6 held out", said)
        self.assertNotIn("savings", found)


if __name__ == "__main__":
    unittest.main()
