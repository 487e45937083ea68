"""The best student within limits: search.py TRAIN VALIDATION TOKENIZER [PARAMETERS [BYTES
[TOKENS_PER_SECOND [STEPS]]]]

Lists configs (depth, width, feed-forward, shared layers) that keep to the limits, trains those
nearest to them for a while, and keeps the one with the lowest loss on the validation file. BYTES
are of 8-bit weights; the speed is that of one sequence here. Files are JSON lines
(examples/course.c makes some)."""

import itertools
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

train_file, validation_file, folder = sys.argv[1:4]
most, most_bytes, least_speed, steps = (
    float(a) if a else d
    for a, d in itertools.zip_longest(sys.argv[4:8], (1e5, 2e5, 0, 200))
    if d is not None
)
ctx = kd.Context(seed=1)
tokenizer = kd.Tokenizer(ctx, folder)


def config(layers, hidden, ratio, repeats):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": int(hidden * ratio) // 8 * 8,
        "num_hidden_layers": layers * repeats,
        "kd_layer_repeats": repeats,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 256,
        "initializer_range": 0.05,
        "tie_word_embeddings": True,
        "eos_token_id": 0,
    }


def batches(path, texts=0):
    packer = kd.Packer(
        ctx,
        tokenizer,
        chat=kd.ChatFormat.PLAIN,
        batch_tokens=2048,
        batch_texts=texts,
    )
    packer.add_reader(kd.RecordReader(ctx, path))
    return packer


def criterion():
    loss = kd.Loss(ctx)
    loss.add(
        kd.LossKind.CROSS_ENTROPY, 1, label_field="tokens", mask_field="answer", align=kd.Align.NEXT
    )
    return loss


def brief_training(model):
    packer, batch, loss, recipe = (
        batches(train_file),
        kd.Batch(ctx),
        criterion(),
        kd.Recipe(kd.RecipeKind.SMALL, model.parameters.size),
    )
    optimizer, rate = (
        kd.Optimizer(
            ctx,
            kd.OptimizerKind.ADAMW,
            model,
            weight_decay=recipe.weight_decay,
            beta2=recipe.beta2,
            clip_norm=1,
        ),
        recipe.create_learning_rate(ctx, int(steps)),
    )
    for step in range(int(steps)):
        model.forward(packer.next(batch), kd.Mode.TRAIN)
        loss.backward(model, batch)
        optimizer.step(rate(step))
    held, total, count = batches(validation_file, 1), 0.0, 0
    for _ in range(min(200, held.info.texts)):
        model.forward(held.next(batch), kd.Mode.EVALUATE)
        found = loss.forward(model, batch)
        total, count = total + found.sum[0], count + found.rows[0]
    return total / count


fits, refused = [], {"parameters": 0, "bytes": 0, "speed": 0}
for shape in itertools.product((1, 2, 3, 4, 6), (32, 48, 64, 80, 96, 128), (2, 2.75, 4), (1, 2)):
    wanted = config(*shape)
    if kd.Model.estimate_memory(ctx, wanted).parameters > most:
        refused["parameters"] += 1
        continue
    model = kd.Model(ctx, wanted)
    facts, speed = (
        model.info,
        model.measure_speed(prompt_tokens=16, new_tokens=32).tokens_per_second,
    )
    if facts.int8_bytes > most_bytes or speed < least_speed:
        refused["bytes" if facts.int8_bytes > most_bytes else "speed"] += 1
        continue
    fits.append((facts.parameters, shape, facts.int8_bytes, speed))
if not fits:
    sys.exit(
        f"no config keeps to the limits: {refused['parameters']} have too many "
        f"parameters, {refused['bytes']} too many bytes, {refused['speed']} are too slow"
    )
fits.sort(reverse=True)
print(
    f"{len(fits)} configs fit; left out by parameters {refused['parameters']}, by bytes "
    f"{refused['bytes']}, by speed {refused['speed']}"
)
seen, results = set(), []
for (
    parameters,
    shape,
    size,
    speed,
) in (
    fits
):  # the largest of each depth, plain and shared: small ones that are dominated are not trained
    if (shape[0], shape[3]) in seen:
        continue
    seen.add((shape[0], shape[3]))
    loss = brief_training(kd.Model(ctx, config(*shape)))
    results.append((loss, shape))
    print(
        f"layers {shape[0]} x {shape[3]}, width {shape[1]}, feed-forward {shape[2]}: "
        f"{parameters} parameters, {size} bytes, {speed:.0f} tokens/s: validation loss "
        f"{loss:.4f}"
    )
results.sort()
print(
    f"kept: layers {results[0][1][0]} x {results[0][1][3]}, width {results[0][1][1]}, "
    f"feed-forward {results[0][1][2]}: the lowest validation loss, "
    f"{results[1][0] - results[0][0]:.4f} below the next"
    if len(results) > 1
    else "kept: the only one"
)
