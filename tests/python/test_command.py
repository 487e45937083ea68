"""The command kdistill: whole distillations, what it writes, and how it ends."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
import unittest

import numpy as np

import kdistill as kd

from command_data import CLASSIFIER, KDISTILL, LLAMA, RECIPES, ROOT, CommandCase

COMMANDS = "train", "store", "generate", "judge", "report", "plan"


def changed(**keys):
    """The classifier's recipe with other keys; None takes one out."""
    recipe = {**CLASSIFIER, **keys}
    return {key: value for key, value in recipe.items() if value is not None}


class ArraysTest(CommandCase):
    def setUp(self):
        super().setUp()
        self.make_arrays()
        self.recipe(CLASSIFIER)

    def test_a_student_learns_and_is_reported(self):
        done = self.run_words("train", "recipe.json", "--json")
        report = json.loads(done.stdout)
        held = report["tables"]["held-out data"]
        self.assertGreater(held["student, best report"]["accuracy"], 0.8)
        self.assertGreater(held["student"]["agreement with the teacher"], 0.8)
        self.assertEqual(report["tables"]["sizes"]["student"]["parameters"], 4 * 8 + 8 + 8 * 3 + 3)
        self.assertIn("accuracy on held-out data", report["pictures"])
        self.assertIn(b"<svg", self.bytes_of("run/report.html"))
        with kd.Model.load(self.ctx, self.folder + "/run/student") as student:
            self.assertEqual(student.info.parameters, 67)
        again = self.run_words("train", "recipe.json")
        self.assertIn("is done", again.stderr)
        self.assertIn("held-out data", again.stdout)

    def test_the_log_has_every_number(self):
        self.run_words("train", "recipe.json", "--quiet")
        with open(self.folder + "/run/log.jsonl", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        steps = [line for line in lines if "learning_rate" in line]
        self.assertEqual(
            set(steps[0])
            & {
                "loss",
                "term.0.forward_kl",
                "term.1.cross_entropy",
                "forward_kl.temperature",
                "gradient_norm",
                "rows",
            },
            {
                "loss",
                "term.0.forward_kl",
                "term.1.cross_entropy",
                "forward_kl.temperature",
                "gradient_norm",
                "rows",
            },
        )
        self.assertEqual(steps[0]["forward_kl.temperature"], 4)
        self.assertLess(steps[-1]["forward_kl.temperature"], 1.2)
        self.assertLess(steps[-1]["loss"], steps[0]["loss"])
        self.assertEqual(list(lines[-1]), ["end"])

    def test_threads_and_folders_do_not_change_a_bit(self):
        self.run_words("train", "recipe.json", "--set", "threads=1")
        self.run_words("train", "recipe.json", "--set", "threads=3", "--set", "out=other")
        self.assertEqual(self.student(), self.student("other"))

    def test_micro_batches_are_one_batch(self):
        for accumulate, samples in ((1, 40), (2, 20)):
            self.recipe(
                changed(
                    batch={"samples": samples, "accumulate": accumulate},
                    out=f"run-{accumulate}",
                    validation=None,
                    epochs=None,
                    steps=12,
                    student={
                        "config": {**CLASSIFIER["student"]["config"], "hidden_dropout_prob": 0}
                    },
                )
            )
            self.run_words("train", "recipe.json")
        with (
            kd.Model.load(self.ctx, self.folder + "/run-1/student") as one,
            kd.Model.load(self.ctx, self.folder + "/run-2/student") as two,
        ):
            np.testing.assert_allclose(one.parameters, two.parameters, atol=1e-5)

    def test_a_teacher_of_a_folder_answers_once_or_live(self):
        self.recipe(changed(teacher=None, loss=[{"kind": "cross_entropy"}], out="teacher"))
        self.run_words("train", "recipe.json")
        for once in True, False:
            self.recipe(
                changed(teacher={"model": "teacher/student", "once": once}, out=f"run-{once}")
            )
            done = self.run_words("train", "recipe.json", "--json")
            held = json.loads(done.stdout)["tables"]["held-out data"]
            self.assertGreater(held["teacher"]["accuracy"], 0.8)
        with (
            kd.Model.load(self.ctx, self.folder + "/run-True/student") as one,
            kd.Model.load(self.ctx, self.folder + "/run-False/student") as two,
        ):
            np.testing.assert_allclose(one.parameters, two.parameters, atol=1e-4)

    def test_a_store_of_arrays_gives_what_the_live_teacher_gives(self):
        self.recipe(changed(teacher=None, loss=[{"kind": "cross_entropy"}], out="teacher"))
        self.run_words("train", "recipe.json")
        self.recipe(changed(teacher={"store": "answers.kdt"}))
        done = self.run_words(
            "store",
            "collect",
            "recipe.json",
            "answers.kdt",
            "--json",
            "--teacher-model",
            "teacher/student",
        )
        self.assertEqual(json.loads(done.stdout)["texts"], 200)
        info = json.loads(self.run_words("store", "info", "answers.kdt", "--json").stdout)
        self.assertEqual((info["records"], info["vocabulary"]), (200, 3))
        done = self.run_words("train", "recipe.json", "--json")
        held = json.loads(done.stdout)["tables"]["held-out data"]["student"]
        self.assertGreater(held["agreement with the teacher"], 0.8)
        self.run_words("store", "collect", "recipe.json", "answers.kdt", code=1)

    def test_features_with_projections_train(self):
        teacher = {"config": {**CLASSIFIER["student"]["config"], "hidden_sizes": [12]}}
        self.recipe(
            changed(teacher=None, student=teacher, out="teacher", loss=[{"kind": "cross_entropy"}])
        )
        self.run_words("train", "recipe.json")
        term = {
            "kind": "hidden_cosine",
            "student_output": "hidden.0",
            "teacher_field": "hidden.0",
            "projection": {"kind": "linear", "name": "fit"},
        }
        self.recipe(
            changed(
                teacher={"model": "teacher/student"},
                loss=[*CLASSIFIER["loss"], term],
                optimizer={
                    "average_decay": 0.9,
                    "weight_decay": 0.01,
                    "groups": [{"pattern": "projection.*"}],
                },
            )
        )
        self.run_words("train", "recipe.json")

    def test_patience_and_plateaus(self):
        rate = {"kind": "constant", "value": 1e-7, "plateau": {"patience": 0, "factor": 0.5}}
        self.recipe(
            changed(
                learning_rate=rate,
                epochs=100,
                validation={**CLASSIFIER["validation"], "patience": 2},
            )
        )
        done = self.run_words("train", "recipe.json")
        self.assertIn("stopped early", done.stdout)


class StopTest(CommandCase):
    """A run that is killed, interrupted or begun with another recipe."""

    SLOW = changed(
        epochs=None,
        steps=1500,
        checkpoint={"every": 20},
        validation={**CLASSIFIER["validation"], "every": 50},
        optimizer={"average_decay": 0.99},
        learning_rate={"kind": "cosine", "from": 1e-2, "to": 1e-3, "plateau": {"patience": 1}},
    )

    #: Long enough to be met while it runs.
    LONG = changed(
        epochs=None,
        steps=20000,
        validation=None,
        checkpoint={"every": 1000},
        log={"every": 1000},
    )

    def setUp(self):
        super().setUp()
        self.make_arrays()

    def test_a_killed_run_ends_with_the_same_bits(self):
        self.recipe({**self.SLOW, "out": "whole"})
        began = time.time()
        self.run_words("train", "recipe.json")
        seconds = time.time() - began
        self.recipe(self.SLOW)
        self.finish_killed("train", "recipe.json", seconds=seconds)
        self.assertEqual(self.student(), self.student("whole"))

        def lines(run):
            text = self.bytes_of(run + "/log.jsonl").decode()
            return re.sub(r'"seconds": [^,}]*', "", text)

        self.assertEqual(lines("run"), lines("whole"))

    def test_a_signal_saves_and_the_same_command_continues(self):
        self.recipe({**self.LONG, "out": "whole"})
        self.run_words("train", "recipe.json")
        self.recipe({**self.LONG, "checkpoint": {"every": 10**6}})
        process = self.start("train", "recipe.json")
        self.wait_for("run/log.jsonl", process)
        while b"learning_rate" not in self.bytes_of("run/log.jsonl"):
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1].decode()
        self.assertEqual(process.returncode, 130, said)
        self.assertIn("the same command continues", said)
        done = self.run_words("train", "recipe.json")
        self.assertIn("continues after step", done.stderr)
        self.assertEqual(self.student(), self.student("whole"))

    def test_a_folder_belongs_to_one_recipe_and_one_process(self):
        self.recipe(CLASSIFIER)
        self.run_words("train", "recipe.json")
        self.recipe(changed(seed=2))
        done = self.run_words("train", "recipe.json", code=3)
        self.assertIn("--restart", done.stderr)
        self.run_words("train", "recipe.json", "--restart")
        self.recipe(self.LONG)
        process = self.start("train", "recipe.json", "--restart")
        self.wait_for("run/checkpoint.kdc", process)
        done = self.run_words("train", "recipe.json", code=1)
        process.kill()
        process.communicate()
        self.assertIn("no other process", done.stderr)

    def test_a_start_that_failed_leaves_the_folder_to_another_recipe(self):
        self.recipe(changed(student={"model": "nowhere"}))
        self.run_words("train", "recipe.json", code=1)
        self.assertNotIn("log.jsonl", os.listdir(os.path.join(self.folder, "run")))
        self.recipe(CLASSIFIER)
        self.run_words("train", "recipe.json")
        self.run_words("train", "recipe.json", "--set", "seed=2", code=3)

    def test_a_run_that_saved_nothing_keeps_no_recipe_out(self):
        self.recipe(changed(teacher={"model": "nowhere"}))
        self.assertIn("nowhere", self.run_words("train", "recipe.json", code=1).stderr)
        self.recipe(CLASSIFIER)
        self.run_words("train", "recipe.json")

    def test_other_data_is_another_run(self):
        self.recipe(self.LONG)
        process = self.start("train", "recipe.json")
        self.wait_for("run/checkpoint.kdc", process)
        process.kill()
        process.communicate()
        self.make_arrays(300)
        done = self.run_words("train", "recipe.json", code=1)
        self.assertIn("--restart to begin again", done.stderr)


