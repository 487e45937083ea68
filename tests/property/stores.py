"""Random records into random stores: each is refused when it is put, and the store stays usable, or
it is read back equal, exactly or within its encoding's stated error; also after closing, verifying,
compacting and appending. The second reader, of numpy alone, agrees.

    python tests/property/stores.py [records] [seed]
"""

import json
import os
import shutil
import sys
import tempfile

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402
import read_store  # noqa: E402

RECORDS, SEED = (
    int(sys.argv[1]) if len(sys.argv) > 1 else 20000,
    int(sys.argv[2]) if len(sys.argv) > 2 else 1,
)
rng = numpy.random.default_rng(SEED)
context = kd.Context(threads=1)
folder = tempfile.mkdtemp()
SPECIAL = [
    numpy.nan,
    numpy.inf,
    -numpy.inf,
    -0.0,
    1e-45,
    1e-39,
    6e-8,
    65504,
    65519,
    65520,
    7e4,
    1e18,
    2e18,
    1e25,
    3.39e38,
    3.4e38,
    -3.4e38,
]
KINDS = [
    kd.StoreKind.DENSE,
    kd.StoreKind.TOPK,
    kd.StoreKind.COUNTS,
    kd.StoreKind.HIDDEN,
    kd.StoreKind.VECTORS,
    kd.StoreKind.LABELS,
    kd.StoreKind.TEXT,
    kd.StoreKind.SCORE,
    kd.StoreKind.SEED,
    kd.StoreKind.EMBEDDING,
]
PROJECTED = (kd.StoreKind.VECTORS, kd.StoreKind.EMBEDDING)
APART = (kd.StoreKind.TEXT, kd.StoreKind.SCORE, kd.StoreKind.SEED)
SPARSE = (kd.StoreKind.TOPK, kd.StoreKind.COUNTS)
counted = {
    "vectors": 0,
    "stores": 0,
    "stores refused": 0,
    "put": 0,
    "refused": 0,
    "read": 0,
    "cut": 0,
    "exchanged": 0,
    "imported": 0,
    "without a prompt": 0,
}


def pick(*choices):
    return choices[rng.integers(len(choices))]


def attempt(call, *arguments, **options):
    """The call's value, or None where it was refused with a message."""
    try:
        return call(*arguments, **options) or True
    except kd.Error as error:
        assert len(str(error)) > 12, error
        counted["refused"] += 1
        return None


# ---- random content ----


def floats(rows, width):
    x = (rng.normal(0, 1, (rows, width)) * 10.0 ** pick(0, 0, 0, 1, -3, 4, -20, -37, 17)).astype(
        numpy.float32
    )
    for _ in range(pick(0, 0, 0, 1, 2) if x.size else 0):
        x[rng.integers(rows), rng.integers(width)] = pick(*SPECIAL)
    return x


def sparse_rows(rows, vocabulary, kind, temperatures, k):
    """Offsets, ids, values, tail, tails, present, entropy: most are sound, some not."""
    counts = numpy.minimum(
        rng.choice([1, k, k + 1, 2 * k, vocabulary, rng.integers(1, vocabulary + 1)], rows),
        vocabulary,
    )
    present = (rng.random(rows) < pick(0.5, 1, 1)).astype(numpy.uint8)
    counts[present == 0] *= rng.integers(0, 2)
    offsets = numpy.concatenate([[0], numpy.cumsum(counts)]).astype(numpy.int64)
    ids = numpy.concatenate(
        [numpy.sort(rng.choice(vocabulary, n, replace=False)) for n in counts] or [[]]
    ).astype(numpy.int64)
    if pick(0, 0, 0, 0, 1) and len(ids):
        ids[rng.integers(len(ids))] = pick(vocabulary, vocabulary - 1, 0, 2**32 - 1)
    if kind == kd.StoreKind.COUNTS:
        values = rng.integers(1, pick(3, 60, 2**25), len(ids)).astype(numpy.float32)
        if pick(0, 0, 0, 1) and len(values):
            values[rng.integers(len(values))] = pick(
                0, 0.5, -1, 1e9, 2e9, 16777218, 33554434, numpy.nan, numpy.inf
            )
        entropy = rng.random(rows).astype(numpy.float32) * pick(8, 31, 40)
        return offsets, ids, values, None, None, present, pick(None, entropy)
    raw = rng.normal(0, pick(1, 5, 40), len(ids))
    values, tail = numpy.zeros(len(ids), numpy.float32), numpy.zeros(rows, numpy.float32)
    for row in range(rows):
        a, b = offsets[row], offsets[row + 1]
        mass = pick(0.999999, 0.9, 0.5, 1e-3)
        if b > a:
            x = raw[a:b] - raw[a:b].max()
            values[a:b] = x - numpy.log(numpy.exp(x).sum()) + numpy.log(mass)
        tail[row] = numpy.log1p(-mass)
    for _ in range(pick(0, 0, 1) if len(values) else 0):
        values[rng.integers(len(values))] = pick(-numpy.inf, -200, -86.8, -1e5, numpy.nan, 5e-5)
    if pick(0, 0, 1) and rows:
        tail[rng.integers(rows)] = pick(-numpy.inf, -31.97, -32, -100, 0.0)
    tails = (
        numpy.log(rng.random((rows, len(temperatures))) * 0.9).astype(numpy.float32)
        if temperatures
        else None
    )
    return offsets, ids, values, tail, tails, present, None


