"""A device that is away for a while, hangs, is slow, dies or lies; a token folder and a module that
are gone and come back. The appliance serves what needs no key, and is back without a restart."""

import re
import signal
import time

import klero
import pytest
import ward
from conftest import LONG, SHARE

pytestmark = pytest.mark.row("hsm-sick")
ALWAYS = 2**63
AWAY_S = 120 if LONG else 6


def test_away(make, tmp_path, count):
    """Longer than any budget of deaths is; engine starts meanwhile, too."""
    a = make().start()
    client = a.client()
    klero.want(client.get("/health"), 200)
    with ward.under_load(a, tmp_path) as watch:
        a.module.order("before", None, ["hsm", "tlskey"], last=ALWAYS, value="CKR_DEVICE_REMOVED")
        klero.until(lambda: ward.health(a)["hsm"] == ward.health(a)["tls"] == "unavailable")
        klero.want(client.get("/api/v1/raffles"), 200)  # what needs no key goes on
        client.close()
        end = time.monotonic() + AWAY_S
        ward.kill(a, "engine")  # which needs one to start, and waits for it
        while time.monotonic() < end:
            time.sleep(0.5)
            assert a.process.poll() is None, a.log()[-2000:]
        a.module.well()
        began = time.monotonic()
        ward.wait_well(a)  # the back-off, and a start
        print(f"back {time.monotonic() - began:.1f} s after {AWAY_S} s", flush=True)
        count()
        assert watch.later > 0
    assert "more than" not in a.log()


class Public:
    """What anybody reads, and what a holder and an auditor do without a key: the same while hsm is away."""

    def __init__(self, a):
        self.a = a
        self.admin, self.person, self.other = a.admin(), a.person(), a.person()
        for p in (self.person, self.other):
            self.admin.confirm(p.deposit(100_000)["id"])
        self.drawn, self.logged = (self.admin.create()["id"] for _ in range(2))
        for raffle in (self.drawn, self.logged):
            klero.want(self.admin.step(raffle, "open"), 200)
        self.log_sales()
        klero.want(self.person.buy(self.drawn, 2), 201)
        for verb, body in (("close", None), ("entropy", {"entropy": "00ff"}), ("draw", None)):
            klero.want(self.admin.step(self.drawn, verb, body), 200)
        self.ticket = klero.want(self.person.buy(self.logged, 3), 201).json["tickets"][0]["id"]
        self.paths = ["/api/v1/raffles", f"/api/v1/raffles/{self.drawn}", f"/api/v1/raffles/{self.drawn}/proof",
                      f"/r/{self.logged}/checkpoint", f"/r/{self.logged}/tile/entries/000.p/3",
                      f"/r/{self.logged}/tile/0/000.p/3", "/checkpoint", "/.well-known/jwks.json",
                      "/.well-known/openid-configuration"]
        self.own = [f"/api/v1/raffles/{self.logged}/tickets", "/api/v1/wallet", "/api/v1/me",
                    f"/api/v1/tickets/{self.ticket}/receipt"]
        self.nets = ["/openapi.json", f"/verify?raffle={self.drawn}"]
        self.before = self.until_all_are_there()

    def log_sales(self):
        """A ticket log for the second one, which needs a beacon otherwise."""
        self.a.stop()
        run = self.a.store_tool("sql", "UPDATE raffles SET format = 2, sales_close_s = 4102444800"
                                f" WHERE id = x'{self.logged.replace('-', '')}'")
        assert run.returncode == 0, run.stderr
        self.a.start()
        for p in (self.admin, self.person, self.other):
            p.close()

    def answers(self):
        """Each of them over a connection of its own."""
        got = {}
        for path in self.paths + self.nets:
            c = self.a.client()
            got[path] = c.get(path)
            c.close()
        return {**got, **{path: self.person.get(path) for path in self.own}}

    def until_all_are_there(self):
        """Checkpoint, receipt and proof come a moment later, and a checkpoint is followed by a larger one: as they
        are when they stay so."""
        end, last = time.monotonic() + 180, None
        while True:
            got = self.answers()
            missing = [(k, x) for k, x in got.items() if x.status != 200]
            now = {path: x.body for path, x in got.items()}
            if not missing and now == last:
                return now
            assert time.monotonic() < end, missing
            last = now
            time.sleep(0.2)

    def need_keys(self):
        """What needs one: a login, a fresh pair of tokens, a first sale to a holder, an opening, an address."""
        who = {"email": self.other.email, "password": self.other.password}
        fresh = klero.want(self.admin.post("/api/v1/admin/raffles", {
            "title": "x", "price": {"amount": 1, "currency": "EUR"}, "capacity": 9, "winners": 1}), 201).json["id"]
        c = self.a.client()
        yield c.post("/api/v1/auth/login", who)
        yield c.post("/api/v1/auth/refresh", {"refresh_token": self.other.refresh_token})
        c.close()
        yield self.other.buy(self.logged)
        yield self.admin.step(fresh, "open")
        yield self.admin.post("/api/v1/pools", {"name": "p", "chain": "evm", "chain_id": 1}, idem=True)


