"""Records and stores as streams of Apache Arrow: pyarrow, pandas, polars, DuckDB, datasets."""

import ctypes
import gc
import math
import unittest

import numpy as np

import kdistill as kd
from kdistill import _arrow

from support import Case

try:
    import pyarrow as pa
    import pyarrow.parquet
except ImportError:
    pa = None

LINES = """\
{"messages":[{"role":"user","content":"q\\u00e9"},{"role":"assistant","content":"a","tool":1}],\
"id":"x","score":0.5}
{"prompt":"two","completion":"answers","seed":18446744073709551615,"passed":["length","verify"]}
{"input_ids":[1,2,3],"mask":[0,1,1]}
{"messages":[{"role":"user","content":"w","weight":0},{"role":"assistant","content":"b"}],\
"mine":{"n":[1,2]},"tools":[{"name":"f"}]}
{"prompt":"long %s","completion":"text of more than twelve bytes","expected":7,"temperature":0.25}
""" % ("x" * 40)


def plain(record):
    """What of a record must survive."""
    return {
        name: value
        for name, value in record.items()
        if name != "line" and not (isinstance(value, float) and math.isnan(value))
    }


class WithoutPackagesTest(Case):
    """The library's own two ends, without any other package."""

    def records(self, reader):
        return [plain(record) for record in reader]

    def reader(self, **options):
        return kd.RecordReader(self.ctx, text=LINES, **options)

    def test_records_go_out_and_come_back(self):
        there = self.records(self.reader())
        for once in (False, True):
            stream = self.reader().to_arrow()
            back = kd.RecordReader.from_arrow(self.ctx, stream, once=once)
            self.assertEqual(self.records(back), there)
            self.assertEqual(back.counts.records, len(there))
            if once:
                with self.assertRaisesRegex(kd.Error, "read once"):
                    back.rewind()
            else:
                self.assertEqual(self.records(back.rewind()), there)

    def test_many_batches(self):
        lines = "".join(
            f'{{"prompt":"p{i}","completion":"{"c" * (i % 50)}"}}\n' for i in range(5000)
        )
        reader = kd.RecordReader(self.ctx, text=lines)
        back = kd.RecordReader.from_arrow(self.ctx, reader.to_arrow(), once=True)
        self.assertEqual([r["prompt"] for r in back], [f"p{i}" for i in range(5000)])

    def test_an_error_comes_after_the_rows_before_it(self):
        reader = kd.RecordReader(self.ctx, text=LINES + "{broken\n")
        back, seen = kd.RecordReader.from_arrow(self.ctx, reader.to_arrow()), 0
        with self.assertRaisesRegex(kd.Error, "line 6"):
            while back.next() is not None:
                seen += 1
        self.assertEqual(seen, 5)
        self.assertIsNone(back.next())

    def test_a_capsule_that_nobody_takes_is_released(self):
        reader = self.reader()
        before = self.ctx.info.bytes
        capsule = reader.to_arrow().__arrow_c_stream__()
        self.assertGreater(self.ctx.info.bytes, before)
        del capsule
        gc.collect()
        self.assertEqual(self.ctx.info.bytes, before)
        self.assertEqual(_arrow._given, {})

    def test_a_moved_stream_is_refused(self):
        stream = self.reader().to_arrow()
        capsule = stream.__arrow_c_stream__()

        class Again:
            def __arrow_c_stream__(self):
                return capsule

        kd.RecordReader.from_arrow(self.ctx, Again())
        with self.assertRaisesRegex(kd.Error, "released or moved"):
            kd.RecordReader.from_arrow(self.ctx, Again())
        with self.assertRaisesRegex(TypeError, "__arrow_c_stream__"):
            kd.RecordReader.from_arrow(self.ctx, [1, 2])

    def test_a_store_is_read(self):
        path = self.folder + "/s.kdt"
        fields = [
            {"kind": kd.StoreKind.TOPK, "name": "topk", "k": 3},
            {"kind": kd.StoreKind.TEXT, "name": "said"},
            {"kind": kd.StoreKind.SCORE, "name": "score"},
        ]
        with kd.StoreWriter(self.ctx, path, fields, vocabulary=9) as writer:
            kept = kd.Targets(self.ctx).begin(2).select("topk", np.eye(9, dtype=np.float32)[:2], 3)
            writer.begin((1, 2), 2).put_sparse("topk", kept, "topk")
            writer.put_text("said", "yes").put("score", np.array([0.5])).commit()
        store = kd.Store(self.ctx, path)
        made = _arrow.Stream()
        store.to_arrow()._fill(ctypes.byref(made))
        self.assertTrue(made.release)
        made.release(ctypes.addressof(made))
        with self.assertRaisesRegex(kd.Error, "no field 'other'"):
            store.to_arrow(["other"]).__arrow_c_stream__()


