"""GGUF files of random models: what is saved and loaded again has equal logits, or saving is
refused by name; and llama.cpp computes the same from the same file, where a Python package of it
(xllamacpp) is installed.

    python tests/property/gguf_round.py [configs]      60 when nothing is said
"""

import json
import os
import sys
import tempfile

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

LENGTH, VOCABULARY = 60, 300
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


def tokenizer_json():
    """Bytes, one merge, cut as GPT-2's tokenizer cuts."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    letters = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]
    vocabulary = {letter: i for i, letter in enumerate(letters)}
    vocabulary["ab"] = 256
    added = [
        {
            "id": 257,
            "content": "<end>",
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
    ]
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": added,
            "normalizer": None,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
            "post_processor": None,
            "decoder": {"type": "ByteLevel"},
            "model": {
                "type": "BPE",
                "vocab": vocabulary,
                "merges": ["a b"],
                "ignore_merges": False,
            },
        }
    )


def scaling(rng, width):
    """Parameters of one of the ways to scale positions."""
    factor = float(numpy.float32(rng.choice([1.0, 2.0, 8.0, 1.7])))
    attention = float(rng.choice([0.5, 1.0, 1.3]))
    divisors = [float(numpy.float32(x)) for x in 1 + rng.exponential(3, width // 2)]
    kinds = [
        {"rope_type": "default"},
        {"rope_type": "linear", "factor": factor},
        {
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": float(rng.choice([1.0, 2.0])),
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": int(rng.choice([32, 64, 100, 8192])),
        },
        {
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": int(rng.choice([16, 64, 100])),
        },
        {
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": 64,
            "attention_factor": attention,
            "beta_fast": float(rng.choice([32.0, 8.0])),
            "beta_slow": float(rng.choice([1.0, 2.0])),
        },
        {
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": 64,
            "mscale": 1.0,
            "mscale_all_dim": 0.7,
        },
        {
            "rope_type": "longrope",
            "short_factor": divisors,
            "long_factor": divisors,
            "attention_factor": attention,
            "original_max_position_embeddings": 64,
        },
        {"rope_type": "dynamic", "factor": factor},
        {"rope_type": "yarn", "factor": factor, "truncate": False},
    ]
    return kinds[int(rng.integers(0, len(kinds)))]


def random_config(rng, case):
    family, shared, group = FAMILIES[case % 4], int(rng.integers(1, 3)), int(rng.integers(1, 4))
    width = 2 * int(rng.integers(2, 17))
    config = dict(
        model_type=family,
        vocab_size=VOCABULARY,
        hidden_size=8 * shared * group * int(rng.integers(1, 4)),
        intermediate_size=int(rng.integers(8, 80)),
        num_hidden_layers=int(rng.integers(1, 4)),
        num_attention_heads=shared * group,
        num_key_value_heads=shared,
        head_dim=width,
        max_position_embeddings=int(rng.choice([64, 128])),
        rms_norm_eps=float(rng.choice([1e-5, 1e-6])),
        initializer_range=0.3,
        tie_word_embeddings=bool(rng.integers(0, 2)),
        rope_theta=float(rng.choice([10000.0, 500000.0, 123.5])),
        rope_scaling=scaling(rng, width),
    )
    if family == "qwen2":  # llama.cpp's has no other
        config["hidden_size"] = shared * group * width
    if family == "llama":
        config.update(attention_bias=bool(rng.integers(0, 2)), mlp_bias=bool(rng.integers(0, 2)))
    if family == "mistral":
        config["sliding_window"] = [None, 4096, 20][int(rng.integers(0, 3))]
    if family.startswith("qwen"):
        config.update(
            use_sliding_window=bool(rng.integers(0, 4) == 0),
            sliding_window=int(rng.choice([16, 4096])),
            max_window_layers=int(rng.integers(0, 3)),
        )
    return config


def must_refuse(config):
    """A text that the message has, where the format cannot say what the config says."""
    rope, window = config["rope_scaling"], config.get("sliding_window")
    slides = config["model_type"] == "mistral" or (
        config.get("use_sliding_window")
        and config["max_window_layers"] < config["num_hidden_layers"]
    )
    if slides and window and window < config["max_position_embeddings"]:
        return "sliding windows"
    if config["model_type"].startswith("qwen") and rope["rope_type"] in ("llama3", "longrope"):
        return "rope_freqs.weight"
    if rope["rope_type"] == "dynamic":
        return "dynamic"
    if rope["rope_type"] != "yarn" or rope["factor"] == 1:
        return None
    if rope.get("beta_fast", 32) != 32 or rope.get("beta_slow", 1) != 1:
        return "beta_fast"
    return "truncate" if rope.get("truncate") is False else None


def bound(config):
    """How far logits of what was written and read may be away: not at all, but for two kinds of
    numbers.

    Both are quotients in float32, where a product that has to meet a given float32 may not exist:
    llama3's divisors, and yarn's attention_factor over 0.1 log(factor) + 1. They are off by one
    unit in the last place, of which attention scores of some hundreds make 1e-5."""
    rope = config["rope_scaling"]
    kind = rope["rope_type"]
    own = kind == "yarn" and rope["factor"] > 1 and "attention_factor" in rope
    return 1e-4 if kind == "llama3" or own else 0.0


def logits_of(context, model, tokens):
    batch = kd.Batch(context).begin_packed(numpy.array([0, len(tokens)]))
    batch.set("tokens", numpy.asarray(tokens, numpy.int64))
    model.forward(batch, kd.Mode.EVALUATE)
    return model.output("logits").copy()


class LlamaCpp:
    """llama.cpp's probabilities of the token after a text."""

    def __init__(self):
        import xllamacpp

        self.package = xllamacpp

    def log_probabilities(self, path, tokens):
        p = self.package.CommonParams()
        p.model.path, p.n_ctx, p.n_parallel, p.warmup, p.n_gpu_layers = path, 256, 1, False, 0
        p.cache_type_k = p.cache_type_v = self.package.ggml_type.GGML_TYPE_F32
        p.flash_attn_type = self.package.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        try:
            server = self.package.Server(p)
        except Exception:  # its own message goes to the process's error output
            return None
        answer = server.handle_completions(
            {
                "prompt": [int(t) for t in tokens],
                "n_predict": 1,
                "n_probs": VOCABULARY,
                "temperature": 1.0,
                "cache_prompt": False,
                "logit_bias": [[64, 1000.0]],
            }
        )  # the letter a is drawn, a whole character: the probabilities are without bias
        answer = answer if isinstance(answer, dict) else json.loads(answer)
        out = numpy.full(VOCABULARY, -numpy.inf)
        for one in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
            out[one["id"]] = one["logprob"]
        return out


