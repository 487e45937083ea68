"""PyTorch's tensors as the library takes them: rows of float32, float16 or bfloat16, not copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
import torch

from ._arrays import Bfloat16

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOATS = torch.float32, torch.float16, torch.bfloat16


class Rows(NamedTuple):
    """How the entries of a call are counted."""

    samples: int
    #: of one sample, where outputs are (samples, length, width); else 0
    length: int
    #: (samples + 1,) where samples have several rows
    offsets: NDArray[numpy.int64] | None

    @property
    def rows(self) -> int:
        """Rows of all samples."""
        return self.samples if self.offsets is None else int(self.offsets[-1])


def rows_of(output: torch.Tensor, offsets: Any) -> Rows:
    """(samples, length, width) are sequences; the rest has one entry a row, or has offsets."""
    if offsets is not None:
        given = numpy.ascontiguousarray(_plain(offsets, "offsets"), dtype=numpy.int64)
        return Rows(len(given) - 1, 0, given)
    if output.dim() == 3:
        samples, length = output.shape[:2]
        return Rows(samples, length, numpy.arange(samples + 1, dtype=numpy.int64) * length)
    return Rows(output.shape[0], 0, None)


def flat(tensor: torch.Tensor, rows: Rows) -> torch.Tensor:
    """(samples, length, ...) as (rows, ...); other tensors are given back."""
    if rows.length and tensor.dim() >= 2 and tensor.shape[:2] == (rows.samples, rows.length):
        return tensor.flatten(0, 1)
    return tensor


def check_output(name: str, tensor: Any) -> None:
    """Refuses what is not a float tensor in the processor's memory."""
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor, got {type(tensor).__name__}")
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{name}: expected a tensor on the CPU, got one on {tensor.device}: use {name}.cpu()"
        )
    if tensor.dtype not in FLOATS:
        raise TypeError(
            f"{name}: expected float32, float16 or bfloat16, got {tensor.dtype}: "
            f"the library computes in float32, use {name}.float()"
        )
    if tensor.dim() < 2:
        raise ValueError(
            f"{name}: expected (rows, width) or (samples, length, width), got {tuple(tensor.shape)}"
        )


def array_of(tensor: torch.Tensor) -> Any:
    """The tensor's memory as numpy sees it; bfloat16 as `Bfloat16`. Rows are made contiguous."""
    plain = tensor.detach()
    if plain.is_conj() or plain.is_neg():
        plain = plain.resolve_conj().resolve_neg()
    if plain.dim() > 1 and plain.shape[-1] > 1 and plain.stride(-1) != 1:
        plain = plain.contiguous()
    if plain.dtype == torch.bfloat16:
        return Bfloat16(plain.view(torch.uint16).numpy())
    return plain.numpy()


def _plain(value: Any, name: str) -> Any:
    """An array of a tensor or of what numpy takes; what needs a gradient is refused."""
    if not isinstance(value, torch.Tensor):
        return value if isinstance(value, Bfloat16) else numpy.asarray(value)
    if value.requires_grad:
        raise ValueError(
            f"{name}: expected a constant, got a tensor that requires a gradient: compute it "
            f"under torch.no_grad(), or use {name}.detach()"
        )
    if value.device.type != "cpu":
        raise ValueError(
            f"{name}: expected a tensor on the CPU, got one on {value.device}: use {name}.cpu()"
        )
    if value.dtype == torch.float64 and value.dim() > 1:
        raise TypeError(f"{name}: expected float32, got torch.float64: use {name}.float()")
    return array_of(value)


def constant(value: Any, name: str, rows: Rows | None = None) -> Any:
    """As `_plain`, with (samples, length, ...) as rows."""
    if rows is not None and isinstance(value, torch.Tensor):
        value = flat(value, rows)
    return _plain(value, name)


def is_borrowable(array: Any) -> bool:
    """Whether the library takes it without a copy: contiguous float32."""
    return (
        not isinstance(array, Bfloat16)
        and array.dtype == numpy.float32
        and bool(array.flags.c_contiguous)
    )


def entries_of(array: Any) -> int:
    """The length of the first dimension."""
    found: int = (array.bits if isinstance(array, Bfloat16) else array).shape[0]
    return found
