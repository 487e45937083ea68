"""Ready configs of small language models."""

from __future__ import annotations

import json
from ctypes import byref, c_char_p
from typing import Any

from ._library import check, lib


def student_preset(name: str) -> dict[str, Any]:
    """A ready config by name ("llama-1m")."""
    text = c_char_p()
    check(lib.kd_student_preset(name.encode(), byref(text)))
    found: dict[str, Any] = json.loads(text.value or b"{}")
    return found
