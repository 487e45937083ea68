"""Language models beside torch, transformers and llama.cpp: training, whole forward passes, generation. Every figure is a process of its own, the two sides
alternate, medians and the ratio are printed, and the largest resident memory.

    PEERS=folder sh bench/with_peers.sh bench/language.py [SMOLLM2 [DATA]] [part ...] [shape ...]
    parts: scale, train, memory, forward, skip, tokenize, generate (all of them); shapes, for train, memory and forward: llama-288x6, smollm2-135m (both)

SMOLLM2 is a Hugging Face folder of SmolLM2-135M (with gguf/*.gguf beside it for llama.cpp), DATA the folder of the texts.
"""
import glob
import json
import os
import resource
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))
import numpy

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SHAPES = {"llama-288x6": (dict(vocab_size=32000, hidden_size=288, intermediate_size=768, num_hidden_layers=6, num_attention_heads=6, num_key_value_heads=6,
                               max_position_embeddings=1024, tie_word_embeddings=True), 8, 256),
          "smollm2-135m": (dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
                                max_position_embeddings=2048, tie_word_embeddings=True), 2, 256)}
PROMPT, NEW = 128, 64


def median_time(work, repeats, warm=2):
    for _ in range(warm):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def tokens_of(shape, rows, length):
    return numpy.random.default_rng(0).integers(0, shape["vocab_size"], (rows, length))


# ---- ours ----
def ours_context(products="FLOAT32"):
    import kdistill
    return kdistill, kdistill.Context(threads=int(os.environ.get("THREADS", "2")), products=getattr(kdistill, "PRODUCTS_" + products))


def packed(context, tokens):
    batch = context.batch().begin_packed(numpy.arange(0, tokens.size + 1, tokens.shape[1]))
    batch.set("tokens", tokens.reshape(-1).astype(numpy.int64))
    return batch


def ours_train(shape, rows, length, again=0, products="FLOAT32", activations="FLOAT32", shared=0):
    """again: layers whose values are computed again; shared: layers are updated by the backward pass and share a place for their gradients."""
    kd, context = ours_context(products)
    model = context.model(dict(shape, model_type="llama"), recompute=int(again > 0), recompute_layers=again, activations=getattr(kd, activations),
                          shared_gradients=shared)
    batch, loss, optimizer = packed(context, tokens_of(shape, rows, length)), context.loss(), context.optimizer(kd.ADAMW, model)
    loss.add(kd.LOSS_CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.ALIGN_NEXT)

    def step():
        if shared:
            optimizer.begin_step(1e-4)
        model.forward(batch, kd.TRAIN)
        loss.backward(model, batch)
        optimizer.step(1e-4)

    return rows * length / median_time(step, 5)


def ours_forward(shape, rows, length, folder=None, weights="FLOAT32", products="FLOAT32"):
    kd, context = ours_context(products)
    options = dict(frozen=1, weights=getattr(kd, weights))
    model = context.load_model(folder, **options) if folder else context.model(dict(shape, model_type="llama"), **options)
    batch = packed(context, tokens_of(shape, rows, length))

    def forward():
        model.forward(batch, kd.EVALUATE)
        model.output("logits")

    return rows * length / median_time(forward, 7)


def prompts(tokenizer, data, count):
    text = open(os.path.join(data, "text", "tinyshakespeare.txt")).read()
    ids = tokenizer(text[:8 * PROMPT * count])
    return [list(map(int, ids[i * PROMPT:(i + 1) * PROMPT])) for i in range(count)]


def ours_generate(folder, data, count, weights, cache="FLOAT32"):
    """New tokens a second while all sequences run: from the last one's first token to the first one's last."""
    kd, context = ours_context()
    tokenizer, model = context.tokenizer(folder), context.load_model(folder, frozen=1)
    texts, rates = prompts(tokenizer.encode, data, count), []
    for _ in range(3):
        generator = model.generator(max_sequences=count, weights=getattr(kd, weights), cache=getattr(kd, cache), cache_tokens=count * (PROMPT + NEW + 32))
        times, made, begun = [], [0] * count, [0]

        def token(request, *_):
            times.append(time.perf_counter())
            made[request] += 1
            if made[request] == 1:
                begun[0] = len(times)
            elif made[request] == NEW:
                ended.append(len(times))

        ended = []
        for i, prompt in enumerate(texts):
            generator.add(prompt, max_tokens=NEW, temperature=1.0, seed=i, token=token)
        list(generator)
        rates.append((ended[0] - begun[0]) / (times[ended[0] - 1] - times[begun[0] - 1]))
    return statistics.median(rates)


