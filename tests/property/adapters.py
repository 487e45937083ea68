"""Adapters beside PEFT: its folders read by the library, and the library's by it, onto small random
models of three families. Logits must agree to 1e-4.

    python tests/property/adapters.py [CASES]
"""

import json
import os
import sys
import tempfile

import numpy as np
import peft
import torch
import transformers

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

CASES = int(sys.argv[1]) if len(sys.argv) > 1 else 20
MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FAMILIES = {
    "Llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "Qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "Qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
}
SIZES = {
    "vocab_size": 61,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.1,
}


def base_of(rng, folder):
    """A random model, saved, and its class."""
    config, kind = FAMILIES[rng.choice(list(FAMILIES))]
    more = {"head_dim": 12} if kind is transformers.Qwen3ForCausalLM else {}
    model = kind(config(**SIZES, **more, tie_word_embeddings=bool(rng.integers(2))))
    model.eval().save_pretrained(folder)
    return kind


def lora_of(rng, tied):
    """Random settings: some matrices, ranks and scales of their own, rank-stabilized or not."""
    targets = [str(x) for x in rng.permutation(MATRICES)[: rng.integers(1, 8)]]
    if not tied and rng.integers(2):
        targets.append("lm_head")
    own = {targets[0]: int(rng.integers(1, 6))} if rng.integers(2) else {}
    return peft.LoraConfig(
        r=int(rng.integers(1, 6)),
        lora_alpha=float(rng.uniform(1, 30)),
        target_modules=targets,
        rank_pattern=own,
        alpha_pattern={targets[-1]: float(rng.uniform(1, 30))} if rng.integers(2) else {},
        use_rslora=bool(rng.integers(2)),
        init_lora_weights=False,
    )


def theirs(kind, base, adapter, ids):
    model = peft.PeftModel.from_pretrained(kind.from_pretrained(base), adapter).eval()
    with torch.no_grad():
        return model(torch.tensor(ids[None])).logits[0].numpy()


def ours(model, ctx, ids):
    batch = kd.Batch(ctx).begin_packed([0, len(ids)]).set("tokens", ids)
    model.forward(batch, kd.Mode.EVALUATE)
    return np.array(model.output("logits"))


def difference(a, b):
    return float(np.abs(a - b).max() / (1 + np.abs(b).max()))


def case(ctx, seed, folder):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    base, adapter, again = (os.path.join(folder, name) for name in ("base", "peft", "again"))
    kind = base_of(rng, base)
    plain = kind.from_pretrained(base)
    settings = lora_of(rng, plain.config.tie_word_embeddings)
    peft.get_peft_model(plain, settings).save_pretrained(adapter)
    ids = rng.integers(0, SIZES["vocab_size"], 20)
    expected = theirs(kind, base, adapter, ids)

    model = kd.Model.load(ctx, base)
    model.load_lora(adapter)
    found = [difference(ours(model, ctx, ids), expected)]
    model.save_lora(again)  # theirs reads ours
    found.append(difference(theirs(kind, base, again, ids), expected))
    model.save(again + "-merged")
    found.append(difference(ours(kd.Model.load(ctx, again + "-merged"), ctx, ids), expected))
    if max(found) > 1e-4:
        with open(os.path.join(adapter, "adapter_config.json"), encoding="utf-8") as file:
            print(json.load(file))
        raise SystemExit(f"seed {seed}: {kind.__name__}: {found}")


def main():
    ctx = kd.Context(threads=1)
    for seed in range(CASES):
        with tempfile.TemporaryDirectory() as folder:
            case(ctx, seed, folder)
    print(f"adapters: {CASES} models agreed with PEFT {peft.__version__}, both ways and merged")


if __name__ == "__main__":
    main()
