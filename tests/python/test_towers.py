"""Towers: embeddings of several modalities, presence, models in and out."""

import os
import unittest

import numpy as np

import kdistill as kd

from support import Case

CONFIG = {
    "model_type": "towers",
    "projection_dim": 4,
    "normalize": True,
    "logit_scale_init_value": 2.0,
    "logit_bias_init_value": -1.0,
    "towers": {
        "image": {"model_type": "mlp", "input_size": 6, "num_labels": 5, "input": "pixels"},
        "text": {"model_type": "static_embedding", "vocab_size": 9, "hidden_size": 3},
    },
    "fusion": {"type": "gated"},
}


class TowersTest(Case):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(3)
        self.pixels = rng.normal(size=(5, 6)).astype(np.float32)
        self.tokens = rng.integers(0, 9, size=(5, 3))
        self.tokens[2] = -1
        self.batch = kd.Batch(self.ctx).begin(5)
        self.batch.set("pixels", self.pixels, present=[1, 1, 1, 0, 1]).set("tokens", self.tokens)

    def test_pairs_learn_and_absent_samples_are_told(self):
        model = kd.Model(self.ctx, CONFIG, seed=5)
        loss = kd.Loss(self.ctx)
        term = loss.add(kd.LossKind.SIGMOID_CONTRASTIVE, 1, student_output="embedding.image")
        loss.set_pairs(
            term,
            other_output="embedding.text",
            scale_output="logit_scale",
            bias_output="logit_bias",
        )
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW)
        optimizer.add_model(model)
        values = []
        for _ in range(60):
            model.forward(self.batch, kd.Mode.TRAIN)
            result = loss.backward(model, self.batch)
            values.append(result.value)
            optimizer.step(0.05)
        self.assertEqual(result.rows[0], 3)
        self.assertLess(values[-1], 0.5 * values[0])
        model.forward(self.batch)
        self.assertEqual(model.output_present("embedding.image").tolist(), [1, 1, 1, 0, 1])
        self.assertEqual(model.output_present("embedding.text").tolist(), [1, 1, 0, 1, 1])
        self.assertIsNone(model.output_present("fused"))
        lengths = np.linalg.norm(model.output("embedding.image"), axis=1)
        np.testing.assert_allclose(lengths, [1, 1, 1, 0, 1], atol=1e-6)

    def test_towers_come_from_models_and_go_back(self):
        text = kd.Model(self.ctx, CONFIG["towers"]["text"], seed=9)
        joined = {**CONFIG, "towers": {**CONFIG["towers"], "text": {"frozen": True}}}
        model = kd.Model.towers(self.ctx, joined, {"text": text})
        mine = {name: values.copy() for name, values in text.tensors}
        np.testing.assert_array_equal(
            dict(model.tensors)["towers.text.embedding.weight"], mine["embedding.weight"]
        )
        folder = os.path.join(self.folder, "text")
        model.save_tower("text", folder)
        back = kd.Model.load(self.ctx, folder)
        again = dict(back.tensors)["embedding.weight"]
        np.testing.assert_array_equal(again, mine["embedding.weight"])
        with self.assertRaisesRegex(kd.Error, "no tower 'sound'"):
            model.save_tower("sound", folder)


if __name__ == "__main__":
    unittest.main()
