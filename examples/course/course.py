"""The course in miniature from Python: a teacher that learned from few worked solutions answers
more problems, a verifier keeps what is right, and a smaller student learns from it: course.py
[FOLDER [STEPS]]"""

import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

folder, steps = (sys.argv[1:2] or [tempfile.mkdtemp()])[0], int((sys.argv[2:3] or [600])[0])
signs = ["<|end|>"] + list("0123456789#*+=;")
ctx = kd.Context(seed=1)
with open(f"{folder}/tokenizer.json", "w") as file:
    json.dump(
        {
            "added_tokens": [{"id": 0, "content": "<|end|>", "special": True, "normalized": False}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
            "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": {s: i for i, s in enumerate(signs)}, "merges": []},
        },
        file,
    )
with open(f"{folder}/tokenizer_config.json", "w") as file:
    json.dump({"eos_token": "<|end|>"}, file)  # packers and generators then know it
tokenizer = kd.Tokenizer(ctx, folder)


def worked(a, b):  # what a person would write
    tens, ones = b // 10 * 10, b % 10
    parts = f"{a}*{tens}={a * tens};{a}*{ones}={a * ones}"
    return f"{parts};{a * tens}+{a * ones}={a * b}####{a * b}"


pairs = sorted(
    ((a, b) for a in range(10, 100) for b in range(a, 100)),
    key=lambda p: hash(p) * 2654435761 % 4093,
)
for name, some in (("test", pairs[:100]), ("worked", pairs[100:1100]), ("problems", pairs[100:])):
    with kd.RecordWriter(ctx, f"{folder}/{name}.jsonl") as records:
        for a, b in some:
            records.add(
                prompt=f"{a}*{b}=",
                completion=worked(a, b) if name == "worked" else "",
                expected=str(a * b),
            )


def train(hidden, layers, *files):
    model = kd.Model(
        ctx,
        {
            "model_type": "llama",
            "vocab_size": len(signs),
            "hidden_size": hidden,
            "intermediate_size": hidden * 8 // 3,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "max_position_embeddings": 128,
            "initializer_range": 0.05,
            "tie_word_embeddings": True,
        },
    )
    packer, batch, loss = (
        kd.Packer(ctx, tokenizer, chat=kd.ChatFormat.PLAIN, batch_tokens=2048),
        kd.Batch(ctx),
        kd.Loss(ctx),
    )
    packer.add_reader(kd.RecordReader(ctx, *[f"{folder}/{name}.jsonl" for name in files]))
    loss.add(
        kd.LossKind.CROSS_ENTROPY, 1, label_field="tokens", mask_field="answer", align=kd.Align.NEXT
    )
    recipe = kd.Recipe(kd.RecipeKind.SMALL, model.parameters.size)
    optimizer = kd.Optimizer(
        ctx,
        kd.OptimizerKind.ADAMW,
        model,
        weight_decay=recipe.weight_decay,
        beta2=recipe.beta2,
        clip_norm=recipe.clip_norm,
    )
    rate = recipe.create_learning_rate(ctx, steps)
    for step in range(steps):
        model.forward(packer.next(batch), kd.Mode.TRAIN)
        loss.backward(model, batch)
        optimizer.step(rate(step))
    return model


def answer(model, prompts, name):
    generator = kd.Generator(model, tokenizer, max_sequences=64, cache_tokens=8192)
    kd.answers_collect(
        ctx,
        kd.RecordReader(ctx, f"{folder}/{prompts}.jsonl"),
        f"{folder}/{name}.jsonl",
        generator=generator,
        samples=4,
        chat=kd.ChatFormat.PLAIN,
        verify={},
        sampling={"max_tokens": 64},
    )
    return kd.RecordReader(ctx, f"{folder}/{name}.jsonl")


teacher = train(96, 4, "worked")
funnel = (
    kd.Curation(ctx)
    .add(kd.FilterKind.MARKUP)
    .add(kd.FilterKind.DUPLICATES)
    .add(kd.FilterKind.VERIFY)
)
with kd.RecordWriter(ctx, f"{folder}/verified.jsonl") as kept:
    print(funnel.run(answer(teacher, "problems", "answers"), kept))
models = {
    "teacher": teacher,
    "student, worked": train(64, 2, "worked"),
    "student, distilled": train(64, 2, "worked", "verified"),
}
for name, model in models.items():
    result, _ = kd.answers_judge(answer(model, "test", "test-" + name))
    print(
        f"{name:20} {model.parameters.size:7} parameters   pass@1 "
        f"{result.pass_.pass_1:.3f} +- {result.pass_.standard_error:.3f}"
    )
