"""Plain American English: known oddities in what users read, with the words to use instead.

python3 tests/gates/words.py [path ..]      prints file:line: oddity -> replacement
"""

import ast
import glob
import re
import sys

from spelling import BRITISH

SCANNED = [
    "include/*.h",
    "include/kdistill/*.h",
    "python/*.py",
    "python/kdistill/*.py",
    "README.md",
    "docs/*.md",
]

THING = "(text|row|sample|prompt|batch|token|tokenizer|position|record|line|choice|shard|class)"
THINGS = "(texts|rows|samples|prompts|tokens|ids|answers|bytes|numbers|records|labels|classes)"
AMERICAN = "American spelling"
END = r"(?= *([.,;:)|]|$|\*/|(and|or|in|at|for|with|from|to)\b))"

ODDITIES = {
    r"(?<!left )\bbehind\b": "after",
    r"\banew\b": "again, from the start",
    r"(?<!has )(?<!have )(?<!was )(?<!were )\bbegun\b": "started",
    r"\btold\b(?! apart)": "known, reported, decided",
    r"\bknows? (them|it|him|that|this) not\b": "does not know it",
    r"\bas (it is|they are)(?=[.,;:)]| *\*/| *$)": "unchanged, directly",
    r"\bof its own\b": "its own, a separate one",
    r"\bof the host's own\b": "the host's own",
    r"\bstands? in for\b": "replaces",
    r"\b(go|goes|going|went|gone) on with\b": "continue",
    r"\b(is|are|can be|cannot be) had\b": "is available",
    rf"\ban? \w+ an? {THING}{END}": "one per",
    rf"\b{THINGS} an? {THING}{END}": "per",
    r"\bpass(ed|es) over\b": "skip",
    r"\b(at most|up to|for|after|of) so many\b": "this many",
    r"\bin (its|their) stead\b": "instead",
    r"\b(that|what|which|it) (is|are) no (?!longer\b|more\b|less\b|different\b|one\b)": "is not a",
    r"\bbut for\b": "except for",
    r"\bborne\b": "tolerated",
    r"\bbesides? its place\b": "to a temporary file that is renamed",
    r"\bput over\b": "replace",
    r"\bwhat it has and\b": "features that",
    r"\bmove[sd]? (it |the file )?in(?=[.,;:)])": "renamed",
    r"\bcomes? beside\b": "is extra",
    r"\bthe other way round\b": "vice versa",
    r"\b(whilst|amongst)\b": "while, among",
    r"\b(towards|afterwards|upwards|downwards)\b": "toward, afterward, upward, downward",
    r"\b(judgement|fulfil|programme|metre|analys(e|ed|ing)|artefact|defence|learnt)\b": AMERICAN,
}
PATTERNS = [(re.compile(k, re.IGNORECASE), v) for k, v in ODDITIES.items()]
PATTERNS.append((BRITISH, AMERICAN))


def lines(path):
    """(number, text) of what people read: docstrings, pages without their code, headers."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".md"):
        text = re.sub(r"^```.*?^```", blank, text, flags=re.S | re.M)
    if path.endswith(".py"):
        return docstrings(text)
    return list(enumerate(text.split("\n"), 1))


def blank(match):
    return "\n" * match.group(0).count("\n")


def docstrings(text):
    found = []
    for node in ast.walk(ast.parse(text)):
        holds = isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        if holds and ast.get_docstring(node, clean=False):
            first = node.body[0].lineno
            found += enumerate(ast.get_docstring(node, clean=False).split("\n"), first)
    return found


def oddities(path):
    found = []
    for number, line in lines(path):
        for pattern, replacement in PATTERNS:
            for match in pattern.finditer(line):
                found.append(f"{path}:{number}: '{match.group(0).strip()}' -> {replacement}")
    return found


def main():
    patterns = sys.argv[1:] or SCANNED
    paths = sorted({path for pattern in patterns for path in glob.glob(pattern)})
    found = [line for path in paths for line in oddities(path)]
    if found:
        sys.exit("\n".join(found) + f"\nwords: {len(found)} oddities (docs/glossary.md)")
    print(f"words: {len(paths)} files in plain English")


main()
