"""Static embeddings against model2vec and sentence-transformers: random folders of both, with
weights, mappings, half and integer tables; texts with unknown words and without any; each folder
loaded, encoded, saved and loaded by the packages again. Gradients against torch.nn.EmbeddingBag,
lazy steps against torch.optim.SparseAdam, students of random encoders against model2vec's recipe:
    python tests/property/static_embeddings.py [folders]
"""

import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import numpy  # noqa: E402
import torch  # noqa: E402
import kdistill as kd  # noqa: E402

try:
    import model2vec
    import sentence_transformers
    import transformers
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
except ImportError as missing:
    sys.exit(print(f"SKIPPED (static_embeddings: {missing})"))


def recipe_of_model2vec():
    """The file of the recipe alone: its package asks for more than the recipe needs."""
    path = os.path.join(os.path.dirname(model2vec.__file__), "distill", "inference.py")
    spec = importlib.util.spec_from_file_location("recipe", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


transformers.utils.logging.set_verbosity_error()
torch.set_num_threads(2)
context = kd.Context(threads=2)
recipe = recipe_of_model2vec()
WORDS = [
    "".join("bcdfghjklmnpqrstvwz"[i // 5 % 19] + "aeiou"[i % 5] for i in (n, n * 7 + 3))
    for n in range(400)
]


def tokenizer_of(rng, words=0):
    """Words or WordPiece, with an unknown token or, of words, without."""
    count = words or int(rng.integers(20, 200))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = special + [f"[unused{i}]" for i in range(3)] + WORDS[:count]
    vocabulary = {w: i for i, w in enumerate(dict.fromkeys(vocabulary))}
    model = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)
    made = Tokenizer(model)
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(special)
    return made


def texts_of(rng):
    made = [""]
    for _ in range(int(rng.integers(3, 12))):
        words = [WORDS[int(i)] for i in rng.integers(0, 260, int(rng.integers(1, 30)))]
        made.append(" ".join(words))
    return made + ["zzyx " + WORDS[3]]


def encode(model, folder, texts, output="embedding"):
    with kd.Tokenizer(context, folder) as tokenizer:
        ids = [tokenizer.encode(t) for t in texts]
    batch = kd.Batch(context).begin_packed(numpy.cumsum([0] + [len(i) for i in ids]))
    batch.set("tokens", numpy.concatenate(ids).astype(numpy.int64))
    model.forward(batch, kd.Mode.EVALUATE)
    return model.output(output).copy()


def worst_of(mine, theirs, what, limit=1e-5):
    scale = max(1.0, float(numpy.abs(theirs).max()))
    error = float(numpy.abs(mine - theirs).max()) / scale
    if not error <= limit:
        raise SystemExit(f"{what}: an error of {error:.1e}")
    return error


def quiet(call, *arguments, **named):
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return call(*arguments, **named)


# ---- folders ----


def compare_model2vec(rng, folder):
    tokenizer, width = tokenizer_of(rng), int(rng.integers(1, 70))
    tokens, mapping, weights = tokenizer.get_vocab_size(), None, None
    rows = tokens
    if rng.integers(0, 2):
        rows = int(rng.integers(1, tokens + 1))
        mapping = rng.integers(0, rows, tokens).astype(rng.choice([numpy.int64, numpy.int32]))
    if rng.integers(0, 2):
        weights = rng.uniform(0, 2, tokens).astype(rng.choice([numpy.float32, numpy.float64]))
    table = rng.normal(size=(rows, width))
    dtype = rng.choice(["float32", "float16", "float64", "int8"])
    if dtype == "int8":
        table = numpy.clip(table * 40, -127, 127)
    table = table.astype(dtype)
    normalize = bool(rng.integers(0, 2))
    theirs = model2vec.StaticModel(
        table, tokenizer, {}, normalize=normalize, weights=weights, token_mapping=mapping
    )
    quiet(theirs.save_pretrained, folder)
    texts = texts_of(rng)
    limit = 2e-3 if dtype == "float16" else 1e-5  # their sums are in float16
    model = kd.Model.load(context, folder)
    mine = encode(model, folder, texts)
    worst = worst_of(mine, theirs.encode(texts).astype(float), f"model2vec {dtype}", limit)
    model.save(folder + "/again")
    again = model2vec.StaticModel.from_pretrained(folder + "/again")
    worst_of(mine, again.encode(texts), "saved, by model2vec")
    other = quiet(sentence_transformers.SentenceTransformer, folder + "/again", device="cpu")
    known = [t for t in texts if "[UNK]" not in tokenizer.encode(t).tokens]
    places = [texts.index(t) for t in known]
    worst_of(mine[places], quiet(other.encode, known), "saved, by sentence-transformers")
    worst_of(mine, encode(kd.Model.load(context, folder + "/again"), folder, texts), "again", 1e-7)
    return 0 if dtype == "float16" else worst


def compare_sentence(rng, folder):
    tokenizer, width = tokenizer_of(rng), int(rng.integers(1, 70))
    table = rng.normal(size=(tokenizer.get_vocab_size(), width)).astype(numpy.float32)
    modules = [StaticEmbedding(tokenizer, embedding_weights=table)]
    if rng.integers(0, 2):
        modules.append(Normalize())
    theirs = sentence_transformers.SentenceTransformer(modules=modules, device="cpu")
    quiet(theirs.save_pretrained, folder)
    if rng.integers(0, 2):  # where older versions put it
        os.mkdir(folder + "/0_StaticEmbedding")
        for name in ("model.safetensors", "tokenizer.json"):
            os.rename(f"{folder}/{name}", f"{folder}/0_StaticEmbedding/{name}")
        with open(folder + "/modules.json") as file:
            listed = json.load(file)
        listed[0]["path"] = "0_StaticEmbedding"
        with open(folder + "/modules.json", "w") as file:
            json.dump(listed, file)
    texts = texts_of(rng)
    model = kd.Model.load(context, folder)
    model.save(folder + "/again")
    mine = encode(model, folder + "/again", texts)
    worst = worst_of(mine, quiet(theirs.encode, texts), "sentence-transformers")
    again = quiet(sentence_transformers.SentenceTransformer, folder + "/again", device="cpu")
    worst_of(mine, quiet(again.encode, texts), "saved, by sentence-transformers")
    return worst


# ---- steps ----


def compare_training(rng):
    """Gradients beside an EmbeddingBag's; lazy steps beside sparse ones of the same gradients."""
    tokens, width, samples = int(rng.integers(5, 90)), int(rng.integers(1, 50)), 6
    config = {"model_type": "static_embedding", "vocab_size": tokens, "hidden_size": width}
    model, seen = kd.Model(context, config), kd.Model(context, config)
    bag = torch.nn.EmbeddingBag(tokens, width, mode="mean", sparse=True)
    bag.weight.data = torch.from_numpy(dict(model.tensors)["embedding.weight"].copy())
    sparse = torch.optim.SparseAdam(bag.parameters(), lr=0.01, eps=1e-20)
    # theirs adds epsilon before the correction of the bias, which shows where gradients are small
    optimizer = kd.Optimizer(context, kd.OptimizerKind.ADAM, model, epsilon=1e-20)
    optimizer.add_group("embedding.weight", lazy=1)
    worst = 0.0
    for _ in range(5):
        ids = [rng.integers(0, tokens, int(rng.integers(1, 9))) for _ in range(samples)]
        offsets = numpy.cumsum([0] + [len(i) for i in ids])
        batch = kd.Batch(context).begin_packed(offsets)
        batch.set("tokens", numpy.concatenate(ids).astype(numpy.int64))
        wanted = rng.normal(size=(samples, width)).astype(numpy.float32)
        for each in (model, seen):  # a model whose gradients were seen reads all of them
            each.forward(batch, kd.Mode.TRAIN)
            each.add_output_gradient("embedding", wanted)
            each.backward()
        optimizer.step(0.01)
        gradient = seen.tensor_gradient(0).copy()
        seen.zero_gradients()
        out = bag(torch.from_numpy(numpy.concatenate(ids)), torch.from_numpy(offsets[:-1]))
        sparse.zero_grad()
        (out * torch.from_numpy(wanted)).sum().backward()
        worst_of(gradient, bag.weight.grad.to_dense().numpy(), "gradients", 2e-6)
        rows = numpy.unique(numpy.concatenate(ids))
        at = torch.from_numpy(rows)[None]
        bag.weight.grad = torch.sparse_coo_tensor(at, gradient[rows], bag.weight.shape).coalesce()
        sparse.step()
        mine = dict(model.tensors)["embedding.weight"]
        worst = max(worst, worst_of(mine, bag.weight.detach().numpy(), "lazy steps"))
    return worst


# ---- students ----


def compare_student(rng, folder):
    tokenizer = tokenizer_of(rng, 90)
    heads, width = int(rng.integers(1, 4)), int(rng.integers(2, 9))
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=heads * width, num_hidden_layers=2,
        num_attention_heads=heads, intermediate_size=30, initializer_range=0.5,
    )  # fmt: skip
    reference = transformers.BertModel(config).eval()
    reference.save_pretrained(folder)
    tokenizer.save(folder + "/tokenizer.json")
    names = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    kept = [i for name, i in names if not name.startswith("[")]
    rows = quiet(recipe.create_embeddings, reference, [[2, i, 3] for i in kept], "cpu", 0)
    size = int(rng.integers(1, heads * width + 1))
    rows = recipe.apply_pca(rows, size) * recipe.compute_weights(len(kept), 1e-4)[:, None]
    with kd.Tokenizer(context, folder) as mine:
        teacher = kd.Model.load(context, folder, frozen=1)
        student = teacher.static_student(mine, hidden_size=size)
    table = dict(student.tensors)["embedding.weight"]
    worst = worst_of(table[kept] / numpy.abs(rows).max(), rows / numpy.abs(rows).max(), "PCA", 2e-3)
    if numpy.abs(numpy.delete(table, kept, 0)).max() != 0:
        raise SystemExit("student: special tokens have rows")
    student.save(folder + "/static")
    texts = texts_of(rng)
    loaded = model2vec.StaticModel.from_pretrained(folder + "/static")
    worst_of(encode(student, folder, texts), loaded.encode(texts), "student, by model2vec")
    other = quiet(sentence_transformers.SentenceTransformer, folder + "/static", device="cpu")
    worst_of(encode(student, folder, texts), quiet(other.encode, texts), "student, by ST")
    return worst


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    worst = [0.0] * 4
    for n in range(count):
        rng = numpy.random.default_rng(n)
        torch.manual_seed(n)
        for i, compare in enumerate((compare_model2vec, compare_sentence, compare_student)):
            with tempfile.TemporaryDirectory() as folder:
                worst[i] = max(worst[i], compare(rng, folder))
        worst[3] = max(worst[3], compare_training(rng))
    print(
        f"{count} folders each of model2vec {model2vec.__version__} ({worst[0]:.1e}) and "
        f"sentence-transformers {sentence_transformers.__version__} ({worst[1]:.1e}), {count} "
        f"students ({worst[2]:.1e}), {count} runs of lazy steps ({worst[3]:.1e}) agreed"
    )


if __name__ == "__main__":
    main()
