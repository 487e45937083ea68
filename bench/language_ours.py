"""Ours of bench/language.py: each function is run in a process of its own and returns a rate."""

import json
import os
import statistics
import sys
import time

import numpy
import rivals

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SHAPES = {
    "llama-288x6": (
        dict(
            vocab_size=32000,
            hidden_size=288,
            intermediate_size=768,
            num_hidden_layers=6,
            num_attention_heads=6,
            num_key_value_heads=6,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
        ),
        8,
        256,
    ),
    "smollm2-135m": (
        dict(
            vocab_size=49152,
            hidden_size=576,
            intermediate_size=1536,
            num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
        ),
        2,
        256,
    ),
}
SHORT = os.environ.get("SHORT") == "1"  # a setting of a rival is tried: little is done
PROMPT, NEW = 128, 16 if SHORT else 64


def median_time(work, repeats, warm=2):
    if SHORT:
        repeats, warm = 1, 1
    for _ in range(warm):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def tokens_of(shape, rows, length):
    return numpy.random.default_rng(0).integers(0, shape["vocab_size"], (rows, length))


def ours_context(products="FLOAT32"):
    import kdistill

    return kdistill, kdistill.Context(
        threads=int(os.environ.get("THREADS", rivals.CORES)),
        matmul_precision=kdistill.Products[products],
    )


def packed(context, tokens):
    import kdistill as kd

    batch = kd.Batch(context).begin_packed(numpy.arange(0, tokens.size + 1, tokens.shape[1]))
    batch.set("tokens", tokens.reshape(-1).astype(numpy.int64))
    return batch


def ours_train(shape, rows, length, again=0, products="FLOAT32", activations="FLOAT32", shared=0):
    """again: layers whose values are recomputed; shared: layers are updated by the backward pass
    and share a place for their gradients.
    """
    kd, context = ours_context(products)
    model = kd.Model(
        context,
        dict(shape, model_type="llama"),
        recompute=int(again > 0),
        recompute_layers=again,
        activations=kd.DType[activations],
        shared_gradients=shared,
    )
    batch, loss, optimizer = (
        packed(context, tokens_of(shape, rows, length)),
        kd.Loss(context),
        kd.Optimizer(context, kd.OptimizerKind.ADAMW, model),
    )
    loss.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)

    def step():
        if shared:
            optimizer.begin_step(1e-4)
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch)
        optimizer.step(1e-4)

    return rows * length / median_time(step, 5)


def ours_forward(shape, rows, length, folder=None, weights="FLOAT32", products="FLOAT32"):
    kd, context = ours_context(products)
    options = dict(frozen=1, weights=kd.DType[weights])
    model = (
        kd.Model.load(context, folder, **options)
        if folder
        else kd.Model(context, dict(shape, model_type="llama"), **options)
    )
    batch = packed(context, tokens_of(shape, rows, length))

    def forward():
        model.forward(batch, kd.Mode.EVALUATE)
        model.output("logits")

    return rows * length / median_time(forward, 7)


def prompts(tokenizer, data, count):
    text = open(os.path.join(data, "text", "tinyshakespeare.txt")).read()
    ids = tokenizer(text[: 8 * PROMPT * count])
    return [list(map(int, ids[i * PROMPT : (i + 1) * PROMPT])) for i in range(count)]


def ours_generate(folder, data, count, weights, cache="FLOAT32"):
    """New tokens a second while all run: from the last's first token to the first one's last."""
    kd, context = ours_context()
    tokenizer, model = kd.Tokenizer(context, folder), kd.Model.load(context, folder, frozen=1)
    texts = prompts(tokenizer.encode, data, count)

    def rate():
        generator = kd.Generator(
            model,
            max_sequences=count,
            weights=kd.Block[weights] if weights in kd.Block.__members__ else kd.DType[weights],
            cache=kd.DType[cache],
            cache_tokens=count * (PROMPT + NEW + 32),
        )
        times, made, first, ended = [], [0] * count, [], []

        def token(request, *_):
            times.append(time.perf_counter())
            made[request] += 1
            if made[request] == 1:
                first.append(len(times) - 1)
            elif made[request] == NEW:
                ended.append(len(times) - 1)

        for i, prompt in enumerate(texts):
            generator.add(prompt, max_tokens=NEW, temperature=1.0, seed=i, token=token)
        list(generator)
        return (ended[0] - first[-1]) / (times[ended[0]] - times[first[-1]])

    return statistics.median(rate() for _ in range(3))


def draft_prompts(tokenizer, data, count, repeats):
    """Of a play; `repeats`: each asks for its first half again, as edits and summaries do."""
    found = prompts(tokenizer.encode, data, count)
    half = PROMPT // 2
    return [p[:half] + p[half : half + 8] + p[:half] if repeats else p for p in found]


