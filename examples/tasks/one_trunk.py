"""Three tasks of texts in one small student, beside three students and their teacher.

    python examples/tasks/one_trunk.py MINILM DATA OUT.json [options]

MINILM is the folder of all-MiniLM-L6-v2 (bench/minilm.py); DATA holds text/ (SST-2, TREC,
Multi30k). The teacher is MiniLM with three heads, trained here on all tasks. Students have two of
its layers: one with three heads, and three with one head each. They learn labels, the teacher's
distributions (T = 2) and its vectors alike. The one student takes STEPS steps, each of the three
5/8 of that: together they take 1.9 times as many. The one is also trained with weights of tasks
that kd_balance sets. Nothing was chosen by the test texts.
"""

import argparse
import math
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "features"), os.path.join(HERE, "..", "..", "python")]
import kdistill as kd  # noqa: E402
import table  # noqa: E402
from task_texts import TASKS, Samples, read  # noqa: E402
from task_train import accuracy, answers, gradients, milliseconds, train  # noqa: E402

NAMES = list(TASKS)
BALANCES = {
    "one trunk": kd.BalanceKind.STATIC,
    "one trunk, MEAN": kd.BalanceKind.MEAN,
    "one trunk, DWA": kd.BalanceKind.DWA,
}
ALONE = "three students"


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("minilm")
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=450, help="of the one student")
    parser.add_argument("--teacher-steps", type=int, default=200)
    parser.add_argument("--teacher-rate", type=float, default=1e-4)
    parser.add_argument("--rate", type=float, default=3e-4, help="of students")
    parser.add_argument("--texts", type=int, default=4000, help="at most so many of a task")
    return parser.parse_args(arguments)


# ---- models ----
def with_heads(model, tasks):
    for task in tasks:
        model.add_head(task, num_labels=TASKS[task], level="sample", pooling="mean")
    return model


def new_teacher(ctx, folder, samples, steps, rate):
    """MiniLM with a head for each task; its word embeddings stay."""
    teacher = with_heads(kd.Model.load(ctx, folder, seed=1), NAMES)
    teacher.freeze("*word_embeddings*")
    train(ctx, teacher, samples, NAMES, steps, rate, 1)
    return teacher


def without_heads(ctx, folder, teacher):
    """The teacher's trunk, to cut students out of."""
    trunk, tensors = kd.Model.load(ctx, folder), dict(teacher.tensors)
    for name, values in trunk.tensors:
        values[:] = tensors[name]
    return trunk