def ours_divergence(folder, data):
    """Mean KL of 8-bit logits to float32 ones on GSM8K's text, nats a token."""
    kd, context = ours_context()
    tokenizer, kept = context.tokenizer(folder), []
    text = " ".join(json.loads(line)["question"] + " " + json.loads(line)["answer"] for line in open(os.path.join(data, "gsm8k", "train.jsonl")).readlines()[:80])
    batch = packed(context, tokenizer.encode(text)[:4096].reshape(-1, 256))
    for weights in (kd.FLOAT32, kd.INT8):
        model = context.load_model(folder, frozen=1, weights=weights)
        model.forward(batch, kd.EVALUATE)
        z = model.output("logits").astype(numpy.float64)
        kept.append(z - z.max(1, keepdims=True) - numpy.log(numpy.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)))
    return float((numpy.exp(kept[0]) * (kept[0] - kept[1])).sum(1).mean())


def ours_cache_divergence(folder, data):
    """Mean KL of the distributions behind 64 prompts with 16-bit keys and values to those with float32 ones, nats a token."""
    kd, context = ours_context()
    tokenizer, model, kept = context.tokenizer(folder), context.load_model(folder, frozen=1), []
    tensors = dict(model.tensors())
    head = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"])
    for cache in (kd.FLOAT32, kd.FLOAT16):
        generator = model.generator(max_sequences=64, cache=cache, cache_tokens=64 * (PROMPT + 64))
        for prompt in prompts(tokenizer.encode, data, 64):
            generator.add(prompt, max_tokens=1, keep_hidden=1)
        z = (numpy.concatenate([text.hidden for text in sorted(generator, key=lambda t: t.request)]) @ head.T).astype(numpy.float64)
        kept.append(z - z.max(1, keepdims=True) - numpy.log(numpy.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)))
    return float((numpy.exp(kept[0]) * (kept[0] - kept[1])).sum(1).mean())


def ours_tokenize(folder, data):
    """Millions of bytes a second, one thread, tinyshakespeare."""
    import kdistill as kd
    tokenizer, text = kd.Context(threads=1).tokenizer(folder), open(os.path.join(data, "text", "tinyshakespeare.txt"), "rb").read()
    return len(text) / 1e6 / median_time(lambda: tokenizer.encode(text), 5)


def peer_tokenize(folder, data):
    import tokenizers
    tokenizer, text = tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json")), open(os.path.join(data, "text", "tinyshakespeare.txt")).read()
    return len(text) / 1e6 / median_time(lambda: tokenizer.encode(text, add_special_tokens=False), 3, 1)


def operations(shape, length):
    """Of a training step's products, a token: six a parameter of a matrix, and those of attention over half the length."""
    d, q = shape["hidden_size"], shape["hidden_size"] // shape["num_attention_heads"] * (shape["num_attention_heads"] + 2 * shape["num_key_value_heads"])
    layer = d * q + d * d + 3 * d * shape["intermediate_size"]
    return 6 * (shape["num_hidden_layers"] * layer + shape["vocab_size"] * d) + shape["num_hidden_layers"] * 7 * d * length


def product_speeds():
    return ours_context()[1].measure_products()


def print_share(shape, rows, length):
    """The share of what the products alone reach here that whole training steps reach."""
    speeds = measure("product_speeds")[0]
    for speed, products in zip(speeds, ("FLOAT32", "BFLOAT16")):
        rate = measure("ours_train", shape, rows, length, 0, products)[0] * operations(shape, length)
        print(f"  {products.lower()}: products alone {speed / 1e9:.0f} GFLOP/s, a whole step {rate / 1e9:.0f}: {rate / speed:.2f}", flush=True)


def scaling():
    """Microseconds of a training step a token: the same for any number of tokens, and a straight line over layers."""
    shape = SHAPES["llama-288x6"][0]
    print("\ntraining Llama 288 wide, microseconds a token")
    for layers in (3, 6, 12):
        costs = [1e6 / measure("ours_train", dict(shape, num_hidden_layers=layers), rows, 256)[0] for rows in (2, 4, 8, 16)]
        print(f"  {layers:2} layers, 2, 4, 8, 16 x 256 tokens: " + ", ".join(f"{cost:.0f}" for cost in costs), flush=True)


