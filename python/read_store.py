"""Reads stores of libkdistill with numpy and the standard library alone.

    python3 python/read_store.py FILE            what is in it
    for record in read_store.records("x.kdt"):   key, view, first, positions, a dict of fields

It is a second implementation of docs/store-format.md.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CURVE, STEP, STEP_MOST, ESCAPE, BLOCK = 1024, 0.009, 0.1, 24, 16
SAMPLE = 0xFFFFFFFF  # in place of a field's number
RECORD = 0x4352444B


class Bits:
    """The first bit is the lowest of the first byte; zeros after the end."""

    def __init__(self, data: bytes) -> None:
        self.number, self.at = int.from_bytes(data, "little"), 0

    def get(self, count: int) -> int:
        value = (self.number >> self.at) & ((1 << count) - 1)
        self.at += count
        return value

    def bounded(self, size: int) -> int:
        bits = (size - 1).bit_length()
        spare = (1 << bits) - size
        if not bits:
            return 0
        x = self.get(bits - 1)
        if x >= spare:
            x = (x << 1 | self.get(1)) - spare
        return (x + (size - spare) // 2) % size

    def rice(self, low: int) -> int:
        high = 0
        while high < ESCAPE and not self.get(1):
            high += 1
        return self.get(32) if high == ESCAPE else high << low | self.get(low)

    def ids(self, k: int, vocabulary: int) -> list[int]:
        ids, stack = [0] * k, [(0, k, 0, vocabulary)]
        while stack:
            first, last, low, high = stack.pop()
            if first >= last:
                continue
            middle = first + (last - first) // 2
            least, end = low + middle - first, high - (last - 1 - middle)
            ids[middle] = least + self.bounded(end - least)
            stack += [(middle + 1, last, ids[middle] + 1, high), (first, middle, low, ids[middle])]
        return ids


def curve() -> NDArray[Any]:
    """The log-probability that each code of a top-k stands for."""
    p0 = (STEP / STEP_MOST) ** 2
    y0, y = 2 / STEP * (1 - p0**0.5), numpy.arange(CURVE - 1)
    values = numpy.where(
        y <= y0,
        2 * numpy.log(numpy.maximum(1 - STEP / 2 * y, 1e-30)),
        numpy.log(p0) - (y - y0) * STEP_MOST,
    )
    return numpy.append(values, -numpy.inf)


def topk(bits: Bits, header: dict[str, Any], log_p: NDArray[Any]) -> dict[str, Any]:
    """A row of a top-k."""
    k = bits.rice(6)
    tails = [bits.get(12) for _ in range(1 + len(header["temperatures"]))]
    most, low = bits.get(10), bits.get(3)
    ids = bits.ids(k, header["vocabulary"])
    codes = [bits.rice(low) for _ in range(k)]
    return {
        "ids": ids,
        "log_p": [log_p[max(most - c, 0)] for c in codes],
        "log_tail": [-numpy.inf if t == 4095 else -t / 128 for t in tails],
    }


def counts(bits: Bits, header: dict[str, Any]) -> dict[str, Any]:
    """A row of draws."""
    k = bits.rice(4)
    ids = bits.ids(k, header["vocabulary"])
    drawn, entropy = [bits.rice(1) + 1 for _ in range(k)], bits.get(16)
    return {"ids": ids, "counts": drawn, "entropy": None if entropy == 65535 else entropy / 2048}


def quantized(data: bytes, rows: int, width: int, bits: int) -> NDArray[Any]:
    """(rows, width) floats: a scale per row, then codes of this many bits."""
    size = 4 + (width * bits + 7) // 8
    raw = numpy.frombuffer(data, numpy.uint8).reshape(rows, size)
    scales = raw[:, :4].copy().view("<f4")
    single = numpy.unpackbits(raw[:, 4:], axis=1, bitorder="little")[:, : width * bits]
    shifted = single.reshape(rows, width, bits).astype(numpy.int32) << numpy.arange(bits)
    codes = shifted.sum(2)
    signed = numpy.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes)
    found: NDArray[Any] = signed.astype(numpy.float32) * scales
    return found


def mix(x: Any) -> Any:
    """The finalizer of splitmix64."""
    x = (x ^ (x >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return x ^ (x >> numpy.uint64(31))


def signs(seed: int, which: int, count: int) -> Any:
    """The random signs of a rotation."""
    u = numpy.uint64
    with numpy.errstate(over="ignore"):
        first = mix(u(seed) + u(0x9E3779B97F4A7C15)) ^ (u(0x726F7461) + u(0x632BE59BD9B4E019))
        stream = mix(mix(first) ^ (u(which) + u(0xD1B54A32D192ED03)))
        steps = (numpy.arange(count, dtype=u) + u(1)) * u(0x9E3779B97F4A7C15)
        return 1 - 2 * (mix(stream + steps) & u(1)).astype(numpy.float32)


def hadamard(x: NDArray[Any]) -> NDArray[Any]:
    """The orthonormal Hadamard transform of each row, whose length is a power of 2."""
    rows, n = x.shape
    half = 1
    while half < n:
        x = x.reshape(rows, -1, 2, half)
        x = numpy.stack([x[:, :, 0] + x[:, :, 1], x[:, :, 0] - x[:, :, 1]], 2).reshape(rows, n)
        half *= 2
    found: NDArray[Any] = x / numpy.float32(n**0.5)
    return found


def unrotate(rows: NDArray[Any], seed: int) -> NDArray[Any]:
    """Undoes the rotation of a field of kind "hidden"."""
    d = rows.shape[1]
    n = 1 << (d.bit_length() - 1)
    rows = rows.copy()
    if n != d:
        rows[:, d - n :] = hadamard(rows[:, d - n :])
        rows *= signs(seed, 1, d)
    rows[:, :n] = hadamard(rows[:, :n])
    rows *= signs(seed, 0, d)
    return rows


def floats(data: bytes, encoding: str, rows: int, width: int) -> NDArray[Any]:
    """(rows, width) float32 of numbers in an encoding."""
    if encoding == "int8":
        return quantized(data, rows, width, 8)
    if encoding == "bfloat16":
        bits = numpy.frombuffer(data, "<u2").astype(numpy.uint32) << 16
        return bits.view(numpy.float32).reshape(rows, width)
    numbers = numpy.frombuffer(data, "<f4" if encoding == "float32" else "<f2")
    return numbers.astype(numpy.float32).reshape(rows, width)


def decode_sparse(
    kind: str, header: dict[str, Any], data: bytes, present: NDArray[Any], log_p: NDArray[Any]
) -> list[Any]:
    """Rows of "topk" or "counts": blocks of rows, each a separate stream of bits."""
    rows = len(present)
    blocks = (rows + BLOCK - 1) // BLOCK
    places = [*struct.unpack_from(f"<{blocks}I", data), len(data)]
    bits = Bits(b"")
    made: list[Any] = []
    for row in range(rows):
        if row % BLOCK == 0:
            bits = Bits(data[places[row // BLOCK] : places[row // BLOCK + 1]])
        if not present[row]:
            made.append(None)
        else:
            made.append(topk(bits, header, log_p) if kind == "topk" else counts(bits, header))
    return made


def decode_rows(
    field: dict[str, Any], header: dict[str, Any], data: bytes, rows: int
) -> NDArray[Any]:
    """Rows of numbers."""
    kind = field["kind"]
    if kind == "labels":
        return numpy.frombuffer(data, "<i8")
    if kind == "hidden":
        return quantized(data, rows, field["width"], field["bits"])
    if kind == "dense":
        width = header["padded_vocabulary"] or header["vocabulary"]
    else:
        width = field["projection"] or field["width"]
    return floats(data, field["encoding"], rows, width)


def decode(
    field: dict[str, Any],
    header: dict[str, Any],
    data: bytes,
    flags: int,
    rows: int,
    log_p: NDArray[Any],
) -> Any:
    """A field of a record.

    A list of sparse rows, an array (masked where rows are absent; of one vector for an
    embedding), a text or a number.
    """
    kind, present = field["kind"], numpy.ones(rows, bool)
    if kind == "embedding":
        return floats(data, field["encoding"], 1, field["projection"] or field["width"])[0]
    if flags & 1:
        size = (rows + 63) // 64 * 8
        single = numpy.unpackbits(numpy.frombuffer(data[:size], numpy.uint8), bitorder="little")
        present, data = single[:rows].astype(bool), data[size:]
    if kind in ("topk", "counts"):
        return decode_sparse(kind, header, data, present, log_p)
    if kind == "text":
        return bytes(data)
    if kind in ("score", "seed"):
        return struct.unpack("<d" if kind == "score" else "<Q", data)[0]
    values = decode_rows(field, header, data, rows)
    if not flags & 1:
        return values
    absent = ~present.reshape(-1, *[1] * (values.ndim - 1))
    return numpy.ma.array(values, mask=numpy.broadcast_to(absent, values.shape))


def sample_check(data: bytes) -> dict[str, Any]:
    """The tokens that a record was made of.

    Their number (0: unknown), checksums of all and of those before `from`, and one byte per
    position.
    """
    tokens, whole, first, before = struct.unpack_from("<I", data)[0], None, None, None
    if len(data) >= 16:
        tokens, whole, first, before = struct.unpack_from("<IIII", data)
    checks = bytes(data[16:])
    return {"tokens": tokens, "whole": whole, "from": first, "before": before, "checks": checks}


def token_checks(tokens: Any) -> NDArray[Any]:
    """A byte for each token, of it and the three before it."""
    mixed: NDArray[Any] = numpy.zeros(len(tokens), numpy.uint32)
    given = numpy.asarray(tokens)
    for back, factor in enumerate((0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)):
        shifted = given[: len(tokens) - back].astype(numpy.uint32)
        mixed[back:] += shifted * numpy.uint32(factor)
    mixed = (mixed ^ (mixed >> numpy.uint32(15))) * numpy.uint32(0x2C1B3C6D)
    found: NDArray[Any] = (mixed >> numpy.uint32(24)).astype(numpy.uint8)
    return found


def is_of(sample: dict[str, Any], tokens: Any) -> bool:
    """Whether these are the first tokens of the sample."""

    def crc(part: Any) -> int:
        return zlib.crc32(numpy.asarray(part).astype("<u4").tobytes())

    if sample["whole"] is None:
        return bool(len(tokens) <= sample["tokens"])
    first, count = sample["from"], len(sample["checks"])
    checks = token_checks(tokens)[first : first + count].tobytes()
    good: bool = checks == sample["checks"][: len(checks)]
    if sample["tokens"] and len(tokens) >= first:
        good &= crc(tokens[:first]) == sample["before"]
    if sample["tokens"] and len(tokens) >= sample["tokens"]:
        good &= crc(tokens[: sample["tokens"]]) == sample["whole"]
    return good


def crc_is_at(data: bytes, at: int) -> bool:
    """Whether the 64 bytes at a place end in the checksum of the others."""
    found: int = struct.unpack_from("<I", data, at + 60)[0]
    return found == zlib.crc32(data[at : at + 60])


def read_header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header, and where the records begin."""
    magic, version, order, size, crc = struct.unpack_from("<8sIIQI", data)
    if magic != b"KDSTORE\n" or order != 0x01020304 or not crc_is_at(data, 0):
        raise ValueError("not a store, or its first bytes are damaged")
    if version > 1 or zlib.crc32(data[64 : 64 + size]) != crc:
        raise ValueError("a newer version, or a damaged header")
    return json.loads(data[64 : 64 + size]), 64 + size


