"""Drafts change no text: drafts.py MODEL LAYERS TEXT   (MODEL: a folder, a GGUF file, or "train";
LAYERS: of the draft, a student that is cut from the model; TEXT: a file that has the prompts)

The same prompts are continued without drafts, with tokens that followed the same ones before
(look-up), with a model that has a part of the layers, and with both. Printed: whether all texts are
the same, what share of the proposals was right, and what share of the model's passes was saved. Of
one text after the other: where many run at once, passes are full anyway.
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

from prune_distil import texts, train

STEPS, PROMPT, NEW = int(os.environ.get("STEPS", "200")), 64, 64
TEMPERATURES = (0.0, 0.7)


def load(ctx, path, raw):
    """The model and the text's tokens; "train": bytes, and a small model that has read the text."""
    if path != "train":
        return kd.Model.load(ctx, path), np.asarray(kd.Tokenizer(ctx, path).encode(raw), np.int64)
    tokens = np.frombuffer(raw, np.uint8).astype(np.int64)
    model = kd.Model(ctx, dict(kd.student_preset("llama-1m"), vocab_size=256))
    train(ctx, model, texts(tokens)[0], STEPS, 3e-3)
    return model, tokens


def write(model, prompts, temperature, **more):
    """Texts, and what the generator tells of its work."""
    with kd.Generator(model, max_sequences=1, always_draft=1, **more) as generator:
        for seed, prompt in enumerate(prompts):
            generator.add(
                prompt, max_tokens=NEW, temperature=temperature, seed=seed, draw=kd.Draw.GUMBEL
            )
        made = sorted(generator, key=lambda text: text.request)
        return [(t.ids.tolist(), t.logprobs.tolist()) for t in made], generator.info


def main(path, layers, file):
    ctx = kd.Context()
    with open(file, "rb") as source:
        model, tokens = load(ctx, path, source.read())
    prompts = [tokens[i * 500 : i * 500 + PROMPT] for i in range(3)]
    prompts.append(np.resize(tokens[:24], PROMPT))  # one that repeats itself
    draft = model.student(layers=layers)
    train(ctx, draft, texts(tokens)[0], STEPS, 1e-3, kd.Teacher.from_model(model))
    ways = {
        "look-up": {"lookup": 3},
        "model": {"draft": draft},
        "both": {"lookup": 3, "draft": draft},
    }
    print("| temperature | draft | texts | right | passes saved |\n|---|---|---|---|---|")
    for temperature in TEMPERATURES:
        plain, without = write(model, prompts, temperature)
        for name, more in ways.items():
            made, info = write(model, prompts, temperature, **more)
            if made != plain:
                raise SystemExit(f"{name}: a text differs")
            right, saved = info.accepted / max(info.drafted, 1), 1 - info.steps / without.steps
            print(f"| {temperature} | {name} | the same | {right:.1%} | {saved:.1%} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
