"""Images and their names: emoji.py DATA TEXT_MODEL FOLDER [options]

DATA has labels.jsonl and the images of two styles, TEXT_MODEL is a folder of sentence-transformers
(bench/minilm.py fetches all-MiniLM-L6-v2). The teacher is EfficientNet-Lite0 and that encoder with
two linear heads; the student has a convolutional tower and a table of tokens. Held-out names: which
name belongs to an image, which image to a name, which of nine categories. Tables go to
FOLDER/found.json; vectors of the big models stay in FOLDER."""

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
import emoji_savings
import kdistill as kd
import table
from emoji_data import STYLES, Emoji, tokens_of, words_of
from emoji_teacher import ImageModel, Teacher, TextModel, kept
from emoji_train import Steps, Student, Vectors, begin_table, learn, student_of

HELD, SPLIT_SEED = 0.2, 1
MEASURES = ("image to name R@1", "R@5", "name to image R@1", "R@5 ", "category")
GOALS = {"over the student alone": 1.3, "of the teacher": 0.85}


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("text_model")
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128, help="pairs a step")
    parser.add_argument("--words", type=int, default=20000, help="of the vocabulary, for the table")
    parser.add_argument("--width", type=int, default=128, help="numbers of an embedding")
    parser.add_argument("--contrast", type=float, default=0.5, help="its weight beside a teacher")
    parser.add_argument("--head-epochs", type=int, default=10)
    parser.add_argument("--image-vectors", help="npz of another image model: (2, names, width)")
    parser.add_argument("--validation", action="store_true", help="ask a part of what is trained")
    parser.add_argument("--repeats", type=int, default=10, help="steps that are timed; 0: none")
    return parser.parse_args(arguments)


# ---- what is asked ----
def recall(ctx, queries, candidates, groups, k):
    found = kd.metrics_measure_retrieval(ctx, queries, candidates, groups, groups, k=k)
    return 100 * found.value


def judge(ctx, emoji, numbers, images, names, categories):
    """Percent by MEASURES: images (styles, n, w) and names (n, w) of the names that are held out,
    the mean of the styles; categories (9, w)."""
    _, groups = np.unique([emoji.names[i] for i in numbers], return_inverse=True)
    rows = []
    for one in images:
        row = [recall(ctx, one, names, groups, k) for k in (1, 5)]
        row += [recall(ctx, names, one, groups, k) for k in (1, 5)]
        right = (one @ categories.T).argmax(1) == emoji.category[numbers]
        rows.append([*row, 100 * right.mean()])
    return np.mean(rows, 0).tolist()


