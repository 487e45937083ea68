"""Teacher outputs on disk, to read."""

from __future__ import annotations

import ctypes
import json
from ctypes import byref, c_char_p, c_double, c_int64, c_uint64
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._arrays import array, describe, reference
from ._arrow import ArrowStream
from ._convert import empty, number_array, options, path_array, path_bytes, read, takes, text_array
from ._handle import Handle, make
from ._library import check, lib
from .results import StoreInfo, StoreRecord
from .targets import Targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from ._convert import StrPath
    from .context import Context
    from .options import StoreOpenOptions


def store_key(ctx: Context, content: bytes | bytearray | ArrayLike) -> tuple[int, int]:
    """The key of a sample: integers are tokens, bytes (or uint8) are bytes."""
    if isinstance(content, (bytes, bytearray)):
        values = numpy.frombuffer(content, numpy.uint8)
    else:
        values = numpy.ascontiguousarray(content)
    first, second = c_uint64(), c_uint64()
    check(lib.kd_store_key(ctx._pointer, reference(values), byref(first), byref(second)))
    return first.value, second.value


def store_adopt(ctx: Context, folder: StrPath) -> int:
    """Names shards in a folder's manifest that it does not name; how many."""
    added = c_int64()
    check(lib.kd_store_adopt(ctx._pointer, path_bytes(folder), byref(added)))
    return added.value


class Store(Handle):
    """Records by number, or by key and view; `for record, targets in store` reads them all.

    Parameters
    ----------
    ctx : Context
    *paths : path
        Files, or folders of shards, that are read as one store.
    tokens : (vocabulary,) sequence of str, optional
        The host's vocabulary, compared with the store's.
    exceptions : sequence of int, optional
        Ids that may differ.
    """

    _free = "kd_store_free"

    @takes(_api.kd_store_open_options)
    def __init__(
        self,
        ctx: Context,
        *paths: StrPath,
        tokens: Sequence[str] | None = None,
        exceptions: Sequence[int] = (),
        **options_: Unpack[StoreOpenOptions],
    ) -> None:
        made = options(_api.kd_store_open_options, options_)
        if tokens is not None:
            made.tokens, made.token_count = text_array(tokens), len(tokens)
        made.exceptions, made.exception_count = number_array(c_int64, exceptions), len(exceptions)
        at = ctx._pointer, path_array(paths), len(paths), byref(made)
        self._adopt(make(lib.kd_store_open, *at), ctx)
        self._context = ctx

    @property
    def info(self) -> StoreInfo:
        """Facts: records, positions, bytes."""
        made = empty(_api.kd_store_info)
        check(lib.kd_store_get_info(self._pointer, byref(made)))
        return read(StoreInfo, made)

    @property
    def header(self) -> dict[str, Any]:
        """What the store's first bytes say: fields, vocabulary, temperature, hashes."""
        text = c_char_p()
        check(lib.kd_store_header(self._pointer, byref(text)))
        found: dict[str, Any] = json.loads(text.value or b"{}")
        return found

    def __len__(self) -> int:
        return self.info.records

    def record(self, record: int) -> StoreRecord:
        """Facts about the record with this number."""
        made = empty(_api.kd_store_record)
        check(lib.kd_store_get_record(self._pointer, record, byref(made)))
        return read(StoreRecord, made)

    def find(self, key: tuple[int, int], view: int = 0) -> int:
        """The number of the record with this key and view."""
        number = c_int64()
        check(lib.kd_store_find(self._pointer, key[0], key[1], view, byref(number)))
        return number.value

    def read(self, record: int, targets: Targets) -> Targets:
        """Fills targets with a record, one row a position, and returns them."""
        check(lib.kd_store_read(self._pointer, record, targets._pointer))
        return targets

    def __iter__(self) -> Iterator[tuple[StoreRecord, Targets]]:
        """Every record, with targets that are filled again for each."""
        with Targets(self._context) as targets:
            for number in range(len(self)):
                yield self.record(number), self.read(number, targets)

    def text(self, record: int, field: str) -> bytes:
        """The bytes of a field of texts."""
        data, size = ctypes.c_char_p(), c_int64()
        at = self._pointer, record, field.encode()
        check(lib.kd_store_text(*at, byref(data), byref(size)))
        return ctypes.string_at(data, size.value)

    def score(self, record: int, field: str) -> float:
        """The number of a field of scores."""
        value = c_double()
        check(lib.kd_store_number(self._pointer, record, field.encode(), byref(value), None))
        return value.value

    def seed(self, record: int, field: str) -> int:
        """The number of a field of seeds."""
        value = c_uint64()
        check(lib.kd_store_number(self._pointer, record, field.encode(), None, byref(value)))
        return value.value

    def head(self, rotated: bool = True) -> NDArray[numpy.float32]:
        """A view (classes, width) of the head, rotated as the store's hidden states are."""
        weight = _api.kd_array()
        check(lib.kd_store_head(self._pointer, rotated, byref(weight)))
        return array(weight, self)

    def unrotate(self, field: str, rows: ArrayLike) -> NDArray[numpy.float32]:
        """A copy of hidden states (rows, width) with the store's rotation undone."""
        values = numpy.array(rows, dtype=numpy.float32, order="C")
        check(lib.kd_store_unrotate(self._pointer, field.encode(), byref(describe(values))))
        return values

    def field_bytes(self, record: int, field: str) -> int:
        """Bytes that a field of a record takes in the file."""
        size = c_int64()
        check(lib.kd_store_field_bytes(self._pointer, record, field.encode(), byref(size)))
        return size.value

    def to_arrow(self, fields: Sequence[str] | None = None) -> ArrowStream:
        """The records as a stream: `duckdb.from_arrow(store.to_arrow())`.

        Parameters
        ----------
        fields : sequence of str, optional
            What is wanted beside key, view, first, positions and bytes; None: all but dense logits,
            hidden states and vectors.
        """

        def fill(stream: Any) -> None:
            names = None if fields is None else text_array(fields)
            at = self._pointer, stream, names, len(fields or ())
            check(lib.kd_store_to_arrow(*at))

        return ArrowStream(fill)

    def refresh(self) -> int:
        """Reads what was committed since; the number of records that are new."""
        added = c_int64()
        check(lib.kd_store_refresh(self._pointer, byref(added)))
        return added.value

    def verify(self) -> int:
        """The number of whole records; raises with the first that is damaged."""
        bad = c_int64()
        check(lib.kd_store_verify(self._pointer, byref(bad)))
        return len(self) - bad.value

    def compact(self, path: StrPath) -> None:
        """Writes a file of the records that count, without replaced and torn ones."""
        check(lib.kd_store_compact(self._pointer, path_bytes(path)))