def cut(trunk, tasks, seed):
    """The first and the last of its layers, with new heads."""
    config = {"hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0}
    student = trunk.student(layer_map=[0, 5], config=config, model={"seed": seed})
    student.freeze("*word_embeddings*")
    return with_heads(student, tasks)


def learned(model):
    """Parameters that training changes."""
    return sum(values.size for name, values in model.tensors if "word_embeddings" not in name)


# ---- the comparison ----
def kept(mean, of):
    """Share of an accuracy; of nothing, nothing is kept."""
    return float(mean / of) if of else math.nan


def one_student(ctx, make, samples, tests, taught, steps, rate, seed, kind):
    """A row for one trunk: accuracies, seconds, size, gradients, weights."""
    model, balance = make(NAMES, seed), kd.Balance(ctx, kind, len(NAMES))
    row = {"begin": gradients(ctx, model, samples, NAMES, taught)}
    row["seconds"] = train(ctx, model, samples, NAMES, steps, rate, seed, taught, balance)
    row["end"] = gradients(ctx, model, samples, NAMES, taught)
    row["weights"] = {task: balance.value(at) for at, task in enumerate(NAMES)}
    row["accuracy"] = accuracy(ctx, model, tests, NAMES)
    row["parameters"] = learned(model)
    row["milliseconds"] = milliseconds(ctx, [(model, NAMES)], tests)
    return row


def three_students(ctx, make, samples, tests, taught, steps, rate, seed):
    """The same for a student of each task."""
    row, models, reached = {"seconds": 0, "parameters": 0}, [], {}
    for task in NAMES:
        model = make([task], seed)
        row["seconds"] += train(ctx, model, samples, [task], steps * 5 // 8, rate, seed, taught)
        reached.update(accuracy(ctx, model, tests, [task]))
        row["parameters"] += learned(model)
        models.append((model, [task]))
    row["accuracy"] = reached
    row["milliseconds"] = milliseconds(ctx, models, tests)
    return row


def with_error(values, digits=3):
    """Mean and its standard error."""
    text = f"{np.mean(values):.{digits}f}"
    if len(values) < 2:
        return text
    return text + f" ± {np.std(values, ddof=1) / math.sqrt(len(values)):.{digits}f}"


def show_accuracy(teacher, rows):
    """Accuracies, what is kept of the teacher's, and cost."""
    lines = [["teacher", *(f"{teacher['accuracy'][task]:.3f}" for task in NAMES), *[""] * 3]]
    lines[0] += [f"{teacher['parameters'] / 1e6:.2f}", "", f"{teacher['milliseconds']:.2f}"]
    for arm, runs in rows.items():
        found = [[run["accuracy"][task] for run in runs] for task in NAMES]
        shares = [kept(np.mean(x), teacher["accuracy"][t]) for x, t in zip(found, NAMES)]
        cost = [f"{runs[0]['parameters'] / 1e6:.2f}"]
        cost.append(f"{np.mean([run['seconds'] for run in runs]):.1f}")
        cost.append(f"{np.mean([run['milliseconds'] for run in runs]):.2f}")
        lines.append([arm, *map(with_error, found), *(f"{share:.3f}" for share in shares), *cost])
    table.show(
        ["", *NAMES, *(f"{task}, kept" for task in NAMES), "million learned", "s", "ms a text"],
        lines,
    )


def show_gradients(rows):
    """How tasks pull at the trunk, and the weights at the end."""
    lines = []
    for arm in BALANCES:
        for when in ("begin", "end"):
            runs = [run[when] for run in rows[arm]]
            lines.append([f"{arm}, {when}"])
            for part in ("norms", "cosines"):
                for key in runs[0][part]:
                    lines[-1].append(f"{np.mean([run[part][key] for run in runs]):.3g}")
            weights = [run["weights"] for run in rows[arm]]
            said = [f"{np.mean([w[task] for w in weights]):.2f}" for task in NAMES]
            lines[-1].append(" ".join(said) if when == "end" else "")
    pairs = list(rows["one trunk"][0]["end"]["cosines"])
    columns = ["", *(f"norm {task}" for task in NAMES), *(f"cosine {pair}" for pair in pairs)]
    table.show([*columns, "weights"], lines)


def verdicts(teacher, rows):
    """Beside the goals: what the one trunk keeps of the teacher's accuracy on each task,
    and its share of the three students' cost."""
    one, three, found = rows["one trunk"], rows[ALONE], []
    for task in NAMES:
        mean = np.mean([run["accuracy"][task] for run in one])
        found.append((f"accuracy kept, {task}", kept(mean, teacher["accuracy"][task]), 0.97))
    costs = (
        ("training time", "seconds"),
        ("size", "parameters"),
        ("time of a text", "milliseconds"),
    )
    for name, key in costs:
        share = np.mean([run[key] for run in one]) / np.mean([run[key] for run in three])
        found.append((f"{name} over three students'", share, 0.55))
    return [{"name": name, "ours": float(ours), "goal": goal} for name, ours, goal in found]


def main(arguments):
    o = options_of(arguments)
    ctx = kd.Context(seed=1)
    tokenizer = kd.Tokenizer(ctx, o.minilm)
    samples, tests = (Samples(tokenizer, part) for part in read(o.data, o.texts))
    model = new_teacher(ctx, o.minilm, samples, o.teacher_steps, o.teacher_rate)
    teacher = {"accuracy": accuracy(ctx, model, tests, NAMES), "parameters": learned(model)}
    taught = answers(ctx, model, samples, NAMES, np.arange(len(samples.ids)))
    teacher["milliseconds"] = milliseconds(ctx, [(model, NAMES)], tests)
    print(f"  {len(samples.ids)} texts, teacher {teacher['accuracy']}", flush=True)

    trunk = without_heads(ctx, o.minilm, model)

    def make(tasks, seed):
        return cut(trunk, tasks, seed)

    rows = {arm: [] for arm in (*BALANCES, ALONE)}
    for seed in range(1, o.seeds + 1):
        given = ctx, make, samples, tests, taught, o.steps, o.rate, seed
        for arm, kind in BALANCES.items():
            rows[arm].append(one_student(*given, kind))
        rows[ALONE].append(three_students(*given))
        said = {arm: [round(x, 3) for x in r[-1]["accuracy"].values()] for arm, r in rows.items()}
        print(f"  seed {seed}: {said}", flush=True)
        found = {"options": vars(o), "teacher": teacher, "students": rows}
        table.keep(o.out, "one trunk", {**found, "rows": verdicts(teacher, rows)})
    show_accuracy(teacher, rows)
    print()
    show_gradients(rows)
    print()
    goals = [[r["name"], f"{r['ours']:.3f}", str(r["goal"])] for r in verdicts(teacher, rows)]
    table.show(["one trunk, fixed weights", "ours", "goal"], goals)


if __name__ == "__main__":
    main(sys.argv[1:])
