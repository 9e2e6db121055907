"""The logs over real HTTPS: what was sold is in them, the root follows from entries and from tiles,
one checkpoint holds all that an older one did, and what is not a tile is not there."""

import hashlib
import os
import pathlib
import re
import signal
import subprocess
import time

import klero
import pytest
import tlog
import witness
from conftest import BIN

TILE_HEADERS = {"Content-Type": "application/octet-stream", "Cache-Control": "public, max-age=604800, immutable"}
NOTE_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}


def has_headers(answer, wanted):
    got = {k: answer.headers.get_all(k) for k in wanted}
    assert got == {k: [v] for k, v in wanted.items()}, got
    assert answer.headers.get_all("Access-Control-Allow-Origin") == ["*"]


class Site:
    """An appliance with a raffle that has a ticket log, its people, and a reader of each log."""

    def __init__(self, appliance):
        self.a = appliance
        self.host = re.search(r"^host\s+(\S+)", appliance.conf.read_text(), re.M).group(1)
        self.key = tlog.Key(appliance.vkey.read_text())
        self.client = appliance.client()
        self.raffle, self.bought = None, []

    def log_raffles(self):
        """Every raffle gets a ticket log, before its first sale: only a test makes it so."""
        self.a.stop()
        run = self.a.store_tool("sql", "UPDATE raffles SET format = 2, sales_close_s = 4102444800")
        assert run.returncode == 0, run.stderr
        self.a.start()
        self.client = self.a.client()

    def furnish(self):
        """A raffle and somebody who has the money for all of it."""
        self.admin = self.a.admin()
        self.raffle = self.admin.create(title="Logged", capacity=2000)["id"]
        klero.want(self.admin.step(self.raffle, "open"), 200)
        self.log_raffles()
        self.admin.close()
        self.buyer = self.a.person()
        self.admin.confirm(self.buyer.deposit(1_000_000)["id"])
        return self

    def prefix(self):
        return f"/r/{self.raffle}/"

    def origin(self):
        return f"{self.host}/klero/r/{self.raffle.replace('-', '')}"

    def log(self, prefix=None, origin=None):
        return tlog.Log(lambda path: klero.want(self.client.get((prefix or self.prefix()) + path), 200).body,
                        self.key, origin or self.origin())

    def settled(self, size):
        """The checkpoint, once it covers so many tickets."""
        end = time.monotonic() + 180
        while True:
            a = self.client.get(self.prefix() + "checkpoint")
            if a.status == 200:
                got = self.key.checkpoint(a.body, self.origin())
                if got[0] >= size:
                    return got
            assert time.monotonic() < end, a
            time.sleep(0.1)


@pytest.fixture(scope="module")
def site(lab):
    return Site(lab.make().start()).furnish()


def buy(site, quantity, seed=None, person=None):
    sale = klero.want((person or site.buyer).buy(site.raffle, quantity, seed), 201).json
    site.bought += sale["tickets"]
    return sale


def test_empty(site):
    """A log is there from the opening on, with a checkpoint of nothing."""
    size, root = site.settled(0)
    assert size == 0 and root == hashlib.sha256(b"").digest()
    a = site.client.get("/checkpoint")
    assert site.key.checkpoint(klero.want(a, 200).body, f"{site.host}/klero") == (0, root)
    has_headers(a, NOTE_HEADERS)
    for path in ("/tile/0/000", "/tile/entries/000.p/1", site.prefix() + "tile/0/000.p/1"):
        assert site.client.get(path).status == 404


def sell_some(site):
    """Two full bundles and more, unless another test of this process has sold them."""
    if not site.bought:
        for n in (1, 100, 100, 55, 100, 100, 100, 7):
            buy(site, n, "seed %d" % n)


def test_sold_is_in_it(site):
    """Entries, level-0 tiles, higher tiles and checkpoint agree, and they hold what was sold."""
    old = site.settled(0)
    sell_some(site)
    size, root = site.settled(len(site.bought))
    assert size == len(site.bought) == 563 and old[0] == 0
    hashes, entries = site.log().leaves(size)
    assert tlog.root_of(hashes) == root
    assert site.log().root_from_tiles(size, hashes) == 1
    rid = bytes.fromhex(site.raffle.replace("-", ""))
    for i, (entry, ticket) in enumerate(zip(entries, site.bought)):
        assert entry[:4] == b"KLT2" and entry[4:20] == rid and len(entry) == 116
        assert int.from_bytes(entry[20:28], "big") == i == ticket["index"]
        assert entry[36:52].hex() == ticket["id"].replace("-", "")


