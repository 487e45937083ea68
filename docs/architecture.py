"""Draws docs/architecture.svg from src/floors.txt and the includes: a floor for each wing, lowest
at the bottom, with its folders and the floors that it includes from. `--check` fails where the
drawing is not that of the tree."""
import collections
import glob
import html
import os
import re
import sys

TO = "docs/architecture.svg"
WIDTH, LEFT, PAD, BOX, LINE = 960, 120, 12, 34, 18
SAID = {
    "base": "memory, status, threads, files, text",
    "formats": "JSON, CSV, npy, safetensors, GGUF",
    "math": "kernels, products, random numbers",
    "nn": "layers, forward and backward, on plain arrays",
    "core": "data, models, teachers, losses, the loop's handles",
    "audio": "WAV files, sample rates, mel spectrograms",
    "language": "text, tokenizers, decoders, generation",
    "measure": "comparisons, reports",
    "course": "records, verdicts, curation, packed batches",
    "engines": "which kinds of models this build knows",
    "tool": "the command kdistill",
}


def read_floors():
    """Wings in their order with their folders, and the folder of each public header."""
    wings, owners = collections.OrderedDict(), {}
    for line in open("src/floors.txt", encoding="utf-8"):
        folders, _, headers = line.split("#")[0].partition(":")
        for folder in folders.split():
            wings.setdefault(folder.split("/")[0], []).append(folder)
            owners.update({f"kdistill/{header}": folder for header in headers.split()})
    return wings, owners


def find_includes(wings, owners):
    """The pairs of wings of which the first includes from the second."""
    arrows = set()
    for path in glob.glob("src/**/*.[ch]", recursive=True):
        wing = path.split("/")[1]
        for included in re.findall(r'^\s*#include\s+["<]([^">]+)[">]',
                                   open(path, encoding="utf-8").read(), flags=re.M):
            to = (owners.get(included) or os.path.dirname(included)).split("/")[0]
            if to != wing and to in wings:
                arrows.add((wing, to))
    return arrows


def text(x, y, words, style=""):
    return f'<text x="{x}" y="{y}" {style}>{html.escape(words)}</text>'


def draw_floor(y, wing, folders, arrows, order):
    """One floor from y downwards, and its height."""
    names = [folder.split("/")[1] for folder in folders if "/" in folder]
    used = sorted((to for from_, to in arrows if from_ == wing), key=order.index)
    says = "includes from " + ", ".join(used) if used else ""
    out = [text(LEFT, y + LINE, SAID[wing])]
    x, below = LEFT, y + LINE + PAD - 2
    for name in names:
        width = 8 * len(name) + 16
        out += [f'<rect x="{x}" y="{below}" width="{width}" height="24" rx="4" class="room"/>',
                text(x + 8, below + 16, name)]
        x += width + 6
    height = LINE + PAD + (BOX if names else 4)
    if says:
        out.append(text(LEFT, y + height + 8, says, 'class="small"'))
        height += LINE
    out.insert(0, f'<rect x="8" y="{y}" width="{WIDTH - 16}" height="{height}" class="floor"/>')
    out.insert(1, text(20, y + LINE, wing, 'class="wing"'))
    return out, height


def draw():
    wings, owners = read_floors()
    arrows, order = find_includes(wings, owners), list(wings)
    y, shapes = 8, []
    for wing in reversed(order):
        floor, height = draw_floor(y, wing, wings[wing], arrows, order)
        shapes += floor
        y += height + 6
    style = ("text{font:13px sans-serif;fill:#1a1a1a}.wing{font-weight:bold}"
             ".small{font-size:11px;fill:#555}.floor{fill:#f3f1ec;stroke:#b9b3a6}"
             ".room{fill:#fff;stroke:#8a8474}.paper{fill:#fff}"
             "@media (prefers-color-scheme:dark){text{fill:#dcdfe3}.small{fill:#a8aeb6}"
             ".floor{fill:#1e2228;stroke:#454c55}.room{fill:#2a3038;stroke:#7b838d}"
             ".paper{fill:#15181c}}")
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 2}" '
            f'width="{WIDTH}" height="{y + 2}">')
    paper = f'<rect width="{WIDTH}" height="{y + 2}" class="paper"/>'
    return "\n".join([head, f"<style>{style}</style>", paper, *shapes, "</svg>"]) + "\n"


if sys.argv[1:] == ["--check"]:
    if not os.path.exists(TO) or open(TO, encoding="utf-8").read() != draw():
        sys.exit(f"{TO} is not the drawing of this tree: make docs")
else:
    with open(TO, "w", encoding="utf-8") as file:
        file.write(draw())
