"""The life of a raffle, and every wrong order of its steps."""

import secrets

import klero
import pytest

GHOST = "01890000-0000-7000-8000-000000000000"


def draw_out(admin, raffle, entropy="00ff"):
    klero.want(admin.step(raffle, "close"), 200)
    klero.want(admin.step(raffle, "entropy", {"entropy": entropy}), 200)
    return klero.want(admin.step(raffle, "draw"), 200).json


@pytest.mark.smoke
def test_whole_life(appliance, admin, rich, client, tmp_path):
    raffle = admin.create(title="Life", capacity=50, winners=3, reserves=2)
    assert raffle["state"] == "draft" and raffle["sold"] == 0
    rid = raffle["id"]
    opened = klero.want(admin.step(rid, "open"), 200).json
    assert opened["state"] == "open" and len(opened["seed_commit"]) == 64
    assert admin.raffle(rid)["seed_commit"] == opened["seed_commit"]

    before = rich.available()
    a = klero.want(rich.buy(rid, 10, "a wish"), 201).json
    assert [t["index"] for t in a["tickets"]] == list(range(10)) and a["cost"] == {"amount": 1000, "currency": "EUR"}
    assert rich.available() == before - 1000
    b = klero.want(rich.post(f"/api/v1/raffles/{rid}/tickets", {"quantity": 10}, idem=True), 201).json
    ids = [t["id"] for t in a["tickets"] + b["tickets"]]
    mine, cursor = [], ""
    while True:
        page = rich.get(f"/api/v1/raffles/{rid}/tickets?limit=7{cursor}").json
        mine += page["items"]
        if not page["next_cursor"]:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert sorted(t["id"] for t in mine) == sorted(ids)

    drawn = draw_out(admin, rid)
    assert drawn["state"] == "drawn"
    picks = drawn["winners"] + drawn["reserves"]
    assert len(drawn["winners"]) == 3 and len(drawn["reserves"]) == 2
    assert len({p["index"] for p in picks}) == 5 and all(ids[p["index"]] == p["ticket_id"] for p in picks)
    assert "reproduced" in drawn["label"]

    a = client.get(f"/api/v1/raffles/{rid}/proof")
    assert a.status == 200, a
    proof = tmp_path / "proof.json"
    proof.write_bytes(a.body)
    run = appliance.verify(proof, "-k", appliance.vkey, "-c", opened["seed_commit"])
    assert run.returncode == 0 and "VERIFIED" in run.stdout.splitlines()[-1], run
    assert client.post(f"/api/v1/raffles/{rid}/verify").json["verified"] is True


def test_every_wrong_order(admin, rich):
    rid = admin.create(capacity=10)["id"]
    entropy = {"entropy": "01"}

    def refused(code, answer):
        assert answer.status == 409 and answer.code == code, answer

    # a draft, which only those who may edit it see
    assert rich.buy(rid).status == 404
    refused("raffle-not-open", admin.buy(rid))
    refused("raffle-not-open", admin.step(rid, "close"))
    refused("raffle-not-closed", admin.step(rid, "entropy", entropy))
    refused("raffle-not-closed", admin.step(rid, "draw"))
    klero.want(admin.step(rid, "open"), 200)
    # open
    refused("raffle-not-draft", admin.step(rid, "open"))
    refused("raffle-not-closed", admin.step(rid, "entropy", entropy))
    refused("raffle-not-closed", admin.step(rid, "draw"))
    refused("raffle-not-drawn", rich.get(f"/api/v1/raffles/{rid}/proof"))
    refused("raffle-not-drawn", rich.post(f"/api/v1/raffles/{rid}/verify"))
    klero.want(rich.buy(rid, 3), 201)
    klero.want(admin.step(rid, "close"), 200)
    # closed
    refused("raffle-not-open", rich.buy(rid))
    refused("raffle-not-open", admin.step(rid, "close"))
    refused("raffle-not-draft", admin.step(rid, "open"))
    refused("entropy-missing", admin.step(rid, "draw"))
    klero.want(admin.step(rid, "entropy", entropy), 200)
    refused("entropy-set", admin.step(rid, "entropy", {"entropy": "02"}))
    klero.want(admin.step(rid, "draw"), 200)
    # drawn
    winners = admin.raffle(rid)["winners"]
    refused("raffle-drawn", admin.step(rid, "draw"))
    for answer in (rich.buy(rid), admin.step(rid, "close")):
        refused("raffle-not-open", answer)
    assert admin.step(rid, "entropy", entropy).status == 409
    refused("raffle-not-draft", admin.step(rid, "open"))
    assert admin.raffle(rid)["winners"] == winners


