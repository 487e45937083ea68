"""Text from language models."""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, byref, c_char_p, c_double, c_int32, c_int64, c_void_p
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import numpy

from . import _api
from ._arrays import view
from ._convert import empty, number_array, numbers_of, options, read, takes, text_array
from ._handle import Handle, make, pointer_of
from ._library import check, lib
from .enums import Status, StopReason
from .results import GeneratorInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from .model import Model
    from .options import BeamOptions, GeneratorOptions, Sampling
    from .tokenizer import Tokenizer

    #: token(request, sample, id, text): a true result ends the text
    TokenFunction = Callable[[int, int, int, str], object]

_TOKEN = CFUNCTYPE(c_int32, c_void_p, c_int64, c_int32, c_int32, c_char_p)


def _prompt(prompt: ArrayLike) -> NDArray[numpy.int32]:
    if isinstance(prompt, (str, bytes)):
        raise TypeError("prompt: expected ids, got text: tokenizer.encode(text, special=True)")
    return numpy.ascontiguousarray(prompt, dtype=numpy.int32)


class Generated(NamedTuple):
    """One finished text."""

    request: int
    sample: int
    reason: StopReason
    #: (tokens,)
    ids: NDArray[numpy.int32]
    #: (tokens,) under the model's own distribution, temperature 1
    logprobs: NDArray[numpy.float32]
    #: without the stop; None without a tokenizer
    text: str | None
    #: (tokens, width) states that each token was drawn from, with keep_hidden
    hidden: NDArray[numpy.float32] | None


def _options(
    tokenizer: Tokenizer | None, draft: Model | None, values: GeneratorOptions
) -> _api.kd_generator_options:
    made = options(_api.kd_generator_options, values)
    made.tokenizer = pointer_of(tokenizer)
    made.draft = pointer_of(draft)
    return made


def sampling(values: Sampling, stop_tokens: Sequence[int] | None) -> _api.kd_sampling:
    """How texts are drawn; without stop tokens the tokenizer's own end them."""
    made = options(_api.kd_sampling, values)
    if stop_tokens is not None:
        made.stop_tokens = number_array(c_int32, [int(t) for t in stop_tokens])
        made.stop_token_count = len(stop_tokens)
    return made


def _generated(made: _api.kd_generated, owner: object) -> Generated:
    count, hidden = made.count, view(made.hidden, owner)
    text = None
    if made.text is not None:
        text = ctypes.string_at(made.text, made.text_bytes).decode(errors="replace")
    return Generated(
        made.request,
        made.sample,
        StopReason(made.reason),
        numpy.ctypeslib.as_array(made.ids, (count,)).copy(),
        numpy.ctypeslib.as_array(made.logprobs, (count,)).copy(),
        text,
        None if hidden is None else hidden.copy(),
    )


class Generator(Handle):
    """Many sequences at once: add prompts, then `for text in generator`.

    Parameters
    ----------
    model : Model
    tokenizer : Tokenizer, optional
        For texts, stop texts, and what ends a text.
    draft : Model, optional
        A smaller model with the same tokens that writes ahead. Texts are the same with and without;
        temperatures above 0 need `draw=Draw.GUMBEL`.
    """

    _free = "kd_generator_free"

    @takes(_api.kd_generator_options)
    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer | None = None,
        draft: Model | None = None,
        **options_: Unpack[GeneratorOptions],
    ) -> None:
        made = _options(tokenizer, draft, options_)
        self._adopt(make(lib.kd_generator_create, model._pointer, byref(made)), model, tokenizer)
        self._callbacks: dict[int, Any] = {}
        self._failed: list[BaseException] = []

    @staticmethod
    @takes(_api.kd_generator_options)
    def estimate_memory(
        model: Model,
        tokenizer: Tokenizer | None = None,
        draft: Model | None = None,
        **options_: Unpack[GeneratorOptions],
    ) -> GeneratorInfo:
        """What a generator would take, without making it."""
        made, info = _options(tokenizer, draft, options_), empty(_api.kd_generator_info)
        check(lib.kd_generator_estimate_memory(model._pointer, byref(made), byref(info)))
        return read(GeneratorInfo, info)

    @takes(_api.kd_sampling)
    def add(
        self,
        prompt: ArrayLike,
        *,
        stop_tokens: Sequence[int] | None = None,
        stop_texts: Sequence[str] = (),
        token: TokenFunction | None = None,
        **options_: Unpack[Sampling],
    ) -> int:
        """Adds a prompt; its number.

        Parameters
        ----------
        prompt : (tokens,) array_like of int
            As a rule `tokenizer.encode(text, special=True)`: with the begin token.
        stop_tokens : sequence of int, optional
            Ids that end a text; None: the tokenizer's own.
        stop_texts : sequence of str
            Texts that end one; they need a tokenizer.
        token : callable, optional
            token(request, sample, id, text) sees each token; a true result ends the text.
        """
        ids, made = _prompt(prompt), sampling(options_, stop_tokens)
        made.stop_texts, made.stop_text_count = text_array(stop_texts), len(stop_texts)
        callback = None if token is None else _token_callback(token, self._failed)
        if callback is not None:
            made.token = ctypes.cast(callback, c_void_p)
        number = c_int64()
        at = self._pointer, numbers_of(ids, c_int32), len(ids), byref(made)
        check(lib.kd_generator_add(*at, byref(number)))
        self._callbacks[number.value] = callback
        return number.value

    def next(self) -> Generated | None:
        """The next finished text; None when all were given out.

        An exception of a token function ends its text, and is raised here.
        """
        made = empty(_api.kd_generated)
        status = check(lib.kd_generator_next(self._pointer, byref(made)))
        if self._failed:
            raise self._failed.pop(0)
        if status == Status.END:
            return None
        return _generated(made, self)

    def __iter__(self) -> Iterator[Generated]:
        while (text := self.next()) is not None:
            yield text

    def refresh(self) -> None:
        """Takes the model's parameters again, after it was trained."""
        check(lib.kd_generator_refresh(self._pointer))

    def cancel(self, request: int) -> None:
        """Drops the rest of a prompt: waiting, running and finished samples."""
        check(lib.kd_generator_cancel(self._pointer, request))

    @property
    def info(self) -> GeneratorInfo:
        """Facts: memory, and tokens computed so far."""
        made = empty(_api.kd_generator_info)
        check(lib.kd_generator_get_info(self._pointer, byref(made)))
        return read(GeneratorInfo, made)

    @takes(_api.kd_beam_options)
    def beam_search(
        self, prompt: ArrayLike, **options_: Unpack[BeamOptions]
    ) -> tuple[Generated, float]:
        """Beam search from a prompt (tokens,) of ids: the best text, and its score."""
        ids = _prompt(prompt)
        made, found = options(_api.kd_beam_options, options_), empty(_api.kd_generated)
        score = c_double()
        at = self._pointer, numbers_of(ids, c_int32), len(ids), byref(made)
        check(lib.kd_generator_beam_search(*at, byref(found), byref(score)))
        return _generated(found, self), score.value


def _token_callback(token: TokenFunction, failed: list[BaseException]) -> Any:
    def call(user: object, request: int, sample: int, one: int, text: bytes) -> int:
        try:
            return int(bool(token(request, sample, one, text.decode(errors="replace"))))
        except BaseException as error:  # must never reach C
            failed.append(error)
            return 1

    return _TOKEN(call)
