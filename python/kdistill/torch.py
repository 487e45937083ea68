"""The losses of the library for PyTorch's own models, on the CPU.

    from kdistill.torch import DistillLoss, Sparse

    criterion = DistillLoss().add("forward_kl", 0.9, temperature=4).add("cross_entropy", 0.1)
    loss = criterion(student(x), labels, teacher=teacher_logits)      # or teacher=Sparse(ids, ...)
    loss.backward()

- Tensors are used where they are: float32, float16 and bfloat16 on the CPU, any stride between
  rows. Gradients are float32 inside and have the tensor's own type outside.
- `criterion(hidden, labels, teacher=..., head=linear)` computes logits = head(hidden) inside the
  loss, in blocks: no (rows, classes) tensor is made.
- (samples, length, width) are sequences: a term with `align=Align.NEXT` compares a row with the
  next label of the same sample.
- The gradient is made in the forward pass, unless nothing needs one (torch.no_grad). There is no
  second derivative.
- torch.compile leaves the call out of its graphs; with fullgraph=True it refuses the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ._arrays import Bfloat16
from ._need import missing

try:
    import torch
except ModuleNotFoundError as error:
    raise missing(error, "kdistill.torch", "torch") from None

from ._tensors import (
    Rows,
    array_of,
    check_output,
    constant,
    entries_of,
    flat,
    is_borrowable,
    rows_of,
)
from .batch import Batch
from .context import Context
from .enums import LossKind, SparseKind
from .head import Head
from .loss import Loss, LossCounts
from .targets import Targets
from .teacher import Teacher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self, Unpack

    from .options import ProjectionOptions, TermSettings
    from .results import LossResult

__all__ = ["DistillLoss", "Sparse", "Weights"]


class Sparse(NamedTuple):
    """What a teacher kept of its distribution over the classes: the most probable ones."""

    #: (rows, k) or (samples, length, k)
    ids: torch.Tensor
    #: log-probabilities of the shape of ids; counts with kind=SparseKind.COUNTS
    values: torch.Tensor
    #: (rows,) log of the mass outside the ids; None: log(1 - their sum)
    tail: torch.Tensor | None = None
    #: at which the log-probabilities were taken
    temperature: float = 1.0
    #: 0: the term's classes decide
    vocabulary: int = 0
    #: (rows,) who has an answer; None: every row
    present: torch.Tensor | None = None
    kind: SparseKind = SparseKind.TOPK


class Weights(NamedTuple):
    """A head: logits = cap(scale * (hidden weight' + bias)), as in `kdistill.Head`."""

    #: (classes, width)
    weight: torch.Tensor
    bias: torch.Tensor | None = None
    scale: float = 1.0
    soft_cap: float = 0.0
    #: a teacher's hidden states (rows, width); a student's are the output
    hidden: torch.Tensor | None = None


def _weights(head: Any) -> Weights:
    if isinstance(head, Weights):
        return head
    if isinstance(head, torch.Tensor):
        return Weights(head)
    weight = getattr(head, "weight", None)
    if isinstance(weight, torch.Tensor):
        return Weights(weight, getattr(head, "bias", None))
    raise TypeError(
        "head: expected a weight (classes, width), a torch.nn.Linear or Weights, "
        f"got {type(head).__name__}"
    )


def _float32(tensor: torch.Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().float().contiguous().numpy()


class _Head:
    """A head of a call, and arrays for the gradients that are needed."""

    def __init__(self, given: Weights) -> None:
        self.given = given
        parts = (given.weight, given.bias)
        self.tensors = [part for part in parts if part is not None]
        for part in self.tensors:
            if part.device.type != "cpu":
                raise ValueError(f"head: expected tensors on the CPU, got one on {part.device}")

    def arrays(self, needed: bool) -> tuple[Head, list[torch.Tensor | None]]:
        """The library's head, and the gradients of weight and bias where there are such."""
        gradients = [
            torch.zeros(part.shape) if needed and part.requires_grad else None
            for part in self.tensors
        ]
        into = [None if gradient is None else gradient.numpy() for gradient in gradients]
        numbers = {"scale": self.given.scale, "soft_cap": self.given.soft_cap}
        made = Head(
            _float32(self.given.weight),
            _float32(self.given.bias),
            *into,
            **numbers,  # type: ignore
        )
        return made, gradients


class _Evaluate(torch.autograd.Function):
    """A value whose gradients are there before anybody asks for them."""

    @staticmethod
    def forward(ctx: Any, call: Any, *tensors: torch.Tensor) -> torch.Tensor:
        value, gradients = call(any(ctx.needs_input_grad) and call.graded)
        ctx.kinds = [tensor.dtype for tensor in tensors]
        ctx.save_for_backward(*gradients)
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        found: list[torch.Tensor | None] = [None]
        factor = float(upstream)
        for gradient, kind in zip(ctx.saved_tensors, ctx.kinds):
            if gradient is not None and factor != 1:
                found.append((gradient * factor).to(kind))
            else:
                found.append(None if gradient is None else gradient.to(kind))
        return tuple(found)


class _Call:
    """One evaluation: tensors in the order in which their gradients come."""

    targets: Targets | None = None
    counts: LossCounts | None = None

    def __init__(
        self, owner: DistillLoss, outputs: Mapping[str, Any], heads: Any, rows: Rows
    ) -> None:
        self.owner, self.outputs, self.rows = owner, dict(outputs), rows
        self.heads = {name: _Head(_weights(head)) for name, head in heads.items()}
        self.parameters = list(owner.parameters())
        self.graded = torch.is_grad_enabled()
        self.tensors = list(self.outputs.values())
        for head in self.heads.values():
            self.tensors += head.tensors
        self.tensors += self.parameters

    def with_teacher(self, targets: Targets | None, counts: LossCounts | None) -> Self:
        self.targets, self.counts = targets, counts
        return self

    def __call__(self, needed: bool) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        values, gradients, into = {}, [], {}
        for name, tensor in self.outputs.items():
            values[name] = array_of(flat(tensor, self.rows))
            gradient = torch.empty(tensor.shape) if needed else None
            gradients.append(gradient if tensor.requires_grad else None)
            if gradient is not None:
                into[name] = flat(gradient, self.rows).numpy()
        heads = {}
        for name, head in self.heads.items():
            heads[name], made = head.arrays(needed)
            gradients += made
        loss = self.owner.loss
        if self.parameters:
            loss.zero_gradients()
        at = values, self.owner._batch, self.targets, self.counts
        result = loss.evaluate(*at, gradients=into, heads=heads)
        self.owner.result = result
        for i in range(len(self.parameters)):
            made_here = torch.from_numpy(loss.tensor_gradient(i)).clone() if needed else None
            gradients.append(made_here)
        return torch.tensor(result.value, dtype=torch.float32), gradients


class DistillLoss(torch.nn.Module):
    """A weighted sum of terms as a module.

    Parameters
    ----------
    loss : Loss, optional
        With its terms; None: an empty one in a context with as many threads as PyTorch has.

    Attributes
    ----------
    loss : Loss
        What is computed; `loss.set(term, temperature=2)` changes numbers between calls.
    result : LossResult or None
        Of the last call: sums, rows and rows that were left out, for each term.

    Projections of the loss are parameters of the module, in the library's own memory: the
    optimizer of PyTorch trains them.
    """

    def __init__(self, loss: Loss | None = None) -> None:
        super().__init__()
        if loss is None:
            loss = Loss(Context(threads=torch.get_num_threads(), blas_threads=None))
        self.loss = loss
        self.result: LossResult | None = None
        self._context: Context = loss._alive[0]
        self._batch, self._targets = Batch(self._context), Targets(self._context)
        self._share_parameters()

    def add(
        self, kind: LossKind | str, weight: float = 1, **settings: Unpack[TermSettings]
    ) -> Self:
        """Adds a term, by the name of its kind: `add("jsd", 0.5, temperature=2)`."""
        made = LossKind[kind.upper()] if isinstance(kind, str) else kind
        self.loss.add(made, weight, **settings)
        return self

    def add_projection(self, term: int, **settings: Unpack[ProjectionOptions]) -> Self:
        """Gives a term of features a projection; with `from_` and `to` it is a parameter now.

        Otherwise `prepare` fixes its widths.
        """
        self.loss.set_projection(term, **settings)
        self._share_parameters()
        return self

    def prepare(self, outputs: Any, labels: Any = None, **given: Any) -> Self:
        """Takes open widths from a call without gradients: before the optimizer is made."""
        with torch.no_grad():
            self(outputs, labels, **given)
        self._share_parameters()
        return self

    def _share_parameters(self) -> None:
        """The loss's parameters as the module's, without a copy; blocks may have moved."""
        for name, values in self.loss.tensors:
            shared, key = torch.from_numpy(values), name.replace(".", "_")
            if key in self._parameters:
                self._parameters[key].data = shared  # type: ignore[union-attr]
            else:
                self.register_parameter(key, torch.nn.Parameter(shared))

    def extra_repr(self) -> str:
        """The terms."""
        return ", ".join(f"{term.kind.name.lower()}" for term in self._terms())

    def _terms(self) -> Iterator[Any]:
        number = 0
        while True:
            try:
                yield self.loss.term(number)
            except RuntimeError:
                return
            number += 1

    @torch.compiler.disable(  # type: ignore[misc]
        reason="kdistill.torch: the library's call is no part of a graph; compile the model alone"
    )
    def forward(
        self,
        outputs: torch.Tensor | Mapping[str, torch.Tensor],
        labels: Any = None,
        *,
        teacher: Any = None,
        mask: Any = None,
        weight: Any = None,
        fields: Mapping[str, Any] | None = None,
        head: Any = None,
        offsets: Any = None,
        keys: Any = None,
        views: Any = None,
        denominators: LossCounts | float | None = None,
    ) -> torch.Tensor:
        """The value, with gradients for all tensors that need them.

        Parameters
        ----------
        outputs : tensor, or dict of tensors
            Logits (rows, classes) or (samples, length, classes); with `head`, hidden states. Other
            outputs by their names.
        labels : (rows,) or (samples, length) tensor of int, optional
            The field "label".
        teacher : optional
            A tensor (logits), `Sparse`, `Weights` with hidden states, a dict of such by field; a
            `kdistill.Teacher`, as one of a store, which finds the samples by `keys`; or `Targets`.
        mask, weight : (rows,) tensor, optional
            The fields "mask" and "weight", for terms with mask_field and weight_field.
        fields : dict of tensors, optional
            Other fields of the batch: "tokens" and "position" for a store.
        head : weight (classes, width), torch.nn.Linear, `Weights`, or a dict by output, optional
        offsets : (samples + 1,) array of int, optional
            Rows of each sample, where outputs are (rows, width) of sequences without padding.
        keys : (samples, 2) array of uint64, optional
        views : (samples,) array of int, optional
        denominators : LossCounts or float, optional
            What each term's sum is divided by: counts of several batches or processes, or one
            number for all terms. None: the rows of this batch.

        Returns
        -------
        () float32 tensor
        """
        named = dict(outputs) if hasattr(outputs, "items") else {"logits": outputs}
        for name, tensor in named.items():
            check_output(name, tensor)
        heads = (
            {} if head is None else head if isinstance(head, dict) else {next(iter(named)): head}
        )
        rows = rows_of(next(iter(named.values())), offsets)
        self._fill_batch(rows, labels, mask, weight, fields or {})
        if keys is not None or views is not None:
            self._batch.set_samples(keys=keys, views=views)
        targets = self._fill_targets(teacher, rows)
        return self._evaluate(named, heads, rows, targets, denominators)

    # ---- what a call sees ----

    def _evaluate(
        self,
        outputs: Mapping[str, torch.Tensor],
        heads: Mapping[str, Any],
        rows: Rows,
        targets: Targets | None,
        denominators: Any,
    ) -> torch.Tensor:
        """The value on a batch and targets that are filled."""
        self._share_parameters()
        counts = self._counts(denominators, targets)
        call = _Call(self, outputs, heads, rows).with_teacher(targets, counts)
        value: torch.Tensor = _Evaluate.apply(call, *call.tensors)
        return value

    def _counts(self, given: Any, targets: Targets | None) -> LossCounts | None:
        if given is None or isinstance(given, LossCounts):
            return given
        counts = self.loss.count(self._batch, targets)
        for term in range(counts.terms):
            number = max(float(given), 1.0)
            counts.rows[term], counts.weights[term] = round(number), number
        return counts

    def count(self, outputs: Any, labels: Any = None, **given: Any) -> LossCounts:
        """Valid rows of a batch, for `denominators` over several of them: arguments of a call."""
        named = dict(outputs) if hasattr(outputs, "items") else {"logits": outputs}
        rows = rows_of(next(iter(named.values())), given.get("offsets"))
        parts = given.get("mask"), given.get("weight"), given.get("fields") or {}
        self._fill_batch(rows, labels, *parts)
        if given.get("keys") is not None:
            self._batch.set_samples(keys=given["keys"], views=given.get("views"))
        return self.loss.count(self._batch, self._fill_targets(given.get("teacher"), rows))

    def _fill_batch(
        self, rows: Rows, labels: Any, mask: Any, weight: Any, fields: Mapping[str, Any]
    ) -> None:
        if rows.offsets is None:
            self._batch.begin(rows.samples)
        else:
            self._batch.begin_packed(rows.offsets)
        given = {"label": labels, "mask": mask, "weight": weight, **fields}
        for name, value in given.items():
            if value is not None:
                self._set(self._batch, name, constant(value, name, rows), rows)

    @staticmethod
    def _set(to: Any, name: str, array: Any, rows: Rows, present: Any = None) -> None:
        """Into the rows' fields or the samples', by the number of entries."""
        entries = entries_of(array)
        if entries not in (rows.rows, rows.samples):
            expected = f"{rows.rows} rows" + (
                "" if rows.rows == rows.samples else f" or {rows.samples} samples"
            )
            raise ValueError(f"{name}: expected {expected}, got {entries} entries")
        if entries != rows.rows:
            to.set_per_sample(name, array, present)
        elif isinstance(to, Targets) and is_borrowable(array):
            to.borrow(name, array, present)
        else:
            to.set(name, array, present)

    def _fill_targets(self, teacher: Any, rows: Rows) -> Targets | None:
        if teacher is None or isinstance(teacher, Targets):
            return teacher
        if isinstance(teacher, Teacher):
            return teacher.read(self._batch, self._targets)
        named = teacher if isinstance(teacher, dict) else {"logits": teacher}
        self._targets.begin(rows.rows)
        for name, value in named.items():
            self._set_target(f"teacher's {name}", name, value, rows)
        return self._targets

    def _set_target(self, what: str, name: str, value: Any, rows: Rows) -> None:
        if isinstance(value, Sparse):
            parts = [value.ids, value.values, value.tail, value.present]
            found: list[Any] = [None if x is None else constant(x, what, rows) for x in parts]
            ids, values, tail, present = found
            numbers = {"temperature": value.temperature, "vocabulary": value.vocabulary}
            self._targets.set_sparse(
                name,
                ids,
                values,
                tail=tail,
                present=present,
                kind=value.kind,
                **numbers,  # type: ignore
            )
        elif isinstance(value, Weights):
            if value.hidden is None:
                raise ValueError(f"{what}: expected Weights with hidden states of the teacher")
            states = constant(value.hidden, what, rows)
            self._set(self._targets, name + ".states", states, rows)
            for part in (value.weight, value.bias):
                if part is not None and part.requires_grad:
                    raise ValueError(f"{what}: expected a head without gradients: detach it")
            self._targets.borrow_head(name, name + ".states", _Head(value).arrays(False)[0])
        elif isinstance(value, (torch.Tensor, Bfloat16)) or hasattr(value, "__array__"):
            self._set(self._targets, name, constant(value, what, rows), rows)
        else:
            raise TypeError(
                f"{what}: expected a tensor, Sparse, Weights, Teacher or Targets, got "
                f"{type(value).__name__}"
            )
