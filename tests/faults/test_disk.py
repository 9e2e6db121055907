"""A disk that is full, read-only, failing, or damaged; a store that somebody else has open. Sales
are refused with a code that says so, reads go on where they can, /health tells, nothing is lost or
done by half, and when the trouble is over the same processes go on; but for hsm, when its journal
could not be made durable: then a fresh one takes its place.
"""

import copy
import errno
import fcntl
import math
import os
import re
import secrets
import shutil
import signal
import subprocess
import time

import klero
import pytest
from bench import Bench, LOST, in_seconds
from conftest import LONG, PROGRAMS, some

pytestmark = pytest.mark.row("disk")


@pytest.fixture(scope="module")
def shared(folder):
    b = Bench(PROGRAMS, folder / "disk").start()
    yield b
    b.check_store()
    b.end()


@pytest.fixture
def bench(shared):
    yield shared
    shared.seam.clear()
    shared.settle()


def state(b):
    """What /health says of the database."""
    a = klero.want(b.appliance.client().get("/health"), 200).json
    assert (a["database"] == "ok") == (a["status"] == "ok"), a
    return a["database"]


def refused(b, key):
    a = b.person.buy(b.raffle, 1, "s", idem=key)
    assert a.status == 503 and a.code == "store-unavailable" and int(a.headers["Retry-After"]) > 0, a


def reads_go_on(b):
    b.check_money()
    b.tickets(b.raffle)
    klero.want(b.appliance.client().get(f"/api/v1/raffles/{b.raffle}"), 200)


def every_read(b):
    """No GET of the table writes: what each says is not that the store does not answer."""
    paths = [p for p, ways in klero.want(b.admin.get("/openapi.json"), 200).json["paths"].items() if "get" in ways]
    assert len(paths) > 30, paths
    for path in paths:
        if path != "/health/ready":  # whose word that is
            a = b.admin.get(re.sub(r"{\+?\w+}", b.raffle, path))
            assert a.status in (200, 400, 401, 403, 404, 409, 422), (path, a)


def while_all_ask(b):
    """What who only reads and who buys are told while the disk is full: none of them is alone in a turn."""
    told, end = {"reads": set(), "sales": set()}, time.monotonic() + 2.5
    reads = ["/api/v1/wallet", f"/api/v1/raffles/{b.raffle}/tickets", "/api/v1/raffles?state=open", "/metrics"]

    def work(item):
        kind, who, ask = item
        who = copy.copy(who)  # the same account on a connection of its own
        who.conn = None
        while time.monotonic() < end:
            told[kind].add(ask(who).status)
        who.close()
    items = [("reads", b.admin, lambda who, path=path: who.get(path)) for path in reads * 2]
    items += [("sales", b.person, lambda who: who.buy(b.raffle, 1, "s"))] * 4
    klero.in_parallel(work, items, len(items))
    return told


def over(b, key):
    """The same engine sells again, and what was refused was not sold."""
    klero.until(lambda: state(b) == "ok")
    b.check_money()
    a = b.until(lambda: b.person.buy(b.raffle, 1, "s", idem=key), (201,), b.person)
    assert "Idempotent-Replayed" not in a.headers
    b.money -= 100
    b.check_money()


@pytest.mark.parametrize("error", some(["ENOSPC", "EIO"], ["EDQUOT", "EROFS"]))
def test_store_cannot_be_written(bench, error, count):
    b, key = bench, secrets.token_hex(8)
    engine = b.appliance.roles()["engine"]
    with b.seam.failing("engine", "pwrite", error=getattr(errno, error)):
        for _ in range(3):
            refused(b, key)
            count()
        reads_go_on(b)
        every_read(b)
        assert state(b) == "unavailable"
        assert b.appliance.client().get("/health/ready").status == 503
        assert while_all_ask(b) == {"reads": {200}, "sales": {503}}
    over(b, key)
    assert b.appliance.roles()["engine"] == engine, "it took a restart"


