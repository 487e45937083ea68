"""Handles: closed once, in any order, by a `with` too."""

import os
import shutil
import unittest

import kdistill as kd

from support import MLP, Case


class HandleTest(Case):
    def test_close_twice_is_close(self):
        model = kd.Model(self.ctx, MLP)
        model.close()
        model.close()

    def test_a_closed_handle_says_so(self):
        with kd.Model(self.ctx, MLP) as model:
            self.assertGreater(model.parameters.size, 0)
        with self.assertRaisesRegex(ValueError, "this Model is closed"):
            model.zero_gradients()
        loss, batch = kd.Loss(self.ctx), kd.Batch(self.ctx).begin(1)
        targets = kd.Targets(self.ctx)
        targets.close()
        with self.assertRaisesRegex(ValueError, "this Targets is closed"):
            loss.count(batch, targets)

    def test_a_context_may_be_closed_before_its_handles(self):
        ctx = kd.Context(threads=1)
        model = kd.Model(ctx, MLP)
        ctx.close()
        self.assertEqual(model.config, MLP)
        model.close()

    def test_a_handle_whose_constructor_failed_goes_quietly(self):
        with self.assertRaises(kd.Error):
            kd.Tokenizer(self.ctx, "/nowhere")

    def test_a_writer_is_finished_by_close(self):
        path = self.folder + "/a.jsonl"
        writer = kd.RecordWriter(self.ctx, path)
        writer.add(prompt="q")
        writer.close()
        writer.close()
        self.assertEqual(len(list(kd.RecordReader(self.ctx, path))), 1)

    def test_a_writer_whose_with_fails_leaves_no_file(self):
        path = self.folder + "/a.jsonl"
        with self.assertRaises(ZeroDivisionError), kd.RecordWriter(self.ctx, path) as writer:
            writer.add(prompt="q")
            1 // 0  # noqa: B018
        with self.assertRaises(kd.Error):
            list(kd.RecordReader(self.ctx, path))

    def test_close_of_a_writer_raises_what_went_wrong(self):
        os.mkdir(self.folder + "/gone")
        writer = kd.RecordWriter(self.ctx, self.folder + "/gone/a.jsonl")
        writer.add(prompt="q")
        shutil.rmtree(self.folder + "/gone")
        with self.assertRaises(kd.Error):
            writer.close()
        writer.close()


if __name__ == "__main__":
    unittest.main()
