"""Numbers as functions of the step."""

from __future__ import annotations

from ctypes import byref, c_double, c_int32, c_int64
from typing import TYPE_CHECKING

from . import _api
from ._convert import number_array, options, takes
from ._handle import Handle, handle_array, make
from ._library import check, lib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self, Unpack

    from .context import Context
    from .options import PlateauOptions, TaidOptions


class Schedule(Handle):
    """A number for each step: `schedule(step)`. Its class methods make one."""

    _free = "kd_schedule_free"

    @classmethod
    def constant(cls, ctx: Context, value: float) -> Self:
        """The same number for ever."""
        return cls._wrap(make(lib.kd_schedule_create_constant, ctx._pointer, value), ctx)

    @classmethod
    def linear(cls, ctx: Context, from_: float, to: float, steps: int) -> Self:
        """A line from one number to another."""
        return cls._wrap(make(lib.kd_schedule_create_linear, ctx._pointer, from_, to, steps), ctx)

    @classmethod
    def cosine(cls, ctx: Context, from_: float, to: float, steps: int) -> Self:
        """Half a period of a cosine from one number to another."""
        return cls._wrap(make(lib.kd_schedule_create_cosine, ctx._pointer, from_, to, steps), ctx)

    @classmethod
    def exponential(cls, ctx: Context, from_: float, to: float, steps: int) -> Self:
        """The same factor each step."""
        return cls._wrap(
            make(lib.kd_schedule_create_exponential, ctx._pointer, from_, to, steps), ctx
        )

    @classmethod
    def polynomial(cls, ctx: Context, from_: float, to: float, steps: int, power: float) -> Self:
        """A power of what is left."""
        at = ctx._pointer, from_, to, steps, power
        return cls._wrap(make(lib.kd_schedule_create_polynomial, *at), ctx)

    @classmethod
    def step(cls, ctx: Context, value: float, factor: float, every: int) -> Self:
        """A factor after every so many steps."""
        return cls._wrap(make(lib.kd_schedule_create_step, ctx._pointer, value, factor, every), ctx)

    @classmethod
    def inverse_sqrt(cls, ctx: Context, value: float, warmup: int) -> Self:
        """Up to a value, then with one over the root of the step."""
        return cls._wrap(
            make(lib.kd_schedule_create_inverse_sqrt, ctx._pointer, value, warmup), ctx
        )

    @classmethod
    def wsd(
        cls, ctx: Context, value: float, floor: float, warmup: int, stable: int, decay: int
    ) -> Self:
        """Warm up, stay, decay: the steps of each."""
        at = ctx._pointer, value, floor, warmup, stable, decay
        return cls._wrap(make(lib.kd_schedule_create_wsd, *at), ctx)

    @classmethod
    def piecewise(cls, ctx: Context, points: Sequence[tuple[int, float]]) -> Self:
        """Lines between points (step, value)."""
        steps = number_array(c_int64, [point[0] for point in points])
        values = number_array(c_double, [point[1] for point in points])
        at = ctx._pointer, steps, values, len(points)
        return cls._wrap(make(lib.kd_schedule_create_piecewise, *at), ctx)

    @classmethod
    def product(cls, ctx: Context, *parts: Schedule) -> Self:
        """The product of several."""
        at = ctx._pointer, handle_array(parts), len(parts)
        return cls._wrap(make(lib.kd_schedule_create_product, *at), ctx, *parts)

    @classmethod
    def sequence(cls, ctx: Context, *parts: tuple[int, Schedule]) -> Self:
        """One after another: (0, warm_up), (100, cosine). Each begins at its own step 0."""
        starts = number_array(c_int64, [part[0] for part in parts])
        schedules = [part[1] for part in parts]
        at = ctx._pointer, handle_array(schedules), starts, len(parts)
        return cls._wrap(make(lib.kd_schedule_create_sequence, *at), ctx, *schedules)

    @classmethod
    @takes(_api.kd_plateau_options)
    def plateau(cls, ctx: Context, **options_: Unpack[PlateauOptions]) -> Self:
        """Falls when a metric that is reported no longer improves."""
        made = options(_api.kd_plateau_options, options_)
        return cls._wrap(make(lib.kd_schedule_create_plateau, ctx._pointer, byref(made)), ctx)

    @classmethod
    @takes(_api.kd_taid_options)
    def taid(cls, ctx: Context, **options_: Unpack[TaidOptions]) -> Self:
        """TAID's t: report the term's loss each step."""
        made = options(_api.kd_taid_options, options_)
        return cls._wrap(make(lib.kd_schedule_create_taid, ctx._pointer, byref(made)), ctx)

    def value(self, step: int) -> float:
        """The number of a step; also `schedule(step)`."""
        return float(lib.kd_schedule_value(self._pointer, step))

    __call__ = value

    def report(self, metric: float) -> None:
        """Tells a plateau or TAID how it goes."""
        check(lib.kd_schedule_report(self._pointer, metric))

    @property
    def state(self) -> list[float]:
        """What reports left behind; may be set."""
        count = c_int32()
        check(lib.kd_schedule_get_state(self._pointer, None, byref(count)))
        values = (c_double * max(1, count.value))()
        check(lib.kd_schedule_get_state(self._pointer, values, byref(count)))
        return list(values[: count.value])

    @state.setter
    def state(self, values: Sequence[float]) -> None:
        at = number_array(c_double, values), len(values)
        check(lib.kd_schedule_set_state(self._pointer, *at))
