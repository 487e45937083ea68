"""The build backend of `pip install .` (PEP 517): the machine's C compiler, and nothing to fetch.

KDISTILL_SYSTEM=1 makes a package without the library: the system's is used.
"""

import gzip
import io
import os
import sys
import sysconfig
import tarfile
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import build
import sbom
import tree
import wheel

#: What the sdist holds.
CONTENT = (
    "LICENSE README.md CHANGELOG.md pyproject.toml include src packaging python/kdistill "
    "lib/libkdistill.map pkgconfig"
).split()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Builds the library and writes the wheel for this machine."""
    if os.environ.get("KDISTILL_SYSTEM"):
        return wheel.write_wheel(wheel_directory, ["any"])
    tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    with tempfile.TemporaryDirectory() as folder:
        library = build.build(folder)
        tools = sbom.compiler_tool(os.environ.get("CC", "cc"))
        return wheel.write_wheel(wheel_directory, [tag], library, tools)


def build_sdist(sdist_directory, config_settings=None):
    """Writes the source package: git's files, or in an unpacked one those that are there."""
    base = f"kdistill-{tree.version()}"
    moment = tree.time()
    path = os.path.join(sdist_directory, base + ".tar.gz")
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:

            def add(name, data):
                info = tarfile.TarInfo(f"{base}/{name}")
                info.size, info.mtime, info.mode = len(data), moment, 0o644
                archive.addfile(info, io.BytesIO(data))

            for name in tree.files(*CONTENT):
                with open(tree.path(name), "rb") as file:
                    add(name, file.read())
            add("PKG-INFO", wheel.metadata().encode())
    return os.path.basename(path)