class LanguageTest(CommandCase):
    def setUp(self):
        super().setUp()
        self.make_language_model()
        self.make_text()

    TRAIN = (
        "--set",
        "data.length=32",
        "--set",
        "batch.tokens=256",
        "--set",
        "student.layers=1",
        "--set",
        "checkpoint.every=2",
        "--set",
        "teacher.weights=float32",
    )

    def start_recipe(self, kind, name):
        self.write(name, self.run_words("train", "--init", kind).stdout)

    def test_a_teacher_may_keep_few_bits_alone(self):
        self.start_recipe("language-model", "packed.json")
        words = ("train", "packed.json", "--json", *self.TRAIN, "--set", "teacher.model=teacher")
        words += ("--set", "teacher.packed_only=true", "--set", "teacher.weights=q4_0")
        cut = self.run_words(*words, code=1)
        self.assertIn("load it with packed_only 0", cut.stderr)
        done = self.run_words(*words, "--restart", "--set", "student.from=teacher")
        held = json.loads(done.stdout)["tables"]["held-out data"]
        self.assertLess(held["student"]["cross-entropy"], 4)

    def test_adapters_of_a_packed_student_are_trained_and_write_texts(self):
        self.start_recipe("language-model", "adapters.json")
        student = {"model": "teacher", "weights": "q4_0", "packed_only": True, "lora": {"rank": 2}}
        settings = ["data.length=32", "batch.tokens=256", "teacher.model=teacher"]
        settings.append("student=" + json.dumps(student))
        words = [word for setting in settings for word in ("--set", setting)]
        self.run_words("train", "adapters.json", *words)
        self.assertIn("adapter_config.json", os.listdir(self.folder + "/run/student"))
        texts = []
        for more in ([], ["--adapters", "run/student", "--weights", "q4_0", "--packed-only"]):
            done = self.run_words("generate", "teacher", "once", "--temperature", "0", *more)
            texts.append(done.stdout)
        self.assertTrue(all(texts))
        student["lora"] = {}
        words[-1] = "student=" + json.dumps(student)
        self.run_words("train", "adapters.json", "--restart", *words)
        with open(self.folder + "/run/student/adapter_config.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file)["r"], 8)
        del student["lora"]  # nothing would be saved: known before the run, not after it
        none = self.run_words(
            "train", "adapters.json", *words, "--set", "student=" + json.dumps(student), code=3
        )
        self.assertIn('expected "lora"', none.stderr)
        lost = self.run_words("generate", "teacher", "x", "--adapters", "nowhere", code=1)
        self.assertIn("nowhere/adapter_config.json", lost.stderr)

    def test_a_live_teacher_and_its_store_give_the_same(self):
        self.start_recipe("language-model", "live.json")
        done = self.run_words(
            "train", "live.json", "--json", *self.TRAIN, "--set", "teacher.model=teacher"
        )
        held = json.loads(done.stdout)["tables"]["held-out data"]
        self.assertLess(held["student"]["cross-entropy"], 4)
        self.assertIn("perplexity", held["teacher"])

        self.start_recipe("from-store", "stored.json")
        with open(self.folder + "/stored.json", encoding="utf-8") as file:
            text = file.read().replace("teacher-folder", "teacher").replace('"run"', '"stored"')
        text = text.replace('"length": 256', '"length": 32').replace(
            '"tokens": 2048', '"tokens": 256'
        )
        self.write("stored.json", text.replace('"layers": 6', '"layers": 1'))
        self.run_words(
            "store",
            "collect",
            "stored.json",
            "teacher.kdt",
            "--kind",
            "hidden",
            "--teacher-model",
            "teacher",
        )
        self.run_words("store", "verify", "teacher.kdt")
        done = self.run_words("train", "stored.json", "--json")
        stored = json.loads(done.stdout)["tables"]["held-out data"]
        self.assertAlmostEqual(
            stored["student"]["cross-entropy"], held["student"]["cross-entropy"], delta=0.05
        )
        self.assertGreater(stored["student"]["agreement with the teacher"], 0.1)

    def test_a_killed_language_model_ends_with_the_same_bits(self):
        self.start_recipe("language-model", "live.json")
        words = (
            "train",
            "live.json",
            "--quiet",
            *self.TRAIN,
            "--set",
            "teacher.model=teacher",
            "--set",
            "epochs=40",
        )
        began = time.time()
        self.run_words(*words, "--set", "out=whole")
        self.finish_killed(*words, seconds=time.time() - began)
        self.assertEqual(self.student(), self.student("whole"))

    def test_lines_of_text_and_layers_that_are_mapped(self):
        term = {
            "kind": "hidden_cosine",
            "student_output": "hidden.%d",
            "teacher_field": "hidden.%d",
            "layers": "uniform",
            "weight": 0.5,
        }
        self.recipe(
            {
                "out": "run",
                "teacher": {"model": "teacher"},
                "student": {"layers": 2, "recompute": True, "lora": {"rank": 2}},
                "data": {"text": "text.txt", "split": "line"},
                "loss": [{"kind": "taid", "progress": {"kind": "taid"}}, term],
                "learning_rate": 1e-3,
                "steps": 6,
                "batch": {"tokens": 200, "accumulate": 2},
                "save": {"dtype": "bfloat16"},
            }
        )
        self.run_words("train", "recipe.json")
        config = json.loads(self.bytes_of("run/student/config.json"))
        self.assertEqual(config["num_hidden_layers"], 2)

    def test_embeddings_of_a_live_encoder_and_of_its_store(self):
        encoder = {
            "model_type": "bert",
            "architectures": ["BertModel"],
            "vocab_size": LLAMA["vocab_size"],
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 128,
            "type_vocab_size": 2,
        }
        self.make_tokenizer("encoder")
        with kd.Model(self.ctx, encoder) as model:
            model.save(self.folder + "/encoder")
        term = {
            "kind": "hidden_cosine",
            "student_output": "embedding",
            "teacher_field": "embedding",
        }
        recipe = {
            "teacher": {"model": "encoder"},
            "student": {"from": "encoder", "layers": 1},
            "data": {"text": "text.txt", "split": "line"},
            "validation": {"share": 0.2},
            "loss": [term],
            "learning_rate": 1e-2,
            "steps": 20,
            "batch": {"tokens": 200},
        }
        self.recipe({**recipe, "out": "live"})
        self.run_words("store", "collect", "recipe.json", "e.kdt", "--kind", "embedding")
        held = []
        for out, teacher in (("live", {"model": "encoder"}), ("stored", {"store": "e.kdt"})):
            self.recipe({**recipe, "out": out, "teacher": teacher})
            done = self.run_words("train", "recipe.json", "--json")
            held.append(json.loads(done.stdout)["tables"]["held-out data"]["student"]["loss"])
        self.assertLess(held[0], 0.1)
        self.assertAlmostEqual(*held, delta=0.01)

    def test_chats_are_written_as_the_folder_says(self):
        self.make_sums()
        self.write(
            "teacher/chat_template.jinja",
            "{% for m in messages %}{{ m.role }} {{ m.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}assistant {% endif %}",
        )
        self.recipe(
            {
                "out": "run",
                "teacher": {"model": "teacher"},
                "student": {"hidden_size": 8, "calibrate": True},
                "data": {"records": "sums.jsonl"},
                "validation": {"share": 0.2, "metric": "agreement"},
                "loss": [{"kind": "forward_kl"}, {"kind": "cross_entropy"}],
                "learning_rate": 1e-3,
                "epochs": 2,
                "batch": {"tokens": 100},
            }
        )
        self.run_words("train", "recipe.json")
        words = "generate", "run/student", "3+4=", "--max-tokens", "5", "--temperature", "0"
        with_system = self.run_words(*words, "--system", "be brief").stdout
        self.assertNotEqual(with_system, "")
        self.assertTrue(os.path.exists(self.folder + "/run/student/chat_template.jinja"))

    def test_a_killed_collection_continues(self):
        self.make_text(lines=4000)
        self.recipe(
            {
                "out": "run",
                "teacher": {"model": "teacher"},
                "student": {"from": "teacher", "layers": 1},
                "data": {"text": "text.txt", "length": 16},
                "loss": [{"kind": "forward_kl"}],
                "learning_rate": 1e-3,
                "steps": 1,
                "batch": {"tokens": 128},
            }
        )
        words = "store", "collect", "recipe.json", "t.kdt", "--json"
        began = time.time()
        self.run_words(*words)
        os.rename(self.folder + "/t.kdt", self.folder + "/whole.kdt")
        self.finish_killed(*words, seconds=time.time() - began, made="t.kdt")
        self.run_words("store", "verify", "t.kdt")
        info = json.loads(self.run_words("store", "info", "t.kdt", "--json").stdout)
        self.recipe({**json.loads(self.bytes_of("recipe.json")), "teacher": {"store": "t.kdt"}})
        self.run_words("train", "recipe.json")
        self.run_words("store", "merge", "m.kdt", "t.kdt")
        whole = json.loads(self.run_words("store", "info", "m.kdt", "--json").stdout)
        unbroken = json.loads(self.run_words("store", "info", "whole.kdt", "--json").stdout)
        self.assertEqual(whole["records"], info["records"])
        self.assertEqual(whole["records"], unbroken["records"])
        self.assertGreater(whole["records"], 100)

    def test_records_are_learned_answered_and_judged(self):
        self.make_sums()
        self.make_tokenizer("sums-tokenizer")
        with open(RECIPES + "/sums.json", encoding="utf-8") as file:
            self.write("sums.json", file.read())
        self.run_words("train", "sums.json", "--set", "steps=120")
        self.run_words(
            "generate",
            "sums/student",
            "--records",
            "sums.jsonl",
            "--out",
            "a.jsonl",
            "--temperature",
            "0",
            "--max-tokens",
            "4",
            "--samples",
            "2",
            "--verify",
        )
        done = self.run_words("judge", "a.jsonl", "--json", "--k", "2", "--out", "verdicts.jsonl")
        found = json.loads(done.stdout)
        self.assertEqual((found["questions"], found["samples"]), (40, 2))
        self.assertGreater(found["pass_1"], 0.5)
        with open(self.folder + "/verdicts.jsonl", encoding="utf-8") as file:
            verdicts = [json.loads(line) for line in file]
        self.assertEqual(len(verdicts), 80)
        self.assertAlmostEqual(sum(v["right"] for v in verdicts) / 80, found["pass_1"])
        self.run_words("judge", "a.jsonl", "--at-least", "0.4")
        done = self.run_words("judge", "a.jsonl", "--at-least", "1", code=int(found["pass_1"] < 1))
        self.assertIn("pass@1", self.run_words("judge", "a.jsonl").stdout)

    def test_texts_come_in_the_order_of_the_prompts(self):
        done = self.run_words(
            "generate",
            "teacher",
            "the cat",
            "a dog",
            "--json",
            "--samples",
            "2",
            "--max-tokens",
            "5",
            "--seed",
            "3",
        )
        texts = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(
            [(t["prompt"], t["sample"]) for t in texts],
            [("the cat", 0), ("the cat", 1), ("a dog", 0), ("a dog", 1)],
        )
        self.assertLess(texts[0]["log_probability"], 0)
        alone = self.run_words(
            "generate",
            "teacher",
            "--json",
            "--max-tokens",
            "5",
            "--seed",
            "3",
            "--threads",
            "1",
            text="a dog\n",
        )
        self.assertEqual(json.loads(alone.stdout)["text"], texts[2]["text"])
        done = self.run_words("generate", "teacher", "x" * 500, code=1)
        self.assertIn("128", done.stderr)

    def test_runs_are_reported_beside_each_other(self):
        self.start_recipe("language-model", "live.json")
        for out in "one", "two":
            self.run_words(
                "train",
                "live.json",
                *self.TRAIN,
                "--set",
                "teacher.model=teacher",
                "--set",
                "out=" + out,
            )
        self.run_words(
            "report",
            "one",
            "two/",
            "--html",
            "both.html",
            "--markdown",
            "both.md",
            "--title",
            "Both",
        )
        self.assertIn(b"two", self.bytes_of("both.html"))
        markdown = self.bytes_of("both.md").decode()
        self.assertTrue(markdown.startswith("# Both\n"))
        self.assertIn("| two: student |", markdown)
        self.assertIn("held-out data", self.run_words("report", "one").stdout)
        self.write("one/log.jsonl", '{"step": 1, "loss"')
        self.run_words("report", "one", code=1)
        self.run_words("report", "nowhere", code=1)


class ExamplesTest(CommandCase):
    """examples/recipes on the data of KD_DATA, shortened."""

    def setUp(self):
        super().setUp()
        if not os.environ.get("KD_DATA"):
            print("SKIPPED examples/recipes: KD_DATA is not set")
            self.skipTest("KD_DATA is not set")
        for name in os.listdir(RECIPES):
            shutil.copy(os.path.join(RECIPES, name), self.folder)

    def held(self, *words):
        done = self.run_words("train", *words, "--json")
        return json.loads(done.stdout)["tables"]["held-out data"]

    def test_digits(self):
        short = "--set", "data.limit=4000", "--set", "validation.limit=1000"
        teacher = self.held("digits-teacher.json", *short)["student, best report"]
        student = self.held("digits.json", *short)["student, best report"]
        self.assertGreater(teacher["accuracy"], 0.86)
        self.assertGreater(student["accuracy"], 0.84)
        self.run_words("report", "digits-teacher", "digits", "--html", "digits.html")

    def test_stories_beside_the_teacher_and_from_its_store(self):
        short = "--set", "data.limit=60", "--set", "validation.limit=6"
        live = self.held("stories.json", *short)
        with open(self.folder + "/stories-store.json", encoding="utf-8") as file:
            text = file.read().replace('"length": 256', '"length": 256, "limit": 60')
        self.write("stories-store.json", text.replace('"limit": 40', '"limit": 6'))
        model = os.environ["KD_DATA"] + "/tinystories-656k"
        collect = "store", "collect", "stories-store.json", "stories.kdt"
        self.run_words(*collect, "--teacher-model", model, "--k", "32")
        stored = self.held("stories-store.json")
        self.assertLess(live["student"]["cross-entropy"], 7.5)
        self.assertAlmostEqual(
            live["student"]["cross-entropy"], stored["student"]["cross-entropy"], delta=0.1
        )


class WordsTest(CommandCase):
    def test_every_command_has_a_page(self):
        for command in COMMANDS:
            shown = self.run_words(command, "--help").stdout
            for part in "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES":
                self.assertIn(part + "\n", shown)
            self.assertLessEqual(max(map(len, shown.splitlines())), 100)
            with open(f"{ROOT}/docs/kdistill-{command}.1", encoding="utf-8") as file:
                self.assertEqual(file.read(), self.run_words(command, "--help-man").stdout)
        self.assertIn("train", self.run_words("--help").stdout)
        self.assertIn("kdistill 0.", self.run_words("--version").stdout)

    def test_wrong_words_are_named_with_the_right_ones(self):
        for words, expected in (
            ((), "usage"),
            (("sotre",), "did you mean 'store'"),
            (("train",), "expected a recipe"),
            (("train", "--inti", "x"), "did you mean '--init'"),
            (("train", "--init", "x"), "language-model, from-store or classifier"),
            (("train", "r.json", "--set"), "expected KEY=VALUE"),
            (("generate",), "expected a model's folder"),
            (("generate", "m", "--top-p", "2"), "expected a number from 0 to 1, got '2'"),
            (("generate", "m", "--samples", "one"), "expected a whole number"),
            (("generate", "m", "--chat", "x"), "auto, plain, chatml"),
            (("judge", "a", "--verifiers", "x"), "exact, normalized"),
            (("judge", "a", "--all=1"), "expected no value"),
            (("store", "infos", "x"), "did you mean 'info'"),
            (("store", "info"), "expected more words"),
            (("report",), "expected the folder of a run"),
        ):
            self.assertIn(expected, self.run_words(*words, code=2).stderr)

    def test_errors_are_json_too(self):
        done = self.run_words("report", "nowhere", "--json", code=1)
        error = json.loads(done.stdout)["error"]
        self.assertEqual(error["exit"], 1)
        self.assertIn("nowhere/log.jsonl: cannot be read", error["message"])

    def test_a_link_named_after_a_command_is_that_command(self):
        os.symlink(KDISTILL, self.folder + "/kdistill-store")
        done = subprocess.run(
            [self.folder + "/kdistill-store", "info", "/nowhere.kdt"],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith("kdistill-store: "), done.stderr)

    def test_a_terminal_has_a_bar(self):
        self.make_arrays()
        self.recipe(CLASSIFIER)
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [KDISTILL, "train", "recipe.json"],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 65536):
                seen += piece
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        self.assertEqual(process.wait(), 0)
        self.assertRegex(seen, rb"train \[#* *\] \d+/\d+ steps")


if __name__ == "__main__":
    unittest.main()
