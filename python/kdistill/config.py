"""Where the package's library and headers are: python -m kdistill.config --cflags --libs."""

from __future__ import annotations

import argparse
import os

from . import _library


def folder(*parts: str) -> str:
    """A folder inside the installed package.

    Parameters
    ----------
    *parts
        Names below the package.

    Returns
    -------
    str
        Its path; it is there only in wheels, which hold the library and its headers.
    """
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), *parts)


def cflags() -> str:
    """The compiler's option for the headers of this package.

    Returns
    -------
    str
        As "-I/.../kdistill/include".
    """
    return "-I" + folder("include")


def libs() -> str:
    """The linker's options for the library that this package loads.

    Returns
    -------
    str
        The library's file, and an rpath so that programs find it where it is.
    """
    path = _library.library_path()
    return f"{path} -Wl,-rpath,{os.path.dirname(path)}"


def main() -> None:
    """Prints what is asked for, on one line."""
    parser = argparse.ArgumentParser(prog="python -m kdistill.config", description=__doc__)
    parser.add_argument("--cflags", action="store_true", help="where the headers are")
    parser.add_argument("--libs", action="store_true", help="how to link")
    parser.add_argument("--library", action="store_true", help="the library's file")
    parser.add_argument("--pkg-config-dir", action="store_true", help="for PKG_CONFIG_PATH")
    parser.add_argument("--cmake-dir", action="store_true", help="for kdistill_DIR")
    given = parser.parse_args()
    if not any(vars(given).values()):
        parser.error("expected --cflags, --libs, --library, --pkg-config-dir or --cmake-dir")
    if not os.path.exists(folder("include")) and (given.cflags or given.pkg_config_dir):
        parser.error("this package holds no headers: it is not a wheel; use pkg-config kdistill")
    answers = {
        "cflags": cflags,
        "libs": libs,
        "library": _library.library_path,
        "pkg_config_dir": lambda: folder("lib", "pkgconfig"),
        "cmake_dir": lambda: folder("lib", "cmake", "kdistill"),
    }
    print(*[answer() for name, answer in answers.items() if getattr(given, name)])


if __name__ == "__main__":
    main()
