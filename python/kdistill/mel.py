"""Mel spectrograms of sounds."""

from __future__ import annotations

from ctypes import byref, c_int64
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._arrays import reference
from ._convert import defaults, options, takes, values_of
from ._handle import Handle, make
from ._library import check, lib

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from .context import Context
    from .options import MelOptions


class Mel(Handle):
    """Makes mel spectrograms: `kd.Mel(ctx, **kd.Mel.preset("ast"))`.

    Parameters
    ----------
    ctx : Context
    """

    _free = "kd_mel_free"

    @takes(_api.kd_mel_options)
    def __init__(self, ctx: Context, **options_: Unpack[MelOptions]) -> None:
        made = options(_api.kd_mel_options, options_)
        self._mels, self._fixed = int(made.mels), int(made.frames)
        self._adopt(make(lib.kd_mel_create, ctx._pointer, byref(made)), ctx)

    @staticmethod
    def preset(name: str) -> dict[str, Any]:
        """The options that a model was trained with, as keywords.

        Parameters
        ----------
        name : str
            whisper, whisper-v3, ast, kaldi, google-speech-embedding or librosa.
        """
        made = defaults(_api.kd_mel_options)
        check(lib.kd_mel_get_preset(name.encode(), byref(made)))
        return values_of(made)

    def frame_count(self, samples: int) -> int:
        """Frames of a sound of this many samples."""
        count = c_int64()
        check(lib.kd_mel_frame_count(self._pointer, samples, byref(count)))
        return count.value

    def frame_offsets(self, offsets: ArrayLike) -> NDArray[numpy.int64]:
        """Where the frames of each sound begin: (sounds + 1,), for those of its samples."""
        counts = [self.frame_count(int(n)) for n in numpy.diff(numpy.asarray(offsets))]
        return numpy.cumsum([0, *counts], dtype=numpy.int64)

    def run(self, samples: ArrayLike, offsets: ArrayLike | None = None) -> NDArray[numpy.float32]:
        """Spectrograms of sounds, one after the other.

        Parameters
        ----------
        samples : (samples,) array_like
            Of all sounds; taken as float32.
        offsets : (sounds + 1,) array_like of int, optional
            Where each begins, and the end. None: one sound.

        Returns
        -------
        (frames, mels) array
            Of all sounds, `frame_offsets` tells which of which; (sounds, frames, mels) with
            `frames` of the options and offsets.
        """
        x = numpy.ascontiguousarray(samples, dtype=numpy.float32)
        ends = numpy.asarray([0, x.size] if offsets is None else offsets)
        frames = int(self.frame_offsets(ends)[-1])
        made = numpy.empty((frames, self._mels), numpy.float32)
        at = self._pointer, reference(x), reference(ends), reference(made)
        check(lib.kd_mel_run(*at))
        return (
            made
            if offsets is None or not self._fixed
            else made.reshape(-1, self._fixed, self._mels)
        )
