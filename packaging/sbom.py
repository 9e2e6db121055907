#!/usr/bin/python3
"""Writes what is in a Debian package that is about to be closed, and what its programs are linked with,
as an SPDX 2.3 document. Run by packaging/debian/rules.

	sbom.py PACKAGE ROOT OUT

ROOT is the package's tree, OUT a path in it, which the document names as the one file it leaves out.
The same tree and the same libraries give the same bytes.
"""

import datetime
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def licences():
    lines = (HERE / "sbom.tsv").read_text().splitlines()
    return dict(line.split("\t") for line in lines if line and not line.startswith("#"))


def ident(kind, name):
    return f"SPDXRef-{kind}-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def fields(package):
    """Source, version and architecture of an installed Debian package."""
    return run("dpkg-query", "-W", "-f", "${source:Package} ${Version} ${Architecture}", package).split()


def element(name, version, licence, purl):
    return {
        "SPDXID": ident("Package", name), "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }


def debian(package):
    source, version, arch = fields(package)
    table = licences()
    if source not in table:
        sys.exit(f"sbom: {package} ({source}) does not stand in packaging/sbom.tsv")
    return element(package, version, table[source], f"pkg:deb/debian/{package}@{version}?arch={arch}")


def needed(program):
    found = run("readelf", "-d", str(program))
    return re.findall(r"\(NEEDED\).*\[(.*)\]", found)


def is_elf(path):
    with path.open("rb") as f:
        return f.read(4) == b"\x7fELF"


@functools.cache
def owner(library):
    """The Debian package that a program's library is of, by where the linker finds it."""
    path = re.search(rf"^\s*{re.escape(library)} .*=> (\S+)$", run("/sbin/ldconfig", "-p"), re.M)
    if path is None:
        sys.exit(f"sbom: {library} is not found")
    # the file, or where it was before /lib became a link
    for place in (os.path.realpath(path[1]), path[1], os.path.realpath(path[1]).removeprefix("/usr")):
        said = subprocess.run(["dpkg", "-S", place], capture_output=True, text=True, check=False).stdout
        if said:
            return said.split(":")[0]
    sys.exit(f"sbom: no package has {path[1]}")


def page():
    """npm's packages of the page that klerod-net serves."""
    lock = json.loads((TREE / "daemon/page/package-lock.json").read_text())["packages"]
    for path, of in lock.items():
        if path and not of.get("dev"):
            name = path.split("node_modules/")[-1]
            yield element(f"npm-{name}", of["version"], of["license"], f"pkg:npm/{name.replace('@', '%40')}@{of['version']}")


def inside(root):
    """(element, how) of what is in the programs themselves."""
    if not (root / "usr/sbin/klerod").exists():
        return [(debian("libjsmn-dev"), "STATIC_LINK")]
    found = [(debian("libjsmn-dev"), "STATIC_LINK"), *((e, "CONTAINS") for e in page())]
    done = TREE / "build/deps/sqlcipher/done"
    if done.exists():
        version = done.read_text().strip()
        found.append((element("sqlcipher", version, licences()["sqlcipher"], f"pkg:deb/debian/sqlcipher@{version}?arch=source"),
                      "STATIC_LINK"))
    return found


def hashes(path):
    data = path.read_bytes()
    return [{"algorithm": name, "checksumValue": hashlib.new(name.lower(), data).hexdigest()} for name in ("SHA1", "SHA256")]


def files(root, out):
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink() and p != out):
        name = "./" + str(path.relative_to(root))
        if not name.startswith("./DEBIAN/"):
            yield path, {"SPDXID": ident("File", name), "fileName": name, "checksums": hashes(path),
                         "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION"}


def describe(package, root, out):
    whole = element(package, run("dpkg-parsechangelog", "-S", "Version").strip(), "ISC", "")
    whole["externalRefs"][0]["referenceLocator"] = f"pkg:deb/kleroterion/{package}@{whole['versionInfo']}"
    others, listed, relations = {}, [], [("SPDXRef-DOCUMENT", "DESCRIBES", whole["SPDXID"])]
    for path, entry in files(root, out):
        listed.append(entry)
        relations.append((whole["SPDXID"], "CONTAINS", entry["SPDXID"]))
        for library in needed(path) if is_elf(path) else ():
            e = debian(owner(library))
            others[e["SPDXID"]] = e
            relations.append((entry["SPDXID"], "DYNAMIC_LINK", e["SPDXID"]))
    for e, how in inside(root):
        others[e["SPDXID"]] = e
        relations.append((whole["SPDXID"], how, e["SPDXID"]))
    sums = sorted(c["checksumValue"] for f in listed for c in f["checksums"] if c["algorithm"] == "SHA1")
    whole |= {"filesAnalyzed": True, "packageVerificationCode": {
        "packageVerificationCodeValue": hashlib.sha1("".join(sums).encode()).hexdigest(),
        "packageVerificationCodeExcludedFiles": ["./" + str(out.relative_to(root))]}}
    packages = [whole, *(others[k] for k in sorted(others))]
    return packages, listed, sorted(set(relations))


def main(package, root, out):
    root, out = pathlib.Path(root), pathlib.Path(out)
    packages, listed, relations = describe(package, root, out)
    when = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    name = f"{package}-{packages[0]['versionInfo']}"
    content = json.dumps([packages, listed, relations])
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "creationInfo": {"created": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: kleroterion-sbom"]},
        "packages": packages, "files": listed,
        "relationships": [{"spdxElementId": a, "relationshipType": how, "relatedSpdxElement": b} for a, how, b in relations],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")
    out.chmod(0o644)


if __name__ == "__main__":
    main(*sys.argv[1:])
