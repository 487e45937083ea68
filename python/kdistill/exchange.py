"""Several processes (ranks) train one model."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_double, c_int64
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._convert import empty, options, read, takes
from ._handle import Handle, guarded, make, pointer_of
from ._library import check, lib
from .enums import Status
from .results import ExchangeInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from .batch import Batch
    from .context import Context
    from .loss import LossCounts
    from .optimizer import Optimizer
    from .options import ExchangeOptions
    from .transport import Transport


def _bytes(address: int | None, count: int) -> NDArray[numpy.uint8]:
    """A view of memory of the library."""
    if not address or not count:
        return numpy.empty(0, numpy.uint8)
    return numpy.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(address))


def _offsets(pointer: Any, ranks: int) -> NDArray[numpy.int64]:
    return numpy.array(pointer[: ranks + 1], numpy.int64)


#: Structs of callbacks whose `destroy` was not called: the library, a checkpoint for example, may
#: hold an exchange longer than Python does. Those that are over are let go of by the next one.
_open: dict[int, Any] = {}
_over: list[Any] = []


class _Calls:
    """A transport's methods as C calls them."""

    def __init__(self, transport: Transport) -> None:
        self.transport, self.ranks = transport, transport.ranks

    def gather(self, user: object, mine: int, all_: int, count: int) -> None:
        both = _bytes(all_, self.ranks * count).reshape(self.ranks, count)
        self.transport.gather(_bytes(mine, count), both)

    def start_pieces(
        self, user: object, request: int, send: int, offsets: Any, received: int, stride: int
    ) -> None:
        at = _offsets(offsets, self.ranks)
        to = _bytes(received, self.ranks * stride).reshape(self.ranks, stride)
        self.transport.start_pieces(request, _bytes(send, int(at[-1])), at, to)

    def start_share(self, user: object, request: int, values: int, offsets: Any) -> None:
        at = _offsets(offsets, self.ranks)
        self.transport.start_share(request, _bytes(values, int(at[-1])), at)

    def complete(self, user: object, request: int, wait: int, done: Any) -> None:
        done[0] = int(self.transport.complete(request, bool(wait)))

    def close(self, user: object) -> None:
        _over.append(_open.pop(id(self)))
        guarded(self.transport.close, Status.ERR_CALLBACK)()


def _struct(calls: _Calls) -> Any:
    made = empty(_api.kd_transport)
    kinds: dict[str, Any] = {field[0]: field[1] for field in made._fields_}
    made.rank, made.ranks = calls.transport.rank, calls.ranks
    for name in ("gather", "start_pieces", "start_share", "complete"):
        call = guarded(getattr(calls, name), Status.ERR_CALLBACK)
        setattr(made, name, kinds[name](call))
    made.destroy = kinds["destroy"](calls.close)
    return made


_ASKED = ("rank", "ranks", "gather", "start_pieces", "start_share", "complete", "close")


def _create(ctx: Context, transport: Transport, made: Any) -> Any:
    """An exchange's handle; its callbacks live as long as it does."""
    lacks = [n for n in _ASKED if not hasattr(transport, n)]
    if lacks:
        raise TypeError(
            "transport: expected what kdistill.transport.from_mpi4py or from_torch gives, or an "
            "object with the members of Transport, "
            f"got {type(transport).__name__} without {', '.join(lacks)}"
        )
    _over.clear()
    calls = _Calls(transport)
    net = _open[id(calls)] = _struct(calls)
    try:
        return make(lib.kd_exchange_create, ctx._pointer, byref(net), byref(made))
    except Exception:
        del _open[id(calls)]
        raise


class Exchange(Handle):
    """Takes the steps of an optimizer together with other ranks.

    Parameters
    ----------
    ctx : Context
    transport : transport.Transport, optional
        `transport.from_mpi4py(comm)`, `transport.from_torch()` or one of your own. Without it this
        process is alone.
    """

    _free = "kd_exchange_free"

    @takes(_api.kd_exchange_options)
    def __init__(
        self,
        ctx: Context,
        transport: Transport | None = None,
        **options_: Unpack[ExchangeOptions],
    ) -> None:
        made = options(_api.kd_exchange_options, options_)
        if transport is None:
            self._adopt(make(lib.kd_exchange_create, ctx._pointer, None, byref(made)), ctx)
        else:
            self._adopt(_create(ctx, transport, made), ctx)

    def add_optimizer(self, optimizer: Optimizer) -> None:
        """The optimizer whose steps these are, with all its sources and groups."""
        check(lib.kd_exchange_add_optimizer(self._pointer, optimizer._pointer))

    def sum_counts(self, batch: Batch | None, counts: LossCounts) -> int:
        """Makes a rank's counts those of all ranks, before each step.

        Returns
        -------
        int
            Samples of all ranks' batches; 0: there are no more.
        """
        samples = c_int64()
        at = self._pointer, pointer_of(batch), byref(counts), byref(samples)
        check(lib.kd_exchange_sum_counts(*at))
        return samples.value

    def set_learning_rate(self, learning_rate: float) -> None:
        """Tells the coming step's learning rate before `sum_counts`.

        Where all ranks do and nothing is clipped by the norm, parameters come back during the
        backward pass: the same bits, less to wait for.
        """
        check(lib.kd_exchange_set_learning_rate(self._pointer, learning_rate))

    def begin(self) -> None:
        """The next backward pass is the step's last: gradients leave while it runs."""
        check(lib.kd_exchange_begin(self._pointer))

    def step(self, learning_rate: float) -> None:
        """Takes a step with the sums of all ranks' gradients."""
        check(lib.kd_exchange_step(self._pointer, learning_rate))

    def fail(self, message: str = "", status: Status = Status.ERR_STATE) -> None:
        """Tells the other ranks that this one cannot go on; they get ERR_PEER.

        Parameters
        ----------
        message : str
            Why; else the message of the last failing call.
        status : Status
        """
        if message:
            lib.kd_set_error(status, message.encode())
        check(lib.kd_exchange_fail(self._pointer, status))

    def sum(self, values: Iterable[float]) -> list[float]:
        """Sums of all ranks' numbers, at most 128."""
        own = list(values)
        made = (c_double * max(1, len(own)))(*own)
        check(lib.kd_exchange_sum(self._pointer, made, len(own)))
        return list(made[: len(own)])

    def compare(self) -> None:
        """Raises an error that names the first parameter whose bits differ between ranks."""
        check(lib.kd_exchange_compare(self._pointer))

    def compare_bytes(self, name: str, data: bytes) -> None:
        """Raises an error where ranks have other bytes under this name."""
        at = self._pointer, name.encode(), data, len(data)
        check(lib.kd_exchange_compare_bytes(*at))

    def swap_average(self) -> None:
        """Exchanges the parameters and their averages; again: back."""
        check(lib.kd_exchange_swap_average(self._pointer))

    @property
    def info(self) -> ExchangeInfo:
        """Facts: buckets, bytes sent, seconds waited, the slowest rank."""
        made = empty(_api.kd_exchange_info)
        check(lib.kd_exchange_get_info(self._pointer, byref(made)))
        return read(ExchangeInfo, made)