def test_an_empty_raffle_cannot_be_drawn(admin, open_raffle):
    rid = open_raffle()
    a = admin.step(rid, "close")
    if a.status == 200:
        admin.step(rid, "entropy", {"entropy": "01"})
        a = admin.step(rid, "draw")
    assert a.status == 409 and a.code == "raffle-empty"


def test_fewer_tickets_than_winners(admin, rich, open_raffle):
    rid = open_raffle(winners=5, reserves=5)
    klero.want(rich.buy(rid, 3), 201)
    drawn = draw_out(admin, rid)
    assert len(drawn["winners"]) == 3 and drawn["reserves"] == []


def test_oversold(admin, rich, appliance, open_raffle):
    rid = open_raffle(capacity=10)
    klero.want(rich.buy(rid, 8), 201)
    before = rich.available()
    a = rich.buy(rid, 3)
    assert a.status == 409 and a.code == "sold-out"
    assert rich.available() == before
    klero.want(rich.buy(rid, 2), 201)
    assert rich.buy(rid, 1).code == "sold-out"
    assert admin.raffle(rid)["sold"] == 10


def test_the_last_tickets_are_sold_once(appliance, rich, open_raffle):
    rid = open_raffle(capacity=20)
    got = []

    def one(_):
        c = appliance.client()
        c.token = rich.token
        got.append(c.post(f"/api/v1/raffles/{rid}/buy", {"quantity": 3}, idem=True))
        c.close()

    klero.in_parallel(one, range(16), workers=16)
    sold = [t["index"] for a in got if a.status == 201 for t in a.json["tickets"]]
    assert sorted(sold) == list(range(18))
    assert {a.code for a in got if a.status != 201} == {"sold-out"}


def test_limit_per_person(admin, rich, appliance, open_raffle):
    rid = open_raffle(capacity=100, per_person=3)
    klero.want(rich.buy(rid, 2), 201)
    before = rich.available()
    a = rich.buy(rid, 2)
    assert a.status == 409 and a.code == "per-person-limit" and rich.available() == before
    klero.want(rich.buy(rid, 1), 201)


def test_short_funds(person, admin, open_raffle):
    rid = open_raffle()
    admin.confirm(person.deposit(250)["id"])
    a = person.buy(rid, 3)
    assert a.status == 402 and a.code == "insufficient-funds"
    assert person.available() == 250 and admin.raffle(rid)["sold"] == 0
    klero.want(person.buy(rid, 2), 201)


