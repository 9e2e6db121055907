"""Fixtures of the fault suites, and their rows for the attack table.

FAULTS=long tries every N (tests/faults/attack.sh); otherwise a few of each, for make check.
KLERO_FAULTS names the folder of the programs with the seam (build/out/faults).
"""

import collections
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "attack"), str(HERE.parent / "system"), str(HERE.parent / "beacon")]
import beacon  # noqa: E402
import bench  # noqa: E402
import rows  # noqa: E402
import seam  # noqa: E402
from rows import count, pytest_runtest_makereport, pytest_sessionfinish  # noqa: E402, F401

PROGRAMS = pathlib.Path(os.environ.get("KLERO_FAULTS", HERE.parents[1] / "build" / "out" / "faults")).resolve()
LONG = os.environ.get("FAULTS") == "long"
SHARE = int(os.environ.get("FAULTS_SHARE", "1"))  # of the long form: every so many-th N
KINDS = os.environ.get("FAULTS_KINDS", "").split() or list(seam.KINDS)  # of the long form: these only
LANES = int(os.environ.get("FAULTS_LANES", "8")) if LONG else 1  # appliances at once
WAYS = {  # of test_paths.py
    "start": "klerod starts",
    "replacement": "a role is replaced, in the role or in parent",
    "login": "somebody registers and logs in",
    "sale": "tickets are sold",
    "draw": "a v1 raffle is drawn",
    "opening": "a v2 raffle is opened, and sells",
    "life": "a v2 raffle closes, fetches its beacon's value and draws",
}
tallies, roles = collections.defaultdict(collections.Counter), collections.defaultdict(list)


def told(file):
    """What the failures of a row came to, and where."""
    share = [f"every {SHARE} of them"] if SHARE > 1 else []
    return ", ".join(["in " + " ".join(roles[file])] + share + [f"{n} {what}" for what, n in tallies[file].items() if n])


rows.declare({  # file: name in the table, what is tried, unit
    **{"faults-" + way: ("faults: " + way, f"the Nth malloc, read, write, fsync, send and some twenty more fail while {what}",
                         "failures") for way, what in WAYS.items()},
    "disk": ("faults: disk", "store and log on a full, a read-only and a failing disk; SQLite busy, pages damaged", "failures"),
    "clock": ("faults: clock", "the wall clock stepped by hours and years, before 1970 and past 2038, under every role", "steps"),
}, **{"faults-" + way: lambda file="faults-" + way: told(file) for way in WAYS})


@pytest.fixture(autouse=True)
def tallied(request):
    """Keeps what a test's failures came to for its row."""
    bench.Bench.tally.clear()
    yield
    file, case = rows.row_of(request.node), getattr(request.node, "callspec", None)
    tallies[file].update(bench.Bench.tally)
    roles[file] += [case.params["role"]] if case and "role" in case.params else []


def some(short, rest):
    """The cases of a test: all of them in the long form."""
    return short + rest if LONG else short


def pytest_configure(config):
    rows.mark(config)
    config.addinivalue_line("markers", "root_only: needs root")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("root_only") and os.getuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture(scope="session")
def folder():
    made = pathlib.Path(tempfile.mkdtemp(prefix="klero-faults."))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def chain(folder):
    """A drand chain of our own, a round each second."""
    with beacon.Beacon(folder / "beacon", relays=2) as made:
        yield made


@pytest.fixture
def make_bench(folder):
    """make_bench(*lines): an appliance with the seam, provisioned."""
    made = []

    def make(*lines):
        made.append(bench.Bench(PROGRAMS, folder / f"b{len(list(folder.iterdir()))}", *lines))
        return made[-1]
    yield make
    for b in made:
        b.end()
