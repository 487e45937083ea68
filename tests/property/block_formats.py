"""Blocks against ggml: the same bytes where its rounding is exact, nearly all blocks equal and the
same error where it searches; every format that is read, against the gguf package.

    python tests/property/block_formats.py [thousands of numbers]      1000 when nothing is said

Needs the packages llama_cpp (its libggml-base) and gguf; left out without llama_cpp.
"""

import ctypes
import glob
import os
import sys

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import gguf  # noqa: E402
from with_llama import llama_cpp  # noqa: E402

import kdistill as kd  # noqa: E402

EXACT = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
SEARCHED = ("IQ4_NL", "Q4_K", "Q5_K", "Q6_K")
READ = ("Q2_K", "Q3_K", "IQ4_XS", "MXFP4")
WIDTH = 2048

context = kd.Context(threads=1)
ggml = ctypes.CDLL(
    glob.glob(os.path.join(os.path.dirname(llama_cpp.__file__), "lib", "libggml-base.so*"))[0]
)
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
]


def theirs(name, values, importance):
    """ggml's bytes, a row a line."""
    kind = gguf.GGMLQuantizationType[name]
    rows, width = values.shape
    made = numpy.zeros((rows, kd.block_bytes(kd.Block[name], width)), numpy.uint8)
    ggml.ggml_quantize_chunk(
        int(kind),
        values.ctypes.data,
        made.ctypes.data,
        0,
        rows,
        width,
        None if importance is None else importance.ctypes.data,
    )
    return made


def numbers(rng, count):
    """Rows of several kinds: normal, heavy tails, one outlier, equal ends, tiny, zeros."""
    rows = max(8, count // WIDTH)
    values = rng.normal(size=(rows, WIDTH)).astype(numpy.float32) * 0.05
    values[1::8] = rng.standard_t(5, size=values[1::8].shape)
    values[2::8, ::97] *= 100
    values[3::8, ::32] = 0.25
    values[3::8, 1::32] = -0.25
    values[3::8] = numpy.clip(values[3::8], -0.25, 0.25)
    values[4::8] *= 10.0 ** rng.integers(-12, 3, size=(len(values[4::8]), 1))
    values[5, :512] = 0
    values[5, 512:1024] *= 1e-38
    values[5, 1024:1536] = 1e-41
    values[5, 1536] = 0
    values[6::8] = numpy.round(values[6::8] * 40) / 40
    values[7::8] = numpy.abs(values[7::8])
    return values


def image(name, raw, shape):
    return kd.block_decode(context, kd.Block[name], raw, shape)


def error_of(values, made, weight):
    return float((weight * (values.astype(numpy.float64) - made) ** 2).sum())


def compare(name, values, importance):
    """The share of blocks that are equal, and our weighted error over ggml's."""
    ours = kd.block_encode(context, kd.Block[name], values, importance)
    other = theirs(name, values, importance)
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    same = (ours.reshape(-1, size) == other.reshape(-1, size)).all(axis=1).mean()
    # rows of another size than the others would outweigh them
    size = (values.astype(numpy.float64) ** 2).mean(axis=1, keepdims=True) + 1e-300
    weight = (1.0 if importance is None else importance) / size
    errors = [error_of(values, image(name, raw, values.shape), weight) for raw in (ours, other)]
    return same, errors[0] / max(errors[1], 1e-300)


def check_written(values, importance):
    for name in EXACT + SEARCHED:
        for weights in (None, importance):
            same, ratio = compare(name, values, weights)
            exact = name in EXACT and (weights is None or name == "Q8_0")
            said = f"{name}{'' if weights is None else ' with importance'}"
            print(f"{said}: {same:.6f} of the blocks are ggml's, error {ratio:.6f} times its own")
            if exact and same < 1:
                sys.exit(f"{said}: expected ggml's bytes")
            if same < 0.995 or ratio > 1.001:
                sys.exit(f"{said}: expected .995 of the blocks and 1.001 times the error")


def check_read(rng):
    """Random bytes with scales that are numbers."""
    for name in EXACT + SEARCHED + READ:
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        raw = rng.integers(0, 256, (500, size)).astype(numpy.uint8)
        scale = rng.uniform(-0.1, 0.1, (500, 2)).astype(numpy.float16).view(numpy.uint8)
        places = {
            "Q2_K": (80, 82),
            "Q3_K": (108,),
            "Q6_K": (208,),
            "Q4_1": (0, 2),
            "Q5_1": (0, 2),
            "Q4_K": (0, 2),
            "Q5_K": (0, 2),
            "MXFP4": (),
        }
        for n, at in enumerate(places.get(name, (0,))):
            raw[:, at : at + 2] = scale[:, 2 * n : 2 * n + 2]
        if name == "MXFP4":
            raw[:, 0] = rng.integers(0, 250, 500)
        expected = gguf.quants.dequantize(raw, kind).reshape(500, block)
        if not numpy.array_equal(expected, image(name, raw, expected.shape)):
            sys.exit(f"{name}: the gguf package reads other numbers")


def main(thousands):
    rng = numpy.random.default_rng(1)
    check_read(rng)
    values = numbers(rng, thousands * 1000)
    importance = rng.lognormal(size=WIDTH).astype(numpy.float32)
    check_written(values, importance)
    print(f"blocks: {values.size} numbers, {len(EXACT + SEARCHED + READ)} formats")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
