"""The handles as classes. A method's C function is named after it: Loss.add is kd_loss_add; `help(kdistill.lib.kd_loss_add)` shows the
header's text."""
import ctypes
import json
from ctypes import byref, c_char_p, c_double, c_int32, c_int64, c_uint64, c_void_p
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy

from . import _api
from ._arrays import describe, fresh, view
from ._base import Handle, _guarded, _handles, _make
from ._language import LanguageModel, ready_config
from ._library import Error, as_dict, check, filled, lib, options


class Context(Handle):
    """kd_context: memory, threads, log, seed, BLAS. blas_threads=1 (the default) makes products fast and their bits the same for any number
    of threads; it changes BLAS's setting for the whole process; None leaves it alone."""

    _free = "kd_context_free"

    def __init__(self, blas_threads: Optional[int] = 1, log=None, progress=None, matmul=None, **values):
        made = options(_api.kd_context_options, "kd_context_options_init", values)
        self._callbacks = []
        if log:
            made.logger = self._keep(_api.kd_logger, level=3, log=lambda user, level, line: log(level, line.decode()))
        if progress:
            made.progress = self._keep(_api.kd_progress, progress=_guarded(lambda user, stage, done, total: progress(stage.decode(), done, total), 1))
        if matmul:
            made.matmul = self._keep(_api.kd_matmul, matmul=_guarded(lambda user, *rest: matmul(*rest), _api.KD_ERR_CALLBACK))
        super().__init__(_make(lib.kd_context_create, byref(made)))
        if blas_threads is not None:
            self.set_blas_threads(blas_threads)

    def _keep(self, kind, **members):
        made = filled(kind)
        for name, value in members.items():
            if callable(value):
                value = dict(kind._fields_)[name](value)
            setattr(made, name, value)
        self._callbacks.append(made)
        return ctypes.pointer(made)

    def info(self) -> Dict:
        made = filled(_api.kd_context_info)
        check(lib.kd_context_get_info(self._pointer, byref(made)))
        return {key: value.decode() if isinstance(value, bytes) else value for key, value in as_dict(made).items()}

    def set_blas_threads(self, threads: int) -> None:
        check(lib.kd_context_set_blas_threads(self._pointer, threads))

    def measure_products(self) -> Tuple[float, float]:
        """Operations a second of a product in float32 and in bfloat16."""
        float32, bfloat16 = ctypes.c_double(), ctypes.c_double()
        check(lib.kd_context_measure_products(self._pointer, byref(float32), byref(bfloat16)))
        return float32.value, bfloat16.value

    def cancel(self, on: bool = True) -> None:
        check(lib.kd_context_cancel(self._pointer, on))

    def matmul(self, a: numpy.ndarray, b: numpy.ndarray) -> numpy.ndarray:
        """a @ b in float32 as the library computes it."""
        a, b = (numpy.ascontiguousarray(x, dtype=numpy.float32) for x in (a, b))
        c = numpy.empty((a.shape[0], b.shape[1]), numpy.float32)
        pointer = ctypes.POINTER(ctypes.c_float)
        check(lib.kd_context_matmul(self._pointer, 0, 0, a.shape[0], b.shape[1], a.shape[1], 1, a.ctypes.data_as(pointer), a.shape[1],
                                    b.ctypes.data_as(pointer), b.shape[1], 0, c.ctypes.data_as(pointer), c.shape[1]))
        return c

    # ---- everything that a context makes ----
    def dataset(self, **fields) -> "Dataset":
        """A dataset of named arrays (copied)."""
        made = Dataset(_make(lib.kd_dataset_create, self._pointer, byref(options(_api.kd_dataset_options, "kd_dataset_options_init", {}))), self)
        for name, values in fields.items():
            made.add(name, values)
        return made

    def load_idx(self, folder: str, part: str) -> "Dataset":
        return Dataset(_make(lib.kd_dataset_load_idx, self._pointer, str(folder).encode(), part.encode(), None), self)

    def load_csv(self, path: str, separator: str = ",", **values) -> "Dataset":
        made = options(_api.kd_csv_options, "kd_csv_options_init", dict(values, separator=ord(separator)))
        return Dataset(_make(lib.kd_dataset_load_csv, self._pointer, str(path).encode(), byref(made)), self)

    def batch(self) -> "Batch":
        return Batch(_make(lib.kd_batch_create, self._pointer, byref(options(_api.kd_batch_options, "kd_batch_options_init", {}))), self)

    def targets(self) -> "Targets":
        return Targets(_make(lib.kd_targets_create, self._pointer, byref(options(_api.kd_targets_options, "kd_targets_options_init", {}))), self)

    def model(self, config: Union[str, Dict], **values) -> "Model":
        text = config if isinstance(config, str) else json.dumps(config)
        made = options(_api.kd_model_options, "kd_model_options_init", values)
        return Model(_make(lib.kd_model_create, self._pointer, text.encode(), byref(made)), self)

    def load_model(self, folder: str, **values) -> "Model":
        made = options(_api.kd_model_options, "kd_model_options_init", values)
        return Model(_make(lib.kd_model_load, self._pointer, str(folder).encode(), byref(made)), self)

    def model_memory(self, config: Union[str, Dict], **values) -> Dict:
        text = config if isinstance(config, str) else json.dumps(config)
        made, plan = options(_api.kd_model_options, "kd_model_options_init", values), filled(_api.kd_model_memory_info)
        check(lib.kd_model_memory(self._pointer, text.encode(), byref(made), byref(plan)))
        return as_dict(plan)

    def teacher(self, keys: Optional[numpy.ndarray] = None, **values) -> "Teacher":
        made = options(_api.kd_teacher_options, "kd_teacher_options_init", values)
        return Teacher(_make(lib.kd_teacher_create, self._pointer, None if keys is None else byref(describe(keys)), byref(made)), self)

    def teacher_from_function(self, read, **values) -> "Teacher":
        """A teacher that Python answers for: read(batch, targets)."""
        made, callbacks = options(_api.kd_teacher_options, "kd_teacher_options_init", values), filled(_api.kd_teacher_callbacks)
        kinds = dict(_api.kd_teacher_callbacks._fields_)
        callbacks.read = kinds["read"](_guarded(lambda user, batch, targets: read(_Borrowed(Batch, batch), _Borrowed(Targets, targets)), _api.KD_ERR_CALLBACK))
        return Teacher(_make(lib.kd_teacher_from_callbacks, self._pointer, byref(callbacks), byref(made)), self, callbacks)

    def tokenizer(self, path: str) -> "Tokenizer":
        """A folder with tokenizer.json, or such a file."""
        return load_tokenizer(self, path)

    def store(self, *paths: str, **values) -> "Store":
        """Opens files or folders of shards as one store; options of kd_store_open_options, tokens and exceptions as lists."""
        return open_store(self, paths, values)

    def store_writer(self, path: str, fields: Sequence[Dict], **values) -> "StoreWriter":
        """A new shard, or one that is continued (append=1); fields are dicts of kd_store_field, options those of kd_store_options."""
        return create_store(self, path, fields, values)

    def open_teacher(self, path: str, **values) -> "Teacher":
        """A teacher on a store in one call."""
        made = options(_api.kd_teacher_options, "kd_teacher_options_init", values)
        return Teacher(_make(lib.kd_teacher_open, self._pointer, str(path).encode(), byref(made)), self)

    def ensemble(self, teachers: Sequence["Teacher"], weights: Optional[Sequence[float]] = None, **values) -> "Teacher":
        made = options(_api.kd_ensemble_options, "kd_ensemble_options_init", values)
        if weights is not None:
            made.weights = (c_double * len(weights))(*weights)
        return Teacher(_make(lib.kd_teacher_from_ensemble, self._pointer, _handles(teachers), len(teachers), byref(made)), self, *teachers)

    def loss(self, **values) -> "Loss":
        return Loss(_make(lib.kd_loss_create, self._pointer, byref(options(_api.kd_loss_options, "kd_loss_options_init", values))), self)

    def optimizer(self, kind: int, *models: "Model", **values) -> "Optimizer":
        made = options(_api.kd_optimizer_options, "kd_optimizer_options_init", values)
        optimizer = Optimizer(_make(lib.kd_optimizer_create, self._pointer, kind, byref(made)), self)
        for model in models:
            optimizer.add_model(model)
        return optimizer

    def metrics(self, classes: int, **values) -> "Metrics":
        made = options(_api.kd_metrics_options, "kd_metrics_options_init", values)
        return Metrics(_make(lib.kd_metrics_create, self._pointer, classes, byref(made)), self)

    def report(self) -> "Report":
        return Report(_make(lib.kd_report_create, self._pointer), self)

    def checkpoint(self, **values) -> "Checkpoint":
        made = options(_api.kd_checkpoint_options, "kd_checkpoint_options_init", values)
        return Checkpoint(_make(lib.kd_checkpoint_create, self._pointer, byref(made)), self)

    # ---- schedules ----
    def constant(self, value: float) -> "Schedule":
        return Schedule(_make(lib.kd_schedule_constant, self._pointer, value), self)

    def linear(self, start: float, end: float, steps: int) -> "Schedule":
        return Schedule(_make(lib.kd_schedule_linear, self._pointer, start, end, steps), self)

    def cosine(self, start: float, end: float, steps: int) -> "Schedule":
        return Schedule(_make(lib.kd_schedule_cosine, self._pointer, start, end, steps), self)

    def exponential(self, start: float, end: float, steps: int) -> "Schedule":
        return Schedule(_make(lib.kd_schedule_exponential, self._pointer, start, end, steps), self)

    def polynomial(self, start: float, end: float, steps: int, power: float) -> "Schedule":
        return Schedule(_make(lib.kd_schedule_polynomial, self._pointer, start, end, steps, power), self)

    def step(self, value: float, factor: float, every: int) -> "Schedule":
        return Schedule(_make(lib.kd_schedule_step, self._pointer, value, factor, every), self)

    def inverse_sqrt(self, value: float, warmup: int) -> "Schedule":
        return Schedule(_make(lib.kd_schedule_inverse_sqrt, self._pointer, value, warmup), self)

    def wsd(self, value: float, floor: float, warmup: int, stable: int, decay: int) -> "Schedule":
        return Schedule(_make(lib.kd_schedule_wsd, self._pointer, value, floor, warmup, stable, decay), self)

    def piecewise(self, points: Sequence[Tuple[int, float]]) -> "Schedule":
        steps, values = (c_int64 * len(points))(*[p[0] for p in points]), (c_double * len(points))(*[p[1] for p in points])
        return Schedule(_make(lib.kd_schedule_piecewise, self._pointer, steps, values, len(points)), self)

    def product(self, *parts: "Schedule") -> "Schedule":
        return Schedule(_make(lib.kd_schedule_product, self._pointer, _handles(parts), len(parts)), self, *parts)

    def sequence(self, *parts: Tuple[int, "Schedule"]) -> "Schedule":
        """sequence((0, warm_up), (100, cosine))"""
        starts = (c_int64 * len(parts))(*[p[0] for p in parts])
        return Schedule(_make(lib.kd_schedule_sequence, self._pointer, _handles([p[1] for p in parts]), starts, len(parts)), self)

    def plateau(self, **values) -> "Schedule":
        return Schedule(_make(lib.kd_schedule_plateau, self._pointer, byref(options(_api.kd_plateau_options, "kd_plateau_options_init", values))), self)

    def taid(self, **values) -> "Schedule":
        """TAID's t: report the term's loss each step. `from` is given as start=."""
        if "start" in values:
            values["from"] = values.pop("start")
        return Schedule(_make(lib.kd_schedule_taid, self._pointer, byref(options(_api.kd_taid_options, "kd_taid_options_init", values))), self)


