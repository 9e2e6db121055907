#!/usr/bin/python3
"""The table of SECURITY.md that says what was tried against the product, how often, what came of it.

	report.py RESULTS [SECURITY.md]     prints it, or puts it between that file's markers

RESULTS holds the suites' own *.json (tests/attack/run.sh): name, tried, count, unit, failed and,
where there is more to say, detail. found.tsv beside this script says what a suite found over its
life and what was done. A suite without a result of its own keeps its row of the last time.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
BEGIN = "<!-- attack: made by tests/attack/report.py -->"
END = "<!-- end of attack -->"
HEAD = "| what | tried | how often | failed | found over time, and what was done |\n| --- | --- | --- | --- | --- |\n"


def found():
    """What stands in found.tsv: name → text."""
    rows = {}
    for number, line in enumerate((HERE / "found.tsv").read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        name, tab, text = line.partition("\t")
        if not tab or name in rows:
            sys.exit(f"found.tsv:{number}: a name, a tab and a text, each name once")
        rows[name] = text.strip()
    return rows


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def row(result, text):
    often = f"{result['count']:,} {result['unit']}".replace(",", "\u202f")
    if result.get("detail"):
        often += f" ({result['detail']})"
    return "| " + " | ".join(map(cell, (result["name"], result["tried"], often, result["failed"], text))) + " |"


def old_rows(page):
    """The rows that stand in the page: name → line."""
    if BEGIN not in page:
        return {}
    lines = page.split(BEGIN)[1].split(END)[0].splitlines()
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}


def table(results, texts, old):
    rows = {name: line for name, line in old.items() if name not in ("what", "---")}
    for result in results:
        rows[result["name"]] = row(result, texts.get(result["name"], "nothing yet"))
    return HEAD + "".join(rows[name] + "\n" for name in sorted(rows))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    results = [json.loads(p.read_text()) for p in sorted(pathlib.Path(sys.argv[1]).glob("*.json"))]
    if len(sys.argv) == 2:
        print(table(results, found(), {}), end="")
        return
    page = pathlib.Path(sys.argv[2])
    whole = page.read_text(encoding="utf-8")
    if BEGIN not in whole or END not in whole:
        sys.exit(f"{page}: no place for the table ({BEGIN} … {END})")
    before, rest = whole.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    page.write_text(before + BEGIN + "\n" + table(results, found(), old_rows(whole)) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
