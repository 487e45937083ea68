"""What one step sees."""

from __future__ import annotations

from ctypes import byref, c_char_p, c_int32, c_int64
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from . import _api
from ._arrays import array, flags, reference
from ._convert import defaults, number_array, options, takes, text_array
from ._fields import Fields
from ._handle import make
from ._library import check, lib
from .enums import EndToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self, Unpack

    from .context import Context
    from .mel import Mel
    from .options import MaskOptions
    from .tokenizer import Tokenizer


class BatchCounts(NamedTuple):
    """How large a batch is."""

    samples: int
    rows: int


class BatchSamples(NamedTuple):
    """Which samples a batch holds: views with one entry per sample."""

    #: (samples,) numbers in the loader's dataset
    numbers: NDArray[numpy.int64]
    #: (samples, 2) keys
    keys: NDArray[numpy.uint64]
    #: (samples,) augmented views, 0: none
    views: NDArray[numpy.int64]


class BatchOrigin(NamedTuple):
    """Who made a batch's tokens; "" where it is not known."""

    tokenizer: str
    rendering: str


class Batch(Fields):
    """Samples of one step, with named fields.

    A sample has one row, or in a packed batch as many as it has tokens.

    Parameters
    ----------
    ctx : Context
    """

    _free = "kd_batch_free"
    _set, _lend, _field = "kd_batch_set", "kd_batch_borrow", "kd_batch_field"
    _set_per_sample = "kd_batch_set_per_sample"

    def __init__(self, ctx: Context) -> None:
        made = defaults(_api.kd_batch_options)
        self._adopt(make(lib.kd_batch_create, ctx._pointer, byref(made)), ctx)

    def begin(self, samples: int) -> Self:
        """Starts over with so many samples of one row each."""
        check(lib.kd_batch_begin(self._pointer, samples))
        self._forget()
        return self

    def begin_packed(self, offsets: ArrayLike) -> Self:
        """Starts over with samples of several rows.

        Parameters
        ----------
        offsets : (samples + 1,) array_like of int
            Sample i has the rows from offsets[i] up to offsets[i + 1].
        """
        numbers = numpy.asarray(offsets, dtype=numpy.int64)
        check(lib.kd_batch_begin_packed(self._pointer, reference(numbers)))
        self._forget()
        return self

    def begin_texts(
        self,
        tokenizer: Tokenizer,
        texts: Sequence[str | bytes],
        end_token: int = EndToken.DEFAULT,
    ) -> Self:
        """Starts over with one sample per text: "tokens", "end" (bytes of the text) and keys."""
        parts = text_array(texts)
        at = self._pointer, tokenizer._pointer
        check(lib.kd_batch_begin_texts(*at, parts, len(texts), end_token))
        self._forget()
        return self

    @property
    def counts(self) -> BatchCounts:
        """Numbers of samples and of rows."""
        samples, rows = c_int64(), c_int64()
        check(lib.kd_batch_get_counts(self._pointer, byref(samples), byref(rows)))
        return BatchCounts(samples.value, rows.value)

    @property
    def offsets(self) -> NDArray[numpy.int64]:
        """(samples + 1,): the rows of each sample."""
        made = _api.kd_array()
        check(lib.kd_batch_offsets(self._pointer, byref(made)))
        return array(made, self)

    def set_ragged(
        self,
        name: str,
        values: ArrayLike,
        offsets: ArrayLike,
        present: ArrayLike | None = None,
    ) -> Self:
        """Copies a field with its own rows, as speech frames beside tokens.

        Parameters
        ----------
        name : str
        values : (its rows, ...) array_like
        offsets : (samples + 1,) array_like of int
            Sample i has the field's rows from offsets[i] up to offsets[i + 1].
        present : (samples,) array_like of bool, optional
        """
        at = reference(values), reference(offsets), reference(flags(present))
        check(lib.kd_batch_set_ragged(self._pointer, name.encode(), *at))
        return self

    def set_mel(
        self,
        name: str,
        mel: Mel,
        samples: ArrayLike,
        offsets: ArrayLike | None = None,
        present: ArrayLike | None = None,
    ) -> Self:
        """Sets a field to the mel spectrograms of sounds.

        Parameters
        ----------
        name : str
        mel : Mel
            With `frames`: the field is (samples, frames, mels); without: ragged.
        samples : (samples,) array_like
            Of all sounds; taken as float32.
        offsets : (sounds + 1,) array_like of int, optional
            Where each begins, and the end. None: a batch of one.
        present : (sounds,) array_like of bool, optional
        """
        x = numpy.ascontiguousarray(samples, dtype=numpy.float32)
        at = mel._pointer, reference(x), reference(offsets), reference(flags(present))
        check(lib.kd_batch_set_mel(self._pointer, name.encode(), *at))
        return self

    def field_offsets(self, name: str) -> NDArray[numpy.int64]:
        """(samples + 1,): a ragged field's rows of each sample."""
        made = _api.kd_array()
        check(lib.kd_batch_field_offsets(self._pointer, name.encode(), byref(made)))
        return array(made, self)

    @property
    def samples(self) -> BatchSamples:
        """Which samples these are."""
        made = [_api.kd_array() for _ in range(3)]
        check(lib.kd_batch_samples(self._pointer, *[byref(one) for one in made]))
        return BatchSamples(*[array(one, self) for one in made])

    def set_samples(
        self,
        numbers: ArrayLike | None = None,
        keys: ArrayLike | None = None,
        views: ArrayLike | None = None,
    ) -> Self:
        """Says which samples these are.

        Parameters
        ----------
        numbers : (samples,) array_like of int, optional
        keys : (samples, 2) array_like of uint64, optional
        views : (samples,) array_like of int, optional
        """
        made: list[Any] = [reference(x) for x in (numbers, keys, views)]
        check(lib.kd_batch_set_samples(self._pointer, *made))
        return self

    @takes(_api.kd_mask_options)
    def mask_tokens(
        self, special_tokens: Sequence[int] = (), **options_: Unpack[MaskOptions]
    ) -> Self:
        """Hides tokens for a masked language model: "tokens", "label" and "mask".

        Parameters
        ----------
        special_tokens : sequence of int
            Ids that are neither chosen nor drawn, as those of "[CLS]" and "[SEP]".
        """
        made = options(_api.kd_mask_options, options_)
        made.special_tokens = number_array(c_int32, [int(t) for t in special_tokens])
        made.special_count = len(special_tokens)
        check(lib.kd_batch_mask_tokens(self._pointer, byref(made)))
        return self

    @property
    def origin(self) -> BatchOrigin:
        """Who made the tokens."""
        tokenizer, rendering = c_char_p(), c_char_p()
        check(lib.kd_batch_origin(self._pointer, byref(tokenizer), byref(rendering)))
        return BatchOrigin(*[(x.value or b"").decode() for x in (tokenizer, rendering)])

    def set_origin(self, tokenizer: str = "", rendering: str = "") -> Self:
        """Says who made the tokens: a tokenizer's hash, and how chats were rendered."""
        check(lib.kd_batch_set_origin(self._pointer, tokenizer.encode(), rendering.encode()))
        return self
