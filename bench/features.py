"""Features, encoders and embeddings beside PyTorch, sentence-transformers, ONNX Runtime, tokenizers
and model2vec in the same run (make bench-features).

    PEERS=folder KD_MINILM=folder KD_DATA=folder sh bench/with_peers.sh bench/features.py [part ...]
    parts: encode, step, tokens, relations, projection, words, static (all of them)

Ours and the rivals alternate; medians of ROUNDS, and of the ratios of each round (above 1: ours is
faster). A rival runs in a process of its own under its best setting (bench/rivals.py), one that
cannot be imported is left out. Goals are ratios, or ours in the row's unit. SHORT=1: fewer texts,
one round, one setting of the rivals. KD_MINILM is the folder of bench/minilm.py, KD_DATA the folder
of the texts; rows that need them are left out without. The table is also build/bench-features.json.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

import features_ours
import features_rivals
import rivals
from features_ours import SHORT, STATIC_BATCH

ROUNDS = int(os.environ.get("ROUNDS", "1" if SHORT else "7"))
RIVALS = features_rivals.__file__
TEXTS = [os.environ.get("KD_MINILM", ""), os.environ.get("KD_DATA", "")]
results = []


def clock(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def print_row(row):
    results.append(row)
    show = [f"{row[key]:9.4g}" if row[key] is not None else " " * 9 for key in ("ours", "theirs")]
    ratio = f"{row['ratio']:6.2f}" if row["ratio"] else " " * 6
    goal = {True: "met", False: "NOT met", None: ""}[row["met"]]
    print(
        f"{row['name']:44s} {' '.join(show)} {row['unit']:11s} {row['peer']:26s} {ratio}   "
        f"{row['goal']:14s} {goal:8s} {row['setting']}",
        flush=True,
    )


def meets(goal, value, ratio):
    """goal: (what, bound): the ratio or the value is to be at least, or at most, that."""
    if goal is None:
        return None
    what, bound = goal
    return {"ratio": (ratio or 0) >= bound, "most": value <= bound, "least": value >= bound}[what]


def say(goal):
    if goal is None:
        return "-"
    return {"ratio": "ratio {}", "most": "at most {}", "least": "at least {}"}[goal[0]].format(
        f"{goal[1]:g}"
    )


def row_of(name, unit, ours, goal, peer="", theirs=None, ratio=None, setting=""):
    return {
        "name": name,
        "unit": unit,
        "ours": ours,
        "peer": peer,
        "theirs": theirs,
        "ratio": ratio,
        "goal": say(goal),
        "met": meets(goal, ours, ratio),
        "setting": setting,
    }


def rival(name, arguments):
    """A worker under its best setting; None where it does not run. SHORT: under one setting."""
    if not SHORT:
        return rivals.best_worker(RIVALS, name, arguments, 2)
    try:
        return rivals.Worker(RIVALS, name, arguments, rivals.Setting("passive", rivals.CORES))
    except RuntimeError:
        return None


def compare(name, ours, peers, count=0, goal=None):
    """ours: (function, arguments); peers: title -> (function, arguments, goal as a ratio).

    count: of what the work does, for figures a second; 0: milliseconds.
    """
    work = getattr(features_ours, ours[0])(*ours[1:])
    workers = {title: rival(*call[:2]) for title, call in peers.items()}
    work()
    rounds = []
    for _ in range(ROUNDS):
        mine = clock(work)
        rounds.append((mine, {t: w(1)[0] for t, w in workers.items() if w}))
    figure = (lambda seconds: count / seconds) if count else (lambda seconds: 1e3 * seconds)
    unit, mine = "a second" if count else "ms", statistics.median(mine for mine, _ in rounds)
    if not peers or goal:
        print_row(row_of(name, unit, figure(mine), goal))
    for title, worker in workers.items():
        if not worker:
            print(f"{name:44s} {title} does not run here")
            continue
        theirs = statistics.median(times[title] for _, times in rounds)
        ratio = statistics.median(times[title] / mine for mine, times in rounds)
        bound, setting = peers[title][2], rivals.describe(worker.setting)
        at = title, figure(theirs), ratio, setting
        print_row(row_of(name, unit, figure(mine), bound and ("ratio", bound), *at))
        worker.close()
    return mine


# ---- memory: each side in a process of its own ----
def print_peak(module, name, arguments):
    work = getattr({"ours": features_ours, "rivals": features_rivals}[module], name)(*arguments)
    for _ in range(3):
        work()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peak(module, name, *arguments):
    """The largest resident memory of a process that runs the work, in MiB."""
    words = [sys.executable, __file__, "peak", module, name, json.dumps(arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def compare_peaks(name, function, peers, bound):
    """peers: title -> the rival's arguments. bound: of ours over theirs."""
    mine = peak("ours", function)
    for title, arguments in peers.items():
        theirs = peak("rivals", function, *arguments)
        at = title, theirs, theirs / mine
        print_row(row_of(name, "MiB", mine, ("ratio", round(1 / bound, 2)), *at))


