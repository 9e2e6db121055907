"""The TLS key turned over while the doors stay open: officers approve, a new key and its certificate
are in use, no connection is dropped and no handshake fails; what cannot be done leaves the old one
serving and says why."""

import os
import shutil
import signal
import socket
import ssl
import threading
import time

import pytest

import klero
from officers import approve, decide, keys, known, settle
from test_rotation import KEYS_IN_FILES, guarded, officers  # noqa: F401

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def visit(appliance, context):
    """One request over a connection of its own; the certificate that it saw."""
    with socket.create_connection(("127.0.0.1", appliance.port), timeout=30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            s.sendall(HEALTH)
            assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
            return s.getpeercert(binary_form=True)


def verified(appliance):
    """By the file as it stands: until every net has heard of it."""
    def all_of_them():
        context = klero.tls_context(appliance.ca)
        try:
            return [visit(appliance, context) for _ in range(20)][-1]
        except ssl.SSLCertVerificationError:
            return None
    return klero.until(all_of_them)


class Strangers(threading.Thread):
    """Shakes hands in full and asks, without a pause; keeps which certificates there were, and what went wrong."""

    def __init__(self, appliance):
        super().__init__()
        self.appliance, self.seen, self.n, self.bad = appliance, set(), 0, []
        self.end = threading.Event()

    def run(self):
        context = ssl._create_unverified_context()
        while not self.end.is_set():
            self.n += 1
            try:
                self.seen.add(visit(self.appliance, context))
            except (OSError, AssertionError) as e:
                self.bad.append(e)

    def stop(self):
        self.end.set()
        self.join()
        return self


class Guest(threading.Thread):
    """Asks over one connection that must never be replaced."""

    def __init__(self, appliance):
        super().__init__()
        self.client, self.n, self.bad = appliance.client(), 0, []
        klero.want(self.client.get("/health"), 200)
        self.socket = self.client.conn.sock
        self.end = threading.Event()

    def run(self):
        while not self.end.is_set():
            self.n += 1
            if self.client.get("/health").status != 200 or self.client.conn.sock is not self.socket:
                self.bad.append(self.n)

    def stop(self):
        self.end.set()
        self.join()
        self.client.close()
        return self


@KEYS_IN_FILES
def test_rotation_under_handshakes(guarded, officers):
    certificates = [der(guarded.ca)]
    former = klero.tls_context(guarded.ca)
    strangers, guests = [Strangers(guarded) for _ in range(2)], [Guest(guarded) for _ in range(2)]
    for t in strangers + guests:
        t.start()
    try:
        for words in (("rotate", "tls"), ("compromise", "tls", "2"), ("rotate", "tls")):
            decide(guarded, officers[:2], *words)
            assert der(guarded.ca.with_name("tls.pem.old")) == certificates[-1]
            certificates.append(der(guarded.ca))
            assert verified(guarded) == certificates[-1]
    finally:
        for t in strangers + guests:
            t.stop()
    for t in strangers + guests:
        assert not t.bad and t.n > 10, (t.bad[:3], t.n)
    assert len(set(certificates)) == 4
    assert set.union(*(s.seen for s in strangers)) == set(certificates)
    with pytest.raises(ssl.SSLCertVerificationError):
        visit(guarded, former)
    states = {v: row["state"] for (p, v), row in keys(guarded).items() if p == "tls"}
    assert states[4] == "active" and len(states) == 4
    # and after a start from nothing but files
    guarded.stop()
    guarded.start()
    guarded.wait_ready()
    assert verified(guarded) == certificates[-1]
    # a certificate for a key of before, put there by somebody else's programs: read again on demand
    fresh = guarded.ca.with_name("tls.pem.fresh")
    shutil.copy(guarded.ca.with_name("tls.pem.old"), fresh)
    fresh.rename(guarded.ca)
    guarded.process.send_signal(signal.SIGHUP)
    assert verified(guarded) == certificates[-2]
    # one that is none changes nothing
    guarded.ca.with_name("tls.pem.fresh").write_text("nonsense")
    kept = guarded.ca.read_text()
    guarded.ca.with_name("tls.pem.fresh").rename(guarded.ca)
    guarded.process.send_signal(signal.SIGHUP)
    klero.until(lambda: guarded.log().count("the former certificate stays in use") == len(guarded.roles()["net"]))
    guarded.ca.write_text(kept)
    assert verified(guarded) == certificates[-2]


@pytest.mark.slow
@pytest.mark.parametrize("role,which", [("tlskey", 0), ("tlskey", -1), ("net", 0), ("hsm", 0), ("engine", 0)])
def test_killed_in_between(guarded, officers, role, which):
    """Whatever dies, handshakes go on, under the certificate in the file."""
    for delay in (0, 0.15, 0.3):
        klero.until(lambda: known(guarded))
        number = guarded.ctl("key", "rotate", "tls").stdout.strip()
        approve(guarded, number, *officers[:2])
        time.sleep(delay)
        try:
            guarded.kill(role, which)
        except IndexError:
            pass
        guarded.wait_ready()
        klero.until(lambda: known(guarded))
        end = settle(guarded, number)
        # the fresh one may have been hit, and then the old one serves on
        assert end["state"] == "done" or "does not start" in end["reason"], end
        assert verified(guarded) == der(guarded.ca)
    guarded.stop()
    guarded.start()
    assert verified(guarded) == der(guarded.ca)


def fails(appliance, who, words):
    number = appliance.ctl("key", "rotate", "tls").stdout.strip()
    approve(appliance, number, *who)
    end = settle(appliance, number)
    assert end["state"] == "failed" and words in end["reason"], end


def test_a_certificate_that_cannot_be_put_in_place(guarded, officers):
    first = der(guarded.ca)
    context = klero.tls_context(guarded.ca)
    old = guarded.ca.with_name("tls.pem.old")
    guarded.dir.chmod(0o555)
    try:
        fails(guarded, officers[:2], "tls.pem.new cannot be written: Permission denied")
    finally:
        guarded.dir.chmod(0o755)
    assert ("tls", 2) not in keys(guarded)
    # found too late: the key is there already
    old.mkdir()
    fails(guarded, officers[:2], "the key is made, but not in use")
    klero.until(lambda: ("tls", 2) in keys(guarded))
    assert der(guarded.ca) == first and visit(guarded, context) == first
    assert not [name for name in os.listdir(guarded.dir) if name.endswith(".new")]
    old.rmdir()
    decide(guarded, officers[:2], "rotate", "tls")
    assert verified(guarded) == der(guarded.ca) != first


@KEYS_IN_FILES
def test_back_and_gone(guarded, officers):
    """An older version comes back with a certificate of its own; a version goes when no certificate
    needs it, and nobody is turned away meanwhile."""
    two = officers[:2]
    decide(guarded, two, "rotate", "tls")
    second = verified(guarded)
    strangers = Strangers(guarded)
    strangers.start()
    try:
        decide(guarded, two, "roll-back", "tls", "1")
        third = verified(guarded)
        assert third == der(guarded.ca) != second
        # the file is somebody's for the version that is to go: it stays
        kept = guarded.ca.read_text()
        guarded.ca.write_text(guarded.ca.with_name("tls.pem.old").read_text())
        number = guarded.ctl("key", "destroy", "tls", "2").stdout.strip()
        approve(guarded, number, *two)
        assert "holds one for version 2" in settle(guarded, number)["reason"]
        # nets that have not been told of the file yet: they are, before the key is gone
        guarded.process.send_signal(signal.SIGHUP)
        assert verified(guarded) == second
        guarded.ca.write_text(kept)
        decide(guarded, two, "destroy", "tls", "2")
        assert verified(guarded) == third
        klero.until(lambda: keys(guarded)["tls", 2]["state"] == "destroyed")
        before = strangers.n
        klero.until(lambda: strangers.n > before + 20)
    finally:
        strangers.stop()
    assert not strangers.bad, strangers.bad[:3]
    guarded.stop()
    guarded.start()
    assert verified(guarded) == third
