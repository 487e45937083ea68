"""Keywords into structs of options, and filled structs into data classes."""

from __future__ import annotations

import ctypes
import dataclasses
import inspect
import os
import textwrap
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import enums, results
from ._library import lib
from .options import MEMBERS, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from enum import IntEnum

    import numpy

    #: A path of a file or folder.
    StrPath = str | os.PathLike[str]

S = TypeVar("S", bound=ctypes.Structure)
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def path_bytes(path: StrPath) -> bytes:
    """A path as C takes it."""
    return os.fsencode(path)


def text_array(texts: Iterable[str | bytes]) -> ctypes.Array[ctypes.c_char_p]:
    """An array of texts, never of length 0."""
    parts = [text.encode() if isinstance(text, str) else text for text in texts]
    return (ctypes.c_char_p * max(1, len(parts)))(*parts)


def path_array(paths: Iterable[StrPath]) -> ctypes.Array[ctypes.c_char_p]:
    """An array of paths, never of length 0."""
    return text_array([path_bytes(path) for path in paths])


def number_array(kind: Any, numbers: Sequence[Any]) -> Any:
    """An array of ctypes numbers, never of length 0."""
    return (kind * max(1, len(numbers)))(*numbers)


def numbers_of(array: numpy.ndarray, kind: Any) -> Any:
    """A pointer to the numbers of a contiguous array."""
    return array.ctypes.data_as(ctypes.POINTER(kind))


def defaults(kind: type[S]) -> S:
    """A struct with the library's defaults."""
    made = kind()
    getattr(lib, kind.__name__ + "_init")(ctypes.byref(made), ctypes.sizeof(kind))
    return made


def member(keyword: str) -> str:
    """The C name of a keyword: `from_` is from."""
    return keyword[:-1] if keyword.endswith("_") else keyword


def options(kind: type[S], values: Mapping[str, Any]) -> S:
    """A struct of options: the library's defaults, and these members.

    Raises
    ------
    TypeError
        For a keyword that is not an option, with the names of the options.
    """
    made, known = defaults(kind), MEMBERS.get(kind.__name__, {})
    for name, value in values.items():
        if name not in known:
            raise TypeError(f"no option '{name}': {kind.__name__} has {', '.join(known) or 'none'}")
        setattr(made, member(name), value.encode() if isinstance(value, str) else value)
    return made


def split(
    kind: type[S], values: Mapping[str, Any], numbers: type[IntEnum]
) -> tuple[S, dict[IntEnum, float]]:
    """A struct of options, and the keywords beside its members that are numbers.

    Raises
    ------
    TypeError
        For a keyword that is neither, with the names of both.
    """
    members, named = MEMBERS[kind.__name__], NUMBERS[kind.__name__]
    for name in values:
        if name not in members and name not in named:
            known = ", ".join([*members, *named])
            raise TypeError(f"no option '{name}': {kind.__name__} and its numbers are {known}")
    made = options(kind, {n: v for n, v in values.items() if n in members})
    return made, {numbers[n.upper()]: values[n] for n in values if n not in members}


def empty(kind: type[S]) -> S:
    """An empty struct that the library will fill."""
    made = kind()
    made.struct_size = ctypes.sizeof(kind)
    return made


def _value(kind: str, value: Any, made: Any) -> Any:
    if isinstance(value, bytes) or kind == "str":
        return (value or b"").decode(errors="replace")
    if isinstance(value, ctypes.Structure):
        return read(getattr(results, kind), value)
    if isinstance(value, ctypes.Array):
        count = made.terms if hasattr(made, "terms") else len(value)
        return tuple(value[:count])
    listed = getattr(enums, kind, None)
    return value if listed is None else listed(value)


def read(kind: type[T], made: ctypes.Structure) -> T:
    """A filled struct as its data class."""
    values = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = getattr(made, member(field.name))
        values[field.name] = _value(str(field.type), value, made)
    return kind(**values)


def _default(kind: str, value: Any) -> Any:
    listed = getattr(enums, kind, None)
    return value.decode() if isinstance(value, bytes) else listed(value) if listed else value


def values_of(made: ctypes.Structure) -> dict[str, Any]:
    """The members of a struct of options, as keywords."""
    members = MEMBERS[type(made).__name__]
    return {n: _default(kind, getattr(made, member(n))) for n, (kind, _) in members.items()}


def _number_texts(kind: str) -> dict[str, tuple[str, str]]:
    texts = NUMBERS.get(kind, {})
    return {name: ("float, optional", text) for name, text in texts.items()}


def _section(members: Mapping[str, tuple[str, str]]) -> str:
    lines = ["", "", "Other Parameters", "----------------"]
    for name, (kind, text) in members.items():
        lines.append(f"{name} : {kind}")
        lines += textwrap.wrap(text, 92, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def takes(kind: type[ctypes.Structure]) -> Callable[[F], F]:
    """Shows the members of a struct of options as the keywords they are.

    The function takes `**options` with a generated TypedDict, for type checkers; the decorator
    gives it the signature and docstring that help() and editors show, with the library's own
    defaults. Numbers that only some kinds have are None there: the kind's default.
    """
    values, members = values_of(defaults(kind)), MEMBERS[kind.__name__]
    numbers = _number_texts(kind.__name__)

    def dress(function: F) -> F:
        own = inspect.signature(function)
        kept = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        for name, (text, _) in members.items():
            keyword = inspect.Parameter.KEYWORD_ONLY
            kept.append(inspect.Parameter(name, keyword, default=values[name], annotation=text))
        for name in numbers:
            keyword = inspect.Parameter.KEYWORD_ONLY
            kept.append(inspect.Parameter(name, keyword, default=None, annotation="float | None"))
        function.__signature__ = own.replace(parameters=kept)  # type: ignore[attr-defined]
        function.__doc__ = inspect.cleandoc(function.__doc__ or "") + _section(
            {**members, **numbers}
        )
        return function

    return dress
