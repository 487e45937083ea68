"""Rivals of bench/features.py: each function prepares a work in a process of its own and returns it
as a callable.
"""

import json
import math
import os
import sys
import tempfile

import numpy
import rivals
from features_ours import (
    HEADS,
    STATIC,
    STATIC_BATCH,
    STUDENT,
    WIDTH,
    mixed_texts,
    sentence_lengths,
    short_texts,
    sides,
    static_batch,
    token_ids,
)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "goldens"))
BATCH = 32  # sentence-transformers' own


# ---- texts to embeddings ----
def sentence_transformers(folder, data):
    """Its encode sorts by length itself."""
    from sentence_transformers import SentenceTransformer

    model, texts = SentenceTransformer(folder, device="cpu"), mixed_texts(data)
    return lambda: model.encode(texts, batch_size=BATCH, show_progress_bar=False)


def onnx_encode(folder, data):
    """The same model as torch exports it, through ONNX Runtime's own optimizer for BERT, which
    fuses GELU with its bias and the norms, not attention; batches as sentence-transformers makes.
    """
    import onnxruntime
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(folder + "/tokenizer.json")
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    with tempfile.TemporaryDirectory() as place:
        path = fused(exported(folder, place + "/model.onnx"), place)
        session = onnxruntime.InferenceSession(path, rivals.onnx_options(onnxruntime))
    texts = mixed_texts(data)
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))

    def work():
        made = []
        for first in range(0, len(order), BATCH):
            chosen = tokenizer.encode_batch([texts[i] for i in order[first : first + BATCH]])
            made.append(
                session.run(
                    None,
                    {
                        "ids": numpy.array([e.ids for e in chosen]),
                        "mask": numpy.array([e.attention_mask for e in chosen]),
                    },
                )[0]
            )
        return numpy.concatenate(made)

    return work


def exported(folder, path):
    import torch
    import transformers

    class Embedding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = transformers.AutoModel.from_pretrained(
                folder, attn_implementation="eager"
            ).eval()

        def forward(self, ids, mask):
            return pooled(self.model(ids, attention_mask=mask).last_hidden_state, mask)

    ids = torch.ones((2, 16), dtype=torch.int64)
    axes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", max=512)}
    torch.onnx.export(
        Embedding(),
        (ids, ids),
        path,
        input_names=["ids", "mask"],
        dynamic_shapes={"ids": axes, "mask": axes},
        dynamo=True,
    )
    return path


def fused(path, place):
    """The file after ONNX Runtime's optimizer for BERT, or as it is where that fails."""
    try:
        from onnxruntime.transformers import optimizer

        made = optimizer.optimize_model(path, "bert", num_heads=12, hidden_size=WIDTH)
        made.save_model_to_file(place + "/fused.onnx")
        return place + "/fused.onnx"
    except Exception:
        return path


def pooled(states, mask):
    import torch

    weights = mask.unsqueeze(-1).to(states.dtype)
    return torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1))


# ---- a training step ----
def student_step(compiled):
    import torch
    import transformers

    config = transformers.BertConfig(**{k: v for k, v in STUDENT.items() if k != "model_type"})
    model = transformers.BertModel(config, add_pooling_layer=False).train()
    model.embeddings.word_embeddings.weight.requires_grad_(False)
    lengths = sentence_lengths()
    mask = torch.from_numpy(numpy.arange(lengths.max()) < lengths[:, None]).long()
    ids = torch.zeros_like(mask)
    ids[mask.bool()] = torch.from_numpy(token_ids(lengths.sum()))
    teacher = torch.nn.functional.normalize(torch.from_numpy(sides(len(lengths))[0]))
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, 1e-5, foreach=True)
    run = torch.compile(model) if compiled else model

    def work():
        optimizer.zero_grad()
        found = pooled(run(ids, attention_mask=mask).last_hidden_state, mask)
        (1 - (found * teacher).sum(1)).mean().backward()
        optimizer.step()

    return work


# ---- relations ----
def relation(name, rows):
    """The authors' formulas with autograd's backward pass."""
    import relations
    import torch

    def distances_by_products(x):
        """As RKD's authors have it: relations.py subtracts, which takes rows^2 x width numbers."""
        square = (x * x).sum(1)
        d = (square[:, None] + square[None] - 2 * x @ x.T).clamp(min=1e-12).sqrt()
        d = d * (1 - torch.eye(len(x)))
        return d / d[d > 0].mean()

    relations.distances = distances_by_products
    s, t = (torch.tensor(x) for x in sides(rows))
    s.requires_grad_(True)
    function = getattr(relations, name)

    def work():
        s.grad = None
        function(s, t).backward()

    return work


def token_relations(samples, length):
    """MiniLM's relations on dense batches."""
    import torch

    def logarithms(x):
        cut = x.view(samples, length, HEADS, WIDTH // HEADS).transpose(1, 2)
        return (cut @ cut.transpose(2, 3) / math.sqrt(WIDTH / HEADS)).log_softmax(3)

    s, t = (torch.tensor(x) for x in sides(samples * length))
    students = [s.clone().requires_grad_(True) for _ in range(3)]

    def work():
        for student in students:
            student.grad = None
            with torch.no_grad():
                teacher = logarithms(t)
            torch.nn.functional.kl_div(
                logarithms(student), teacher, reduction="sum", log_target=True
            ).div(HEADS * samples * length).backward()

    return work


# ---- words ----
def wordpiece(folder, data):
    os.environ["RAYON_NUM_THREADS"] = "1"
    import tokenizers

    tokenizer, texts = tokenizers.Tokenizer.from_file(folder + "/tokenizer.json"), short_texts(data)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return lambda: tokenizer.encode_batch_fast(texts)


def static_step():
    """torch's table for bags, sparse gradients and its optimizer for them."""
    import torch

    offsets, tokens = (torch.from_numpy(x) for x in static_batch())
    width = STATIC["hidden_size"]
    table = torch.nn.EmbeddingBag(STATIC["vocab_size"], width, mode="mean", sparse=True)
    teacher = torch.nn.functional.normalize(torch.from_numpy(sides(STATIC_BATCH, width)[0]))
    optimizer = torch.optim.SparseAdam(table.parameters(), 1e-3)

    def work():
        optimizer.zero_grad()
        found = torch.nn.functional.normalize(table(tokens, offsets[:-1]))
        (1 - (found * teacher).sum(1)).mean().backward()
        optimizer.step()

    return work


def model2vec(folder, data):
    import model2vec
    import tokenizers

    table = numpy.random.default_rng(0).normal(size=(STATIC["vocab_size"], STATIC["hidden_size"]))
    tokenizer = tokenizers.Tokenizer.from_file(folder + "/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    model = model2vec.StaticModel(table.astype(numpy.float32), tokenizer, normalize=True)
    texts = short_texts(data)
    return lambda: model.encode(texts, use_multiprocessing=False)


if __name__ == "__main__":
    rivals.serve(globals()[sys.argv[2]], json.loads(sys.argv[3]))
