"""The examples run."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, ROOT + "/examples/features")
import images  # noqa: E402


def write_images(name, count):
    """IDX files of ten classes: noise, brighter in a band that the class names."""
    rng = np.random.default_rng(count)
    labels = (np.arange(count) % 10).astype(np.uint8)
    pixels = rng.integers(0, 128, (count, 28, 28)).astype(np.uint8)
    for pixel, label in zip(pixels, labels):
        pixel[2 * label : 2 * label + 4] += 120
    for kind, rank, values in (("images", 3, pixels), ("labels", 1, labels)):
        with open(f"{name}-{kind}-idx{rank}-ubyte", "wb") as file:
            file.write(bytes([0, 0, 8, rank]))
            file.write(np.array(values.shape, ">u4").tobytes() + values.tobytes())


class ExamplesTest(unittest.TestCase):
    def run_example(self, name, *arguments, needs=(), warnings="error"):
        for package in needs:
            try:
                __import__(package)
            except ImportError:
                print(f"SKIPPED {name}: {package} is not installed")
                return ""
        words = [sys.executable, "-W", warnings, f"{ROOT}/examples/{name}", *arguments]
        done = subprocess.run(words, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_loop(self):
        self.assertIn("agreement", self.run_example("loop.py"))

    def test_lm_distil(self):
        pages = [ROOT + "/docs/guide.md", ROOT + "/docs/decisions.md"]
        self.assertIn(
            "agreement",
            self.run_example("language/lm_distil.py", "train", "2", "4", *pages),
        )

    def test_prune_distil(self):
        pages = [ROOT + "/docs/guide.md", ROOT + "/docs/decisions.md"]
        said = self.run_example("language/prune_distil.py", "train", "2,1", "4", *pages)
        for line in (
            "round 2, 1 layers, after 4 steps",
            "at once by uniform, 1 layers, cut",
        ):
            self.assertIn(line, said)

    def test_drafts(self):
        with mock.patch.dict(os.environ, STEPS="3"):
            said = self.run_example("language/drafts.py", "train", "1", ROOT + "/docs/decisions.md")
        self.assertEqual(said.count("| the same |"), 6)

    def test_course(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertIn("student, distilled", self.run_example("course/course.py", folder, "3"))
            files = folder + "/worked.jsonl", folder + "/test-teacher.jsonl", folder
            limits = "12000", "100000", "0", "2"
            self.assertIn("kept: layers", self.run_example("course/search.py", *files, *limits))

    def test_features_of_images(self):
        with tempfile.TemporaryDirectory() as folder:
            for part, count in (("train", 144), ("t10k", 100)):
                write_images(f"{folder}/{part}", count)
            with mock.patch.multiple(images, HELD=16, FACTORS=(0.1,)):
                images.main(folder, folder + "/found.json", 2, 128, 2)
            with open(folder + "/found.json", encoding="utf-8") as file:
                found = json.load(file)["images"]
        # labels and logits, alone and with 12 kinds; a perceptron has no maps
        self.assertEqual(len(found["rows"]), 2 * 13 + 2 * 12)
        for row in found["rows"]:
            self.assertEqual(len(row["tuned"]), 2, row)
        kinds = {row["kind"]: row["paper"] for row in found["rows"][:13]}
        self.assertGreater(len(set(map(tuple, kinds.values()))), 2)
        self.assertLessEqual(abs(found["order"]["convolutions"]), 1)

    def test_torch_student(self):
        self.run_example("torch_student.py", needs=["torch"])

    def test_sft_with_a_stored_teacher(self):
        try:
            import test_hf
            import trl  # noqa: F401
        except ImportError:
            print("SKIPPED sft_stored.py: trl is not installed")
            return
        with open(f"{ROOT}/examples/neighbors/sft_stored.py", encoding="utf-8") as file:
            written = file.read().split("# ---")[1].split("\n")[1:]
        self.assertLessEqual(len([line for line in written if line.strip()]), 12)
        with tempfile.TemporaryDirectory() as folder:
            parts = test_hf.write_run(folder)
            done = self.run_example(
                "neighbors/sft_stored.py", *parts, folder + "/out", warnings="ignore"
            )
        self.assertIn("distill/forward_kl", done)

    def test_forest(self):
        done = self.run_example("neighbors/forest.py", needs=["sklearn"])
        if done:
            with open(f"{ROOT}/examples/neighbors/forest.py", encoding="utf-8") as file:
                written = file.read().split("# ---")[1].split("\n")[1:]
            self.assertLessEqual(len([line for line in written if line.strip()]), 10)
            forest, student = map(float, done.split("\n")[0].split())
            self.assertGreater(student, forest - 0.03)

    def test_near_duplicates(self):
        lines = [
            {"prompt": "a", "completion": "one two three four five"},
            {"prompt": "a", "completion": "one two three four five six"},
            {"prompt": "a", "completion": "another answer"},
            {"prompt": "b", "completion": "one two three four five"},
        ]
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/r.jsonl", "w", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
            paths = folder + "/r.jsonl", folder + "/kept.parquet"
            needs = ["duckdb", "pyarrow"]
            done = self.run_example("neighbors/near_duplicates.py", *paths, needs=needs)
        if done:
            self.assertIn("4 records, 1 pairs", done)
            self.assertIn("3 records are left: a, b", done)


if __name__ == "__main__":
    unittest.main()