def _Borrowed(kind, pointer):
    """A handle that somebody else frees."""
    made = kind.__new__(kind)
    made._pointer, made._alive = c_void_p(pointer), []
    made.close = lambda: None
    return made


class Dataset(Handle):
    """kd_dataset: named fields over samples."""

    _free = "kd_dataset_free"

    @staticmethod
    def _options(scale: float, shift: float, present) -> _api.kd_field_options:
        made = options(_api.kd_field_options, "kd_field_options_init", {"scale": scale, "shift": shift})
        if present is not None:
            made.present = ctypes.pointer(describe(present))
        return made

    def add(self, name: str, values, scale: float = 1, shift: float = 0, present=None) -> "Dataset":
        check(lib.kd_dataset_add(self._pointer, name.encode(), byref(describe(values)), byref(self._options(scale, shift, present))))
        return self

    def borrow(self, name: str, values: numpy.ndarray, scale: float = 1, shift: float = 0, present=None) -> "Dataset":
        """As add, without a copy: the array stays alive with the dataset and must not change."""
        check(lib.kd_dataset_borrow(self._pointer, name.encode(), byref(describe(values)), byref(self._options(scale, shift, present))))
        self._alive.append(values)
        return self

    def add_file(self, name: str, path: str, scale: float = 1, shift: float = 0) -> "Dataset":
        check(lib.kd_dataset_add_file(self._pointer, name.encode(), str(path).encode(), byref(self._options(scale, shift, None))))
        return self

    def select(self, indices) -> "Dataset":
        return Dataset(_make(lib.kd_dataset_select, self._pointer, byref(describe(numpy.asarray(indices, dtype=numpy.int64)))), *self._alive)

    def concat(self, *others: "Dataset") -> "Dataset":
        parts = (self,) + others
        return Dataset(_make(lib.kd_dataset_concat, _handles(parts), len(parts)), *self._alive)

    def pseudo_label(self, teacher: "Teacher", **values) -> Tuple["Dataset", Dict]:
        made, counts = options(_api.kd_pseudo_label_options, "kd_pseudo_label_options_init", values), filled(_api.kd_pseudo_label_counts)
        labelled = _make(lib.kd_dataset_pseudo_label, self._pointer, teacher._pointer, byref(made), byref(counts))
        return Dataset(labelled, *self._alive), as_dict(counts)

    def __len__(self) -> int:
        count = c_int64()
        check(lib.kd_dataset_samples(self._pointer, byref(count)))
        return count.value

    @property
    def fields(self) -> List[str]:
        count, name = c_int32(), c_char_p()
        check(lib.kd_dataset_fields(self._pointer, byref(count)))
        names = []
        for i in range(count.value):
            check(lib.kd_dataset_field_name(self._pointer, i, byref(name)))
            names.append(name.value.decode())
        return names

    def field(self, name: str) -> numpy.ndarray:
        values = fresh()
        check(lib.kd_dataset_field(self._pointer, name.encode(), byref(values), None))
        return view(values, self)

    def present(self, name: str) -> Optional[numpy.ndarray]:
        present = fresh()
        check(lib.kd_dataset_field(self._pointer, name.encode(), None, byref(present)))
        return view(present, self)

    def key(self, sample: int) -> Tuple[int, int]:
        key = (c_uint64 * 2)()
        check(lib.kd_dataset_key(self._pointer, sample, key))
        return key[0], key[1]

    def loader(self, **values) -> "Loader":
        made = options(_api.kd_loader_options, "kd_loader_options_init", values)
        return Loader(_make(lib.kd_loader_create, self._pointer, byref(made)), self)


