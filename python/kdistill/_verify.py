"""Is an answer right?"""
import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_char, c_char_p, c_double, c_int32, c_int64, c_void_p, cast, string_at
from typing import Dict, Sequence, Tuple

import numpy

from . import _api
from ._library import as_dict, check, filled, lib, options

VERIFY_FUNCTION = CFUNCTYPE(c_int32, c_void_p, c_char_p, c_char_p)


def verify_options(values: Dict):
    """(options of kd_verify_options, what must stay alive). `function`: a Python function(text, expected) -> bool."""
    values = dict(values)
    function = values.pop("function", None)
    made, callback = options(_api.kd_verify_options, "kd_verify_options_init", values), None
    if function is not None:

        def call(user, text, expected):
            try:
                return int(bool(function(text.decode(), expected.decode())))
            except BaseException as error:  # noqa: B902
                lib.kd_set_error(_api.KD_ERR_CALLBACK, f"{type(error).__name__}: {error}"[:400].encode())
                return _api.KD_ERR_CALLBACK

        callback = VERIFY_FUNCTION(call)
        made.function = ctypes.cast(callback, c_void_p)
    return made, callback


def verify(text: str, expected: str, **values) -> Tuple[bool, int]:
    """(right, bits of the verifiers that said yes); options of kd_verify_options."""
    (made, _alive), right, passed = verify_options(values), c_int32(), c_int32()
    check(lib.kd_verify(text.encode(), expected.encode(), byref(made), byref(right), byref(passed)))
    return bool(right.value), passed.value


def answer_find(text: str) -> str:
    data, answer, size = text.encode(), c_char_p(), c_int64()
    check(lib.kd_answer_find(data, byref(answer), byref(size)))
    return string_at(cast(answer, POINTER(c_char)), size.value).decode()


def answer_number(text: str) -> Tuple[float, bool]:
    """(the number, whether a percent sign stands behind it)."""
    value, percent = c_double(), c_int32()
    check(lib.kd_answer_number(text.encode(), byref(value), byref(percent)))
    return value.value, bool(percent.value)


def majority(texts: Sequence[str], **values) -> Tuple[int, int]:
    """(number of the first text with the most frequent answer, how many have it)."""
    (made, _alive), winner, votes = verify_options(values), c_int32(), c_int32()
    check(lib.kd_majority((c_char_p * len(texts))(*[t.encode() for t in texts]), len(texts), byref(made), byref(winner), byref(votes)))
    return winner.value, votes.value


def pass_rates(right, k: int = 1) -> Dict:
    """pass@1 with its standard error, and pass@k, from verdicts (questions, samples)."""
    verdicts, made = numpy.ascontiguousarray(right, dtype=numpy.int32), filled(_api.kd_pass)
    check(lib.kd_pass_rates(verdicts.ctypes.data_as(POINTER(c_int32)), verdicts.shape[0], verdicts.shape[1], k, byref(made)))
    return as_dict(made)
