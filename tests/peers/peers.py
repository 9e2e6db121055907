"""What the peers' tests share: the programs of npm, installed by run.sh into the folder that
KLERO_PEERS names."""

import json
import os
import pathlib
import re
import subprocess

import klero

FOLDER = pathlib.Path(os.environ["KLERO_PEERS"])


def run(*argv, stdin="", check=True, timeout=300):
    r = subprocess.run(argv, input=stdin, capture_output=True, text=True, cwd=FOLDER, timeout=timeout)
    if check and r.returncode:
        raise klero.Failure(f"{argv[0]}: {r.stderr[-2000:]}{r.stdout[-1000:]}")
    return r


def node(script, stdin=""):
    """Runs a script of this folder; returns what it writes."""
    return run("node", script, stdin=stdin).stdout


def row(name, tried, count, unit, failed, detail=""):
    """A line of SECURITY.md's table (tests/attack/report.py), when somebody collects them."""
    folder = os.environ.get("KLERO_ATTACK")
    if folder:
        result = {"name": name, "tried": tried, "count": count, "unit": unit, "failed": failed, "detail": detail}
        pathlib.Path(folder, re.sub(r"\W+", "-", name) + ".json").write_text(json.dumps(result, indent=1) + "\n")
