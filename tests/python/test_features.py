"""Terms of features: projections of a loss, its tensors, an optimizer that takes it."""

import numpy as np

import kdistill as kd

from support import MLP, Samples


class FeaturesTest(Samples):
    def setUp(self):
        super().setUp()
        self.loss = kd.Loss(self.ctx)
        rng = np.random.default_rng(4)
        self.states = rng.normal(size=(60, 4)).astype(np.float32)
        self.teacher = rng.normal(size=(60, 10)).astype(np.float32)
        self.targets = kd.Targets(self.ctx).begin(60).set("hidden.5", self.teacher)
        self.sides = {"student_output": "hidden.0", "teacher_field": "hidden.5"}

    def add(self, kind=kd.LossKind.HIDDEN_COSINE, **options):
        term = self.loss.add(kind, **self.sides, **options)
        self.loss.set_projection(term, kind=kd.Projection.LINEAR_BIAS, name="fit")
        return term

    def test_diagnostics_tell_what_a_student_explains(self):
        self.loss.add(kd.LossKind.MEAN_SQUARED_ERROR, **self.sides, normalize=kd.Normalize.ROWS)
        self.loss.set_diagnostics(True)
        some = self.teacher[:20]
        for share in (1, 0.5):
            batch = kd.Batch(self.ctx).begin(20)
            targets = kd.Targets(self.ctx).begin(20).set("hidden.5", some)
            outputs = {"hidden.0": some + (1 - share) * self.states[:20].repeat(3, 1)[:, :10]}
            self.loss.evaluate(outputs, batch, targets)
            seen = self.loss.diagnostics(0)
            z, t = (
                x / np.linalg.norm(x, axis=1, keepdims=True) for x in (outputs["hidden.0"], some)
            )
            expected = 1 - ((t - z) ** 2).sum() / ((t - t.mean(0)) ** 2).sum()
            self.assertAlmostEqual(seen.explained, expected, 5)
            pairs = (t @ t.T)[~np.eye(20, dtype=bool)].mean()
            self.assertAlmostEqual(seen.teacher_pair_cosine, pairs, 5)
            p = np.linalg.svd(some, compute_uv=False)
            rank = np.exp(-(p / p.sum() * np.log(p / p.sum())).sum())
            self.assertAlmostEqual(seen.teacher_effective_rank, rank, 4)
            self.assertTrue(np.isnan(seen.modality_gap))

    def test_a_loss_is_a_source_of_an_optimizer(self):
        model = kd.Model(self.ctx, {**MLP, "hidden_act": "tanh"})
        batch = kd.Batch(self.ctx).begin(60).set("inputs", self.x)
        self.add()
        model.forward(batch, kd.Mode.EVALUATE)
        self.loss.prepare(model, self.targets)
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, model, self.loss)
        optimizer.add_group("projection.*", learning_rate=2)
        values = []
        for _ in range(30):
            model.forward(batch, kd.Mode.TRAIN)
            values.append(self.loss.backward(model, batch, self.targets).value)
            optimizer.step(0.02)
        self.assertLess(values[-1], 0.9 * values[0])
        self.assertEqual(float(np.abs(self.loss.tensor_gradient(0)).sum()), 0)

    def test_tensors_have_names_and_are_written_to(self):
        self.loss.set_projection(self.loss.add(kd.LossKind.CKA), name="x", from_=3, to=2)
        ((name, weight),) = self.loss.tensors
        self.assertEqual((name, weight.shape), ("projection.x.weight", (2, 3)))
        weight[:] = 7
        self.assertEqual(float(self.loss.tensors[0][1].sum()), 42)

    def test_tensors_are_saved_and_loaded(self):
        self.loss.set_projection(self.loss.add(kd.LossKind.HIDDEN_COSINE), name="x", from_=3, to=2)
        path = f"{self.folder}/loss.safetensors"
        self.loss.save_tensors(path)
        kept = self.loss.tensors[0][1].copy()
        self.loss.tensors[0][1][:] = 0
        self.loss.load_tensors(path)
        np.testing.assert_array_equal(self.loss.tensors[0][1], kept)

    def test_gradients_add_up_until_they_are_zeroed(self):
        self.add(normalize=kd.Normalize.LAYER)
        batch = kd.Batch(self.ctx).begin(60)
        states = self.states
        gradient = np.zeros_like(states)
        found = []
        for _ in range(2):
            outputs = {"hidden.0": states}, batch, self.targets
            self.loss.evaluate(*outputs, gradients={"hidden.0": gradient})
            found.append(self.loss.tensor_gradient(0).copy())
        np.testing.assert_allclose(found[1], 2 * found[0], rtol=1e-5)
        self.loss.zero_gradients()
        self.assertEqual(float(np.abs(self.loss.tensor_gradient(0)).sum()), 0)

    def test_relations_need_no_projection(self):
        batch = kd.Batch(self.ctx).begin(60)
        kinds = [
            kd.LossKind.SIMILARITY,
            kd.LossKind.GRAM,
            kd.LossKind.RKD_DISTANCE,
            kd.LossKind.RKD_ANGLE,
            kd.LossKind.PKT,
            kd.LossKind.CKA,
            kd.LossKind.RELATION_KL,
        ]
        for kind in kinds:
            self.loss.add(kind, **self.sides)
        states = self.teacher @ np.linalg.qr(self.teacher[:10])[0]
        made = self.loss.evaluate({"hidden.0": states.astype(np.float32)}, batch, self.targets)
        for term, kind in enumerate(kinds):
            self.assertLess(made.sum[term] / made.rows[term], 1e-5, kind.name)

    def test_a_wrong_option_is_named(self):
        term = self.loss.add(kd.LossKind.HIDDEN_COSINE)
        with self.assertRaisesRegex(TypeError, "no option 'width'"):
            self.loss.set_projection(term, width=3)
        with self.assertRaisesRegex(kd.Error, "weight_field"):
            self.loss.add(kd.LossKind.CKA, weight_field="weight")
