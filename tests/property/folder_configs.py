"""Folders whose config.json has changed keys, against transformers: equal logits, or a refusal that
names one of the changed keys; never other logits without a word.

    python tests/property/folder_configs.py [configs a family]      100 when nothing is said
"""

import collections
import json
import os
import sys
import tempfile
import warnings

import numpy
import torch
from safetensors.numpy import save_file

warnings.filterwarnings("ignore")
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402
import transformers  # noqa: E402

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity(50)
torch.set_num_threads(1)
FAMILIES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
LENGTH, VOCABULARY, MISSING = 70, 61, object()


def plain(rng, family):
    """A config that both know, and that random weights make sensitive to positions and windows."""
    shared, group, layers = (int(n) for n in rng.integers(1, 4, 3))
    width = int(rng.choice([4, 8, 16]))
    return {
        "model_type": family,
        "architectures": [FAMILIES[family]],
        "vocab_size": VOCABULARY,
        "hidden_size": shared * group * width,
        "intermediate_size": 24,
        "num_hidden_layers": layers,
        "num_attention_heads": shared * group,
        "num_key_value_heads": shared,
        "head_dim": width,
        "max_position_embeddings": 96,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "rope_theta": 10000.0,
        "initializer_range": 0.3,
    }


# ---- changes: each is a dict of keys and values ----


def positions(rng, config):
    """A way to scale positions, under any of its keys' old and new names, with parts missing."""
    half = config["head_dim"] // 2
    factor, original = float(rng.choice([1, 2, 3.7, 8])), int(rng.choice([16, 40, 64, 200]))
    short = [float(x) for x in 1 + rng.exponential(2, half)]
    other = [2 * x for x in short]
    every = {
        "default": {},
        "linear": {"factor": factor},
        "dynamic": {"factor": factor},
        "llama3": {
            "factor": factor,
            "low_freq_factor": float(rng.choice([0.5, 1, 2])),
            "high_freq_factor": float(rng.choice([3, 4])),
            "original_max_position_embeddings": original,
        },
        "yarn": {
            "factor": factor,
            "original_max_position_embeddings": original,
            "attention_factor": float(rng.choice([0.5, 1.3])),
            "beta_fast": 16.0,
            "beta_slow": 2.0,
            "mscale": 0.9,
            "mscale_all_dim": 0.4,
            "truncate": False,
        },
        "longrope": {
            "short_factor": short,
            "long_factor": [short, other][int(rng.integers(0, 2))],
            "attention_factor": 1.2,
            "original_max_position_embeddings": original,
            "factor": factor,
        },
        "proportional": {"factor": factor},
    }
    kind = list(every)[int(rng.integers(0, len(every)))]
    needed = {"factor", "short_factor", "long_factor", "low_freq_factor", "high_freq_factor"}
    rope = {k: v for k, v in every[kind].items() if k in needed or rng.integers(0, 2)}
    rope[["rope_type", "rope_type", "type"][int(rng.integers(0, 3))]] = kind
    if rng.integers(0, 3) == 0:
        rope["rope_theta"] = float(rng.choice([500.0, 1e6]))
    if rng.integers(0, 12) == 0:
        rope["partial_rotary_factor"] = float(rng.choice([0.5, 1.0]))
    if rng.integers(0, 12) == 0:
        rope["mrope_section"] = [1, 1]
    if rng.integers(0, 12) == 0:
        rope = {"full_attention": rope, "sliding_attention": {"rope_type": "default"}}
    changes = {["rope_scaling", "rope_parameters"][int(rng.integers(0, 2))]: rope}
    if rng.integers(0, 8) == 0:
        changes["rope_parameters"] = {"rope_type": "default", "rope_theta": 2000.0}
    return changes


def windows(rng, config):
    layers = config["num_hidden_layers"]
    names = ["full_attention", "sliding_attention"]
    kinds = [names[int(k)] for k in rng.integers(0, 2, layers)]
    if rng.integers(0, 8) == 0:
        kinds[0] = "chunked_attention"
    every = {
        "sliding_window": [None, 1, 7, 33, 4096, MISSING][int(rng.integers(0, 6))],
        "use_sliding_window": bool(rng.integers(0, 2)),
        "max_window_layers": int(rng.integers(0, layers + 2)),
        "layer_types": kinds,
    }
    return {k: v for k, v in every.items() if rng.integers(0, 5) < 3}


