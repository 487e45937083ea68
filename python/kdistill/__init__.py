"""libkdistill from Python: ctypes and numpy, nothing else.

Every function of the C library is a method of a class here, or lies in `lib` under its C name. Arrays go in and come out as numpy
arrays; views (parameters, gradients, outputs, fields) share the library's memory and keep their owner alive. A failing call raises
`Error` with the library's message. Options are keyword arguments with the names of the C structs.

    ctx = kdistill.Context(threads=2)
    student = ctx.model({"model_type": "mlp", "input_size": 784, "hidden_sizes": [64], "num_labels": 10})
    loss = ctx.loss()
    soft = loss.add(kdistill.FORWARD_KL, 0.9, temperature=4)
"""
from ._arrays import Bfloat16
from ._handles import (Batch, Checkpoint, Context, Dataset, Head, Loader, Loss, Metrics, Model, Monitor, Optimizer, Report, Schedule, Targets, Teacher,
                       Store, StoreWriter, align_bytes, chunk_sums, counts_add, mean_error, ready_config, store_key)
from ._generator import Generated, Generator
from ._tokenizer import Detokenizer, Tokenizer
from ._verify import answer_find, answer_number, majority, pass_rates, verify
from ._course import (Curation, Packer, Recipe, RecordReader, RecordWriter, augment, collect_answers, generation_speed, judge_answers, mcnemar, model_facts,
                      paired_bootstrap, prompt_is_held_back, record_json, recovery, text_metric)
from ._library import Error, lib, library_path
from . import _api

#: Loss kinds, modes and the other constants, without their KD_ prefix (KD_LOSS_FORWARD_KL is FORWARD_KL).
for _name, _value in vars(_api).items():
    if _name.startswith("KD_") and isinstance(_value, int):
        globals()[_name[3:]] = _value
        if _name.startswith("KD_LOSS_"):
            globals()[_name[8:]] = _value
del _name, _value


def version() -> int:
    """The library's version at run time: major * 10000 + minor * 100 + patch."""
    return lib.kd_version()


def build_info() -> str:
    """How the library was built."""
    return lib.kd_build_info().decode()


def status_name(status: int) -> str:
    """The name of a status, "KD_ERR_SHAPE"."""
    return lib.kd_status_name(status).decode()
