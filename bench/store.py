"""What a store keeps of real distributions, by rule (make bench-store).

    python bench/store.py REAL

REAL: a folder made by bench/smollm2.py (real text through a real model). For each rule: bytes a
token, KL(dense || decoded), the relative error of the gradient that reaches a student's hidden
states and head, and how fast rows are written and read on one thread.
"""

import json
import math
import os
import shutil
import sys
import tempfile
import time

import numpy
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

torch.set_num_threads(2)
real = sys.argv[1]
hidden, head, tokens, offsets, kinds = (
    numpy.load(os.path.join(real, f"{name}.npy"))
    for name in ("hidden", "head", "tokens", "offsets", "kinds")
)
V, D = head.shape
one, two = kd.Context(threads=1), kd.Context(threads=2)
folder, results = tempfile.mkdtemp(), []
NAMES = ("GSM8K", "Shakespeare")
STEP = 512


def pieces(kind):
    """Sequences of a kind: (key, logits made on the fly, hidden)."""
    for s in numpy.flatnonzero(kinds == kind):
        a, b = offsets[s], offsets[s + 1]
        yield kd.store_key(two, tokens[a:b]), hidden[a:b]


head_t = numpy.ascontiguousarray(head.T)
all_logits = two.matmul(hidden, head_t)


def logits_of(h):
    """Logits of rows of `hidden` (a view of it): computed once."""
    first = (h.__array_interface__["data"][0] - hidden.__array_interface__["data"][0]) // (4 * D)
    return all_logits[first : first + len(h)]


generator = numpy.random.default_rng(0)
student_noise = generator.normal(0, 0.35 * hidden.std(), hidden.shape).astype(numpy.float32)
student = hidden + student_noise


def kl_rows(p_logs, q):
    """KL(dense || decoded) a row, in double."""
    p, q = torch.from_numpy(p_logs), torch.from_numpy(numpy.asarray(q))
    return (p.exp() * (p - q)).sum(1, dtype=torch.float64).numpy()


def decode_rows(targets, rows, store, tail):
    """The distribution that a record stands for: log-probabilities (rows, V)."""
    try:
        values = targets.field("hidden")
        z = two.matmul(values, rotated_t(store))
        return torch.log_softmax(torch.from_numpy(z), 1).numpy()
    except kd.Error:
        pass
    sparse = targets.sparse("topk")
    out = numpy.empty((rows, V), numpy.float32)
    for r in range(rows):
        a, b = sparse["offsets"][r], sparse["offsets"][r + 1]
        ids, values = sparse["ids"][a:b], sparse["values"][a:b].astype(numpy.float64)
        rest = float(sparse["tail"][r])
        total = numpy.log(numpy.exp(values).sum() + numpy.exp(rest))
        out[r] = rest - total - numpy.log(max(1, V - len(ids)))
        out[r, ids] = values - total
    return out


cache = {}


def rotated_t(store):
    if "head" not in cache:
        cache["head"] = numpy.ascontiguousarray(store.head(rotated=True).T)
    return cache["head"]


def coding(dense, targets):
    """What coding alone adds: KL on the stored ids and their bucket, nat a row."""
    sparse, total = targets.sparse("topk"), []
    for r, p in enumerate(dense.astype(numpy.float64)):
        a, b = sparse["offsets"][r], sparse["offsets"][r + 1]
        ids, kept = sparse["ids"][a:b], sparse["values"][a:b].astype(numpy.float64)
        rest, norm = (
            float(sparse["tail"][r]),
            numpy.log(
                numpy.exp(sparse["values"][a:b].astype(numpy.float64)).sum()
                + numpy.exp(float(sparse["tail"][r]))
            ),
        )
        inside = numpy.exp(p[ids])
        outside = max(1 - inside.sum(), 1e-12)
        total.append(
            (inside * (p[ids] - kept + norm)).sum() + outside * (numpy.log(outside) - rest + norm)
        )
    return float(numpy.mean(total))


def gradients(h, targets, **term):
    """dH and dW of forward KL of the student on these targets."""
    loss, dh, dw = kd.Loss(two), numpy.zeros_like(h), numpy.zeros_like(head)
    loss.add(kd.LossKind.FORWARD_KL, **term)
    batch = kd.Batch(two).begin(len(h))
    loss.evaluate(
        {"logits": h},
        batch,
        targets,
        gradients={"logits": dh},
        heads={"logits": kd.Head(head, None, dw)},
    )
    return dh, dw


def relative(a, b):
    return float(numpy.linalg.norm(a - b) / numpy.linalg.norm(b))


ONLY = os.environ.get("RULES", "")  # names that begin so


