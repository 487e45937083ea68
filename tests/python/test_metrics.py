"""Metrics, reports and comparisons."""

import json
import unittest

import numpy as np

import kdistill as kd

from support import Samples


class MetricsTest(Samples):
    def test_metrics_are_counted_over_rows(self):
        metrics = kd.Metrics(self.ctx, 3)
        metrics.add(self.v, self.y, self.v)
        self.assertEqual(metrics.get(kd.MetricKind.ACCURACY).value, 1)
        self.assertEqual(metrics.get(kd.MetricKind.AGREEMENT).rows, 60)
        counts = np.bincount(self.y, minlength=3)
        np.testing.assert_array_equal(metrics.confusion.diagonal(), counts)

    def test_without_rows_there_is_no_metric(self):
        metrics = kd.Metrics(self.ctx, 3)
        metrics.add(self.v, self.y)
        metrics.reset()
        with self.assertRaises(kd.Error):
            metrics.get(kd.MetricKind.ACCURACY)

    def test_a_mean_has_its_error(self):
        self.assertEqual(kd.metrics_mean([1, 3]), (2, 1))

    def test_arrays_have_a_correlation(self):
        x, y = [1, 2, 3, 4, 5], np.float32([5, 6, 7, 8, 7])
        self.assertAlmostEqual(kd.metrics_correlation(self.ctx, x, y), 0.8207826816681233)
        pearson = kd.metrics_correlation(self.ctx, x, y, kd.CorrelationKind.PEARSON)
        self.assertAlmostEqual(pearson, 0.8320502943378436)
        with self.assertRaisesRegex(ValueError, r"got \(5,\) and \(4,\)"):
            kd.metrics_correlation(self.ctx, x, y[:4])


class CorrelationTest(Samples):
    def test_a_correlation_has_an_interval(self):
        x = np.arange(30.0)
        y = x + 5 * np.sin(7 * x)
        for kind in kd.CorrelationKind:
            found = kd.metrics_measure_correlation(self.ctx, x, y, kind)
            self.assertEqual(found.value, kd.metrics_correlation(self.ctx, x, y, kind))
            self.assertTrue(found.low < found.value < found.high < 1)
            self.assertEqual(found.rows, 30)
        with self.assertRaisesRegex(ValueError, "two .count,. arrays"):
            kd.metrics_measure_correlation(self.ctx, x, y[:3])


class ReportTest(Samples):
    def test_numbers_texts_and_lists_are_json(self):
        report = kd.Report(self.ctx)
        report["a.number"], report["a.text"], report["a.curve"] = 1.5, "x", [1, 2]
        report["a.scalar"] = np.float32(0.25)
        self.assertIn('"number": 1.5', report.json())
        self.assertIn('"scalar": 0.25', report.json())
        report.write(self.folder + "/report.json")
        with open(self.folder + "/report.json") as file:
            self.assertEqual(file.read(), report.json())

    def test_tables_and_pictures_are_drawn(self):
        report = kd.Report(self.ctx)
        report.set_cell("scores", "student", "pass@1", 0.5, 0.1)
        report.add_series("loss", "student", [0, 1, 2], [3.0, 2.0, 1.0])
        report.set_axes("loss", "step", "loss")
        self.assertIn("0.500 +- 0.100", report.text())
        report.write_html(self.folder + "/r.html", "title")
        with open(self.folder + "/r.html") as file:
            self.assertIn("<path", file.read())

    def test_intervals_are_rows_of_a_picture(self):
        report = kd.Report(self.ctx)
        report.add_interval("arms", "with <steps>", 0.25, 0.5, 0.875)
        shown = json.loads(report.json())["pictures"]["arms"]
        self.assertEqual(shown["kind"], "intervals")
        self.assertEqual(shown["series"]["with <steps>"]["x"], [0.25, 0.5, 0.875])
        report.write_html(self.folder + "/r.html", "title")
        with open(self.folder + "/r.html") as file:
            self.assertIn("with &lt;steps&gt;", file.read())


class RunsTest(Samples):
    """Runs of two ways of training on the same questions."""

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(1)
        self.a = (random.random((3, 40, 2)) < 0.3).astype(np.int32)
        self.b = (random.random((3, 40, 2)) < 0.9).astype(np.int32)

    def test_a_difference_is_found(self):
        found = kd.compare_runs(self.ctx, self.a, self.b)
        self.assertAlmostEqual(found.difference, self.b.mean() - self.a.mean())
        self.assertLess(found.p_value, 0.05)
        self.assertTrue(found.low < found.difference < found.high)

    def test_one_way_alone_has_a_mean(self):
        found = kd.compare_runs(self.ctx, None, self.b)
        self.assertAlmostEqual(found.b, self.b.mean())
        self.assertGreater(found.standard_error, 0)

    def test_one_sample_needs_no_axis(self):
        flat = kd.compare_runs(self.ctx, self.a[:, :, 0], self.b[:, :, 0])
        self.assertEqual(flat, kd.compare_runs(self.ctx, self.a[:, :, :1], self.b[:, :, :1]))

    def test_one_seed_has_no_p_value(self):
        self.assertTrue(np.isnan(kd.compare_runs(self.ctx, self.a[:1], self.b[:1]).p_value))

    def test_shapes_are_checked(self):
        with self.assertRaisesRegex(ValueError, r"one shape, got \(2, 40, 2\) and \(3, 40, 2\)"):
            kd.compare_runs(self.ctx, self.a[:2], self.b)
        with self.assertRaisesRegex(ValueError, r"got \(40,\)"):
            kd.compare_runs(self.ctx, None, self.b[0, :, 0])
        with self.assertRaisesRegex(kd.Error, "2 questions"):
            kd.compare_runs(self.ctx, self.a[:, :1], self.b[:, :1])


class CompareTest(Samples):
    def test_two_models_are_compared(self):
        a, b = [1, 0, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1]
        self.assertAlmostEqual(kd.compare_mcnemar(a, b).p_value, 0.25)
        columns = np.reshape(a, (6, 1)), np.reshape(b, (6, 1))
        self.assertEqual(kd.compare_bootstrap(self.ctx, *columns, 100).difference, 0.5)
        self.assertEqual(kd.compare_recovery(0.75, 0.5, 1.0), 0.5)

    def test_texts_are_compared_with_references(self):
        metric = kd.TextMetric.ROUGE_L
        self.assertEqual(kd.compare_texts(self.ctx, metric, ["a b c"], ["a c"]), 0.8)


if __name__ == "__main__":
    unittest.main()
