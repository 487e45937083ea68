"""Published models against transformers: logits, gradients, 20 steps of AdamW, folders in three
types and in shards, greedy text.

    python tests/property/real_models.py        KD_DATA names the data; KD_SMOLLM2 (optional) a
                                                folder of SmolLM2-135M
"""

import os
import shutil
import sys
import tempfile
import warnings

import numpy
import torch

warnings.filterwarnings("ignore")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import transformers  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)

import kdistill as kd  # noqa: E402

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
torch.set_num_threads(2)
DATA = os.environ.get("KD_DATA", "")
context = kd.Context(threads=2)


def stories260k(folder):
    """llama2.c's file (seven numbers, then all tensors) as a folder."""
    raw = numpy.fromfile(os.path.join(DATA, "stories260k", "stories260K.bin"), numpy.float32)
    d, inner, layers, heads, kv, vocabulary, positions = (
        abs(int(x)) for x in raw[:7].view(numpy.int32)
    )
    model, at, width = (
        LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocabulary,
                hidden_size=d,
                intermediate_size=inner,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                num_key_value_heads=kv,
                max_position_embeddings=positions,
                rms_norm_eps=1e-5,
                tie_word_embeddings=True,
            )
        ),
        7,
        d // heads,
    )

    def take(*shape):
        nonlocal at
        values = raw[at : at + int(numpy.prod(shape))].reshape(shape)
        at += values.size
        return torch.from_numpy(values.copy())

    def halves(w, count):  # llama2.c turns neighbors, transformers halves
        return w.reshape(-1, count, width // 2, 2, d).transpose(3, 2).reshape(-1, count * width, d)

    state = model.state_dict()
    state["model.embed_tokens.weight"].copy_(take(vocabulary, d))
    parts = [
        ("input_layernorm", take(layers, d)),
        ("self_attn.q_proj", halves(take(layers, heads * width, d), heads)),
        ("self_attn.k_proj", halves(take(layers, kv * width, d), kv)),
        ("self_attn.v_proj", take(layers, kv * width, d)),
        ("self_attn.o_proj", take(layers, d, heads * width)),
        ("post_attention_layernorm", take(layers, d)),
        ("mlp.gate_proj", take(layers, inner, d)),
        ("mlp.down_proj", take(layers, d, inner)),
        ("mlp.up_proj", take(layers, inner, d)),
    ]
    for name, values in parts:
        for layer in range(layers):
            state[f"model.layers.{layer}.{name}.weight"].copy_(values[layer])
    state["model.norm.weight"].copy_(take(d))
    model.save_pretrained(folder)


def batch_of(texts):
    batch = kd.Batch(context).begin_packed(numpy.cumsum([0] + [len(t) for t in texts]))
    batch.set("tokens", numpy.concatenate(texts).astype(numpy.int64))
    return batch


def hard_loss():
    loss = kd.Loss(context)
    loss.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)
    return loss


def reference_loss(reference, texts):
    total = sum(
        torch.nn.functional.cross_entropy(
            reference(torch.tensor(t)[None]).logits[0][:-1], torch.tensor(t)[1:], reduction="sum"
        )
        for t in texts
    )
    return total / sum(len(t) - 1 for t in texts)


def check(name, passed, value):
    if not passed:
        sys.exit(f"{name}: {value}")
    return value


def values_and_gradients(name, folder, texts):
    reference, model, batch = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(),
        kd.Model.load(context, folder),
        batch_of(texts),
    )
    model.forward(batch, kd.Mode.TRAIN)
    theirs = numpy.concatenate(
        [reference(torch.tensor(t)[None]).logits[0].detach().numpy() for t in texts]
    )
    logits = check(
        f"{name}: logits", (e := numpy.abs(model.output("logits") - theirs).max()) < 1e-4, e
    )
    reference = (
        reference.double()
    )  # PyTorch's own float32 gradients are off by up to 5e-4 on SmolLM2
    reference_loss(reference, texts).backward()
    hard_loss().backward(model, batch)
    named, worst = dict(reference.named_parameters()), 0.0
    norm = max(float(p.grad.norm()) for p in named.values())
    for index, (tensor, _) in enumerate(model.tensors):
        expected = named[tensor].grad.numpy()
        worst = max(
            worst,
            float(numpy.linalg.norm(model.tensor_gradient(index) - expected))
            / max(float(numpy.linalg.norm(expected)), 1e-3 * norm),
        )
    return logits, check(f"{name}: gradients", worst < 1e-4, worst)


