"""Light attention for long texts: a window with a few first tokens kept, beside full attention.
Cost a token by length, perplexity by position, and a number found again at a distance.

    PEERS=folder sh bench/with_peers.sh bench/windows.py SMOLLM2 DATA [WINDOW [SINKS]]
"""

import os
import statistics
import sys
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

SMALL = dict(
    model_type="llama",
    vocab_size=8192,
    hidden_size=288,
    intermediate_size=768,
    num_hidden_layers=6,
    num_attention_heads=6,
    max_position_embeddings=32768,
    tie_word_embeddings=True,
)


def packed(ctx, tokens):
    batch = kd.Batch(ctx).begin_packed(np.array([0, len(tokens)]))
    batch.set("tokens", np.asarray(tokens, np.int64))
    return batch


def light(config, window, sinks):
    return dict(
        config,
        sliding_window=window,
        attention_sinks=sinks,
        layer_types=["sliding_attention"] * config["num_hidden_layers"],
    )


def costs(ctx, window, sinks):
    print(
        "| tokens | full, us a token | window, us a token | window trained, us a token |\n"
        "|---|---|---|---|"
    )
    full, windowed = (
        kd.Model(ctx, SMALL, frozen=1),
        kd.Model(ctx, light(SMALL, window, sinks), frozen=1),
    )
    trained, loss = kd.Model(ctx, light(SMALL, window, sinks)), kd.Loss(ctx)
    loss.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)

    def step(batch):
        trained.forward(batch, kd.Mode.TRAIN)
        loss.backward(trained, batch)
        trained.zero_gradients()

    for length in (512, 1024, 2048, 4096, 8192, 16384, 32768):
        batch, times = packed(ctx, np.arange(length) * 7 % 8192), []
        for work in (
            lambda batch: full.forward(batch, kd.Mode.EVALUATE),
            lambda batch: windowed.forward(batch, kd.Mode.EVALUATE),
            step,
        ):
            found = []
            for _ in range(3):
                begin = time.perf_counter()
                work(batch)
                found.append(time.perf_counter() - begin)
            times.append(1e6 * statistics.median(found) / length)
        print(f"| {length} | {times[0]:.0f} | {times[1]:.0f} | {times[2]:.0f} |", flush=True)


def losses(ctx, model, tokens):
    """Negative log-probability of each token but the first."""
    model.forward(packed(ctx, tokens), kd.Mode.EVALUATE)
    z = model.output("logits")[:-1]
    found = np.empty(len(z))
    for i in range(0, len(z), 256):
        part = z[i : i + 256].astype(np.float64)
        top = part.max(1)
        found[i : i + 256] = (
            top
            + np.log(np.exp(part - top[:, None]).sum(1))
            - part[np.arange(len(part)), tokens[i + 1 : i + 1 + len(part)]]
        )
    return found


def perplexities(ctx, models, tokens):
    bounds = [0, 256, 512, 1024, 2048, 4096]
    table = {name: losses(ctx, model, tokens[:4096]) for name, model in models.items()}
    print("| positions | " + " | ".join(models) + " |\n|---|" + "---|" * len(models))
    for low, high in zip(bounds, bounds[1:]):
        print(
            f"| {low} to {high} | "
            + " | ".join(
                f"{np.exp(values[low : high - 1].mean()):.2f}" for values in table.values()
            )
            + " |",
            flush=True,
        )


def retrieval(ctx, models, tokenizer, filler, tries=12):
    """A number told in the text, asked for so many tokens later: how often the answer has it."""
    print("| distance | " + " | ".join(models) + " |\n|---|" + "---|" * len(models))
    rng = np.random.default_rng(0)
    for distance in (64, 256, 768, 1536):
        right = []
        for model in models.values():
            rng = np.random.default_rng(distance)
            generator = kd.Generator(
                model, tokenizer, max_sequences=4, cache_tokens=4 * (distance + 128)
            )
            asked = {}
            for _ in range(tries):
                number, at = str(rng.integers(1000, 9999)), int(rng.integers(0, len(filler) - 4096))
                prompt = np.concatenate(
                    [
                        tokenizer.encode(f"Remember: the secret number is {number}. "),
                        filler[at : at + distance],
                        tokenizer.encode(". I was told to remember: the secret number is"),
                    ]
                )
                asked[generator.add(prompt, temperature=0, max_tokens=6)] = number
            right.append(
                sum(asked[text.request] in text.text.replace(" ", "") for text in generator)
            )
        print(f"| {distance} | " + " | ".join(f"{r} of {tries}" for r in right) + " |", flush=True)


def main(folder, data, window=512, sinks=4):
    window, sinks, ctx = int(window), int(sinks), kd.Context(threads=2)
    print(
        f"window {window}, {sinks} first tokens kept\n\n"
        f"cost a token, {SMALL['hidden_size']} wide, {SMALL['num_hidden_layers']} layers"
    )
    costs(ctx, window, sinks)
    teacher, tokenizer = kd.Model.load(ctx, folder, frozen=1), kd.Tokenizer(ctx, folder)
    types = ["sliding_attention"] * teacher.config["num_hidden_layers"]
    models = {"full": teacher}
    for name, kept in ((f"window {window}, {sinks} kept", sinks), (f"window {window} alone", 0)):
        models[name] = teacher.student(
            config=dict(sliding_window=window, attention_sinks=kept, layer_types=types),
            model=dict(frozen=1),
        )
    tokens = tokenizer.encode(open(os.path.join(data, "text", "tinyshakespeare.txt")).read())
    print(f"\nperplexity by position, {os.path.basename(folder)}, tinyshakespeare")
    perplexities(ctx, models, tokens)
    print("\na number found again")
    retrieval(ctx, models, tokenizer, tokens)


if __name__ == "__main__":
    main(*sys.argv[1:])
