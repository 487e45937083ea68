"""Curation in scripts with and without spaces: how many of the records that a filter is for it
drops, and how many others. Texts are made: words of each script as long as its words are, drawn as
rarely as words are (Zipf), with stock phrases between them.
    python tests/property/scripts.py [records] [seed]
"""

import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

# first and last letter, letters of a word, what stands between words
SCRIPTS = {
    "English": (0x61, 0x7A, (2, 9), " "),
    "Chinese": (0x4E00, 0x51FF, (1, 2), ""),
    "Japanese": (0x3041, 0x3096, (1, 4), ""),
    "Thai": (0xE01, 0xE2E, (2, 7), ""),
    "Lao": (0xE81, 0xEAE, (2, 7), ""),
    "Khmer": (0x1780, 0x17A2, (2, 8), ""),
    "Burmese": (0x1000, 0x1021, (2, 7), ""),
}
LAO = [c for c in range(0xE81, 0xEAF) if chr(c).isalpha()]


class Language:
    def __init__(self, name, rng):
        first, last, (self.least, self.most), self.space = SCRIPTS[name]
        self.letters, self.rng = LAO if name == "Lao" else list(range(first, last + 1)), rng
        self.words = [
            "".join(
                chr(rng.choice(self.letters)) for _ in range(rng.randint(self.least, self.most))
            )
            for _ in range(3000)
        ]
        self.weights = [1 / (i + 10) for i in range(len(self.words))]
        self.phrases = [self.draw(4) for _ in range(20)]

    def draw(self, count):
        return self.rng.choices(self.words, self.weights, k=count)

    def text(self, count):
        """Words; one in ten begins a phrase that many texts have."""
        made = []
        while len(made) < count:
            made += self.rng.choice(self.phrases) if self.rng.random() < 0.1 else self.draw(1)
        return made[:count]

    def join(self, words):
        return self.space.join(words)


def kept(context, kind, completions, **values):
    """The numbers of the completions that a filter keeps."""
    import json

    lines = "".join(
        json.dumps({"id": str(i), "prompt": f"q{i}", "completion": c}) + "\n"
        for i, c in enumerate(completions)
    )
    with tempfile.TemporaryDirectory() as folder:
        curation = kd.Curation(context)
        curation.add(kind, **values)
        with kd.RecordWriter(context, folder + "/kept.jsonl") as writer:
            curation.run(kd.RecordReader(context, text=lines), writer)
        return {int(r["id"]) for r in kd.RecordReader(context, folder + "/kept.jsonl")}


def near(context, language, count):
    """Texts of 80 words, each followed by a copy with one word changed, and by none."""
    texts = [language.text(80) for _ in range(count)]
    copies = []
    for words in texts:
        copy = list(words)
        copy[language.rng.randrange(len(copy))] = language.draw(1)[0]
        copies.append(copy)
    stay = kept(
        context, kd.FilterKind.NEAR_DUPLICATES, [language.join(words) for words in texts + copies]
    )
    return 1 - sum(i + count in stay for i in range(count)) / count, 1 - sum(
        i in stay for i in range(count)
    ) / count


def contamination(context, language, count):
    """Answers of 100 words that hold a test of 25 words in their middle, and answers that hold
    none."""
    import json

    tests = [language.text(25) for _ in range(count)]
    lines = "".join(json.dumps({"prompt": language.join(words)}) + "\n" for words in tests)
    leaks = [language.text(50) + words + language.text(50) for words in tests]
    clean = [language.text(100) for _ in range(count)]
    stay = kept(
        context,
        kd.FilterKind.CONTAMINATION,
        [language.join(words) for words in leaks + clean],
        tests=kd.RecordReader(context, text=lines),
    )
    return 1 - sum(i in stay for i in range(count)) / count, 1 - sum(
        i + count in stay for i in range(count)
    ) / count


def repetition(context, language, count):
    """A passage of 60 words three times with words between, and texts of 400 words."""
    loops = []
    for _ in range(count):
        passage = language.text(60)
        loops.append(
            passage + language.draw(3) + passage + language.draw(3) + passage + language.draw(9)
        )
    clean = [language.text(400) for _ in range(count)]
    stay = kept(
        context, kd.FilterKind.REPETITION, [language.join(words) for words in loops + clean]
    )
    return 1 - sum(i in stay for i in range(count)) / count, 1 - sum(
        i + count in stay for i in range(count)
    ) / count


def main():
    count, seed = (
        int(sys.argv[1]) if len(sys.argv) > 1 else 300,
        int(sys.argv[2]) if len(sys.argv) > 2 else 1,
    )
    context, bad = kd.Context(threads=1), []
    print(
        "| script | near copies dropped | others dropped | leaks dropped | others "
        "dropped | loops dropped | others dropped |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in SCRIPTS:
        language = Language(name, random.Random(f"{seed}-{name}"))
        shares = [
            share
            for measure in (near, contamination, repetition)
            for share in measure(context, language, count)
        ]
        print(f"| {name} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |")
        if min(shares[::2]) < 0.9 or max(shares[1::2]) > 0.05:
            bad.append(name)
    return (
        f"found less than 90 %, or more than 5 % of the others dropped: {', '.join(bad)}"
        if bad
        else 0
    )


if __name__ == "__main__":
    sys.exit(main())
