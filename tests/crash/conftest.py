"""Fixtures and settings of the crash tests.

KLERO_BIN     the programs (build/out/bin)
CRASH_ROUNDS  rounds of each random test; the short form of `make check` without it
SEED          repeats the choices of a run, not the pace of the machine; printed by every run
CRASH_KEEP    1: the appliances' folders stay, with the last state after a cut as "cut"
KLERO_ATTACK  folder for the results (tests/attack)
"""

import json
import os
import pathlib
import platform
import random
import secrets
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system"), str(HERE.parent / "beacon")]
import beacon  # noqa: E402
import lives  # noqa: E402
from appliance import Crashable  # noqa: E402

BIN = pathlib.Path(os.environ.get("KLERO_BIN", HERE.parents[1] / "build" / "out" / "bin")).resolve()
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "0"))
SEED = int(os.environ.get("SEED", secrets.randbelow(1 << 32)))


def pytest_configure(config):
    config.addinivalue_line("markers", "traced: the programs run under tests/tools/disklog")


def pytest_report_header():
    return f"SEED={SEED}"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("traced") and (os.getuid() != 0 or platform.machine() != "x86_64"):
            item.add_marker(pytest.mark.skip(reason="needs root, and x86_64: it traces the roles"))


@pytest.fixture
def rng(request):
    print(f"SEED={SEED}")
    return random.Random(f"{SEED}/{request.node.name}")


@pytest.fixture
def rounds():
    """rounds(short): how many, in the short and in the long form."""
    return lambda short: ROUNDS or short


@pytest.fixture
def quick():
    """A folder in memory where there is one: where the record says what is durable, the machine's
    own disk need not."""
    memory = pathlib.Path("/dev/shm")
    where = pathlib.Path(tempfile.mkdtemp(prefix="klero-crash.", dir=memory if os.access(memory, os.W_OK) else None))
    where.chmod(0o711)
    yield where
    if os.environ.get("CRASH_KEEP") != "1":
        shutil.rmtree(where, ignore_errors=True)


@pytest.fixture(scope="session")
def drand(tmp_path_factory):
    """Lines for an appliance with v2 raffles, whose rounds come each second."""
    with beacon.Beacon(tmp_path_factory.mktemp("beacon"), relays=2) as b:
        yield b.lines(delay=lives.DELAY)


@pytest.fixture
def make(quick):
    """make(lines): a provisioned appliance; stopped at the end."""
    made = []

    def one(*lines, provision=True):
        a = Crashable(BIN, quick / secrets.token_hex(4), lines)
        made.append(a)
        return a.provision() if provision else a
    yield one
    for a in made:
        a.stop()


@pytest.fixture
def on_disk(drand):
    """An appliance on the machine's own disk."""
    where = pathlib.Path(tempfile.mkdtemp(prefix="klero-crash."))
    where.chmod(0o711)
    a = Crashable(BIN, where / "a", drand).provision()
    yield a
    a.stop()
    shutil.rmtree(where, ignore_errors=True)


class Result:
    """A row of the attack table: tests/attack/report.py."""

    def __init__(self, name, tried, unit):
        self.row = {"name": name, "tried": tried, "count": 0, "unit": unit, "failed": 1}

    def write(self, **more):
        self.row.update(more)
        folder = os.environ.get("KLERO_ATTACK")
        if folder:
            pathlib.Path(folder, self.row["name"].replace(" ", "-") + ".json").write_text(json.dumps(self.row) + "\n")


@pytest.fixture
def result():
    """result(name, tried, unit): its row says "failed" until the test has come to its end."""
    made = []

    def one(*what):
        made.append(Result(*what))
        return made[0]
    yield one
    for r in made:
        r.write()
