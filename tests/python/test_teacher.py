"""Teachers of arrays, models, ensembles and functions."""

import unittest

import numpy as np

import kdistill as kd

from support import LLAMA, MLP, Case, Samples


class TeacherTest(Samples):
    def setUp(self):
        super().setUp()
        self.seen, self.targets = kd.Batch(self.ctx), kd.Targets(self.ctx)
        kd.Loader(self.data(), batch_size=60).next(self.seen)
        self.numbers = self.seen.samples.numbers.copy()

    def said(self, teacher):
        return teacher.read(self.seen, self.targets).field("logits").copy()

    def test_arrays_answer_by_number(self):
        teacher = kd.Teacher(self.ctx).borrow("logits", self.v).add("label", self.y)
        np.testing.assert_array_equal(self.said(teacher), self.v[self.numbers])
        self.assertIsNone(self.targets.present("logits"))
        np.testing.assert_array_equal(teacher.field("label"), self.y)

    def test_arrays_answer_by_key(self):
        keys = self.seen.samples.keys.copy()
        teacher = kd.Teacher(self.ctx, keys, lookup=kd.Lookup.KEY)
        teacher.add("logits", self.v[self.numbers])
        np.testing.assert_array_equal(self.said(teacher), self.v[self.numbers])

    def test_collected_answers_are_the_models(self):
        live = kd.Teacher.from_model(kd.Model(self.ctx, MLP, frozen=True))
        expected = self.said(live)
        np.testing.assert_allclose(self.said(live.collect(self.data(), 16)), expected, atol=1e-6)

    def test_an_ensemble_is_the_mean(self):
        arrays = kd.Teacher(self.ctx).add("logits", self.v)
        live = kd.Teacher.from_model(kd.Model(self.ctx, MLP, frozen=True))
        both = [arrays, live]
        mixed = kd.Teacher.from_ensemble(self.ctx, both, weights=[1, 1], mean=kd.Mean.LOGITS)
        expected = (self.v[self.numbers] + self.said(live)) / 2
        np.testing.assert_allclose(self.said(mixed), expected, atol=1e-5)

    def test_an_ensemble_of_language_models(self):
        """They give hidden states and a head, not logits."""
        models = [kd.Model(self.ctx, LLAMA, seed=seed, frozen=True) for seed in (1, 2)]
        batch = kd.Batch(self.ctx).begin_packed([0, 4, 9]).set("tokens", np.arange(9))
        expected = []
        for model in models:
            logits = model.forward(batch, kd.Mode.EVALUATE).output("logits").astype(np.float64)
            expected.append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
        members = [kd.Teacher.from_model(model) for model in models]
        teacher = kd.Teacher.from_ensemble(self.ctx, members, weights=[3, 1])
        student, loss = kd.Model(self.ctx, LLAMA, seed=3), kd.Loss(self.ctx)
        loss.add(kd.LossKind.FORWARD_KL)
        loss.keep_outputs(student, teacher)
        for _ in range(2):
            targets = teacher.read(batch, kd.Targets(self.ctx))
            got = targets.field("logits")
            wanted = 0.75 * expected[0] + 0.25 * expected[1]
            np.testing.assert_allclose(np.exp(got), wanted, rtol=1e-5)
        student.forward(batch, kd.Mode.TRAIN)
        z = student.output("logits").astype(np.float64)
        q = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        value = (wanted * np.log(wanted / q)).sum(1).mean()
        self.assertAlmostEqual(loss.backward(student, batch, targets).value, value, 6)

    def test_teachers_of_tasks_do_not_collide(self):
        keys = self.seen.samples.keys.copy()
        some = kd.Teacher(self.ctx, keys[:20], lookup=kd.Lookup.KEY, missing=kd.Missing.ABSENT).add(
            "logits", self.v[self.numbers[:20]]
        )
        live = kd.Teacher.from_model(kd.Model(self.ctx, MLP, frozen=True))
        expected = self.said(live)
        both = kd.Teacher.from_tasks(self.ctx, {"topic": some, "": live})
        np.testing.assert_array_equal(self.said(both), expected)
        got = self.targets.field("logits.topic")[:20]
        np.testing.assert_array_equal(got, self.v[self.numbers[:20]])
        self.assertEqual(self.targets.present("logits.topic").sum(), 20)
        with self.assertRaisesRegex(kd.Error, "without '.', got 'a.b'"):
            kd.Teacher.from_tasks(self.ctx, {"a.b": some})

    def test_python_answers(self):
        def read(batch, targets):
            targets.set("logits", self.v[batch.samples.numbers])

        teacher = kd.Teacher.from_callbacks(self.ctx, read)
        np.testing.assert_array_equal(self.said(teacher), self.v[self.numbers])

    def test_an_exception_in_python_is_the_error(self):
        def read(batch, targets):
            raise RuntimeError("ill")

        with self.assertRaisesRegex(kd.Error, "RuntimeError: ill"):
            self.said(kd.Teacher.from_callbacks(self.ctx, read))


class LiveTeacherTest(Case):
    threads = 1

    def test_a_language_model_into_a_default_store_serves_any_temperature(self):
        model = kd.Model(self.ctx, {**LLAMA, "vocab_size": 300})
        batch = kd.Batch(self.ctx).begin_packed([0, 9]).set("tokens", np.arange(9))
        batch.set_samples(keys=np.array([[7, 7]], np.uint64))
        path, said = self.folder + "/live.kdt", kd.Targets(self.ctx)
        fields = [{"kind": kd.StoreKind.TOPK, "name": "logits", "k": 16}]
        align = kd.Align.NEXT
        with kd.StoreWriter(self.ctx, path, fields, vocabulary=300, align=align) as writer:
            writer.add(batch, kd.Teacher.from_model(model).read(batch, said))
        loss, kept = kd.Loss(self.ctx), kd.Targets(self.ctx)
        soft, teacher = loss.add(kd.LossKind.FORWARD_KL), kd.Teacher.open(self.ctx, path)
        for temperature in (2, 1.6, 1.2, 1):
            loss.set(soft, temperature=temperature)
            teacher.read(batch, kept)
            model.forward(batch)
            self.assertLess(abs(loss.backward(model, batch, kept).value), 1e-3)  # its own teacher
        loss.set(soft, temperature=0.5)
        model.forward(batch)
        with self.assertRaisesRegex(kd.Error, "known at: 1, 2, 4"):
            loss.backward(model, batch, kept)


if __name__ == "__main__":
    unittest.main()
