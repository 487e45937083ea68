"""What a run will cost: the call and the command."""

import json
import os
import subprocess
import unittest

import kdistill as kd

from support import LLAMA, Case

COMMAND = os.path.join(os.path.dirname(__file__), "..", "..", "build", "kdistill-plan")
DATA = {"samples": 100, "tokens": 25600, "batch_tokens": 1024, "flops": 1e11}


class PlanTest(Case):
    def test_a_plan_tells_memory_time_and_network(self):
        plan = kd.plan_estimate(self.ctx, LLAMA, ranks=2, memory_bytes=10, **DATA)
        memory = kd.Model.estimate_memory(self.ctx, LLAMA, max_rows=512)
        self.assertEqual(plan.parameters, memory.parameters)
        self.assertEqual(plan.activation_bytes, memory.activation_bytes)
        self.assertEqual((plan.steps, plan.sent_bytes), (25, 4 * plan.parameters))
        self.assertIn(kd.PlanAdvice.MEMORY, plan.advice)
        self.assertIn("sent by a rank in a step", kd.plan_to_text(self.ctx, plan))
        told = json.loads(kd.plan_to_json(self.ctx, plan))
        self.assertEqual(told["parameters"], plan.parameters)
        self.assertEqual(set(told), set(vars(plan)) - {"reserved"})

    def test_stores_follow_the_rule(self):
        teacher = {**LLAMA, "hidden_size": 32, "vocab_size": 40}
        rule = {"teacher": teacher, "kind": kd.StoreKind.HIDDEN, "bits": 8}
        plan = kd.plan_estimate(self.ctx, LLAMA, **rule, **DATA)
        self.assertEqual(plan.position_bytes, 36)
        self.assertGreater(plan.capture_hours, 0)
        with self.assertRaisesRegex(kd.Error, "kind: expected 0, KD_STORE_TOPK"):
            kd.plan_estimate(self.ctx, LLAMA, kind=kd.StoreKind.TEXT, **DATA)

    def test_a_machine_is_measured(self):
        found = kd.plan_measure_machine(self.ctx, self.folder, 0)
        self.assertGreater(found.flops, 0)
        self.assertGreater(found.disk_bytes, 0)
        self.assertEqual(os.listdir(self.folder), [])


@unittest.skipUnless(os.path.exists(COMMAND), "build/kdistill-plan is not built")
class CommandTest(Case):
    def run_it(self, *words):
        done = subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_a_config_has_a_plan(self):
        path = self.write("config.json", json.dumps(LLAMA))
        words = ["--json", "--gflops", "100", "--samples", "100", "--tokens", "25600"]
        words += ["--batch-tokens", "1024", "--ranks", "2"]
        for config in path, self.folder:
            code, text, _ = self.run_it(*words, config)
            self.assertEqual(code, 0)
            plan = kd.plan_estimate(self.ctx, LLAMA, ranks=2, **DATA)
            told = json.loads(text)
            self.assertEqual(told["total_bytes"], plan.total_bytes)
            self.assertEqual(told["hours"], plan.hours)
        code, text, _ = self.run_it(*words[1:], "smollm2-135m")
        self.assertIn("134515008", text)

    def test_deepseeks_own_case_is_printed(self):
        code, text, _ = self.run_it("--case", "deepseek")
        self.assertEqual(code, 0)
        self.assertIn("| llama-3.3-70b | 70.55 |", text)
        self.assertIn("| hidden, 8 bits | 7172 |", text)
        code, text, _ = self.run_it("--case", "deepseek", "--json")
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual(len(lines), 8 + 8 * 4)

    def test_wrong_lines_are_told(self):
        self.assertEqual(self.run_it()[0], 2)
        self.assertEqual(self.run_it("--tokens", "many", "x")[0], 2)
        self.assertIn("expected a whole number", self.run_it("--tokens", "many", "x")[2])
        self.assertIn("float32 or bfloat16", self.run_it("--wire", "int8", "x")[2])
        code, _, error = self.run_it("--gflops", "1", "smollm2-135m")
        self.assertEqual(code, 2)
        self.assertIn("--samples N and --tokens N", error)
        data = ["--samples", "100", "--tokens", "25600"]
        code, _, error = self.run_it(*data, "smollm2-135m")
        self.assertEqual(code, 2)
        self.assertIn("--measure", error)
        code, _, error = self.run_it("--gflops", "1", *data, self.folder)
        self.assertEqual(code, 1)
        self.assertIn("expected a config.json", error)
        for words, missing in ("--gflops 1", "--tokens"), ("--samples 1 --tokens 9", "--measure"):
            code, _, error = self.run_it(*words.split(), "smollm2-135m")
            self.assertEqual(code, 2)
            self.assertIn(missing, error)


if __name__ == "__main__":
    unittest.main()
