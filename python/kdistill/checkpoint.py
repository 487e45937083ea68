"""A whole run in one file."""

from __future__ import annotations

from ctypes import byref
from typing import TYPE_CHECKING, Any, Union

import numpy

from . import _api
from ._convert import options, path_bytes, takes
from ._handle import Handle, make
from ._library import check, lib
from .balance import Balance
from .enums import Status
from .exchange import Exchange
from .loader import Loader
from .loss import Loss
from .model import Model
from .monitor import Monitor
from .optimizer import Optimizer
from .schedule import Schedule

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self, Unpack

    from ._convert import StrPath
    from .context import Context
    from .options import CheckpointOptions

#: What a checkpoint holds, and by which function.
_PARTS: dict[type[Handle], str] = {
    Model: "kd_checkpoint_add_model",
    Optimizer: "kd_checkpoint_add_optimizer",
    Loader: "kd_checkpoint_add_loader",
    Schedule: "kd_checkpoint_add_schedule",
    Loss: "kd_checkpoint_add_loss",
    Monitor: "kd_checkpoint_add_monitor",
    Balance: "kd_checkpoint_add_balance",
    Exchange: "kd_checkpoint_add_exchange",
}
Part = Union[Model, Optimizer, Loader, Schedule, Loss, Monitor, Balance, Exchange, "NDArray[Any]"]


class Checkpoint(Handle):
    """The parts of a run: named once, then saved and loaded together.

    Parameters
    ----------
    ctx : Context
    """

    _free = "kd_checkpoint_free"

    @takes(_api.kd_checkpoint_options)
    def __init__(self, ctx: Context, **options_: Unpack[CheckpointOptions]) -> None:
        made = options(_api.kd_checkpoint_options, options_)
        self._adopt(make(lib.kd_checkpoint_create, ctx._pointer, byref(made)), ctx)

    def add(self, name: str, part: Part) -> Self:
        """Names a part.

        Parameters
        ----------
        name : str
        part : Model, Optimizer, Loader, Schedule, Loss, Monitor, Balance, Exchange or array
            An array holds the host's own numbers, and is written by `load`. An exchange stands for
            its optimizer, and makes `save` and `load` calls of all ranks, with a folder.
        """
        for kind, function in _PARTS.items():
            if isinstance(part, kind):
                check(getattr(lib, function)(self._pointer, name.encode(), part._pointer))
                return self
        if not isinstance(part, numpy.ndarray):
            names = ", ".join(kind.__name__ for kind in _PARTS)
            raise TypeError(f"expected a {names} or numpy array, got {type(part).__name__}")
        at = name.encode(), part.ctypes.data, part.nbytes
        check(lib.kd_checkpoint_borrow_bytes(self._pointer, *at))
        self._alive.append(part)
        return self

    def save(self, path: StrPath) -> None:
        """Writes all parts; the file is whole or not there."""
        check(lib.kd_checkpoint_save(self._pointer, path_bytes(path)))

    def load(self, path: StrPath) -> bool:
        """Reads all parts; False where there is no file yet."""
        status = lib.kd_checkpoint_load(self._pointer, path_bytes(path))
        if status == Status.ERR_NOT_FOUND:
            return False
        check(status)
        return True
