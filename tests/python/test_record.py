"""Records, what is made of them, and packed batches."""

import json
import unittest

import kdistill as kd

from support import Case


class RecordTest(Case):
    threads = 1

    def reader(self, text, **options):
        return kd.RecordReader(self.ctx, text=text, **options)

    def test_what_is_written_is_read(self):
        path = self.folder + "/r.jsonl"
        with kd.RecordWriter(self.ctx, path) as writer:
            writer.add(prompt="q", completion="a", expected="a", extra={"more": 1}, score=0.5)
            turns = [("system", "s"), ("user", "q"), ("assistant", "b")]
            writer.add(messages=turns, ids=[1, 2])
        reader = kd.RecordReader(self.ctx, path)
        first, second = list(reader)
        self.assertEqual((first["expected"], first["extra"]), ("a", {"more": 1}))
        self.assertEqual((first["score"], second["ids"]), (0.5, [1, 2]))
        self.assertEqual(second["messages"], turns)
        self.assertEqual(reader.counts.records, 2)
        self.assertEqual(reader.rewind().next()["key"], first["key"])

    def test_a_record_that_was_read_can_be_written(self):
        call = {"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]}
        line = {"messages": [{"role": "user", "content": "q"}, call], "tools": [{"name": "f"}]}
        (record,) = self.reader(json.dumps(line))
        again = json.loads(kd.record_to_json(self.ctx, **record))
        self.assertEqual(again["messages"], line["messages"])
        self.assertEqual(again["tools"], line["tools"])

    def test_bad_lines_are_skipped_and_counted(self):
        text = '{"prompt":"1"}\nno\n{"prompt":"2"}'
        bad = self.reader(text, bad_lines=kd.BadLines.SKIP)
        self.assertEqual([r["prompt"] for r in bad], ["1", "2"])
        self.assertEqual(bad.counts.first_bad_line, 2)

    def test_an_unknown_member_is_refused_with_those_that_are(self):
        with self.assertRaisesRegex(TypeError, "'color'.*prompt, completion"):
            kd.record_to_json(self.ctx, color="red")


class AugmentTest(RecordTest):
    TEXT = '{"prompt":"3+4=","expected":"7"}'

    def made(self, *arguments, **values):
        path = self.folder + "/more.jsonl"
        with kd.RecordWriter(self.ctx, path) as writer:
            counts = kd.augment_prompts(self.reader(self.TEXT), writer, *arguments, **values)
        return counts, list(kd.RecordReader(self.ctx, path))

    def test_other_numbers_have_other_answers(self):
        counts, made = self.made(
            kd.AugmentKind.NUMBERS, lambda record, before, now: f"{sum(now):g}", copies=5
        )
        self.assertEqual(counts.written, len(made))
        for record in made:
            a, b = record["prompt"][:-1].split("+")
            self.assertEqual(float(a) + float(b), float(record["expected"]))

    def test_templates_wrap_prompts(self):
        _, made = self.made(kd.AugmentKind.TEMPLATES, templates=["What is {prompt}"])
        self.assertEqual(made[-1]["prompt"], "What is 3+4=")

    def test_the_function_may_drop_and_may_fail(self):
        counts, _ = self.made(kd.AugmentKind.NUMBERS, lambda *all_: None)
        self.assertEqual(counts.refused, 1)
        with self.assertRaisesRegex(kd.Error, "division"):
            self.made(kd.AugmentKind.NUMBERS, lambda *all_: 1 // 0)


class PackerTest(RecordTest):
    def setUp(self):
        super().setUp()
        self.packer = kd.Packer(self.ctx, batch_tokens=4)
        self.more = self.packer.add_task("more", 2)
        self.packer.add_ids([1, 2, 3], [0, 1, 1], (5, 6))
        self.packer.add(self.more, ids=[4, 5], prompt="q")
        self.assertEqual(self.packer.add_reader(self.reader('{"ids":[7,8]}'), self.more), 1)

    def test_tasks_are_mixed(self):
        self.packer.mix([0, 1])
        found = self.packer.next(kd.Batch(self.ctx)).field("tokens").tolist()
        self.assertIn(found, ([4, 5, 7, 8], [7, 8, 4, 5]))

    def test_it_goes_on_from_a_state(self):
        state = self.packer.state
        self.packer.next(kd.Batch(self.ctx))
        self.assertGreater(self.packer.info.texts_given, 0)
        self.packer.state = state
        self.assertEqual(self.packer.info.texts_given, 0)

    def test_tasks_have_facts_and_are_cleared(self):
        self.assertEqual(self.packer.get_task(self.more)[:2], ("more", 2))
        self.packer.clear(self.more)
        self.assertEqual(self.packer.get_task(self.more).texts, 0)
        self.assertEqual(self.packer.info.answer_tokens, 2)


class RecipeTest(Case):
    def test_its_numbers_are_attributes(self):
        recipe = kd.Recipe(kd.RecipeKind.R1, 7e9)
        recipe.patience = 2
        self.assertIs(kd.OptimizerKind(recipe.optimizer), kd.OptimizerKind.ADAMW)
        self.assertAlmostEqual(recipe.create_learning_rate(self.ctx, 10)(10), 8e-6)
        self.assertEqual(recipe.create_temperature(self.ctx, 10)(3), 1.0)


if __name__ == "__main__":
    unittest.main()
