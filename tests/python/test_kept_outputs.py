"""Outputs that evaluating passes keep, and terms of mapped layers."""

import numpy as np

import kdistill as kd

from support import Samples

SIZES = {"vocab_size": 19, "intermediate_size": 24, "num_attention_heads": 2}
LLAMA = {"model_type": "llama", **SIZES, "hidden_size": 8, "num_hidden_layers": 4}


class KeptOutputsTest(Samples):
    def setUp(self):
        super().setUp()
        self.batch = kd.Batch(self.ctx).begin_packed([0, 5, 12])
        self.batch.set("tokens", np.arange(12) % 19)
        self.teacher = kd.Model(self.ctx, LLAMA)
        self.student = kd.Model(self.ctx, {**LLAMA, "num_hidden_layers": 2}, seed=3)

    def test_evaluating_passes_keep_what_they_are_asked_for(self):
        self.teacher.forward(self.batch, kd.Mode.TRAIN)
        names = ["hidden.embedding", "hidden.2", "attention.1.query", "attention.3.value"]
        trained = [self.teacher.output(name).copy() for name in names]
        self.teacher.keep("hidden.*")
        self.teacher.keep("attention.*")
        self.teacher.forward(self.batch, kd.Mode.EVALUATE)
        for name, values in zip(names, trained):
            np.testing.assert_array_equal(self.teacher.output(name), values)

    def test_a_pass_stops_where_nothing_more_is_asked(self):
        self.teacher.keep("*", False)
        self.teacher.keep("hidden.1")
        self.teacher.forward(self.batch, kd.Mode.EVALUATE)
        self.assertEqual(self.teacher.output("hidden.1").shape, (12, 8))
        with self.assertRaisesRegex(kd.Error, "kd_model_keep"):
            self.teacher.output("logits")

    def test_outputs_tell_what_they_take(self):
        info = self.teacher.output_info("hidden.1")
        self.assertEqual((info.unit, info.width), (kd.OutputUnit.ROW, 8))
        self.assertEqual((info.row_bytes, info.is_kept), (32, 0))
        plain = kd.Model.estimate_memory(self.ctx, LLAMA, max_rows=16, frozen=True)
        kept = kd.Model.estimate_memory(self.ctx, LLAMA, max_rows=16, frozen=True, keep="hidden.1")
        self.assertEqual(kept.total_bytes - plain.total_bytes, 16 * info.row_bytes)

    def test_layers_are_mapped(self):
        of = kd.Loss.map_layers
        self.assertEqual(of(kd.LayerChoice.BLOCKS, 4, 12), [2, 5, 8, 11])
        self.assertEqual(of(kd.LayerChoice.UNIFORM, 4, 12), [0, 4, 7, 11])
        self.assertEqual(of(kd.LayerChoice.LAST, 2, 12), [10, 11])
        with self.assertRaises(kd.Error):
            of(kd.LayerChoice.LAST, 5, 4)

    def test_mapped_terms_learn_from_a_live_teacher(self):
        loss = kd.Loss(self.ctx)
        layers = kd.Loss.map_layers(kd.LayerChoice.BLOCKS, 2, 4)
        sides = {"student_output": "hidden.%d", "teacher_field": "hidden.%d"}
        terms = loss.add_mapped(kd.LossKind.HIDDEN_COSINE, layers, 0.5, first=6, **sides)
        self.assertEqual(list(terms), [0, 1])
        self.assertEqual(loss.get(1, "weight"), 0.25)
        self.assertEqual(loss.get(1, "first"), 6)
        self.assertEqual(loss.term(1).options["teacher_field"], "hidden.3")
        live, targets = kd.Teacher.from_model(self.teacher), kd.Targets(self.ctx)
        loss.keep_outputs(self.student, live)
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, self.student)
        values = []
        for _ in range(20):
            live.read(self.batch, targets)
            self.student.forward(self.batch, kd.Mode.TRAIN)
            values.append(loss.backward(self.student, self.batch, targets).value)
            optimizer.step(0.01)
        self.assertLess(values[-1], 0.5 * values[0])