def test_only_grows(site):
    """Whatever a checkpoint said stays true: its root is that of the same leaves later on."""
    sell_some(site)
    seen = [site.settled(len(site.bought))]
    for n in (1, 30, 3):
        buy(site, n)
        seen.append(site.settled(len(site.bought)))
    assert [s for s, _ in seen] == sorted({s for s, _ in seen})
    hashes, _ = site.log().leaves(seen[-1][0])
    for size, root in seen:
        assert tlog.root_of(hashes[:size]) == root
        n, width = tlog.parts(size)[-1]
        assert site.client.get(site.prefix() + tlog.tile(0, n, width)).body == b"".join(hashes[256 * n:256 * n + width])


def test_headers(site):
    sell_some(site)
    size, _ = site.settled(len(site.bought))
    for path in ("tile/0/000", "tile/0/001.p/3", "tile/1/000.p/2", "tile/entries/000", "tile/entries/000.p/9"):
        for _ in range(2):  # from engine, and from net's cache
            a = site.client.get(site.prefix() + path)
            has_headers(klero.want(a, 200), TILE_HEADERS)
            head = site.client.call("HEAD", site.prefix() + path)
            has_headers(klero.want(head, 200), TILE_HEADERS)
            assert head.body == b"" and head.headers["Content-Length"] == str(len(a.body))
    full = site.client.get(site.prefix() + "tile/0/000")
    assert len(full.body) == 8192
    a = site.client.get(site.prefix() + "checkpoint", headers={"Origin": "https://elsewhere.example"})
    has_headers(klero.want(a, 200), NOTE_HEADERS)
    # without dashes, as the origin has it
    bare = site.client.get(site.prefix().replace("-", "") + "checkpoint")
    assert bare.body == site.client.get(site.prefix() + "checkpoint").body
    for path in (f"tile/0/{tlog.number(size // 256)}.p/{size % 256 + 1}", "tile/0/004", "tile/2/000.p/1", "tile/7/000.p/1",
                 "tile/entries/004.p/1"):
        a = site.client.get(site.prefix() + path)
        assert a.status == 404 and a.headers["Cache-Control"] is None and a.headers["Access-Control-Allow-Origin"] == "*", a


@pytest.mark.parametrize("path", [
    "tile/", "tile/0", "tile/0/0", "tile/0/0000", "tile/0/x000/001", "tile/00/000", "tile/8/000", "tile/-1/000",
    "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/007", "tile/0/000.p/", "tile/0/000/", "tile/0/000.p/1/1",
    "tile/0//000", "tile/0/001/000", "tile/0/x001", "tile/0/%30%30%30", "tile/0/..%2f000", "tile/0/../0/000", "tile/./0/000",
    "tile/entries", "tile/entries/000.p/x", "tile/Entries/000", "tile/0/000?x=1", "tile/0/000.p/99999999999999999999",
    "tile/0/x999/x999/x999/x999/x999/x999/x999/999", "tile/0/" + "x000/" * 60 + "000", "checkpoint/", "checkpoint?size=1",
])
def test_no_tile(site, path):
    for prefix in (site.prefix(), "/"):
        a = site.client.get(prefix + path)
        assert a.status in (400, 404, 422) and a.code, (prefix + path, a)
        assert a.headers["Cache-Control"] in (None, "no-store")


def test_no_log(site, admin):
    """A raffle without a log, one that is not there, a draft, and what is no id."""
    for rid in ("01890000-0000-7000-8000-000000000000", "0" * 32):
        assert site.client.get(f"/r/{rid}/checkpoint").status == 404
        assert site.client.get(f"/r/{rid}/tile/0/000").status == 404
    for rid in ("x", "0" * 31, "../" * 3, "01890000-0000-7000-8000-00000000000G"):
        assert site.client.get(f"/r/{rid}/checkpoint").status in (400, 404, 422)
    assert site.client.post("/checkpoint", {}).status == 405
    assert site.client.post(site.prefix() + "tile/0/000", {}).status == 405


