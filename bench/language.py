"""Language models beside torch, transformers, ONNX Runtime, llama.cpp and ik_llama.cpp: training,
whole forward passes, generation. Every figure is a process of its own, the sides alternate;
medians, ratios and the largest resident memory are printed.

    PEERS=folder sh bench/with_peers.sh bench/language.py [SMOLLM2 [DATA]] [part ...] [shape ...]
    parts: scale, train, memory, forward, skip, tokenize, generate, drafts (all of them)
    shapes, for train, memory and forward: llama-288x6, smollm2-135m (both)

Each rival runs under its best setting for each work (bench/rivals.py); the tables, with the
settings, are also in build/bench-language.json. llama.cpp's own llama-batched-bench is measured too
where it is in PATH. SMOLLM2 is a Hugging Face folder of SmolLM2-135M (with gguf/*.gguf beside it
for llama.cpp), DATA the folder of the texts. COMPILED=0 leaves torch.compile out,
PRECISION=bfloat16 trains in that alone, COUNTS="1 32" generates so many sequences at once.
"""

import glob
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys

import language_ours
import language_rivals
import rivals
from language_ours import NEW, PROMPT, SHAPES, operations

ROUNDS = int(os.environ.get("ROUNDS", "3"))
COUNTS = [int(n) for n in os.environ.get("COUNTS", "1 8 32 128").split()]
COMPILED = os.environ.get("COMPILED", "1") == "1"
PRECISION = os.environ.get("PRECISION", "float32 bfloat16").split()
PARTS = ["scale", "train", "memory", "forward", "skip", "tokenize", "generate", "drafts"]
results = []


