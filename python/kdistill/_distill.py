"""A whole distillation in one call, for vectors and images."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from ._looks import table
from .batch import Batch
from .context import Context
from .dataset import Dataset
from .enums import Direction, LossKind, Mode, OptimizerKind, Verdict
from .loader import Loader
from .loss import Loss
from .model import Model
from .monitor import Monitor
from .optimizer import Optimizer
from .schedule import Schedule
from .targets import Targets
from .teacher import Teacher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray


class History(NamedTuple):
    """What a distillation did."""

    model: Model
    #: mean loss of each epoch
    losses: list[float]
    #: share of the held-out samples that the student gets right, after each epoch; without labels,
    #: share where it agrees with the teacher. Empty without held-out samples
    accuracies: list[float]
    seconds: float

    def _repr_html_(self) -> str:
        rows = [
            [str(i + 1), f"{loss:.4f}", f"{a:.4f}" if a is not None else ""]
            for i, (loss, a) in enumerate(
                zip(self.losses, self.accuracies or [None] * len(self.losses))  # type: ignore
            )
        ]
        return table(["epoch", "loss", "held-out accuracy"], rows, f"{self.seconds:.1f} s")


def _softened(probabilities: ArrayLike) -> NDArray[numpy.float32]:
    """Logs of probabilities, none of which is 0: a forest gives many zeros."""
    p = numpy.maximum(numpy.asarray(probabilities, numpy.float64), 1e-6)
    logs: NDArray[numpy.float32] = numpy.log(p / p.sum(1, keepdims=True)).astype(numpy.float32)
    return logs


def _said(teacher: Any, x: NDArray[Any]) -> NDArray[numpy.float32] | None:
    """Logits for samples; None: the teacher is asked batch by batch."""
    if isinstance(teacher, (Teacher, Model)):
        return None
    if hasattr(teacher, "predict_proba"):
        return _softened(teacher.predict_proba(x))
    given = teacher(x) if callable(teacher) else teacher
    logits = numpy.asarray(given, numpy.float32)
    if logits.ndim != 2 or len(logits) != len(x):
        raise ValueError(
            f"teacher: expected logits ({len(x)}, classes), got shape {logits.shape}: give an "
            "array, a function of x, an object with predict_proba, a Teacher or a Model"
        )
    return logits


def _teacher_of(ctx: Context, teacher: Any, logits: NDArray[numpy.float32] | None) -> Teacher:
    if isinstance(teacher, Teacher):
        return teacher
    if isinstance(teacher, Model):
        return Teacher.from_model(teacher)
    made: Any = logits
    return Teacher(ctx).add("logits", made)


def _loss_of(ctx: Context, soft: float, temperature: float, labeled: bool) -> Loss:
    loss = Loss(ctx)
    if soft > 0:
        loss.add(LossKind.FORWARD_KL, soft, temperature=temperature)
    if labeled and soft < 1:
        loss.add(LossKind.CROSS_ENTROPY, 1 - soft)
    return loss


class _Held:
    """Samples that are looked at after each epoch."""

    def __init__(self, ctx: Context, x: NDArray[Any], labels: NDArray[Any]) -> None:
        self.data, self.labels = Dataset(ctx, inputs=x), labels

    def accuracy(self, student: Model) -> float:
        found = student.predict(self.data).argmax(1)
        return float((found == self.labels).mean())


def _divided(count: int, share: float, seed: int) -> tuple[Any, Any]:
    """Numbers of the samples that are learned, and of those that are held out."""
    order = numpy.random.default_rng(seed).permutation(count)
    held = int(count * share)
    return numpy.sort(order[held:]), order[:held]


def distill(
    student: Model | Mapping[str, Any],
    teacher: Any,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    epochs: int = 30,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.0,
    temperature: float = 2.0,
    soft: float = 0.9,
    validation: float = 0.0,
    patience: int = 0,
    seed: int = 1,
    ctx: Context | None = None,
    log: Any = None,
) -> History:
    """Trains a student on a teacher's answers, and on labels where there are such.

    Parameters
    ----------
    student : Model or dict
        A model, or the config of a new one; it is changed.
    teacher : array, callable, estimator, Teacher or Model
        Logits (samples, classes), a function of x that gives them, an object with predict_proba, or
        the library's own.
    x : (samples, ...) array_like
    y : (samples,) array_like of int, optional
        Labels.
    epochs, batch_size, learning_rate, weight_decay
        Of AdamW; the rate falls as a cosine to 0 after a twentieth of the steps.
    temperature : float
        Of the teacher's answers.
    soft : float
        Weight of the teacher's answers; the rest is that of the labels.
    validation : float
        Share of the samples that are held out; the parameters of the best epoch are kept.
    patience : int
        Epochs without progress on these after which training ends; 0: it goes on.
    seed : int
    ctx : Context, optional
        None: the student's, or a new one.
    log : object with scalars(step, dict), optional
        One of `kdistill.log`.

    Returns
    -------
    History
        With the student as `model`.
    """
    began = time.monotonic()
    inputs = numpy.ascontiguousarray(x, dtype=numpy.float32)
    if ctx is None:
        ctx = student._alive[0] if isinstance(student, Model) else Context(seed=seed)
    model = student if isinstance(student, Model) else Model(ctx, student)
    logits = _said(teacher, inputs)
    if y is None and soft < 1:
        soft = 1.0
    learned, held = _divided(len(inputs), validation, seed)
    fields: dict[str, Any] = {"inputs": inputs[learned]}
    if y is not None:
        fields["label"] = numpy.asarray(y, numpy.int64)[learned]
    answers = None if logits is None else logits[learned]
    run = _Run(ctx, model, Dataset(ctx, **fields), _teacher_of(ctx, teacher, answers))
    run.loss = _loss_of(ctx, soft, temperature, y is not None)
    if len(held):
        truth = (
            numpy.asarray(y)[held] if y is not None else _agreed(ctx, teacher, logits, inputs, held)
        )
        run.held = _Held(ctx, inputs[held], truth)
    losses, accuracies = run.train(
        epochs, batch_size, learning_rate, weight_decay, patience, seed, log
    )
    return History(model, losses, accuracies, time.monotonic() - began)


def _agreed(ctx: Context, teacher: Any, logits: Any, inputs: Any, held: Any) -> NDArray[Any]:
    """The teacher's own classes of the held-out samples."""
    if logits is None:
        batch, targets = Batch(ctx).begin(len(held)), Targets(ctx)
        batch.set("inputs", inputs[held])
        asked = _teacher_of(ctx, teacher, None)
        logits = numpy.array(asked.read(batch, targets).field("logits"))
        return numpy.asarray(logits.argmax(1))
    return numpy.asarray(logits[held].argmax(1))


