"""numpy arrays as C sees them."""

import gc
import unittest

import numpy as np

import kdistill as kd
from kdistill import _api

from support import MLP, Samples


class ArraysTest(Samples):
    def test_c_describes_and_counts_them(self):
        made = _api.kd_array()
        dims = (_api.c_int64 * 2)(3, 4)
        self.assertEqual(kd.lib.kd_array_init(made, None, kd.DType.FLOAT32, 2, dims), 0)
        self.assertEqual(kd.lib.kd_array_count(made), 12)
        self.assertEqual(kd.lib.kd_dtype_bytes(kd.DType.INT16), 2)

    def test_strides_and_bool_are_taken(self):
        turned = self.x.astype(np.float64).T.copy().T
        data = kd.Dataset(self.ctx, inputs=turned, flags=self.y > 0)
        np.testing.assert_array_equal(data.field("inputs"), turned)
        np.testing.assert_array_equal(data.field("flags"), (self.y > 0).astype(np.uint8))

    def test_strides_that_are_no_whole_elements_are_copied(self):
        packed = np.zeros(60, np.dtype([("a", "u1"), ("b", "<f4")]))
        packed["b"] = self.x[:, 0]
        np.testing.assert_array_equal(
            kd.Dataset(self.ctx, inputs=packed["b"]).field("inputs"), self.x[:, 0]
        )

    def test_a_dtype_that_c_has_not_is_refused_by_name(self):
        for values in (np.zeros(2, complex), np.zeros(2, ">f4"), np.array(["a"])):
            with self.assertRaisesRegex(TypeError, "expected a dtype of float32"):
                kd.Dataset(self.ctx, inputs=values)

    def test_bfloat16_rounds_to_the_nearest(self):
        made = kd.Bfloat16([1.0, 1.00390625, 1.01171875])  # ties to even
        self.assertEqual(made.to_float32().tolist(), [1.0, 1.0, 1.015625])
        np.testing.assert_array_equal(kd.Bfloat16(made.bits).bits, made.bits)

    def test_a_view_keeps_its_handle_alive(self):
        view = kd.Model(self.ctx, MLP).parameters
        gc.collect()
        self.assertTrue(np.isfinite(view).all())
        self.assertTrue(view.flags.writeable)


if __name__ == "__main__":
    unittest.main()
