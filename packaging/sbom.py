"""What a package is made of, as SPDX 2.3: sbom.py [--blas NAME] [--zlib] [LIBRARY]

The library, the Unicode tables in it, what is linked to it, and the compiler that made it.
"""

import argparse
import datetime
import hashlib
import json
import shlex
import subprocess
import sys

import tree

PREFIX = "SPDXRef-"
#: Version of the data that src/language/text/unicode_tables.h was made of (Python's unicodedata).
UNICODE = "15.0"


def tools():
    """The compiler of the wheels, as a tool of SPDX."""
    try:
        import importlib.metadata

        return ["ziglang-" + importlib.metadata.version("ziglang")]
    except importlib.metadata.PackageNotFoundError:
        return []


def compiler_tool(compiler):
    """The first line that a compiler says of itself."""
    words = [*shlex.split(compiler), "--version"]
    said = subprocess.run(words, capture_output=True, text=True).stdout.splitlines()
    return [said[0].strip()] if said else []


def _package(name, version, license_id, **more):
    return {
        "SPDXID": PREFIX + "Package-" + name.replace("_", "-"),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": license_id,
        "licenseDeclared": license_id,
        "copyrightText": "NOASSERTION",
        **more,
    }


def _relation(one, kind, other):
    return {
        "spdxElementId": one["SPDXID"],
        "relationshipType": kind,
        "relatedSpdxElement": other["SPDXID"],
    }


def document(library=None, tools=(), linked=()):
    """The document as JSON text.

    library: a file whose checksum is told. linked: (name, version, license) of each library that is
    linked dynamically.
    """
    version = tree.version()
    checksums = {}
    if library:
        with open(library, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        checksums = {"checksums": [{"algorithm": "SHA256", "checksumValue": digest}]}
    purl = {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": f"pkg:pypi/kdistill@{version}",
    }
    main = _package("libkdistill", version, "Apache-2.0", externalRefs=[purl], **checksums)
    unicode = _package(
        "unicode-character-database",
        UNICODE,
        "Unicode-DFS-2016",
        comment="tables in src/language/text",
    )
    others = [_package(*each) for each in linked]
    relations = [_relation({"SPDXID": PREFIX + "DOCUMENT"}, "DESCRIBES", main)]
    relations.append(_relation(main, "CONTAINS", unicode))
    relations += [_relation(main, "DYNAMIC_LINK", each) for each in others]
    moment = datetime.datetime.fromtimestamp(tree.time(), datetime.timezone.utc)
    body = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": PREFIX + "DOCUMENT",
        "name": f"libkdistill-{version}",
        "creationInfo": {
            "created": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: libkdistill-packaging", *(f"Tool: {each}" for each in tools)],
        },
        "packages": [main, unicode, *others],
        "relationships": relations,
    }
    content = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    body["documentNamespace"] = f"https://spdx.org/spdxdocs/libkdistill-{version}-{content[:32]}"
    return json.dumps(body, indent=2, sort_keys=True) + "\n"


def main():
    """Prints the document of a build on this system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blas", default="none")
    parser.add_argument("--zlib", action="store_true")
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("library", nargs="?")
    options = parser.parse_args()
    licenses = {"openblas": "BSD-3-Clause", "blis": "BSD-3-Clause"}
    linked = []
    if options.blas in licenses:
        linked.append((options.blas, "NOASSERTION", licenses[options.blas]))
    if options.zlib:
        linked.append(("zlib", "NOASSERTION", "Zlib"))
    made_by = compiler_tool(options.compiler)
    sys.stdout.write(document(options.library, made_by, linked))


if __name__ == "__main__":
    main()
