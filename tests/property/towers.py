"""Towers against PyTorch's autograd: a ViT, a BERT and an AST of transformers as towers, random
shapes, samples that lack a modality here and there; projections, length 1, fusion of every type,
CLIP's and SigLIP's loss with the model's own scale and bias, a cosine with a teacher. Values,
outputs and the gradients of all tensors are compared:
    python tests/property/towers.py [cases] [seed]
"""

import os
import sys
import tempfile
import warnings

import numpy
import torch
from torch.nn.functional import cross_entropy, logsigmoid, normalize

warnings.filterwarnings("ignore")
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402
import transformers  # noqa: E402

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
torch.set_num_threads(2)
context = kd.Context(threads=2)
NAMES = "image", "text", "audio"
LIMIT = {"value": 2e-5, "output": 2e-5, "gradient": 2e-4}
worst = dict.fromkeys(LIMIT, 0.0)
# what the modules of transformers are called, and tensors here: the longest first
PARTS = [
    ("layers.", "encoder.layer."),
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
]


def compare(what, ours, theirs):
    ours, theirs = numpy.asarray(ours, float), numpy.asarray(theirs, float)
    off = abs(ours - theirs).max() / max(abs(theirs).max(), 1e-3)
    worst[what] = max(worst[what], off)
    assert off < LIMIT[what], (what, off)


# ---- networks ----


def sizes(rng):
    heads, width = int(rng.integers(1, 4)), int(rng.integers(2, 9))
    return {
        "hidden_size": heads * width,
        "num_attention_heads": heads,
        "num_hidden_layers": int(rng.integers(1, 3)),
        "intermediate_size": int(rng.integers(3, 30)),
        "initializer_range": 0.3,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }


def networks(rng):
    image = transformers.ViTConfig(image_size=8, patch_size=4, num_channels=2, **sizes(rng))
    text = transformers.BertConfig(vocab_size=23, max_position_embeddings=12, **sizes(rng))
    audio = transformers.ASTConfig(
        num_mel_bins=8,
        max_length=9,
        patch_size=4,
        frequency_stride=3,
        time_stride=4,
        **sizes(rng),
    )
    made = {
        "image": transformers.ViTModel(image, add_pooling_layer=False).eval(),
        "text": transformers.BertModel(text, add_pooling_layer=False).eval(),
        "audio": transformers.ASTModel(audio).eval(),
    }
    for network in made.values():  # a row of zeros has no derivative through a norm
        for tensor, values in network.named_parameters():
            if tensor.endswith(("_token", "position_embeddings")):
                torch.nn.init.normal_(values, 0, 0.5)
    return made


def loaded(network):
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        return kd.Model.load(context, folder)


def config_of(rng):
    fusion = {
        "type": str(rng.choice(["mean", "concat", "gated"])),
        "missing": str(rng.choice(["learned", "mean"])),
    }
    if fusion["type"] == "concat":
        fusion["out_features"] = int(rng.integers(2, 7))
    return {
        "model_type": "towers",
        "projection_dim": int(rng.integers(3, 12)),
        "normalize": bool(rng.integers(0, 2)),
        "logit_scale_init_value": float(rng.uniform(0, 3)),
        "logit_bias_init_value": float(rng.uniform(-4, 0)),
        "towers": {name: {} for name in NAMES},
        "fusion": fusion,
    }


# ---- a batch ----


def samples_of(rng):
    count = int(rng.integers(4, 9))
    there = rng.random((count, 3)) < 0.7
    there[:3] = True
    return [
        {
            "image": rng.normal(size=(2, 8, 8)).astype("f4") if has[0] else None,
            "text": rng.integers(1, 23, rng.integers(1, 7)) if has[1] else None,  # 0: padding there
            "audio": rng.normal(size=(9, 8)).astype("f4") if has[2] else None,
        }
        for has in there
    ]


def batch_of(samples):
    texts = [[] if s["text"] is None else list(s["text"]) for s in samples]
    offsets = numpy.cumsum([0] + [len(text) for text in texts])
    batch = kd.Batch(context).begin_packed(offsets)
    batch.set("tokens", numpy.array(sum(texts, []), dtype="i8"))
    for name, field, shape in (("image", "pixels", (2, 8, 8)), ("audio", "mel", (9, 8))):
        values = [numpy.zeros(shape, "f4") if s[name] is None else s[name] for s in samples]
        present = [s[name] is not None for s in samples]
        batch.set_per_sample(field, numpy.stack(values), present=present)
    return batch


# ---- the formulas ----


def pooled(name, network, sample):
    """The class token; the mean of a text's rows; the mean of a spectrogram's two tokens."""
    value = torch.from_numpy(numpy.asarray(sample))[None]
    rows = network(value).last_hidden_state[0]
    return rows[0] if name == "image" else rows.mean(0) if name == "text" else rows[:2].mean(0)


def embeddings(reference, own, config, samples):
    """A dict by sample of each tower's vectors."""
    made = {name: {} for name in NAMES}
    for name in NAMES:
        for i, sample in enumerate(samples):
            if sample[name] is None:
                continue
            x = own[f"projection.{name}.weight"] @ pooled(name, reference[name], sample[name])
            made[name][i] = normalize(x, dim=0, eps=1e-12) if config["normalize"] else x
    return made