def later(answer, *codes):
    assert answer.status == 503 and answer.code in codes and int(answer.headers["Retry-After"]) > 0, answer


def test_reads_while_away(make, count):
    """hsm's token alone is away: what needs no key is answered as before, all else 503. An engine that
    starts meanwhile has no store, for its key is the HSM's: it says so, at once, and goes on by itself."""
    a = make().start()
    p = Public(a)
    a.module.order("before", None, ["hsm"], last=ALWAYS, value="CKR_DEVICE_REMOVED")
    for answer in p.need_keys():
        later(answer, "hsm-unavailable")
    count()
    assert {path: x.body for path, x in p.answers().items() if x.status == 200} == p.before
    klero.want(p.person.buy(p.logged), 201)  # who holds tickets of it already
    words = ("degraded", "ok", "unavailable", "ok")

    def health():
        return tuple(klero.want(a.client().get("/health"), 200).json[k] for k in ("status", "database", "hsm", "tls"))
    klero.until(lambda: health() == words)
    for _ in range(60):  # also while one is tried again that does not get through its start
        assert health() == words
        later(a.client().get("/health/ready"), "hsm-unavailable")
        time.sleep(0.05)

    ward.kill(a, "engine")
    count()
    c = a.client()
    klero.until(lambda: c.get("/health").status == 200)
    now = c.get("/health").json
    assert (now["status"], now["database"], now["hsm"], now["tls"]) == (
        "degraded", "unavailable", "unavailable", "ok")
    for path, answer in p.answers().items():
        if path in p.nets or path == "/.well-known/openid-configuration":
            assert answer.status == 200 and answer.body == p.before[path], (path, answer)
        else:
            later(answer, "hsm-unavailable")
    later(c.get("/health/ready"), "store-unavailable", "hsm-unavailable")
    engine = a.roles()["engine"]
    a.module.well()
    ward.wait_well(a)
    assert a.roles()["engine"] == engine, "the same one went on"
    assert set(p.answers()) == set(p.before)
    for path, answer in p.answers().items():
        assert answer.status == 200, (path, answer)
    for answer in p.need_keys():
        assert answer.status < 300, answer
    c.close()


def test_engine_meets_a_flapping_hsm(make, count):
    """hsm starts and is lost at the first question of an engine that starts: that engine's end is no
    death of its own. (The budget is for the nine hsms that are killed.)"""
    a = make("death-budget 10/600").start()
    with a.module.traced("hsm") as calls:
        ward.replaced(a, "hsm")
    own = calls.count("C_Decrypt")  # its own start decrypts, too
    for _ in range(4 if LONG else 1):
        a.module.order("before", "C_Decrypt", ["hsm"], first=own + 1, value="CKR_DEVICE_ERROR")
        ward.kill(a, "hsm")
        ward.kill(a, "engine")
        klero.until(lambda: a.module.fired() == 1)
        count()
        a.module.well()
        ward.replaced(a, "hsm")
    assert a.process.poll() is None
    assert re.search(r"engine\.0\[\d+\] ended with status 3", a.log())
    ward.wait_well(a)


