"""Every public function through the binding, each with a result that is checked; and the proof that none is left out."""
import gc
import json
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np

import kdistill as kd
from kdistill import _api, _library

CALLED = set()


def record(name, function):
    def call(*arguments):
        CALLED.add(name)
        return function(*arguments)

    call.__doc__ = function.__doc__
    return call


PLAIN = {name: getattr(kd.lib, name) for name in _api.FUNCTIONS}
for _name in PLAIN:
    setattr(kd.lib, _name, record(_name, getattr(kd.lib, _name)))

MLP = {"model_type": "mlp", "input_size": 4, "hidden_sizes": [8], "num_labels": 3}


class Everything(unittest.TestCase):
    def setUp(self):
        self.ctx = kd.Context(threads=2, seed=3)
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(60, 4)).astype(np.float32)
        self.v = (2 * self.x[:, :3]).astype(np.float32)
        self.y = self.v.argmax(1)
        self.folder = tempfile.mkdtemp()

    def data(self):
        return self.ctx.dataset(inputs=self.x, label=self.y)

    def test_status_and_version(self):
        self.assertEqual(kd.version(), 10000 * kd.VERSION_MAJOR + 100 * kd.VERSION_MINOR + kd.VERSION_PATCH)
        self.assertIn("kdistill", kd.build_info())
        self.assertEqual(kd.status_name(-3), "KD_ERR_SHAPE")
        self.assertEqual(kd.lib.kd_set_error(-5, b"mine"), -5)
        self.assertEqual(kd.lib.kd_last_error(), b"mine")
        with self.assertRaises(kd.Error) as caught:
            self.ctx.model({"model_type": "mlp"})
        self.assertEqual(caught.exception.status, kd.ERR_CONFIG)
        self.assertIn("missing", str(caught.exception))
        with self.assertRaises(TypeError):
            self.ctx.model(MLP, colour=3)

    def test_arrays(self):
        described = _api.kd_array()
        self.assertEqual(kd.lib.kd_array_init(described, None, kd.FLOAT32, 2, (_api.c_int64 * 2)(3, 4)), 0)
        self.assertEqual(kd.lib.kd_array_count(described), 12)
        self.assertEqual(kd.lib.kd_dtype_size(kd.INT16), 2)
        data = self.ctx.dataset(inputs=self.x.astype(np.float64).T.copy().T, flags=self.y > 0)  # strides and bool
        np.testing.assert_array_equal(data.field("inputs"), self.x.astype(np.float64))
        np.testing.assert_array_equal(data.field("flags"), (self.y > 0).astype(np.uint8))

    def test_context(self):
        lines, stages, products = [], [], []
        info = kd.Context(threads=1, log=lambda level, line: lines.append(line)).info()
        self.assertEqual(len(lines), info["blas_is_slow"])
        self.assertEqual(self.ctx.info()["threads"], 2)
        a, b = self.x[:8], self.x[:4]
        np.testing.assert_allclose(self.ctx.matmul(a, b), a @ b, atol=1e-5)
        rounded = kd.Context(threads=2, products=kd.PRODUCTS_BFLOAT16)
        self.assertEqual(rounded.info()["products"], kd.PRODUCTS_BFLOAT16)
        error = np.abs(rounded.matmul(a, b) - a @ b).max()
        self.assertTrue(1e-5 < error < 0.1, error)
        self.assertGreater(min(rounded.measure_products()), 0)

        def mine(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
            products.append((m, n, k))
            raise ValueError("not today")

        with self.assertRaises(kd.Error) as caught:
            kd.Context(matmul=mine).matmul(a, b)
        self.assertIn("ValueError: not today", str(caught.exception))
        self.assertEqual(products, [(8, 4, 4)])
        watched = kd.Context(progress=lambda stage, done, total: stages.append(stage) or len(stages) > 2)
        with self.assertRaises(kd.Error):
            watched.model(MLP).predict(watched.dataset(inputs=self.x), batch_size=10)
        self.assertEqual(stages, ["predict"] * 3)
        self.ctx.cancel()
        with self.assertRaises(kd.Error) as caught:
            self.ctx.model(MLP).predict(self.data())
        self.assertEqual(caught.exception.status, kd.ERR_CANCELLED)
        self.ctx.cancel(False)

    def test_data(self):
        data = self.data()
        data.borrow("weight", np.ones(60, np.float32), present=np.arange(60) % 2 == 0)
        self.assertEqual((len(data), data.fields), (60, ["inputs", "label", "weight"]))
        self.assertEqual(data.present("weight").sum(), 30)
        self.assertIsNone(data.present("label"))
        np.save(self.folder + "/x.npy", self.x)
        from_file = self.ctx.dataset().add_file("inputs", self.folder + "/x.npy", scale=2)
        np.testing.assert_array_equal(from_file.field("inputs"), self.x)
        self.assertEqual(from_file.key(5), data.key(5))
        with open(self.folder + "/x.csv", "w") as file:
            file.write("a;b\n1.5;1\n2.5;0\n")
        np.testing.assert_array_equal(self.ctx.load_csv(self.folder + "/x.csv", separator=";").field("label"), [1, 0])
        with self.assertRaises(kd.Error) as caught:
            self.ctx.load_idx(self.folder, "train")
        self.assertEqual(caught.exception.status, kd.ERR_NOT_FOUND)
        part = data.select([3, 1])
        np.testing.assert_array_equal(part.field("label"), self.y[[3, 1]])
        self.assertEqual(len(part.concat(part)), 4)
        teacher = self.ctx.teacher().add("logits", self.v)
        labelled, counts = data.pseudo_label(teacher, threshold=0.6)
        self.assertEqual(counts["kept"], len(labelled))
        np.testing.assert_array_equal(labelled.field("label"), self.y[np.exp(self.v).max(1) / np.exp(self.v).sum(1) >= 0.6])

    def test_loader_and_batch(self):
        loader, batch, seen = self.data().loader(batch_size=25, seed=1), self.ctx.batch(), []
        for b in loader.into(batch):
            numbers, keys, views = b.samples()
            np.testing.assert_array_equal(b.field("inputs"), self.x[numbers])
            np.testing.assert_array_equal(b.field("label"), self.y[numbers])
            self.assertEqual((keys.shape[1], views.sum()), (2, 0))
            seen += numbers.tolist()
        self.assertEqual(sorted(seen), list(range(60)))
        self.assertEqual(loader.position(), (1, 0, 3))
        loader.seek(0)
        self.assertTrue(loader.next(batch))
        np.testing.assert_array_equal(batch.samples()[0], seen[:25])
        batch.begin(2).set("inputs", self.x[:2], present=np.array([1, 0], np.uint8))
        np.testing.assert_array_equal(batch.present("inputs"), [1, 0])
        batch.borrow("label", self.y[:2])
        batch.set_samples(numbers=np.array([7, 8]))
        np.testing.assert_array_equal(batch.samples()[0], [7, 8])
        self.assertEqual(batch.begin_packed([0, 3, 5]).size(), (2, 5))
        np.testing.assert_array_equal(batch.offsets(), [0, 3, 5])

    def test_model(self):
        model = self.ctx.model(MLP, seed=4)
        batch = self.ctx.batch().begin(60).set("inputs", self.x)
        z = model.forward(batch).output().copy()
        (_, w0), (_, b0), (_, w1), (_, b1) = model.tensors()
        hidden = np.maximum(self.x @ w0.T + b0, 0)
        np.testing.assert_allclose(z, hidden @ w1.T + b1, atol=1e-5)
        np.testing.assert_allclose(model.output("hidden.0"), hidden, atol=1e-5)
        gradient = np.ones_like(z)
        model.add_output_gradient("logits", gradient)
        model.backward()
        np.testing.assert_allclose(model.tensor_gradient(2), gradient.T @ hidden, atol=1e-3)
        self.assertEqual(model.gradients.shape, model.parameters.shape)
        model.zero_gradients()
        self.assertEqual(np.abs(model.gradients).sum(), 0)
        model.save(self.folder + "/model")
        again = self.ctx.load_model(self.folder + "/model", frozen=1)
        np.testing.assert_array_equal(again.parameters, model.parameters)
        np.testing.assert_allclose(again.predict(self.data(), batch_size=7), z, atol=1e-5)
        self.assertEqual(again.config, MLP)
        other = self.ctx.model(MLP, seed=5)
        other.copy_parameters(model)
        np.testing.assert_array_equal(other.parameters, model.parameters)
        other.freeze("*.bias")
        plan = self.ctx.model_memory(MLP, max_rows=60)
        self.assertEqual(plan["parameters"], model.parameters.size)
        self.assertEqual(plan["gradient_bytes"], 4 * plan["parameters"])
        latency = model.latency(2, 0.01)
        self.assertGreater(latency["samples_per_second"], 0)
        view = self.ctx.model(MLP).parameters
        gc.collect()
        self.assertTrue(np.isfinite(view).all())  # the view keeps its model alive

    def test_safetensors_package_reads_our_files(self):
        try:
            from safetensors.numpy import load_file
        except ImportError:
            print("SKIPPED safetensors: the package is not installed")
            return
        model = self.ctx.model(MLP)
        model.save(self.folder + "/model")
        tensors = load_file(self.folder + "/model/model.safetensors")
        for name, values in model.tensors():
            np.testing.assert_array_equal(tensors[name], values)

    def test_teachers(self):
        batch, targets, data = self.ctx.batch(), self.ctx.targets(), self.data()
        data.loader(batch_size=60).next(batch)
        numbers, keys, _ = batch.samples()
        arrays = self.ctx.teacher().borrow("logits", self.v).add("label", self.y)
        np.testing.assert_array_equal(arrays.read(batch, targets).field("logits"), self.v[numbers])
        self.assertIsNone(targets.present("logits"))
        np.testing.assert_array_equal(arrays.field("label"), self.y)
        by_key = self.ctx.teacher(keys=keys.copy(), lookup=kd.BY_KEY).add("logits", self.v[numbers])
        np.testing.assert_array_equal(by_key.read(batch, targets).field("logits"), self.v[numbers])
        live = self.ctx.model(MLP, frozen=1).as_teacher()
        kept = live.collect(data, 16)
        expected = live.read(batch, targets).field("logits").copy()
        np.testing.assert_allclose(kept.read(batch, targets).field("logits"), expected, atol=1e-6)
        mixed = self.ctx.ensemble([arrays, live], weights=[1, 1], mean=kd.MEAN_OF_LOGITS)
        np.testing.assert_allclose(mixed.read(batch, targets).field("logits"), (self.v[numbers] + expected) / 2, atol=1e-5)
        mine = self.ctx.teacher_from_function(lambda b, t: t.set("logits", self.v[b.samples()[0]]) and None)
        np.testing.assert_array_equal(mine.read(batch, targets).field("logits"), self.v[numbers])

        def broken(b, t):
            raise RuntimeError("ill")

        with self.assertRaises(kd.Error) as caught:
            self.ctx.teacher_from_function(broken).read(batch, targets)
        self.assertIn("RuntimeError: ill", str(caught.exception))
        targets.begin(2).borrow("hidden.1", np.zeros((2, 5), np.float32))
        self.assertEqual(targets.field("hidden.1").shape, (2, 5))

    def test_loss(self):
        loss = self.ctx.loss()
        soft = loss.add(kd.FORWARD_KL, 0.9, temperature=2)
        hard = loss.add(kd.CROSS_ENTROPY, 0.1)
        self.assertEqual(loss.get(soft, "temperature"), 2)
        loss.set(soft, temperature=4, weight=0.5)
        self.assertEqual(loss.term(soft)[1]["temperature"], 4)
        self.assertEqual(loss.bounds("teacher_share"), (0, 1))
        loss.set_diagnostics()
        batch = self.ctx.batch().begin(60).set("label", self.y).set("inputs", self.x)
        targets = self.ctx.targets().begin(60).set("logits", self.v)
        z, dz = self.x[:, 1:].copy(), np.empty((60, 3), np.float32)
        counts = loss.count(batch, targets)
        kd.counts_add(counts, loss.count(batch, targets))
        self.assertEqual(counts.rows[hard], 120)
        result = loss.eval({"logits": z}, batch, targets, counts=counts, gradients={"logits": dz})

        def log_softmax(a):
            return a - np.log(np.exp(a).sum(1, keepdims=True))

        p, lq, lp = np.exp(log_softmax(self.v / 4)), log_softmax(z / 4), log_softmax(self.v / 4)
        self.assertAlmostEqual(result["sum"][soft], 16 * (p * (lp - lq)).sum(), places=2)
        onehot = np.eye(3)[self.y]
        np.testing.assert_allclose(dz, 0.5 * 4 * (np.exp(lq) - p) / 120 + 0.1 * (np.exp(log_softmax(z)) - onehot) / 120, atol=1e-6)
        self.assertEqual(loss.diagnostics(soft)["teacher_accuracy"], 1)
        model = self.ctx.model(MLP)
        model.forward(batch)
        value = loss.value(model, batch, targets)
        self.assertAlmostEqual(value["value"], loss.backward(model, batch, targets)["value"])
        self.assertGreater(np.abs(model.gradients).max(), 0)

    def test_schedules(self):
        ctx = self.ctx
        self.assertEqual(ctx.constant(3)(9), 3)
        self.assertAlmostEqual(ctx.linear(0, 1, 10)(5), 0.5)
        self.assertAlmostEqual(ctx.cosine(1, 0, 10)(5), 0.5)
        self.assertAlmostEqual(ctx.exponential(1, 0.01, 10)(5), 0.1)
        self.assertAlmostEqual(ctx.polynomial(1, 0, 10, 2)(5), 0.25)
        self.assertAlmostEqual(ctx.step(1, 0.5, 3)(7), 0.25)
        self.assertAlmostEqual(ctx.inverse_sqrt(1, 4)(15), 0.5)
        self.assertAlmostEqual(ctx.wsd(1, 0, 10, 10, 10)(25), 0.5)
        self.assertAlmostEqual(ctx.piecewise([(0, 1), (10, 3)])(5), 2)
        plateau = ctx.plateau(patience=0)
        both = ctx.product(ctx.sequence((0, ctx.linear(0, 1, 10)), (10, ctx.constant(2))), plateau)
        both.report(1)
        both.report(1)
        self.assertAlmostEqual(both(20), 1)
        again = ctx.plateau(patience=0)
        again.state = plateau.state
        rising = ctx.taid(start=0.2, rate=0.5)
        for loss in (2, 1, 0.5):
            rising.report(loss)
        self.assertTrue(0.2 < rising(2) < 1)
        uld, batch, targets = ctx.loss(), ctx.batch().begin(1), ctx.targets().begin(1)
        uld.add(kd.LOSS_ULD)
        z = np.array([[1, 0, 2]], np.float32)
        targets.set("logits", z[:, ::-1].copy())
        uld.share(0, [2, 1, 0], 3)
        self.assertAlmostEqual(uld.eval({"logits": z}, batch, targets)["value"], 0, places=6)
        uld.share(0, None)
        self.assertEqual(again(0), 0.5)

    def test_optimizer_and_monitor(self):
        w, g = np.ones((2, 2), np.float32), np.ones((2, 2), np.float32)
        optimizer = self.ctx.optimizer(kd.SGD, average_decay=0.5)
        optimizer.borrow_array("w", w, g)
        optimizer.group("w", learning_rate=2)
        optimizer.set(gradient_scale=0.5)
        self.assertEqual(optimizer.get("gradient_scale"), 0.5)
        self.assertEqual(optimizer.bounds("momentum"), (0, 1))
        optimizer.step(0.1)
        np.testing.assert_allclose(w, 0.9, atol=1e-6)
        self.assertAlmostEqual(optimizer.info()["gradient_norm"], 1)
        optimizer.swap_average()
        np.testing.assert_allclose(w, 0.95, atol=1e-6)
        model = self.ctx.model(MLP)
        self.assertEqual(self.ctx.optimizer(kd.ADAMW, model).info()["steps"], 0)
        monitor = model.monitor(patience=1)
        best = model.parameters.copy()
        self.assertEqual(monitor.report(0.5), (True, False))
        model.parameters[:] = 0
        self.assertEqual(monitor.report(0.4), (False, True))
        monitor.restore()
        np.testing.assert_array_equal(model.parameters, best)
        self.assertEqual(monitor.best(), (0.5, 0))

    def test_metrics_and_report(self):
        metrics = self.ctx.metrics(3)
        metrics.add(self.v, self.y, self.v)
        self.assertEqual(metrics.get(kd.METRIC_ACCURACY)["value"], 1)
        self.assertEqual(metrics.get(kd.METRIC_AGREEMENT)["rows"], 60)
        np.testing.assert_array_equal(metrics.confusion().diagonal(), np.bincount(self.y, minlength=3))
        metrics.reset()
        with self.assertRaises(kd.Error):
            metrics.get(kd.METRIC_ACCURACY)
        self.assertEqual(kd.mean_error([1, 3]), (2, 1))
        report = self.ctx.report()
        report["a.number"], report["a.text"], report["a.curve"] = 1.5, "x", [1, 2]
        self.assertIn('"number": 1.5', report.json())
        report.write(self.folder + "/report.json")
        self.assertEqual(open(self.folder + "/report.json").read(), report.json())

    def test_checkpoint(self):
        model, step = self.ctx.model(MLP), np.array([4], np.int64)
        optimizer, loss = self.ctx.optimizer(kd.ADAMW, model), self.ctx.loss()
        loss.add(kd.CROSS_ENTROPY)
        checkpoint = self.ctx.checkpoint(sync=0)
        for name, part in (("m", model), ("o", optimizer), ("l", self.data().loader()), ("s", self.ctx.plateau()), ("c", loss), ("b", model.monitor()), ("n", step)):
            checkpoint.add(name, part)
        self.assertFalse(checkpoint.load(self.folder + "/run.kdc"))
        before = model.parameters.copy()
        checkpoint.save(self.folder + "/run.kdc")
        model.parameters[:], step[0] = 0, 0
        self.assertTrue(checkpoint.load(self.folder + "/run.kdc"))
        np.testing.assert_array_equal(model.parameters, before)
        self.assertEqual(step[0], 4)


class Stores(unittest.TestCase):
    """Sparse teachers, heads and stores."""

    V, D, ROWS = 200, 20, 37

    def setUp(self):
        self.ctx, self.folder = kd.Context(threads=2), tempfile.mkdtemp()
        rng = np.random.default_rng(1)
        self.head = rng.normal(0, 0.5, (self.V, self.D)).astype(np.float32)
        self.hidden = rng.normal(0, 2, (self.ROWS, self.D)).astype(np.float32)
        self.logits = self.hidden @ self.head.T
        self.z = rng.normal(0, 1, (self.ROWS, self.V)).astype(np.float32)
        self.offsets = [0, 20, 36, 37]
        self.keys = [kd.store_key(self.ctx, np.arange(a, b)) for a, b in zip(self.offsets, self.offsets[1:])]
        self.batch = self.ctx.batch().begin_packed(self.offsets).set_samples(keys=np.array(self.keys, np.uint64))
        self.targets = self.ctx.targets().begin(self.ROWS).borrow("logits", self.logits).borrow("hidden", self.hidden)
        self.targets.set("label", np.arange(self.ROWS))

    def value(self, targets, **options):
        loss = self.ctx.loss()
        loss.add(kd.FORWARD_KL, **options)
        return loss.eval({"logits": self.z}, self.batch, targets)["value"]

    def test_sparse_targets(self):
        self.targets.select("topk", self.logits, 8, temperature=1, further=np.array([2.0], np.float32))
        sparse = self.targets.sparse("topk")
        np.testing.assert_array_equal(sparse["ids"][:8], np.sort(np.argsort(-self.logits[0])[:8]))
        self.assertIsNone(sparse["present"])
        again = self.ctx.targets().begin(self.ROWS)
        again.set_sparse("topk", sparse["ids"].copy(), sparse["values"].copy(), offsets=sparse["offsets"].copy(), tail=sparse["tail"].copy(), vocabulary=self.V)
        self.assertAlmostEqual(self.value(again, teacher_field="topk"), self.value(self.targets, teacher_field="topk"), 6)
        self.assertLess(self.value(self.targets, teacher_field="topk"), self.value(self.targets) + 1e-6)  # fewer classes tell less
        self.targets.sample("draws", self.logits, 50, temperature=2, seed=3)
        self.assertGreater(self.value(self.targets, teacher_field="draws", temperature=2), 0)
        with self.assertRaises(kd.Error) as caught:
            again.set_sparse("topk", np.full((self.ROWS, 2), 3), np.full((self.ROWS, 2), -1, np.float32))
        self.assertIn("twice", str(caught.exception))

    def test_heads(self):
        loss, gradient = self.ctx.loss(memory_limit=1 << 20), np.zeros_like(self.hidden)
        loss.add(kd.FORWARD_KL, temperature=2)
        dw = np.zeros_like(self.head)
        made = loss.eval({"logits": self.hidden}, self.batch, self.targets, gradients={"logits": gradient}, heads={"logits": kd.Head(self.head, None, dw)})
        self.assertLess(made["value"], 1e-6)  # the student is the teacher
        self.assertLess(np.abs(dw).max(), 1e-6)
        size, block = loss.memory(self.ROWS, self.V, self.D, self.D)
        self.assertLessEqual(block, self.ROWS)
        self.assertGreater(size, 0)
        through = self.ctx.targets().begin(self.ROWS).borrow("hidden", self.hidden).borrow_head("logits", "hidden", kd.Head(self.head))
        self.assertAlmostEqual(self.value(through), self.value(self.targets), 5)
        half = kd.Bfloat16(self.logits)
        self.assertAlmostEqual(self.value(self.ctx.targets().begin(self.ROWS).borrow("logits", half)), self.value(self.targets), 1)

    def test_alignment(self):
        chunks = kd.align_bytes([3, 7, 11], [2, 3, 7, 11])
        np.testing.assert_array_equal(chunks, [[0, 1, 0, 2], [1, 2, 2, 3], [2, 3, 3, 4]])
        np.testing.assert_allclose(kd.chunk_sums([-1, -2, -4, -8], chunks, teacher=True), [-3, -4, -8])
        source = self.ctx.targets().begin(4).set("logits", np.arange(8, dtype=np.float32).reshape(4, 2))
        to = self.ctx.targets().begin(3)
        self.assertEqual(to.align(source, "logits", chunks), 1)
        np.testing.assert_array_equal(to.present("logits"), [0, 1, 1])
        np.testing.assert_array_equal(to.field("logits")[1], [4, 5])

    def write(self, path, **options):
        fields = [{"kind": kd.STORE_TOPK, "name": "topk", "k": 12}, {"kind": kd.STORE_HIDDEN, "name": "hidden", "width": self.D, "bits": 6},
                  {"kind": kd.STORE_COUNTS, "name": "draws", "draws": 30}, {"kind": kd.STORE_DENSE, "name": "half", "source": "logits"},
                  {"kind": kd.STORE_VECTORS, "name": "eighth", "source": "hidden", "width": self.D, "encoding": kd.INT8},
                  {"kind": kd.STORE_LABELS, "name": "label"}, {"kind": kd.STORE_TEXT, "name": "text"}, {"kind": kd.STORE_SCORE, "name": "score"},
                  {"kind": kd.STORE_SEED, "name": "seed"}]
        with self.ctx.store_writer(path, fields, vocabulary=self.V, temperatures=[2.0], align=kd.ALIGN_NEXT, tokenizer="t1", **options) as writer:
            writer.head(self.head)
            writer.add(self.batch, self.targets)
            self.targets.select("topk", self.logits, 12, temperature=1, further=np.array([2.0], np.float32))
            writer.begin((9, 9), 2, view=4, first=50).put("label", np.array([7, 8])).put_sparse("topk", self.targets, "topk", 3)
            writer.put_text("text", "caf\u00e9").put("score", np.array([0.5])).put("seed", np.array([11], np.uint64)).commit()

    def test_store(self):
        path = self.folder + "/a.kdt"
        self.write(path)
        with self.ctx.store(path, tokenizer="t1", align=kd.ALIGN_NEXT) as store:
            self.assertEqual((len(store), store.info["positions"], store.header["vocabulary"]), (4, self.ROWS + 2, self.V))
            self.assertEqual(store.verify(), 4)
            number = store.find((9, 9), view=4)
            self.assertEqual((store.record(number)["first"], store.text(number, "text").decode()), (50, "caf\u00e9"))
            self.assertEqual((store.score(number, "score"), store.seed(number, "seed")), (0.5, 11))
            self.assertGreater(store.part_bytes(0, "topk"), 0)
            np.testing.assert_allclose(store.head(rotated=False), self.head, atol=2e-3)
            for record, targets in store:  # a reader as an iterator
                if record["key"] == self.keys[1]:
                    np.testing.assert_allclose(store.unrotate("hidden", targets.field("hidden")), self.hidden[20:36], atol=0.25)
            teacher, targets = store.as_teacher(), self.ctx.targets()
            exact, stored = self.value(self.targets, temperature=3), self.value(teacher.read(self.batch, targets), temperature=3)
            self.assertAlmostEqual(stored / exact, 1, 1)
            self.assertEqual(store.refresh(), 0)
            store.compact(self.folder + "/b.kdt")
        again = self.ctx.open_teacher(self.folder + "/b.kdt").read(self.batch, self.ctx.targets())
        self.assertEqual(self.value(again, temperature=3), stored)
        with self.assertRaises(kd.Error) as caught:
            self.ctx.store(path, tokenizer="other")
        self.assertIn("tokenizer", str(caught.exception))

    def test_the_reader_in_numpy_agrees(self):
        sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "python"))
        import read_store

        path = self.folder + "/c.kdt"
        self.write(path)
        with self.ctx.store(path) as store:
            for (record, targets), found in zip(store, read_store.records(path)):
                self.assertEqual((record["key"], record["view"], record["first"]), (found["key"], found["view"], found["first"]))
                fields, sparse = found["fields"], targets.sparse("topk")
                for row, (a, b) in enumerate(zip(sparse["offsets"], sparse["offsets"][1:])):
                    np.testing.assert_array_equal(sparse["ids"][a:b], fields["topk"][row]["ids"])
                    np.testing.assert_allclose(sparse["values"][a:b], fields["topk"][row]["log_p"], rtol=1e-6)
                    self.assertAlmostEqual(sparse["tail"][row], fields["topk"][row]["log_tail"][0], 6)
                if record["view"]:
                    self.assertEqual((fields["text"].decode(), fields["score"], fields["seed"]), ("caf\u00e9", 0.5, 11))
                    continue
                draws = targets.sparse("draws")
                self.assertEqual(sum(fields["draws"][0]["counts"]), 30)
                np.testing.assert_array_equal(draws["ids"][:draws["offsets"][1]], fields["draws"][0]["ids"])
                for name in ("hidden", "half", "eighth"):
                    np.testing.assert_allclose(targets.field(name), fields[name], rtol=1e-6, atol=1e-6)
                np.testing.assert_array_equal(targets.field("label"), fields["label"])
                np.testing.assert_allclose(store.unrotate("hidden", targets.field("hidden")), read_store.unrotate(fields["hidden"], 1), atol=1e-5)

    def test_imports_and_the_command(self):
        path, lines = self.folder + "/i.kdt", self.folder + "/lines.jsonl"
        with open(lines, "w") as file:
            file.write('{"prompt_token_ids": [1, 2, 3], "prompt_logprobs": [null, {"2": {"logprob": -0.5}, "9": {"logprob": -1.5}}, {"3": {"logprob": -0.1}}]}\n')
        with self.ctx.store_writer(path, [{"kind": kd.STORE_TOPK, "name": "topk"}], vocabulary=10, align=kd.ALIGN_NEXT) as writer:
            counts = writer.import_file(kd.IMPORT_VLLM, lines)
        self.assertEqual((counts["records"], counts["positions"], counts["entries"]), (1, 2, 3))
        with self.ctx.store(path) as store:
            self.assertEqual(store.find(kd.store_key(self.ctx, np.array([1, 2, 3]))), 0)
        tool = os.path.join(os.path.dirname(__file__), "..", "..", "build", "kdistill-store")
        if not os.path.exists(tool):
            print("SKIPPED kdistill-store: not built here")
            return

        def run(*words):
            return subprocess.run([tool, *words], capture_output=True, text=True)

        self.write(self.folder + "/d.kdt")
        self.assertIn("records 4", run("info", self.folder + "/d.kdt").stdout)
        self.assertIn("captured mass", run("stats", self.folder + "/d.kdt").stdout)
        self.assertIn("4 records are whole", run("verify", self.folder + "/d.kdt").stdout)
        self.assertIn("topk 50:", run("show", self.folder + "/d.kdt", "3").stdout)
        self.assertEqual(run("merge", self.folder + "/m.kdt", self.folder + "/d.kdt").returncode, 0)
        self.assertEqual(run("convert", "npy", self.folder + "/npy", self.folder + "/m.kdt").returncode, 0)
        ends, ids = (np.load(f"{self.folder}/npy/topk.{part}.npy") for part in ("ends", "ids"))
        self.assertEqual((len(ends), ends[-1]), (self.ROWS + 2, len(ids)))
        self.assertEqual(np.load(self.folder + "/npy/hidden.npy").shape[1], self.D)
        self.assertEqual(run("convert", "jsonl", self.folder + "/m.jsonl", self.folder + "/m.kdt").returncode, 0)
        with open(self.folder + "/m.jsonl") as file:
            parsed = [json.loads(line) for line in file]
        self.assertEqual((len(parsed), parsed[3]["text"]), (4, "caf\u00e9"))
        self.assertEqual(run("convert", "safetensors", self.folder + "/m.safetensors", self.folder + "/m.kdt").returncode, 0)
        done = run("import", "vllm", "--vocabulary", "10", self.folder + "/n.kdt", lines)
        self.assertIn("records 1", done.stdout)
        self.assertEqual(run("info", "/nowhere.kdt").returncode, 1)
        self.assertEqual(run("nonsense").returncode, 2)