def heads(rng, config):
    every = [
        {"head_dim": MISSING},
        {"head_dim": 2 * config["head_dim"]},
        {"num_key_value_heads": MISSING},
        {"num_key_value_heads": None},
        {"num_key_value_heads": config["num_attention_heads"]},
        {"attention_bias": True},
        {"attention_bias": False},
        {"mlp_bias": True},
        {"qkv_bias": True},
        {"use_qk_norm": True},
        {"attention_bias": True, "mlp_bias": True},
        {"clip_qkv": 0.1},
        {"o_bias": True},
    ]
    return every[int(rng.integers(0, len(every)))]


def numbers(rng, config):
    every = [
        {"rms_norm_eps": float(rng.choice([0.3, 1e-2, 1e-5]))},
        {"rms_norm_eps": MISSING},
        {"layer_norm_eps": 0.1},
        {"norm_eps": 0.1},
        {"layernorm_epsilon": 0.1},
        {"hidden_act": str(rng.choice(["gelu", "relu", "gelu_pytorch_tanh", "swish", "relu2"]))},
        {"hidden_act": MISSING},
        {"hidden_activation": "gelu"},
        {"rope_theta": MISSING},
        {"rope_theta": float(rng.choice([100, 12345.678, 5e6]))},
        {"rope_theta": 10000},
        {"max_position_embeddings": int(rng.choice([72, 200, 4096]))},
        {"max_position_embeddings": MISSING},
        {"intermediate_size": 40},
        {"partial_rotary_factor": 0.5},
        {"rotary_pct": 0.25},
        {"rotary_dim": 4},
    ]
    return every[int(rng.integers(0, len(every)))]


def of_others(rng, config):
    """Keys of other families: whatever they do there, nobody may think that they do it here."""
    every = [
        {"attn_logit_softcapping": 5.0},
        {"final_logit_softcapping": 3.0},
        {"query_pre_attn_scalar": 2},
        {"embedding_multiplier": 12.0},
        {"logits_scaling": 8.0},
        {"residual_multiplier": 0.22},
        {"attention_multiplier": 0.01},
        {"logit_scale": 0.06},
        {"scale_emb": 12},
        {"scale_depth": 1.4},
        {"dim_model_base": 8},
        {"qk_layernorm": True},
        {"no_rope_layers": [0]},
        {"no_rope_layer_interval": 2},
        {"attn_temperature_tuning": 4},
        {"num_local_experts": 4},
        {"num_experts": 4, "num_experts_per_tok": 2},
        {"first_k_dense_replace": 1},
        {"kv_lora_rank": 8},
        {"shared_layers": 1},
        {"use_parallel_residual": True},
        {"norm_type": "layernorm"},
        {"norm_after": True},
        {"cross_layer_sharing": 2},
        {"is_causal": False},
        {"use_bidirectional_attention": True},
        {"quantization_config": {"quant_method": "fp8"}},
        {"alibi": True},
        {"attention_chunk_size": 8},
        {"sliding_window_pattern": 2},
        {"rope_local_base_freq": 50},
        {"mup_width_scale": 0.5},
        {"lm_head_multiplier": 0.1},
        {"ssm_multipliers": [0.5]},
        {"moe_intermediate_size": 8},
        {"hc_mult": 4},
        {"head_bias": True},
        {"pretraining_tp": 2},
    ]
    return every[int(rng.integers(0, len(every)))]


def kinds_of_values(rng, config):
    """Values that a strict reader may refuse, and that a lenient one reads in its own way."""
    every = [
        {"num_hidden_layers": float(config["num_hidden_layers"])},
        {"tie_word_embeddings": 1},
        {"vocab_size": float(VOCABULARY)},
        {"attention_bias": 1},
        {"sliding_window": 7.0},
        {"layer_types": None},
        {"rope_theta": 500},
        {"rms_norm_eps": 0},
        {"rope_scaling": None},
        {"rope_scaling": {}},
        {"rope_scaling": {"factor": 2.0}},
        {"rope_parameters": {"rope_theta": 300.0}},
    ]
    return every[int(rng.integers(0, len(every)))]


