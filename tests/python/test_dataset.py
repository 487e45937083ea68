"""Datasets and where they come from."""

import unittest

import numpy as np

import kdistill as kd

from support import Samples


class DatasetTest(Samples):
    def test_it_has_what_it_was_given(self):
        data = self.data()
        data.borrow("weight", np.ones(60, np.float32), present=np.arange(60) % 2 == 0)
        self.assertEqual((len(data), data.fields), (60, ["inputs", "label", "weight"]))
        self.assertEqual(data.present("weight").sum(), 30)
        self.assertIsNone(data.present("label"))

    def test_npy_files_are_scaled(self):
        np.save(self.folder + "/x.npy", self.x)
        made = kd.Dataset(self.ctx).add_file("inputs", self.folder + "/x.npy", scale=2)
        np.testing.assert_array_equal(made.field("inputs"), self.x)
        self.assertEqual(made.key(5), self.data().key(5))

    def test_csv_has_inputs_and_labels(self):
        path = self.write("x.csv", "a;b\n1.5;1\n2.5;0\n")
        made = kd.Dataset.load_csv(self.ctx, path, separator=";")
        np.testing.assert_array_equal(made.field("label"), [1, 0])

    def test_idx_files_that_are_not_there_are_not_found(self):
        with self.assertRaises(kd.Error) as caught:
            kd.Dataset.load_idx(self.ctx, self.folder, "train")
        self.assertIs(caught.exception.status, kd.Status.ERR_NOT_FOUND)

    def test_parts_are_selected_and_joined(self):
        part = self.data().select([3, 1])
        np.testing.assert_array_equal(part.field("label"), self.y[[3, 1]])
        np.testing.assert_array_equal(part.concat(part).field("label"), self.y[[3, 1, 3, 1]])

    def test_pseudo_labels_are_those_that_the_teacher_is_sure_of(self):
        teacher = kd.Teacher(self.ctx).add("logits", self.v)
        labeled, counts = self.data().pseudo_label(teacher, threshold=0.6)
        sure = np.exp(self.v).max(1) / np.exp(self.v).sum(1) >= 0.6
        self.assertEqual((counts.seen, counts.kept), (60, len(labeled)))
        np.testing.assert_array_equal(labeled.field("label"), self.y[sure])


if __name__ == "__main__":
    unittest.main()