class Loader(Handle):
    """kd_loader. `for batch in loader.into(batch)` goes over `epochs` passes."""

    _free = "kd_loader_free"

    def next(self, batch: "Batch") -> bool:
        """Fills the batch; False at the end of the passes."""
        return check(lib.kd_loader_next(self._pointer, batch._pointer)) == _api.KD_OK

    def into(self, batch: "Batch") -> Iterator["Batch"]:
        while self.next(batch):
            yield batch

    def position(self) -> Tuple[int, int, int]:
        """(epoch, samples given out in it, batches in a pass)"""
        numbers = [c_int64() for _ in range(3)]
        check(lib.kd_loader_position(self._pointer, *[byref(n) for n in numbers]))
        return tuple(n.value for n in numbers)

    def seek(self, epoch: int) -> None:
        check(lib.kd_loader_seek(self._pointer, epoch))


class _Fields(Handle):
    _kind = ""

    def _call(self, what: str):
        return getattr(lib, f"kd_{self._kind}_{what}")

    def set(self, name: str, values, present=None):
        check(self._call("set")(self._pointer, name.encode(), byref(describe(values)), None if present is None else byref(describe(present))))
        return self

    def borrow(self, name: str, values: numpy.ndarray, present=None):
        """As set, without a copy: contiguous float32 or int64, kept alive by this object."""
        check(self._call("borrow")(self._pointer, name.encode(), byref(describe(values)), None if present is None else byref(describe(present))))
        self._alive.append((values, present))
        return self

    def field(self, name: str) -> numpy.ndarray:
        values = fresh()
        check(self._call("field")(self._pointer, name.encode(), byref(values), None))
        return view(values, self)

    def present(self, name: str) -> Optional[numpy.ndarray]:
        present = fresh()
        check(self._call("field")(self._pointer, name.encode(), None, byref(present)))
        return view(present, self)


