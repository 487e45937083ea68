"""Transformers over patches against transformers, random small configs of ViT, DeiT and AST: hidden
states of all layers, classifiers' logits, gradients of all tensors; images of any shape that fields
may have; folders both ways, with the names of files and of modules; students:
    python tests/property/image_models.py [shapes]
"""

import os
import sys
import tempfile
import warnings

import numpy
import torch
from safetensors.torch import load_file, save_file

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
    "vit": ("ViT", ["Model", "ForImageClassification"]),
    "deit": ("DeiT", ["Model", "ForImageClassification", "ForImageClassificationWithTeacher"]),
    "audio-spectrogram-transformer": ("AST", ["Model", "ForAudioClassification"]),
}
# what the modules of transformers 5 are called, and files: the longest first
PARTS = [
    ("layers.", "encoder.layer."),
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
]


def file_name(module):
    for here, there in PARTS:
        module = module.replace(here, there)
    return module


def model_name(tensor):
    """Without what is too long for a name of ours."""
    return tensor.removeprefix("audio_spectrogram_transformer.")


def side(rng):
    """A number, or [height, width]; what is left of an image over its patches is not seen."""
    return (
        [int(n) for n in rng.integers(9, 24, 2)] if rng.integers(0, 2) else int(rng.integers(9, 24))
    )


def config_of(name, rng):
    heads, width = int(rng.integers(1, 6)), int(rng.integers(1, 20))
    sizes = dict(hidden_size=heads * width, num_attention_heads=heads, initializer_range=0.3)
    sizes.update(
        intermediate_size=int(rng.integers(3, 90)), num_hidden_layers=int(rng.integers(1, 5))
    )
    sizes.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    sizes.update(
        qkv_bias=bool(rng.integers(0, 4)), layer_norm_eps=float(10.0 ** -rng.integers(4, 13))
    )
    if name == "audio-spectrogram-transformer":
        sizes.update(patch_size=int(rng.integers(2, 7)), frequency_stride=int(rng.integers(1, 7)))
        sizes.update(time_stride=int(rng.integers(1, 7)), num_mel_bins=int(rng.integers(7, 20)))
        sizes.update(max_length=int(rng.integers(7, 30)))
    else:
        patch = (
            [int(n) for n in rng.integers(2, 8, 2)]
            if rng.integers(0, 2)
            else int(rng.integers(2, 8))
        )
        sizes.update(image_size=side(rng), patch_size=patch, num_channels=int(rng.integers(1, 5)))
    return sizes


def reference_of(name, sizes, head, rng):
    stem = FAMILIES[name][0]
    config = getattr(transformers, stem + "Config")(**sizes, num_labels=int(rng.integers(1, 6)))
    made = getattr(transformers, stem + head)(config).float().eval()
    for tensor, values in made.named_parameters():
        if values.dim() == 1:  # norms and biases that do something
            norm = "norm" in tensor and tensor.endswith("weight")
            torch.nn.init.normal_(values, float(norm), 0.2)
        elif values.dim() == 3:  # tokens and positions
            torch.nn.init.normal_(values, 0, 0.3)
    return made


def images_of(name, sizes, rng):
    count = int(rng.integers(1, 6))
    if name == "audio-spectrogram-transformer":
        shape = (sizes["max_length"], sizes["num_mel_bins"])
    else:
        size = sizes["image_size"]
        shape = (sizes["num_channels"], *([size, size] if isinstance(size, int) else size))
    return rng.normal(size=(count, *shape)).astype(numpy.float32)


def batch_of(name, images, rng):
    """As images, as rows of numbers, or one for each of the samples of longer texts."""
    field = "mel" if name == "audio-spectrogram-transformer" else "pixels"
    form = int(rng.integers(0, 3))
    if form == 1:
        images = images.reshape(len(images), -1)
    if form < 2:
        return kd.Batch(context).begin(len(images)).set(field, images)
    batch = kd.Batch(context).begin_packed(3 * numpy.arange(len(images) + 1))
    return batch.set_per_sample(field, images)


def theirs(reference, images):
    """Outputs by our names."""
    out = reference(torch.from_numpy(images), output_hidden_states=True)
    states = out.hidden_states
    named = {"hidden.embedding": states[0]}
    named.update({f"hidden.{i}": h for i, h in enumerate(states[1:])})
    if "last_hidden_state" in out:
        named["hidden"] = out.last_hidden_state
        first = out.last_hidden_state[:, 0]
        sound = reference.config.model_type == "audio-spectrogram-transformer"
        named["pooled"] = out.pooler_output if sound else first
    else:
        named["logits"] = out.logits
    if "distillation_logits" in out:
        named["logits.class"] = out.cls_logits
        named["logits.distillation"] = out.distillation_logits
    return named


def relative(mine, expected, floor):
    size = max(float(numpy.linalg.norm(expected)), floor)
    return float(numpy.linalg.norm(mine - expected)) / size


