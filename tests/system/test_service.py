"""What surrounds the business: headers, CORS, limits, health, metrics, openapi.json, memory."""

import re
import time
import uuid

import klero
import pytest

HEADERS = {
    "Strict-Transport-Security": "max-age=",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "frame-ancestors",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-",
}


@pytest.mark.parametrize("path", ["/health", "/api/v1/raffles", "/api/v1/wallet", "/nowhere", "/openapi.json", "/auth/me"])
def test_security_headers_on_every_answer(client, path):
    a = client.get(path)
    for name, part in HEADERS.items():
        assert part in a.headers.get(name, ""), (path, name)
    assert "no-store" in a.headers.get("Cache-Control", "") or path in ("/health", "/api/v1/raffles", "/openapi.json", "/auth/me")
    assert "Server" not in a.headers or not re.search(r"\d", a.headers["Server"])


def test_request_ids_differ_and_stand_in_problems(client):
    one, two = client.get("/nowhere"), client.get("/nowhere")
    assert one.json["request_id"] != two.json["request_id"]
    for field in ("type", "title", "status", "code", "request_id"):
        assert field in one.json
    assert one.json["type"].startswith("https://") and one.json["type"].endswith("/problems/not-found")
    assert one.json["status"] == one.status == 404


# --- CORS ---

@pytest.fixture(scope="module")
def shop(lab):
    a = lab.make("cors-origin https://shop.example.org").start()
    yield a
    a.stop()


def test_cors_for_configured_origins_only(shop, client):
    c = shop.client()
    a = c.get("/api/v1/raffles", headers={"Origin": "https://shop.example.org"})
    assert a.headers["Access-Control-Allow-Origin"] == "https://shop.example.org"
    assert "Origin" in a.headers["Vary"]
    for origin in ("https://evil.example.org", "null", "https://shop.example.org.evil.org"):
        assert "Access-Control-Allow-Origin" not in c.get("/api/v1/raffles", headers={"Origin": origin}).headers
    assert "Access-Control-Allow-Origin" not in client.get("/api/v1/raffles", headers={"Origin": "https://shop.example.org"}).headers


def test_cors_preflight(shop):
    c = shop.client()
    ask = {"Origin": "https://shop.example.org", "Access-Control-Request-Method": "POST",
           "Access-Control-Request-Headers": "authorization, content-type, idempotency-key"}
    a = c.call("OPTIONS", "/api/v1/wallet/deposit", headers=ask)
    assert a.status == 204 and a.headers["Access-Control-Allow-Origin"] == ask["Origin"]
    assert "POST" in a.headers["Access-Control-Allow-Methods"]
    assert "idempotency-key" in a.headers["Access-Control-Allow-Headers"].lower()
    a = c.call("OPTIONS", "/api/v1/wallet/deposit", headers={**ask, "Origin": "https://evil.example.org"})
    assert "Access-Control-Allow-Origin" not in a.headers


# --- limits ---

@pytest.fixture(scope="module")
def strict(lab):
    a = lab.make("limit-anonymous 20/900", "limit-auth 3/900", "limit-approval 4/900", "limit-user 15/900", limits=True).start()
    yield a
    a.stop()


def test_limits_each_class(strict):
    c = strict.client()
    user = strict.admin()  # one of the three logins of this address
    for n in range(2):
        a = c.post("/api/v1/auth/login", {"email": "x@example.org", "password": "wrong"})
        assert a.status == 401, a
    a = c.post("/api/v1/auth/login", {"email": "x@example.org", "password": "wrong"})
    assert a.status == 429 and a.code in ("rate-limited", "too-many-attempts")
    assert 0 < int(a.headers["Retry-After"]) <= 900
    assert "RateLimit" in a.headers and "RateLimit-Policy" in a.headers

    # officers' approvals neither share it nor use it up
    approve = f"/api/v1/proposals/{uuid.uuid4()}/approvals"
    answers = [c.post(approve, {"signature": "x"}, token=None) for _ in range(5)]
    assert [a.status for a in answers] == [404] * 4 + [429], answers
    assert "approval" in answers[-1].headers["RateLimit-Policy"]

    # a logged-in user has a limit of its own
    states = [user.get("/api/v1/auth/me").status for _ in range(20)]
    assert states[0] == 200 and states[-1] == 429 and states.count(200) <= 15, states
    assert user.get("/api/v1/auth/me").headers["Retry-After"]

    # and so has the address
    states = [c.get("/api/v1/raffles").status for _ in range(30)]
    assert states[-1] == 429, states
    # what is not counted goes on
    assert c.get("/health").status == 200
    assert c.get("/.well-known/jwks.json").status == 200


def test_both_nets_count_together(lab):
    a = lab.make("limit-anonymous 10/900", "nets 2", limits=True).start()
    good = 0
    for _ in range(30):
        c = a.client()  # a connection each: the kernel spreads them over both
        good += c.get("/api/v1/raffles").status == 200
        c.close()
    a.stop()
    assert 9 <= good <= 10


# --- health, metrics, openapi.json ---

@pytest.mark.smoke
def test_health(client, person, admin):
    a = client.get("/health")
    assert a.status == 200 and a.json["status"] == "ok"
    assert a.json["database"] == "ok" and a.json["hsm"] == "ok"
    assert client.get("/health/ready").status == 200
    assert client.get("/metrics").status == 401
    assert person.get("/metrics").status == 403
    a = admin.get("/metrics")
    assert a.status == 200 and a.headers["Content-Type"].startswith("text/plain")


