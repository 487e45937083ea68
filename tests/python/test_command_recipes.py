"""Recipes that are wrong: each is refused by name, before anything starts."""

import json
import os
import random
import re
import subprocess
import unittest

from command_data import CLASSIFIER, KDISTILL, RECIPES, ROOT, CommandCase


class RefusedTest(CommandCase):
    def refuse(self, recipe, expected, code=3):
        self.recipe(recipe)
        done = self.run_words("train", "recipe.json", code=code)
        self.assertRegex(done.stderr, expected)
        self.assertFalse(os.path.exists(self.folder + "/run"), recipe)

    def test_broken_json_is_shown_with_its_line(self):
        for text, expected in (
            ("", "recipe.json:1: expected a value"),
            ("[1]", "expected an object { .. }, got a list"),
            ('{\n"out": "run",\n}', "recipe.json:3: expected a value after the comma"),
            ('{"out" "run"}', "expected ':' after \"out\""),
            ('{"out": "run" "seed": 1}', "expected ',' or '}'"),
            ('{"out": "run', "expected a quote at the end"),
            ('{"out": "r\\x"}', "expected an escape"),
            ('{"out": "\\u0000"}', "expected an escape"),
            ('{"out": "\\ud800"}', "expected an escape"),
            ('{"out": "run", "out": "run"}', "expected each key once"),
            ('{"seed": 01}', "expected a number, got '01'"),
            ('{"seed": 1e999}', "expected a number below 1.8e308"),
            ('{"seed": -}', "expected a number"),
            ('{"seed": nul}', "expected a value"),
            ("{" * 9, "expected a key in double quotes"),
            ('{"a":' * 40 + "1" + "}" * 40, "at most 32 brackets"),
            ("[" * 100000, "at most 32 brackets"),
            ('{"out": "run"} x', "expected nothing after the value"),
            ("// nothing but a comment", "got the end of the file"),
        ):
            self.refuse(text, re.escape(expected))

    def test_bytes_that_are_no_text(self):
        for piece in (
            b"\xff",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\x01",
            b"\xf5\x80\x80\x80",
            b"\xe2\x82",
        ):
            with open(self.folder + "/recipe.json", "wb") as file:
                file.write(b'{"out": "' + piece + b'"}')
            done = self.run_words("train", "recipe.json", code=3)
            self.assertIn("expected UTF-8", done.stderr)

    def test_unknown_keys_name_the_nearest_one(self):
        for change, expected in (
            ({"epoch": 1}, 'unknown key "epoch"; did you mean "epochs"'),
            ({"studnet": {}}, 'did you mean "student"'),
            ({"zzzzzzzz": 1}, "expected one of out, note, seed"),
            ({"batch": {"sample": 1}}, 'batch: unknown key "sample"; did you mean "samples"'),
            ({"teacher": {"models": "x"}}, 'teacher: unknown key "models"; did you mean "model"'),
            ({"optimizer": {"kind": "adamv"}}, 'unknown name "adamv"; did you mean "adamw"'),
            ({"loss": [{"kind": "foward_kl"}]}, 'loss.0.*did you mean "forward_kl"'),
            ({"loss": [{"kind": "forward_kl", "temprature": 1}]}, 'did you mean "temperature"'),
            ({"loss": [{"kind": "forward_kl", "skew": 1}]}, 'kind forward_kl has no "skew"'),
            ({"learning_rate": {"kind": "cosine", "form": 1}}, 'did you mean "from"'),
        ):
            self.refuse({**CLASSIFIER, **change}, expected)

    def test_values_of_another_kind_or_size(self):
        for change, expected in (
            ({"out": 1}, "out: expected a text, got 1"),
            ({"out": ""}, 'expected "out"'),
            ({"seed": -1}, "seed: expected a whole number from 0"),
            ({"seed": 0.5}, "seed: expected a whole number"),
            ({"seed": 1e300}, "seed: expected a whole number"),
            ({"threads": 5000}, "threads: expected a whole number from 0 to 1024, got 5000"),
            ({"batch": {"samples": 0}}, "batch.samples: expected a whole number from 1"),
            ({"batch": []}, "batch: expected an object"),
            ({"batch": {"shuffle": 1}}, "expected true or false, got 1"),
            ({"epochs": "two"}, 'epochs: expected a number from .*, got "two"'),
            ({"epochs": 2, "steps": 2}, 'expected "epochs" or "steps", got both'),
            ({"loss": []}, "expected a list of 1 to 64 terms"),
            ({"loss": [{}]}, 'loss.0.: expected "kind"'),
            ({"loss": [3]}, "loss.0.: expected an object"),
            ({"loss": [{"kind": "cross_entropy"}] * 65}, "expected a list of 1 to 64 terms"),
            ({"loss": [{"kind": "forward_kl", "temperature": 0}]}, "expected a number from 0.01"),
            ({"learning_rate": "fast"}, "expected a number, or an object"),
            ({"learning_rate": {"kind": "cosine", "from": 1}}, 'expected "to" for this kind'),
            ({"learning_rate": {"kind": "piecewise", "points": [[3, 1], [2, 1]]}}, "rising steps"),
            ({"learning_rate": {"kind": "exponential", "from": 1, "to": 0}}, "more than 0"),
            ({"teacher": {}}, "expected one of model"),
            ({"teacher": {"model": "a", "store": "b"}}, "expected only one of model"),
            ({"student": {}}, "expected one of model"),
            ({"student": {"layers": 1}}, 'expected "from"'),
            ({"data": {}}, "expected one of text, records, arrays, idx or csv"),
            ({"data": {"text": []}}, "expected one text at least"),
            ({"validation": {}}, 'expected "share"'),
            ({"validation": {"share": 0.1, "data": {"csv": "x"}}}, "got several"),
            ({"optimizer": {"groups": [{}]}}, 'expected a "pattern"'),
        ):
            self.refuse({**CLASSIFIER, **change}, expected)
        for lacking in "data", "student", "loss", "learning_rate", "out":
            self.refuse({k: v for k, v in CLASSIFIER.items() if k != lacking}, "expected")

    def test_files_that_are_not_there_are_named(self):
        self.recipe(CLASSIFIER)
        done = self.run_words("train", "recipe.json", code=1)
        self.assertIn("inputs.npy", done.stderr)
        done = self.run_words("train", "nowhere.json", code=1)
        self.assertIn("nowhere.json: cannot be read", done.stderr)

    def test_a_recipe_comes_from_standard_input_and_overrides(self):
        self.make_arrays()
        self.run_words(
            "train", "-", "--set", "epochs=1", "--set", "note=a word", text=json.dumps(CLASSIFIER)
        )
        self.assertIn(b"a word", self.bytes_of("run/log.jsonl"))
        self.recipe(CLASSIFIER)
        for word in "epochs", "=1", "epochs.x=1", "a..b=1":
            self.run_words("train", "recipe.json", "--set", word, code=2)
        done = self.run_words("train", "recipe.json", "--set", "epoch=1", code=3)
        self.assertIn("epochs", done.stderr)

    def test_random_changes_never_crash(self):
        """Bytes of a good recipe changed at random: refused, or a run that ends with a status."""
        random.seed(4)
        good = json.dumps({**CLASSIFIER, "data": {"csv": "nothing.csv"}}).encode()
        for _ in range(150):
            text = bytearray(good)
            for _ in range(random.randint(1, 6)):
                at = random.randrange(len(text))
                if random.random() < 0.5:
                    text[at] = random.choice(b'{}[]",:0129-.etn\\\n')
                else:
                    del text[at : at + random.randint(1, 20)]
                if not text:
                    break
            with open(self.folder + "/recipe.json", "wb") as file:
                file.write(text)
            done = subprocess.run(
                [KDISTILL, "train", "recipe.json"], cwd=self.folder, capture_output=True
            )
            self.assertIn(done.returncode, (1, 3), (bytes(text), done))
            self.assertTrue(done.stderr)


