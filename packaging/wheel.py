"""Wheels of the Python package with the library inside: wheel.py OUT [TARGET ..]

The same bytes whenever, wherever and by whomever it is run: sorted names, the commit's time, RECORD
last. A wheel holds the package, the library and an SBOM.
"""

import argparse
import base64
import hashlib
import os
import time
import zipfile

import build
import sbom
import tree

try:
    from zopfli import zlib as zopfli
except ImportError:  # pip install: a wheel that is unpacked at once
    zopfli = None

NAME = "kdistill"
DESCRIPTION = """# kdistill

A small model, the student, learns from the outputs of a large one, the teacher, on CPUs. This
package is the Python side of libkdistill and holds the C library: no BLAS, no OpenMP, numpy alone
beside it.

    import kdistill as kd
    print(kd.build_info())
"""


def metadata():
    """The METADATA of wheels and sdists."""
    return f"""Metadata-Version: 2.4
Name: {NAME}
Version: {tree.version()}
Summary: {tree.SUMMARY}
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.9
Requires-Dist: numpy
Classifier: Programming Language :: Python :: 3
Classifier: Programming Language :: C
Classifier: Topic :: Scientific/Engineering :: Artificial Intelligence
Description-Content-Type: text/markdown

{DESCRIPTION}"""


def package_files():
    """The Python package, as name in the wheel: bytes."""
    found = {}
    for name in tree.files("python/kdistill"):
        with open(tree.path(name), "rb") as file:
            found[name[len("python/") :]] = file.read()
    return found


def _digest(data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return "sha256=" + digest.rstrip(b"=").decode()


class _Zopfli:
    """What zipfile asks of a compressor: deflate, a 25th smaller than by zlib."""

    def __init__(self):
        self._parts = []

    def compress(self, data):
        """Keeps a part."""
        self._parts.append(data)
        return b""

    def flush(self):
        """All of it, without zlib's header and checksum."""
        return zopfli.compress(b"".join(self._parts))[2:-4]


def write_zip(path, entries):
    """Writes a zip file: entries in their order, all of the commit's time."""
    moment = time.gmtime(tree.time())[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, data in entries:
            info = zipfile.ZipInfo(name, moment)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            mode = 0o755 if name.endswith((build.SONAME, build.DLL)) else 0o644
            info.external_attr = (0o100000 | mode) << 16
            with file.open(info, "w") as to:
                if zopfli:
                    to._compressor = _Zopfli()
                to.write(data)


def write_wheel(folder, tags, library=None, tools=()):
    """Writes the wheel for platform tags; without a library a pure one. Returns its file name."""
    version = tree.version()
    info = f"{NAME}-{version}.dist-info"
    entries = package_files()
    about = {"METADATA": metadata(), "licenses/LICENSE": tree.read("LICENSE")}
    if library:
        with open(library, "rb") as file:
            entries[f"{NAME}/lib/{os.path.basename(library)}"] = file.read()
        about[f"sboms/{NAME}.spdx.json"] = sbom.document(library=library, tools=tools)
    pure = "false" if library else "true"
    about["WHEEL"] = f"Wheel-Version: 1.0\nGenerator: {NAME}\nRoot-Is-Purelib: {pure}\n" + "".join(
        f"Tag: py3-none-{tag}\n" for tag in tags
    )
    ordered = sorted(entries.items())
    ordered += [(f"{info}/{name}", text.encode()) for name, text in sorted(about.items())]
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in ordered)
    ordered.append((f"{info}/RECORD", (record + f"{info}/RECORD,,\n").encode()))
    file_name = f"{NAME}-{version}-py3-none-{'.'.join(tags)}.whl"
    os.makedirs(folder, exist_ok=True)
    write_zip(os.path.join(folder, file_name), ordered)
    return file_name


def main():
    """Builds the wheels that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(build.TARGETS)}; default: all")
    options = parser.parse_args()
    unknown = set(options.targets) - set(build.TARGETS)
    if unknown:
        parser.error(f"expected targets of {', '.join(build.TARGETS)}, got {', '.join(unknown)}")
    for name in options.targets or build.TARGETS:
        began = time.time()
        target = build.TARGETS[name]
        objects = os.path.abspath(os.path.join("build", "wheel", name))
        made = write_wheel(options.out, target.tags, build.build(objects, target), sbom.tools())
        size = os.path.getsize(os.path.join(options.out, made))
        print(f"{size:9,} bytes in {time.time() - began:3.0f} s: {made}", flush=True)


if __name__ == "__main__":
    main()