def test_metrics_are_prometheus_and_move(admin):
    line = re.compile(r'^[a-zA-Z_:][\w:]*(\{(\w+="[^"\\\n]*",?)*\})? [0-9.eE+-]+$')

    def read():
        out = {}
        for row in admin.get("/metrics").body.decode().splitlines():
            if row.startswith("#") or not row:
                continue
            assert line.match(row), row
            name, value = row.rsplit(" ", 1)
            out[name] = float(value)
        return out

    before = read()
    assert before
    for _ in range(3):
        admin.get("/api/v1/auth/me")
    after = read()
    moved = [n for n in after if "auth_me" in n and after[n] >= before.get(n, 0) + 3]
    assert moved, sorted(after)


def resolve(doc, schema):
    while "$ref" in schema:
        assert schema["$ref"].startswith("#/")
        node = doc
        for part in schema["$ref"][2:].split("/"):
            node = node[part]
        schema = node
    return schema


def test_openapi_describes_every_row(client):
    a = client.get("/openapi.json")
    assert a.status == 200
    doc = a.json
    assert doc["openapi"].startswith("3.1") and doc["info"]["title"] and doc["info"]["version"]
    ids = set()
    for path, item in doc["paths"].items():
        assert path.startswith("/")
        wanted = set(re.findall(r"\{(\w+)\}", path))
        for method, op in item.items():
            assert method in ("get", "post", "put", "patch", "delete")
            assert op["operationId"] not in ids
            ids.add(op["operationId"])
            assert op["responses"] and all(re.fullmatch(r"[1-5]\d\d|[1-5]XX|default", s) for s in op["responses"])
            params = [resolve(doc, p) for p in op.get("parameters", [])]
            assert {p["name"] for p in params if p["in"] == "path"} == wanted, path
            assert all(p.get("required") for p in params if p["in"] == "path")
            for p in params:
                assert resolve(doc, p["schema"])
            if "requestBody" in op:
                (kind, content), = op["requestBody"]["content"].items()
                schema = resolve(doc, content["schema"])
                assert kind == "*/*" or schema["type"] == "object" and schema["additionalProperties"] is False
    table = set(re.findall(r"^ROUTE\((\w+),", (klero.HERE.parents[1] / "daemon/api/route.def").read_text(), re.M))
    assert ids == table


def test_openapi_agrees_with_the_answers(client, person):
    doc = client.get("/openapi.json").json
    # who needs a token says so, and really asks for one; required fields are really required
    for path, item in doc["paths"].items():
        for method, op in item.items():
            target = re.sub(r"\{\w+\}", "01890000-0000-7000-8000-000000000000", path)
            if op.get("security"):
                assert client.call(method.upper(), target, headers={"Idempotency-Key": "k"}).status == 401, path
            if "application/json" in op.get("requestBody", {}).get("content", []) and not op.get("security"):
                a = client.call(method.upper(), target, {})
                assert a.status == 400 and a.code == "validation-failed", (path, a)
                schema = resolve(doc, op["requestBody"]["content"]["application/json"]["schema"])
                named = {e["pointer"].lstrip("#/") for e in a.json["errors"]}
                assert named & set(schema["required"]), a.json


# --- memory and processes ---

def test_idle_memory_without_kdf(fresh):
    """The bar of 64 MiB is make bench's; this only finds what runs away."""
    kib = 0
    for role, pids in fresh.roles().items():
        for pid in pids:
            if role != "kdf":
                kib += int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))
    assert kib < 512 * 1024, kib


@pytest.mark.as_shipped
def test_memory_does_not_grow_with_requests(fresh):
    def rss():
        return sum(int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))
                   for role, pids in fresh.roles().items() if role in ("net", "engine") for pid in pids)

    c = fresh.client()

    def some(n):
        for _ in range(n):
            c.get("/api/v1/wallet")
            c.get("/api/v1/raffles?limit=100")
            c.call("POST", "/api/v1/auth/login", raw=b"[" * 1000)
    some(500)
    before = rss()
    some(3000)
    assert rss() - before < 8 * 1024


@pytest.mark.smoke
def test_stop_is_clean_and_leaves_nothing(lab):
    a = lab.make().start()
    roles = a.roles()
    assert set(roles) == {"net", "tlskey", "engine", "hsm", "kdf"}, roles
    assert len(roles["net"]) == 2 and len(roles["kdf"]) == 2
    c = a.client()
    assert c.get("/health").status == 200
    assert a.stop() == 0
    # and again: nothing of the first run is in the way
    a.start()
    assert a.client().get("/health").status == 200
    assert a.stop() == 0


def test_no_secret_in_the_log(appliance, person):
    person.post("/api/v1/auth/login", {"email": person.email, "password": "not the right one"})
    log = appliance.log()
    for secret in (person.email, person.password, "not the right one", person.token, person.refresh_token):
        assert secret not in log


def test_log_lines_cannot_be_forged(appliance, client):
    client.get("/api/v1/raffles", headers={"User-Agent": "x\x1b[31m forged"})
    time.sleep(0.1)
    assert "\x1b" not in appliance.log()
