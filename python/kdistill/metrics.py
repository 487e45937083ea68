"""Accuracy, agreement, calibration."""

from __future__ import annotations

from ctypes import byref, c_double
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._arrays import array, reference
from ._convert import empty, number_array, numbers_of, options, read, takes
from ._handle import Handle, make
from ._library import check, lib
from .enums import CorrelationKind, RetrievalKind
from .results import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from .context import Context
    from .enums import MetricKind
    from .options import MetricsOptions


class Metrics(Handle):
    """Measures of classifiers, batch after batch.

    Parameters
    ----------
    ctx : Context
    classes : int
    """

    _free = "kd_metrics_free"

    @takes(_api.kd_metrics_options)
    def __init__(self, ctx: Context, classes: int, **options_: Unpack[MetricsOptions]) -> None:
        made = options(_api.kd_metrics_options, options_)
        self._adopt(make(lib.kd_metrics_create, ctx._pointer, classes, byref(made)), ctx)

    def add(
        self, logits: ArrayLike, labels: ArrayLike, teacher_logits: ArrayLike | None = None
    ) -> None:
        """Adds rows.

        Parameters
        ----------
        logits : (rows, classes) array_like
        labels : (rows,) array_like of int
        teacher_logits : (rows, classes) array_like, optional
        """
        at = reference(logits), reference(labels), reference(teacher_logits)
        check(lib.kd_metrics_add(self._pointer, *at))

    def reset(self) -> None:
        """Forgets all rows."""
        check(lib.kd_metrics_reset(self._pointer))

    def get(self, kind: MetricKind) -> Metric:
        """A metric with its error, over all rows so far."""
        made = empty(_api.kd_metric)
        check(lib.kd_metrics_get(self._pointer, kind, byref(made)))
        return read(Metric, made)

    @property
    def confusion(self) -> NDArray[numpy.int64]:
        """A view (classes, classes) of counts: labels down, predictions across."""
        made = _api.kd_array()
        check(lib.kd_metrics_confusion(self._pointer, byref(made)))
        return array(made, self)


def metrics_mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean of values, and its standard error."""
    mean, error = c_double(), c_double()
    given: Any = number_array(c_double, values)
    check(lib.kd_metrics_mean(given, len(values), byref(mean), byref(error)))
    return mean.value, error.value


def metrics_correlation(
    ctx: Context, x: ArrayLike, y: ArrayLike, kind: CorrelationKind = CorrelationKind.SPEARMAN
) -> float:
    """How two arrays of equal length go together, -1 to 1; NaN if one is constant."""
    values = _two(x, y)
    made, at = c_double(), [numbers_of(each, c_double) for each in values]
    check(lib.kd_metrics_correlation(ctx._pointer, kind, *at, len(values[0]), byref(made)))
    return made.value


def _two(x: ArrayLike, y: ArrayLike) -> list[NDArray[numpy.float64]]:
    values = [numpy.ascontiguousarray(each, dtype=numpy.float64) for each in (x, y)]
    if values[0].shape != values[1].shape or values[0].ndim != 1:
        shapes = f"{values[0].shape} and {values[1].shape}"
        raise ValueError(f"expected two (count,) arrays, got {shapes}")
    return values


def metrics_measure_correlation(
    ctx: Context, x: ArrayLike, y: ArrayLike, kind: CorrelationKind = CorrelationKind.SPEARMAN
) -> Metric:
    """As `metrics_correlation`, with its standard error and 95 % interval."""
    values = _two(x, y)
    made, at = empty(_api.kd_metric), [numbers_of(each, c_double) for each in values]
    count = len(values[0])
    check(lib.kd_metrics_measure_correlation(ctx._pointer, kind, *at, count, byref(made)))
    return read(Metric, made)


def metrics_measure_retrieval(
    ctx: Context,
    queries: ArrayLike,
    candidates: ArrayLike,
    query_groups: ArrayLike | None = None,
    candidate_groups: ArrayLike | None = None,
    *,
    kind: RetrievalKind = RetrievalKind.RECALL,
    k: int = 1,
) -> Metric:
    """How well rows find those of another array that belong to them, by cosines.

    Parameters
    ----------
    ctx : Context
    queries : (n, width) array_like
    candidates : (m, width) array_like
        The same array as the queries: a row is not among its candidates.
    query_groups : (n,) array_like of int, optional
    candidate_groups : (m,) array_like of int, optional
        Equal ones belong together; None: row i with row i.
    kind : RetrievalKind
    k : int
        How many of the first count; not of MRR.
    """
    made = empty(_api.kd_metric)
    at = [reference(each) for each in (queries, candidates, query_groups, candidate_groups)]
    check(lib.kd_metrics_measure_retrieval(ctx._pointer, kind, k, *at, byref(made)))
    return read(Metric, made)
