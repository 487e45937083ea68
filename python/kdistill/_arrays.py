"""numpy arrays to kd_array and back, without copies."""
import ctypes

import numpy

from . import _api
from ._library import check, lib

_DTYPES = {"float32": _api.KD_FLOAT32, "float64": _api.KD_FLOAT64, "float16": _api.KD_FLOAT16, "int8": _api.KD_INT8, "int16": _api.KD_INT16,
           "int32": _api.KD_INT32, "int64": _api.KD_INT64, "uint8": _api.KD_UINT8, "uint16": _api.KD_UINT16, "uint32": _api.KD_UINT32,
           "uint64": _api.KD_UINT64}
_NAMES = {number: name for name, number in _DTYPES.items()}


class Bfloat16:
    """bfloat16 numbers, which numpy lacks: wraps an array of uint16 bits, or rounds float32 numbers to even."""

    def __init__(self, values):
        values = numpy.asarray(values)
        if values.dtype != numpy.uint16:
            bits = numpy.ascontiguousarray(values, dtype=numpy.float32).view(numpy.uint32)
            values = ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)
        self.bits = values

    def to_float32(self) -> numpy.ndarray:
        return (self.bits.astype(numpy.uint32) << 16).view(numpy.float32)


def describe(array) -> _api.kd_array:
    """The kd_array of a numpy array (any strides that are whole elements); bool counts as uint8."""
    if isinstance(array, Bfloat16):
        made = describe(array.bits)
        made.dtype = _api.KD_BFLOAT16
        return made
    array = numpy.asarray(array)
    if array.dtype == numpy.bool_:
        array = array.view(numpy.uint8)
    if array.dtype.name not in _DTYPES or not array.dtype.isnative:
        raise TypeError(f"numpy dtype {array.dtype} has no counterpart in the library")
    if array.size and any(stride % array.itemsize for stride in array.strides):
        array = numpy.ascontiguousarray(array)
    made = _api.kd_array()
    dims = (ctypes.c_int64 * max(1, array.ndim))(*array.shape)
    check(lib.kd_array_init(ctypes.byref(made), array.ctypes.data, _DTYPES[array.dtype.name], array.ndim, dims))
    if array.size:
        for i, stride in enumerate(array.strides):
            made.strides[i] = stride // array.itemsize
    made._array = array  # alive as long as the description
    return made


def view(made: _api.kd_array, owner) -> "numpy.ndarray | None":
    """A numpy array over the library's memory; None where there is none. `owner` stays alive with it."""
    if not made.data:
        return None
    dtype = numpy.dtype(_NAMES[made.dtype])
    shape = tuple(made.dims[i] for i in range(made.rank))
    count = int(numpy.prod(shape, dtype=numpy.int64)) if shape else 1
    buffer = (ctypes.c_char * (count * dtype.itemsize)).from_address(made.data)
    buffer._owner = owner
    return numpy.frombuffer(buffer, dtype=dtype).reshape(shape)


def fresh() -> _api.kd_array:
    return _api.kd_array()
