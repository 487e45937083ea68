"""One call, and an estimator of scikit-learn: what they train, and what they refuse."""

import json
import os
import pickle
import unittest
import warnings

import numpy as np

import kdistill as kd

from support import Case

try:
    import sklearn
    from sklearn.datasets import load_digits, make_blobs
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    from kdistill.sklearn import Distiller
except ImportError:
    sklearn = None


class DistillTest(Case):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(2)
        self.x = rng.normal(size=(400, 6)).astype(np.float32)
        self.v = (self.x @ rng.normal(size=(6, 3)) * 2).astype(np.float32)
        self.y = self.v.argmax(1)
        self.config = {
            "model_type": "mlp",
            "input_size": 6,
            "hidden_sizes": [16],
            "num_labels": 3,
        }

    def agreement(self, model):
        found = model.predict(kd.Dataset(model._alive[0], inputs=self.x))
        return (found.argmax(1) == self.y).mean()

    def test_every_kind_of_teacher(self):
        class Proba:
            def predict_proba(_self, x):  # noqa: N805
                e = np.exp(self.v[: len(x)])
                return e / e.sum(1, keepdims=True)

        live = kd.Model(self.ctx, {**self.config, "hidden_sizes": []})
        weight = np.linalg.lstsq(self.x, self.v, rcond=None)[0].astype(np.float32)
        live.tensors[0][1][:] = weight.T
        kept = kd.Teacher(self.ctx).add("logits", self.v)
        for teacher in (self.v, lambda x: self.v, Proba(), live, kept):
            made = kd.distill(
                self.config, teacher, self.x, epochs=30, learning_rate=0.03, ctx=self.ctx
            )
            self.assertEqual(len(made.losses), 30)
            self.assertLess(made.losses[-1], made.losses[0] / 5)
            self.assertGreater(self.agreement(made.model), 0.93)
            self.assertEqual(made.accuracies, [])

    def test_labels_and_held_out_samples(self):
        made = kd.distill(
            self.config,
            self.v,
            self.x,
            self.y,
            soft=0.5,
            validation=0.2,
            epochs=25,
            patience=20,
            learning_rate=0.03,
        )
        self.assertEqual(len(made.accuracies), len(made.losses))
        self.assertGreater(max(made.accuracies), 0.9)
        # the best epoch's parameters were kept
        order = np.random.default_rng(1).permutation(400)[:80]
        found = made.model.predict(kd.Dataset(made.model._alive[0], inputs=self.x[order]))
        self.assertAlmostEqual((found.argmax(1) == self.y[order]).mean(), max(made.accuracies))
        self.assertIn("<table>", made._repr_html_())
        agreed = kd.distill(
            self.config, self.v, self.x, validation=0.2, epochs=10, learning_rate=0.03
        )
        self.assertGreater(max(agreed.accuracies), 0.8)

    def test_the_same_seed_gives_the_same_bits(self):
        runs = [kd.distill(self.config, self.v, self.x, epochs=3, seed=s) for s in (5, 5, 6)]
        parameters = [run.model.parameters.tobytes() for run in runs]
        self.assertEqual(parameters[0], parameters[1])
        self.assertNotEqual(parameters[0], parameters[2])

    def test_what_is_no_teacher(self):
        for teacher in (self.v[:3], self.y, lambda x: x[:, 0]):
            with self.assertRaisesRegex(ValueError, "logits \\(400, classes\\)"):
                kd.distill(self.config, teacher, self.x)

    def test_numbers_go_to_a_log(self):
        path = self.folder + "/log.jsonl"
        report = kd.Report(self.ctx)
        report["student.accuracy"] = 0.5
        with kd.log.Lines(path) as log:
            kd.distill(self.config, self.v, self.x, epochs=3, validation=0.1, log=log)
            log.report(report)
        lines = [json.loads(line) for line in open_lines(path)]
        self.assertEqual([line.get("step") for line in lines], [1, 2, 3, None])
        self.assertEqual(set(lines[0]), {"step", "loss", "accuracy"})
        self.assertIn("student", json.dumps(lines[3]))

    def test_tensorboard_and_mlflow(self):
        logs, report = [], kd.Report(self.ctx)
        report["accuracy"] = 0.25
        try:
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

            logs.append(kd.log.TensorBoard(self.folder + "/board"))
        except ImportError:
            EventAccumulator = None  # noqa: N806
            print("SKIPPED tensorboard: it is not installed")
        try:
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
            import mlflow

            uri = "file://" + self.folder + "/runs"
            logs.append(kd.log.MLflow("test", "first", uri))
        except ImportError:
            mlflow = None
            print("SKIPPED mlflow: it is not installed")
        with kd.log.Together(*logs) as log:
            made = kd.distill(self.config, self.v, self.x, epochs=4, log=log)
            log.report(report)
        if EventAccumulator:
            found = EventAccumulator(self.folder + "/board")
            found.Reload()
            np.testing.assert_allclose(scalars(found, "loss"), made.losses, rtol=1e-6)
            self.assertEqual(scalars(found, "accuracy"), [0.25])
        if mlflow:
            client = mlflow.MlflowClient(uri)
            history = client.get_metric_history(logs[-1].run.info.run_id, "loss")
            np.testing.assert_allclose([m.value for m in history], made.losses)
            self.assertEqual(
                client.get_run(logs[-1].run.info.run_id).data.metrics["accuracy"], 0.25
            )


def scalars(board, name):
    """Values of a tag, in whichever of its two forms the event files have them."""
    if name in board.Tags()["scalars"]:
        return [event.value for event in board.Scalars(name)]
    return [float(event.tensor_proto.float_val[0]) for event in board.Tensors(name)]


def open_lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


@unittest.skipIf(sklearn is None, "scikit-learn is not installed")
class EstimatorTest(Case):
    def test_a_forest_in_a_small_network(self):
        x, y = load_digits(return_X_y=True)
        train, test, train_y, test_y = train_test_split(x, y, random_state=0)
        forest = RandomForestClassifier(100, random_state=0).fit(train, train_y)
        student = Distiller(forest, hidden=(32,), random_state=0).fit(train, train_y)
        self.assertGreater(student.score(test, test_y), 0.94)
        agreement = (student.predict(test) == forest.predict(test)).mean()
        self.assertGreater(agreement, 0.93)
        self.assertLess(student.model_.info.float32_bytes * 20, len(pickle.dumps(forest)))
        again = pickle.loads(pickle.dumps(student))
        np.testing.assert_array_equal(again.predict_proba(test), student.predict_proba(test))
        self.assertIs(kd.Distiller, Distiller)

    def test_teachers_that_are_fitted_or_not(self):
        x, y = make_blobs(200, centers=3, random_state=1)
        names = np.array(["c", "a", "b"])[y]
        for teacher in (LogisticRegression(), LogisticRegression().fit(x, names), None):
            found = Distiller(teacher, epochs=30, random_state=0).fit(x, names)
            self.assertGreater(found.score(x, names), 0.95)
        other = LogisticRegression().fit(x, y)
        with self.assertRaisesRegex(ValueError, "does not know the classes"):
            Distiller(other).fit(x, names)

    def test_scikit_learns_own_checks(self):
        from sklearn.utils.estimator_checks import check_estimator

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            small = RandomForestClassifier(10, random_state=0)
            check_estimator(Distiller(small, epochs=40, learning_rate=1e-2))


if __name__ == "__main__":
    unittest.main()
