"""pass@1 of a model folder on a file of questions: evaluate.py FOLDER QUESTIONS OUT [SAMPLES [COUNT [MAX_TOKENS]]]

QUESTIONS: JSON lines with a question and its answer, as GSM8K, MATH-500 and AIME 2024 have them. Sampled at temperature .6 and top-p .95, as DeepSeek-R1 was; a
chat format where the folder has one that is known, else the question as it is. OUT, the file of answers, is gone on with when the run is started again."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

folder, questions, out = sys.argv[1:4]
samples, count, most = (int(a) for a in (sys.argv[4:] + ["4", "0", "512"][len(sys.argv[4:]):]))
ctx = kd.Context(seed=1)
model, tokenizer = ctx.load_model(folder, frozen=1), ctx.tokenizer(folder)
chat = kd.CHAT_AUTO if tokenizer.chat_format() != kd.CHAT_AUTO else kd.CHAT_PLAIN
ends = []
for name in ("<|im_end|>", "<|end|>", "</s>", "<|eot_id|>", "<|endoftext|>"):
    try:
        ends.append(tokenizer.id(name))
    except kd.Error:
        pass
verify = {"verifiers": kd.VERIFY_NUMBER | kd.VERIFY_LATEX}


def show(p):
    if sys.stderr.isatty() or p["done"] == p["total"]:
        print(f"\r{p['done']} of {p['total']} answers, {p['right']} right, {p['tokens_per_second']:.0f} tokens/s, {p['seconds_left']:.0f} s left ", end="", file=sys.stderr)


reader = kd.RecordReader(ctx, questions)
total = sum(1 for _ in reader)
generator = model.generator(tokenizer, max_sequences=32, cache_tokens=32 * (most + 512), weights=kd.INT8)
kd.collect_answers(ctx, reader, out, generator, samples=samples, prompts=min(count, total) if count else total, chat=chat, verify=verify, stop_tokens=ends,
                   sampling={"max_tokens": most, "seed": 1}, progress=show, teacher=os.path.basename(os.path.normpath(folder)))
result, _ = kd.judge_answers(kd.RecordReader(ctx, out), verify, k=samples)
rates = result["pass"]
print(f"\n{result['questions']} questions, {samples} samples each, seed 1, 8-bit weights: pass@1 {rates['pass_1']:.4f} +- {rates['standard_error']:.4f} "
      f"(samples alone {rates['within_error']:.4f}), pass@{samples} {rates['pass_k']:.4f}, cons@{samples} {result['consensus']:.4f}, "
      f"mean answer {result['mean_bytes']:.0f} bytes, cut off {result['unfinished']:.3f}")
