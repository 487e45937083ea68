"""Networks: students and frozen teachers."""

from __future__ import annotations

import ctypes
import json
from ctypes import byref, c_char_p, c_double, c_int32, c_int64
from typing import TYPE_CHECKING, Any

import numpy

from . import _api
from ._arrays import array, reference, view
from ._convert import empty, number_array, options, path_bytes, read, takes
from ._handle import Handle, handle_array, make, pointer_of
from ._library import check, lib
from .block import gguf_options
from .enums import DType, EndToken, LayerChoice, Mode
from .results import GgufInfo, Latency, LatticeInfo, ModelInfo, ModelMemoryInfo, OutputInfo, Speed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self, Unpack

    from ._convert import StrPath
    from .batch import Batch
    from .context import Context
    from .dataset import Dataset
    from .importance import Importance
    from .loss import Loss
    from .options import (
        GgufOptions,
        LatticeOptions,
        LoraOptions,
        ModelOptions,
        ModelSaveOptions,
        SpeedOptions,
        StaticOptions,
        StudentOptions,
    )
    from .tokenizer import Tokenizer

    #: JSON, or what JSON says.
    Config = str | Mapping[str, Any]


def config_bytes(config: Config) -> bytes:
    """A config as C takes it."""
    return (config if isinstance(config, str) else json.dumps(config)).encode()