@unittest.skipIf(pa is None, "pyarrow is not installed")
class PyarrowTest(Case):
    def read(self, source, **options):
        return [plain(record) for record in kd.RecordReader.from_arrow(self.ctx, source, **options)]

    def lines(self, text):
        return [plain(record) for record in kd.RecordReader(self.ctx, text=text)]

    def test_every_type_of_text_and_list(self):
        def turns(a, b):
            return [{"role": "user", "content": a}, {"role": "assistant", "content": b}]

        chats = [turns("q", "a"), turns("a longer question", "and a longer answer \u00e9"), None]
        ids, prompts = [None, None, [5, 6, 7]], [None, None, None]
        extra = [True, None, False]
        want = self.lines(
            '{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],'
            '"own":true}\n'
            '{"messages":[{"role":"user","content":"a longer question"},{"role":"assistant",'
            '"content":"and a longer answer \\u00e9"}]}\n{"input_ids":[5,6,7],"own":false}'
        )
        for text in (pa.string(), pa.large_string(), pa.string_view()):
            turn = pa.struct([("role", text), ("content", text), ("tool_calls", pa.null())])
            for kind in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view):
                for number in (pa.int32(), pa.uint8(), pa.int64(), pa.float64()):
                    table = pa.table(
                        {
                            "messages": pa.array(chats, kind(turn)),
                            "prompt": pa.array(prompts, text),
                            "input_ids": pa.array(ids, kind(number)),
                            "own": pa.array(extra),
                            "nothing": pa.nulls(3),
                            "kd_note": pa.array(["left", "out", "x"]),
                        }
                    )
                    self.assertEqual(self.read(table), want, (text, kind, number))
                    # parts of a table: offsets into its arrays
                    self.assertEqual(self.read(table.slice(1)), want[1:])
                    self.assertEqual(self.read(table.slice(2, 1)), want[2:])

    def test_numbers_keep_their_digits(self):
        table = pa.table(
            {
                "prompt": ["a", "b"],
                "completion": ["c", "d"],
                "seed": pa.array([2**64 - 1, 2**53 + 1], pa.uint64()),
                "temperature": pa.array([0.1, float("nan")]),
                "expected": pa.array([-(2**63), None], pa.int64()),
                "score": pa.array([0.25, 0.5], pa.float16()),
            }
        )
        found = self.read(table)
        self.assertEqual([r["seed"] for r in found], [2**64 - 1, 2**53 + 1])
        self.assertEqual(found[0]["expected"], str(-(2**63)))
        self.assertEqual([r["score"] for r in found], [0.25, 0.5])
        self.assertEqual(found[0]["temperature"], 0.1)
        self.assertNotIn("temperature", found[1])

    def test_fixed_lists_and_dictionaries(self):
        table = pa.table(
            {
                "input_ids": pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)),
                "domain": pa.array(["m", "n"]).dictionary_encode(),
            }
        )
        self.assertEqual([r["ids"] for r in self.read(table)], [[1, 2], [3, 4]])
        self.assertEqual([r["domain"] for r in self.read(table.slice(1))], ["n"])

    def test_what_is_no_record_is_named(self):
        row = {"prompt": ["a"], "completion": ["b"]}
        cases = (
            ({**row, "at": pa.array([1], pa.timestamp("s"))}, "column 'at'.*tss:"),
            ({**row, "raw": pa.array([b"x"])}, "column 'raw'"),
            ({**row, "score": pa.array([float("inf")])}, "row 1.*infinity"),
            ({"other": ["a"]}, "row 1: none of the shapes"),
            ({**row, "extra": ["[1]"]}, "'extra': expected a JSON object"),
            ({**row, "extra": ['{"prompt":"b"}']}, "'extra' holds 'prompt'"),
            ({**row, "prompt": pa.array([b"\xff"]).view(pa.string())}, "not UTF-8"),
        )
        for columns, message in cases:
            with self.assertRaisesRegex(kd.Error, message):
                self.read(pa.table(columns))
        reader = kd.RecordReader.from_arrow(
            self.ctx,
            pa.table({"prompt": ["a", None, "c"], "completion": ["b", "b", "d"]}),
            bad_lines=1,
        )
        self.assertEqual([r["prompt"] for r in reader], ["a", "c"])
        self.assertEqual(reader.counts.first_bad_line, 2)
        twice = pa.table([pa.array(["a"]), pa.array(["b"])], names=["prompt", "prompt"])
        with self.assertRaisesRegex(kd.Error, "appears twice"):
            self.read(twice)

    def test_an_error_of_the_source_is_told(self):
        def batches():
            yield pa.record_batch({"prompt": ["a"], "completion": ["b"]})
            raise OSError("the disk is gone")

        schema = pa.schema([("prompt", pa.string()), ("completion", pa.string())])
        reader = kd.RecordReader.from_arrow(
            self.ctx, pa.RecordBatchReader.from_batches(schema, batches())
        )
        self.assertEqual(reader.next()["prompt"], "a")
        with self.assertRaisesRegex(kd.Error, "the disk is gone"):
            reader.next()
        self.assertIsNone(reader.next())

    def test_parquet_there_and_back(self):
        path = self.folder + "/r.parquet"
        reader = kd.RecordReader(self.ctx, text=LINES)
        table = pa.table(reader.to_arrow())
        table.validate(full=True)
        self.assertEqual(table.num_rows, 5)
        self.assertEqual(table["kd_prompt"][1].as_py(), "two")
        pyarrow.parquet.write_table(table, path)
        with pyarrow.parquet.ParquetFile(path) as file:
            self.assertEqual(self.read(file, once=True), self.lines(LINES))

    def test_empty_streams(self):
        table = pa.table(kd.RecordReader(self.ctx, text="").to_arrow())
        self.assertEqual(table.num_rows, 0)
        self.assertEqual(self.read(table), [])

    def test_curation_reads_a_table_twice(self):
        table = pa.table({"prompt": ["a", "a", "b"], "completion": ["x", "x", "y"]})
        reader = kd.RecordReader.from_arrow(self.ctx, table)
        curation = kd.Curation(self.ctx).add(kd.FilterKind.DUPLICATES)
        out = self.folder + "/kept.jsonl"
        with kd.RecordWriter(self.ctx, out) as kept:
            curation.run(reader, kept)
        self.assertEqual(len(list(kd.RecordReader(self.ctx, out))), 2)

    def test_what_a_store_holds(self):
        path, v = self.folder + "/s.kdt", np.random.default_rng(0).normal(size=(3, 9))
        fields = [
            {"kind": kd.StoreKind.TOPK, "name": "topk", "k": 2},
            {"kind": kd.StoreKind.DENSE, "name": "logits", "encoding": kd.DType.FLOAT32},
            {"kind": kd.StoreKind.TEXT, "name": "said"},
            {"kind": kd.StoreKind.SCORE, "name": "score"},
            {"kind": kd.StoreKind.SEED, "name": "seed"},
            {"kind": kd.StoreKind.LABELS, "name": "label"},
        ]
        v = v.astype(np.float32)
        with kd.StoreWriter(self.ctx, path, fields, vocabulary=9) as writer:
            for n in (2, 1):
                kept = kd.Targets(self.ctx).begin(n).select("topk", v[:n], 2)
                writer.begin((n, 2**63 + n), n).put_sparse("topk", kept, "topk")
                writer.put("logits", v[:n])
                writer.put_text("said", f"yes{n}").put("score", np.array([n / 4]))
                writer.put("seed", np.array([n], np.uint64)).put("label", np.arange(n))
                writer.commit()
        store = kd.Store(self.ctx, path)
        table = pa.table(store.to_arrow())
        table.validate(full=True)
        rows = table.to_pylist()
        self.assertEqual(rows[0]["kd_key"], f"{2:016x}{2**63 + 2:016x}")
        self.assertEqual([row["said"] for row in rows], ["yes2", "yes1"])
        self.assertEqual([row["score"] for row in rows], [0.5, 0.25])
        self.assertEqual([row["seed"] for row in rows], [2, 1])
        self.assertEqual([row["label"] for row in rows], [[0, 1], [0]])
        self.assertEqual([len(row["topk.ids"]) for row in rows], [2, 1])
        self.assertEqual(set(rows[0]["topk.ids"][1]), set(np.argsort(-v[1])[:2].tolist()))
        self.assertNotIn("logits", rows[0])
        dense = pa.table(store.to_arrow(["logits"])).to_pylist()
        np.testing.assert_array_equal(np.array(dense[0]["logits"], np.float32), v[:2])

    def test_pandas(self):
        import pandas

        frame = pandas.DataFrame(
            {"prompt": ["a", None], "completion": ["b", "c"], "score": [1.0, None]}
        )
        reader = kd.RecordReader.from_arrow(self.ctx, frame, bad_lines=1)
        self.assertEqual([r["prompt"] for r in reader], ["a"])

    def test_polars(self):
        try:
            import polars
        except ImportError:
            self.skipTest("polars is not installed")
        frame = polars.DataFrame(kd.RecordReader(self.ctx, text=LINES).to_arrow())
        self.assertEqual(frame.height, 5)
        self.assertEqual(self.read(frame), self.lines(LINES))
        self.assertEqual(len(self.read(frame.filter(polars.col("id") == "x"))), 1)

    def test_duckdb(self):
        try:
            import duckdb
        except ImportError:
            self.skipTest("duckdb is not installed")
        records = pa.table(kd.RecordReader(self.ctx, text=LINES).to_arrow())  # noqa: F841
        with duckdb.connect() as db:
            found = db.sql("select kd_prompt, len(messages) from records where id = 'x'").fetchall()
            self.assertEqual(found, [("q\u00e9", 2)])
            relation = db.sql("select * from records")
            self.assertEqual(self.read(relation), self.lines(LINES))

    def test_datasets(self):
        try:
            import datasets
        except ImportError:
            self.skipTest("datasets is not installed")
        columns = {"prompt": ["a", "b", "c"], "completion": ["x", "y", "z"]}
        data = datasets.Dataset.from_dict(columns)
        self.assertEqual([r["prompt"] for r in self.read(data)], ["a", "b", "c"])
        turned = data.select([2, 0])
        self.assertEqual([r["prompt"] for r in self.read(turned)], ["c", "a"])
        back = datasets.Dataset(pa.table(kd.RecordReader(self.ctx, text=LINES).to_arrow()))
        self.assertEqual(self.read(back), self.lines(LINES))


if __name__ == "__main__":
    unittest.main()
