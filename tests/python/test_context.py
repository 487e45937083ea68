"""The context: facts, the host's callbacks, products."""

import unittest

import numpy as np

import kdistill as kd

from support import MLP, Samples


class ContextTest(Samples):
    def test_facts_are_typed(self):
        info = self.ctx.info
        self.assertEqual((info.threads, info.seed), (2, 3))
        self.assertIsInstance(info.isa, kd.Isa)
        self.assertIsInstance(info.blas, str)

    def test_log_lines_come_with_their_level(self):
        lines = []
        with kd.Context(threads=1, log=lambda level, line: lines.append((level, line))) as ctx:
            self.assertEqual(len(lines), ctx.info.blas_is_slow)
        self.assertTrue(all(isinstance(level, kd.LogLevel) for level, _ in lines))

    def test_a_product_is_numpys(self):
        a, b = self.x[:8], self.x[:4]
        np.testing.assert_allclose(self.ctx.matmul(a, b), a @ b, atol=1e-5)
        np.testing.assert_allclose(self.ctx.matmul(a.T, a), a.T @ a, atol=1e-5)

    def test_bfloat16_products_are_rounded(self):
        a, b = self.x[:8], self.x[:4]
        rounded = kd.Context(threads=2, matmul_precision=kd.Products.BFLOAT16)
        self.assertIs(rounded.info.matmul_precision, kd.Products.BFLOAT16)
        error = np.abs(rounded.matmul(a, b) - a @ b).max()
        self.assertTrue(1e-5 < error < 0.1, error)
        self.assertGreater(min(rounded.measure_matmul()), 0)

    def test_an_exception_in_the_hosts_product_is_the_error(self):
        products = []

        def mine(ta, tb, m, n, k, *rest):
            products.append((m, n, k))
            raise ValueError("not today")

        with self.assertRaisesRegex(kd.Error, "ValueError: not today"):
            kd.Context(matmul=mine).matmul(self.x[:8], self.x[:4])
        self.assertEqual(products, [(8, 4, 4)])

    def test_progress_can_end_a_call(self):
        stages = []
        ctx = kd.Context(
            progress=lambda stage, done, total: stages.append(stage) or len(stages) > 2
        )
        data = kd.Dataset(ctx, inputs=self.x)
        with self.assertRaises(kd.Error) as caught:
            kd.Model(ctx, MLP).predict(data, batch_size=10)
        self.assertIs(caught.exception.status, kd.Status.ERR_CANCELED)
        self.assertEqual(stages, ["predict"] * 3)

    def test_cancel_ends_calls_until_it_is_taken_back(self):
        model = kd.Model(self.ctx, MLP)
        self.ctx.cancel()
        with self.assertRaises(kd.Error) as caught:
            model.predict(self.data())
        self.assertIs(caught.exception.status, kd.Status.ERR_CANCELED)
        self.ctx.cancel(False)
        self.assertEqual(model.predict(self.data()).shape, (60, 3))


if __name__ == "__main__":
    unittest.main()
