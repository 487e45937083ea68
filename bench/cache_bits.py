"""How far a generator's texts are from those of a float32 cache, and what the cache takes.

    KDISTILL_LIBRARY=lib/libkdistill.so python bench/cache_bits.py MODEL DATA [TEXTS]

MODEL: a folder; DATA: the folder of the texts (gsm8k/train.jsonl, text/tinyshakespeare.txt). From
each source TEXTS (4) stretches of 512 tokens; the model says what comes after their first 8, 16 ..
512 tokens, keys and values kept in numbers of each kind. KL(float32, kind) in nat a token, the
largest of a token, the share of tokens whose most probable successor is the same, and bytes of
cache a token. The table also lies in build/bench-cache.json. Goal for 8 bits: .0005.
"""

import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))
import kdistill as kd

LENGTH, STEP, GOAL = 512, 8, 0.0005
KINDS = kd.DType.FLOAT32, kd.DType.FLOAT16, kd.DType.BFLOAT16, kd.DType.INT8


def sources(data):
    with open(os.path.join(data, "gsm8k", "train.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file.readlines()[:400]]
    yield "GSM8K", "\n".join(line["question"] + "\n" + line["answer"] for line in lines)
    with open(os.path.join(data, "text", "tinyshakespeare.txt"), encoding="utf-8") as file:
        yield "tinyshakespeare", file.read(200000)


def log_probabilities(model, head, stretches, kind):
    """(positions, V) float32, and the generator's info."""
    count = len(stretches) * LENGTH // STEP
    options = {"max_sequences": 8, "cache_tokens": (len(stretches) + 8) * 2 * LENGTH}
    with kd.Generator(model, cache=kind, **options) as generator:
        for stretch in stretches:
            for end in range(STEP, LENGTH + 1, STEP):
                generator.add(stretch[:end], max_tokens=1, temperature=0, keep_hidden=1)
        texts = sorted(generator, key=lambda text: text.request)
        hidden, info = np.concatenate([text.hidden for text in texts]), generator.info
    assert len(hidden) == count
    logits = hidden @ head.T
    logits -= logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits, dtype=np.float64).sum(1, keepdims=True)), info


def measure(model, head, stretches):
    """Rows of the table."""
    whole, found = None, {}
    for kind in KINDS:
        now, info = log_probabilities(model, head, stretches, kind)
        whole = now if whole is None else whole
        kl = (np.exp(whole) * (whole - now)).sum(1)
        found[kind.name] = {
            "kl": float(kl.mean()),
            "largest": float(kl.max()),
            "same": float((whole.argmax(1) == now.argmax(1)).mean()),
            "bytes_per_token": info.cache_bytes / info.cache_tokens,
        }
    return found


def main(folder, data, count=4):
    context, table = kd.Context(), {}
    model = kd.Model.load(context, folder, frozen=1)
    tokenizer, tensors = kd.Tokenizer(context, folder), dict(model.tensors)
    head = tensors.get("lm_head.weight", tensors.get("model.embed_tokens.weight"))
    print("| texts | cache | KL | largest | same | bytes per token |\n|---|---|---|---|---|---|")
    for name, text in sources(data):
        ids = np.asarray(tokenizer.encode(text), np.int64)[: LENGTH * count]
        table[name] = measure(model, head, ids.reshape(-1, LENGTH))
        for kind, row in table[name].items():
            print(
                f"| {name} | {kind.lower()} | {row['kl']:.2e} | {row['largest']:.1e} "
                f"| {row['same']:.4f} | {row['bytes_per_token']:,.0f} |",
                flush=True,
            )
    os.makedirs(os.path.join(HERE, "..", "build"), exist_ok=True)
    with open(os.path.join(HERE, "..", "build", "bench-cache.json"), "w") as file:
        json.dump(table, file, indent=1)
    worst = max(rows["INT8"]["kl"] for rows in table.values())
    print(f"\n8 bits: {worst:.5f} nat a token at most, goal {GOAL}")
    return worst <= GOAL


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:3], *map(int, sys.argv[3:4])))