class Batch(_Fields):
    """kd_batch: what one step sees."""

    _free, _kind = "kd_batch_free", "batch"

    def begin(self, samples: int) -> "Batch":
        check(lib.kd_batch_begin(self._pointer, samples))
        del self._alive[1:]
        return self

    def begin_packed(self, offsets) -> "Batch":
        check(lib.kd_batch_begin_packed(self._pointer, byref(describe(numpy.asarray(offsets, dtype=numpy.int64)))))
        del self._alive[1:]
        return self

    def size(self) -> Tuple[int, int]:
        """(samples, rows)"""
        samples, rows = c_int64(), c_int64()
        check(lib.kd_batch_size(self._pointer, byref(samples), byref(rows)))
        return samples.value, rows.value

    def offsets(self) -> numpy.ndarray:
        made = fresh()
        check(lib.kd_batch_offsets(self._pointer, byref(made)))
        return view(made, self)

    def samples(self) -> Tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """(numbers, keys, views)"""
        made = [fresh() for _ in range(3)]
        check(lib.kd_batch_samples(self._pointer, *[byref(m) for m in made]))
        return tuple(view(m, self) for m in made)

    def set_samples(self, numbers=None, keys=None, views=None) -> "Batch":
        check(lib.kd_batch_set_samples(self._pointer, *[None if x is None else byref(describe(x)) for x in (numbers, keys, views)]))
        return self


class Targets(_Fields):
    """kd_targets: what a teacher said about one batch."""

    _free, _kind = "kd_targets_free", "targets"

    def begin(self, rows: int) -> "Targets":
        check(lib.kd_targets_begin(self._pointer, rows))
        del self._alive[1:]
        return self

    def set_sparse(self, field: str, ids, values, offsets=None, tail=None, temperatures=None, tails=None, entropy=None, present=None,
                   **numbers) -> "Targets":
        """A sparse field: ids and values (rows, k), or flat with offsets; kind, vocabulary, temperature as in kd_sparse."""
        made = options(_api.kd_sparse, "kd_sparse_init", numbers)
        arrays = {"ids": ids, "values": values, "offsets": offsets, "tail": tail, "temperatures": temperatures, "tails": tails, "entropy": entropy}
        for name, array in arrays.items():
            if array is not None:
                setattr(made, name, ctypes.pointer(describe(array)))
        check(lib.kd_targets_set_sparse(self._pointer, field.encode(), byref(made), None if present is None else byref(describe(present))))
        return self

    def sparse(self, field: str) -> Dict[str, numpy.ndarray]:
        """Views: offsets, ids, values, tail, present (None: every row)."""
        made = [fresh() for _ in range(5)]
        check(lib.kd_targets_sparse(self._pointer, field.encode(), *[byref(m) for m in made]))
        return dict(zip(("offsets", "ids", "values", "tail", "present"), [view(m, self) for m in made]))

    def select(self, field: str, logits, k: int, mass: float = 0, temperature: float = 1, further=None) -> "Targets":
        check(lib.kd_targets_select(self._pointer, field.encode(), byref(describe(logits)), k, mass, temperature,
                                    None if further is None else byref(describe(further))))
        return self

    def sample(self, field: str, logits, draws: int, temperature: float = 1, seed: int = 0) -> "Targets":
        check(lib.kd_targets_sample(self._pointer, field.encode(), byref(describe(logits)), draws, temperature, seed))
        return self

    def borrow_head(self, name: str, hidden: str, head: "Head") -> "Targets":
        """The field `name` is the field `hidden` through the head; the head stays alive with this object."""
        check(lib.kd_targets_borrow_head(self._pointer, name.encode(), hidden.encode(), byref(head._made)))
        self._alive.append(head)
        return self

    def align(self, source: "Targets", field: str, chunks: numpy.ndarray, student_begin: int = 0, teacher_begin: int = 0) -> int:
        """Moves a field onto this object's rows by chunks (align_bytes); returns the number of rows without a partner."""
        absent = c_int64()
        check(lib.kd_targets_align(self._pointer, source._pointer, field.encode(), byref(describe(chunks)), len(chunks), student_begin, teacher_begin,
                                   byref(absent)))
        return absent.value


