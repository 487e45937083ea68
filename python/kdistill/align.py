"""Tokens of two tokenizers on the same text."""

from __future__ import annotations

from ctypes import byref, c_int64
from typing import TYPE_CHECKING, Any

import numpy

from ._arrays import reference
from ._library import check, lib

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Which column of the chunks kd_align_sum_chunks sums over.
_STUDENT, _TEACHER = 0, 2


def align_find_chunks(student_ends: ArrayLike, teacher_ends: ArrayLike) -> NDArray[numpy.int64]:
    """Cuts a text where tokens of both sides end.

    Parameters
    ----------
    student_ends, teacher_ends : (tokens,) array_like of int
        Where each token ends, in bytes of the text.

    Returns
    -------
    (chunks, 4) int64
        First and last + 1 of the student's tokens, then of the teacher's.
    """
    ends = [numpy.ascontiguousarray(x, dtype=numpy.int64) for x in (student_ends, teacher_ends)]
    chunks, count = numpy.zeros((min(map(len, ends)), 4), numpy.int64), c_int64()
    check(lib.kd_align_find_chunks(*map(reference, ends), reference(chunks), byref(count)))
    return chunks[: count.value]


def align_sum_chunks(
    log_probabilities: ArrayLike, chunks: NDArray[Any], teacher: bool = False
) -> NDArray[numpy.float64]:
    """Log-probabilities of chunks.

    Parameters
    ----------
    log_probabilities : (tokens,) array_like
        Of the tokens of one side.
    chunks : (chunks, 4) int64
    teacher : bool
        Which side.

    Returns
    -------
    (chunks,) float64
    """
    values = numpy.ascontiguousarray(log_probabilities, dtype=numpy.float32)
    sums, side = numpy.zeros(len(chunks)), _TEACHER if teacher else _STUDENT
    table = numpy.ascontiguousarray(chunks)
    check(
        lib.kd_align_sum_chunks(
            reference(values), reference(table), len(chunks), side, reference(sums)
        )
    )
    return sums
