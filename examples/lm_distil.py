"""The same as lm_distil.c from Python: lm_distil.py TEACHER LAYERS STEPS TEXT ...   (TEACHER: a folder, a GGUF file, or "train"; TEXT: a file, or
stories:N, which the teacher writes)

A language model's student of fewer layers, distilled through a store, beside the same student trained on the text alone.
"""
import math
import os
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

LENGTH, TOGETHER = 256, 8


WHO, WHAT = "boy girl cat dog bird rabbit bear mouse".split(), "ball key tree boat cake garden song bridge train".split()


def stories(teacher, tokenizer, count):
    """Ids of short stories that the teacher writes, each behind the chat that asked for it."""
    writer, asked = teacher.generator(weights=kd.INT8, cache=kd.FLOAT16), []
    for i in range(count):
        line = f"Write a short story for small children about a {WHO[i % len(WHO)]} and a {WHAT[i % len(WHAT)]}."
        asked.append(tokenizer.chat_encode([dict(role="user", content=line)], ask=1)[0])
        writer.add(asked[-1], stop_tokens=[tokenizer.id("<|im_end|>")], max_tokens=300, seed=i)
    return np.concatenate([part for story in writer for part in (asked[story.request], story.ids)])


def batches(ctx, sequences, numbers):
    batch = ctx.batch().begin_packed(np.arange(0, len(numbers) * LENGTH + 1, LENGTH))
    batch.set("tokens", sequences[numbers].reshape(-1))
    batch.set_samples(keys=np.stack([np.asarray(numbers) + 1, np.zeros(len(numbers), int)], 1).astype(np.uint64))
    return batch


def train(ctx, model, sequences, steps, rate, teacher=None):
    loss, targets, optimizer = ctx.loss(), ctx.targets(), ctx.optimizer(kd.ADAMW, model, weight_decay=0.01, clip_norm=1)
    loss.add(kd.LOSS_CROSS_ENTROPY, 0.1 if teacher else 1.0, label_field="tokens", align=kd.ALIGN_NEXT)
    if teacher:
        soft = loss.add(kd.FORWARD_KL, 0.9)
    temperature, cosine, warm = ctx.linear(1.5, 1, steps), ctx.cosine(rate, rate / 10, steps), ctx.linear(0.02, 1, steps // 20 + 1)
    far = len(sequences) // TOGETHER
    for step in range(steps):
        batch = batches(ctx, sequences, step * 7 % far + far * np.arange(TOGETHER))
        if teacher:
            loss.set(soft, temperature=temperature(step))
            teacher.read(batch, targets)
        model.forward(batch, kd.TRAIN)
        loss.backward(model, batch, targets if teacher else None)
        optimizer.step(cosine(step) * warm(step))


def measure(ctx, model, held, said=None):
    """Perplexity, and agreement with the most probable tokens `said`."""
    loss, total, best = ctx.loss(), 0.0, []
    loss.add(kd.LOSS_CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.ALIGN_NEXT)
    for i in range(len(held)):
        batch = batches(ctx, held, [i])
        model.forward(batch, kd.EVALUATE)
        total += loss.value(model, batch)["value"]
        best.append(model.output("logits").argmax(1))
    best = np.concatenate(best)
    return math.exp(total / len(held)), 1.0 if said is None else float((best == said).mean()), best


def main(teacher_path, layers, steps, *paths):
    ctx = kd.Context()
    raw = b"".join(open(path, "rb").read() for path in paths if not path.startswith("stories:"))
    if teacher_path == "train":
        teacher = ctx.model(dict(kd.ready_config("llama-1m"), vocab_size=256))
        tokens = np.frombuffer(raw, np.uint8).astype(np.int64)
    else:
        teacher, tokenizer = ctx.load_model(teacher_path), ctx.tokenizer(teacher_path)
        tokens = np.concatenate([tokenizer.encode(raw)] + [stories(teacher, tokenizer, int(path[8:])) for path in paths if path.startswith("stories:")]).astype(np.int64)
    sequences = np.random.default_rng(1).permutation(tokens[:len(tokens) // LENGTH * LENGTH].reshape(-1, LENGTH))  # those held back are of every kind
    held, sequences = sequences[-max(1, len(sequences) // 10):], sequences[:-max(1, len(sequences) // 10)]
    rate = 3e-4
    if teacher_path == "train":
        train(ctx, teacher, sequences, 2 * steps, 3e-3)
        rate = 2e-3
    with tempfile.TemporaryDirectory() as folder:
        path, targets, live = folder + "/teacher.kdt", ctx.targets(), teacher.as_teacher()
        width = teacher.config["hidden_size"]
        tensors = dict(teacher.tensors())
        with ctx.store_writer(path, [dict(kind=kd.STORE_HIDDEN, name="hidden", source="hidden", width=width)], vocabulary=teacher.config["vocab_size"],
                              align=kd.ALIGN_NEXT) as writer:
            writer.head(tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"]), kd.BFLOAT16)
            for i in range(len(sequences)):
                batch = batches(ctx, sequences, [i])
                live.read(batch, targets)
                writer.add(batch, targets)
        soft, hard = teacher.student(layers=layers), teacher.student(layers=layers)
        train(ctx, soft, sequences, steps, rate, ctx.open_teacher(path))
        train(ctx, hard, sequences, steps, rate)
    perplexity, _, said = measure(ctx, teacher, held)
    print(f"teacher                   perplexity {perplexity:8.3f}")
    for name, model in (("student, distilled", soft), ("student, hard tokens only", hard)):
        perplexity, agreement, _ = measure(ctx, model, held, said)
        print(f"{name:25} perplexity {perplexity:8.3f}, agreement {agreement:.1%}, {model.parameters.size} parameters")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
