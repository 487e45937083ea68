"""Version, statuses and errors."""

import unittest

import kdistill as kd

from support import MLP, Case


class StatusTest(Case):
    def test_the_version_is_the_packages(self):
        parts = kd.VERSION_MAJOR, kd.VERSION_MINOR, kd.VERSION_PATCH
        self.assertEqual(kd.version(), 10000 * parts[0] + 100 * parts[1] + parts[2])
        self.assertIn("kdistill", kd.build_info())

    def test_statuses_have_their_names_in_c(self):
        self.assertEqual(kd.status_name(kd.Status.ERR_SHAPE), "KD_ERR_SHAPE")

    def test_the_host_can_set_an_error(self):
        self.assertEqual(kd.lib.kd_set_error(kd.Status.ERR_RANGE, b"mine"), kd.Status.ERR_RANGE)
        self.assertEqual(kd.lib.kd_last_error(), b"mine")

    def test_a_failed_call_raises_its_status_and_message(self):
        with self.assertRaisesRegex(kd.Error, "KD_ERR_CONFIG.*missing") as caught:
            kd.Model(self.ctx, {"model_type": "mlp"})
        self.assertIs(caught.exception.status, kd.Status.ERR_CONFIG)

    def test_an_unknown_option_is_refused_with_those_that_are(self):
        with self.assertRaisesRegex(TypeError, "'color'.*frozen, seed"):
            kd.Model(self.ctx, MLP, color=3)


if __name__ == "__main__":
    unittest.main()
