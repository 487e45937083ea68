"""The names of 0.1 work until 0.3, and warn."""

import unittest
import warnings

import kdistill as kd

from support import MLP, Case


class DeprecatedTest(Case):
    def test_handles_are_made_by_methods(self):
        with self.assertWarnsRegex(DeprecationWarning, "Context.loss is Loss since 0.2"):
            loss = self.ctx.loss()
        self.assertIsInstance(loss, kd.Loss)
        with self.assertWarnsRegex(DeprecationWarning, "Model.as_teacher is Teacher.from_model"):
            self.assertIsInstance(kd.Model(self.ctx, MLP).as_teacher(name="t"), kd.Teacher)

    def test_a_writer_is_finished(self):
        writer = kd.RecordWriter(self.ctx, self.folder + "/r.jsonl")
        writer.add(prompt="q")
        with self.assertWarns(DeprecationWarning):
            writer.finish()
        self.assertEqual(len(list(kd.RecordReader(self.ctx, self.folder + "/r.jsonl"))), 1)

    def test_constants_have_plain_names(self):
        with self.assertWarnsRegex(DeprecationWarning, "FORWARD_KL is LossKind.FORWARD_KL"):
            self.assertIs(kd.FORWARD_KL, kd.LossKind.FORWARD_KL)
        with self.assertWarnsRegex(DeprecationWarning, "EVALUATE is Mode.EVALUATE"):
            self.assertIs(kd.EVALUATE, kd.Mode.EVALUATE)
        with self.assertWarns(DeprecationWarning):
            self.assertIs(kd.LOSS_FORWARD_KL, kd.LossKind.FORWARD_KL)

    def test_a_function_is_not_hidden_by_its_module(self):
        with self.assertWarnsRegex(DeprecationWarning, "verify is verify_answer since 0.2"):
            self.assertTrue(kd.verify("1", "1").right)

    def test_other_names_are_errors(self):
        with self.assertRaisesRegex(AttributeError, "no attribute 'FORWARD'"):
            kd.FORWARD  # noqa: B018

    def test_what_is_not_old_does_not_warn(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kd.Loss(self.ctx).add(kd.LossKind.FORWARD_KL)


if __name__ == "__main__":
    unittest.main()