def one(name, arguments):
    module = language_ours if hasattr(language_ours, name) else language_rivals
    value = getattr(module, name)(*arguments)
    print(json.dumps([value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def measure(name, *arguments, environment=None):
    """[value, largest memory] of a function in a process of its own; None where it does not run."""
    done = subprocess.run(
        [sys.executable, __file__, "one", name, json.dumps(arguments)],
        capture_output=True,
        text=True,
        env=environment or os.environ,
    )
    if done.returncode:
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def best_of(call):
    """A rival's best setting for this work; None where it runs under none."""

    def cost(setting):
        found = measure(*call, environment=dict(rivals.environment(setting), SHORT="1"))
        return found and 1 / found[0]

    return rivals.best_setting(cost)


def compare(title, sides, rounds=ROUNDS):
    """sides: name -> call; the first is ours. Prints medians, memory, the first over each."""
    print(f"\n{title}: tokens a second, largest memory")
    settings = {
        name: best_of(call) for name, call in sides.items() if not call[0].startswith("ours_")
    }
    found = {name: [] for name in sides}
    for _ in range(rounds):
        for name, call in sides.items():
            if settings.get(name, True):
                setting = settings.get(name)
                found[name].append(
                    measure(*call, environment=setting and rivals.environment(setting))
                )
    first = next(iter(sides))
    for name, values in found.items():
        if not values or None in values:
            print(f"  {name:34} did not run here")
            continue
        show(title, name, values, found[first], first, settings.get(name))


def show(title, name, values, mine, first, setting):
    rate, memory = statistics.median(v[0] for v in values), max(v[1] for v in values)
    result = {
        "title": title,
        "name": name,
        "rate": rate,
        "memory": memory,
        "ratio": None,
        "setting": setting and rivals.describe(setting),
    }
    text = ""
    if mine and None not in mine and name != first:
        result["ratio"] = statistics.median(v[0] for v in mine) / rate
        share = max(v[1] for v in mine) / memory
        text = f"   {first} / this = {result['ratio']:.2f}, memory {share:.2f}"
    results.append(result)
    print(
        f"  {name:34} {rate:9.1f}  {memory:7.0f} MiB{text}"
        + (f"   {result['setting']}" if setting else ""),
        flush=True,
    )


# ---- parts ----
def print_share(shape, rows, length):
    """The share of what the products alone reach here that whole training steps reach."""
    speeds = measure("product_speeds")[0]
    for speed, products in zip(speeds, ("FLOAT32", "BFLOAT16")):
        rate = measure("ours_train", shape, rows, length, 0, products)[0] * operations(
            shape, length
        )
        print(
            f"  {products.lower()}: products alone {speed / 1e9:.0f} GFLOP/s, "
            f"a whole step {rate / 1e9:.0f}: {rate / speed:.2f}",
            flush=True,
        )


def scaling():
    """Microseconds of a training step a token, over tokens and layers."""
    shape = SHAPES["llama-288x6"][0]
    print("\ntraining Llama 288 wide, microseconds a token")
    for layers in (3, 6, 12):
        costs = [
            1e6 / measure("ours_train", dict(shape, num_hidden_layers=layers), rows, 256)[0]
            for rows in (2, 4, 8, 16)
        ]
        print(
            f"  {layers:2} layers, 2, 4, 8, 16 x 256 tokens: "
            + ", ".join(f"{cost:.0f}" for cost in costs),
            flush=True,
        )


def skipping(tokenizer_folder, data):
    folder, bounds = (
        language_ours.trained_folder(tokenizer_folder, data, int(os.environ.get("STEPS", "600"))),
        [1e-6, 1e-5, 3e-5, 1e-4, 1e-3],
    )
    print(
        "\nLlama 288 x 6 as it was trained, its own text: "
        "blocks of the head's gradient below a bound left out"
    )
    for bound, (share, head, rest) in zip(bounds, language_ours.skipping_errors(folder, bounds)):
        print(
            f"  bound {bound:g}: {100 * share:.0f} % skipped, relative error of the head's "
            f"gradient {head:.1e}, of all before it {rest:.1e}"
        )
    sides = {
        f"ours, bound {bound:g}": ("ours_trained", folder, bound) for bound in [1e-4, 3e-5, 1e-5, 0]
    }
    sides["torch"] = ("torch_trained", folder, False)
    if COMPILED:
        sides["torch, compiled"] = ("torch_trained", folder, True)
    compare("training it, 8 x 256, AdamW", sides)


def llama_sides(folder, data, count):
    """Both packages on each file, and llama.cpp's own program where it is."""
    sides = {}
    for kind, path in llama_files(folder).items():
        sides["llama.cpp, " + kind] = ("llama_generate", folder, data, count, path)
        sides["ik_llama.cpp, " + kind] = (
            "llama_generate",
            folder,
            data,
            count,
            path,
            "ik_llama_cpp",
        )
        if shutil.which("llama-batched-bench"):
            sides["llama-batched-bench, " + kind] = ("llama_batched_bench", count, path)
    return sides


def llama_files(folder):
    """What llama.cpp runs: the folder's own file, and one in Q8_0 and in Q4_0 beside it."""
    ours = ("model.Q8_0.gguf", "model.Q4_0.gguf")
    paths = sorted(glob.glob(os.path.join(folder, "gguf", "*.gguf")))
    own = [path for path in paths if os.path.basename(path) not in ours][:1]
    files = {os.path.basename(path).split(".")[-2]: path for path in own}
    q8 = os.path.join(folder, "gguf", "model.Q8_0.gguf")
    if os.path.exists(q8) or measure("write_q8", folder, q8):
        files["Q8_0"] = q8
    q4 = os.path.join(folder, "gguf", "model.Q4_0.gguf")
    if os.path.exists(q4) or measure("write_q4", folder, q4):
        files["Q4_0"] = q4
    return files


def training(name, shape):
    sides = {"ours": ("ours_train", *shape), "torch": ("torch_train", *shape)}
    half = {
        "ours, bfloat16 products": ("ours_train", *shape, 0, "BFLOAT16"),
        "torch, bfloat16 autocast": ("torch_train", *shape, False, True),
    }
    if COMPILED:
        sides["torch, compiled"] = ("torch_train", *shape, True)
        half["torch, bfloat16, compiled"] = ("torch_train", *shape, True, True)
    if "float32" in PRECISION:
        compare(f"training {name}, {shape[1]} x {shape[2]}, AdamW", sides)
    if "bfloat16" in PRECISION:
        compare(f"training {name}, {shape[1]} x {shape[2]}, AdamW, in bfloat16", half)
    print_share(*shape)
    alone = measure("ours_train", *shape, environment=dict(os.environ, THREADS="1"))[0]
    print(f"  all cores / one thread: {measure('ours_train', *shape)[0] / alone:.2f}", flush=True)


def less_memory(name, shape):
    layers = shape[0]["num_hidden_layers"]
    sides = {
        "ours": ("ours_train", *shape),
        "ours, gradients in turn": ("ours_train", *shape, 0, "FLOAT32", "FLOAT32", 1),
        "ours, half the layers again": ("ours_train", *shape, layers // 2),
        "ours, all layers again": ("ours_train", *shape, layers),
        "ours, in turn, all layers again": (
            *("ours_train", *shape, layers, "FLOAT32", "FLOAT32"),
            1,
        ),
        "ours, values in 16 bits": ("ours_train", *shape, 0, "FLOAT32", "BFLOAT16"),
        "ours, bfloat16, 16 bits": ("ours_train", *shape, 0, "BFLOAT16", "BFLOAT16"),
        "torch": ("torch_train", *shape),
    }
    if COMPILED:
        sides["torch, compiled"] = ("torch_train", *shape, True)
    compare(f"training {name}, less memory", sides)


def forwards(name, shape):
    sides = {
        "ours, float32": ("ours_forward", *shape),
        "ours, 8-bit": ("ours_forward", *shape, None, "INT8"),
        "torch": ("torch_forward", *shape),
        "onnxruntime": ("onnx_forward", *shape),
    }
    if COMPILED:
        sides["torch, compiled"] = ("torch_forward", *shape, None, True)
    compare(f"forward {name}, {shape[1]} x {shape[2]}, all logits", sides)
    half = {
        "ours, bfloat16 products": ("ours_forward", *shape, None, "FLOAT32", "BFLOAT16"),
        "torch, bfloat16 autocast": ("torch_forward", *shape, None, False, True),
    }
    compare(f"forward {name}, the same in bfloat16", half)


def divergence(folder, data):
    found = measure("ours_divergence", folder, data)[0]
    name = os.path.basename(folder)
    print(f"\n8-bit logits of {name}: mean KL to float32 on GSM8K text {found:.4f} nat a token")


def tokenizing(folder, data):
    for path in (folder, os.path.join(data, "tinystories-656k")):
        title = (
            f"tokenizing with {os.path.basename(path)}'s tokenizer, millions of bytes instead of"
        )
        sides = {
            "ours": ("ours_tokenize", path, data),
            "Hugging Face": ("peer_tokenize", path, data),
        }
        compare(title, sides)


def generation(folder, data):
    found = measure("ours_cache_divergence", folder, data)[0]
    print(f"\nkeys and values in float16: mean KL to float32 ones {found:.1e} nat a token")
    for count in COUNTS:
        sides = {
            "ours, 8-bit, 8-bit cache": ("ours_generate", folder, data, count, "INT8", "INT8"),
            "ours, 8-bit, float16 cache": ("ours_generate", folder, data, count, "INT8", "FLOAT16"),
            "ours, 8-bit": ("ours_generate", folder, data, count, "INT8"),
            "ours, 4-bit": ("ours_generate", folder, data, count, "Q4_0"),
            "ours, float32": ("ours_generate", folder, data, count, "FLOAT32"),
        }
        if count in (1, 32):
            sides["transformers, float32"] = ("torch_generate", folder, data, count)
        if count <= 32:
            sides.update(llama_sides(folder, data, count))
        name = os.path.basename(folder)
        compare(f"generating with {name}: {count} sequences, {NEW} new after {PROMPT}", sides)


def drafting(folder, data):
    """Ratios with and without drafts, the same texts; goal: never below .97."""
    print("\ndrafts, 8-bit products: tokens a second with over without, both in one process")
    for count in (1, 8, 32):
        for way in ("lookup", "model"):
            for repeats in (0, 1):
                title = f"{count} sequences, {way}, {'repeating' if repeats else 'plain'} prompts"
                found = measure("ours_drafts", folder, data, count, way, repeats)
                if not found:
                    print(f"  {title:46} did not run here")
                    continue
                ratio, right, saved = found[0]
                results.append({"title": "drafts", "name": title, "ratio": ratio, "right": right})
                print(
                    f"  {title:46} {ratio:5.2f}   right {right:.2f}, passes saved {saved:.2f}"
                    + ("   below .97" if ratio < 0.97 else ""),
                    flush=True,
                )


def main(arguments):
    parts = [a for a in arguments if a in PARTS] or PARTS
    paths = [a for a in arguments if a not in PARTS and a not in SHAPES]
    shapes = {n: s for n, s in SHAPES.items() if n in arguments or not set(arguments) & set(SHAPES)}
    data = paths[1] if len(paths) > 1 else os.environ.get("KD_DATA", "")
    if "scale" in parts:
        scaling()
    for name, shape in shapes.items():
        for part, work in (("train", training), ("memory", less_memory), ("forward", forwards)):
            if part in parts:
                work(name, shape)
    works = {
        "forward": divergence,
        "skip": skipping,
        "tokenize": tokenizing,
        "generate": generation,
        "drafts": drafting,
    }
    for part, work in works.items():
        if paths and part in parts:
            work(paths[0], data)
    rivals.write_tables("build/bench-language", results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main(sys.argv[1:])
