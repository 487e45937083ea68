"""Early stopping, and the best parameters."""

from __future__ import annotations

from ctypes import byref, c_double, c_int32, c_int64
from typing import TYPE_CHECKING, NamedTuple

from . import _api
from ._convert import options, takes
from ._handle import Handle, make
from ._library import check, lib
from .enums import Verdict

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .model import Model
    from .options import MonitorOptions


class Best(NamedTuple):
    """The best metric, and the number of its report from 0."""

    metric: float
    report: int


class Monitor(Handle):
    """Watches a metric of a model.

    Parameters
    ----------
    model : Model
    """

    _free = "kd_monitor_free"

    @takes(_api.kd_monitor_options)
    def __init__(self, model: Model, **options_: Unpack[MonitorOptions]) -> None:
        made = options(_api.kd_monitor_options, options_)
        self._adopt(make(lib.kd_monitor_create, model._pointer, byref(made)), model)

    def report(self, metric: float) -> Verdict:
        """Tells a metric; Verdict.IMPROVED, Verdict.STOP, or neither comes back."""
        verdict = c_int32()
        check(lib.kd_monitor_report(self._pointer, metric, byref(verdict)))
        return Verdict(verdict.value)

    @property
    def best(self) -> Best:
        """The best report so far."""
        metric, report = c_double(), c_int64()
        check(lib.kd_monitor_best(self._pointer, byref(metric), byref(report)))
        return Best(metric.value, report.value)

    def restore(self) -> None:
        """Gives the model its best parameters."""
        check(lib.kd_monitor_restore(self._pointer))
