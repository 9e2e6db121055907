#!/usr/bin/python3
"""Is the SPDX document of an unpacked Debian package a document, and true?

	sbom.py PACKAGE ROOT

Its form is what SPDX 2.3 demands of the parts that are used (clauses 6 to 11), licences are read by
Debian's node-spdx-expression-parse; files, their hashes and the libraries that the programs ask for are
looked up in the package itself. One line for what is wrong; the exit status says whether anything is.
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ID = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
HOW = {"DESCRIBES", "CONTAINS", "DYNAMIC_LINK", "STATIC_LINK"}


def form(d):
    if d["spdxVersion"] != "SPDX-2.3" or d["dataLicense"] != "CC0-1.0" or d["SPDXID"] != "SPDXRef-DOCUMENT":
        yield "the head is not SPDX 2.3's"
    if not re.fullmatch(r"https://[^#]+", d["documentNamespace"]) or not TIME.fullmatch(d["creationInfo"]["created"]):
        yield "namespace or time have not their form"
    if not all(re.match(r"(Tool|Person|Organization): ", c) for c in d["creationInfo"]["creators"]):
        yield "a creator is nobody"
    ids = [d["SPDXID"]] + [e["SPDXID"] for e in d["packages"] + d["files"]]
    if len(ids) != len(set(ids)) or not all(ID.fullmatch(i) for i in ids):
        yield "an identifier is not unique, or not of its form"
    for r in d["relationships"]:
        if r["relationshipType"] not in HOW or r["spdxElementId"] not in ids or r["relatedSpdxElement"] not in ids:
            yield f"a relationship leads nowhere: {r}"
    for p in d["packages"]:
        for key in ("name", "versionInfo", "downloadLocation", "licenseConcluded", "licenseDeclared", "copyrightText"):
            if not p.get(key):
                yield f"{p['SPDXID']} has no {key}"
        if not all(re.match(r"pkg:(deb|npm)/", r["referenceLocator"]) for r in p["externalRefs"]):
            yield f"{p['SPDXID']} has no purl"


def expressions(d):
    said = sorted({p["licenseDeclared"] for p in d["packages"]})
    script = "const parse = require('/usr/share/nodejs/spdx-expression-parse'); JSON.parse(process.argv[1]).forEach(parse)"
    run = subprocess.run(["node", "-e", script, json.dumps(said)], capture_output=True, text=True, check=False,
                         env={**os.environ, "NODE_PATH": "/usr/share/nodejs"})
    if run.returncode:
        yield f"a licence of {said} is none: {run.stderr.strip().splitlines()[4:5]}"


def truth(d, root):
    listed = {f["fileName"]: {c["algorithm"]: c["checksumValue"] for c in f["checksums"]} for f in d["files"]}
    whole = d["packages"][0]
    code = whole["packageVerificationCode"]
    there = {"./" + str(p.relative_to(root)): p for p in root.rglob("*") if p.is_file() and not p.is_symlink()}
    for name in sorted(set(there) ^ set(listed) ^ set(code["packageVerificationCodeExcludedFiles"])):
        yield f"{name} is not in both"
    for name in sorted(set(there) & set(listed)):
        for algorithm, value in listed[name].items():
            if hashlib.new(algorithm.lower(), there[name].read_bytes()).hexdigest() != value:
                yield f"{name} has another {algorithm}"
    sums = "".join(sorted(l["SHA1"] for l in listed.values()))
    if hashlib.sha1(sums.encode()).hexdigest() != code["packageVerificationCodeValue"]:
        yield "the verification code is another"


def links(d, package, root):
    """Every library of a program is linked, by a package that the package depends on."""
    names = {f["SPDXID"]: f["fileName"] for f in d["files"]}
    named = {p["SPDXID"]: p["name"] for p in d["packages"]}
    found = {}
    for r in d["relationships"]:
        if r["relationshipType"] == "DYNAMIC_LINK":
            found.setdefault(names[r["spdxElementId"]], set()).add(named[r["relatedSpdxElement"]])
    for path in (p for p in root.rglob("*") if p.is_file() and p.read_bytes()[:4] == b"\x7fELF"):
        asked = re.findall(r"\(NEEDED\)", subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout)
        if not found.get("./" + str(path.relative_to(root))) or not asked:
            yield f"{path.name} is linked with nothing"
    depends = subprocess.run(["dpkg-deb", "-f", package, "Depends"], capture_output=True, text=True, check=True).stdout
    for name in sorted({n for of in found.values() for n in of}):
        # the new names of Debian 13 for a longer time_t mean the same
        if not re.search(rf"(^|, |\| ){re.escape(name)}( |,|$)", depends, re.M):
            yield f"{name} is linked, and no dependency"


def main(package, root):
    root = pathlib.Path(root)
    paths = list(root.glob("usr/share/doc/*/*.spdx.json"))
    if len(paths) != 1:
        sys.exit(f"{len(paths)} documents")
    d = json.loads(paths[0].read_text())
    wrong = [*form(d), *expressions(d), *truth(d, root), *links(d, package, root)]
    print(*wrong, sep="\n")
    print(f"{len(d['packages'])} packages, {len(d['files'])} files, {len(d['relationships'])} relationships")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
