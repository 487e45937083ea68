"""Finds and loads the library, and turns its statuses into exceptions."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

from . import _api
from .enums import Status

#: The library's name, which changes only when its ABI breaks.
SONAME = {"win32": "kdistill-0.dll", "darwin": "libkdistill.0.dylib"}.get(
    sys.platform, "libkdistill.so.0"
)
INSTALLED = "/usr/local/lib/" + SONAME  # where `make install` puts it, before ldconfig ran


class Error(RuntimeError):
    """A failed call.

    Attributes
    ----------
    status : Status
        What went wrong; the text is the library's message.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = Status(status)


def library_path() -> str:
    """Where the library is.

    Returns
    -------
    str
        The environment's KDISTILL_LIBRARY; else the file beside this package (lib/, in wheels) or
        in the source tree that the package lies in; else the bare name, which the system's loader
        looks for (LD_LIBRARY_PATH, ld.so.conf). Its version must be the package's own.
    """
    if os.environ.get("KDISTILL_LIBRARY"):
        return os.environ["KDISTILL_LIBRARY"]
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in (os.path.join(here, "lib"), os.path.join(here, "..", "..", "lib")):
        if os.path.exists(os.path.join(folder, SONAME)):
            return os.path.abspath(os.path.join(folder, SONAME))
    return SONAME


def _open(path: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        if path == SONAME and os.path.exists(INSTALLED):
            return ctypes.CDLL(INSTALLED)
        hint = "build it (make), install it, or set KDISTILL_LIBRARY to its file"
        raise OSError(f"the library {path} cannot be loaded: {error}; {hint}") from None


def _check_version(library: ctypes.CDLL, path: str) -> None:
    """Before 1.0 the minor version must be the package's own: structs may differ."""
    if not hasattr(library, "kd_version"):
        raise OSError(f"{path} is not libkdistill")
    library.kd_version.restype = ctypes.c_int32
    found = library.kd_version()
    major, minor, patch = found // 10000, found // 100 % 100, found % 100
    if (major, minor) != (_api.KD_VERSION_MAJOR, _api.KD_VERSION_MINOR):
        raise OSError(
            f"{path} is version {major}.{minor}.{patch}, this package is for "
            f"{_api.KD_VERSION_MAJOR}.{_api.KD_VERSION_MINOR}: set KDISTILL_LIBRARY to the "
            "library that belongs to it"
        )


def _function(library: ctypes.CDLL, name: str, path: str) -> Any:
    """A function of the interface, which an older build of the same version may lack."""
    try:
        return getattr(library, name)
    except AttributeError:
        raise OSError(
            f"{path} has no {name}: it was built before this package; build it again (make), or "
            "set KDISTILL_LIBRARY to the library that belongs to it"
        ) from None


def _load() -> ctypes.CDLL:
    path = library_path()
    library = _open(path)
    _check_version(library, path)
    for name, (result, arguments) in _api.FUNCTIONS.items():
        function = _function(library, name, path)
        function.restype, function.argtypes = result, arguments
    return library


#: The C functions under their own names, with result and argument types declared.
lib = _load()


def check(status: int) -> int:
    """Raises `Error` for a failed call; gives 0 and positive statuses (END) back."""
    if status < 0:
        name, said = lib.kd_status_name(status), lib.kd_last_error()
        raise Error(status, f"{name.decode()}: {said.decode(errors='replace')}")
    return status
