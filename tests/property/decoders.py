"""Language models against transformers, random small configs of every family: logits, losses,
gradients; and a folder kept both ways:
    python tests/property/decoders.py
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
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,  # noqa: E402
    Qwen3ForCausalLM,
    LlamaForSequenceClassification,
    Qwen2ForSequenceClassification,
    Qwen3ForSequenceClassification,
)

transformers.utils.logging.disable_progress_bar()
torch.manual_seed(0)
torch.set_num_threads(2)
context = kd.Context(threads=2)
worst = [0.0, 0.0, 0.0]
cases = 0


def check(name, config, family, lengths=(37, 5)):
    global cases
    reference = family(config).float().eval()
    for parameter in reference.parameters():
        if parameter.dim() == 1:  # norms and biases that do something
            torch.nn.init.normal_(parameter, 1.0, 0.1)
    with tempfile.TemporaryDirectory() as folder:
        reference.save_pretrained(folder)
        model = kd.Model.load(context, folder)
    texts = [
        numpy.random.default_rng(i).integers(0, config.vocab_size, n) for i, n in enumerate(lengths)
    ]
    batch = kd.Batch(context).begin_packed(numpy.cumsum([0] + [len(t) for t in texts]))
    batch.set("tokens", numpy.concatenate(texts).astype(numpy.int64))
    model.forward(batch, kd.Mode.TRAIN)
    mine, theirs, loss = model.output("logits").copy(), [], 0
    for text in texts:
        out = reference(torch.tensor(text)[None]).logits[0]
        theirs.append(out.detach().numpy())
        if len(text) > 1:
            loss = loss + torch.nn.functional.cross_entropy(
                out[:-1], torch.tensor(text)[1:], reduction="sum"
            )
    rows = sum(len(t) - 1 for t in texts)
    (loss / rows).backward()
    hard = kd.Loss(context)
    hard.add(kd.LossKind.CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.Align.NEXT)
    found = hard.backward(model, batch).value
    named = dict(reference.named_parameters())
    errors = [
        float(numpy.abs(numpy.concatenate(theirs) - mine).max()),
        abs(found - float(loss) / rows),
        0.0,
    ]
    norm = max(float(p.grad.norm()) for p in named.values())
    for index, (tensor, _) in enumerate(model.tensors):
        expected = named[tensor].grad.numpy()
        size = max(
            float(numpy.linalg.norm(expected)), 1e-3 * norm
        )  # a key bias's gradient is zero but for rounding
        errors[2] = max(
            errors[2], float(numpy.linalg.norm(model.tensor_gradient(index) - expected)) / size
        )
    if not all(e < 1e-4 for e in errors):
        raise SystemExit(f"{name}: errors of logits, loss, gradients: {errors}")
    with tempfile.TemporaryDirectory() as folder:  # what we save loads there with equal logits
        model.save(folder, shard_bytes=30000 * (cases % 2))
        again = family.from_pretrained(folder).float().eval()
        if (
            float(
                (again(torch.tensor(texts[0])[None]).logits[0] - torch.from_numpy(theirs[0]))
                .abs()
                .max()
            )
            > 1e-5
        ):
            raise SystemExit(f"{name}: the saved folder gives other logits")
    for i, e in enumerate(errors):
        worst[i] = max(worst[i], e)
    cases += 1


base = dict(
    vocab_size=257,
    hidden_size=48,
    intermediate_size=96,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=1024,
    pad_token_id=None,
    bos_token_id=None,
    eos_token_id=None,
)
eager = dict(attn_implementation="eager")
check(
    "llama of 777 tokens",
    LlamaConfig(**base, tie_word_embeddings=True),
    LlamaForCausalLM,
    (777, 1, 200),
)
check(
    "llama, biases, head_dim 10",
    LlamaConfig(**base, attention_bias=True, mlp_bias=True, head_dim=10),
    LlamaForCausalLM,
)
check(
    "llama, one layer, one head",
    LlamaConfig(
        **{**base, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1}
    ),
    LlamaForCausalLM,
    (1, 9),
)
check("qwen2, vocabulary 151,936", Qwen2Config(**{**base, "vocab_size": 151936}), Qwen2ForCausalLM)
check(
    "qwen2, window",
    Qwen2Config(
        **{**base, "num_hidden_layers": 4},
        use_sliding_window=True,
        sliding_window=9,
        max_window_layers=2,
        **eager,
    ),
    Qwen2ForCausalLM,
)
check("qwen3", Qwen3Config(**base, head_dim=16, tie_word_embeddings=True), Qwen3ForCausalLM)
check(
    "mistral, window",
    MistralConfig(**base, sliding_window=16, **eager),
    MistralForCausalLM,
    (300, 40),
)
for rope in (
    {"rope_type": "linear", "factor": 4.0},
    {"rope_type": "dynamic", "factor": 2.0},
    {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256},
):
    check(
        rope["rope_type"],
        LlamaConfig(**base, rope_parameters={"rope_theta": 10000.0, **rope}),
        LlamaForCausalLM,
        (150, 30),
    )
generator = numpy.random.default_rng(3)
for case in range(24):
    shared, group = int(generator.integers(1, 4)), int(generator.integers(1, 4))
    width = 2 * int(generator.integers(1, 20))
    sizes = dict(
        base,
        vocab_size=int(generator.integers(5, 400)),
        hidden_size=shared * group * int(generator.integers(1, 15)),
        intermediate_size=int(generator.integers(3, 120)),
        num_hidden_layers=int(generator.integers(1, 4)),
        num_attention_heads=shared * group,
        num_key_value_heads=shared,
        head_dim=width,
        tie_word_embeddings=bool(generator.integers(0, 2)),
    )
    kind = [
        (LlamaConfig, LlamaForCausalLM),
        (Qwen3Config, Qwen3ForCausalLM),
        (MistralConfig, MistralForCausalLM),
    ][case % 3]
    check(
        f"random {case}: {sizes}",
        kind[0](**sizes),
        kind[1],
        tuple(int(x) for x in generator.integers(1, 120, 3) + 1),
    )


def check_classifier(name, config, family):
    """Score heads: logits of the last token, and a folder both ways."""
    global cases
    reference = family(config).float().eval()
    texts = [
        numpy.random.default_rng(i).integers(1, config.vocab_size, n)
        for i, n in enumerate((9, 1, 40))
    ]
    with tempfile.TemporaryDirectory() as folder:
        reference.save_pretrained(folder)
        model = kd.Model.load(context, folder)
        batch = kd.Batch(context).begin_packed(numpy.cumsum([0] + [len(t) for t in texts]))
        batch.set("tokens", numpy.concatenate(texts).astype(numpy.int64))
        model.forward(batch, kd.Mode.EVALUATE)
        mine = model.output("logits")[numpy.cumsum([len(t) for t in texts]) - 1]
        theirs = numpy.concatenate(
            [reference(torch.tensor(t)[None]).logits.detach().numpy() for t in texts]
        )
        model.save(folder + "/again", shard_bytes=20000 * (cases % 2))
        again = family.from_pretrained(folder + "/again").float().eval()
    error = max(
        float(numpy.abs(mine - theirs).max()),
        float(
            (again(torch.tensor(texts[0])[None]).logits - torch.from_numpy(theirs[:1])).abs().max()
        ),
    )
    if not error < 1e-5 or mine.shape[1] != config.num_labels:
        raise SystemExit(f"{name}: classes: error {error}")
    cases += 1


for kind in (
    (LlamaConfig, LlamaForSequenceClassification),
    (Qwen2Config, Qwen2ForSequenceClassification),
    (Qwen3Config, Qwen3ForSequenceClassification),
):
    check_classifier(kind[1].__name__, kind[0](**dict(base, pad_token_id=0), num_labels=5), kind[1])
print(
    f"{cases} cases agreed with transformers {transformers.__version__}: largest errors "
    f"of logits {worst[0]:.1e}, loss {worst[1]:.1e}, gradients {worst[2]:.1e}"
)
