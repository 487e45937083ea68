"""Prompts and answers in files of JSON lines."""

from __future__ import annotations

import ctypes
import json
from ctypes import byref, c_char_p, c_int32
from typing import TYPE_CHECKING, Any, TypedDict, cast

from . import _api
from ._arrow import ArrowStream, stream_of
from ._convert import defaults, empty, number_array, options, path_array, path_bytes, read, takes
from ._handle import Handle, Writer, make
from ._library import check, lib
from .enums import Status
from .results import RecordCounts
from .tokenizer import taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from typing_extensions import Self, Unpack

    from ._convert import StrPath
    from .context import Context
    from .options import RecordOptions, RecordWriterOptions


class Record(TypedDict, total=False):
    """What was asked, what was answered, and where it came from; all members may be left out."""

    #: the last thing asked, and the last answer with its reasoning in tags
    prompt: str
    completion: str
    #: the whole chat: (role, content), or in `turns` dicts with all other members
    messages: Sequence[tuple[str, str]] | Sequence[Mapping[str, Any]]
    turns: Sequence[Mapping[str, Any]]
    #: the right answer
    expected: str
    domain: str
    id: str
    #: who answered
    teacher: str
    #: "stop", "length" (cut off), or "" (unknown)
    finish: str
    #: names of the filters that kept it, a comma apart
    passed: str
    #: all other members of the line
    extra: Mapping[str, Any] | str
    tools: Sequence[Any] | str
    variables: Mapping[str, Any] | str
    ids: Sequence[int] | None
    #: number among the answers to its prompt
    sample: int
    seed: int
    temperature: float
    score: float
    #: only read, never written
    line: int
    key: tuple[int, int]
    prompt_key: tuple[int, int]
    logprobs: Sequence[float] | None


_TEXTS = (
    "prompt",
    "completion",
    "expected",
    "domain",
    "id",
    "teacher",
    "finish",
    "passed",
)
_NUMBERS = ("sample", "seed", "temperature", "score")
_JSON = ("extra", "tools", "variables")
_READ_ONLY = ("key", "prompt_key", "line", "logprobs")


def _turn_dict(message: _api.kd_message) -> dict[str, Any]:
    found: dict[str, Any] = {
        "role": (message.role or b"").decode(),
        "content": (message.content or b"").decode(),
    }
    if message.skip:
        found["skip"] = 1
    return {**found, **(json.loads(message.extra) if message.extra else {})}


def _turn_struct(turn: Any) -> _api.kd_message:
    """(role, content), or a dict of role, content, skip and the turn's other members."""
    if not isinstance(turn, dict):
        turn = {"role": turn[0], "content": turn[1]}
    others = {n: value for n, value in turn.items() if n not in ("role", "content", "skip")}
    extra = json.dumps(others, ensure_ascii=False).encode() if others else None
    role, content = turn["role"].encode(), turn["content"].encode()
    return _api.kd_message(role, content, extra, int(turn.get("skip", 0)), 0)


def record_dict(made: _api.kd_record) -> Record:
    """A record of C as a dict."""
    turns = [_turn_dict(made.messages[i]) for i in range(made.message_count)]
    found: dict[str, Any] = {name: (getattr(made, name) or b"").decode() for name in _TEXTS}
    found.update({name: getattr(made, name) for name in (*_NUMBERS, "line")})
    found["key"], found["prompt_key"] = tuple(made.key), tuple(made.prompt_key)
    found["messages"] = [(turn["role"], turn["content"]) for turn in turns]
    found["turns"] = turns
    for name, nothing in zip(_JSON, ("{}", "[]", "{}")):
        found[name] = json.loads(getattr(made, name) or nothing)
    found["ids"] = list(made.ids[: made.tokens]) if made.ids else None
    found["logprobs"] = list(made.logprobs[: made.logprob_count]) if made.logprobs else None
    return cast("Record", found)


def _set_texts(made: _api.kd_record, values: Mapping[str, Any]) -> None:
    for name in (*_TEXTS, *_NUMBERS):
        if name in values:
            value = values[name]
            setattr(made, name, value.encode() if isinstance(value, str) else value)
    for name in _JSON:
        value = values.get(name, "")
        if not isinstance(value, str):
            value = json.dumps(value, ensure_ascii=False) if value else ""
        setattr(made, name, value.encode())


