"""Records, packed batches, answers, curation, comparison: the course from a teacher's answers to a student."""
import ctypes
import json
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_uint64, c_void_p
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy

from . import _api
from ._handles import Context, Handle, Report, Schedule, _guarded, _make
from ._library import as_dict, check, filled, lib, options
from ._verify import verify_options

_RECORD_FUNCTION = CFUNCTYPE(c_int32, c_void_p, POINTER(_api.kd_record), POINTER(c_char_p))
_ANSWER_FUNCTION = CFUNCTYPE(c_int32, c_void_p, POINTER(_api.kd_record), c_int32, c_uint64, c_void_p, c_int64, POINTER(c_int64))
_PROGRESS_FUNCTION = CFUNCTYPE(c_int32, c_void_p, POINTER(_api.kd_answers_progress))
_TEXTS = ("prompt", "completion", "expected", "domain", "id", "teacher", "finish", "passed", "extra")


def record_dict(made: _api.kd_record) -> Dict:
    """A record of C as a dict; `messages` is a list of (role, content)."""
    found = {name: (getattr(made, name) or b"").decode() for name in _TEXTS}
    found.update({name: getattr(made, name) for name in ("sample", "line", "seed", "temperature", "score")})
    found["key"], found["prompt_key"] = tuple(made.key), tuple(made.prompt_key)
    found["messages"] = [(made.messages[i].role.decode(), made.messages[i].content.decode()) for i in range(made.message_count)]
    found["extra"] = json.loads(found["extra"]) if found["extra"] else {}
    found["ids"] = list(made.ids[:made.tokens]) if made.ids else None
    found["logprobs"] = list(made.logprobs[:made.logprob_count]) if made.logprobs else None
    return found


def record_struct(values: Dict) -> _api.kd_record:
    """A dict (prompt, completion, messages, expected, ...) as a record of C, which it keeps alive."""
    made = _api.kd_record()
    lib.kd_record_init(byref(made), ctypes.sizeof(made))
    values = dict(values)
    messages = values.pop("messages", None)
    ids = values.pop("ids", None)
    for name in ("key", "prompt_key", "line", "logprobs"):
        values.pop(name, None)
    if isinstance(values.get("extra"), dict):
        values["extra"] = json.dumps(values["extra"], ensure_ascii=False) if values["extra"] else ""
    for name, value in values.items():
        if name not in dict(_api.kd_record._fields_):
            raise TypeError(f"a record has no member '{name}'")
        setattr(made, name, value.encode() if isinstance(value, str) else value)
    if messages:
        made.messages = (_api.kd_message * len(messages))(*[_api.kd_message(role.encode(), content.encode()) for role, content in messages])
        made.message_count = len(messages)
    if ids is not None:
        made.ids, made.tokens = (c_int32 * len(ids))(*ids), len(ids)
    check(lib.kd_record_keys(byref(made)))
    return made


def record_json(ctx: Context, **values) -> str:
    """A record as one line of JSON."""
    text = c_char_p()
    check(lib.kd_record_json(ctx._pointer, byref(record_struct(values)), byref(text)))
    found = text.value.decode()
    lib.kd_text_free(ctx._pointer, text)
    return found


class RecordReader(Handle):
    """kd_record_reader: records of files of JSON lines as dicts; options of kd_record_options. `text=` reads from a str instead."""

    _free = "kd_record_reader_free"

    def __init__(self, ctx: Context, *paths: str, text: Optional[str] = None, **values):
        made = byref(options(_api.kd_record_options, "kd_record_options_init", values))
        if text is not None:
            data = text.encode()
            pointer = _make(lib.kd_record_reader_text, ctx._pointer, data, len(data), made)
        else:
            pointer = _make(lib.kd_record_reader_open, ctx._pointer, (c_char_p * len(paths))(*[str(p).encode() for p in paths]), len(paths), made)
        super().__init__(pointer, ctx)

    def next(self) -> Optional[Dict]:
        made = _api.kd_record()
        lib.kd_record_init(byref(made), ctypes.sizeof(made))
        return None if check(lib.kd_record_reader_next(self._pointer, byref(made))) == _api.KD_END else record_dict(made)

    def __iter__(self) -> Iterator[Dict]:
        return iter(self.next, None)

    def rewind(self) -> "RecordReader":
        check(lib.kd_record_reader_rewind(self._pointer))
        return self

    def counts(self) -> Dict:
        made = filled(_api.kd_record_counts)
        check(lib.kd_record_reader_get_counts(self._pointer, byref(made)))
        return as_dict(made)


