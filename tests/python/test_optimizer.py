"""Optimizers, monitors and checkpoints."""

import unittest

import numpy as np

import kdistill as kd

from support import MLP, Samples


class OptimizerTest(Samples):
    def test_it_changes_the_hosts_arrays(self):
        w, g = np.ones((2, 2), np.float32), np.ones((2, 2), np.float32)
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.SGD, average_decay=0.5)
        optimizer.borrow_array("w", w, g)
        optimizer.add_group("w", learning_rate=2)
        optimizer.set(gradient_scale=0.5)
        optimizer.step(0.1)
        np.testing.assert_allclose(w, 0.9, atol=1e-6)
        self.assertAlmostEqual(optimizer.info.gradient_norm, 1)
        optimizer.swap_average()
        np.testing.assert_allclose(w, 0.95, atol=1e-6)

    def test_numbers_have_names_and_bounds(self):
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.SGD)
        optimizer.set(gradient_scale=0.5)
        self.assertEqual(optimizer.get("gradient_scale"), 0.5)
        self.assertEqual(kd.Optimizer.bounds("momentum"), (0, 1))

    def test_moments_may_have_16_bits(self):
        w, g = np.zeros(9, np.float32), np.full(9, 2, np.float32)
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, moments=kd.DType.BFLOAT16)
        optimizer.borrow_array("w", w, g)
        optimizer.step(0.1)
        np.testing.assert_allclose(w, -0.1, atol=2e-3)
        with self.assertRaisesRegex(kd.Error, "moments"):
            kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, moments=kd.DType.INT8)

    def test_muon_takes_matrices(self):
        w, g = np.zeros((4, 6), np.float32), np.eye(4, 6, dtype=np.float32)
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.MUON)
        optimizer.borrow_array("w", w, g)
        optimizer.step(0.1)
        lengths = np.linalg.svd(w, compute_uv=False) / (0.1 * 0.2 * np.sqrt(6))
        self.assertTrue(np.all((lengths > 0.6) & (lengths < 1.3)), lengths)
        with self.assertRaisesRegex(kd.Error, "first step"):
            optimizer.add_group("w", rule=kd.OptimizerRule.ADAMW)

    def test_models_are_added_at_once(self):
        models = [kd.Model(self.ctx, MLP) for _ in range(2)]
        self.assertEqual(kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, *models).info.steps, 0)


class MonitorTest(Samples):
    def test_the_best_parameters_come_back(self):
        model = kd.Model(self.ctx, MLP)
        monitor, best = kd.Monitor(model, patience=1), model.parameters.copy()
        self.assertEqual(monitor.report(0.5), kd.Verdict.IMPROVED)
        model.parameters[:] = 0
        self.assertEqual(monitor.report(0.4), kd.Verdict.STOP)
        monitor.restore()
        np.testing.assert_array_equal(model.parameters, best)
        self.assertEqual(monitor.best, (0.5, 0))


class CheckpointTest(Samples):
    def test_all_parts_come_back(self):
        model, step = kd.Model(self.ctx, MLP), np.array([4], np.int64)
        loss = kd.Loss(self.ctx)
        loss.add(kd.LossKind.CROSS_ENTROPY)
        checkpoint = kd.Checkpoint(self.ctx, sync=False)
        parts = {
            "m": model,
            "o": kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, model),
            "l": kd.Loader(self.data()),
            "s": kd.Schedule.plateau(self.ctx),
            "c": loss,
            "b": kd.Monitor(model),
            "n": step,
        }
        for name, part in parts.items():
            checkpoint.add(name, part)
        self.assertFalse(checkpoint.load(self.folder + "/run.kdc"))
        before = model.parameters.copy()
        checkpoint.save(self.folder + "/run.kdc")
        model.parameters[:], step[0] = 0, 0
        self.assertTrue(checkpoint.load(self.folder + "/run.kdc"))
        np.testing.assert_array_equal(model.parameters, before)
        self.assertEqual(step[0], 4)

    def test_what_is_no_part_is_refused(self):
        with self.assertRaisesRegex(TypeError, "expected a Model.*got list"):
            kd.Checkpoint(self.ctx).add("x", [1])


if __name__ == "__main__":
    unittest.main()
