#!/usr/bin/python3
"""How much each role may ask of the kernel, beside OpenSSH's sandboxed child: counted in the filters
themselves, as the kernel was given them, by running each program over every system call number.

    filters.py show BUILD        the table
    filters.py write BUILD       into SECURITY.md, beside the rows of other releases
    filters.py check BUILD       is what stands there for this release still true? TAP; without OpenSSH

Root only. BUILD holds bin/ and tools/.
"""

import functools
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import walk  # noqa: E402
from walk import klero  # noqa: E402

PAGE = HERE.parents[1] / "SECURITY.md"
BEGIN = "<!-- filters: made by tests/escape/filters.py -->"
END = "<!-- end of filters -->"
HEAD = ("| process | release | calls allowed | of these by argument | refused, not deadly |\n"
        "| --- | --- | --- | --- | --- |\n")
ARCH = 0xC000003E  # AUDIT_ARCH_X86_64
NUMBERS = 1024
ROLES = ("net", "tlskey", "engine", "hsm", "hsm-wide", "keyadm", "kdf", "out", "beacon")

# seccomp(2): what a filter answers, in the upper half
ALLOW, ERRNO = 0x7fff, 0x0005


def outcomes(code, nr):
    """The answers of a filter to a call, whatever its arguments are: every branch that depends on
    one is taken both ways."""
    @functools.lru_cache(None)
    def run(pc, a, x):
        while True:
            op, jt, jf, k = code[pc]
            kind = op & 7
            if kind == 0:  # load: number and architecture are known, arguments are not
                a = {0: nr, 4: ARCH}.get(k) if op & 0x60 == 0x20 else k if op & 0xe0 == 0 else None
            elif kind == 1:
                x = None
            elif kind in (2, 3):
                pass  # to memory, which is never read as a known value here
            elif kind == 4:
                a = alu(op, a, k)
            elif kind == 5:
                if op & 0xf0 == 0:
                    pc += 1 + k
                    continue
                if a is None:
                    return run(pc + 1 + jt, a, x) | run(pc + 1 + jf, a, x)
                pc += 1 + (jt if taken(op & 0xf0, a, k) else jf)
                continue
            elif kind == 6:
                return frozenset({k >> 16})
            else:
                a = None
            pc += 1
    return run(0, None, None)


def alu(op, a, k):
    if a is None or op & 8:
        return None
    return {0x50: a & k, 0x40: a | k, 0x00: (a + k) & 0xffffffff}.get(op & 0xf0)


def taken(op, a, k):
    return {0x10: a == k, 0x20: a > k, 0x30: a >= k, 0x40: a & k != 0}[op]


def count(code):
    """(allowed in some case, of them not in every case, answered with an error and lived)"""
    allowed = conditional = refused = 0
    unknown = outcomes(code, NUMBERS + 1)  # what a call of the future gets
    for nr in range(NUMBERS):
        got = outcomes(code, nr)
        if ALLOW in got:
            allowed += 1
            conditional += got != {ALLOW}
        elif ERRNO in got and got != unknown:
            refused += 1
    return allowed, conditional, refused


def program(text):
    raw = bytes.fromhex(text)
    return [struct.unpack("=HBBI", raw[i:i + 8]) for i in range(0, len(raw), 8)]


def read_filters(path):
    """{name: program}, the first of each."""
    found = {}
    for line in path.read_text().splitlines():
        name, text = line.split(" ")
        found.setdefault(re.sub(r"\[\d+\]$", "", name), program(text))
    return found


def of_roles(build, folder):
    found = {}
    for wide in (False, True):
        out = folder / f"filters.{wide}"
        # a relay that nobody is: out and beacon start, and nobody is asked
        lines = klero.NO_LIMITS + ["drand-relay https://127.0.0.1:1"] + ([f"pkcs11-module {build}/tools/nocopy.so"] if wide else [])
        programs = folder / "programs"
        programs.mkdir(exist_ok=True)
        wrapped = programs / "kleroctl"
        wrapped.write_text(f'#!/bin/sh\nexec "{build}/tools/sift" --filters "{out}" "{build}/bin/kleroctl" "$@"\n')
        wrapped.chmod(0o755)
        a = walk.Sifted(build, folder / f"a{wide:d}", lines)
        a.bin = programs
        a.provision()
        a.bin = build / "bin"
        a.options = ["--filters", str(out)] + (["--wide"] if wide else [])
        a.start()
        a.stop()
        found.update({k: v for k, v in read_filters(out).items() if k in ROLES and k not in found})
    return found


def release():
    words = dict(re.findall(r'(?m)^(\w+)="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text()))
    return f"{words['ID'].capitalize()} {words['VERSION_ID']}"


def of_openssh(build, folder):
    """{"sshd 9.2p1, before login": program} of this Debian's."""
    out = folder / "filters.ssh"
    subprocess.run([HERE / "openssh.sh", build, out], check=True)
    version = subprocess.run(["apt-cache", "show", "--no-all-versions", "openssh-server"], capture_output=True, text=True).stdout
    version = re.search(r"(?m)^Version: (?:\d+:)?([^-\n]+)", version)[1]
    return {f"{name} of OpenSSH {version}, before login": code for name, code in read_filters(out).items()}


def rows(filters):
    out = {}
    for name, code in filters.items():
        allowed, conditional, refused = count(code)
        out[name, release()] = f"| {name} | {release()} | {allowed} | {conditional} | {refused} |"
    return out


def rows_of_page():
    text = PAGE.read_text(encoding="utf-8")
    if BEGIN not in text:
        sys.exit(f"SECURITY.md has no place for the table: {BEGIN} … {END}")
    lines = [line for line in text.split(BEGIN)[1].split(END)[0].splitlines() if line.startswith("| ")][2:]
    return {tuple(c.strip() for c in line.split("|")[1:3]): line for line in lines}


def table(found):
    def order(key):
        return (ROLES.index(key[0]) if key[0] in ROLES else len(ROLES), key[1])
    return HEAD + "".join(found[key] + "\n" for key in sorted(found, key=order))


def write(found):
    old = {k: v for k, v in rows_of_page().items() if k[1] != release()}
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    PAGE.write_text(before + BEGIN + "\n" + table({**old, **found}) + END + rest.split(END, 1)[1], encoding="utf-8")


def check(found):
    old, bad = rows_of_page(), 0
    for n, (key, line) in enumerate(sorted(found.items()), 1):
        good = old.get(key) == line
        bad += not good
        print(f"{'ok' if good else 'not ok'} {n} - SECURITY.md says of {key[0]} on {key[1]}: {old.get(key)}; it is {line}")
    print(f"1..{len(found)}")
    sys.exit(bad != 0)


def main():
    what, build = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="klero-filters."))
    folder.chmod(0o711)
    try:
        found = rows(of_roles(build, folder))
        if what != "check":
            found.update(rows(of_openssh(build, folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if what == "check":
        check(found)
    elif what == "write":
        write(found)
    else:
        print(table(found), end="")


if __name__ == "__main__":
    main()
