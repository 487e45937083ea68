"""numpy arrays to kd_array and back, without copies."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._library import check, lib
from .enums import DType

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: numpy's names; bfloat16 is none of them.
_NAMES: dict[DType, str] = {kind: kind.name.lower() for kind in DType if kind is not DType.BFLOAT16}
_KINDS = {name: kind for kind, name in _NAMES.items()}


class Bfloat16:
    """Numbers in bfloat16, which numpy lacks.

    Parameters
    ----------
    values : array_like
        uint16: the bits themselves; anything else is rounded to the nearest, ties to even. Of a
        torch tensor: `Bfloat16(tensor.view(torch.uint16).numpy())`.
    """

    def __init__(self, values: ArrayLike) -> None:
        made = numpy.asarray(values)
        if made.dtype != numpy.uint16:
            bits = numpy.ascontiguousarray(made, dtype=numpy.float32).view(numpy.uint32)
            made = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)
        self.bits: NDArray[Any] = made

    def to_float32(self) -> NDArray[numpy.float32]:
        """The same numbers as float32."""
        return (self.bits.astype(numpy.uint32) << 16).view(numpy.float32)


def describe(array: ArrayLike | Bfloat16) -> _api.kd_array:
    """The kd_array of a numpy array; strides may be any whole elements, bool counts as uint8."""
    if isinstance(array, Bfloat16):
        made = describe(array.bits)
        made.dtype = DType.BFLOAT16
        return made
    values = numpy.asarray(array)
    if values.dtype == numpy.bool_:
        values = values.view(numpy.uint8)
    if values.dtype.name not in _KINDS or not values.dtype.isnative:
        raise TypeError(f"expected a dtype of {', '.join(_KINDS)} or bool, got {values.dtype}")
    if values.size and any(stride % values.itemsize for stride in values.strides):
        values = numpy.ascontiguousarray(values)
    return _described(values)


def _described(values: NDArray[Any]) -> _api.kd_array:
    made, rank = _api.kd_array(), values.ndim
    dims = (ctypes.c_int64 * max(1, rank))(*values.shape)
    kind = _KINDS[values.dtype.name]
    check(lib.kd_array_init(ctypes.byref(made), values.ctypes.data, kind, rank, dims))
    if values.size:
        for i, stride in enumerate(values.strides):
            made.strides[i] = stride // values.itemsize
    made._array = values  # alive as long as the description
    return made


def reference(array: ArrayLike | Bfloat16 | None) -> Any:
    """A kd_array by reference, for a call; NULL for None."""
    return None if array is None else ctypes.byref(describe(array))


def flags(array: ArrayLike | None) -> NDArray[numpy.uint8] | None:
    """Who has a field, as C takes it."""
    return None if array is None else numpy.ascontiguousarray(array, dtype=numpy.uint8)


def pointer(array: ArrayLike | Bfloat16 | None) -> Any:
    """A pointer to a kd_array, for a member of a struct; NULL for None."""
    return None if array is None else ctypes.pointer(describe(array))


def view(made: _api.kd_array, owner: object) -> NDArray[Any] | None:
    """An array over the library's memory, which keeps `owner` alive; None where there is none."""
    shape = tuple(made.dims[i] for i in range(made.rank))
    if not made.data:
        return numpy.empty(shape, _NAMES[DType(made.dtype)]) if made.dtype and 0 in shape else None
    dtype = numpy.dtype(_NAMES[DType(made.dtype)])
    strides = tuple(made.strides[i] for i in range(made.rank))
    span = 1 + sum((n - 1) * step for n, step in zip(shape, strides)) if 0 not in shape else 0
    buffer = (ctypes.c_char * (span * dtype.itemsize)).from_address(made.data)
    buffer._owner = owner  # type: ignore[attr-defined]
    steps = tuple(step * dtype.itemsize for step in strides)
    found: NDArray[Any] = numpy.ndarray(shape, dtype, memoryview(buffer), strides=steps)
    return found


def array(made: _api.kd_array, owner: object) -> NDArray[Any]:
    """As `view`, for what is always there."""
    found = view(made, owner)
    return numpy.empty(0, numpy.float32) if found is None else found