# ---- a trained model's head, with small blocks of its gradient left out ----
def trained_folder(tokenizer_folder, data, steps):
    """A Llama of 288 x 6 trained on GSM8K and tinyshakespeare, made once. Ids are ranks: the vocabulary is sorted by frequency."""
    import kdistill as kd
    shape, rows, length = SHAPES["llama-288x6"]
    folder = os.path.join(os.environ.get("BENCH_FOLDER", os.path.join(HERE, "..", "build", "bench")), f"llama-288x6-{steps}")
    context = kd.Context(threads=2, products=kd.PRODUCTS_MEASURED)
    tokenizer = context.tokenizer(tokenizer_folder)
    text = "\n".join(json.loads(line)["question"] + "\n" + json.loads(line)["answer"] for line in open(os.path.join(data, "gsm8k", "train.jsonl")))
    ids = tokenizer.encode(text + open(os.path.join(data, "text", "tinyshakespeare.txt")).read())
    rank = numpy.empty(len(tokenizer), numpy.int64)
    rank[numpy.argsort(-numpy.bincount(ids, minlength=len(tokenizer)), kind="stable")] = numpy.arange(len(tokenizer))
    pieces = numpy.minimum(rank[ids], shape["vocab_size"] - 1)[:len(ids) // length * length].reshape(-1, length)
    pieces = numpy.random.default_rng(0).permutation(pieces)
    if not os.path.exists(os.path.join(folder, "config.json")):
        os.makedirs(folder, exist_ok=True)
        model = context.model(dict(shape, model_type="llama"))
        loss, optimizer, rate = context.loss(), context.optimizer(kd.ADAMW, model, weight_decay=0.01, clip_norm=1), context.cosine(1e-3, 1e-4, steps)
        loss.add(kd.LOSS_CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.ALIGN_NEXT)
        for step in range(steps):
            batch = packed(context, pieces[64 + (step * rows + numpy.arange(rows)) % (len(pieces) - 64)])
            model.forward(batch, kd.TRAIN)
            value = loss.backward(model, batch)["value"]
            optimizer.step(rate(step) * min(1, (step + 1) / 50))
            if step % 100 == 0:
                print(f"  step {step}: {value:.3f} nats a token", file=sys.stderr, flush=True)
        model.save(folder)
    numpy.save(os.path.join(folder, "tokens.npy"), pieces[:rows])
    return folder


def trained_step(folder, bound):
    kd, context = ours_context()
    model, batch = context.load_model(folder), packed(context, numpy.load(os.path.join(folder, "tokens.npy")))
    loss = context.loss(skip_bound=bound)
    loss.add(kd.LOSS_CROSS_ENTROPY, 1.0, label_field="tokens", align=kd.ALIGN_NEXT)
    return kd, context, model, batch, loss


def ours_trained(folder, bound):
    kd, context, model, batch, loss = trained_step(folder, bound)
    optimizer, rows = context.optimizer(kd.ADAMW, model), numpy.load(os.path.join(folder, "tokens.npy")).size

    def step():
        model.forward(batch, kd.TRAIN)
        loss.backward(model, batch)
        optimizer.step(0)

    return rows / median_time(step, 5)


def skipping_errors(folder, bounds):
    """Relative errors of the gradients of the (tied) head and of everything before it."""
    exact, found = None, []
    for bound in [0] + bounds:
        kd, context, model, batch, loss = trained_step(folder, bound)
        model.forward(batch, kd.TRAIN)
        result = loss.backward(model, batch)
        head = model.tensor_gradient(0).copy().ravel()
        rest = numpy.concatenate([model.tensor_gradient(i).ravel() for i in range(1, len(list(model.tensors())))])
        exact = exact or (head, rest)
        found.append([result["skipped_share"]] + [float(numpy.linalg.norm(a - b) / numpy.linalg.norm(b)) for a, b in zip((head, rest), exact)])
    return found[1:]


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


def skipping(tokenizer_folder, data, compiled):
    folder, bounds = trained_folder(tokenizer_folder, data, int(os.environ.get("STEPS", "600"))), [1e-6, 1e-5, 3e-5, 1e-4, 1e-3]
    print("\nLlama 288 x 6 as it was trained, its own text: blocks of the head's gradient below a bound left out")
    for bound, (share, head, rest) in zip(bounds, skipping_errors(folder, bounds)):
        print(f"  bound {bound:g}: {100 * share:.0f} % skipped, relative error of the head's gradient {head:.1e}, of all before it {rest:.1e}")
    sides = {f"ours, bound {bound:g}": ("ours_trained", folder, bound) for bound in [1e-4, 3e-5, 1e-5, 0]}
    sides["torch"] = ("torch_trained", folder, False)
    if compiled:
        sides["torch, compiled"] = ("torch_trained", folder, True)
    compare("training it, 8 x 256, AdamW", sides)


# ---- peers ----
def torch_model(shape, folder=None):
    import torch
    import transformers
    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    if folder:
        return torch, transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return torch, transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape))


