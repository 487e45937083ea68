"""npy and IDX files against numpy, CSV files against Python's csv module, on random arrays and
tables, empty ones and damaged files too:
    python tests/property/arrays.py [cases] [seed]
"""

import csv
import io
import os
import random
import struct
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

TYPES = ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]
IDX = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}


def npy(context, rng, path, case):
    shape = [rng.randint(rng.random() > 0.1, 4) for _ in range(rng.randint(1, 6))]
    kind = rng.choice(TYPES)
    values = (
        np.abs(np.random.default_rng(case).normal(0, 50, shape))
        if kind[0] == "u"
        else np.random.default_rng(case).normal(0, 50, shape)
    )
    values = values.astype(kind)
    values = values.astype(values.dtype.newbyteorder(rng.choice("<>")))
    values = rng.choice([np.ascontiguousarray, np.asfortranarray, lambda x: x.T])(values)
    with open(path, "wb") as f:
        np.lib.format.write_array(f, values, version=rng.choice([(1, 0), (2, 0), (3, 0)]))
    if kind == "u8" and values.size:
        values.flat[0] = 2**64 - 1 - case
        with open(path, "wb") as f:
            np.lib.format.write_array(f, values)
    compare(context, path, values, (case, kind, values.shape))


def compare(context, path, values, about):
    """A dataset has what numpy wrote, bit by bit, arrays without numbers too."""
    found = kd.Dataset(context).add_file("x", path).field("x")
    assert found.shape == values.shape, (about, found.shape)
    assert found.astype(values.dtype).tobytes() == values.tobytes() and (
        values.dtype == bool or found.dtype == values.dtype.newbyteorder("=")
    ), about


def idx(context, rng, path, case):
    code = rng.choice(list(IDX))
    shape = [rng.randint(rng.random() > 0.1, 4) for _ in range(rng.randint(1, 4))]
    values = (
        np.random.default_rng(case)
        .integers(0, 2**63, shape, "u8")
        .astype("u1" if IDX[code][0] == "f" else IDX[code])
    )
    values = values.astype(IDX[code]) - (values.dtype.kind == "f")
    data = (
        struct.pack(">BBBB", 0, 0, code, len(shape))
        + struct.pack(f">{len(shape)}I", *shape)
        + values.astype(values.dtype.newbyteorder(">")).tobytes()
    )
    with open(path, "wb") as f:
        f.write(data)
    compare(context, path, values, (case, "IDX", code, shape))


def damaged(context, rng, path, case):
    """A file that is cut, has bytes behind its end, or whose header says something else, is refused
    or what its header says."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    kind = rng.randrange(4)
    if kind == 0:
        del data[rng.randrange(len(data)) :]
    elif kind == 1:
        data += bytes(rng.randrange(1, 9))
    else:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(min(len(data), 128))] = rng.choice(
                [0, 1, 0x28, 0x29, 0x27, 0x2C, 0x30, 0x39, 0x7F, 0xFF, rng.randrange(256)]
            )
    with open(path, "wb") as f:
        f.write(data)
    try:
        found = kd.Dataset(context).add_file("x", path).field("x")
    except kd.Error as error:
        assert os.path.basename(path) in str(error), (case, error)
        return 1
    assert kind > 1 and found.nbytes <= len(data) and len(found) <= 2**30, (case, kind, found.shape)
    return 0


def refused(context, rng, path, case):
    values = rng.choice(
        [
            np.zeros(3, [("a", "f4"), ("b", "i2")]),
            np.array([None, 1], object),
            np.array(["a", "bc"]),
            np.zeros(2, complex),
        ]
    )
    np.save(path, values, allow_pickle=True)
    try:
        kd.Dataset(context).add_file("x", path)
    except kd.Error as error:
        assert any(word in str(error) for word in ("structured", "objects", "texts", "complex")), (
            case,
            error,
        )
        return
    raise AssertionError((case, values.dtype))


def cell(rng):
    text = rng.choice(["1", "-2.5", "1e3", " 7 ", "", "0.125", "+4", "nan", "inf"])
    return f'"{text}"' if rng.random() < 0.3 else text


def table(context, rng, path, case):
    columns, rows, separator = rng.randint(1, 4), rng.randint(1, 6), rng.choice(",;\t|")
    header = separator.join(rng.choice(["a", '"b"', '"c ""d"""', '"e\nf"']) for _ in range(columns))
    end = rng.choice(["\n", "\r\n"])
    lines = [header] + [separator.join(cell(rng) for _ in range(columns)) for _ in range(rows)]
    if columns > 1 and rng.random() < 0.2:
        lines.insert(rng.randint(1, rows + 1), "")
    text = end.join(lines) + rng.choice(["", end])
    if columns == 1:
        text = end.join(lines) + end
    with open(path, "wb") as f:
        f.write(rng.choice([b"", b"\xef\xbb\xbf"]) + text.encode())
    body = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))[1:]
    right = [
        [float(c) if c.strip() else np.nan for c in (row or [""])]
        for row in body
        if row or columns == 1
    ]
    found = kd.Dataset.load_csv(context, path, separator=separator, label_column=-2).field("inputs")
    assert np.array_equal(found, np.array(right, "f4"), equal_nan=True), (case, text, found, right)


