"""Makes tests/goldens/encoder_goldens.h from transformers 5.23 (make peers installs it): python3
tests/goldens/encoders.py > tests/goldens/encoder_goldens.h

Weights are formulas of a tensor's name and a number's place that the tests compute as well, so only
outputs and, for each tensor, one sum over its gradient are stored.
"""

import math

import torch
import transformers

torch.set_num_threads(1)
print(
    "/* Made by tests/goldens/encoders.py with transformers %s. Do not edit. */"
    % transformers.__version__
)
TOKENS = [[2, 7, 16, 4, 11, 3, 9], [5, 12, 8, 14]]
TYPES = [[0, 0, 0, 1, 1, 1, 1], [0, 1, 0, 1]]
COMMON = dict(
    vocab_size=17,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=20,
    max_position_embeddings=12,
    type_vocab_size=2,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    num_labels=3,
)
SHORT = dict(
    vocab_size=17,
    dim=12,
    n_layers=2,
    n_heads=3,
    hidden_dim=20,
    max_position_embeddings=12,
    dropout=0.0,
    attention_dropout=0.0,
    seq_classif_dropout=0.0,
    num_labels=3,
)


def emit(name, values):
    flat = torch.as_tensor(values, dtype=torch.float64).flatten().tolist()
    print(f"static const double {name}[] = {{ " + ", ".join(f"{x:.9g}" for x in flat) + " };")


def fill(name, values):
    start = sum(name.encode()) % 100 / 10
    made = [0.5 * math.sin(0.37 * i + start) for i in range(values.numel())]
    values.data = torch.tensor(made).reshape(values.shape) + float(name.endswith("orm.weight"))


def golden(family, config, kind):
    model = kind(config).float().eval()
    for name, values in model.named_parameters():
        fill(name, values)
    hidden, logits = [], []
    for text, types in zip(TOKENS, TYPES):
        more = {} if family == "distilbert" else {"token_type_ids": torch.tensor([types])}
        out = model(torch.tensor([text]), output_hidden_states=True, **more)
        hidden.append(out.hidden_states[-1][0])
        logits.append(out.logits[0])
    hidden, logits = torch.cat(hidden), torch.stack(logits)
    wave = torch.sin(0.9 * torch.arange(hidden.numel())).reshape(hidden.shape)
    ((hidden * wave).sum() + (logits * torch.tensor([1.0, -2.0, 0.5])).sum()).backward()
    emit(f"{family}_hidden", hidden.detach())
    emit(f"{family}_logits", logits.detach())
    names = sorted(name for name, _ in model.named_parameters())
    sums = [
        (g := dict(model.named_parameters())[name].grad.flatten()) @ torch.cos(torch.arange(len(g)))
        for name in names
    ]
    emit(f"{family}_gradients", torch.stack(sums))
    print(
        f"static const char *const {family}_names[] = {{ "
        + ", ".join(f'"{n}"' for n in names)
        + " };"
    )


golden("bert", transformers.BertConfig(**COMMON), transformers.BertForSequenceClassification)
golden(
    "distilbert",
    transformers.DistilBertConfig(**SHORT),
    transformers.DistilBertForSequenceClassification,
)
golden(
    "roberta", transformers.RobertaConfig(**COMMON), transformers.RobertaForSequenceClassification
)
