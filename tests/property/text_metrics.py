"""BLEU and chrF against sacrebleu, ROUGE-L against rouge-score, F1 against SQuAD's own definition,
on random texts and on real captions: text_metrics.py [CASES]"""

import collections
import gzip
import os
import random
import re
import string
import sys

import sacrebleu
from rouge_score import rouge_scorer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

ctx, rng = kd.Context(threads=1), random.Random(5)
WORDS = (
    'the a cat dog sat on mat. mat, 3.5 10,000 1-2 it\'s "yes" (no) über Straße — naïve x/y '
    "&amp; &lt;b&gt; end! U.S. e.g. 5% $3 hello-\nworld 猫 i.i.d".split(" ")
)


def squad(text, reference):
    def words(s):
        s = "".join(c for c in s.lower() if c not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", s).split()

    a, b = words(text), words(reference)
    same = sum((collections.Counter(a) & collections.Counter(b)).values())
    return 2 * same / (len(a) + len(b)) if same else float(not a and not b)


def macro_f1(texts, references):
    """scikit-learn's f1_score(average="macro", labels=those of the references)"""
    labels = sorted(set(references))
    return sum(
        2
        * sum(t == r == label for t, r in zip(texts, references))
        / (texts.count(label) + references.count(label))
        for label in labels
    ) / len(labels)


def check(texts, references, ascii_only):
    expected = {
        kd.TextMetric.BLEU: sacrebleu.corpus_bleu(texts, [references], force=True).score,
        kd.TextMetric.CHRF: sacrebleu.corpus_chrf(texts, [references]).score,
    }
    if ascii_only:
        scorer = rouge_scorer.RougeScorer(["rougeL"])
        expected[kd.TextMetric.ROUGE_L] = sum(
            scorer.score(r, t)["rougeL"].fmeasure for t, r in zip(texts, references)
        ) / len(texts)
        expected[kd.TextMetric.F1] = sum(squad(t, r) for t, r in zip(texts, references)) / len(
            texts
        )
    for kind, value in expected.items():
        found = kd.compare_texts(ctx, kind, texts, references)
        if abs(found - value) > 1e-6 * max(1, abs(value)):
            sys.exit(f"metric {kind}: expected {value}, got {found}: {texts[:3]} {references[:3]}")


cases = int((sys.argv[1:2] or [500])[0])
for case in range(cases):
    ascii_only = case % 2 == 0
    pool = [w for w in WORDS if w.isascii()] if ascii_only else WORDS
    references = [
        " ".join(rng.choices(pool, k=rng.randint(1, 25))) for _ in range(rng.randint(1, 6))
    ]
    texts = [
        " ".join(w if rng.random() < 0.8 else rng.choice(pool) for w in r.split(" "))
        for r in references
    ]
    check(texts, references, ascii_only)
    said, wanted = rng.choices(pool[:6], k=20), rng.choices(pool[:4], k=20)
    if (
        abs(kd.compare_texts(ctx, kd.TextMetric.MACRO_F1, said, wanted) - macro_f1(said, wanted))
        > 1e-9
    ):
        sys.exit(f"macro-F1: {said} {wanted}")
folder = os.environ.get("KD_DATA")
if folder:
    with gzip.open(
        folder + "/text/multi30k/test_2016_flickr.de.gz", "rt", encoding="utf-8"
    ) as file:
        captions = [line.strip() for line in file]
    changed = [" ".join(w for w in c.split() if rng.random() < 0.9) for c in captions]
    check(changed, captions, False)
print(f"text metrics: {cases} cases agreed")