class Model(Handle):
    """A network with its parameters and gradients.

    Parameters
    ----------
    ctx : Context
    config : str or dict
        JSON with the keys of docs/reference/model.md.
    """

    _free = "kd_model_free"

    @takes(_api.kd_model_options)
    def __init__(self, ctx: Context, config: Config, **options_: Unpack[ModelOptions]) -> None:
        made = options(_api.kd_model_options, options_)
        text = config_bytes(config)
        self._adopt(make(lib.kd_model_create, ctx._pointer, text, byref(made)), ctx)

    @classmethod
    @takes(_api.kd_model_options)
    def load(cls, ctx: Context, folder: StrPath, **options_: Unpack[ModelOptions]) -> Self:
        """Reads a folder (config.json and safetensors) or a GGUF file."""
        made = options(_api.kd_model_options, options_)
        place = path_bytes(folder)
        return cls._wrap(make(lib.kd_model_load, ctx._pointer, place, byref(made)), ctx)

    @classmethod
    @takes(_api.kd_model_options)
    def towers(
        cls,
        ctx: Context,
        config: Config,
        models: Mapping[str, Model] | None = None,
        **options_: Unpack[ModelOptions],
    ) -> Self:
        """Makes towers out of models that exist.

        Parameters
        ----------
        ctx : Context
        config : str or dict
            Of model_type "towers"; a tower out of a model has its own keys there, "input" first of
            all, and none of the network.
        models : dict of Model, optional
            By the tower's name; their weights are copied.
        """
        made, given = options(_api.kd_model_options, options_), models or {}
        names = (c_char_p * len(given))(*[name.encode() for name in given])
        handles = handle_array(list(given.values()))
        at = ctx._pointer, config_bytes(config), names, handles, len(given), byref(made)
        return cls._wrap(make(lib.kd_towers_create, *at), ctx)

    @takes(_api.kd_model_save_options)
    def save_tower(self, name: str, folder: StrPath, **options_: Unpack[ModelSaveOptions]) -> None:
        """Writes one of the model's towers as the folder of a model by itself."""
        made = options(_api.kd_model_save_options, options_)
        at = self._pointer, name.encode(), path_bytes(folder)
        check(lib.kd_towers_save(*at, byref(made)))

    @staticmethod
    @takes(_api.kd_model_options)
    def estimate_memory(
        ctx: Context, config: Config, **options_: Unpack[ModelOptions]
    ) -> ModelMemoryInfo:
        """What a model would take, without making it."""
        made, plan = options(_api.kd_model_options, options_), empty(_api.kd_model_memory_info)
        check(
            lib.kd_model_estimate_memory(
                ctx._pointer, config_bytes(config), byref(made), byref(plan)
            )
        )
        return read(ModelMemoryInfo, plan)

    @takes(_api.kd_model_save_options)
    def save(self, folder: StrPath, **options_: Unpack[ModelSaveOptions]) -> None:
        """Writes a folder that `load` and transformers read."""
        made = options(_api.kd_model_save_options, options_)
        check(lib.kd_model_save(self._pointer, path_bytes(folder), byref(made)))

    # ---- passes ----

    def forward(self, batch: Batch, mode: Mode = Mode.TRAIN) -> Self:
        """Computes the outputs of a batch; Mode.TRAIN: a backward pass may follow."""
        check(lib.kd_model_forward(self._pointer, batch._pointer, mode))
        return self

    def output(self, name: str = "logits") -> NDArray[numpy.float32]:
        """A view (rows, width) of an output of the last forward pass."""
        values = _api.kd_array()
        check(lib.kd_model_output(self._pointer, name.encode(), byref(values)))
        return array(values, self)

    def output_present(self, name: str) -> NDArray[numpy.uint8] | None:
        """Which entries of an output the last pass had something to look at for; None: all.

        Towers have outputs that samples without the modality lack.
        """
        made = _api.kd_array()
        check(lib.kd_model_output_present(self._pointer, name.encode(), byref(made)))
        return view(made, self)

    def keep(self, pattern: str, on: bool = True) -> None:
        """Evaluating passes keep the outputs whose names match (* and ?), or not (False).

        A pass stops after the highest layer that is asked for: `model.keep("*", False)`, then
        `model.keep("hidden.5")`.
        """
        check(lib.kd_model_keep(self._pointer, pattern.encode(), on))

    def output_info(self, name: str) -> OutputInfo:
        """Unit, width and bytes a row of an output, and whether evaluating passes keep it."""
        made = empty(_api.kd_output_info)
        check(lib.kd_model_get_output_info(self._pointer, name.encode(), byref(made)))
        return read(OutputInfo, made)

    def add_output_gradient(self, name: str, gradient: NDArray[numpy.float32]) -> None:
        """Adds the gradient (rows, width) of an output, for `backward`."""
        check(lib.kd_model_add_output_gradient(self._pointer, name.encode(), reference(gradient)))

    def end_rehearsal(self) -> None:
        """Forgets what Mode.REHEARSE passes went through and no Mode.TRAIN pass did."""
        check(lib.kd_model_end_rehearsal(self._pointer))

    def backward(self) -> None:
        """Adds the gradients of all parameters, from those of the outputs."""
        check(lib.kd_model_backward(self._pointer))

    def zero_gradients(self) -> None:
        """Makes all gradients 0."""
        check(lib.kd_model_zero_gradients(self._pointer))

    def predict(
        self,
        dataset: Dataset,
        output: str = "logits",
        batch_size: int = 256,
        width: int | None = None,
    ) -> NDArray[numpy.float32]:
        """One output for every sample of a dataset.

        Parameters
        ----------
        dataset : Dataset
        output : str
        batch_size : int
        width : int, optional
            Of the output; None: what output_info says.

        Returns
        -------
        (samples, width) float32
        """
        if width is None:
            width = self.output_info(output).width
        values = numpy.empty((len(dataset), width), numpy.float32)
        at = self._pointer, dataset._pointer, output.encode(), batch_size
        check(lib.kd_model_predict(*at, reference(values)))
        return values

    # ---- parameters ----

    @property
    def parameters(self) -> NDArray[numpy.float32]:
        """(parameters,): a view of all of them; writing changes the model."""
        values = _api.kd_array()
        check(lib.kd_model_parameters(self._pointer, byref(values)))
        return array(values, self)

    @property
    def gradients(self) -> NDArray[numpy.float32]:
        """(parameters,): a view of the gradients."""
        values = _api.kd_array()
        check(lib.kd_model_gradients(self._pointer, byref(values)))
        return array(values, self)

    @property
    def tensors(self) -> list[tuple[str, NDArray[numpy.float32]]]:
        """Names and views of all tensors, in the order of their numbers."""
        count, name, found = c_int32(), c_char_p(), []
        check(lib.kd_model_tensor_count(self._pointer, byref(count)))
        for i in range(count.value):
            values = _api.kd_array()
            check(lib.kd_model_tensor(self._pointer, i, byref(name), byref(values)))
            found.append(((name.value or b"").decode(), array(values, self)))
        return found

    def tensor(self, name: str) -> NDArray[numpy.float32]:
        """A view of the tensor with this name; of a packed_only model those that are not packed."""
        count, found = c_int32(), c_char_p()
        check(lib.kd_model_tensor_count(self._pointer, byref(count)))
        for i in range(count.value):
            check(lib.kd_model_tensor(self._pointer, i, byref(found), None))
            if (found.value or b"").decode() == name:
                values = _api.kd_array()
                check(lib.kd_model_tensor(self._pointer, i, None, byref(values)))
                return array(values, self)
        raise KeyError(name)

    def tensor_gradient(self, index: int) -> NDArray[numpy.float32]:
        """A view of the gradient of the tensor with this number."""
        values = _api.kd_array()
        check(lib.kd_model_tensor_gradient(self._pointer, index, byref(values)))
        return array(values, self)

    def freeze(self, pattern: str, on: bool = True) -> None:
        """Freezes the tensors whose names match (* and ?), or frees them again (False)."""
        check(lib.kd_model_freeze(self._pointer, pattern.encode(), on))

    def copy_parameters(self, source: Model) -> None:
        """Copies the parameters of a model of the same shape."""
        check(lib.kd_model_copy_parameters(self._pointer, source._pointer))

    def count_nonfinite(self) -> tuple[int, str | None]:
        """Looks for numbers that are not finite.

        Returns
        -------
        count : int
            How many parameters are NaN or infinite.
        tensor : str or None
            The first tensor that has one.
        """
        count, name = c_int64(), c_char_p()
        check(lib.kd_model_count_nonfinite(self._pointer, byref(count), byref(name)))
        return count.value, name.value.decode() if name.value else None

    @property
    def config(self) -> dict[str, Any]:
        """The config as a dict."""
        text = c_char_p()
        check(lib.kd_model_config(self._pointer, byref(text)))
        found: dict[str, Any] = json.loads(text.value or b"{}")
        return found

    @property
    def info(self) -> ModelInfo:
        """Layers, parameters and sizes."""
        made = empty(_api.kd_model_info)
        check(lib.kd_model_get_info(self._pointer, byref(made)))
        return read(ModelInfo, made)

    # ---- measuring ----

    def measure_latency(self, batch_size: int = 1, seconds: float = 0.2) -> Latency:
        """Seconds of a forward pass, measured for so long."""
        made = empty(_api.kd_latency)
        check(lib.kd_model_measure_latency(self._pointer, batch_size, seconds, byref(made)))
        return read(Latency, made)

    @takes(_api.kd_speed_options)
    def measure_speed(self, **options_: Unpack[SpeedOptions]) -> Speed:
        """How fast a language model writes."""
        made, found = options(_api.kd_speed_options, options_), empty(_api.kd_speed)
        check(lib.kd_model_measure_speed(self._pointer, byref(made), byref(found)))
        return read(Speed, found)

    # ---- language models ----

    @takes(_api.kd_student_options)
    def student(
        self,
        *,
        layer_map: Sequence[int] | None = None,
        calibration: Batch | None = None,
        config: Mapping[str, Any] | None = None,
        model: ModelOptions | None = None,
        **options_: Unpack[StudentOptions],
    ) -> Self:
        """Cuts a smaller model out of this language model, decoder or encoder.

        Parameters
        ----------
        layer_map : (layers,) sequence of int, optional
            The teacher's layer for each of the student's, in place of `choose`.
        calibration : Batch, optional
            Tokens; what is kept has the largest mean absolute activation on them.
        config : dict, optional
            Keys that replace those of the teacher's config.
        model : dict, optional
            Options of the student, like those of Model.
        """
        made = options(_api.kd_student_options, options_)
        made.model = options(_api.kd_model_options, model or {})
        if layer_map is not None:
            made.layer_map, made.layers = number_array(c_int32, layer_map), len(layer_map)
        made.calibration = pointer_of(calibration)
        made.config = config_bytes(config) if config is not None else None
        return self._wrap(make(lib.kd_student_create, self._pointer, byref(made)), *self._alive)

    def map_layers(
        self,
        layers: int,
        choose: LayerChoice = LayerChoice.INFLUENCE,
        calibration: Batch | None = None,
    ) -> list[int]:
        """Layers of the model for each layer of a student, as `student` chooses them.

        Parameters
        ----------
        layers : int
            Of the student.
        choose : LayerChoice
        calibration : Batch, optional
            Some hundred tokens, or images, that INFLUENCE and GREEDY look at; without them at 256
            random tokens.
        """
        made = options(_api.kd_student_options, {"layers": layers, "choose": choose})
        made.calibration = pointer_of(calibration)
        to = (c_int32 * max(layers, 1))()
        check(lib.kd_student_map_layers(self._pointer, byref(made), to))
        return list(to)

    def measure_influence(self, calibration: Batch | None = None) -> list[float]:
        """How much each layer changes what goes through it: 1 - mean cosine.

        Parameters
        ----------
        calibration : Batch, optional
            Without it: 256 random tokens.
        """
        count, texts = c_int32(), pointer_of(calibration)
        check(lib.kd_student_measure_influence(self._pointer, None, None, 0, byref(count)))
        to = (c_double * count.value)()
        at = self._pointer, texts, to, count, byref(count)
        check(lib.kd_student_measure_influence(*at))
        return list(to)

    @takes(_api.kd_static_options)
    def static_student(
        self,
        tokenizer: Tokenizer,
        *,
        model: ModelOptions | None = None,
        **options_: Unpack[StaticOptions],
    ) -> Self:
        """Makes a static embedding of this encoder: a table with a row for each token.

        Parameters
        ----------
        tokenizer : Tokenizer
            The encoder's own.
        model : dict, optional
            Options of the student, like those of Model.
        """
        made = options(_api.kd_static_options, options_)
        made.model = options(_api.kd_model_options, model or {})
        at = self._pointer, tokenizer._pointer, byref(made)
        return self._wrap(make(lib.kd_student_create_static, *at), *self._alive)

    @takes(_api.kd_lattice_options)
    def set_lattice(self, pattern: str | None = None, **options_: Unpack[LatticeOptions]) -> None:
        """Lets passes see matrices as points of a block format; format 0: as float32 again.

        Parameters
        ----------
        pattern : str, optional
            Of the matrices' names (* and ?). None: those of the layers.
        """
        made = options(_api.kd_lattice_options, options_)
        name = ctypes.c_char_p(pattern.encode()) if pattern is not None else None
        check(lib.kd_model_set_lattice(self._pointer, name, byref(made)))

    @property
    def lattice_info(self) -> LatticeInfo:
        """How far the lattice is from the parameters, and what moved since the last question."""
        info = empty(_api.kd_lattice_info)
        check(lib.kd_model_get_lattice_info(self._pointer, byref(info)))
        return read(LatticeInfo, info)

    @takes(_api.kd_gguf_options)
    def write_gguf(
        self,
        tokenizer: Tokenizer,
        path: StrPath,
        *,
        rules: Mapping[str, int] | None = None,
        importance: Importance | None = None,
        **options_: Unpack[GgufOptions],
    ) -> GgufInfo:
        """Writes a language model and its tokenizer as one GGUF file of few bits.

        Parameters
        ----------
        tokenizer : Tokenizer
        path : path
        rules : dict, optional
            Formats of matrices by name or pattern; the first that matches counts.
        importance : Importance, optional
            What errors weigh.
        """
        made, info = gguf_options(options_, rules, importance), empty(_api.kd_gguf_info)
        at = self._pointer, tokenizer._pointer, path_bytes(path)
        check(lib.kd_model_write_gguf(*at, byref(made), byref(info)))
        return read(GgufInfo, info)

    @takes(_api.kd_gguf_options)
    def plan_gguf(
        self,
        *,
        rules: Mapping[str, int] | None = None,
        importance: Importance | None = None,
        **options_: Unpack[GgufOptions],
    ) -> GgufInfo:
        """What write_gguf would tell, without a file.

        Parameters
        ----------
        rules : dict, optional
            As in write_gguf.
        importance : Importance, optional
        """
        made, info = gguf_options(options_, rules, importance), empty(_api.kd_gguf_info)
        check(lib.kd_model_plan_gguf(self._pointer, byref(made), byref(info)))
        return read(GgufInfo, info)

    def save_gguf(
        self,
        tokenizer: Tokenizer,
        path: StrPath,
        dtype: DType = DType.FLOAT16,
        end_token: int = EndToken.DEFAULT,
    ) -> None:
        """Writes a language model and its tokenizer as one GGUF file.

        Parameters
        ----------
        tokenizer : Tokenizer
        path : path
        dtype : DType
            FLOAT32, FLOAT16, or INT8 (Q8_0).
        end_token : int
            An id, or one of EndToken.
        """
        at = self._pointer, tokenizer._pointer, path_bytes(path)
        check(lib.kd_model_save_gguf(*at, dtype, end_token))

    def resize_vocabulary(self, vocabulary: int) -> None:
        """Gives a language model another number of tokens."""
        check(lib.kd_model_resize_vocabulary(self._pointer, vocabulary))

    def append_dense(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        activation: str | None = None,
        output: str | None = None,
    ) -> None:
        """Puts a dense layer after the last one of "embedding", before its length 1.

        Parameters
        ----------
        weight : (N, numbers of the embedding)
        bias : (N), optional
        activation : str, optional
            "none", "relu", "tanh" or "sigmoid"; None: none.
        output : str, optional
            "embedding" is the only one that takes layers.
        """
        arrays = [None if x is None else numpy.asarray(x, numpy.float32) for x in (weight, bias)]
        names = [None if x is None else x.encode() for x in (output, activation)]
        at = self._pointer, names[0], *map(reference, arrays), names[1]
        check(lib.kd_model_append_dense(*at))

    def append_projection(self, loss: Loss, term: int) -> None:
        """Puts the projection of a term on "embedding" into this model (see `append_dense`)."""
        check(lib.kd_student_append_projection(self._pointer, loss._pointer, term))

    def add_head(self, name: str, config: Mapping[str, Any] | None = None, **keys: Any) -> None:
        """Gives the model one more head: the output "logits.NAME".

        Parameters
        ----------
        name : str
            Letters, digits, "-" and "_".
        config : mapping, optional
            The head's keys as in the config's kd_heads.
        **keys
            The same as keywords: `num_labels=6, level="sample", pooling="cls"`.
        """
        text = json.dumps({**(config or {}), **keys}).encode()
        check(lib.kd_model_add_head(self._pointer, name.encode(), text))

    @takes(_api.kd_lora_options)
    def add_lora(self, pattern: str | None = None, **options_: Unpack[LoraOptions]) -> None:
        """Adds low-rank adapters to the matrices whose names match; None: the usual ones."""
        made = options(_api.kd_lora_options, options_)
        name = ctypes.c_char_p(pattern.encode()) if pattern is not None else None
        check(lib.kd_model_add_lora(self._pointer, name, byref(made)))

    @takes(_api.kd_model_save_options)
    def save_lora(self, folder: StrPath, **options_: Unpack[ModelSaveOptions]) -> None:
        """Writes the adapters alone, as a folder that PEFT loads."""
        made = options(_api.kd_model_save_options, options_)
        check(lib.kd_model_save_lora(self._pointer, path_bytes(folder), byref(made)))

    def load_lora(self, folder: StrPath) -> None:
        """Adds the adapters of such a folder, PEFT's or our own, to the model they are of."""
        check(lib.kd_model_load_lora(self._pointer, path_bytes(folder)))
