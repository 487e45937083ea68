"""Loaders and batches."""

import unittest

import numpy as np

import kdistill as kd

from support import Samples


class LoaderTest(Samples):
    def test_every_sample_comes_once_an_epoch(self):
        loader, batch, seen = kd.Loader(self.data(), batch_size=25, seed=1), kd.Batch(self.ctx), []
        for b in loader.into(batch):
            numbers, keys, views = b.samples
            np.testing.assert_array_equal(b.field("inputs"), self.x[numbers])
            np.testing.assert_array_equal(b.field("label"), self.y[numbers])
            self.assertEqual((keys.shape[1], views.sum()), (2, 0))
            seen += numbers.tolist()
        self.assertEqual(sorted(seen), list(range(60)))
        self.assertEqual(loader.position, (1, 0, 3))

    def test_seek_gives_the_same_epoch_again(self):
        loader, batch = kd.Loader(self.data(), batch_size=25, seed=1), kd.Batch(self.ctx)
        first = [b.samples.numbers.tolist() for b in loader.into(batch)]
        loader.seek(0)
        self.assertTrue(loader.next(batch))
        self.assertEqual(batch.samples.numbers.tolist(), first[0])


class BatchTest(Samples):
    def test_fields_may_be_absent_a_row(self):
        batch = kd.Batch(self.ctx).begin(2).set("inputs", self.x[:2], present=[1, 0])
        np.testing.assert_array_equal(batch.present("inputs"), [1, 0])
        self.assertIsNone(batch.borrow("label", self.y[:2]).present("label"))

    def test_samples_are_what_the_host_says(self):
        batch = kd.Batch(self.ctx).begin(2).set_samples(numbers=[7, 8])
        np.testing.assert_array_equal(batch.samples.numbers, [7, 8])

    def test_a_packed_batch_has_rows_of_samples(self):
        batch = kd.Batch(self.ctx).begin_packed([0, 3, 5])
        self.assertEqual(batch.counts, (2, 5))
        np.testing.assert_array_equal(batch.offsets, [0, 3, 5])

    def test_fields_of_samples_stand_beside_fields_of_rows(self):
        batch = kd.Batch(self.ctx).begin_packed([0, 3, 5])
        batch.set_per_sample("group", [7, 8], present=[0, 1])
        np.testing.assert_array_equal(batch.field("group"), [7, 8])
        np.testing.assert_array_equal(batch.present("group"), [0, 1])
        with self.assertRaisesRegex(kd.Error, "expected 2 samples, got 5"):
            batch.set_per_sample("group", np.arange(5))

    def test_a_field_may_have_rows_of_its_own(self):
        batch = kd.Batch(self.ctx).begin_packed([0, 3, 5])
        batch.set_ragged("frames", np.ones((4, 2), np.float32), [0, 4, 4], present=[1, 0])
        self.assertEqual(batch.field("frames").shape, (4, 2))
        np.testing.assert_array_equal(batch.field_offsets("frames"), [0, 4, 4])
        np.testing.assert_array_equal(batch.present("frames"), [1, 0])

    def test_a_packer_carries_numbers_of_records(self):
        with kd.Packer(self.ctx) as packer:
            packer.add_field("label")
            packer.add_field("scores", kd.DType.FLOAT32, 2)
            packer.add_ids([1, 2, 3], key=(1, 1))
            packer.set_field("label", [4])
            packer.add(ids=[5, 6], extra='{"scores": [0.5, 1]}')
            batch = packer.next(kd.Batch(self.ctx))
            first = batch.samples.keys[:, 0] == 1
            np.testing.assert_array_equal(batch.present("label"), first)
            np.testing.assert_array_equal(batch.present("scores"), ~first)
            np.testing.assert_array_equal(batch.field("label")[first], [4])
            np.testing.assert_array_equal(batch.field("scores")[~first], [[0.5, 1]])

    def test_a_batch_without_samples_has_empty_fields(self):
        batch = kd.Batch(self.ctx).begin(0).set("inputs", self.x[:0])
        self.assertEqual((batch.counts.rows, batch.field("inputs").shape[0]), (0, 0))

    def test_tokens_are_hidden_the_same_way_twice(self):
        made = []
        for epoch in (0, 0, 1):
            batch = kd.Batch(self.ctx).begin_packed([0, 200]).set("tokens", np.arange(200) % 50)
            batch.mask_tokens([0, 1], mask_token=3, vocabulary_size=50, seed=7, epoch=epoch)
            made.append([batch.field(name).copy() for name in ("tokens", "label", "mask")])
        np.testing.assert_array_equal(made[0], made[1])
        self.assertFalse(np.array_equal(made[0][2], made[2][2]))
        tokens, labels, mask = made[0]
        np.testing.assert_array_equal(labels, np.where(mask, np.arange(200) % 50, -100))
        self.assertTrue(0 < mask.sum() < 80)
        np.testing.assert_array_equal(tokens[mask == 0], (np.arange(200) % 50)[mask == 0])
        with self.assertRaisesRegex(kd.Error, "mask_token: expected 0 to 49"):
            batch.mask_tokens(mask_token=50, vocabulary_size=50)


if __name__ == "__main__":
    unittest.main()
