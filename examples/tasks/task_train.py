"""A model learns tasks from labels and from a teacher's answers."""

import time

import kdistill as kd
import numpy as np

TOGETHER, TEMPERATURE, LOOKED_AT = 32, 2, 96


def answers(ctx, model, samples, tasks, chosen):
    """{task: (texts, classes)} logits, and "embedding", of chosen texts."""
    batch, outputs = kd.Batch(ctx), {task: "logits." + task for task in tasks}
    outputs["embedding"] = "embedding"
    found = {name: [] for name in outputs}
    for output in outputs.values():
        model.keep(output)
    for first in range(0, len(chosen), 128):
        model.forward(samples.fill(batch, chosen[first : first + 128]), kd.Mode.EVALUATE)
        for name, output in outputs.items():
            found[name].append(model.output(output).copy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def accuracy(ctx, model, samples, tasks):
    """{task: share of its test texts that are answered rightly}."""
    found = {}
    for task in tasks:
        own = samples.of[task]
        said = answers(ctx, model, samples, [task], own)[task].argmax(1)
        found[task] = float((said == samples.labels[own]).mean())
    return found


def add_terms(loss, tasks, taught):
    """{task: numbers of its terms}; labels alone, or half of each where there is a teacher."""
    weight, terms = 0.5 if taught else 1, {}
    for task in tasks:
        names = {"student_output": "logits." + task}
        label = loss.add(kd.LossKind.CROSS_ENTROPY, weight, label_field="label." + task, **names)
        terms[task] = [label]
        if taught:
            names["teacher_field"] = "logits." + task
            soft = loss.add(kd.LossKind.FORWARD_KL, weight, temperature=TEMPERATURE, **names)
            terms[task].append(soft)
    if taught:
        loss.add(kd.LossKind.HIDDEN_COSINE, student_output="embedding", teacher_field="embedding")
    return terms


def tell(targets, batch, taught, chosen, tasks):
    """What the teacher said: of each text its own task's logits, and its vector."""
    targets.begin(batch.counts.rows)
    for task in tasks:
        own = batch.present("label." + task)
        targets.set_per_sample("logits." + task, taught[task][chosen], own)
    targets.set_per_sample("embedding", taught["embedding"][chosen])


def train(ctx, model, samples, tasks, steps, rate, seed, taught=None, balance=None):
    """Seconds. `taught`: the teacher's answers for all texts; `balance`: weights of the tasks, of
    whose epochs a run has ten."""
    loss, batch, targets = kd.Loss(ctx), kd.Batch(ctx), kd.Targets(ctx)
    terms = add_terms(loss, tasks, taught is not None)
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model, weight_decay=0.01, clip_norm=1)
    share = 0.5 if taught else 1.0
    rng, began = np.random.default_rng(seed), time.perf_counter()
    for step in range(steps):
        chosen = samples.draw(rng, tasks, TOGETHER)
        samples.fill(batch, chosen)
        if taught:
            tell(targets, batch, taught, chosen, tasks)
        for at, task in enumerate(tasks if balance else ()):
            for term in terms[task]:
                loss.set(term, weight=share * balance.value(at))
        model.forward(batch, kd.Mode.TRAIN)
        result = loss.backward(model, batch, targets if taught else None)
        optimizer.step(rate * min(1, 20 * (step + 1) / steps) * (1 - step / steps))
        if balance:
            report(balance, terms, result)
            if (step + 1) % max(1, steps // 10) == 0:
                balance.end_epoch()
    return time.perf_counter() - began


def report(balance, terms, result):
    """Tells the balance each task's loss of a step that had texts of the task."""
    for at, own in enumerate(terms.values()):
        if all(result.rows[term] for term in own):
            balance.report(at, sum(result.sum[term] / result.rows[term] for term in own) / len(own))


def gradients(ctx, model, samples, tasks, taught):
    """How the teacher's distributions of all tasks pull at the trunk, on the same texts. (A text
    has labels of one task alone: gradients of labels lie on rows of their own.)"""
    loss, batch, targets = kd.Loss(ctx), kd.Batch(ctx), kd.Targets(ctx)
    for task in tasks:
        names = {"student_output": "logits." + task, "teacher_field": "logits." + task}
        loss.add(kd.LossKind.FORWARD_KL, temperature=TEMPERATURE, **names)
    chosen = samples.draw(np.random.default_rng(0), tasks, LOOKED_AT)
    samples.fill(batch, chosen)
    targets.begin(batch.counts.rows)
    for task in tasks:
        targets.set_per_sample("logits." + task, taught[task][chosen])
    found = loss.measure_gradients(model.forward(batch, kd.Mode.TRAIN), batch, targets)
    pairs = [(i, j) for i in range(len(tasks)) for j in range(i)]
    return {
        "norms": {task: float(norm) for task, norm in zip(tasks, found.norms)},
        "cosines": {f"{tasks[j]}, {tasks[i]}": float(found.cosines[i, j]) for i, j in pairs},
    }


def milliseconds(ctx, models, samples):
    """Of answering all tasks for a text, median: `models` are (model, its tasks)."""
    batch, times = kd.Batch(ctx), []
    for model, tasks in models:
        model.keep("*", False)
        for task in tasks:
            model.keep("logits." + task)
    for i in np.random.default_rng(0).integers(0, len(samples.ids), 100):
        samples.fill(batch, np.array([i]))
        began = time.perf_counter()
        for model, _ in models:
            model.forward(batch, kd.Mode.EVALUATE)
        times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))
