"""What inference servers say about tokens, as rows of ids and log-probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

#: What servers write where they do not know.
UNKNOWN = -9999.0


class Rows(NamedTuple):
    """Row i has the entries from offsets[i] up to offsets[i + 1]."""

    offsets: NDArray[numpy.int64]
    ids: NDArray[numpy.int64]
    logprobs: NDArray[numpy.float64]


class Answer(NamedTuple):
    """A text, and what the teacher said about its tokens from position `first` + 1 on."""

    #: prompt and answer
    ids: list[int]
    #: the position whose row is the first: it predicts ids[first + 1]
    first: int
    rows: Rows
    prompt_tokens: int


def rows_of(entries: Iterable[Iterable[tuple[Any, Any]]]) -> Rows:
    """Rows of lists of (id, log-probability); what is unknown is left out."""
    ids, logprobs, ends = [], [], [0]
    for row in entries:
        for token, value in row:
            number = UNKNOWN if value is None else float(value)
            if token is not None and not number <= UNKNOWN:
                ids.append(int(token))
                logprobs.append(number)
        ends.append(len(ids))
    at = numpy.array(ends, numpy.int64), numpy.array(ids, numpy.int64)
    return Rows(*at, numpy.array(logprobs, numpy.float64))


def joined(first: Rows, second: Rows) -> Rows:
    """The rows of two, one after the other."""
    offsets = numpy.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]])
    ids = numpy.concatenate([first.ids, second.ids])
    return Rows(offsets, ids, numpy.concatenate([first.logprobs, second.logprobs]))


# ---- vLLM ----


def _columns(flat: Any) -> Rows:
    """Columns of vLLM's FlatLogprobs, for all positions at once."""
    starts, ends = (numpy.asarray(x, numpy.int64) for x in (flat.start_indices, flat.end_indices))
    ids = numpy.asarray(flat.token_ids, numpy.int64)
    logprobs = numpy.asarray(flat.logprobs, numpy.float64)
    offsets = numpy.concatenate([[0], (ends - starts).cumsum()])
    if len(starts) and (starts[0] != 0 or (starts[1:] != ends[:-1]).any() or ends[-1] != len(ids)):
        order = numpy.concatenate([numpy.arange(a, b) for a, b in zip(starts, ends)])
        ids, logprobs = ids[order], logprobs[order]
    known = ~(logprobs <= UNKNOWN)  # NaN is no "unknown"
    if not known.all():
        before = numpy.concatenate([[0], known.cumsum()])
        offsets, ids, logprobs = before[offsets], ids[known], logprobs[known]
    return Rows(offsets.astype(numpy.int64), ids, logprobs)


def _dicts(positions: Sequence[Any]) -> Rows:
    """{id: Logprob or number} for each position; the first of a prompt is None."""
    return rows_of(
        [(token, getattr(x, "logprob", x)) for token, x in (position or {}).items()]
        for position in positions
    )


def vllm_rows(logprobs: Any) -> Rows:
    """Rows of either form of vLLM's log-probabilities."""
    return _columns(logprobs) if hasattr(logprobs, "start_indices") else _dicts(logprobs)


def vllm_answers(output: Any) -> list[Answer]:
    """The answers of a RequestOutput; without log-probabilities of answers, the prompt itself."""
    prompt = [int(token) for token in output.prompt_token_ids]
    before = None
    if output.prompt_logprobs is not None:
        whole = vllm_rows(output.prompt_logprobs)
        if len(whole.offsets) - 1 != len(prompt):
            raise ValueError(
                f"prompt_logprobs: expected {len(prompt)} positions, got {len(whole.offsets) - 1}"
            )
        start = whole.offsets[1]  # nothing is said about the first token
        before = Rows(whole.offsets[1:] - start, whole.ids[start:], whole.logprobs[start:])
    made = []
    for one in output.outputs:
        if getattr(one, "logprobs", None) is None or not len(one.token_ids):
            continue
        rows, ids = vllm_rows(one.logprobs), [*prompt, *map(int, one.token_ids)]
        first = len(prompt) - 1
        if before is not None:
            first, rows = 0, joined(before, rows)
        made.append(Answer(ids, first, rows, len(prompt)))
    if not made and before is not None:
        made.append(Answer(prompt, 0, before, 0))
    return made


# ---- SGLang ----


