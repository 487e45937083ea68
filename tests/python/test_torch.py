"""kdistill.torch: values and gradients beside PyTorch's own formulas, and what it refuses."""

import gc
import unittest

import numpy as np

import kdistill as kd

from support import Case

try:
    import torch
    import torch.nn.functional as F  # noqa: N812

    from kdistill.torch import DistillLoss, Sparse, Weights
except ImportError:
    torch = None

ROWS, CLASSES, WIDTH = 12, 17, 6


def softmax(z, t=1.0):
    return F.log_softmax(z / t, -1)


def formulas():
    """{kind: (value of rows by PyTorch in double, keywords)}: z, v (rows, classes), y (rows)."""

    def forward_kl(z, v, y):
        p = softmax(v, 2.0)
        return 4 * (p.exp() * (p - softmax(z, 2.0))).sum(-1)

    def reverse_kl(z, v, y):
        q = softmax(z, 2.0)
        return 4 * (q.exp() * (q - softmax(v, 2.0))).sum(-1)

    def jsd(z, v, y):
        p, q = softmax(v), softmax(z)
        m = (0.3 * p.exp() + 0.7 * q.exp()).log()
        return 0.3 * (p.exp() * (p - m)).sum(-1) + 0.7 * (q.exp() * (q - m)).sum(-1)

    def mse(z, v, y):
        z, v = z - z.mean(-1, keepdim=True), v - v.mean(-1, keepdim=True)
        return 0.5 * ((z - v) ** 2).mean(-1)

    def cross_entropy(z, v, y):
        return F.cross_entropy(z, y, reduction="none", label_smoothing=0.1)

    def skewed(z, v, y):
        p, q = softmax(v), softmax(z)
        m = (0.2 * p.exp() + 0.8 * q.exp()).log()
        return (p.exp() * (p - m)).sum(-1)

    def variation(z, v, y):
        return 0.5 * (softmax(z).exp() - softmax(v).exp()).abs().sum(-1)

    def acceptance(z, v, y):
        return -torch.minimum(softmax(z).exp(), softmax(v).exp()).sum(-1).log()

    def binary_kl(z, v, y):
        p = torch.sigmoid(v)
        own = p * F.logsigmoid(v) + (1 - p) * F.logsigmoid(-v)
        return (own - p * F.logsigmoid(z) - (1 - p) * F.logsigmoid(-z)).sum(-1)

    def dkd(z, v, y):
        at = F.one_hot(y, z.shape[-1]).bool()
        p, q = softmax(v), softmax(z)
        pt, qt = (p.exp() * at).sum(-1), (q.exp() * at).sum(-1)
        target = pt * (pt.log() - qt.log()) + (1 - pt) * ((1 - pt).log() - (1 - qt).log())
        ph = F.log_softmax(v.masked_fill(at, -1e9), -1)
        qh = F.log_softmax(z.masked_fill(at, -1e9), -1)
        return target + 8 * (ph.exp() * (ph - qh)).masked_fill(at, 0).sum(-1)

    return {
        "forward_kl": (forward_kl, {"temperature": 2}),
        "reverse_kl": (reverse_kl, {"temperature": 2}),
        "jsd": (jsd, {"teacher_share": 0.3}),
        "logit_mse": (mse, {}),
        "cross_entropy": (cross_entropy, {"label_smoothing": 0.1}),
        "skewed_forward_kl": (skewed, {"skew": 0.2}),
        "total_variation": (variation, {}),
        "acceptance": (acceptance, {}),
        "binary_kl": (binary_kl, {}),
        "dkd": (dkd, {}),
        "mean_squared_error": (
            lambda z, v, y: ((z - v) ** 2).mean(-1),
            {"teacher_field": "logits"},
        ),
    }


