"""What handles look like: one line at a prompt, a table in a notebook."""

from __future__ import annotations

import html
import os
import tempfile
from typing import TYPE_CHECKING, Any, Callable

from ._handle import Handle
from .batch import Batch
from .context import Context
from .curation import Curation
from .dataset import Dataset
from .loss import Loss
from .model import Model
from .optimizer import Optimizer
from .record import RecordReader
from .report import Report
from .store import Store
from .targets import Targets
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Rows of a table in a notebook.
MOST_ROWS = 100


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table of HTML; long ones end with how many rows are left out."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)

    shown = [f"<tr>{cells('td', row)}</tr>" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        shown.append(f'<tr><td colspan="{len(header)}">{len(rows) - MOST_ROWS:,} more</td></tr>')
    head = f"<tr>{cells('th', header)}</tr>"
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    body = "".join(shown)
    return f"<table>{title}<thead>{head}</thead><tbody>{body}</tbody></table>"


def size(count: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"


# ---- one line ----


def _context(c: Context) -> str:
    info = c.info
    held = size(info.bytes)
    return f"{info.threads} threads, {info.isa.name}, {info.blas or 'no BLAS'}, {held} held"


def _model(m: Model) -> str:
    info, config = m.info, m.config
    kind = config.get("model_type", "network")
    layers = f"{info.layers} layers, " if info.layers else ""
    return f"{kind}, {layers}{info.parameters:,} parameters"


def _dataset(d: Dataset) -> str:
    return f"{len(d):,} samples: {', '.join(d.fields)}"


def _batch(b: Batch) -> str:
    counts = b.counts
    return f"{counts.samples:,} samples, {counts.rows:,} rows"


def _store(s: Store) -> str:
    info, names = s.info, ", ".join(field["name"] for field in s.header["fields"])
    return f"{info.records:,} records, {info.positions:,} positions: {names}; {size(info.bytes)}"


def _loss(loss: Loss) -> str:
    terms: list[str] = []
    number = 0
    while True:
        try:
            term = loss.term(number)
        except RuntimeError:
            return " + ".join(terms) or "no terms"
        weight = loss.get(number, "weight")
        at = f" at T={term.options['temperature']:g}" if term.options["temperature"] != 1 else ""
        terms.append(f"{weight:g} {term.kind.name.lower()}{at}")
        number += 1


def _curation(c: Curation) -> str:
    steps = [step for step in c.funnel if step.name != "validation"]
    filters = sum(step.name != "read" for step in steps)
    return f"{filters} filters, {steps[-1].kept if steps else 0:,} records kept"


_LINES: dict[type[Handle], Callable[[Any], str]] = {
    Context: _context,
    Model: _model,
    Dataset: _dataset,
    Batch: _batch,
    Store: _store,
    Loss: _loss,
    Curation: _curation,
    Optimizer: lambda o: f"{o.info.steps:,} steps",
    RecordReader: lambda r: f"{r.counts.records:,} records read",
    Tokenizer: lambda t: f"{len(t):,} tokens",
    Report: lambda r: f"{size(len(r.json()))} of JSON",
    Targets: lambda t: "",
}


def _line(self: Any) -> str:
    name = type(self).__name__
    if self._handle is None:
        return f"<kdistill.{name}, closed>"
    find = next((_LINES[kind] for kind in type(self).__mro__ if kind in _LINES), None)
    try:
        said = find(self) if find else ""
    except Exception:
        said = ""  # a handle that cannot tell yet: an empty batch
    return f"<kdistill.{name}{': ' if said else ''}{said}>"


# ---- notebooks ----


def _report_page(self: Report) -> str:
    """The report's own page, in a frame: tables and pictures."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.html")
        self.write_html(path, "Report")
        with open(path, encoding="utf-8") as file:
            page = html.escape(file.read(), quote=True)
    style = "width:100%;height:32em;border:0"
    return f'<iframe srcdoc="{page}" style="{style}" sandbox></iframe>'


def _funnel_table(self: Curation) -> str:
    rows = []
    for step in self.funnel:
        reasons = ", ".join(f"{name} {count:,}" for name, count in step.reasons.items())
        share = f"{step.kept / step.came:.1%}" if step.came else ""
        numbers = f"{step.came:,}", f"{step.dropped:,}", f"{step.kept:,}"
        rows.append([step.name, *numbers, share, reasons])
    header = ["filter", "came", "dropped", "kept", "share", "reasons"]
    return table(header, rows)


def _store_table(self: Store) -> str:
    header = self.header
    names = ["name", "kind", "encoding", "width", "k"]
    rows = [[str(field.get(name) or "") for name in names] for field in header["fields"]]
    facts = f"temperature {header['temperature']:g}, vocabulary {header['vocabulary']:,}"
    return table(names, rows, f"{_store(self)}; {facts}, teacher {header['teacher'] or 'unknown'}")


def _model_table(self: Model) -> str:
    rows = [
        [name, " x ".join(map(str, values.shape)), f"{values.size:,}"]
        for name, values in self.tensors
    ]
    return table(["tensor", "shape", "numbers"], rows, _model(self))


def install() -> None:
    """Gives the classes their looks."""
    looks: Any = Handle
    looks.__repr__ = _line
    pages: dict[Any, Callable[[Any], str]] = {
        Report: _report_page,
        Curation: _funnel_table,
        Store: _store_table,
        Model: _model_table,
    }
    for kind, page in pages.items():
        kind._repr_html_ = page
