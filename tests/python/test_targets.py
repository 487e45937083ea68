"""Targets: sparse fields, heads, another tokenizer's rows."""

import unittest

import numpy as np

import kdistill as kd

from support import Case


class TargetsTest(Case):
    V, D, ROWS = 200, 20, 37

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(1)
        self.head = rng.normal(0, 0.5, (self.V, self.D)).astype(np.float32)
        self.hidden = rng.normal(0, 2, (self.ROWS, self.D)).astype(np.float32)
        self.logits = self.hidden @ self.head.T
        self.z = rng.normal(0, 1, (self.ROWS, self.V)).astype(np.float32)
        self.batch = kd.Batch(self.ctx).begin_packed([0, 20, 36, 37])
        self.dense = self.begin().borrow("logits", self.logits).borrow("hidden", self.hidden)

    def begin(self):
        return kd.Targets(self.ctx).begin(self.ROWS)

    def value(self, targets, **options):
        with kd.Loss(self.ctx) as loss:
            loss.add(kd.LossKind.FORWARD_KL, **options)
            return loss.evaluate({"logits": self.z}, self.batch, targets).value

    def test_the_most_probable_classes_are_selected(self):
        self.dense.select("topk", self.logits, 8, further=np.array([2], np.float32))
        sparse = self.dense.sparse("topk")
        np.testing.assert_array_equal(sparse["ids"][:8], np.sort(np.argsort(-self.logits[0])[:8]))
        self.assertIsNone(sparse["present"])
        less = self.value(self.dense, teacher_field="topk")
        self.assertLess(less, self.value(self.dense) + 1e-6)  # fewer classes tell less

    def test_a_sparse_field_that_is_set_is_the_one_that_was_read(self):
        sparse = self.dense.select("topk", self.logits, 8).sparse("topk")
        again = self.begin().set_sparse(
            "topk",
            sparse["ids"].copy(),
            sparse["values"].copy(),
            offsets=sparse["offsets"].copy(),
            tail=sparse["tail"].copy(),
            vocabulary=self.V,
        )
        expected = self.value(self.dense, teacher_field="topk")
        self.assertAlmostEqual(self.value(again, teacher_field="topk"), expected, 6)

    def test_an_id_twice_in_a_row_is_refused(self):
        ids, values = np.full((self.ROWS, 2), 3), np.full((self.ROWS, 2), -1, np.float32)
        with self.assertRaisesRegex(kd.Error, "twice"):
            self.begin().set_sparse("topk", ids, values)

    def test_classes_are_drawn(self):
        self.dense.sample("draws", self.logits, 50, temperature=2, seed=3)
        self.assertGreater(self.value(self.dense, teacher_field="draws", temperature=2), 0)

    def test_a_teachers_head_gives_its_logits(self):
        through = self.begin().borrow("hidden", self.hidden)
        through.borrow_head("logits", "hidden", kd.Head(self.head))
        self.assertAlmostEqual(self.value(through), self.value(self.dense), 5)

    def test_bfloat16_is_taken(self):
        half = self.begin().borrow("logits", kd.Bfloat16(self.logits))
        self.assertAlmostEqual(self.value(half), self.value(self.dense), 1)

    def test_a_students_head_gets_its_gradient(self):
        loss, dh = kd.Loss(self.ctx, memory_limit=1 << 20), np.zeros_like(self.hidden)
        loss.add(kd.LossKind.FORWARD_KL, temperature=2)
        dw = np.zeros_like(self.head)
        heads = {"logits": kd.Head(self.head, weight_gradient=dw)}
        outputs, gradients = {"logits": self.hidden}, {"logits": dh}
        made = loss.evaluate(outputs, self.batch, self.dense, gradients=gradients, heads=heads)
        self.assertLess(made.value, 1e-6)  # the student is the teacher
        self.assertLess(np.abs(dw).max(), 1e-6)
        self.assertGreater(loss.estimate_memory(self.ROWS, self.V, self.D, self.D).size, 0)
        self.assertLessEqual(loss.estimate_memory(self.ROWS, self.V, self.D).block_rows, self.ROWS)


class AlignTest(Case):
    def test_texts_are_cut_where_both_sides_end(self):
        chunks = kd.align_find_chunks([3, 7, 11], [2, 3, 7, 11])
        np.testing.assert_array_equal(chunks, [[0, 1, 0, 2], [1, 2, 2, 3], [2, 3, 3, 4]])
        np.testing.assert_allclose(
            kd.align_sum_chunks([-1, -2, -4, -8], chunks, True), [-3, -4, -8]
        )
        np.testing.assert_allclose(kd.align_sum_chunks([-1, -2, -4], chunks), [-1, -2, -4])

    def test_fields_move_to_the_other_sides_rows(self):
        chunks = kd.align_find_chunks([3, 7, 11], [2, 3, 7, 11])
        logits = np.arange(8, dtype=np.float32).reshape(4, 2)
        source = kd.Targets(self.ctx).begin(4).set("logits", logits)
        to = kd.Targets(self.ctx).begin(3)
        self.assertEqual(to.align(source, "logits", chunks), 1)
        np.testing.assert_array_equal(to.present("logits"), [0, 1, 1])
        np.testing.assert_array_equal(to.field("logits")[1], [4, 5])


if __name__ == "__main__":
    unittest.main()
