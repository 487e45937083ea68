"""Stores: what is written is read, by the library, by numpy alone and by the command."""

import json
import os
import subprocess
import sys
import unittest

import numpy as np

import kdistill as kd

from support import Case

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TOOL = os.path.join(ROOT, "build", "kdistill-store")


class StoreCase(Case):
    V, D, ROWS = 200, 20, 37

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(1)
        self.head = rng.normal(0, 0.5, (self.V, self.D)).astype(np.float32)
        self.hidden = rng.normal(0, 2, (self.ROWS, self.D)).astype(np.float32)
        self.logits = self.hidden @ self.head.T
        self.z = rng.normal(0, 1, (self.ROWS, self.V)).astype(np.float32)
        offsets = [0, 20, 36, 37]
        spans = zip(offsets, offsets[1:])
        self.keys = [kd.store_key(self.ctx, np.arange(a, b)) for a, b in spans]
        self.batch = kd.Batch(self.ctx).begin_packed(offsets)
        self.batch.set_samples(keys=np.array(self.keys, np.uint64))
        self.targets = kd.Targets(self.ctx).begin(self.ROWS).borrow("logits", self.logits)
        self.targets.borrow("hidden", self.hidden).set("label", np.arange(self.ROWS))

    def value(self, targets):
        with kd.Loss(self.ctx) as loss:
            loss.add(kd.LossKind.FORWARD_KL, temperature=3)
            return loss.evaluate({"logits": self.z}, self.batch, targets).value

    def fields(self):
        kind = kd.StoreKind
        return [
            {"kind": kind.TOPK, "name": "topk", "k": 12},
            {"kind": kind.HIDDEN, "name": "hidden", "width": self.D, "bits": 6},
            {"kind": kind.COUNTS, "name": "draws", "draws": 30},
            {"kind": kind.DENSE, "name": "half", "source": "logits"},
            {
                "kind": kind.VECTORS,
                "name": "eighth",
                "source": "hidden",
                "width": self.D,
                "encoding": kd.DType.INT8,
            },
            {"kind": kind.LABELS, "name": "label"},
            {"kind": kind.TEXT, "name": "text"},
            {"kind": kind.SCORE, "name": "score"},
            {"kind": kind.SEED, "name": "seed"},
        ]

    def writer(self, path, fields, **options):
        options = {"vocabulary": self.V, "align": kd.Align.NEXT, **options}
        return kd.StoreWriter(self.ctx, path, fields, **options)

    def store(self, name):
        """Three records of a batch, and one that is put field by field."""
        path = f"{self.folder}/{name}"
        with self.writer(path, self.fields(), temperatures=[2.0], tokenizer="t1") as writer:
            writer.set_head(self.head)
            writer.add(self.batch, self.targets)
            self.targets.select("topk", self.logits, 12, further=np.array([2.0], np.float32))
            writer.begin((9, 9), 2, view=4, first=50).put("label", np.array([7, 8]))
            writer.put_sparse("topk", self.targets, "topk", 3).put_text("text", "caf\u00e9")
            writer.put("score", np.array([0.5])).put("seed", np.array([11], np.uint64)).commit()
        return path


