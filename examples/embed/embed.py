"""Small students of a sentence encoder: embed.py TEACHER DATA FOLDER [options]

TEACHER is a folder of sentence-transformers (bench/minilm.py fetches all-MiniLM-L6-v2), DATA has
text/ (STS-B, multi30k, SST, TREC), KD_WORDNET names WordNet's folder. The teacher reads every text
once; its vectors stay in FOLDER/teacher.kdt. Students of some of its layers learn them, word
embeddings frozen but with a single layer: cosine and the Gram matrix, for all numbers of a vector
and for its first 128 and 64 alone. A static student learns them too. The table goes to
FOLDER.json."""

import argparse
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "python")]
import embed_measure
import embed_static
import embed_texts
import embed_train
import kdistill as kd

GOALS = {3: 0.805, 2: 0.79, 1: 0.765}  # STS-B test, by layers
RATES = {3: 3e-4, 2: 5e-4, 1: 4e-3}
WORDS = "*word_embeddings*"
FASTER = {1: 2}  # layers whose word embeddings learn, at so many times the rate; others' are frozen
LENGTH, TOGETHER = 64, 128  # tokens of a training text, texts a step


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("teacher")
    parser.add_argument("data")
    parser.add_argument("folder")
    parser.add_argument("--students", nargs="*", default=["0,2,5", "0,5", "0"], help="layers")
    parser.add_argument("--texts", type=int, default=10**9, help="at most so many")
    parser.add_argument("--epochs", type=float, default=0.25, help="of 3 layers; others as long")
    parser.add_argument("--minutes", type=float, default=0, help="each student, instead of epochs")
    parser.add_argument("--steps", type=int, default=0, help="of each student, instead of epochs")
    parser.add_argument("--rate", type=float, default=0, help="instead of the default by layers")
    parser.add_argument("--static", type=int, default=256, help="numbers; 0: no static student")
    return parser.parse_args(arguments)


def cut(teacher, layers):
    """Copied layers, without dropout: vectors are no labels that could be learned by heart."""
    none = {"hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0}
    student = teacher.student(layer_map=layers, config=none)
    if len(layers) not in FASTER:
        student.freeze(WORDS)
    return student


def add_student(ctx, o, named, teacher, samples, store, benchmark, table):
    layers = [int(layer) for layer in named.split(",")]
    student, count, name = cut(teacher, layers), len(layers), f"layers {named}"
    width = benchmark.vectors.shape[1]
    widths = [width] + [n for n in (128, 64) if n < width]
    kept = kd.Teacher.open(ctx, store)

    def run(model, steps, rate):
        def read(batch, numbers, targets):
            kept.read(batch, targets)

        words = {"lazy": WORDS, "faster": FASTER[count]} if count in FASTER else {}
        return embed_train.train(ctx, model, samples, read, steps, rate, widths, TOGETHER, **words)

    steps = o.steps or int(o.epochs * 3 / count * len(samples) / TOGETHER) + 1
    if o.minutes:  # as many as ten steps of another student promise
        steps = int(600 * o.minutes / run(cut(teacher, layers), 10, 1e-9)) + 1
    seconds = run(student, steps, o.rate or RATES.get(count, 3e-4))
    print(f"{name}: {steps} steps in {seconds:.0f} s")
    goals = {n: GOALS.get(count) if n == width else None for n in widths}
    embed_measure.judge(table, benchmark, name, student, benchmark.samples, goals, 2)
    return student


def main(arguments):
    o = options_of(arguments)
    os.makedirs(o.folder, exist_ok=True)
    ctx = kd.Context(threads=os.cpu_count(), seed=1)
    tokenizer = kd.Tokenizer(ctx, o.teacher)
    teacher = kd.Model.load(ctx, o.teacher, frozen=True)
    most = teacher.config.get("kd_max_length", teacher.config["max_position_embeddings"])
    texts = embed_texts.training_texts(o.data, os.environ.get("KD_WORDNET", embed_texts.WORDNET))
    chosen = np.random.default_rng(1).permutation(len(texts))[: o.texts]
    samples = embed_texts.Samples(ctx, tokenizer, [texts[i] for i in chosen], min(LENGTH, most))
    tokens = sum(len(ids) for ids in samples.ids)
    print(f"{len(samples)} texts, {tokens} tokens; {os.cpu_count()} cores, load {os.getloadavg()}")
    store = os.path.join(o.folder, "teacher.kdt")
    embed_train.cache(ctx, o.teacher, samples, store)
    benchmark = embed_measure.Benchmark(ctx, teacher, tokenizer, o.data, most)
    table = embed_measure.Table()
    for named in o.students:
        student = add_student(ctx, o, named, teacher, samples, store, benchmark, table)
        folder = os.path.join(o.folder, "layers-" + named.replace(",", "-"))
        embed_measure.check_folder(ctx, student, tokenizer, folder, texts[:40], most)
    if o.static:
        embed_static.add_rows(ctx, o, teacher, tokenizer, samples, store, benchmark, table)
    table.write(o.folder.rstrip("/") + ".json")
    print(f"load {os.getloadavg()}")


if __name__ == "__main__":
    main(sys.argv[1:])
