"""GGUF files of few bits beside llama.cpp: the same type for each tensor as llama_model_quantize
chooses, its bytes where ggml's rounding is exact, and logits of the file like those of the model
that is read from it.

    python tests/property/gguf_formats.py

Needs the packages llama_cpp and gguf; left out without llama_cpp.
"""

import ctypes
import os
import sys
import tempfile

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import gguf  # noqa: E402
from gguf_round import VOCABULARY, logits_of, tokenizer_json  # noqa: E402
from with_llama import llama_cpp  # noqa: E402

import kdistill as kd  # noqa: E402

# format, mixture, llama_ftype
KINDS = {
    "Q4_0": (kd.Block.Q4_0, kd.Mix.MEDIUM, 2),
    "Q4_1": (kd.Block.Q4_1, kd.Mix.MEDIUM, 3),
    "Q8_0": (kd.Block.Q8_0, kd.Mix.MEDIUM, 7),
    "Q5_0": (kd.Block.Q5_0, kd.Mix.MEDIUM, 8),
    "Q5_1": (kd.Block.Q5_1, kd.Mix.MEDIUM, 9),
    "Q4_K_S": (kd.Block.Q4_K, kd.Mix.SMALL, 14),
    "Q4_K_M": (kd.Block.Q4_K, kd.Mix.MEDIUM, 15),
    "Q5_K_S": (kd.Block.Q5_K, kd.Mix.SMALL, 16),
    "Q5_K_M": (kd.Block.Q5_K, kd.Mix.MEDIUM, 17),
    "Q6_K": (kd.Block.Q6_K, kd.Mix.MEDIUM, 18),
    "IQ4_NL": (kd.Block.IQ4_NL, kd.Mix.MEDIUM, 25),
    "F16": (kd.DType.FLOAT16, kd.Mix.PURE, 1),
    "BF16": (kd.DType.BFLOAT16, kd.Mix.PURE, 32),
}
EXACT = {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}
TOKENS = (numpy.arange(48) * 37 + 11) % 256


def config(width, inner, layers, heads, shared, tied, family="llama"):
    return dict(
        model_type=family,
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=shared,
        head_dim=width // heads,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        initializer_range=0.06,
        tie_word_embeddings=tied,
    )


# widths of 256, of 32, of neither; heads that share values, or do not
CONFIGS = (
    config(256, 512, 9, 8, 2, True),
    config(256, 512, 3, 8, 2, False, "qwen2"),
    config(96, 160, 17, 3, 3, True),
    config(192, 256, 8, 4, 1, False),
)
ODD = config(64, 40, 3, 2, 2, True)


