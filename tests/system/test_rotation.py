"""Keys that turn over while the doors stay open: security officers with real OpenSSH keys, every
purpose of klero-keys rotated under a load of sales without a failed request, older proofs, tokens
and seeds still good, and each approval that must not count refused."""

import os
import json
import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import klero
import tlog
from officers import Officer, approve, decide, keys, known, settle
from conftest import BIN
from test_logs import Site, buy


@pytest.fixture
def officers(tmp_path):
    return [Officer(tmp_path, name, kind) for name, kind in
            (("alice", "ed25519"), ("bob", "ecdsa"), ("carol", "ed25519"), ("mallory", "ed25519"))]


@pytest.fixture
def guarded(lab, officers, tmp_path, request):
    """An appliance whose officers are alice, bob and carol, any two of whom decide; with more lines, when it
    is parametrized by them."""
    fresh = lab.make("token-publish 2", "payout-limit evm:1 1000000000000000000 9000000000000000000/86400",
                     "payout-limit solana 5000000000 50000000000/86400", *getattr(request, "param", ())).start()
    names = tmp_path / "officers"
    names.write_text("# who decides\n" + "".join(o.line for o in officers[:3]))
    refused = fresh.ctl("officer", "enrol", "2", str(names), check=False)
    assert refused.returncode == 1 and "klerod runs" in refused.stderr
    fresh.stop()
    fresh.ctl("officer", "enrol", "2", str(names))
    again = fresh.ctl("officer", "enrol", "1", str(names), check=False)
    assert again.returncode == 1 and "only they" in again.stderr
    fresh.start()
    fresh.wait_ready()
    klero.until(lambda: known(fresh))
    yield fresh
    fresh.stop()


# A module without C_CopyObject: the roles use the keys in the token's files, which keyadm writes meanwhile.
KEYS_IN_FILES = pytest.mark.parametrize("guarded", [
    pytest.param([], id="copied"),
    pytest.param([f"pkcs11-module {BIN.parent / 'tools' / 'nocopy.so'}"], id="in_files", marks=[
        pytest.mark.as_shipped, pytest.mark.skipif(os.environ.get("KLERO_MODULE", "softhsm") != "softhsm", reason="SoftHSM's")])],
    indirect=True)


class Sales(threading.Thread):
    """Buys, reads and refreshes without a pause; every answer that is not as it should be is kept."""

    def __init__(self, person, raffle):
        super().__init__()
        self.person, self.raffle, self.n, self.bad = person, raffle, 0, []
        self.end = threading.Event()

    def run(self):
        while not self.end.is_set():
            answer = self.person.buy(self.raffle, 1)
            self.n += 1
            if answer.status != 201:
                self.bad.append(answer)
            answer = self.person.get("/api/v1/wallet")
            if answer.status != 200:
                self.bad.append(answer)

    def stop(self):
        self.end.set()
        self.join()
        assert not self.bad, self.bad[:3]
        assert self.n > 0


@KEYS_IN_FILES
def test_rotation_under_load(guarded, officers, tmp_path):
    admin, person = guarded.admin(), guarded.person()
    admin.confirm(person.deposit(10**12)["id"])  # more than the load can spend
    old = admin.create(capacity=50)["id"]
    klero.want(admin.step(old, "open"), 200)
    klero.want(person.buy(old, 5, "old"), 201)
    for step, body in (("close", None), ("entropy", {"entropy": "00ff"}), ("draw", None)):
        klero.want(admin.step(old, step, body), 200)
    raffle = admin.create(capacity=10**8, per_person=10**8)["id"]
    klero.want(admin.step(raffle, "open"), 200)
    commit = admin.raffle(raffle)["seed_commit"]

    sales = Sales(person, raffle)
    sales.start()
    try:
        for purpose in ("seed", "log", "mac", "master", "token"):
            decide(guarded, officers[:2], "rotate", purpose)
            # engine hears of it from the fresh hsm
            want = ("pre-active", "active") if purpose == "token" else ("active",)
            klero.until(lambda: keys(guarded).get((purpose, 2), {"state": ""})["state"] in want)
        # the token key's time comes by itself
        klero.until(lambda: keys(guarded)["token", 2]["state"] == "active")
        # what the old versions held is taken over in the background
        klero.until(lambda: keys(guarded)["seed", 1]["values"] == 0)
        klero.until(lambda: keys(guarded)["master", 1]["values"] == 0)
        assert keys(guarded)["seed", 2]["values"] >= 1
        jwks = klero.want(admin.get("/.well-known/jwks.json", token=None), 200).json
        assert {k["kid"] for k in jwks["keys"]} == {"token-v000001", "token-v000002"}
        decide(guarded, officers[1:3], "destroy", "seed", "1")
        decide(guarded, officers[1:3], "destroy", "master", "1")
        klero.until(lambda: keys(guarded)["master", 1]["state"] == "destroyed")
        assert keys(guarded)["seed", 1]["state"] == "destroyed"
    finally:
        sales.stop()

    # every older thing is still good: tokens (the load above), sessions, seeds, proofs
    klero.want(admin.step(raffle, "close"), 200)
    klero.want(admin.step(raffle, "entropy", {"entropy": "01"}), 200)
    klero.want(admin.step(raffle, "draw"), 200)
    assert admin.raffle(raffle)["seed_commit"] == commit
    for drawn in (old, raffle):
        assert klero.want(admin.post(f"/api/v1/raffles/{drawn}/verify"), 200).json["verified"]
        proof = tmp_path / f"{drawn}.json"
        klero.until(lambda: admin.get(f"/api/v1/raffles/{drawn}/proof").status == 200)
        proof.write_bytes(admin.get(f"/api/v1/raffles/{drawn}/proof").body)
        assert "VERIFIED" in guarded.verify(proof).stdout
    # and after a start from nothing but files
    guarded.stop()
    guarded.start()
    guarded.wait_ready()
    assert klero.want(admin.post(f"/api/v1/raffles/{old}/verify"), 200).json["verified"]


