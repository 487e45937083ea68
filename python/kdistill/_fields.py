"""What a batch and a batch's targets share: named fields of rows or samples."""

from __future__ import annotations

from ctypes import byref
from typing import TYPE_CHECKING, Any, ClassVar

from . import _api
from ._arrays import Bfloat16, array, flags, reference, view
from ._handle import Handle
from ._library import check, lib

if TYPE_CHECKING:
    import numpy
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self


class Fields(Handle):
    """Named fields, each with an optional array of who has it."""

    _set: ClassVar[str]
    _set_per_sample: ClassVar[str]
    _lend: ClassVar[str]
    _field: ClassVar[str]

    def set(
        self, name: str, values: ArrayLike | Bfloat16, present: ArrayLike | None = None
    ) -> Self:
        """Copies a field.

        Parameters
        ----------
        name : str
        values : (rows, ...) array_like
        present : array_like of bool, optional
            One a row; False: it has no such field.
        """
        at = reference(values), reference(flags(present))
        check(getattr(lib, self._set)(self._pointer, name.encode(), *at))
        return self

    def set_per_sample(
        self, name: str, values: ArrayLike | Bfloat16, present: ArrayLike | None = None
    ) -> Self:
        """Copies a field with one entry per sample: a text's label, its embedding.

        Parameters
        ----------
        name : str
        values : (samples, ...) array_like
        present : (samples,) array_like of bool, optional
            False: the sample has no such field.
        """
        at = reference(values), reference(flags(present))
        check(getattr(lib, self._set_per_sample)(self._pointer, name.encode(), *at))
        return self

    def borrow(
        self, name: str, values: NDArray[Any] | Bfloat16, present: ArrayLike | None = None
    ) -> Self:
        """As `set`, without a copy: contiguous, and alive as long as this object."""
        having = flags(present)
        at = reference(values), reference(having)
        check(getattr(lib, self._lend)(self._pointer, name.encode(), *at))
        self._alive.append((values, having))
        return self

    def field(self, name: str) -> NDArray[Any]:
        """A view (rows, ...) or (samples, ...) of a field."""
        values = _api.kd_array()
        check(getattr(lib, self._field)(self._pointer, name.encode(), byref(values), None))
        return array(values, self)

    def present(self, name: str) -> NDArray[numpy.uint8] | None:
        """A view of who has the field; None: every row or sample."""
        present = _api.kd_array()
        check(getattr(lib, self._field)(self._pointer, name.encode(), None, byref(present)))
        return view(present, self)

    def _forget(self) -> None:
        """Lets go of borrowed arrays, not of the context."""
        del self._alive[1:]