def text():
    return (
        bytes(rng.integers(0, 256, pick(0, 1, 5, 300), dtype=numpy.uint8))
        if pick(0, 1)
        else pick(b"", b"caf\xc3\xa9", b"\0", b"a\0b\0", b"\xff\xfe")
    )


# ---- what must come back ----


def projected(x, to, seed):
    """The fixed random projection: signs / sqrt(to)."""
    u, words = numpy.uint64, (x.shape[1] + 63) // 64
    with numpy.errstate(over="ignore"):
        stream = read_store.mix(u(seed) + u(0x9E3779B97F4A7C15))
        for part, step in ((0x70726F6A, 0x632BE59BD9B4E019), (to, 0xD1B54A32D192ED03)):
            stream = read_store.mix(stream ^ (u(part) + u(step)))
        bits = read_store.mix(
            stream + (numpy.arange(to * words, dtype=u) + u(1)) * u(0x9E3779B97F4A7C15)
        ).reshape(to, words)
    signs = (
        1
        - 2
        * ((bits[:, :, None] >> numpy.arange(64, dtype=u)) & u(1))
        .astype(numpy.float64)
        .reshape(to, -1)[:, : x.shape[1]]
    )
    return (x.astype(numpy.float64) @ signs.T / numpy.sqrt(to)).astype(numpy.float32)


def same_rows(field, given, got, header):
    encoding, kind = field.get("encoding", kd.DType.FLOAT16), field["kind"]
    if kind in PROJECTED and field.get("projection"):
        exact = projected(given, field["projection"], header["seed"])
        slack = 1e-5 * numpy.abs(given.astype(numpy.float64)).sum(1, keepdims=True) + 1e-30
    else:
        exact, slack = given, 0
    if encoding == kd.DType.FLOAT32:
        assert (
            (numpy.abs(got - exact) <= slack).all()
            if numpy.any(slack)
            else numpy.array_equal(got, exact)
        ), "float32"
    elif encoding == kd.DType.INT8:
        most = numpy.abs(exact).max(1)
        error = numpy.sqrt(((got.astype(numpy.float64) - exact) ** 2).mean(1))
        assert (error <= 1.001 * most / 254 + 1.1e-30 + numpy.max(slack)).all(), (
            "int8",
            error,
            most,
        )
    else:
        unit, least = (2.0**-11, 2.0**-25) if encoding == kd.DType.FLOAT16 else (2.0**-8, 1e-40)
        padding = exact == -numpy.inf
        assert (got[padding] == -numpy.inf).all() and numpy.isfinite(got[~padding]).all(), (
            "16 bits: infinity"
        )
        with numpy.errstate(invalid="ignore"):
            error = numpy.abs(got - exact) - numpy.broadcast_to(slack, got.shape) * 1.01
        assert (error[~padding] <= unit * numpy.abs(exact[~padding]) * 1.01 + least).all(), (
            "16 bits"
        )


