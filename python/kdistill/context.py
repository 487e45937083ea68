"""Memory, threads, log, seed and BLAS: what would otherwise be global state."""

from __future__ import annotations

import ctypes
from ctypes import byref
from typing import TYPE_CHECKING, Any, Callable

import numpy

from . import _api
from ._convert import empty, numbers_of, options, read, takes
from ._handle import Handle, guarded, make
from ._library import check, lib
from ._progress import Bars
from .enums import LogLevel, Status
from .results import ContextInfo

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from .options import ContextOptions


class Context(Handle):
    """What every other handle is made in; it may be used from several threads at once.

    Parameters
    ----------
    blas_threads : int or None
        Threads of the BLAS library, for the whole process. 1: products are cut into tiles that run
        on the context's own threads, fast, with the same bits for any number of them. None: left
        alone.
    log : callable, optional
        log(level, line) gets log lines, from any thread that calls the library.
    progress : callable, "tqdm" or "rich", optional
        progress(stage, done, total) during long calls; a true result ends the call, and so does
        Ctrl-C. A name: bars of that package.
    matmul : callable, optional
        The host's own matrix product in place of BLAS, with the arguments of kd_matmul.
    """

    _free = "kd_context_free"

    @takes(_api.kd_context_options)
    def __init__(
        self,
        *,
        blas_threads: int | None = 1,
        log: Callable[[LogLevel, str], object] | None = None,
        progress: Callable[[str, int, int], object] | str | None = None,
        matmul: Callable[..., object] | None = None,
        **options_: Unpack[ContextOptions],
    ) -> None:
        made = options(_api.kd_context_options, options_)
        self._callbacks: list[Any] = []
        if log:
            made.logger = self._logger(log)
        if progress:
            bars = Bars(progress) if isinstance(progress, str) else progress
            made.progress = self._progress(bars)
        if matmul:
            call = guarded(lambda user, *rest: matmul(*rest), Status.ERR_CALLBACK)
            made.matmul = self._keep(_api.kd_matmul, matmul=call)
        self._adopt(make(lib.kd_context_create, byref(made)))
        if blas_threads is not None:
            self.set_blas_threads(blas_threads)

    def _logger(self, log: Callable[[LogLevel, str], object]) -> Any:
        def call(user: object, level: int, line: bytes) -> None:
            log(LogLevel(level), line.decode(errors="replace"))

        return self._keep(_api.kd_logger, level=LogLevel.INFO, log=call)

    def _progress(self, progress: Callable[[str, int, int], object]) -> Any:
        def call(user: object, stage: bytes, done: int, total: int) -> int:
            return int(bool(progress(stage.decode(), done, total)))

        return self._keep(_api.kd_progress, progress=guarded(call, 1))

    def _keep(self, kind: type[ctypes.Structure], **members: Any) -> Any:
        """A struct of callbacks that lives as long as this object."""
        made, kinds = empty(kind), {field[0]: field[1] for field in kind._fields_}
        for name, value in members.items():
            setattr(made, name, kinds[name](value) if callable(value) else value)
        self._callbacks.append(made)
        return ctypes.pointer(made)

    @property
    def info(self) -> ContextInfo:
        """Facts: threads, instruction set, memory in use, BLAS."""
        made = empty(_api.kd_context_info)
        check(lib.kd_context_get_info(self._pointer, byref(made)))
        return read(ContextInfo, made)

    def set_blas_threads(self, threads: int) -> None:
        """Sets the number of threads of the BLAS library, for the whole process."""
        check(lib.kd_context_set_blas_threads(self._pointer, threads))

    def measure_matmul(self) -> tuple[float, float]:
        """Measures matrix products: operations a second in float32, and in bfloat16."""
        float32, bfloat16 = ctypes.c_double(), ctypes.c_double()
        check(lib.kd_context_measure_matmul(self._pointer, byref(float32), byref(bfloat16)))
        return float32.value, bfloat16.value

    def cancel(self, on: bool = True) -> None:
        """Ends every running and future call with ERR_CANCELED, or no longer (False)."""
        check(lib.kd_context_cancel(self._pointer, on))

    def matmul(self, a: ArrayLike, b: ArrayLike) -> NDArray[numpy.float32]:
        """A product as the library computes it.

        Parameters
        ----------
        a : (m, k) array_like
        b : (k, n) array_like

        Returns
        -------
        (m, n) float32
        """
        left, right = (numpy.ascontiguousarray(x, dtype=numpy.float32) for x in (a, b))
        (m, k), n = left.shape, right.shape[1]
        c = numpy.empty((m, n), numpy.float32)
        x, y, z = (numbers_of(array, ctypes.c_float) for array in (left, right, c))
        check(lib.kd_context_matmul(self._pointer, 0, 0, m, n, k, 1, x, k, y, n, 0, z, n))
        return c