class Head:
    """kd_head: weight (V, d), bias, gradients, scale, soft_cap, skip_bound."""

    def __init__(self, weight: numpy.ndarray, bias=None, weight_gradient=None, bias_gradient=None, **numbers):
        self._made = options(_api.kd_head, "kd_head_init", numbers)
        self._keep = {"weight": weight, "bias": bias, "weight_gradient": weight_gradient, "bias_gradient": bias_gradient}
        for name, array in self._keep.items():
            if array is not None:
                setattr(self._made, name, ctypes.pointer(describe(array)))


def align_bytes(student_ends, teacher_ends) -> numpy.ndarray:
    """(chunks, 4): student begin, end, teacher begin, end in tokens (kd_align_bytes)."""
    student_ends, teacher_ends = (numpy.ascontiguousarray(x, dtype=numpy.int64) for x in (student_ends, teacher_ends))
    chunks, count = numpy.zeros((min(len(student_ends), len(teacher_ends)), 4), numpy.int64), c_int64()
    check(lib.kd_align_bytes(byref(describe(student_ends)), byref(describe(teacher_ends)), byref(describe(chunks)), byref(count)))
    return chunks[:count.value]


def chunk_sums(log_probabilities, chunks: numpy.ndarray, teacher: bool = False) -> numpy.ndarray:
    """Log-probabilities of the chunks (kd_chunk_sums)."""
    values, sums = numpy.ascontiguousarray(log_probabilities, dtype=numpy.float32), numpy.zeros(len(chunks))
    check(lib.kd_chunk_sums(byref(describe(values)), byref(describe(numpy.ascontiguousarray(chunks))), len(chunks), 2 if teacher else 0, byref(describe(sums))))
    return sums


class Teacher(Handle):
    """kd_teacher: arrays (Context.teacher), a live model (Model.as_teacher), an ensemble, or a Python function."""

    _free = "kd_teacher_free"

    def add(self, field: str, values) -> "Teacher":
        check(lib.kd_teacher_add(self._pointer, field.encode(), byref(describe(values))))
        return self

    def borrow(self, field: str, values: numpy.ndarray) -> "Teacher":
        check(lib.kd_teacher_borrow(self._pointer, field.encode(), byref(describe(values))))
        self._alive.append(values)
        return self

    def read(self, batch: Batch, targets: Targets) -> Targets:
        check(lib.kd_teacher_read(self._pointer, batch._pointer, targets._pointer))
        return targets

    def collect(self, dataset: Dataset, batch_size: int = 256) -> "Teacher":
        return Teacher(_make(lib.kd_teacher_collect, self._pointer, dataset._pointer, batch_size), *self._alive)

    def field(self, name: str) -> numpy.ndarray:
        values = fresh()
        check(lib.kd_teacher_field(self._pointer, name.encode(), byref(values)))
        return view(values, self)


class Model(LanguageModel, Handle):
    """kd_model: a network."""

    _free = "kd_model_free"

    def save(self, folder: str, **values) -> None:
        made = options(_api.kd_model_save_options, "kd_model_save_options_init", values)
        check(lib.kd_model_save(self._pointer, str(folder).encode(), byref(made)))

    def forward(self, batch: Batch, train: bool = True) -> "Model":
        check(lib.kd_model_forward(self._pointer, batch._pointer, _api.KD_TRAIN if train else _api.KD_EVALUATE))
        return self

    def output(self, name: str = "logits") -> numpy.ndarray:
        values = fresh()
        check(lib.kd_model_output(self._pointer, name.encode(), byref(values)))
        return view(values, self)

    def add_output_gradient(self, name: str, gradient: numpy.ndarray) -> None:
        check(lib.kd_model_add_output_gradient(self._pointer, name.encode(), byref(describe(gradient))))

    def backward(self) -> None:
        check(lib.kd_model_backward(self._pointer))

    def zero_gradients(self) -> None:
        check(lib.kd_model_zero_gradients(self._pointer))

    def predict(self, dataset: Dataset, output: str = "logits", batch_size: int = 256, width: Optional[int] = None) -> numpy.ndarray:
        """One output for every sample; `width` is needed for outputs other than "logits"."""
        if width is None:
            width = self.tensors()[-1][1].shape[0]
        values = numpy.empty((len(dataset), width), numpy.float32)
        check(lib.kd_model_predict(self._pointer, dataset._pointer, output.encode(), batch_size, byref(describe(values))))
        return values

    @property
    def parameters(self) -> numpy.ndarray:
        values = fresh()
        check(lib.kd_model_parameters(self._pointer, byref(values)))
        return view(values, self)

    @property
    def gradients(self) -> numpy.ndarray:
        values = fresh()
        check(lib.kd_model_gradients(self._pointer, byref(values)))
        return view(values, self)

    def tensors(self) -> List[Tuple[str, numpy.ndarray]]:
        """Names and views, in order."""
        count, name, values, found = c_int32(), c_char_p(), fresh(), []
        check(lib.kd_model_tensors(self._pointer, byref(count)))
        for i in range(count.value):
            check(lib.kd_model_tensor(self._pointer, i, byref(name), byref(values)))
            found.append((name.value.decode(), view(values, self)))
        return found

    def tensor_gradient(self, index: int) -> numpy.ndarray:
        values = fresh()
        check(lib.kd_model_tensor_gradient(self._pointer, index, byref(values)))
        return view(values, self)

    def freeze(self, pattern: str, on: bool = True) -> None:
        check(lib.kd_model_freeze(self._pointer, pattern.encode(), on))

    @property
    def config(self) -> Dict:
        text = c_char_p()
        check(lib.kd_model_config(self._pointer, byref(text)))
        return json.loads(text.value)

    def copy_parameters(self, other: "Model") -> None:
        check(lib.kd_model_copy_parameters(self._pointer, other._pointer))

    def as_teacher(self, **values) -> Teacher:
        made = options(_api.kd_teacher_options, "kd_teacher_options_init", values)
        return Teacher(_make(lib.kd_teacher_from_model, self._pointer, byref(made)), self)

    def monitor(self, **values) -> "Monitor":
        return Monitor(_make(lib.kd_monitor_create, self._pointer, byref(options(_api.kd_monitor_options, "kd_monitor_options_init", values))), self)

    def latency(self, batch_size: int = 1, seconds: float = 0.2) -> Dict:
        made = filled(_api.kd_latency)
        check(lib.kd_metrics_latency(self._pointer, batch_size, seconds, byref(made)))
        return as_dict(made)


