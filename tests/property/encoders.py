"""Encoders against transformers, random small configs of every family: hidden states of all layers,
logits of classifiers and of masked language models, whole and through the fused head, gradients of
all tensors; texts packed and one by one; folders both ways, those of sentence-transformers as well
where it is installed:
    python tests/property/encoders.py [shapes]
"""

import os
import sys
import tempfile
import warnings

import numpy
import torch

warnings.filterwarnings("ignore")
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402
import transformers  # noqa: E402

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
torch.set_num_threads(2)
context = kd.Context(threads=2)
FAMILIES = {
    "bert": ("Bert", 0),
    "distilbert": ("DistilBert", 0),
    "roberta": ("Roberta", 1),
    "xlm-roberta": ("XLMRoberta", 1),
    "modernbert": ("ModernBert", 0),
}
HEADS = ["Model", "ForSequenceClassification", "ForMaskedLM"]


def config_of(name, rng):
    heads, width = int(rng.integers(1, 6)), int(rng.integers(1, 20))
    hidden, inner, layers = heads * width, int(rng.integers(3, 90)), int(rng.integers(1, 5))
    sizes = dict(vocab_size=int(rng.integers(10, 300)), initializer_range=0.3)
    sizes["max_position_embeddings"] = 1300
    if name == "modernbert":
        return sizes | modern_sizes(heads, (width + width % 2) * heads, inner, layers, rng)
    if name == "distilbert":
        sizes.update(dim=hidden, n_heads=heads, hidden_dim=inner, n_layers=layers)
        sizes.update(dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    else:
        sizes.update(hidden_size=hidden, num_attention_heads=heads, intermediate_size=inner)
        sizes.update(num_hidden_layers=layers, type_vocab_size=int(rng.integers(1, 4)))
        sizes.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        sizes.update(layer_norm_eps=float(10.0 ** -rng.integers(4, 13)))
    return sizes


def modern_sizes(heads, hidden, inner, layers, rng):
    """Windows that are shorter than texts, and those of published models."""
    made = dict(hidden_size=hidden, num_attention_heads=heads, intermediate_size=inner)
    made.update(num_hidden_layers=layers, local_attention=int(rng.choice([2, 9, 30, 128])))
    made["layer_types"] = [
        str(rng.choice(["full_attention", "sliding_attention", "sliding_attention"]))
        for _ in range(layers)
    ]
    for key in ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"):
        made[key] = bool(rng.integers(0, 3) == 0)
    made.update(classifier_pooling=str(rng.choice(["cls", "mean"])), norm_eps=1e-5)
    made.update(pad_token_id=0, cls_token_id=1, sep_token_id=1, bos_token_id=1, eos_token_id=1)
    made["decoder_bias"] = bool(rng.integers(0, 2))
    return made


def reference_of(name, sizes, head, rng):
    stem = FAMILIES[name][0]
    config = getattr(transformers, stem + "Config")(**sizes, num_labels=int(rng.integers(1, 6)))
    made = getattr(transformers, stem + head)(config).float().eval()
    for tensor, values in made.named_parameters():
        if values.dim() == 1:  # norms and biases that do something
            torch.nn.init.normal_(values, float(tensor.endswith("orm.weight")), 0.2)
    return made


def texts_of(name, sizes, rng):
    lengths = [int(n) for n in rng.integers(1, 90, int(rng.integers(1, 6)))]
    if rng.integers(0, 5) == 0:
        lengths.append(int(rng.integers(520, 1290)))  # beyond one block of keys
    ids = [rng.integers(2, sizes["vocab_size"], n) for n in lengths]
    types = [rng.integers(0, sizes.get("type_vocab_size", 1), n) for n in lengths]
    return ids, types


def batch_of(ids, types):
    batch = kd.Batch(context).begin_packed(numpy.cumsum([0] + [len(t) for t in ids]))
    batch.set("tokens", numpy.concatenate(ids).astype(numpy.int64))
    batch.set("token_types", numpy.concatenate(types).astype(numpy.int64))
    return batch


def theirs(reference, name, ids, types):
    """Hidden states (all of them, each one concatenated) and logits."""
    layers, logits = None, []
    for text, kinds in zip(ids, types):
        typed = name not in ("distilbert", "modernbert")
        more = {"token_type_ids": torch.tensor(kinds)[None]} if typed else {}
        out = reference(torch.tensor(text)[None], output_hidden_states=True, **more)
        states = [h[0] for h in out.hidden_states]
        layers = (
            [[h] for h in states] if layers is None else [a + [h] for a, h in zip(layers, states)]
        )
        if "logits" in out:
            logits.append(out.logits.flatten(0, -2))
    return [torch.cat(h) for h in layers], torch.cat(logits) if logits else None


def relative(mine, expected, floor):
    return float(numpy.linalg.norm(mine - expected)) / max(
        float(numpy.linalg.norm(expected)), floor
    )


def compare(name, rng, worst):
    head = HEADS[rng.integers(0, len(HEADS))]
    sizes = config_of(name, rng)
    if head == "ForMaskedLM":
        sizes["tie_word_embeddings"] = bool(rng.integers(0, 3))
    reference = reference_of(name, sizes, head, rng)
    ids, types = texts_of(name, sizes, rng)
    with tempfile.TemporaryDirectory() as folder:
        reference.save_pretrained(folder)
        model = kd.Model.load(context, folder)
        model.forward(batch_of(ids, types), kd.Mode.TRAIN)
        states, logits = theirs(reference, name, ids, types)
        outputs = ["hidden.embedding"] + [f"hidden.{i}" for i in range(len(states) - 1)]
        if name == "modernbert":  # the last one is normed
            outputs.pop()
        named = dict(zip(outputs, states), hidden=states[-1])
        if logits is not None:
            named["logits"] = logits
        loss = 0
        for output, values in named.items():
            error = float(numpy.abs(model.output(output) - values.detach().numpy()).max())
            scale = max(1.0, float(values.detach().abs().max()))
            worst[0] = max(worst[0], error / scale)
            weights = rng.normal(size=values.shape).astype(numpy.float32) / len(named)
            model.add_output_gradient(output, weights)
            loss = loss + (values * torch.from_numpy(weights)).sum()
        loss.backward()
        model.backward()
        compare_gradients(model, reference, worst)
        check_again(name, head, model, reference, folder, ids, types, named)
        if head == "ForMaskedLM":
            check_loss(model, reference, name, ids, types, rng, worst)
    check_packed(model, ids, types, named)
    if worst[0] > 1e-4 or worst[1] > 1e-3:
        raise SystemExit(f"{name}: {sizes}: errors of outputs, gradients: {worst}")


def check_loss(model, reference, name, ids, types, rng, worst):
    """Cross-entropy of a few rows through the fused head; all others are masked."""
    rows, vocabulary = sum(map(len, ids)), reference.config.vocab_size
    labels = rng.integers(0, vocabulary, rows).astype(numpy.int64)
    chosen = rng.random(rows) < rng.choice([0.15, 0.5, 1.0])
    chosen[rng.integers(0, rows)] = True
    loss = kd.Loss(context)
    loss.add(kd.LossKind.CROSS_ENTROPY, mask_field="mask")
    batch = batch_of(ids, types)
    batch.set("label", labels).set("mask", chosen.astype(numpy.int64))
    model.zero_gradients()
    model.forward(batch, kd.Mode.TRAIN)
    result = loss.backward(model, batch)
    reference.zero_grad()
    logits = theirs(reference, name, ids, types)[1]
    expected = torch.nn.functional.cross_entropy(
        logits[torch.from_numpy(chosen)], torch.from_numpy(labels[chosen])
    )
    expected.backward()
    worst[0] = max(worst[0], abs(result.value - float(expected)) / max(1.0, float(expected)))
    compare_gradients(model, reference, worst)


def compare_gradients(model, reference, worst):
    grads = {n: p.grad for n, p in reference.named_parameters(remove_duplicate=False)}
    norm = max(float(g.norm()) for g in grads.values() if g is not None)
    for index, (tensor, values) in enumerate(model.tensors):
        expected = grads[tensor]
        expected = numpy.zeros(values.shape) if expected is None else expected.numpy()
        error = relative(model.tensor_gradient(index), expected, 1e-3 * norm)
        worst[1] = max(worst[1], error)


def check_again(name, head, model, reference, folder, ids, types, named):
    """What we save, transformers loads, with equal numbers."""
    model.save(folder + "/again")
    again = type(reference).from_pretrained(folder + "/again").float().eval()
    states, logits = theirs(again, name, ids[:1], types[:1])
    expected = named["hidden" if logits is None else "logits"]
    expected = expected[: 1 if head == "ForSequenceClassification" else len(ids[0])]
    error = ((states[-1] if logits is None else logits) - expected).abs().max()
    if float(error) > 1e-5:
        raise SystemExit(f"{name} {head}: the saved folder gives other numbers: {float(error)}")


def check_packed(model, ids, types, named):
    """Texts one by one give what they give in a batch, up to the products' order of sums."""
    per_sample = "logits" in named and len(named["logits"]) == len(ids) != sum(map(len, ids))
    names = ["pooled", "embedding"] + (["logits"] if per_sample else [])
    model.forward(batch_of(ids, types), kd.Mode.EVALUATE)
    packed = {name: model.output(name).copy() for name in names}
    for i, (text, kinds) in enumerate(zip(ids, types)):
        model.forward(batch_of([text], [kinds]), kd.Mode.EVALUATE)
        for name in names:
            alone, beside = model.output(name)[0], packed[name][i]
            if numpy.abs(alone - beside).max() > 2e-5 * max(1, numpy.abs(alone).max()):
                raise SystemExit(f"packed: '{name}' of text {i} is another")


def main():
    shapes = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    worst = [0.0, 0.0]
    for shape in range(shapes):
        torch.manual_seed(shape)
        compare(list(FAMILIES)[shape % len(FAMILIES)], numpy.random.default_rng(shape), worst)
    print(
        f"{shapes} shapes agreed with transformers {transformers.__version__}: largest errors of "
        f"outputs {worst[0]:.1e}, gradients {worst[1]:.1e}"
    )


if __name__ == "__main__":
    main()
