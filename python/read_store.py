"""Reads stores of libkdistill with numpy and the standard library alone: a second implementation of docs/store-format.md.

    python3 python/read_store.py FILE            what is in it
    for record in read_store.records("x.kdt"):   key, view, first, positions, and a dict of fields
"""
import json
import struct
import sys
import zlib

import numpy

CURVE, STEP, STEP_MOST, ESCAPE, BLOCK = 1024, 0.009, 0.1, 24, 16


class Bits:
    """The first bit is the lowest of the first byte; zeros behind the end."""

    def __init__(self, data):
        self.number, self.at = int.from_bytes(data, "little"), 0

    def get(self, count):
        value = (self.number >> self.at) & ((1 << count) - 1)
        self.at += count
        return value

    def bounded(self, size):
        bits = (size - 1).bit_length()
        spare = (1 << bits) - size
        if not bits:
            return 0
        x = self.get(bits - 1)
        if x >= spare:
            x = (x << 1 | self.get(1)) - spare
        return (x + (size - spare) // 2) % size

    def rice(self, low):
        high = 0
        while high < ESCAPE and not self.get(1):
            high += 1
        return self.get(32) if high == ESCAPE else high << low | self.get(low)

    def ids(self, k, vocabulary):
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


def curve():
    p0 = (STEP / STEP_MOST) ** 2
    y0, y = 2 / STEP * (1 - p0 ** 0.5), numpy.arange(CURVE - 1)
    values = numpy.where(y <= y0, 2 * numpy.log(numpy.maximum(1 - STEP / 2 * y, 1e-30)), numpy.log(p0) - (y - y0) * STEP_MOST)
    return numpy.append(values, -numpy.inf)


def topk(bits, header, log_p):
    k = bits.rice(6)
    tails = [bits.get(12) for _ in range(1 + len(header["temperatures"]))]
    most, low = bits.get(10), bits.get(3)
    ids = bits.ids(k, header["vocabulary"])
    codes = [bits.rice(low) for _ in range(k)]
    return {"ids": ids, "log_p": [log_p[max(most - c, 0)] for c in codes], "log_tail": [-numpy.inf if t == 4095 else -t / 128 for t in tails]}


def counts(bits, header):
    k = bits.rice(4)
    ids = bits.ids(k, header["vocabulary"])
    drawn, entropy = [bits.rice(1) + 1 for _ in range(k)], bits.get(16)
    return {"ids": ids, "counts": drawn, "entropy": None if entropy == 65535 else entropy / 2048}


def quantised(data, rows, width, bits):
    size = 4 + (width * bits + 7) // 8
    raw = numpy.frombuffer(data, numpy.uint8).reshape(rows, size)
    scales = raw[:, :4].copy().view("<f4")
    unpacked = numpy.unpackbits(raw[:, 4:], axis=1, bitorder="little")[:, :width * bits].reshape(rows, width, bits).astype(numpy.int32)
    codes = (unpacked << numpy.arange(bits)).sum(2)
    return numpy.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes).astype(numpy.float32) * scales


def mix(x):
    x = (x ^ (x >> numpy.uint64(30))) * numpy.uint64(0xbf58476d1ce4e5b9)
    x = (x ^ (x >> numpy.uint64(27))) * numpy.uint64(0x94d049bb133111eb)
    return x ^ (x >> numpy.uint64(31))


def unrotate(rows, seed):
    """Undoes the rotation of a field of kind "hidden"."""
    d = rows.shape[1]
    n = 1 << (d.bit_length() - 1)
    u = numpy.uint64

    def signs(which):
        with numpy.errstate(over="ignore"):
            stream = mix(mix(mix(u(seed) + u(0x9e3779b97f4a7c15)) ^ (u(0x726f7461) + u(0x632be59bd9b4e019))) ^ (u(which) + u(0xd1b54a32d192ed03)))
            return 1 - 2 * (mix(stream + (numpy.arange(d, dtype=u) + u(1)) * u(0x9e3779b97f4a7c15)) & u(1)).astype(numpy.float32)

    def hadamard(x):
        half = 1
        while half < n:
            x = x.reshape(len(x), -1, 2, half)
            x = numpy.stack([x[:, :, 0] + x[:, :, 1], x[:, :, 0] - x[:, :, 1]], 2).reshape(len(x), n)
            half *= 2
        return x / numpy.float32(n ** 0.5)

    rows = rows.copy()
    if n != d:
        rows[:, d - n:] = hadamard(rows[:, d - n:])
        rows *= signs(1)
    rows[:, :n] = hadamard(rows[:, :n])
    return rows * signs(0)


