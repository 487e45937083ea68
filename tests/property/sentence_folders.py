"""Folders of sentence-transformers both ways: random small encoders and decoders with every
pooling, dense layers and length 1, embeddings compared in both directions; and all-MiniLM-L6-v2,
where KD_MINILM names its folder and KD_DATA the texts of STS-B:
    python tests/property/sentence_folders.py
"""

import csv
import itertools
import os
import sys
import tempfile
import warnings

import numpy
import torch

warnings.filterwarnings("ignore")
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402
import tokenizers  # noqa: E402
import transformers  # noqa: E402

try:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers import models as modules
except ImportError:
    SentenceTransformer = None

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
context = kd.Context(threads=2)
POOLINGS = ("mean", "cls", "max", "lasttoken", "weightedmean")
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a man plays the red guitar on stage two dogs run".split()
TEXTS = [
    "a man plays the guitar",
    "two dogs run",
    "the red man on the red stage",
    "dogs",
    "two red dogs run on stage a man plays a red guitar",
]


def embed(model, tokenizer, texts, size=64, prompt=0):
    """The library's embeddings of texts, packed `size` at a time; prompt: of so many tokens."""
    made = []
    for i in range(0, len(texts), size):
        ids = [e.ids for e in tokenizer.encode_batch(texts[i : i + size])]
        batch = kd.Batch(context).begin_packed(numpy.cumsum([0] + [len(t) for t in ids]))
        batch.set("tokens", numpy.concatenate(ids).astype(numpy.int64))
        if prompt:
            batch.set_per_sample("prompt_length", numpy.full(len(ids), prompt))
        model.forward(batch, kd.Mode.EVALUATE)
        made.append(model.output("embedding").copy())
    return numpy.concatenate(made)


def tokenizer_of(folder, length):
    made = tokenizers.Tokenizer.from_file(folder + "/tokenizer.json")
    made.no_padding()
    made.enable_truncation(length)
    return made


def plain_folder(folder, seed):
    """A random BERT and a tokenizer of a few words."""
    torch.manual_seed(seed)
    with open(folder + "/vocab.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(WORDS))
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=20,
        initializer_range=0.3,
    )
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(folder + "/vocab.txt").save_pretrained(folder)


def decoder_folder(folder, family, seed):
    """A random decoder without its head, and a tokenizer of these words that pads left."""
    torch.manual_seed(seed)
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", padding_side="left"
    ).save_pretrained(folder)
    options = {
        "vocab_size": len(WORDS),
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 6,
        "intermediate_size": 40,
        "max_position_embeddings": 20,
        "initializer_range": 0.3,
        "pad_token_id": 0,
        "tie_word_embeddings": seed % 2 == 0,
    }
    if family == "qwen3":
        transformers.Qwen3Model(transformers.Qwen3Config(**options)).save_pretrained(folder)
    else:
        transformers.LlamaModel(transformers.LlamaConfig(**options)).save_pretrained(folder)


def check_decoder(family, pooling, dense, prompt, worst):
    """As sentence-transformers keeps Qwen3-Embedding, with a prompt for questions."""
    with tempfile.TemporaryDirectory() as root:
        plain, theirs, ours = (os.path.join(root, name) for name in ("plain", "theirs", "ours"))
        os.mkdir(plain)
        decoder_folder(plain, family, len(pooling) + dense)
        parts = [modules.Transformer(plain, max_seq_length=14)]
        parts.append(modules.Pooling(24, pooling, include_prompt=prompt == "pooled"))
        if dense:
            parts.append(modules.Dense(24, 9, bias=True))
        parts.append(modules.Normalize())
        asked = {"question": "a red stage "}
        reference = SentenceTransformer(modules=parts, device="cpu", prompts=asked)
        reference.save(theirs)
        expected = reference.encode(TEXTS, prompt_name="question")
        model = kd.Model.load(context, theirs, frozen=True)
        whole = [asked["question"] + text for text in TEXTS]
        left_out = 3 if prompt == "left out" else 0
        found = embed(model, tokenizer_of(theirs, 14), whole, 3, left_out)
        model.save(ours)
        back = SentenceTransformer(ours, device="cpu")
        if back.prompts.get("question") != asked["question"]:
            raise SystemExit(f"{family}, {pooling}: the saved folder's prompts are {back.prompts}")
        again = back.encode(TEXTS, prompt_name="question")
        worst[0] = max(worst[0], float(numpy.abs(found - expected).max()))
        worst[1] = max(worst[1], float(numpy.abs(again - expected).max()))
    if max(worst) > 1e-5:
        raise SystemExit(f"{family}, {pooling}, {dense} dense layers, prompt {prompt}: {worst}")


