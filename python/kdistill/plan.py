"""What a run will cost, before anything runs."""

from __future__ import annotations

from ctypes import byref, c_char_p
from typing import TYPE_CHECKING

from . import _api
from ._convert import empty, options, path_bytes, read, takes
from ._library import check, lib
from .model import config_bytes
from .results import PlanInfo, PlanMachine
from .tokenizer import taken

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._convert import StrPath
    from .context import Context
    from .model import Config
    from .options import PlanOptions


@takes(_api.kd_plan_options)
def plan_estimate(
    ctx: Context,
    student: Config,
    *,
    teacher: Config | None = None,
    **options_: Unpack[PlanOptions],
) -> PlanInfo:
    """Bytes, hours, memory, network and store of a run: arithmetic alone (docs/plan.md).

    Parameters
    ----------
    ctx : Context
    student : dict or str
        The config of a language model, an encoder or an mlp.
    teacher : dict or str, optional
        None: no passes of a teacher, and the student's vocabulary.
    """
    made, plan = options(_api.kd_plan_options, options_), empty(_api.kd_plan_info)
    made.student = config_bytes(student)
    if teacher is not None:
        made.teacher = config_bytes(teacher)
    check(lib.kd_plan_estimate(ctx._pointer, byref(made), byref(plan)))
    return read(PlanInfo, plan)


def plan_measure_machine(
    ctx: Context, folder: StrPath | None = None, seconds: float = 10
) -> PlanMachine:
    """What this machine attains: `flops`, `efficiency` and `disk_bytes` of `plan_estimate`.

    Parameters
    ----------
    ctx : Context
    folder : path, optional
        Where a file of 64 MiB is written and removed; None: the disk is not measured.
    seconds : float
        For steps of a small language model, at most; up to 60.
    """
    made = empty(_api.kd_plan_machine)
    at = None if folder is None else path_bytes(folder)
    check(lib.kd_plan_measure_machine(ctx._pointer, at, seconds, byref(made)))
    return read(PlanMachine, made)


def _filled(plan: PlanInfo) -> _api.kd_plan_info:
    made = empty(_api.kd_plan_info)
    for name, value in vars(plan).items():
        setattr(made, name, value)
    return made


def plan_to_text(ctx: Context, plan: PlanInfo) -> str:
    """A plan as lines, and what its advice means."""
    text = c_char_p()
    check(lib.kd_plan_to_text(ctx._pointer, byref(_filled(plan)), byref(text)))
    return taken(ctx, text)


def plan_to_json(ctx: Context, plan: PlanInfo) -> str:
    """A plan as one line of JSON."""
    text = c_char_p()
    check(lib.kd_plan_to_json(ctx._pointer, byref(_filled(plan)), byref(text)))
    return taken(ctx, text)
