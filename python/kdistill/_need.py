"""What is said where a package of a neighbor is not installed."""

from __future__ import annotations


def missing(error: ModuleNotFoundError, who: str, package: str) -> ModuleNotFoundError:
    """The exception to raise in place of one of `import`.

    Parameters
    ----------
    error : ModuleNotFoundError
    who : str
        What needs the package.
    package : str
        As pip knows it. Where another module is missing, the package is there and incomplete.
    """
    told = f"{who} needs the package {package}: python3 -m pip install {package} ({error})"
    return ModuleNotFoundError(told, name=error.name, path=error.path)
