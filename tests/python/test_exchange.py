"""Ranks as threads over a transport written in Python, and as processes over torch's gloo."""

import os
import subprocess
import sys
import tempfile
import threading
import unittest

import numpy as np

import kdistill as kd
from kdistill import transport

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Mesh:
    """What threads have posted, by request and how many of it there were."""

    def __init__(self, ranks):
        self.ranks, self.changed = ranks, threading.Condition()
        self.posts, self.closed = {}, 0

    def rank(self, number):
        return Rank(self, number)


class Rank(transport.Transport):
    def __init__(self, mesh, rank):
        self.mesh, self.rank, self.ranks = mesh, rank, mesh.ranks
        self.count, self.under_way = {}, {}

    def _post(self, request, what, take):
        key = request, self.count.setdefault(request, 0)
        self.count[request] += 1
        with self.mesh.changed:
            self.mesh.posts.setdefault(key, {})[self.rank] = what
            self.mesh.changed.notify_all()
        self.under_way[request] = key, take

    def complete(self, request, wait):
        key, take = self.under_way[request]
        with self.mesh.changed:
            there = self.mesh.changed.wait_for(
                lambda: len(self.mesh.posts[key]) == self.ranks, 60 if wait else 0
            )
            if there:
                take(self.mesh.posts[key])
            return there

    def gather(self, mine, all_):
        def take(posts):
            for r, bytes_ in posts.items():
                all_[r] = bytes_

        self._post("gather", mine.copy(), take)
        if not self.complete("gather", True):
            raise TimeoutError("another rank did not come")

    def start_pieces(self, request, send, offsets, received):
        parts = [send[offsets[r] : offsets[r + 1]].copy() for r in range(self.ranks)]

        def take(posts):
            for r in set(posts) - {self.rank}:
                received[r] = posts[r][self.rank]

        self._post(request, parts, take)

    def start_share(self, request, values, offsets):
        def take(posts):
            for r in set(posts) - {self.rank}:
                values[offsets[r] : offsets[r + 1]] = posts[r]

        self._post(request, values[offsets[self.rank] : offsets[self.rank + 1]].copy(), take)

    def close(self):
        self.mesh.closed += 1


def run_on(ranks, function):
    """What function(rank, transport) returned on each rank; an exception is returned as well."""
    mesh, results = Mesh(ranks), [None] * ranks

    def work(rank):
        try:
            results[rank] = function(rank, mesh.rank(rank))
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, mesh


class Run:
    """A student, its optimizer and data, with or without other ranks."""

    def __init__(self, rank, ranks, net, seed=3, **options):
        rng = np.random.default_rng(0)
        self.ctx = kd.Context(threads=1, seed=seed)
        x = rng.standard_normal((70, 12)).astype(np.float32)
        self.data = kd.Dataset(self.ctx, inputs=x, label=rng.integers(0, 4, 70))
        config = {"model_type": "mlp", "input_size": 12, "hidden_sizes": [30], "num_labels": 4}
        self.student = kd.Model(self.ctx, config)
        self.loss = kd.Loss(self.ctx)
        self.loss.add(kd.LossKind.CROSS_ENTROPY, 1)
        self.optimizer = kd.Optimizer(
            self.ctx,
            kd.OptimizerKind.ADAMW,
            self.student,
            clip_norm=0.5,
            epsilon=1e-4,
            average_decay=0.5,
        )
        self.loader = kd.Loader(
            self.data, batch_size=24 // ranks, epochs=2, rank=rank, ranks=ranks, uneven=1
        )
        self.exchange = kd.Exchange(self.ctx, net, **options)
        self.exchange.add_optimizer(self.optimizer)

    def step(self, batch):
        counts = self.loss.count(batch)
        self.exchange.set_learning_rate(1e-2)
        samples = self.exchange.sum_counts(batch, counts)
        self.exchange.begin()
        self.student.forward(batch)
        result = self.loss.backward(self.student, batch, None, counts)
        self.exchange.step(1e-2)
        return samples, self.exchange.sum([result.value])[0]

    def train(self):
        steps = [self.step(batch) for batch in self.loader.into(kd.Batch(self.ctx))]
        self.exchange.compare()
        return steps, np.array(self.student.parameters)


