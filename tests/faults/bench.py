"""One appliance with the seam in it, and what must hold whatever fails: each operation is asked for
until it succeeds, as a careful client does, and afterwards it must have happened exactly once.
"""

import collections
import http.client
import os
import pathlib
import re
import secrets
import signal
import ssl
import time

import klero
import seam

LINES = klero.NO_LIMITS + ["nets 1", "kdfs 1", "death-budget 1000000/1"]
LOST = (OSError, http.client.HTTPException, ssl.SSLError)
PATIENCE_S = 180  # nothing may take longer, whatever fails: the watchdog's 20 s and a start, on a slow machine
SLOW_S = 8        # what only a deadline has ended: no hang, but worth a word
STAY_S = 600      # two thirds of a token's life
PRICE = 100


def in_seconds(n):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + n))


class Bench:
    """tally counts what the failures came to, over all benches of a run."""

    tally = collections.Counter()

    def __init__(self, programs, folder, *lines):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(mode=0o711)
        self.seam = seam.Seam(programs, self.dir / "bin")
        (self.dir / "bin").chmod(0o755)
        words = [line.split()[0] for line in lines]
        conf = list(lines) + [line for line in LINES if line.split()[0] not in words]
        self.appliance = klero.Appliance(self.dir / "bin", self.dir / "a", conf).provision()
        tools = os.environ.get("KLERO_TOOLS", pathlib.Path(programs).parent / "tools")
        (self.dir / "tools").symlink_to(pathlib.Path(tools).resolve())
        self.seam.clear()
        self.admin = self.person = None
        self.money, self.read = 0, 0

    def start(self):
        self.appliance.start()
        return self if self.admin is not None else self.begin()

    def begin(self):
        """Who and what every test needs."""
        self.admin, self.person = self.appliance.admin(), self.appliance.person()
        self.since = time.monotonic()
        self.fund(100_000_000)
        self.raffle = self.open()
        return self

    def stay(self):
        """A long form outlives its tokens."""
        if time.monotonic() - self.since > STAY_S:
            self.admin.login()
            self.person.login()
            self.since = time.monotonic()

    def check_store(self):
        """Every page, every transfer's sum, every link of the audit chain."""
        self.hang_up()
        self.check_ledger()
        self.appliance.stop()
        run = self.appliance.store_tool("check")
        assert run.returncode == 0, run
        self.appliance.start()

    def check_ledger(self):
        """What engine's own check has found, once it has come to its end. It waits longer after each
        failure that it met; a fresh engine checks at once."""
        if self.appliance.status()["ledger"] == "being checked":
            self.appliance.kill("engine")
            self.appliance.wait_ready()
        end = time.monotonic() + PATIENCE_S
        while (found := self.appliance.status()["ledger"]) == "being checked" and time.monotonic() < end:
            time.sleep(0.1)
        assert found == "ok", found

    def end(self):
        self.seam.clear()
        try:
            self.appliance.stop(signal.SIGKILL)
        finally:
            self.seam.close()

    def restart(self):
        """After a failure was written down: what is there now is what the next one builds on."""
        self.seam.clear()
        self.hang_up()
        self.appliance.stop(signal.SIGKILL)
        self.start()
        self.stay()
        self.money = self.person.available()
        self.news()

    def hang_up(self):
        self.admin.close()
        self.person.close()

    def fund(self, amount):
        self.admin.confirm(self.person.deposit(amount)["id"])
        self.money += amount

    def open(self, **fields):
        raffle = self.admin.create(capacity=1_000_000, format="v1", **fields)["id"]
        klero.want(self.admin.step(raffle, "open"), 200)
        return raffle

    # --- asking ---

    def until(self, call, good, client):
        """The first answer with a status of good; every other must be a problem that says to come again."""
        end = time.monotonic() + PATIENCE_S
        while True:
            began = time.monotonic()
            try:
                a = call()
                if a.status in good:
                    return a
                assert a.status in (500, 503, 409), a
                assert a.code, f"no problem document: {a}"
                assert a.status != 503 or int(a.headers["Retry-After"]) > 0, a
                assert a.status != 409 or a.code == "idempotency-key-in-flight", a
                Bench.tally["refused"] += a.status != 409
            except LOST as e:
                client.close()
                Bench.tally["connections lost"] += 1
                a = e
            Bench.tally["slow"] += time.monotonic() - began > SLOW_S
            if time.monotonic() > end:
                raise klero.Failure(f"no answer for {PATIENCE_S} s: {a!r}")
            time.sleep(0.02)

    def buy(self, raffle, quantity=1):
        """Exactly one purchase, however often it has to be asked for."""
        key, p = secrets.token_hex(12), self.person
        a = self.until(lambda: p.buy(raffle, quantity, "seed", idem=key), (201,), p)
        assert len(a.json["tickets"]) == quantity, a
        self.money -= PRICE * quantity
        return [t["id"] for t in a.json["tickets"]]

    def check_money(self):
        p = self.person
        body = self.until(lambda: p.get("/api/v1/wallet"), (200,), p).json
        have = [b["available"]["amount"] for b in body["balances"]]
        assert have == [self.money], f"the wallet holds {have}, not {self.money}"

    def tickets(self, raffle):
        p = self.person
        a = self.until(lambda: p.get(f"/api/v1/raffles/{raffle}/tickets?limit=100"), (200,), p)
        return [t["id"] for t in a.json["items"]]

    # --- looking ---

    def pids(self):
        roles = {pid: role for role, pids in self.appliance.roles().items() for pid in pids}
        return {self.appliance.process.pid: "parent", **roles}

    def descriptors(self):
        """{(role, pid): how many}, with no client connected."""
        self.hang_up()
        time.sleep(0.05)
        try:
            return {(role, pid): len(os.listdir(f"/proc/{pid}/fd")) for pid, role in self.pids().items()}
        except PermissionError:
            return {}  # without root nobody may look into a process that is not dumpable

    def leaks(self, before):
        """What has more descriptors than before, after a while."""
        for _ in range(60):
            now = self.descriptors()
            more = {k: (before[k], n) for k, n in now.items() if n > before.get(k, n)}
            if not more:
                return {}
            time.sleep(0.05)
        return more

    def settle(self):
        """Until every role is there and ready again."""
        self.appliance.wait_ready(PATIENCE_S)

    def in_library(self):
        """Did the last failure meet a library that does not survive it: libseccomp 2.5 before its
        process has met any input, libcrypto 3.0 while it initialises itself, glibc 2.36 while it looks
        up its first user or is told where to look for hosts, SQLCipher 4.6 while it takes its key;
        SoftHSM calls syslog, which its sandbox does not know, about every failure; libcurl takes the -1
        of an fcntl(F_GETFL), which no open descriptor can give, for the flags."""
        return any(word in self.seam.who() for word in (
            "libseccomp", "libsofthsm2", "libcurl", "OPENSSL_init_crypto", "OSSL_LIB_CTX_get0_global_default",
            "__nss_passwd_lookup2", "__nss_configure_lookup", "sqlcipherCodecAttach"))

    def news(self):
        """The log's lines since the last look; what must never stand in one is a failure."""
        with open(self.appliance.dir / "klerod.log", encoding="utf-8", errors="replace") as f:
            f.seek(self.read)
            new, self.read = f.read(), f.tell()
        Bench.tally["died"] += len(re.findall(r"was killed by signal|ended with status", new))
        Bench.tally["by the watchdog"] += len(re.findall(r"does not answer: killed|was not ready in time", new))
        bad = [l for l in new.splitlines() if re.search(
            r"Sanitizer|runtime error:|by its sandbox|broke the protocol|sent garbage|system call"
            r"|killed by signal (?!9\b)\d", l)]
        if self.in_library():
            Bench.tally["met what a library does not survive or tells syslog"] += bool(bad)
            bad = []
        # without memory for a key engine cannot tell it from a bad one; it ends either way
        if "p256_key" in self.seam.who() or "token_key_set" in self.seam.who():
            bad = [line for line in bad if "hsm sent garbage" not in line]
        return new, bad