def test_no_raffle_can_take_more_than_an_amount_holds(admin):
    body = {"title": "A", "capacity": 1000, "winners": 1}
    for amount, status in ((2**53 - 1, 422), (2**53 // 1000 + 1, 422), ((2**53 - 1) // 1000, 201)):
        a = admin.post("/api/v1/admin/raffles", {**body, "price": {"amount": amount, "currency": "EUR"}})
        assert a.status == status, (amount, a)
        assert status == 201 or a.code == "amount-overflow"


@pytest.mark.parametrize("fields", [
    {"winners": 0}, {"winners": 1001}, {"capacity": 0}, {"capacity": 100_000_001}, {"reserves": -1},
    {"title": ""}, {"title": "x" * 201}, {"per_person": 0}, {"price": {"amount": 0, "currency": "EUR"}},
    {"price": {"amount": 1}}, {"price": 100}, {"unknown": 1}, {"title": "a\u0007b"}, {"title": 7},
])
def test_bad_raffles(admin, fields):
    body = {"title": "A", "price": {"amount": 100, "currency": "EUR"}, "capacity": 10, "winners": 1, **fields}
    a = admin.post("/api/v1/admin/raffles", body)
    assert a.status == 400 and a.code == "validation-failed" and a.json["errors"], a


@pytest.mark.parametrize("entropy", ["", "0", "0g", "00" * 257, "AB", 7])
def test_bad_entropy(admin, rich, open_raffle, entropy):
    rid = open_raffle()
    klero.want(rich.buy(rid), 201)
    klero.want(admin.step(rid, "close"), 200)
    assert admin.step(rid, "entropy", {"entropy": entropy}).code == "validation-failed"


def test_foreign_ids_are_404(admin, rich, client):
    for answer in (client.get(f"/api/v1/raffles/{GHOST}"), rich.buy(GHOST), admin.step(GHOST, "open"),
                   admin.step(GHOST, "close"), admin.step(GHOST, "draw"), client.get(f"/api/v1/raffles/{GHOST}/proof"),
                   admin.post(f"/api/v1/admin/deposits/{GHOST}/confirm")):
        assert answer.status == 404 and answer.code == "not-found", answer


@pytest.mark.parametrize("bad", ["1", "x", "01890000-0000-7000-8000-00000000000", GHOST.upper().replace("0", "A", 1), GHOST + "0"])
def test_malformed_ids(client, bad):
    assert client.get(f"/api/v1/raffles/{bad}").status in (400, 404)


def test_list_filters_and_drafts(admin, client, rich):
    draft = admin.create(title="Hidden " + secrets.token_hex(4))["id"]
    shown = []
    cursor = ""
    while True:
        page = client.get(f"/api/v1/raffles?limit=100{cursor}").json
        shown += page["items"]
        if not page["next_cursor"]:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert draft not in [r["id"] for r in shown]
    assert all(r["state"] != "draft" for r in shown)
    assert rich.get(f"/api/v1/raffles/{draft}").status == 404
    assert admin.get(f"/api/v1/raffles/{draft}").status == 200
    assert draft in [r["id"] for r in admin.get("/api/v1/raffles?state=draft&limit=100").json["items"]]
    assert all(r["state"] == "open" for r in client.get("/api/v1/raffles?state=open").json["items"])
    assert client.get("/api/v1/raffles?state=burnt").code == "validation-failed"


def test_list_is_fresh_after_a_sale(client, rich, open_raffle):
    """net keeps the list in a cache: what engine has committed must show at once."""
    rid = open_raffle(title="Fresh")
    for n in range(1, 6):
        klero.want(rich.buy(rid), 201)
        assert client.get(f"/api/v1/raffles/{rid}").json["sold"] == n
        assert {r["id"]: r["sold"] for r in client.get("/api/v1/raffles?limit=100").json["items"]}[rid] == n


def test_audit_is_a_chain(admin, open_raffle):
    open_raffle()
    page = admin.get("/api/v1/admin/audit?limit=20").json["items"]
    assert [x["seq"] for x in page] == sorted((x["seq"] for x in page), reverse=True)
    assert len({x["hash"] for x in page}) == len(page)


def test_jobs_are_paged(admin):
    def jobs(limit, cursor=""):
        return klero.want(admin.get(f"/api/v1/admin/jobs?limit={limit}{cursor}"), 200).json

    seen, cursor = [], ""
    while True:
        page = jobs(1, cursor)
        seen += [j["kind"] for j in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = "&cursor=" + page["next_cursor"]
    # one may run, and so move, meanwhile
    assert len(seen) > 2 and set(seen) <= {j["kind"] for j in jobs(100)["items"]}
    assert admin.get("/api/v1/admin/audit?" + cursor[1:]).code == "cursor-invalid"
