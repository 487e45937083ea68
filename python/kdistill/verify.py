"""Whether an answer is right."""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_char, c_char_p, c_double, c_int32, c_int64, c_void_p
from typing import TYPE_CHECKING, Callable, NamedTuple

import numpy

from . import _api
from ._convert import empty, numbers_of, options, read, takes, text_array
from ._handle import guarded
from ._library import check, lib
from .enums import Status, Verifier
from .results import PassAtK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from .options import VerifyOptions

    #: function(text, expected): is it right?
    VerifyFunction = Callable[[str, str], object]

_FUNCTION = CFUNCTYPE(c_int32, c_void_p, c_char_p, c_char_p)


class Verification(NamedTuple):
    """What was found about an answer."""

    right: bool
    #: who said yes
    passed: Verifier


class Majority(NamedTuple):
    """The most frequent answer."""

    #: number of the first text that has it
    winner: int
    votes: int


def verify_options(
    values: VerifyOptions, function: VerifyFunction | None = None
) -> _api.kd_verify_options:
    """Options with a function of the host, which they keep alive."""
    made = options(_api.kd_verify_options, values)
    if function is not None:

        def call(user: object, text: bytes, expected: bytes) -> int:
            return int(bool(function(text.decode(), expected.decode())))

        callback = _FUNCTION(guarded(call, Status.ERR_CALLBACK))
        made.function = ctypes.cast(callback, c_void_p)
        made._callback = callback
    return made


@takes(_api.kd_verify_options)
def verify_answer(
    text: str,
    expected: str,
    *,
    function: VerifyFunction | None = None,
    **options_: Unpack[VerifyOptions],
) -> Verification:
    """Compares the answer in a text with the right one.

    Parameters
    ----------
    text : str
        A whole answer, with its reasoning.
    expected : str
    function : callable, optional
        function(text, expected), asked with Verifier.HOST.
    """
    made, right, passed = verify_options(options_, function), c_int32(), c_int32()
    at = text.encode(), expected.encode(), byref(made)
    check(lib.kd_verify_answer(*at, byref(right), byref(passed)))
    return Verification(bool(right.value), Verifier(passed.value))


def verify_find_answer(text: str) -> str:
    """The answer in a text: the last box, or what follows the last mark."""
    data, answer, size = text.encode(), c_char_p(), c_int64()
    check(lib.kd_verify_find_answer(data, byref(answer), byref(size)))
    return ctypes.string_at(ctypes.cast(answer, POINTER(c_char)), size.value).decode()


def verify_find_number(text: str) -> tuple[float, bool]:
    """The number of an answer, and whether a percent sign follows it."""
    value, percent = c_double(), c_int32()
    check(lib.kd_verify_find_number(text.encode(), byref(value), byref(percent)))
    return value.value, bool(percent.value)


@takes(_api.kd_verify_options)
def verify_majority(
    texts: Sequence[str],
    *,
    function: VerifyFunction | None = None,
    **options_: Unpack[VerifyOptions],
) -> Majority:
    """The most frequent answer of several texts."""
    made, winner, votes = verify_options(options_, function), c_int32(), c_int32()
    at = text_array(texts), len(texts), byref(made)
    check(lib.kd_verify_majority(*at, byref(winner), byref(votes)))
    return Majority(winner.value, votes.value)


def verify_pass_at_k(right: ArrayLike, k: int = 1) -> PassAtK:
    """pass@1 with its errors, and pass@k.

    Parameters
    ----------
    right : (questions, samples) array_like
        Verdicts, 0 or 1.
    k : int
    """
    verdicts, made = numpy.ascontiguousarray(right, dtype=numpy.int32), empty(_api.kd_pass_at_k)
    questions, samples = verdicts.shape
    at = numbers_of(verdicts, c_int32), questions, samples, k
    check(lib.kd_verify_pass_at_k(*at, byref(made)))
    return read(PassAtK, made)
