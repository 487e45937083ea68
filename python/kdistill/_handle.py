"""What all classes over a handle share."""

from __future__ import annotations

from ctypes import byref, c_void_p
from typing import TYPE_CHECKING, Any, Callable, ClassVar

from ._library import check, lib

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self


class Handle:
    """Owns one handle of the library.

    It is freed by `close`, at the end of a `with`, or with the object. Handles may be closed in
    any order. Arrays that are views of the library's memory keep their handle alive; they are
    invalid after its `close`.
    """

    _free: ClassVar[str] = ""

    _handle: c_void_p | None = None
    _owned = True
    _alive: list[Any]

    def _adopt(self, pointer: c_void_p, *alive: Any) -> None:
        """Takes a handle over; `alive` stays alive with it."""
        self._handle, self._alive = pointer, list(alive)

    @classmethod
    def _wrap(cls, pointer: c_void_p, *alive: Any) -> Self:
        made = cls.__new__(cls)
        made._adopt(pointer, *alive)
        return made

    @classmethod
    def _borrow(cls, pointer: int) -> Self:
        """A handle that somebody else frees."""
        made = cls._wrap(c_void_p(pointer))
        made._owned = False
        return made

    @property
    def _pointer(self) -> c_void_p:
        if self._handle is None:
            raise ValueError(f"this {type(self).__name__} is closed")
        return self._handle

    def _release(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None and self._owned:
            getattr(lib, self._free)(handle)

    def close(self) -> None:
        """Frees the handle; again: nothing happens."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._release()


class Writer(Handle):
    """A handle whose file is finished by `close`.

    A `with` that ends in an exception frees the handle without finishing the file; so does an
    object that is never closed.
    """

    _finish: ClassVar[str] = ""

    def close(self) -> None:
        """Finishes the file and frees the handle; again: nothing happens."""
        if self._handle is None:
            return
        try:
            check(getattr(lib, self._finish)(self._handle))
        finally:
            self._release()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        self._release()


def make(function: Any, *arguments: Any) -> c_void_p:
    """The handle that a constructor of the library gives."""
    out = c_void_p()
    check(function(byref(out), *arguments))
    return out


def pointer_of(handle: Handle | None) -> c_void_p | None:
    """The pointer of a handle, or NULL."""
    return None if handle is None else handle._pointer


def handle_array(handles: Sequence[Handle]) -> Any:
    """An array of handles."""
    return (c_void_p * max(1, len(handles)))(*[handle._pointer.value for handle in handles])


def guarded(function: Callable[..., Any], failed: int) -> Callable[..., int]:
    """A callback whose exception becomes a status: it must never reach C."""

    def call(*arguments: Any) -> int:
        try:
            result = function(*arguments)
            return 0 if result is None else int(result)
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"[:400]
            lib.kd_set_error(failed, text.encode())
            return failed

    return call