class PageTest(CommandCase):
    def test_the_page_lists_the_keys_of_every_object(self):
        with open(ROOT + "/docs/command.md", encoding="utf-8") as file:
            page = file.read()
        strange = "zzzzzzzzzzzzzzzzzzzzzz"
        for change, where in (
            ({strange: 1}, ""),
            ({"teacher": {strange: 1}}, "teacher"),
            ({"student": {strange: 1}}, "student"),
            ({"data": {strange: 1}}, "data"),
            ({"validation": {strange: 1}}, "validation"),
            ({"batch": {strange: 1}}, "batch"),
            ({"optimizer": {strange: 1}}, "optimizer"),
            ({"save": {strange: 1}}, "save"),
            ({"learning_rate": {strange: 1}}, "learning_rate"),
            ({"loss": [{"kind": "jsd", strange: 1}]}, "loss"),
        ):
            self.recipe({**CLASSIFIER, **change})
            said = self.run_words("train", "recipe.json", code=3).stderr
            for key in re.search(r"expected one of (.*)", said).group(1).split(", "):
                self.assertIn(f"`{key}`", page, where)

    def test_the_recipes_of_the_examples_are_recipes(self):
        for name in sorted(os.listdir(RECIPES)):
            if not name.endswith(".json"):
                continue
            done = self.run_words(
                "train",
                os.path.join(RECIPES, name),
                "--set",
                f"out={self.folder}/{name}-run",
                code=1,
                KD_DATA="/nowhere",
            )
            self.assertNotIn("unknown", done.stderr)


if __name__ == "__main__":
    unittest.main()
