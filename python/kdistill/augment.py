"""More prompts out of those that are there."""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_double, c_int32, c_void_p
from typing import TYPE_CHECKING, Any, Callable

from . import _api
from ._convert import empty, options, read, takes, text_array
from ._handle import guarded
from ._library import check, lib
from .enums import Status
from .record import RECORD_POINTER, Record, record_dict
from .results import AugmentCounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Unpack

    from .enums import AugmentKind
    from .options import AugmentOptions
    from .record import RecordReader, RecordWriter

    #: function(record, before, now): the new answer
    Recompute = Callable[
        [Record, Sequence[float], Sequence[float]], "str | Mapping[str, str] | None"
    ]

_FUNCTION = CFUNCTYPE(
    c_int32, c_void_p, RECORD_POINTER, POINTER(c_double), POINTER(c_double), c_int32, RECORD_POINTER
)


def _callback(function: Recompute) -> Any:
    texts: list[bytes] = []  # alive until the library has written them

    def call(user: object, original: Any, before: Any, now: Any, count: int, record: Any) -> int:
        new, old = record.contents, record_dict(original.contents)
        old["prompt"] = (new.prompt or b"").decode()
        said = function(old, before[:count], now[:count])
        if said is None:
            return 0
        answer = {"expected": said} if isinstance(said, str) else said
        texts[:] = [answer.get(name, "").encode() for name in ("expected", "completion")]
        new.expected, new.completion = texts
        return 1

    return _FUNCTION(guarded(call, Status.ERR_CALLBACK))


@takes(_api.kd_augment_options)
def augment_prompts(
    reader: RecordReader,
    writer: RecordWriter,
    kind: AugmentKind,
    function: Recompute | None = None,
    *,
    templates: Sequence[str] = (),
    **options_: Unpack[AugmentOptions],
) -> AugmentCounts:
    """Writes new prompts made of a reader's, and counts them.

    Parameters
    ----------
    reader : RecordReader
    writer : RecordWriter
    kind : AugmentKind
    function : callable, optional
        NUMBERS: function(record, before, now) with the record's new prompt and its numbers before
        and now returns the new answer, a dict with "expected" and "completion", or None to drop
        the prompt.
    templates : sequence of str
        TEMPLATES: texts with {prompt}, and {previous} for the prompt before.
    """
    made, counts = options(_api.kd_augment_options, options_), empty(_api.kd_augment_counts)
    made.kind = kind
    callback = None if function is None else _callback(function)
    if callback is not None:
        made.function = ctypes.cast(callback, c_void_p)
    if templates:
        made.templates, made.template_count = text_array(templates), len(templates)
    check(lib.kd_augment_prompts(reader._pointer, writer._pointer, byref(made), byref(counts)))
    return read(AugmentCounts, counts)
