"""Stores: what a teacher said, on disk."""
import ctypes
import json
from ctypes import byref, c_char_p, c_double, c_int64, c_uint64
from typing import Dict, Iterator, Optional, Sequence, Tuple

import numpy

from . import _api
from ._arrays import describe, fresh, view
from ._handles import Batch, Handle, Targets, Teacher, _make
from ._library import as_dict, check, filled, lib, options


def _strings(made, name: str, values: Optional[Sequence[str]]) -> None:
    if values is not None:
        array = (c_char_p * len(values))(*[v.encode() for v in values])
        setattr(made, name, array)
        made._keep = getattr(made, "_keep", []) + [array]


def create_store(context, path: str, fields: Sequence[Dict], values: Dict) -> "StoreWriter":
    values = dict(values)
    tokens, temperatures = values.pop("tokens", None), values.pop("temperatures", ())
    made = options(_api.kd_store_options, "kd_store_options_init", values)
    _strings(made, "tokens", tokens)
    further = (c_double * max(1, len(temperatures)))(*temperatures)
    made.temperatures, made.temperature_count = further, len(temperatures)
    parts = (_api.kd_store_field * len(fields))(*[options(_api.kd_store_field, "kd_store_field_init", field) for field in fields])
    return StoreWriter(_make(lib.kd_store_writer_create, context._pointer, str(path).encode(), byref(made), parts, len(parts)), context)


def open_store(context, paths: Sequence[str], values: Dict) -> "Store":
    values = dict(values)
    tokens, exceptions = values.pop("tokens", None), values.pop("exceptions", None)
    made = options(_api.kd_store_open_options, "kd_store_open_options_init", values)
    _strings(made, "tokens", tokens)
    made.token_count = 0 if tokens is None else len(tokens)
    if exceptions is not None:
        made.exceptions, made.exception_count = (c_int64 * max(1, len(exceptions)))(*exceptions), len(exceptions)
    names = (c_char_p * max(1, len(paths)))(*[str(path).encode() for path in paths])
    return Store(_make(lib.kd_store_open, context._pointer, names, len(paths), byref(made)), context)


def store_key(context, content) -> Tuple[int, int]:
    """The key of a sample: integers are tokens, bytes (or uint8) are bytes."""
    array = numpy.frombuffer(content, numpy.uint8) if isinstance(content, (bytes, bytearray)) else numpy.ascontiguousarray(content)
    first, second = c_uint64(), c_uint64()
    check(lib.kd_store_key(context._pointer, byref(describe(array)), byref(first), byref(second)))
    return first.value, second.value


class StoreWriter(Handle):
    """kd_store_writer. `with context.store_writer(...) as writer:` closes at the end."""

    _free = "kd_store_writer_free"

    def head(self, weight, encoding: int = _api.KD_FLOAT16) -> "StoreWriter":
        check(lib.kd_store_writer_head(self._pointer, byref(describe(weight)), encoding))
        return self

    def add(self, batch: Batch, targets: Targets) -> None:
        """A record a sample of the batch, committed when it returns."""
        check(lib.kd_store_writer_add(self._pointer, batch._pointer, targets._pointer))

    def begin(self, key: Tuple[int, int], positions: int, view: int = 0, first: int = 0) -> "StoreWriter":
        check(lib.kd_store_writer_begin(self._pointer, key[0], key[1], view, first, positions))
        return self

    def put(self, field: str, rows) -> "StoreWriter":
        check(lib.kd_store_writer_put(self._pointer, field.encode(), byref(describe(rows))))
        return self

    def put_sparse(self, field: str, targets: Targets, source: str, first_row: int = 0) -> "StoreWriter":
        check(lib.kd_store_writer_put_sparse(self._pointer, field.encode(), targets._pointer, source.encode(), first_row))
        return self

    def put_text(self, field: str, text) -> "StoreWriter":
        data = text.encode() if isinstance(text, str) else text
        check(lib.kd_store_writer_put_text(self._pointer, field.encode(), data, len(data)))
        return self

    def commit(self) -> None:
        check(lib.kd_store_writer_commit(self._pointer))

    def import_file(self, form: int, path: str, **values) -> Dict:
        """kd_store_import: IMPORT_OPENAI, IMPORT_VLLM or IMPORT_FLAT; returns the counts."""
        made, counts = options(_api.kd_import_options, "kd_import_options_init", values), filled(_api.kd_import_counts)
        check(lib.kd_store_import(self._pointer, form, str(path).encode(), byref(made), byref(counts)))
        return as_dict(counts)

    def finish(self) -> None:
        """kd_store_writer_close: writes the index and closes the file."""
        check(lib.kd_store_writer_close(self._pointer))

    def __exit__(self, kind, *rest):
        if kind is None:
            self.finish()
        self.close()


