"""Makes tests/goldens/encoder_heads_goldens.h from transformers 5.23 (make peers installs it):
python3 tests/goldens/encoder_heads.py > tests/goldens/encoder_heads_goldens.h

Masked language models, and ModernBERT with windows that its texts cross. Weights are formulas of a
tensor's name and a number's place that the tests compute as well, so only outputs and, for each
tensor, one sum over its gradient are stored.
"""

import math

import torch
import transformers

torch.set_num_threads(1)
print(
    "/* Made by tests/goldens/encoder_heads.py with transformers %s. Do not edit. */"
    % transformers.__version__
)
TOKENS = [[2, 7, 16, 4, 11, 3, 9], [5, 12, 8, 14]]
TYPES = [[0, 0, 0, 1, 1, 1, 1], [0, 1, 0, 1]]
SIZES = dict(
    vocab_size=17,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=20,
    max_position_embeddings=12,
)
DROPOUT = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
SHORT = dict(
    vocab_size=17,
    dim=12,
    n_layers=2,
    n_heads=3,
    hidden_dim=20,
    max_position_embeddings=12,
    dropout=0.0,
    attention_dropout=0.0,
)


def emit(name, values):
    flat = torch.as_tensor(values, dtype=torch.float64).flatten().tolist()
    print(f"static const double {name}[] = {{ " + ", ".join(f"{x:.9g}" for x in flat) + " };")


def fill(name, values):
    start = sum(name.encode()) % 100 / 10
    made = [0.5 * math.sin(0.37 * i + start) for i in range(values.numel())]
    values.data = torch.tensor(made).reshape(values.shape) + float(name.endswith("orm.weight"))


def golden(label, config, kind):
    model = kind(config).float().eval()
    unused = [] if config.tie_word_embeddings else ["lm_head.bias"]
    tensors = {n: v for n, v in model.named_parameters() if n not in unused}
    for name, values in tensors.items():
        fill(name, values)
    logits = []
    for text, types in zip(TOKENS, TYPES):
        more = {"token_type_ids": torch.tensor([types])} if label == "bert_masked" else {}
        logits.append(model(torch.tensor([text]), **more).logits.flatten(0, -2))
    logits = torch.cat(logits)
    (logits * torch.sin(0.9 * torch.arange(logits.numel())).reshape(logits.shape)).sum().backward()
    emit(f"{label}_logits", logits.detach())
    names = sorted(tensors)
    sums = [(g := tensors[n].grad.flatten()) @ torch.cos(torch.arange(len(g))) for n in names]
    emit(f"{label}_gradients", torch.stack(sums))
    listed = ", ".join(f'"{n}"' for n in names)
    print(f"static const char *const {label}_names[] = {{ {listed} }};")


golden(
    "bert_masked",
    transformers.BertConfig(**SIZES, **DROPOUT, type_vocab_size=2),
    transformers.BertForMaskedLM,
)
golden(
    "distilbert_masked", transformers.DistilBertConfig(**SHORT), transformers.DistilBertForMaskedLM
)
golden(
    "roberta_masked",
    transformers.RobertaConfig(**SIZES, **DROPOUT, type_vocab_size=2, tie_word_embeddings=False),
    transformers.RobertaForMaskedLM,
)

MODERN = dict(
    vocab_size=17,
    hidden_size=12,
    num_hidden_layers=3,
    num_attention_heads=3,
    intermediate_size=20,
    max_position_embeddings=12,
    local_attention=4,
    pad_token_id=0,
    cls_token_id=1,
    sep_token_id=1,
    bos_token_id=1,
    eos_token_id=1,
)
golden(
    "modernbert_masked", transformers.ModernBertConfig(**MODERN), transformers.ModernBertForMaskedLM
)
golden(
    "modernbert_classes",
    transformers.ModernBertConfig(
        **MODERN,
        num_labels=3,
        classifier_pooling="mean",
        norm_bias=True,
        attention_bias=True,
        mlp_bias=True,
        classifier_bias=True,
    ),
    transformers.ModernBertForSequenceClassification,
)
