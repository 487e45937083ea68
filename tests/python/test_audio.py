"""Sounds and mel spectrograms from Python."""

import os
import unittest
import wave

import numpy as np

import kdistill as kd

from support import Case


class AudioTest(Case):
    def setUp(self):
        super().setUp()
        t = np.arange(4000)
        self.x = (0.5 * np.sin(2 * np.pi * 440 * t / 8000)).astype(np.float32)

    def test_a_file_of_the_wave_module_is_read_and_written(self):
        path, again = (os.path.join(self.folder, name) for name in ("a.wav", "b.wav"))
        with wave.open(path, "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(8000)
            integers = (self.x * 32768).astype("<i2")
            file.writeframes(np.stack([integers, -integers], 1).tobytes())
        sound = kd.Audio.load(self.ctx, path)
        self.assertEqual((sound.info.sample_rate, sound.info.channels), (8000, 2))
        self.assertEqual(sound.samples.shape, (4000, 2))
        np.testing.assert_array_equal(sound.samples[:, 0], integers / 32768)
        sound.save(again)
        with open(path, "rb") as a, open(again, "rb") as b:
            self.assertEqual(a.read(), b.read())
        with open(path, "rb") as file:
            mixed = kd.Audio.from_bytes(self.ctx, file.read(), mono=1, sample_rate=16000)
        self.assertEqual(mixed.samples.shape, (8000,))
        self.assertEqual(float(np.abs(mixed.samples).max()), 0)

    def test_a_tone_is_the_same_at_another_rate(self):
        sound = kd.Audio.from_array(self.ctx, self.x, 8000)
        sound.resample(16000)
        wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
        np.testing.assert_allclose(sound.samples[2000:6000], wanted[2000:6000], atol=1e-5)
        with self.assertRaisesRegex(kd.Error, "sample_rate"):
            sound.resample(0)

    def test_what_is_no_wave_file_is_named(self):
        with self.assertRaisesRegex(kd.Error, "FLAC"):
            kd.Audio.from_bytes(self.ctx, b"fLaC" + bytes(20))

    def test_spectrograms_of_several_sounds(self):
        mel = kd.Mel(self.ctx, sample_rate=8000, mels=20)
        offsets = [0, 1000, 4000]
        self.assertEqual(mel.frame_count(1000), 7)
        np.testing.assert_array_equal(mel.frame_offsets(offsets), [0, 7, 26])
        together = mel.run(self.x, offsets)
        self.assertEqual(together.shape, (26, 20))
        np.testing.assert_array_equal(together[:7], mel.run(self.x[:1000]))
        fixed = kd.Mel(self.ctx, sample_rate=8000, mels=20, frames=10)
        self.assertEqual(fixed.run(self.x, offsets).shape, (2, 10, 20))
        np.testing.assert_array_equal(fixed.run(self.x, offsets)[1], together[7:17])

    def test_presets_are_options(self):
        ast = kd.Mel.preset("ast")
        self.assertEqual((ast["mels"], ast["frames"], ast["window"]), (128, 1024, kd.Window.HANN))
        mel = kd.Mel(self.ctx, **{**ast, "frames": 0, "normalize": kd.MelNormalize.NONE})
        self.assertEqual(mel.run(self.x).shape, (23, 128))
        with self.assertRaisesRegex(kd.Error, "expected whisper"):
            kd.Mel.preset("no")

    def test_fields_of_batches_and_datasets(self):
        ragged, fixed = (kd.Mel(self.ctx, mels=20, frames=frames) for frames in (0, 10))
        batch = kd.Batch(self.ctx).begin(2)
        batch.set_mel("mel", ragged, self.x, [0, 1000, 4000])
        np.testing.assert_array_equal(batch.field_offsets("mel"), [0, 7, 26])
        dataset = kd.Dataset(self.ctx)
        dataset.add_mel("mel", fixed, self.x, [0, 1000, 4000])
        self.assertEqual(len(dataset), 2)
        with self.assertRaisesRegex(kd.Error, "frames"):
            dataset.add_mel("other", ragged, self.x)


if __name__ == "__main__":
    unittest.main()