class RecordWriter(Handle):
    """kd_record_writer: `with RecordWriter(ctx, path) as w: w.add(prompt=.., completion=..)`. The end of a `with` without an exception closes it."""

    _free = "kd_record_writer_free"

    def __init__(self, ctx: Context, path: str, **values):
        super().__init__(_make(lib.kd_record_writer_open, ctx._pointer, str(path).encode(),
                               byref(options(_api.kd_record_writer_options, "kd_record_writer_options_init", values))), ctx)

    def add(self, **values) -> None:
        check(lib.kd_record_writer_add(self._pointer, byref(record_struct(values))))

    def finish(self) -> None:
        check(lib.kd_record_writer_close(self._pointer))

    def __exit__(self, kind, *_):
        if kind is None:
            self.finish()
        self.close()


class Packer(Handle):
    """kd_packer: texts into packed batches; options of kd_packer_options."""

    _free = "kd_packer_free"

    def __init__(self, ctx: Context, tokenizer=None, **values):
        super().__init__(_make(lib.kd_packer_create, ctx._pointer, tokenizer._pointer if tokenizer is not None else None,
                               byref(options(_api.kd_packer_options, "kd_packer_options_init", values))), ctx, tokenizer)

    def task(self, name: str, weight: float = 1) -> int:
        number = c_int32()
        check(lib.kd_packer_task(self._pointer, name.encode(), weight, byref(number)))
        return number.value

    def add(self, task: int = 0, **values) -> None:
        check(lib.kd_packer_add(self._pointer, byref(record_struct(values)), task))

    def add_ids(self, ids: Sequence[int], mask: Optional[Sequence[int]] = None, key: Tuple[int, int] = (0, 0), task: int = 0) -> None:
        data = numpy.ascontiguousarray(ids, dtype=numpy.int32)
        learned = None if mask is None else numpy.ascontiguousarray(mask, dtype=numpy.uint8)
        check(lib.kd_packer_add_ids(self._pointer, data.ctypes.data_as(POINTER(c_int32)), None if learned is None else learned.ctypes.data, len(data),
                                    (c_uint64 * 2)(*key), task))

    def add_reader(self, reader: RecordReader, task: int = 0) -> int:
        added = c_int64()
        check(lib.kd_packer_add_reader(self._pointer, reader._pointer, task, byref(added)))
        return added.value

    def clear(self, task: int = 0) -> None:
        check(lib.kd_packer_clear(self._pointer, task))

    def mix(self, weights: Optional[Sequence[float]] = None, temperature: float = 1) -> None:
        check(lib.kd_packer_mix(self._pointer, (c_double * len(weights))(*weights) if weights is not None else None, len(weights or ()), temperature))

    def next(self, batch):
        check(lib.kd_packer_next(self._pointer, batch._pointer))
        return batch

    def info(self) -> Dict:
        made = filled(_api.kd_packer_info)
        check(lib.kd_packer_get_info(self._pointer, byref(made)))
        return as_dict(made)

    def task_info(self, task: int) -> Dict:
        name, texts, tokens, epochs = c_char_p(), c_int64(), c_int64(), c_double()
        check(lib.kd_packer_task_info(self._pointer, task, byref(name), byref(texts), byref(tokens), byref(epochs)))
        return {"name": name.value.decode(), "texts": texts.value, "tokens": tokens.value, "epochs": epochs.value}

    @property
    def state(self) -> List[int]:
        count = c_int32(0)
        check(lib.kd_packer_get_state(self._pointer, None, byref(count)))
        values = (c_int64 * count.value)()
        check(lib.kd_packer_get_state(self._pointer, values, byref(count)))
        return list(values)

    @state.setter
    def state(self, values: Sequence[int]) -> None:
        check(lib.kd_packer_set_state(self._pointer, (c_int64 * len(values))(*values), len(values)))


