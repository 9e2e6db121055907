#!/usr/bin/python3
"""What kleroctl hsm check --json said of the modules, as the table of the README.

	table.py --write RESULTS      into README.md, between its markers (RESULTS/modules/NAME.json)
	table.py --summary FILE       one line
	table.py --refused FILE       status 0 when the token cannot be used and each lack is explained
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- modules: made by make modules -->", "<!-- end of modules -->"
NAMES = {"softhsm": "SoftHSM", "nss": "NSS softoken", "opencryptoki": "opencryptoki, soft token",
         "tpm2": "tpm2-pkcs11"}


def load(path):
    return json.loads(pathlib.Path(path).read_text().splitlines()[0])


def lacking(report, must):
    return [row for row in report["needs"] if row["must"] == must and not row["has"]]


def summary(report):
    must, less = (lacking(report, kind) for kind in (True, False))
    words = "can be used" if report["usable"] else "cannot be used"
    return f"{words}; lacks {len(must)} that must be there, {len(less)} that it can do without"


def cell(row):
    if row["has"] is None:
        return "not tried"
    if not row["has"]:
        return "**no**" if row["must"] else "no"
    us = row["ns"] / 1000
    return "yes" if us == 0 else f"yes, {us:,.0f} µs" if us >= 10 else f"yes, {us:.1f} µs"


def table(results):
    reports = {n: load(results / f"{n}.json") for n in NAMES if (results / f"{n}.json").exists()}
    rows = {n: {row["id"]: row for row in r["needs"]} for n, r in reports.items()}
    first = next(iter(reports.values()))["needs"]
    lines = ["| what is needed | " + " | ".join(NAMES[n] for n in reports) + " | what it means when it lacks |",
             "| --- |" + " --- |" * (len(reports) + 1)]
    for row in sorted(first, key=lambda r: not r["must"]):
        lines.append(f"| {row['need']} | " + " | ".join(cell(rows[n][row["id"]]) for n in reports)
                     + f" | {row['missing']} |")
    lines.append("| **can be used** | " + " | ".join("**yes**" if r["usable"] else "no" for r in reports.values())
                 + " | |")
    return "\n".join(lines)


def write(results):
    path = ROOT / "README.md"
    before, rest = path.read_text().split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}")


def main(argv):
    if len(argv) != 2 or argv[0] not in ("--write", "--summary", "--refused"):
        sys.exit(__doc__)
    if argv[0] == "--write":
        write(pathlib.Path(argv[1]) / "modules")
    elif argv[0] == "--summary":
        print(summary(load(argv[1])))
    else:
        report = load(argv[1])
        sys.exit(report["usable"] or not all(row["how"] and row["missing"] for row in lacking(report, True)))


main(sys.argv[1:])