def ours_drafts(folder, data, count, way, repeats):
    """Tokens a second with drafts over those without, both in turn in one process; the share of
    proposals that were right, of the model's passes that were saved. way: "lookup" or "model", a
    student of a third of the layers (DRAFT: the folder of one that was trained).
    """
    kd, context = ours_context()
    model = kd.Model.load(context, folder, frozen=1)
    texts, new = draft_prompts(kd.Tokenizer(context, folder), data, count, repeats), 4 * NEW
    more = {"lookup": 3}
    if way == "model":
        path = os.environ.get("DRAFT")
        layers = max(1, model.config["num_hidden_layers"] // 3)
        more = {"draft": kd.Model.load(context, path) if path else model.student(layers=layers)}

    def run(**options):
        tokens = count * (len(texts[0]) + new + 64)
        generator = kd.Generator(
            model, max_sequences=count, weights=kd.DType.INT8, cache_tokens=tokens, **options
        )
        for i, prompt in enumerate(texts):
            generator.add(prompt, max_tokens=new, temperature=0.0, seed=i, stop_tokens=[])
        start = time.perf_counter()
        made = sorted(generator, key=lambda text: text.request)
        return time.perf_counter() - start, [text.ids.tolist() for text in made], generator.info

    ratios = []
    for _ in range(1 if SHORT else ROUNDS):
        plain, drafted = run(), run(**more)
        if plain[1] != drafted[1]:
            raise SystemExit("a text differs with drafts")
        ratios.append(plain[0] / drafted[0])
    right = drafted[2].accepted / max(drafted[2].drafted, 1)
    return [statistics.median(ratios), right, 1 - drafted[2].steps / plain[2].steps]


def ours_divergence(folder, data):
    """Mean KL of 8-bit logits to float32 ones on GSM8K's text, nats a token."""
    kd, context = ours_context()
    tokenizer, kept = kd.Tokenizer(context, folder), []
    text = " ".join(
        json.loads(line)["question"] + " " + json.loads(line)["answer"]
        for line in open(os.path.join(data, "gsm8k", "train.jsonl")).readlines()[:80]
    )
    batch = packed(context, tokenizer.encode(text)[:4096].reshape(-1, 256))
    for weights in (kd.DType.FLOAT32, kd.DType.INT8):
        model = kd.Model.load(context, folder, frozen=1, weights=weights)
        model.forward(batch, kd.Mode.EVALUATE)
        z = model.output("logits").astype(numpy.float64)
        kept.append(
            z
            - z.max(1, keepdims=True)
            - numpy.log(numpy.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True))
        )
    return float((numpy.exp(kept[0]) * (kept[0] - kept[1])).sum(1).mean())


def ours_cache_divergence(folder, data):
    """Mean KL after 64 prompts, float16 keys and values to float32 ones, nats a token."""
    kd, context = ours_context()
    tokenizer, model, kept = (
        kd.Tokenizer(context, folder),
        kd.Model.load(context, folder, frozen=1),
        [],
    )
    tensors = dict(model.tensors)
    head = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"])
    for cache in (kd.DType.FLOAT32, kd.DType.FLOAT16):
        generator = kd.Generator(
            model, max_sequences=64, cache=cache, cache_tokens=64 * (PROMPT + 64)
        )
        for prompt in prompts(tokenizer.encode, data, 64):
            generator.add(prompt, max_tokens=1, keep_hidden=1)
        z = (
            numpy.concatenate([text.hidden for text in sorted(generator, key=lambda t: t.request)])
            @ head.T
        ).astype(numpy.float64)
        kept.append(
            z
            - z.max(1, keepdims=True)
            - numpy.log(numpy.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True))
        )
    return float((numpy.exp(kept[0]) * (kept[0] - kept[1])).sum(1).mean())


def ours_tokenize(folder, data):
    """Millions of bytes a second, one thread, tinyshakespeare."""
    import kdistill as kd

    tokenizer, text = (
        kd.Tokenizer(kd.Context(threads=1), folder),
        open(os.path.join(data, "text", "tinyshakespeare.txt"), "rb").read(),
    )
    return len(text) / 1e6 / median_time(lambda: tokenizer.encode(text), 5)


def operations(shape, length):
    """Of a training step's products, a token: six a parameter of a matrix, and attention's over
    half the length.
    """
    d, q = (
        shape["hidden_size"],
        shape["hidden_size"]
        // shape["num_attention_heads"]
        * (shape["num_attention_heads"] + 2 * shape["num_key_value_heads"]),
    )
    layer = d * q + d * d + 3 * d * shape["intermediate_size"]
    return (
        6 * (shape["num_hidden_layers"] * layer + shape["vocab_size"] * d)
        + shape["num_hidden_layers"] * 7 * d * length
    )


