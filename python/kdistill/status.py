"""Version, build and statuses."""

from __future__ import annotations

from ._library import lib


def version() -> int:
    """The library's version at run time: major * 10000 + minor * 100 + patch."""
    return int(lib.kd_version())


def build_info() -> str:
    """How the library was built."""
    return str(lib.kd_build_info().decode())


def status_name(status: int) -> str:
    """The name of a status in C, "KD_ERR_SHAPE"."""
    return str(lib.kd_status_name(status).decode())