class StoreTest(StoreCase):
    def setUp(self):
        super().setUp()
        self.path = self.store("a.kdt")

    def test_facts_and_header(self):
        with kd.Store(self.ctx, self.path, tokenizer="t1", align=kd.Align.NEXT) as store:
            self.assertEqual((len(store), store.info.positions), (4, self.ROWS + 2))
            self.assertEqual(store.header["vocabulary"], self.V)
            self.assertEqual((store.verify(), store.refresh()), (4, 0))

    def test_a_record_is_found_by_key_and_view(self):
        with kd.Store(self.ctx, self.path) as store:
            number = store.find((9, 9), view=4)
            record = store.record(number)
            self.assertEqual((record.key, record.view, record.first), ((9, 9), 4, 50))
            self.assertEqual(store.text(number, "text").decode(), "caf\u00e9")
            self.assertEqual((store.score(number, "score"), store.seed(number, "seed")), (0.5, 11))
            self.assertGreater(store.field_bytes(0, "topk"), 0)

    def test_hidden_states_are_turned_back(self):
        with kd.Store(self.ctx, self.path) as store:
            np.testing.assert_allclose(store.head(rotated=False), self.head, atol=2e-3)
            for record, targets in store:  # a reader as an iterator
                if record.key == self.keys[1]:
                    turned = store.unrotate("hidden", targets.field("hidden"))
                    np.testing.assert_allclose(turned, self.hidden[20:36], atol=0.25)

    def test_a_store_is_a_teacher(self):
        with kd.Store(self.ctx, self.path) as store:
            read = kd.Teacher.from_store(store).read(self.batch, kd.Targets(self.ctx))
            stored = self.value(read)
            self.assertAlmostEqual(stored / self.value(self.targets), 1, 1)
            store.compact(self.folder + "/b.kdt")
        teacher = kd.Teacher.open(self.ctx, self.folder + "/b.kdt")
        self.assertEqual(self.value(teacher.read(self.batch, kd.Targets(self.ctx))), stored)

    def test_another_tokenizers_store_is_refused(self):
        with self.assertRaisesRegex(kd.Error, "tokenizer"):
            kd.Store(self.ctx, self.path, tokenizer="other")

    def test_the_hosts_vocabulary_is_compared(self):
        path, tokens = self.folder + "/v.kdt", ["a", "b", "c"]
        fields = [{"kind": kd.StoreKind.LABELS, "name": "label"}]
        self.writer(path, fields, vocabulary=3, tokens=tokens).close()
        kd.Store(self.ctx, path, tokens=["a", "x", "c"], exceptions=[1]).close()
        with self.assertRaises(kd.Error):
            kd.Store(self.ctx, path, tokens=["a", "x", "c"])

    def test_records_know_their_tokens(self):
        path, tokens = self.folder + "/t.kdt", np.arange(self.ROWS) % self.V
        origin = "0123456789abcdef" * 2, "plain"
        self.batch.set("tokens", tokens).set_origin(*origin)
        self.assertEqual(self.batch.origin, origin)
        with self.writer(path, [{"kind": kd.StoreKind.TOPK, "name": "topk"}]) as writer:
            writer.add(self.batch, self.targets)
            self.targets.select("topk", self.logits, 4)
            writer.begin((9, 9), 2).put_sparse("topk", self.targets, "topk")
            writer.put_tokens(np.array([5, 6, 7])).commit()
        with kd.Store(self.ctx, path) as store:
            self.assertEqual((store.header["tokenizer"], store.header["chat_template"]), origin)
        teacher, targets = kd.Teacher.open(self.ctx, path), kd.Targets(self.ctx)
        teacher.read(self.batch, targets)
        piece = kd.Batch(self.ctx).begin_packed([0, 2])
        piece.set_samples(keys=np.array([[9, 9]], np.uint64))
        teacher.read(piece.set("tokens", np.array([5, 6])), targets)
        tokens[21] += 1
        for batch in (self.batch.set("tokens", tokens), piece.set("tokens", np.array([5, 7]))):
            with self.assertRaisesRegex(kd.Error, "from position 1 on"):
                teacher.read(batch, targets)
        kd.Teacher.open(self.ctx, path, any_tokens=True).read(self.batch, targets)

    def test_the_reader_in_numpy_agrees(self):
        sys.path.insert(0, os.path.join(ROOT, "python"))
        import read_store

        with kd.Store(self.ctx, self.path) as store:
            for (record, targets), found in zip(store, read_store.records(self.path)):
                place = record.key, record.view, record.first
                self.assertEqual(place, (found["key"], found["view"], found["first"]))
                self.agree_on_topk(targets.sparse("topk"), found["fields"]["topk"])
                if record.view:
                    said = (found["fields"][name] for name in ("text", "score", "seed"))
                    self.assertEqual([*said], ["caf\u00e9".encode(), 0.5, 11])
                else:
                    self.agree_on_the_rest(store, targets, found["fields"], read_store)

    def agree_on_topk(self, sparse, found):
        for row, (a, b) in enumerate(zip(sparse["offsets"], sparse["offsets"][1:])):
            np.testing.assert_array_equal(sparse["ids"][a:b], found[row]["ids"])
            np.testing.assert_allclose(sparse["values"][a:b], found[row]["log_p"], rtol=1e-6)
            self.assertAlmostEqual(sparse["tail"][row], found[row]["log_tail"][0], 6)

    def agree_on_the_rest(self, store, targets, fields, read_store):
        draws = targets.sparse("draws")
        self.assertEqual(sum(fields["draws"][0]["counts"]), 30)
        first = draws["ids"][: draws["offsets"][1]]
        np.testing.assert_array_equal(first, fields["draws"][0]["ids"])
        for name in ("hidden", "half", "eighth"):
            np.testing.assert_allclose(targets.field(name), fields[name], rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(targets.field("label"), fields["label"])
        turned = store.unrotate("hidden", targets.field("hidden"))
        np.testing.assert_allclose(turned, read_store.unrotate(fields["hidden"], 1), atol=1e-5)


class ImportTest(StoreCase):
    def lines(self):
        first, second = {"2": -0.5, "9": -1.5}, {"3": -0.1}
        rows = [None, *({i: {"logprob": v} for i, v in r.items()} for r in (first, second))]
        line = {"prompt_token_ids": [1, 2, 3], "prompt_logprobs": rows}
        return self.write("lines.jsonl", json.dumps(line) + "\n")

    def test_a_servers_answers_are_counted(self):
        path, fields = self.folder + "/i.kdt", [{"kind": kd.StoreKind.TOPK, "name": "topk"}]
        with self.writer(path, fields, vocabulary=10) as writer:
            counts = writer.import_(kd.ImportFormat.VLLM, self.lines())
        self.assertEqual((counts.records, counts.positions, counts.entries), (1, 2, 3))
        with kd.Store(self.ctx, path) as store:
            self.assertEqual(store.find(kd.store_key(self.ctx, np.array([1, 2, 3]))), 0)


class ToolTest(ImportTest):
    def setUp(self):
        super().setUp()
        if not os.path.exists(TOOL):
            print("SKIPPED kdistill-store: not built here")
            self.skipTest("kdistill-store is not built")

    def run_tool(self, *words):
        return subprocess.run([TOOL, *words], capture_output=True, text=True)

    def test_it_tells_what_is_in_a_store(self):
        path = self.store("d.kdt")
        self.assertIn("records 4", self.run_tool("info", path).stdout)
        self.assertIn("captured mass", self.run_tool("stats", path).stdout)
        self.assertIn("4 records are whole", self.run_tool("verify", path).stdout)
        self.assertIn("topk 50:", self.run_tool("show", path, "3").stdout)

    def test_it_converts(self):
        path, folder = self.folder + "/m.kdt", self.folder + "/npy"
        self.assertEqual(self.run_tool("merge", path, self.store("d.kdt")).returncode, 0)
        self.assertEqual(self.run_tool("convert", "npy", folder, path).returncode, 0)
        ends, ids = (np.load(f"{folder}/topk.{part}.npy") for part in ("ends", "ids"))
        self.assertEqual((len(ends), ends[-1]), (self.ROWS + 2, len(ids)))
        self.assertEqual(np.load(folder + "/hidden.npy").shape[1], self.D)
        self.assertEqual(self.run_tool("convert", "jsonl", path + ".jsonl", path).returncode, 0)
        with open(path + ".jsonl") as file:
            parsed = [json.loads(line) for line in file]
        self.assertEqual((len(parsed), parsed[3]["text"]), (4, "caf\u00e9"))
        made = self.run_tool("convert", "safetensors", path + ".safetensors", path)
        self.assertEqual(made.returncode, 0)

    def test_it_imports(self):
        words = "import", "vllm", "--vocabulary", "10", self.folder + "/n.kdt", self.lines()
        self.assertIn("records 1", self.run_tool(*words).stdout)

    def test_it_fails_with_a_status(self):
        self.assertEqual(self.run_tool("info", "/nowhere.kdt").returncode, 1)
        self.assertEqual(self.run_tool("nonsense").returncode, 2)


class EmbeddingTest(Case):
    def test_vectors_of_texts_teach_a_student_with_other_tokens(self):
        path, rng = os.path.join(self.folder, "vectors.kdt"), np.random.default_rng(2)
        keys = np.array([[1, 1], [2, 2], [3, 3]], np.uint64)
        vectors = rng.normal(0, 1, (3, 8)).astype(np.float32)
        field = {
            "kind": kd.StoreKind.EMBEDDING,
            "name": "embedding",
            "width": 8,
            "encoding": kd.DType.FLOAT32,
        }
        batch = kd.Batch(self.ctx).begin_packed([0, 4, 6, 9]).set_samples(keys=keys)
        targets = kd.Targets(self.ctx).begin(9)
        targets.set_per_sample("embedding", vectors, present=[1, 1, 0])
        with kd.StoreWriter(self.ctx, path, [field]) as writer:
            writer.add(batch.set("tokens", np.arange(9)), targets)
        batch.begin_packed([0, 1, 5, 7]).set_samples(keys=keys).set("tokens", np.ones(7, int))
        with kd.Store(self.ctx, path) as store:
            teacher = kd.Teacher.from_store(store, missing=kd.Missing.ABSENT)
            teacher.read(batch, targets)
            np.testing.assert_array_equal(targets.field("embedding")[:2], vectors[:2])
            np.testing.assert_array_equal(targets.present("embedding"), [1, 1, 0])
        shown = subprocess.run([TOOL, "show", path, "1"], capture_output=True, text=True)
        self.assertIn("no positions", shown.stdout)
        self.assertIn("embedding: 8 numbers", shown.stdout)
        made = os.path.join(self.folder, "vectors.jsonl")
        subprocess.run([TOOL, "convert", "jsonl", made, path], check=True)
        with open(made) as file:
            lines = [json.loads(line) for line in file]
        np.testing.assert_allclose([line["embedding"] for line in lines], vectors[:2], rtol=1e-6)
        command = [sys.executable, os.path.join(ROOT, "python", "read_store.py"), path]
        self.assertIn("embedding", subprocess.run(command, capture_output=True, text=True).stdout)
        with self.assertRaisesRegex(kd.Error, "stored is one a sample"):
            targets.begin(7).set("embedding", np.zeros((7, 8)))
            with kd.StoreWriter(self.ctx, path, [field], append=1) as writer:
                writer.add(batch, targets)


if __name__ == "__main__":
    unittest.main()