def fused_of(own, config, made, i):
    has = [name for name in NAMES if i in made[name]]
    fusion, width = config["fusion"], config["projection_dim"]
    if not has:
        return torch.zeros(fusion.get("out_features", width))
    learned = fusion["missing"] == "learned"
    mean = sum(made[name][i] for name in has) / len(has)
    missing = {name: own[f"fusion.missing.{name}"] if learned else mean for name in NAMES}
    parts = {name: made[name].get(i, missing[name]) for name in NAMES}
    if fusion["type"] == "concat":
        joined = torch.cat([parts[name] for name in NAMES])
        return own["fusion.weight"] @ joined + own["fusion.bias"]
    taking = list(NAMES) if learned else has
    if fusion["type"] == "mean":
        return sum(parts[name] for name in taking) / len(taking)
    at = [NAMES.index(name) for name in taking]
    stacked = torch.stack([parts[name] for name in taking])
    scores = (stacked * own["fusion.gate.weight"][at]).sum(1) + own["fusion.gate.bias"][at]
    return torch.softmax(scores, 0) @ stacked


def clip_and_siglip(own, made):
    """open_clip.ClipLoss and SigLIP's loss of the samples with image and text."""
    both = sorted(set(made["image"]) & set(made["text"]))
    a, b = (torch.stack([made[name][i] for i in both]) for name in ("image", "text"))
    a, b = normalize(a, dim=1), normalize(b, dim=1)
    z, labels = own["logit_scale"].exp() * a @ b.T, torch.arange(len(both))
    clip = (cross_entropy(z, labels) + cross_entropy(z.T, labels)) / 2
    signs = 2 * torch.eye(len(both)) - 1
    return clip, -logsigmoid(signs * (z + own["logit_bias"])).sum() / len(both)


def cosine(made, taught):
    rows = [1 - normalize(x, dim=0) @ normalize(taught[i], dim=0) for i, x in made["audio"].items()]
    return sum(rows) / len(rows)


# ---- a case ----


def loss_of():
    loss = kd.Loss(context)
    for kind in (kd.LossKind.CONTRASTIVE, kd.LossKind.SIGMOID_CONTRASTIVE):
        term = loss.add(kind, 1, student_output="embedding.image")
        more = {"bias_output": "logit_bias"} if kind != kd.LossKind.CONTRASTIVE else {}
        loss.set_pairs(term, other_output="embedding.text", scale_output="logit_scale", **more)
    loss.add(kd.LossKind.HIDDEN_COSINE, 1, student_output="embedding.audio", teacher_field="taught")
    loss.add(kd.LossKind.MEAN_SQUARED_ERROR, 1, student_output="fused", label_field="wanted")
    return loss


def towers_name(name, tensor):
    for here, there in PARTS if name != "text" else []:
        tensor = tensor.replace(here, there)
    return f"towers.{name}.{tensor}"


def run_case(rng):
    reference, config, samples = networks(rng), config_of(rng), samples_of(rng)
    models = {name: loaded(reference[name]) for name in NAMES}
    model = kd.Model.towers(context, config, models, seed=int(rng.integers(99)))
    own = {}
    for tensor, values in model.tensors:
        if not tensor.startswith("towers."):
            own[tensor] = torch.from_numpy(values.copy()).requires_grad_()
    width = config["fusion"].get("out_features", config["projection_dim"])
    taught = rng.normal(size=(len(samples), config["projection_dim"])).astype("f4")
    wanted = rng.normal(size=(len(samples), width)).astype("f4")
    batch = batch_of(samples).set_per_sample("wanted", wanted)
    targets = kd.Targets(context).begin(batch.counts.rows)
    targets.set_per_sample("taught", taught)
    model.forward(batch, kd.Mode.TRAIN)
    made = embeddings(reference, own, config, samples)
    fused = torch.stack([fused_of(own, config, made, i) for i in range(len(samples))])
    for name in NAMES:
        for i, x in made[name].items():
            compare("output", model.output(f"embedding.{name}")[i], x.detach())
    compare("output", model.output("fused"), fused.detach())
    result = loss_of().backward(model, batch, targets)
    has = [i for i in range(len(samples)) if any(i in made[name] for name in NAMES)]
    squares = ((fused - torch.from_numpy(wanted)) ** 2)[has].mean()
    parts = [*clip_and_siglip(own, made), cosine(made, torch.from_numpy(taught)), squares]
    compare("value", result.value, sum(parts).item())
    sum(parts).backward()
    theirs = {tensor: x.grad for tensor, x in own.items()}
    for name in NAMES:
        for tensor, x in reference[name].named_parameters():
            theirs[towers_name(name, tensor)] = x.grad
    most = max(abs(g).max().item() for g in theirs.values() if g is not None)
    for index, (tensor, _) in enumerate(model.tensors):
        wanted_gradient = theirs[tensor]
        mine = model.tensor_gradient(index)
        if wanted_gradient is None:
            assert not mine.any(), tensor
            continue
        off = abs(mine - wanted_gradient.numpy().reshape(mine.shape)).max() / most
        worst["gradient"] = max(worst["gradient"], off)
        assert off < LIMIT["gradient"], (tensor, off, config)


def main():
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for case in range(cases):
        torch.manual_seed(seed * 1000 + case)
        run_case(numpy.random.default_rng([seed, case]))
    told = ", ".join(f"{what} {off:.1e}" for what, off in worst.items())
    print(f"towers: {cases} random models agree with PyTorch (worst: {told})")


main()
