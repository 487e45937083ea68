"""Two models on the same questions; texts against references."""

from __future__ import annotations

from ctypes import byref, c_double, c_int32
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._convert import empty, numbers_of, read, text_array
from ._library import check, lib
from .results import Difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from .context import Context
    from .enums import TextMetric


def _verdicts(values: ArrayLike) -> NDArray[Any]:
    return numpy.ascontiguousarray(values, dtype=numpy.int32)


def compare_mcnemar(a: ArrayLike, b: ArrayLike) -> Difference:
    """McNemar's exact test of two models.

    Parameters
    ----------
    a, b : (questions,) array_like
        Verdicts, 0 or 1, one answer a question.
    """
    x, y, made = _verdicts(a), _verdicts(b), empty(_api.kd_difference)
    at = numbers_of(x, c_int32), numbers_of(y, c_int32), x.size
    check(lib.kd_compare_mcnemar(*at, byref(made)))
    return read(Difference, made)


def compare_runs(ctx: Context, a: ArrayLike | None, b: ArrayLike) -> Difference:
    """Two ways of training, from several runs of each: the error is of seeds and questions.

    Parameters
    ----------
    ctx : Context
    a, b : (seeds, questions) or (seeds, questions, samples) array_like
        Verdicts, 0 or 1; run s of both has the same seed. None for a: the mean of b alone, and
        its error. With one seed there is no p-value (NaN).
    """
    y, made = _verdicts(b), empty(_api.kd_difference)
    x = None if a is None else _verdicts(a)
    if y.ndim not in (2, 3) or (x is not None and x.shape != y.shape):
        given = y.shape if x is None else f"{x.shape} and {y.shape}"
        raise ValueError(
            f"expected verdicts (seeds, questions[, samples]) of one shape, got {given}"
        )
    shape = y.shape + (1,) * (3 - y.ndim)
    pointers = None if x is None else numbers_of(x, c_int32), numbers_of(y, c_int32)
    check(lib.kd_compare_runs(ctx._pointer, *pointers, *shape, byref(made)))
    return read(Difference, made)


def compare_bootstrap(
    ctx: Context, a: ArrayLike, b: ArrayLike, resamples: int = 10000, seed: int = 1
) -> Difference:
    """The difference of two models, resampled over seeds and questions.

    Parameters
    ----------
    ctx : Context
    a, b : (questions, samples) or (seeds, questions, samples) array_like
        Verdicts, 0 or 1.
    resamples : int
    seed : int
    """
    x, y, made = _verdicts(a), _verdicts(b), empty(_api.kd_difference)
    shape = (1,) * (3 - x.ndim) + x.shape
    at = ctx._pointer, numbers_of(x, c_int32), numbers_of(y, c_int32), *shape
    check(lib.kd_compare_bootstrap(*at, resamples, seed, byref(made)))
    return read(Difference, made)


def compare_recovery(student: float, baseline: float, teacher: float) -> float:
    """How much of the way from the baseline to the teacher a student went."""
    return float(lib.kd_compare_recovery(student, baseline, teacher))


def compare_texts(
    ctx: Context, kind: TextMetric, texts: Sequence[str], references: Sequence[str]
) -> float:
    """A measure of texts against one reference each."""
    value, count = c_double(), len(texts)
    at = ctx._pointer, kind, text_array(texts), text_array(references), count
    check(lib.kd_compare_texts(*at, byref(value)))
    return value.value
