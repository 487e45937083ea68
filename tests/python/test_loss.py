"""Losses: terms, values, gradients, counts."""

import unittest

import numpy as np

import kdistill as kd

from support import MLP, Samples


def log_softmax(a):
    return a - np.log(np.exp(a).sum(1, keepdims=True))


class LossTest(Samples):
    def setUp(self):
        super().setUp()
        self.loss = kd.Loss(self.ctx)
        self.soft = self.loss.add(kd.LossKind.FORWARD_KL, 0.5, temperature=4)
        self.hard = self.loss.add(kd.LossKind.CROSS_ENTROPY, 0.1)
        self.targets = kd.Targets(self.ctx).begin(60).set("logits", self.v)

    def test_numbers_of_a_term_are_set_by_name(self):
        self.loss.set(self.soft, temperature=2, weight=0.9)
        self.assertEqual(self.loss.get(self.soft, "temperature"), 2)
        kind, options = self.loss.term(self.soft)
        self.assertIs(kind, kd.LossKind.FORWARD_KL)
        self.assertEqual((options["temperature"], options["label_field"]), (2, "label"))
        self.assertEqual(kd.Loss.bounds(kd.LossKind.JSD, "teacher_share"), (0, 1, 0.5))
        with self.assertRaises(KeyError):
            self.loss.set(self.soft, temprature=2)

    def test_numbers_of_a_kind_are_keywords_of_add(self):
        term = self.loss.add(kd.LossKind.JSD, teacher_share=0.3, normalized=1, temperature=2)
        self.assertEqual(self.loss.get(term, "teacher_share"), 0.3)
        self.assertEqual(self.loss.get(term, "normalized"), 1)
        self.assertEqual(self.loss.get(term, "temperature"), 2)

    def test_tasks_are_measured_where_they_meet(self):
        model, batch = kd.Model(self.ctx, MLP), kd.Batch(self.ctx)
        kd.Loader(self.data(), batch_size=60).next(batch)
        model.forward(batch, kd.Mode.TRAIN)
        norms, cosines = self.loss.measure_gradients(model, batch, self.targets)
        logits = model.output("logits").copy()
        gradients = []
        for term in (self.soft, self.hard):
            kept = [self.loss.get(t, "weight") for t in (self.soft, self.hard)]
            for other in (self.soft, self.hard):
                self.loss.set(other, weight=kept[other] if other == term else 0)
            gradient = np.zeros_like(logits)
            given = {"logits": logits}, batch, self.targets
            self.loss.evaluate(*given, gradients={"logits": gradient})
            gradients.append(gradient.ravel())
            for other in (self.soft, self.hard):
                self.loss.set(other, weight=kept[other])
        lengths = [np.linalg.norm(g) for g in gradients]
        np.testing.assert_allclose(norms, lengths, rtol=1e-5)
        expected = gradients[0] @ gradients[1] / lengths[0] / lengths[1]
        np.testing.assert_allclose(cosines, [[1, expected], [expected, 1]], rtol=1e-4)
        whole = self.loss.measure_gradients(
            model, batch, self.targets, task_of=[0, 0], output="logits"
        )
        np.testing.assert_allclose(whole.norms, [np.linalg.norm(sum(gradients))], rtol=1e-5)
        with self.assertRaisesRegex(kd.Error, "task of term 1"):
            self.loss.measure_gradients(model, batch, self.targets, task_of=[0, -2])

    def test_a_term_with_a_wrong_number_is_not_added(self):
        for wrong, text in (({"skew": 0.1}, "no number skew"), ({"teacher_share": 2}, "0 to 1")):
            with self.assertRaisesRegex(kd.Error, text):
                self.loss.add(kd.LossKind.JSD, **wrong)
        with self.assertRaisesRegex(TypeError, "no option 'shew'.*temperature.*skew"):
            self.loss.add(kd.LossKind.JSD, shew=1)
        self.assertEqual(self.loss.add(kd.LossKind.JSD), self.hard + 1)

    def test_a_terms_options_make_the_same_term(self):
        kind, options = self.loss.term(self.soft)
        self.assertIs(options["align"], kd.Align.SAME)
        again = kd.Loss(self.ctx)
        self.assertEqual(again.term(again.add(kind, **options)), (kind, options))

    def test_values_and_gradients_are_the_formulas(self):
        z, dz = self.x[:, 1:].copy(), np.empty((60, 3), np.float32)
        made = self.loss.evaluate(
            {"logits": z}, self.batch(), self.targets, gradients={"logits": dz}
        )
        p, lq, lp = (
            f(a / 4)
            for f, a in zip(
                (lambda a: np.exp(log_softmax(a)), log_softmax, log_softmax), (self.v, z, self.v)
            )
        )
        self.assertAlmostEqual(made.sum[self.soft], 16 * (p * (lp - lq)).sum(), places=2)
        soft, hard = np.exp(lq) - p, np.exp(log_softmax(z)) - np.eye(3)[self.y]
        np.testing.assert_allclose(dz, (0.5 * 4 * soft + 0.1 * hard) / 60, atol=1e-6)
        self.assertEqual((len(made.sum), made.rows), (2, (60, 60)))

    def test_gradients_are_added_where_that_is_asked(self):
        z, once = self.x[:, 1:].copy(), np.zeros((60, 3), np.float32)
        given = {"logits": z}, self.batch(), self.targets
        self.loss.evaluate(*given, gradients={"logits": once})
        twice = once.copy()
        self.loss.evaluate(*given, gradients={"logits": twice}, accumulate=True)
        np.testing.assert_allclose(twice, 2 * once, atol=1e-7)

    def test_counts_add_up_to_denominators(self):
        counts = self.loss.count(self.batch(), self.targets)
        counts.add(self.loss.count(self.batch(), self.targets))
        self.assertEqual(counts.rows[self.hard], 120)
        given = {"logits": self.x[:, 1:].copy()}, self.batch(), self.targets
        whole, half = self.loss.evaluate(*given), self.loss.evaluate(*given, counts)
        self.assertAlmostEqual(half.value, whole.value / 2)

    def test_a_model_gets_its_gradients(self):
        model, batch = kd.Model(self.ctx, MLP), self.batch()
        model.forward(batch)
        value = self.loss.forward(model, batch, self.targets).value
        self.assertAlmostEqual(value, self.loss.backward(model, batch, self.targets).value)
        self.assertGreater(np.abs(model.gradients).max(), 0)

    def test_diagnostics_are_typed_facts(self):
        self.loss.set_diagnostics()
        self.loss.evaluate({"logits": self.x[:, 1:].copy()}, self.batch(), self.targets)
        self.assertEqual(self.loss.diagnostics(self.soft).teacher_accuracy, 1)

    def test_classes_of_another_vocabulary_are_paired(self):
        uld, batch = kd.Loss(self.ctx), kd.Batch(self.ctx).begin(1)
        uld.add(kd.LossKind.ULD)
        z = np.array([[1, 0, 2]], np.float32)
        targets = kd.Targets(self.ctx).begin(1).set("logits", z[:, ::-1].copy())
        uld.set_shared_classes(0, [2, 1, 0], 3)
        self.assertAlmostEqual(uld.evaluate({"logits": z}, batch, targets).value, 0, places=6)
        uld.set_shared_classes(0, [0, 1, 2], 3)
        self.assertGreater(uld.evaluate({"logits": z}, batch, targets).value, 0.1)
        uld.set_shared_classes(0, None)


if __name__ == "__main__":
    unittest.main()