def sglang_answers(answer: Any, prompt: Sequence[int] | None = None) -> list[Answer]:
    """Answers of /generate: lists of [log-probability, id, text] in "meta_info"."""
    if isinstance(answer, list):
        return [made for one in answer for made in sglang_answers(one, prompt)]
    meta = answer["meta_info"]
    asked, given = meta.get("input_top_logprobs"), meta.get("output_top_logprobs")
    chosen, made = meta.get("input_token_logprobs"), meta.get("output_token_logprobs") or []
    if prompt is None and chosen:
        prompt = [entry[1] for entry in chosen]
    if prompt is None:
        raise ValueError(
            "SGLang's answer has no input_token_logprobs: ask with logprob_start_len=0, or give "
            "the prompt's ids"
        )
    rows = None
    if asked and len(asked) == len(prompt):
        rows = rows_of(_pairs(top, own) for top, own in zip(asked[1:], chosen[1:]))
    first = 0 if rows is not None else len(prompt) - 1
    if made:
        more = rows_of(_pairs(top, own) for top, own in zip(given or [None] * len(made), made))
        rows = more if rows is None else joined(rows, more)
    if rows is None:
        raise ValueError("SGLang's answer has no log-probabilities: ask with return_logprob=true")
    ids = [*map(int, prompt), *(int(entry[1]) for entry in made)]
    return [Answer(ids, first, rows, len(prompt))]


def _pairs(top: Any, own: Any) -> list[tuple[Any, Any]]:
    return [(entry[1], entry[0]) for entry in [own, *(top or [])] if entry is not None]


# ---- llama.cpp ----


def llama_cpp_answers(answer: Mapping[str, Any], prompt: Sequence[int]) -> list[Answer]:
    """The answer of /completion with n_probs."""
    said = answer.get("completion_probabilities")
    if not said:
        raise ValueError("llama.cpp's answer has no completion_probabilities: ask with n_probs")
    if any("prob" in entry or "top_probs" in entry for entry in said):
        raise ValueError(
            "llama.cpp's probabilities are those after its samplers: ask without "
            "post_sampling_probs, with a server of 2025 or later"
        )
    rows = rows_of(
        [(x["id"], x["logprob"]) for x in [entry, *entry.get("top_logprobs", [])]] for entry in said
    )
    ids = [*map(int, prompt), *(int(entry["id"]) for entry in said)]
    return [Answer(ids, len(prompt) - 1, rows, len(prompt))]


# ---- OpenAI's forms ----


class Strings:
    """Ids of the strings that servers write in place of ids.

    Parameters
    ----------
    tokens : dict of int by str or bytes, or sequence of str or bytes by id, or None
    """

    def __init__(self, tokens: Any) -> None:
        pairs = tokens.items() if hasattr(tokens, "items") else zip(tokens or [], range(2**31))
        self.known: dict[bytes, int] = {}
        for text, number in pairs:
            self.known.setdefault(text.encode() if isinstance(text, str) else bytes(text), number)
        self.unmapped = 0

    def find(self, entry: Mapping[str, Any] | str) -> int | None:
        """The id of a token as it is written; None: it has none, which is counted."""
        text: Any = entry if isinstance(entry, str) else entry.get("token", "")
        if not isinstance(entry, str) and isinstance(entry.get("id"), int):
            return int(entry["id"])
        if text.startswith("token_id:"):
            return int(text[9:])
        data = None if isinstance(entry, str) else entry.get("bytes")
        found = self.known.get(bytes(data) if data is not None else text.encode())
        self.unmapped += found is None
        return found


def _chat_rows(content: Sequence[Mapping[str, Any]], strings: Strings) -> tuple[Rows, list[Any]]:
    chosen = [strings.find(entry) for entry in content]
    rows = rows_of(
        [
            (token, entry["logprob"]),
            *((strings.find(x), x["logprob"]) for x in entry.get("top_logprobs") or []),
        ]
        for token, entry in zip(chosen, content)
    )
    return rows, chosen


def _list_rows(said: Mapping[str, Any], strings: Strings) -> tuple[Rows, list[Any]]:
    chosen = [strings.find(token) for token in said["tokens"]]
    tops = said.get("top_logprobs") or [None] * len(chosen)
    rows = rows_of(
        [(token, value), *((strings.find(x), v) for x, v in (top or {}).items())]
        for token, value, top in zip(chosen, said["token_logprobs"], tops)
    )
    return rows, chosen


def openai_answers(
    answer: Mapping[str, Any], prompt: Sequence[int] | None, strings: Strings
) -> list[Answer]:
    """Answers of /v1/completions and /v1/chat/completions with log-probabilities."""
    made = []
    for choice in answer["choices"]:
        said = choice.get("logprobs")
        if not said:
            raise ValueError("the answer has no logprobs: ask for them (logprobs, top_logprobs)")
        given = prompt or choice.get("prompt_token_ids") or answer.get("prompt_token_ids")
        if not given:
            raise ValueError("the answer has no prompt_token_ids: give the prompt's ids")
        chat = said.get("content")
        rows, chosen = _list_rows(said, strings) if chat is None else _chat_rows(chat, strings)
        ids = choice.get("token_ids") or chosen
        if any(token is None for token in ids):
            raise ValueError(
                f"{sum(token is None for token in ids)} of {len(ids)} tokens have no id: give the "
                "vocabulary's strings (tokens=), or ask with return_token_ids or "
                "return_tokens_as_token_ids"
            )
        made.append(Answer([*map(int, given), *map(int, ids)], len(given) - 1, rows, len(given)))
    return made
