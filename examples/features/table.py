"""Means of several seeds with their intervals, printed and kept as JSON."""

import json
import math
import os

#: 97.5 % points of Student's t for 1, 2, 3 .. degrees of freedom
T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


def interval(values):
    """Mean, and half of the 95 % confidence interval of the mean; None for one value."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return mean, T[min(len(values) - 1, len(T)) - 1] * math.sqrt(variance / len(values))


def text(values, digits=2):
    mean, half = interval(values)
    return f"{mean:.{digits}f}" + ("" if half is None else f" ± {half:.{digits}f}")


def show(columns, rows):
    """Rows of text, as Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    print("\n".join("| " + " | ".join(line) + " |" for line in lines), flush=True)


def row(name, values, peer=None, goal=None):
    """A mean beside a peer's figure: an entry of "table" in a part of the JSON file."""
    ours = interval(values)[0]
    ratio = ours / peer if peer else None
    return {"name": name, "ours": ours, "peer": peer, "ratio": ratio, "goal": goal}


def keep(path, part, found):
    """Writes a part of the JSON file; the other parts stay."""
    kept = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
    kept[part] = found
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
