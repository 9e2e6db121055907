"""One appliance whose HSM is sick, under a load whose every answer is looked at: right, or a problem
that says to come again. Afterwards the book of the load is held against the appliance."""

import contextlib
import http.client
import os
import random
import signal
import ssl
import threading
import time

import klero
import load

load.PATIENCE = 600  # an outage may take minutes, and the clients wait
LOST = (OSError, http.client.HTTPException, ssl.SSLError)
# what may be said while a process that was needed is not there
LATER = ("hsm-unavailable", "restarting", "password-queue-full", "busy", "proof-preparing")


class Watch:
    """Every answer that any client of this process gets."""

    def __init__(self):
        self.bad, self.later = [], 0

    def add(self, method, target, answer):
        if answer.status < 500:
            return
        self.later += 1
        if answer.status != 503 or not answer.code or int(answer.headers.get("Retry-After") or 0) < 1:
            self.bad.append(f"{method} {target}: {answer}")


class Handshakes(threading.Thread):
    """New connections all the time: a handshake may fail, the next one succeeds."""

    def __init__(self, appliance):
        super().__init__()
        self.appliance, self.done, self.failed, self.end = appliance, 0, 0, threading.Event()

    def run(self):
        while not self.end.is_set():
            c = self.appliance.client()
            try:
                self.done += c.get("/api/v1/raffles").status == 200
            except LOST:
                self.failed += 1
            c.close()
            time.sleep(0.02)


class Draws(threading.Thread):
    """A raffle after the other, from its opening to its verified draw, and logins: what asks hsm most."""

    def __init__(self, appliance):
        super().__init__()
        self.admin, self.person = appliance.admin("draws@example.org"), appliance.person("drawn@example.org")
        self.admin.confirm(self.person.deposit(10**9)["id"])
        self.drawn, self.error, self.end = 0, None, threading.Event()

    def _ask(self, call, *good):
        a = load.until_answered(call)
        if a.status not in good:
            raise klero.Failure(f"{a}")
        return a.json

    def _one(self):
        admin, key = self.admin, klero.secrets.token_hex(8)
        body = {"title": "d", "price": {"amount": 1, "currency": "EUR"}, "capacity": 9, "winners": 1}
        raffle = self._ask(lambda: admin.post("/api/v1/admin/raffles", body, idem=key), 201)["id"]
        # asked again, the step may have been taken already: the answer was lost
        commit = self._ask(lambda: admin.step(raffle, "open"), 200, 409)
        self._ask(lambda: self.person.buy(raffle, 3, "x", idem=key), 201)
        for verb, more in (("close", None), ("entropy", {"entropy": "00ff"}), ("draw", None)):
            self._ask(lambda: admin.step(raffle, verb, more), 200, 409)
        assert self._ask(lambda: admin.post(f"/api/v1/raffles/{raffle}/verify"), 200)["verified"], commit
        body = {"email": self.person.email, "password": klero.PASSWORD}
        self._ask(lambda: self.person.call("POST", "/api/v1/auth/login", body, token=None), 200)
        self.drawn += 1

    def run(self):
        try:
            while not self.end.is_set():
                self._one()
        except Exception as e:  # for the thread that waits
            self.error = e
        self.admin.close()
        self.person.close()


@contextlib.contextmanager
def under_load(appliance, tmp, players=2):
    """Yields while the load runs; afterwards everything that was answered must be so."""
    watch, old = Watch(), klero.Samples.add
    klero.Samples.add = watch.add
    book = load.Book("admin@example.org", [f"p{i}@example.org" for i in range(players)])
    load.settle_in(appliance, book)
    work, hands = load.Load(appliance, book, "hsm").start(), Handshakes(appliance)
    draws = Draws(appliance)
    hands.start()
    draws.start()
    try:
        yield watch
    finally:
        appliance.module.well()
        work.stop()
        hands.end.set()
        draws.end.set()
        hands.join()
        draws.join()
        work.join()
        klero.Samples.add = old
    assert not watch.bad, watch.bad[:5]
    if draws.error:
        raise draws.error
    assert hands.done > 0 and draws.drawn > 0
    wait_well(appliance)
    load.Check(appliance, book, random.Random(1)).run(tmp)
    assert appliance.process.poll() is None
    bad = [l for l in appliance.log().splitlines() if "by its sandbox" in l or "broke the protocol" in l or "sent garbage" in l]
    assert not bad, bad[:3]


def health(appliance):
    """kleroctl's answer needs no TLS key."""
    run = appliance.ctl("status", check=False)
    return klero.json.loads(run.stdout) if run.returncode == 0 else {"hsm": "?", "tls": "?"}


def kill(appliance, role):
    """Every process of the role that is there just now."""
    pids = appliance.roles()[role]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return pids


def replaced(appliance, role):
    """They are killed, and a successor serves."""
    old = kill(appliance, role)
    klero.until(lambda: appliance.roles()[role] and not set(old) & set(appliance.roles()[role]))
    wait_well(appliance)


def breathe():
    """So long that the next failure is the first again: no longer back-off."""
    time.sleep(1.2)


def wait_well(appliance, seconds=180):
    def well():
        h = health(appliance)
        return h["hsm"] == h["tls"] == "ok"
    klero.until(well, seconds)
    appliance.wait_ready(seconds)
