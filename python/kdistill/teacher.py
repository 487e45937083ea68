"""Whose outputs a student learns from."""

from __future__ import annotations

from ctypes import byref, c_double
from typing import TYPE_CHECKING, Any, Callable

from . import _api
from ._arrays import array, reference
from ._convert import empty, number_array, options, path_bytes, takes, text_array
from ._handle import Handle, guarded, handle_array, make
from ._library import check, lib
from .batch import Batch
from .enums import Status
from .targets import Targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self, Unpack

    from ._convert import StrPath
    from .context import Context
    from .dataset import Dataset
    from .model import Model
    from .options import EnsembleOptions, TeacherOptions
    from .store import Store


class Teacher(Handle):
    """A teacher of arrays; the class methods make others.

    Parameters
    ----------
    ctx : Context
    keys : (samples, 2) array_like of uint64, optional
        Keys of the samples, for Lookup.KEY.
    """

    _free = "kd_teacher_free"

    @takes(_api.kd_teacher_options)
    def __init__(
        self, ctx: Context, keys: ArrayLike | None = None, **options_: Unpack[TeacherOptions]
    ) -> None:
        made = options(_api.kd_teacher_options, options_)
        at = ctx._pointer, reference(keys), byref(made)
        self._adopt(make(lib.kd_teacher_create, *at), ctx)

    @classmethod
    @takes(_api.kd_teacher_options)
    def from_model(cls, model: Model, **options_: Unpack[TeacherOptions]) -> Self:
        """A teacher that runs a model on each batch."""
        made = options(_api.kd_teacher_options, options_)
        return cls._wrap(make(lib.kd_teacher_from_model, model._pointer, byref(made)), model)

    @classmethod
    @takes(_api.kd_teacher_options)
    def from_store(cls, store: Store, **options_: Unpack[TeacherOptions]) -> Self:
        """A teacher that reads an open store."""
        made = options(_api.kd_teacher_options, options_)
        return cls._wrap(make(lib.kd_teacher_from_store, store._pointer, byref(made)), store)

    @classmethod
    @takes(_api.kd_teacher_options)
    def open(cls, ctx: Context, path: StrPath, **options_: Unpack[TeacherOptions]) -> Self:
        """A teacher that reads a store's file, or a folder of shards."""
        made = options(_api.kd_teacher_options, options_)
        at = ctx._pointer, path_bytes(path), byref(made)
        return cls._wrap(make(lib.kd_teacher_open, *at), ctx)

    @classmethod
    @takes(_api.kd_ensemble_options)
    def from_ensemble(
        cls,
        ctx: Context,
        teachers: Sequence[Teacher],
        weights: Sequence[float] | None = None,
        **options_: Unpack[EnsembleOptions],
    ) -> Self:
        """A teacher that is the mean of others.

        Parameters
        ----------
        ctx : Context
        teachers : sequence of Teacher
        weights : sequence of float, optional
            One a teacher, at least 0; None: equal.
        """
        made = options(_api.kd_ensemble_options, options_)
        if weights is not None:
            made.weights = number_array(c_double, weights)
        at = ctx._pointer, handle_array(teachers), len(teachers), byref(made)
        return cls._wrap(make(lib.kd_teacher_from_ensemble, *at), ctx, *teachers)

    @classmethod
    def from_tasks(cls, ctx: Context, teachers: Mapping[str, Teacher]) -> Self:
        """Teachers of several tasks: "logits" of the teacher of "topic" is "logits.topic".

        Parameters
        ----------
        ctx : Context
        teachers : mapping of str to Teacher
            By the names of their tasks; "": its fields keep their names.
        """
        names = list(teachers)
        members = list(teachers.values())
        at = ctx._pointer, handle_array(members), text_array(names), len(names)
        return cls._wrap(make(lib.kd_teacher_from_tasks, *at), ctx, *members)

    @classmethod
    @takes(_api.kd_teacher_options)
    def from_callbacks(
        cls,
        ctx: Context,
        read: Callable[[Batch, Targets], object],
        **options_: Unpack[TeacherOptions],
    ) -> Self:
        """A teacher that Python answers for.

        Parameters
        ----------
        ctx : Context
        read : callable
            read(batch, targets) sets fields of the targets, one entry a row of the batch.
        """

        def call(user: object, batch: int, targets: int) -> None:
            read(Batch._borrow(batch), Targets._borrow(targets))

        made = options(_api.kd_teacher_options, options_)
        callbacks = empty(_api.kd_teacher_callbacks)
        kinds: dict[str, Any] = {field[0]: field[1] for field in callbacks._fields_}
        callbacks.read = kinds["read"](guarded(call, Status.ERR_CALLBACK))
        at = ctx._pointer, byref(callbacks), byref(made)
        return cls._wrap(make(lib.kd_teacher_from_callbacks, *at), ctx, callbacks)

    def add(self, field: str, values: ArrayLike) -> Self:
        """Copies a field (samples, ...) of a teacher of arrays."""
        check(lib.kd_teacher_add(self._pointer, field.encode(), reference(values)))
        return self

    def borrow(self, field: str, values: NDArray[Any]) -> Self:
        """As `add`, without a copy: contiguous, and alive as long as the teacher."""
        check(lib.kd_teacher_borrow(self._pointer, field.encode(), reference(values)))
        self._alive.append(values)
        return self

    def read(self, batch: Batch, targets: Targets) -> Targets:
        """Fills targets with what the teacher says about a batch, and returns them."""
        check(lib.kd_teacher_read(self._pointer, batch._pointer, targets._pointer))
        return targets

    def collect(self, dataset: Dataset, batch_size: int = 256) -> Self:
        """A teacher of arrays that holds this one's answers for a dataset."""
        at = self._pointer, dataset._pointer, batch_size
        return self._wrap(make(lib.kd_teacher_collect, *at), *self._alive)

    def field(self, name: str) -> NDArray[numpy.float32]:
        """A view (samples, ...) of a field of a teacher of arrays."""
        values = _api.kd_array()
        check(lib.kd_teacher_field(self._pointer, name.encode(), byref(values)))
        return array(values, self)