def test_what_does_not_count(guarded, officers):
    alice, bob, carol, mallory = officers
    number = guarded.ctl("key", "rotate", "log").stdout.strip()
    text = guarded.ctl("proposal", "show", number).stdout
    assert "means make a new version of the key 'log'" in text

    def refused(signature, words):
        run = guarded.ctl("proposal", "approve", number, stdin=signature, check=False)
        assert run.returncode == 1 and words in run.stderr, run

    refused(mallory.sign(text), "no officer")
    refused(alice.sign(text, "file"), "no officer")
    refused(alice.sign(text + " "), "no signature over")
    refused(alice.sign(text.replace("log", "mac")), "no signature over")
    refused("nonsense", "no signature")
    guarded.ctl("proposal", "approve", number, stdin=alice.sign(text))
    refused(alice.sign(text), "approved already")
    assert ("log", 2) not in keys(guarded)
    # his own, by kleroctl
    own = guarded.ctl("key", "rotate", "log", "alice").stdout.strip()
    mine = guarded.ctl("proposal", "show", own).stdout
    run = guarded.ctl("proposal", "approve", own, stdin=alice.sign(mine), check=False)
    assert run.returncode == 1 and "has proposed it" in run.stderr
    guarded.ctl("proposal", "reject", own)
    assert guarded.ctl("key", "rotate", "log", "dave", check=False).returncode == 1
    assert guarded.ctl("key", "rotate", "log", "alice", "bob", check=False).returncode == 2
    # the officers change while it stands open: it is void, with whatever approvals
    fewer = guarded.dir / "fewer"
    fewer.write_text(alice.line + carol.line)
    other = guarded.ctl("officer", "propose", "2", str(fewer)).stdout.strip()
    approve(guarded, other, alice, bob)
    assert settle(guarded, other)["state"] == "done"
    guarded.ctl("proposal", "approve", number, stdin=carol.sign(text))
    end = settle(guarded, number)
    assert end["state"] == "failed" and "changed since" in end["reason"]
    assert ("log", 2) not in keys(guarded)
    # rejected is rejected
    number = guarded.ctl("key", "rotate", "log").stdout.strip()
    guarded.ctl("proposal", "reject", number)
    text = guarded.ctl("proposal", "show", number).stdout
    refused(alice.sign(text), "not open any more")
    for words in (("destroy", "log", "1"), ("roll-back", "log", "1"), ("abandon", "log", "1")):
        number = guarded.ctl("key", *words).stdout.strip()
        approve(guarded, number, alice, carol)
        assert settle(guarded, number)["state"] == "failed"
    assert guarded.ctl("key", "destroy", "log", "9", check=False).returncode == 1
    assert guarded.ctl("key", "rotate", "nothing", check=False).returncode == 2


def a_stranger(n):
    """A line of a list of officers, of nobody's key."""
    key = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return f"officer-with-a-long-name-{n:04} {key.decode()} x\n"


