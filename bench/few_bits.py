"""How far a frozen model of few bits is from its float32 self.

    KDISTILL_LIBRARY=lib/libkdistill.so python bench/few_bits.py MODEL TEXT [TOKENS]

KL(float32, few bits) in nat a token, and the share of tokens whose most probable successor is the
same, on the first TOKENS (256) of a text file. Numbers that lie on a lattice already, as those
of a quantized file do, are nearer than others. The table also lies in build/bench-bits.json.
"""

import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))
import kdistill as kd

KINDS = {
    "float32": kd.DType.FLOAT32,
    "int8": kd.DType.INT8,
    "Q4_0": kd.Block.Q4_0,
    "Q4_0, rows in float32": None,
    "IQ4_NL": kd.Block.IQ4_NL,
}


def log_probabilities(context, folder, tokens, weights):
    """(tokens, V) float64; weights None: float32 products of the numbers that Q4_0 has."""
    if weights is None:
        model = kd.Model.load(context, folder)
        model.set_lattice(format=kd.Block.Q4_0)
    else:
        model = kd.Model.load(context, folder, frozen=1, weights=weights)
    batch = kd.Batch(context).begin_packed(np.array([0, len(tokens)]))
    batch.set("tokens", tokens)
    model.forward(batch, kd.Mode.EVALUATE)
    logits = np.array(model.output("logits"), np.float64)
    logits -= logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def main():
    folder, path = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 256
    context, table, whole = kd.Context(), {}, None
    with open(path, encoding="utf-8") as file:
        tokens = np.asarray(kd.Tokenizer(context, folder).encode(file.read()), np.int64)[:count]
    for name, weights in KINDS.items():
        found = log_probabilities(context, folder, tokens, weights)
        if whole is None:
            whole = found
        kl = (np.exp(whole) * (whole - found)).sum(1).mean()
        same = (whole.argmax(1) == found.argmax(1)).mean()
        table[name] = {"kl": kl, "same": same}
        print(f"{name:22} KL {kl:.5f}  same {same:.3f}", flush=True)
    os.makedirs(os.path.join(HERE, "..", "build"), exist_ok=True)
    with open(os.path.join(HERE, "..", "build", "bench-bits.json"), "w") as file:
        json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
