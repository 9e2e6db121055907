"""Bad input, and idempotency: each mistake has its own stable code, and nothing changes."""

import json

import klero
import pytest

BUY = '{"quantity":%s}'

BAD_JSON = {
    "not JSON": b"hello", "trailing comma": b'{"quantity":1,}', "single quotes": b"{'quantity':1}",
    "missing comma": b'{"quantity":1 "client_seed":"x"}', "comment": b'{"quantity":1/**/}', "two values": b'{"quantity":1}{}',
    "NaN": b'{"quantity":NaN}', "-NaN": b'{"quantity":-NaN}', "leading zero": b'{"quantity":01}', "plus": b'{"quantity":+1}',
    "hex": b'{"quantity":0x1}', "raw control": b'{"quantity":1,"client_seed":"a\nb"}', "NUL": b'{"quantity":1,"client_seed":"a\x00"}',
    "escaped NUL": b'{"quantity":1,"client_seed":"a\\u0000"}', "bad escape": b'{"quantity":1,"client_seed":"\\x"}',
    "lone surrogate": b'{"quantity":1,"client_seed":"\\ud800"}', "bad UTF-8": b'{"quantity":1,"client_seed":"\xff"}',
    "overlong UTF-8": b'{"quantity":1,"client_seed":"\xc0\xaf"}', "surrogate in UTF-8": b'{"quantity":1,"client_seed":"\xed\xa0\x80"}',
    "BOM": b'\xef\xbb\xbf{"quantity":1}', "duplicate key": b'{"quantity":1,"quantity":2}',
    "duplicate key, escaped": b'{"quantity":1,"quant\\u0069ty":2}', "deep": b"[" * 17 + b"]" * 17,
    "very deep": b"[" * 30000, "many tokens": b"[" + b"1," * 2000 + b"1]", "unclosed": b'{"quantity":1', "unclosed string": b'{"quantity":1,"a":"',
}

BAD_FIELDS = {
    "empty": "", "unknown field": '{"quantity":1,"colour":"red"}', "missing": "{}", "array": "[]", "text": '"x"', "null body": "null",
    "wrong type": BUY % '"1"', "null": BUY % "null", "bool": BUY % "true", "object": BUY % "{}", "list": BUY % "[1]",
    "fraction": BUY % "1.5", "fraction of zero": BUY % "1.0", "exponent": BUY % "1e0", "zero": BUY % "0", "negative": BUY % "-1",
    "too many": BUY % "101", "2^31": BUY % "2147483648", "2^63": BUY % "9223372036854775808",
    "2^64 + 1": BUY % "18446744073709551617", "huge": BUY % ("9" * 400), "minus zero": BUY % "-0",
    "seed too long": json.dumps({"quantity": 1, "client_seed": "x" * 257}), "seed not text": '{"quantity":1,"client_seed":1}',
}


@pytest.fixture(scope="module")
def counter(admin):
    """A raffle in which nothing may be sold by bad input."""
    rid = admin.create(title="Bad input", capacity=1000)["id"]
    klero.want(admin.step(rid, "open"), 200)
    return rid


@pytest.fixture
def unchanged(rich, admin, counter):
    before = (rich.available(), admin.raffle(counter)["sold"])
    yield
    assert (rich.available(), admin.raffle(counter)["sold"]) == before


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(rich, counter, unchanged, name):
    a = rich.call("POST", f"/api/v1/raffles/{counter}/buy", raw=BAD_JSON[name], idem=True)
    assert a.status == 400 and a.code == "json-malformed", (name, a)


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_bad_fields(rich, counter, unchanged, name):
    a = rich.call("POST", f"/api/v1/raffles/{counter}/buy", raw=BAD_FIELDS[name].encode(), idem=True)
    assert a.status == 400 and a.code == "validation-failed", (name, a)
    assert a.json["errors"] and all(e["pointer"] is not None and e["code"] for e in a.json["errors"])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "application/json; charset=latin1"])
def test_wrong_content_type(rich, counter, unchanged, kind):
    a = rich.call("POST", f"/api/v1/raffles/{counter}/buy", raw=b'{"quantity":1}', idem=True, headers={"Content-Type": kind})
    assert a.status == 415 and a.code == "unsupported-media-type", (kind, a)


def test_content_type_with_charset_is_fine(rich, counter):
    a = rich.call("POST", f"/api/v1/raffles/{counter}/buy", raw=b'{"quantity":1}', idem=True,
                  headers={"Content-Type": "application/json; charset=utf-8"})
    assert a.status == 201, a


def test_unknown_query_parameters(client, unchanged):
    for query in ("colour=red", "limit=1&limit=2", "limit", "limit=%31%zz"):
        a = client.get("/api/v1/raffles?" + query)
        assert a.status == 400, (query, a)


def test_body_where_none_belongs(rich, unchanged):
    a = rich.call("GET", "/api/v1/wallet", raw=b'{"x":1}')
    assert a.status == 400, a


@pytest.mark.parametrize("body, pointer", [
    ({"email": "no-at-sign", "password": "x" * 12}, "email"), ({"email": "a@b@c", "password": "x" * 12}, "email"),
    ({"email": "a@" + "b" * 260, "password": "x" * 12}, "email"), ({"email": "a@example.org", "password": "short"}, "password"),
    ({"email": "a@example.org", "password": "x" * 513}, "password"), ({"email": "a b@example.org", "password": "x" * 12}, "email"),
    ({"email": "a@example.org"}, "password"),
])
def test_bad_registrations(client, body, pointer):
    a = client.post("/api/v1/auth/register", body)
    assert a.status == 400 and a.code == "validation-failed"
    assert any(pointer in e["pointer"] for e in a.json["errors"]), a.json
    assert body.get("password", "none given") not in a.body.decode()