def same_hidden(field, given, got):
    width, limit = given.shape[1], (1 << (field["bits"] - 1)) - 1
    size = numpy.sqrt((given.astype(numpy.float64) ** 2).sum(1))
    error = numpy.sqrt(((got.astype(numpy.float64) - given) ** 2).sum(1))
    assert (error <= numpy.sqrt(width) * size / (2 * limit) * 1.01 + 1e-28).all(), (
        "hidden",
        error,
        size,
    )


def same_sparse(field, given, got):
    offsets, ids, values, tail, tails, present, _ = given
    there = got["present"] if got["present"] is not None else numpy.ones(len(present), numpy.uint8)
    for row in range(len(present)):
        a, b, c, d = offsets[row], offsets[row + 1], got["offsets"][row], got["offsets"][row + 1]
        if not present[row]:
            assert not there[row] and c == d, "an absent row"
            continue
        assert there[row], "a row is gone"
        mine, place = numpy.unique(ids[a:b], return_inverse=True)  # counts of one id are added
        exact = numpy.bincount(place, values[a:b].astype(numpy.float64), len(mine))
        if field["kind"] == kd.StoreKind.COUNTS:
            assert numpy.array_equal(mine, got["ids"][c:d]), "ids of counts"
            assert numpy.array_equal(exact.astype(numpy.float32), got["values"][c:d]), (
                "counts",
                exact,
                got["values"][c:d],
            )
            continue
        if field.get("bytes"):
            assert 1 <= d - c <= b - a and numpy.isin(got["ids"][c:d], mine).all(), "a budget"
            exact = exact[numpy.searchsorted(mine, got["ids"][c:d])]
        else:
            assert numpy.array_equal(mine, got["ids"][c:d]), "ids"
            if tail is not None:
                want = min(float(tail[row]), 0)
                assert (
                    want == got["tail"][row]
                    if want == -numpy.inf
                    else abs(max(want, -31.984375) - got["tail"][row]) < 0.0042
                ), "tail"
        values_read, gone = got["values"][c:d].astype(numpy.float64), exact <= -1e4
        kept = numpy.clip(exact[~gone], -86.8, 0)
        assert (values_read[gone] == -numpy.inf).all(), "probability 0"
        allowed = numpy.minimum(0.051, 0.00455 / numpy.sqrt(numpy.exp(kept)) * 1.1)
        assert (numpy.abs(values_read[~gone] - kept) <= allowed + 0.02 * (kept < -4.7)).all(), (
            "log-probabilities"
        )


def same(store, number, targets, fields, made, header):
    for field in fields:
        name, kind = field["name"], field["kind"]
        if name not in made["fields"]:
            continue
        given = made["fields"][name]
        if kind == kd.StoreKind.TEXT:
            assert store.text(number, name) == given, "text"
        elif kind == kd.StoreKind.SCORE:
            assert (
                numpy.float64(store.score(number, name)).tobytes() == numpy.float64(given).tobytes()
            ), "score"
        elif kind == kd.StoreKind.SEED:
            assert store.seed(number, name) == given, "seed"
        elif kind in SPARSE:
            same_sparse(field, given, targets.sparse(name))
        else:
            values, present = given
            got, there = targets.field(name), targets.present(name)
            rows = numpy.ones(len(values), bool) if present is None else present.astype(bool)
            there = numpy.ones(len(values), bool) if there is None else there.astype(bool)
            assert numpy.array_equal(rows, there), "presence"
            if not rows.any():
                continue
            if kind == kd.StoreKind.LABELS:
                assert numpy.array_equal(got[rows], values[rows]), "labels"
            elif kind == kd.StoreKind.HIDDEN:
                same_hidden(field, values[rows], store.unrotate(name, got)[rows])
            else:
                same_rows(field, values[rows], got[rows], header)


# ---- stores ----


