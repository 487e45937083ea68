"""A large frozen model whose matrices are kept in few bits alone: what it takes and how long it
loads.

    KDISTILL_LIBRARY=lib/libkdistill.so python bench/large.py FOLDER [SHAPE [WEIGHTS ..]]

Makes a Llama of random bfloat16 numbers of SHAPE (8b, 3b, 1b; 8b: 16 GB) as shards in FOLDER, if
it is not there, and loads it with packed_only as each of WEIGHTS (int8 q4_0), each in a process of
its own: bytes a parameter held and at the peak of loading, both counted by the library; the largest
resident memory of the process (with pages of the files, which the kernel may drop), seconds of
reading the files and of loading them, one after the other, and of a pass over 16 tokens. Goals: 1.2
and .62 bytes a parameter, 1.3 times reading. The table also lies in build/bench-large.json.
"""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))

#: hidden, inner, layers, heads, key heads
SHAPES = {
    "1b": (2048, 8192, 16, 32, 8),
    "3b": (3072, 8192, 28, 24, 8),
    "8b": (4096, 14336, 32, 32, 8),
}
VOCABULARY = 128256
GOALS = {"int8": 1.2, "q4_0": 0.62}


def config_of(shape):
    hidden, inner, layers, heads, keys = SHAPES[shape]
    return {
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "head_dim": hidden // heads,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
    }


def tensors_of(config, layer):
    """Names and dims of a layer's shard; -1: of what is outside of layers."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    if layer < 0:
        whole = (VOCABULARY, hidden)
        return {
            "model.embed_tokens.weight": whole,
            "lm_head.weight": whole,
            "model.norm.weight": (hidden,),
        }
    dims = {
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    return {f"model.layers.{layer}.{name}.weight": d for name, d in dims.items()}


def write_shard(path, tensors, noise, rng):
    """Matrices are stretches of one block of noise, norms are ones."""
    header, at = {}, 0
    for name, dims in tensors.items():
        size = 2 * int(np.prod(dims))
        header[name] = {"dtype": "BF16", "shape": dims, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for dims in tensors.values():
            left = int(np.prod(dims))
            if len(dims) == 1:
                file.write(np.full(left, 0x3F80, np.uint16).tobytes())
                continue
            while left:
                first = int(rng.integers(len(noise) // 2))
                piece = noise[first : first + min(left, len(noise) // 2)]
                file.write(piece.tobytes())
                left -= len(piece)
    return {name: os.path.basename(path) for name in tensors}


def make(folder, shape):
    if os.path.exists(os.path.join(folder, "model.safetensors.index.json")):
        return
    os.makedirs(folder, exist_ok=True)
    config, rng = config_of(shape), np.random.default_rng(1)
    noise = (0.02 * rng.standard_normal(1 << 23)).astype(np.float32).view(np.uint32) >> 16
    noise, places = noise.astype(np.uint16), {}
    for layer in range(-1, config["num_hidden_layers"]):
        path = os.path.join(folder, f"model-{layer + 1:03d}.safetensors")
        places.update(write_shard(path, tensors_of(config, layer), noise, rng))
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {}, "weight_map": places}, file)


def read_files(folder):
    """Seconds to read every shard once."""
    block, began = bytearray(1 << 24), time.perf_counter()
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            with open(os.path.join(folder, name), "rb", buffering=0) as file:
                while file.readinto(block):
                    pass
    return time.perf_counter() - began


def measure(folder, weights):
    """What one process finds."""
    import kdistill as kd

    reading, ctx = read_files(folder), kd.Context()
    few = kd.DType.INT8 if weights == "int8" else kd.Block.Q4_0
    began = time.perf_counter()
    model = kd.Model.load(ctx, folder, frozen=1, weights=few, packed_only=1, max_rows=16)
    loading, info = time.perf_counter() - began, model.info
    peak = ctx.info.peak_bytes
    batch = kd.Batch(ctx).begin_packed([0, 16]).set("tokens", np.arange(16))
    began = time.perf_counter()
    model.forward(batch, kd.Mode.EVALUATE)
    return {
        "weights": weights,
        "parameters": info.parameters,
        "held": info.memory_bytes / info.parameters,
        "peak": peak / info.parameters,
        "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / info.parameters,
        "reading": reading,
        "loading": loading,
        "pass": time.perf_counter() - began,
        "finite": bool(np.isfinite(model.output("logits")).all()),
        "goal": GOALS[weights],
    }


def main():
    folder, shape = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "8b"
    make(folder, shape)
    table = []
    print(f"Llama of the {shape} shape: bytes a parameter, seconds")
    print("weights  held   goal   peak   resident  reading  loading  ratio   pass")
    for weights in sys.argv[3:] or list(GOALS):
        done = subprocess.run(
            [sys.executable, __file__, "--one", folder, weights], stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            print(f"{weights:8} did not run here")
            continue
        r = json.loads(done.stdout.splitlines()[-1])
        table.append(dict(r, shape=shape))
        print(
            f"{weights:8} {r['held']:5.3f}  {r['goal']:5.2f}  {r['peak']:5.3f}"
            f"  {r['resident']:8.3f}"
            f"  {r['reading']:7.1f}  {r['loading']:7.1f}  {r['loading'] / r['reading']:5.2f}"
            f"  {r['pass']:5.1f}",
            flush=True,
        )
    os.makedirs(os.path.join(HERE, "..", "build"), exist_ok=True)
    with open(os.path.join(HERE, "..", "build", "bench-large.json"), "w") as file:
        json.dump(table, file, indent=1)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps(measure(*sys.argv[2:4])))
    else:
        main()
