"""Outputs of a decoder's layers against transformers, random small configs: hidden states after
each layer; queries, keys and values as attention multiplies them; gradients that all of them
push back; evaluating passes that keep them, too:
    python tests/property/layer_outputs.py [shapes]
"""

import importlib
import os
import sys
import tempfile

import numpy
import torch

os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402
import transformers  # noqa: E402

transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(2)
context = kd.Context(threads=2)
FAMILIES = ["Llama", "Mistral", "Qwen2", "Qwen3"]


def reference_of(family, rng):
    groups, each = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    sizes = dict(
        vocab_size=int(rng.integers(10, 200)),
        hidden_size=groups * each * 2 * int(rng.integers(1, 9)),
        intermediate_size=int(rng.integers(3, 90)),
        num_hidden_layers=int(rng.integers(1, 5)),
        num_attention_heads=groups * each,
        num_key_value_heads=groups,
        head_dim=2 * int(rng.integers(1, 13)),
        initializer_range=0.2,
    )
    if family == "Qwen2":
        sizes["head_dim"] = sizes["hidden_size"] // (groups * each)
    config = getattr(transformers, family + "Config")(**sizes)
    config._attn_implementation = "eager"
    made = getattr(transformers, family + "ForCausalLM")(config).float().eval()
    for values in made.parameters():
        if values.dim() == 1:  # norms and biases that do something
            torch.nn.init.normal_(values, 1.0, 0.2)
    return made


def record(reference, family, text):
    """{name: values} of one text. Queries and keys are caught after the rotation."""
    name = family.lower()
    module = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    rotate, turned, values = module.apply_rotary_pos_emb, [], []

    def rotate_and_record(*arguments, **more):
        turned.append(rotate(*arguments, **more))
        return turned[-1]

    layers = reference.model.layers
    hooks = [
        layer.self_attn.v_proj.register_forward_hook(lambda _m, _i, out: values.append(out[0]))
        for layer in layers
    ]
    states = []
    hooks += [
        layer.register_forward_hook(
            lambda _m, _i, out: states.append(out[0] if out[0].dim() == 2 else out[0][0])
        )
        for layer in layers
    ]
    module.apply_rotary_pos_emb = rotate_and_record
    reference(torch.tensor(text)[None])
    module.apply_rotary_pos_emb = rotate
    for hook in hooks:
        hook.remove()
    named = {}
    for i in range(len(layers)):
        query, key = (t[0].transpose(0, 1).flatten(1) for t in turned[i])
        named[f"hidden.{i}"], named[f"attention.{i}.value"] = states[i], values[i]
        named[f"attention.{i}.query"], named[f"attention.{i}.key"] = query, key
    return named


def compare(family, rng, worst):
    reference = reference_of(family, rng)
    with tempfile.TemporaryDirectory() as folder:
        reference.save_pretrained(folder)
        model = kd.Model.load(context, folder, recompute=int(rng.integers(0, 2)))
    model.keep("*")
    vocabulary = reference.config.vocab_size
    texts = [rng.integers(0, vocabulary, int(n)) for n in rng.integers(1, 60, rng.integers(1, 5))]
    batch = kd.Batch(context).begin_packed(numpy.cumsum([0] + [len(t) for t in texts]))
    batch.set("tokens", numpy.concatenate(texts).astype(numpy.int64))
    parts = [record(reference, family, text) for text in texts]
    named = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    loss = 0
    for mode in kd.Mode.EVALUATE, kd.Mode.TRAIN:
        model.forward(batch, mode)
        for name, values in named.items():
            expected = values.detach().numpy()
            scale = max(1, numpy.abs(expected).max())
            error = numpy.abs(model.output(name) - expected).max() / scale
            worst[0] = max(worst[0], float(error))
    for name, values in named.items():
        weights = rng.normal(size=values.shape).astype(numpy.float32)
        model.add_output_gradient(name, weights)
        loss = loss + (values * torch.from_numpy(weights)).sum()
    loss.backward()
    model.backward()
    gradients = {name: p.grad for name, p in reference.named_parameters() if p.grad is not None}
    norm = max(float(g.norm()) for g in gradients.values())
    for index, (tensor, values) in enumerate(model.tensors):
        expected = gradients[tensor].numpy() if tensor in gradients else numpy.zeros(values.shape)
        size = max(float(numpy.linalg.norm(expected)), 1e-3 * norm)
        error = numpy.linalg.norm(model.tensor_gradient(index) - expected) / size
        worst[1] = max(worst[1], float(error))
    if worst[0] > 1e-4 or worst[1] > 1e-3:
        raise SystemExit(f"{family}: {reference.config}: errors of outputs, gradients: {worst}")


def main():
    shapes, worst = int(sys.argv[1]) if len(sys.argv) > 1 else 40, [0.0, 0.0]
    for shape in range(shapes):
        compare(FAMILIES[shape % len(FAMILIES)], numpy.random.default_rng(shape), worst)
    print(
        f"{shapes} shapes agreed with transformers {transformers.__version__}: largest errors of "
        f"outputs {worst[0]:.1e}, gradients {worst[1]:.1e}"
    )


main()
