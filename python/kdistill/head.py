"""Logits that are computed inside a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _api
from ._arrays import pointer
from ._convert import options, takes

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from .options import Head as HeadOptions


class Head:
    """The last layer of a language model: logits = scale * (hidden weight' + bias).

    Parameters
    ----------
    weight : (classes, width) float32
    bias : (classes,) float32, optional
    weight_gradient : (classes, width) float32, optional
        Gradients are added to it.
    bias_gradient : (classes,) float32, optional
        Gradients are added to it.
    """

    @takes(_api.kd_head)
    def __init__(
        self,
        weight: NDArray[numpy.float32],
        bias: NDArray[numpy.float32] | None = None,
        weight_gradient: NDArray[numpy.float32] | None = None,
        bias_gradient: NDArray[numpy.float32] | None = None,
        **options_: Unpack[HeadOptions],
    ) -> None:
        self._made = options(_api.kd_head, options_)
        self._alive: list[Any] = [weight, bias, weight_gradient, bias_gradient]
        self._made.weight, self._made.bias = pointer(weight), pointer(bias)
        self._made.weight_gradient = pointer(weight_gradient)
        self._made.bias_gradient = pointer(bias_gradient)
