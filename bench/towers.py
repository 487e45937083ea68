"""Several modalities: what terms, heads and large batches cost, towers beside PyTorch, and what
each way to save compute gives (make bench-towers).

    PEERS=folder sh bench/with_peers.sh bench/towers.py [part ...]
    parts: contrast, pairs, caching, heads, step, savings (all of them)

Works of a row take turns; medians of ROUNDS, and of the ratios of each round. torch runs in a
process of its own under its best setting (bench/rivals.py); towers there are transformers' ViT and
BERT. Memory is what the library counted, not timed. SHORT=1: small sizes, one round, to see that
all runs. The table is also build/bench-towers.json. Mel beside librosa: bench/audio.py.
"""

import json
import os
import statistics
import sys
import tempfile
import time

import numpy
import rivals

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

SHORT = os.environ.get("SHORT") == "1"
ROUNDS = int(os.environ.get("ROUNDS", "1" if SHORT else "7"))
PAIRS = 64 if SHORT else 1024
TOGETHER = 16 if SHORT else 128  # pairs of a timed step
WORDS, VOCABULARY, WIDTH = 20, 2000, 256
VIT = {
    "model_type": "vit",
    "image_size": 32,
    "patch_size": 4,
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 768,
}
BERT = {
    "model_type": "bert",
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "max_position_embeddings": 64,
}
ENCODER = {
    **BERT,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "kd_pooling": "mean",
    "hidden_dropout_prob": 0,
    "attention_probs_dropout_prob": 0,
}
results = []


def context():
    return kd.Context(threads=rivals.CORES, seed=1)


def clock(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_all(*works):
    """Seconds of each work, round by round."""
    for work in works:
        clock(work)
    rounds = [[clock(work) for work in works] for _ in range(ROUNDS)]
    return list(zip(*rounds))


def ratio(times, over):
    return statistics.median(a / b for a, b in zip(times, over))


def row(part, name, value, unit, goal=None, at_least=False):
    met = None if goal is None else value >= goal if at_least else value <= goal
    results.append(
        {"part": part, "name": name, "ours": value, "unit": unit, "goal": goal, "met": met}
    )
    bound = "" if goal is None else f"goal: at {'least' if at_least else 'most'} {goal:g}"
    verdict = {None: "", True: "met", False: "NOT met"}[met]
    print(f"{part:9s} {name:56s} {value:10.4g} {unit:8s} {bound:20s} {verdict}", flush=True)


# ---- works ----
def towers_of(ctx, **options):
    """Images and texts, in a space of 256 numbers."""
    image = {**VIT, **options.pop("image", {}), "input": "pixels"}
    text = {**BERT, "kd_pooling": "mean", **options.pop("text", {}), "input": "tokens"}
    config = {
        "model_type": "towers",
        "projection_dim": WIDTH,
        "normalize": True,
        "logit_scale_init_value": 2.6592,
        "towers": {"image": image, "text": text},
        **options,
    }
    return kd.Model(ctx, config, seed=1)


def pair_arrays(count):
    rng = numpy.random.default_rng(1)
    pixels = rng.normal(size=(count, 3, 32, 32)).astype(numpy.float32)
    return pixels, rng.integers(0, VOCABULARY, (count, WORDS))


def pair_batch(ctx, count, first=0, end=None):
    pixels, tokens = pair_arrays(count)
    pixels, tokens = pixels[first:end], tokens[first:end]
    batch = kd.Batch(ctx).begin_packed(numpy.arange(0, WORDS * len(pixels) + 1, WORDS))
    batch.set("tokens", tokens.ravel())
    return batch.set_per_sample("pixels", pixels)


def contrast_of(ctx, other="embedding.text"):
    loss = kd.Loss(ctx)
    term = loss.add(kd.LossKind.CONTRASTIVE, 1, student_output="embedding.image")
    loss.set_pairs(term, other_output=other, scale_output="logit_scale")
    return loss


def step_of(ctx, model, loss, batch, targets=None):
    optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, model)

    def work():
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, targets)
        optimizer.step(1e-5)

    return work


# ---- parts ----
def contrast():
    """The term on arrays of 1,024 pairs beside a step of the towers on as many pairs."""
    ctx, rng = context(), numpy.random.default_rng(1)
    sides = [rng.normal(size=(PAIRS, WIDTH)).astype(numpy.float32) for _ in range(2)]
    outputs = {"embedding.image": sides[0], "embedding.text": sides[1]}
    gradients = {name: numpy.empty_like(side) for name, side in outputs.items()}
    batch, loss = kd.Batch(ctx).begin(PAIRS), kd.Loss(ctx)
    term = loss.add(kd.LossKind.CONTRASTIVE, 1, student_output="embedding.image")
    loss.set_pairs(term, other_output="embedding.text")
    model, whole = towers_of(ctx), contrast_of(ctx)
    step = step_of(ctx, model, whole, pair_batch(ctx, PAIRS))
    took, steps = time_all(lambda: loss.evaluate(outputs, batch, gradients=gradients), step)
    row("contrast", f"{PAIRS} pairs of {WIDTH}", 1e3 * statistics.median(took), "ms")
    row("contrast", "of the towers' step on as many pairs", 100 * ratio(took, steps), "%", 2)
    both = 2 * 2 * 4 * PAIRS * WIDTH / 1e6  # the sides and their gradients
    scratch = loss.estimate_memory(PAIRS, WIDTH).size / 1e6
    row("contrast", "its scratch beside both sides and gradients", scratch - both, "MB", 4)


