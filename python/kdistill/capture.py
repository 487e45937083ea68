"""Answers of teachers that run elsewhere, straight into a store.

    from kdistill.capture import Capture

    with Capture(ctx, "teacher.kdt", vocabulary=len(tokenizer)) as capture:
        for output in llm.generate(capture.new(prompts), SamplingParams(logprobs=64, ...)):
            capture.vllm(output)

A store has one record a text: the key of all its ids, and a row for each token that the teacher
was asked about. Capturing again goes on where it ended: `new` leaves out the prompts that were
answered, and a text that is there is not written again. Numbers that no teacher can have said are
refused: `Figures` says how.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from ._answers import (
    Answer,
    Rows,
    Strings,
    llama_cpp_answers,
    openai_answers,
    sglang_answers,
    vllm_answers,
)
from .enums import Align, StoreKind
from .store import Store, store_key
from .store_writer import StoreWriter
from .targets import Targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from ._convert import StrPath
    from .context import Context

__all__ = ["Capture", "Figures"]


class Figures(NamedTuple):
    """What the rows of a text look like.

    A teacher finds its own text at a mean of about .3 to 1.5 nat; rows that belong to other tokens
    (memory that was not written, a shift by one) give 5 and more.
    """

    positions: int
    #: nats of the token that was there; where it is not in its row, at least -log of the mass
    #: outside
    mean_nll: float
    #: of the ids that are kept
    captured_mass: float
    #: of rows without the token that was there
    missing_share: float
    #: rows whose log-probabilities do not fall
    unordered: int
    #: entries whose id was there already
    duplicates: int

    def added(self, more: Figures) -> Figures:
        """Of both together."""
        a, b = self.positions, more.positions

        def mean(mine: float, theirs: float) -> float:
            return (mine * a + theirs * b) / max(1, a + b)

        return Figures(
            a + b,
            mean(self.mean_nll, more.mean_nll),
            mean(self.captured_mass, more.captured_mass),
            mean(self.missing_share, more.missing_share),
            self.unordered + more.unordered,
            self.duplicates + more.duplicates,
        )


def _measured(answer: Answer, rows: Rows, unordered: int, duplicates: int) -> Figures:
    chosen = numpy.array(answer.ids[answer.first + 1 :], numpy.int64)
    lengths = numpy.diff(rows.offsets)
    of = numpy.repeat(numpy.arange(len(lengths)), lengths)
    mass = numpy.bincount(of, numpy.exp(rows.logprobs), len(lengths))
    there = rows.ids == chosen[of]
    nll = -numpy.log(numpy.maximum(1 - mass, 1e-12))
    nll[of[there]] = -rows.logprobs[there]
    missing = len(lengths) - len(numpy.unique(of[there]))
    count = max(1, len(lengths))
    shares = float(nll.sum()) / count, float(mass.sum()) / count, missing / count
    return Figures(len(lengths), *shares, unordered, duplicates)


def _without_repeats(rows: Rows) -> tuple[Rows, int]:
    """One entry for each id of a row: servers give the chosen token besides the largest."""
    lengths = numpy.diff(rows.offsets)
    of = numpy.repeat(numpy.arange(len(lengths), dtype=numpy.int64), lengths)
    span = int(rows.ids.max(initial=0)) + 1
    _, first = numpy.unique(of * span + rows.ids, return_index=True)
    if len(first) == len(rows.ids):
        return rows, 0
    kept = numpy.bincount(of[first], minlength=len(lengths))
    offsets = numpy.concatenate([[0], kept.cumsum()]).astype(numpy.int64)
    return Rows(offsets, rows.ids[first], rows.logprobs[first]), len(rows.ids) - len(first)


def _unordered(rows: Rows) -> int:
    """Rows that rise after their second entry; the first may be the chosen token."""
    rises = numpy.diff(rows.logprobs) > 1e-6
    at = numpy.arange(1, len(rows.logprobs))
    of = numpy.repeat(numpy.arange(len(rows.offsets) - 1), numpy.diff(rows.offsets))
    inside = at >= rows.offsets[:-1][of[1:]] + 2 if len(of) > 1 else numpy.zeros(0, bool)
    return len(numpy.unique(of[1:][rises & inside])) if len(of) > 1 else 0


class Capture:
    """A store that servers' answers go into.

    Parameters
    ----------
    ctx : Context
    path : path
        A new store, or one that is continued.
    vocabulary : int
        Of the teacher.
    k : int
        The most ids a row; rows of servers keep all they have.
    max_nll : float
        A text whose `Figures.mean_nll` is larger is refused.
    max_missing : float
        Likewise its `missing_share`.
    tokens : sequence or dict of str or bytes, optional
        The vocabulary's strings, for servers that write tokens as strings.
    **options
        Of `StoreWriter`: teacher, tokenizer, temperature (at which the log-probabilities are).
    """

    def __init__(
        self,
        ctx: Context,
        path: StrPath,
        vocabulary: int,
        *,
        k: int = 64,
        max_nll: float = 5.0,
        max_missing: float = 0.5,
        tokens: Sequence[str | bytes] | Mapping[Any, int] | None = None,
        **options: Any,
    ) -> None:
        self._context, self._targets = ctx, Targets(ctx)
        self.max_nll, self.max_missing = max_nll, max_missing
        self.figures = Figures(0, 0.0, 0.0, 0.0, 0, 0)
        self.written = self.known = 0
        self._strings = Strings(tokens)
        self._texts: set[tuple[int, int]] = set()
        self._prompts: set[int] = set()
        there = os.path.exists(path)
        if there:
            self._look(path)
        fields = [
            {"kind": StoreKind.TOPK, "name": "topk", "k": k},
            {"kind": StoreKind.SEED, "name": "prompt"},
        ]
        given: Any = {"vocabulary": vocabulary, "align": Align.NEXT, "append": int(there)}
        self._writer = StoreWriter(ctx, path, fields, **{**given, **options})

    def _look(self, path: StrPath) -> None:
        with Store(self._context, path) as store:
            for number in range(len(store)):
                key = store.record(number).key
                self._texts.add((key[0], key[1]))
                self._prompts.add(store.seed(number, "prompt"))

    def close(self) -> None:
        """Finishes the store."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()  # what was committed counts, whatever went wrong after it

    # ---- what is there ----

    def _prompt_number(self, ids: Sequence[int]) -> int:
        return store_key(self._context, numpy.asarray(ids, numpy.int64))[0]

    def has(self, ids: Sequence[int]) -> bool:
        """Whether a text is in the store, by all its ids."""
        return store_key(self._context, numpy.asarray(ids, numpy.int64)) in self._texts

    def new(self, prompts: Sequence[Sequence[int]]) -> list[Sequence[int]]:
        """The prompts (ids) without an answer yet."""
        return [one for one in prompts if self._prompt_number(one) not in self._prompts]

    # ---- servers ----

    def vllm(self, output: Any) -> int:
        """Adds a RequestOutput of vLLM, offline; the number of texts that were new."""
        return self._add_all(vllm_answers(output))

    def sglang(self, answer: Any, prompt: Sequence[int] | None = None) -> int:
        """Adds what SGLang's /generate returned: a dict, or a list of such."""
        return self._add_all(sglang_answers(answer, prompt))

    def llama_cpp(self, answer: Mapping[str, Any], prompt: Sequence[int]) -> int:
        """Adds what llama.cpp's /completion returned for a prompt of these ids."""
        return self._add_all(llama_cpp_answers(answer, prompt))

    def openai(self, answer: Mapping[str, Any], prompt: Sequence[int] | None = None) -> int:
        """Adds what /v1/completions or /v1/chat/completions returned.

        Parameters
        ----------
        answer : dict
        prompt : sequence of int, optional
            The prompt's ids; None: the answer has "prompt_token_ids".
        """
        return self._add_all(openai_answers(answer, prompt, self._strings))

    def ask(
        self,
        url: str,
        prompts: Sequence[Sequence[int]],
        texts: Sequence[Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 600,
        **request: Any,
    ) -> Iterator[dict[str, Any]]:
        """Sends the prompts without an answer to a server, one by one, and adds what comes back.

        Parameters
        ----------
        url : str
            With its path, which says whose form it is: /completion, /generate, /v1/completions or
            /v1/chat/completions.
        prompts : sequence of ids
        texts : sequence, optional
            What is sent instead of the ids: a text, or a chat's messages.
        headers : dict, optional
        timeout : float
            Seconds.
        **request
            Further members of the request, in place of the usual ones.

        Yields
        ------
        dict
            The server's answers, after they were added.
        """
        path = url.rsplit("//", 1)[-1].partition("/")[2]
        for number, ids in enumerate(prompts):
            if not self.new([ids]):
                self.known += 1
                continue
            sent = list(map(int, ids)) if texts is None else texts[number]
            body, add = self._form(path, sent, ids)
            answer = _post(url, {**body, **request}, headers or {}, timeout)
            add(answer)
            yield answer

    def _form(self, path: str, sent: Any, ids: Sequence[int]) -> tuple[dict[str, Any], Any]:
        """What a server is sent, and how its answer is added."""
        if path.endswith("chat/completions"):
            body = {"messages": sent, "logprobs": True, "top_logprobs": 20}
            return body, lambda answer: self.openai(answer, ids)
        if path.endswith("v1/completions"):
            return {"prompt": sent, "logprobs": 20}, lambda answer: self.openai(answer, ids)
        if path.endswith("generate"):
            asked = {"return_logprob": True, "top_logprobs_num": 64, "logprob_start_len": 0}
            name = "text" if isinstance(sent, str) else "input_ids"
            return {name: sent, **asked}, lambda answer: self.sglang(answer, ids)
        if path.endswith("completion"):
            asked = {"n_probs": 64, "return_tokens": True, "cache_prompt": False}
            return {"prompt": sent, **asked}, lambda answer: self.llama_cpp(answer, ids)
        raise ValueError(
            "url: expected a path that ends in /completion, /generate, /v1/completions or "
            f"/v1/chat/completions, got /{path}"
        )

    # ---- rows ----

    def _add_all(self, answers: Sequence[Answer]) -> int:
        return sum(self.add(answer) for answer in answers)

    def add(self, answer: Answer) -> bool:
        """Adds a text with its rows; False: it is there already."""
        ids = numpy.asarray(answer.ids, numpy.int64)
        key = store_key(self._context, ids)
        if key in self._texts:
            self.known += 1
            return False
        rows, figures = self._checked(answer)
        prompt = self._prompt_number(answer.ids[: answer.prompt_tokens or len(answer.ids)])
        positions = len(rows.offsets) - 1
        self._targets.begin(positions)
        at = rows.ids, rows.logprobs.astype(numpy.float32)
        self._targets.set_sparse("topk", *at, offsets=rows.offsets)
        self._writer.begin(key, positions, first=answer.first)
        self._writer.put_sparse("topk", self._targets, "topk").put_tokens(ids)
        self._writer.put("prompt", numpy.array([prompt], numpy.uint64)).commit()
        self._texts.add(key)
        self._prompts.add(prompt)
        self.figures, self.written = self.figures.added(figures), self.written + 1
        return True

    def _checked(self, answer: Answer) -> tuple[Rows, Figures]:
        expected, positions = len(answer.ids) - 1 - answer.first, len(answer.rows.offsets) - 1
        if positions != expected or positions < 1:
            raise ValueError(f"expected rows for {expected} tokens, got {positions}")
        bad = ~(answer.rows.logprobs <= 1e-4)  # NaN too
        if bad.any():
            raise ValueError(
                f"a log-probability of {answer.rows.logprobs[bad][0]:g}: expected at most 0; the "
                "server gave memory that it did not write (vLLM: prompt_logprobs of cached "
                "prompts; set enable_prefix_caching=False)"
            )
        empty = numpy.diff(answer.rows.offsets) == 0
        if empty.any():
            raise ValueError(
                f"{int(empty.sum())} of {positions} tokens have no log-probabilities: a cached "
                "prompt is not asked again; switch prefix caching off"
            )
        rows, duplicates = _without_repeats(answer.rows)
        figures = _measured(answer, rows, _unordered(answer.rows), duplicates)
        if not figures.mean_nll <= self.max_nll or figures.missing_share > self.max_missing:
            raise ValueError(
                f"the teacher finds the tokens at {figures.mean_nll:.2f} nat on average (at most "
                f"{self.max_nll:g}), and {figures.missing_share:.0%} of them are not among its "
                f"most probable (at most {self.max_missing:.0%}): these rows are not about this "
                "text. Stale prompt_logprobs, a shift by one or another tokenizer look like this"
            )
        return rows, figures


def _post(url: str, body: Any, headers: Mapping[str, str], timeout: float) -> dict[str, Any]:
    data = json.dumps(body).encode()
    head = {"Content-Type": "application/json", **headers}
    asked = urllib.request.Request(url, data, head)
    with urllib.request.urlopen(asked, timeout=timeout) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