def quiet():
    """llama.cpp says nothing."""
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    silent = kind(lambda *_: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    return silent


def matrices(given):
    """The model's names of the layers' matrices, and the file's."""
    pairs = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    for layer in range(given["num_hidden_layers"]):
        for ours, theirs in pairs.items():
            yield f"model.layers.{layer}.{ours}.weight", f"blk.{layer}.{theirs}.weight"


def quantize(source, path, ftype, importance=None):
    p = llama_cpp.llama_model_quantize_default_params()
    p.ftype, p.nthread = ftype, 1
    if importance:
        kind = llama_cpp.llama_cpp.llama_model_imatrix_data
        entries = (kind * (len(importance) + 1))()
        for entry, (name, values) in zip(entries, importance.items()):
            entry.name, entry.size = name.encode(), values.size
            entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        p.imatrix = entries
    return llama_cpp.llama_model_quantize(source.encode(), path.encode(), ctypes.byref(p))


def tensors(path):
    return {t.name: t for t in gguf.GGUFReader(path).tensors}


def compare_files(ours, theirs, said, exact=EXACT):
    mine, other = tensors(ours), tensors(theirs)
    if mine.keys() != other.keys():
        sys.exit(f"{said}: other tensors: {mine.keys() ^ other.keys()}")
    for name, tensor in mine.items():
        kind = tensor.tensor_type.name
        if tensor.tensor_type != other[name].tensor_type:
            sys.exit(f"{said}: {name} is {kind}, llama.cpp's {other[name].tensor_type.name}")
        same = numpy.array_equal(tensor.data, other[name].data)
        if kind in exact and not same:
            sys.exit(f"{said}: {name}: other bytes of {kind}")


def llama_logits(path):
    """llama.cpp's logits of all tokens."""
    model = llama_cpp.Llama(path, n_ctx=64, logits_all=True, verbose=False, n_threads=1)
    model.eval([int(t) for t in TOKENS])
    found = numpy.array(model.scores[: len(TOKENS)], numpy.float64)
    model.close()
    return found


def log_softmax(x):
    x = x.astype(numpy.float64)
    x = x - x.max(axis=1, keepdims=True)
    return x - numpy.log(numpy.exp(x).sum(axis=1, keepdims=True))


def divergence(a, b):
    p, q = log_softmax(a), log_softmax(b)
    return float((numpy.exp(p) * (p - q)).sum(axis=1).mean())


def check(context, tokenizer, given, folder, names):
    model = kd.Model(context, given)
    source = os.path.join(folder, "f32.gguf")
    model.save_gguf(tokenizer, source, kd.DType.FLOAT32)
    exact = logits_of(context, model, TOKENS)
    for name in names:
        form, mixture, ftype = KINDS[name]
        said = f"{name} of {given['hidden_size']} x {given['num_hidden_layers']}"
        ours, theirs = os.path.join(folder, "ours.gguf"), os.path.join(folder, "theirs.gguf")
        info = model.write_gguf(tokenizer, ours, format=form, mixture=mixture)
        if quantize(source, theirs, ftype):
            sys.exit(f"{said}: llama.cpp does not quantize it")
        compare_files(ours, theirs, said)
        read = logits_of(context, kd.Model.load(context, ours), TOKENS)
        far, near = divergence(exact, read), divergence(read, llama_logits(ours))
        print(
            f"{said}: {info.bits:.2f} bits, {info.fallbacks} substitutes, error {info.error:.4f}, "
            f"KL {far:.5f}, llama.cpp's from it {near:.2e}"
        )
        # llama.cpp rounds what enters products to 8 bits
        if not near < 1e-3 + 0.25 * far:
            sys.exit(f"{said}: llama.cpp computes other logits from the file")


def read_importance(path):
    """As llama-quantize reads the file."""
    reader = gguf.GGUFReader(path)
    if bytes(reader.fields["general.type"].parts[-1]) != b"imatrix":
        sys.exit("importance: the file's type is not imatrix")
    found = {t.name: t for t in reader.tensors}
    means = {}
    for name, tensor in found.items():
        if not name.endswith(".in_sum2"):
            continue
        count = found[name.replace(".in_sum2", ".counts")].data.reshape(-1)
        means[name[: -len(".in_sum2")]] = (tensor.data.reshape(-1) / count[0]).astype(numpy.float32)
    return means


def batch_of(context, first):
    batch = kd.Batch(context).begin_packed(numpy.array([0, len(TOKENS)]))
    return batch.set("tokens", ((TOKENS + first) % 256).astype(numpy.int64)) or batch


def check_importance(context, tokenizer, given, folder):
    """The same files as llama_model_quantize's from the same importance."""
    model, path = kd.Model(context, given), os.path.join(folder, "importance.gguf")
    source = os.path.join(folder, "f32.gguf")
    model.save_gguf(tokenizer, source, kd.DType.FLOAT32)
    importance = kd.Importance(model)
    for first in range(4):
        importance.add(batch_of(context, 61 * first))
    importance.save(path)
    means = read_importance(path)
    if set(means) != {theirs for _, theirs in matrices(given)}:
        sys.exit("importance: other matrices")
    importance = kd.Importance.load(model, path)
    for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K_M", "Q5_K_S", "Q6_K", "IQ4_NL", "Q8_0"):
        form, mixture, ftype = KINDS[name]
        ours, theirs = os.path.join(folder, "ours.gguf"), os.path.join(folder, "theirs.gguf")
        model.write_gguf(tokenizer, ours, format=form, mixture=mixture, importance=importance)
        if quantize(source, theirs, ftype, means):
            sys.exit(f"{name}: llama.cpp does not quantize it")
        compare_files(ours, theirs, f"{name} with importance", ("Q8_0", "F32"))
        mine, other = tensors(ours), tensors(theirs)
        same = [(mine[key].data == other[key].data).mean() for _, key in matrices(given)]
        print(f"{name} with importance: {numpy.mean(same):.6f} of the bytes are llama.cpp's")
        if numpy.mean(same) < 0.999:
            sys.exit(f"{name} with importance: other blocks")


def check_lattice(context, tokenizer, given, folder):
    """What is trained is what llama.cpp computes."""
    model, path = kd.Model(context, given), os.path.join(folder, "lattice.gguf")
    teacher = kd.Teacher.from_model(kd.Model(context, given, seed=9))
    model.set_lattice(format=kd.Block.Q4_0)
    model.set_lattice("*embed_tokens.weight", format=kd.Block.Q8_0)
    loss, targets = kd.Loss(context), kd.Targets(context)
    loss.add(kd.LossKind.FORWARD_KL, 1.0)
    optimizer = kd.Optimizer(context, kd.OptimizerKind.ADAM, model)
    for step in range(5):
        batch = batch_of(context, step)
        teacher.read(batch, targets)
        model.forward(batch, kd.Mode.TRAIN)
        loss.backward(model, batch, targets)
        optimizer.step(1e-3)
    seen = logits_of(context, model, TOKENS)
    model.write_gguf(tokenizer, path, format=0)
    kinds = {t.tensor_type.name for t in tensors(path).values()}
    if kinds != {"F32", "Q4_0", "Q8_0"}:
        sys.exit(f"lattice: types {kinds}")
    read = logits_of(context, kd.Model.load(context, path), TOKENS)
    if not numpy.array_equal(seen, read):
        sys.exit("lattice: the file holds something else than what was trained")
    near = divergence(seen, llama_logits(path))
    print(f"lattice: the same bits read back, llama.cpp's KL from them {near:.2e}")
    if not near < 2e-3:
        sys.exit("lattice: llama.cpp computes other logits from the file")


def main():
    silent = quiet()
    context = kd.Context(threads=1, seed=5)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokenizer.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(tokenizer_json())
        tokenizer = kd.Tokenizer(context, folder)
        for given in CONFIGS:
            check(context, tokenizer, given, folder, KINDS)
        # of rows that no block fits llama.cpp writes these alone
        check(context, tokenizer, ODD, folder, ("Q4_K_M", "Q5_K_S", "Q6_K", "F16"))
        for given in CONFIGS[:3]:
            check_importance(context, tokenizer, given, folder)
        check_lattice(context, tokenizer, CONFIGS[0], folder)
    del silent
    print(f"GGUF formats: {len(CONFIGS) + 1} models, {len(KINDS)} kinds")


if __name__ == "__main__":
    main()
