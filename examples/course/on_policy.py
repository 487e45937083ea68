"""A student learns on its own answers. A server that knows better gives one log-probability for
each of the student's tokens (as vLLM's prompt_logprobs or an "echo" of a completion do), and that
is enough: on_policy.py FOLDER [STEPS], FOLDER made by the course example.

The learning rate is a cosine times a plateau that hears pass@1 on held-back problems."""

import os
import sys

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

folder, steps = sys.argv[1], int((sys.argv[2:3] or [200])[0])
ctx = kd.Context(seed=1)
tokenizer = kd.Tokenizer(ctx, folder + "/worked-1")
student = kd.Model.load(ctx, folder + "/worked-1")


class Server:
    """What stands behind a host's function; here a model of the course. It never shows more than
    one number a token."""

    def __init__(self):
        self.model, self.batch = kd.Model.load(ctx, folder + "/verified-1", frozen=1), kd.Batch(ctx)

    def logprobs(self, ids):
        self.batch.begin_packed([0, len(ids)]).set("tokens", ids)
        logits = self.model.forward(self.batch, kd.Mode.EVALUATE).output().astype(numpy.float64)
        logits -= logits.max(1, keepdims=True)
        return (logits - numpy.log(numpy.exp(logits).sum(1, keepdims=True)))[
            numpy.arange(len(ids) - 1), ids[1:]
        ]


def answers(prompts, seed):
    """[(ids, mask)] of the student's own answers; 1 in the mask: the student's token"""
    generator.refresh()
    texts = {generator.add(ids, max_tokens=96, seed=seed): ids for ids in prompts}
    return [
        (
            numpy.concatenate([texts[g.request], g.ids]),
            [0] * len(texts[g.request]) + [1] * len(g.ids),
        )
        for g in generator
    ]


def pass_1():
    """Share of right answers to problems that are not learned from."""
    texts, right = {}, 0
    generator.refresh()
    for record in held_back:
        texts[
            generator.add(
                tokenizer.encode(record["prompt"]),
                max_tokens=96,
                temperature=0.6,
                top_p=0.95,
                seed=1,
            )
        ] = record
    for g in generator:
        right += kd.verify_answer(g.text, texts[g.request]["expected"]).right
    return right / len(held_back)


known = {r["prompt"] for r in kd.RecordReader(ctx, folder + "/worked.jsonl")}
problems = [r for r in kd.RecordReader(ctx, folder + "/problems.jsonl") if r["prompt"] not in known]
held_back, prompts = (
    problems[::10],
    [tokenizer.encode(p["prompt"]) for i, p in enumerate(problems) if i % 10],
)
server, generator, packer = (
    Server(),
    kd.Generator(student, tokenizer, max_sequences=64, cache_tokens=10240),
    kd.Packer(ctx, batch_tokens=1 << 20),
)
loss, batch, targets = kd.Loss(ctx), kd.Batch(ctx), kd.Targets(ctx)
loss.add(
    kd.LossKind.POLICY_GRADIENT, 1, label_field="tokens", mask_field="answer", align=kd.Align.NEXT
)
optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, student, weight_decay=0.01, clip_norm=1)
plateau = kd.Schedule.plateau(ctx, better=kd.Direction.HIGHER, patience=2, factor=0.5)
rate = kd.Schedule.product(ctx, kd.Schedule.cosine(ctx, 3e-4, 3e-5, steps), plateau)
for step in range(steps):
    if step % 20 == 0:
        now = pass_1()
        plateau.report(now)
        print(f"step {step:4}   pass@1 {now:.3f}   learning rate {rate(step):.2g}", flush=True)
    packer.clear()
    for ids, mask in answers(
        [prompts[(step * 48 + i) % len(prompts)] for i in range(48)], step + 1
    ):
        packer.add_ids(ids, mask)
    packer.next(batch)
    student.forward(batch)
    rows, tokens, offsets = (
        numpy.zeros(batch.counts.rows, dtype=numpy.float32),
        batch.field("tokens"),
        batch.offsets,
    )
    for begin, stop in zip(offsets[:-1], offsets[1:]):  # row i is about token i + 1
        rows[begin : stop - 1] = server.logprobs(tokens[begin:stop])
    loss.backward(student, batch, targets.begin(len(rows)).set("log_probability", rows))
    optimizer.step(rate(step))
print(f"after {steps} steps   pass@1 {pass_1():.3f}")
