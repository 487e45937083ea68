"""Images before they enter a model: size, place, mean and deviation."""

from __future__ import annotations

from ctypes import byref, c_int64
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._arrays import reference
from ._convert import options, path_bytes, takes
from ._handle import Handle, make
from ._library import check, lib

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self, Unpack

    from ._convert import StrPath
    from .context import Context
    from .options import ResizeOptions


def _like(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """An array for an image of another height and width."""
    first = max(image.ndim - 3, 0)
    return numpy.empty((*image.shape[:first], *size, *image.shape[first + 2 :]), image.dtype)


@takes(_api.kd_resize_options)
def image_resize(
    ctx: Context, image: ArrayLike, size: tuple[int, int], **options_: Unpack[ResizeOptions]
) -> NDArray[Any]:
    """Resizes with anti-alias; the numbers are those of PIL's Image.resize.

    Parameters
    ----------
    ctx : Context
    image : (height, width), (height, width, channels) or (samples, height, width, channels)
        uint8 or float32.
    size : (new height, new width)

    Returns
    -------
    Of the same dtype and rank.
    """
    values = numpy.asarray(image)
    made, to = options(_api.kd_resize_options, options_), _like(values, size)
    check(lib.kd_image_resize(ctx._pointer, reference(values), reference(to), byref(made)))
    return to


def image_crop(ctx: Context, image: ArrayLike, size: tuple[int, int]) -> NDArray[Any]:
    """The middle of an image; where the image is smaller, zeros around it.

    Parameters
    ----------
    ctx : Context
    image : (height, width), (height, width, channels) or (samples, height, width, channels)
        uint8 or float32.
    size : (new height, new width)
    """
    values = numpy.asarray(image)
    to = _like(values, size)
    check(lib.kd_image_crop(ctx._pointer, reference(values), reference(to)))
    return to


class ImageProcessor(Handle):
    """What the folder of a vision model says about its images.

    Parameters
    ----------
    ctx : Context
    json : str
        As preprocessor_config.json has it.
    """

    _free = "kd_image_processor_free"

    def __init__(self, ctx: Context, json: str) -> None:
        self._adopt(make(lib.kd_image_processor_create, ctx._pointer, json.encode()), ctx)

    @classmethod
    def load(cls, ctx: Context, folder: StrPath) -> Self:
        """That of a folder."""
        return cls._wrap(make(lib.kd_image_processor_load, ctx._pointer, path_bytes(folder)), ctx)

    def find_size(self, height: int, width: int) -> tuple[int, int]:
        """The height and width that an image of height x width will have."""
        new = c_int64(), c_int64()
        at = byref(new[0]), byref(new[1])
        check(lib.kd_image_processor_find_size(self._pointer, height, width, *at))
        return new[0].value, new[1].value

    def prepare(self, image: ArrayLike) -> NDArray[numpy.float32]:
        """Resizes, crops, rescales and normalizes.

        Parameters
        ----------
        image : (height, width, channels) or (samples, height, width, channels) of uint8

        Returns
        -------
        (channels, new height, new width) or (samples, ...) float32
            What a model reads as "pixels".
        """
        values = numpy.asarray(image)
        shape = values.shape
        size = self.find_size(*shape[-3:-1]) if len(shape) > 2 else (1, 1)
        pixels = numpy.empty((*shape[:-3], *shape[-1:], *size), numpy.float32)
        check(lib.kd_image_processor_prepare(self._pointer, reference(values), reference(pixels)))
        return pixels
