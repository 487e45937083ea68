"""Sounds: WAV files and sample rates."""

from __future__ import annotations

from ctypes import byref
from typing import TYPE_CHECKING, Any

from . import _api
from ._arrays import array, reference
from ._convert import empty, options, path_bytes, read, takes
from ._handle import Handle, make
from ._library import check, lib
from .enums import DType
from .results import AudioInfo

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self, Unpack

    from ._convert import StrPath
    from .context import Context
    from .options import AudioOptions, ResampleOptions


class Audio(Handle):
    """A sound of one or two channels, made by `load`, `from_bytes` or `from_array`."""

    _free = "kd_audio_free"

    @classmethod
    @takes(_api.kd_audio_options)
    def load(cls, ctx: Context, path: StrPath, **options_: Unpack[AudioOptions]) -> Self:
        """A WAV file."""
        made = options(_api.kd_audio_options, options_)
        return cls._wrap(make(lib.kd_audio_load, ctx._pointer, path_bytes(path), byref(made)), ctx)

    @classmethod
    @takes(_api.kd_audio_options)
    def from_bytes(cls, ctx: Context, data: bytes, **options_: Unpack[AudioOptions]) -> Self:
        """A WAV file in memory."""
        made = options(_api.kd_audio_options, options_)
        at = ctx._pointer, data, len(data), byref(made)
        return cls._wrap(make(lib.kd_audio_from_bytes, *at), ctx)

    @classmethod
    def from_array(cls, ctx: Context, samples: ArrayLike, sample_rate: int) -> Self:
        """A sound of samples between -1 and 1.

        Parameters
        ----------
        ctx : Context
        samples : (samples,) or (samples, channels) array_like
            Copied.
        sample_rate : int
            Hz.
        """
        at = ctx._pointer, reference(samples), sample_rate
        return cls._wrap(make(lib.kd_audio_from_array, *at), ctx)

    @property
    def info(self) -> AudioInfo:
        """Rate, channels, length."""
        made = empty(_api.kd_audio_info)
        check(lib.kd_audio_get_info(self._pointer, byref(made)))
        return read(AudioInfo, made)

    @property
    def samples(self) -> NDArray[Any]:
        """(samples,), or (samples, 2) of two channels; a view until the sound is resampled."""
        made = _api.kd_array()
        check(lib.kd_audio_samples(self._pointer, byref(made)))
        return array(made, self)

    @takes(_api.kd_resample_options)
    def resample(self, sample_rate: int, **options_: Unpack[ResampleOptions]) -> None:
        """Brings the sound to another rate; views of its samples become invalid."""
        made = options(_api.kd_resample_options, options_)
        check(lib.kd_audio_resample(self._pointer, sample_rate, byref(made)))

    def save(self, path: StrPath, dtype: DType = DType.INT16) -> None:
        """Writes a WAV file of DType.INT16 or DType.FLOAT32."""
        check(lib.kd_audio_save(self._pointer, path_bytes(path), dtype))
