"""The Nth call of a kind fails, in one role, on the way of a start, a login, a sale, a draw.

Long: every N; of allocations, of which a start makes tens of thousands, the first of every distinct
chain of callers, and some more. Short: one of each kind. The product may go on, refuse with a
problem, or die with its message and be replaced. It may not answer wrongly, do a thing by half or
twice, hang, lose a descriptor, or be killed by anything but itself.

What mostly waits is tried in lanes: so many appliances at once, each with its part of the N.
"""

import concurrent.futures
import re
import secrets
import signal
import subprocess
import time

import klero
import pytest
from bench import PATIENCE_S, PRICE, Bench, in_seconds
from conftest import KINDS, LANES, LONG, SHARE, some

ALL_N = 3000  # so many calls are all tried; of more, the first of every chain of so many callers
DEPTH = 16
START_N, START_DEPTH = 300, 6  # of a start, of which each N costs half a second
DELAY_S = 5   # from the end of sales to the beacon's value: who closes later than that can only abort
PROOF = 10    # failed starts in a row before one without a failure must be whole


def counted(bench, role, run):
    """What run() calls when nothing fails: {kind: how often}."""
    bench.seam.clear()
    run()
    return {kind: n for kind in KINDS if (n := bench.seam.calls(role, kind))}


def plan(bench, role, kind, n, run, most=ALL_N, depth=DEPTH):
    """Which N to try of n calls; of more than most it is asked who makes them, by one more run()."""
    if not LONG:
        return [(n + 1) // 2]
    if n <= most:
        return range(1, n + 1, SHARE if n > 2 * SHARE else 1)
    with bench.seam.traced(role, kind, depth) as who:
        run()
    first = {}
    for i, caller in enumerate(who, 1):
        first.setdefault(caller, i)
    return sorted(set(first.values()) | set(range(1, n, 97)))[::SHARE]


def note(problems, text):
    print(text, flush=True)
    problems.append(text)


class Way:
    """An operation under faults. prepare() makes what run() uses, run() meets the failure, and
    check() looks, without one, whether it happened once."""

    most, depth = ALL_N, DEPTH

    def __init__(self, bench):
        self.bench = bench

    def prepare(self):
        pass

    def check(self):
        pass

    def undisturbed(self):
        self.prepare()
        self.bench.seam.clear()
        self.run()
        self.bench.settle()
        self.check()

    def one(self, role, kind, n):
        """The Nth call fails. False: it was not reached."""
        bench = self.bench
        bench.stay()
        self.prepare()
        bench.seam.fail(role, kind, n)
        self.run()
        fired = bench.seam.fired(role, kind)
        bench.seam.clear()
        bench.settle()
        self.check()
        return fired

    def every(self, role, kind, which, tried):
        """Each N of which; tried is told how many were reached. What was found."""
        bench, problems, missed = self.bench, [], 0
        before = descriptors(bench)
        for n in which:
            try:
                fired = self.one(role, kind, n)
                missed = 0 if fired else missed + 1
                tried(1 if fired else 0)
                new, bad = bench.news()
                if re.search(r"is tried again in \d{4,} ms", new):
                    bench.restart()  # parent leaves a device that fails again and again alone, longer each time
            except (AssertionError, klero.Failure, subprocess.TimeoutExpired) as e:
                bad = [repr(e)]
            if bad:
                note(problems, f"{role}: {kind} {n}: " + "; ".join(bad) + f"\n{bench.seam.who()}")
                bench.restart()
            if len(problems) > 5 or missed > 30:
                break
        leaked = bench.leaks(before)
        return problems + ([f"{role}: {kind}: descriptors leaked: {leaked}"] if leaked else [])


def descriptors(bench):
    """The most that it has at a time: a kdf that is hashing has not taken its new channel yet."""
    before = bench.descriptors()
    time.sleep(0.5)
    return {k: max(n, before.get(k, 0)) for k, n in bench.descriptors().items()}


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


class Opening(Way):
    """A v2 raffle is opened, with its record, and sells, with its log of tickets."""

    def prepare(self):
        b = self.bench
        self.raffle = b.admin.create(sales_close=in_seconds(3600))["id"]
        b.admin.close()
        b.person.close()

    def run(self):
        b = self.bench

        def opened():
            a = b.admin.step(self.raffle, "open")
            # the answer to the opening itself was lost, and it stands
            return b.admin.get(f"/api/v1/raffles/{self.raffle}") if a.code == "raffle-not-draft" else a
        b.until(opened, (200,), b.admin)
        self.sold = b.buy(self.raffle, 2) + b.buy(self.raffle)

    def check(self):
        b, now = self.bench, self.bench.admin.raffle(self.raffle)
        assert now["state"] == "open" and [r["kind"] for r in now["records"]] == ["open"], now
        assert sorted(b.tickets(self.raffle)) == sorted(self.sold), "tickets and answers differ"
        b.check_money()


class Life(Way):
    """A v2 raffle from the end of its sales on: it closes, fetches its beacon's value and draws by itself."""

    def __init__(self, bench, chain):
        super().__init__(bench)
        self.chain = chain

    def opened(self):
        b = self.bench
        self.raffle = b.admin.create(sales_close=in_seconds(2))["id"]
        # no value of the beacon yet, no answer, or a beacon that is promised too early: with fresh terms
        a = b.admin.step(self.raffle, "open")
        return a if a.status == 200 or a.code == "raffle-not-draft" else None

    def sold(self):
        a = self.bench.person.buy(self.raffle, 3)
        if a.status == 409 and a.code == "raffle-not-open":
            return False  # a machine with much to do took longer than the sales last: another one
        klero.want(a, 201)
        self.bench.money -= 3 * PRICE
        return True

    def prepare(self):
        while not (self.opened() and self.sold()):
            time.sleep(0.2)

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


class Start(Way):
    """klerod as a whole: it is ready and whole, or ends and says why."""

    most, depth = START_N, START_DEPTH

    def undisturbed(self):
        """A start without a failure: of what the failed ones have left."""
        self.bench.hang_up()
        self.bench.appliance.stop(signal.SIGKILL)
        self.bench.appliance.start()
        self.check()

    def check(self):
        self.bench.settle()
        self.bench.stay()
        self.bench.buy(self.bench.raffle)
        self.bench.check_money()

    def boot(self, role, kind, n):
        """Was the Nth call reached, and is it ready?"""
        a, seam = self.bench.appliance, self.bench.seam
        self.bench.hang_up()
        a.stop(signal.SIGKILL)
        seam.fail(role, kind, n)
        p = a.spawn()
        line = p.stdout.readline()
        fired = bool(seam.fired(role, kind))
        seam.clear()
        if line.startswith("klerod: ready "):
            self.check()
            return fired, True
        status, words = p.wait(PATIENCE_S), p.stderr.read()
        if status < 0 and self.bench.in_library():
            Bench.tally["ended inside a library"] += 1
            return fired, False
        assert status > 0, f"ended with {status}"
        assert "klerod: " in words or role == "parent" and words, f"ended without a word: {words!r}"
        return fired, False

    def every(self, role, kind, which, tried):
        problems, failed = [], []
        for n in which:
            try:
                fired, ready = self.boot(role, kind, n)
                tried(int(fired))
                failed = [] if ready else failed + [n]
                if len(failed) == PROOF or failed and n == which[-1]:
                    self.undisturbed()
                    failed = []
                bad = self.bench.news()[1]
            except (AssertionError, klero.Failure, subprocess.TimeoutExpired) as e:
                bad = [f"{e!r} after the failed starts {failed}"]
            if bad:
                note(problems, f"{role}: {kind} {n}: " + "; ".join(bad) + f"\n{self.bench.seam.who()}")
                self.bench.restart()
                failed = []
            if len(problems) > 20:
                break
        return problems


class StartAsking(Start):
    """The same where relays are asked, by out, and their answers verified, by beacon."""

    def check(self):
        super().check()
        b = self.bench
        klero.until(lambda: b.until(lambda: b.admin.get("/health"), (200,), b.admin).json["clock"] == "ok", PATIENCE_S)


def one_lane(bench, way, role, lane, lanes):
    """Every kind's N, beginning with the lane's, by steps of lanes: what was found, how many were tried."""
    problems, tried = [], []
    bench.start()
    calls = counted(bench, role, way.undisturbed)
    for kind, n in calls.items():
        which = plan(bench, role, kind, n, way.undisturbed, way.most, way.depth)
        before = len(problems)
        problems += way.every(role, kind, which[lane::lanes], tried.append)
        print(f"{role}: {kind}: {len(which[lane::lanes])} of {n} calls, {len(problems) - before} bad", flush=True)
    bench.hang_up()
    bench.check_ledger()
    return problems, sum(tried)


def in_lanes(make_bench, *lines):
    return [make_bench(*lines) for _ in range(LANES)]


def under_all(benches, make_way, role, count):
    """In as many lanes as there are benches."""
    with concurrent.futures.ThreadPoolExecutor(len(benches)) as pool:
        lanes = [pool.submit(one_lane, b, make_way(b), role, i, len(benches)) for i, b in enumerate(benches)]
    problems = []
    for lane in lanes:
        found, tried = lane.result()
        problems += found
        count(tried)
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.row("faults-sale")
@pytest.mark.parametrize("role", ["net", "tlskey", "engine", "hsm"])
def test_sale(make_bench, role, count):
    under_all(in_lanes(make_bench), Sale, role, count)


@pytest.mark.row("faults-draw")
@pytest.mark.parametrize("role", some(["engine"], ["net", "hsm"]))
def test_draw(make_bench, role, count):
    under_all(in_lanes(make_bench), Draw, role, count)


@pytest.mark.row("faults-life")
@pytest.mark.parametrize("role", some(["out"], ["engine", "hsm", "beacon"]))
def test_life(make_bench, chain, role, count):
    under_all(in_lanes(make_bench, *chain.lines(delay=DELAY_S)), lambda b: Life(b, chain), role, count)


@pytest.mark.row("faults-opening")
@pytest.mark.parametrize("role", some(["engine"], ["hsm"]))
def test_opening(make_bench, chain, role, count):
    under_all(in_lanes(make_bench, *chain.lines()), Opening, role, count)


@pytest.mark.row("faults-login")
@pytest.mark.parametrize("role", some(["kdf"], ["net", "engine", "hsm"]))
def test_login(make_bench, role, count):
    under_all(in_lanes(make_bench), Login, role, count)


@pytest.mark.row("faults-replacement")
@pytest.mark.parametrize("role", some(["engine"], ["net", "kdf"]))
def test_replaced(make_bench, role, count):
    under_all(in_lanes(make_bench), lambda b: Replace(b, role), role, count)


@pytest.mark.row("faults-replacement")
@pytest.mark.parametrize("killed", some([], ["engine", "net"]))
def test_parent_replaces(make_bench, killed, count):
    """Not the successor but who starts it."""
    under_all(in_lanes(make_bench), lambda b: Replace(b, killed), "parent", count)


@pytest.mark.row("faults-start")
@pytest.mark.parametrize("role", some([], ["parent", "tlskey", "hsm", "kdf", "engine", "net"]))
def test_start(make_bench, role, count):
    under_all(in_lanes(make_bench), Start, role, count)


@pytest.mark.row("faults-start")
@pytest.mark.parametrize("role", some([], ["out", "beacon"]))
def test_start_asking(make_bench, chain, role, count):
    under_all(in_lanes(make_bench, *chain.lines()), StartAsking, role, count)


@pytest.mark.row("faults-start")
def test_out_begins_with_too_little_memory(make_bench, chain, count):
    """What libcrypto lacks then it lacks for good and tells nobody, and no relay was ever asked."""
    bench = make_bench(*chain.lines()).start()
    problems = StartAsking(bench).every("out", "malloc", range(1, 13), count)
    assert not problems, "\n" + "\n".join(problems)
