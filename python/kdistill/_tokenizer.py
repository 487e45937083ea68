"""Text to ids and back, and chats."""
import ctypes
from ctypes import byref, c_char_p, c_int32, c_int64
from typing import Dict, List, Sequence, Tuple

import numpy

from . import _api
from ._handles import Handle, _make
from ._library import check, lib, options

_ids = ctypes.POINTER(c_int32)


def _messages(messages: Sequence[Dict]):
    made = (_api.kd_message * max(1, len(messages)))()
    for slot, message in zip(made, messages):
        slot.role, slot.content = message["role"].encode(), message["content"].encode()
    return made


class Tokenizer(Handle):
    """kd_tokenizer: reads tokenizer.json."""

    _free = "kd_tokenizer_free"

    def encode(self, text, special: bool = False) -> numpy.ndarray:
        """(n) int32 ids of a text (str, or bytes of UTF-8); special: what the file puts around a text."""
        data = text.encode() if isinstance(text, str) else text
        count, flags = c_int64(), _api.KD_ADD_SPECIAL if special else 0
        made = numpy.empty(len(data) + 8, numpy.int32)  # enough for most; asked again where it is not
        status = lib.kd_tokenizer_encode(self._pointer, data, len(data), flags, made.ctypes.data_as(_ids), len(made), byref(count))
        if status == _api.KD_ERR_RANGE and count.value > len(made):
            made = numpy.empty(count.value, numpy.int32)
            status = lib.kd_tokenizer_encode(self._pointer, data, len(data), flags, made.ctypes.data_as(_ids), len(made), byref(count))
        check(status)
        return made[:count.value].copy()

    def decode(self, ids, skip_special: bool = False) -> str:
        values, size, flags = numpy.ascontiguousarray(ids, dtype=numpy.int32), c_int64(), _api.KD_SKIP_SPECIAL if skip_special else 0
        check(lib.kd_tokenizer_decode(self._pointer, values.ctypes.data_as(_ids), len(values), flags, None, 0, byref(size)))
        made = ctypes.create_string_buffer(size.value + 1)
        check(lib.kd_tokenizer_decode(self._pointer, values.ctypes.data_as(_ids), len(values), flags, made, size.value + 1, None))
        return made.raw[:size.value].decode()

    def __len__(self) -> int:
        """The highest id + 1."""
        size = c_int64()
        check(lib.kd_tokenizer_size(self._pointer, byref(size)))
        return size.value

    def token(self, number: int) -> Tuple[str, int]:
        """A token as the file writes it, and its flags."""
        text, flags = c_char_p(), c_int32()
        check(lib.kd_tokenizer_token(self._pointer, number, byref(text), byref(flags)))
        return text.value.decode(), flags.value

    def id(self, token: str) -> int:
        number = c_int32()
        check(lib.kd_tokenizer_id(self._pointer, token.encode(), byref(number)))
        return number.value

    def detokenizer(self, skip_special: bool = False) -> "Detokenizer":
        return Detokenizer(_make(lib.kd_detokenizer_create, self._pointer, _api.KD_SKIP_SPECIAL if skip_special else 0), self)

    def add(self, token: str, special: bool = False) -> int:
        number = c_int32()
        check(lib.kd_tokenizer_add(self._pointer, token.encode(), special, byref(number)))
        return number.value

    def rename(self, token: str, name: str) -> None:
        check(lib.kd_tokenizer_rename(self._pointer, token.encode(), name.encode()))

    def save(self, folder: str) -> None:
        check(lib.kd_tokenizer_save(self._pointer, str(folder).encode()))

    def compare(self, other: "Tokenizer", allowed: Sequence[str] = (), limit: int = 20) -> Tuple[int, List[str]]:
        """Ids whose tokens differ: how many, and the first of them as lines."""
        patterns, count, text = (c_char_p * max(1, len(allowed)))(*[a.encode() for a in allowed]), c_int64(), c_char_p()
        check(lib.kd_tokenizer_compare(self._pointer, other._pointer, patterns, len(allowed), limit, byref(count), byref(text)))
        return count.value, self._take(text).splitlines()

    def _take(self, text: c_char_p) -> str:
        made = text.value.decode(errors="replace")
        lib.kd_text_free(self._alive[0]._pointer, text)
        return made

    # ---- chats: messages are dicts with role and content ----
    def chat_format(self) -> int:
        number = c_int32()
        check(lib.kd_tokenizer_chat_format(self._pointer, byref(number)))
        return number.value

    def chat_text(self, messages: Sequence[Dict], **values) -> str:
        made, text = options(_api.kd_chat_options, "kd_chat_options_init", values), c_char_p()
        check(lib.kd_chat_text(self._pointer, _messages(messages), len(messages), byref(made), byref(text)))
        return self._take(text)

    def chat_encode(self, messages: Sequence[Dict], **values) -> Tuple[numpy.ndarray, numpy.ndarray]:
        """Ids, and 1 for those that the assistant says."""
        made, parts, count = options(_api.kd_chat_options, "kd_chat_options_init", values), _messages(messages), c_int64()
        check(lib.kd_chat_encode(self._pointer, parts, len(messages), byref(made), None, None, 0, byref(count)))
        ids, answer = numpy.empty(count.value, numpy.int32), numpy.empty(count.value, numpy.uint8)
        check(lib.kd_chat_encode(self._pointer, parts, len(messages), byref(made), ids.ctypes.data_as(_ids), answer.ctypes.data, count.value, byref(count)))
        return ids, answer


class Detokenizer(Handle):
    """kd_detokenizer: ids one by one into text, whole characters only."""

    _free = "kd_detokenizer_free"

    def push(self, number: int) -> str:
        text, size = c_char_p(), c_int64()
        check(lib.kd_detokenizer_push(self._pointer, int(number), byref(text), byref(size)))
        return ctypes.string_at(text, size.value).decode()

    def finish(self) -> str:
        text, size = c_char_p(), c_int64()
        check(lib.kd_detokenizer_finish(self._pointer, byref(text), byref(size)))
        return ctypes.string_at(text, size.value).decode()


def load_tokenizer(context, path: str) -> Tokenizer:
    return Tokenizer(_make(lib.kd_tokenizer_load, context._pointer, str(path).encode()), context)
