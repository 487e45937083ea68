"""Three modalities, some of them missing: digits.py DATA OUT.json [options]

DATA has mnist/ and speech/fsdd-recordings.tar. A sample is an image of a digit, a sound of the same
digit and its name in one of eight languages. The student learns from 1,500 images, of which 5, 10
or 20 % have a sound. Teachers saw more samples, each with image and sound, or with the image alone;
asked about the student's samples, the privileged one also has the sounds that the student lacks.
Accuracy on MNIST's test images, with sounds of takes that nobody learned from, and without."""

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
import table
from digits_data import DIGITS, Spoken, Written, words
from digits_train import Pairs, accuracy, answers, learn, model_of

SEES = ("image", "text")
HEARS = ("image", "audio", "text")
SHARES = (0.05, 0.10, 0.20)
ASKED = {"image": ("image",), "image, sound": ("image", "audio"), "sound": ("audio",)}
ALONE, BLIND, PRIVILEGED = "alone", "teacher of images", "privileged teacher"
GOALS = {"points through the privileged teacher, images": 1, "points lost without sound": 3}


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=1500, help="of the student")
    parser.add_argument("--epochs", type=int, default=30, help="of the student")
    parser.add_argument("--teacher-samples", type=int, default=12000)
    parser.add_argument("--teacher-epochs", type=int, default=8)
    parser.add_argument("--tests", type=int, default=10000, help="images that are asked")
    parser.add_argument("--rate", type=float, default=2e-3, help="of learning")
    parser.add_argument("--width", type=int, default=64, help="numbers of an embedding")
    return parser.parse_args(arguments)


class Example:
    """All that runs share: samples, and both teachers."""

    def __init__(self, o):
        self.o, self.ctx = o, kd.Context(seed=1)
        self.spoken = Spoken(self.ctx, os.path.join(o.data, "speech", "fsdd-recordings.tar"))
        self.mels = self.spoken.mels()
        self.words, self.languages = words()
        mnist = os.path.join(o.data, "mnist")
        self.train, test = Written(mnist, "train"), Written(mnist, "t10k")
        asked = np.arange(min(o.tests, len(test.digits)))
        self.asked = self.pairs(test, self.spoken.test, asked, 1)
        numbers = np.random.default_rng(1).permutation(len(self.train.digits))
        more = numbers[: o.teacher_samples]
        self.rest = numbers[len(numbers) // 2 :]  # the student's images are none of the teacher's
        pairs = self.pairs(self.train, self.spoken.train, more, 1)
        self.teachers = {
            BLIND: self.teacher(pairs, SEES),
            PRIVILEGED: self.teacher(pairs, HEARS),
        }

    def pairs(self, written, sounds, numbers, seed):
        digits = self.spoken.digits[sounds]
        spoken_of = [sounds[digits == digit] for digit in range(DIGITS)]
        return Pairs(written, spoken_of, self.mels, self.languages, numbers, seed)

    def teacher(self, pairs, modalities):
        at = self.ctx, len(self.words), self.o.width, 1
        model = model_of(*at, channels=(32, 64), audio_drop=0.3)
        return learn(self.ctx, model, pairs, modalities, self.o.teacher_epochs, self.o.rate, 1)

    def measures(self, model, modalities):
        """Percent by what is asked, of what the model knows."""
        known = {n: m for n, m in ASKED.items() if set(m) <= set(modalities)}
        return {n: accuracy(self.ctx, model, self.asked, m) for n, m in known.items()}

    def told(self, pairs, teacher):
        """What the teacher says of the student's samples, with all that it can see and hear."""
        if teacher == ALONE:
            return None
        sees = ("image",) if teacher == BLIND else ("image", "audio")
        return answers(self.ctx, self.teachers[teacher], pairs, sees)

    def run(self, seed):
        """{(share, teacher): accuracies} of a seed's samples."""
        numbers = np.random.default_rng(seed).permutation(self.rest)[: self.o.samples]
        pairs, found = self.pairs(self.train, self.spoken.train, numbers, seed), {}
        told = {each: self.told(pairs, each) for each in (ALONE, BLIND, PRIVILEGED)}
        for share in (0, *SHARES):
            for teacher, said in told.items():
                if share and teacher == BLIND:
                    continue
                at = self.ctx, len(self.words), self.o.width, seed
                model = model_of(*at)
                sees = HEARS if share else SEES
                hears = pairs.hears(share) if share else None
                times = self.o.epochs, self.o.rate, seed
                learn(self.ctx, model, pairs, sees, *times, hears, said)
                found[f"{100 * share:.0f} % sounds, {teacher}"] = self.measures(model, sees)
        return found


def show(teachers, runs):
    lines = []
    for name, values in teachers.items():
        lines.append([name, *(f"{values[n]:.2f}" if n in values else "" for n in ASKED), ""])
    for name in runs[0]:
        found = {n: [run[name][n] for run in runs] for n in runs[0][name]}
        line = [name, *(table.text(found[n]) if n in found else "" for n in ASKED)]
        drops = lost(runs, name)
        lines.append([*line, table.text(drops) if drops else ""])
    table.show(["", *(f"asked: {n}" for n in ASKED), "lost without sound"], lines)


def lost(runs, name):
    """Points that a student loses where it cannot hear."""
    if "image, sound" not in runs[0][name]:
        return []
    return [run[name]["image, sound"] - run[name]["image"] for run in runs]


def goals_of(runs):
    gain = [
        run[f"0 % sounds, {PRIVILEGED}"]["image"] - run[f"0 % sounds, {ALONE}"]["image"]
        for run in runs
    ]
    drops = [lost(runs, f"{100 * share:.0f} % sounds, {PRIVILEGED}") for share in SHARES]
    ours = float(np.mean(gain)), float(max(np.mean(each) for each in drops))
    return [{"name": n, "ours": x, "goal": GOALS[n]} for n, x in zip(GOALS, ours)]


def main(arguments):
    o, began = options_of(arguments), time.time()
    example = Example(o)
    modalities = {BLIND: SEES, PRIVILEGED: HEARS}
    teachers = {n: example.measures(m, modalities[n]) for n, m in example.teachers.items()}
    print(f"teachers: {teachers}; {time.time() - began:.0f} s", flush=True)
    runs = []
    for seed in range(1, o.seeds + 1):
        runs.append(example.run(seed))
        for name, values in runs[-1].items():
            said = ", ".join(f"{n} {value:.2f}" for n, value in values.items())
            print(f"  seed {seed}, {name}: {said}", flush=True)
        table.keep(o.out, "rows", {"teachers": teachers, "runs": runs})
    show(teachers, runs)
    goals = goals_of(runs)
    text = [[g["name"], f"{g['ours']:.2f}", f"{g['goal']}"] for g in goals]
    table.show(["", "ours", "goal"], text)
    table.keep(o.out, "goals", goals)
    print(f"{time.time() - began:.0f} seconds")


if __name__ == "__main__":
    main(sys.argv[1:])
