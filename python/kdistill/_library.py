"""Finds and loads the library, and turns statuses into exceptions."""
import ctypes
import ctypes.util
import os

from . import _api


class Error(RuntimeError):
    """A failed call: `status` is the library's number, the text its message."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def library_path() -> str:
    """KDISTILL_LIBRARY, else the library of the source tree that this package lies in, else the installed one."""
    if os.environ.get("KDISTILL_LIBRARY"):
        return os.environ["KDISTILL_LIBRARY"]
    here = os.path.dirname(os.path.abspath(__file__))
    built = os.path.join(here, "..", "..", "lib", "libkdistill.so.0")
    if os.path.exists(built):
        return os.path.abspath(built)
    for folder in ("/usr/local/lib", "/usr/lib"):
        if os.path.exists(os.path.join(folder, "libkdistill.so.0")):
            return os.path.join(folder, "libkdistill.so.0")
    found = ctypes.util.find_library("kdistill")
    if not found:
        raise OSError("libkdistill.so.0 was not found; build it, install it, or set KDISTILL_LIBRARY")
    return found


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(library_path())
    for name, (result, arguments, text) in _api.FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes, function.__doc__ = result, arguments, text
    return library


lib = _load()


def check(status: int) -> int:
    """Raises for errors; gives positive statuses (KD_END) back."""
    if status < 0:
        raise Error(status, f"{lib.kd_status_name(status).decode()}: {lib.kd_last_error().decode(errors='replace')}")
    return status


def options(kind, init: str, values: dict):
    """An options struct with the library's defaults and these members; unknown names are refused. Keeps what it points to alive."""
    made = kind()
    getattr(lib, init)(ctypes.byref(made), ctypes.sizeof(kind))
    names = dict(kind._fields_)
    for name, value in values.items():
        if name not in names:
            raise TypeError(f"{kind.__name__} has no option '{name}'; it has {', '.join(n for n in names if n not in ('struct_size', 'reserved'))}")
        setattr(made, name, value.encode() if isinstance(value, str) else value)
    return made


def filled(kind):
    """An empty struct that the library will fill."""
    made = kind()
    made.struct_size = ctypes.sizeof(kind)
    return made


def as_dict(struct) -> dict:
    """A filled struct as a dict."""
    return {name: getattr(struct, name) for name, _ in struct._fields_ if not name.startswith(("struct_size", "reserved"))}