class Loss(Handle):
    """kd_loss: a weighted sum of terms."""

    _free = "kd_loss_free"
    NUMBERS = {"temperature": _api.KD_TEMPERATURE, "weight": _api.KD_WEIGHT, "label_smoothing": _api.KD_LABEL_SMOOTHING,
               "teacher_share": _api.KD_TEACHER_SHARE, "dkd_alpha": _api.KD_DKD_ALPHA, "dkd_beta": _api.KD_DKD_BETA, "huber_delta": _api.KD_HUBER_DELTA,
               "skew": _api.KD_SKEW, "ab_alpha": _api.KD_AB_ALPHA, "ab_beta": _api.KD_AB_BETA, "head_mass": _api.KD_HEAD_MASS,
               "progress": _api.KD_PROGRESS, "confidence_power": _api.KD_CONFIDENCE_POWER}

    def add(self, kind: int, weight: float = 1, **values) -> int:
        """Adds a term and returns its number."""
        made, term = options(_api.kd_term_options, "kd_term_options_init", values), c_int32()
        check(lib.kd_loss_add(self._pointer, kind, weight, byref(made), byref(term)))
        return term.value

    def set(self, term: int, **numbers: float) -> None:
        """loss.set(soft, temperature=2, weight=0.5)"""
        for name, value in numbers.items():
            check(lib.kd_loss_set(self._pointer, term, self.NUMBERS[name], value))

    def share(self, term: int, teacher_of: Optional[Sequence[int]], teacher_classes: int = 0) -> None:
        """ULD: the teacher's class of each student class, -1 for none; None: plain ULD again."""
        classes = None if teacher_of is None else describe(numpy.ascontiguousarray(teacher_of, numpy.int64))
        check(lib.kd_loss_set_shared(self._pointer, term, byref(classes) if classes is not None else None, teacher_classes))

    def get(self, term: int, name: str) -> float:
        value = c_double()
        check(lib.kd_loss_get(self._pointer, term, self.NUMBERS[name], byref(value)))
        return value.value

    @classmethod
    def bounds(cls, name: str) -> Tuple[float, float]:
        low, high = c_double(), c_double()
        check(lib.kd_loss_bounds(cls.NUMBERS[name], byref(low), byref(high)))
        return low.value, high.value

    def term(self, term: int) -> Tuple[int, Dict]:
        """(kind, options) as they are now."""
        kind, made = c_int32(), filled(_api.kd_term_options)
        check(lib.kd_loss_term(self._pointer, term, byref(kind), byref(made)))
        return kind.value, {key: value.decode() if isinstance(value, bytes) else value for key, value in as_dict(made).items()}

    def count(self, batch: Batch, targets: Optional[Targets] = None) -> _api.kd_loss_counts:
        counts = filled(_api.kd_loss_counts)
        check(lib.kd_loss_count(self._pointer, batch._pointer, targets._pointer if targets else None, byref(counts)))
        return counts

    @staticmethod
    def _result(made) -> Dict:
        n = made.terms
        return {"value": made.value, "sum": list(made.sum[:n]), "rows": list(made.rows[:n]), "skipped": list(made.skipped[:n]),
                "skipped_share": made.skipped_share, "dw_error_bound": made.dw_error_bound, "dh_error_bound": made.dh_error_bound}

    def _on_model(self, function, model, batch, targets, counts) -> Dict:
        made = filled(_api.kd_loss_result)
        check(function(self._pointer, model._pointer, batch._pointer, targets._pointer if targets else None, byref(counts) if counts else None, byref(made)))
        return self._result(made)

    def backward(self, model: Model, batch: Batch, targets: Optional[Targets] = None, counts=None) -> Dict:
        return self._on_model(lib.kd_loss_backward, model, batch, targets, counts)

    def value(self, model: Model, batch: Batch, targets: Optional[Targets] = None, counts=None) -> Dict:
        return self._on_model(lib.kd_loss_value, model, batch, targets, counts)

    def eval(self, outputs: Dict[str, numpy.ndarray], batch: Batch, targets: Optional[Targets] = None, counts=None,
             gradients: Optional[Dict[str, numpy.ndarray]] = None, accumulate: bool = False, heads: Optional[Dict[str, "Head"]] = None) -> Dict:
        """The loss alone on numpy arrays; gradients are written into the arrays given. An output with a head is given as hidden states."""
        entries, keep = (_api.kd_loss_output * len(outputs))(), []
        for entry, (name, values) in zip(entries, outputs.items()):
            entry.struct_size, entry.accumulate, entry.name = ctypes.sizeof(_api.kd_loss_output), accumulate, name.encode()
            keep.append(describe(values))
            entry.value = ctypes.pointer(keep[-1])
            if gradients and name in gradients:
                keep.append(describe(gradients[name]))
                entry.gradient = ctypes.pointer(keep[-1])
            if heads and name in heads:
                entry.head = ctypes.pointer(heads[name]._made)
        made = filled(_api.kd_loss_result)
        check(lib.kd_loss_eval(self._pointer, entries, len(entries), batch._pointer, targets._pointer if targets else None,
                               byref(counts) if counts else None, byref(made)))
        return self._result(made)

    def memory(self, rows: int, classes: int, student_width: int = 0, teacher_width: int = 0) -> Tuple[int, int]:
        """(bytes beyond the caller's arrays, rows that go through a head at once); widths of hidden states, 0: logits are given."""
        size, block = c_int64(), c_int64()
        check(lib.kd_loss_memory(self._pointer, rows, classes, student_width, teacher_width, byref(size), byref(block)))
        return size.value, block.value

    def set_diagnostics(self, on: bool = True) -> None:
        check(lib.kd_loss_set_diagnostics(self._pointer, on))

    def diagnostics(self, term: int) -> Dict:
        made = filled(_api.kd_loss_diagnostics)
        check(lib.kd_loss_get_diagnostics(self._pointer, term, byref(made)))
        return as_dict(made)