def read_parts(
    header: dict[str, Any], body: bytes, parts: int, positions: int, log_p: NDArray[Any]
) -> dict[str, Any]:
    """The fields of a record, and of what sample it is."""
    fields: dict[str, Any] = {}
    place, sample = 16 * parts, None
    for part in range(parts):
        number, flags, length = struct.unpack_from("<IIQ", body, 16 * part)
        data = body[place : place + length]
        if number == SAMPLE:
            sample = sample_check(data)
        else:
            field = header["fields"][number]
            fields[field["name"]] = decode(field, header, data, flags, positions, log_p)
        place += (length + 7) // 8 * 8
    return {"fields": fields, "sample": sample}


def records(path: str) -> Iterator[dict[str, Any]]:
    """Whole records in the order of the file, replaced ones included.

    A torn tail ends them, a damaged record raises.
    """
    with open(path, "rb") as file:
        data = file.read()
    header, at = read_header(data)
    log_p = curve()
    while at + 64 <= len(data):
        magic, kind, size, *key, view, first, positions, parts, crc = struct.unpack_from(
            "<IIQQQIIIII", data, at
        )
        if magic != RECORD or not crc_is_at(data, at) or at + size > len(data):
            return
        body, end = data[at + 64 : at + size], at + size
        if zlib.crc32(body) != crc:
            if end == len(data):
                return
            raise ValueError(f"the record at byte {at} is damaged")
        if kind == 0:
            place = {"key": tuple(key), "view": view, "first": first, "positions": positions}
            yield {**place, **read_parts(header, body, parts, positions, log_p)}
        at = end


def main(path: str) -> None:
    """Prints what is in a store."""
    for record in records(path):
        key = "".join(f"{half:016x}" for half in record["key"])
        place = f"positions {record['first']} + {record['positions']}"
        print(f"{key} view {record['view']} {place}: {', '.join(record['fields'])}")


if __name__ == "__main__":
    main(sys.argv[1])