class ExchangeTest(unittest.TestCase):
    def test_something_else_is_no_transport(self):
        lacks = "from_mpi4py.*got object without rank, ranks"
        with kd.Context(threads=1) as ctx, self.assertRaisesRegex(TypeError, lacks):
            kd.Exchange(ctx, object())

    def test_ranks_take_the_steps_of_one(self):
        one = Run(0, 1, None)
        steps, parameters = one.train()
        self.assertEqual([samples for samples, _ in steps], [24, 24, 22, 24, 24, 22])
        for ranks, options in (
            (2, {}),
            (3, {"shard": 0, "bucket_bytes": 1}),
            (4, {"wire": kd.DType.FLOAT32, "patience": 0}),
        ):
            results, mesh = run_on(
                ranks, lambda r, net, n=ranks, o=options: Run(r, n, net, **o).train()
            )
            for result in results:
                self.assertNotIsInstance(result, Exception, result)
                np.testing.assert_array_equal(result[1], results[0][1])
                np.testing.assert_allclose(result[1], parameters, rtol=1e-4, atol=1e-5)
                np.testing.assert_allclose(result[0], steps, rtol=1e-5)
            self.assertEqual(mesh.closed, ranks)

    def test_facts_sums_and_the_average(self):
        def work(rank, net):
            run = Run(rank, 2, net)
            run.train()
            before = np.array(run.student.parameters)
            run.exchange.swap_average()
            average = np.array(run.student.parameters)
            run.exchange.swap_average()
            np.testing.assert_array_equal(run.student.parameters, before)
            run.exchange.compare_bytes("data", b"the same")
            return run.exchange.info, average, run.exchange.sum([1.0, rank])

        results, _ = run_on(2, work)
        for rank, result in enumerate(results):
            self.assertNotIsInstance(result, Exception, result)
            info, average, sums = result
            self.assertEqual((info.rank, info.ranks, sums), (rank, 2, [2.0, 1.0]))
            self.assertGreater(info.sent_bytes, 1000)
            self.assertIn(info.slowest, (0, 1))
            np.testing.assert_array_equal(average, results[0][1])

    def test_a_rank_that_fails_is_heard(self):
        def work(rank, net):
            run = Run(rank, 2, net)
            if rank:
                run.exchange.fail("no more data here", kd.Status.ERR_IO)
            else:
                with self.assertRaises(kd.Error) as caught:
                    run.train()
                self.assertEqual(caught.exception.status, kd.Status.ERR_PEER)
                self.assertIn("rank 1: KD_ERR_IO: no more data here", str(caught.exception))
            run.exchange.compare()

        results, _ = run_on(2, work)
        self.assertEqual(results, [None, None])

    def test_what_differs_is_told(self):
        results, _ = run_on(2, lambda rank, net: Run(rank, 2, net, seed=3 + rank))
        for result in results:
            self.assertIsInstance(result, kd.Error)
            self.assertEqual(result.status, kd.Status.ERR_MISMATCH)
            self.assertIn("the seed of a model: rank 1", str(result))

    def test_an_exception_of_a_transport_is_the_error(self):
        class Broken(transport.Transport):
            rank, ranks = 0, 2

            def gather(self, mine, all_):
                raise ConnectionError("the other end is gone")

        with self.assertRaisesRegex(kd.Error, "ConnectionError: the other end is gone"):
            Run(0, 2, Broken())

    def test_saves_are_read_by_other_ranks(self):
        with tempfile.TemporaryDirectory() as folder:

            def work(rank, net, ranks, count):
                run = Run(rank, ranks, net)
                saves = kd.Checkpoint(run.ctx).add("student", run.student)
                saves.add("optimizer", run.exchange).add("loader", run.loader)
                loaded = saves.load(folder)
                for step, batch in enumerate(run.loader.into(kd.Batch(run.ctx))):
                    run.step(batch)
                    if step + 1 == count:
                        break
                saves.save(folder)
                return loaded, np.array(run.student.parameters)

            first, _ = run_on(3, lambda rank, net: work(rank, net, 3, 3))
            second, _ = run_on(2, lambda rank, net: work(rank, net, 2, 3))
            for result in first + second:
                self.assertNotIsInstance(result, Exception, result)
            self.assertEqual([result[0] for result in first + second], [False] * 3 + [True] * 2)
            _, parameters = Run(0, 1, None).train()
            np.testing.assert_allclose(second[0][1], parameters, rtol=1e-4, atol=1e-5)


class TransportTest(unittest.TestCase):
    def test_a_launcher_of_another_engine_is_refused(self):
        os.environ["PMI_SIZE"] = "4"
        try:
            with self.assertRaisesRegex(RuntimeError, "rank 0 of 1, but PMI_SIZE is 4"):
                transport.check_launcher(1)
            transport.check_launcher(4)
        finally:
            del os.environ["PMI_SIZE"]

    def test_torch(self):
        try:
            import torch.distributed  # noqa: F401
        except ImportError:
            self.skipTest("no torch")
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
        done = subprocess.run(
            [*command, os.path.join(ROOT, "examples", "ranks.py")],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertIn("2 ranks, parameters", done.stdout)


if __name__ == "__main__":
    unittest.main()