# ---- parts ----
def encode():
    if not all(TEXTS):
        return print("encode: needs KD_MINILM and KD_DATA")
    count = len(features_ours.mixed_texts(TEXTS[1]))
    peers = {
        "sentence-transformers": ("sentence_transformers", TEXTS, 2),
        "onnxruntime": ("onnx_encode", TEXTS, 1.2),
    }
    compare("encode, MiniLM-L6, float32, mixed lengths", ("encode", *TEXTS), peers, count)
    peers = {"sentence-transformers": ("sentence_transformers", TEXTS, 4)}
    compare("encode, MiniLM-L6, int8", ("encode", *TEXTS, "INT8"), peers, count)


def step():
    peers = {
        "torch eager": ("student_step", [False], 2),
        "torch.compile": ("student_step", [True], 1.3),
    }
    compare("training step, 3 layers, 64 sentences", ("student_step",), peers)
    sides = {"torch eager": [False], "torch.compile": [True]}
    compare_peaks("its largest resident memory", "student_step", sides, 0.6)


def tokens():
    for samples, length in ((16, 128), (4, 512)):
        at = samples, length
        title = f"MiniLM relations, {samples} x {length}"
        peers = {"torch eager": ("token_relations", at, 2)}
        cost = compare(title, ("token_relations", *at), peers)
        scratch = features_ours.relation_scratch(length) / 1e6
        bound = ("most", 10) if length == 512 else None
        print_row(row_of("  their scratch", "MB", scratch, bound))
        if length == 128:
            step = features_ours.token_step(*at)
            step()
            share = cost / statistics.median(clock(step) for _ in range(ROUNDS))
            bound = "most", 30
            print_row(row_of("  of a 3-layer student's step", "%", 100 * share, bound))


def relations():
    works = [(kind, 1024, 30) for kind in ("similarity", "gram", "pkt", "cka", "relation_kl")]
    works += [("rkd_distance", 1024, None), ("rkd_angle", 128, 5), ("rkd_angle", 512, 250)]
    for kind, rows, bound in works:
        peers = {"torch eager": ("relation", [kind, rows], None)}
        goal = bound and ("most", bound)
        compare(f"{kind}, {rows} rows", ("relation", kind, rows), peers, goal=goal)


def projection():
    rows = 16 * 128
    works = [
        features_ours.token_step(16, 128),
        features_ours.projected(rows, True),
        features_ours.projected(rows, False),
    ]
    for work in works:
        work()
    rounds = [[clock(work) for work in works] for _ in range(ROUNDS)]
    share = statistics.median((with_it - plain) / step for step, with_it, plain in rounds)
    print_row(row_of("projection 384 to 384, of a step", "%", 100 * share, ("most", 3)))


def words():
    if not all(TEXTS):
        return print("words: needs KD_MINILM and KD_DATA")
    count = len(features_ours.short_texts(TEXTS[1]))
    peers = {"tokenizers": ("wordpiece", TEXTS, 2)}
    compare("WordPiece, one thread, texts", ("wordpiece", *TEXTS), peers, count)


def static():
    peers = {"torch, sparse": ("static_step", [], None)}
    goal = "least", 50000
    compare("static embedding, training, sentences", ("static_step",), peers, STATIC_BATCH, goal)
    if all(TEXTS):
        count = len(features_ours.short_texts(TEXTS[1]))
        peers = {"model2vec": ("model2vec", TEXTS, 3)}
        compare("static embedding, encode, texts", ("static_encode", *TEXTS), peers, count)


PARTS = {
    part.__name__: part for part in (encode, step, tokens, relations, projection, words, static)
}


def main(names):
    print(f"{rivals.CORES} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':44s} {'ours':>9s} {'theirs':>9s} {'':38s} {'ratio':>6s}   goal")
    for name in names or PARTS:
        PARTS[name]()
    rivals.write_tables("build/bench-features", results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        print_peak(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
    else:
        main(sys.argv[1:])
