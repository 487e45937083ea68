"""Many prompts' answers, into a file."""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_int32, c_int64, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, Callable, TypedDict

import numpy

from . import _api
from ._convert import empty, numbers_of, options, path_bytes, read, takes
from ._handle import guarded, pointer_of
from ._library import check, lib
from .enums import Status
from .generator import sampling as sampling_struct
from .record import RECORD_POINTER, record_dict
from .results import AnswersProgress, AnswersResult
from .verify import verify_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from ._convert import StrPath
    from .context import Context
    from .generator import Generator
    from .options import AnswersOptions, Sampling, VerifyOptions
    from .record import Record, RecordReader
    from .verify import VerifyFunction

    #: function(record, sample, seed): the answer
    AnswerFunction = Callable[[Record, int, int], str]

_FUNCTION = CFUNCTYPE(
    c_int32, c_void_p, RECORD_POINTER, c_int32, c_uint64, c_void_p, c_int64, POINTER(c_int64)
)


def _answer_callback(function: AnswerFunction) -> Any:
    def call(
        user: object, record: Any, sample: int, seed: int, text: int, room: int, size: Any
    ) -> int:
        data = function(record_dict(record.contents), sample, seed).encode()
        size[0] = len(data)
        if len(data) >= room:
            return Status.ERR_RANGE  # asked again with that much room
        ctypes.memmove(text, data, len(data))
        return Status.OK

    return _FUNCTION(guarded(call, Status.ERR_CALLBACK))


def _progress_callback(kind: Any, progress: Callable[[AnswersProgress], object]) -> Any:
    def call(user: object, made: Any) -> int:
        return int(bool(progress(read(AnswersProgress, made.contents))))

    return kind(guarded(call, 1))


class _Asked(TypedDict, total=False):
    """Who answers, and how: what both ways of collecting take beside their options."""

    generator: Generator | None
    function: AnswerFunction | None
    sampling: Sampling | None
    stop_tokens: Sequence[int] | None
    verify: VerifyOptions | None
    verify_function: VerifyFunction | None
    progress: Callable[[AnswersProgress], object] | None


def _collect(
    call: Any,
    ctx: Context,
    reader: RecordReader,
    place: StrPath,
    asked: _Asked,
    options_: Any,
) -> AnswersProgress:
    made, done = options(_api.kd_answers_options, options_), empty(_api.kd_answers_progress)
    drawn: Any = {"temperature": 0.6, "top_p": 0.95, **(asked["sampling"] or {})}
    made.sampling = ctypes.pointer(sampling_struct(drawn, asked["stop_tokens"]))
    function, progress = asked["function"], asked["progress"]
    verify, verify_function = asked["verify"], asked["verify_function"]
    answer = None if function is None else _answer_callback(function)
    if answer is not None:
        made.function = ctypes.cast(answer, c_void_p)
    if verify is not None or verify_function is not None:
        made.verify = ctypes.pointer(verify_options(verify or {}, verify_function))
    if progress is not None:
        made.progress = _progress_callback(type(made.progress), progress)
    at = ctx._pointer, pointer_of(asked["generator"]), reader._pointer, path_bytes(place)
    check(call(*at, byref(made), byref(done)))
    return read(AnswersProgress, done)


@takes(_api.kd_answers_options)
def answers_collect(
    ctx: Context,
    reader: RecordReader,
    path: StrPath,
    *,
    generator: Generator | None = None,
    function: AnswerFunction | None = None,
    sampling: Sampling | None = None,
    stop_tokens: Sequence[int] | None = None,
    verify: VerifyOptions | None = None,
    verify_function: VerifyFunction | None = None,
    progress: Callable[[AnswersProgress], object] | None = None,
    **options_: Unpack[AnswersOptions],
) -> AnswersProgress:
    """Collects answers to all prompts in a file; goes on where it was killed.

    Parameters
    ----------
    ctx : Context
    reader : RecordReader
        Prompts.
    path : path
        Of the records that are written.
    generator : Generator, optional
        Who answers; or:
    function : callable, optional
        function(record, sample, seed) returns the answer.
    sampling : dict, optional
        As the options of Generator.add; temperature .6 and top_p .95 where they are not given.
    stop_tokens : sequence of int, optional
        Ids that end an answer; None: the tokenizer's own.
    verify : dict, optional
        As the options of `verify_answer`: each record's score becomes 1 or 0.
    verify_function : callable, optional
        function(text, expected) for Verifier.HOST.
    progress : callable, optional
        progress(AnswersProgress) after each prompt; a true result ends the call.
    """
    asked: _Asked = {
        "generator": generator,
        "function": function,
        "sampling": sampling,
        "stop_tokens": stop_tokens,
        "verify": verify,
        "verify_function": verify_function,
        "progress": progress,
    }
    return _collect(lib.kd_answers_collect, ctx, reader, path, asked, options_)


@takes(_api.kd_answers_options)
def answers_collect_chunks(
    ctx: Context,
    reader: RecordReader,
    folder: StrPath,
    *,
    generator: Generator | None = None,
    function: AnswerFunction | None = None,
    sampling: Sampling | None = None,
    stop_tokens: Sequence[int] | None = None,
    verify: VerifyOptions | None = None,
    verify_function: VerifyFunction | None = None,
    progress: Callable[[AnswersProgress], object] | None = None,
    **options_: Unpack[AnswersOptions],
) -> AnswersProgress:
    """Collects answers with other workers that share a folder: chunks that nobody has or holds.

    Parameters
    ----------
    ctx : Context
    reader : RecordReader
        All prompts, the same for all workers.
    folder : path
        Of the chunks' files; `answers_concat` makes one of them.
    generator, function, sampling, stop_tokens, verify, verify_function, progress
        As of `answers_collect`.
    """
    asked: _Asked = {
        "generator": generator,
        "function": function,
        "sampling": sampling,
        "stop_tokens": stop_tokens,
        "verify": verify,
        "verify_function": verify_function,
        "progress": progress,
    }
    return _collect(lib.kd_answers_collect_chunks, ctx, reader, folder, asked, options_)


def answers_concat(ctx: Context, folder: StrPath, path: StrPath) -> None:
    """One file of a folder's chunks: the bytes that a single worker would have written."""
    check(lib.kd_answers_concat(ctx._pointer, path_bytes(folder), path_bytes(path)))


@takes(_api.kd_verify_options)
def answers_judge(
    reader: RecordReader,
    k: int = 1,
    *,
    function: VerifyFunction | None = None,
    **options_: Unpack[VerifyOptions],
) -> tuple[AnswersResult, NDArray[numpy.int32]]:
    """Judges collected answers.

    Parameters
    ----------
    reader : RecordReader
        Records with "expected".
    k : int
        Of pass@k.
    function : callable, optional
        function(text, expected), asked with Verifier.HOST.

    Returns
    -------
    result : AnswersResult
        pass@1 with its errors, pass@k, and more.
    right : (questions, samples) int32
        The verdicts.
    """
    room = sum(1 for _ in reader.rewind())
    reader.rewind()
    rights, result = numpy.zeros(max(1, room), dtype=numpy.int32), empty(_api.kd_answers_result)
    made = verify_options(options_, function)
    at = reader._pointer, byref(made), k, numbers_of(rights, c_int32), room
    check(lib.kd_answers_judge(*at, byref(result)))
    found = read(AnswersResult, result)
    size = found.questions * found.samples
    return found, rights[:size].reshape(found.questions, found.samples)