def sentence_batch(ctx, pairs):
    """Two texts a pair, one after the other."""
    count = 2 * pairs
    tokens = numpy.random.default_rng(1).integers(0, VOCABULARY, count * WORDS)
    batch = kd.Batch(ctx).begin_packed(numpy.arange(0, count * WORDS + 1, WORDS))
    batch.set("tokens", tokens)
    batch.set_per_sample("side", numpy.arange(count) % 2)
    return batch.set_per_sample("pair", numpy.arange(count) // 2)


def sentence_loss(ctx):
    loss = kd.Loss(ctx)
    term = loss.add(kd.LossKind.CONTRASTIVE, 1, student_output="embedding")
    loss.set_pairs(term, side_field="side", group_field="pair")
    return loss


def peak_of(pairs, chunk=0, **options):
    """Bytes that a pass took at most, beside weights, gradients and the batches."""
    ctx = context()
    model, loss = kd.Model(ctx, ENCODER, seed=1, **options), sentence_loss(ctx)
    size = chunk or pairs
    batches = [sentence_batch(ctx, size) for _ in range(pairs // size)]
    before = ctx.info.bytes
    if chunk:
        loss.backward_chunks(model, batches)
    else:
        model.forward(batches[0], kd.Mode.TRAIN)
        loss.backward(model, batches[0])
    return ctx.info.peak_bytes - before


def pairs():
    """Memory of 1,024 pairs of 20 tokens through six layers of 384."""
    ways = (
        ("recomputed", {"recompute": 1}, 0, 0.5),
        ("in chunks of 64", {}, min(64, PAIRS // 4), 0.1),
        ("in chunks of 64, recomputed", {"recompute": 1}, min(64, PAIRS // 4), None),
        ("in chunks of 16, recomputed", {"recompute": 1}, min(16, PAIRS // 4), None),
    )
    for name, options, chunk, goal in ways:
        size = peak_of(PAIRS, chunk, **options) / 1e9
        row("pairs", f"{PAIRS} pairs, 6 layers of 384, {name}", size, "GB", goal)
    plan = kd.Model.estimate_memory(context(), ENCODER, max_rows=2 * PAIRS * WORDS)
    row("pairs", "kept whole, estimated", plan.activation_bytes / 1e9, "GB")


def caching():
    """Gradient caching beside the same batch at once."""
    ctx = context()
    count = TOGETHER
    at = kd.Model(ctx, ENCODER, seed=1), sentence_loss(ctx)
    whole = sentence_batch(ctx, count)
    parts = [sentence_batch(ctx, count // 4) for _ in range(4)]

    def at_once():
        at[0].forward(whole, kd.Mode.TRAIN)
        at[1].backward(at[0], whole)

    plain, cached = time_all(at_once, lambda: at[1].backward_chunks(at[0], parts))
    name = f"{count} pairs in 4 chunks, over at once"
    row("caching", name, ratio(cached, plain), "times", 1.35)


def heads():
    """A step of one trunk with k heads beside one head."""
    ctx, works = context(), []
    counts = (1, 3, 8)
    for count in counts:
        own = {f"task{i}": {"num_labels": 10, "level": "sample"} for i in range(count)}
        model, loss = kd.Model(ctx, {**ENCODER, "kd_heads": own}, seed=1), kd.Loss(ctx)
        batch = sentence_batch(ctx, TOGETHER // 2)
        batch.set_per_sample("label", numpy.arange(TOGETHER // 2 * 2) % 10)
        for name in own:
            loss.add(kd.LossKind.CROSS_ENTROPY, 1, student_output=f"logits.{name}")
        works.append(step_of(ctx, model, loss, batch))
    one, *others = time_all(*works)
    for count, times in zip(counts[1:], others):
        more = 100 * (ratio(times, one) - 1)
        row("heads", f"{count} heads, more than one head", more, "%", 5)


def torch_towers(count):
    """A step of ViT and BERT with open_clip's loss, in torch eager."""
    import torch
    import transformers

    def config(kind, keys):
        return kind(**{k: v for k, v in keys.items() if k != "model_type"})

    image = transformers.ViTModel(config(transformers.ViTConfig, VIT), add_pooling_layer=False)
    text = transformers.BertModel(config(transformers.BertConfig, BERT), add_pooling_layer=False)
    heads = [torch.nn.Linear(x["hidden_size"], WIDTH, bias=False) for x in (VIT, BERT)]
    scale = torch.nn.Parameter(torch.tensor(2.6592))
    parts = [*image.parameters(), *text.parameters(), scale]
    parts += [p for head in heads for p in head.parameters()]
    optimizer = torch.optim.AdamW(parts, 1e-5, foreach=True)
    pixels, tokens = (torch.from_numpy(x) for x in pair_arrays(count))
    labels, unit = torch.arange(count), torch.nn.functional.normalize

    def work():
        optimizer.zero_grad()
        a = unit(heads[0](image(pixels).last_hidden_state[:, 0]))
        b = unit(heads[1](text(tokens).last_hidden_state.mean(1)))
        z = scale.exp() * a @ b.T
        loss = torch.nn.functional.cross_entropy
        ((loss(z, labels) + loss(z.T, labels)) / 2).backward()
        optimizer.step()

    return work


def step():
    """A training step of both towers beside torch's."""
    worker = rivals.best_worker(__file__, "torch_towers", [TOGETHER], 1 if SHORT else 3)
    ctx = context()
    work = step_of(ctx, towers_of(ctx), contrast_of(ctx), pair_batch(ctx, TOGETHER))
    if not worker:
        row("step", f"{TOGETHER} pairs", 1e3 * statistics.median(time_all(work)[0]), "ms")
        print("step      torch and transformers do not run here")
        return
    mine, theirs = time_all(work, lambda: worker(1))
    worker.close()
    row("step", f"{TOGETHER} pairs, ViT and BERT", 1e3 * statistics.median(mine), "ms")
    row("step", "torch eager's time over ours", ratio(theirs, mine), "times", 1.5, True)


# ---- ways to save (docs/multimodal.md) ----
def teacher_works(ctx):
    """A step with a teacher's vectors: kept, and asked of a live teacher in float32 and 8 bits."""
    batch, targets = pair_batch(ctx, TOGETHER), kd.Targets(ctx)
    rng = numpy.random.default_rng(2)
    vectors = rng.normal(size=(TOGETHER, ENCODER["hidden_size"])).astype(numpy.float32)
    model, loss = towers_of(ctx), contrast_of(ctx)
    sides = {"student_output": "embedding.text", "teacher_field": "vector"}
    term = loss.add(kd.LossKind.HIDDEN_COSINE, **sides)
    loss.set_projection(term, name="fit", from_=WIDTH, to=ENCODER["hidden_size"])
    targets.begin(TOGETHER * WORDS).set_per_sample("vector", vectors)
    kept = step_of(ctx, model, loss, batch, targets)
    works = {"kept": kept}
    with tempfile.TemporaryDirectory() as folder:
        kd.Model(ctx, ENCODER, seed=2).save(folder)
        for name, weights in (("float32", kd.DType.FLOAT32), ("8 bits", kd.DType.INT8)):
            teacher = kd.Model.load(ctx, folder, frozen=1, weights=weights)
            works[name] = live_step(teacher, batch, targets, kept)
    return works


def live_step(teacher, batch, targets, step):
    def work():
        vectors = teacher.forward(batch, kd.Mode.EVALUATE).output("embedding")
        targets.begin(TOGETHER * WORDS).set_per_sample("vector", vectors)
        step()

    return work


def savings():
    """Each way's part of the time that a step takes without it."""
    ctx = context()
    works = teacher_works(ctx)
    kept, live, eight = time_all(*works.values())
    row("savings", "a teacher's vectors kept, over a live teacher", ratio(kept, live), "times")
    row("savings", "a live teacher of 8 bits, over float32", ratio(eight, live), "times")
    batch, targets = pair_batch(ctx, TOGETHER), kd.Targets(ctx)
    targets.begin(TOGETHER * WORDS)
    rng = numpy.random.default_rng(2)
    text = rng.normal(size=(TOGETHER, WIDTH)).astype(numpy.float32)
    targets.set_per_sample("text", text)
    frozen = {"text": {"frozen": True}}
    half = {"image": {"kd_patch_dropout": 0.5}}
    steps = (
        step_of(ctx, towers_of(ctx), contrast_of(ctx), batch),
        step_of(ctx, towers_of(ctx, **frozen), contrast_of(ctx), batch),
        step_of(ctx, towers_of(ctx, **frozen), contrast_of(ctx, "teacher:text"), batch, targets),
        step_of(ctx, towers_of(ctx, **half), contrast_of(ctx), batch),
    )
    whole, still, cached, patches = time_all(*steps)
    row("savings", "text tower frozen, over trained", ratio(still, whole), "times")
    row("savings", "text tower frozen and kept, over trained", ratio(cached, whole), "times")
    row("savings", "half of the patches, over all", ratio(patches, whole), "times")
    count = min(PAIRS, 256)
    plain = peak_of(count)
    for name, chunk, options in (
        ("recomputed", 0, {"recompute": 1}),
        ("in 4 chunks", count // 4, {}),
    ):
        share = peak_of(count, chunk, **options) / plain
        row("savings", f"memory of {count} pairs {name}, over at once", share, "times")


PARTS = {part.__name__: part for part in (contrast, pairs, caching, heads, step, savings)}


def main(names):
    print(f"{rivals.CORES} cores, load {os.getloadavg()[0]:.1f}")
    for name in names or PARTS:
        PARTS[name]()
    rivals.write_tables("build/bench-towers", results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        rivals.serve(globals()[sys.argv[2]], json.loads(sys.argv[3]))
    else:
        main(sys.argv[1:])
