"""The same as lm_distil.c from Python: lm_distil.py TEACHER LAYERS STEPS TEXT ...   (TEACHER: a
folder, a GGUF file, or "train"; TEXT: a file, or stories:N, which the teacher writes)

A language model's student of fewer layers, distilled through a store, beside the same student
trained on the text alone."""

import math
import os
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

LENGTH, TOGETHER = 256, 8


WHO, WHAT = (
    "boy girl cat dog bird rabbit bear mouse".split(),
    "ball key tree boat cake garden song bridge train".split(),
)


def stories(teacher, tokenizer, count):
    """Ids of short stories that the teacher writes, each behind the chat that asked for it."""
    writer, asked = (
        kd.Generator(teacher, tokenizer, weights=kd.DType.INT8, cache=kd.DType.FLOAT16),
        [],
    )
    for i in range(count):
        line = (
            f"Write a short story for small children about a {WHO[i % len(WHO)]} and a "
            f"{WHAT[i % len(WHAT)]}."
        )
        asked.append(
            kd.chat_encode(tokenizer, [dict(role="user", content=line)], generation_prompt=1)[0]
        )
        writer.add(asked[-1], max_tokens=300, seed=i)
    return np.concatenate([part for story in writer for part in (asked[story.request], story.ids)])


def batches(ctx, sequences, numbers):
    batch = kd.Batch(ctx).begin_packed(np.arange(0, len(numbers) * LENGTH + 1, LENGTH))
    batch.set("tokens", sequences[numbers].reshape(-1))
    batch.set_samples(
        keys=np.stack([np.asarray(numbers) + 1, np.zeros(len(numbers), int)], 1).astype(np.uint64)
    )
    return batch


def train(ctx, model, sequences, steps, rate, teacher=None):
    loss, targets, optimizer = (
        kd.Loss(ctx),
        kd.Targets(ctx),
        kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model, weight_decay=0.01, clip_norm=1),
    )
    loss.add(
        kd.LossKind.CROSS_ENTROPY,
        0.1 if teacher else 1.0,
        label_field="tokens",
        align=kd.Align.NEXT,
    )
    if teacher:
        soft = loss.add(kd.LossKind.FORWARD_KL, 0.9)
    temperature, cosine, warm = (
        kd.Schedule.linear(ctx, 1.5, 1, steps),
        kd.Schedule.cosine(ctx, rate, rate / 10, steps),
        kd.Schedule.linear(ctx, 0.02, 1, steps // 20 + 1),
    )
    far = len(sequences) // TOGETHER
    for step in range(steps):
        batch = batches(ctx, sequences, step * 7 % far + far * np.arange(TOGETHER))
        if teacher:
            loss.set(soft, temperature=temperature(step))
            teacher.read(batch, targets)
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, targets if teacher else None)
        optimizer.step(cosine(step) * warm(step))


def measure(ctx, model, held, said=None):
    """Perplexity, and agreement with the most probable tokens `said`."""
    loss, total, best = kd.Loss(ctx), 0.0, []
    loss.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)
    for i in range(len(held)):
        batch = batches(ctx, held, [i])
        model.forward(batch, kd.Mode.EVALUATE)
        total += loss.forward(model, batch).value
        best.append(model.output("logits").argmax(1))
    best = np.concatenate(best)
    return math.exp(total / len(held)), 1.0 if said is None else float((best == said).mean()), best


def main(teacher_path, layers, steps, *paths):
    ctx = kd.Context()
    raw = b"".join(open(path, "rb").read() for path in paths if not path.startswith("stories:"))
    if teacher_path == "train":
        teacher = kd.Model(ctx, dict(kd.student_preset("llama-1m"), vocab_size=256))
        tokens = np.frombuffer(raw, np.uint8).astype(np.int64)
    else:
        teacher, tokenizer = kd.Model.load(ctx, teacher_path), kd.Tokenizer(ctx, teacher_path)
        tokens = np.concatenate(
            [tokenizer.encode(raw)]
            + [
                stories(teacher, tokenizer, int(path[8:]))
                for path in paths
                if path.startswith("stories:")
            ]
        ).astype(np.int64)
    sequences = np.random.default_rng(1).permutation(
        tokens[: len(tokens) // LENGTH * LENGTH].reshape(-1, LENGTH)
    )  # those held back are of every kind
    held, sequences = (
        sequences[-max(1, len(sequences) // 10) :],
        sequences[: -max(1, len(sequences) // 10)],
    )
    rate = 3e-4
    if teacher_path == "train":
        train(ctx, teacher, sequences, 2 * steps, 3e-3)
        rate = 2e-3
    with tempfile.TemporaryDirectory() as folder:
        path, targets, live = (
            folder + "/teacher.kdt",
            kd.Targets(ctx),
            kd.Teacher.from_model(teacher),
        )
        width = teacher.config["hidden_size"]
        tensors = dict(teacher.tensors)
        with kd.StoreWriter(
            ctx,
            path,
            [dict(kind=kd.StoreKind.HIDDEN, name="hidden", source="hidden", width=width)],
            vocabulary=teacher.config["vocab_size"],
            align=kd.Align.NEXT,
        ) as writer:
            writer.set_head(
                tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"]),
                kd.DType.BFLOAT16,
            )
            for i in range(len(sequences)):
                batch = batches(ctx, sequences, [i])
                live.read(batch, targets)
                writer.add(batch, targets)
        soft, hard = teacher.student(layers=layers), teacher.student(layers=layers)
        train(ctx, soft, sequences, steps, rate, kd.Teacher.open(ctx, path))
        train(ctx, hard, sequences, steps, rate)
    perplexity, _, said = measure(ctx, teacher, held)
    print(f"teacher                   perplexity {perplexity:8.3f}")
    for name, model in (("student, distilled", soft), ("student, hard tokens only", hard)):
        perplexity, agreement, _ = measure(ctx, model, held, said)
        print(
            f"{name:25} perplexity {perplexity:8.3f}, agreement {agreement:.1%}, "
            f"{model.parameters.size} parameters"
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