class Recipe:
    """kd_recipe: numbers of a training run, as attributes. Recipe(kdistill.RECIPE_R1, 1.5e9)"""

    def __init__(self, kind: int, parameters: float, **values):
        self.struct = filled(_api.kd_recipe)
        check(lib.kd_recipe_fill(byref(self.struct), kind, parameters))
        for name, value in values.items():
            setattr(self.struct, name, value)

    def __getattr__(self, name: str):
        return getattr(self.struct, name)

    def learning_rate(self, ctx: Context, steps: int) -> Schedule:
        return Schedule(_make(lib.kd_recipe_learning_rate, ctx._pointer, byref(self.struct), steps), ctx)

    def temperature(self, ctx: Context, steps: int) -> Schedule:
        return Schedule(_make(lib.kd_recipe_temperature, ctx._pointer, byref(self.struct), steps), ctx)


def _answer_callback(function: Callable[[Dict, int, int], str]):
    """function(record, sample, seed) -> text, as C calls it."""

    def call(user, record, sample, seed, text, room, size):
        data = function(record_dict(record.contents), sample, seed).encode()
        size[0] = len(data)
        if len(data) >= room:
            return _api.KD_ERR_RANGE
        ctypes.memmove(text, data, len(data))
        return 0

    return _ANSWER_FUNCTION(_guarded(call, _api.KD_ERR_CALLBACK))


def collect_answers(ctx: Context, reader: RecordReader, path: str, generator=None, function: Optional[Callable[[Dict, int, int], str]] = None,
                    sampling: Optional[Dict] = None, stop_tokens: Sequence[int] = (), verify: Optional[Dict] = None,
                    progress: Optional[Callable[[Dict], Optional[bool]]] = None, **values) -> Dict:
    """kd_answers_collect: answers to every prompt, by a generator or by function(record, sample, seed) -> text, into a file of records."""
    made, alive = options(_api.kd_answers_options, "kd_answers_options_init", values), []
    drawn = options(_api.kd_sampling, "kd_sampling_init", dict({"temperature": 0.6, "top_p": 0.95}, **(sampling or {})))
    stops = numpy.ascontiguousarray(stop_tokens, dtype=numpy.int32)
    drawn.stop_tokens, drawn.stop_token_count = stops.ctypes.data_as(POINTER(c_int32)), len(stops)
    made.sampling = ctypes.pointer(drawn)
    if function is not None:
        alive.append(_answer_callback(function))
        made.function = ctypes.cast(alive[-1], c_void_p)
    if verify is not None:
        checked, kept = verify_options(verify)
        alive += [checked, kept]
        made.verify = ctypes.pointer(checked)
    if progress is not None:
        made.progress = type(made.progress)(_guarded(lambda user, p: int(bool(progress(as_dict(p.contents)))), 1))
    done = filled(_api.kd_answers_progress)
    check(lib.kd_answers_collect(ctx._pointer, generator._pointer if generator is not None else None, reader._pointer, str(path).encode(), byref(made),
                                 byref(done)))
    return as_dict(done)


