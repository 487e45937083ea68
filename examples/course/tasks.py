"""Several tasks at once, all as text: translation (Multi30k), classification (TREC), arithmetic
with worked steps. One student for all three beside three students of one task each, all taught by
the same teacher's texts:

    tasks.py DATA FOLDER [STEPS]

DATA holds text/multi30k and text/TREC.*.all. Needs the `tokenizers` package, which makes the
vocabulary. A run that was killed goes on."""

import gzip
import json
import os
import random
import sys

import tokenizers

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

data, folder, steps = sys.argv[1], sys.argv[2], int((sys.argv[3:4] or [1500])[0])
os.makedirs(folder, exist_ok=True)
ctx = kd.Context(seed=1)
TASKS = ("translation", "classification", "arithmetic")
LABELS = {
    "ABBR": "abbreviation",
    "ENTY": "entity",
    "DESC": "description",
    "HUM": "human",
    "LOC": "location",
    "NUM": "number",
}


def lines(name):
    with gzip.open(f"{data}/text/multi30k/{name}.gz", "rt", encoding="utf-8") as file:
        return [line.strip() for line in file]


def trec(name):
    with open(f"{data}/text/TREC.{name}.all", encoding="latin-1") as file:
        for line in file:
            label, question = line.strip().split(" ", 1)
            yield (
                f"What kind? {question}\n",
                list(LABELS.values())[int(label)]
                if label.isdigit()
                else LABELS[label.split(":")[0]],
            )


def arithmetic():
    pairs = [(a, b) for a in range(10, 100) for b in range(a, 100)]
    random.Random(1).shuffle(pairs)
    for a, b in pairs:
        tens, ones = b // 10 * 10, b % 10
        parts = f"{a}*{tens}={a * tens};{a}*{ones}={a * ones}"
        yield f"{a}*{b}=", f"{parts};{a * tens}+{a * ones}={a * b}####{a * b}"


def examples():
    """{task: (training pairs, test pairs)}"""
    asked = [
        list(
            zip(
                (f"English: {e}\nGerman:" for e in lines(part + ".en")),
                (" " + d for d in lines(part + ".de")),
            )
        )
        for part in ("train", "test_2016_flickr")
    ]
    sums = list(arithmetic())
    return {
        "translation": asked,
        "classification": [list(trec("train")), list(trec("test"))],
        "arithmetic": [sums[300:], sums[:300]],
    }


def make_tokenizer(pairs):
    path = folder + "/tokenizer.json"
    if not os.path.exists(path):
        made = tokenizers.Tokenizer(tokenizers.models.BPE())
        digits, words = (
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        )
        made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([digits, words])
        made.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=4096,
            special_tokens=["<|end|>"],
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        )
        made.train_from_iterator((text for pair in pairs for text in pair), trainer)
        made.save(path)
    with open(folder + "/tokenizer_config.json", "w") as file:
        json.dump({"eos_token": "<|end|>"}, file)  # packers and generators then know it
    return kd.Tokenizer(ctx, folder)


DATA = examples()
for task in TASKS:
    for part, pairs in zip(("train", "test"), DATA[task]):
        with kd.RecordWriter(ctx, f"{folder}/{task}-{part}.jsonl") as file:
            for prompt, answer in pairs:
                file.add(prompt=prompt, completion=answer, expected=answer, domain=task)
tokenizer = make_tokenizer([pair for task in TASKS for pair in DATA[task][0]])


def train(name, tasks, files, hidden, layers, steps):
    """A model trained on its tasks, or the one that is there."""
    path = f"{folder}/{name}"
    if os.path.exists(path + "/config.json"):
        return kd.Model.load(ctx, path)
    model = kd.Model(
        ctx,
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": 4096,
            "hidden_size": hidden,
            "intermediate_size": hidden * 8 // 3,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "max_position_embeddings": 256,
            "initializer_range": 0.03,
            "tie_word_embeddings": True,
            "eos_token_id": 0,
        },
    )
    packer, batch, loss = (
        kd.Packer(ctx, tokenizer, chat=kd.ChatFormat.PLAIN, batch_tokens=4096, max_tokens=256),
        kd.Batch(ctx),
        kd.Loss(ctx),
    )
    numbers = [packer.add_task(task) for task in tasks]
    for number, task in zip(numbers, tasks):
        packer.add_reader(kd.RecordReader(ctx, f"{folder}/{task}-{files}.jsonl"), number)
    packer.mix(temperature=2)  # between by size and alike
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
        value = loss.backward(model, batch).value
        optimizer.step(rate(step))
        if step % 200 == 0:
            print(f"  {name}: step {step}, loss {value:.3f}", flush=True)
    tokenizer.save(path)
    model.save(path)
    return model


