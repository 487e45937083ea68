"""What handles look like at a prompt and in a notebook, and progress by other packages."""

import io
import unittest
from contextlib import redirect_stderr, redirect_stdout

import numpy as np

import kdistill as kd

from support import LLAMA, MLP, Samples


class LooksTest(Samples):
    def test_one_line_says_what_it_is(self):
        loss = kd.Loss(self.ctx)
        loss.add(kd.LossKind.FORWARD_KL, 0.9, temperature=4)
        loss.add(kd.LossKind.CROSS_ENTROPY, 0.1)
        model = kd.Model(self.ctx, MLP)
        lines = {
            kd.Batch(self.ctx): "<kdistill.Batch: 0 samples, 0 rows>",
            self.batch(): "<kdistill.Batch: 60 samples, 60 rows>",
            self.data(): "<kdistill.Dataset: 60 samples: inputs, label>",
            loss: "<kdistill.Loss: 0.9 forward_kl at T=4 + 0.1 cross_entropy>",
            kd.Loss(self.ctx): "<kdistill.Loss: no terms>",
            kd.Targets(self.ctx): "<kdistill.Targets>",
            model: "<kdistill.Model: mlp, 67 parameters>",
            kd.Monitor(model): "<kdistill.Monitor>",
        }
        for handle, line in lines.items():
            self.assertEqual(repr(handle), line)
        self.assertRegex(repr(self.ctx), r"Context: 2 threads, \w+, .* held>")
        model.close()
        self.assertEqual(repr(model), "<kdistill.Model, closed>")

    def test_pages_of_a_notebook(self):
        model = kd.Model(self.ctx, LLAMA)
        page = model._repr_html_()
        self.assertIn("<td>29 x 16</td>", page)
        report = kd.Report(self.ctx)
        report["a.b"] = 0.25
        report.add_series("picture", "<s>", [1, 2], [3, 4])
        page = report._repr_html_()
        self.assertIn("iframe", page)
        self.assertNotIn("<s>", page)
        self.assertIn("svg", page)
        self.assertNotIn("<svg", page)  # escaped within the frame

    def test_a_funnel_and_a_store(self):
        lines = "".join(f'{{"prompt":"p{i % 2}","completion":"c"}}\n' for i in range(4))
        curation = kd.Curation(self.ctx).add(kd.FilterKind.DUPLICATES)
        curation.run(kd.RecordReader(self.ctx, text=lines))
        page = curation._repr_html_()
        self.assertIn("<td>4</td>", page)
        self.assertIn("<td>50.0%</td>", page)
        self.assertIn("1 filters, 2 records kept", repr(curation))
        path = self.folder + "/s.kdt"
        field = {"kind": kd.StoreKind.TOPK, "name": "top<k>", "k": 2}
        with kd.StoreWriter(self.ctx, path, [field], vocabulary=3) as writer:
            kept = kd.Targets(self.ctx).begin(2).select("t", np.eye(3, dtype=np.float32)[:2], 2)
            writer.begin((1, 1), 2).put_sparse("top<k>", kept, "t").commit()
        with kd.Store(self.ctx, path) as store:
            self.assertIn("1 records, 2 positions: top<k>", repr(store))
            page = store._repr_html_()
            self.assertIn("top&lt;k&gt;", page)
            self.assertNotIn("top<k>", page)

    def test_long_tables_are_cut(self):
        from kdistill._looks import table

        page = table(["n"], [[str(i)] for i in range(250)])
        self.assertIn("150 more", page)
        self.assertEqual(page.count("<tr>"), 102)

    def test_bars_of_tqdm_and_rich(self):
        lines = "".join(f'{{"prompt":"p{i}","completion":"c"}}\n' for i in range(5000))
        for package in ("tqdm", "rich"):
            try:
                __import__(package)
            except ImportError:
                print(f"SKIPPED {package}: it is not installed")
                continue
            said = io.StringIO()
            with redirect_stderr(said), redirect_stdout(said), kd.Context(progress=package) as ctx:
                curation = kd.Curation(ctx).add(kd.FilterKind.DUPLICATES)
                curation.run(kd.RecordReader(ctx, text=lines))
                made = ctx._callbacks
            self.assertTrue(made)
            self.assertIn("curation", said.getvalue())
        with self.assertRaisesRegex(ValueError, "'tqdm', 'rich' or a callable"):
            kd.Context(progress="bar")

    def test_bars_follow_the_stages(self):
        from kdistill._progress import Bars

        seen = []

        class Bar:
            n = 0

            def __init__(self, stage, total):
                seen.append((stage, total))

            def update(self, steps):
                self.n += steps
                seen.append(steps)

            def close(self):
                seen.append("close")

        bars = Bars("tqdm") if _has("tqdm") else Bars.__new__(Bars)
        if not _has("tqdm"):
            self.skipTest("tqdm is not installed")
        bars._make = Bar
        for stage, done, total in (("a", 1, 3), ("a", 3, 3), ("b", 2, 0), ("c", 5, 9), ("c", 2, 9)):
            self.assertFalse(bars(stage, done, total))
        bars.close()
        self.assertEqual(
            seen,
            [
                *(("a", 3), 1, 2, "close"),
                *(("b", 0), 2, "close"),
                *(("c", 9), 5, "close"),
                *(("c", 9), 2, "close"),
            ],
        )

    def test_an_interrupt_ends_a_long_call(self):
        def interrupted(stage, done, total):
            raise KeyboardInterrupt

        lines = "".join(f'{{"prompt":"p{i}","completion":"c"}}\n' for i in range(5000))
        with kd.Context(progress=interrupted) as ctx:
            curation = kd.Curation(ctx).add(kd.FilterKind.DUPLICATES)
            with self.assertRaises(kd.Error) as raised:
                curation.run(kd.RecordReader(ctx, text=lines))
            self.assertIs(raised.exception.status, kd.Status.ERR_CANCELED)


def _has(package):
    try:
        __import__(package)
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    unittest.main()
