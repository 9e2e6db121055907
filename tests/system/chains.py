"""What ethers and @solana/web3.js say of addresses and transactions, for the system tests: questions to
tests/chains/chains.mjs, whose packages are installed at first use."""

import json
import os
import pathlib
import subprocess

import klero

SOURCE = klero.HERE.parent / "chains"
FOLDER = pathlib.Path(os.environ.get("KLERO_CHAINS", klero.HERE.parents[1] / "build" / "chains"))


def install():
    subprocess.run([SOURCE / "install.sh", FOLDER], check=True)


def ask_all(questions):
    """The answers to [(what, {fields}), …], in order."""
    run = subprocess.run(["node", FOLDER / "chains.mjs"], input=json.dumps([{"ask": what, **f} for what, f in questions]),
                         capture_output=True, text=True, timeout=120)
    if run.returncode:
        raise klero.Failure(run.stderr)
    return json.loads(run.stdout)


def ask(what, **fields):
    return ask_all([(what, fields)])[0]
