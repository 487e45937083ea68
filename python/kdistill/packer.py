"""Records into packed batches."""

from __future__ import annotations

from ctypes import byref, c_char_p, c_double, c_int32, c_int64, c_uint64
from typing import TYPE_CHECKING, NamedTuple

import numpy

from . import _api
from ._arrays import reference
from ._convert import empty, number_array, numbers_of, options, read, takes
from ._handle import Handle, make, pointer_of
from ._library import check, lib
from .enums import DType
from .record import record_struct
from .results import PackerInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from .batch import Batch
    from .context import Context
    from .options import PackerOptions
    from .record import Record, RecordReader
    from .tokenizer import Tokenizer


class TaskInfo(NamedTuple):
    """Facts about a task of a packer."""

    name: str
    texts: int
    tokens: int
    #: how often its texts were given out
    epochs: float


class Packer(Handle):
    """Texts of one or several tasks, as packed batches.

    Parameters
    ----------
    ctx : Context
    tokenizer : Tokenizer, optional
        Not needed for `add_ids` alone.
    """

    _free = "kd_packer_free"

    @takes(_api.kd_packer_options)
    def __init__(
        self,
        ctx: Context,
        tokenizer: Tokenizer | None = None,
        **options_: Unpack[PackerOptions],
    ) -> None:
        made = options(_api.kd_packer_options, options_)
        at = ctx._pointer, pointer_of(tokenizer), byref(made)
        self._adopt(make(lib.kd_packer_create, *at), ctx, tokenizer)

    def add_task(self, name: str, weight: float = 1) -> int:
        """Adds a task; its number. Task 0 is there from the beginning."""
        number = c_int32()
        check(lib.kd_packer_add_task(self._pointer, name.encode(), weight, byref(number)))
        return number.value

    def add(self, task: int = 0, **record: Unpack[Record]) -> None:
        """Adds a record."""
        check(lib.kd_packer_add(self._pointer, byref(record_struct(record)), task))

    def add_ids(
        self,
        ids: ArrayLike,
        mask: ArrayLike | None = None,
        key: tuple[int, int] = (0, 0),
        task: int = 0,
    ) -> None:
        """Adds a text of ids.

        Parameters
        ----------
        ids : (tokens,) array_like of int
        mask : (tokens,) array_like of bool, optional
            What is learned; None: all.
        key : (int, int)
        task : int
        """
        data = numpy.ascontiguousarray(ids, dtype=numpy.int32)
        learned = None if mask is None else numpy.ascontiguousarray(mask, dtype=numpy.uint8)
        at = None if learned is None else learned.ctypes.data
        given = numbers_of(data, c_int32), at, len(data), (c_uint64 * 2)(*key)
        check(lib.kd_packer_add_ids(self._pointer, *given, task))

    def add_field(self, name: str, dtype: DType = DType.INT64, width: int = 1) -> None:
        """Names numbers of records that travel with their texts, before the first text.

        Batches get a field of samples.

        Parameters
        ----------
        name : str
            A member of records: a number or a list of numbers.
        dtype : DType
            INT64 or FLOAT32.
        width : int
            Numbers of a text.
        """
        check(lib.kd_packer_add_field(self._pointer, name.encode(), dtype, width))

    def set_field(self, name: str, values: ArrayLike) -> None:
        """Gives the text that was added last its numbers (width,)."""
        check(lib.kd_packer_set_field(self._pointer, name.encode(), reference(values)))

    def add_reader(self, reader: RecordReader, task: int = 0) -> int:
        """Adds all records of a reader; how many there were."""
        added = c_int64()
        check(lib.kd_packer_add_reader(self._pointer, reader._pointer, task, byref(added)))
        return added.value

    def clear(self, task: int = 0) -> None:
        """Drops the texts of a task."""
        check(lib.kd_packer_clear(self._pointer, task))

    def mix(self, weights: Sequence[float] | None = None, temperature: float = 1) -> None:
        """Sets how often each task is drawn.

        Parameters
        ----------
        weights : sequence of float, optional
            One a task; None: their numbers of texts.
        temperature : float
            Above 1 rare tasks come more often.
        """
        given = None if weights is None else number_array(c_double, weights)
        check(lib.kd_packer_mix(self._pointer, given, len(weights or ()), temperature))

    def next(self, batch: Batch) -> Batch:
        """Fills a batch, and returns it."""
        check(lib.kd_packer_next(self._pointer, batch._pointer))
        return batch

    @property
    def info(self) -> PackerInfo:
        """Facts: texts held and given out."""
        made = empty(_api.kd_packer_info)
        check(lib.kd_packer_get_info(self._pointer, byref(made)))
        return read(PackerInfo, made)

    def get_task(self, task: int) -> TaskInfo:
        """Facts about a task."""
        name, texts, tokens, epochs = c_char_p(), c_int64(), c_int64(), c_double()
        at = byref(name), byref(texts), byref(tokens), byref(epochs)
        check(lib.kd_packer_get_task(self._pointer, task, *at))
        return TaskInfo((name.value or b"").decode(), texts.value, tokens.value, epochs.value)

    @property
    def state(self) -> list[int]:
        """Where it stands; may be set."""
        count = c_int32(0)
        check(lib.kd_packer_get_state(self._pointer, None, byref(count)))
        values = (c_int64 * max(1, count.value))()
        check(lib.kd_packer_get_state(self._pointer, values, byref(count)))
        return list(values[: count.value])

    @state.setter
    def state(self, values: Sequence[int]) -> None:
        at = number_array(c_int64, values), len(values)
        check(lib.kd_packer_set_state(self._pointer, *at))
