"""keyadm's Nth call fails while it carries out what officers have approved. The token is as before or
wholly changed: it starts again, holds each version once, and the next action works."""

import klero
import pytest
import officers
import ward
from conftest import LONG, SHARE
from officers import Officer

pytestmark = pytest.mark.row("hsm-keyadm")


@pytest.fixture
def guarded(make, tmp_path):
    a = make("token-publish 1", "death-budget 100000/1")
    a.officers = [Officer(tmp_path, name) for name in ("alice", "bob")]
    names = tmp_path / "officers"
    names.write_text("".join(o.line for o in a.officers))
    a.ctl("officer", "enrol", "2", str(names))
    a.start()
    klero.until(lambda: officers.known(a))
    return a


def versions(a, purpose):
    klero.until(lambda: officers.known(a))
    return sorted(v for p, v in officers.keys(a) if p == purpose)


def decide(a, *words):
    """Settled, whichever way."""
    number = a.ctl("key", *words).stdout.strip()
    officers.approve(a, number, *a.officers)
    return officers.settle(a, number)


def tidy(a, purpose, have):
    for (p, v), row in sorted(officers.keys(a).items()):
        if p == purpose and row["state"] == "deactivated":
            # what it protects is taken over in the background
            klero.until(lambda: not officers.keys(a)[p, v].get("values"))
            decide(a, "destroy", purpose, str(v))
    return versions(a, purpose)


def fresh_start(a):
    ward.replaced(a, "hsm")
    klero.until(lambda: officers.known(a))


# An anchor keeps the nonces of some sixty actions for a month: so many appliances for all cuts
PARTS = 24 if LONG else 1
WRITES = ("C_GenerateKeyPair", "C_GenerateKey", "C_CreateObject", "C_DestroyObject")


def cuts(calls):
    """[(function or None for any, which of them, mode)]: of what changes the token both modes, and each
    call there is; in the short form the error that follows the effect, once of each function."""
    if not LONG:
        return [(c, 1, "after") for c in WRITES if c in calls]
    both = [(c, k, mode) for c in WRITES for k in range(1, 1 + calls.count(c)) for mode in ("after", "before")]
    return both + [(None, n, "after" if n % 2 else "before") for n in range(1, len(calls) + 1)]


@pytest.mark.parametrize("purpose", ["log", "tls", "seed", "master", "mac", "token"] if LONG else ["log"])
@pytest.mark.parametrize("part", range(0, PARTS, SHARE))
def test_rotate(guarded, count, purpose, part):
    a, m = guarded, guarded.module
    with m.traced("keyadm") as calls:
        assert decide(a, "rotate", purpose)["state"] == "done"
    have = versions(a, purpose)
    assert have == [1, 2]
    for call, n, mode in cuts(calls)[part::PARTS]:
        m.order(mode, call, ["keyadm"], first=n, value="CKR_DEVICE_ERROR")
        end = decide(a, "rotate", purpose)
        fired = m.fired()
        m.well()
        count(fired)
        what = f"{call} {n} of {len(calls)}, {mode}"
        # the last of many calls are not there when the token holds fewer objects
        assert fired or call is None, f"{what}: was not reached"
        fresh_start(a)
        now = versions(a, purpose)
        if end["state"] == "done":
            assert now == have + [have[-1] + 1], f"{what}: {end}: {now}"
        else:
            assert now == have, f"{what}: {end}: {now}"
        have = now
        if len(have) > 8:  # an anchor holds so many versions; officers take old ones away
            have = tidy(a, purpose, have)
    end = decide(a, "rotate", purpose)
    assert end["state"] == "done", end


@pytest.mark.long
def test_destroy(guarded, count):
    a, m = guarded, guarded.module
    for _ in range(4):
        assert decide(a, "rotate", "log")["state"] == "done"
    with m.traced("keyadm") as calls:
        assert decide(a, "destroy", "log", "1")["state"] == "done"
    for n in range(1, len(calls) + 1)[::SHARE][:30]:
        m.order("before", None, ["keyadm"], first=n, value="CKR_DEVICE_ERROR")
        victim = next(str(v) for (p, v), row in sorted(officers.keys(a).items()) if p == "log" and row["state"] == "deactivated")
        end = decide(a, "destroy", "log", victim)
        fired = m.fired()
        m.well()
        count(fired)
        fresh_start(a)
        state = officers.keys(a)["log", int(victim)]["state"]
        assert state == ("destroyed" if end["state"] == "done" else "deactivated"), end
        assert decide(a, "rotate", "log")["state"] == "done"
