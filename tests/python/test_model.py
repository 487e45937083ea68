"""Models: passes, parameters, files."""

import unittest

import numpy as np

import kdistill as kd

from support import MLP, Samples


class ModelTest(Samples):
    def setUp(self):
        super().setUp()
        self.model = kd.Model(self.ctx, MLP, seed=4)
        (_, w0), (_, b0), (_, w1), (_, b1) = self.model.tensors
        self.hidden = np.maximum(self.x @ w0.T + b0, 0)
        self.logits = self.hidden @ w1.T + b1

    def test_forward_is_what_the_parameters_say(self):
        z = self.model.forward(self.batch()).output()
        np.testing.assert_allclose(z, self.logits, atol=1e-5)
        np.testing.assert_allclose(self.model.output("hidden.0"), self.hidden, atol=1e-5)

    def test_gradients_of_outputs_reach_the_parameters(self):
        self.model.forward(self.batch(), kd.Mode.TRAIN)
        gradient = np.ones((60, 3), np.float32)
        self.model.add_output_gradient("logits", gradient)
        self.model.backward()
        np.testing.assert_allclose(
            self.model.tensor_gradient(2), gradient.T @ self.hidden, atol=1e-3
        )
        self.assertEqual(self.model.gradients.shape, self.model.parameters.shape)
        self.model.zero_gradients()
        self.assertEqual(np.abs(self.model.gradients).sum(), 0)

    def test_a_saved_model_is_the_same(self):
        self.model.save(self.folder + "/model")
        again = kd.Model.load(self.ctx, self.folder + "/model", frozen=True)
        np.testing.assert_array_equal(again.parameters, self.model.parameters)
        self.assertEqual(again.config, MLP)

    def test_predict_goes_over_a_dataset(self):
        made = self.model.predict(self.data(), batch_size=7)
        np.testing.assert_allclose(made, self.logits, atol=1e-5)
        hidden = self.model.predict(self.data(), "hidden.0", width=8)
        np.testing.assert_allclose(hidden, self.hidden, atol=1e-5)

    def test_parameters_are_copied_and_frozen(self):
        other = kd.Model(self.ctx, MLP, seed=5)
        other.copy_parameters(self.model)
        np.testing.assert_array_equal(other.parameters, self.model.parameters)
        other.freeze("*.bias")
        with self.assertRaises(kd.Error):
            other.freeze("nothing.*")

    def test_memory_is_told_before_it_is_taken(self):
        plan = kd.Model.estimate_memory(self.ctx, MLP, max_rows=60)
        self.assertEqual(plan.parameters, self.model.parameters.size)
        self.assertEqual(plan.gradient_bytes, 4 * plan.parameters)
        self.assertEqual(self.model.info.parameters, plan.parameters)

    def test_numbers_that_are_not_finite_are_found(self):
        self.assertEqual(self.model.count_nonfinite(), (0, None))
        self.model.tensors[1][1][:2] = np.nan
        self.assertEqual(self.model.count_nonfinite(), (2, self.model.tensors[1][0]))

    def test_latency_is_measured(self):
        self.assertGreater(self.model.measure_latency(2, 0.01).samples_per_second, 0)

    def test_the_safetensors_package_reads_our_files(self):
        try:
            from safetensors.numpy import load_file
        except ImportError:
            print("SKIPPED safetensors: the package is not installed")
            return
        self.model.save(self.folder + "/model")
        tensors = load_file(self.folder + "/model/model.safetensors")
        for name, values in self.model.tensors:
            np.testing.assert_array_equal(tensors[name], values)


if __name__ == "__main__":
    unittest.main()