class _Run:
    """The loop."""

    loss: Loss
    held: _Held | None = None

    def __init__(self, ctx: Context, student: Model, data: Dataset, teacher: Teacher) -> None:
        self.ctx, self.student, self.data, self.teacher = ctx, student, data, teacher

    def train(
        self,
        epochs: int,
        batch_size: int,
        rate: float,
        decay: float,
        patience: int,
        seed: int,
        log: Any,
    ) -> tuple[list[float], list[float]]:
        size = min(batch_size, len(self.data))
        loader = Loader(self.data, batch_size=size, epochs=epochs, seed=seed, drop_last=0)
        steps = max(1, -(-len(self.data) // size) * epochs)
        warm = max(1, steps // 20)
        schedule = Schedule.sequence(
            self.ctx,
            (0, Schedule.linear(self.ctx, rate / warm, rate, warm)),
            (warm, Schedule.cosine(self.ctx, rate, 0, max(1, steps - warm))),
        )
        optimizer = Optimizer(
            self.ctx, OptimizerKind.ADAMW, self.student, weight_decay=decay, clip_norm=1
        )
        monitor = None
        if self.held is not None:
            monitor = Monitor(
                self.student, better=Direction.HIGHER, patience=patience or epochs + 1, keep_best=1
            )
        return self._epochs(loader, optimizer, schedule, monitor, log)

    def _epochs(
        self, loader: Loader, optimizer: Optimizer, schedule: Schedule, monitor: Any, log: Any
    ) -> tuple[list[float], list[float]]:
        batch, targets, step = Batch(self.ctx), Targets(self.ctx), 0
        losses: list[float] = []
        accuracies: list[float] = []
        total, seen, epoch = 0.0, 0, 0
        for _ in loader.into(batch):
            self.teacher.read(batch, targets)
            self.student.forward(batch, Mode.TRAIN)
            value = self.loss.backward(self.student, batch, targets).value
            optimizer.step(schedule(step))
            rows = batch.counts.rows
            total, seen, step = total + value * rows, seen + rows, step + 1
            if seen < len(self.data):
                continue
            losses.append(total / seen)
            total, seen, epoch = 0.0, 0, epoch + 1
            if self._report(epoch, losses, accuracies, monitor, log):
                break
        if monitor is not None:
            monitor.restore()
        return losses, accuracies

    def _report(
        self, epoch: int, losses: list[float], accuracies: list[float], monitor: Any, log: Any
    ) -> bool:
        """After an epoch; True: it was the last one."""
        numbers = {"loss": losses[-1]}
        ends = False
        if self.held is not None:
            accuracies.append(self.held.accuracy(self.student))
            numbers["accuracy"] = accuracies[-1]
            ends = monitor.report(accuracies[-1]) is Verdict.STOP
        if log is not None:
            log.scalars(epoch, numbers)
        return ends
