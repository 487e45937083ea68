"""Correlations and their intervals against scipy, retrieval against scikit-learn, on random arrays:
retrieval_metrics.py [CASES]"""

import os
import sys

import numpy as np
from scipy import stats
from sklearn.metrics import ndcg_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

ctx, rng = kd.Context(threads=2), np.random.default_rng(7)


def agree(what, found, expected, tolerance=1e-9):
    if not abs(found - expected) <= tolerance * max(1, abs(expected)):
        sys.exit(f"{what}: expected {expected}, got {found}")


def correlations():
    count = int(rng.integers(4, 60))
    x = rng.normal(size=count)
    y = rng.uniform(-1, 1) * x + rng.normal(size=count)
    if rng.random() < 0.5:  # equal values, which share ranks
        x, y = np.round(x, 1), np.round(y, 1)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return
    pearson = stats.pearsonr(x, y)
    found = kd.metrics_measure_correlation(ctx, x, y, kd.CorrelationKind.PEARSON)
    agree("Pearson", found.value, pearson.statistic, 1e-11)
    agree("its low end", found.low, pearson.confidence_interval().low)
    agree("its high end", found.high, pearson.confidence_interval().high)
    found = kd.metrics_measure_correlation(ctx, x, y)
    r = stats.spearmanr(x, y).statistic
    agree("Spearman", found.value, r, 1e-11)
    error = np.sqrt((1 + r * r / 2) / (count - 3))
    agree("its low end", found.low, np.tanh(np.arctanh(r) - stats.norm.ppf(0.975) * error))


def retrieval():
    n, m, width = (int(v) for v in rng.integers([5, 8, 3], [40, 60, 20]))
    k = int(rng.integers(1, 6)) * 2 - 1
    x, y = rng.normal(size=(n, width)).astype("f4"), rng.normal(size=(m, width)).astype("f4")
    groups_of = int(rng.integers(2, 6))
    gx, gy = rng.integers(0, groups_of, n), rng.integers(0, groups_of, m)
    cosines = normalize(x.astype("f8")) @ normalize(y.astype("f8")).T
    same = gx[:, None] == gy[None]
    order = np.argsort(-cosines, axis=1)
    ranked = np.take_along_axis(same, order, axis=1)
    has = same.any(axis=1)
    first = ranked.argmax(axis=1)[has] + 1

    def found(kind, a=x, b=y, of_a=gx, of_b=gy, k=k):
        return kd.metrics_measure_retrieval(ctx, a, b, of_a, of_b, kind=kind, k=k)

    if has.any():
        hits = first <= k
        recall = found(kd.RetrievalKind.RECALL)
        agree(f"recall@{k}", recall.value, hits.mean())
        agree(
            "its error", recall.standard_error, np.sqrt(hits.mean() * (1 - hits.mean()) / hits.size)
        )
        mrr = found(kd.RetrievalKind.MRR)
        agree("MRR", mrr.value, (1 / first).mean())
        if first.size > 1:
            agree("its error", mrr.standard_error, stats.sem(1 / first), 1e-6)
        gains = ndcg_score(same[has], cosines[has], k=10)
        agree("nDCG@10", found(kd.RetrievalKind.NDCG, k=10).value, gains, 1e-6)
    labels = rng.integers(0, 2, m)  # of two classes and odd k: no ties
    of_queries = rng.integers(0, 2, n)
    neighbors = KNeighborsClassifier(min(k, m - 1 + m % 2), metric="cosine", algorithm="brute")
    accuracy = (neighbors.fit(y, labels).predict(x) == of_queries).mean()
    vote = found(kd.RetrievalKind.VOTE, of_a=of_queries, of_b=labels, k=neighbors.n_neighbors)
    agree("k-nearest-neighbor accuracy", vote.value, accuracy)
    classes = rng.normal(size=(groups_of, width)).astype("f4")
    scores = normalize(x.astype("f8")) @ normalize(classes.astype("f8")).T
    zero_shot = found(kd.RetrievalKind.RECALL, b=classes, of_b=np.arange(groups_of), k=1)
    agree("zero-shot accuracy", zero_shot.value, (scores.argmax(axis=1) == gx).mean())


def translation():
    """As sentence-transformers' TranslationEvaluator counts."""
    n, width = (int(v) for v in rng.integers([2, 3], [50, 16]))
    source = rng.normal(size=(n, width)).astype("f4")
    target = (source + rng.normal(size=source.shape)).astype("f4")
    cosines = normalize(source.astype("f8")) @ normalize(target.astype("f8")).T
    here = kd.metrics_measure_retrieval(ctx, source, target, k=1)
    back = kd.metrics_measure_retrieval(ctx, target, source, k=1)
    agree("translation", here.value, (cosines.argmax(axis=1) == np.arange(n)).mean())
    agree("translation back", back.value, (cosines.argmax(axis=0) == np.arange(n)).mean())


cases = int((sys.argv[1:2] or [400])[0])
for _ in range(cases):
    correlations()
    retrieval()
    translation()
print(f"retrieval metrics: {cases} cases agreed")