def record_struct(values: Record) -> _api.kd_record:
    """A dict as a record of C, which keeps what it points to alive."""
    unknown = set(values) - set(Record.__annotations__)
    if unknown:
        known = ", ".join(Record.__annotations__)
        raise TypeError(f"a record has no member '{min(unknown)}': it has {known}")
    made = defaults(_api.kd_record)
    _set_texts(made, values)
    messages = list(values.get("turns") or values.get("messages") or ())
    if messages:
        made.messages = (_api.kd_message * len(messages))(*map(_turn_struct, messages))
        made.message_count = len(messages)
    ids = values.get("ids")
    if ids is not None:
        made.ids, made.tokens = number_array(c_int32, ids), len(ids)
    check(lib.kd_record_set_keys(byref(made)))
    return made


def record_to_json(ctx: Context, **record: Unpack[Record]) -> str:
    """A record as one line of JSON."""
    text = c_char_p()
    check(lib.kd_record_to_json(ctx._pointer, byref(record_struct(record)), byref(text)))
    return taken(ctx, text)


class RecordReader(Handle):
    """Records of files of JSON lines, plain or gzip, as dicts: `for record in reader`.

    Parameters
    ----------
    ctx : Context
    *paths : path
        Read one after another.
    text : str, optional
        Lines, in place of files.
    """

    _free = "kd_record_reader_free"

    @takes(_api.kd_record_options)
    def __init__(
        self,
        ctx: Context,
        *paths: StrPath,
        text: str | None = None,
        **options_: Unpack[RecordOptions],
    ) -> None:
        made = byref(options(_api.kd_record_options, options_))
        if text is None:
            at = ctx._pointer, path_array(paths), len(paths), made
            pointer = make(lib.kd_record_reader_open, *at)
        else:
            data = text.encode()
            pointer = make(lib.kd_record_reader_open_text, ctx._pointer, data, len(data), made)
        self._adopt(pointer, ctx)

    @classmethod
    @takes(_api.kd_record_options)
    def from_arrow(
        cls, ctx: Context, source: Any, once: bool = False, **options_: Unpack[RecordOptions]
    ) -> Self:
        """A reader of the rows of a table, frame or stream of Apache Arrow.

        Parameters
        ----------
        ctx : Context
        source : object with __arrow_c_stream__
            A table or reader of pyarrow, a frame of polars or pandas, a relation of DuckDB; also a
            pyarrow.parquet.ParquetFile, and a Dataset of Hugging Face.
        once : bool
            Batches are let go when they were read, and the reader cannot be rewound. False: they
            are kept.
        """
        records = options(_api.kd_record_options, options_)
        made = options(_api.kd_arrow_options, {"once": once})
        made.records = ctypes.pointer(records)
        _capsule, address = stream_of(source)
        at = ctx._pointer, address, byref(made)
        return cls._wrap(make(lib.kd_record_reader_from_arrow, *at), ctx)

    def to_arrow(self) -> ArrowStream:
        """The remaining records as a stream: `pyarrow.table(reader.to_arrow())`."""

        def fill(stream: Any) -> None:
            check(lib.kd_record_reader_to_arrow(self._pointer, stream))

        return ArrowStream(fill)

    def next(self) -> Record | None:
        """The next record; None at the end."""
        made = defaults(_api.kd_record)
        status = check(lib.kd_record_reader_next(self._pointer, byref(made)))
        return None if status == Status.END else record_dict(made)

    def __iter__(self) -> Iterator[Record]:
        while (record := self.next()) is not None:
            yield record

    def rewind(self) -> Self:
        """Goes back to the first record."""
        check(lib.kd_record_reader_rewind(self._pointer))
        return self

    @property
    def counts(self) -> RecordCounts:
        """What was read so far, and what was left out."""
        made = empty(_api.kd_record_counts)
        check(lib.kd_record_reader_get_counts(self._pointer, byref(made)))
        return read(RecordCounts, made)


class RecordWriter(Writer):
    """A file of records; `close` moves it into its place.

    Parameters
    ----------
    ctx : Context
    path : path
    """

    _free = "kd_record_writer_free"
    _finish = "kd_record_writer_close"

    @takes(_api.kd_record_writer_options)
    def __init__(
        self, ctx: Context, path: StrPath, **options_: Unpack[RecordWriterOptions]
    ) -> None:
        made = options(_api.kd_record_writer_options, options_)
        at = ctx._pointer, path_bytes(path), byref(made)
        self._adopt(make(lib.kd_record_writer_open, *at), ctx)

    def add(self, **record: Unpack[Record]) -> None:
        """Writes a record: `writer.add(prompt=..., completion=...)`."""
        check(lib.kd_record_writer_add(self._pointer, byref(record_struct(record))))


#: record(const kd_record *) as callbacks get it.
RECORD_POINTER = ctypes.POINTER(_api.kd_record)