class Binding(unittest.TestCase):
    def test_generated_file_is_up_to_date(self):
        sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "python"))
        import generate

        with open(os.path.join(os.path.dirname(kd.__file__), "_api.py")) as file:
            self.assertEqual(file.read(), generate.python_file(), "run: python3 python/generate.py")

    def test_constants_and_struct_sizes_agree_with_c(self):
        root = os.path.join(os.path.dirname(__file__), "..", "..")
        lines = [f'printf("{s.__name__} %zu {" ".join(["%zu"] * len(s._fields_))}\\n", sizeof({s.__name__}), '
                 + ", ".join(f"offsetof({s.__name__}, {name})" for name, _ in s._fields_) + ");" for s in _api.STRUCTS]
        numbers = {name: value for name, value in vars(_api).items() if name.startswith("KD_") and isinstance(value, int)}
        lines += [f'printf("{name} %lld\\n", (long long){name});' for name in numbers]
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/sizes.c", "w") as file:
                file.write("#include <kdistill.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void)\n{\n" + "\n".join(lines) + "\nreturn 0;\n}\n")
            subprocess.run([os.environ.get("CC", "cc"), "-I", root + "/include", folder + "/sizes.c", "-o", folder + "/sizes"], check=True)
            found = dict(line.split(" ", 1) for line in subprocess.run([folder + "/sizes"], capture_output=True, text=True, check=True).stdout.splitlines())
        for s in _api.STRUCTS:
            expected = [_library.ctypes.sizeof(s)] + [getattr(s, name).offset for name, _ in s._fields_]
            self.assertEqual(found[s.__name__], " ".join(map(str, expected)), s.__name__)
        for name, value in numbers.items():
            self.assertEqual(int(found[name]), value, name)

    def test_null_handles_are_refused(self):
        """Every function that returns a status, with nothing but NULL and 0."""
        may_succeed = {"kd_set_error", "kd_optimizer_bounds", "kd_loss_bounds"}
        for name, (result, arguments, _) in _api.FUNCTIONS.items():
            zeros = [0 if a in (_api.c_int32, _api.c_int64, _api.c_uint32, _api.c_uint64, _api.c_size_t, _api.c_double, _api.c_float) else None for a in arguments]
            status = PLAIN[name](*zeros)  # free, init and the rest must not crash either
            if result is _api.c_int32 and name.split("_")[1] not in ("version",) and name not in may_succeed:
                self.assertLess(status, 0, name)

    def test_zz_no_function_is_left_out(self):
        """Runs last: what the tests above called, NULL calls aside, is everything."""
        self.assertEqual(sorted(set(_api.FUNCTIONS) - CALLED), [])


