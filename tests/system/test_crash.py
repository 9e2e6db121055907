"""kill -9 of each role under load; afterwards the ledger sums to zero, no acknowledged sale is
missing, and the proof verifies."""

import http.client
import json
import secrets
import signal
import ssl
import threading
import time

import klero
import pytest

pytestmark = pytest.mark.slow
PRICE, BUYERS, MONEY = 100, 6, 10_000_000


class Load:
    """Buyers that buy and log in until they are stopped. An answer that got lost is asked for
    again under the same key, as a careful client does."""

    def __init__(self, appliance, admin, raffle):
        self.appliance, self.raffle = appliance, raffle
        self.stopping = threading.Event()
        self.sold, self.retries, self.errors = {}, 0, []
        self.buyers = [appliance.person() for _ in range(BUYERS)]
        for b in self.buyers:
            admin.confirm(b.deposit(MONEY)["id"])
        self.threads = [threading.Thread(target=self._run, args=(b,)) for b in self.buyers]

    def _run(self, buyer):
        try:
            while not self.stopping.is_set():
                self._buy(buyer)
                if secrets.randbelow(20) == 0:
                    self._login(buyer)
        except Exception as e:
            self.errors.append(e)

    def _until_answered(self, call):
        end = time.monotonic() + 60
        while True:
            try:
                a = call()
                if a.status not in (503, 409):
                    return a
                assert a.status == 409 or a.headers["Retry-After"], a
                assert a.status == 503 or a.code == "idempotency-key-in-flight", a
            except (OSError, http.client.HTTPException, ssl.SSLError) as e:
                a = e
            self.retries += 1
            if time.monotonic() > end:
                raise klero.Failure(f"no answer for 60 s: {a!r}")
            time.sleep(0.05)

    def _buy(self, buyer):
        key = secrets.token_hex(12)
        a = klero.want(self._until_answered(lambda: buyer.buy(self.raffle, 2, "seed", idem=key)), 201)
        for t in a.json["tickets"]:
            assert t["index"] not in self.sold, "sold twice"
            self.sold[t["index"]] = (t["id"], buyer)

    def _login(self, buyer):
        body = {"email": buyer.email, "password": buyer.password}
        buyer.take(klero.want(self._until_answered(lambda: buyer.post("/api/v1/auth/login", body)), 200).json)

    def start(self):
        for t in self.threads:
            t.start()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()
        assert not self.errors, self.errors


def tickets_of(person, raffle):
    out, cursor = {}, ""
    while True:
        page = klero.want(person.get(f"/api/v1/raffles/{raffle}/tickets?limit=100{cursor}"), 200).json
        out.update({t["index"]: t["id"] for t in page["items"]})
        if not page["next_cursor"]:
            return out
        cursor = "&cursor=" + page["next_cursor"]


def invariants(appliance, admin, load, tmp_path):
    raffle = load.raffle
    assert appliance.status()["ledger"] == "ok"
    for b in load.buyers:
        mine = tickets_of(b, raffle)
        acknowledged = {i: t for i, (t, owner) in load.sold.items() if owner is b}
        assert acknowledged.items() <= mine.items(), "an acknowledged sale is missing"
        assert b.available() == MONEY - PRICE * len(mine), "money and tickets disagree"
    assert admin.raffle(raffle)["sold"] == len(load.sold), "a sale that nobody was told of"
    commit = admin.raffle(raffle)["seed_commit"]
    klero.want(admin.step(raffle, "close"), 200)
    klero.want(admin.step(raffle, "entropy", {"entropy": "0badcafe"}), 200)
    klero.want(admin.step(raffle, "draw"), 200)
    proof = tmp_path / "proof.json"
    proof.write_bytes(klero.want(admin.get(f"/api/v1/raffles/{raffle}/proof"), 200).body)
    run = appliance.verify(proof, "-k", appliance.vkey, "-c", commit)
    assert run.returncode == 0 and "VERIFIED" in run.stdout, run
    assert len(json.loads(proof.read_text())["leaves"]) == len(load.sold)
    # every page of the store, every transfer's sum, every link of the audit chain
    appliance.stop()
    run = appliance.store_tool("check")
    assert run.returncode == 0, run


@pytest.fixture
def loaded(lab):
    a = lab.make("death-budget 50/60").start()
    admin = a.admin()
    raffle = admin.create(capacity=10_000_000, winners=3, reserves=2)["id"]
    klero.want(admin.step(raffle, "open"), 200)
    load = Load(a, admin, raffle)
    load.start()
    yield a, admin, load
    load.stopping.set()
    a.stop()


@pytest.mark.parametrize("role", ["net", "tlskey", "engine", "hsm", "kdf"])
def test_kill_a_role_under_load(loaded, role, tmp_path):
    appliance, admin, load = loaded
    for n in range(3):
        time.sleep(0.4)
        old = appliance.kill(role, n % len(appliance.roles()[role]))
        appliance.wait_ready()
        assert old not in appliance.roles()[role]
    time.sleep(0.4)
    load.stop()
    assert len(load.sold) > 20
    invariants(appliance, admin, load, tmp_path)
    assert "seccomp" not in appliance.log().lower() or "SIGSYS" not in appliance.log()


def test_kill_everything_under_load(loaded, tmp_path):
    appliance, admin, load = loaded
    time.sleep(1)
    appliance.stop(signal.SIGKILL)  # also sees that no child outlives the parent
    appliance.start()
    time.sleep(1)
    load.stop()
    admin.close()
    invariants(appliance, admin, load, tmp_path)


def test_connections_survive_what_is_not_theirs(fresh):
    p = fresh.person()
    before = p.conn
    for role in ("engine", "hsm", "kdf", "tlskey"):
        fresh.kill(role)
        fresh.wait_ready()
        assert p.get("/api/v1/auth/me").status == 200
    assert p.conn is before


def test_what_waits_on_a_dead_role_gets_503(fresh):
    """The engine is stopped, so that requests wait for it, and then killed."""
    import os
    engine = fresh.roles()["engine"][0]
    os.kill(engine, signal.SIGSTOP)
    got = []
    c = fresh.client()
    t = threading.Thread(target=lambda: got.append(c.get("/api/v1/raffles/01890000-0000-7000-8000-000000000000")))
    t.start()
    time.sleep(0.3)
    os.kill(engine, signal.SIGKILL)
    t.join()
    assert got[0].status == 503 and got[0].code == "restarting" and int(got[0].headers["Retry-After"]) > 0
    fresh.wait_ready()


def test_more_deaths_than_the_budget_stop_it(lab):
    a = lab.make("death-budget 3/60").start()
    p = a.process
    for _ in range(8):
        if p.poll() is not None:
            break
        try:
            a.kill("kdf")
        except IndexError:
            pass
        time.sleep(0.3)
    assert p.wait(30) not in (0, None)
    assert "kdf" in a.log() or "kdf" in p.stderr.read()
    a.stop()


def test_a_hung_role_is_replaced(lab):
    import os
    a = lab.make().start()
    hung = a.roles()["hsm"][0]
    os.kill(hung, signal.SIGSTOP)
    end = time.monotonic() + 60
    while hung in a.roles()["hsm"]:
        assert time.monotonic() < end, "the watchdog sleeps"
        time.sleep(0.2)
    a.wait_ready()
    a.person()
    a.stop()


def test_no_seccomp_kill_in_normal_work(appliance):
    assert "SIGSYS" not in appliance.log() and "system call" not in appliance.log()
