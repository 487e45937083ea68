"""How often a difference is found that is not there, by kd_compare_runs and by the paired bootstrap
over seeds and questions:

    runs.py [TRIALS]

Runs of one way of training answer the same questions; skill differs between runs and difficulty
between questions. At most one trial in twenty should find a difference between two such sets of
runs, one in eight with two seeds."""

import os
import sys

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

QUESTIONS = 100
trials = int((sys.argv[1:] or [400])[0])
ctx, random = kd.Context(seed=1), numpy.random.default_rng(1)


def runs(seeds, hard, skill):
    """(seeds, QUESTIONS, 1) of 0 and 1"""
    right = 0.5 + random.normal(0, skill, (seeds, 1)) + hard
    return (random.random((seeds, QUESTIONS)) < right).astype(numpy.int32)[:, :, None]


def found(seeds, skill, difficulty):
    """The shares of trials that find a difference: by kd_compare_runs, by the bootstrap."""
    counts = numpy.zeros(2)
    for trial in range(trials):
        hard = random.normal(0, difficulty, QUESTIONS)
        a, b = runs(seeds, hard, skill), runs(seeds, hard, skill)
        counts[0] += kd.compare_runs(ctx, a, b).p_value < 0.05
        counts[1] += kd.compare_bootstrap(ctx, a, b, 400, trial).p_value < 0.05
    return counts / trials


failed = 0
print("seeds  skill  difficulty  found by kd_compare_runs  by the bootstrap")
for seeds in (2, 3, 5):
    for skill in (0, 0.05, 0.15):
        for difficulty in (0, 0.3):
            own, bootstrap = found(seeds, skill, difficulty)
            most = (0.125 if seeds == 2 else 0.05) + 3 * (0.05 * 0.95 / trials) ** 0.5
            failed += own > most
            print(
                f"{seeds:5}  {skill:5}  {difficulty:10}  {100 * own:22.1f} %  "
                f"{100 * bootstrap:14.1f} %",
                flush=True,
            )
sys.exit(bool(failed))  # a number of numpy would be printed, and the exit be 1