def check_case(pooling, dense, normalize, worst):
    with tempfile.TemporaryDirectory() as root:
        plain, theirs, ours = (os.path.join(root, name) for name in ("plain", "theirs", "ours"))
        os.mkdir(plain)
        plain_folder(plain, len(pooling) + 10 * dense)
        parts = [modules.Transformer(plain, max_seq_length=11), modules.Pooling(24, pooling)]
        width = 24
        for step in range(dense):
            parts.append(modules.Dense(width, 9 + step, bias=step == 0))
            width = 9 + step
        if normalize:
            parts.append(modules.Normalize())
        reference = SentenceTransformer(modules=parts, device="cpu")
        reference.save(theirs)
        expected = reference.encode(TEXTS)
        model = kd.Model.load(context, theirs, frozen=True)
        found = embed(model, tokenizer_of(theirs, 11), TEXTS, 3)
        model.save(ours)
        back = SentenceTransformer(ours, device="cpu")
        if back.max_seq_length != 11:
            raise SystemExit(f"{pooling}: the saved folder cuts at {back.max_seq_length}")
        worst[0] = max(worst[0], float(numpy.abs(found - expected).max()))
        worst[1] = max(worst[1], float(numpy.abs(back.encode(TEXTS) - expected).max()))
    if max(worst) > 1e-5:
        raise SystemExit(f"{pooling}, {dense} dense layers, length 1 {normalize}: {worst}")


def check_appended(kind, pooling, bias, activation, worst):
    """A layer that our model took in is sentence-transformers' 2_Dense."""
    with tempfile.TemporaryDirectory() as root:
        plain, theirs, ours = (os.path.join(root, name) for name in ("plain", "theirs", "ours"))
        os.mkdir(plain)
        plain_folder(plain, 5) if kind == "bert" else decoder_folder(plain, kind, 5)
        parts = [modules.Transformer(plain, max_seq_length=14), modules.Pooling(24, pooling)]
        SentenceTransformer(modules=[*parts, modules.Normalize()], device="cpu").save(theirs)
        layer = modules.Dense(24, 31, bias=bias, activation_function=activation)
        wide = SentenceTransformer(modules=[*parts, layer, modules.Normalize()], device="cpu")
        model = kd.Model.load(context, theirs)
        taken = [
            None if x is None else x.detach().numpy()
            for x in (layer.linear.weight, layer.linear.bias)
        ]
        model.append_dense(*taken, "tanh" if activation else None)
        found = embed(model, tokenizer_of(theirs, 14), TEXTS)
        model.save(ours)
        back = SentenceTransformer(ours, device="cpu").encode(TEXTS)
        expected = wide.encode(TEXTS)
        worst[0] = max(worst[0], float(numpy.abs(found - expected).max()))
        worst[1] = max(worst[1], float(numpy.abs(back - expected).max()))
    if max(worst) > 1e-5:
        raise SystemExit(f"appended to {kind}, {pooling}, bias {bias}, {activation}: {worst}")


def tell(cases, kind, worst):
    read, saved = worst
    count = len(cases)
    print(f"{count} folders of {kind}: largest differences read {read:.1e}, saved {saved:.1e}")


def rank(values):
    """Ranks with ties at their mean."""
    _, inverse, counts = numpy.unique(values, return_inverse=True, return_counts=True)
    return (numpy.cumsum(counts) - (counts - 1) / 2)[inverse]


def check_minilm(folder, data):
    """Published Spearman on STS-B's test set: 82.03."""
    with open(data + "/text/stsb/stsb-en-test.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    scores = rank(numpy.array([float(row[2]) for row in rows]))
    tokenizer, found = tokenizer_of(folder, 256), []
    for weights in (kd.DType.FLOAT32, kd.DType.INT8):
        model = kd.Model.load(context, folder, frozen=True, weights=weights)
        a, b = (embed(model, tokenizer, [row[i] for row in rows]) for i in (0, 1))
        found.append(float(numpy.corrcoef(rank((a * b).sum(1)), scores)[0, 1]))
    print(f"all-MiniLM-L6-v2, STS-B test: Spearman {found[0]:.4f}, in 8 bits {found[1]:.4f}")
    if abs(found[0] - 0.8203) > 0.0005 or abs(found[1] - found[0]) > 0.003:
        raise SystemExit("expected .8203 within .0005, and 8 bits within .003 of it")


def main():
    if SentenceTransformer is None:
        print("SKIPPED sentence-transformers: it is not installed")
    else:
        worst = [0.0, 0.0]
        cases = list(itertools.product(POOLINGS, (0, 1, 2), (0, 1)))
        for pooling, dense, normalize in cases:
            check_case(pooling, dense, normalize, worst)
        tell(cases, "encoders", worst)
        worst = [0.0, 0.0]
        choices = (("qwen3", "llama"), POOLINGS, (0, 1), ("pooled", "left out"))
        cases = list(itertools.product(*choices))
        for case in cases:
            check_decoder(*case, worst)
        tell(cases, "decoders", worst)
        worst = [0.0, 0.0]
        choices = (("bert", "qwen3", "llama"), ("mean", "lasttoken"), (True, False))
        cases = [(*c, f) for c in itertools.product(*choices) for f in (None, torch.nn.Tanh())]
        for case in cases:
            check_appended(*case, worst)
        tell(cases, "models with a layer appended", worst)
    folder, data = os.environ.get("KD_MINILM"), os.environ.get("KD_DATA")
    if folder and data:
        check_minilm(folder, data)
    else:
        print("SKIPPED all-MiniLM-L6-v2: KD_MINILM or KD_DATA is not set")


if __name__ == "__main__":
    main()
