"""JSON beside Python's json module: random documents, and broken ones, as a record's extra member:
    python tests/property/json_equal.py [documents] [seed]

Python reads more: NaN and Infinity, keys that stand twice, nesting beyond the library's 64, and
zero bytes, which no text of a record holds: those must be refused. A surrogate without its partner,
which is no character, is read as U+FFFD."""

import json
import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

NUMBERS = [
    "0",
    "-0",
    "-0.0",
    "1",
    "10",
    "1e5",
    "1E+5",
    "1e-7",
    "1.5",
    "0.1",
    "1e400",
    "-1e400",
    "5e-324",
    "1e-400",
    "9007199254740993",
    "123456789012345678901234567890",
    "0.30000000000000004",
    "01",
    "1.",
    ".5",
    "+1",
    "-",
    "1e",
    "1e+",
    "--1",
    "0x1",
    "1_0",
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
]
PIECES = [
    "a",
    "\u00e9",
    "\U0001f600",
    "\\n",
    "\\u0041",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\ude00",
    "\\ud83d\\ud83d\\ude00",
    "\\u0000",
    '\\"',
    "\\\\",
    "\\/",
    "\\b",
    "\\x",
    "\\u12",
    "\\u12g4",
    "\n",
    "\t",
    "\x7f",
    "\u2028",
    "\\uDBFF\\uDFFF",
]
SPACES = ["", "", "", " ", "\t", "\r", "\x0b", "\u00a0"]


def pick(rng, choices, odd):
    """One of the choices; the later ones, which are rarer, only in odd documents."""
    return rng.choice(choices) if odd else rng.choice(choices[: len(choices) // 2])


def string(rng, odd):
    return '"' + "".join(pick(rng, PIECES, odd) for _ in range(rng.randint(0, 4))) + '"'


def value(rng, odd, depth=0):
    kind = rng.randint(0, 6 if depth < 4 else 3)
    space = pick(rng, SPACES, odd)
    if kind == 0:
        return space + rng.choice(["null", "true", "false"])
    if kind == 1:
        return space + pick(rng, NUMBERS, odd)
    if kind <= 3:
        return space + string(rng, odd)
    if kind == 4:
        return (
            space
            + "["
            + ",".join(value(rng, odd, depth + 1) for _ in range(rng.randint(0, 3)))
            + space
            + "]"
        )
    if kind == 5:
        members = [
            string(rng, odd) + ":" + value(rng, odd, depth + 1) for _ in range(rng.randint(0, 3))
        ]
        return space + "{" + ",".join(members) + space + "}"
    levels = rng.choice([1, 5, 58, 59, 60, 61, 62, 63, 64, 65, 66, 300]) - depth
    return "[" * max(1, levels) + "]" * max(1, levels)


def broken(rng, text):
    at = rng.randrange(len(text) + 1)
    return rng.choice(
        [text[:at], text[:at] + rng.choice('{}[]",:0e.\\') + text[at:], text[:at] + text[at + 1 :]]
    )


class Refused(ValueError):
    pass


def refuse(name):
    raise Refused(name)


def once(pairs):
    keys = [whole(key) for key, _ in pairs]
    if len(set(keys)) < len(keys):
        refuse("keys")
    return dict(zip(keys, (member for _, member in pairs)))


def whole(text):
    if "\0" in text:
        refuse("a zero byte")
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def depth(made):
    if isinstance(made, (dict, list)):
        return 1 + max(
            [depth(m) for m in (made.values() if isinstance(made, dict) else made)], default=0
        )
    return 0


def clean(made):
    if isinstance(made, str):
        return whole(made)
    if isinstance(made, list):
        return [clean(m) for m in made]
    return {k: clean(m) for k, m in made.items()} if isinstance(made, dict) else made


def expected(text):
    """What Python makes of it, or None: not to be read."""
    try:
        made = clean(json.loads(text, object_pairs_hook=once, parse_constant=refuse))
    except (ValueError, RecursionError):
        return None
    return None if depth(made) > 64 else made


def ours(ctx, text):
    try:
        return next(iter(kd.RecordReader(ctx, text=text)))
    except kd.Error:
        return None


def same(a, b):
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def check(ctx, text):
    line = '{"prompt":"p","odd":' + text + "}"
    right, found = expected(line), ours(ctx, line)
    if (right is None) != (found is None):
        sys.exit(f"{line!r}: Python has {right!r}, ours {found!r}")
    if right is not None and not same(right["odd"], found["extra"]["odd"]):
        sys.exit(f"{line!r}: Python has {right['odd']!r}, ours {found['extra']['odd']!r}")
    return right is not None


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    rng, read = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1), 0
    with kd.Context() as ctx:
        for i in range(count):
            text = value(rng, i % 2)
            if i % 3 == 2:
                text = broken(rng, text)
            read += check(ctx, text.replace("\n", " "))
    print(f"json: {count} documents, {read} read as Python does, the others refused as Python does")


main()