def identity(rng, config):
    every = [
        {"model_type": name} for name in ("gemma", "granite", "phi3", "olmo2", "cohere", "glm")
    ]
    every += [
        {"architectures": ["GraniteForCausalLM"]},
        {"architectures": ["LlamaModel"]},
        {"architectures": None},
        {"architectures": MISSING},
        {"dtype": "bfloat16"},
        {"torch_dtype": "float16"},
        {"is_decoder": True},
        {"attention_dropout": 0.1},
    ]
    return every[int(rng.integers(0, len(every)))]


KINDS = [
    positions,
    positions,
    positions,
    windows,
    windows,
    heads,
    heads,
    numbers,
    numbers,
    of_others,
    kinds_of_values,
    identity,
]


def changed(rng, family):
    """A config, what of it was changed, and what is done to the head in the file."""
    config, changes = plain(rng, family), {}
    for kind in rng.choice(len(KINDS), int(rng.integers(1, 4)), replace=False):
        changes.update(KINDS[kind](rng, config))
    if rng.integers(0, 4) == 0:
        changes["tie_word_embeddings"] = True
    head = ["as it is", "another", "the embedding", "missing"][int(rng.integers(0, 4))]
    config.update(changes)
    return {k: v for k, v in config.items() if v is not MISSING}, changes, head


# ---- the two readers ----


def write(folder, config, head, seed):
    """The folder, with the weights that transformers makes of the config; its own text stays."""
    with open(folder + "/config.json", "w", encoding="utf-8") as file:
        json.dump(config, file)
    torch.manual_seed(seed)
    made = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_config(made, dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() == 1:  # norms and biases that do something
            torch.nn.init.normal_(parameter, 1.0, 0.3)
    tensors = {k: v.detach().numpy().copy() for k, v in model.state_dict().items()}
    tied = tensors["lm_head.weight"] if "lm_head.weight" in tensors else None
    if tied is not None and made.tie_word_embeddings:
        if head == "missing":
            del tensors["lm_head.weight"]
        if head == "another":
            tensors["lm_head.weight"] = tied[::-1].copy()
    save_file(tensors, folder + "/model.safetensors", metadata={"format": "pt"})


def theirs(folder, tokens):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    with torch.no_grad():
        return model(torch.tensor(tokens)[None]).logits[0].numpy()


def ours(context, folder, tokens):
    model = kd.Model.load(context, folder)
    batch = kd.Batch(context).begin_packed(numpy.array([0, len(tokens)]))
    batch.set("tokens", numpy.asarray(tokens, numpy.int64))
    model.forward(batch, kd.Mode.EVALUATE)
    return model.output("logits").copy()


def names_of(changes):
    """What a refusal may name: the changed keys, those within them, and the head beside a tie."""
    names = set(changes)
    for value in changes.values():
        if isinstance(value, dict):
            names |= names_of(value)
    if "attention_bias" in names or "mlp_bias" in names:
        names.add(".bias")
    return names | ({"lm_head.weight"} if changes.get("tie_word_embeddings") else set())


def check(context, config, changes, head, seed):
    """What became of one config; ends the program where logits differ or a message names
    nothing."""
    tokens = numpy.random.default_rng(seed).integers(0, VOCABULARY, LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        try:
            write(folder, config, head, seed)
            expected = theirs(folder, tokens)
        except Exception:  # transformers and its validators raise many kinds
            return "refused by transformers", 0.0
        try:
            found = ours(context, folder, tokens)
        except kd.Error as error:
            if not any(name in str(error) for name in names_of(changes)):
                raise SystemExit(
                    f"{config}\n{changes}, head {head}: refused without a name: {error}"
                )
            return "refused by name", 0.0
    away = float(numpy.abs(found - expected).max() / numpy.abs(expected).max())
    if not away < 1e-4:
        raise SystemExit(
            f"{config}\n{changes}, head {head}: logits are off by {away} of the largest"
        )
    return "equal", away


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    context, rng, worst = kd.Context(threads=1), numpy.random.default_rng(29), 0.0
    for family in FAMILIES:
        found = collections.Counter()
        for case in range(count):
            kind, away = check(context, *changed(rng, family), case)
            found[kind] += 1
            worst = max(worst, away)
        print(
            f"{family}: {count} changed configs: "
            + ", ".join(f"{n} {kind}" for kind, n in sorted(found.items()))
        )
    print(f"largest error of equal logits {worst:.1e}, transformers {transformers.__version__}")


if __name__ == "__main__":
    main()
