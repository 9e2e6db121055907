"""An appliance as a witness, over real HTTPS: one growing tree of each log that it knows is cosigned;
a split view is refused, kept and told, also after every process was replaced."""

import base64
import re
import time

import klero
import officers
import pytest
import tlog
import witness

ADD = "/witness/add-checkpoint"


class Site:
    def __init__(self, lab):
        self.log = witness.Log("peer.example/klero")
        self.other = witness.Log("other.example/log")
        self.a = lab.make(f"witness-log {self.log.vkey()}", f"witness-log {self.other.vkey()}").start()
        host = re.search(r"^host\s+(\S+)", self.a.conf.read_text(), re.M).group(1)
        self.name = f"{host}/klero/witness"
        self.public = tlog.Key(self.a.vkey.read_text()).public
        self.client = self.a.client()

    def add(self, body, status, **more):
        return klero.want(self.client.call("POST", ADD, raw=body, headers={"Content-Type": "text/plain"}, **more), status)

    def good(self, log, old):
        a = self.add(log.submission(old), 200)
        assert a.headers["Content-Type"] == "text/plain; charset=utf-8"
        lines = a.body.decode().splitlines()
        assert len(lines) == 1
        when = witness.cosigned(lines[0], self.name, self.public, log.text())
        assert when and abs(when - time.time()) < 60
        return when

    def known(self, log):
        """The log, and how much of it is cosigned: each test may be the first of its worker."""
        if not log.leaves:
            self.good(log.grow(20), 0)
        return log, len(log.leaves)

    def size(self, body, size):
        a = self.add(body, 409)
        assert a.headers["Content-Type"] == "text/x.tlog.size" and a.body == f"{size}\n".encode(), a

    def health(self):
        return self.client.get("/health").json["witness"]


@pytest.fixture(scope="module")
def site(lab):
    return Site(lab)


def test_a_growing_log(site):
    log = site.log.grow(1)
    assert site.good(log, 0)
    for more in (1, 5, 250, 1, 1000):
        old = len(log.leaves)
        site.good(log.grow(more), old)
    assert site.good(log, len(log.leaves))  # again, of another time
    tickets = witness.Log("peer.example/klero/r/" + "0123456789abcdef" * 2, log.key).grow(7)
    site.good(tickets, 0)
    assert site.health() == "ok"


def test_the_size_is_told(site):
    """As to any client that has fallen behind: nothing that an operator need look at."""
    said, log = len(site.a.log()), site.other.grow(10)
    site.size(log.submission(3), 0)
    site.good(log, 0)
    site.size(log.submission(0), 10)
    site.size(log.grow(1).submission(9), 10)
    site.good(log, 10)
    assert "COSIGN" not in site.a.log()[said:]


def test_who_is_not_known_or_has_not_signed(site):
    for origin in ("stranger.example/log", "peer.example/klero/r/x", site.name.removesuffix("/witness")):
        assert site.add(witness.Log(origin, site.log.key).grow(2).submission(0), 404).code == "not-found"
    log, size = site.known(site.other)
    liar = witness.Log(log.origin).grow(99)
    assert site.add(liar.submission(size), 403).code == "checkpoint-not-signed"
    both = liar.note() + log.note().split(b"\n\n")[1]
    site.add(witness.submission(size, [], both), 403)  # a good signature, on another text
    site.size(log.submission(0), size)


def test_malformed(site):
    log, size = site.known(site.log)
    good = log.submission(size - 1)
    for bad in (b"x", b"old\n\n", good.replace(b"old ", b"old 0"), good.replace(b"old ", b"OLD "), good[:-1], good[:40],
                good.replace(b"\n\n", b"\n", 1), b"old 0\n" + b"A" * 44 + b"\n\n" + site.log.note(),
                b"old 9999999\n\n" + site.log.note(), good + b"\xff", good + b"\0", b"old 0\n\n", b"old 0\n" * 70):
        a = site.client.call("POST", ADD, raw=bad, headers={"Content-Type": "text/plain"})
        assert a.status == 400 and a.code in ("submission-malformed", "validation-failed", "validation"), (bad, a)
    site.add(b"old 0\n\n" + b"x" * 20000, 400)
    extension = site.log.text() + "more\n"
    site.add(witness.submission(0, [], extension.encode() + b"\n" + site.log.note().split(b"\n\n")[1]), 403)


