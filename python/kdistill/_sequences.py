"""Which tokens of a Hugging Face batch belong to which sample: padded, packed and padding-free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
import torch

from .store import store_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .context import Context


class Sequences(NamedTuple):
    """The real tokens of a batch, sample after sample."""

    #: (rows,) places in the flattened batch; None: every place, in order
    places: torch.Tensor | None
    #: (samples + 1,)
    offsets: NDArray[numpy.int64]
    #: (rows,)
    tokens: torch.Tensor

    def take(self, values: torch.Tensor) -> torch.Tensor:
        """(batch, length, ...) as (rows, ...): a view where nothing is left out."""
        flat = values.flatten(0, 1)
        return flat if self.places is None else flat.index_select(0, self.places)

    def keys(self, ctx: Context) -> NDArray[numpy.uint64]:
        """(samples, 2): the keys of the samples' ids."""
        ids = self.tokens.numpy()
        found = [
            store_key(ctx, ids[first:end])
            for first, end in zip(self.offsets[:-1], self.offsets[1:])
        ]
        return numpy.array(found, numpy.uint64).reshape(-1, 2)


def _starts(inputs: Mapping[str, Any], shape: tuple[int, int]) -> tuple[Any, Any]:
    """(batch, length) of what is a token, and of where a sample begins."""
    real, mask = numpy.ones(shape, bool), inputs.get("attention_mask")
    first = numpy.zeros(shape, bool)
    positions = inputs.get("position_ids")
    if mask is not None and mask.dim() == 2:
        real = mask.bool().numpy()
        first[numpy.arange(shape[0]), real.argmax(1)] = True
    elif positions is not None:
        first = (positions == 0).numpy().reshape(shape)
    first[:, 0] |= real[:, 0]
    return real, first


def sequences_of(inputs: Mapping[str, Any]) -> Sequences:
    """The samples of a batch by its attention_mask, else by position_ids that begin again.

    Samples of fewer than two tokens predict nothing and are left out: the padding of a batch
    without attention_mask is of this kind.
    """
    ids = inputs["input_ids"]
    shape = tuple(ids.shape)
    real, first = _starts(inputs, shape)
    number = first.reshape(-1).cumsum() - 1
    lengths = numpy.bincount(number[real.reshape(-1)], minlength=number[-1] + 1)
    kept = real.reshape(-1) & (lengths[number] > 1)
    offsets = numpy.concatenate([[0], lengths[lengths > 1].cumsum()]).astype(numpy.int64)
    flat = ids.reshape(-1)
    if kept.all():
        return Sequences(None, offsets, flat)
    places = torch.from_numpy(kept.nonzero()[0])
    return Sequences(places, offsets, flat.index_select(0, places))
