"""Named fields over samples."""

from __future__ import annotations

from ctypes import byref, c_char_p, c_int32, c_int64, c_uint64
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._arrays import array, flags, pointer, reference, view
from ._convert import defaults, empty, options, path_bytes, read, takes
from ._handle import Handle, handle_array, make
from ._library import check, lib
from .results import PseudoLabelCounts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self, Unpack

    from ._convert import StrPath
    from .context import Context
    from .mel import Mel
    from .options import CsvOptions, FieldOptions, PseudoLabelOptions
    from .teacher import Teacher


def _field(
    values: FieldOptions,
    present: ArrayLike | None = None,
    channel_scale: ArrayLike | None = None,
    channel_shift: ArrayLike | None = None,
) -> _api.kd_field_options:
    made = options(_api.kd_field_options, values)
    made.present = pointer(flags(present))
    made.channel_scale = pointer(_numbers(channel_scale))
    made.channel_shift = pointer(_numbers(channel_shift))
    return made


def _numbers(values: ArrayLike | None) -> NDArray[numpy.float32] | None:
    return None if values is None else numpy.atleast_1d(numpy.asarray(values, numpy.float32))


class Dataset(Handle):
    """Samples with named fields.

    Parameters
    ----------
    ctx : Context
    **fields : (samples, ...) array_like
        Copied under their names; "inputs" and "label" are what models and losses look for.
    """

    _free = "kd_dataset_free"

    def __init__(self, ctx: Context, **fields: ArrayLike) -> None:
        made = defaults(_api.kd_dataset_options)
        self._adopt(make(lib.kd_dataset_create, ctx._pointer, byref(made)), ctx)
        for name, values in fields.items():
            self.add(name, values)

    @classmethod
    def load_idx(cls, ctx: Context, folder: StrPath, part: str) -> Self:
        """Images and labels of the IDX files (plain or gzip) of a folder.

        Parameters
        ----------
        ctx : Context
        folder : path
        part : {"train", "t10k"}
            What the files' names begin with.
        """
        place, name = path_bytes(folder), part.encode()
        return cls._wrap(make(lib.kd_dataset_load_idx, ctx._pointer, place, name, None), ctx)

    @classmethod
    @takes(_api.kd_csv_options)
    def load_csv(
        cls, ctx: Context, path: StrPath, *, separator: str = ",", **options_: Unpack[CsvOptions]
    ) -> Self:
        """Numbers of a text file: "inputs" (samples, columns) and "label" (samples)."""
        made = options(_api.kd_csv_options, options_)
        made.separator = ord(separator)
        place = path_bytes(path)
        return cls._wrap(make(lib.kd_dataset_load_csv, ctx._pointer, place, byref(made)), ctx)

    @takes(_api.kd_field_options)
    def add(
        self,
        name: str,
        values: ArrayLike,
        *,
        present: ArrayLike | None = None,
        channel_scale: ArrayLike | None = None,
        channel_shift: ArrayLike | None = None,
        **options_: Unpack[FieldOptions],
    ) -> Self:
        """Copies a field.

        Parameters
        ----------
        name : str
        values : (samples, ...) array_like
        present : (samples,) array_like of bool, optional
            False: this sample has no such field.
        channel_scale, channel_shift : (channels,) array_like, optional
            For mean m and deviation d of a channel: 1 / d and -m / d.
        """
        made = _field(options_, present, channel_scale, channel_shift)
        at = byref(made)
        check(lib.kd_dataset_add(self._pointer, name.encode(), reference(values), at))
        return self

    @takes(_api.kd_field_options)
    def borrow(
        self,
        name: str,
        values: NDArray[Any],
        *,
        present: ArrayLike | None = None,
        channel_scale: ArrayLike | None = None,
        channel_shift: ArrayLike | None = None,
        **options_: Unpack[FieldOptions],
    ) -> Self:
        """As `add`, without a copy: the array lives as long as the dataset and must not change."""
        made = _field(options_, present, channel_scale, channel_shift)
        at = byref(made)
        check(lib.kd_dataset_borrow(self._pointer, name.encode(), reference(values), at))
        self._alive.append(values)
        return self

    @takes(_api.kd_field_options)
    def add_file(
        self,
        name: str,
        path: StrPath,
        *,
        channel_scale: ArrayLike | None = None,
        channel_shift: ArrayLike | None = None,
        **options_: Unpack[FieldOptions],
    ) -> Self:
        """Adds a field from a file of npy or IDX."""
        made = _field(options_, None, channel_scale, channel_shift)
        place = path_bytes(path)
        check(lib.kd_dataset_add_file(self._pointer, name.encode(), place, byref(made)))
        return self

    def add_mel(
        self, name: str, mel: Mel, samples: ArrayLike, offsets: ArrayLike | None = None
    ) -> Self:
        """Adds a field (sounds, frames, mels) of the mel spectrograms of sounds.

        Parameters
        ----------
        name : str
        mel : Mel
            With `frames`.
        samples : (samples,) array_like
            Of all sounds; taken as float32.
        offsets : (sounds + 1,) array_like of int, optional
            Where each begins, and the end. None: one sound.
        """
        x = numpy.ascontiguousarray(samples, dtype=numpy.float32)
        at = mel._pointer, reference(x), reference(offsets)
        check(lib.kd_dataset_add_mel(self._pointer, name.encode(), *at))
        return self

    def select(self, indices: ArrayLike) -> Self:
        """A dataset of the samples with these numbers, in this order."""
        numbers = numpy.asarray(indices, dtype=numpy.int64)
        made = make(lib.kd_dataset_select, self._pointer, reference(numbers))
        return self._wrap(made, *self._alive)

    def concat(self, *others: Dataset) -> Self:
        """A dataset of these samples, then those of the others."""
        parts: list[Dataset] = [self, *others]
        made = make(lib.kd_dataset_concat, handle_array(parts), len(parts))
        return self._wrap(made, *self._alive)

    @takes(_api.kd_pseudo_label_options)
    def pseudo_label(
        self, teacher: Teacher, **options_: Unpack[PseudoLabelOptions]
    ) -> tuple[Self, PseudoLabelCounts]:
        """The samples that a teacher is sure of, with its labels, and the counts."""
        made = options(_api.kd_pseudo_label_options, options_)
        counts = empty(_api.kd_pseudo_label_counts)
        at = byref(made), byref(counts)
        labeled = make(lib.kd_dataset_pseudo_label, self._pointer, teacher._pointer, *at)
        return self._wrap(labeled, *self._alive), read(PseudoLabelCounts, counts)

    def __len__(self) -> int:
        count = c_int64()
        check(lib.kd_dataset_sample_count(self._pointer, byref(count)))
        return count.value

    @property
    def fields(self) -> list[str]:
        """Names of the fields."""
        count, name, names = c_int32(), c_char_p(), []
        check(lib.kd_dataset_field_count(self._pointer, byref(count)))
        for i in range(count.value):
            check(lib.kd_dataset_field_name(self._pointer, i, byref(name)))
            names.append((name.value or b"").decode())
        return names

    def field(self, name: str) -> NDArray[Any]:
        """A view (samples, ...) of a field."""
        values = _api.kd_array()
        check(lib.kd_dataset_field(self._pointer, name.encode(), byref(values), None))
        return array(values, self)

    def present(self, name: str) -> NDArray[numpy.uint8] | None:
        """A view (samples,) of who has the field; None: every sample."""
        present = _api.kd_array()
        check(lib.kd_dataset_field(self._pointer, name.encode(), None, byref(present)))
        return view(present, self)

    def key(self, sample: int) -> tuple[int, int]:
        """The 128-bit key of a sample, of its content."""
        key = (c_uint64 * 2)()
        check(lib.kd_dataset_key(self._pointer, sample, key))
        return key[0], key[1]
