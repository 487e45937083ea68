"""Heads for tasks beside torch and transformers: random encoders, decoders and networks of layers
with random heads; logits and gradients of all tensors; the trunk that transformers loads out of
the folder; one head as ...ForSequenceClassification, ...ForTokenClassification and
...ForImageClassification:
    python tests/property/heads.py [shapes]
"""

import os
import sys
import tempfile
import warnings

import numpy
import torch

warnings.filterwarnings("ignore")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402
import transformers  # noqa: E402

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(2)
context = kd.Context(threads=2)
FAMILIES = ["bert", "distilbert", "roberta", "xlm-roberta", "qwen2", "qwen3", "llama", "mistral"]
DECODERS = FAMILIES[4:]
ACTIVATIONS = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
    "none": lambda x: x,
}


def trunk(family, rng):
    heads, width = int(rng.integers(1, 4)), 2 * int(rng.integers(1, 6))
    hidden, layers = heads * width, int(rng.integers(1, 4))
    sizes = {"model_type": family, "vocab_size": 40, "initializer_range": 0.3}
    sizes["max_position_embeddings"] = 60
    if family == "distilbert":
        sizes |= {"dim": hidden, "n_heads": heads, "hidden_dim": 20, "n_layers": layers}
        return sizes | {"dropout": 0.0, "attention_dropout": 0.0}, hidden, layers
    sizes |= {"hidden_size": hidden, "num_attention_heads": heads, "num_hidden_layers": layers}
    sizes["intermediate_size"] = 20
    if family in DECODERS:
        sizes |= {"num_key_value_heads": heads, "head_dim": width, "tie_word_embeddings": False}
        sizes["architectures"] = [f"{family.capitalize()}Model"]
    else:
        sizes |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return sizes, hidden, layers


def random_head(layers, rng):
    head = {"num_labels": int(rng.integers(1, 7)), "level": str(rng.choice(["row", "sample"]))}
    if head["level"] == "sample":
        head["pooling"] = str(rng.choice(["cls", "mean", "max", "last", "weightedmean"]))
    if rng.random() < 0.5:
        head["from"] = f"hidden.{rng.integers(layers)}"
    if rng.random() < 0.5:
        head["hidden_size"] = int(rng.integers(1, 9))
        head["activation"] = str(rng.choice(list(ACTIVATIONS)))
    head["bias"] = bool(rng.random() < 0.7)
    head["initializer_range"] = 0.5
    return head


def pooled(rows, offsets, how):
    def one(x):
        if how == "cls":
            return x[0]
        if how == "last":
            return x[-1]
        if how == "max":
            return x.max(0).values
        weights = torch.ones(len(x)) if how == "mean" else torch.arange(1.0, len(x) + 1)
        return (x * (weights / weights.sum())[:, None]).sum(0)

    return torch.stack([one(rows[a:b]) for a, b in zip(offsets, offsets[1:])])


def expected(head, tensors, name, rows, offsets):
    x = pooled(rows, offsets, head["pooling"]) if head.get("level") == "sample" else rows
    stem = f"heads.{name}."
    if head.get("hidden_size"):
        x = x @ tensors[stem + "dense.weight"].T + tensors[stem + "dense.bias"]
        x = ACTIVATIONS[head["activation"]](x)
    return x @ tensors[stem + "weight"].T + tensors.get(stem + "bias", 0)


def packed(rng, samples=3):
    lengths = rng.integers(1, 12, samples)
    offsets = numpy.concatenate([[0], numpy.cumsum(lengths)])
    tokens = rng.integers(5, 40, offsets[-1])
    return tokens, offsets, kd.Batch(context).begin_packed(offsets).set("tokens", tokens)


def check(what, found, wanted, bound=2e-5):
    wanted = numpy.asarray(wanted.detach() if hasattr(wanted, "detach") else wanted)
    far = numpy.abs(found - wanted).max() / max(1.0, numpy.abs(wanted).max())
    assert far < bound, f"{what}: {far}"
    return far


def one_trunk(rng, names):
    family = str(rng.choice(FAMILIES))
    sizes, _, layers = trunk(family, rng)
    heads = {name: random_head(layers, rng) for name in names}
    model = kd.Model(context, {**sizes, "kd_heads": heads}, seed=int(rng.integers(1, 9999)))
    for tensor, values in model.tensors:
        if tensor.startswith("heads.") and tensor.endswith("bias"):
            values[:] = rng.normal(size=values.shape)
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        theirs, info = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert all("pooler" in key for key in info["missing_keys"]), (family, info)
    assert {key.split(".")[0] for key in info["unexpected_keys"]} <= {"heads"}, (family, info)
    theirs = theirs.float().eval()
    tokens, offsets, batch = packed(rng)
    model.forward(batch, kd.Mode.TRAIN)
    states = [[] for _ in range(layers + 1)]
    last = []
    for a, b in zip(offsets, offsets[1:]):
        ids = torch.tensor(tokens[a:b])[None]
        made = theirs(ids, output_hidden_states=True, attention_mask=torch.ones_like(ids))
        last.append(made.last_hidden_state[0])
        for to, state in zip(states, made.hidden_states):
            to.append(state[0])
    outputs = {"hidden": torch.cat(last)}
    # transformers norms a decoder's last state, which is "hidden" then and not "hidden.i"
    known = layers - (family in DECODERS)
    outputs |= {f"hidden.{i}": torch.cat(states[i + 1]) for i in range(known)}
    mine = {k: torch.tensor(v, requires_grad=True) for k, v in model.tensors if "heads." in k}
    total, worst = 0.0, 0.0
    for name, head in heads.items():
        rows = outputs.get(head.get("from", "hidden"))
        if rows is None:
            continue
        wanted = expected(head, mine, name, rows, offsets)
        worst = max(worst, check((family, head), model.output(f"logits.{name}"), wanted))
        slope = torch.tensor(rng.normal(size=wanted.shape), dtype=torch.float32)
        total = total + (wanted * slope).sum()
        model.add_output_gradient(f"logits.{name}", slope.numpy())
    if not hasattr(total, "backward"):
        return worst
    total.backward()
    model.backward()
    trunk_of = dict(theirs.named_parameters())
    for index, name in enumerate(dict(model.tensors)):
        found = model.tensor_gradient(index)
        bare = name.removeprefix("model.")
        source = mine[name] if name in mine else trunk_of.get(bare)
        if source is None or "pooler" in name:
            continue
        wanted = numpy.zeros(source.shape) if source.grad is None else source.grad
        worst = max(worst, check((family, name), found, wanted, 2e-4))
    return worst


