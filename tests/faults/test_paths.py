"""The Nth call of a kind fails, in one role, on the way of a start, a login, a sale, a draw.

Long: every N; of allocations, of which a start makes tens of thousands, the first of every distinct
chain of callers, and some more. Short: one of each kind. The product may go on, refuse with a
problem, or die with its message and be replaced. It may not answer wrongly, do a thing by half or
twice, hang, lose a descriptor, or be killed by anything but itself.
"""

import secrets
import signal
import subprocess
import time

import klero
import pytest
import seam
from bench import PATIENCE_S
from conftest import LONG, SHARE, some

pytestmark = pytest.mark.row("faults")
ALL_N = 3000  # so many calls are all tried
DELAY_S = 5   # from the end of sales to the beacon's value: who closes later than that can only abort


def plan(who):
    """Which N to try of so many calls, of which it is known who made them."""
    n = len(who)
    if not LONG:
        return [(n + 1) // 2] if n else []
    if n <= ALL_N:
        return range(1, n + 1, SHARE if n > 2 * SHARE else 1)
    first = {}
    for i, caller in enumerate(who, 1):
        first.setdefault(caller, i)
    return sorted(set(first.values()) | set(range(1, n, 97)))[::SHARE]


class Way:
    """An operation under faults. prepare() makes what run() uses, run() meets the failure, and
    check() looks, without one, whether it happened once."""

    def __init__(self, bench):
        self.bench = bench

    def prepare(self):
        pass

    def check(self):
        pass


class Sale(Way):
    """A first sale to a holder, for which hsm makes the salt; then one that needs engine alone."""

    def prepare(self):
        self.raffle = self.bench.open()
        self.bench.person.close()

    def run(self):
        self.sold = self.bench.buy(self.raffle, 2) + self.bench.buy(self.raffle)

    def check(self):
        assert sorted(self.bench.tickets(self.raffle)) == sorted(self.sold), "tickets and answers differ"
        self.bench.check_money()


class Draw(Way):
    def prepare(self):
        b = self.bench
        self.raffle = b.open(winners=2, reserves=1)
        self.sold = b.buy(self.raffle, 5)
        self.commit = b.admin.raffle(self.raffle)["seed_commit"]
        klero.want(b.admin.step(self.raffle, "close"), 200)
        klero.want(b.admin.step(self.raffle, "entropy", {"entropy": "0badcafe"}), 200)
        b.admin.close()

    def run(self):
        admin = self.bench.admin

        def draw():
            a = admin.step(self.raffle, "draw")
            # the answer to the draw itself was lost, and it stands
            return admin.get(f"/api/v1/raffles/{self.raffle}") if a.code == "raffle-drawn" else a
        self.answer = self.bench.until(draw, (200,), admin).json
        self.proof = self.bench.until(
            lambda: admin.get(f"/api/v1/raffles/{self.raffle}/proof"), (200,), admin).body

    def check(self):
        b, now = self.bench, self.bench.admin.raffle(self.raffle)
        assert now["state"] == "drawn" and now["winners"] == self.answer["winners"], "drawn otherwise"
        assert b.admin.step(self.raffle, "draw").code == "raffle-drawn", "drawn twice"
        path = b.dir / "proof.json"
        path.write_bytes(self.proof)
        run = b.appliance.verify(path, "-k", b.appliance.vkey, "-c", self.commit)
        assert run.returncode == 0 and "VERIFIED" in run.stdout, run
        b.check_money()


class Life(Way):
    """A v2 raffle from its opening on: it closes, fetches its beacon's value and draws by itself."""

    def __init__(self, bench, chain):
        super().__init__(bench)
        self.chain = chain

    def opened(self):
        b, ends = self.bench, time.gmtime(time.time() + 2)
        self.raffle = b.admin.create(sales_close=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", ends))["id"]
        # no value of the beacon yet, no answer, or a beacon that is promised too early: with fresh terms
        a = b.admin.step(self.raffle, "open")
        return a if a.status == 200 or a.code == "raffle-not-draft" else None

    def prepare(self):
        while not self.opened():
            time.sleep(0.2)
        self.bench.buy(self.raffle, 3)

    def run(self):
        b, end = self.bench, time.monotonic() + 2 * PATIENCE_S
        while (now := b.until(lambda: b.admin.get(f"/api/v1/raffles/{self.raffle}"), (200,), b.admin).json)["state"] != "drawn":
            if time.monotonic() > end:
                raise klero.Failure(f"it is not drawn: {now}")
            time.sleep(0.1)
        self.proof = b.until(lambda: b.admin.get(f"/api/v1/raffles/{self.raffle}/proof"), (200,), b.admin).body

    def check(self):
        b, now = self.bench, self.bench.admin.raffle(self.raffle)
        assert [r["kind"] for r in now["records"]] == ["open", "close", "draw"], now
        path = b.dir / "proof.json"
        path.write_bytes(self.proof)
        run = b.appliance.verify(path, "--min-delay", DELAY_S, "--drand-chain", self.chain.chain)
        assert run.returncode == 0 and "VERIFIED" in run.stdout, run
        b.check_money()


class Login(Way):
    def prepare(self):
        self.who = klero.Person(self.bench.appliance.port, self.bench.appliance.ca, f"u{secrets.token_hex(6)}@x.org")

    def run(self):
        body = {"email": self.who.email, "password": self.who.password}
        for verb, status in (("register", 201), ("login", 200)):
            a = self.bench.until(lambda: self.who.post(f"/api/v1/auth/{verb}", body), (status,), self.who)
        self.who.take(a.json)

    def check(self):
        self.who.id()
        self.who.close()


class Replace(Way):
    """A role is killed, and its successor meets the failure at its start."""

    def __init__(self, bench, role):
        super().__init__(bench)
        self.role = role

    def run(self):
        pid = self.bench.appliance.kill(self.role)
        end = time.monotonic() + PATIENCE_S
        while self.bench.appliance.roles()[self.role] in ([], [pid]):
            if time.monotonic() > end:
                raise klero.Failure(f"{self.role} does not come back after {pid}")
            time.sleep(0.01)
        self.bench.settle()

    def check(self):
        self.bench.buy(self.bench.raffle)
        self.bench.check_money()


def note(problems, text):
    print(text, flush=True)
    problems.append(text)


def one(bench, way, role, kind, n):
    """The Nth call fails. False: it was not reached."""
    way.prepare()
    bench.seam.fail(role, kind, n)
    way.run()
    fired = bench.seam.fired(role, kind)
    bench.seam.clear()
    bench.settle()
    way.check()
    return fired


def every(bench, way, role, kind, count):
    way.prepare()
    with bench.seam.traced(role, kind) as who:
        way.run()
    bench.settle()
    way.check()
    problems, missed = [], 0
    before = bench.descriptors()
    time.sleep(0.5)  # a kdf that is hashing has not taken its new channel yet
    before = {k: max(n, before.get(k, 0)) for k, n in bench.descriptors().items()}
    for n in plan(who):
        try:
            fired = one(bench, way, role, kind, n)
            missed = 0 if fired else missed + 1
            count(1 if fired else 0)
            bad = bench.news()[1]
        except (AssertionError, klero.Failure, subprocess.TimeoutExpired) as e:
            bad = [repr(e)]
        if bad:
            note(problems, f"{role}: {kind} {n} of {len(who)}: " + "; ".join(bad))
            bench.restart()
        if len(problems) > 5 or missed > 30:
            break
    leaked = bench.leaks(before)
    return problems + ([f"{role}: {kind}: descriptors leaked: {leaked}"] if leaked else [])


def under_all(bench, way, role, count):
    bench.start()
    problems = []
    for kind in seam.KINDS:
        problems += every(bench, way, role, kind, count)
    bench.hang_up()
    bench.check_ledger()
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("role", ["net", "tlskey", "engine", "hsm"])
def test_sale(make_bench, role, count):
    b = make_bench()
    under_all(b, Sale(b), role, count)


@pytest.mark.parametrize("role", some(["engine"], ["net", "hsm"]))
def test_draw(make_bench, role, count):
    b = make_bench()
    under_all(b, Draw(b), role, count)


@pytest.mark.parametrize("role", some(["out"], ["engine", "hsm", "beacon"]))
def test_life(make_bench, chain, role, count):
    b = make_bench(*chain.lines(delay=DELAY_S))
    under_all(b, Life(b, chain), role, count)


@pytest.mark.parametrize("role", some(["kdf"], ["net", "engine", "hsm"]))
def test_login(make_bench, role, count):
    b = make_bench()
    under_all(b, Login(b), role, count)


@pytest.mark.parametrize("role", some(["engine"], ["net", "kdf"]))
def test_replaced(make_bench, role, count):
    b = make_bench()
    under_all(b, Replace(b, role), role, count)


@pytest.mark.parametrize("role", some([], ["engine", "net"]))
def test_parent_replaces(make_bench, role, count):
    """Not the successor but who starts it."""
    b = make_bench()
    under_all(b, Replace(b, role), "parent", count)


# --- the start as a whole ---

def boot(bench, role, kind, n):
    """klerod is ready and whole, or ends and says why. What is left serves the next start."""
    a = bench.appliance
    bench.hang_up()
    a.stop(signal.SIGKILL)
    bench.seam.fail(role, kind, n)
    p = a.spawn()
    line = p.stdout.readline()
    fired = bench.seam.fired(role, kind)
    bench.seam.clear()
    if line.startswith("klerod: ready "):
        bench.settle()
        bench.buy(bench.raffle)
        bench.check_money()
        return fired
    status, words = p.wait(PATIENCE_S), p.stderr.read()
    assert status > 0, f"ended with {status}"
    assert "klerod: " in words or role == "parent" and words, f"ended without a word: {words!r}"
    a.stop()
    a.start()
    return fired


@pytest.mark.parametrize("role", some([], ["parent", "tlskey", "hsm", "kdf", "engine", "net"]))
def test_start(make_bench, role, count):
    b = make_bench().start()
    problems = []
    for kind in seam.KINDS:
        b.hang_up()
        b.appliance.stop(signal.SIGKILL)
        with b.seam.traced(role, kind) as who:
            b.appliance.start()
        for n in plan(who):
            try:
                count(bool(boot(b, role, kind, n)))
                bad = b.news()[1]
            except (AssertionError, klero.Failure, subprocess.TimeoutExpired) as e:
                bad = [repr(e)]
            if bad:
                note(problems, f"{role}: {kind} {n} of {len(who)}: " + "; ".join(bad))
                b.restart()
            if len(problems) > 20:
                break
    assert not problems, "\n" + "\n".join(problems)