class Texts(unittest.TestCase):
    def test_tokenizers_and_chats(self):
        vocabulary = {c: i for i, c in enumerate(["a", "b", "\u0120", "!", "ab"])}
        source = {"added_tokens": [{"id": 5, "content": "<end>", "special": True}, {"id": 6, "content": "<|im_start|>", "special": True}],
                  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}, "decoder": {"type": "ByteLevel"},
                  "model": {"type": "BPE", "vocab": vocabulary, "merges": ["a b"]}}
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/tokenizer.json", "w") as file:
                json.dump(source, file)
            with open(folder + "/chat_template.jinja", "w") as file:
                file.write("<|im_start|>")
            ctx = kd.Context(threads=1)
            tokenizer, other = ctx.tokenizer(folder), ctx.tokenizer(folder + "/tokenizer.json")
            ids = tokenizer.encode("ab a!<end>")
            self.assertEqual(ids.tolist(), [4, 2, 0, 3, 5])
            self.assertEqual(tokenizer.decode(ids, skip_special=True), "ab a!")
            self.assertEqual((len(tokenizer), tokenizer.token(5), tokenizer.id("ab")), (7, ("<end>", kd.TOKEN_SPECIAL | kd.TOKEN_ADDED), 4))
            stream = tokenizer.detokenizer()
            self.assertEqual("".join(stream.push(i) for i in ids) + stream.finish(), "ab a!<end>")
            self.assertEqual(tokenizer.add("<think>"), 7)
            tokenizer.rename("<end>", "<|im_end|>")
            self.assertEqual(tokenizer.compare(other, allowed=["<think>"]), (1, ["5: <|im_end|> | <end>"]))
            tokenizer.save(folder + "/new")
            self.assertEqual(ctx.tokenizer(folder + "/new").encode("<|im_end|>").tolist(), [5])
            self.assertEqual(tokenizer.chat_format(), kd.CHAT_CHATML)
            messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "ab"}]
            self.assertEqual(tokenizer.chat_text(messages), "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nab<|im_end|>\n")
            ids, answer = tokenizer.chat_encode(messages)
            self.assertEqual(tokenizer.decode(ids[answer == 1]), "ab<|im_end|>")


    def test_generators(self):
        ctx = kd.Context(threads=1)
        model = ctx.model({"model_type": "llama", "vocab_size": 29, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                           "max_position_embeddings": 64}, frozen=1)
        plan = model.generator_memory(max_sequences=2)
        generator = model.generator(max_sequences=2)
        self.assertEqual(plan["cache_bytes"], generator.info()["cache_bytes"])
        seen = []
        first = generator.add([1, 2, 3], samples=3, max_tokens=5, seed=4, keep_hidden=1, token=lambda *all: seen.append(all))
        texts = sorted(generator, key=lambda t: t.sample)
        self.assertEqual([(t.request, t.sample, len(t.ids), t.hidden.shape) for t in texts], [(first, i, 5, (5, 16)) for i in range(3)])
        self.assertEqual(len(seen), 15)
        second = generator.add([1, 2, 3], max_tokens=5)
        generator.cancel(second)
        self.assertIsNone(generator.next())
        generator.refresh()
        best, score = generator.beam([1, 2], beams=2, max_tokens=4)
        self.assertAlmostEqual(score, float(best.logprobs.sum()) / 4, places=4)


    def test_verdicts(self):
        self.assertEqual(kd.verify("so\n#### 1,000", "1000"), (True, kd.VERIFY_NUMBER))
        self.assertEqual(kd.answer_find("x \\boxed{7}"), "7")
        self.assertEqual(kd.answer_number("A: 5%"), (5.0, True))
        self.assertAlmostEqual(kd.pass_rates([[1, 0], [0, 0]], k=2)["pass_k"], 0.5)

    def test_students(self):
        ctx = kd.Context(threads=1)
        teacher = ctx.model(dict(kd.ready_config("llama-100k"), vocab_size=50), frozen=1)
        batch = ctx.batch().begin_packed(np.array([0, 6]))
        batch.set("tokens", np.arange(6))
        student = teacher.student(layer_map=[0, 2], intermediate_size=48, calibration=batch, config={"attention_sinks": 1},
                                  model={"recompute": 1, "shared_gradients": 1})
        self.assertEqual([student.config[k] for k in ("num_hidden_layers", "intermediate_size", "attention_sinks")], [2, 48, 1])
        student.resize(60)
        self.assertEqual(student.nonfinite(), (0, None))
        student.forward(batch, kd.TRAIN)
        self.assertEqual(student.output("logits").shape, (6, 60))
        student.add_lora(rank=2)
        loss, optimizer = ctx.loss(), ctx.optimizer(kd.ADAMW, student)
        loss.add(kd.LOSS_CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.ALIGN_NEXT)
        student.forward(batch, kd.TRAIN)
        with self.assertRaisesRegex(kd.Error, "kd_optimizer_begin_step"):
            loss.backward(student, batch)
        optimizer.begin_step(1e-3)
        student.forward(batch, kd.TRAIN)
        loss.backward(student, batch)
        optimizer.step(1e-3)
        self.assertEqual(optimizer.info()["steps"], 1)
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/tokenizer.json", "w") as file:
                json.dump({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}, "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}, file)
            student.save_gguf(ctx.tokenizer(folder), folder + "/s.gguf")
            self.assertEqual(ctx.load_model(folder + "/s.gguf").config["vocab_size"], 60)
        self.assertIn("model.layers.1.mlp.down_proj.weight.lora_B", [name for name, _ in student.tensors()])


class Course(unittest.TestCase):
    """From a teacher's answers to a student."""

    def setUp(self):
        self.ctx, self.folder = kd.Context(threads=1, seed=2), tempfile.mkdtemp()

    def test_records(self):
        path = self.folder + "/r.jsonl"
        with kd.RecordWriter(self.ctx, path) as writer:
            writer.add(prompt="q", completion="a", expected="a", extra={"more": 1}, score=0.5)
            writer.add(messages=[("system", "s"), ("user", "q"), ("assistant", "b")], ids=[1, 2])
        reader = kd.RecordReader(self.ctx, path)
        first, second = list(reader)
        self.assertEqual((first["expected"], first["extra"], first["score"], second["ids"]), ("a", {"more": 1}, 0.5, [1, 2]))
        self.assertEqual(second["messages"][0], ("system", "s"))
        self.assertEqual(reader.counts()["records"], 2)
        self.assertEqual(reader.rewind().next()["key"], first["key"])
        self.assertEqual(json.loads(kd.record_json(self.ctx, prompt="q"))["messages"], [{"role": "user", "content": "q"}])
        bad = kd.RecordReader(self.ctx, text='{"prompt":"1"}\nno\n{"prompt":"2"}', bad_lines=kd.BAD_LINES_SKIP)
        self.assertEqual([r["prompt"] for r in bad], ["1", "2"])
        self.assertEqual(bad.counts()["first_bad_line"], 2)
        with self.assertRaises(TypeError):
            kd.record_json(self.ctx, colour="red")

    def test_augment(self):
        path, text = self.folder + "/more.jsonl", '{"prompt":"3+4=","expected":"7"}'
        with kd.RecordWriter(self.ctx, path) as writer:
            counts = kd.augment(kd.RecordReader(self.ctx, text=text), writer, kd.AUGMENT_NUMBERS, lambda r, old, new: f"{sum(new):g}" if old == [3, 4] else None, copies=5)
            kd.augment(kd.RecordReader(self.ctx, text=text), writer, kd.AUGMENT_TEMPLATES, templates=["What is {prompt}"])
            self.assertEqual(kd.augment(kd.RecordReader(self.ctx, text=text), writer, kd.AUGMENT_NUMBERS, lambda r, old, new: None)["refused"], 1)
            with self.assertRaisesRegex(kd.Error, "division"):
                kd.augment(kd.RecordReader(self.ctx, text=text), writer, kd.AUGMENT_NUMBERS, lambda r, old, new: 1 // 0)
        made = list(kd.RecordReader(self.ctx, path))
        self.assertEqual(counts["written"] + 1, len(made))
        for record in made[:-1]:
            self.assertEqual(eval(record["prompt"][:-1]), float(record["expected"]))
        self.assertEqual(made[-1]["prompt"], "What is 3+4=")

    def test_packer(self):
        packer, batch = kd.Packer(self.ctx, batch_tokens=4), self.ctx.batch()
        more = packer.task("more", 2)
        packer.add_ids([1, 2, 3], [0, 1, 1], (5, 6))
        packer.add(task=more, ids=[4, 5], prompt="q")
        self.assertEqual(packer.add_reader(kd.RecordReader(self.ctx, text='{"ids":[7,8]}'), more), 1)
        packer.mix([0, 1])
        state = packer.state
        self.assertIn(packer.next(batch).field("tokens").tolist(), ([4, 5, 7, 8], [7, 8, 4, 5]))
        packer.state = state
        self.assertEqual(packer.info()["texts_given"], 0)
        packer.clear(more)
        self.assertEqual((packer.task_info(more)["name"], packer.task_info(more)["texts"], packer.info()["answer_tokens"]), ("more", 0, 2))
        recipe = kd.Recipe(kd.RECIPE_R1, 7e9, patience=2)
        self.assertAlmostEqual(recipe.learning_rate(self.ctx, 10)(10), 8e-6)
        self.assertEqual(recipe.temperature(self.ctx, 10)(3), 1.0)

    def test_answers(self):
        prompts, path = kd.RecordReader(self.ctx, text='{"prompt":"1","expected":"2"}\n{"prompt":"2","expected":"4"}'), self.folder + "/a.jsonl"
        seen = []
        done = kd.collect_answers(self.ctx, prompts, path, function=lambda record, sample, seed: "####" + str(int(record["prompt"]) + 1 + sample) + " " * 70000,
                                  samples=2, verify={"function": lambda text, expected: text.split()[0] == "####" + expected, "verifiers": kd.VERIFY_HOST},
                                  progress=lambda p: seen.append(p["done"]))
        self.assertEqual((done["done"], done["right"], seen), (4, 2, [2, 4]))
        answers = kd.RecordReader(self.ctx, path)
        result, rights = kd.judge_answers(answers, k=2)
        self.assertEqual((result["pass"]["pass_1"], rights.tolist()), (0.5, [[1, 0], [0, 1]]))

        def fails(record, sample, seed):
            raise ValueError("gone")

        with self.assertRaisesRegex(kd.Error, "ValueError: gone"):
            kd.collect_answers(self.ctx, prompts, self.folder + "/b.jsonl", function=fails)
        with self.assertRaisesRegex(kd.Error, "ZeroDivisionError"):
            kd.verify("a", "b", verifiers=kd.VERIFY_HOST, function=lambda text, expected: 1 // 0)
        self.assertEqual(kd.majority(["#### 1", "2", "#### 2"]), (1, 2))

    def test_curation(self):
        lines = "".join(json.dumps({"prompt": str(i), "completion": f"#### {i % 3}", "expected": "1", "domain": "xy"[i % 2]}) + "\n" for i in range(12))
        reader, tests = kd.RecordReader(self.ctx, text=lines), kd.RecordReader(self.ctx, text='{"prompt":"4"}')
        curation = kd.Curation(self.ctx, validation=0.5).add(kd.FILTER_CONTAMINATION, tests=tests).add(kd.FILTER_VERIFY, verify={})
        curation.add(kd.FILTER_HOST, lambda r: "not seven" if r["prompt"] == "7" else True).add(kd.FILTER_BALANCE, shares={"x": 1, "y": 1})
        with kd.RecordWriter(self.ctx, self.folder + "/k.jsonl") as kept, kd.RecordWriter(self.ctx, self.folder + "/v.jsonl") as held:
            curation.run(reader, kept, held)
        funnel = curation.funnel()
        self.assertEqual([f["kept"] for f in funnel[:5]], [12, 11, 3, 2, 2])
        self.assertEqual(funnel[3]["reasons"], {"not seven": 1})
        self.assertIn("not seven 1", str(curation))
        for record in kd.RecordReader(self.ctx, self.folder + "/k.jsonl"):
            self.assertFalse(kd.prompt_is_held_back(record["prompt_key"], 2, 0.5))
        self.assertTrue(kd.prompt_is_held_back((1, 2), 2, 1.0))
        report = self.ctx.report()
        curation.report(report, "funnel")
        self.assertIn("contamination", report.text())
        broken = kd.Curation(self.ctx).add(kd.FILTER_HOST, lambda r: 1 // 0)
        with self.assertRaisesRegex(kd.Error, "ZeroDivisionError"):
            broken.run(reader)

    def test_comparison(self):
        a, b = [1, 0, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1]
        self.assertAlmostEqual(kd.mcnemar(a, b)["p_value"], 0.25)
        self.assertEqual(kd.paired_bootstrap(self.ctx, np.reshape(a, (6, 1)), np.reshape(b, (6, 1)), 100)["difference"], 0.5)
        self.assertEqual(kd.recovery(0.75, 0.5, 1.0), 0.5)
        self.assertEqual(kd.text_metric(self.ctx, kd.TEXT_ROUGE_L, ["a b c"], ["a c"]), 0.8)
        model = self.ctx.model(dict(kd.ready_config("llama-100k"), vocab_size=50))
        self.assertEqual(kd.model_facts(model)["parameters"], model.parameters.size)
        self.assertGreater(kd.generation_speed(model, prompt_tokens=4, new_tokens=4, repeats=1)["tokens_per_second"], 0)
        report = self.ctx.report()
        report.cell("scores", "student", "pass@1", 0.5, 0.1)
        report.series("loss", "student", [0, 1, 2], [3.0, 2.0, 1.0])
        report.axes("loss", "step", "loss")
        self.assertIn("0.5000 +- 0.1000", report.text())
        report.write_html(self.folder + "/r.html", "title")
        self.assertIn("<path", open(self.folder + "/r.html").read())


class Examples(unittest.TestCase):
    def run_example(self, name, *needs, arguments=()):
        for package in needs:
            try:
                __import__(package)
            except ImportError:
                print(f"SKIPPED {name}: {package} is not installed")
                return None
        root = os.path.join(os.path.dirname(__file__), "..", "..")
        done = subprocess.run([sys.executable, f"{root}/examples/{name}", *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_loop(self):
        self.assertIn("agreement", self.run_example("loop.py"))

    def test_lm_distil(self):
        root = os.path.join(os.path.dirname(__file__), "..", "..")
        self.assertIn("agreement", self.run_example("lm_distil.py", arguments=["train", "2", "4", root + "/docs/guide.md", root + "/docs/decisions.md"]))

    def test_course(self):
        folder = tempfile.mkdtemp()
        self.assertIn("student, distilled", self.run_example("course.py", arguments=[folder, "3"]))
        limits = ["12000", "100000", "0", "2"]
        self.assertIn("kept: layers", self.run_example("search.py", arguments=[folder + "/worked.jsonl", folder + "/test-teacher.jsonl", folder] + limits))

    def test_torch_student(self):
        self.run_example("torch_student.py", "torch")


def load_tests(loader, tests, pattern):
    suite = unittest.TestSuite()
    for case in (Everything, Stores, Texts, Course, Binding, Examples):
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


if __name__ == "__main__":
    unittest.main()