def one_class(rng):
    """A head alone, as transformers has it."""
    family = str(rng.choice([*FAMILIES, "vit"]))
    of_rows = family != "vit" and rng.random() < 0.5
    sizes, hidden, _ = (VIT, 12, 2) if family == "vit" else trunk(family, rng)
    head = {"num_labels": 3, "initializer_range": 0.5, "level": "row" if of_rows else "sample"}
    if not of_rows:
        head["pooling"] = "last" if family in DECODERS else "cls"
        if family in DECODERS:
            head["bias"] = False
        elif family != "vit":
            act = "relu" if family == "distilbert" else "tanh"
            head |= {"hidden_size": hidden, "activation": act}
    model = kd.Model(context, sizes)
    model.add_head("x", head)
    model.keep("logits.x")
    kind = "Image" if family == "vit" else "Token" if of_rows else "Sequence"
    auto = getattr(transformers, f"AutoModelFor{kind}Classification")
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder, head="x")
        theirs, info = auto.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], (family, info)
    theirs = theirs.float().eval()
    if family == "vit":
        pixels = rng.normal(size=(2, 2, 8, 8)).astype(numpy.float32)
        model.forward(kd.Batch(context).begin(2).set("pixels", pixels), kd.Mode.EVALUATE)
        with torch.no_grad():
            wanted = theirs(torch.tensor(pixels)).logits
        return check(family, model.output("logits.x"), wanted)
    tokens, offsets, batch = packed(rng)
    model.forward(batch, kd.Mode.EVALUATE)
    with torch.no_grad():
        wanted = [
            theirs(torch.tensor(tokens[a:b])[None]).logits for a, b in zip(offsets, offsets[1:])
        ]
    wanted = torch.cat([w[0] if of_rows else w for w in wanted])
    return check((family, head), model.output("logits.x"), wanted)


VIT = {
    "model_type": "vit",
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "image_size": 8,
    "patch_size": 4,
    "num_channels": 2,
    "initializer_range": 0.3,
}


def one_network(rng, names):
    """A network of layers: heads on any of them, gradients by torch."""
    widths = [int(n) for n in rng.integers(2, 9, 3)]
    units = [{"type": "linear", "units": n, "activation": "tanh"} for n in widths]
    config = {"model_type": "sequential", "input_shape": [5], "layers": units}
    heads = {}
    for name in names:
        heads[name] = random_head(2, rng) | {"level": str(rng.choice(["row", "sample"]))}
        heads[name].pop("pooling", None)
    model = kd.Model(context, {**config, "kd_heads": heads})
    x = rng.normal(size=(6, 5)).astype(numpy.float32)
    model.forward(kd.Batch(context).begin(6).set("inputs", x), kd.Mode.TRAIN)
    mine = {k: torch.tensor(v, requires_grad=True) for k, v in model.tensors}
    state, states, total, worst = torch.tensor(x), [], 0.0, 0.0
    for i in range(3):
        state = torch.tanh(state @ mine[f"layers.{i}.weight"].T + mine[f"layers.{i}.bias"])
        states.append(state)
    for name, head in heads.items():
        at = int(head.get("from", "hidden.1").split(".")[1])
        wanted = expected({**head, "level": "row"}, mine, name, states[at], None)
        worst = max(worst, check(head, model.output(f"logits.{name}"), wanted))
        total = total + (wanted**2).sum()
        model.add_output_gradient(f"logits.{name}", 2 * wanted.detach().numpy())
    total.backward()
    model.backward()
    for index, name in enumerate(dict(model.tensors)):
        source = mine[name]
        wanted = numpy.zeros(source.shape) if source.grad is None else source.grad
        worst = max(worst, check(name, model.tensor_gradient(index), wanted, 1e-4))
    return worst


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    worst = {}
    for shape in range(count):
        rng = numpy.random.default_rng(shape)
        names = [f"h{i}" for i in range(int(rng.integers(1, 4)))]
        made = {
            "trunks": one_trunk(rng, names),
            "classes": one_class(rng),
            "networks": one_network(rng, names),
        }
        for kind, far in made.items():
            worst[kind] = max(worst.get(kind, 0.0), float(far))
    for kind, far in worst.items():
        print(f"{kind}: {count} shapes, largest difference {far:.1e}")


main()
