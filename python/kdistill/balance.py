"""Weights of several tasks."""

from __future__ import annotations

from ctypes import byref, c_double
from typing import TYPE_CHECKING

from . import _api
from ._convert import number_array, options, takes
from ._handle import Handle, make
from ._library import check, lib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from .context import Context
    from .enums import BalanceKind
    from .options import BalanceOptions


class Balance(Handle):
    """Weights of tasks from how their losses go: report losses, read `value(task)`.

    Parameters
    ----------
    ctx : Context
    kind : BalanceKind
    tasks : int
    weights : sequence of float, optional
        The importance of each task; None: each 1.
    """

    _free = "kd_balance_free"

    @takes(_api.kd_balance_options)
    def __init__(
        self,
        ctx: Context,
        kind: BalanceKind | int,
        tasks: int,
        weights: Sequence[float] | None = None,
        **options_: Unpack[BalanceOptions],
    ) -> None:
        made = options(_api.kd_balance_options, options_)
        if weights is not None:
            if len(weights) != tasks:
                raise ValueError(f"weights: expected {tasks}, got {len(weights)}")
            made.weights = number_array(c_double, weights)
        at = ctx._pointer, kind, tasks, byref(made)
        self._adopt(make(lib.kd_balance_create, *at), ctx)
        self._tasks = tasks

    def report(self, task: int, loss: float) -> None:
        """Tells a task's loss, the mean over its rows."""
        check(lib.kd_balance_report(self._pointer, task, loss))

    def end_epoch(self) -> None:
        """The reports since the last call were one epoch."""
        check(lib.kd_balance_end_epoch(self._pointer))

    def value(self, task: int) -> float:
        """The weight of a task."""
        if not 0 <= task < self._tasks:
            raise IndexError(f"expected a task from 0 to {self._tasks - 1}, got {task}")
        return float(lib.kd_balance_value(self._pointer, task))
