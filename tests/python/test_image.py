"""Images before they enter a model."""

import json
import unittest

import numpy as np

import kdistill as kd

from support import Samples


class ImageTest(Samples):
    def test_images_are_resized_with_anti_alias(self):
        ramp = np.tile(np.arange(8, dtype=np.uint8) * 10, (8, 1))
        half = kd.image_resize(self.ctx, ramp, (4, 4), resample=kd.Resample.BOX)
        np.testing.assert_array_equal(half, np.tile([5, 25, 45, 65], (4, 1)))
        batch = np.repeat(ramp[None, ..., None], 3, axis=0)
        many = kd.image_resize(self.ctx, batch, (4, 4), resample=kd.Resample.BOX)
        self.assertEqual(many.shape, (3, 4, 4, 1))
        np.testing.assert_array_equal(many[2, ..., 0], half)
        part = kd.image_resize(self.ctx, ramp.astype(np.float32), (8, 2), left=2, right=6, bottom=8)
        self.assertEqual((part.dtype, part.shape), (np.float32, (8, 2)))

    def test_views_are_images_as_well(self):
        planes = np.random.default_rng(0).integers(0, 256, (3, 9, 7), np.uint8)
        made = kd.image_resize(self.ctx, planes.transpose(1, 2, 0), (5, 6))
        for c in range(3):
            np.testing.assert_array_equal(
                made[..., c], kd.image_resize(self.ctx, planes[c], (5, 6))
            )

    def test_the_middle_is_cropped(self):
        image = np.arange(20, dtype=np.float32).reshape(4, 5)
        np.testing.assert_array_equal(kd.image_crop(self.ctx, image, (2, 3)), image[1:3, 1:4])
        wide = kd.image_crop(self.ctx, image, (4, 9))
        np.testing.assert_array_equal(wide[:, 2:7], image)
        self.assertEqual(wide[:, :2].sum() + wide[:, 7:].sum(), 0)

    def test_a_processor_prepares_what_a_model_reads(self):
        config = {
            "image_processor_type": "ViTImageProcessor",
            "size": {"height": 7, "width": 9},
            "image_mean": [0.5, 0.5],
            "image_std": [0.25, 0.5],
        }
        path = self.write("preprocessor_config.json", json.dumps(config))
        made = kd.ImageProcessor.load(self.ctx, path.rsplit("/", 1)[0])
        image = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 2), np.uint8)
        pixels = made.prepare(image)
        self.assertEqual(pixels.shape, (2, 2, 7, 9))
        small = kd.image_resize(self.ctx, image, (7, 9)) / np.float32(255)
        want = (small - np.float32(0.5)) / np.float32([0.25, 0.5])
        np.testing.assert_allclose(pixels, want.transpose(0, 3, 1, 2), atol=1e-6)
        np.testing.assert_array_equal(made.prepare(image[1]), pixels[1])
        self.assertEqual(kd.ImageProcessor(self.ctx, json.dumps(config)).find_size(3, 4), (7, 9))
        vit = {"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 1}
        vit |= {"num_attention_heads": 2, "intermediate_size": 8, "num_channels": 2}
        model = kd.Model(self.ctx, vit | {"image_size": [7, 9], "patch_size": [3, 3]})
        batch = kd.Batch(self.ctx).begin(2)
        batch.set("pixels", pixels)
        model.forward(batch, kd.Mode.EVALUATE)

    def test_what_is_not_known_is_refused(self):
        with self.assertRaises(kd.Error) as caught:
            kd.ImageProcessor(self.ctx, '{"image_processor_type":"ViTImageProcessor","x":1}')
        self.assertIs(caught.exception.status, kd.Status.ERR_UNSUPPORTED)
        with self.assertRaises(kd.Error):
            kd.image_resize(self.ctx, np.zeros((2, 2), np.float64), (1, 1))

    def test_channels_have_a_mean_and_a_deviation(self):
        mean, deviation = np.float32([0.4, 0.6]), np.float32([0.2, 0.3])
        x = np.random.default_rng(0).integers(0, 256, (4, 2, 3, 3), np.uint8)
        data = kd.Dataset(self.ctx)
        data.add(
            "x", x, scale=1 / 255, channel_scale=1 / deviation, channel_shift=-mean / deviation
        )
        batch = kd.Batch(self.ctx)
        self.assertTrue(kd.Loader(data, batch_size=4, shuffle=False).next(batch))
        want = (x / 255 - mean[:, None, None]) / deviation[:, None, None]
        np.testing.assert_allclose(batch.field("x"), want, atol=1e-5)

    def test_patches_are_left_out_of_training_passes(self):
        vit = {"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 1}
        vit |= {"num_attention_heads": 2, "intermediate_size": 8, "num_channels": 1}
        vit |= {"image_size": 12, "patch_size": 3, "kd_patch_dropout": 0.75}
        model = kd.Model(self.ctx, vit)
        batch = kd.Batch(self.ctx).begin(2)
        batch.set("pixels", np.ones((2, 1, 12, 12), np.float32))
        model.forward(batch, kd.Mode.TRAIN)
        self.assertEqual(model.output("hidden").shape, (2, 5, 8))
        model.forward(batch, kd.Mode.EVALUATE)
        self.assertEqual(model.output("hidden").shape, (2, 17, 8))


if __name__ == "__main__":
    unittest.main()
