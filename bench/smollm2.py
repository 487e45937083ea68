"""Runs a Hugging Face folder over real text and keeps its last hidden states (after the final
norm) and its head.

    python bench/smollm2.py MODEL_FOLDER DATA_FOLDER OUT [tokens a kind]

GSM8K solutions in chat format and tinyshakespeare, in sequences of at most 512 tokens. Logits are
hidden @ head.T.
"""

import json
import os
import sys

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, data, out = sys.argv[1:4]
wanted = int(sys.argv[4]) if len(sys.argv) > 4 else 12288
os.makedirs(out, exist_ok=True)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def sequences():
    total = 0
    for line in open(os.path.join(data, "gsm8k", "train.jsonl")):
        sample = json.loads(line)
        chat = [
            {"role": "user", "content": sample["question"]},
            {"role": "assistant", "content": sample["answer"]},
        ]
        ids = tokenizer(tokenizer.apply_chat_template(chat, tokenize=False))["input_ids"][:512]
        yield 0, ids
        total += len(ids)
        if total >= wanted:
            break
    ids = tokenizer(open(os.path.join(data, "text", "tinyshakespeare.txt")).read()[: wanted * 6])[
        "input_ids"
    ][:wanted]
    for start in range(0, len(ids), 512):
        yield 1, ids[start : start + 512]


hidden, tokens, offsets, kinds = [], [], [0], []
with torch.no_grad():
    for kind, ids in sequences():
        hidden.append(model.model(torch.tensor([ids])).last_hidden_state[0].numpy())
        tokens.extend(ids)
        offsets.append(len(tokens))
        kinds.append(kind)
numpy.save(os.path.join(out, "hidden.npy"), numpy.concatenate(hidden))
numpy.save(os.path.join(out, "head.npy"), model.lm_head.weight.detach().float().numpy())
numpy.save(os.path.join(out, "tokens.npy"), numpy.array(tokens, numpy.int64))
numpy.save(os.path.join(out, "offsets.npy"), numpy.array(offsets, numpy.int64))
numpy.save(os.path.join(out, "kinds.npy"), numpy.array(kinds, numpy.int64))
print(f"{len(tokens)} tokens in {len(kinds)} sequences")