def judge_answers(reader: RecordReader, verify: Optional[Dict] = None, k: int = 1) -> Tuple[Dict, numpy.ndarray]:
    """kd_answers_judge: (pass@1 and the like, verdicts of shape (questions, samples))."""
    room = reader.rewind() and sum(1 for _ in reader)
    reader.rewind()
    rights, result = numpy.zeros(max(1, room), dtype=numpy.int32), filled(_api.kd_answers_result)
    checked, _alive = verify_options(verify or {})
    check(lib.kd_answers_judge(reader._pointer, byref(checked), k, rights.ctypes.data_as(POINTER(c_int32)), room, byref(result)))
    found = as_dict(result)
    found["pass"] = as_dict(getattr(result, "pass"))
    return found, rights[:result.questions * result.samples].reshape(result.questions, result.samples)


class Curation(Handle):
    """kd_curation: filters over records; options of kd_curation_options."""

    _free = "kd_curation_free"

    def __init__(self, ctx: Context, tokenizer=None, **values):
        made = options(_api.kd_curation_options, "kd_curation_options_init", values)
        made.tokenizer = tokenizer._pointer if tokenizer is not None else None
        super().__init__(_make(lib.kd_curation_create, ctx._pointer, byref(made)), ctx, tokenizer)

    def add(self, kind: int, function: Optional[Callable[[Dict], object]] = None, tests: Optional[RecordReader] = None, verify: Optional[Dict] = None,
            shares: Optional[Dict[str, float]] = None, **values) -> "Curation":
        """A filter; options of kd_filter_options. function(record) -> True (keep), or False or a str, the reason (drop). shares: domain -> share."""
        made = options(_api.kd_filter_options, "kd_filter_options_init", values)
        if function is not None:
            self._alive.append(_record_callback(function))
            made.function = ctypes.cast(self._alive[-1], c_void_p)
        made.tests = tests._pointer if tests is not None else None
        if verify is not None:
            checked, kept = verify_options(verify)
            self._alive += [checked, kept]
            made.verify = ctypes.pointer(checked)
        if shares:
            made.domains = (c_char_p * len(shares))(*[name.encode() for name in shares])
            made.shares, made.domain_count = (c_double * len(shares))(*shares.values()), len(shares)
        check(lib.kd_curation_add(self._pointer, kind, byref(made)))
        return self

    def run(self, reader: RecordReader, kept: Optional[RecordWriter] = None, validation: Optional[RecordWriter] = None) -> "Curation":
        check(lib.kd_curation_run(self._pointer, reader._pointer, kept._pointer if kept is not None else None,
                                  validation._pointer if validation is not None else None))
        return self

    def funnel(self) -> List[Dict]:
        steps, found = c_int32(), []
        check(lib.kd_curation_steps(self._pointer, byref(steps)))
        for step in range(steps.value):
            made = filled(_api.kd_funnel)
            check(lib.kd_curation_funnel(self._pointer, step, byref(made)))
            entry = as_dict(made)
            entry["name"], entry["reasons"] = made.name.decode(), {}
            for i in range(made.reasons):
                text, count = c_char_p(), c_int64()
                check(lib.kd_curation_reason(self._pointer, step, i, byref(text), byref(count)))
                entry["reasons"][text.value.decode()] = count.value
            found.append(entry)
        return found

    def __str__(self) -> str:
        text = c_char_p()
        check(lib.kd_curation_text(self._pointer, byref(text)))
        found = text.value.decode()
        lib.kd_text_free(self._alive[0]._pointer, text)
        return found

    def report(self, report: Report, name: str) -> None:
        check(lib.kd_curation_report(self._pointer, report._pointer, name.encode()))


def _record_callback(function):
    reasons = {}  # texts that C keeps pointers to

    def call(user, record, reason):
        said = function(record_dict(record.contents))
        if isinstance(said, str):
            reason[0] = reasons.setdefault(said, said.encode())
            return 0
        return int(bool(said))

    made = _RECORD_FUNCTION(_guarded(call, _api.KD_ERR_CALLBACK))
    made.reasons = reasons
    return made


_RECOMPUTE = CFUNCTYPE(c_int32, c_void_p, POINTER(_api.kd_record), POINTER(c_double), POINTER(c_double), c_int32, POINTER(_api.kd_record))


