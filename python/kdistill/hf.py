"""Distillation in the trainers of transformers and TRL.

    from trl import SFTConfig, SFTTrainer
    from kdistill.hf import DistillTrainerMixin

    class Trainer(DistillTrainerMixin, SFTTrainer):
        pass

    trainer = Trainer("student", args=SFTConfig("run"), train_dataset=dataset,
                      teacher="answers.kdt", terms={"forward_kl": 0.9, "cross_entropy": 0.1})
    trainer.train()

The teacher is a store (looked up by the key of each sample's ids), a live model, or both. Loss and
gradient come from the library: logits of a whole batch are never made. Denominators are the
trainer's `num_items_in_batch`, so that accumulated micro-batches count as one batch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy

from ._need import missing

try:
    import torch
except ModuleNotFoundError as error:
    raise missing(error, "kdistill.hf", "torch") from None

from ._sequences import Sequences, sequences_of
from ._tensors import Rows
from .enums import Align, Missing
from .store import Store
from .targets import Targets
from .teacher import Teacher
from .torch import DistillLoss, Weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .batch import Batch

__all__ = ["DistillTrainerMixin", "KeyCollator"]

#: A live teacher's logits beside those of a store.
LIVE = "live"
_KINDS_OF_FIELDS = {"topk", "counts", "dense", "hidden"}


class KeyCollator:
    """Keeps the column "distill_key" of samples whose key is not that of their ids.

    Parameters
    ----------
    inner : callable
        The collator for everything else.

    A key is two integers, or their 32 hexadecimal digits.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """The inner collator's batch, with "distill_keys" where samples have keys."""
        keys = [feature.get("distill_key") for feature in features]
        plain = [{n: v for n, v in one.items() if n != "distill_key"} for one in features]
        batch: dict[str, Any] = self.inner(plain)
        if all(key is not None for key in keys):
            numbers = numpy.array([_key_numbers(key) for key in keys], numpy.uint64)
            batch["distill_keys"] = torch.from_numpy(numbers.view(numpy.int64))
        return batch


def _key_numbers(key: Any) -> tuple[int, int]:
    if isinstance(key, str):
        return int(key[:16], 16), int(key[16:], 16)
    first, second = (int(part) & (2**64 - 1) for part in key)
    return first, second


def _head_of(model: Any) -> tuple[Any, dict[str, float]]:
    """The output embedding of a language model, and what its config does to logits."""
    inner = getattr(model, "module", model)
    config, head = inner.config, inner.get_output_embeddings()
    scale = getattr(config, "logit_scale", None) or 1 / (
        getattr(config, "logits_scaling", None) or 1
    )
    cap = getattr(config, "final_logit_softcapping", None) or 0
    return head, {"scale": float(scale), "soft_cap": float(cap)}


class _Network:
    """A model as the source of a loss's output: hidden states and head, or logits."""

    def __init__(self, fused: bool) -> None:
        self.fused, self.checked = fused, False

    def run(self, model: Any, inputs: Mapping[str, Any], whole: bool) -> tuple[Any, Any, Any]:
        """The model's outputs, (batch, length, width), and the head or None."""
        if whole or not self.fused:
            made = model(**inputs)
            return made, made.logits, None
        made = model(**inputs, output_hidden_states=True, logits_to_keep=1)
        head, numbers = _head_of(model)
        weights = Weights(head.weight, getattr(head, "bias", None), **numbers)
        hidden = made.hidden_states[-1]
        if not self.checked:
            self._compare(hidden, weights, made.logits)
        return made, hidden, weights

    def _compare(self, hidden: Any, head: Weights, logits: Any) -> None:
        """Once: the last position's logits are those that the head gives."""
        with torch.no_grad():
            z = hidden[:, -1].float() @ head.weight.float().T
            z = z if head.bias is None else z + head.bias.float()
            z = head.scale * z
            z = head.soft_cap * torch.tanh(z / head.soft_cap) if head.soft_cap else z
            gap = (z - logits[:, -1].float()).abs().max().item()
            largest = logits[:, -1].float().abs().max().item()
        if not gap <= 0.02 * max(1.0, largest):
            raise ValueError(
                f"the logits of this model are not its head times its last hidden state (they "
                f"differ by {gap:.3g}): use fused_head=False"
            )
        self.checked = True


