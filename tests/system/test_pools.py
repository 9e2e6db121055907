"""Pools: deposit addresses whose keys the HSM keeps, and payouts from them, judged by ethers and
@solana/web3.js. Addresses are right, transactions say what was asked for and nothing else, no two
payouts race for a place on the chain, limits hold, and whatever dies in the middle, a payout is signed
once."""

import os
import secrets
import signal
import threading

import chains
import klero
import pytest

slow = pytest.mark.slow  # all but the one that asks each row once

ETHER = 10**18
LIMITS = ("payout-limit evm:1 1000000000000000000 100000000000000000000/86400",
          "payout-limit evm:11155111 2000000000000000000 2000000000000000000/86400",
          "payout-limit solana 5000000000 500000000000/86400")
TO = {"evm": "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F", "solana": "H4JcMPicKkHcxxDjkyyrLoQj7Kcibd9t815ak4UvTr9M"}
BLOCKHASH = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"


@pytest.fixture(autouse=True)
def packages(request):
    """Once, when the first test comes that asks other people's programs."""
    if request.node.get_closest_marker("slow"):
        chains.install()


@pytest.fixture(scope="module")
def paying(lab):
    a = lab.make(*LIMITS).start()
    yield a
    a.stop()


@pytest.fixture(scope="module")
def cashier(paying):
    return paying.admin("cashier@example.org")


def new_pool(admin, chain="evm", **more):
    body = {"name": f"a pool of {chain}", "chain": chain}
    body.update({"chain_id": 1} if chain == "evm" else {"cluster": "devnet"})
    body.update(more)
    return klero.want(admin.post("/api/v1/pools", body, idem=True), 201).json


def transfer(nonce=0, **more):
    """The fields of an EVM payout; None takes one away."""
    body = {"to": TO["evm"], "value": "12345678901234567", "nonce": nonce, "max_fee_per_gas": 30 * 10**9,
            "max_priority_fee_per_gas": 10**9, "gas_limit": 21000}
    body.update(more)
    return {k: v for k, v in body.items() if v is not None}


def move(**more):
    """The fields of a Solana payout."""
    body = {"to": TO["solana"], "lamports": 1_000_000, "recent_blockhash": BLOCKHASH}
    body.update(more)
    return {k: v for k, v in body.items() if v is not None}


def pay(admin, pool, body, idem=True):
    return admin.post(f"/api/v1/pools/{pool['id']}/payouts", body, idem=idem)


def payouts(admin, pool):
    return klero.want(admin.get(f"/api/v1/pools/{pool['id']}/payouts?limit=100"), 200).json["items"]


# --- a good life ---

@slow
def test_an_evm_address_is_that_of_its_key(cashier):
    pool = new_pool(cashier, name="Kasse Süd", chain_id=11155111)
    assert pool["name"] == "Kasse Süd" and pool["chain_id"] == 11155111 and "cluster" not in pool
    assert pool["key"] == "generated" and pool["created_by"] == cashier.id()
    assert chains.ask("evm_address", key=pool["public_key"]) == pool["address"]
    made = cashier.post("/api/v1/pools", {"name": "another", "chain": "evm", "chain_id": 1}, idem=True)
    assert made.headers["Location"] == "/api/v1/pools/" + made.json["id"]
    assert made.json["address"] != pool["address"]
    assert klero.want(cashier.get(made.headers["Location"]), 200).json == made.json


