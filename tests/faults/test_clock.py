"""The wall clock is set while everything runs: by hours and years, before 1970, past 2038, for all
roles and for one. What is promised in real time must hold in real time.
"""

import datetime
import secrets
import time

import klero
import pytest
from bench import Bench
from conftest import LONG, PROGRAMS, some

pytestmark = pytest.mark.row("clock")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = time.time() * 1000
STEPS = {"an hour forward": HOUR, "an hour back": -HOUR, "ten years forward": 3650 * DAY, "ten years back": -3650 * DAY,
         "past 2038": int(2.3e12 - NOW), "before 1970": int(-NOW - 5 * 365 * DAY), "the year 9999": int(2.5339e14 - NOW)}


@pytest.fixture(scope="module")
def shared(folder):
    b = Bench(PROGRAMS, folder / "clock").start()
    yield b
    b.end()


@pytest.fixture
def bench(shared):
    yield shared
    shared.seam.clock(0)
    shared.hang_up()
    shared.admin.login()
    shared.person.login()


def me(person):
    return person.get("/api/v1/auth/me")


def put_off(admin):
    """{kind of work: seconds} that waits for hours."""
    items = klero.want(admin.get("/api/v1/admin/jobs?limit=100"), 200).json["items"]
    ahead = {j["kind"]: datetime.datetime.fromisoformat(j["run_at"]).timestamp() - time.time() for j in items if j["state"] != "done"}
    return {kind: s for kind, s in ahead.items() if s > 2 * 3600 + 60}


def nothing_is_put_off(admin):
    end = time.monotonic() + 60
    while (found := put_off(admin)) and time.monotonic() < end:
        time.sleep(0.2)
    assert not found, found


@pytest.mark.parametrize("name", list(STEPS) if LONG else ["an hour back", "ten years forward", "before 1970"])
def test_a_step_harms_nothing(bench, name, count):
    """There and back again, with a sale, a replay, a draw and ids on either side."""
    b, step = bench, STEPS[name]
    possible = name != "before 1970"  # hsm makes no tokens then, and nobody is told that it did
    key = secrets.token_hex(8)
    first = klero.want(b.person.buy(b.raffle, 3, "s", idem=key), 201)
    b.money -= 300
    b.seam.clock(step)
    count()
    time.sleep(1.2)  # background work has its turn under the wrong clock
    again = b.person.buy(b.raffle, 3, "s", idem=key)
    if again.status == 401:  # the token is of another time, and a new one is to be had
        again = klero.want(b.person.login().buy(b.raffle, 3, "s", idem=key), 201) if possible else None
    assert again is None or (again.json == first.json and again.headers["Idempotent-Replayed"] == "true")
    if possible:
        b.admin.login()
        b.person.login()
        raffle = b.open()
        b.buy(raffle, 4)
        klero.want(b.admin.step(raffle, "close"), 200)
        klero.want(b.admin.step(raffle, "entropy", {"entropy": "00ff"}), 200)
        klero.want(b.admin.step(raffle, "draw"), 200)
    else:
        answer = b.person.post("/api/v1/auth/login", {"email": b.person.email, "password": b.person.password})
        assert answer.status == 503 and answer.code, answer
    b.seam.clock(0)
    count()
    time.sleep(1.2)
    b.admin.login()
    b.person.login()
    assert b.person.buy(b.raffle, 3, "s", idem=key).json == first.json, "a key was forgotten"
    if possible:
        proof = b.dir / "proof.json"
        proof.write_bytes(b.until(lambda: b.admin.get(f"/api/v1/raffles/{raffle}/proof"), (200,), b.admin).body)
        assert b.appliance.verify(proof).returncode == 0
    b.check_money()
    nothing_is_put_off(b.admin)
    klero.want(b.admin.get("/api/v1/admin/audit"), 200)
    b.check_store()


@pytest.mark.parametrize("role", some(["engine"], ["parent", "net", "tlskey", "hsm", "kdf"]))
def test_one_role_alone(bench, role, count):
    """Two clocks that differ: nothing is sold wrongly, nobody dies, and it heals by itself."""
    b, person = bench, bench.appliance.person()
    for step in STEPS.values():
        b.seam.clock(step, role)
        count()
        a = person.post("/api/v1/auth/login", {"email": person.email, "password": person.password})
        assert a.status in (200, 503) or a.code == "too-many-attempts", a
        assert b.appliance.client().get("/health").status == 200
    person.close()
    b.seam.clock(0)
    b.buy(b.raffle, 1)
    b.check_money()
    new, bad = b.news()
    assert not bad and "was killed" not in new, bad


def test_ids_grow_whatever_the_clock_does(bench, count):
    ids = []
    for step in (0, HOUR, 0, -HOUR, 3650 * DAY, 0):
        bench.seam.clock(step)
        count()
        bench.admin.login()
        ids.append(bench.open())
    assert ids == sorted(ids)


def test_expired_tokens_count_against_the_limits(make_bench, count):
    """Their user pays first; beyond the user's limit the address pays, and net refuses by itself."""
    b = make_bench("limit-user 10/900", "limit-anonymous 5/900").start()
    stale, other = b.appliance.person(), b.appliance.person()
    b.seam.clock(20 * MINUTE)
    count()
    other.login()
    assert me(other).status == 200
    codes = [me(stale).code for _ in range(10)]
    assert codes == ["token-expired"] * 10
    assert {me(stale).code for _ in range(6)} == {"rate-limited"}
    # now also a good token from this address is not looked at any more
    assert me(other).code == "rate-limited"


def test_limits_do_not_end_with_a_step(make_bench, count):
    b = make_bench("limit-user 50/900").start()
    p = b.appliance.person()
    while me(p).status == 200:
        pass
    for step in (HOUR, -HOUR, 0):
        b.seam.clock(step)
        count()
        assert me(p.login()).status == 429, step


def test_a_token_does_not_live_longer(bench, count):
    """Neither in the cache nor beyond it, when the clock goes back behind its making."""
    b = bench
    assert me(b.person).status == 200
    for step in (-HOUR, -3650 * DAY):
        b.seam.clock(step)
        count()
        assert me(b.person).status == 401, step
        b.seam.clock(0)
        assert me(b.person).status == 200
    b.seam.clock(20 * MINUTE)
    assert me(b.person).code == "token-expired"


def refresh(b, token):
    a = b.appliance.client().post("/api/v1/auth/refresh", {"refresh_token": token})
    return a.json["refresh_token"] if a.status == 200 else a.code


def test_the_grace_of_a_retry_is_not_stretched(bench, count):
    b = bench
    parent = b.person.refresh_token
    child = refresh(b, parent)
    assert refresh(b, parent) == child, "a retry gets the same successor"
    b.seam.clock(-HOUR // 2)
    count()
    assert refresh(b, parent) == "refresh-token-reused"
    b.seam.clock(0)
    assert refresh(b, child) == "refresh-token-invalid", "the family lives on"


def test_a_session_of_the_future_does_not_outlive_its_week(bench, count):
    b = bench
    b.seam.clock(365 * DAY)
    count()
    future = b.person.login().refresh_token
    b.seam.clock(0)
    assert refresh(b, future) == "refresh-token-invalid"


def test_background_work_goes_on_after_a_step_back(bench, count):
    """Periodic work that ran in the future is not put off until then."""
    b = bench
    b.seam.clock(365 * DAY)
    count()
    time.sleep(2.5)
    b.seam.clock(0)
    b.admin.login()
    nothing_is_put_off(b.admin)
