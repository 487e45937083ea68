"""The names of 0.1, until 0.3: each works as it did and warns.

What was made by a method of another handle is made by its class (`ctx.loss()` is `Loss(ctx)`), and
constants are members of enumerations (`kd.FORWARD_KL` is `kd.LossKind.FORWARD_KL`).
"""

from __future__ import annotations

import warnings
from typing import Any, Callable

from . import _api, enums
from .answers import answers_collect, answers_judge
from .batch import Batch
from .chat import chat_encode, chat_render
from .checkpoint import Checkpoint
from .context import Context
from .dataset import Dataset
from .generator import Generator
from .loader import Loader
from .loss import Loss
from .metrics import Metrics
from .model import Model
from .monitor import Monitor
from .optimizer import Optimizer
from .record import RecordWriter
from .report import Report
from .schedule import Schedule
from .store import Store
from .store_writer import StoreWriter
from .targets import Targets
from .teacher import Teacher
from .tokenizer import Detokenizer, Tokenizer
from .verify import verify_answer

#: class: {name of 0.1: what does it now, with the same arguments}
_METHODS: dict[type, dict[str, Callable[..., Any]]] = {
    Context: {
        "batch": Batch,
        "checkpoint": Checkpoint,
        "dataset": Dataset,
        "ensemble": Teacher.from_ensemble,
        "load_csv": Dataset.load_csv,
        "load_idx": Dataset.load_idx,
        "load_model": Model.load,
        "loss": Loss,
        "metrics": Metrics,
        "model": Model,
        "model_memory": Model.estimate_memory,
        "open_teacher": Teacher.open,
        "optimizer": Optimizer,
        "report": Report,
        "store": Store,
        "store_writer": StoreWriter,
        "targets": Targets,
        "teacher": Teacher,
        "teacher_from_function": Teacher.from_callbacks,
        "tokenizer": Tokenizer,
        "constant": Schedule.constant,
        "cosine": Schedule.cosine,
        "exponential": Schedule.exponential,
        "inverse_sqrt": Schedule.inverse_sqrt,
        "linear": Schedule.linear,
        "piecewise": Schedule.piecewise,
        "plateau": Schedule.plateau,
        "polynomial": Schedule.polynomial,
        "product": Schedule.product,
        "sequence": Schedule.sequence,
        "step": Schedule.step,
        "wsd": Schedule.wsd,
    },
    Dataset: {"loader": Loader},
    Loss: {"share": Loss.set_shared_classes, "share_tokens": Loss.set_shared_tokens},
    Model: {
        "as_teacher": Teacher.from_model,
        "generator": Generator,
        "generator_memory": Generator.estimate_memory,
        "latency": Model.measure_latency,
        "monitor": Monitor,
    },
    RecordWriter: {"finish": RecordWriter.close},
    Report: {"axes": Report.set_axes, "cell": Report.set_cell, "series": Report.add_series},
    Store: {"as_teacher": Teacher.from_store},
    StoreWriter: {"finish": StoreWriter.close, "import_file": StoreWriter.import_},
    Tokenizer: {
        "chat_encode": chat_encode,
        "chat_text": chat_render,
        "detokenizer": Detokenizer,
    },
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collect_answers": answers_collect,
    "judge_answers": answers_judge,
    "verify": verify_answer,
}
_OPTIONS = {"ask": "generation_prompt"}
#: What constants begin with that 0.1 left out.
_PREFIXES = "KD_", "KD_LOSS_", "KD_MODE_"


def _warn(old: str, new: str) -> None:
    text = f"kdistill: {old} is {new} since 0.2 and goes in 0.3"
    warnings.warn(text, DeprecationWarning, stacklevel=3)


def _method(owner: type, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *arguments: Any, **values: Any) -> Any:
        _warn(f"{owner.__name__}.{name}", function.__qualname__)
        return function(self, *arguments, **{_OPTIONS.get(n, n): v for n, v in values.items()})

    return call


def install() -> None:
    """Gives the classes their methods of 0.1."""
    for owner, methods in _METHODS.items():
        for name, function in methods.items():
            setattr(owner, name, _method(owner, name, function))


def function(name: str) -> Callable[..., Any]:
    """A function of 0.1."""
    now = _FUNCTIONS[name]

    def call(*arguments: Any, **values: Any) -> Any:
        _warn(name, now.__name__)
        return now(*arguments, **values)

    return call


def find(name: str) -> Any:
    """What the module held under a name in 0.1: functions, and constants without KD_."""
    if name in _FUNCTIONS:
        return function(name)
    for key in (prefix + name for prefix in _PREFIXES):
        if key in _api.CONSTANTS:
            kind, member = _api.CONSTANTS[key]
            _warn(name, f"{kind}.{member}")
            return getattr(enums, kind)[member]
    raise AttributeError(f"module 'kdistill' has no attribute '{name}'")