def random_store():
    vocabulary = int(pick(1, 2, 3, 17, 300, 5000))
    header = {
        "vocabulary": vocabulary,
        "padded_vocabulary": int(pick(0, 0, vocabulary, vocabulary + 5)),
        "temperature": float(pick(1, 1, 0.01, 2.5, 1000)),
        "align": pick(kd.Align.NEXT, kd.Align.SAME),
        "seed": int(pick(0, 1, 2**64 - 1, rng.integers(2**62))),
        "sync": kd.Sync.NEVER,
        "teacher": pick("", 'a "teacher"\n', "caf\u00e9"),
    }
    if pick(0, 1):
        header["temperatures"] = [
            float(x) for x in rng.choice([0.5, 2, 4, 8, 999], pick(1, 2, 3), replace=False)
        ]
    fields = []
    for number in range(pick(1, 2, 4, 8)):
        kind = pick(*KINDS)
        field = {
            "kind": kind,
            "name": pick("a", "logits", "hidden", "label", "f") + pick("", str(number)),
            "bits": int(pick(3, 4, 5, 6, 7, 8)),
            "width": int(pick(1, 2, 3, 40, 64, 100)),
            "k": int(pick(1, 2, 5, 64)),
            "draws": int(pick(1, 5, 50)),
            "mass": float(pick(0, 0, 0.5, 0.999)),
            "bytes": int(pick(0, 0, 0, 1, 12, 200)),
        }
        if kind == kd.StoreKind.DENSE:
            field["encoding"] = pick(kd.DType.FLOAT32, kd.DType.FLOAT16, kd.DType.BFLOAT16)
        if kind in PROJECTED:
            field.update(
                encoding=pick(kd.DType.FLOAT32, kd.DType.FLOAT16, kd.DType.INT8),
                projection=int(pick(0, 0, 1, 8, 130)),
            )
        if pick(*[0] * 30, 1):
            field.update(
                pick(
                    {"bits": 9},
                    {"width": 0},
                    {"k": 0},
                    {"mass": 1.0},
                    {"bytes": -1},
                    {"draws": 0},
                    {"encoding": 77},
                    {"width": 1 << 25},
                )
            )
        fields.append(field)
    return header, fields


def width_of(field, header):
    return (
        (header["padded_vocabulary"] or header["vocabulary"])
        if field["kind"] == kd.StoreKind.DENSE
        else field["width"]
    )


def content(field, header, rows):
    """(what to keep, how to put it) of a field."""
    kind = field["kind"]
    if kind == kd.StoreKind.TEXT:
        return text()
    if kind == kd.StoreKind.SCORE:
        return float(pick(0.5, -0.0, numpy.nan, numpy.inf, 5e-324))
    if kind == kd.StoreKind.SEED:
        return int(pick(0, 1, 2**63, 2**64 - 1))
    if kind in SPARSE:
        return sparse_rows(rows, header["vocabulary"], kind, header.get("temperatures"), field["k"])
    if kind == kd.StoreKind.LABELS:
        return rng.integers(-(2**63), 2**63 - 1, rows), None
    entries = 1 if kind == kd.StoreKind.EMBEDDING else rows
    return floats(entries, width_of(field, header)), None


def set_sparse(targets, name, field, header, x, vocabulary=True):
    offsets, ids, values, tail, tails, present, entropy = x
    options = {
        "kind": kd.SparseKind.COUNTS
        if field["kind"] == kd.StoreKind.COUNTS
        else kd.SparseKind.TOPK,
        "temperature": header["temperature"],
    }
    if vocabulary:
        options["vocabulary"] = header["vocabulary"]
    if tails is not None:
        options.update(temperatures=numpy.array(header["temperatures"], numpy.float32), tails=tails)
    return attempt(
        targets.set_sparse,
        name,
        ids,
        values,
        offsets=offsets,
        tail=tail,
        present=present,
        entropy=entropy,
        **options,
    )


def by_pieces(writer, header, fields, targets, key):
    rows, first = (
        int(
            pick(0, 1, 2, 15, 16, 17, 40, 70000, 2**31 - 1)
            if pick(*[0] * 20, 1)
            else pick(0, 1, 2, 15, 16, 17, 40)
        ),
        int(pick(0, 0, 7, 2**31 - 1)),
    )
    view, kept, tokens = (
        int(pick(0, 0, 1, 2**32 - 1)),
        {},
        rng.integers(0, header["vocabulary"], first + rows + pick(0, 3))
        if first < 100 and rows < 100
        else None,
    )
    if attempt(writer.begin, key, rows, view=view, first=first) is None:
        return None
    for field in fields:
        if pick(0, 1, 1, 1) == 0 or (rows > 100 and field["kind"] < kd.StoreKind.TEXT):
            continue
        x, name = content(field, header, rows), field["name"]
        if field["kind"] in SPARSE:
            good = set_sparse(
                targets.begin(rows), name, field, header, x, pick(True, False)
            ) and attempt(writer.put_sparse, name, targets, name, 0)
        elif field["kind"] == kd.StoreKind.TEXT:
            good = attempt(writer.put_text, name, x)
        elif field["kind"] in (kd.StoreKind.SCORE, kd.StoreKind.SEED):
            good = attempt(
                writer.put,
                name,
                numpy.array(
                    [x], numpy.float64 if field["kind"] == kd.StoreKind.SCORE else numpy.uint64
                ),
            )
        else:
            good = attempt(writer.put, name, x[0])
        if good:
            kept[name] = x
    if tokens is not None and pick(0, 1):
        attempt(writer.put_tokens, tokens)
    return (
        {"key": key, "view": view, "first": first, "rows": rows, "fields": kept}
        if attempt(writer.commit)
        else None
    )