# --- idempotency ---

def test_key_is_required(rich, counter, unchanged):
    a = rich.buy(counter, idem=None)
    assert a.status == 400 and a.code == "idempotency-key-required"
    a = rich.post("/api/v1/wallet/deposit", {"money": {"amount": 1, "currency": "EUR"}, "provider": "manual"})
    assert a.code == "idempotency-key-required"


@pytest.mark.parametrize("key", ["", "x" * 256, '"unbalanced', "tab\there", "café"])
def test_malformed_keys(rich, counter, unchanged, key):
    a = rich.call("POST", f"/api/v1/raffles/{counter}/buy", raw=b'{"quantity":1}', headers={"Idempotency-Key": key.encode()})
    assert a.status == 400 and a.code in ("idempotency-key-invalid", "idempotency-key-required", "http-malformed"), a


@pytest.mark.smoke
def test_replay(rich, counter, admin):
    sold = admin.raffle(counter)["sold"]
    one = klero.want(rich.buy(counter, 2, "seed", idem="replay-1"), 201)
    assert "Idempotent-Replayed" not in one.headers
    for key in ("replay-1", '"replay-1"'):  # bare and quoted are one key
        two = klero.want(rich.buy(counter, 2, "seed", idem=key), 201)
        assert two.headers["Idempotent-Replayed"] == "true" and two.json == one.json
    assert admin.raffle(counter)["sold"] == sold + 2


def test_replay_with_the_fields_in_another_order(rich, counter):
    one = rich.call("POST", f"/api/v1/raffles/{counter}/buy", raw=b'{"quantity":1,"client_seed":"s"}', idem="order")
    two = rich.call("POST", f"/api/v1/raffles/{counter}/buy", raw=b'{ "client_seed" : "\\u0073", "quantity": 1 }', idem="order")
    assert one.status == two.status == 201 and one.json == two.json


def test_other_body_under_the_same_key(rich, counter):
    klero.want(rich.buy(counter, 1, idem="mismatch"), 201)
    a = rich.buy(counter, 2, idem="mismatch")
    assert a.status == 422 and a.code == "idempotency-key-reused"


def test_scope_is_user_and_route(rich, person, admin, counter, open_raffle):
    admin.confirm(person.deposit(1000)["id"])
    one = klero.want(rich.buy(counter, 1, idem="scope"), 201)
    two = klero.want(person.buy(counter, 1, idem="scope"), 201)
    assert one.json != two.json
    d = rich.post("/api/v1/wallet/deposit", {"money": {"amount": 1, "currency": "EUR"}, "provider": "manual"}, idem="scope")
    assert d.status == 202
    # the raffle is part of what was asked: another one is another request
    assert rich.buy(open_raffle(), 1, idem="scope").status in (201, 422)


def test_a_refused_request_is_answered_alike_again(person, counter, admin):
    one = person.buy(counter, 1, idem="refused")
    assert one.status == 402
    two = person.buy(counter, 1, idem="refused")
    assert two.status == 402
    sold = admin.raffle(counter)["sold"]
    assert sold == admin.raffle(counter)["sold"]


def test_concurrent_requests_with_one_key_buy_once(appliance, rich, counter, admin):
    sold = admin.raffle(counter)["sold"]
    got = []

    def one(_):
        c = appliance.client()
        c.token = rich.token
        got.append(c.post(f"/api/v1/raffles/{counter}/buy", {"quantity": 1}, idem="together"))
        c.close()

    klero.in_parallel(one, range(12), workers=12)
    assert {a.status for a in got} <= {201, 409}
    assert all(a.code == "idempotency-key-in-flight" for a in got if a.status == 409)
    assert len({a.body for a in got if a.status == 201}) == 1
    assert admin.raffle(counter)["sold"] == sold + 1


def test_keys_work_where_they_are_accepted(admin):
    body = {"title": "Once", "price": {"amount": 1, "currency": "EUR"}, "capacity": 5, "winners": 1}
    one = klero.want(admin.post("/api/v1/admin/raffles", body, idem="create-1"), 201)
    two = klero.want(admin.post("/api/v1/admin/raffles", body, idem="create-1"), 201)
    assert one.json["id"] == two.json["id"]
    assert klero.want(admin.post("/api/v1/admin/raffles", body), 201).json["id"] != one.json["id"]
    # a job with awaits: the answer of the first run, not a second seed
    rid = one.json["id"]
    first = klero.want(admin.post(f"/api/v1/admin/raffles/{rid}/open", idem="open-1"), 200)
    again = klero.want(admin.post(f"/api/v1/admin/raffles/{rid}/open", idem="open-1"), 200)
    assert first.json == again.json and again.headers["Idempotent-Replayed"] == "true"


# --- the route table leaves nothing out ---

def test_not_acceptable(client):
    a = client.get("/api/v1/raffles", headers={"Accept": "text/html"})
    assert a.status in (200, 406)
    assert client.get("/api/v1/raffles", headers={"Accept": "*/*"}).status == 200
