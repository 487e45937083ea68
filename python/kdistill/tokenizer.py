"""Text to ids and back."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_int32, c_int64
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._convert import empty, numbers_of, path_bytes, read, text_array
from ._handle import Handle, make
from ._library import Error, check, lib
from .enums import ChatFormat, HashKind, Status, TextFlag, TokenFlag
from .results import TokenizerInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from ._convert import StrPath
    from .context import Context


def taken(ctx: Context, text: c_char_p) -> str:
    """A text that the caller frees."""
    made = (text.value or b"").decode(errors="replace")
    lib.kd_context_free_text(ctx._pointer, text)
    return made


class Tokenizer(Handle):
    """Reads the tokenizers of Hugging Face folders; `len` is the rows that an embedding needs.

    Parameters
    ----------
    ctx : Context
    path : path
        A folder with tokenizer.json, such a file, or a GGUF file.
    """

    _free = "kd_tokenizer_free"

    def __init__(self, ctx: Context, path: StrPath) -> None:
        self._adopt(make(lib.kd_tokenizer_load, ctx._pointer, path_bytes(path)), ctx)
        self._context = ctx

    def encode(self, text: str | bytes, special: bool = False) -> NDArray[numpy.int32]:
        """The (tokens,) ids of a text; special: with what the file puts around a text."""
        return self._encode(text, special, None)

    def encode_ends(
        self, text: str | bytes, special: bool = False
    ) -> tuple[NDArray[numpy.int32], NDArray[numpy.int64]]:
        """The (tokens,) ids of a text, and where each ends in bytes, for align_find_chunks."""
        ends: list[NDArray[numpy.int64]] = []
        return self._encode(text, special, ends), ends[0]

    def _encode(
        self, text: str | bytes, special: bool, ends: list[Any] | None
    ) -> NDArray[numpy.int32]:
        data = text.encode() if isinstance(text, str) else text
        flags, count = TextFlag.ADD_SPECIAL if special else 0, c_int64()
        room = len(data) + 8  # enough for most; asked again where it is not
        while True:
            ids = numpy.empty(room, numpy.int32)
            places = None if ends is None else numpy.empty(room, numpy.int64)
            at = None if places is None else numbers_of(places, c_int64)
            given = self._pointer, data, len(data), flags, numbers_of(ids, c_int32), at, room
            status = lib.kd_tokenizer_encode_ends(*given, byref(count))
            if status != Status.ERR_RANGE or count.value <= room:
                break
            room = count.value
        check(status)
        if ends is not None and places is not None:
            ends.append(places[: count.value].copy())
        found: NDArray[numpy.int32] = ids[: count.value].copy()
        return found

    def encode_pair(
        self, first: str | bytes, second: str | bytes | None = None, special: bool = True
    ) -> tuple[NDArray[numpy.int32], NDArray[numpy.int32]]:
        """The (tokens,) ids of a pair of texts, or of one, and their (tokens,) types.

        Parameters
        ----------
        first, second : str
        special : bool
            With what the file puts around the texts, [CLS] first [SEP] second [SEP] for BERT.
        """
        texts = [text.encode() if isinstance(text, str) else text for text in (first, second)]
        flags, count = TextFlag.ADD_SPECIAL if special else 0, c_int64()
        at: list[Any] = [self._pointer]
        for data in texts:
            at += [data, len(data or b"")]
        room = sum(len(data or b"") for data in texts) + 8
        while True:
            ids, types = numpy.empty(room, numpy.int32), numpy.empty(room, numpy.int32)
            given = flags, numbers_of(ids, c_int32), numbers_of(types, c_int32), room
            status = lib.kd_tokenizer_encode_pair(*at, *given, byref(count))
            if status != Status.ERR_RANGE or count.value <= room:
                break
            room = count.value
        check(status)
        return ids[: count.value].copy(), types[: count.value].copy()

    def decode(self, ids: ArrayLike, skip_special: bool = False) -> str:
        """The text of (tokens,) ids; skip_special: without special tokens."""
        values, size = numpy.ascontiguousarray(ids, dtype=numpy.int32), c_int64()
        flags = TextFlag.SKIP_SPECIAL if skip_special else 0
        at = self._pointer, numbers_of(values, c_int32), len(values), flags
        check(lib.kd_tokenizer_decode(*at, None, 0, byref(size)))
        made = ctypes.create_string_buffer(size.value + 1)
        check(lib.kd_tokenizer_decode(*at, made, size.value + 1, None))
        return made.raw[: size.value].decode()

    def __len__(self) -> int:
        """The highest id + 1."""
        size = c_int64()
        check(lib.kd_tokenizer_vocabulary_size(self._pointer, byref(size)))
        return size.value

    # ---- tokens ----

    def token(self, number: int) -> tuple[str, TokenFlag]:
        """A token as the file writes it, and its flags."""
        text, flags = c_char_p(), c_int32()
        check(lib.kd_tokenizer_token(self._pointer, number, byref(text), byref(flags)))
        return (text.value or b"").decode(), TokenFlag(flags.value)

    def token_id(self, token: str) -> int:
        """The id of a token as the file writes it."""
        number = c_int32()
        check(lib.kd_tokenizer_token_id(self._pointer, token.encode(), byref(number)))
        return number.value

    def token_bytes(self, number: int) -> tuple[bytes, TokenFlag]:
        r"""The bytes that a token stands for within a text, and its flags.

        The tokens that files write as "\\u0120the" and "\\u2581the" are both b" the".
        """
        count, flags = c_int64(), c_int32()
        at = self._pointer, number
        check(lib.kd_tokenizer_token_bytes(*at, None, 0, byref(count), byref(flags)))
        made = ctypes.create_string_buffer(max(1, count.value))
        check(lib.kd_tokenizer_token_bytes(*at, made, count.value, byref(count), None))
        return made.raw[: count.value], TokenFlag(flags.value)

    def map(self, other: Tokenizer) -> NDArray[numpy.int32]:
        """The (len(self),) ids in `other` of the tokens with the same bytes, -1: none."""
        made = numpy.empty(len(self), numpy.int32)
        at = self._pointer, other._pointer, numbers_of(made, c_int32), len(made)
        check(lib.kd_tokenizer_map(*at, None))
        return made

    @property
    def info(self) -> TokenizerInfo:
        """What the file's truncation and padding ask for; encoding applies neither."""
        made = empty(_api.kd_tokenizer_info)
        check(lib.kd_tokenizer_get_info(self._pointer, byref(made)))
        return read(TokenizerInfo, made)

    @property
    def end_tokens(self) -> list[int]:
        """Ids that end a text, as the folder's files say; the first ends one that is written."""
        ids, count = ctypes.POINTER(c_int32)(), c_int32()
        check(lib.kd_tokenizer_end_tokens(self._pointer, byref(ids), byref(count)))
        return list(ids[: count.value])

    @property
    def begin_token(self) -> int:
        """The id that begins a text, -1: none."""
        number = c_int32()
        check(lib.kd_tokenizer_begin_token(self._pointer, byref(number)))
        return number.value

    def add(self, token: str, special: bool = False) -> int:
        """Adds a token; its id."""
        number = c_int32()
        check(lib.kd_tokenizer_add(self._pointer, token.encode(), special, byref(number)))
        return number.value

    def rename(self, token: str, name: str) -> None:
        """Gives an added token another name."""
        check(lib.kd_tokenizer_rename(self._pointer, token.encode(), name.encode()))

    # ---- as a whole ----

    def hash(self, what: HashKind = HashKind.TOKENIZER) -> str:
        """32 hexadecimal digits, equal for equal content."""
        made = ctypes.create_string_buffer(_api.KD_HASH_BYTES)
        check(lib.kd_tokenizer_hash(self._pointer, what, made))
        return made.value.decode()

    def save(self, folder: StrPath) -> None:
        """Writes the files of a folder that it can be read from."""
        check(lib.kd_tokenizer_save(self._pointer, path_bytes(folder)))

    def compare(
        self, other: Tokenizer, allowed: Sequence[str] = (), limit: int = 20
    ) -> tuple[int, list[str]]:
        """Compares id by id.

        Parameters
        ----------
        other : Tokenizer
        allowed : sequence of str
            Patterns (* and ?) of tokens whose difference does not count.
        limit : int
            How many differences are written out.

        Returns
        -------
        count : int
            Ids whose tokens differ.
        lines : list of str
            The first of them.
        """
        count, text = c_int64(), c_char_p()
        at = self._pointer, other._pointer, text_array(allowed), len(allowed), limit
        check(lib.kd_tokenizer_compare(*at, byref(count), byref(text)))
        return count.value, taken(self._context, text).splitlines()

    @property
    def chat_format(self) -> ChatFormat:
        """The format that the folder's template does the same as, AUTO: none."""
        number = c_int32()
        check(lib.kd_tokenizer_chat_format(self._pointer, byref(number)))
        return ChatFormat(number.value)

    @property
    def has_chat_template(self) -> bool:
        """Whether the folder has a template."""
        try:
            return bool(self.hash(HashKind.TEMPLATE))
        except Error:
            return False


class Detokenizer(Handle):
    """Ids one by one into text, whole characters only.

    Parameters
    ----------
    tokenizer : Tokenizer
    skip_special : bool
        Without special tokens.
    """

    _free = "kd_detokenizer_free"

    def __init__(self, tokenizer: Tokenizer, skip_special: bool = False) -> None:
        flags = TextFlag.SKIP_SPECIAL if skip_special else 0
        made = make(lib.kd_detokenizer_create, tokenizer._pointer, flags)
        self._adopt(made, tokenizer)

    def push(self, number: int) -> str:
        """What of the text is sure after one more id."""
        text, size = c_char_p(), c_int64()
        check(lib.kd_detokenizer_push(self._pointer, int(number), byref(text), byref(size)))
        return ctypes.string_at(text, size.value).decode()

    def finish(self) -> str:
        """The rest of the text."""
        text, size = c_char_p(), c_int64()
        check(lib.kd_detokenizer_finish(self._pointer, byref(text), byref(size)))
        return ctypes.string_at(text, size.value).decode()