def product_speeds():
    return ours_context()[1].measure_matmul()


def write_q4(folder, path):
    """The same weights as a Q4_0 file, embeddings and head in Q8_0, written by the library."""
    import kdistill as kd

    context = kd.Context()
    model = kd.Model.load(context, folder, frozen=1)
    formats = {"format": kd.Block.Q4_0, "head": kd.Block.Q8_0}
    model.write_gguf(kd.Tokenizer(context, folder), path, **formats)
    return 0


def write_q8(folder, path):
    """The same weights as a Q8_0 file, written by the library."""
    import kdistill as kd

    context = kd.Context()
    model = kd.Model.load(context, folder, frozen=1)
    model.save_gguf(kd.Tokenizer(context, folder), path, kd.DType.INT8)
    return 0


# ---- a trained model's head, with small blocks of its gradient left out ----
def trained_folder(tokenizer_folder, data, steps):
    """A Llama of 288 x 6 trained on GSM8K and tinyshakespeare, made once. Ids are ranks by
    frequency.
    """
    import kdistill as kd

    shape, rows, length = SHAPES["llama-288x6"]
    folder = os.path.join(
        os.environ.get("BENCH_FOLDER", os.path.join(HERE, "..", "build", "bench")),
        f"llama-288x6-{steps}",
    )
    context = kd.Context(threads=2, matmul_precision=kd.Products.MEASURED)
    tokenizer = kd.Tokenizer(context, tokenizer_folder)
    text = "\n".join(
        json.loads(line)["question"] + "\n" + json.loads(line)["answer"]
        for line in open(os.path.join(data, "gsm8k", "train.jsonl"))
    )
    ids = tokenizer.encode(text + open(os.path.join(data, "text", "tinyshakespeare.txt")).read())
    rank = numpy.empty(len(tokenizer), numpy.int64)
    rank[numpy.argsort(-numpy.bincount(ids, minlength=len(tokenizer)), kind="stable")] = (
        numpy.arange(len(tokenizer))
    )
    pieces = numpy.minimum(rank[ids], shape["vocab_size"] - 1)[
        : len(ids) // length * length
    ].reshape(-1, length)
    pieces = numpy.random.default_rng(0).permutation(pieces)
    if not os.path.exists(os.path.join(folder, "config.json")):
        os.makedirs(folder, exist_ok=True)
        model = kd.Model(context, dict(shape, model_type="llama"))
        loss, optimizer, rate = (
            kd.Loss(context),
            kd.Optimizer(context, kd.OptimizerKind.ADAMW, model, weight_decay=0.01, clip_norm=1),
            kd.Schedule.cosine(context, 1e-3, 1e-4, steps),
        )
        loss.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)
        for step in range(steps):
            batch = packed(
                context, pieces[64 + (step * rows + numpy.arange(rows)) % (len(pieces) - 64)]
            )
            model.forward(batch, kd.Mode.TRAIN)
            value = loss.backward(model, batch).value
            optimizer.step(rate(step) * min(1, (step + 1) / 50))
            if step % 100 == 0:
                print(f"  step {step}: {value:.3f} nats a token", file=sys.stderr, flush=True)
        model.save(folder)
    numpy.save(os.path.join(folder, "tokens.npy"), pieces[:rows])
    return folder


def trained_step(folder, bound):
    kd, context = ours_context()
    model, batch = (
        kd.Model.load(context, folder),
        packed(context, numpy.load(os.path.join(folder, "tokens.npy"))),
    )
    loss = kd.Loss(context, skip_bound=bound)
    loss.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)
    return kd, context, model, batch, loss


def ours_trained(folder, bound):
    kd, context, model, batch, loss = trained_step(folder, bound)
    optimizer, rows = (
        kd.Optimizer(context, kd.OptimizerKind.ADAMW, model),
        numpy.load(os.path.join(folder, "tokens.npy")).size,
    )

    def step():
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch)
        optimizer.step(0)

    return rows / median_time(step, 5)


def skipping_errors(folder, bounds):
    """Relative errors of the gradients of the (tied) head and of everything before it."""
    exact, found = None, []
    for bound in [0] + bounds:
        kd, context, model, batch, loss = trained_step(folder, bound)
        model.forward(batch, kd.Mode.TRAIN)
        result = loss.backward(model, batch)
        head = model.tensor_gradient(0).copy().ravel()
        rest = numpy.concatenate(
            [model.tensor_gradient(i).ravel() for i in range(1, len(list(model.tensors)))]
        )
        exact = exact or (head, rest)
        found.append(
            [result.skipped_share]
            + [
                float(numpy.linalg.norm(a - b) / numpy.linalg.norm(b))
                for a, b in zip((head, rest), exact)
            ]
        )
    return found[1:]