def check_outputs(model, named, rng, worst):
    """Largest error of outputs; gradients of their sum with random weights go both ways."""
    loss = 0
    for output, values in named.items():
        mine = model.output(output)
        if mine.shape != tuple(values.shape):
            raise SystemExit(f"{output}: {mine.shape} against {tuple(values.shape)}")
        error = float(numpy.abs(mine - values.detach().numpy()).max())
        worst[0] = max(worst[0], error / max(1.0, float(values.detach().abs().max())))
        weights = rng.normal(size=values.shape).astype(numpy.float32) / len(named)
        model.add_output_gradient(output, weights)
        loss = loss + (values * torch.from_numpy(weights)).sum()
    loss.backward()
    model.backward()


def check_gradients(model, reference, worst):
    grads = {model_name(file_name(n)): p.grad for n, p in reference.named_parameters()}
    norm = max(float(g.norm()) for g in grads.values() if g is not None)
    for index, (tensor, values) in enumerate(model.tensors):
        expected = grads[tensor]
        expected = numpy.zeros(values.shape) if expected is None else expected.numpy()
        worst[1] = max(worst[1], relative(model.tensor_gradient(index), expected, 1e-3 * norm))


def compare(name, rng, worst):
    head = FAMILIES[name][1][int(rng.integers(0, len(FAMILIES[name][1])))]
    sizes = config_of(name, rng)
    reference, images = reference_of(name, sizes, head, rng), images_of(name, sizes, rng)
    with tempfile.TemporaryDirectory() as folder:
        reference.save_pretrained(folder)
        model = kd.Model.load(context, folder)
        model.forward(batch_of(name, images, rng), kd.Mode.TRAIN)
        named = theirs(reference, images)
        check_outputs(model, named, rng, worst)
        check_gradients(model, reference, worst)
        check_student(name, head, model, reference, folder, images, rng)
        check_again(name, head, model, reference, folder, images, named, rng)
    if worst[0] > 1e-4 or worst[1] > 1e-3:
        raise SystemExit(f"{name}{head}: {sizes}: errors of outputs, gradients: {worst}")


def check_again(name, head, model, reference, folder, images, named, rng):
    """What we save, transformers loads, with equal numbers; we read its modules' names."""
    model.save(folder + "/again")
    again = type(reference).from_pretrained(folder + "/again").float().eval()
    last = "logits" if "logits" in named else "hidden"
    error = float((theirs(again, images)[last] - named[last]).abs().max())
    if error > 1e-5:
        raise SystemExit(f"{name}{head}: the saved folder gives other numbers: {error}")
    stored = load_file(folder + "/again/model.safetensors")
    modules = {file_name(n): n for n, _ in reference.named_parameters()}
    prefix = reference.base_model_prefix + "."
    turned = {}
    for tensor, values in stored.items():
        module = modules[tensor]
        bare = tensor.split(".")[0].endswith("classifier") or module.startswith(prefix)
        turned[module.removeprefix(prefix) if bare else prefix + module] = values
    save_file(turned, folder + "/again/model.safetensors")
    model = kd.Model.load(context, folder + "/again")
    model.forward(batch_of(name, images, rng), kd.Mode.EVALUATE)
    error = float(numpy.abs(model.output(last) - named[last].detach().numpy()).max())
    if error > 1e-4 * max(1.0, float(named[last].detach().abs().max())):
        raise SystemExit(f"{name}{head}: modules' names give other numbers: {error}")


def check_student(name, head, model, reference, folder, images, rng):
    """A student that is cut out of a model is what transformers loads."""
    sizes = reference.config
    heads, layers = sizes.num_attention_heads, sizes.num_hidden_layers
    student = model.student(
        layer_map=[int(i) for i in rng.integers(0, layers, int(rng.integers(1, 4)))],
        hidden_size=sizes.hidden_size // heads * int(rng.integers(1, heads + 1)),
        intermediate_size=int(rng.integers(1, sizes.intermediate_size + 1)),
        calibration=batch_of(name, images, rng) if rng.integers(0, 2) else None,
    )
    student.save(folder + "/student")
    again = type(reference).from_pretrained(folder + "/student").float().eval()
    student.forward(batch_of(name, images, rng), kd.Mode.EVALUATE)
    named = theirs(again, images)
    last = "logits" if "logits" in named else "hidden"
    error = float(numpy.abs(student.output(last) - named[last].detach().numpy()).max())
    if error > 1e-4 * max(1.0, float(named[last].detach().abs().max())):
        raise SystemExit(f"{name}{head}: transformers has other numbers of a student: {error}")


def main():
    shapes = int(sys.argv[1]) if len(sys.argv) > 1 else 45
    worst = [0.0, 0.0]
    for shape in range(shapes):
        torch.manual_seed(shape)
        compare(list(FAMILIES)[shape % 3], numpy.random.default_rng(shape), worst)
    print(
        f"{shapes} shapes agreed with transformers {transformers.__version__}: largest errors of "
        f"outputs {worst[0]:.1e}, gradients {worst[1]:.1e}"
    )


if __name__ == "__main__":
    main()
