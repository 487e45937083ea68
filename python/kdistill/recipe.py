"""Ready numbers of a training run."""

from __future__ import annotations

import ctypes
from ctypes import byref
from typing import TYPE_CHECKING

from . import _api
from ._handle import make
from ._library import check, lib
from .schedule import Schedule

if TYPE_CHECKING:
    from .context import Context
    from .enums import RecipeKind


class Recipe(_api.kd_recipe):
    """Numbers of a training run as attributes, which may be changed.

    Parameters
    ----------
    kind : RecipeKind
    parameters : float
        Of the student.
    """

    def __init__(self, kind: RecipeKind, parameters: float) -> None:
        super().__init__(ctypes.sizeof(_api.kd_recipe))
        check(lib.kd_recipe_fill(byref(self), kind, parameters))

    def create_learning_rate(self, ctx: Context, steps: int) -> Schedule:
        """Its learning rate over so many steps."""
        return Schedule._wrap(
            make(lib.kd_recipe_create_learning_rate, ctx._pointer, byref(self), steps), ctx
        )

    def create_temperature(self, ctx: Context, steps: int) -> Schedule:
        """Its temperature over so many steps."""
        return Schedule._wrap(
            make(lib.kd_recipe_create_temperature, ctx._pointer, byref(self), steps), ctx
        )
