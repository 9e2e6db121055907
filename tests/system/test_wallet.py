"""Wallets: deposits by the manual provider, who may confirm them, and entries that add up."""

import klero
import pytest

MAX = 2**53 - 1


@pytest.mark.smoke
def test_deposit_waits_for_an_admin(person, admin):
    assert person.available() == 0
    d = person.deposit(12_345, reference="bank transfer 7")
    assert d["state"] == "pending" and d["money"] == {"amount": 12_345, "currency": "EUR"}
    assert person.available() == 0
    listed = admin.get("/api/v1/admin/deposits?state=pending&limit=100").json["items"]
    assert d["id"] in [x["id"] for x in listed]
    assert admin.confirm(d["id"])["state"] == "confirmed"
    assert person.available() == 12_345
    entries = person.get("/api/v1/wallet/entries").json["items"]
    assert [e["money"]["amount"] for e in entries] == [12_345]


def test_nobody_confirms_an_own_deposit(appliance, admin):
    d = admin.deposit(100)
    a = admin.post(f"/api/v1/admin/deposits/{d['id']}/confirm")
    assert a.status == 403 and a.code == "self-approval"
    other = appliance.admin("second-admin@example.org")
    assert other.confirm(d["id"])["state"] == "confirmed"


def test_a_deposit_is_decided_once(person, admin):
    d = person.deposit(100)["id"]
    admin.confirm(d)
    for verb in ("confirm", "reject"):
        a = admin.post(f"/api/v1/admin/deposits/{d}/{verb}")
        assert a.status == 409 and a.code == "deposit-decided", a
    assert person.available() == 100
    r = person.deposit(100)["id"]
    assert klero.want(admin.post(f"/api/v1/admin/deposits/{r}/reject"), 200).json["state"] == "rejected"
    assert admin.post(f"/api/v1/admin/deposits/{r}/confirm").code == "deposit-decided"
    assert person.available() == 100


def test_many_confirm_at_once_and_one_counts(appliance, person, admin):
    d = person.deposit(500)["id"]
    got = []

    def one(_):
        c = appliance.client()
        c.token = admin.token
        got.append(c.post(f"/api/v1/admin/deposits/{d}/confirm").status)
        c.close()

    klero.in_parallel(one, range(8))
    assert sorted(got) == [200] + [409] * 7
    assert person.available() == 500


def test_amounts_at_the_edge(fresh):
    admin, person = fresh.admin(), fresh.person()
    for amount in (0, -1, MAX + 1, 2**63, 10**30, 1.5, "1", None, True):
        a = person.post("/api/v1/wallet/deposit", {"money": {"amount": amount, "currency": "EUR"}, "provider": "manual"}, idem=True)
        assert a.status == 400, (amount, a)
    admin.confirm(person.deposit(MAX)["id"])
    assert person.available() == MAX
    # one more minor unit would not fit
    d = person.deposit(1)["id"]
    a = admin.post(f"/api/v1/admin/deposits/{d}/confirm")
    assert a.status == 422 and a.code == "amount-overflow"
    assert person.available() == MAX


def test_unknown_currency_and_provider(person):
    a = person.post("/api/v1/wallet/deposit", {"money": {"amount": 1, "currency": "XAU"}, "provider": "manual"}, idem=True)
    assert a.status == 422 and a.code == "currency-unknown"
    a = person.post("/api/v1/wallet/deposit", {"money": {"amount": 1, "currency": "EUR"}, "provider": "stripe"}, idem=True)
    assert a.status == 400 and a.code == "validation-failed"


def test_entries_are_paged_and_add_up(appliance, admin, open_raffle):
    p = appliance.person()
    for n in range(5):
        admin.confirm(p.deposit(1000 + n)["id"])
    raffle = open_raffle(capacity=100)
    for _ in range(4):
        klero.want(p.buy(raffle), 201)
    seen, cursor = [], ""
    while True:
        page = p.get(f"/api/v1/wallet/entries?limit=2{cursor}").json
        assert len(page["items"]) <= 2
        seen += page["items"]
        if not page["next_cursor"]:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert len(seen) == 9 and len({e["entry"] for e in seen}) == 9
    assert sum(e["money"]["amount"] for e in seen) == p.available() == 5010 - 400


def test_entries_of_every_currency_there_can_be(lab):
    """A cursor says where each currency goes on: that of the most, and of the longest configuration."""
    codes = [f"A{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(19)]  # as many words as a line may have
    a = lab.make("currencies " + " ".join(codes)).start()
    admin, p = a.admin(), a.person()
    for code in codes + codes[::-1] + codes[:5] * 3:
        admin.confirm(p.deposit(7, code)["id"])
    seen, cursor, longest = [], "", 0
    while True:
        page = klero.want(p.get(f"/api/v1/wallet/entries?limit=3{cursor}"), 200).json
        assert 1 <= len(page["items"]) <= 3
        seen += page["items"]
        if not page["next_cursor"]:
            break
        longest = max(longest, len(page["next_cursor"]))
        cursor = "&cursor=" + page["next_cursor"]
    numbers = [e["entry"] for e in seen]
    assert len(seen) == 53 and numbers == sorted(set(numbers), reverse=True)
    assert {e["money"]["currency"] for e in seen} == set(codes)
    assert longest == 214  # nineteen numbers and the check
    # another's cursor is none for this wallet
    stranger = a.person()
    assert stranger.get("/api/v1/wallet/entries?limit=3" + cursor).code == "cursor-invalid"
    a.stop()


def test_cursors_of_others_and_rubbish(person):
    for cursor in ("x", "A" * 100, "!!!!"):
        a = person.get(f"/api/v1/wallet/entries?cursor={cursor}")
        assert a.status == 400 and a.code in ("cursor-invalid", "validation-failed"), a
    for limit in ("0", "101", "-1", "x", "1e1", "999999999999999999999"):
        assert person.get(f"/api/v1/wallet/entries?limit={limit}").code == "validation-failed"


def test_foreign_wallets_do_not_show(person, rich):
    assert person.get("/api/v1/wallet/entries").json["items"] == []
