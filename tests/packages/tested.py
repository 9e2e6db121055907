#!/usr/bin/python3
"""What was tested on which system, as the table of the README, from what the tests have written at their
own end: tests/check.sh, tests/packages/deb.sh and rpm.sh, a file for each system in build/tested.

	tested.py put NAME WHAT SYSTEM PASSED FAILED [FIGURE...]     a suite's own end; FIGURE is "name=value"
	tested.py write                                              the README, between its markers

How many system calls each role may make is what tests/escape/filters.py has counted, into SECURITY.md.
"""

import json
import pathlib
import re
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "tested"
BEGIN, END = "<!-- tested: made by make tested-table -->", "<!-- end of tested -->"
RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13"}


def put(name, what, system, passed, failed, *figures):
    RESULTS.mkdir(parents=True, exist_ok=True)
    report = {"what": what, "system": RELEASES.get(system, system), "passed": int(passed), "failed": int(failed),
              "when": time.strftime("%Y-%m-%d", time.gmtime()), "figures": dict(f.split("=", 1) for f in figures)}
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")


def calls():
    """A row for each process, a column for each release, from the rows of SECURITY.md."""
    text = (ROOT / "SECURITY.md").read_text().split("<!-- filters: ")[1].split("<!-- end of filters")[0]
    rows = re.findall(r"^\| ([^|]+?) \| (Debian \d+) \| (\d+) \|", text, re.M)
    counted = {}
    for process, release, count in rows:
        counted.setdefault(process, {})[release] = count
    releases = sorted({release for _, release, _ in rows})
    lines = ["| system calls allowed | " + " | ".join(releases) + " |", "| --- |" + " ---: |" * len(releases)]
    return lines + [f"| {process} | " + " | ".join(of.get(r, "") for r in releases) + " |" for process, of in counted.items()]


def kept(old, head, rows):
    """The rows of a table, those that were made elsewhere and are not made anew among them: build/ is a
    clone's own. A row's first two columns are its name."""
    found = old.split(head)[1].split("\n\n")[0].strip().splitlines() if head in old else []
    named = {tuple(row.split(" | ")[:2]): row for row in found + rows}
    return [head.rstrip("\n"), *named.values()]


def table(old):
    reports = [json.loads(p.read_text()) for p in sorted(RESULTS.glob("*.json"))]
    if not reports:
        sys.exit("tested: nothing was tested: make check, check-deb, check-rpm")
    runs = [f"| {r['what']} | {r['system']} | {r['passed']} | {r['failed']} | {r['when']} |" for r in reports]
    figures = [f"| {name} | {r['system']} | {value} |" for r in reports for name, value in r["figures"].items()]
    return "\n".join([*kept(old, "| what | system | passed | failed | on |\n| --- | --- | ---: | ---: | --- |\n", runs), "",
                      *kept(old, "| figure | system | |\n| --- | --- | ---: |\n", figures), "", *calls()])


def write():
    path = ROOT / "README.md"
    before, rest = path.read_text().split(BEGIN)
    old, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n{table(old)}\n{END}{after}")


if __name__ == "__main__":
    {"put": put, "write": write}[sys.argv[1]](*sys.argv[2:])