def test_a_checkpoint_that_could_not_be_kept(make_bench, chain, count):
    """hsm has signed it, and the turn that wrote it down is lost: engine asks again by itself."""
    b = make_bench(*chain.lines(delay=5)).start()
    close = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + 3600))
    raffle = b.admin.create(sales_close=close)["id"]
    klero.want(b.admin.step(raffle, "open"), 200)

    def signed():
        a = b.admin.get(f"/r/{raffle}/checkpoint")
        return int(a.body.split(b"\n")[1]) if a.status == 200 else 0

    def metric(name):
        a = b.until(lambda: b.admin.get("/metrics"), (200,), b.admin)  # it may share the turn that is lost
        return int(re.search(rf"^{name} (\d+)$".encode(), a.body, re.M).group(1))
    b.buy(raffle)  # hsm makes the holder's salt
    klero.until(lambda: signed() == 1)
    hsm = b.appliance.roles()["hsm"][0]
    os.kill(hsm, signal.SIGSTOP)
    try:
        asked = metric("klero_hsm_calls_total")
        b.buy(raffle)
        klero.until(lambda: metric("klero_hsm_calls_total") > asked)
        with b.seam.failing("engine", "pwrite"):
            os.kill(hsm, signal.SIGCONT)
            klero.until(lambda: metric("klero_turns_failed_total") >= 1)
            assert signed() == 1
    finally:
        os.kill(hsm, signal.SIGCONT)
    klero.until(lambda: signed() == 2)
    count()


def test_log_on_a_full_disk(make_bench, count):
    b = make_bench("log-file /dev/full").start()
    engine = b.appliance.roles()["engine"]
    b.appliance.kill("kdf")  # which has to be told
    b.settle()
    b.buy(b.raffle, 2)
    b.check_money()
    count(2)
    assert b.appliance.roles()["engine"] == engine


@pytest.mark.parametrize("kind", some(["pread", "fsync"], ["pwrite", "ftruncate", "stat", "open", "unlink", "rename",
                                                            "fcntl", "mmap", "memfd", "write"]))
def test_a_method_of_the_disk_fails_for_a_while(bench, kind, count):
    """Every call of it: under requests, and under an engine that has to start."""
    b = bench
    for restart in (False, True):
        with b.seam.failing("engine", kind):
            if restart:
                b.appliance.kill("engine")
            end = time.monotonic() + 1
            while time.monotonic() < end:
                key = secrets.token_hex(8)
                try:
                    a = b.person.buy(b.raffle, 1, "s", idem=key)
                    assert a.status in (201, 500, 503) and (a.status == 201 or a.code), a
                    b.appliance.client(timeout=15).get("/health")
                except LOST:
                    b.person.close()
                    a = None
                count()
                if a is None or a.status != 201:
                    break
                b.money -= 100
            time.sleep(0.5)
        b.settle()
        if a is None or a.status != 201:
            b.until(lambda: b.person.buy(b.raffle, 1, "s", idem=key), (201,), b.person)
            b.money -= 100
        b.check_money()
    new, bad = b.news()
    assert not bad, bad


def covered(b, raffle):
    """So many tickets the raffle's newest checkpoint covers."""
    return int(b.until(lambda: b.admin.get(f"/r/{raffle}/checkpoint"), (200,), b.admin).body.split(b"\n")[1])


def test_commit_of_a_checkpoint_fails(make_bench, chain, count):
    """hsm has signed it, and nothing of it is in the store: hsm is asked again, though nobody buys."""
    b = make_bench(*chain.lines()).start()
    raffle = b.admin.create(sales_close=in_seconds(3600))["id"]
    b.until(lambda: b.admin.step(raffle, "open"), (200,), b.admin)
    sold = fired = 0

    def sell():
        nonlocal sold
        time.sleep(1.2)  # so that hsm is asked at once
        b.buy(raffle)
        sold += 1
        klero.until(lambda: covered(b, raffle) == sold)
    sell()
    b.seam.clear()
    sell()
    n = b.seam.calls("engine", "pwrite")
    for last in range(3):  # pieces of the last commit
        b.seam.fail("engine", "pwrite", n - last)
        sell()
        fired += b.seam.fired("engine", "pwrite")
        count()
    assert fired > 0 and "store: commit" in b.news()[0]
    b.check_money()


# --- hsm's journal ---

FRESH = "is worn: a fresh one is started"


def drawn(b, raffle):
    """It opens, sells and is drawn, whatever had to be asked for again."""
    b.until(lambda: b.admin.step(raffle, "open"), (200,), b.admin)
    b.buy(raffle, 3)
    b.until(lambda: b.admin.step(raffle, "close"), (200,), b.admin)
    b.until(lambda: b.admin.step(raffle, "entropy", {"entropy": "00ff"}), (200,), b.admin)
    b.until(lambda: b.admin.step(raffle, "draw"), (200,), b.admin)
    b.check_money()


