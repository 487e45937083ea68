"""Which texts a student learns from."""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    byref,
    c_char_p,
    c_double,
    c_int32,
    c_int64,
    c_uint64,
    c_void_p,
)
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from . import _api
from ._convert import empty, number_array, options, split, takes, text_array
from ._handle import Handle, guarded, make, pointer_of
from ._library import check, lib
from ._numbers import Bounds, bounds_of, check_numbers
from .enums import FilterNumber, Status
from .record import RECORD_POINTER, record_dict
from .tokenizer import taken
from .verify import verify_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self, Unpack

    from .context import Context
    from .enums import FilterKind
    from .options import CurationOptions, FilterNumbers, FilterSettings, VerifyOptions
    from .record import Record, RecordReader, RecordWriter
    from .report import Report
    from .tokenizer import Tokenizer
    from .verify import VerifyFunction

    #: function(record): True keeps it; False, or a str that says why, drops it
    RecordFunction = Callable[[Record], object]

_FUNCTION = CFUNCTYPE(c_int32, c_void_p, RECORD_POINTER, POINTER(c_char_p))


class Funnel(NamedTuple):
    """What a filter did; the first entry, "read", and the last, "validation", are none."""

    name: str
    came: int
    dropped: int
    kept: int
    #: of prompts and completions
    kept_bytes: int
    #: different ones
    kept_prompts: int
    #: how many records were dropped for each reason
    reasons: dict[str, int]


def _record_callback(function: RecordFunction) -> Any:
    reasons: dict[str, bytes] = {}  # texts that C keeps pointers to

    def call(user: object, record: Any, reason: Any) -> int:
        said = function(record_dict(record.contents))
        if isinstance(said, str):
            reason[0] = reasons.setdefault(said, said.encode())
            return 0
        return int(bool(said))

    return _FUNCTION(guarded(call, Status.ERR_CALLBACK))


class Curation(Handle):
    """Filters over records.

    Parameters
    ----------
    ctx : Context
    tokenizer : Tokenizer, optional
        For Unit.TOKENS.
    """

    _free = "kd_curation_free"

    @takes(_api.kd_curation_options)
    def __init__(
        self,
        ctx: Context,
        tokenizer: Tokenizer | None = None,
        **options_: Unpack[CurationOptions],
    ) -> None:
        made = options(_api.kd_curation_options, options_)
        made.tokenizer = pointer_of(tokenizer)
        self._adopt(make(lib.kd_curation_create, ctx._pointer, byref(made)), ctx, tokenizer)
        self._context = ctx

    @takes(_api.kd_filter_options)
    def add(
        self,
        kind: FilterKind,
        function: RecordFunction | None = None,
        *,
        tests: RecordReader | None = None,
        verify: VerifyOptions | None = None,
        verify_function: VerifyFunction | None = None,
        shares: Mapping[str, float] | None = None,
        **options_: Unpack[FilterSettings],
    ) -> Self:
        """Adds a filter.

        Numbers of the kind are keywords too, as in `set`.

        Parameters
        ----------
        kind : FilterKind
        function : callable, optional
            HOST: function(record) returns True to keep the record; False, or the reason as a
            str, to drop it.
        tests : RecordReader, optional
            CONTAMINATION: texts that must not be learned.
        verify : dict, optional
            VERIFY and PASS_RATE: as the options of `verify_answer`.
        verify_function : callable, optional
            function(text, expected) for Verifier.HOST.
        shares : dict of float, optional
            BALANCE: the part of each domain.
        """
        made, numbers = split(_api.kd_filter_options, options_, FilterNumber)
        check_numbers(lib.kd_curation_bounds, kind, numbers)
        if function is not None:
            self._alive.append(_record_callback(function))
            made.function = ctypes.cast(self._alive[-1], c_void_p)
        made.tests = pointer_of(tests)
        if verify is not None or verify_function is not None:
            self._alive.append(verify_options(verify or {}, verify_function))
            made.verify = ctypes.pointer(self._alive[-1])
        if shares:
            made.domains, made.domain_count = text_array(shares), len(shares)
            made.shares = number_array(c_double, list(shares.values()))
        step = c_int32()
        check(lib.kd_curation_add(self._pointer, kind, byref(made), byref(step)))
        for number, value in numbers.items():
            check(lib.kd_curation_set(self._pointer, step, number, value))
        return self

    def set(self, step: int, **numbers: Unpack[FilterNumbers]) -> Self:
        """Sets numbers of a filter by its place in the funnel: `c.set(1, max_length=99)`."""
        for name, value in numbers.items():
            check(lib.kd_curation_set(self._pointer, step, FilterNumber[name.upper()], value))
        return self

    def get(self, step: int, name: str) -> float:
        """A number of a filter by its name in FilterNumber: `c.get(1, "max_length")`."""
        value = c_double()
        number = FilterNumber[name.upper()]
        check(lib.kd_curation_get(self._pointer, step, number, byref(value)))
        return value.value

    @staticmethod
    def bounds(kind: FilterKind, name: str) -> Bounds:
        """Bounds and default of a number of a kind of filter."""
        return bounds_of(lib.kd_curation_bounds, kind, FilterNumber[name.upper()])

    def run(
        self,
        reader: RecordReader,
        kept: RecordWriter | None = None,
        validation: RecordWriter | None = None,
    ) -> Self:
        """Sends a reader's records through the filters.

        Parameters
        ----------
        reader : RecordReader
        kept : RecordWriter, optional
            Gets what remains.
        validation : RecordWriter, optional
            Gets the share of prompts that is held back.
        """
        at = reader._pointer, pointer_of(kept), pointer_of(validation)
        check(lib.kd_curation_run(self._pointer, *at))
        return self

    @property
    def funnel(self) -> list[Funnel]:
        """What each filter did, in order."""
        steps = c_int32()
        check(lib.kd_curation_step_count(self._pointer, byref(steps)))
        return [self._step(number) for number in range(steps.value)]

    def _step(self, number: int) -> Funnel:
        made, reasons = empty(_api.kd_funnel), {}
        check(lib.kd_curation_get_step(self._pointer, number, byref(made)))
        for i in range(made.reasons):
            text, count = c_char_p(), c_int64()
            at = self._pointer, number, i
            check(lib.kd_curation_reason(*at, byref(text), byref(count)))
            reasons[(text.value or b"").decode()] = count.value
        name, numbers = (made.name or b"").decode(), (made.seen, made.dropped, made.kept)
        return Funnel(name, *numbers, made.kept_bytes, made.kept_prompts, reasons)

    def to_text(self) -> str:
        """The funnel as a table."""
        text = c_char_p()
        check(lib.kd_curation_to_text(self._pointer, byref(text)))
        return taken(self._context, text)

    def __str__(self) -> str:
        return self.to_text()

    def fill_report(self, report: Report, name: str) -> None:
        """Puts the funnel into a report."""
        check(lib.kd_curation_fill_report(self._pointer, report._pointer, name.encode()))


def curation_is_held_out(prompt_key: tuple[int, int], seed: int, share: float) -> bool:
    """Whether a prompt belongs to the share that a curation holds back."""
    held, key = c_int32(), (c_uint64 * 2)(*prompt_key)
    check(lib.kd_curation_is_held_out(key, seed, share, byref(held)))
    return bool(held.value)