def measure(name, field, tail="uniform tail"):
    shown = []
    if not name.startswith(ONLY):
        return
    for kind in (0, 1):
        path = os.path.join(folder, "x.kdt")
        if os.path.exists(path):
            os.remove(path)
        cache.clear()
        with kd.StoreWriter(one, path, [field], vocabulary=V, align=kd.Align.NEXT) as writer:
            if field["kind"] == kd.StoreKind.HIDDEN:
                writer.set_head(head, kd.DType.FLOAT16)
            spent = rows = 0
            for key, h in pieces(kind):
                batch, targets = (
                    kd.Batch(one).begin_packed([0, len(h)]),
                    kd.Targets(one).begin(len(h)),
                )
                batch.set_samples(keys=numpy.array([key], numpy.uint64))
                if field["kind"] == kd.StoreKind.HIDDEN:
                    targets.borrow("hidden", h)
                else:
                    z = logits_of(h)
                    targets.borrow("logits", z)
                start = time.perf_counter()
                writer.add(batch, targets)
                spent += time.perf_counter() - start
                rows += len(h)
        with kd.Store(one, path) as store:
            part = sum(store.field_bytes(i, field["name"]) for i in range(len(store)))
            kls, codings = [], []
            targets = kd.Targets(one)
            for number, (_, h) in enumerate(pieces(kind)):
                store.read(number, targets)
                if field["kind"] == kd.StoreKind.COUNTS:
                    kls.append(numpy.array([numpy.nan]))
                else:
                    dense = torch.log_softmax(torch.from_numpy(logits_of(h)), 1).numpy()
                    kls.append(kl_rows(dense, decode_rows(targets, len(h), store, tail)))
                    if field["kind"] == kd.StoreKind.TOPK:
                        codings.append(coding(dense, targets))
                if sum(len(k) for k in kls) >= 1024:
                    break
            first = offsets[numpy.flatnonzero(kinds == kind)[0]]
            exact = errors_of(kind, store, targets, field, first)
            entries = None
            if field["kind"] in (kd.StoreKind.TOPK, kd.StoreKind.COUNTS):
                entries = sum(len(t.sparse(field["name"])["ids"]) for _, t in store)
            start, passes = time.perf_counter(), 0
            while time.perf_counter() - start < 0.2:
                for i in range(len(store)):
                    store.read(i, targets)
                passes += 1
            speed = passes * rows / (time.perf_counter() - start)
            order = generator.permutation(len(store))
            start = time.perf_counter()
            for i in order:
                store.find(store.record(int(i)).key)
            look_up = (time.perf_counter() - start) / len(store)
        errors = numpy.concatenate(kls)
        shown.append(
            {
                "data": NAMES[kind],
                "bytes": part / rows,
                "entry": part / entries if entries else None,
                "coding": float(numpy.mean(codings)) if codings else None,
                "kl": float(errors.mean()),
                "kl99": float(numpy.percentile(errors, 99)),
                "worst": float(errors.max()),
                "dw": exact[1],
                "dh": exact[0],
                "written": rows / spent,
                "read": speed,
                "look_up": look_up,
            }
        )
    results.append({"rule": name, "rows": shown})
    a, b = shown

    def pair(key, form):
        return f"{form % a[key]:>9s} {form % b[key]:>9s}"

    print(
        f"{name:26s} {pair('bytes', '%.0f')} {'%.2f' % a['entry'] if a['entry'] else '':>5s} "
        f"{pair('kl', '%.4f')} {pair('kl99', '%.3f')} {pair('worst', '%.2f')} "
        f"{pair('dw', '%.1e')} {pair('dh', '%.1e')} "
        f"{a['written'] / 1e3:8.0f} {a['read'] / 1e3:8.0f}"
        f" {a['look_up'] * 1e6:8.1f}"
        + (f"   coding adds {a['coding']:.1e} {b['coding']:.1e}" if a["coding"] else ""),
        flush=True,
    )


# ---- formats of others, by their description: bytes a token, KL with the tail spread evenly ----


def spread(ids, kept, p):
    """Log-probabilities over V from those of some ids; what they leave is spread evenly."""
    out = numpy.empty_like(p)
    rest = numpy.maximum(1 - numpy.exp(kept).sum(1, keepdims=True), 1e-9)
    out[:] = numpy.log(rest / (V - ids.shape[1]))
    numpy.put_along_axis(out, ids, kept, 1)
    return out - numpy.log(numpy.exp(out.astype(numpy.float64)).sum(1, keepdims=True)).astype(
        numpy.float32
    )


def polynomial(kept, exact=16, terms=5):
    """DistillKit's polynomial form: `exact` values as float16, the rest a curve over the rank
    (powers 0 to 3 and a square root), float32.
    """
    x = numpy.arange(kept.shape[1], dtype=numpy.float64)[exact:]
    basis = numpy.stack([x**i for i in range(terms - 1)] + [numpy.sqrt(x)], 1)
    scale = numpy.abs(basis).max(0)
    weights = numpy.linalg.lstsq(
        basis / scale, kept[:, exact:].T.astype(numpy.float64), rcond=None
    )[0]
    out = kept.astype(numpy.float16).astype(numpy.float32)
    out[:, exact:] = ((basis / scale) @ weights).T
    return out


def binned(kept, bits):
    """DistillKit's quantized form: each value in `bits` bits between the row's largest and
    smallest, two float16 scales.
    """
    low, high = kept.min(1, keepdims=True), kept.max(1, keepdims=True)
    steps = (1 << bits) - 1
    return low + numpy.round((kept - low) / (high - low) * steps) / steps * (high - low)