def counts_add(counts: _api.kd_loss_counts, more: _api.kd_loss_counts) -> None:
    """counts += more (kd_loss_counts_add)"""
    check(lib.kd_loss_counts_add(byref(counts), byref(more)))


class Schedule(Handle):
    """kd_schedule: call it with a step."""

    _free = "kd_schedule_free"

    def __call__(self, step: int) -> float:
        return lib.kd_schedule_value(self._pointer, step)

    def report(self, metric: float) -> None:
        check(lib.kd_schedule_report(self._pointer, metric))

    @property
    def state(self) -> List[float]:
        count = c_int32()
        check(lib.kd_schedule_get_state(self._pointer, None, byref(count)))
        values = (c_double * max(1, count.value))()
        check(lib.kd_schedule_get_state(self._pointer, values, byref(count)))
        return list(values[:count.value])

    @state.setter
    def state(self, values: Sequence[float]) -> None:
        check(lib.kd_schedule_set_state(self._pointer, (c_double * max(1, len(values)))(*values), len(values)))


class Optimizer(Handle):
    """kd_optimizer."""

    _free = "kd_optimizer_free"
    NUMBERS = {"gradient_scale": _api.KD_GRADIENT_SCALE, "weight_decay": _api.KD_WEIGHT_DECAY, "clip_norm": _api.KD_CLIP_NORM,
               "clip_value": _api.KD_CLIP_VALUE, "max_norm": _api.KD_MAX_NORM, "momentum": _api.KD_MOMENTUM, "average_decay": _api.KD_AVERAGE_DECAY}

    def add_model(self, model: Model) -> None:
        check(lib.kd_optimizer_add_model(self._pointer, model._pointer))

    def borrow_array(self, name: str, values: numpy.ndarray, gradients: numpy.ndarray) -> None:
        check(lib.kd_optimizer_borrow_array(self._pointer, name.encode(), byref(describe(values)), byref(describe(gradients))))
        self._alive.append((values, gradients))

    def group(self, pattern: str, **values) -> None:
        check(lib.kd_optimizer_group(self._pointer, pattern.encode(), byref(options(_api.kd_group_options, "kd_group_options_init", values))))

    def step(self, learning_rate: float) -> None:
        check(lib.kd_optimizer_step(self._pointer, learning_rate))

    def begin_step(self, learning_rate: float) -> None:
        """Before the backward pass, which then updates layer by layer; step() with the same rate does the rest."""
        check(lib.kd_optimizer_begin_step(self._pointer, learning_rate))

    def set(self, **numbers: float) -> None:
        for name, value in numbers.items():
            check(lib.kd_optimizer_set(self._pointer, self.NUMBERS[name], value))

    def get(self, name: str) -> float:
        value = c_double()
        check(lib.kd_optimizer_get(self._pointer, self.NUMBERS[name], byref(value)))
        return value.value

    @classmethod
    def bounds(cls, name: str) -> Tuple[float, float]:
        low, high = c_double(), c_double()
        check(lib.kd_optimizer_bounds(cls.NUMBERS[name], byref(low), byref(high)))
        return low.value, high.value

    def info(self) -> Dict:
        made = filled(_api.kd_optimizer_info)
        check(lib.kd_optimizer_get_info(self._pointer, byref(made)))
        return as_dict(made)

    def swap_average(self) -> None:
        check(lib.kd_optimizer_swap_average(self._pointer))


