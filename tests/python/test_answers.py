"""Answers to many prompts, and curation."""

import json
import unittest

import kdistill as kd

from support import LLAMA, Case


class AnswersTest(Case):
    threads = 1

    def setUp(self):
        super().setUp()
        lines = '{"prompt":"1","expected":"2"}\n{"prompt":"2","expected":"4"}'
        self.prompts = kd.RecordReader(self.ctx, text=lines)
        self.path = self.folder + "/a.jsonl"

    def collect(self, **values):
        return kd.answers_collect(self.ctx, self.prompts, self.path, **values)

    def test_a_function_answers_and_is_judged(self):
        seen = []
        done = self.collect(
            # longer than the room that is offered at first
            function=lambda r, sample, seed: f"####{int(r['prompt']) + 1 + sample}" + " " * 70000,
            samples=2,
            verify={"verifiers": kd.Verifier.HOST},
            verify_function=lambda text, expected: text.split()[0] == "####" + expected,
            progress=lambda p: seen.append(p.done),
        )
        self.assertEqual((done.done, done.right, seen), (4, 2, [2, 4]))
        result, rights = kd.answers_judge(kd.RecordReader(self.ctx, self.path), k=2)
        self.assertEqual((result.pass_.pass_1, rights.tolist()), (0.5, [[1, 0], [0, 1]]))

    def test_a_generator_answers(self):
        vocabulary = {str(i): i for i in range(10)}
        source = {"model": {"type": "BPE", "vocab": vocabulary, "merges": []}}
        self.write("tokenizer.json", json.dumps(source))
        tokenizer = kd.Tokenizer(self.ctx, self.folder)
        model = kd.Model(self.ctx, {**LLAMA, "vocab_size": 10}, frozen=True)
        done = self.collect(
            generator=kd.Generator(model, tokenizer),
            chat=kd.ChatFormat.PLAIN,
            samples=1,
            sampling={"max_tokens": 3, "temperature": 0.5},
            stop_tokens=(),
        )
        self.assertEqual((done.done, done.tokens), (2, 6))

    def test_an_exception_is_the_error(self):
        def fails(record, sample, seed):
            raise ValueError("gone")

        with self.assertRaisesRegex(kd.Error, "ValueError: gone"):
            self.collect(function=fails)


class CurationTest(Case):
    threads = 1

    def setUp(self):
        super().setUp()
        lines = [
            {
                "prompt": str(i),
                "completion": f"#### {i % 3}",
                "expected": "1",
                "domain": "xy"[i % 2],
            }
            for i in range(12)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        self.reader = kd.RecordReader(self.ctx, text=text)

    def test_the_funnel_says_what_each_filter_did(self):
        kind, tests = kd.FilterKind, kd.RecordReader(self.ctx, text='{"prompt":"4"}')
        curation = kd.Curation(self.ctx, validation=0.5).add(kind.CONTAMINATION, tests=tests)
        curation.add(kind.VERIFY, verify={})
        curation.add(kind.HOST, lambda r: "not seven" if r["prompt"] == "7" else True)
        curation.add(kind.BALANCE, shares={"x": 1, "y": 1})
        paths = [f"{self.folder}/{name}.jsonl" for name in ("kept", "held")]
        kept, held = (kd.RecordWriter(self.ctx, path) for path in paths)
        with kept, held:
            curation.run(self.reader, kept, held)
        funnel = curation.funnel
        self.assertEqual([step.kept for step in funnel[:5]], [12, 11, 3, 2, 2])
        self.assertEqual(funnel[3].reasons, {"not seven": 1})
        self.assertIn("not seven 1", curation.to_text())
        report = kd.Report(self.ctx)
        curation.fill_report(report, "funnel")
        self.assertIn("contamination", report.text())
        for record in kd.RecordReader(self.ctx, paths[0]):
            self.assertFalse(kd.curation_is_held_out(record["prompt_key"], 3, 0.5))

    def test_numbers_of_a_filter_are_keywords(self):
        kind = kd.FilterKind
        curation = kd.Curation(self.ctx).add(kind.LENGTH, max_length=6, unit=kd.Unit.BYTES)
        curation.add(kind.SAMPLE)
        curation.set(2, max_records=5)
        self.assertEqual(curation.get(1, "max_length"), 6)
        self.assertEqual([step.kept for step in curation.run(self.reader).funnel], [12, 12, 5])
        self.assertEqual(kd.Curation.bounds(kind.SCRIPTS, "max_script_share"), (0, 1, 0.05))
        for wrong, text in (({"min_score": 1}, "filter score"), ({"max_length": -1}, "got -1")):
            with self.assertRaisesRegex(kd.Error, text):
                curation.add(kind.LENGTH, **wrong)
        self.assertEqual(len(curation.funnel), 3)

    def test_all_prompts_may_be_held_back(self):
        self.assertTrue(kd.curation_is_held_out((1, 2), 2, 1.0))

    def test_the_hosts_verifier_is_asked(self):
        curation = kd.Curation(self.ctx)
        bits = {"verifiers": kd.Verifier.HOST}
        even = lambda text, expected: text.endswith(("0", "2"))  # noqa: E731
        curation.add(kd.FilterKind.VERIFY, verify=bits, verify_function=even)
        self.assertEqual(curation.run(self.reader).funnel[1].kept, 8)

    def test_an_exception_is_the_error(self):
        broken = kd.Curation(self.ctx).add(kd.FilterKind.HOST, lambda r: 1 // 0)
        with self.assertRaisesRegex(kd.Error, "ZeroDivisionError"):
            broken.run(self.reader)


if __name__ == "__main__":
    unittest.main()
