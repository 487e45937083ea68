"""Which inputs of a model's matrices matter most."""

from __future__ import annotations

from ctypes import byref, c_int64
from typing import TYPE_CHECKING

from . import _api
from ._arrays import array
from ._convert import path_bytes
from ._handle import Handle, make
from ._library import check, lib

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from typing_extensions import Self

    from ._convert import StrPath
    from .batch import Batch
    from .model import Model


class Importance(Handle):
    """Mean squares of what enters the matrices of a language model's layers.

    Parameters
    ----------
    model : Model
    """

    _free = "kd_importance_free"

    def __init__(self, model: Model) -> None:
        self._adopt(make(lib.kd_importance_create, model._pointer), model)

    @classmethod
    def load(cls, model: Model, path: StrPath) -> Self:
        """A file of llama-imatrix, in GGUF form, for this model."""
        return cls._wrap(make(lib.kd_importance_load, model._pointer, path_bytes(path)), model)

    def add(self, batch: Batch) -> None:
        """Runs the model over a batch and adds what enters its matrices."""
        check(lib.kd_importance_add(self._pointer, batch._pointer))

    def save(self, path: StrPath) -> None:
        """Writes it for llama-quantize."""
        check(lib.kd_importance_save(self._pointer, path_bytes(path)))

    def get(self, tensor: str) -> tuple[NDArray[numpy.float32], int]:
        """The mean square of each input of a matrix, and how many rows were added."""
        values, count = _api.kd_array(), c_int64()
        check(
            lib.kd_importance_get(self._pointer, tensor.encode(), byref(values), byref(count))
        )
        return array(values, self).copy(), count.value