def llama_cpp():
    try:
        return LlamaCpp()
    except ImportError:
        return None


def log_softmax(row):
    row = row.astype(numpy.float64)
    return row - row.max() - numpy.log(numpy.exp(row - row.max()).sum())


def error_of(found, expected):
    return float(numpy.abs(found - expected).max() / numpy.abs(expected).max())


def check(context, tokenizer, peer, config, case, folder):
    """1 where it was written, 0 where it was refused, as it must be; the errors of ours and of
    llama.cpp."""
    path, reason = os.path.join(folder, "x.gguf"), must_refuse(config)
    model = kd.Model(context, config, seed=case)
    rng = numpy.random.default_rng(case)
    for name, tensor in model.tensors:
        if tensor.ndim == 1:
            tensor[:] = rng.normal(1.0 if "norm" in name else 0.0, 0.2, tensor.shape)
    tokens = rng.integers(0, VOCABULARY, LENGTH)
    try:
        model.save_gguf(tokenizer, path, dtype=kd.DType.FLOAT32)
    except kd.Error as error:
        if not reason or reason not in str(error):
            sys.exit(f"{config}: refused: {error}")
        return 0, 0.0, 0.0
    if reason:
        sys.exit(f"{config}: written, though it must be refused ({reason})")
    mine = logits_of(context, model, tokens)
    loaded = kd.Model.load(context, path)
    ours = error_of(logits_of(context, loaded, tokens), mine)
    loaded.save(folder + "/again")
    ours = max(
        ours, error_of(logits_of(context, kd.Model.load(context, folder + "/again"), tokens), mine)
    )
    if not ours <= bound(config):
        sys.exit(f"{config}: read again, logits are off by {ours}")
    theirs = peer.log_probabilities(path, tokens) if peer else None
    if peer and theirs is None:
        sys.exit(f"{config}: llama.cpp does not load it")
    away = float(numpy.abs(theirs - log_softmax(mine[-1])).max()) if peer else 0.0
    if not away < 2e-2:
        sys.exit(f"{config}: llama.cpp's log probabilities are off by {away}")
    return 1, ours, away


def main():
    count, written, worst, away = int(sys.argv[1]) if len(sys.argv) > 1 else 60, 0, 0.0, 0.0
    context, peer, rng = kd.Context(threads=1), llama_cpp(), numpy.random.default_rng(11)
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/tokenizer.json", "w", encoding="utf-8") as file:
            file.write(tokenizer_json())
        tokenizer = kd.Tokenizer(context, folder + "/tokenizer.json")
        for case in range(count):
            done, ours, theirs = check(
                context, tokenizer, peer, random_config(rng, case), case, folder
            )
            written, worst, away = written + done, max(worst, ours), max(away, theirs)
    print(
        f"GGUF: {count} random models, {written} written and read again (largest error "
        f"{worst:.1e}), {count - written} refused by name; "
        + (
            f"llama.cpp's log probabilities within {away:.1e}"
            if peer
            else "llama.cpp is not installed"
        )
    )


if __name__ == "__main__":
    main()
