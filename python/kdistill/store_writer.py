"""Teacher outputs on disk, to write."""

from __future__ import annotations

from ctypes import byref, c_double
from typing import TYPE_CHECKING, Any

from . import _api
from ._arrays import reference
from ._convert import empty, number_array, options, path_bytes, read, takes, text_array
from ._handle import Writer, make
from ._library import check, lib
from .enums import DType
from .results import ImportCounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike
    from typing_extensions import Self, Unpack

    from ._convert import StrPath
    from .batch import Batch
    from .context import Context
    from .enums import ImportFormat
    from .options import ImportOptions, StoreField, StoreOptions
    from .targets import Targets


class StoreWriter(Writer):
    """A new store or shard, or one that is continued (append=1); `close` writes its index.

    Parameters
    ----------
    ctx : Context
    path : path
        A file, or with `shard` a folder.
    fields : sequence of dict
        What records hold: `kind` (a StoreKind), `name`, `k` and the other members of
        kd_store_field ([store.md](store.md)).
    tokens : (vocabulary,) sequence of str, optional
        Strings of the ids, kept in the store.
    temperatures : sequence of float, optional
        Further temperatures at which a top-k's tail is kept; None: 2 and 4 times `temperature`.
    """

    _free = "kd_store_writer_free"
    _finish = "kd_store_writer_close"

    @takes(_api.kd_store_options)
    def __init__(
        self,
        ctx: Context,
        path: StrPath,
        fields: Sequence[StoreField] | Sequence[Mapping[str, Any]],
        *,
        tokens: Sequence[str] | None = None,
        temperatures: Sequence[float] | None = None,
        **options_: Unpack[StoreOptions],
    ) -> None:
        made = options(_api.kd_store_options, options_)
        if tokens is not None:
            made.tokens = text_array(tokens)
        if temperatures is not None:
            made.temperatures = number_array(c_double, temperatures)
            made.temperature_count = len(temperatures)
        parts = [options(_api.kd_store_field, field) for field in fields]
        listed = (_api.kd_store_field * max(1, len(parts)))(*parts)
        at = ctx._pointer, path_bytes(path), byref(made), listed, len(parts)
        self._adopt(make(lib.kd_store_writer_create, *at), ctx)

    def set_head(self, weight: ArrayLike, encoding: DType = DType.FLOAT16) -> Self:
        """Keeps the teacher's head (classes, width) in the store."""
        check(lib.kd_store_writer_set_head(self._pointer, reference(weight), encoding))
        return self

    def add(self, batch: Batch, targets: Targets) -> None:
        """Commits a record for each sample of a batch."""
        check(lib.kd_store_writer_add(self._pointer, batch._pointer, targets._pointer))

    def begin(self, key: tuple[int, int], positions: int, view: int = 0, first: int = 0) -> Self:
        """Begins one record; `put` and its like fill it, `commit` ends it.

        Parameters
        ----------
        key : (int, int)
        positions : int
            Rows of the record.
        view : int
            Which augmentation of the sample; 0: none.
        first : int
            Position of the sample at which the record begins.
        """
        check(lib.kd_store_writer_begin(self._pointer, key[0], key[1], view, first, positions))
        return self

    def put(self, field: str, rows: ArrayLike) -> Self:
        """Puts the rows (positions, ...) of a field."""
        check(lib.kd_store_writer_put(self._pointer, field.encode(), reference(rows)))
        return self

    def put_sparse(self, field: str, targets: Targets, source: str, first_row: int = 0) -> Self:
        """Puts rows of a sparse field of targets."""
        at = field.encode(), targets._pointer, source.encode(), first_row
        check(lib.kd_store_writer_put_sparse(self._pointer, *at))
        return self

    def put_text(self, field: str, text: str | bytes) -> Self:
        """Puts a text."""
        data = text.encode() if isinstance(text, str) else text
        check(lib.kd_store_writer_put_text(self._pointer, field.encode(), data, len(data)))
        return self

    def put_tokens(self, tokens: ArrayLike) -> Self:
        """Keeps checksums of the whole sample's tokens, for readers to compare with."""
        check(lib.kd_store_writer_put_tokens(self._pointer, reference(tokens)))
        return self

    def commit(self) -> None:
        """Ends the record."""
        check(lib.kd_store_writer_commit(self._pointer))

    @takes(_api.kd_import_options)
    def import_(
        self, format_: ImportFormat, path: StrPath, **options_: Unpack[ImportOptions]
    ) -> ImportCounts:
        """Adds a server's answers from a file, and counts them."""
        made, counts = options(_api.kd_import_options, options_), empty(_api.kd_import_counts)
        at = self._pointer, format_, path_bytes(path), byref(made), byref(counts)
        check(lib.kd_store_writer_import(*at))
        return read(ImportCounts, counts)