def test_the_list_goes_on(guarded):
    """More proposals, and longer ones, than an answer holds: page by page, each once, newest first."""
    names = guarded.dir / "many"
    names.write_text("".join(a_stranger(n) for n in range(16)))
    made = []
    for n in range(30):
        words = ("officer", "propose", "2", str(names)) if n < 25 else ("key", "rotate", "log")
        made.append(guarded.ctl(*words).stdout.strip())
    listed, page = [], json.loads(guarded.ctl("proposal", "list").stdout)
    while page:
        assert 5 < len(page) <= 20 or len(listed) + len(page) == len(made), len(page)
        listed += [p["id"] for p in page]
        page = json.loads(guarded.ctl("proposal", "list", listed[-1]).stdout)
    assert listed == made[::-1]
    assert guarded.ctl("proposal", "list", "nonsense", check=False).returncode == 2


def test_compromise_lists_what_was_exposed(guarded, officers):
    admin, person = guarded.admin(), guarded.person()
    admin.confirm(person.deposit(10_000)["id"])
    drawn, still = (admin.create(capacity=20)["id"] for _ in "12")
    for raffle in (drawn, still):
        klero.want(admin.step(raffle, "open"), 200)
        klero.want(person.buy(raffle, 1, "mine"), 201)
    for step, body in (("close", None), ("entropy", {"entropy": "00ff"}), ("draw", None)):
        klero.want(admin.step(drawn, step, body), 200)
    assert "exposed" not in keys(guarded)["seed", 1]
    time.sleep(1.1)  # the token knows seconds: what is of the same one counts for both versions
    for purpose in ("seed", "log", "token"):
        decide(guarded, officers[:2], "compromise", purpose, "1")
    klero.until(lambda: "exposed" in keys(guarded)["token", 1])
    time.sleep(1.1)  # until the successor's second has come, it is exposed until now
    shown = {p: keys(guarded)[p, 1]["exposed"] for p in ("seed", "log", "token")}
    assert set(shown["seed"]["raffles"]) == {drawn, still} and shown["log"]["raffles"] == [drawn]
    assert shown["token"]["sessions"] == 2
    assert all(e["from"] < e["until"] for e in shown.values())
    # of what came after it nothing was touched
    admin.login()
    later = admin.create(capacity=20)["id"]
    klero.want(admin.step(later, "open"), 200)
    assert keys(guarded)["seed", 1]["exposed"] == shown["seed"]
    assert keys(guarded)["token", 1]["exposed"] == shown["token"]
    # what was revealed or drawn before a version's time is not its own
    decide(guarded, officers[:2], "compromise", "seed", "2")
    klero.until(lambda: "exposed" in keys(guarded)["seed", 2])
    assert set(keys(guarded)["seed", 2]["exposed"]["raffles"]) == {still, later}


def test_killed_in_between(guarded, officers):
    """Whatever dies while a key is rotated: it happens once, or can be asked for again."""
    admin = guarded.admin()
    raffle = admin.create(capacity=20)["id"]
    klero.want(admin.step(raffle, "open"), 200)
    for role in ("engine", "hsm", "engine"):
        before = max(v for p, v in keys(guarded) if p == "seed")
        number = guarded.ctl("key", "rotate", "seed").stdout.strip()
        approve(guarded, number, *officers[:2])
        try:
            guarded.kill(role)
        except IndexError:
            pass
        guarded.wait_ready()
        klero.until(lambda: guarded.ctl("key", "list", check=False).returncode == 0)
        end = settle(guarded, number)
        assert end["state"] == "done", end["reason"]
        klero.until(lambda: max(v for p, v in keys(guarded) if p == "seed") == before + 1)
        klero.until(lambda: keys(guarded)["seed", before + 1]["values"] == 1)
    klero.want(admin.step(raffle, "close"), 200)