def bfloat16_where(torch, wanted):
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=wanted)


def torch_train(shape, rows, length, compiled=False, autocast=False):
    torch, model = torch_model(shape)
    model.train()
    optimizer, tokens = torch.optim.AdamW(model.parameters(), 1e-4, foreach=True), torch.from_numpy(tokens_of(shape, rows, length))
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


def torch_generate(folder, data, count):
    torch, model = torch_model(None, folder)
    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor(prompts(lambda t: tokenizer(t)["input_ids"], data, count))
    times = []
    for new in (1, NEW + 1):
        start = time.perf_counter()
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=True, pad_token_id=0)
        times.append(time.perf_counter() - start)
    return count * NEW / (times[1] - times[0])


def write_q8(folder, path):
    """The same weights as a Q8_0 file, written by the library."""
    import kdistill as kd
    context = kd.Context()
    context.load_model(folder, frozen=1).save_gguf(context.tokenizer(folder), path, kd.INT8)
    return 0


def llama_generate(folder, data, count, file):
    """llama.cpp's own batches: every sequence gets a token a call."""
    import llama_cpp as lc
    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = prompts(lambda t: tokenizer(t)["input_ids"], data, count)
    quiet = lc.llama_log_callback(lambda *_: None)  # kept: a callback that is collected crashes later
    lc.llama_log_set(quiet, None)
    lc.llama_backend_init()
    model = lc.llama_model_load_from_file(file.encode(), lc.llama_model_default_params())
    options = lc.llama_context_default_params()
    options.n_ctx, options.n_batch, options.n_ubatch, options.n_seq_max = count * (PROMPT + NEW + 32), 2048, 512, count
    options.n_threads = options.n_threads_batch = 2
    context, batch, vocabulary = lc.llama_init_from_model(model, options), lc.llama_batch_init(max(count * PROMPT, 512), 0, 1), lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(model))

    def put(entries):
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, wanted) in enumerate(entries):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, position, 1, sequence, wanted
        assert lc.llama_decode(context, batch) == 0

    last = []
    for sequence, prompt in enumerate(texts):
        put([(token, i, sequence, i == PROMPT - 1) for i, token in enumerate(prompt)])
        last.append(int(numpy.ctypeslib.as_array(lc.llama_get_logits_ith(context, -1), (vocabulary,)).argmax()))
    start = time.perf_counter()
    for step in range(NEW):
        put([(token, PROMPT + step, sequence, True) for sequence, token in enumerate(last)])
        last = [int(numpy.ctypeslib.as_array(lc.llama_get_logits_ith(context, i), (vocabulary,)).argmax()) for i in range(count)]
    return count * NEW / (time.perf_counter() - start)


def llama_files(folder):
    """What llama.cpp runs: the folder's own file, and a Q8_0 one beside it."""
    own = [p for p in sorted(glob.glob(os.path.join(folder, "gguf", "*.gguf"))) if "Q8_0" not in p][:1]
    files = {os.path.basename(path).split(".")[-2]: path for path in own}
    q8 = os.path.join(folder, "gguf", "model.Q8_0.gguf")
    if os.path.exists(q8) or measure("write_q8", folder, q8):
        files["Q8_0"] = q8
    return files


