"""Hidden states of images as features: a ViT learns from a wider one, patch by patch."""

import numpy as np

import kdistill as kd

from support import Case

SAMPLES, PATCHES, WIDE, NARROW = 12, 5, 24, 16


def config(width, layers=2, patch=4):
    return {
        "model_type": "vit",
        "image_size": 8,
        "patch_size": patch,
        "num_channels": 1,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * width,
        "initializer_range": 0.2,
    }


class ImageFeaturesTest(Case):
    def setUp(self):
        super().setUp()
        pixels = np.random.default_rng(2).normal(size=(SAMPLES, 1, 8, 8)).astype(np.float32)
        self.batch = kd.Batch(self.ctx).begin(SAMPLES).set("pixels", pixels)
        self.big = kd.Model(self.ctx, config(WIDE), frozen=True, seed=5)
        self.student = kd.Model(self.ctx, config(NARROW, 1), seed=6)
        self.teacher = kd.Teacher.from_model(self.big)
        self.loss = kd.Loss(self.ctx)
        self.term = self.loss.add(
            kd.LossKind.HIDDEN_COSINE, student_output="hidden.0", teacher_field="hidden.1"
        )

    def begin(self):
        """The targets of the batch, with all widths fixed; and the hidden states of both sides."""
        self.loss.set_projection(self.term, kind=kd.Projection.LINEAR, name="fit")
        self.loss.keep_outputs(self.student, self.teacher)
        targets = self.teacher.read(self.batch, kd.Targets(self.ctx))
        self.student.forward(self.batch, kd.Mode.EVALUATE)
        self.loss.prepare(self.student, targets)
        return targets

    def test_a_student_follows_a_wider_teacher_patch_by_patch(self):
        targets = self.begin()
        weight = dict(self.loss.tensors)["projection.fit.weight"]
        self.assertEqual(weight.shape, (WIDE, NARROW))
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, self.student, self.loss)
        values = []
        for _ in range(40):
            self.student.forward(self.batch, kd.Mode.TRAIN)
            made = self.loss.backward(self.student, self.batch, targets)
            values.append(made.value)
            optimizer.step(1e-2)
        self.assertEqual(made.rows[0], SAMPLES)
        self.assertLess(values[-1], 0.5 * values[0])
        self.student.forward(self.batch, kd.Mode.EVALUATE)
        states = self.student.output("hidden.0")
        self.assertEqual(states.shape, (SAMPLES, PATCHES, NARROW))
        fitted = states @ dict(self.loss.tensors)["projection.fit.weight"].T
        taught = targets.field("hidden.1")
        norms = np.linalg.norm(fitted, axis=-1) * np.linalg.norm(taught, axis=-1)
        cosine = np.mean((fitted * taught).sum(-1) / norms)
        made = self.loss.forward(self.student, self.batch, targets)
        self.assertAlmostEqual(made.value, 1 - cosine, places=5)

    def test_a_store_and_an_array_teach_the_same(self):
        live = self.begin()
        expected = self.loss.forward(self.student, self.batch, live)
        taught = np.array(live.field("hidden.1"))
        keys = np.array([[1, i] for i in range(SAMPLES)], np.uint64)
        self.batch.set_samples(keys=keys)
        fields = [
            {
                "kind": kd.StoreKind.VECTORS,
                "name": "hidden.1",
                "width": PATCHES * WIDE,
                "encoding": kd.DType.FLOAT32,
            }
        ]
        path = f"{self.folder}/images.kdt"
        with kd.StoreWriter(self.ctx, path, fields, vocabulary=2, align=kd.Align.SAME) as writer:
            writer.add(self.batch, live)
        stored = kd.Teacher.open(self.ctx, path).read(self.batch, kd.Targets(self.ctx))
        self.assertEqual(stored.field("hidden.1").shape, (SAMPLES, PATCHES * WIDE))
        arrays = kd.Targets(self.ctx).begin(SAMPLES).set("hidden.1", taught)
        for targets in (stored, arrays):
            self.assertEqual(self.loss.count(self.batch, targets).rows[0], SAMPLES)
            made = self.loss.forward(self.student, self.batch, targets)
            self.assertEqual((made.value, made.rows[0]), (expected.value, SAMPLES))

    def test_other_patches_are_refused_by_name(self):
        other = kd.Model(self.ctx, config(WIDE, patch=2), frozen=True)
        self.teacher = kd.Teacher.from_model(other)
        with self.assertRaisesRegex(
            kd.Error, "output 'hidden.0' has 5 rows, the teacher's 'hidden.1' has 17"
        ):
            self.begin()

    def test_a_loss_without_parameters_is_a_source_too(self):
        loss = kd.Loss(self.ctx)
        loss.add(kd.LossKind.GRAM, student_output="pooled", teacher_field="pooled")
        loss.keep_outputs(self.student, self.teacher)
        targets = self.teacher.read(self.batch, kd.Targets(self.ctx))
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, self.student, loss)
        self.student.forward(self.batch, kd.Mode.TRAIN)
        before = loss.backward(self.student, self.batch, targets).value
        optimizer.step(1e-3)
        self.student.forward(self.batch, kd.Mode.TRAIN)
        self.assertLess(loss.forward(self.student, self.batch, targets).value, before)
