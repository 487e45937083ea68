"""Many workers: shards of one store, chunks of one folder of answers, parts of records; curation
with files."""

import json
import os
import shutil
import unittest

import numpy as np

import kdistill as kd

from support import Case


class ManyTest(Case):
    threads = 1

    def test_chunks_are_the_file_of_one_worker(self):
        lines = "".join(json.dumps({"prompt": str(i)}) + "\n" for i in range(10))
        prompts = kd.RecordReader(self.ctx, text=lines)
        told = {"function": lambda r, sample, seed: f"{r['prompt']}:{sample}:{seed}", "samples": 2}
        one, folder, joined = (f"{self.folder}/{n}" for n in ("one.jsonl", "chunks", "all.jsonl"))
        kd.answers_collect(self.ctx, prompts, one, **told)
        done = kd.answers_collect_chunks(self.ctx, prompts, folder, chunk_prompts=3, **told)
        self.assertEqual((done.done, done.total), (20, 20))
        kd.answers_concat(self.ctx, folder, joined)
        with open(one, "rb") as a, open(joined, "rb") as b:
            self.assertEqual(a.read(), b.read())
        os.remove(f"{folder}/chunk-00002.jsonl")
        with self.assertRaisesRegex(kd.Error, "1 of 4 chunks are missing, the first is 2"):
            kd.answers_concat(self.ctx, folder, joined)

    def test_parts_of_records(self):
        lines = "".join(json.dumps({"prompt": str(i), "completion": "x"}) + "\n" for i in range(20))
        found = []
        for part in range(3):
            reader = kd.RecordReader(self.ctx, text=lines, part=part, parts=3)
            found += [r["prompt"] for r in reader]
            self.assertEqual(reader.counts.records + reader.counts.other_parts, 20)
        self.assertEqual(sorted(found, key=int), [str(i) for i in range(20)])

    def write_shard(self, folder, shard):
        field = {"kind": kd.StoreKind.DENSE, "name": "logits", "encoding": kd.DType.FLOAT32}
        with kd.StoreWriter(self.ctx, folder, [field], vocabulary=4, shard=shard) as writer:
            batch = kd.Batch(self.ctx).begin_packed([0, 2])
            batch.set_samples(keys=np.array([[shard + 1, 1]], np.uint64))
            targets = kd.Targets(self.ctx).begin(2)
            targets.set("logits", np.full((2, 4), shard, np.float32))
            writer.add(batch, targets)

    def test_shards_come_are_adopted_and_read_in_parts(self):
        folder = f"{self.folder}/store"
        self.write_shard(folder, 0)
        store = kd.Store(self.ctx, folder)
        self.write_shard(folder, 1)
        self.assertEqual(store.refresh(), 1)
        shutil.copy(f"{folder}/shard-00001.kdt", f"{folder}/shard-00005.kdt")
        with self.assertRaisesRegex(kd.Error, "adopt names it"):
            kd.Store(self.ctx, folder)
        self.assertEqual(kd.store_adopt(self.ctx, folder), 1)
        self.assertEqual(kd.store_adopt(self.ctx, folder), 0)
        parts = [kd.Store(self.ctx, folder, part=p, parts=2).info for p in range(2)]
        self.assertEqual([p.records for p in parts], [1, 1])
        self.assertEqual([p.replaced for p in parts], [0, 1])

    def test_near_duplicates_beyond_memory(self):
        text = " ".join(f"word{i}" for i in range(60))
        lines = "".join(
            json.dumps({"prompt": str(i), "completion": text + f" end{i}" if i % 2 else str(i) * 9})
            + "\n"
            for i in range(30)
        )
        kept = []
        for options in {}, {"folder": self.folder, "memory": 1 << 20}:
            path = f"{self.folder}/kept.jsonl"
            curation = kd.Curation(self.ctx, **options).add(kd.FilterKind.NEAR_DUPLICATES)
            with kd.RecordWriter(self.ctx, path) as writer:
                curation.run(kd.RecordReader(self.ctx, text=lines), writer)
            with open(path, encoding="utf-8") as file:
                kept.append(file.read())
            self.assertEqual(os.listdir(self.folder), ["kept.jsonl"])
        self.assertEqual(*kept)
        self.assertEqual(kept[0].count("\n"), 16)


if __name__ == "__main__":
    unittest.main()
