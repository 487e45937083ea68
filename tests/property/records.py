"""Records of every shape: what is read and written again is the same; gzip files as Python's gzip
module reads them:
    python tests/property/records.py [cases] [seed]
"""

import gzip
import json
import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

WORDS = [
    "a",
    "caf\u00e9",
    "\u4eca\u5929",
    "</think>",
    "<think>",
    "\n",
    "  ",
    '"',
    "\\",
    "{}",
    "[1]",
    "7",
    "\U0001f600",
    "\u00a0",
    "tool_calls",
]
KEPT = (
    "prompt",
    "completion",
    "expected",
    "domain",
    "id",
    "teacher",
    "finish",
    "passed",
    "turns",
    "extra",
    "tools",
    "variables",
    "ids",
    "sample",
    "seed",
    "key",
    "prompt_key",
)


def text(rng, least=0):
    return "".join(rng.choice(WORDS) for _ in range(rng.randint(least, 6)))


def value(rng, depth=0):
    kind = rng.randint(0, 7 if depth < 3 else 4)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.choice([0, -1, 2**53 + 1, 10**30, -(10**20), rng.randint(-9, 9)])
    if kind == 2:
        return rng.choice([0.1, -0.0, 1e-300, 1.5e10, 3.141592653589793])
    if kind <= 4:
        return text(rng)
    if kind == 5:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {f"m{i}": value(rng, depth + 1) for i in range(rng.randint(0, 3))}


def turn(rng, role):
    made = {"role": role, "content": text(rng, 1)}
    if role == "assistant" and rng.random() < 0.2:
        made["tool_calls"] = [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": value(rng, 2)}}
        ]
    if role == "assistant" and rng.random() < 0.3:
        made[rng.choice(["weight", "train", "loss"])] = rng.randint(0, 1)
    if role == "assistant" and rng.random() < 0.2 and "think>" not in made["content"]:
        made[rng.choice(["reasoning_content", "reasoning", "thinking"])] = "because"
    if role == "tool":
        made["tool_call_id"] = "c1"
    if rng.random() < 0.1:
        made["name"] = "n"
    return made


def chat(rng):
    roles = (["system"] if rng.random() < 0.3 else []) + ["user"]
    for _ in range(rng.randint(0, 3)):
        roles += rng.choice([["assistant", "user"], ["assistant", "tool", "assistant", "user"]])
    return [turn(rng, role) for role in roles + (["assistant"] if rng.random() < 0.9 else [])]


def record(rng):
    shape = rng.randint(0, 4)
    if shape <= 1:
        made = {"messages": chat(rng)}
    elif shape == 2:
        made = {
            rng.choice(["prompt", "question", "instruction"]): text(rng, 1),
            rng.choice(["completion", "response", "output"]): text(rng, 1),
        }
        if rng.random() < 0.3:
            made["history"] = [[text(rng, 1), text(rng, 1)] for _ in range(rng.randint(1, 2))]
    elif shape == 3:
        made = {
            "conversations": [
                {"from": f, "value": text(rng, 1)} for f in ("human", "gpt") * rng.randint(1, 2)
            ]
        }
    else:
        ids = [rng.randint(0, 99) for _ in range(rng.randint(1, 5))]
        made = {"input_ids": ids, "labels": [rng.choice([-100, i]) for i in ids]}
    others = dict(
        system=text(rng, 1),
        tools=[{"type": "function", "function": {"name": "f", "parameters": value(rng, 2)}}],
        chat_template_kwargs={"enable_thinking": rng.random() < 0.5},
        id=rng.choice([7, 2**60, "x"]),
        expected=text(rng, 1),
        seed=rng.choice([1, 2**63 + 5, 2**64 - 1]),
        score=0.25,
        temperature=1.5,
        domain="d",
        my_member=value(rng),
    )
    for name, what in others.items():
        if (
            rng.random() < 0.2
            and not (name == "system" and made.get("messages", [{}])[0].get("role") == "system")
            and not (name == "system" and shape == 4)
        ):
            made[name] = what
    return made


def round_trip(context, rng, case):
    line = json.dumps(record(rng), ensure_ascii=rng.random() < 0.5)
    found = list(kd.RecordReader(context, text=line + "\n"))
    for one in found:
        values = {
            name: one[name]
            for name in KEPT + ("score", "temperature")
            if name not in ("key", "prompt_key")
        }
        again = list(kd.RecordReader(context, text=kd.record_to_json(context, **values) + "\n"))
        assert len(again) == 1, (case, line)
        for name in KEPT:
            assert again[0][name] == one[name], (
                f"case {case}: {name}: {again[0][name]!r} after {one[name]!r}\n{line}"
            )
    assert len(found) == 1, (case, line)


def is_json(line):
    try:
        return bool(json.loads(line))
    except ValueError:
        return False


def members(rng, lines):
    """A gzip file of several members, perhaps damaged, and what Python makes of it."""
    data, at = b"", 0
    while at < len(lines):
        size = rng.randint(0, len(lines) - at) or (0 if rng.random() < 0.5 else 1)
        data += gzip.compress(lines[at : at + size], rng.choice([0, 1, 9]))
        at += size
    data += rng.choice([b"", b"", b"\0" * rng.randint(1, 600), gzip.compress(b"")])
    damage = rng.randint(0, 5)
    if damage == 0:
        data = data[: rng.randint(1, len(data))]
    elif damage == 1:
        at = rng.randrange(len(data))
        data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    elif damage == 2:
        data += b"rubbish"
    return data, damage == 1


def zipped(context, rng, folder, case):
    lines = b"".join(
        json.dumps({"prompt": str(i), "completion": text(rng, 1)}).encode() + b"\n"
        for i in range(rng.randint(1, 40))
    )
    path = os.path.join(folder, "x.jsonl.gz")
    data, flipped = members(rng, lines)
    with open(path, "wb") as f:
        f.write(data)
    try:
        with gzip.open(path) as f:
            right = f.read()
    except (OSError, EOFError, ValueError, gzip.zlib.error):
        right = None
    if not data.startswith(b"\x1f\x8b"):
        return  # no gzip any more
    reader, found, errors = kd.RecordReader(context, path), [], 0
    while errors < 2000:
        try:
            one = reader.next()
        except kd.Error:
            errors += 1
            continue
        if one is None:
            break
        found.append(one["prompt"])
    if flipped and errors == 1:
        return  # zlib checks the header's flags and checksum, Python's module does not
    if right is not None:
        whole = [
            line for line in right.splitlines() if is_json(line)
        ]  # it may be cut at a member's end
        assert errors == len(right.splitlines()) - len(whole), (case, errors, right)
        assert found == [json.loads(line)["prompt"] for line in whole], (case, found, right)
    else:  # what came whole before the damage, which a checksum tells of only at its end
        assert 0 < errors < (2000 if flipped else 3) and (
            flipped or found == [str(i) for i in range(len(found))]
        ), (case, found, errors)


def main():
    cases, seed = (
        int(sys.argv[1]) if len(sys.argv) > 1 else 1000,
        int(sys.argv[2]) if len(sys.argv) > 2 else 1,
    )
    context = kd.Context(threads=1)
    with tempfile.TemporaryDirectory() as folder:
        for case in range(cases):
            rng = random.Random(f"{seed}-{case}")
            try:
                round_trip(context, rng, case)
                zipped(context, rng, folder, case)
            except kd.Error as error:
                raise SystemExit(f"case {case} of seed {seed}: refused: {error}")
    print(f"{cases} records and {cases} gzip files agreed")


main()
