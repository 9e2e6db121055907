#!/usr/bin/python3
"""Compares what an analyser said with analyse.allow: a row there explains one finding of one check in
one function, so a second of its kind is new, and a row that explains nothing is out of date.

	findings.py TOOL FILE RESULTS     FILE: lines "file TAB check TAB line TAB words"

Prints one line of figures, then what is new or out of date; the exit status tells whether anything is.
In RESULTS (tests/attack/run.sh) each tool leaves its part, analyse/TOOL.json, and the row of all parts
that are there, analyse.json.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# the words of the row for each of analyse.sh's tools
TOOLS = {"cppcheck": "cppcheck", "gcc": "gcc -fanalyzer", "tidy": "clang-tidy", "scan": "scan-build",
         "unit": "memcheck over the unit tests", "system": "memcheck over a system run",
         "sanitizers": "ASan and UBSan over all unit and system tests"}


def function_at(path, number):
    """The function that this line of the file belongs to, "-" for none."""
    if not (ROOT / path).is_file() or not number:
        return "-"
    lines = (ROOT / path).read_text(encoding="utf-8", errors="replace").split("\n")[:number]
    for i in range(len(lines) - 1, -1, -1):
        if lines[i].startswith("}") and i < len(lines) - 1:
            return "-"
        if lines[i] == "{":
            head = i - 1
            while head > 0 and lines[head][:1] in (" ", "\t"):
                head -= 1
            name = re.search(r"(\w+)\(", "\n".join(lines[head:i]))
            return name.group(1) if name else "-"
    return "-"


def findings(path):
    """(file, function, check) of each, and the words to show."""
    seen = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        file, check, number, words = (line.split("\t") + ["", "", ""])[:4]
        n = int(number) if number.isdigit() else 0
        seen[file, check, n, words] = (file, function_at(file, n), check)
    return seen


def allowed(tool):
    rows = collections.Counter()
    for n, line in enumerate((ROOT / "tests/lint/analyse.allow").read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != 5 or not all(cells):
            sys.exit(f"analyse.allow:{n}: tool, file, function, check, reason, with tabs between")
        if cells[0] == tool:
            rows[tuple(cells[1:4])] += 1
    return rows


def leave(folder, tool, explained, failed):
    """The tool's part, and the row of all parts; where they are of several commits it says which."""
    parts = folder / "analyse"
    commit = subprocess.run([ROOT / "packaging/commit.sh"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    part = {"commit": commit, "explained": explained, "failed": failed}
    (parts / f"{tool}.json").write_text(json.dumps(part), encoding="utf-8")

    read = {t: json.loads((parts / f"{t}.json").read_text()) for t in TOOLS if (parts / f"{t}.json").exists()}
    several = len({p["commit"] for p in read.values()}) > 1
    words = [f"{t} {p['explained']}" + (f" at {p['commit'][:12]}" if several else "") for t, p in read.items()]
    row = {"name": "analyse", "tried": ", ".join(TOOLS[t] for t in read), "count": len(read), "unit": "tools",
           "failed": sum(p["failed"] for p in read.values()),
           "detail": "findings looked at and explained: " + ", ".join(words)}
    (folder / "analyse.json").write_text(json.dumps(row), encoding="utf-8")


def main():
    tool, path = sys.argv[1], pathlib.Path(sys.argv[2])
    rows, new = allowed(tool), []
    seen = findings(path)
    for (file, check, number, words), key in sorted(seen.items()):
        if rows[key] > 0:
            rows[key] -= 1
        else:
            new.append(f"{file}:{number}: {key[1]}: {check}: {words}")
    stale = [f"analyse.allow: explains nothing: {tool} " + " ".join(key) for key in rows.elements()]
    print(f"{tool:<10} {len(seen):4d} findings, {len(seen) - len(new):4d} explained, {len(new):4d} new")
    print("\n".join(new + stale), end="\n" if new or stale else "")
    leave(pathlib.Path(sys.argv[3]), tool, len(seen) - len(new), bool(new or stale))
    sys.exit(1 if new or stale else 0)


if __name__ == "__main__":
    main()
