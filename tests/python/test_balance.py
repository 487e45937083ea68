"""Weights of several tasks."""

import os
import unittest

import numpy

import kdistill as kd

from support import Case


class BalanceTest(Case):
    def test_each_kind_is_its_formula(self):
        static = kd.Balance(self.ctx, kd.BalanceKind.STATIC, 2, weights=[0.25, 3])
        mean = kd.Balance(self.ctx, kd.BalanceKind.MEAN, 2, decay=1)
        dwa = kd.Balance(self.ctx, kd.BalanceKind.DWA, 2, temperature=2)
        losses = [[(1, 4), (3, 6)], [(1, 1), (0, 2)]]
        for epoch in losses:
            for pair in epoch:
                for balance in (static, mean, dwa):
                    for task, loss in enumerate(pair):
                        balance.report(task, loss)
            dwa.end_epoch()
        self.assertEqual([static.value(task) for task in (0, 1)], [0.25, 3])
        means = numpy.mean([pair for epoch in losses for pair in epoch], axis=0)
        share = (1 / means) / (1 / means).sum()
        numpy.testing.assert_allclose([mean.value(task) for task in (0, 1)], 2 * share)
        ratio = numpy.mean(losses[1], axis=0) / numpy.mean(losses[0], axis=0)
        share = numpy.exp(ratio / 2) / numpy.exp(ratio / 2).sum()
        numpy.testing.assert_allclose([dwa.value(task) for task in (0, 1)], 2 * share)

    def test_a_checkpoint_holds_it(self):
        path = os.path.join(self.folder, "balance.kdc")
        made = [kd.Balance(self.ctx, kd.BalanceKind.MEAN, 2) for _ in range(2)]
        for step in range(5):
            made[0].report(0, 1 / (step + 1))
            made[0].report(1, step)
        kd.Checkpoint(self.ctx).add("balance", made[0]).save(path)
        self.assertTrue(kd.Checkpoint(self.ctx).add("balance", made[1]).load(path))
        self.assertEqual(made[0].value(1), made[1].value(1))
        self.assertNotEqual(made[0].value(1), 1)

    def test_bad_input_is_refused(self):
        balance = kd.Balance(self.ctx, kd.BalanceKind.MEAN, 2)
        with self.assertRaisesRegex(kd.Error, "task from 0 to 1, got 2"):
            balance.report(2, 1)
        with self.assertRaisesRegex(kd.Error, "0 or more, got -1"):
            balance.report(0, -1)
        with self.assertRaises(IndexError):
            balance.value(2)
        with self.assertRaisesRegex(ValueError, "expected 2, got 1"):
            kd.Balance(self.ctx, kd.BalanceKind.STATIC, 2, weights=[1])


if __name__ == "__main__":
    unittest.main()
