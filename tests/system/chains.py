"""What ethers and @solana/web3.js say of addresses and transactions, for the system tests: questions to
one tests/chains/chains.mjs, whose packages are installed at first use."""

import atexit
import json
import os
import pathlib
import subprocess

import klero

SOURCE = klero.HERE.parent / "chains"
FOLDER = pathlib.Path(os.environ.get("KLERO_CHAINS", klero.HERE.parents[1] / "build" / "chains"))
judges = []


def install():
    subprocess.run([klero.HERE.parents[1] / "packaging" / "npm.sh", SOURCE, FOLDER], check=True)


def judge():
    """The one that answers; another one when it died of a question."""
    if not judges or judges[-1].poll() is not None:
        node = subprocess.Popen(["node", FOLDER / "chains.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(node.kill)
        judges.append(node)
    return judges[-1]


def ask_all(questions):
    """The answers to [(what, {fields}), …], in order."""
    node = judge()
    node.stdin.write(json.dumps([{"ask": what, **f} for what, f in questions]) + "\n")
    node.stdin.flush()
    line = node.stdout.readline()
    if not line:
        raise klero.Failure(f"what is wrong is above: {questions}")
    return json.loads(line)


def ask(what, **fields):
    return ask_all([(what, fields)])[0]