def lies():
    """(role, function, how); the short form has each function and each way once."""
    ways = [("length", 2**40), ("flip", 0), ("zero", 0), ("length", 33), ("length", 0)]
    calls = [("hsm", c) for c in ("C_DigestFinal", "C_WrapKey", "C_GetAttributeValue", "C_GenerateRandom")] + [("tlskey", "C_Sign")]
    if not LONG:
        return [(*c, *w) for c, w in zip(calls, ways)]
    return [(*c, *w) for w in ways for c in calls] + [("hsm", "C_Sign", *w) for w in ways if w[0] == "length"]


def test_lies(make, tmp_path, count):
    """What can be seen to be wrong is not passed on. (A MAC that is told once cannot.)"""
    a = make().start()
    with ward.under_load(a, tmp_path):
        for role, call, mode, value in lies():
            a.module.order(mode, call, [role], value=value)
            klero.until(lambda: a.module.fired() == 1)
            a.module.well()
            count()
            ward.wait_well(a)
            ward.breathe()


@pytest.mark.long
def test_slow(make, tmp_path, count):
    """A network HSM on a bad day: late, and right."""
    a = make().start()
    with ward.under_load(a, tmp_path):
        a.module.order("delay", "C_Sign", ["hsm", "tlskey"], last=ALWAYS, value=150)
        time.sleep(30)
        count(a.module.fired())
        a.module.well()


@pytest.mark.long
@pytest.mark.parametrize("role,call", [("hsm", "C_Sign"), ("tlskey", "C_Sign"), ("hsm", "C_Login"), ("hsm", "C_FindObjects")])
def test_hangs(make, tmp_path, count, role, call):
    """The watchdog ends it; as often as it hangs, it is tried again."""
    a = make("death-budget 1/600").start()
    with ward.under_load(a, tmp_path):
        for _ in range(3 if SHARE == 1 else 1):
            a.module.order("hang", call, [role], last=ALWAYS)
            if call in ("C_Login", "C_FindObjects"):
                ward.kill(a, role)
            before = a.log().count(": killed")
            klero.until(lambda: a.module.fired() >= 1 and a.log().count(": killed") > before)
            a.module.well()
            count()
            ward.wait_well(a)


@pytest.mark.long
def test_dies(make, tmp_path, count):
    """The module's own code ends the process."""
    a = make().start()
    with ward.under_load(a, tmp_path):
        for role in ("hsm", "tlskey"):
            a.module.order("die", "C_Sign", [role])
            klero.until(lambda: a.module.fired() == 1)
            a.module.well()
            count()
            ward.wait_well(a)


def test_folder_and_module_gone(make, tmp_path, count):
    a = make().start()
    with ward.under_load(a, tmp_path):
        for here, words in ((a.dir / "tokens", "no token labelled|does not start"), (a.dir / "module.so", "cannot be loaded")):
            away = here.with_name("away")
            here.rename(away)
            for role in ("hsm", "tlskey"):
                ward.kill(a, role)
            klero.until(lambda: any(w in a.log() for w in words.split("|")))
            klero.until(lambda: ward.health(a)["hsm"] == "unavailable")
            time.sleep(1)
            away.rename(here)
            ward.wait_well(a)
            count()
        here = a.dir / "module.so"
        whole = here.read_bytes()
        away = here.with_name("away.so")
        here.rename(away)
        here.write_bytes(whole[:len(whole) // 2])
        ward.kill(a, "hsm")
        klero.until(lambda: ward.health(a)["hsm"] == "unavailable")
        here.unlink()
        away.rename(here)
        ward.wait_well(a)
        count()


@pytest.mark.long
def test_stop_while_away(make, count):
    """SIGTERM ends it in order, hanging device or not."""
    a = make().start()
    a.module.order("before", None, ["hsm", "tlskey"], last=ALWAYS, value="CKR_DEVICE_REMOVED")
    ward.kill(a, "hsm")
    klero.until(lambda: ward.health(a)["hsm"] == "unavailable")
    assert a.stop(signal.SIGTERM) == 0
    count()
    a.module.well()
    klero.want(a.start().client().get("/health/ready"), 200)
