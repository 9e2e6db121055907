"""Officers without a shell on the appliance: keys, proposals and approvals over HTTPS alone, with
real ssh-keygen keys of both kinds and one that only an ssh-agent holds; each refusal by its name."""

import base64
import hashlib
import os
import re
import secrets
import subprocess

import pytest

import klero
import tlog
from officers import Officer

ETHER = 10**18
KEYS, PROPOSALS = "/api/v1/admin/keys", "/api/v1/admin/proposals"
PURPOSES = "master", "seed", "mac", "token", "log", "tls", "data", "deposit25519", "deposit"
# NSS has no secp256k1, so there are no payouts there (make modules)
HAS_DEPOSIT = os.environ.get("KLERO_MODULE", "softhsm") == "softhsm"
payouts = pytest.mark.skipif(not HAS_DEPOSIT, reason="the module makes no deposit keys")


def new_pool(admin):
    return klero.want(admin.post("/api/v1/pools", {"name": "a pool", "chain": "evm", "chain_id": 1}, idem=True), 201).json


def pay(admin, pool, nonce, value, key=True):
    return admin.post(f"/api/v1/pools/{pool['id']}/payouts", {
        "to": "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F", "value": str(value), "nonce": nonce, "gas_limit": 21000,
        "max_fee_per_gas": 10**9, "max_priority_fee_per_gas": 10**9}, idem=key)


@pytest.fixture(scope="module")
def officers(tmp_path_factory):
    """alice, bob (ecdsa), carol (by an agent), and mallory, who is none."""
    folder = tmp_path_factory.mktemp("officers")
    made = [Officer(folder, name, kind) for name, kind in
            (("alice", "ed25519"), ("bob", "ecdsa"), ("carol", "ed25519"), ("mallory", "ed25519"))]
    agent = made[2].into_agent()
    yield made
    agent.terminate()
    agent.wait(60)


