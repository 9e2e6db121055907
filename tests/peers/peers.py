"""What the peers' tests share: the programs of npm, installed by run.sh into the folder that
KLERO_PEERS names."""

import os
import pathlib
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
