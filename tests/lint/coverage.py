#!/usr/bin/python3
"""Branch coverage of the whole product by the unit tests, the fuzz targets' seeds and the system tests.

	coverage.py BUILD [--only unit|seeds|system] [--missing PREFIX]

BUILD is made by `make coverage`: clang's own coverage, its counters in a memory map of a file in
BUILD/profile that each process opens before its main(). So the roles count with their sandbox on,
root folder, Landlock and seccomp included, and a process that ends by _exit() or a signal has counted
all the same. A branch is one outcome, true or false, of one condition.

Not counted is only the way past a switch that names every value of its enum: no run can take it, and
the compiler warns when a value is missing. What ends in fatal() or wants lack of memory counts.

Fails when a test fails, or when less than 95 % of a group below is covered. --missing lists the
branches of these files that were not taken.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMANDED = 95.0
# what must reach that: a name, and the files' paths begin so
GROUPS = [
    ("policy", ("policy/",)),
    ("message layer", ("daemon/msg/", "daemon/loop/")),
    ("parsers", ("daemon/net/http.c", "daemon/net/hdr.c", "daemon/net/req.c", "daemon/api/",
                 "daemon/conf/conf.c", "daemon/conf/file.c", "daemon/conf/identity.c", "daemon/conf/token.c",
                 "daemon/engine/token.c", "daemon/engine/cursor.c", "policy/phc.c")),
]


def programs(build):
    for folder in ("bin", "tests", "fuzz"):
        for path in sorted((build / folder).glob("*")):
            if path.is_file() and not path.suffix and os.access(path, os.X_OK):
                yield path


def run(what, command, **more):
    """True when it ends well."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", **more)
    if done.returncode != 0:
        print(f"FAILED: {what}\n{(done.stdout + done.stderr)[-2000:]}")
    return done.returncode == 0


def run_unit(build, tmp):
    env = dict(os.environ, TMPDIR=tmp)
    tests = [path for path in programs(build) if path.parent.name == "tests"]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return all(list(pool.map(lambda path: run(path.name, [path], env=env, timeout=900), tests)))


def run_seeds(build, tmp):
    good = True
    for path in programs(build):
        if path.parent.name != "fuzz":
            continue
        seeds = [d for d in (ROOT / "tests/fuzz/seeds" / path.name,) if d.is_dir()]
        good &= run(path.name, [path, "-runs=0", *seeds], env=dict(os.environ, TMPDIR=tmp), timeout=300)
    return good


def run_system(build, tmp):
    env = dict(os.environ, TMPDIR=tmp, KLERO_BIN=str(build / "bin"))
    return run("system tests", [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(2 * os.cpu_count()),
                                "--dist", "loadgroup", "tests/system"], env=env, timeout=3600)


def exported(build):
    """llvm-cov's files, of all programs together."""
    merged = build / "coverage.profdata"
    subprocess.run(["llvm-profdata", "merge", "-o", merged, *sorted((build / "profile").glob("*.profraw"))], check=True)
    objects = [word for path in programs(build) for word in ("-object", str(path))]
    text = subprocess.run(["llvm-cov", "export", *objects[1:], f"-instr-profile={merged}"],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(text)["data"][0]["files"]


def conditions(file):
    """(place, how often true, how often false): of a header's function each includer has a copy."""
    if not file["filename"].endswith(".h"):
        return [(row[:4], *row[4:6]) for row in file["branches"]]
    added = collections.defaultdict(lambda: [0, 0])
    for row in file["branches"]:
        added[tuple(row[:4])][0] += row[4]
        added[tuple(row[:4])][1] += row[5]
    return [(place, true, false) for place, (true, false) in added.items()]


def branches(file):
    """(line, outcome, taken, expression) of each branch that counts."""
    lines = pathlib.Path(file["filename"]).read_text(encoding="utf-8", errors="replace").split("\n")
    for (first, column, last, end), true, false in conditions(file):
        line = lines[first - 1]
        if re.search(r"\bswitch \($", line[:column - 1]):
            continue
        words = line[column - 1:end - 1 if last == first else None].strip()
        # a case or a default is one outcome
        if re.match(r"(case\b|default\b)", words):
            yield first, "reached", true, words
            continue
        yield first, "true", true, words
        yield first, "false", false, words


def measure(files):
    """path → (taken, all, the missing ones)"""
    found = {}
    for file in files:
        path = os.path.relpath(file["filename"], ROOT)
        if path.startswith(("..", "tests", "build")):
            continue
        every = list(branches(file))
        if every:
            missing = [(line, outcome, words) for line, outcome, taken, words in every if not taken]
            found[path] = (len(every) - len(missing), len(every), missing)
    return found


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def sums(found, key):
    """Adds up by what key says of a path; None leaves it out."""
    added = collections.defaultdict(lambda: [0, 0])
    for path, (taken, every, _) in found.items():
        if key(path) is not None:
            added[key(path)][0] += taken
            added[key(path)][1] += every
    return added


def main():
    args = argparse.ArgumentParser()
    args.add_argument("build", type=pathlib.Path)
    args.add_argument("--only", action="append", choices=["unit", "seeds", "system"])
    args.add_argument("--missing", metavar="PREFIX")
    args = args.parse_args()
    build = args.build.resolve()
    good = True

    if not args.missing:
        shutil.rmtree(build / "profile", ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="klero-coverage.") as tmp:
            os.chmod(tmp, 0o1777)
            for name, suite in (("unit", run_unit), ("seeds", run_seeds), ("system", run_system)):
                good &= (args.only and name not in args.only) or suite(build, tmp)
    found = measure(exported(build))
    if args.missing:
        for path, (_, _, missing) in sorted(found.items()):
            for line, outcome, words in missing if path.startswith(args.missing) else ():
                print(f"{path}:{line}: never {outcome}: {words}")
        return 0

    for path, (taken, every, _) in sorted(found.items(), key=lambda row: percent(*row[1][:2])):
        print(f"{percent(taken, every):6.1f} % of {every:5d}  {path}")
    for folder, (taken, every) in sorted(sums(found, os.path.dirname).items()):
        print(f"{percent(taken, every):6.1f} % of {every:5d}  {folder}/ together")
    groups = sums(found, lambda path: next((g for g, starts in GROUPS if path.startswith(starts)), None))
    low = [g for g, (taken, every) in groups.items() if percent(taken, every) < DEMANDED]
    for group, (taken, every) in groups.items():
        print(f"{percent(taken, every):6.1f} % of {every:5d}  {group}: {DEMANDED:g} demanded")
    everything = sums(found, lambda path: "")[""]
    print(f"{percent(*everything):6.1f} % of {everything[1]:5d}  the whole product")
    if os.environ.get("KLERO_ATTACK"):
        said = ", ".join(f"{g} {percent(*n):.1f} %" for g, n in groups.items())
        result = {"name": "coverage", "tried": "branches that the unit tests, fuzz seeds and system tests take, "
                  "every role in its whole sandbox", "count": everything[1], "unit": "branches",
                  "failed": len(low) + (not good),
                  "detail": f"{said}, the whole product {percent(*everything):.1f} %"}
        pathlib.Path(os.environ["KLERO_ATTACK"], "coverage.json").write_text(json.dumps(result, ensure_ascii=False))
    return 0 if good and not low else 1


if __name__ == "__main__":
    sys.exit(main())
