"""Feature losses on images: every kind alone and beside distillation of logits, for a student of
the teacher's family and one of another, at the papers' weights and at weights chosen on images that
are held back.

    python examples/features/images.py IMAGES OUT.json [SEEDS [SAMPLES [EPOCHS]]]

IMAGES is the folder of Fashion-MNIST. The convolutional teacher learns from all images but those
held back, once; students learn from the first SAMPLES of them (6,000). Accuracy in percent on the
10,000 test images, mean over SEEDS (3) and 95 % interval. The published columns are RepDistiller's
for CIFAR-100 (github.com/HobbitLong/RepDistiller).
"""

import os
import sys
import time

import numpy as np
import table

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

HELD, BATCH, TEMPERATURE = 5000, 64, 4
TEACHER_RATE, RATE = 2e-3, 1e-2  # Adam's; small students, few steps
FACTORS = (0.01, 0.1, 10)  # of the papers' weights, tried on the images that are held back
MAP, LAST, TEACHER_WIDTH = "hidden.3", "hidden.4", 128
# kind -> weight, whether it needs a projection, and the published accuracies: wrn-40-2 to wrn-16-2,
# and ResNet50 to MobileNetV2
KINDS = {
    "MEAN_SQUARED_ERROR": (100, True, (73.58, 63.16)),  # FitNet's hints
    "HIDDEN_COSINE": (1, True, None),
    "HIDDEN_DISTANCE": (1, True, None),
    "VARIATIONAL": (1, True, (74.11, 67.57)),
    "ATTENTION_TRANSFER": (1000, False, (74.08, 58.58)),
    "SIMILARITY": (3000, False, (73.83, 68.08)),
    "GRAM": (1, False, None),
    "RKD_DISTANCE": (25, False, (73.35, 64.43)),  # published together with the angles
    "RKD_ANGLE": (50, False, (73.35, 64.43)),
    "PKT": (30000, False, (74.54, 66.52)),
    "CKA": (1, False, None),
    "RELATION_KL": (1, False, None),
}
BASES = {"labels": (73.26, 64.60), "logits": (74.92, 67.35)}


# ---- models ----
def convolutions(first, second, width):
    conv = {"type": "conv2d", "padding": 1, "kernel_size": 3, "activation": "relu"}
    pool = {"type": "max_pool2d", "kernel_size": 2}
    linear = {"type": "linear", "units": width, "activation": "relu"}
    return {
        "model_type": "sequential",
        "input_shape": [1, 28, 28],
        "layers": [
            {**conv, "channels": first},
            pool,
            {**conv, "channels": second},
            pool,
            linear,
            {"type": "linear", "units": 10},
        ],
    }


MLP = {"model_type": "mlp", "input_size": 784, "hidden_sizes": [48, 32], "num_labels": 10}
# student -> config, the name of what enters its last layer
STUDENTS = {
    "convolutions": (convolutions(4, 8, 32), LAST),
    "perceptron": ({**MLP, "hidden_act": "relu"}, "hidden.1"),
}


# ---- training ----
def learn(ctx, model, data, loss, rate, epochs, seed, teacher=None):
    steps = -(-len(data) // BATCH) * epochs
    rates, batch, targets = kd.Schedule.cosine(ctx, rate, 0, steps), kd.Batch(ctx), kd.Targets(ctx)
    optimizer = None
    loader = kd.Loader(data, batch_size=BATCH, epochs=epochs, shuffle=1, drop_last=1, seed=seed)
    for step, _ in enumerate(loader.into(batch)):
        said = teacher.read(batch, targets) if teacher else None
        model.forward(batch, kd.Mode.TRAIN)
        if optimizer is None:  # after a pass all widths are known
            loss.prepare(model, said)
            sources = (model, loss) if loss.tensors else (model,)
            optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAM, *sources)
        loss.backward(model, batch, said)
        optimizer.step(rates(step))


def accuracy(model, data):
    return 100 * float((model.predict(data, width=10).argmax(1) == data.field("label")).mean())


def teacher_of(ctx, data, epochs):
    model, loss = kd.Model(ctx, convolutions(32, 64, TEACHER_WIDTH)), kd.Loss(ctx)
    loss.add(kd.LossKind.CROSS_ENTROPY)
    learn(ctx, model, data, loss, TEACHER_RATE, epochs, 1)
    return model


def add_feature(loss, kind, weight, last):
    """The term of a kind; its names of outputs, and a projection where widths must agree."""
    names = (MAP, MAP) if kind == "ATTENTION_TRANSFER" else (last, LAST)
    numbers = {"temperature": 0.1, "teacher_temperature": 0.1} if kind == "RELATION_KL" else {}
    sides = {"student_output": names[0], "teacher_field": names[1]}
    term = loss.add(kd.LossKind[kind], weight, **sides, **numbers)
    if KINDS[kind][1]:
        loss.set_projection(term, kind=kd.Projection.LINEAR_BIAS)


