"""The example of several tasks in one trunk, on a random encoder and texts whose words tell all."""

import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

from test_embed import BERT, ROOT, TOKENIZER

import kdistill as kd

ENGLISH, GERMAN = ["the red dogs", "a man plays"], ["stage two stage", "guitar on two"]


class OneTrunkTest(unittest.TestCase):
    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = made.name
        with kd.Context(seed=1) as ctx:
            kd.Model(ctx, {**BERT, "num_hidden_layers": 6}).save(self.folder + "/teacher")
        self.write("teacher/tokenizer.json", json.dumps(TOKENIZER))
        self.write("teacher/vocab.txt", "[PAD]")
        self.write("teacher/tokenizer_config.json", '{"tokenizer_class":"BertTokenizer"}')
        for name, words in (
            ("stsa.binary", ["run dogs", "man plays"]),
            ("TREC", ["dogs", "man", "red", "on", "two", "guitar"]),
        ):
            for part in ("train", "test"):
                lines = [f"{label} the {word}" for label, word in enumerate(words)]
                tail = ".all" if name == "TREC" else ""
                self.write(f"data/text/{name}.{part}{tail}", "\n".join(40 * lines))
        os.mkdir(self.folder + "/data/text/multi30k")
        for part in ("train", "test_2016_flickr"):
            for language, texts in (("en", ENGLISH), ("de", GERMAN)):
                path = f"{self.folder}/data/text/multi30k/{part}.{language}.gz"
                with gzip.open(path, "wt", encoding="utf-8") as file:
                    file.write("\n".join(random.Random(1).choices(texts, k=60)) + "\n")

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run_example(self, *options):
        script, out = ROOT + "/examples/tasks/one_trunk.py", self.folder + "/out.json"
        places = [self.folder + "/teacher", self.folder + "/data", out]
        words = [sys.executable, "-W", "error", script, *places, *options]
        done = subprocess.run(words, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(out, encoding="utf-8") as file:
            return done.stdout, json.load(file)["one trunk"]

    def test_one_trunk_learns_three_tasks(self):
        options = ["--seeds", "2", "--steps", "120", "--teacher-steps", "300", "--texts", "100"]
        said, found = self.run_example(*options, "--teacher-rate", "5e-3", "--rate", "2e-3")
        arms = ["one trunk", "one trunk, MEAN", "one trunk, DWA", "three students"]
        self.assertEqual(list(found["students"]), arms)
        for accuracy in found["teacher"]["accuracy"].values():
            self.assertGreater(accuracy, 0.9)
        for arm in arms:
            self.assertIn(f"| {arm} |", said)
            self.assertEqual(len(found["students"][arm]), 2)
            for run in found["students"][arm]:  # guessing: 1/2, 1/6, 1/2
                for task, accuracy in run["accuracy"].items():
                    self.assertGreater(accuracy, 0.8, (arm, task))
        for arm in arms[:3]:
            run = found["students"][arm][0]
            self.assertAlmostEqual(sum(run["weights"].values()), 3)
            self.assertGreater(min(run["begin"]["norms"].values()), 0)
            for cosine in run["end"]["cosines"].values():
                self.assertLess(abs(cosine), 1)
        weights = [found["students"][arm][0]["weights"] for arm in arms[:3]]
        self.assertEqual(set(weights[0].values()), {1})
        self.assertNotEqual(weights[1], weights[2])
        rows = {row["name"]: row for row in found["rows"]}
        self.assertEqual(len(rows), 6)
        for row in rows.values():
            self.assertEqual(set(row), {"name", "ours", "goal"})
        size = rows["size over three students'"]
        self.assertLess(size["ours"], size["goal"])


if __name__ == "__main__":
    unittest.main()