@pytest.fixture(scope="module")
def appliance(lab, officers):
    """One without officers first, then with three of whom two must agree."""
    # above half an ether officers must approve a payout
    a = lab.make("token-publish 2", "payout-limit evm:1 1000000000000000000 100000000000000000000/86400 500000000000000000").start()
    a.admin()
    names = a.dir / "officers"
    names.write_text("".join(o.line for o in officers[:3]))
    admin = klero.Person(a.port, a.ca, "admin@example.org").login()
    klero.until(lambda: admin.get(KEYS).status == 200)
    refused(admin.post(PROPOSALS, {"action": "rotate", "purpose": "log"}), 409, "no-officers")
    if HAS_DEPOSIT:
        pool = new_pool(admin)
        refused(pay(admin, pool, 0, ETHER * 6 // 10), 422, "payout-refused")
        assert pay(admin, pool, 0, ETHER // 10).json["state"] == "signed"
    a.stop()
    a.ctl("officer", "enrol", "2", str(names))
    a.start()
    a.wait_ready()
    yield a
    a.stop()


@pytest.fixture(scope="module")
def admin(appliance):
    p = klero.Person(appliance.port, appliance.ca, "admin@example.org").login()
    klero.until(lambda: p.get(KEYS).status == 200)
    return p


@pytest.fixture
def stranger(appliance):
    """No account, no token: what an officer needs."""
    c = appliance.client()
    yield c
    c.close()


def refused(answer, status, code, pointer=None):
    assert (answer.status, answer.code) == (status, code), answer
    if pointer:
        assert [e["pointer"] for e in answer.json["errors"]] == [pointer], answer


def propose(admin, **body):
    return klero.want(admin.post(PROPOSALS, body), 201).json


def show(client, number):
    return klero.want(client.get(f"/api/v1/proposals/{number}", token=None), 200).json


def send(client, number, signature):
    return client.post(f"/api/v1/proposals/{number}/approvals", {"signature": signature}, token=None)


def approve(client, number, officer):
    return klero.want(send(client, number, officer.sign(show(client, number)["text"])), 201).json


def settled(client, number):
    return klero.until(lambda: show(client, number)["state"] in ("done", "failed") and show(client, number))


def versions(admin, purpose):
    """{version: state}, once hsm has told what the token knows now."""
    answer = klero.until(lambda: (a := admin.get(KEYS)).status == 200 and a)
    return {k["version"]: k["state"] for k in answer.json["keys"] if k["purpose"] == purpose}


@pytest.mark.parametrize("pair", [(0, 1), (1, 2), (2, 0)], ids=["files", "file-and-agent", "agent-and-file"])
def test_rotate_over_https(appliance, admin, stranger, officers, pair):
    newest = max(versions(admin, "log"))
    answer = klero.want(admin.post(PROPOSALS, {"action": "rotate", "purpose": "log", "expires_in": 600}), 201)
    made = answer.json
    assert made["state"] == "open" and made["approvals"] == [] and made["created_by"] == admin.id()
    assert answer.headers["Location"] == f"/api/v1/proposals/{made['id']}"
    seen = show(stranger, made["id"])
    assert seen["text"] == made["text"] and "means make a new version of the key 'log'" in seen["text"]
    assert "created_by" not in seen
    one = approve(stranger, made["id"], officers[pair[0]])
    assert one["state"] == "open" and [a["officer"] for a in one["approvals"]] == [officers[pair[0]].name]
    assert max(versions(admin, "log")) == newest
    two = approve(stranger, made["id"], officers[pair[1]])
    assert {a["officer"] for a in two["approvals"]} == {officers[i].name for i in pair}
    assert settled(stranger, made["id"])["state"] == "done"
    klero.until(lambda: versions(admin, "log").get(newest + 1) == "active")
    assert versions(admin, "log")[newest] == "deactivated"


def test_keyring(appliance, admin, officers, person_with):
    ring = klero.want(admin.get(KEYS), 200).json
    assert ring["threshold"] == 2 and [o["name"] for o in ring["officers"]] == ["alice", "bob", "carol"]
    assert ring["officers"][0]["key"] == officers[0].print
    assert {k["purpose"] for k in ring["keys"]} == set(PURPOSES)
    auditor, user = person_with("auditor"), person_with()
    # background work may count on meanwhile
    klero.until(lambda: klero.want(auditor.get(KEYS), 200).json == klero.want(admin.get(KEYS), 200).json)
    klero.want(auditor.get(PROPOSALS), 200)
    refused(auditor.post(PROPOSALS, {"action": "rotate", "purpose": "log"}), 403, "forbidden")
    for path in (KEYS, PROPOSALS):
        refused(user.get(path), 403, "forbidden")
        refused(user.get(path, token=None), 401, "unauthenticated")


@pytest.fixture
def person_with(appliance):
    """Makes a user with some roles, logged in."""
    made = []

    def make(*roles):
        p = appliance.person()
        if roles:
            appliance.ctl("user", "roles", p.email, *roles)
            p.login()
        made.append(p)
        return p
    yield make
    for p in made:
        p.close()


def metrics(admin):
    rows = klero.want(admin.get("/metrics"), 200).body.decode().splitlines()
    return {name: float(value) for name, value in (r.rsplit(" ", 1) for r in rows if not r.startswith("#"))}


def test_proofs_outlive_their_key(appliance, admin, stranger, officers, tmp_path):
    """What a version of log has signed is good when that version is destroyed; so is the next draw."""
    player = appliance.person()
    admin.confirm(player.deposit(1000)["id"])
    drawn = []

    def draw():
        drawn.append(admin.create(title="drawn", capacity=5)["id"])
        klero.want(admin.step(drawn[-1], "open"), 200)
        klero.want(player.buy(drawn[-1], 3), 201)
        for step, body in (("close", None), ("entropy", {"entropy": "00"}), ("draw", None)):
            klero.want(admin.step(drawn[-1], step, body), 200)

    draw()
    old = max(versions(admin, "log"))
    for body in ({"action": "rotate", "purpose": "log"}, {"action": "destroy", "purpose": "log", "version": old}):
        number = propose(admin, **body)["id"]
        for officer in officers[:2]:
            approve(stranger, number, officer)
        assert settled(stranger, number)["state"] == "done"
        klero.until(lambda: old + 1 in versions(admin, "log"))
    klero.until(lambda: versions(admin, "log")[old] == "destroyed")
    draw()
    for raffle in drawn:
        proof = tmp_path / raffle
        answer = klero.until(lambda: (a := stranger.get(f"/api/v1/raffles/{raffle}/proof")).status == 200 and a)
        proof.write_bytes(answer.body)
        assert "VERIFIED" in appliance.verify(proof).stdout
    player.close()


def test_what_holds_values_is_not_destroyed(admin, stranger, officers):
    """Not when it is proposed, and not when a value came in between: the seed would be lost."""
    number = propose(admin, action="destroy", purpose="seed", version=max(versions(admin, "seed")))["id"]
    raffle = admin.create(title="in between")["id"]
    klero.want(admin.step(raffle, "open"), 200)
    for officer in officers[:2]:
        approve(stranger, number, officer)
    end = settled(stranger, number)
    assert end["state"] == "failed" and "holds values" in end["reason"]
    for purpose in ("seed", "master"):
        body = {"action": "destroy", "purpose": purpose, "version": max(versions(admin, purpose))}
        refused(admin.post(PROPOSALS, body), 409, "key-in-use")


def test_metrics(admin, stranger, officers):
    """What a rotation changes is told: versions, states, seeds taken over, open proposals."""
    for i in range(3):
        klero.want(admin.step(admin.create(title=f"of seed {i}")["id"], "open"), 200)
    before = metrics(admin)
    old = max(versions(admin, "seed"))
    live = before[f'klero_key_values{{purpose="seed",version="{old}"}}']
    assert live >= 3
    assert before["klero_officers"] == 3 and before["klero_officers_threshold"] == 2
    for purpose in PURPOSES:
        assert before[f'klero_key_version{{purpose="{purpose}"}}'] == max(versions(admin, purpose))
    assert before[f'klero_key_state{{purpose="seed",version="{old}",state="active"}}'] == 1
    assert before['klero_rewrap_left{purpose="seed"}'] == 0
    made = propose(admin, action="rotate", purpose="seed")
    assert metrics(admin)["klero_proposals_open"] == before["klero_proposals_open"] + 1
    for officer in officers[:2]:
        approve(stranger, made["id"], officer)
    assert settled(stranger, made["id"])["state"] == "done"
    done = before['klero_rewrap_done_total{purpose="seed"}'] + live
    now = klero.until(lambda: (m := metrics(admin))['klero_rewrap_done_total{purpose="seed"}'] == done and m)
    assert now['klero_key_version{purpose="seed"}'] == old + 1
    assert now[f'klero_key_state{{purpose="seed",version="{old}",state="deactivated"}}'] == 1
    assert now[f'klero_key_values{{purpose="seed",version="{old + 1}"}}'] == live
    assert now['klero_rewrap_left{purpose="seed"}'] == now['klero_rewrap_failed_total{purpose="seed"}'] == 0
    assert now["klero_proposals_open"] == before["klero_proposals_open"]
    made = propose(admin, action="compromise", purpose="seed", version=old)
    for officer in officers[:2]:
        approve(stranger, made["id"], officer)
    assert settled(stranger, made["id"])["state"] == "done"
    mark = f'klero_key_compromised{{purpose="seed",version="{old}"}}'
    assert now[mark] == 0
    klero.until(lambda: metrics(admin).get(mark) == 1)


def test_list_and_reject(admin, stranger, officers):
    ids = [propose(admin, action="rotate", purpose="mac")["id"] for _ in range(3)]
    page = klero.want(admin.get(PROPOSALS + "?limit=2"), 200).json
    assert [p["id"] for p in page["items"]] == [ids[2], ids[1]]
    more = klero.want(admin.get(f"{PROPOSALS}?limit=2&cursor={page['next_cursor']}"), 200).json
    assert more["items"][0]["id"] == ids[0]
    refused(admin.get(f"{PROPOSALS}?cursor=AAAA"), 400, "cursor-invalid")
    text = show(stranger, ids[0])["text"]
    for number in ids:
        gone = klero.want(admin.post(f"{PROPOSALS}/{number}/reject"), 200).json
        assert gone["state"] == "rejected" and "decided_at" in gone
    refused(admin.post(f"{PROPOSALS}/{ids[0]}/reject"), 409, "proposal-closed")
    refused(send(stranger, ids[0], officers[0].sign(text)), 409, "proposal-closed")
    refused(stranger.post(f"{PROPOSALS}/{ids[0]}/reject"), 401, "unauthenticated")


def test_what_does_not_count(admin, stranger, officers):
    alice, _, _, mallory = officers
    number = propose(admin, action="rotate", purpose="mac")["id"]
    text = show(stranger, number)["text"]
    refused(send(stranger, number, mallory.sign(text)), 403, "not-an-officer")
    refused(send(stranger, number, alice.sign(text, "file")), 403, "not-an-officer")
    refused(send(stranger, number, alice.sign(text + " ")), 422, "approval-invalid")
    refused(send(stranger, number, alice.sign(text.replace("mac", "log"))), 422, "approval-invalid")
    refused(send(stranger, number, "nonsense"), 422, "approval-invalid")
    refused(send(stranger, number, "x" * 2048), 400, "validation-failed", "/signature")
    refused(send(stranger, number, ""), 400, "validation-failed", "/signature")
    approve(stranger, number, alice)
    refused(send(stranger, number, alice.sign(text)), 409, "already-approved")
    assert len(show(stranger, number)["approvals"]) == 1
    nobody = "01890000-0000-7000-8000-000000000000"
    refused(stranger.get(f"/api/v1/proposals/{nobody}"), 404, "not-found")
    refused(send(stranger, nobody, alice.sign(text)), 404, "not-found")
    refused(admin.post(f"{PROPOSALS}/{nobody}/reject"), 404, "not-found")
    klero.want(admin.post(f"{PROPOSALS}/{number}/reject"), 200)
    # his own: the text names who proposes it, and the others decide
    own = propose(admin, action="rotate", purpose="mac", proposer="alice")["id"]
    mine = show(stranger, own)["text"]
    assert "\nproposer alice\n" in mine
    refused(send(stranger, own, alice.sign(mine)), 403, "not-an-officer")
    refused(send(stranger, own, alice.sign(mine.replace("proposer alice\n", ""))), 422, "approval-invalid")
    klero.want(admin.post(f"{PROPOSALS}/{own}/reject"), 200)
    # of one proposal, for another
    other = propose(admin, action="rotate", purpose="mac")["id"]
    refused(send(stranger, other, alice.sign(text)), 422, "approval-invalid")
    klero.want(admin.post(f"{PROPOSALS}/{other}/reject"), 200)


def test_wishes_that_make_no_sense(admin, officers, tmp_path):
    alice, bob = officers[:2]
    rsa = Officer(tmp_path, "rsa", "rsa")

    def wrong(pointer, **body):
        refused(admin.post(PROPOSALS, body), 400, "validation-failed", pointer)

    wrong("/purpose", action="rotate")
    wrong("/version", action="rotate", purpose="log", version=1)
    wrong("/version", action="destroy", purpose="log")
    wrong("/action", action="export", purpose="log")
    wrong("/purpose", action="rotate", purpose="anchor")
    wrong("/expires_in", action="rotate", purpose="log", expires_in=59)
    wrong("/expires_in", action="rotate", purpose="log", expires_in=30 * 86400)
    wrong("/proposer", action="rotate", purpose="log", proposer="mallory")
    wrong("/proposer", action="rotate", purpose="log", proposer="a" * 64)
    wrong("/officers", action="officers", threshold=1)
    wrong("/threshold", action="officers", officers=alice.line)
    wrong("/threshold", action="officers", officers=alice.line, threshold=2)
    wrong("/purpose", action="officers", officers=alice.line, threshold=1, purpose="log")
    wrong("/officers/2", action="officers", officers=alice.line + rsa.line, threshold=1)
    wrong("/officers/3", action="officers", officers=alice.line + "\n" + "bob\n", threshold=1)
    wrong("/officers", action="officers", officers=alice.line + "eve" + alice.line[5:], threshold=1)
    refused(admin.post(PROPOSALS, {"action": "destroy", "purpose": "log", "version": 99}), 404, "not-found")
    # one key makes one proposal
    key = secrets.token_hex(8)
    both = [klero.want(admin.post(PROPOSALS, {"action": "rotate", "purpose": "log"}, idem=key), 201).json for _ in "12"]
    assert both[0] == both[1]
    klero.want(admin.post(f"{PROPOSALS}/{both[0]['id']}/reject"), 200)


def test_officers_change_over_https(admin, stranger, officers):
    """Runs last here: carol goes, and what stood open then is void."""
    alice, bob, carol, _ = officers
    left = propose(admin, action="rotate", purpose="log")["id"]
    text = show(stranger, left)["text"]
    made = propose(admin, action="officers", officers=alice.line + "# now without carol\n" + bob.line, threshold=2)
    assert "threshold 2\nofficer alice " in made["text"] and "carol" not in made["text"]
    approve(stranger, made["id"], bob)
    approve(stranger, made["id"], carol)
    assert settled(stranger, made["id"])["state"] == "done"
    klero.until(lambda: len((a := admin.get(KEYS)).status == 200 and a.json["officers"] or []) == 2)
    refused(send(stranger, left, carol.sign(text)), 403, "not-an-officer")
    approve(stranger, left, alice)
    approve(stranger, left, bob)
    end = settled(stranger, left)
    assert end["state"] == "failed" and "changed since" in end["reason"]


def test_without_hsm(appliance, admin, stranger, officers):
    """Nobody knows the officers while the key store is away; afterwards everything goes on."""
    number = propose(admin, action="rotate", purpose="log")["id"]
    signature = officers[0].sign(show(stranger, number)["text"])
    appliance.stop()
    appliance.start()
    seen = set()
    while 201 not in seen:
        answer = send(stranger, number, signature)
        assert (answer.status, answer.code) in ((503, "keys-unknown"), (201, None), (503, "restarting")), answer
        seen.add(answer.status)
    klero.want(admin.login().post(f"{PROPOSALS}/{number}/reject"), 200)


# --- payouts ---

def state_of(admin, pool, payout):
    return klero.want(admin.get(f"/api/v1/pools/{pool['id']}/payouts/{payout['id']}"), 200).json


@payouts
def test_a_payout_that_officers_approve(appliance, admin, stranger, officers):
    """It waits for two of them, whatever dies meanwhile; what they sign names payer, payee and sum."""
    pool, key = new_pool(admin), secrets.token_hex(8)
    assert klero.want(pay(admin, pool, 0, ETHER // 10), 201).json["state"] == "signed"
    made = klero.want(pay(admin, pool, 1, ETHER * 6 // 10, key), 201).json
    assert made["state"] == "requested" and "transaction" not in made
    asked = show(stranger, made["id"])
    assert asked["state"] == "open" and "\naction payout\n" in asked["text"]
    for words in ("pay 600000000000000000 wei on the chain evm:1 to 0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F",
                  f"from the address of pool {pool['id']}", "at a cost of 600021000000000000 at most"):
        assert words in asked["text"]
    # its place on the chain is taken, and the very request gets the very payout
    refused(pay(admin, pool, 1, 1), 409, "nonce-used")
    assert pay(admin, pool, 1, ETHER * 6 // 10, key).json["id"] == made["id"]
    approve(stranger, made["id"], officers[0])
    appliance.kill("hsm")
    appliance.wait_ready()
    klero.until(lambda: admin.get(KEYS).status == 200)
    assert state_of(admin, pool, made)["state"] == "requested"
    refused(send(stranger, made["id"], officers[3].sign(asked["text"])), 403, "not-an-officer")
    appliance.kill("engine")
    appliance.wait_ready()
    klero.until(lambda: admin.get(KEYS).status == 200)
    assert approve(stranger, made["id"], officers[1])["state"] == "done"
    signed = klero.until(lambda: [p for p in (state_of(admin, pool, made),) if p["state"] != "requested"])[0]
    assert signed["state"] == "signed" and signed["transaction"].startswith("0x02")


@payouts
def test_a_payout_that_is_rejected(admin, stranger, officers):
    """Nothing of it is signed then, and its place on the chain is free."""
    pool = new_pool(admin)
    made = klero.want(pay(admin, pool, 0, ETHER * 6 // 10), 201).json
    approve(stranger, made["id"], officers[0])
    klero.want(admin.post(f"{PROPOSALS}/{made['id']}/reject"), 200)
    refused(send(stranger, made["id"], officers[1].sign(show(stranger, made["id"])["text"])), 409, "proposal-closed")
    klero.until(lambda: state_of(admin, pool, made)["state"] == "refused")
    assert klero.want(pay(admin, pool, 0, 1), 201).json["state"] == "signed"


@payouts
def test_nobody_proposes_a_payout_by_hand(appliance, admin):
    refused(admin.post(PROPOSALS, {"action": "payout"}), 400, "validation-failed", "/action")
    # and officers raise no limit: it is not even put to them
    refused(pay(admin, new_pool(admin), 0, ETHER), 422, "payout-refused")


# --- draws ---

def closed_raffle(admin):
    raffle = admin.create()["id"]
    klero.want(admin.step(raffle, "open"), 200)
    klero.want(admin.buy(raffle, 3), 201)
    klero.want(admin.step(raffle, "close"), 200)
    klero.want(admin.step(raffle, "entropy", {"entropy": "00ff"}), 200)
    return raffle


def asked_for(admin, raffle):
    """The proposal that stands between an admin and the draw."""
    a = admin.step(raffle, "draw")
    refused(a, 409, "approval-needed")
    assert a.headers["Location"].startswith("/api/v1/proposals/")
    return a.headers["Location"].rsplit("/", 1)[1]


def is_published(a, client, text):
    """The operator log says that this has been approved, once and nothing else, and can be audited."""
    key = tlog.Key(a.vkey.read_text())
    origin = a.vkey.read_text().split("+")[0].removesuffix("/log")
    log = tlog.Log(lambda path: klero.want(client.get(f"/{path}", token=None), 200).body, key, origin)
    size, root = klero.until(lambda: (head := log.checkpoint())[0] > 0 and head)
    hashes, (record,) = log.leaves(size)
    assert tlog.root_of(hashes) == root
    lines = record.decode().split("\n")
    appliance = re.search("^appliance (.*)$", text, re.M).group(1)
    assert lines[:4] == ["kleroterion/v2 approved", f"appliance {appliance}", "action draw",
                         f"proposal {hashlib.sha256(text.encode()).hexdigest()}"]
    blob = base64.b64encode(b"\x01" + key.public).decode()
    run = subprocess.run([a.bin / "klero-verify", "--log", f"https://127.0.0.1:{a.port}", "--ca", a.ca,
                          "-k", f"{origin}+{key.id(origin).hex()}+{blob}"], capture_output=True, text=True)
    assert run.returncode == 0 and "AUDITED" in run.stdout, run


def test_a_draw_that_officers_approve(lab, officers):
    """The seed stays in until two of them want this raffle drawn; each other raffle needs its own."""
    a = lab.make("draw-approval yes").start()
    try:
        admin, cashier = a.admin(), a.admin("cashier@example.org")
        cashier.confirm(admin.deposit(10000)["id"])
        raffle, other = closed_raffle(admin), closed_raffle(admin)
        refused(admin.step(raffle, "draw"), 409, "no-officers")
        a.stop()
        (a.dir / "officers").write_text("".join(o.line for o in officers[:3]))
        a.ctl("officer", "enrol", "2", str(a.dir / "officers"))
        a.start()
        a.wait_ready()
        admin, stranger = klero.Person(a.port, a.ca, "admin@example.org").login(), a.client()
        klero.until(lambda: admin.get(KEYS).status == 200)
        number = asked_for(admin, raffle)
        assert asked_for(admin, raffle) == number
        assert f"means reveal the seed of raffle {raffle} and draw its winners, once\n" in show(stranger, number)["text"]
        approve(stranger, number, officers[0])
        assert asked_for(admin, raffle) == number
        klero.want(admin.post(f"{PROPOSALS}/{number}/reject"), 200)
        again = asked_for(admin, raffle)
        assert again != number
        for officer in officers[1:3]:
            approve(stranger, again, officer)
        a.kill("hsm")
        a.wait_ready()
        klero.until(lambda: admin.get(KEYS).status == 200)
        assert asked_for(admin, other) != again
        assert klero.want(admin.step(raffle, "draw"), 200).json["state"] == "drawn"
        asked_for(admin, other)
        is_published(a, stranger, show(stranger, again)["text"])
        stranger.close()
    finally:
        a.stop()
