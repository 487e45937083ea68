"""Rivals of bench/language.py: each function is run in a process of its own and returns a rate."""

import json
import os
import subprocess
import tempfile
import time

import numpy
import rivals
from language_ours import NEW, PROMPT, median_time, prompts, tokens_of


def torch_model(shape, folder=None):
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    if folder:
        return torch, transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return torch, transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape))


def bfloat16_where(torch, wanted):
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=wanted)


def torch_train(shape, rows, length, compiled=False, autocast=False):
    torch, model = torch_model(shape)
    model.train()
    optimizer, tokens = (
        torch.optim.AdamW(model.parameters(), 1e-4, foreach=True),
        torch.from_numpy(tokens_of(shape, rows, length)),
    )
    run = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad()
        with bfloat16_where(torch, autocast):
            loss = run(tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()

    return rows * length / median_time(step, 5)


def torch_forward(shape, rows, length, folder=None, compiled=False, autocast=False):
    torch, model = torch_model(shape, folder)
    tokens = torch.from_numpy(tokens_of(shape, rows, length))
    model.eval()
    run = torch.compile(model) if compiled else model
    with torch.no_grad(), bfloat16_where(torch, autocast):
        return rows * length / median_time(lambda: run(tokens).logits, 7)


def onnx_forward(shape, rows, length):
    """The same model as torch exports it."""
    import onnxruntime

    torch, model = torch_model(shape)

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model.eval()

        def forward(self, tokens):
            return self.model(tokens, use_cache=False).logits

    tokens = torch.from_numpy(tokens_of(shape, rows, length))
    with tempfile.TemporaryDirectory() as path:
        file = os.path.join(path, "model.onnx")
        torch.onnx.export(Logits(), (tokens,), file, input_names=["tokens"], dynamo=True)
        session = onnxruntime.InferenceSession(file, rivals.onnx_options(onnxruntime))
    return rows * length / median_time(lambda: session.run(None, {"tokens": tokens.numpy()}), 7)


def torch_generate(folder, data, count):
    torch, model = torch_model(None, folder)
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor(prompts(lambda t: tokenizer(t)["input_ids"], data, count))
    times = []
    for new in (1, NEW + 1):
        start = time.perf_counter()
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new,
            min_new_tokens=new,
            do_sample=True,
            pad_token_id=0,
        )
        times.append(time.perf_counter() - start)
    return count * NEW / (times[1] - times[0])


def torch_trained(folder, compiled):
    torch, model = torch_model(None, folder)
    tokens = torch.from_numpy(numpy.load(os.path.join(folder, "tokens.npy")))
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), 0.0, foreach=True)
    run = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad()
        run(tokens, labels=tokens).loss.backward()
        optimizer.step()

    return tokens.numel() / median_time(step, 5)


def peer_tokenize(folder, data):
    import tokenizers

    tokenizer, text = (
        tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json")),
        open(os.path.join(data, "text", "tinyshakespeare.txt")).read(),
    )
    return (
        len(text)
        / 1e6
        / median_time(lambda: tokenizer.encode(text, add_special_tokens=False), 3, 1)
    )


# ---- llama.cpp ----
def llama_package(name):
    """The functions of llama.h, as llama.cpp's Python package or that of ik_llama.cpp has them."""
    import importlib

    found = importlib.import_module("ik_llama_cpp._ctypes_api" if name == "ik_llama_cpp" else name)
    if not hasattr(found, "llama_log_set"):
        return found, None
    quiet = found.llama_log_callback(lambda *_: None)  # kept: a callback that is collected crashes
    found.llama_log_set(quiet, None)
    return found, quiet


def llama_generate(folder, data, count, file, package="llama_cpp"):
    """llama.cpp's own batches: every sequence gets a token a call."""
    import transformers

    lc, _quiet = llama_package(package)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = prompts(lambda t: tokenizer(t)["input_ids"], data, count)
    lc.llama_backend_init()
    model = lc.llama_model_load_from_file(file.encode(), lc.llama_model_default_params())
    options = lc.llama_context_default_params()
    options.n_ctx, options.n_batch, options.n_ubatch, options.n_seq_max = (
        count * (PROMPT + NEW + 32),
        2048,
        512,
        count,
    )
    options.n_threads = options.n_threads_batch = rivals.threads()
    context, batch, vocabulary = (
        lc.llama_init_from_model(model, options),
        lc.llama_batch_init(max(count, PROMPT), 0, 1),
        lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(model)),
    )

    def put(entries):
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, wanted) in enumerate(entries):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = (
                token,
                position,
                1,
                sequence,
                wanted,
            )
        assert lc.llama_decode(context, batch) == 0

    last = []
    for sequence, prompt in enumerate(texts):
        put([(token, i, sequence, i == PROMPT - 1) for i, token in enumerate(prompt)])
        last.append(
            int(
                numpy.ctypeslib.as_array(
                    lc.llama_get_logits_ith(context, PROMPT - 1), (vocabulary,)
                ).argmax()
            )
        )
    start = time.perf_counter()
    for step in range(NEW):
        put([(token, PROMPT + step, sequence, True) for sequence, token in enumerate(last)])
        last = [
            int(
                numpy.ctypeslib.as_array(
                    lc.llama_get_logits_ith(context, i), (vocabulary,)
                ).argmax()
            )
            for i in range(count)
        ]
    return count * NEW / (time.perf_counter() - start)


def llama_batched_bench(count, file):
    """llama.cpp's own program: the same prompts' length, sequences and new tokens."""
    line = [
        "llama-batched-bench",
        "-m",
        file,
        "-c",
        str(count * (PROMPT + NEW + 32)),
        "-b",
        "2048",
        "-ub",
        "512",
        "-npp",
        str(PROMPT),
        "-ntg",
        str(NEW),
        "-npl",
        str(count),
        "-t",
        str(rivals.threads()),
        "-tb",
        str(rivals.threads()),
        "--output-format",
        "jsonl",
    ]
    printed = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    return json.loads(next(text for text in printed if text.startswith("{")))["speed_tg"]
