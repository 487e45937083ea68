"""SGD, AdamW, Adam; clipping; averaged weights."""

from __future__ import annotations

from ctypes import byref, c_double
from typing import TYPE_CHECKING

from . import _api
from ._arrays import reference
from ._convert import empty, options, read, takes
from ._handle import Handle, make
from ._library import check, lib
from .enums import OptimizerKind, OptimizerNumber
from .loss import Loss
from .results import OptimizerInfo

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from .context import Context
    from .model import Model
    from .options import GroupOptions, OptimizerNumbers, OptimizerOptions


class Optimizer(Handle):
    """Changes parameters by their gradients.

    Parameters
    ----------
    ctx : Context
    kind : OptimizerKind
    *sources : Model or Loss
        Whose parameters; `add_model`, `add_loss` and `borrow_array` add more.
    """

    _free = "kd_optimizer_free"

    @takes(_api.kd_optimizer_options)
    def __init__(
        self,
        ctx: Context,
        kind: OptimizerKind,
        *sources: Model | Loss,
        **options_: Unpack[OptimizerOptions],
    ) -> None:
        made = options(_api.kd_optimizer_options, options_)
        self._adopt(make(lib.kd_optimizer_create, ctx._pointer, kind, byref(made)), ctx)
        for source in sources:
            if isinstance(source, Loss):
                self.add_loss(source)
            else:
                self.add_model(source)

    def add_model(self, model: Model) -> None:
        """Adds a model's parameters."""
        check(lib.kd_optimizer_add_model(self._pointer, model._pointer))

    def add_loss(self, loss: Loss) -> None:
        """Adds the parameters of a loss: its projections and variances."""
        check(lib.kd_optimizer_add_loss(self._pointer, loss._pointer))

    def borrow_array(
        self, name: str, values: NDArray[numpy.float32], gradients: NDArray[numpy.float32]
    ) -> None:
        """Adds the host's own parameters: two arrays of one shape, alive as long as this."""
        at = reference(values), reference(gradients)
        check(lib.kd_optimizer_borrow_array(self._pointer, name.encode(), *at))
        self._alive.append((values, gradients))

    @takes(_api.kd_group_options)
    def add_group(self, pattern: str, **options_: Unpack[GroupOptions]) -> None:
        """Gives the tensors whose names match (* and ?) numbers of their own."""
        made = options(_api.kd_group_options, options_)
        check(lib.kd_optimizer_add_group(self._pointer, pattern.encode(), byref(made)))

    def step(self, learning_rate: float) -> None:
        """Takes a step."""
        check(lib.kd_optimizer_step(self._pointer, learning_rate))

    def begin_step(self, learning_rate: float) -> None:
        """Begins a step before the backward pass, which then updates layer by layer.

        `step` with the same rate ends it.
        """
        check(lib.kd_optimizer_begin_step(self._pointer, learning_rate))

    def set(self, **numbers: Unpack[OptimizerNumbers]) -> None:
        """Sets numbers by the names of OptimizerNumber: `optimizer.set(gradient_scale=0.5)`."""
        for name, value in numbers.items():
            check(lib.kd_optimizer_set(self._pointer, OptimizerNumber[name.upper()], value))

    def get(self, name: str) -> float:
        """A number by its name in OptimizerNumber."""
        value, number = c_double(), OptimizerNumber[name.upper()]
        check(lib.kd_optimizer_get(self._pointer, number, byref(value)))
        return value.value

    @staticmethod
    def bounds(name: str) -> tuple[float, float]:
        """The least and the greatest value of a number."""
        low, high = c_double(), c_double()
        check(lib.kd_optimizer_bounds(OptimizerNumber[name.upper()], byref(low), byref(high)))
        return low.value, high.value

    @property
    def info(self) -> OptimizerInfo:
        """Facts: steps, and the last gradient's norm."""
        made = empty(_api.kd_optimizer_info)
        check(lib.kd_optimizer_get_info(self._pointer, byref(made)))
        return read(OptimizerInfo, made)

    def swap_average(self) -> None:
        """Exchanges the parameters and their averages; again: back."""
        check(lib.kd_optimizer_swap_average(self._pointer))