@pytest.mark.parametrize("kind", ["fsync", "write"])
def test_journal_fails_once(bench, kind, count):
    """A write that fails costs its request. After an fdatasync that failed nothing more is answered
    that the journal must remember, until a fresh hsm has made it durable."""
    b = bench
    engine, first = b.appliance.roles()["engine"], b.appliance.roles()["hsm"]
    raffle = b.admin.create(capacity=20, format="v1")["id"]
    b.news()
    b.seam.fail("hsm", kind, 1)
    a = b.admin.step(raffle, "open")
    assert a.status == 503 and a.code == "hsm-unavailable", a
    assert b.seam.fired("hsm", kind) == 1
    count()
    drawn(b, raffle)
    klero.until(lambda: (b.appliance.roles()["hsm"] == first) == (kind == "write") and len(b.appliance.roles()["hsm"]) == 1)
    new, bad = b.news()
    assert not bad, bad
    assert ("could not be made durable" in new) == (FRESH in new) == (kind == "fsync"), new
    assert b.appliance.roles()["engine"] == engine, "it took a restart"


def test_journal_on_a_disk_that_stays_bad(bench, count):
    """The hsm that is there serves what needs no journal; a fresh one is tried, later each time; one
    that starts meanwhile waits; and all goes on by itself."""
    b = bench
    raffle = b.admin.create(capacity=20, format="v1")["id"]
    first = b.appliance.roles()["hsm"]
    b.news()
    with b.seam.failing("hsm", "fsync"):
        began, new = time.monotonic(), ""
        while new.count(FRESH) < 3:
            assert time.monotonic() - began < 120, new
            a = b.admin.step(raffle, "open")
            assert a.status == 503 and a.code == "hsm-unavailable" and int(a.headers["Retry-After"]) > 0, a
            b.person.login()  # whose token hsm signs
            count()
            time.sleep(0.1)
            more, bad = b.news()
            assert not bad, bad
            new += more
        assert first[0] in b.appliance.roles()["hsm"], "the one that serves was given up"
        # a second before the second one, twice as long before each after it
        assert new.count(FRESH) <= 2 + math.log2(1 + time.monotonic() - began), new
        began, new = time.monotonic(), ""
        b.appliance.kill("hsm")
        while new.count("is tried again in") < 4:
            assert time.monotonic() - began < 120, new
            time.sleep(0.1)
            new += b.news()[0]
        assert b.admin.step(raffle, "open").status == 503
        new += b.news()[0]
        # after a tenth of a second, then twice as late each time
        assert new.count("is tried again in") <= 2 + math.log2(1 + 10 * (time.monotonic() - began)), new
        assert "the journal cannot be made durable" in new, new
    b.settle()
    drawn(b, raffle)
    assert not b.news()[1]


# --- somebody else ---

PENDING, SHARED_FIRST, SHARED_SIZE = 0x40000000, 0x40000002, 510  # SQLite's lock bytes


def test_store_that_another_has_open(bench, count):
    b = bench
    with open(b.appliance.dir / "store" / "klero.db", "r+b") as other:
        # while engine lives, nobody else comes in
        with pytest.raises(OSError):
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_SIZE, SHARED_FIRST)
        b.appliance.stop(signal.SIGKILL)
        fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_SIZE, SHARED_FIRST)
        p = b.appliance.spawn()
        line, words = p.stdout.readline(), p.stderr.read()
        count()
        fcntl.lockf(other, fcntl.LOCK_UN, SHARED_SIZE, SHARED_FIRST)
        b.appliance.stop()
        b.appliance.start()
        assert line == "" and "another process" in words, (line, words, b.news()[0][-1500:])
    b.hang_up()
    b.check_money()
    assert not b.news()[1]


def test_engine_waits_for_a_store_that_is_held(bench, count):
    """The lock is there just when a dead engine is replaced: 503 until it is gone, then on."""
    b = bench
    with open(b.appliance.dir / "store" / "klero.db", "r+b") as other:
        os.kill(b.appliance.process.pid, signal.SIGSTOP)  # so that no engine follows before the lock is there
        try:
            b.appliance.kill("engine")
            fcntl.lockf(other, fcntl.LOCK_EX, SHARED_SIZE, SHARED_FIRST)
            a = b.person.buy(b.raffle)
        finally:
            os.kill(b.appliance.process.pid, signal.SIGCONT)
        assert a.status == 503 and a.code == "restarting", a
        time.sleep(1)
        count()
    b.settle()
    b.buy(b.raffle)
    b.check_money()


