"""What only language models do."""
import json
from ctypes import byref, c_char_p, c_int32, c_int64, c_void_p
from typing import Dict, Optional, Sequence

from . import _api
from ._library import check, lib, options


class LanguageModel:
    """Methods of Model for language models: generators, students, adapters, another vocabulary."""

    def generator(self, tokenizer=None, **values) -> "Generator":
        """Many sequences at once; options of kd_generator_options."""
        from ._generator import Generator
        return Generator(self, tokenizer, **values)

    def generator_memory(self, tokenizer=None, **values) -> Dict:
        from ._generator import generator_memory
        return generator_memory(self, tokenizer, **values)

    def student(self, layer_map: Optional[Sequence[int]] = None, calibration: Optional[object] = None, config: Optional[Dict] = None,
                model: Optional[Dict] = None, **values) -> "LanguageModel":
        """A smaller model cut out of this language model; options of kd_student_options, `model` those of kd_model_options."""
        made = options(_api.kd_student_options, "kd_student_options_init", values)
        made.model = options(_api.kd_model_options, "kd_model_options_init", model or {})
        if layer_map is not None:
            made.layer_map, made.layers = (c_int32 * len(layer_map))(*layer_map), len(layer_map)
        made.calibration = calibration._pointer if calibration is not None else None
        made.config = json.dumps(config).encode() if config is not None else None
        pointer = c_void_p()
        check(lib.kd_model_student(byref(pointer), self._pointer, byref(made)))
        return type(self)(pointer, *self._alive)

    def save_gguf(self, tokenizer, path: str, dtype: int = _api.KD_FLOAT16, end_token: int = -1) -> None:
        """A GGUF file for llama.cpp: FLOAT32, FLOAT16, or INT8 (Q8_0)."""
        check(lib.kd_gguf_save(self._pointer, tokenizer._pointer, str(path).encode(), dtype, end_token))

    def nonfinite(self):
        """(how many parameters are NaN or infinite, the first tensor that has one or None)."""
        count, name = c_int64(), c_char_p()
        check(lib.kd_model_nonfinite(self._pointer, byref(count), byref(name)))
        return count.value, name.value.decode() if name.value else None

    def resize(self, vocabulary: int) -> None:
        check(lib.kd_model_resize(self._pointer, vocabulary))

    def add_lora(self, pattern: Optional[str] = None, **values) -> None:
        made = options(_api.kd_lora_options, "kd_lora_options_init", values)
        check(lib.kd_model_add_lora(self._pointer, pattern.encode() if pattern is not None else None, byref(made)))


def ready_config(name: str) -> Dict:
    """A ready config by name ("llama-1m")."""
    text = c_char_p()
    check(lib.kd_ready_config(name.encode(), byref(text)))
    return json.loads(text.value)
