"""What a stored teacher costs in the end (make bench-store).

    python bench/store_distil.py REAL [steps]

A student (the teacher's last hidden states with noise, through a square matrix that is trained,
then the teacher's head) is distilled by each rule of storing, with the same steps and three seeds;
then its KL to the dense teacher on sequences it has not seen.
"""

import os
import sys
import tempfile

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

real, steps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 40
hidden, head, offsets = (
    numpy.load(os.path.join(real, f"{name}.npy")) for name in ("hidden", "head", "offsets")
)
V, D = head.shape
ctx = kd.Context(threads=2)
ROWS, folder = 256, tempfile.mkdtemp()
generator = numpy.random.default_rng(0)
taken = generator.permutation(len(hidden))
train, held = taken[:8192], taken[8192 : 8192 + 512]
inputs = hidden + generator.normal(0, 0.7 * hidden.std(), hidden.shape).astype(numpy.float32)
head_t = numpy.ascontiguousarray(head.T)
logits = ctx.matmul(hidden[train], head_t)
TOPK, HIDDEN, COUNTS = kd.StoreKind.TOPK, kd.StoreKind.HIDDEN, kd.StoreKind.COUNTS
RULES = [
    ("dense", None),
    ("top 16", {"kind": TOPK, "k": 16}),
    ("top 64", {"kind": TOPK, "k": 64}),
    ("50 draws", {"kind": COUNTS, "draws": 50}),
    ("hidden, 8 bits", {"kind": HIDDEN, "width": D, "bits": 8}),
    ("hidden, 5 bits", {"kind": HIDDEN, "width": D, "bits": 5}),
    ("hidden, 4 bits", {"kind": HIDDEN, "width": D, "bits": 4}),
]


def key(row):
    return numpy.array([[row + 1, 1]], numpy.uint64)


def store(field):
    """Every training row as a record of its own: any batch can be drawn."""
    path = os.path.join(folder, "x.kdt")
    if os.path.exists(path):
        os.remove(path)
    name = "hidden" if field["kind"] == HIDDEN else "kept"
    with kd.StoreWriter(ctx, path, [dict(field, name=name)], vocabulary=V) as writer:
        if field["kind"] == HIDDEN:
            writer.set_head(head)
        for first in range(0, len(train), 512):
            rows = numpy.arange(first, min(first + 512, len(train)))
            batch, targets = (
                kd.Batch(ctx).begin_packed(numpy.arange(len(rows) + 1)),
                kd.Targets(ctx).begin(len(rows)),
            )
            batch.set_samples(keys=numpy.concatenate([key(r) for r in rows]))
            targets.borrow("logits", logits[rows])
            targets.borrow("hidden", hidden[train[rows]])
            writer.add(batch, targets)
    opened = kd.Store(ctx, path)
    return kd.Teacher.from_store(opened), sum(
        opened.field_bytes(i, name) for i in range(0, len(train), 8)
    ) / len(train[::8])


def distil(seed, teacher, field):
    generator, matrix = numpy.random.default_rng(seed), numpy.eye(D, dtype=numpy.float32)
    first, second = numpy.zeros_like(matrix), numpy.zeros_like(matrix)
    loss, batch, targets = kd.Loss(ctx), kd.Batch(ctx), kd.Targets(ctx)
    loss.add(
        kd.LossKind.FORWARD_KL,
        **({"teacher_field": "kept"} if field and field["kind"] != HIDDEN else {}),
    )
    for step in range(1, steps + 1):
        rows = generator.choice(len(train), ROWS, replace=False)
        x = inputs[train[rows]]
        batch.begin_packed(numpy.arange(ROWS + 1)).set_samples(
            keys=numpy.concatenate([key(r) for r in rows])
        )
        if teacher is None:
            targets.begin(ROWS).borrow("logits", logits[rows])
        else:
            teacher.read(batch, targets)
        states, gradient = ctx.matmul(x, matrix), numpy.zeros((ROWS, D), numpy.float32)
        loss.evaluate(
            {"logits": states},
            batch,
            targets,
            gradients={"logits": gradient},
            heads={"logits": kd.Head(head)},
        )
        g = ctx.matmul(numpy.ascontiguousarray(x.T), gradient)  # Adam
        first, second = 0.9 * first + 0.1 * g, 0.99 * second + 0.01 * g * g
        rate = 3e-3 * (1 - (step - 1) / steps)
        matrix -= (
            rate * first / (1 - 0.9**step) / (numpy.sqrt(second / (1 - 0.99**step)) + 1e-8)
        ).astype(numpy.float32)
    dense = kd.Targets(ctx).begin(len(held)).borrow("logits", ctx.matmul(hidden[held], head_t))
    judge, states = kd.Loss(ctx), ctx.matmul(inputs[held], matrix)
    judge.add(kd.LossKind.FORWARD_KL)
    return judge.evaluate(
        {"logits": states}, kd.Batch(ctx).begin(len(held)), dense, heads={"logits": kd.Head(head)}
    ).value


print(
    f"{steps} steps of {ROWS} rows, three seeds; "
    "KL to the dense teacher on 512 rows not seen, nat a token"
)
for name, field in RULES:
    teacher, size = store(field) if field else (None, 4.0 * V)
    kls = [distil(seed, teacher, field) for seed in range(3)]
    print(
        f"{name:16s} {size:9.0f} bytes a row   "
        f"KL {numpy.mean(kls):.4f} +- {numpy.std(kls, ddof=1) / 3**0.5:.4f}",
        flush=True,
    )