def by_batch(writer, header, fields, targets, key):
    """One sample of a packed batch; rows that are absent everywhere at its ends are left out by the
    writer."""
    rows, first = int(pick(1, 2, 16, 33)), int(pick(0, 0, 0, 5))
    tokens = rng.integers(0, max(header["vocabulary"], 2), rows)
    batch = (
        kd.Batch(context)
        .begin_packed(numpy.array([0, rows]))
        .set_samples(keys=numpy.array([key], numpy.uint64))
    )
    batch.set("tokens", tokens)
    if first or pick(0, 1):
        batch.set("position", numpy.arange(first, first + rows))
    targets.begin(rows)
    kept, there, embedded = {}, numpy.zeros(rows, bool), False
    for field in fields:
        if field["kind"] in APART:
            continue
        x, name = content(field, header, rows), field["name"]
        if field["kind"] in SPARSE:
            if not set_sparse(targets, name, field, header, x):
                return None
            there |= x[5].astype(bool)
        elif field["kind"] == kd.StoreKind.EMBEDDING:
            present = numpy.array([pick(0, 1, 1, 1)], numpy.uint8)
            if attempt(targets.set_per_sample, name, x[0], present=present) is None:
                return None
            x = (x[0], present)
            embedded |= bool(present[0])
        else:
            present = (rng.random(rows) < 0.7).astype(numpy.uint8) if pick(0, 0, 1) else None
            if attempt(targets.set, name, x[0], present=present) is None:
                return None
            x = (x[0], present)
            there |= numpy.ones(rows, bool) if present is None else present.astype(bool)
        kept[name] = x
    if attempt(writer.add, batch, targets) is None or not (there.any() or embedded):
        return None
    of_rows = [f["name"] for f in fields if f["kind"] <= kd.StoreKind.LABELS]
    begin, end = int(numpy.argmax(there)), rows - int(numpy.argmax(there[::-1]))
    if not there.any():
        begin = end = rows
    cut = {
        name: slice_rows(x, begin, end) if name in of_rows else x
        for name, x in kept.items()
        if name in of_rows or x[1].all()
    }
    if not of_rows:
        return {"key": key, "view": 0, "first": 0, "rows": 0, "fields": cut}
    return {
        "key": key,
        "view": 0,
        "first": first + begin,
        "rows": end - begin,
        "fields": cut,
        "tokens": tokens,
        "from": first,
    }


def slice_rows(x, begin, end):
    if len(x) == 2:
        return x[0][begin:end], None if x[1] is None else x[1][begin:end]
    offsets, ids, values, tail, tails, present, entropy = x
    a, b = offsets[begin], offsets[end]
    return (
        offsets[begin : end + 1] - a,
        ids[a:b],
        values[a:b],
        None if tail is None else tail[begin:end],
        None if tails is None else tails[begin:end],
        present[begin:end],
        None if entropy is None else entropy[begin:end],
    )


