"""Makes tests/goldens/image_goldens.h from transformers 5.23 (make peers installs it): python3
tests/goldens/images.py > tests/goldens/image_goldens.h

Weights and images are formulas of a tensor's name and a number's place that the tests compute as
well, so only outputs and, for each tensor, one sum over its gradient are stored.
"""

import math

import torch
import transformers

torch.set_num_threads(1)
print(
    "/* Made by tests/goldens/images.py with transformers %s. Do not edit. */"
    % transformers.__version__
)
COMMON = dict(
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=20,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    num_labels=3,
)
IMAGE = dict(image_size=[7, 9], patch_size=[3, 4], num_channels=2, **COMMON)
SOUND = dict(
    num_mel_bins=6, max_length=9, patch_size=3, frequency_stride=2, time_stride=3, **COMMON
)
# names of modules, and of files
PARTS = [
    ("audio_spectrogram_transformer.", ""),
    ("layers.", "encoder.layer."),
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
]


def emit(name, values):
    flat = torch.as_tensor(values, dtype=torch.float64).flatten().tolist()
    print(f"static const double {name}[] = {{ " + ", ".join(f"{x:.9g}" for x in flat) + " };")


def our_name(name):
    for theirs, ours in PARTS:
        name = name.replace(theirs, ours)
    return name


def fill(name, values):
    start = sum(name.encode()) % 100 / 10
    made = [0.5 * math.sin(0.37 * i + start) for i in range(values.numel())]
    is_norm = "norm" in name and name.endswith(".weight")
    values.data = torch.tensor(made).reshape(values.shape) + float(is_norm)


def golden(family, model, shape):
    model = model.float().eval()
    named = {our_name(name): values for name, values in model.named_parameters()}
    for name, values in named.items():
        fill(name, values)
    count = math.prod(shape)
    images = torch.tensor([math.sin(0.7 * i + 0.3) for i in range(count)]).reshape(shape)
    out = model(images, output_hidden_states=True)
    hidden = out.hidden_states[-1]
    wave = torch.sin(0.9 * torch.arange(hidden.numel())).reshape(hidden.shape)
    ((hidden * wave).sum() + (out.logits * torch.tensor([1.0, -2.0, 0.5])).sum()).backward()
    emit(f"{family}_hidden", hidden.detach())
    emit(f"{family}_logits", out.logits.detach())
    names = sorted(named)
    sums = [(g := named[name].grad.flatten()) @ torch.cos(torch.arange(len(g))) for name in names]
    emit(f"{family}_gradients", torch.stack(sums))
    print(
        f"static const char *const {family}_names[] = {{ "
        + ", ".join(f'"{n}"' for n in names)
        + " };"
    )


golden(
    "vit",
    transformers.ViTForImageClassification(transformers.ViTConfig(**IMAGE)),
    (2, 2, 7, 9),
)
golden(
    "deit",
    transformers.DeiTForImageClassificationWithTeacher(transformers.DeiTConfig(**IMAGE)),
    (2, 2, 7, 9),
)
golden(
    "ast",
    transformers.ASTForAudioClassification(transformers.ASTConfig(**SOUND)),
    (2, 9, 6),
)
