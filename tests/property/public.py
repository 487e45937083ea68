"""Losses of public systems, run as they are, against the calls that docs/losses.md says are equal:
    python tests/property/public.py

TRL's GKD loss, torchdistill's KD, DIST and standardized-logits losses. Values and gradients;
float32 on both sides."""

import os
import sys
import warnings

import numpy
import torch

warnings.filterwarnings("ignore")
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402
from torchdistill.losses.mid_level import DISTLoss, KDLoss, LogitStdKDLoss  # noqa: E402
from trl.experimental.gkd.gkd_trainer import GKDTrainer  # noqa: E402

context = kd.Context(threads=2)
generator = numpy.random.default_rng(1)
agreed = 0


def ours(z, v, terms, labels=None):
    loss = kd.Loss(context)
    for kind, weight, options in terms:
        loss.add(kind, weight, **options)
    batch, targets = kd.Batch(context).begin(len(z)), kd.Targets(context).begin(len(z))
    if labels is not None:
        batch.set("label", labels)
    targets.set("logits", v)
    gradient = numpy.zeros_like(z)
    return loss.evaluate(
        {"logits": z}, batch, targets, gradients={"logits": gradient}
    ).value, gradient


def compare(name, z, v, terms, theirs, labels=None, slack=1):
    global agreed
    z, v = numpy.ascontiguousarray(z), numpy.ascontiguousarray(v)
    student = torch.tensor(z, requires_grad=True)
    value = theirs(student, torch.tensor(v))
    value.backward()
    found, gradient = ours(z, v, terms, labels)
    difference = numpy.linalg.norm(gradient - student.grad.numpy()) / numpy.linalg.norm(
        student.grad.numpy()
    )
    if not (
        abs(found - value.item()) < 2e-5 * slack * (1 + abs(value.item()))
        and difference < 2e-4 * slack
    ):
        raise SystemExit(
            f"{name}: value {found} against {value.item()}, gradients differ by {difference:.2g}"
        )
    agreed += 1


def distil(loss, z, v, labels):
    keys = {
        "student_module_path": "m",
        "student_module_io": "output",
        "teacher_module_path": "m",
        "teacher_module_io": "output",
    }
    made = loss(**keys)
    return made({"m": {"output": z}}, {"m": {"output": v}}, labels)


for case in range(100):
    rows, classes = int(generator.integers(2, 9)), int(generator.integers(3, 2000))
    z, v = (generator.normal(0, 2, (rows, classes)).astype(numpy.float32) for _ in range(2))
    t, beta = float(generator.choice([0.5, 1, 2, 4])), float(generator.uniform(0.05, 0.95))
    off = {"temperature": t, "t2": kd.T2.OFF}
    for b, kind, options in [
        (beta, kd.LossKind.JSD, {"teacher_share": beta}),
        (0.0, kd.LossKind.FORWARD_KL, {}),
        (1.0, kd.LossKind.REVERSE_KL, {}),
    ]:
        compare(
            f"TRL GKD, beta {b}",
            z,
            v,
            [(kind, 1.0, {**off, **options})],
            lambda s, p, b=b: GKDTrainer.generalized_jsd_loss(
                s[None], p[None], torch.zeros(1, rows).long(), beta=b, temperature=t
            ),
        )
    labels = generator.integers(0, classes, rows)
    if (
        rows > 2
        # few classes: torchdistill bounds each norm by 1e-8, ours adds it to their product as the
        # paper's code does
    ):
        compare(
            "torchdistill DIST",
            z[:, :8],
            v[:, :8],
            [(kd.LossKind.DIST, 1.0, {"temperature": t, "t2": kd.T2.ON})],
            lambda s, p: distil(lambda **k: DISTLoss(beta=1.0, gamma=1.0, tau=t, **k), s, p, None),
            slack=20,
        )
    compare(
        "torchdistill standardized logits",
        z,
        v,
        [(kd.LossKind.STANDARDIZED_KL, 1.0, off)],
        lambda s, p: distil(
            lambda **k: LogitStdKDLoss(temperature=t, eps=0.0, beta=1.0, **k), s, p, None
        ),
    )
    compare(
        "torchdistill KD, soft and hard",
        z,
        v,
        [(kd.LossKind.FORWARD_KL, 0.7, {"temperature": t}), (kd.LossKind.CROSS_ENTROPY, 0.3, {})],
        lambda s, p: distil(
            lambda **k: KDLoss(temperature=t, alpha=0.3, **k), s, p, torch.tensor(labels)
        ),
        labels,
    )
print(f"{agreed} cases agreed with TRL and torchdistill")