class Monitor(Handle):
    """kd_monitor: early stopping and the best parameters."""

    _free = "kd_monitor_free"

    def report(self, metric: float) -> Tuple[bool, bool]:
        """(improved, stop)"""
        verdict = c_int32()
        check(lib.kd_monitor_report(self._pointer, metric, byref(verdict)))
        return bool(verdict.value & _api.KD_MONITOR_IMPROVED), bool(verdict.value & _api.KD_MONITOR_STOP)

    def best(self) -> Tuple[float, int]:
        metric, report = c_double(), c_int64()
        check(lib.kd_monitor_best(self._pointer, byref(metric), byref(report)))
        return metric.value, report.value

    def restore(self) -> None:
        check(lib.kd_monitor_restore(self._pointer))


class Metrics(Handle):
    """kd_metrics."""

    _free = "kd_metrics_free"

    def add(self, logits: numpy.ndarray, labels: numpy.ndarray, teacher_logits: Optional[numpy.ndarray] = None) -> None:
        check(lib.kd_metrics_add(self._pointer, byref(describe(logits)), byref(describe(labels)),
                                 None if teacher_logits is None else byref(describe(teacher_logits))))

    def reset(self) -> None:
        check(lib.kd_metrics_reset(self._pointer))

    def get(self, kind: int) -> Dict:
        made = filled(_api.kd_metric)
        check(lib.kd_metrics_get(self._pointer, kind, byref(made)))
        return as_dict(made)

    def confusion(self) -> numpy.ndarray:
        made = fresh()
        check(lib.kd_metrics_confusion(self._pointer, byref(made)))
        return view(made, self)


def mean_error(values: Sequence[float]) -> Tuple[float, float]:
    """(mean, standard error)"""
    mean, error = c_double(), c_double()
    check(lib.kd_mean_error((c_double * len(values))(*values), len(values), byref(mean), byref(error)))
    return mean.value, error.value


class Report(Handle):
    """kd_report: report["student.accuracy"] = 0.9"""

    _free = "kd_report_free"

    def __setitem__(self, name: str, value) -> None:
        if isinstance(value, str):
            check(lib.kd_report_set_text(self._pointer, name.encode(), value.encode()))
        elif numpy.ndim(value):
            check(lib.kd_report_set_numbers(self._pointer, name.encode(), (c_double * len(value))(*value), len(value)))
        else:
            check(lib.kd_report_set_number(self._pointer, name.encode(), value))

    def json(self) -> str:
        text = c_char_p()
        check(lib.kd_report_json(self._pointer, byref(text)))
        return text.value.decode()

    def write(self, path: str) -> None:
        check(lib.kd_report_write(self._pointer, str(path).encode()))

    def cell(self, table: str, row: str, column: str, value: float, standard_error: float = float("nan")) -> None:
        check(lib.kd_report_set_cell(self._pointer, table.encode(), row.encode(), column.encode(), value, standard_error))

    def series(self, picture: str, name: str, x, y, kind: int = _api.KD_PICTURE_LINES) -> None:
        check(lib.kd_report_add_series(self._pointer, picture.encode(), name.encode(), kind, (c_double * len(x))(*x), (c_double * len(y))(*y), min(len(x), len(y))))

    def axes(self, picture: str, x: str, y: str, logarithmic: bool = False) -> None:
        check(lib.kd_report_set_axes(self._pointer, picture.encode(), x.encode(), y.encode(), int(logarithmic)))

    def text(self) -> str:
        text = c_char_p()
        check(lib.kd_report_text(self._pointer, byref(text)))
        return text.value.decode()

    def write_html(self, path: str, title: str) -> None:
        check(lib.kd_report_write_html(self._pointer, str(path).encode(), title.encode()))


class Checkpoint(Handle):
    """kd_checkpoint: register the parts once, then load and save. A bytearray or numpy array holds the host's own numbers."""

    _free = "kd_checkpoint_free"

    def add(self, name: str, part) -> "Checkpoint":
        for kind, function in ((Model, "model"), (Optimizer, "optimizer"), (Loader, "loader"), (Schedule, "schedule"), (Loss, "loss"), (Monitor, "monitor")):
            if isinstance(part, kind):
                check(getattr(lib, "kd_checkpoint_add_" + function)(self._pointer, name.encode(), part._pointer))
                return self
        if not isinstance(part, numpy.ndarray):
            raise TypeError("a part is a model, optimizer, loader, schedule, loss, monitor or numpy array")
        check(lib.kd_checkpoint_borrow_bytes(self._pointer, name.encode(), part.ctypes.data, part.nbytes))
        self._alive.append(part)
        return self

    def save(self, path: str) -> None:
        check(lib.kd_checkpoint_save(self._pointer, str(path).encode()))

    def load(self, path: str) -> bool:
        """False when there is no file yet."""
        status = lib.kd_checkpoint_load(self._pointer, str(path).encode())
        if status == _api.KD_ERR_NOT_FOUND:
            return False
        check(status)
        return True


__all__ = ["Error"]


from ._generator import Generated, Generator, generator_memory  # noqa: E402
from ._tokenizer import Detokenizer, Tokenizer, load_tokenizer  # noqa: E402
from ._store import Store, StoreWriter, create_store, open_store, store_key  # noqa: E402  (it needs the classes above)