def twenty_steps(name, folder, texts):
    reference, model = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        kd.Model.load(context, folder),
    )
    theirs = torch.optim.AdamW(
        reference.parameters(), lr=1e-4, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.01
    )
    ours, loss, worst = (
        kd.Optimizer(
            context,
            kd.OptimizerKind.ADAMW,
            model,
            beta1=0.9,
            beta2=0.95,
            epsilon=1e-6,
            weight_decay=0.01,
        ),
        hard_loss(),
        0.0,
    )
    for step in range(20):
        part = texts[step % 2 :: 2]
        batch = batch_of(part)
        model.forward(batch, kd.Mode.TRAIN)
        mine = loss.backward(model, batch).value
        ours.step(1e-4)
        theirs.zero_grad()
        value = reference_loss(reference, part)
        value.backward()
        theirs.step()
        worst = max(worst, abs(mine - float(value)))
    return check(f"{name}: losses of 20 steps", worst < 1e-4, worst)


def folders(name, folder, text):
    """What we save loads there, rounded as its type rounds; what they save in shards loads here;
    the tokenizer goes along."""
    model = kd.Model.load(context, folder)
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for dtype, kind in (
        (kd.DType.FLOAT32, torch.float32),
        (kd.DType.BFLOAT16, torch.bfloat16),
        (kd.DType.FLOAT16, torch.float16),
    ):
        with tempfile.TemporaryDirectory() as saved:
            model.save(saved, dtype=dtype)
            again = AutoModelForCausalLM.from_pretrained(saved, dtype="auto")
            for mine, expected in zip(again.parameters(), reference.parameters()):
                check(
                    f"{name}: saved as {kind}",
                    mine.dtype == kind and torch.equal(mine, expected.to(kind)),
                    "other values",
                )
            for extra in ("tokenizer.json", "generation_config.json"):
                check(
                    f"{name}: {extra} goes along",
                    os.path.exists(f"{saved}/{extra}") == os.path.exists(f"{folder}/{extra}"),
                    "it does not",
                )
    with tempfile.TemporaryDirectory() as saved:
        size = sum(p.numel() for p in reference.parameters()) * 4
        reference.save_pretrained(saved, max_shard_size=f"{max(size // 3, 1000) // 1000}KB")
        check(
            f"{name}: shards",
            os.path.exists(saved + "/model.safetensors.index.json"),
            os.listdir(saved),
        )
        batch = batch_of([text])
        sharded = kd.Model.load(context, saved)
        sharded.forward(batch, kd.Mode.EVALUATE)
        model.forward(batch, kd.Mode.EVALUATE)
        check(
            f"{name}: shards",
            numpy.array_equal(sharded.output("logits"), model.output("logits")),
            "other logits",
        )


def main():
    if not os.path.isdir(os.path.join(DATA, "stories260k")):
        return print("SKIPPED (real_models: KD_DATA is not set)")
    with tempfile.TemporaryDirectory() as work:
        stories260k(work + "/stories260K")
        shutil.copytree(os.path.join(DATA, "tinystories-656k"), work + "/tinystories-656k")
        names = {
            "stories260K": work + "/stories260K",
            "tinystories-656k": work + "/tinystories-656k",
        }
        if os.environ.get("KD_SMOLLM2"):
            names["SmolLM2-135M"] = os.environ["KD_SMOLLM2"]
        story = (
            "Once upon a time, there was a little girl named Lily. She loved to play outside "
            "in the park with her dog. One day, it was very hot and they went to the pond. "
        )
        for name, folder in names.items():
            if os.path.exists(folder + "/tokenizer.json"):
                tokens = numpy.array(AutoTokenizer.from_pretrained(folder)(story * 3)["input_ids"])
            else:
                tokens = numpy.random.default_rng(1).integers(3, 512, 200)
            texts = [tokens[:90], tokens[20:70], tokens[5:36], tokens[30:]]
            logits, gradients = values_and_gradients(name, folder, texts)
            steps = twenty_steps(name, folder, texts)
            folders(name, folder, texts[0])
            print(
                f"{name} agreed with transformers {transformers.__version__}: logits "
                f"{logits:.1e}, gradients {gradients:.1e}, losses of 20 steps of AdamW "
                f"{steps:.1e}; folders"
            )


main()
