"""Batches of a dataset, in a new order each epoch."""

from __future__ import annotations

from ctypes import byref, c_int64
from typing import TYPE_CHECKING

from . import _api
from ._convert import options, takes
from ._handle import Handle, make
from ._library import check, lib
from .enums import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Unpack

    from .batch import Batch
    from .dataset import Dataset
    from .options import LoaderOptions


class Loader(Handle):
    """Gives out the batches of a dataset.

    Parameters
    ----------
    dataset : Dataset
    """

    _free = "kd_loader_free"

    @takes(_api.kd_loader_options)
    def __init__(self, dataset: Dataset, **options_: Unpack[LoaderOptions]) -> None:
        made = options(_api.kd_loader_options, options_)
        self._adopt(make(lib.kd_loader_create, dataset._pointer, byref(made)), dataset)

    def next(self, batch: Batch) -> bool:
        """Fills a batch; False at the end of the epochs."""
        return check(lib.kd_loader_next(self._pointer, batch._pointer)) == Status.OK

    def into(self, batch: Batch) -> Iterator[Batch]:
        """Fills the same batch again and again: `for batch in loader.into(batch)`."""
        while self.next(batch):
            yield batch

    @property
    def position(self) -> tuple[int, int, int]:
        """Epoch, samples given out in it, batches of an epoch."""
        epoch, sample, batches = c_int64(), c_int64(), c_int64()
        at = byref(epoch), byref(sample), byref(batches)
        check(lib.kd_loader_position(self._pointer, *at))
        return epoch.value, sample.value, batches.value

    def seek(self, epoch: int) -> None:
        """Goes to the beginning of an epoch."""
        check(lib.kd_loader_seek(self._pointer, epoch))
