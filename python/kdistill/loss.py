"""Weighted sums of loss terms, with exact gradients."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_double, c_int32, c_int64
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy

from . import _api
from ._arrays import array, pointer, reference
from ._convert import (
    empty,
    number_array,
    numbers_of,
    options,
    path_bytes,
    read,
    split,
    takes,
    values_of,
)
from ._handle import Handle, handle_array, make, pointer_of
from ._library import check, lib
from ._numbers import Bounds, bounds_of, check_numbers
from .enums import LayerChoice, LossKind, TermNumber
from .results import LossDiagnostics, LossResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from ._convert import StrPath
    from .batch import Batch
    from .context import Context
    from .head import Head
    from .model import Model
    from .options import (
        LossOptions,
        PairOptions,
        ProjectionOptions,
        TermNumbers,
        TermOptions,
        TermSettings,
    )
    from .targets import Targets
    from .teacher import Teacher
    from .tokenizer import Tokenizer


class LossCounts(_api.kd_loss_counts):
    """What denominators are made of: `rows[term]` and `weights[term]`."""

    def add(self, more: LossCounts) -> None:
        """Adds the counts of another batch, term by term."""
        check(lib.kd_loss_counts_add(byref(self), byref(more)))


class Term(NamedTuple):
    """A term as it is now."""

    kind: LossKind
    #: keywords of `Loss.add`
    options: TermOptions


class TaskGradients(NamedTuple):
    """What tasks send to an output that they share."""

    #: (tasks,) lengths of their gradients
    norms: NDArray[numpy.float64]
    #: (tasks, tasks): below 0, what helps one task harms the other
    cosines: NDArray[numpy.float64]


class LossMemory(NamedTuple):
    """What a loss takes."""

    #: bytes beside the caller's arrays
    size: int
    #: rows that go through a head at once
    block_rows: int


class Loss(Handle):
    """A weighted sum of terms.

    Parameters
    ----------
    ctx : Context
    """

    _free = "kd_loss_free"

    @takes(_api.kd_loss_options)
    def __init__(self, ctx: Context, **options_: Unpack[LossOptions]) -> None:
        made = options(_api.kd_loss_options, options_)
        self._adopt(make(lib.kd_loss_create, ctx._pointer, byref(made)), ctx)

    # ---- terms ----

    @takes(_api.kd_term_options)
    def add(self, kind: LossKind, weight: float = 1, **options_: Unpack[TermSettings]) -> int:
        """Adds a term.

        Numbers that the kind has are keywords too, as in `set`.

        Parameters
        ----------
        kind : LossKind
        weight : float

        Returns
        -------
        int
            Its number.
        """
        made, numbers = split(_api.kd_term_options, options_, TermNumber)
        check_numbers(lib.kd_loss_bounds, kind, numbers)
        term = c_int32()
        check(lib.kd_loss_add(self._pointer, kind, weight, byref(made), byref(term)))
        for number, value in numbers.items():
            check(lib.kd_loss_set(self._pointer, term, number, value))
        return term.value

    @staticmethod
    def map_layers(choice: LayerChoice, student_layers: int, teacher_layers: int) -> list[int]:
        """The teacher's layer for each of the student's."""
        made = (c_int32 * max(student_layers, 0))()
        check(lib.kd_loss_map_layers(choice, student_layers, teacher_layers, made))
        return list(made)

    @takes(_api.kd_term_options)
    def add_mapped(
        self,
        kind: LossKind,
        teacher_of: Sequence[int],
        weight: float = 1,
        **options_: Unpack[TermSettings],
    ) -> range:
        """Adds a term for each layer of the student that has one of the teacher.

        Parameters
        ----------
        kind : LossKind
        teacher_of : sequence of int
            The teacher's layer for each of the student's, -1: none; of `map_layers`.
        weight : float
            Of all of them together.

        Other keywords are those of `add`; `student_output` and `teacher_field` are names with one
        %d for the layer.

        Returns
        -------
        range
            Their numbers.
        """
        made, numbers = split(_api.kd_term_options, options_, TermNumber)
        check_numbers(lib.kd_loss_bounds, kind, numbers)
        layers, first = (c_int32 * len(teacher_of))(*teacher_of), c_int32()
        at = byref(made), layers, len(teacher_of), byref(first)
        check(lib.kd_loss_add_mapped(self._pointer, kind, weight, *at))
        terms = range(first.value, first.value + sum(layer >= 0 for layer in teacher_of))
        for term in terms:
            for number, value in numbers.items():
                check(lib.kd_loss_set(self._pointer, term, number, value))
        return terms

    def keep_outputs(self, student: Model | None = None, teacher: Teacher | None = None) -> None:
        """Asks models for the outputs that the terms name; a live teacher keeps no others."""
        check(lib.kd_loss_keep_outputs(self._pointer, pointer_of(student), pointer_of(teacher)))

    def set(self, term: int, **numbers: Unpack[TermNumbers]) -> None:
        """Sets numbers of a term by the names of TermNumber: `loss.set(soft, temperature=2)`."""
        for name, value in numbers.items():
            check(lib.kd_loss_set(self._pointer, term, TermNumber[name.upper()], value))

    def get(self, term: int, name: str) -> float:
        """A number of a term by its name in TermNumber: `loss.get(soft, "temperature")`."""
        value = c_double()
        number = TermNumber[name.upper()]
        check(lib.kd_loss_get(self._pointer, term, number, byref(value)))
        return value.value

    @staticmethod
    def bounds(kind: LossKind, name: str) -> Bounds:
        """Bounds and default of a number that a kind of term has."""
        return bounds_of(lib.kd_loss_bounds, kind, TermNumber[name.upper()])

    def term(self, term: int) -> Term:
        """A term's kind and options as they are now."""
        kind, made = c_int32(), empty(_api.kd_term_options)
        check(lib.kd_loss_get_term(self._pointer, term, byref(kind), byref(made)))
        return Term(LossKind(kind.value), cast("TermOptions", values_of(made)))

    def set_shared_classes(
        self, term: int, teacher_of: ArrayLike | None, teacher_classes: int = 0
    ) -> None:
        """Pairs classes of the student and a teacher with another tokenizer (ULD).

        Parameters
        ----------
        term : int
        teacher_of : (classes,) array_like of int or None
            The teacher's class of each of the student's, -1: none. None: no pairs.
        teacher_classes : int
        """
        classes = None
        if teacher_of is not None:
            classes = numpy.ascontiguousarray(teacher_of, numpy.int64)
        at = reference(classes), teacher_classes
        check(lib.kd_loss_set_shared_classes(self._pointer, term, *at))

    def set_shared_tokens(
        self,
        term: int,
        student: Tokenizer,
        student_classes: int,
        teacher: Tokenizer,
        teacher_classes: int,
    ) -> int:
        """Pairs the tokens of two tokenizers with the same bytes (ULD); how many there are."""
        shared = c_int64()
        at = student._pointer, student_classes, teacher._pointer, teacher_classes
        check(lib.kd_loss_set_shared_tokens(self._pointer, term, *at, byref(shared)))
        return shared.value

    # ---- two sides ----

    @takes(_api.kd_pair_options)
    def set_pairs(self, term: int, **options_: Unpack[PairOptions]) -> None:
        """Says what the other side is: `loss.set_pairs(term, other_output="embedding.text")`.

        Parameters
        ----------
        term : int
            A contrastive or affinity term.
        """
        made = options(_api.kd_pair_options, options_)
        check(lib.kd_loss_set_pairs(self._pointer, term, byref(made)))

    def backward_chunks(
        self,
        model: Model,
        chunks: Sequence[Batch],
        targets: Sequence[Targets] | None = None,
        counts: LossCounts | None = None,
    ) -> LossResult:
        """Value and gradients of a batch in chunks, which terms over a whole batch see as one.

        No forward pass stands before it: chunks are passed twice.

        Parameters
        ----------
        model : Model
        chunks : sequence of Batch
        targets : sequence of Targets, optional
        counts : LossCounts, optional

        Returns
        -------
        LossResult
        """
        if targets is not None and len(targets) != len(chunks):
            raise ValueError(f"expected {len(chunks)} targets, got {len(targets)}")
        made = empty(_api.kd_loss_result)
        batches = handle_array(chunks)
        taught = None if targets is None else handle_array(targets)
        given = None if counts is None else byref(counts)
        at = batches, taught, len(chunks), given, byref(made)
        check(lib.kd_loss_backward_chunks(self._pointer, model._pointer, *at))
        return read(LossResult, made)

    # ---- projections and other parameters of the loss ----

    @takes(_api.kd_projection_options)
    def set_projection(self, term: int, **options_: Unpack[ProjectionOptions]) -> None:
        """Gives a term of features a projection: `loss.set_projection(term, name="fit")`.

        Its widths are the sides' if `from_` and `to` are not given; `prepare` fixes them, or the
        first call.
        """
        made = options(_api.kd_projection_options, options_)
        check(lib.kd_loss_set_projection(self._pointer, term, byref(made)))

    def prepare(self, student: Model | None = None, targets: Targets | None = None) -> None:
        """Fixes widths that are open, from a model after a pass and the teacher's fields."""
        check(lib.kd_loss_prepare(self._pointer, pointer_of(student), pointer_of(targets)))

    @property
    def tensors(self) -> list[tuple[str, NDArray[numpy.float32]]]:
        """Names and views of all parameters of the loss, in the order of their numbers."""
        count, name, found = c_int32(), c_char_p(), []
        check(lib.kd_loss_tensor_count(self._pointer, byref(count)))
        for i in range(count.value):
            values = _api.kd_array()
            check(lib.kd_loss_tensor(self._pointer, i, byref(name), byref(values)))
            found.append(((name.value or b"").decode(), array(values, self)))
        return found

    def tensor_gradient(self, index: int) -> NDArray[numpy.float32]:
        """A view of the gradient of the parameter with this number."""
        values = _api.kd_array()
        check(lib.kd_loss_tensor_gradient(self._pointer, index, byref(values)))
        return array(values, self)

    def zero_gradients(self) -> None:
        """Sets the gradients of all parameters to zero."""
        check(lib.kd_loss_zero_gradients(self._pointer))

    def save_tensors(self, path: StrPath) -> None:
        """Writes all parameters as a safetensors file."""
        check(lib.kd_loss_save_tensors(self._pointer, path_bytes(path)))

    def load_tensors(self, path: StrPath) -> None:
        """Reads the parameters that the loss has from such a file."""
        check(lib.kd_loss_load_tensors(self._pointer, path_bytes(path)))

    # ---- values and gradients ----

    def count(self, batch: Batch, targets: Targets | None = None) -> LossCounts:
        """Valid rows of a batch, for denominators over several batches or processes."""
        counts = empty(LossCounts)
        at = batch._pointer, pointer_of(targets)
        check(lib.kd_loss_count(self._pointer, *at, byref(counts)))
        return counts

    def _on_model(
        self,
        function: Any,
        model: Model,
        batch: Batch,
        targets: Targets | None,
        counts: LossCounts | None,
    ) -> LossResult:
        made = empty(_api.kd_loss_result)
        given = None if counts is None else byref(counts)
        at = self._pointer, model._pointer, batch._pointer, pointer_of(targets)
        check(function(*at, given, byref(made)))
        return read(LossResult, made)

    def backward(
        self,
        model: Model,
        batch: Batch,
        targets: Targets | None = None,
        counts: LossCounts | None = None,
    ) -> LossResult:
        """Value, and gradients added to a model's, after its forward pass.

        Parameters
        ----------
        model : Model
        batch : Batch
        targets : Targets, optional
            What terms with a teacher compare with.
        counts : LossCounts, optional
            Denominators; None: those of this batch.
        """
        return self._on_model(lib.kd_loss_backward, model, batch, targets, counts)

    def forward(
        self,
        model: Model,
        batch: Batch,
        targets: Targets | None = None,
        counts: LossCounts | None = None,
    ) -> LossResult:
        """As `backward`, without gradients."""
        return self._on_model(lib.kd_loss_forward, model, batch, targets, counts)

    def measure_gradients(
        self,
        model: Model,
        batch: Batch,
        targets: Targets | None = None,
        task_of: Sequence[int] | None = None,
        output: str | None = None,
        counts: LossCounts | None = None,
    ) -> TaskGradients:
        """How much each task pulls at what tasks share: after a training pass, before `backward`.

        Parameters
        ----------
        model : Model
        batch : Batch
        targets : Targets, optional
        task_of : sequence of int, optional
            The task of each term, -1: of none; None: each term is a task.
        output : str, optional
            Where tasks meet; None: the output that all their terms come from.
        counts : LossCounts, optional

        Returns
        -------
        TaskGradients
            The norm of each task's gradient, and cosines between tasks.
        """
        made = options(_api.kd_gradient_options, {})
        kind, options_, terms = c_int32(), empty(_api.kd_term_options), 0
        while lib.kd_loss_get_term(self._pointer, terms, byref(kind), byref(options_)) == 0:
            terms += 1
        tasks = terms
        if task_of is not None:
            if len(task_of) != terms:
                raise ValueError(f"task_of: expected {terms} terms, got {len(task_of)}")
            tasks = max(task_of, default=-1) + 1
            made.task_of, made.tasks = number_array(c_int32, task_of), tasks
        name = None if output is None else output.encode()
        made.output = name
        if counts is not None:
            made.counts = ctypes.pointer(counts)
        norms, cosines = numpy.empty(max(1, tasks)), numpy.empty((max(1, tasks), max(1, tasks)))
        at = model._pointer, batch._pointer, pointer_of(targets), byref(made)
        into = numbers_of(norms, c_double), numbers_of(cosines, c_double)
        check(lib.kd_loss_measure_gradients(self._pointer, *at, *into))
        return TaskGradients(norms, cosines)

    def evaluate(
        self,
        outputs: Mapping[str, ArrayLike],
        batch: Batch,
        targets: Targets | None = None,
        counts: LossCounts | None = None,
        *,
        gradients: Mapping[str, NDArray[numpy.float32]] | None = None,
        accumulate: bool = False,
        heads: Mapping[str, Head] | None = None,
    ) -> LossResult:
        """The loss alone, on arrays of any framework.

        Parameters
        ----------
        outputs : dict of (rows, width) array_like
            By name, "logits"; hidden states where the output has a head.
        batch : Batch
        targets : Targets, optional
        counts : LossCounts, optional
            Denominators; None: those of this batch.
        gradients : dict of (rows, width) float32, optional
            Arrays that the outputs' gradients are written into.
        accumulate : bool
            Gradients are added to what is there.
        heads : dict of Head, optional
        """
        entries = (_api.kd_loss_output * len(outputs))()
        for entry, (name, values) in zip(entries, outputs.items()):
            entry.struct_size, entry.name = ctypes.sizeof(_api.kd_loss_output), name.encode()
            entry.accumulate, entry.value = accumulate, pointer(values)
            entry.gradient = pointer((gradients or {}).get(name))
            if heads and name in heads:
                entry.head = ctypes.pointer(heads[name]._made)
        made = empty(_api.kd_loss_result)
        given = None if counts is None else byref(counts)
        at = entries, len(entries), batch._pointer, pointer_of(targets), given
        check(lib.kd_loss_evaluate(self._pointer, *at, byref(made)))
        return read(LossResult, made)

    def estimate_memory(
        self, rows: int, classes: int, student_width: int = 0, teacher_width: int = 0
    ) -> LossMemory:
        """What a batch would take; widths of hidden states, 0: logits are given."""
        size, block = c_int64(), c_int64()
        at = rows, classes, student_width, teacher_width
        check(lib.kd_loss_estimate_memory(self._pointer, *at, byref(size), byref(block)))
        return LossMemory(size.value, block.value)

    # ---- diagnostics ----

    def set_diagnostics(self, on: bool = True) -> None:
        """Keeps facts about each term, which costs time, or no longer (False)."""
        check(lib.kd_loss_set_diagnostics(self._pointer, on))

    def diagnostics(self, term: int) -> LossDiagnostics:
        """Facts about a term, of the last batch."""
        made = empty(_api.kd_loss_diagnostics)
        check(lib.kd_loss_get_diagnostics(self._pointer, term, byref(made)))
        return read(LossDiagnostics, made)
