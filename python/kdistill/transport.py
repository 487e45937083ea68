"""How bytes get from rank to rank: transports of `Exchange` over what a host has already.

    import kdistill as kd
    from mpi4py import MPI

    exchange = kd.Exchange(ctx, kd.transport.from_mpi4py(MPI.COMM_WORLD))

A transport of your own is a `Transport` with four methods.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[numpy.uint8]
    Offsets = NDArray[numpy.int64]

#: What launchers tell a process of how many it is one, where it does not join the others.
_LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PALS_NRANKS", "SLURM_STEP_NUM_TASKS")


def check_launcher(ranks: int, names: tuple[str, ...] = _LAUNCHERS) -> None:
    """Refuses a launcher that started many processes, each of which is alone.

    Raises
    ------
    RuntimeError
        One rank, where the environment tells of more.
    """
    for name in names:
        told = os.environ.get(name, "")
        if ranks == 1 and told.isdigit() and int(told) > 1:
            raise RuntimeError(
                f"this process is rank 0 of 1, but {name} is {told}: the launcher and the library "
                "do not belong together (srun needs --mpi=pmix or the engine's own mpirun)"
            )


class Transport:
    """Every rank calls the same methods in the same order; arrays are views of memory.

    Attributes
    ----------
    rank : int
        Of this process, from 0.
    ranks : int
        How many there are.
    """

    rank: int
    ranks: int

    def gather(self, mine: Bytes, all_: Bytes) -> None:
        """Puts the bytes of every rank into `all_` (ranks, bytes)."""
        raise NotImplementedError

    def start_pieces(self, request: int, send: Bytes, offsets: Offsets, received: Bytes) -> None:
        """Starts a request of number 0 to 7.

        Bytes offsets[r] to offsets[r + 1] go to rank r; received[r] (ranks, stride) is what it
        sends. A rank's own bytes need not be moved.
        """
        raise NotImplementedError

    def start_share(self, request: int, values: Bytes, offsets: Offsets) -> None:
        """Starts a request: bytes offsets[rank] to offsets[rank + 1] go to all, in place."""
        raise NotImplementedError

    def complete(self, request: int, wait: bool) -> bool:
        """Whether a request is complete; with `wait`, when it is."""
        raise NotImplementedError

    def close(self) -> None:
        """Called once, when the exchange is freed."""


class _Mpi4py(Transport):
    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi, self._comm = MPI, comm.Dup()
        self.rank, self.ranks = self._comm.Get_rank(), self._comm.Get_size()
        self._requests: dict[int, Any] = {}
        self._kept: dict[int, Any] = {}  # counts, until the request is complete

    def gather(self, mine: Bytes, all_: Bytes) -> None:
        self._comm.Allgather([mine, self._mpi.BYTE], [all_, self._mpi.BYTE])

    def start_pieces(self, request: int, send: Bytes, offsets: Offsets, received: Bytes) -> None:
        counts = numpy.diff(offsets)
        stride = received.shape[1]
        theirs = numpy.full(self.ranks, stride)
        counts[self.rank] = theirs[self.rank] = 0
        places = numpy.arange(self.ranks) * stride
        byte = self._mpi.BYTE
        sides = [send, (counts, offsets[:-1]), byte], [received, (theirs, places), byte]
        self._kept[request] = sides
        self._requests[request] = self._comm.Ialltoallv(*sides)

    def start_share(self, request: int, values: Bytes, offsets: Offsets) -> None:
        side = [values, (numpy.diff(offsets), offsets[:-1]), self._mpi.BYTE]
        self._kept[request] = side
        self._requests[request] = self._comm.Iallgatherv(self._mpi.IN_PLACE, side)

    def complete(self, request: int, wait: bool) -> bool:
        if wait:
            self._requests[request].Wait()
            return True
        return bool(self._requests[request].Test())

    def close(self) -> None:
        if not self._mpi.Is_finalized():
            self._comm.Free()


def from_mpi4py(comm: Any) -> Transport:
    """The ranks of an MPI communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        It is duplicated; all its ranks call this.
    """
    made = _Mpi4py(comm)
    check_launcher(made.ranks)
    return made


class _Torch(Transport):
    def __init__(self, group: Any) -> None:
        import torch
        import torch.distributed as distributed

        self._torch, self._of, self._group = torch, distributed, group
        self.rank, self.ranks = distributed.get_rank(group), distributed.get_world_size(group)
        self._requests: dict[int, Any] = {}

    def _tensor(self, values: Bytes) -> Any:
        return self._torch.from_numpy(values.reshape(-1))

    def gather(self, mine: Bytes, all_: Bytes) -> None:
        at = self._tensor(all_), self._tensor(mine)
        self._of.all_gather_into_tensor(*at, group=self._group)

    def start_pieces(self, request: int, send: Bytes, offsets: Offsets, received: Bytes) -> None:
        self._requests[request] = self._of.all_to_all_single(
            self._tensor(received),
            self._tensor(send),
            [received.shape[1]] * self.ranks,
            numpy.diff(offsets).tolist(),
            group=self._group,
            async_op=True,
        )

    def start_share(self, request: int, values: Bytes, offsets: Offsets) -> None:
        """Gloo gathers equal parts alone: so each rank's part goes to each, as pieces do."""
        counts = numpy.diff(offsets).tolist()
        own = values[offsets[self.rank] : offsets[self.rank + 1]]
        self._requests[request] = self._of.all_to_all_single(
            self._tensor(values),
            self._tensor(numpy.tile(own, self.ranks)),
            counts,
            [own.size] * self.ranks,
            group=self._group,
            async_op=True,
        )

    def complete(self, request: int, wait: bool) -> bool:
        if wait or self._requests[request].is_completed():
            self._requests[request].wait()
            return True
        return False


def from_torch(group: Any = None) -> Transport:
    """The ranks of a torch process group of gloo.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, optional
        Else the default group; init_process_group("gloo") comes before.
    """
    made = _Torch(group)
    check_launcher(made.ranks, ("WORLD_SIZE",) if group is None else ())
    return made
