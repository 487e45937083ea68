"""What the tests of the command share: tiny models, texts and recipes."""

import json
import os
import string
import subprocess

import numpy as np

import kdistill as kd

from support import Case

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
KDISTILL = os.environ.get("KDISTILL_COMMAND") or os.path.join(ROOT, "build", "kdistill")
RECIPES = os.path.join(ROOT, "examples", "recipes")
CHARACTERS = "\n" + string.ascii_lowercase + string.digits + " .,+=#"
LLAMA = {
    "model_type": "llama",
    "vocab_size": len(CHARACTERS) + 1,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 128,
}
#: A classifier in one second.
CLASSIFIER = {
    "out": "run",
    "teacher": {"arrays": {"logits": "logits.npy"}},
    "student": {
        "config": {
            "model_type": "mlp",
            "input_size": 4,
            "hidden_sizes": [8],
            "num_labels": 3,
            "hidden_dropout_prob": 0.1,
        }
    },
    "data": {"arrays": {"inputs": "inputs.npy", "label": "labels.npy"}},
    "validation": {"share": 0.2, "every": 10, "metric": "accuracy", "keep": "best"},
    "loss": [
        {
            "kind": "forward_kl",
            "weight": 0.9,
            "temperature": {"kind": "linear", "from": 4, "to": 1},
        },
        {"kind": "cross_entropy", "weight": 0.1},
    ],
    "learning_rate": {"kind": "cosine", "from": 2e-2, "to": 1e-3, "warmup": 0.1},
    "epochs": 10,
    "batch": {"samples": 20},
    "checkpoint": {"every": 3},
    "log": {"every": 2},
}


class CommandCase(Case):
    def setUp(self):
        super().setUp()
        if not os.path.exists(KDISTILL):
            print("SKIPPED kdistill: not built here")
            self.skipTest("kdistill is not built")

    def run_words(self, *words, code=0, text=None, **environment):
        """Runs kdistill in the test's folder; its end must be `code`."""
        done = subprocess.run(
            [KDISTILL, *words],
            capture_output=True,
            text=True,
            input=text or "",
            cwd=self.folder,
            env={**os.environ, **environment},
        )
        said = f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.assertEqual(done.returncode, code, said)
        self.assertNotIn("\r", done.stderr)  # no bar where there is no terminal
        return done

    def recipe(self, recipe, name="recipe.json"):
        return self.write(name, recipe if isinstance(recipe, str) else json.dumps(recipe))

    def bytes_of(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def student(self, run="run"):
        return self.bytes_of(run + "/student/model.safetensors")

    def make_arrays(self, samples=200):
        rng = np.random.default_rng(0)
        inputs = rng.normal(size=(samples, 4)).astype(np.float32)
        logits = (3 * inputs[:, :3]).astype(np.float32)
        np.save(self.folder + "/inputs.npy", inputs)
        np.save(self.folder + "/logits.npy", logits)
        np.save(self.folder + "/labels.npy", logits.argmax(1).astype(np.int64))

    def make_tokenizer(self, folder):
        """A token for each character, and one that ends a text."""
        os.makedirs(f"{self.folder}/{folder}", exist_ok=True)
        vocabulary = {c: i + 1 for i, c in enumerate(CHARACTERS)}
        vocabulary["<end>"] = 0
        added = {"id": 0, "content": "<end>", "special": True}
        model = {"type": "BPE", "vocab": vocabulary, "merges": []}
        source = json.dumps({"added_tokens": [added], "model": model})
        self.write(folder + "/tokenizer.json", source)
        self.write(folder + "/tokenizer_config.json", '{"eos_token": "<end>"}')

    def make_language_model(self, folder="teacher"):
        self.make_tokenizer(folder)
        with kd.Model(self.ctx, LLAMA) as model:
            model.save(f"{self.folder}/{folder}")

    def make_text(self, name="text.txt", lines=60):
        rng = np.random.default_rng(1)
        words = ["the", "a", "cat", "dog", "sun", "sees", "likes", "has", "red", "old", "and"]
        text = "".join(" ".join(rng.choice(words, 6)) + ".\n" for _ in range(lines))
        self.write(name, text)

    def make_sums(self, name="sums.jsonl", count=40):
        lines = []
        for i in range(count):
            a, b = i % 9, i // 9 % 9
            lines.append(
                json.dumps(
                    {"prompt": f"{a}+{b}=", "completion": f"{a + b}", "expected": f"{a + b}"}
                )
            )
        self.write(name, "\n".join(lines) + "\n")