def answers(model, name, task, part):
    """Greedy answers, one each."""
    generator = kd.Generator(model, tokenizer, max_sequences=64, cache_tokens=64 * 256)
    kd.answers_collect(
        ctx,
        kd.RecordReader(ctx, f"{folder}/{task}-{part}.jsonl"),
        f"{folder}/{task}-{part}-{name}.jsonl",
        generator=generator,
        samples=1,
        chat=kd.ChatFormat.PLAIN,
        sampling={"temperature": 0, "max_tokens": 96},
        teacher=name,
    )
    return [
        record["completion"]
        for record in kd.RecordReader(ctx, f"{folder}/{task}-{part}-{name}.jsonl")
    ]


def score(model, name, task):
    said, wanted = answers(model, name, task, "test"), [answer for _, answer in DATA[task][1]]
    if task == "translation":
        return {
            m: kd.compare_texts(ctx, k, said, wanted)
            for m, k in (
                ("BLEU", kd.TextMetric.BLEU),
                ("chrF", kd.TextMetric.CHRF),
                ("ROUGE-L", kd.TextMetric.ROUGE_L),
            )
        }
    if task == "arithmetic":
        return {
            "pass@1": sum(kd.verify_answer(s, w).right for s, w in zip(said, wanted)) / len(said)
        }
    return {
        m: kd.compare_texts(ctx, k, said, wanted)
        for m, k in (("accuracy", kd.TextMetric.EXACT), ("macro-F1", kd.TextMetric.MACRO_F1))
    }


teacher = train("teacher", TASKS, "train", 192, 4, steps)
for task in TASKS:  # what the students learn: the teacher's own texts
    if not os.path.exists(f"{folder}/{task}-taught.jsonl"):
        answers(teacher, "teacher", task, "train")
        funnel = kd.Curation(ctx).add(kd.FilterKind.LENGTH).add(kd.FilterKind.REPETITION)
        with kd.RecordWriter(ctx, f"{folder}/{task}-taught.jsonl") as file:
            print(
                task,
                funnel.run(kd.RecordReader(ctx, f"{folder}/{task}-train-teacher.jsonl"), file),
                sep="\n",
                flush=True,
            )
models = {
    "teacher": (teacher, TASKS),
    "one student, three tasks": (
        train("student-all", TASKS, "taught", 96, 3, 3 * steps // 2),
        TASKS,
    ),
}
for task in TASKS:
    models["student, " + task] = (
        train("student-" + task, (task,), "taught", 96, 3, steps // 2),
        (task,),
    )
report, kept = kd.Report(ctx), {}
for name, (model, tasks) in models.items():
    facts = model.info
    report.set_cell("scores", name, "parameters", facts.parameters)
    for task in tasks:
        for metric, value in score(model, name.replace(" ", "-").replace(",", ""), task).items():
            kept.setdefault(metric, value)
            report.set_cell("scores", name, metric, value)
            report.set_cell(
                "share of the teacher's score",
                name,
                metric,
                value / kept[metric] if kept[metric] else float("nan"),
            )
report["terms"] = (
    f"steps of up to 4096 tokens: teacher {steps}, one student {3 * steps // 2}, three "
    f"students {steps // 2} each; tests: 1,000 captions of Multi30k 2016, "
    "500 questions of TREC, 300 products; greedy answers, one seed"
)
report["machine"] = f"{ctx.info.threads} threads, {ctx.info.blas}"
report.write(folder + "/report.json")
report.write_html(folder + "/report.html", "Three tasks, one student")
print(report.text())