def by_import(writer, header, fields, key):
    """A server's answer, k and the chosen token beside them, in one of three forms."""
    field = next((f for f in fields if f["kind"] == kd.StoreKind.TOPK), None)
    if field is None or header.get("temperatures") or header["vocabulary"] < 2:
        return None
    rows, vocabulary, form = (
        int(pick(1, 3, 20)),
        header["vocabulary"],
        pick(kd.ImportFormat.VLLM, kd.ImportFormat.OPENAI, kd.ImportFormat.FLAT),
    )
    tokens = rng.integers(0, vocabulary, rows + 1)
    seen = form != kd.ImportFormat.OPENAI or bool(pick(0, 1))  # the line has the prompt's ids
    k = min(field["k"] + 1, vocabulary)
    ids = [rng.permutation(vocabulary)[:k] for _ in range(rows)]
    logs = [numpy.log(rng.dirichlet(numpy.ones(k)) * 0.99 + 1e-9) for _ in range(rows)]
    path, table, options = folder + "/lines", folder + "/table.json", {}
    if form == kd.ImportFormat.VLLM:
        line = {
            "prompt_token_ids": tokens.tolist(),
            "prompt_logprobs": [None]
            + [{str(i): {"logprob": float(x)} for i, x in zip(a, b)} for a, b in zip(ids, logs)],
        }
    elif form == kd.ImportFormat.OPENAI:
        entries = [
            [{"token": str(i), "logprob": float(x)} for i, x in zip(a, b)]
            for a, b in zip(ids, logs)
        ]
        line = {
            "choices": [
                {"logprobs": {"content": [dict(e[0], top_logprobs=e[1:]) for e in entries]}}
            ],
        }
        if seen:
            line["prompt_token_ids"] = tokens[:1].tolist()
        options["token_table"] = table
        with open(table, "w") as file:
            json.dump({str(i): i for i in range(vocabulary)}, file)
        tokens = numpy.concatenate([tokens[:seen], [a[0] for a in ids]])
    if form == kd.ImportFormat.FLAT:
        options.update(k=k, positions=rows)
        logs = [x.astype(numpy.float16) for x in logs]
        with open(path, "wb") as file:
            for a, b in zip(ids, logs):
                file.write(a.astype("<u4").tobytes() + b.astype("<f2").tobytes())
        key = kd.store_key(context, numpy.frombuffer(b"\0" * 8, numpy.uint8))
    else:
        with open(path, "w") as file:
            file.write(json.dumps(line) + "\n")
        key = kd.store_key(context, tokens)
    if not attempt(writer.import_, form, path, field=field["name"], **options):
        return None
    counted["imported"] += 1
    given = (
        numpy.arange(rows + 1) * k,
        numpy.concatenate(ids),
        numpy.concatenate(logs).astype(numpy.float32),
        None,
        None,
        numpy.ones(rows, numpy.uint8),
        None,
    )
    # the row of the answer's first token stands at the token before it, or at that token itself
    first = 0 if form == kd.ImportFormat.FLAT or header["align"] == kd.Align.NEXT else int(seen)
    made = {"key": key, "view": 0, "first": first, "rows": rows, "fields": {field["name"]: given}}
    if form == kd.ImportFormat.OPENAI:
        counted["without a prompt"] += not seen
        # the token at position 0 is the prompt's last one, and may be any
        unseen = int(not seen and header["align"] == kd.Align.NEXT)
        made.update(tokens=numpy.concatenate([rng.integers(0, vocabulary, unseen), tokens]))
        made.update({"from": 0, "unseen": unseen})
    return made


def read_all(store, header, fields, made):
    with kd.Targets(context) as targets:
        for record in made.values():
            number = store.find(record["key"], record["view"])
            facts = store.record(number)
            assert (facts.first, facts.positions) == (record["first"], record["rows"]), (
                facts,
                record["first"],
                record["rows"],
            )
            store.read(number, targets)
            same(store, number, targets, fields, record, header)
            counted["read"] += 1


def enough_checks(at, count):
    """Does an exchanged token of an answer without its prompt change three checks or more? Each is
    a byte of the last four tokens, from position 4 on: those in front of it reach the prompt."""
    return at > 0 and min(at + 3, count - 1) - max(at, 4) >= 2


