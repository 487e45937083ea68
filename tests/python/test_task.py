"""Several tasks in one model: heads of a config and added, frozen trunks, folders, a task that
comes later with the old one as a term."""

import os

import numpy as np

import kdistill as kd

from support import Case

BERT = {
    "model_type": "bert",
    "vocab_size": 23,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 16,
    "initializer_range": 0.2,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "kd_heads": {"tags": {"num_labels": 4, "level": "row", "from": "hidden.0"}},
}
MOOD = {"pooling": "cls", "hidden_size": 16, "activation": "tanh", "num_labels": 2}
TEXTS, LENGTH = 24, 5


class TaskTest(Case):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(3)
        self.tokens = rng.integers(0, 23, (TEXTS, LENGTH))
        self.batch = kd.Batch(self.ctx)
        self.batch.begin_packed(np.arange(TEXTS + 1) * LENGTH)
        self.batch.set("tokens", self.tokens.reshape(-1))
        self.batch.set_samples(keys=[(1, n + 1) for n in range(TEXTS)])
        self.model = kd.Model(self.ctx, BERT)

    def logits(self, model, task):
        model.keep(f"logits.{task}")
        model.forward(self.batch, kd.Mode.EVALUATE)
        return model.output(f"logits.{task}").copy()

    def train(self, loss, targets=None, steps=120):
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAM, self.model)
        for _ in range(steps):
            self.model.forward(self.batch)
            made = loss.backward(self.model, self.batch, targets)
            optimizer.step(0.01)
        return made

    def classify(self, task, labels):
        self.batch.set_per_sample(f"label.{task}", labels)
        loss = kd.Loss(self.ctx)
        loss.add(
            kd.LossKind.CROSS_ENTROPY,
            1,
            student_output=f"logits.{task}",
            label_field=f"label.{task}",
        )
        return loss

    def test_heads_are_added_and_kept_in_folders(self):
        self.model.add_head("mood", MOOD)
        self.model.add_head("topic", num_labels=6, level="sample")
        self.assertEqual(list(self.model.config["kd_heads"]), ["tags", "mood", "topic"])
        self.assertEqual(self.model.output_info("logits.tags").width, 4)
        self.model.save(self.folder)
        again = kd.Model.load(self.ctx, self.folder)
        for task, entries in (("tags", TEXTS * LENGTH), ("mood", TEXTS), ("topic", TEXTS)):
            found = self.logits(again, task)
            self.assertEqual(len(found), entries)
            np.testing.assert_array_equal(found, self.logits(self.model, task))
        with self.assertRaisesRegex(kd.Error, "num_labels"):
            self.model.add_head("bad", num_labels=0)

    def test_one_head_is_saved_as_a_classifier(self):
        self.model.add_head("mood", MOOD)
        self.model.save(self.folder, head="mood")
        alone = kd.Model.load(self.ctx, self.folder)
        self.assertEqual(alone.config["architectures"], ["BertForSequenceClassification"])
        alone.forward(self.batch, kd.Mode.EVALUATE)
        np.testing.assert_allclose(
            alone.output("logits"), self.logits(self.model, "mood"), atol=1e-6
        )
        with self.assertRaisesRegex(kd.Error, "BertForTokenClassification"):
            self.model.save(self.folder, head="tags")  # reads hidden.0

    def test_a_frozen_trunk_stays_while_its_head_learns(self):
        self.model.add_head("mood", MOOD)
        self.model.freeze("*")
        self.model.freeze("heads.mood.*", False)
        before = self.logits(self.model, "tags")
        labels = (self.tokens[:, 0] > 11).astype(np.int64)
        made = self.train(self.classify("mood", labels))
        self.assertLess(made.value, 0.3)
        np.testing.assert_array_equal(before, self.logits(self.model, "tags"))

    def test_a_task_that_comes_later_leaves_the_old_one(self):
        """Learning without forgetting: what the old head said is a term, out of a store."""
        self.model.add_head("mood", MOOD)
        self.train(self.classify("mood", (self.tokens[:, 0] > 11).astype(np.int64)))
        before = self.logits(self.model, "mood").argmax(1)
        path = os.path.join(self.folder, "old.kdt")
        targets = kd.Targets(self.ctx)
        live = kd.Teacher.from_model(self.model)
        live.read(self.batch, targets)
        field = {"kind": kd.StoreKind.EMBEDDING, "name": "logits.mood", "width": 2}
        with kd.StoreWriter(self.ctx, path, [field]) as writer:
            writer.add(self.batch, targets)
        store = kd.Teacher.from_store(kd.Store(self.ctx, path))
        self.model.keep("*", False)
        self.model.add_head("topic", num_labels=3, level="sample", pooling="max")
        loss = self.classify("topic", self.tokens[:, 1] % 3)
        loss.add(
            kd.LossKind.FORWARD_KL, 2, student_output="logits.mood", teacher_field="logits.mood"
        )
        store.read(self.batch, targets)
        made = self.train(loss, targets)
        self.assertEqual(list(made.rows[:2]), [TEXTS, TEXTS])
        np.testing.assert_array_equal(before, self.logits(self.model, "mood").argmax(1))
        right = self.logits(self.model, "topic").argmax(1) == self.tokens[:, 1] % 3
        self.assertGreater(right.mean(), 0.9)

    def test_gradients_of_tasks_go_back_through_their_heads(self):
        heads = {
            "tags": {"num_labels": 4, "level": "row", "from": "hidden.0"},
            "mood": {"num_labels": 2, "level": "sample", "from": "hidden.0", "pooling": "mean"},
            "deep": {"num_labels": 3, "level": "row", "from": "hidden.0", "hidden_size": 5},
        }
        heads["deep"]["activation"] = "tanh"
        model = kd.Model(self.ctx, {**BERT, "kd_heads": heads})
        rows, weights = TEXTS * LENGTH, dict(model.tensors)
        labels = {"tags": self.tokens.reshape(-1) % 4, "deep": self.tokens.reshape(-1) % 3}
        for task, values in labels.items():
            self.batch.set("label." + task, values)
        labels["mood"] = self.tokens[:, 0] % 2
        self.batch.set_per_sample("label.mood", labels["mood"])
        loss = kd.Loss(self.ctx)
        for task in heads:
            loss.add(
                kd.LossKind.CROSS_ENTROPY,
                student_output="logits." + task,
                label_field="label." + task,
            )
        model.forward(self.batch)
        found = loss.measure_gradients(model, self.batch, output="hidden.0")
        gradients = []
        for task in heads:
            logits = model.output("logits." + task).astype(float)
            share = np.exp(logits - logits.max(1, keepdims=True))
            d = share / share.sum(1, keepdims=True)
            d[np.arange(len(d)), labels[task]] -= 1
            d = d / len(d) @ weights[f"heads.{task}.weight"]
            if task == "deep":
                w, b = weights["heads.deep.dense.weight"], weights["heads.deep.dense.bias"]
                d = d * (1 - np.tanh(model.output("hidden.0") @ w.T + b) ** 2) @ w
            if task == "mood":
                d = np.repeat(d / LENGTH, LENGTH, axis=0)
            self.assertEqual(d.shape, (rows, 16))
            gradients.append(d.ravel())
        lengths = [np.linalg.norm(g) for g in gradients]
        np.testing.assert_allclose(found.norms, lengths, rtol=1e-4)
        expected = gradients[0] @ gradients[2] / lengths[0] / lengths[2]
        np.testing.assert_allclose(found.cosines[0][2], expected, rtol=1e-3)