class Store(Handle):
    """kd_store: records by number, or by key and view. `for info, targets in store:` reads them all."""

    _free = "kd_store_free"

    @property
    def info(self) -> Dict:
        made = filled(_api.kd_store_info)
        check(lib.kd_store_get_info(self._pointer, byref(made)))
        return as_dict(made)

    @property
    def header(self) -> Dict:
        text = c_char_p()
        check(lib.kd_store_header(self._pointer, byref(text)))
        return json.loads(text.value)

    def __len__(self) -> int:
        return self.info["records"]

    def record(self, number: int) -> Dict:
        made = filled(_api.kd_store_record)
        check(lib.kd_store_get_record(self._pointer, number, byref(made)))
        return dict(as_dict(made), key=(made.key[0], made.key[1]))

    def find(self, key: Tuple[int, int], view: int = 0) -> int:
        number = c_int64()
        check(lib.kd_store_find(self._pointer, key[0], key[1], view, byref(number)))
        return number.value

    def read(self, number: int, targets: Targets) -> Targets:
        check(lib.kd_store_read(self._pointer, number, targets._pointer))
        return targets

    def __iter__(self) -> Iterator[Tuple[Dict, Targets]]:
        """(record, targets) of every record; the targets are filled anew each time."""
        context = self._alive[0]
        with context.targets() as targets:
            for number in range(len(self)):
                yield self.record(number), self.read(number, targets)

    def text(self, number: int, field: str) -> bytes:
        data, size = ctypes.c_char_p(), c_int64()
        check(lib.kd_store_text(self._pointer, number, field.encode(), byref(data), byref(size)))
        return ctypes.string_at(data, size.value)

    def score(self, number: int, field: str) -> float:
        value = c_double()
        check(lib.kd_store_number(self._pointer, number, field.encode(), byref(value), None))
        return value.value

    def seed(self, number: int, field: str) -> int:
        value = c_uint64()
        check(lib.kd_store_number(self._pointer, number, field.encode(), None, byref(value)))
        return value.value

    def head(self, rotated: bool = True) -> numpy.ndarray:
        weight = fresh()
        check(lib.kd_store_head(self._pointer, rotated, byref(weight)))
        return view(weight, self)

    def unrotate(self, field: str, rows: numpy.ndarray) -> numpy.ndarray:
        """A copy of hidden states with the store's rotation undone."""
        rows = numpy.array(rows, dtype=numpy.float32, order="C")
        check(lib.kd_store_unrotate(self._pointer, field.encode(), byref(describe(rows))))
        return rows

    def part_bytes(self, number: int, field: str) -> int:
        size = c_int64()
        check(lib.kd_store_part_bytes(self._pointer, number, field.encode(), byref(size)))
        return size.value

    def refresh(self) -> int:
        added = c_int64()
        check(lib.kd_store_refresh(self._pointer, byref(added)))
        return added.value

    def verify(self) -> int:
        """The number of records; raises with the first that is damaged."""
        bad = c_int64()
        check(lib.kd_store_verify(self._pointer, byref(bad)))
        return len(self) - bad.value

    def compact(self, path: str) -> None:
        check(lib.kd_store_compact(self._pointer, str(path).encode()))

    def as_teacher(self, **values) -> Teacher:
        made = options(_api.kd_teacher_options, "kd_teacher_options_init", values)
        return Teacher(_make(lib.kd_teacher_from_store, self._pointer, byref(made)), *self._alive)