def as_teacher(store, made):
    """A sample whole, cut, and with one token exchanged."""
    with kd.Teacher.from_store(store) as teacher, kd.Targets(context) as targets:
        for record in made.values():
            if "tokens" not in record:
                continue
            tokens, n = record["tokens"].copy(), int(rng.integers(1, len(record["tokens"]) + 1))
            batch = (
                kd.Batch(context)
                .begin_packed(numpy.array([0, n]))
                .set_samples(keys=numpy.array([record["key"]], numpy.uint64))
            )
            place = numpy.arange(record["from"], record["from"] + n)
            batch.set("tokens", tokens[:n]).set("position", place)
            teacher.read(batch, targets)
            counted["cut"] += 1
            at = int(rng.integers(len(tokens)))
            if record.get("unseen") and not enough_checks(at, len(tokens)):
                continue
            tokens[at] += 1 + rng.integers(50)
            batch.begin_packed(numpy.array([0, len(tokens)])).set_samples(
                keys=numpy.array([record["key"]], numpy.uint64)
            ).set("tokens", tokens)
            batch.set("position", numpy.arange(record["from"], record["from"] + len(tokens)))
            checked = (
                record["from"] == 0
            )  # all tokens have a checksum; else those that the record's checks reach
            if not checked:
                continue
            try:
                teacher.read(batch, targets)
                raise AssertionError(
                    f"token {at} of {len(tokens)} was exchanged, and nobody saw it"
                )
            except kd.Error as error:
                assert "not the" in str(error), error
            counted["exchanged"] += 1


def same_vectors(path, record, fields):
    """Both readers give the same numbers."""
    with kd.Store(context, path) as store, kd.Targets(context) as targets:
        store.read(store.find(record["key"], record["view"]), targets)
        for field in fields:
            name = field["name"]
            if field["kind"] != kd.StoreKind.EMBEDDING:
                continue
            if name in record["fields"]:
                assert numpy.array_equal(targets.field(name)[0], record["fields"][name]), name
                counted["vectors"] += 1
            else:
                assert targets.present(name)[0] == 0, name


def one_store():
    header, fields = random_store()
    path, small = folder + "/s.kdt", folder + "/c.kdt"
    for old in (path, small):
        if os.path.exists(old):
            os.unlink(old)
    counted["stores"] += 1
    writer, made = attempt(kd.StoreWriter, context, path, fields, **header), {}
    if writer is None:
        counted["stores refused"] += 1
        assert not os.path.exists(path)
        return
    hidden, head = next((f for f in fields if f["kind"] == kd.StoreKind.HIDDEN), None), None
    if hidden and header["vocabulary"] < 1000 and pick(0, 1):
        head = floats(header["vocabulary"], hidden["width"])
        if attempt(writer.set_head, head, encoding=kd.DType.FLOAT32) is None:
            head = None
    with kd.Targets(context) as targets:
        for part in range(2):  # then appended to, with another k
            for _ in range(int(rng.integers(1, 20))):
                key = (int(rng.integers(1, 2**63)), int(rng.integers(2**63)))
                way = pick("pieces", "batch", "batch", "import")
                if way == "import":
                    record = by_import(writer, header, fields, key)
                else:
                    put = by_pieces if way == "pieces" else by_batch
                    record = put(writer, header, fields, targets, key)
                counted["put"] += 1
                if record:
                    made[(record["key"], record["view"])] = record
            if pick(0, 1):
                writer.close()
            del writer  # one that was not closed leaves what was committed
            with kd.Store(context, path, pread=int(pick(0, 1))) as store:
                assert len(store) == len(made), (len(store), len(made))
                store.verify()
                read_all(store, header, fields, made)
                as_teacher(store, made)
                assert head is None or numpy.array_equal(store.head(rotated=False), head), (
                    "the head"
                )
                if part:
                    store.compact(small)
            if not part:
                again = [dict(f, k=int(pick(1, 7, 100))) for f in fields]
                writer = kd.StoreWriter(context, path, again, append=1, **header)  # noqa: F841
    with kd.Store(context, small) as store:
        read_all(store, header, fields, made)
    for record in read_store.records(small) if header["vocabulary"] < 1000 else ():  # it is slow
        assert (record["key"], record["view"]) in made
        same_vectors(small, record, fields)
        tokens = made[(record["key"], record["view"])].get("tokens")
        if tokens is not None and not made[(record["key"], record["view"])]["from"]:
            assert read_store.is_of(record["sample"], tokens) and read_store.is_of(
                record["sample"], tokens[: len(tokens) // 2]
            )


while counted["put"] < RECORDS:
    state = rng.bit_generator.state
    try:
        one_store()
    except Exception:
        print(f"after {counted}, state {state['state']}", flush=True)
        raise
shutil.rmtree(folder)
print(", ".join(f"{name} {count}" for name, count in counted.items()))
