"""pass@1 of a model folder on a file of questions: evaluate.py FOLDER QUESTIONS OUT [SAMPLES [COUNT
[MAX_TOKENS]]]

QUESTIONS: JSON lines with a question and its answer, as GSM8K, MATH-500 and AIME 2024 have them.
Sampled at temperature .6 and top-p .95, as DeepSeek-R1 was; a chat format where the folder has one
that is known, else the question as it is. OUT, the file of answers, is gone on with when the run is
started again."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

folder, questions, out = sys.argv[1:4]
samples, count, most = (int(a) for a in (sys.argv[4:] + ["4", "0", "512"][len(sys.argv[4:]) :]))
ctx = kd.Context(seed=1)
model, tokenizer = kd.Model.load(ctx, folder, frozen=1), kd.Tokenizer(ctx, folder)


def has_template():
    try:
        return bool(
            kd.chat_render(tokenizer, [{"role": "user", "content": "?"}], generation_prompt=1)
        )
    except kd.Error:
        return False


chat = kd.ChatFormat.AUTO if has_template() else kd.ChatFormat.PLAIN


def is_number(expected):
    try:
        return kd.verify_find_number(expected) is not None
    except kd.Error:
        return False


def show(p):
    if sys.stderr.isatty() or p.done == p.total:
        print(
            f"\r{p.done} of {p.total} answers, {p.right} right, {p.tokens_per_second:.0f} "
            f"tokens/s, {p.seconds_left:.0f} s left ",
            end="",
            file=sys.stderr,
        )


reader = kd.RecordReader(ctx, questions)
expected = [record["expected"] for record in reader]
total = len(expected)
# Numbers alone (GSM8K, AIME) are compared as numbers; answers in mathematics (MATH) as such, and
# never by a number in them.
verify = {
    "verifiers": kd.Verifier.NUMBER if all(is_number(e) for e in expected) else kd.Verifier.LATEX
}
generator = kd.Generator(
    model, tokenizer, max_sequences=32, cache_tokens=32 * (most + 512), weights=kd.DType.INT8
)
kd.answers_collect(
    ctx,
    reader,
    out,
    generator=generator,
    samples=samples,
    max_prompts=min(count, total) if count else total,
    chat=chat,
    verify=verify,
    sampling={"max_tokens": most, "seed": 1},
    progress=show,
    teacher=os.path.basename(os.path.normpath(folder)),
)
result, _ = kd.answers_judge(kd.RecordReader(ctx, out), samples, **verify)
rates = result.pass_
print(
    f"\n{result.questions} questions, {samples} samples each, seed 1, 8-bit weights: "
    f"pass@1 {rates.pass_1:.4f} +- {rates.standard_error:.4f} "
    f"(samples alone {rates.within_error:.4f}), pass@{samples} {rates.pass_k:.4f}, "
    f"cons@{samples} {result.consensus:.4f}, "
    f"mean answer {result.mean_bytes:.0f} bytes, cut off {result.unfinished:.3f}"
)
