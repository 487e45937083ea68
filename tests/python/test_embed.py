"""The example of embedding students, on a random encoder and a few texts."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import unittest

import kdistill as kd

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [*SPECIAL, "a", "man", "plays", "the", "red", "guitar", "on", "stage", "two", "dogs", "run"]
TEXTS = ["a man plays the guitar", "two dogs run", "the red man on the red stage", "dogs"]
BERT = {
    "model_type": "bert",
    "vocab_size": len(WORDS),
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
    "kd_pooling": "mean",
    "kd_normalize": True,
    "kd_max_length": 16,
}
TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {
            "id": i,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for i, content in enumerate(SPECIAL)
    ],
    "normalizer": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3]},
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {word: i for i, word in enumerate(WORDS)},
    },
}


class EmbedTest(unittest.TestCase):
    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = made.name
        with kd.Context(seed=1) as ctx:
            kd.Model(ctx, BERT).save(self.folder + "/teacher")
        self.write("teacher/tokenizer.json", json.dumps(TOKENIZER))
        self.write("teacher/vocab.txt", "\n".join(WORDS))
        self.write("teacher/tokenizer_config.json", '{"tokenizer_class":"BertTokenizer"}')
        pairs = [f"{a},{b},{i + j}.0" for i, a in enumerate(TEXTS) for j, b in enumerate(TEXTS)]
        for part in ("train", "test"):
            self.write(f"data/text/stsb/stsb-en-{part}.csv", "\n".join(3 * pairs))
        self.write("data/text/stsa.binary.train", "\n".join("1 " + text for text in TEXTS))
        self.write("data/text/TREC.train.all", "0 two red dogs run on stage")
        os.mkdir(self.folder + "/data/text/multi30k")
        with gzip.open(self.folder + "/data/text/multi30k/train.en.gz", "wt") as file:
            file.write("a red man on stage\n")
        license, line = "  1 This is the license\n", "00001740 03 n 01 red 0 000 | the red guitar\n"
        self.write("wordnet/data.noun", license + line)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run_example(self, *options):
        script = ROOT + "/examples/embed/embed.py"
        places = [self.folder + "/teacher", self.folder + "/data", self.folder + "/out"]
        done = subprocess.run(
            [sys.executable, "-W", "error", script, *places, *options],
            capture_output=True,
            text=True,
            env=dict(os.environ, KD_WORDNET=self.folder + "/wordnet", HF_HUB_OFFLINE="1"),
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(self.folder + "/out.json", encoding="utf-8") as file:
            return done.stdout, {row["name"]: row for row in json.load(file)}

    def test_students_learn_a_teachers_vectors(self):
        said, rows = self.run_example("--students", "0,3", "--minutes", "0.005", "--static", "8")
        self.assertIn("7 texts", said)  # each once
        self.assertIn("teacher: 0 of 7 texts", said)
        self.assertGreater(rows["layers 0,3, STS-B at 24"]["ours"], -1)
        self.assertEqual(set(rows["static, parameters"]), {"name", "ours", "peer", "ratio", "goal"})
        self.assertLess(rows["layers 0,3, parameters"]["ratio"], 1)
        with kd.Context() as ctx:
            student = kd.Model.load(ctx, self.folder + "/out/layers-0-3")
            self.assertEqual(student.config["num_hidden_layers"], 2)
            self.assertEqual(student.config["kd_max_length"], 16)
        said, rows = self.run_example("--students", "--static", "8", "--steps", "3")
        self.assertIn("3 steps", said)
        self.assertNotIn("teacher:", said)  # the vectors were kept


if __name__ == "__main__":
    unittest.main()
