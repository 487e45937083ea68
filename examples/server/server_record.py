"""Plays an OpenAI-compatible server that was asked for logprobs, with a model folder of one's own:
server_record.py MODEL PROMPTS OUT [COUNT [TOP]]

Each line of OUT is a request's messages and the response's choices, as a client that keeps what it
gets would write them (examples/server.jsonl)."""

import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

model_path, prompts, out = sys.argv[1:4]
count, top = int((sys.argv[4:5] or [24])[0]), int((sys.argv[5:6] or [4])[0])
ctx = kd.Context(seed=1)
model, tokenizer = kd.Model.load(ctx, model_path), kd.Tokenizer(ctx, model_path)
generator, batch = kd.Generator(model, tokenizer, max_sequences=1), kd.Batch(ctx)
ends = tokenizer.end_tokens
records = list(kd.RecordReader(ctx, prompts))
with open(out, "w") as file:
    for record in records[:: max(1, len(records) // count)][:count]:
        asked = list(tokenizer.encode(record["prompt"]))
        generator.add(asked, temperature=0.6, top_p=0.95, max_tokens=96)
        said = list(generator.next().ids)
        batch.begin_packed([0, len(asked) + len(said)]).set("tokens", np.array(asked + said))
        model.forward(batch, kd.Mode.EVALUATE)
        logits = model.output("logits")[len(asked) - 1 : -1].astype(np.float64)
        logprobs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        content = []
        for row, token in zip(logprobs, said):
            entry = lambda i: {
                "token": tokenizer.token(int(i))[0],
                "logprob": round(float(row[i]), 4),
            }  # noqa: E731
            content.append(
                {**entry(token), "top_logprobs": [entry(i) for i in np.argsort(-row)[:top]]}
            )
        text = tokenizer.decode([t for t in said if t not in ends])
        file.write(
            json.dumps(
                {
                    "messages": [{"role": "user", "content": record["prompt"]}],
                    "expected": record["expected"],
                    "prompt_token_ids": [int(i) for i in asked],
                    "model": "recorded",
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": "stop" if said[-1] in ends else "length",
                            "message": {"role": "assistant", "content": text},
                            "logprobs": {"content": content},
                        }
                    ],
                },
                separators=(",", ":"),
            )
            + "\n"
        )
