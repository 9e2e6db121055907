"""Power loss at every write of a scripted life of the store alone: made, written, folded back
(checkpoint), migrated. tests/tools/crash_db opens it as engine does, so a state takes milliseconds
and all of them can be tried; also states after a second cut while the first is being mended."""

import copy
import shutil
import subprocess

import appliance
import conftest
import disk
import pytest

pytestmark = pytest.mark.traced

TOOLS = conftest.BIN.parent / "tools"
TURNS = 20
AGAIN = 0.1  # how often the power fails again while the store recovers


def tool(folder, *args, record=None):
    command = [TOOLS / "crash_db", folder, *map(str, args)]
    if record:
        command = [TOOLS / "disklog", record, folder, "--"] + command
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def recorded(folder, *args):
    """Runs crash_db; the disk before it, and what it did."""
    before, record = disk.Disk(folder), folder.parent / "record"
    run = tool(folder, *args, record=record)
    assert run.returncode == 0, run
    return before, disk.read(record)


def every_cut(rng, folder, before, events, share):
    """(event, state) for each event of the record, or for a share of them."""
    state = folder.parent / "state"
    for i, e in enumerate(events + [None]):
        if rng.random() < share or e is None:
            before.cut(rng, {str(folder): appliance.fresh_folder(state)})
            yield i, state
        if e:
            before.feed(e)


def must_hold(rng, state, check, least, most):
    """The state opens and holds what it must; so does any state of a disk that is cut again
    meanwhile."""
    if rng.random() >= AGAIN:
        run = tool(state, check, least, most)
        assert run.returncode == 0, run.stdout + run.stderr
        return 1
    again = state.parent / "again"
    shutil.rmtree(again, ignore_errors=True)
    state.rename(again)
    before, events = recorded(again, check, least, most)
    n = 0
    for _, second in every_cut(rng, again, before, events, 4 / len(events)):
        # the check has added a turn of its own, of which nobody was told
        run = tool(second, check, least, most + 1)
        assert run.returncode == 0, run.stdout + run.stderr
        n += 1
    return n


@pytest.fixture
def folder(quick):
    (quick / "store").mkdir(mode=0o700)
    return quick / "store"


def test_every_write(folder, rng, rounds, result):
    row = result("power loss at every write", "the store made, written, folded back, migrated: each write cut, and cut again in recovery",
                 "states")
    passes = 1 if rounds(0) else 0.25
    n = turns(rng, folder, passes) + migration(rng, folder, passes)
    print(f"{n} states")
    row.write(count=n, failed=0)


def turns(rng, folder, share):
    before, events = recorded(folder, "run", 1, TURNS)
    n = told = 0
    acks = [i for i, e in enumerate(events) if e.kind == "write" and e.name.endswith("/acks")]
    assert len(acks) == TURNS
    for _ in range(3 if share == 1 else 1):
        for at, state in every_cut(rng, folder, copy.deepcopy(before), events, share):
            told = sum(i < at for i in acks)
            n += must_hold(rng, state, "check", told, min(told + 1, TURNS))
    return n


def migration(rng, folder, share):
    before, events = recorded(folder, "migrate")
    n = 0
    for _ in range(3 if share == 1 else 1):
        for _, state in every_cut(rng, folder, copy.deepcopy(before), events, share):
            if "newer than this program" in tool(state, "check", TURNS, TURNS).stdout:
                # it has been migrated: then the way back is there, whole
                run = tool(state, "snapshot", TURNS, TURNS)
                assert run.returncode == 0, run.stdout + run.stderr
                shutil.rmtree(state / "restored")
                n += must_hold(rng, state, "check-migrated", TURNS, TURNS)
            else:
                n += 1
    for _, state in every_cut(rng, folder, copy.deepcopy(before), events, share):
        n += must_hold(rng, state, "check-migrated", TURNS, TURNS)
    return n
