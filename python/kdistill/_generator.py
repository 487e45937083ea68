"""Text from language models."""
import ctypes
from ctypes import CFUNCTYPE, byref, c_char_p, c_double, c_int32, c_int64, c_void_p
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Sequence

import numpy

from . import _api
from ._arrays import view
from ._handles import Handle, Model, _make
from ._library import as_dict, check, filled, lib, options

_token_function = CFUNCTYPE(c_int32, c_void_p, c_int64, c_int32, c_int32, c_char_p)


class Generated(NamedTuple):
    """One finished text."""

    request: int
    sample: int
    reason: int
    ids: numpy.ndarray
    logprobs: numpy.ndarray
    text: Optional[str]
    hidden: Optional[numpy.ndarray]


def _options(values: Dict, tokenizer) -> _api.kd_generator_options:
    made = options(_api.kd_generator_options, "kd_generator_options_init", values)
    made.tokenizer = tokenizer._pointer if tokenizer is not None else None
    return made


def generator_memory(model: Model, tokenizer=None, **values) -> Dict:
    info = filled(_api.kd_generator_info)
    check(lib.kd_generator_memory(model._pointer, byref(_options(values, tokenizer)), byref(info)))
    return as_dict(info)


class Generator(Handle):
    """kd_generator: add prompts, then iterate over finished texts."""

    _free = "kd_generator_free"

    def __init__(self, model: Model, tokenizer=None, **values):
        super().__init__(_make(lib.kd_generator_create, model._pointer, byref(_options(values, tokenizer))), model, tokenizer)
        self._callbacks = {}

    def add(self, prompt: Sequence[int], stop_tokens: Sequence[int] = (), stop_texts: Sequence[str] = (),
            token: Optional[Callable[[int, int, int, str], Optional[bool]]] = None, **values) -> int:
        """Adds a prompt of ids; returns its number. token(request, sample, id, text) sees each token; a true result ends the text."""
        ids = numpy.ascontiguousarray(prompt, dtype=numpy.int32)
        made, number = options(_api.kd_sampling, "kd_sampling_init", values), c_int64()
        stops, texts = numpy.ascontiguousarray(stop_tokens, dtype=numpy.int32), (c_char_p * max(1, len(stop_texts)))(*[t.encode() for t in stop_texts])
        made.stop_tokens, made.stop_token_count = stops.ctypes.data_as(ctypes.POINTER(c_int32)), len(stops)
        made.stop_texts, made.stop_text_count = texts, len(stop_texts)
        callback = None
        if token is not None:
            callback = _token_function(lambda user, request, sample, one, text: int(bool(token(request, sample, one, text.decode(errors="replace")))))
            made.token = ctypes.cast(callback, c_void_p)
        check(lib.kd_generator_add(self._pointer, ids.ctypes.data_as(ctypes.POINTER(c_int32)), len(ids), byref(made), byref(number)))
        self._callbacks[number.value] = callback
        return number.value

    def next(self) -> Optional[Generated]:
        """The next finished text; None when all were given out."""
        made = filled(_api.kd_generated)
        if check(lib.kd_generator_next(self._pointer, byref(made))) == _api.KD_END:
            return None
        return self._taken(made)

    def _taken(self, made) -> Generated:
        count = made.count
        hidden = view(made.hidden, self).copy() if made.hidden.data else None
        text = ctypes.string_at(made.text, made.text_bytes).decode(errors="replace") if made.text is not None else None
        return Generated(made.request, made.sample, made.reason, numpy.ctypeslib.as_array(made.ids, (count,)).copy(),
                         numpy.ctypeslib.as_array(made.logprobs, (count,)).copy(), text, hidden)

    def __iter__(self) -> Iterator[Generated]:
        return iter(self.next, None)

    def refresh(self) -> None:
        """After the model was trained."""
        check(lib.kd_generator_refresh(self._pointer))

    def cancel(self, request: int) -> None:
        check(lib.kd_generator_cancel(self._pointer, request))

    def info(self) -> Dict:
        made = filled(_api.kd_generator_info)
        check(lib.kd_generator_get_info(self._pointer, byref(made)))
        return as_dict(made)

    def beam(self, prompt: Sequence[int], **values):
        """Beam search: (the best text, its score)."""
        ids, made, found, score = numpy.ascontiguousarray(prompt, dtype=numpy.int32), options(_api.kd_beam_options, "kd_beam_options_init", values), \
            filled(_api.kd_generated), c_double()
        check(lib.kd_generator_beam(self._pointer, ids.ctypes.data_as(ctypes.POINTER(c_int32)), len(ids), byref(made), byref(found), byref(score)))
        return self._taken(found), score.value
