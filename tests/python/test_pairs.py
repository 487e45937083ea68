"""Terms of two sides, chunks of a batch, retrieval."""

import numpy as np

import kdistill as kd

from support import MLP, Samples


class PairsTest(Samples):
    def setUp(self):
        super().setUp()
        self.loss = kd.Loss(self.ctx)
        rng = np.random.default_rng(5)
        self.sides = {name: rng.normal(size=(9, 6)).astype(np.float32) for name in ("a", "b")}

    def test_two_outputs_are_contrasted(self):
        term = self.loss.add(kd.LossKind.CONTRASTIVE, student_output="a", scale=10)
        self.loss.set_pairs(term, other_output="b", directions=kd.PairDirection.TO_OTHER)
        self.loss.set_diagnostics(True)
        made = self.loss.evaluate(self.sides, kd.Batch(self.ctx).begin(9))
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in self.sides.values())
        z = 10 * a.astype(np.float64) @ b.T
        expected = np.mean(np.log(np.exp(z).sum(1)) - np.diag(z))
        self.assertAlmostEqual(made.value, expected, 6)
        seen = self.loss.diagnostics(term)
        self.assertAlmostEqual(seen.in_batch_accuracy, np.mean(z.argmax(1) == np.arange(9)))
        self.assertEqual(seen.scale, 10)

    def test_the_other_side_is_named(self):
        term = self.loss.add(kd.LossKind.SIGMOID_CONTRASTIVE, student_output="a")
        with self.assertRaisesRegex(kd.Error, "expected another output"):
            self.loss.set_pairs(term)

    def test_chunks_are_one_batch(self):
        config = {**MLP, "hidden_act": "tanh", "hidden_dropout_prob": 0.3}
        models = [kd.Model(self.ctx, config, seed=3) for _ in range(2)]
        term = self.loss.add(kd.LossKind.CONTRASTIVE, student_output="hidden.0")
        self.loss.set_pairs(term, side_field="side", group_field="group")

        def batch(first, end):
            rows = np.arange(first, end)
            made = kd.Batch(self.ctx).begin(end - first).set("inputs", self.x[first:end])
            return made.set("side", rows % 2).set("group", rows // 4)

        models[0].forward(batch(0, 60), kd.Mode.TRAIN)
        whole = self.loss.backward(models[0], batch(0, 60))
        chunks = [batch(0, 25), batch(25, 50), batch(50, 60)]
        parts = self.loss.backward_chunks(models[1], chunks)
        self.assertAlmostEqual(parts.value, whole.value, 6)
        gradients = [model.gradients for model in models]
        np.testing.assert_allclose(*gradients, atol=1e-6 * np.abs(gradients[0]).max())
        with self.assertRaises(ValueError):
            self.loss.backward_chunks(models[1], chunks, [kd.Targets(self.ctx)])

    def test_a_rehearsal_is_given_up(self):
        model = kd.Model(self.ctx, {**MLP, "hidden_dropout_prob": 0.3}, seed=3)
        batch = kd.Batch(self.ctx).begin(10).set("inputs", self.x[:10])
        model.forward(batch, kd.Mode.REHEARSE)
        rehearsed = model.output("logits").copy()
        model.forward(batch, kd.Mode.REHEARSE)  # taken for ten rows more of the same batch
        self.assertFalse(np.array_equal(model.output("logits"), rehearsed))
        model.end_rehearsal()
        model.forward(batch, kd.Mode.TRAIN)
        np.testing.assert_array_equal(model.output("logits"), rehearsed)


class RetrievalTest(Samples):
    def test_places_are_those_of_cosines(self):
        rng = np.random.default_rng(6)
        queries, candidates = (rng.normal(size=(40, 5)) for _ in range(2))
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, candidates))
        places = 1 + (a @ b.T > np.diag(a @ b.T)[:, None]).sum(1)
        metric = kd.metrics_measure_retrieval(self.ctx, queries, candidates, k=5)
        self.assertAlmostEqual(metric.value, np.mean(places <= 5))
        metric = kd.metrics_measure_retrieval(
            self.ctx, queries, candidates, kind=kd.RetrievalKind.MRR
        )
        self.assertAlmostEqual(metric.value, np.mean(1 / places))
        self.assertAlmostEqual(metric.standard_error, np.std(1 / places, ddof=1) / 40**0.5)

    def test_neighbors_vote(self):
        x = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
        metric = kd.metrics_measure_retrieval(
            self.ctx, x, x, [0, 0, 1, 1], [0, 0, 1, 1], kind=kd.RetrievalKind.VOTE, k=1
        )
        self.assertEqual(metric.value, 1)
