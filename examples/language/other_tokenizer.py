"""A student with another tokenizer than its teacher's: other_tokenizer.py TEACHER [STEPS [TEXTS]]

TEACHER: a language model's folder or GGUF file. It writes short texts; a store keeps the most
probable tokens of each position; a student that cuts the same texts into other tokens learns from
the store where the two agree about the bytes (docs/losses.md, "Another tokenizer")."""

import collections
import json
import os
import re
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

TOGETHER, MERGES = 8, 300


def alphabet():
    """GPT-2's characters for the bytes 0 to 255."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return {
        byte: chr(byte)
        if byte in plain
        else chr(256 + sum(other not in plain for other in range(byte)))
        for byte in range(256)
    }


def own_tokenizer(folder, texts):
    """Byte pair encoding learned from the texts, a word with the space after it at most:
    tokenizer.json and what ends a text."""
    letters = alphabet()
    words = collections.Counter(
        word for text in texts for word in re.findall("[^ \n]+ ?|\\s", text)
    )
    pieces, merges = {word: [letters[b] for b in word.encode()] for word in words}, []
    for _ in range(MERGES):
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(pieces[word], pieces[word][1:]):
                pairs[pair] += count
        best = max(sorted(pairs), key=pairs.get)
        merges.append(best)
        for parts in pieces.values():
            for i in range(len(parts) - 1, 0, -1):
                if i < len(parts) and (parts[i - 1], parts[i]) == best:
                    parts[i - 1 : i + 1] = ["".join(best)]
    names = ["<end>", *letters.values(), *("".join(pair) for pair in merges)]
    added = dict(
        id=0,
        content="<end>",
        special=True,
        normalized=False,
        lstrip=False,
        rstrip=False,
        single_word=False,
    )
    model = dict(
        type="BPE",
        vocab={name: i for i, name in enumerate(dict.fromkeys(names))},
        merges=[" ".join(pair) for pair in merges],
    )
    cut = dict(type="Split", pattern={"Regex": "[^ \n]+ ?|\\s"}, behavior="Isolated", invert=False)
    whole = dict(
        added_tokens=[added],
        normalizer=None,
        post_processor=None,
        decoder=dict(type="ByteLevel"),
        model=model,
        pre_tokenizer=dict(
            type="Sequence",
            pretokenizers=[cut, dict(type="ByteLevel", add_prefix_space=False, use_regex=False)],
        ),
    )
    for name, content in (
        ("tokenizer.json", whole),
        ("tokenizer_config.json", dict(eos_token="<end>")),
    ):
        with open(os.path.join(folder, name), "w") as file:
            json.dump(content, file)


def written(teacher, tokenizer, count):
    """Short texts by the teacher; they end where it ends them."""
    generator = kd.Generator(teacher, tokenizer)
    begin = [tokenizer.begin_token] if tokenizer.begin_token >= 0 else tokenizer.encode("Once")
    generator.add(begin, samples=count, max_tokens=100, temperature=0.9, seed=1)
    return [text.text for text in generator if text.text.strip()]


def main(path, steps=60, count=64):
    ctx = kd.Context(seed=1)
    teacher, theirs = kd.Model.load(ctx, path, frozen=1), kd.Tokenizer(ctx, path)
    texts = written(teacher, theirs, count)
    groups = [texts[i : i + TOGETHER] for i in range(0, len(texts), TOGETHER)]
    with tempfile.TemporaryDirectory() as folder:
        own_tokenizer(folder, texts)
        ours, store, batch, their_batch, said, targets = (
            kd.Tokenizer(ctx, folder),
            folder + "/teacher.kdt",
            kd.Batch(ctx),
            kd.Batch(ctx),
            kd.Targets(ctx),
            kd.Targets(ctx),
        )
        classes, their_classes = len(ours), teacher.config["vocab_size"]
        with kd.StoreWriter(
            ctx,
            store,
            [dict(kind=kd.StoreKind.TOPK, name="logits", k=32)],
            vocabulary=their_classes,
            align=kd.Align.NEXT,
        ) as writer:
            live = kd.Teacher.from_model(teacher)
            for group in groups:
                writer.add(their_batch.begin_texts(theirs, group), live.read(their_batch, said))

        student = kd.Model(ctx, dict(kd.student_preset("llama-100k"), vocab_size=classes))
        kept, loss, optimizer = (
            kd.Teacher.open(ctx, store),
            kd.Loss(ctx),
            kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, student, clip_norm=1),
        )
        loss.add(kd.LossKind.CROSS_ENTROPY, 0.5, label_field="tokens", align=kd.Align.NEXT)
        soft = loss.add(kd.LossKind.ULD, 0.5)
        shared = loss.set_shared_tokens(soft, ours, classes, theirs, their_classes)
        print(
            f"{len(texts)} texts; {classes} classes of the student, {their_classes} of "
            f"the teacher, {shared} in both"
        )

        def read(group):
            """What the teacher said about the texts, on the student's rows."""
            kept.read(their_batch.begin_texts(theirs, group), said)
            return targets.align_batch(batch.begin_texts(ours, group), said, their_batch)

        def measure():
            """Both terms a row, at temperature 1."""
            sums, rows = np.zeros(2), np.zeros(2)
            loss.set(soft, temperature=1)
            for group in groups:
                read(group)
                result = loss.forward(student.forward(batch), batch, targets)
                sums, rows = sums + result.sum, rows + result.rows
            return sums / rows

        rate, temperature, before, rows, aligned = (
            kd.Schedule.linear(ctx, 5e-3, 5e-4, steps),
            kd.Schedule.linear(ctx, 2, 1, steps),
            measure(),
            0,
            0,
        )
        for step in range(steps):
            aligned += read(groups[step % len(groups)])
            rows += batch.counts.rows
            loss.set(soft, temperature=temperature(step))
            student.forward(batch)
            loss.backward(student, batch, targets)
            optimizer.step(rate(step))
        after = measure()
    print(f"{aligned / rows:.1%} of the student's rows have a teacher")
    print(
        f"cross-entropy {before[0]:.3f}, after {steps} steps {after[0]:.3f}; against the "
        f"teacher {before[1]:.3f}, then {after[1]:.3f}"
    )
    return (after < before).all()


if __name__ == "__main__":
    sys.exit(
        0
        if main(sys.argv[1], *(int(a) for a in sys.argv[2:]))
        else "the student did not come nearer to its teacher"
    )
