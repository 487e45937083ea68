"""Everything of a release, into build/release: release.py [VERSION] [--check]

Refuses a tree that is not ready, and tells all that is wrong with it. Makes the archive, the source
package and the wheels for Python, the amalgamation, an SBOM, notes out of CHANGELOG.md, an index
and SHA256SUMS. Uploading is a person's command (docs/releasing.md). --check: tells whether it is
ready, no more.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import build
import sbom
import tree

OUT = "build/release"
#: The steps of .ci/run that are not a release's business.
RED = re.compile(r"FAILED")


def run(*words):
    """Runs a command in the tree; an error ends everything."""
    print("+", *words, flush=True)
    subprocess.run(words, cwd=tree.ROOT, check=True)


def section(version):
    """What CHANGELOG.md says of a version: its heading's remark and its text."""
    pattern = rf"^## {re.escape(version)}(.*)\n([\s\S]*?)(?=^## |\Z)"
    found = re.search(pattern, tree.read("CHANGELOG.md"), re.M)
    return (found[1].strip(), found[2].strip()) if found else (None, "")


def green_commit():
    """The commit that .ci/run last passed on, which build/ci/green holds."""
    try:
        return tree.read("build", "ci", "green").strip()
    except OSError:
        return None


def missing_wheels(folder, version):
    """Targets whose wheel is not in a folder."""
    missing = []
    for name, target in build.TARGETS.items():
        wheel = f"kdistill-{version}-py3-none-{'.'.join(target.tags)}.whl"
        if not os.path.exists(os.path.join(folder, wheel)):
            missing.append(name)
    return missing


def abi_is_recorded(version):
    """Does the recorded ABI of this version hold every name that the library exports?"""
    done = subprocess.run(
        ["sh", "tests/gates/abi.sh", "--recorded", version],
        cwd=tree.ROOT,
        capture_output=True,
        text=True,
    )
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def complaints(version):
    """What keeps this tree from being released, one line each."""
    found = []
    changed = tree.git("status", "--porcelain")
    if changed is None:
        return ["this is no checkout of git: release from the repository"]
    if changed.strip():
        found.append("files are not committed: " + changed.strip().splitlines()[0])
    if version != tree.version():
        return [*found, f"expected the version of the headers, {tree.version()}, got {version}"]
    remark, text = section(version)
    if remark is None or not text:
        found.append(f"CHANGELOG.md has no section of {version}")
    elif "not released" in remark:
        found.append(f"CHANGELOG.md says that {version} is not released: write its date")
    if tree.git("tag", "--list", "v" + version).strip():
        found.append(f"the tag v{version} is there already")
    head = tree.git("rev-parse", "HEAD").strip()
    if green_commit() != head:
        found.append("the gates were not green on this commit: run bash .ci/run, which notes it")
    recorded, said = abi_is_recorded(version)
    if not recorded:
        last = said.splitlines()[-1] if said else "no baseline"
        found.append(f"the ABI of {version} is not recorded (make record-abi): {last}")
    return found


def index(version):
    """What is in the folder: name, bytes, checksum, what it is."""
    kinds = {
        ".whl": "Python wheel",
        ".tar.gz": "sources",
        ".c": "the core in one file",
        ".h": "the core's header",
        ".spdx.json": "software bill of materials",
        ".md": "release notes",
        ".deb": "Debian package",
    }
    entries = []
    for name in sorted(os.listdir(tree.path(OUT))):
        with open(tree.path(OUT, name), "rb") as file:
            data = file.read()
        kind = next((text for end, text in kinds.items() if name.endswith(end)), "other")
        digest = hashlib.sha256(data).hexdigest()
        entries.append({"name": name, "bytes": len(data), "sha256": digest, "kind": kind})
    return {"name": "libkdistill", "version": version, "time": tree.time(), "files": entries}


def make(version):
    """Builds all artifacts."""
    shutil.rmtree(tree.path(OUT), ignore_errors=True)
    os.makedirs(tree.path(OUT))
    run("make", "-s", "dist", "wheels", "sdist", "amalgamation")
    missing = missing_wheels(tree.path("build", "wheels"), version)
    if missing:
        raise SystemExit(f"release: no wheel for {', '.join(missing)}")
    for folder, pattern in {
        "build/dist": rf"libkdistill-{re.escape(version)}\.tar\.gz$",
        "build/wheels": rf"kdistill-{re.escape(version)}[-.].*(whl|tar\.gz)$",
        "build/amalgamation": r"kdistill\.[ch]$",
    }.items():
        for name in os.listdir(tree.path(folder)):
            if re.match(pattern, name):
                shutil.copy2(tree.path(folder, name), tree.path(OUT, name))
    texts = {
        f"libkdistill-{version}.spdx.json": sbom.document(),
        "NOTES.md": f"# libkdistill {version}\n\n{section(version)[1]}\n",
    }
    for name, text in texts.items():
        with open(tree.path(OUT, name), "w", encoding="utf-8") as file:
            file.write(text)
    listed = index(version)
    with open(tree.path(OUT, "index.json"), "w", encoding="utf-8") as file:
        json.dump(listed, file, indent=1)
    with open(tree.path(OUT, "SHA256SUMS"), "w", encoding="utf-8") as file:
        file.writelines(f"{each['sha256']}  {each['name']}\n" for each in listed["files"])


def main():
    """Checks, then makes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", nargs="?", default=tree.version())
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found = complaints(options.version)
    if found:
        sys.exit("release: not ready\n" + "".join(f"  - {line}\n" for line in found))
    if options.check:
        print(f"release: {options.version} is ready")
        return
    make(options.version)
    with open(tree.path(OUT, "SHA256SUMS"), encoding="utf-8") as file:
        print(file.read() + f"release: {options.version} lies in {OUT}; docs/releasing.md goes on")


if __name__ == "__main__":
    main()