def formats(k=64):
    packed = math.ceil(math.log2(V)) * k / 8  # ids at their width, as DistillKit packs them
    rules = [
        ("int32 + float32", 8 * k, lambda x: x),
        ("int32 + float16", 6 * k, lambda x: x.astype(numpy.float16).astype(numpy.float32)),
        ("uint32 + float16, flat", 6 * k, lambda x: x.astype(numpy.float16).astype(numpy.float32)),
        ("packed ids, polynomial", packed + 16 * 2 + 5 * 4, polynomial),
        ("packed ids, 8 bits", packed + k + 4, lambda x: binned(x, 8)),
        ("packed ids, 4 bits", packed + k / 2 + 4, lambda x: binned(x, 4)),
    ]
    print(
        f"\nformats of others by their description, top {k}, T = 1 "
        f"(ours beside them: top {k} above)"
    )
    for name, size, code in rules:
        shown = []
        for kind in (0, 1):
            first = offsets[numpy.flatnonzero(kinds == kind)[0]]
            p = torch.log_softmax(torch.from_numpy(all_logits[first : first + 1024]), 1)
            kept, ids = torch.topk(p, k)
            dense, kept, ids = p.numpy(), kept.numpy(), ids.numpy()
            exact = kl_rows(dense, spread(ids, kept, dense)).mean()
            total = kl_rows(dense, spread(ids, code(kept), dense)).mean()
            shown += [total, total - exact]
        print(
            f"{name:26s} {size:9.0f} bytes, {size / k:.2f} an entry, "
            f"KL {shown[0]:.4f} {shown[2]:.4f}, of it coding {shown[1]:+.1e} {shown[3]:+.1e}",
            flush=True,
        )
        results.append(
            {
                "rule": name,
                "bytes": size,
                "kl": [shown[0], shown[2]],
                "coding": [shown[1], shown[3]],
            }
        )


def beside_a_teacher():
    """What writing costs beside making the rows: a model of this size spends at least its products
    on each.
    """
    parameters = 134.5e6 if (V, D) == (49152, 576) else float(os.environ["PARAMETERS"])
    h = hidden[:2048]
    start = time.perf_counter()
    for _ in range(3):
        one.matmul(h, head_t)
    teacher = (time.perf_counter() - start) / 3 / len(h) * parameters / head.size
    print(
        f"\na teacher of {parameters / 1e6:.1f} M parameters on one thread, products alone: "
        f"{teacher * 1e6:.0f} us a row; writing adds"
    )
    for r in results:
        for row in r.get("rows", [])[:1]:
            print(
                f"  {r['rule']:26s} {1e6 / row['written']:7.1f} us a row, "
                f"{100 / row['written'] / teacher:5.2f} %"
            )


def errors_of(kind, store, targets, field, first):
    """Relative error of dH and dW over the first sequences of a kind."""
    a, b, number = [], [], 0
    for number in range(min(2, len(store))):
        begin = first + sum(store.record(i).positions for i in range(number))
        rows = store.record(number).positions
        h, dense = student[begin : begin + rows], kd.Targets(two).begin(rows)
        z = logits_of(hidden[begin : begin + rows])
        dense.borrow("logits", z)
        a.append(gradients(h, dense))
        store.read(number, targets)
        term = {} if field["kind"] == kd.StoreKind.HIDDEN else {"teacher_field": field["name"]}
        b.append(gradients(h, targets, **term))
    dh = relative(numpy.concatenate([x[0] for x in b]), numpy.concatenate([x[0] for x in a]))
    dw = relative(sum(x[1] for x in b), sum(x[1] for x in a))
    return dh, dw


print(
    f"{len(tokens)} tokens of real text; pairs are {NAMES[0]}, {NAMES[1]}; KL with the tail spread "
    "evenly; gradients by BUCKET and draws; thousands of rows a second, one thread"
)
print(
    f"{'rule':26s} {'bytes a token':>19s} entry {'mean KL':>19s} {'99 %':>19s} {'largest':>19s} "
    f"{'error dW':>19s} {'error dH':>19s} {'written':>8s} {'read':>8s} {'look-up us':>10s}"
)
for k in (16, 64, 128):
    measure(f"top {k}", {"kind": kd.StoreKind.TOPK, "name": "topk", "k": k})
for mass in (0.9, 0.95, 0.99):
    measure(
        f"mass {mass:g}, at most 2000",
        {"kind": kd.StoreKind.TOPK, "name": "topk", "k": 2000, "mass": mass},
    )
measure("150 bytes", {"kind": kd.StoreKind.TOPK, "name": "topk", "k": 128, "bytes": 150})
for draws in (50, 200):
    measure(f"{draws} draws", {"kind": kd.StoreKind.COUNTS, "name": "topk", "draws": draws})
for bits in (8, 6, 5, 4, 3):
    measure(
        f"hidden, {bits} bits",
        {"kind": kd.StoreKind.HIDDEN, "name": "hidden", "width": D, "bits": bits},
    )
shutil.rmtree(folder)
formats()
beside_a_teacher()
os.makedirs("build", exist_ok=True)
with open("build/bench-store.json", "w") as file:
    json.dump(results, file, indent=1)