@pytest.mark.skipif(os.environ.get("KLERO_MODULE", "softhsm") != "softhsm", reason="the module makes no deposit keys")
def test_deposit_keys_turn_over(guarded, officers):
    """The keys of all pools are taken over, addresses stay, and pay under the new version when the old
    one is destroyed. A key of another address opens nothing."""
    admin = guarded.admin()
    networks = ({"chain": "evm", "chain_id": 1}, {"chain": "solana", "cluster": "devnet"})
    bodies = ({"to": "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f", "value": "1", "max_fee_per_gas": 10**9,
               "max_priority_fee_per_gas": 10**9, "gas_limit": 21000},
              {"to": "H4JcMPicKkHcxxDjkyyrLoQj7Kcibd9t815ak4UvTr9M", "lamports": 1})
    hashes = ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "SysvarRent111111111111111111111111111111111")

    def make(n):
        return klero.want(admin.post("/api/v1/pools", {"name": str(n), **networks[n % 2]}, idem=True), 201).json

    def pay(n, pool, turn):
        once = {"nonce": turn} if n % 2 == 0 else {"recent_blockhash": hashes[turn]}
        return admin.post(f"/api/v1/pools/{pool['id']}/payouts", {**bodies[n % 2], **once}, idem=True)

    pools = [make(n) for n in range(40)]
    for n in (0, 1):
        klero.want(pay(n, pools[n], 0), 201)
    for purpose in ("deposit", "deposit25519"):
        assert keys(guarded)[purpose, 1]["values"] == 20
        decide(guarded, officers[:2], "rotate", purpose)
        klero.until(lambda: keys(guarded)[purpose, 1]["values"] == 0)
        assert keys(guarded)[purpose, 2]["values"] == 20
        assert metric(admin, f'klero_rewrap_done_total{{purpose="{purpose}"}}') >= 1
        decide(guarded, officers[:2], "destroy", purpose, "1")
        klero.until(lambda: keys(guarded)[purpose, 1]["state"] == "destroyed")
    for n, pool in enumerate(pools):
        assert klero.want(admin.get(f"/api/v1/pools/{pool['id']}"), 200).json == pool
        klero.want(pay(n, pool, 1), 201)
    # two rows change their keys behind everybody's back
    guarded.stop()
    swap = "UPDATE pools SET key = (SELECT key FROM pools o WHERE o.chain = pools.chain AND o.name = {}) WHERE name = {}"
    run = guarded.store_tool("sql", swap.format("'2'", "'4'") + "; " + swap.format("'3'", "'5'"))
    assert run.returncode == 0, run
    guarded.start()
    guarded.wait_ready()
    for n in (4, 5):
        assert pay(n, make(n), 0).status == 201
        row = klero.want(admin.get("/api/v1/pools?limit=100"), 200).json
        assert any(p["id"] == pools[n]["id"] for p in row["items"])
        refused = admin.post(f"/api/v1/pools/{pools[n]['id']}/payouts",
                             {**bodies[n % 2], **({"nonce": 9} if n % 2 == 0 else {"recent_blockhash": hashes[0]})}, idem=True)
        assert refused.status == 503, refused


def metric(admin, name):
    text = klero.want(admin.get("/metrics"), 200).body.decode()
    return next(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(name))


def test_damaged_seeds_keep_nobody_back(guarded, officers):
    """Values that hsm refuses stay where they are, the ones behind them are taken over, and a fresh
    hsm is asked for all of them again."""
    admin, bad, good = guarded.admin(), 20, 5
    for n in range(bad + good):
        klero.want(admin.step(admin.create(title=f"{n}")["id"], "open"), 200)

    def sql(text):
        guarded.stop()
        run = guarded.store_tool("sql", text)
        assert run.returncode == 0, run
        guarded.start()
        guarded.wait_ready()
        klero.until(lambda: known(guarded))

    sql("UPDATE raffles SET seed_blob = substr(seed_blob, 1, 21) || 'A' || substr(seed_blob, 22)"
        f" WHERE id IN (SELECT id FROM raffles ORDER BY id LIMIT {bad})")
    decide(guarded, officers[:2], "rotate", "seed")
    klero.until(lambda: keys(guarded).get(("seed", 2), {"values": 0})["values"] == good)
    assert keys(guarded)["seed", 1]["values"] == bad
    failed = 'klero_rewrap_failed_total{purpose="seed"}'
    seen = klero.until(lambda: (n := metric(admin, failed)) >= bad and n)
    guarded.kill("hsm")
    klero.until(lambda: metric(admin, failed) >= seen + bad)
    sql("UPDATE raffles SET seed_blob = substr(seed_blob, 1, 21) || substr(seed_blob, 23)"
        " WHERE substr(seed_blob, 1, 21) = 'klero:1:seed:v000001:'")
    klero.until(lambda: keys(guarded)["seed", 1]["values"] == 0)
    assert keys(guarded)["seed", 2]["values"] == bad + good


def test_logs_go_on_under_the_new_key(guarded, officers):
    """The next checkpoint is by the new key and holds all that the old one signed, which still counts;
    and a fresh hsm, which knows no log, begins at a note of the old key."""
    site = Site(guarded).furnish()
    buy(site, 3)
    old, note = site.settled(3), site.client.get(site.prefix() + "checkpoint").body
    first = site.key
    decide(guarded, officers[:2], "rotate", "log")
    site.client, _ = guarded.client(), site.buyer.close()
    assert site.settled(3) == old  # nothing new: nothing is signed again
    buy(site, 2)
    site.key = tlog.Key(guarded.status()["log_vkey"])
    assert site.key.public != first.public
    size, root = klero.until(lambda: site.client.get(site.prefix() + "checkpoint").body != note and site.settled(5))
    hashes, _ = site.log().leaves(size)
    assert tlog.root_of(hashes) == root and tlog.root_of(hashes[:3]) == old[1]
    assert first.checkpoint(note, site.origin()) == old