class DistillTrainerMixin:
    """A trainer whose loss compares with a teacher: put before the trainer's class.

    Parameters
    ----------
    *args, **kwargs
        The trainer's own.
    teacher : path, Store, Teacher, torch.nn.Module or list of these
        A live model's logits are the field "logits"; beside a store, "live".
    terms : dict of float, optional
        Weights by kind; None: forward KL 0.9 and cross-entropy 0.1.
    temperature : float
        Of the terms with a teacher.
    criterion : DistillLoss, optional
        In place of terms: with align=Align.NEXT and mask_field="mask", which is 1 where the label
        is not -100.
    fused_head : bool
        Logits are computed inside the loss; False: by the model.
    missing : Missing
        A sample that a store lacks: ERROR, or ABSENT: it has no teacher.
    """

    # of the trainer's class
    args: Any
    accelerator: Any
    data_collator: Any
    model: Any
    _metrics: Any
    _signature_columns: Any
    _total_train_tokens: int

    _live: Any = None

    def __init__(
        self,
        *args: Any,
        teacher: Any = None,
        terms: Mapping[str, float] | None = None,
        temperature: float = 1.0,
        criterion: DistillLoss | None = None,
        fused_head: bool = True,
        missing: Missing = Missing.ERROR,
        **kwargs: Any,
    ) -> None:
        self._student_network, self._teacher_network = _Network(fused_head), _Network(fused_head)
        self.criterion = criterion or DistillLoss()
        self._term_sums: dict[str, list[float]] = {}
        self._stored: Teacher | None = None
        fields = self._take_teachers(teacher, missing)
        if criterion is None:
            self._add_terms(terms or {"forward_kl": 0.9, "cross_entropy": 0.1}, temperature, fields)
        super().__init__(*args, **kwargs)
        self.data_collator = KeyCollator(self.data_collator)
        if self._live is not None:
            self._live.eval().requires_grad_(False)

    # ---- the teacher ----

    def _take_teachers(self, teacher: Any, missing: Missing) -> list[str]:
        """Fields of the teachers that a term may name, the stored ones first."""
        fields: list[str] = []
        ctx = self.criterion._context
        for one in teacher if isinstance(teacher, (list, tuple)) else [teacher]:
            if isinstance(one, torch.nn.Module):
                self._live = one
            elif isinstance(one, (str, os.PathLike, Store)):
                store = one if isinstance(one, Store) else Store(ctx, one)
                fields += _fields_of(store)
                self._stored = Teacher.from_store(store, missing=missing)
            elif isinstance(one, Teacher):
                self._stored, fields = one, [*fields, "logits"]
            else:
                raise TypeError(
                    "teacher: expected a store's path, a Store, a Teacher or a torch.nn.Module, "
                    f"got {type(one).__name__}"
                )
        if self._live is not None:
            fields.append(LIVE if self._stored is not None else "logits")
        return fields

    def _add_terms(self, terms: Mapping[str, float], temperature: float, fields: Any) -> None:
        for kind, weight in terms.items():
            settings: dict[str, Any] = {"align": Align.NEXT, "mask_field": "mask"}
            if kind != "cross_entropy":
                settings |= {"temperature": temperature, "teacher_field": fields[0]}
            self.criterion.add(kind, weight, **settings)

    def _targets(self, rows: Sequences, batch: Batch, inputs: Mapping[str, Any]) -> Targets | None:
        targets = self.criterion._targets
        if self._stored is not None:
            self._stored.read(batch, targets)
        else:
            targets.begin(len(rows.tokens))
        if self._live is None:
            return targets
        name = LIVE if self._stored is not None else "logits"
        with torch.no_grad():
            _, states, head = self._teacher_network.run(self._live, inputs, False)
        states = rows.take(states)
        self.criterion._set_target(
            "teacher", name, states if head is None else head._replace(hidden=states), _rows(rows)
        )
        return targets

    # ---- the trainer's part ----

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()  # type: ignore[misc]
        columns = self._signature_columns
        if columns is not None and "distill_key" not in columns:
            self._signature_columns = [*columns, "distill_key"]

    def compute_loss(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Value and gradients by the library, in place of the trainer's own loss."""
        given = {n: v for n, v in inputs.items() if n not in ("labels", "distill_keys")}
        given["use_cache"] = False
        rows, labels = sequences_of(inputs), inputs["labels"]
        outputs, states, head = self._student_network.run(model, given, return_outputs)
        label = rows.take(labels)
        criterion = self.criterion
        fields = {"label": label, "mask": (label != -100).to(torch.uint8), "tokens": rows.tokens}
        criterion._fill_batch(_rows(rows), None, None, None, fields)
        keys = inputs.get("distill_keys")
        found = rows.keys(criterion._context) if keys is None else keys.numpy().view(numpy.uint64)
        criterion._batch.set_samples(keys=found)
        loss = criterion._evaluate(
            {"logits": rows.take(states)},
            {} if head is None else {"logits": head},
            _rows(rows),
            self._targets(rows, criterion._batch, given),
            num_items_in_batch,
        )
        self._note(rows)
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def _note(self, rows: Sequences) -> None:
        """What the next log line tells: each term's mean over its rows."""
        result = self.criterion.result
        for number, term in enumerate(self.criterion._terms()):
            name = f"distill/{term.kind.name.lower()}"
            sums = self._term_sums.setdefault(name, [0.0, 0.0])
            if result is not None and self.model.training:
                sums[0] += result.sum[number]
                sums[1] += result.rows[number]
        if hasattr(self, "_total_train_tokens") and self.model.training:
            self._total_train_tokens += len(rows.tokens)
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """The trainer's numbers and the terms' means since the last time."""
        if "loss" in logs:
            means = {name: s / n for name, (s, n) in self._term_sums.items() if n}
            logs = {**logs, **means}
            self._term_sums.clear()
        super().log(logs, *args, **kwargs)  # type: ignore[misc]


def _rows(rows: Sequences) -> Rows:
    return Rows(len(rows.offsets) - 1, 0, rows.offsets)


def _fields_of(store: Store) -> list[str]:
    """Names of a store's distributions over classes, as terms see them."""
    found = []
    for field in store.header["fields"]:
        if field["kind"] in _KINDS_OF_FIELDS:
            found.append("logits" if field["kind"] == "hidden" else field["name"])
    if not found:
        raise ValueError("the store has no field of top-k, counts, dense logits or hidden states")
    return found
