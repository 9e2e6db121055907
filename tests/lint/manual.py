#!/usr/bin/python3
"""The parts of kleroctl(8) that are made from its list of commands: synopsis, options, exit status.

	kleroctl --commands | manual.py            says what is old or missing
	kleroctl --commands | manual.py --write    puts it between the markers
"""

import collections
import pathlib
import re
import sys

PAGE = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "man" / "kleroctl.8"


def read(text):
    """The rows of each kind: {"command": [[name, what], …], "option": …}"""
    rows = collections.defaultdict(list)
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        rows[kind].append(fields)
    return rows


def of(rows, kind, command):
    return [r[1:] for r in rows[kind] if r[0] == command]


def synopsis(rows):
    out = []
    for name, _ in rows["command"]:
        out += [".Nm", ".Op Fl c Ar file", f".Cm {name}"]
        for option, value, *_ in of(rows, "option", name):
            if option != "--help":
                out.append(f".Op Fl {option[1:]}" + (f" Ar {value.lower()}" if value else ""))
        for argument, how, *_ in of(rows, "argument", name):
            word = argument.lower() + (" ..." if how == "many" else "")
            out.append(f".Op Ar {word}" if how == "maybe" else f".Ar {word}")
    return out


def options(rows):
    out = [".Bl -tag -width Ds"]
    seen = set()
    for command, option, value, _, what in rows["option"]:
        if option == "--help" or (option == "--json" and option in seen):
            continue
        seen.add(option)
        out.append(f".It Fl {option[1:]}" + (f" Ar {value.lower()}" if value else ""))
        where = "any command" if option == "--json" else command
        out.append(f"{where[0].upper()}{where[1:]}: {what}.")
    return out + [".El"]


def statuses(rows):
    out = [".Bl -tag -width 0"]
    for number, _, what in rows["status"]:
        out += [f".It {number}", *re.sub(r"([.;]) ", r"\1\n", what).split("\n")]
    return out + [".El"]


def made(rows):
    return {"synopsis": synopsis(rows), "options": options(rows), "exit status": statuses(rows)}


def fresh(page, parts):
    for name, lines in parts.items():
        block = rf'(\.\\" {name}: made by tests/lint/manual\.py\n).*?(\.\\" end of {name}\n)'
        page, n = re.subn(block, lambda m: m[1] + "\n".join(lines) + "\n" + m[2], page, flags=re.S)
        if n != 1:
            raise SystemExit(f"kleroctl.8: no place for the {name}")
    return page


def check(text):
    """What is wrong with the page, a line each."""
    rows, page = read(text), PAGE.read_text()
    bad = [] if fresh(page, made(rows)) == page else ["kleroctl.8 is old: tests/lint/manual.py --write"]
    bad += [f"kleroctl.8 says nothing about {name}" for name, _ in rows["command"]
            if not re.search(rf"^\.It Cm {name}\b", page, re.M)]
    return bad


def main():
    text = sys.stdin.read()
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(fresh(PAGE.read_text(), made(read(text))))
    bad = check(text)
    print("\n".join(bad), end="\n" if bad else "")
    return len(bad) > 0


if __name__ == "__main__":
    sys.exit(main())
