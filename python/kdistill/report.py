"""Numbers, tables and pictures of a run."""

from __future__ import annotations

from ctypes import byref, c_char_p, c_double
from typing import TYPE_CHECKING

import numpy

from ._convert import number_array, path_bytes
from ._handle import Handle, make
from ._library import check, lib
from .enums import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._convert import StrPath
    from .context import Context


class Report(Handle):
    """A tree of numbers and texts: `report["student.accuracy"] = 0.9`.

    Parameters
    ----------
    ctx : Context
    """

    _free = "kd_report_free"

    def __init__(self, ctx: Context) -> None:
        self._adopt(make(lib.kd_report_create, ctx._pointer), ctx)

    def __setitem__(self, name: str, value: str | float | Sequence[float]) -> None:
        if isinstance(value, str):
            self.set_text(name, value)
        elif isinstance(value, (int, float)) or not numpy.ndim(value):
            self.set_number(name, float(value))  # type: ignore[arg-type]
        else:
            self.set_numbers(name, value)

    def set_number(self, name: str, value: float) -> None:
        """Sets a number; dots in names are levels."""
        check(lib.kd_report_set_number(self._pointer, name.encode(), value))

    def set_text(self, name: str, text: str) -> None:
        """Sets a text."""
        check(lib.kd_report_set_text(self._pointer, name.encode(), text.encode()))

    def set_numbers(self, name: str, values: Sequence[float]) -> None:
        """Sets a list of numbers."""
        given = number_array(c_double, values)
        check(lib.kd_report_set_numbers(self._pointer, name.encode(), given, len(values)))

    def set_cell(
        self,
        table: str,
        row: str,
        column: str,
        value: float,
        standard_error: float = float("nan"),
    ) -> None:
        """Sets a cell of a table, with its error where there is one."""
        at = table.encode(), row.encode(), column.encode(), value, standard_error
        check(lib.kd_report_set_cell(self._pointer, *at))

    def add_series(
        self,
        picture: str,
        series: str,
        x: Sequence[float],
        y: Sequence[float],
        kind: Picture = Picture.LINES,
    ) -> None:
        """Adds a series to a picture.

        Parameters
        ----------
        picture, series : str
            Names.
        x, y : (points,) sequence of float
        kind : Picture
        """
        points = number_array(c_double, x), number_array(c_double, y), min(len(x), len(y))
        at = picture.encode(), series.encode(), kind, *points
        check(lib.kd_report_add_series(self._pointer, *at))

    def add_interval(self, picture: str, name: str, low: float, value: float, high: float) -> None:
        """Adds a row to a picture of intervals: a value between its ends."""
        ends = number_array(c_double, (low, value, high))
        at = picture.encode(), name.encode(), Picture.INTERVALS, ends, None, 3
        check(lib.kd_report_add_series(self._pointer, *at))

    def set_axes(self, picture: str, x: str, y: str, logarithmic: bool = False) -> None:
        """Names the axes of a picture; logarithmic: the x axis is so."""
        at = picture.encode(), x.encode(), y.encode(), logarithmic
        check(lib.kd_report_set_axes(self._pointer, *at))

    def json(self) -> str:
        """All as JSON."""
        text = c_char_p()
        check(lib.kd_report_json(self._pointer, byref(text)))
        return (text.value or b"").decode()

    def text(self) -> str:
        """All as text: tables with their columns in line."""
        text = c_char_p()
        check(lib.kd_report_text(self._pointer, byref(text)))
        return (text.value or b"").decode()

    def write(self, path: StrPath) -> None:
        """Writes the JSON."""
        check(lib.kd_report_write(self._pointer, path_bytes(path)))

    def write_html(self, path: StrPath, title: str) -> None:
        """Writes a page with tables and pictures."""
        check(lib.kd_report_write_html(self._pointer, path_bytes(path), title.encode()))