# ---- driver ----
def one(name, arguments):
    value = globals()[name](*arguments)
    print(json.dumps([value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def measure(name, *arguments):
    done = subprocess.run([sys.executable, __file__, "one", name, json.dumps(arguments)], capture_output=True, text=True)
    if done.returncode:
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(title, sides, rounds=ROUNDS):
    """sides: name -> call; the first is ours. Prints medians, the largest memory, and the first over each other."""
    found = {name: [] for name in sides}
    for _ in range(rounds):
        for name, call in sides.items():
            found[name].append(measure(*call))
    medians = {name: statistics.median(v[0] for v in values) for name, values in found.items() if None not in values}
    first = next(iter(sides))
    print(f"\n{title}: tokens a second, largest memory")
    for name, values in found.items():
        if name not in medians:
            print(f"  {name:34} did not run here")
            continue
        ratio = "" if name == first else f"   {first} / this = {medians[first] / medians[name]:.2f}, memory {max(v[1] for v in found[first]) / max(v[1] for v in values):.2f}"
        print(f"  {name:34} {medians[name]:9.1f}  {max(v[1] for v in values):7.0f} MiB{ratio}", flush=True)


def main():
    arguments = sys.argv[1:]
    known = ["scale", "train", "memory", "forward", "skip", "tokenize", "generate"]
    parts, paths = [a for a in arguments if a in known] or known, [a for a in arguments if a not in known and a not in SHAPES]
    shapes = {name: shape for name, shape in SHAPES.items() if name in arguments or not set(arguments) & set(SHAPES)}
    folder, data = paths[0] if paths else None, paths[1] if len(paths) > 1 else os.environ.get("KD_DATA", "")
    compiled = os.environ.get("COMPILED", "1") == "1"
    if "scale" in parts:
        scaling()
    for name, shape in shapes.items():
        if "train" in parts:
            sides = {"ours": ("ours_train", *shape), "torch": ("torch_train", *shape)}
            if compiled:
                sides["torch, compiled"] = ("torch_train", *shape, True)
            compare(f"training {name}, {shape[1]} x {shape[2]}, AdamW", sides)
            half = {"ours, bfloat16 products": ("ours_train", *shape, 0, "BFLOAT16"), "torch, bfloat16 autocast": ("torch_train", *shape, False, True)}
            if compiled:
                half["torch, bfloat16, compiled"] = ("torch_train", *shape, True, True)
            compare(f"training {name}, the same in bfloat16", half)
            print_share(*shape)
            print("  two threads / one:", round(measure("ours_train", *shape)[0] / json.loads(subprocess.run(
                [sys.executable, __file__, "one", "ours_train", json.dumps(shape)], capture_output=True, text=True, env=dict(os.environ, THREADS="1")).stdout)[0], 2))
        if "memory" in parts:
            layers = shape[0]["num_hidden_layers"]
            less = {"ours, gradients in turn": ("ours_train", *shape, 0, "FLOAT32", "FLOAT32", 1), "ours": ("ours_train", *shape)}
            if compiled:
                less["torch, compiled"] = ("torch_train", *shape, True)
            compare(f"training {name}, less memory", {**less, "torch": ("torch_train", *shape),
                                                      "ours, half the layers again": ("ours_train", *shape, layers // 2),
                                                      "ours, all layers again": ("ours_train", *shape, layers),
                                                      "ours, values in 16 bits": ("ours_train", *shape, 0, "FLOAT32", "BFLOAT16"),
                                                      "ours, bfloat16, 16 bits": ("ours_train", *shape, 0, "BFLOAT16", "BFLOAT16"),
                                                      "ours, in turn, all layers again": ("ours_train", *shape, layers, "FLOAT32", "FLOAT32", 1)})
        if "forward" in parts:
            sides = {"ours, float32": ("ours_forward", *shape), "ours, 8-bit": ("ours_forward", *shape, None, "INT8"), "torch": ("torch_forward", *shape)}
            if compiled:
                sides["torch, compiled"] = ("torch_forward", *shape, None, True)
            compare(f"forward {name}, {shape[1]} x {shape[2]}, all logits", sides)
            compare(f"forward {name}, the same in bfloat16", {"ours, bfloat16 products": ("ours_forward", *shape, None, "FLOAT32", "BFLOAT16"),
                                                              "torch, bfloat16 autocast": ("torch_forward", *shape, None, False, True)})
    if not folder:
        return
    if "forward" in parts:
        print(f"\n8-bit logits of {os.path.basename(folder)}: mean KL to float32 on GSM8K text {measure('ours_divergence', folder, data)[0]:.4f} nat a token")
    if "skip" in parts:
        skipping(folder, data, compiled)
    if "tokenize" in parts:
        for path in (folder, os.path.join(data, "tinystories-656k")):
            compare(f"tokenizing with {os.path.basename(path)}'s tokenizer, millions of bytes a second instead of", {"ours": ("ours_tokenize", path, data), "Hugging Face": ("peer_tokenize", path, data)})
    if "generate" in parts:
        print(f"\nkeys and values in float16: mean KL to float32 ones {measure('ours_cache_divergence', folder, data)[0]:.1e} nat a token")
        for count in (1, 8, 32, 128):
            sides = {"ours, 8-bit, float16 cache": ("ours_generate", folder, data, count, "INT8", "FLOAT16"),
                     "ours, 8-bit": ("ours_generate", folder, data, count, "INT8"), "ours, float32": ("ours_generate", folder, data, count, "FLOAT32")}
            if count in (1, 32):
                sides["transformers, float32"] = ("torch_generate", folder, data, count)
            if count <= 32:
                for kind, path in llama_files(folder).items():
                    sides["llama.cpp, " + kind] = ("llama_generate", folder, data, count, path)
            compare(f"generating with {os.path.basename(folder)}: {count} sequences, {NEW} new tokens behind {PROMPT}", sides)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main()
