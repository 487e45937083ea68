"""What every class over a handle shares."""
from ctypes import byref, c_void_p
from typing import Sequence

from ._library import check, lib


class Handle:
    """Owns one C handle; freed with the object, or at the end of a `with`."""

    _free = ""

    def __init__(self, pointer, *alive):
        self._pointer, self._alive = pointer, list(alive)

    def close(self) -> None:
        """Frees the handle now."""
        if getattr(self, "_pointer", None):
            getattr(lib, self._free)(self._pointer)
            self._pointer = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()


def _make(function, *arguments) -> c_void_p:
    out = c_void_p()
    check(function(byref(out), *arguments))
    return out


def _handles(items: Sequence[Handle]):
    return (c_void_p * len(items))(*[item._pointer.value for item in items])


def _guarded(function, failed):
    """A callback whose exception becomes a status: an exception must never reach C."""

    def call(*arguments):
        try:
            result = function(*arguments)
            return 0 if result is None else int(result)
        except BaseException as error:  # noqa: B902
            lib.kd_set_error(failed, f"{type(error).__name__}: {error}"[:400].encode())
            return failed

    return call
