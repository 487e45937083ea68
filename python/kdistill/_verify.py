"""Is an answer right?"""
from ctypes import byref, c_char_p, c_double, c_int32, c_int64, string_at
from ctypes import POINTER, c_char, cast
from typing import Dict, Tuple

import numpy

from . import _api
from ._library import as_dict, check, filled, lib, options


def verify(text: str, expected: str, **values) -> Tuple[bool, int]:
    """(right, bits of the verifiers that said yes); options of kd_verify_options."""
    made, right, passed = options(_api.kd_verify_options, "kd_verify_options_init", values), c_int32(), c_int32()
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


def pass_rates(right, k: int = 1) -> Dict:
    """pass@1 with its standard error, and pass@k, from verdicts (questions, samples)."""
    verdicts, made = numpy.ascontiguousarray(right, dtype=numpy.int32), filled(_api.kd_pass)
    check(lib.kd_pass_rates(verdicts.ctypes.data_as(POINTER(c_int32)), verdicts.shape[0], verdicts.shape[1], k, byref(made)))
    return as_dict(made)