def receipt(person, ticket):
    end = time.monotonic() + 180
    while True:
        a = person.get(f"/api/v1/tickets/{ticket}/receipt")
        if a.status != 503:
            return a
        assert a.code == "receipt-preparing" and int(a.headers["Retry-After"]) > 0 and time.monotonic() < end, a
        time.sleep(0.2)


def holder_commit(salt, user):
    user = user.encode()
    return hashlib.sha256(b"kleroterion/v2/holder\0" + salt + len(user).to_bytes(2, "big") + user).digest()


def check_offline(site, text, leaf, ticket):
    """klero-verify says the same, and believes nothing that was altered."""
    vkey = site.a.status()["log_vkey"]

    def run(text, *args, leaf=leaf):
        return subprocess.run([BIN / "klero-verify", "--receipt", "-", "--leaf", leaf.hex(), "--vkey", vkey, *args], input=text,
                              capture_output=True, timeout=300)

    good = run(text, "--holder", site.buyer.id())
    assert good.returncode == 0 and good.stdout.endswith(b"VERIFIED\n") and ticket["id"].encode() in good.stdout, good
    for bad in (run(text, leaf=leaf[:-1] + bytes([leaf[-1] ^ 1])), run(text, "--holder", "somebody else"),
                run(text.replace(b"index ", b"index 1")), run(text.replace(b"\n\n", b"\nAAAA\n\n", 1))):
        assert bad.returncode == 1 and b"NOT VERIFIED: " in bad.stdout, bad
    changed = text.rsplit(b"\n", 2)[0]
    signature = changed[-20:-19]
    assert run(text.replace(changed, changed[:-20] + (b"B" if signature == b"A" else b"A") + changed[-19:])).returncode == 1


def test_receipt(site):
    """Proves the ticket offline: signature, path, and from the salt that the leaf is its holder's."""
    sale = buy(site, 3, "my words")
    for t in sale["tickets"]:
        assert t["receipt"] == f"/api/v1/tickets/{t['id']}/receipt"
        a = klero.want(receipt(site.buyer, t["id"]), 200)
        assert a.headers["Content-Type"] == "text/plain; charset=utf-8" and a.headers["Cache-Control"] == "no-store"
        proof = tlog.Proof(a.body)
        size, root = site.key.checkpoint(proof.note, site.origin())
        assert proof.index == t["index"] < size
        n, at = divmod(t["index"], 256)
        width = min(256, size - 256 * n)
        leaf = tlog.entries(site.client.get(site.prefix() + tlog.tile("entries", n, width)).body)[at]
        assert proof.root(tlog.leaf_hash(leaf), size) == root
        assert proof.root(tlog.leaf_hash(leaf[:-1] + bytes([leaf[-1] ^ 1])), size) != root
        check_offline(site, a.body, leaf, t)
        assert leaf[52:84] == holder_commit(proof.extra, site.buyer.id())
        assert leaf[84:] == hashlib.sha256(b"kleroterion/v2/client-seed\0\0\x08my words").digest()


def test_receipt_of_another(site, admin):
    sell_some(site)
    other = site.a.person()
    mine = site.bought[0]["id"]
    assert other.get(f"/api/v1/tickets/{mine}/receipt").status == 404
    assert site.client.get(f"/api/v1/tickets/{mine}/receipt").status == 401
    assert other.get("/api/v1/tickets/01890000-0000-7000-8000-000000000000/receipt").status == 404


def test_old_raffle_has_none(appliance, admin, rich):
    """A v1 raffle: its tickets are in no log."""
    rid = admin.create(capacity=10)["id"]
    klero.want(admin.step(rid, "open"), 200)
    sale = klero.want(rich.buy(rid, 1), 201).json
    assert "receipt" not in sale["tickets"][0]
    assert rich.get(f"/api/v1/tickets/{sale['tickets'][0]['id']}/receipt").status == 404
    assert rich.get(f"/r/{rid}/checkpoint").status == 404


def test_audit(site):
    """klero-verify agrees, by the key that kleroctl status gives to auditors."""
    vkey = site.a.status()["log_vkey"]
    assert vkey == site.a.vkey.read_text().strip() and vkey.startswith(f"{site.host}/klero+")
    # earlier versions published it under the notes' name
    for key in (vkey, witness.vkey(f"{site.host}/klero/log", 1, site.key.public)):
        run = subprocess.run([BIN / "klero-verify", "--log", f"https://localhost:{site.a.port}", "--vkey", key, "--ca", site.a.ca],
                             capture_output=True, text=True, timeout=300)
        assert run.returncode == 0 and run.stdout.endswith("AUDITED\n"), run


