"""Streams of Apache Arrow between the library and packages that know its PyCapsule protocol."""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, PYFUNCTYPE, c_char_p, c_void_p, py_object
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = b"arrow_array_stream"

_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = py_object, [c_void_p, c_char_p, c_void_p]
_get = PYFUNCTYPE(c_void_p, py_object, c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))
_get_dying = PYFUNCTYPE(c_void_p, c_void_p, c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))


class Stream(ctypes.Structure):
    """struct ArrowArrayStream."""

    _fields_ = (
        ("get_schema", c_void_p),
        ("get_next", c_void_p),
        ("get_last_error", c_void_p),
        ("release", CFUNCTYPE(None, c_void_p)),
        ("private_data", c_void_p),
    )


#: Streams inside capsules, by address.
_given: dict[int, Stream] = {}


def _let_go(capsule: int) -> None:
    """The capsule goes: what nobody took is released."""
    address = _get_dying(capsule, _NAME)
    made = _given.pop(address, None)
    if made is not None and made.release:
        made.release(address)


_LET_GO = PYFUNCTYPE(None, c_void_p)(_let_go)


class ArrowStream:
    """What pyarrow, polars, DuckDB, pandas and datasets read: `pyarrow.table(reader.to_arrow())`.

    Each reading asks the library for a stream; that of a reader of records goes on where the last
    one ended.
    """

    def __init__(self, fill: Callable[[Any], object]) -> None:
        self._fill = fill

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        made = Stream()
        self._fill(ctypes.byref(made))
        address = ctypes.addressof(made)
        _given[address] = made
        return _new(address, _NAME, ctypes.cast(_LET_GO, c_void_p))


def _batches(source: Any) -> Iterator[Any]:
    """A data set of Hugging Face, which may be shuffled or selected, in parts."""
    for part in source.with_format("arrow").iter(batch_size=1000):
        yield from part.to_batches()


def _exporter(source: Any) -> Any:
    """The object that gives a stream: the source, or a reader of pyarrow over its batches."""
    if hasattr(source, "__arrow_c_stream__"):
        return source
    if hasattr(source, "iter_batches"):  # pyarrow.parquet.ParquetFile
        import pyarrow

        reader = pyarrow.RecordBatchReader
        return reader.from_batches(source.schema_arrow, source.iter_batches())
    if hasattr(source, "with_format"):  # datasets.Dataset
        import pyarrow

        schema = source.features.arrow_schema.remove_metadata()
        return pyarrow.RecordBatchReader.from_batches(schema, _batches(source))
    raise TypeError(
        "expected an object with __arrow_c_stream__ (a table or reader of pyarrow, a frame of "
        f"polars or pandas, a relation of DuckDB), a ParquetFile or a Dataset, got "
        f"{type(source).__name__}"
    )


def stream_of(source: Any) -> tuple[object, int]:
    """A stream of an object: the capsule that owns it, and its address."""
    capsule = _exporter(source).__arrow_c_stream__()
    return capsule, _get(capsule, _NAME)