class Example:
    """All that runs share: data, the teacher, and the vectors that it gave once."""

    def __init__(self, o):
        self.o, self.ctx, self.emoji = o, kd.Context(seed=1), Emoji(o.data)
        self.train, self.held = self.emoji.split(HELD, SPLIT_SEED)
        if o.validation:  # what is held out is not looked at
            part = np.random.default_rng(SPLIT_SEED).permutation(self.train)
            count = int(HELD * len(part))
            self.held, self.train = np.sort(part[:count]), np.sort(part[count:])
        self.text_model = TextModel(self.ctx, o.text_model)
        words = words_of(self.text_model.tokenizer, o.words)
        self.prompts = [f"{each.lower()}" for each in self.emoji.categories]
        texts = self.emoji.names + words + self.prompts
        self.tokens = tokens_of(self.text_model.tokenizer, texts)
        place = os.path.join(o.folder, "image-vectors.npz")
        image = kept(o.image_vectors or place, self.image_vectors)["image"]
        place = os.path.join(o.folder, f"text-vectors-{len(texts)}.npz")
        text = kept(place, lambda: {"text": self.text_model.vectors(texts)})["text"]
        self.names, self.words = len(self.emoji.names), len(words)
        names = text[: self.names]
        self.teacher = Teacher(self.ctx, image, names, self.train, o.width, o.head_epochs)
        made = np.stack([self.teacher.images(each) for each in image])
        told = np.split(self.teacher.texts(text), [self.names, self.names + self.words])
        self.vectors, self.categories = Vectors(made, *told[:2], self.teacher.scale), told[2]

    def image_vectors(self):
        model = ImageModel(os.path.join(self.o.folder, "image-model"))
        return {"image": np.stack([model.vectors(each) for each in self.emoji.images])}

    def of_teacher(self, styles=STYLES):
        at = [STYLES.index(style) for style in styles]
        names = self.vectors.names[self.held]
        images = self.vectors.images[at][:, self.held]
        return judge(self.ctx, self.emoji, self.held, images, names, self.categories)

    def of_student(self, seed, styles=STYLES, asked=STYLES, taught=True, words=True):
        o, count = self.o, self.names + self.words
        model = student_of(self.ctx, len(self.text_model.tokenizer), o.width, seed)
        tokens = self.tokens[:count]
        if taught and words:
            begin_table(model, tokens[self.names :], self.vectors.words)
        steps = Steps(self.emoji, tokens, styles, self.train, o.batch)
        told = (o.contrast, self.vectors) if taught else (1.0, None)
        learn(self.ctx, model, steps, o.epochs, seed, *told)
        made, at = Student(self.ctx, model), [STYLES.index(style) for style in asked]
        images = np.stack([made.images(self.emoji.images[i, self.held]) for i in at])
        names = made.texts(self.tokens[self.held])
        categories = made.texts(self.tokens[count:])
        return judge(self.ctx, self.emoji, self.held, images, names, categories)


# ---- tables ----
ROWS = {
    "student alone": {"taught": False},
    "student, teacher": {"words": False},
    "student, teacher, table of its words": {},
    "across styles: student alone": {"taught": False, "styles": STYLES[:1], "asked": STYLES[1:]},
    "across styles: student, teacher, table": {"styles": STYLES[:1], "asked": STYLES[1:]},
}


def show_rows(found):
    lines = []
    for name, runs in found.items():
        lines.append([name, *(table.text(values, 1) for values in zip(*runs))])
    table.show(["", *MEASURES], lines)


def goals_of(found):
    """Recall@5, the mean of both directions, of the taught student beside the other two."""
    at = {name: np.mean([(run[1] + run[3]) / 2 for run in runs]) for name, runs in found.items()}
    ours = at["student, teacher, table of its words"]
    others = {"over the student alone": at["student alone"], "of the teacher": at["teacher"]}
    return [
        {"name": f"recall@5 {name}", "ours": float(ours / max(others[name], 1e-9)), "goal": goal}
        for name, goal in GOALS.items()
    ]


def main(arguments):
    o, began = options_of(arguments), time.time()
    example = Example(o)
    out = os.path.join(o.folder, "found.json")
    print(
        f"{len(example.train)} names to learn from, {len(example.held)} held out; "
        f"{time.time() - began:.0f} s to the teacher's vectors",
        flush=True,
    )
    found = {"teacher": [example.of_teacher()]}
    found["across styles: teacher, asked alone"] = [example.of_teacher(STYLES[1:])]
    for seed in range(1, o.seeds + 1):
        for name, how in ROWS.items():
            found.setdefault(name, []).append(example.of_student(seed, **how))
            print(f"  seed {seed}, {name}: R@5 {found[name][-1][1]:.1f}", flush=True)
            table.keep(out, "rows", found)
    show_rows(found)
    goals = goals_of(found)
    text = [[goal["name"], f"{goal['ours']:.2f}", f"{goal['goal']:.2f}"] for goal in goals]
    table.show(["", "ours", "goal"], text)
    table.keep(out, "goals", goals)
    if o.repeats:
        table.keep(out, "savings", emoji_savings.measure(example, o.repeats))
    print(f"{time.time() - began:.0f} seconds")


if __name__ == "__main__":
    main(sys.argv[1:])
