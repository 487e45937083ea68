"""Numbers of terms and filters: their bounds, asked of the library."""

from __future__ import annotations

from ctypes import byref, c_double
from typing import TYPE_CHECKING, Any, NamedTuple

from ._library import Error, check
from .enums import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import IntEnum


class Bounds(NamedTuple):
    """The least and the greatest value of a number, and its default."""

    low: float
    high: float
    default: float


def bounds_of(function: Any, kind: int, number: int) -> Bounds:
    """What kd_loss_bounds or kd_curation_bounds says."""
    low, high, standard = c_double(), c_double(), c_double()
    check(function(kind, number, byref(low), byref(high), byref(standard)))
    return Bounds(low.value, high.value, standard.value)


def check_numbers(function: Any, kind: int, numbers: Mapping[IntEnum, float]) -> None:
    """Refuses numbers before what they belong to is added."""
    for number, value in numbers.items():
        bounds = bounds_of(function, kind, number)
        if not bounds.low <= value <= bounds.high:
            name = number.name.lower()
            expected = f"expected {bounds.low:g} to {bounds.high:g}, got {value:g}"
            raise Error(Status.ERR_RANGE, f"{name}: {expected}")
