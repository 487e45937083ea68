"""libkdistill from Python: ctypes and numpy, nothing else.

    import kdistill as kd

    ctx = kd.Context(threads=2)
    student = kd.Model(ctx, {"model_type": "mlp", "input_size": 784, "hidden_sizes": [64],
                             "num_labels": 10})
    loss = kd.Loss(ctx)
    soft = loss.add(kd.LossKind.FORWARD_KL, 0.9, temperature=4)

The rules:

- `kd_<noun>_create` of C is the class of the noun, made from the handle that it lives in, a context
  as a rule: `kd.Loss(ctx)`. So is the only way to open one: `kd.Store(ctx, path)`. Other ways to
  make one are class methods of their names in C, without create_: `kd.Model.load(ctx, folder)`.
- `kd_<noun>_<verb>` is the method `verb`. What a handle knows without an argument and without
  work is a property, without C's get_: `ctx.info`. Functions without a class keep their names
  in C: `kd.compare_texts(ctx, ...)`. `kd.lib` has all functions of C, unchanged.
- Options are keywords with the names and defaults of the C structs; a keyword of Python gets an
  underscore (`from_`). So are numbers that may change later: `optimizer.set(clip_norm=1)`,
  `loss.set(soft, temperature=2)`. Constants are members of enumerations.
- `len(dataset)` is its samples, `len(store)` its records, `len(tokenizer)` the rows that an
  embedding needs. `model.student(layers=2)` is kd_student_create.
- Arrays go in and come out as numpy arrays. Views (parameters, gradients, outputs, fields) share
  the library's memory and keep their owner alive.
- Every handle is a context manager with `close`. A failing call raises `Error` with the library's
  message and status.
- What needs another package is a module by itself, imported when it is asked for: `kd.torch`,
  `kd.hf`, `kd.sklearn`, `kd.Distiller` of it, `kd.log`; `kd.capture` needs none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._need import missing

try:
    import numpy as _numpy  # noqa: F401
except ModuleNotFoundError as error:
    raise missing(error, "kdistill", "numpy") from None

from . import _deprecated, _looks, enums, options, results, transport
from ._arrays import Bfloat16
from ._arrow import ArrowStream
from ._distill import History, distill
from ._library import Error, lib, library_path
from ._numbers import Bounds
from .align import align_find_chunks, align_sum_chunks
from .answers import (
    answers_collect,
    answers_collect_chunks,
    answers_concat,
    answers_judge,
)
from .audio import Audio
from .augment import augment_prompts
from .balance import Balance
from .batch import Batch, BatchCounts, BatchOrigin, BatchSamples
from .block import block_bytes, block_decode, block_encode
from .chat import chat_encode, chat_render
from .checkpoint import Checkpoint
from .compare import (
    compare_bootstrap,
    compare_mcnemar,
    compare_recovery,
    compare_runs,
    compare_texts,
)
from .context import Context
from .curation import Curation, Funnel, curation_is_held_out
from .dataset import Dataset
from .enums import *  # noqa: F403
from .exchange import Exchange
from .generator import Generated, Generator
from .head import Head
from .image import ImageProcessor, image_crop, image_resize
from .importance import Importance
from .loader import Loader
from .loss import Loss, LossCounts, LossMemory, TaskGradients, Term
from .mel import Mel
from .metrics import (
    Metrics,
    metrics_correlation,
    metrics_mean,
    metrics_measure_correlation,
    metrics_measure_retrieval,
)
from .model import Model
from .monitor import Best, Monitor
from .optimizer import Optimizer
from .packer import Packer, TaskInfo
from .plan import plan_estimate, plan_measure_machine, plan_to_json, plan_to_text
from .recipe import Recipe
from .record import Record, RecordReader, RecordWriter, record_to_json
from .report import Report
from .results import *  # noqa: F403
from .schedule import Schedule
from .status import build_info, status_name, version
from .store import Store, store_adopt, store_key
from .store_writer import StoreWriter
from .student import student_preset
from .targets import SparseField, Targets
from .teacher import Teacher
from .tokenizer import Detokenizer, Tokenizer
from .verify import (
    Majority,
    Verification,
    verify_answer,
    verify_find_answer,
    verify_find_number,
    verify_majority,
    verify_pass_at_k,
)

__all__ = [
    "ArrowStream",
    "Audio",
    "Balance",
    "Batch",
    "BatchCounts",
    "BatchOrigin",
    "BatchSamples",
    "Best",
    "Bfloat16",
    "Bounds",
    "Checkpoint",
    "Context",
    "Curation",
    "Dataset",
    "Detokenizer",
    "Error",
    "Exchange",
    "Funnel",
    "Generated",
    "Generator",
    "Head",
    "History",
    "ImageProcessor",
    "Importance",
    "Loader",
    "Loss",
    "LossCounts",
    "LossMemory",
    "Majority",
    "Mel",
    "Metrics",
    "Model",
    "Monitor",
    "Optimizer",
    "Packer",
    "Recipe",
    "Record",
    "RecordReader",
    "RecordWriter",
    "Report",
    "Schedule",
    "SparseField",
    "Store",
    "StoreWriter",
    "Targets",
    "TaskGradients",
    "TaskInfo",
    "Teacher",
    "Term",
    "Tokenizer",
    "Verification",
    "align_find_chunks",
    "align_sum_chunks",
    "answers_collect",
    "answers_collect_chunks",
    "answers_concat",
    "answers_judge",
    "augment_prompts",
    "block_bytes",
    "block_decode",
    "block_encode",
    "build_info",
    "chat_encode",
    "chat_render",
    "compare_bootstrap",
    "compare_mcnemar",
    "compare_recovery",
    "compare_runs",
    "compare_texts",
    "curation_is_held_out",
    "distill",
    "image_crop",
    "image_resize",
    "lib",
    "library_path",
    "metrics_correlation",
    "metrics_mean",
    "metrics_measure_correlation",
    "metrics_measure_retrieval",
    "options",
    "plan_estimate",
    "plan_measure_machine",
    "plan_to_json",
    "plan_to_text",
    "record_to_json",
    "status_name",
    "store_adopt",
    "store_key",
    "student_preset",
    "transport",
    "verify_answer",
    "verify_find_answer",
    "verify_find_number",
    "verify_majority",
    "verify_pass_at_k",
    "version",
]
__all__ += enums.__all__
__all__ += results.__all__

_deprecated.install()
_looks.install()

if not TYPE_CHECKING:
    verify = _deprecated.function("verify")  # in place of the module of that name

    #: modules that need a package beside numpy
    _NEIGHBORS = {"capture", "hf", "log", "sklearn", "torch"}

    def __getattr__(name: str) -> Any:
        if name in _NEIGHBORS:
            return importlib.import_module("." + name, __name__)
        if name == "Distiller":
            return importlib.import_module(".sklearn", __name__).Distiller
        return _deprecated.find(name)
