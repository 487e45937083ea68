"""Seeds of the fuzzers that are made of several files, written into tests/fuzz/corpus: folders of
encoders and static embeddings, tensors of projections. Whoever changes their form runs this again:

    KDISTILL_LIBRARY=lib/libkdistill.so python tests/fuzz/folders.py
"""

import json
import os
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "python"))
import kdistill as kd  # noqa: E402

#: As tests/fuzz/model_folder.h numbers them.
FILES = [
    "config.json", "modules.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json",
    "2_Dense/config.json", "2_Dense/model.safetensors", "sentence_bert_config.json",
    "tokenizer_config.json", "3_Normalize/config.json", "2_Normalize/config.json",
    "0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json",
    "adapter_config.json", "adapter_model.safetensors",
]  # fmt: skip
FOLDER, PROJECTIONS, ADAPTERS = 18, 19, 24
SIZES = {"vocab_size": 7, "max_position_embeddings": 6}
BERT = {
    "model_type": "bert", "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 3, **SIZES,
}  # fmt: skip
DISTILBERT = {
    "model_type": "distilbert", "dim": 4, "n_layers": 1, "n_heads": 2, "hidden_dim": 3, **SIZES,
}  # fmt: skip
ROBERTA = {**BERT, "model_type": "roberta", "max_position_embeddings": 9, "type_vocab_size": 1}
SENTENCE = {"kd_pooling": "mean", "kd_normalize": True, "kd_dense": [{"out_features": 3}]}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##b"]
SPECIAL = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
TOKENIZER = {
    "added_tokens": [{"id": 1, "content": "[UNK]", "special": True, **SPECIAL}],
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "lowercase": True,
                   "handle_chinese_chars": True, "strip_accents": None},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100, "vocab": {w: i for i, w in enumerate(WORDS)}},
}  # fmt: skip


def read(path):
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def packed(files, kind=FOLDER):
    """A list of parts: the file's number, its length, its bytes."""
    made = bytes([kind])
    for i, name in enumerate(FILES):
        if files.get(name) is not None:
            made += struct.pack("<BH", i, len(files[name])) + files[name]
    return made


def put(name, seed):
    with open(os.path.join(HERE, "corpus", name), "wb") as file:
        file.write(seed)
    print(f"{name}: {len(seed)} bytes")


def put_folder(context, name, config, more=()):
    """A model of the config as it is saved, with other files in the place of its own."""
    with tempfile.TemporaryDirectory() as folder:
        kd.Model(context, config).save(folder, dtype=kd.DType.FLOAT16)
        files = {name: read(os.path.join(folder, name)) for name in FILES}
    put(name, packed({**files, **dict(more)}))


def text(value):
    return json.dumps(value, separators=(",", ":")).encode()


def tensors(**arrays):
    """A safetensors file of (dtype, shape, bytes)."""
    header, at, data = {}, 0, b""
    for name, (dtype, shape, values) in arrays.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(values)]}
        data, at = data + values, at + len(values)
    return struct.pack("<Q", len(text(header))) + text(header) + data


def put_static():
    table, ids = ("F16", [3, 2], b"\0\x3c" * 6), struct.pack("<4i", 0, 2, 1, 0)
    weights = ("F32", [4], struct.pack("<4f", 1, 2, 0.5, 1))
    config = {"model_type": "model2vec", "normalize": True, "hidden_dim": 2}
    mapped = tensors(embeddings=table, weights=weights, mapping=("I32", [4], ids))
    for name, weight in (("folder-model2vec", tensors(embeddings=table)),
                         ("folder-model2vec-mapped", mapped)):  # fmt: skip
        files = {"config.json": config, "tokenizer.json": TOKENIZER}
        files = {file: text(value) for file, value in files.items()}
        put(name, packed({**files, "model.safetensors": weight}))
    kind = "sentence_transformers.models."
    modules = [{"path": "0_StaticEmbedding", "type": kind + "StaticEmbedding"},
               {"path": "1_Normalize", "type": kind + "Normalize"}]  # fmt: skip
    weight = tensors(**{"embedding.weight": table})
    place = "0_StaticEmbedding/"
    put("folder-static", packed({"modules.json": text(modules), place + "model.safetensors": weight,
                                 place + "tokenizer.json": text(TOKENIZER)}))  # fmt: skip


def put_encoders(context):
    words = [("tokenizer.json", text(TOKENIZER)),
             ("tokenizer_config.json", text({"model_max_length": 5}))]  # fmt: skip
    old = {"word_embedding_dimension": 4, "pooling_mode_cls_token": True}
    put_folder(context, "folder-bert-sentence", {**BERT, **SENTENCE}, words)
    pooling = [("1_Pooling/config.json", text(old))]
    put_folder(context, "folder-bert-cls", {**BERT, "kd_pooling": "max"}, pooling)
    classes = {"architectures": ["BertForSequenceClassification"], "num_labels": 2}
    put_folder(context, "folder-bert-classes", {**BERT, **classes})
    put_folder(context, "folder-distilbert", {**DISTILBERT, "kd_pooling": "last"})
    put_folder(context, "folder-roberta", {**ROBERTA, "kd_dense": [{"out_features": 2}]})


def put_towers(context):
    words = {"model_type": "static_embedding", "vocab_size": 7, "hidden_size": 3}
    config = {
        "model_type": "towers", "projection_dim": 2, "normalize": True,
        "logit_scale_init_value": 2, "logit_bias_init_value": -1,
        "towers": {"text": {**BERT, "output": "hidden", "pooling": "max"}, "word": words},
        "fusion": {"type": "gated", "missing": "learned", "drop": {"word": 0.5}},
    }  # fmt: skip
    put_folder(context, "folder-towers", config)
    joined = {"type": "concat", "missing": "mean", "out_features": 3}
    put_folder(context, "folder-towers-concat", {**config, "fusion": joined})


def put_projections(context):
    loss = kd.Loss(context)
    kinds = kd.Projection
    loss.add(kd.LossKind.VARIATIONAL)
    loss.set_projection(0, kind=kinds.LINEAR_BIAS, name="fit", from_=3, to=2)
    for term, (kind, name) in enumerate(((kinds.MLP, "deep"), (kinds.ORTHOGONAL, "turned")), 1):
        loss.add(kd.LossKind.HIDDEN_COSINE)
        loss.set_projection(term, kind=kind, name=name, from_=3, to=2)
    with tempfile.TemporaryDirectory() as folder:
        loss.save_tensors(folder + "/tensors")
        put("projections", bytes([PROJECTIONS]) + read(folder + "/tensors"))


def put_adapters(context):
    config = {
        "model_type": "llama", "vocab_size": 5, "hidden_size": 4, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 3, "max_position_embeddings": 8,
    }  # fmt: skip
    model = kd.Model(context, config)
    model.add_lora("*q_proj*", rank=2)
    model.add_lora("lm_head*", rank=1, alpha=3.0)
    with tempfile.TemporaryDirectory() as folder:
        model.save_lora(folder, dtype=kd.DType.BFLOAT16)
        files = {name: read(os.path.join(folder, name)) for name in FILES}
    put("adapters", packed(files, ADAPTERS))


def main():
    with kd.Context(threads=1, seed=3) as context:
        put_static()
        put_encoders(context)
        put_towers(context)
        put_projections(context)
        put_adapters(context)


if __name__ == "__main__":
    main()
