"""Links of the pages lead somewhere: every relative link names a file of the repository, and where
it names a heading too, the page has that heading. Pages under docs/ are linked from another page.
Sources and public names that a page names in its text exist (pages of history excepted)."""

import fnmatch
import glob
import os
import re
import subprocess
import sys


def anchor(heading):
    """The name under which hosts of Markdown link a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")


def prose(path):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", open(path, encoding="utf-8").read(), flags=re.M | re.S)


HISTORY = "CHANGELOG.md", "docs/decisions.md"
FUTURE = ("docs/room.md",)  # compiled by check-room
ENVIRONMENT = "KD_DATA", "KD_STORE", "KD_TEST_FEW", "KD_MINILM", "KD_WORDNET"


def missing_sources(text, files):
    """Names of C and Python files in code spans that no file has, with or without its folder."""
    named = re.findall(r"`([\w./*-]+\.(?:c|h|py|sh))`", text)
    return [
        name
        for name in named
        if not any(
            fnmatch.fnmatch(path, name) or fnmatch.fnmatch(path, f"*/{name}") for path in files
        )
    ]


def missing_names(text, headers):
    """Public names and keys in code spans that there are not; a star at the end stands for any."""
    named = re.findall(r"`((?:kd|KD)_(?!x_|X_|_)\w+\*?)[^`\n]*`", text)
    return [
        name
        for name in named
        if name not in ENVIRONMENT
        and not re.search(
            rf"\b{name[:-1]}\w+" if name.endswith("*") else rf"\b{name}(?=\W)", headers
        )
    ]


def missing_python(text, reference):
    """Classes, functions and methods of the package in code spans that its page does not have."""
    known = set(re.findall(r"^##{1,2} ([\w.]+)$", reference, flags=re.M))
    handles = {name.lower(): name for name in known if name[0].isupper() and "." not in name}
    spans = " ".join(re.findall(r"`([^`\n]+)`", text))
    named = re.findall(r"\bkd\.(\w+)", spans) + [
        f"{handles[handle]}.{method}"
        for handle, method in re.findall(r"\b([a-z]+)\.([a-z]\w*)\(", spans)
        if handle in handles
    ]
    return [name for name in named if name not in known]


def main():
    files = set(
        subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\n")
    )
    folders = {os.path.dirname(path) for path in files}
    pages = {path: prose(path) for path in sorted(files) if path.endswith(".md")}
    anchors = {
        path: {anchor(h) for h in re.findall(r"^#+ (.*)$", text, flags=re.M)}
        for path, text in pages.items()
    }
    headers = "".join(
        open(path, encoding="utf-8").read() for path in glob.glob("include/**/*.h", recursive=True)
    )
    for path in glob.glob("src/**/*.c", recursive=True):  # keys of configs
        headers += "".join(re.findall(r'"kd_\w+"', open(path, encoding="utf-8").read()))
    reference = pages["docs/reference/python.md"]
    linked, errors = {"README.md"}, []
    for page, text in pages.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, place = link.partition("#")
            to = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            linked.add(to)
            if to not in files and to not in folders:
                errors.append(f"{page}: {link}: no such file")
            elif place and place not in anchors.get(to, ()):
                errors.append(f"{page}: {link}: no such heading")
        if page not in HISTORY + FUTURE and not page.startswith("docs/reference/"):
            errors += [f"{page}: {name}: no such file" for name in missing_sources(text, files)]
            names = missing_names(text, headers) + missing_python(text, reference)
            errors += [f"{page}: {name}: no such name" for name in names]
    errors += [
        f"{page}: no page links to it"
        for page in pages
        if re.fullmatch(r"docs/[^/]+\.md", page) and page not in linked
    ]
    if errors:
        sys.exit("\n".join(errors))
    print(f"pages: {len(pages)}, links, sources and names are there")


main()