def as_python(text, separator):
    """The table by Python's own strict reader, with numbers as RFC 4180 and the header say; None:
    it is refused."""
    try:
        body = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
        width = len(body[0])
        rows = [row or [""] for row in body[1:] if row or width == 1]
        if not rows or any(len(row) != width for row in rows):
            return None
        if any("_" in c or not c.isascii() for row in rows for c in row):
            return None
        return np.array(
            [[float(c) if c.strip(" \t") else np.nan for c in row] for row in rows], "f4"
        )
    except (csv.Error, ValueError, IndexError):
        return None


def malformed(context, rng, path, case):
    """Damage of all kinds: both refuse the table, or both read the same numbers."""
    columns, separator = rng.randint(1, 3), rng.choice(",;\t")
    bad = [
        "x",
        "1.2.3",
        "0x10",
        "1e",
        "--1",
        "1_0",
        "1 2",
        '"',
        '"1',
        '1"',
        '"1"2',
        '""',
        '""""',
        "1" * 70,
        separator,
        "\n",
        "\r\n",
        "1,5",
        "\u0663",
        "1e999",
        "-",
    ]
    rows = [[cell(rng) for _ in range(columns)] for _ in range(rng.randint(0, 4))]
    for _ in range(rng.randint(0, 2)):
        if rows:
            row = rng.choice(rows)
            if rng.random() < 0.3:
                row.append("1")
            elif row and rng.random() < 0.2:
                row.pop()
            if row:
                row[rng.randrange(len(row))] = rng.choice(bad)
    text = "\n".join(
        [separator.join("abc"[:columns])] + [separator.join(row) for row in rows]
    ) + rng.choice(["", "\n"])
    if columns == 1:
        text = text.rstrip("\n") + "\n"
    with open(path, "wb") as f:
        f.write(text.encode())
    right = as_python(text, separator)
    try:
        with np.errstate(over="ignore"):
            found = kd.Dataset.load_csv(context, path, separator=separator, label_column=-2).field(
                "inputs"
            )
    except kd.Error as error:
        is_large = right is not None and np.isinf(right).any()
        too_large = is_large and "too large for float32" in str(error)
        assert right is None or too_large, (case, text, error, right)
        assert os.path.basename(path) in str(error), (case, error)
        return 1
    assert right is not None and np.array_equal(found, right, equal_nan=True), (
        case,
        text,
        found,
        right,
    )
    return 0


def main():
    cases, seed = (
        int(sys.argv[1]) if len(sys.argv) > 1 else 500,
        int(sys.argv[2]) if len(sys.argv) > 2 else 1,
    )
    context, broken, odd = kd.Context(threads=1), 0, 0
    np.seterr(over="ignore")
    with tempfile.TemporaryDirectory() as folder:
        for case in range(cases):
            rng = random.Random(f"{seed}-{case}")
            npy(context, rng, folder + "/x.npy", case)
            refused(context, rng, folder + "/y.npy", case)
            table(context, rng, folder + "/x.csv", case)
            idx(context, rng, folder + "/x.idx", case)
            broken += damaged(context, rng, folder + rng.choice(["/x.npy", "/x.idx"]), case)
            odd += malformed(context, rng, folder + "/y.csv", case)
    print(
        f"{cases} npy files, {cases} IDX files and {cases} tables agreed, {cases} arrays "
        f"of no numbers and {broken} of {cases} damaged files were refused by "
        f"name, so were {odd} of {cases} malformed tables, as by Python"
    )


main()