@unittest.skipIf(torch is None, "PyTorch is not installed")
class TorchTest(Case):
    def setUp(self):
        super().setUp()
        torch.manual_seed(5)
        self.z = (2 * torch.randn(ROWS, CLASSES)).requires_grad_()
        self.v = 2 * torch.randn(ROWS, CLASSES)
        self.y = torch.randint(0, CLASSES, (ROWS,))

    def criterion(self, *terms, **options):
        made = DistillLoss(kd.Loss(self.ctx))
        for kind in terms:
            made.add(kind, **options)
        return made

    def assert_close(self, one, other, bound=2e-6):
        gap = (one.detach().double() - other.detach().double()).abs().max().item()
        self.assertLessEqual(gap, bound * max(1, other.detach().abs().max().item()))

    def compare(self, value, reference, tensors, doubles, bound=2e-6):
        """Value and gradients of tensors beside those of a formula on their doubles."""
        self.assert_close(value, reference, bound)
        grads = torch.autograd.grad(3 * value, tensors)
        for mine, theirs in zip(grads, torch.autograd.grad(3 * reference, doubles)):
            self.assert_close(mine, theirs, bound)

    def test_every_kind_is_its_formula(self):
        for kind, (formula, options) in formulas().items():
            with self.subTest(kind):
                z = self.z.detach().double().requires_grad_()
                reference = formula(z, self.v.double(), self.y).mean()
                value = self.criterion(kind, **options)(self.z, self.y, teacher=self.v)
                self.compare(value, reference, [self.z], [z])

    def test_gradients_are_those_of_central_differences(self):
        kinds = ["alpha_beta", "standardized_kl", "skewed_reverse_kl", "dist", "huber", "uld"]
        for kind in kinds:
            with self.subTest(kind):
                options = {"teacher_field": "logits"} if kind == "huber" else {}
                criterion = self.criterion(kind, **options)
                z = (2 * torch.randn(4, 5)).requires_grad_()
                v, h = 2 * torch.randn(4, 5), 1e-2
                (gradient,) = torch.autograd.grad(criterion(z, teacher=v), z)
                for i, j in ((0, 0), (1, 4), (3, 2)):
                    step = torch.zeros(4, 5)
                    step[i, j] = h
                    with torch.no_grad():
                        ends = [criterion(z + s * step, teacher=v).item() for s in (1, -1)]
                    difference = (ends[0] - ends[1]) / (2 * h)
                    self.assertAlmostEqual(gradient[i, j].item(), difference, delta=2e-3)

    def test_a_top_k_teacher_with_its_tail(self):
        p = softmax(self.v.double())
        top = p.topk(4)
        tail = torch.log1p(-top.values.exp().sum(-1))
        z = self.z.detach().double().requires_grad_()
        q = softmax(z)
        rest = torch.log1p(-q.gather(-1, top.indices).exp().sum(-1))
        rows = (top.values.exp() * (top.values - q.gather(-1, top.indices))).sum(-1)
        rows = rows + tail.exp() * (tail - rest)
        stored = Sparse(top.indices, top.values.float(), tail.float(), vocabulary=CLASSES)
        value = self.criterion("forward_kl")(self.z, teacher=stored)
        self.compare(value, rows.mean(), [self.z], [z], 1e-5)

    def test_a_head_inside_the_loss(self):
        hidden = torch.randn(ROWS, WIDTH, requires_grad=True)
        linear = torch.nn.Linear(WIDTH, CLASSES)
        sides = [hidden, linear.weight, linear.bias]
        doubles = [side.detach().double().requires_grad_() for side in sides]
        z = doubles[0] @ doubles[1].T + doubles[2]
        reference = formulas()["forward_kl"][0](z, self.v.double(), None).mean()
        criterion = self.criterion("forward_kl", temperature=2)
        self.compare(criterion(hidden, teacher=self.v, head=linear), reference, sides, doubles)
        # the teacher's logits are a head's as well
        other, states = torch.randn(CLASSES, 5), torch.randn(ROWS, 5)
        v = states.double() @ other.double().T
        z = doubles[0] @ doubles[1].T
        reference = formulas()["forward_kl"][0](z, v, None).mean()
        value = criterion(hidden, teacher=Weights(other, hidden=states), head=linear.weight)
        self.compare(value, reference, sides[:2], doubles[:2], 1e-5)

    def test_a_head_inside_the_loss_makes_no_logits(self):
        rows, classes = 4096, 8192
        hidden = torch.randn(rows, 8, requires_grad=True)
        head = Weights(torch.randn(classes, 8, requires_grad=True))
        taught = Weights(torch.randn(classes, 8), hidden=torch.randn(rows, 8))
        loss = kd.Loss(self.ctx, memory_limit=8 << 20)
        criterion = DistillLoss(loss).add("forward_kl")
        before = self.ctx.info.bytes
        criterion(hidden, teacher=taught, head=head).backward()
        taken = self.ctx.info.peak_bytes - before
        self.assertLess(taken, rows * classes * 4 / 5)
        self.assertEqual(head.weight.grad.shape, (classes, 8))

    def test_sequences_predict_their_next_tokens(self):
        z = torch.randn(3, 4, CLASSES, requires_grad=True)
        y = torch.randint(0, CLASSES, (3, 4))
        mask = torch.ones(3, 4, dtype=torch.uint8)
        mask[1, 2] = 0
        criterion = self.criterion("cross_entropy", align=kd.Align.NEXT, mask_field="mask")
        d = z.detach().double().requires_grad_()
        kept = mask[:, 1:].bool().reshape(-1)
        reference = F.cross_entropy(d[:, :-1].flatten(0, 1)[kept], y[:, 1:].flatten()[kept])
        self.compare(criterion(z, y, mask=mask), reference, [z], [d])
        self.assertEqual(criterion.result.rows[0], 8)

    def test_half_precision_and_strides(self):
        for kind in (torch.bfloat16, torch.float16):
            z = self.z.detach().to(kind).requires_grad_()
            v = self.v.to(kind)
            d = z.detach().double().requires_grad_()
            value = self.criterion("forward_kl", temperature=2)(z, teacher=v)
            reference = formulas()["forward_kl"][0](d, v.double(), None).mean()
            self.assert_close(value, reference)
            (mine,), (theirs,) = (
                torch.autograd.grad(x, y) for x, y in ((value, z), (reference, d))
            )
            self.assertIs(mine.dtype, kind)
            self.assert_close(mine, theirs, 1e-3)
        wide = torch.randn(ROWS, 2 * CLASSES, requires_grad=True)
        for z in (wide[:, :CLASSES], wide[:, ::2], wide[:, :CLASSES].T.contiguous().T):
            value = self.criterion("logit_mse")(z, teacher=self.v)
            d = z.detach().double().requires_grad_()
            reference = formulas()["logit_mse"][0](d, self.v.double(), None).mean()
            self.compare(value, reference, [z], [d])

    def test_contiguous_rows_are_used_where_they_are(self):
        from kdistill import _tensors

        for tensor in (self.z, torch.randn(ROWS, 40)[:, :CLASSES]):
            array = _tensors.array_of(tensor)
            self.assertEqual(array.ctypes.data, tensor.data_ptr())
        half = self.z.detach().bfloat16()
        self.assertEqual(_tensors.array_of(half).bits.ctypes.data, half.data_ptr())

    def test_several_calls_before_backward(self):
        criterion = self.criterion("forward_kl")
        first, second = criterion(self.z, teacher=self.v), criterion(2 * self.z, teacher=-self.v)
        (both,) = torch.autograd.grad(first + second, self.z, retain_graph=True)
        (one,), (two,) = (torch.autograd.grad(x, self.z) for x in (second, first))
        self.assert_close(both, one + two)

    def test_nothing_is_differentiated_under_no_grad(self):
        criterion = self.criterion("forward_kl")
        with torch.no_grad():
            self.assertFalse(criterion(self.z, teacher=self.v).requires_grad)
        self.assertFalse(criterion(self.z.detach(), teacher=self.v).requires_grad)
        with self.assertRaises(RuntimeError):  # no second derivative
            z = self.z
            (g,) = torch.autograd.grad(criterion(z, teacher=self.v), z, create_graph=True)
            g.sum().backward()

    def test_denominators_of_several_batches(self):
        criterion = self.criterion("forward_kl")
        parts = [(self.z[:5], self.v[:5]), (self.z[5:], self.v[5:])]
        counts = criterion.count(parts[0][0], teacher=parts[0][1])
        counts.add(criterion.count(parts[1][0], teacher=parts[1][1]))
        for given in (counts, float(ROWS), torch.tensor(ROWS)):
            total = sum(criterion(z, teacher=v, denominators=given) for z, v in parts)
            self.compare(total, criterion(self.z, teacher=self.v), [self.z], [self.z])

    def test_a_projection_is_a_parameter(self):
        states, taught = torch.randn(ROWS, 4, requires_grad=True), torch.randn(ROWS, 6)
        criterion = DistillLoss(kd.Loss(self.ctx)).add(
            "mean_squared_error", student_output="hidden", teacher_field="hidden"
        )
        criterion.add_projection(0, name="fit")
        self.assertEqual(len(list(criterion.parameters())), 0)
        criterion.prepare({"hidden": states}, teacher={"hidden": taught})
        (weight,) = criterion.parameters()
        self.assertEqual(tuple(weight.shape), (6, 4))
        doubles = [x.detach().double().requires_grad_() for x in (states, weight)]
        reference = ((doubles[0] @ doubles[1].T - taught.double()) ** 2).mean()
        value = criterion({"hidden": states}, teacher={"hidden": taught})
        self.compare(value, reference, [states, weight], doubles)
        optimizer = torch.optim.SGD(criterion.parameters(), 0.1)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            losses.append(criterion({"hidden": states}, teacher={"hidden": taught}))
            losses[-1].backward()
            optimizer.step()
        self.assertLess(losses[-1].item(), losses[0].item())
        np.testing.assert_array_equal(weight.detach().numpy(), criterion.loss.tensors[0][1])

    def test_a_store_as_the_teacher(self):
        path, keys = self.folder + "/t.kdt", np.arange(1, 1 + 2 * ROWS, dtype=np.uint64)
        keys = keys.reshape(ROWS, 2)
        batch = kd.Batch(self.ctx).begin(ROWS).set_samples(keys=keys)
        targets = kd.Targets(self.ctx).begin(ROWS).set("logits", self.v.numpy())
        field = {"kind": kd.StoreKind.TOPK, "name": "topk", "k": CLASSES}
        with kd.StoreWriter(self.ctx, path, [field], vocabulary=CLASSES) as writer:
            writer.add(batch, targets)
        teacher = kd.Teacher.open(self.ctx, path)
        criterion = self.criterion("forward_kl", teacher_field="topk")
        order = torch.randperm(ROWS)
        value = criterion(self.z[order], teacher=teacher, keys=keys[order.numpy()])
        reference = self.criterion("forward_kl")(self.z, teacher=self.v)
        self.assert_close(value, reference, 1e-3)  # what the store rounds

    def test_compiled_models_see_the_same(self):
        model = torch.nn.Sequential(torch.nn.Linear(3, CLASSES), torch.nn.Tanh())
        criterion, x = self.criterion("forward_kl"), torch.randn(ROWS, 3)

        def step(x):
            return criterion(2 * model(x), teacher=self.v) + 1

        eager = torch.autograd.grad(step(x), model[0].weight)[0]
        compiled = torch.compile(step, backend="aot_eager")
        for _ in range(2):
            self.assert_close(torch.autograd.grad(compiled(x), model[0].weight)[0], eager)
        whole = torch.compile(step, backend="eager", fullgraph=True)
        with self.assertRaisesRegex(Exception, "kdistill.torch"):
            whole(x)

    def test_what_is_refused_says_what_to_do(self):
        criterion = self.criterion("forward_kl")
        cases = (
            (lambda: criterion(self.z, teacher=self.z), ValueError, "detach"),
            (lambda: criterion(self.z.double(), teacher=self.v), TypeError, r"\.float\(\)"),
            (lambda: criterion(self.z, teacher=self.v.double()), TypeError, r"\.float\(\)"),
            (lambda: criterion(self.z.to("meta"), teacher=self.v), ValueError, "CPU"),
            (lambda: criterion(self.z, teacher=self.v.to("meta")), ValueError, "CPU"),
            (lambda: criterion(self.z[0], teacher=self.v), ValueError, r"rows, width"),
            (lambda: criterion(self.z, teacher=self.v[:3]), ValueError, "12 rows, got 3"),
            (lambda: criterion(self.z, self.y[:3], teacher=self.v), ValueError, "label"),
            (lambda: criterion(self.z, teacher="v"), TypeError, "Sparse"),
            (lambda: criterion([1.0]), TypeError, "torch.Tensor"),
            (lambda: criterion(self.z, teacher=self.v, head=3), TypeError, "Linear"),
            (lambda: criterion.add("forward_lk"), KeyError, "FORWARD_LK"),
            (lambda: criterion(self.z), kd.Error, "teacher"),
        )
        for call, kind, text in cases:
            with self.assertRaisesRegex(kind, text):
                call()

    def test_threads_are_those_of_torch(self):
        before = torch.get_num_threads()
        torch.set_num_threads(3)
        self.addCleanup(torch.set_num_threads, before)
        self.assertEqual(DistillLoss()._context.info.threads, 3)

    def test_no_call_leaves_memory(self):
        criterion = self.criterion("forward_kl")
        for _ in range(3):
            criterion(self.z, teacher=self.v).backward()
        gc.collect()
        before = self.ctx.info.bytes
        for _ in range(5):
            criterion(self.z, teacher=self.v).backward()
        self.assertEqual(self.ctx.info.bytes, before)


if __name__ == "__main__":
    unittest.main()