def augment(reader: RecordReader, writer: RecordWriter, kind: int, function: Optional[Callable] = None, templates: Sequence[str] = (), **values) -> Dict:
    """More prompts out of the reader's; counts. Options of kd_augment_options. function(record, before, now): the new answer as a str, or a dict with
    expected and completion, or None to drop the prompt; record: a dict with the new prompt."""
    made, counts, texts = options(_api.kd_augment_options, "kd_augment_options_init", dict(values, kind=kind)), filled(_api.kd_augment_counts), []

    def call(user, original, before, now, count, record):
        said = function(dict(record_dict(original.contents), prompt=record.contents.prompt.decode()), before[:count], now[:count])
        if said is None:
            return 0
        texts[:] = [(said if isinstance(said, dict) else {"expected": said}).get(name, "").encode() for name in ("expected", "completion")]
        record.contents.expected, record.contents.completion = texts
        return 1

    wrapped = _RECOMPUTE(_guarded(call, _api.KD_ERR_CALLBACK))
    if function is not None:
        made.function = ctypes.cast(wrapped, c_void_p)
    if templates:
        made.templates, made.template_count = (c_char_p * len(templates))(*[t.encode() for t in templates]), len(templates)
    check(lib.kd_augment(reader._pointer, writer._pointer, byref(made), byref(counts)))
    return as_dict(counts)


def prompt_is_held_back(prompt_key: Tuple[int, int], seed: int, share: float) -> bool:
    held = c_int32()
    check(lib.kd_prompt_is_held_back((c_uint64 * 2)(*prompt_key), seed, share, byref(held)))
    return bool(held.value)


def _verdicts(values) -> numpy.ndarray:
    return numpy.ascontiguousarray(values, dtype=numpy.int32)


def mcnemar(a, b) -> Dict:
    """Two models, one answer a question each."""
    x, y, made = _verdicts(a), _verdicts(b), filled(_api.kd_difference)
    check(lib.kd_mcnemar(x.ctypes.data_as(POINTER(c_int32)), y.ctypes.data_as(POINTER(c_int32)), x.size, byref(made)))
    return as_dict(made)


def paired_bootstrap(ctx: Context, a, b, resamples: int = 10000, seed: int = 1) -> Dict:
    """Two models; verdicts (questions, samples) or (seeds, questions, samples)."""
    x, y, made = _verdicts(a), _verdicts(b), filled(_api.kd_difference)
    seeds, questions, samples = (1,) * (3 - x.ndim) + x.shape
    check(lib.kd_paired_bootstrap(ctx._pointer, x.ctypes.data_as(POINTER(c_int32)), y.ctypes.data_as(POINTER(c_int32)), seeds, questions, samples, resamples,
                                  seed, byref(made)))
    return as_dict(made)


def recovery(student: float, baseline: float, teacher: float) -> float:
    return lib.kd_recovery(student, baseline, teacher)


def text_metric(ctx: Context, kind: int, texts: Sequence[str], references: Sequence[str]) -> float:
    """TEXT_BLEU, TEXT_CHRF, TEXT_ROUGE_L, TEXT_F1 or TEXT_EXACT."""
    value, count = c_double(), len(texts)
    check(lib.kd_text_metric(ctx._pointer, kind, (c_char_p * count)(*[t.encode() for t in texts]), (c_char_p * count)(*[t.encode() for t in references]), count,
                             byref(value)))
    return value.value


def generation_speed(model, **values) -> Dict:
    """Options of kd_speed_options."""
    made = filled(_api.kd_speed)
    check(lib.kd_generation_speed(model._pointer, byref(options(_api.kd_speed_options, "kd_speed_options_init", values)), byref(made)))
    return as_dict(made)


def model_facts(model) -> Dict:
    made = filled(_api.kd_model_facts)
    check(lib.kd_model_get_facts(model._pointer, byref(made)))
    return as_dict(made)
