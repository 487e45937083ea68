"""Chats as texts and as ids."""

from __future__ import annotations

import json
from ctypes import byref, c_char_p, c_int32, c_int64
from typing import TYPE_CHECKING, Any, Union

import numpy

from . import _api
from ._convert import numbers_of, options, takes
from ._library import check, lib
from .tokenizer import taken

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from .options import ChatOptions
    from .tokenizer import Tokenizer

    #: role, content and what else the template reads (reasoning_content, tool_calls, ...)
    Message = Mapping[str, Any]

#: JSON, or what JSON says.
Json = Union[str, "Mapping[str, Any]", "Sequence[Any]", None]


def _message(message: Message, skip: bool) -> _api.kd_message:
    """Role and content, which is a text; all else, and other contents, as JSON."""
    content = message.get("content", "")
    extra = {name: value for name, value in message.items() if name not in ("role", "content")}
    if not isinstance(content, str):
        content, extra["content"] = "", content
    made = json.dumps(extra).encode() if extra else None
    return _api.kd_message(message["role"].encode(), content.encode(), made, skip, 0)


def _messages(messages: Sequence[Message], skip: Container[int] = ()) -> Any:
    parts = [_message(message, number in skip) for number, message in enumerate(messages)]
    return (_api.kd_message * max(1, len(parts)))(*parts)


def json_bytes(value: Json) -> bytes | None:
    """JSON as C takes it."""
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def _options(values: ChatOptions, tools: Json, variables: Json) -> _api.kd_chat_options:
    made = options(_api.kd_chat_options, values)
    made.tools, made.variables = json_bytes(tools), json_bytes(variables)
    return made


@takes(_api.kd_chat_options)
def chat_render(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    tools: Json = None,
    variables: Json = None,
    **options_: Unpack[ChatOptions],
) -> str:
    """The text of a chat as the tokenizer's template writes it.

    Parameters
    ----------
    tokenizer : Tokenizer
    messages : sequence of dict
        Turns: "role", "content", and what else the template reads.
    tools : list or str, optional
        Tools that the chat may call.
    variables : dict or str, optional
        Further variables of the template.
    """
    made, text = _options(options_, tools, variables), c_char_p()
    parts, count = _messages(messages), len(messages)
    check(lib.kd_chat_render(tokenizer._pointer, parts, count, byref(made), byref(text)))
    return taken(tokenizer._context, text)


@takes(_api.kd_chat_options)
def chat_encode(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    skip: Container[int] = (),
    tools: Json = None,
    variables: Json = None,
    **options_: Unpack[ChatOptions],
) -> tuple[NDArray[numpy.int32], NDArray[numpy.uint8]]:
    """The ids of a chat, and which of them the assistant says.

    Parameters
    ----------
    tokenizer : Tokenizer
    messages : sequence of dict
        Turns: "role", "content", and what else the template reads.
    skip : container of int
        Numbers of turns that are not learned.
    tools : list or str, optional
        Tools that the chat may call.
    variables : dict or str, optional
        Further variables of the template.

    Returns
    -------
    ids : (tokens,) int32
    answer : (tokens,) uint8
        1 for tokens that the assistant says.
    """
    made, count = _options(options_, tools, variables), c_int64()
    at = tokenizer._pointer, _messages(messages, skip), len(messages), byref(made)
    check(lib.kd_chat_encode(*at, None, None, 0, byref(count)))
    ids, answer = numpy.empty(count.value, numpy.int32), numpy.empty(count.value, numpy.uint8)
    room = numbers_of(ids, c_int32), answer.ctypes.data, count.value
    check(lib.kd_chat_encode(*at, *room, byref(count)))
    return ids, answer