def student_of(ctx, student, base, kind, weight, seed, data, teacher, epochs):
    """A student that was trained: base labels or logits, and a feature term or none."""
    config, last = STUDENTS[student]
    model, loss = kd.Model(ctx, config, seed=seed), kd.Loss(ctx)
    if base == "logits":
        loss.add(kd.LossKind.CROSS_ENTROPY, 0.1)
        loss.add(kd.LossKind.FORWARD_KL, 0.9, temperature=TEMPERATURE)
    else:
        loss.add(kd.LossKind.CROSS_ENTROPY)
    if kind:
        add_feature(loss, kind, weight, last)
    taught = teacher if kind or base == "logits" else None
    learn(ctx, model, data, loss, RATE, epochs, seed, taught)
    return model


# ---- the table ----
class Runs:
    """Students of all rows, trained from the same teacher's kept answers."""

    def __init__(self, folder, seeds, samples, epochs):
        self.ctx = kd.Context(seed=1)
        whole = kd.Dataset.load_idx(self.ctx, folder, "train")
        self.test = kd.Dataset.load_idx(self.ctx, folder, "t10k")
        count, held = len(whole) - HELD, HELD
        if samples < 1000:  # only to see that all runs
            held = min(HELD, samples)
            self.test = self.test.select(np.arange(min(samples, len(self.test))))
        self.held = whole.select(np.arange(count, count + held))
        self.data = whole.select(np.arange(min(samples, count)))
        self.seeds, self.epochs = range(1, seeds + 1), epochs
        known = count if samples >= 1000 else samples
        model = teacher_of(self.ctx, whole.select(np.arange(known)), min(epochs, 4))
        self.accuracy = accuracy(model, self.test)
        live = kd.Teacher.from_model(model)
        for name in (MAP, LAST, "logits"):
            model.keep(name)
        self.teacher = live.collect(self.data)

    def measure(self, student, base, kind, weight, seeds, data):
        found = []
        for seed in seeds:
            at = self.data, self.teacher, self.epochs
            made = student_of(self.ctx, student, base, kind, weight, seed, *at)
            found.append(accuracy(made, data))
        return found

    def tuned(self, student, base, kind, weight):
        """The weight that is best on the images that are held back, with the first seed."""
        tried = {
            w: self.measure(student, base, kind, w, [self.seeds[0]], self.held)[0]
            for w in [weight, *(f * weight for f in FACTORS)]
        }
        return max(tried, key=tried.get)

    def row(self, student, base, kind):
        found = {"student": student, "base": base, "kind": kind or "-"}
        if kind is None:
            found["paper"] = self.measure(student, base, None, 0, self.seeds, self.test)
            return {**found, "weight": None, "tuned_weight": None, "tuned": found["paper"]}
        weight = KINDS[kind][0]
        best = self.tuned(student, base, kind, weight)
        found.update(weight=weight, tuned_weight=best)
        found["paper"] = self.measure(student, base, kind, weight, self.seeds, self.test)
        found["tuned"] = found["paper"]
        if best != weight:
            found["tuned"] = self.measure(student, base, kind, best, self.seeds, self.test)
        return found


def published(row):
    """RepDistiller's accuracy in the pair that is like this one; nothing for sums of two."""
    pair = 0 if row["student"] == "convolutions" else 1
    if row["kind"] == "-":
        return BASES[row["base"]][pair]
    known = KINDS[row["kind"]][2]
    return known[pair] if known and row["base"] == "labels" else None


def show_rows(rows):
    columns = ["student", "base", "feature", "papers' weight", "tuned", "(weight)", "published"]
    lines = []
    for r in rows:
        known = published(r)
        tuned = "" if r["tuned_weight"] is None else f"{r['tuned_weight']:g}"
        texts = table.text(r["paper"]), table.text(r["tuned"]), tuned
        lines.append([r["student"], r["base"], r["kind"], *texts, f"{known}" if known else ""])
    table.show(columns, lines)


def order(ctx, rows, student):
    """Spearman's correlation of our means, tuned, with the published accuracies."""
    pairs = [
        (table.interval(r["tuned"])[0], published(r))
        for r in rows
        if r["student"] == student and published(r)
    ]
    return kd.metrics_correlation(ctx, *zip(*pairs))


def main(folder, out, seeds=3, samples=6000, epochs=3, kinds=tuple(KINDS)):
    began, runs, rows = time.time(), Runs(folder, seeds, samples, epochs), []
    print(f"teacher {runs.accuracy:.2f}; {samples} images, {epochs} epochs, {seeds} seeds")
    for student in STUDENTS:
        for base in BASES:
            for kind in (None, *kinds):
                if kind == "ATTENTION_TRANSFER" and student != "convolutions":
                    continue  # it has no maps
                rows.append(runs.row(student, base, kind))
                r = rows[-1]
                at = f"{table.text(r['paper'])}, {table.text(r['tuned'])} at {r['tuned_weight']}"
                print(f"  {student}, {base}, {r['kind']}: {at}", flush=True)
    show_rows(rows)
    found = {"teacher": runs.accuracy, "rows": rows, "order": {}}
    found["table"] = [
        table.row(f"{r['student']}, {r['base']}, {r['kind']}", r["tuned"], published(r))
        for r in rows
    ]
    for student in STUDENTS:
        found["order"][student] = order(runs.ctx, rows, student)
        print(f"order beside RepDistiller's, {student}: {found['order'][student]:.2f} (Spearman)")
    print(f"{time.time() - began:.0f} seconds")
    table.keep(out, "images", found)


if __name__ == "__main__":
    main(*sys.argv[1:3], *(int(number) for number in sys.argv[3:6]))