# --- damage ---

PAGE = 4096


def test_damaged_pages(bench, count):
    """A page is changed while everything stands still. Who starts on it either says what is wrong
    or serves what is whole, and 503 for the rest; with the page mended all is there."""
    b = bench
    b.hang_up()
    b.appliance.stop()
    store = b.appliance.dir / "store" / "klero.db"
    whole = b.dir / "whole.db"
    shutil.copy(store, whole)
    pages = os.path.getsize(store) // PAGE
    for page in range(0, pages, 1 if LONG else max(1, pages // 3)):
        with open(store, "r+b") as f:
            f.seek(page * PAGE + 200)
            byte = f.read(1)[0]
            f.seek(page * PAGE + 200)
            f.write(bytes([byte ^ 0x10]))
        p = b.appliance.spawn()
        if p.stdout.readline():
            for path in ("/api/v1/wallet", f"/api/v1/raffles/{b.raffle}/tickets", "/api/v1/auth/me"):
                a = b.person.get(path)
                assert a.status in (200, 503), a
                assert a.status == 200 or a.code == "store-unavailable", a
                if a.status == 200 and path.endswith("wallet"):
                    assert a.json["balances"][0]["available"]["amount"] == b.money
            a = b.person.buy(b.raffle, 1)
            assert a.status in (201, 503), a
        else:
            words = p.stderr.read()
            assert p.wait(120) == 1 and ("damaged" in words or "store" in words), words
        b.hang_up()
        b.appliance.stop(signal.SIGKILL)
        for name in ("klero.db-wal", "klero.db-journal"):
            (store.parent / name).unlink(missing_ok=True)
        with open(store, "r+b") as f:  # the same file: its owner and mode stay
            f.write(whole.read_bytes())
            f.truncate()
        count()
    b.appliance.start()
    b.check_money()
    b.news()


# --- a small disk, for real ---

def mounted(b, mount):
    """Starts klerod with something mounted over its store, in a mount namespace of its own."""
    store, copy = b.appliance.dir.resolve() / "store", b.dir / "copy"
    store = store.resolve()
    script = f"cp -a {store} {copy} && {mount.format(store=store, copy=copy)} && exec {b.appliance.bin}/klerod -c {b.appliance.conf}"
    b.appliance.process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return b.appliance.process, store


def may_mount():
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"],
                          capture_output=True).returncode == 0


@pytest.mark.root_only
def test_small_disk(make_bench, count):
    if not may_mount():
        pytest.skip("may not mount here")
    b = make_bench()
    process, store = mounted(b, "mount -t tmpfs -o size=6m none {store} && chown --reference={copy} {store} "
                                "&& chmod --reference={copy} {store} && cp -a {copy}/. {store}/")
    assert process.stdout.readline().startswith("klerod: ready"), process.stderr.read()
    b.begin()
    engine, inside = b.appliance.roles()["engine"], f"/proc/{process.pid}/root{store}"
    for _ in range(3):
        with open(inside + "/filler", "wb", buffering=0) as f:
            try:
                while f.write(bytes(4096)):
                    pass
            except OSError as e:
                assert e.errno == errno.ENOSPC
        key = None
        for _ in range(400):  # the log may have room left inside it
            key = secrets.token_hex(8)
            a = b.person.buy(b.raffle, 50, "a wish", idem=key)
            count()
            if a.status != 201:
                break
            b.money -= 5000
        refused(b, key)
        reads_go_on(b)
        klero.until(lambda: state(b) == "unavailable")
        os.unlink(inside + "/filler")
        a = None
        klero.until(lambda: state(b) == "ok")
        b.check_money()
        klero.want(b.until(lambda: b.person.buy(b.raffle, 50, "a wish", idem=key), (201,), b.person), 201)
        b.money -= 5000
        b.check_money()
    assert b.appliance.roles()["engine"] == engine, "it took a restart"
    b.hang_up()
    b.check_ledger()


@pytest.mark.root_only
def test_read_only_store(make_bench, count):
    if not may_mount():
        pytest.skip("may not mount here")
    b = make_bench()
    process, _ = mounted(b, "mount --bind {store} {store} && mount -o remount,bind,ro {store}")
    assert process.stdout.readline() == "" and process.wait(120) == 1
    words = process.stderr.read()
    assert "store" in words, words
    count()
