"""Numbers in blocks of few bits, as ggml lays them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._arrays import reference
from ._convert import options
from ._library import check, lib

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from .context import Context
    from .enums import Block
    from .importance import Importance


def block_bytes(format: Block | int, count: int) -> int:
    """Bytes of `count` numbers; 0: no such format, or no whole number of blocks."""
    return int(lib.kd_block_bytes(format, count))


def block_encode(
    ctx: Context, format: Block | int, values: ArrayLike, importance: ArrayLike | None = None
) -> NDArray[numpy.uint8]:
    """Rows of numbers as blocks.

    Parameters
    ----------
    ctx : Context
    format : Block
    values : (rows, n) or (n)
        float32; n a multiple of the block.
    importance : (n), optional
        What the squared errors of each column weigh.

    Returns
    -------
    (rows, bytes of a row) or (bytes) uint8
    """
    numbers = numpy.ascontiguousarray(values, numpy.float32)
    weights = None if importance is None else numpy.ascontiguousarray(importance, numpy.float32)
    width = numbers.shape[-1] if numbers.ndim else 1
    made = numpy.empty((*numbers.shape[:-1], block_bytes(format, width)), numpy.uint8)
    at = ctx._pointer, format, reference(numbers), reference(weights)
    check(lib.kd_block_encode(*at, made.ctypes.data, made.nbytes))
    return made


def block_decode(
    ctx: Context, format: Block | int, bytes: ArrayLike, shape: tuple[int, ...]
) -> NDArray[numpy.float32]:
    """The numbers of blocks, as an array of this shape."""
    given = numpy.ascontiguousarray(bytes, numpy.uint8)
    to = numpy.empty(shape, numpy.float32)
    at = ctx._pointer, format, given.ctypes.data, given.nbytes
    check(lib.kd_block_decode(*at, reference(to)))
    return to


def gguf_options(
    values: Mapping[str, Any], rules: Mapping[str, int] | None, importance: Importance | None
) -> Any:
    """Options of a GGUF file with their rules."""
    made = options(_api.kd_gguf_options, values)
    if importance is not None:
        made.importance = importance._pointer
    pairs = [_api.kd_gguf_rule(name.encode(), kind, 0) for name, kind in (rules or {}).items()]
    made.rule_count = len(pairs)
    made.rules = (_api.kd_gguf_rule * max(1, len(pairs)))(*pairs)
    return made