@slow
def test_an_evm_payout_says_what_was_asked_for(cashier):
    pool = new_pool(cashier)
    asked = transfer(7, value=str(ETHER // 3))
    a = klero.want(pay(cashier, pool, asked), 201)
    p = a.json
    assert a.headers["Location"] == f"/api/v1/pools/{pool['id']}/payouts/{p['id']}"
    assert p["state"] == "signed" and p["pool_id"] == pool["id"] and {k: p[k] for k in asked} == asked
    said = chains.ask("evm_transaction", raw=p["transaction"])
    assert said == {"type": 2, "from": pool["address"], "to": TO["evm"], "nonce": 7, "value": str(ETHER // 3), "chain": "1",
                    "max_fee": str(30 * 10**9), "priority_fee": str(10**9), "gas": "21000", "data": "0x", "access": 0,
                    "hash": p["hash"], "again": p["transaction"]}
    assert klero.want(cashier.get(a.headers["Location"]), 200).json == p
    assert payouts(cashier, pool) == [p]


@slow
def test_a_solana_address_and_its_payout(cashier):
    pool = new_pool(cashier, "solana")
    assert pool["cluster"] == "devnet" and "chain_id" not in pool
    assert chains.ask("solana_address", key=pool["public_key"]) == pool["address"]
    a = klero.want(pay(cashier, pool, move(lamports=4_999_000_000)), 201)
    p = a.json
    assert p["state"] == "signed" and {k: p[k] for k in move()} == move(lamports=4_999_000_000)
    said = chains.ask("solana_transaction", raw=p["transaction"])
    assert said == {"verified": True, "payer": pool["address"], "blockhash": BLOCKHASH, "from": pool["address"],
                    "to": TO["solana"], "lamports": "4999000000", "program": True, "more": 0, "signature": p["hash"],
                    "again": p["transaction"]}
    assert klero.want(cashier.get(a.headers["Location"]), 200).json == p
    # above the limit with its fee; then the very same transaction by another request; then another one
    assert pay(cashier, pool, move(lamports=5_000_000_000)).code == "payout-refused"
    assert pay(cashier, pool, move(lamports=4_999_000_000)).code == "payout-repeated"
    klero.want(pay(cashier, pool, move(lamports=4_999_000_000, recent_blockhash=TO["solana"])), 201)
    klero.want(pay(cashier, pool, move(lamports=1)), 201)


@slow
def test_many_payouts_and_their_pages(cashier):
    pool = new_pool(cashier)
    made = [klero.want(pay(cashier, pool, transfer(n, value=str(n + 1))), 201).json for n in range(7)]
    seen, cursor = [], ""
    while True:
        page = klero.want(cashier.get(f"/api/v1/pools/{pool['id']}/payouts?limit=3{cursor}"), 200).json
        seen += page["items"]
        if not page["next_cursor"]:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert seen == made[::-1]
    said = chains.ask_all([("evm_transaction", {"raw": p["transaction"]}) for p in made])
    assert [(s["nonce"], s["value"], s["from"]) for s in said] == [(n, str(n + 1), pool["address"]) for n in range(7)]
    other = new_pool(cashier)
    refused = cashier.get(f"/api/v1/pools/{other['id']}/payouts?limit=3{cursor}")
    assert refused.status == 400 and refused.code == "cursor-invalid"
    listed = klero.want(cashier.get("/api/v1/pools?limit=1"), 200).json
    assert listed["items"] == [other] and listed["next_cursor"]


@slow
def test_any_way_to_write_an_address(cashier):
    """EIP-55: mixed case is a checksum, one case is none. What is answered is always checksummed."""
    pool = new_pool(cashier)
    for n, to in enumerate((TO["evm"].lower(), "0x" + TO["evm"][2:].upper(), TO["evm"])):
        assert klero.want(pay(cashier, pool, transfer(n, to=to)), 201).json["to"] == TO["evm"]


# --- hostile and careless input ---

WRONG_EVM = [
    ({"to": "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4f"}, "/to", "checksum"),
    ({"to": "0x9D8A62f656a8d1615C1294fd71e9CFb3E4855A4F"}, "/to", "checksum"),
    ({"to": "9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"}, "/to", "format"),
    ({"to": "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4"}, "/to", "format"),
    ({"to": "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F0"}, "/to", "format"),
    ({"to": "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4g"}, "/to", "format"),
    ({"to": TO["solana"]}, "/to", "format"),
    ({"to": "0X9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"}, "/to", "format"),
    ({"to": "0x" + "0" * 40}, "/to", "zero-address"),
    ({"to": "vitalik.eth"}, "/to", None), ({"to": None}, "/to", None), ({"to": 1}, "/to", None), ({"to": ""}, "/to", None),
    ({"value": "0"}, "/value", "range"), ({"value": "-1"}, "/value", None), ({"value": "+1"}, "/value", None),
    ({"value": "01"}, "/value", None), ({"value": "1e18"}, "/value", None), ({"value": "0x10"}, "/value", None),
    ({"value": "1.0"}, "/value", None), ({"value": " 1"}, "/value", None), ({"value": ""}, "/value", None),
    ({"value": 1}, "/value", None), ({"value": None}, "/value", "required"), ({"value": "9" * 79}, "/value", None),
    ({"value": "9" * 78}, "/value", "range"), ({"value": str(2**256)}, "/value", "range"),
    ({"value": "1" * 50000}, "/value", None),
    ({"value": "\u0661"}, "/value", None),  # a digit, but not of ours
    ({"nonce": -1}, "/nonce", None), ({"nonce": 2**53}, "/nonce", None), ({"nonce": "1"}, "/nonce", None),
    ({"nonce": None}, "/nonce", "required"), ({"nonce": 1.5}, "/nonce", None), ({"nonce": 10**30}, "/nonce", None),
    ({"gas_limit": 20999}, "/gas_limit", None), ({"gas_limit": 2**53}, "/gas_limit", None),
    ({"max_priority_fee_per_gas": 31 * 10**9}, "/max_priority_fee_per_gas", "more-than-max-fee"),
    ({"max_fee_per_gas": -1}, "/max_fee_per_gas", None),
    ({"lamports": 1}, "/lamports", "unknown"), ({"recent_blockhash": BLOCKHASH}, "/recent_blockhash", "unknown"),
    ({"chain_id": 1}, "/chain_id", None), ({"data": "0x"}, "/data", None), ({"from": TO["evm"]}, "/from", None),
]


def refused_fields(admin, pool, wrong, body):
    for change, pointer, code in wrong:
        a = pay(admin, pool, body(**change))
        assert a.status == 400 and a.code == "validation-failed", (change, a)
        assert a.json["errors"][0]["pointer"] == pointer, (change, a)
        assert code is None or a.json["errors"][0]["code"] == code, (change, a)
    assert payouts(admin, pool) == []


@slow
def test_wrong_fields_of_an_evm_payout(cashier):
    pool = new_pool(cashier)
    refused_fields(cashier, pool, WRONG_EVM + [({"to": pool["address"]}, "/to", "own-address")], transfer)


WRONG_SOLANA = [
    ({"to": TO["evm"]}, "/to", "format"), ({"to": "0" + TO["solana"][1:]}, "/to", "format"),
    ({"to": "1" + TO["solana"]}, "/to", None), ({"to": TO["solana"][1:]}, "/to", "format"),
    ({"to": TO["solana"] + "1"}, "/to", None), ({"to": "z" * 44}, "/to", "format"), ({"to": None}, "/to", None),
    ({"recent_blockhash": "1" * 31}, "/recent_blockhash", None), ({"recent_blockhash": "1" * 33}, "/recent_blockhash", "format"),
    ({"recent_blockhash": None}, "/recent_blockhash", "required"), ({"lamports": 0}, "/lamports", None),
    ({"lamports": -1}, "/lamports", None), ({"lamports": "1"}, "/lamports", None), ({"lamports": 2**53}, "/lamports", None),
    ({"lamports": None}, "/lamports", "required"), ({"value": "1"}, "/value", "unknown"), ({"nonce": 1}, "/nonce", "unknown"),
    ({"gas_limit": 21000}, "/gas_limit", "unknown"), ({"to": "1" * 32}, "/to", "zero-address"),
]


@slow
def test_wrong_fields_of_a_solana_payout(cashier):
    pool = new_pool(cashier, "solana")
    refused_fields(cashier, pool, WRONG_SOLANA + [({"to": pool["address"]}, "/to", "own-address")], move)


@slow
def test_wrong_fields_of_a_pool(cashier):
    good = {"name": "x", "chain": "evm", "chain_id": 1}
    for change in ({"name": ""}, {"name": "x" * 65}, {"name": None}, {"name": "a\u0007b"}, {"chain": "bitcoin"}, {"chain": None},
                   {"chain_id": 0}, {"chain_id": -1}, {"chain_id": 2**53}, {"chain_id": "1"}, {"chain_id": None},
                   {"cluster": "devnet"}, {"chain": "solana"}, {"chain": "solana", "chain_id": None},
                   {"chain": "solana", "chain_id": None, "cluster": "mainnet"}, {"address": TO["evm"]}, {"key": "00" * 32}):
        body = {k: v for k, v in {**good, **change}.items() if v is not None}
        a = cashier.post("/api/v1/pools", body, idem=True)
        assert a.status == 400 and a.code == "validation-failed", (change, a)
    assert cashier.post("/api/v1/pools", good).code == "idempotency-key-required"


@slow
def test_who_may(paying, cashier):
    pool = new_pool(cashier)
    made = klero.want(pay(cashier, pool, transfer()), 201).json
    person = paying.person()
    for who, status in ((person, 403), (paying.client(), 401)):
        for method, path, body in (("POST", "", {"name": "x", "chain": "evm", "chain_id": 1}), ("GET", "", None),
                                   ("GET", f"/{pool['id']}", None), ("GET", f"/{pool['id']}/payouts", None),
                                   ("GET", f"/{pool['id']}/payouts/{made['id']}", None),
                                   ("POST", f"/{pool['id']}/payouts", transfer(1))):
            assert who.call(method, "/api/v1/pools" + path, body, idem=True).status == status, path
        who.close()
    assert len(payouts(cashier, pool)) == 1


@slow
def test_foreign_ids(cashier):
    pool, other = new_pool(cashier), new_pool(cashier)
    made = klero.want(pay(cashier, pool, transfer()), 201).json
    nobody = "01890000-0000-7000-8000-000000000000"
    assert klero.want(cashier.get(f"/api/v1/pools/{pool['id']}/payouts/{made['id']}"), 200).json == made
    for path in (f"/{nobody}", f"/{nobody}/payouts", f"/{nobody}/payouts/{made['id']}", f"/{other['id']}/payouts/{made['id']}",
                 f"/{pool['id']}/payouts/{pool['id']}", f"/{made['id']}"):
        assert cashier.get("/api/v1/pools" + path).code == "not-found", path
    assert pay(cashier, {"id": nobody}, transfer()).code == "not-found"


# --- once ---

@slow
def test_the_same_request_again(cashier):
    pool, key = new_pool(cashier), secrets.token_hex(8)
    first = klero.want(pay(cashier, pool, transfer(), key), 201)
    again = klero.want(pay(cashier, pool, transfer(), key), 201)
    assert again.json == first.json and again.headers["Idempotent-Replayed"] == "true"
    for body in (transfer(1), transfer(value="1"), transfer(to="0x" + "11" * 20)):
        assert pay(cashier, pool, body, key).code == "idempotency-key-reused"
    assert pay(cashier, new_pool(cashier), transfer(), key).code == "idempotency-key-reused"
    assert pay(cashier, pool, transfer(), None).code == "idempotency-key-required"
    made = cashier.post("/api/v1/pools", {"name": "x", "chain": "evm", "chain_id": 1}, idem=key)
    assert cashier.post("/api/v1/pools", {"name": "x", "chain": "evm", "chain_id": 1}, idem=key).json == made.json
    assert len(payouts(cashier, pool)) == 1


@slow
def test_a_nonce_is_used_once(paying, cashier):
    pool, got = new_pool(cashier), []

    def one(n):
        c = paying.client()
        c.token = cashier.token
        got.append(pay(c, pool, transfer(3, value=str(n + 1))))
        c.close()

    klero.in_parallel(one, range(8))
    assert sorted(a.status for a in got) == [201] + [409] * 7
    assert {a.code for a in got if a.status == 409} == {"nonce-used"}
    assert len(payouts(cashier, pool)) == 1
    # in another pool, and another chain, it is another nonce
    klero.want(pay(cashier, new_pool(cashier), transfer(3)), 201)
    klero.want(pay(cashier, new_pool(cashier, chain_id=11155111), transfer(3)), 201)


@slow
def test_limits(cashier):
    pool = new_pool(cashier)
    cost = 21000 * 30 * 10**9
    for value in (ETHER - cost + 1, ETHER, 10**30, 2**256 - 10**24, 2**256 - 1):
        a = pay(cashier, pool, transfer(0, value=str(value)))
        assert a.status == 422 and a.code == "payout-refused" or a.status == 400 and value == 2**256 - 1, (value, a)
    # what was refused has no place on the chain
    klero.want(pay(cashier, pool, transfer(0, value=str(ETHER - cost))), 201)
    states = [p["state"] for p in payouts(cashier, pool)]
    assert states[0] == "signed" and set(states[1:]) == {"refused"} and "transaction" not in payouts(cashier, pool)[1]
    key = secrets.token_hex(8)
    first = pay(cashier, pool, transfer(1, value=str(ETHER)), key)
    assert first.status == pay(cashier, pool, transfer(1, value=str(ETHER)), key).status == 422
    # a chain that no line of the configuration allows
    a = pay(cashier, new_pool(cashier, chain_id=137), transfer())
    assert a.status == 422 and a.code == "payout-refused"


# --- what dies in the middle ---

class Halted:
    """A payout that waits for an hsm that does not answer."""

    def __init__(self, appliance, admin, pool, body):
        self.appliance, self.admin, self.pool, self.body, self.key = appliance, admin, pool, body, secrets.token_hex(8)
        self.hsm, self.answer = appliance.roles()["hsm"][0], None

    def __enter__(self):
        os.kill(self.hsm, signal.SIGSTOP)
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()
        self.row = klero.until(lambda: [p for p in payouts(self.admin, self.pool) if p["state"] == "requested"])[0]
        return self

    def _ask(self):
        c = self.appliance.client()
        c.token = self.admin.token
        self.answer = pay(c, self.pool, self.body, self.key)
        c.close()

    def __exit__(self, *_):
        try:
            os.kill(self.hsm, signal.SIGCONT)
        except ProcessLookupError:
            pass
        self.thread.join()
        self.appliance.wait_ready()


@slow
@pytest.mark.parametrize("role", ["engine", "hsm"])
def test_killed_while_it_waits(paying, cashier, role):
    """The row stands, its nonce is taken, and the very request gets the very payout."""
    pool = new_pool(cashier)
    with Halted(paying, cashier, pool, transfer(5)) as halted:
        assert pay(cashier, pool, transfer(5)).code == "nonce-used"
        paying.kill(role)
    assert halted.answer.status == 503
    again = klero.want(pay(cashier, pool, transfer(5), halted.key), 201).json
    assert again["id"] == halted.row["id"] and [p["id"] for p in payouts(cashier, pool)] == [again["id"]]
    assert pay(cashier, pool, transfer(5, value="1"), halted.key).code == "idempotency-key-reused"
    assert chains.ask("evm_transaction", raw=again["transaction"])["hash"] == again["hash"]


@slow
def test_killed_while_it_waits_for_solana(paying, cashier):
    pool = new_pool(cashier, "solana")
    with Halted(paying, cashier, pool, move()) as halted:
        assert pay(cashier, pool, move()).code == "payout-repeated"
        paying.kill("hsm")
    again = klero.want(pay(cashier, pool, move(), halted.key), 201).json
    assert again["id"] == halted.row["id"]
    assert chains.ask("solana_transaction", raw=again["transaction"])["verified"]


@slow
@pytest.mark.parametrize("role", ["engine", "hsm"])
def test_nobody_comes_again(paying, cashier, role):
    """Then the background has it signed."""
    pool = new_pool(cashier)
    with Halted(paying, cashier, pool, transfer(6)) as halted:
        paying.kill(role)
    signed = klero.until(lambda: [p for p in payouts(cashier, pool) if p["state"] == "signed"])
    assert [p["id"] for p in signed] == [halted.row["id"]]
    again = klero.want(pay(cashier, pool, transfer(6), halted.key), 201).json
    assert again == signed[0]


@slow
def test_kills_under_load(paying, cashier):
    """Engine and hsm die again and again: each request, asked until it is answered, has one payout."""
    pool, done = new_pool(cashier), {}

    def one(nonce):
        c = paying.client()
        c.token, key = cashier.token, secrets.token_hex(8)
        while nonce not in done:
            a = pay(c, pool, transfer(nonce), key)
            if a.status == 201:
                done[nonce] = (key, a.json)
            else:
                assert a.status in (503, 409) and a.code != "nonce-used", a
        c.close()

    killer_stops = threading.Event()

    def killer():
        for role in ("hsm", "engine", "hsm", "engine"):
            if killer_stops.wait(0.7):
                return
            try:
                paying.kill(role)
            except IndexError:
                pass

    t = threading.Thread(target=killer)
    t.start()
    try:
        klero.in_parallel(one, range(60), workers=4)
    finally:
        killer_stops.set()
        t.join()
    paying.wait_ready()
    rows = payouts(cashier, pool)
    assert sorted(p["nonce"] for p in rows) == list(range(60)) and {p["state"] for p in rows} == {"signed"}
    by_id = {p["id"]: p for p in rows}
    for nonce, (key, answer) in done.items():
        assert by_id[answer["id"]] == answer
    nonce, (key, answer) = next(iter(done.items()))
    assert klero.want(pay(cashier, pool, transfer(nonce), key), 201).json == answer
    said = chains.ask_all([("evm_transaction", {"raw": p["transaction"]}) for p in rows])
    assert {s["from"] for s in said} == {pool["address"]}


# --- what is told ---

def test_told(paying, cashier):
    pool = new_pool(cashier)
    made = klero.want(pay(cashier, pool, transfer()), 201).json
    pay(cashier, pool, transfer(1, value=str(2 * ETHER)))
    assert made["id"] in [p["id"] for p in payouts(cashier, pool)]
    assert klero.want(cashier.get(f"/api/v1/pools/{pool['id']}/payouts/{made['id']}"), 200).json["id"] == made["id"]
    assert klero.want(cashier.get(f"/api/v1/pools/{pool['id']}"), 200).json["address"] == pool["address"]
    assert pool["id"] in [p["id"] for p in klero.want(cashier.get("/api/v1/pools?limit=100"), 200).json["items"]]
    lines = klero.want(cashier.get("/api/v1/admin/audit?limit=20"), 200).json["items"]
    actions = [(e["action"], e["subject"]) for e in lines if e.get("actor") == cashier.id()]
    for action in ("payout-request", "payout-signed"):
        assert (action, made["id"]) in actions
    assert ("pool-create", pool["id"]) in actions and "payout-refused" in [a for a, _ in actions]
    text = klero.want(cashier.get("/metrics"), 200).body.decode()
    told = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(("klero_pools", "klero_payouts")))
    assert int(told["klero_pools"]) >= 1 and int(told['klero_payouts{state="refused"}']) >= 1
    assert int(told['klero_payouts{state="signed"}']) >= 1 and int(told['klero_payouts{state="requested"}']) == 0