def test_engine_killed(site):
    """Between sale and checkpoint: every ticket that was sold is in the log, and no checkpoint that
    anybody saw is contradicted."""
    seen, sold = [site.settled(len(site.bought))], len(site.bought)
    for _ in range(4):
        sold = len(site.bought) + 2
        buy(site, 2)
        site.a.kill("engine")
        site.a.wait_ready()
        site.client = site.a.client()
        site.buyer.close()
        seen.append(site.settled(sold))
    hashes, entries = site.log().leaves(seen[-1][0])
    assert [e[36:52].hex() for e in entries] == [t["id"].replace("-", "") for t in site.bought]
    for size, root in seen:
        assert tlog.root_of(hashes[:size]) == root


def test_hsm_knows_more(site):
    """An engine died between hsm's signature and the commit: hsm tells the next one from where to go on,
    and nobody is warned of it."""
    buy(site, 1)
    before = site.settled(len(site.bought))
    os.kill(site.a.process.pid, signal.SIGSTOP)  # so that no engine follows yet
    try:
        dead = site.a.kill("engine")
        while pathlib.Path(f"/proc/{dead}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        for sql in ("DELETE FROM checkpoints WHERE log = (SELECT no FROM raffles WHERE logged > 0)",
                    "UPDATE raffles SET logged = -1 WHERE logged > 0"):
            run = site.a.store_tool("sql", sql)
            assert run.returncode == 0, run.stderr
    finally:
        os.kill(site.a.process.pid, signal.SIGCONT)
    site.a.wait_ready()
    site.client = site.a.client()
    site.buyer.close()
    assert site.settled(len(site.bought)) == before
    assert "wrong state" not in site.a.log()


def test_many_logs(site):
    """More logs are behind than one round signs: all of them get their checkpoint, each is asked for once,
    and a sale in one does not wait for the others' turn for long."""
    site.admin.close()
    many = []
    for n in range(300):
        many.append(site.admin.create(title=f"Many {n}")["id"])
        klero.want(site.admin.step(many[-1], "open"), 200)
    site.log_raffles()
    site.buyer.close()
    buy(site, 1)
    site.settled(len(site.bought))
    end = time.monotonic() + 600
    for rid in many:
        while site.client.get(f"/r/{rid}/checkpoint").status != 200:
            assert time.monotonic() < end
            time.sleep(0.2)
        origin = f"{site.host}/klero/r/{rid.replace('-', '')}"
        assert site.key.checkpoint(site.client.get(f"/r/{rid}/checkpoint").body, origin)[0] == 0
    # a second answer to the same question would find it written down already
    assert "wrong state" not in site.a.log()


def test_hsm_killed(site):
    """A fresh hsm goes on from the note that the one before it signed."""
    buy(site, 1)  # from here on the buyer has the salt that hsm makes
    for _ in range(2):
        site.a.kill("hsm")
        site.a.wait_ready()
        site.client = site.a.client()
        site.buyer.close()
        buy(site, 1)
        size, root = site.settled(len(site.bought))
        hashes, _ = site.log().leaves(size)
        assert tlog.root_of(hashes) == root
    assert site.client.get("/health").json["logs"] == "ok"


def test_token_away(site):
    """Nothing is signed meanwhile, sales go on, /health says so in the end; then all is signed at once."""
    buy(site, 1)  # from here on the buyer has the salt that hsm makes
    site.settled(len(site.bought))
    here = site.a.dir / "tokens"
    here.rename(here.with_name("away"))
    try:
        site.a.kill("hsm")
        buy(site, 2)
        end = time.monotonic() + 60
        while site.client.get("/health").json["logs"] == "ok":
            assert time.monotonic() < end
            time.sleep(0.5)
        assert site.settled(0)[0] == len(site.bought) - 2
        assert site.buyer.get(site.bought[-1]["receipt"]).code == "receipt-preparing"
    finally:
        here.with_name("away").rename(here)
    size, root = site.settled(len(site.bought))
    hashes, _ = site.log().leaves(size)
    assert tlog.root_of(hashes) == root
    assert site.client.get("/health").json["logs"] == "ok"
