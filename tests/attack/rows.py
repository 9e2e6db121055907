"""Rows of the attack table from a suite of pytest: what each of its tests counts, and how many failed.

A suite's conftest takes from here what pytest looks for there, and declares its rows:

	from rows import count, pytest_runtest_makereport, pytest_sessionfinish  # noqa: F401
	rows.declare({file: (name in the table, what is tried, unit)})

Each test names its row by the marker row(file). The results go to $KLERO_ATTACK (run.sh).
"""

import collections
import json
import os
import pathlib

import pytest

ROWS, DETAILS = {}, {}
counts, failed = collections.Counter(), collections.Counter()


def declare(rows, **details):
    """details: for a file, a function that says more of it at the end."""
    ROWS.update(rows)
    DETAILS.update(details)


def mark(config):
    config.addinivalue_line("markers", "row(name): the row of the attack table that this belongs to")


def row_of(item):
    return item.get_closest_marker("row").args[0]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    failed[row_of(item)] += outcome.get_result().failed


def pytest_sessionfinish():
    folder = os.environ.get("KLERO_ATTACK")
    for file, (name, tried, unit) in ROWS.items():
        if not folder or not counts[file]:
            continue
        row = {"name": name, "tried": tried, "count": counts[file], "unit": unit, "failed": failed[file]}
        if file in DETAILS:
            row["detail"] = DETAILS[file]()
        pathlib.Path(folder, file + ".json").write_text(json.dumps(row))


@pytest.fixture
def count(request):
    """Counts for the row of this test: count(n)."""
    def add(n=1):
        counts[row_of(request.node)] += n
    return add
