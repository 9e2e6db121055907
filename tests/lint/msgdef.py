#!/usr/bin/python3
"""daemon/msg.def, the only list of messages, as data: its own rules, and the table of SECURITY.md.

	msgdef.py            prints the table
	msgdef.py --write    puts it between the markers in SECURITY.md
"""

import pathlib
import re
import sys
from collections import namedtuple

BEGIN, END = "<!-- messages: made by tests/lint/msgdef.py -->", "<!-- end of messages -->"
Message = namedtuple("Message", "name number sender receiver least most fd when what")

ROW = re.compile(r'^MSG\((\w+), (0x[0-9a-f]{4}), ROLE_(\w+), ROLE_(\w+), (\d+), (\d+), ([012]), '
                 r'([A-Z| ]+), "((?:[^"\\]|\\.)*)"\)$')


def read(root):
    rows = []
    for line in (root / "daemon" / "msg.def").read_text().split("\n"):
        if not line.startswith("MSG("):
            continue
        m = ROW.match(line)
        if not m:
            raise SystemExit(f"daemon/msg.def: not understood: {line}")
        n, number, a, b, least, most, fd, when, what = m.groups()
        rows.append(Message(n, int(number, 16), a.lower(), b.lower(), int(least), int(most), int(fd), when, what))
    return rows


def check(rows):
    """Numbers are unique; a request is even, and what answers it is the next, odd number, back."""
    bad, by_number = [], {}
    for m in rows:
        if m.number in by_number:
            bad.append(f"{m.name} and {by_number[m.number].name} have one number")
        by_number[m.number] = m
        if m.least > m.most or m.most > 65536:
            bad.append(f"{m.name}: bounds {m.least} to {m.most}")
    for m in rows:
        is_answer = re.search(r"_(ANS|READY|PONG|SIGNED|DONE)$", m.name)
        request = by_number.get(m.number - 1)
        if is_answer and (m.number % 2 == 0 or request is None):
            bad.append(f"{m.name} answers nothing, or is even")
        if m.number % 2 and request and (request.sender, request.receiver) != (m.receiver, m.sender):
            bad.append(f"{m.name} does not go back the way {request.name} came")
    return bad


def table(rows):
    out = [BEGIN, "| number | message | from | to | bytes | descriptor | legal | what |",
           "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for m in rows:
        size = str(m.least) if m.least == m.most else f"{m.least}–{m.most}"
        when = {"PRE": "before ready", "RUN": "when ready"}.get(m.when, "always")
        what = m.what.replace("|", "\\|")
        out.append(f"| {m.number:#06x} | {m.name[4:]} | {m.sender} | {m.receiver} | {size} | "
                   f"{('no', 'one', 'may')[m.fd]} | {when} | {what} |")
    return "\n".join(out + [END])


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    made = table(read(root))
    if sys.argv[1:] != ["--write"]:
        print(made)
        return
    path = root / "SECURITY.md"
    old = path.read_text()
    before, rest = old.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    path.write_text(before + made + after)


if __name__ == "__main__":
    main()