def test_a_split_view(site):
    log, size = site.known(site.log)
    a = site.add(log.fork(size).submission(size), 409)
    assert a.body == f"{size}\n".encode() and site.health() == "split-view"
    assert site.add(log.fork(size).grow(5).submission(size), 422).code == "checkpoint-inconsistent"
    site.add(log.fork(size).submission(size), 409)  # the same again is known
    metrics = site.a.admin().get("/metrics").body.decode()
    assert 'klero_witness_evidence{kind="split-view"} 1\n' in metrics
    assert 'klero_witness_evidence{kind="inconsistent"} 1\n' in metrics
    assert re.search(r"^klero_witness_cosigned_total [1-9]", metrics, re.M)
    for words in ("are another tree than the one cosigned: kept as evidence", "a split view"):
        klero.until(lambda words=words: words in site.a.log())
    site.good(log.grow(3), size)  # who tells the truth goes on


def test_it_remembers(site):
    """Neither a fresh hsm nor a whole new start forgets what was cosigned."""
    log, size = site.known(site.log)
    site.add(log.fork(size).submission(size), 409)
    site.a.kill("hsm")
    site.a.wait_ready()
    site.size(log.submission(0), size)
    site.a.stop()
    site.a.start()
    site.client = site.a.client()
    assert site.health() == "split-view"
    site.add(log.fork(size).submission(size), 409)
    site.good(log.grow(1), size)


def test_two_appliances(lab):
    """One witnesses the other's real log."""
    a = lab.make().start()
    admin = a.admin()
    host = re.search(r"^host\s+(\S+)", a.conf.read_text(), re.M).group(1)
    public = tlog.Key(a.vkey.read_text()).public
    b = lab.make("witness-log " + witness.vkey(f"{host}/klero", 1, public)).start()
    name = re.search(r"^host\s+(\S+)", b.conf.read_text(), re.M).group(1) + "/klero/witness"
    raffle = admin.create(title="Witnessed", capacity=10)["id"]
    klero.want(admin.step(raffle, "open"), 200)
    buyer, note = a.client(), None
    end = time.monotonic() + 180
    while note is None:
        answer = buyer.get("/checkpoint")
        note = answer.body if answer.status == 200 else None
        assert time.monotonic() < end
        time.sleep(0.1)
    text = note.decode().rsplit("\n\n", 1)[0] + "\n"
    got = klero.want(b.client().call("POST", ADD, raw=witness.submission(0, [], note)), 200)
    assert witness.cosigned(got.body.decode(), name, tlog.Key(b.vkey.read_text()).public, text)
    assert base64.b64decode(text.split("\n")[2])


class Pair(witness.Pair):
    """Two appliances that witness each other, and an officer whose approvals are records."""

    def __init__(self, lab, folder):
        super().__init__(lab)
        self.folder, self.officer = folder, officers.Officer(folder, "alice")
        (folder / "officers").write_text(self.officer.line)
        for a in self.made:
            a.ctl("officer", "enrol", "1", str(folder / "officers"))
        self.start()

    def grow(self, a):
        """One more record in a's operator log."""
        proposal = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", a.ctl("key", "rotate", "mac").stdout).group(0)
        (self.folder / "sig").write_text(self.officer.sign(a.ctl("proposal", "show", proposal).stdout))
        a.ctl("proposal", "approve", proposal, str(self.folder / "sig"))


def test_two_that_witness_each_other(lab, tmp_path):
    pair = Pair(lab, tmp_path)
    for a, b in (pair.made, pair.made[::-1]):
        witness.wait_cosigned(a, b, 0)
        pair.grow(a)
        witness.wait_cosigned(a, b, 1)
        pair.grow(a)
        witness.wait_cosigned(a, b, 2)
        klero.until(lambda a=a: a.client().get("/health").json["cosignatures"] == "ok")