def floats(data, encoding, rows, width):
    if encoding == "bfloat16":
        return (numpy.frombuffer(data, "<u2").astype(numpy.uint32) << 16).view(numpy.float32).reshape(rows, width)
    if encoding == "int8":
        return quantised(data, rows, width, 8)
    return numpy.frombuffer(data, "<f4" if encoding == "float32" else "<f2").astype(numpy.float32).reshape(rows, width)


def decode(field, header, data, flags, rows, log_p):
    kind, present = field["kind"], None
    if flags & 1:
        size = (rows + 63) // 64 * 8
        present, data = numpy.unpackbits(numpy.frombuffer(data[:size], numpy.uint8), bitorder="little")[:rows].astype(bool), data[size:]
    if kind in ("topk", "counts"):
        made, bits = [], None
        for row in range(rows):
            if row % BLOCK == 0:
                at = struct.unpack_from("<I", data, 4 * (row // BLOCK))[0]
                end = struct.unpack_from("<I", data, 4 * (row // BLOCK) + 4)[0] if row + BLOCK < rows else len(data)
                bits = Bits(data[at:end])
            made.append(None if present is not None and not present[row] else topk(bits, header, log_p) if kind == "topk" else counts(bits, header))
        return made
    if kind in ("text", "score", "seed"):
        return bytes(data) if kind == "text" else struct.unpack("<d" if kind == "score" else "<Q", data)[0]
    if kind == "labels":
        values = numpy.frombuffer(data, "<i8")
    elif kind == "hidden":
        values = quantised(data, rows, field["width"], field["bits"])
    else:
        width = (header["padded_vocabulary"] or header["vocabulary"]) if kind == "dense" else field["projection"] or field["width"]
        values = floats(data, field["encoding"], rows, width)
    return values if present is None else numpy.ma.array(values, mask=numpy.broadcast_to(~present.reshape(-1, *[1] * (values.ndim - 1)), values.shape))


def read_header(data):
    magic, version, order, size, crc = struct.unpack_from("<8sIIQI", data)
    if magic != b"KDSTORE\n" or order != 0x01020304 or struct.unpack_from("<I", data, 60)[0] != zlib.crc32(data[:60]):
        raise ValueError("not a store, or its first bytes are damaged")
    if version > 1 or zlib.crc32(data[64:64 + size]) != crc:
        raise ValueError("a newer version, or a damaged header")
    return json.loads(data[64:64 + size]), 64 + size


def records(path):
    """Whole records in the order of the file, replaced ones included; a torn tail ends them, a damaged record raises."""
    with open(path, "rb") as file:
        data = file.read()
    header, at = read_header(data)
    log_p = curve()
    while at + 64 <= len(data):
        magic, kind, size, key0, key1, view, first, positions, parts, crc = struct.unpack_from("<IIQQQIIIII", data, at)
        if magic != 0x4352444b or struct.unpack_from("<I", data, at + 60)[0] != zlib.crc32(data[at:at + 60]) or at + size > len(data):
            return
        body = data[at + 64:at + size]
        if zlib.crc32(body) != crc:
            if at + size == len(data):
                return
            raise ValueError(f"the record at byte {at} is damaged")
        fields, place = {}, 16 * parts
        for part in range(parts if kind == 0 else 0):
            number, flags, length = struct.unpack_from("<IIQ", body, 16 * part)
            field = header["fields"][number]
            fields[field["name"]] = decode(field, header, body[place:place + length], flags, positions, log_p)
            place += (length + 7) // 8 * 8
        if kind == 0:
            yield {"key": (key0, key1), "view": view, "first": first, "positions": positions, "fields": fields}
        at += size


if __name__ == "__main__":
    for record in records(sys.argv[1]):
        print(f"{record['key'][0]:016x}{record['key'][1]:016x} view {record['view']} positions {record['first']} + {record['positions']}: "
              + ", ".join(record["fields"]))
