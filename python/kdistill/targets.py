"""What a teacher said about one batch."""

from __future__ import annotations

from ctypes import byref, c_int64
from typing import TYPE_CHECKING, Any, TypedDict

from . import _api
from ._arrays import array, flags, pointer, reference, view
from ._convert import defaults, options, takes
from ._fields import Fields
from ._handle import make
from ._library import check, lib

if TYPE_CHECKING:
    import numpy
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self, Unpack

    from .batch import Batch
    from .context import Context
    from .head import Head
    from .options import Sparse


class SparseField(TypedDict):
    """Views of a sparse field: row i has the entries from offsets[i] up to offsets[i + 1]."""

    offsets: NDArray[numpy.int64]
    ids: NDArray[numpy.int32]
    #: log-probabilities, or counts
    values: NDArray[numpy.float32]
    #: (rows,) log of the mass outside the ids
    tail: NDArray[numpy.float32]
    #: (rows,) who has the field; None: every row
    present: NDArray[numpy.uint8] | None


class Targets(Fields):
    """The fields of a teacher on the rows and samples of a batch.

    Parameters
    ----------
    ctx : Context
    """

    _free = "kd_targets_free"
    _set, _lend, _field = "kd_targets_set", "kd_targets_borrow", "kd_targets_field"
    _set_per_sample = "kd_targets_set_per_sample"

    def __init__(self, ctx: Context) -> None:
        made = defaults(_api.kd_targets_options)
        self._adopt(make(lib.kd_targets_create, ctx._pointer, byref(made)), ctx)

    def begin(self, rows: int) -> Self:
        """Starts over with so many rows."""
        check(lib.kd_targets_begin(self._pointer, rows))
        self._forget()
        return self

    @takes(_api.kd_sparse)
    def set_sparse(
        self,
        field: str,
        ids: ArrayLike,
        values: ArrayLike,
        *,
        offsets: ArrayLike | None = None,
        tail: ArrayLike | None = None,
        temperatures: ArrayLike | None = None,
        tails: ArrayLike | None = None,
        entropy: ArrayLike | None = None,
        present: ArrayLike | None = None,
        **options_: Unpack[Sparse],
    ) -> Self:
        """Copies a sparse field.

        Parameters
        ----------
        field : str
        ids : (rows, k) or (entries,) array_like of int
        values : array_like
            Of the shape of ids: log-probabilities, or counts of draws.
        offsets : (rows + 1,) array_like of int, optional
            Needed where ids are flat.
        tail : (rows,) array_like, optional
            Log of the mass outside the ids; None: log(1 - their sum).
        temperatures : (n,) array_like, optional
            Further temperatures, at most 8, at which the tail is known.
        tails : (rows, n) array_like, optional
            Log of the mass outside the ids at these.
        entropy : (rows,) array_like, optional
            Of the distribution that counts were drawn from, nats.
        present : (rows,) array_like of bool, optional
        """
        made = options(_api.kd_sparse, options_)
        made.ids, made.values, made.offsets = pointer(ids), pointer(values), pointer(offsets)
        made.tail, made.temperatures, made.tails = (
            pointer(tail),
            pointer(temperatures),
            pointer(tails),
        )
        made.entropy = pointer(entropy)
        at = byref(made), reference(flags(present))
        check(lib.kd_targets_set_sparse(self._pointer, field.encode(), *at))
        return self

    def sparse(self, field: str) -> SparseField:
        """Views of a sparse field."""
        made = [_api.kd_array() for _ in range(5)]
        at = [byref(one) for one in made]
        check(lib.kd_targets_sparse(self._pointer, field.encode(), *at))
        offsets, ids, values, tail = (array(one, self) for one in made[:4])
        present = view(made[4], self)
        return SparseField(offsets=offsets, ids=ids, values=values, tail=tail, present=present)

    def select(
        self,
        field: str,
        logits: ArrayLike,
        k: int,
        mass: float = 0,
        temperature: float = 1,
        further: ArrayLike | None = None,
    ) -> Self:
        """Makes a sparse field of the most probable classes.

        Parameters
        ----------
        field : str
        logits : (rows, classes) array_like
        k : int
            At most this many ids per row.
        mass : float
            The fewest ids that reach it; 0: k of them.
        temperature : float
            That log-probabilities are taken at.
        further : (n,) array_like of float32, optional
            Further temperatures at which the tail is kept.
        """
        at = reference(logits), k, mass, temperature, reference(further)
        check(lib.kd_targets_select(self._pointer, field.encode(), *at))
        return self

    def sample(
        self, field: str, logits: ArrayLike, draws: int, temperature: float = 1, seed: int = 0
    ) -> Self:
        """Makes a sparse field of classes that are drawn, and how often.

        Parameters
        ----------
        field : str
        logits : (rows, classes) array_like
        draws : int
            A row.
        temperature : float
        seed : int
            0: the context's.
        """
        at = reference(logits), draws, temperature, seed
        check(lib.kd_targets_sample(self._pointer, field.encode(), *at))
        return self

    def borrow_head(self, name: str, hidden: str, head: Head) -> Self:
        """The field `name` is the field `hidden` through a head, which stays alive with this."""
        at = name.encode(), hidden.encode(), byref(head._made)
        check(lib.kd_targets_borrow_head(self._pointer, *at))
        self._alive.append(head)
        return self

    def align(
        self,
        source: Targets,
        field: str,
        chunks: NDArray[Any],
        student_begin: int = 0,
        teacher_begin: int = 0,
    ) -> int:
        """Moves a field onto these rows, from those of another tokenizer.

        Parameters
        ----------
        source : Targets
        field : str
        chunks : (chunks, 4) int64
            As `align_find_chunks` makes them.
        student_begin, teacher_begin : int
            Rows where the text begins on either side.

        Returns
        -------
        int
            Rows without a partner.
        """
        absent = c_int64()
        at = self._pointer, source._pointer, field.encode(), reference(chunks), len(chunks)
        check(lib.kd_targets_align(*at, student_begin, teacher_begin, byref(absent)))
        return absent.value

    def align_batch(self, batch: Batch, source: Targets, teacher_batch: Batch) -> int:
        """Starts over with the fields of a teacher with another tokenizer, on a batch's rows.

        Returns
        -------
        int
            Rows that have a partner.
        """
        aligned = c_int64()
        at = self._pointer, batch._pointer, source._pointer, teacher_batch._pointer
        check(lib.kd_targets_align_batch(*at, byref(aligned)))
        self._forget()
        self._alive.append(source)
        return aligned.value
