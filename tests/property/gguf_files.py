"""GGUF files against the gguf package and transformers: every type of numbers, what we write,
models and tokenizers both ways.

    python tests/property/gguf_files.py        KD_DATA names the data
"""

import gzip
import os
import sys
import tempfile
import warnings

import gguf
import numpy
import torch

warnings.filterwarnings("ignore")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import transformers  # noqa: E402
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)  # noqa: E402

import kdistill as kd  # noqa: E402

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
DATA, context = os.environ.get("KD_DATA", ""), kd.Context(threads=2)
TYPES = "F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K Q6_K".split()
base = dict(
    vocab_size=256,
    hidden_size=256,
    intermediate_size=512,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    bos_token_id=None,
    eos_token_id=None,
    pad_token_id=None,
)


def batch_of(tokens):
    batch = kd.Batch(context).begin_packed(numpy.array([0, len(tokens)]))
    batch.set("tokens", numpy.asarray(tokens, numpy.int64))
    return batch


def logits(model, tokens):
    model.forward(batch_of(tokens), kd.Mode.EVALUATE)
    return model.output("logits").copy()


def quantized(values, kind, rng):
    """Bytes of a matrix in a type, and the numbers that the gguf package reads out of them."""
    number = gguf.GGMLQuantizationType[kind]
    if kind in (
        "Q4_K",
        "Q5_K",
        "Q6_K",
    ):  # the package does not make these: blocks of random bytes with scales that are numbers
        block, size = gguf.GGML_QUANT_SIZES[number]
        raw = rng.integers(0, 256, (values.size // block, size)).astype(numpy.uint8)
        scale = numpy.frombuffer(
            numpy.full(len(raw), 0.003, numpy.float16).tobytes(), numpy.uint8
        ).reshape(-1, 2)
        if kind == "Q6_K":
            raw[:, -2:] = scale
        else:
            raw[:, :2] = raw[:, 2:4] = scale
        raw = raw.reshape(values.shape[0], -1)
    else:
        raw = gguf.quants.quantize(values, number)
    return raw, gguf.quants.dequantize(raw, number).reshape(values.shape)


def types(folder):
    rng = numpy.random.default_rng(0)
    for kind in TYPES:
        path, writer = (
            os.path.join(folder, kind + ".gguf"),
            gguf.GGUFWriter(os.path.join(folder, kind + ".gguf"), "qwen2"),
        )
        for key, value in (
            ("block_count", 1),
            ("context_length", 64),
            ("embedding_length", 256),
            ("feed_forward_length", 256),
            ("attention.head_count", 4),
            ("attention.head_count_kv", 4),
        ):
            writer.add_uint32("qwen2." + key, value)
        writer.add_float32("qwen2.attention.layer_norm_rms_epsilon", 1e-6)
        expected = {}
        for name in (
            "token_embd",
            "blk.0.attn_q",
            "blk.0.attn_k",
            "blk.0.attn_v",
            "blk.0.attn_output",
            "blk.0.ffn_gate",
            "blk.0.ffn_up",
            "blk.0.ffn_down",
        ):
            raw, expected[name] = quantized(
                rng.normal(size=(256, 256)).astype(numpy.float32), kind, rng
            )
            writer.add_tensor(name + ".weight", raw, raw_dtype=gguf.GGMLQuantizationType[kind])
        for name in (
            "blk.0.attn_norm.weight",
            "blk.0.ffn_norm.weight",
            "output_norm.weight",
            "blk.0.attn_q.bias",
            "blk.0.attn_k.bias",
            "blk.0.attn_v.bias",
        ):
            writer.add_tensor(name, numpy.ones(256, numpy.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        found = dict(kd.Model.load(context, path).tensors)
        for ours, theirs in (
            ("model.embed_tokens", "token_embd"),
            ("model.layers.0.self_attn.q_proj", "blk.0.attn_q"),
            ("model.layers.0.mlp.down_proj", "blk.0.ffn_down"),
        ):
            error = float(
                numpy.abs(found[ours + ".weight"] - expected[theirs]).max()
                / numpy.abs(expected[theirs]).max()
            )
            if not error < 1e-6:
                sys.exit(f"{kind}: {ours}: {error}")
    return len(TYPES)


def round_trip(name, family, config, folder, tokenizer):
    """What we write, transformers' and our own reader read."""
    reference = family(config).float().eval()
    for parameter in reference.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 1.0, 0.1)
    saved = os.path.join(folder, name)
    reference.save_pretrained(saved)
    model, tokens = (
        kd.Model.load(context, saved),
        numpy.random.default_rng(1).integers(0, config.vocab_size, 50),
    )
    mine = logits(model, tokens)
    for dtype, limit in ((kd.DType.FLOAT32, 1e-6), (kd.DType.FLOAT16, 2e-3), (kd.DType.INT8, 3e-2)):
        path = os.path.join(folder, f"{name}-{dtype}.gguf")
        model.save_gguf(tokenizer, path, dtype=dtype)
        again = logits(kd.Model.load(context, path), tokens)
        error = float(numpy.linalg.norm(again - mine) / numpy.linalg.norm(mine))
        if not error <= limit:
            sys.exit(f"{name}: read again as {dtype}: {error}")
        theirs = (
            type(reference)
            .from_pretrained(folder, gguf_file=os.path.basename(path), dtype=torch.float32)
            .eval()
        )
        error = float(
            numpy.linalg.norm(
                theirs(torch.from_numpy(tokens)[None]).logits[0].detach().numpy() - again
            )
            / numpy.linalg.norm(again)
        )
        if not error <= 1e-5:
            sys.exit(f"{name}: transformers reads other logits from {dtype}: {error}")


def tokenizers(folder):
    """A tokenizer written into a file and read out of it gives the same ids."""
    os.makedirs(folder + "/qwen")
    open(folder + "/qwen/tokenizer.json", "wb").write(
        gzip.open(os.path.join(DATA, "tokenizer", "qwen3", "tokenizer.json.gz")).read()
    )
    text = (
        open(os.path.join(DATA, "text", "tinyshakespeare.txt")).read()[:200000]
        + " 1234 na\u00efve \u4f60\u597d <|im_start|> don't"
    )
    for path, kind in (
        (folder + "/qwen", "qwen3"),
        (os.path.join(DATA, "tinystories-656k"), "llama"),
    ):
        tokenizer = kd.Tokenizer(context, path)
        model = kd.Model(
            context,
            dict(
                base,
                model_type=kind,
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                head_dim=16,
            ),
        )
        model.save_gguf(tokenizer, folder + "/t.gguf")
        again = kd.Tokenizer(context, folder + "/t.gguf")
        if again.encode(text, True).tolist() != tokenizer.encode(text, True).tolist():
            sys.exit(f"{path}: other ids out of the GGUF file")


def main():
    if not os.path.isdir(os.path.join(DATA, "tokenizer")):
        return print("SKIPPED (gguf_files: KD_DATA is not set)")
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        count = types(folder)
        tokenizer = kd.Tokenizer(context, os.path.join(DATA, "tinystories-656k"))
        sizes = dict(base, vocab_size=2048)
        round_trip(
            "llama",
            LlamaForCausalLM,
            LlamaConfig(**sizes, tie_word_embeddings=True),
            folder,
            tokenizer,
        )
        round_trip("qwen2", Qwen2ForCausalLM, Qwen2Config(**sizes), folder, tokenizer)
        round_trip("qwen3", Qwen3ForCausalLM, Qwen3Config(**sizes, head_dim=128), folder, tokenizer)
        tokenizers(folder)
    print(
        f"GGUF: {count} types of numbers, three families written and read by transformers "
        f"{transformers.__version__} and by us, two tokenizers agreed"
    )


main()
