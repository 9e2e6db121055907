"""Accounts: every flow of registration, login, rotation, logout, roles and profile."""

import base64
import json
import time

import klero
import pytest

PASSWORD = klero.PASSWORD


def refresh(client, token):
    return client.post("/api/v1/auth/refresh", {"refresh_token": token}, token=None)


@pytest.mark.smoke
def test_register_login_me_logout(appliance):
    p = klero.Person(appliance.port, appliance.ca, "Ada.Lovelace@Example.ORG").register()
    a = klero.want(p.post("/api/v1/auth/login", {"email": "ada.lovelace@example.org", "password": PASSWORD}), 200).json
    assert a["token_type"] == "Bearer" and 0 < a["expires_in"] <= 900
    p.take(a)
    me = klero.want(p.get("/api/v1/auth/me"), 200).json
    assert me["roles"] == ["user"]
    profile = klero.want(p.get("/api/v1/me"), 200).json
    assert profile["id"] == me["user_id"] and profile["email"] == "ada.lovelace@example.org"
    assert p.post("/api/v1/auth/logout").status == 204
    a = p.get("/api/v1/auth/me")
    assert a.status == 401 and a.code == "token-invalid" and a.headers["WWW-Authenticate"].startswith("Bearer")
    assert refresh(p, p.refresh_token).status == 401


def test_register_twice_tells_nothing(appliance, client):
    body = {"email": "twice@example.org", "password": PASSWORD}
    one = client.post("/api/v1/auth/register", body)
    two = client.post("/api/v1/auth/register", {**body, "password": "another long password"})
    assert one.status == two.status == 201 and one.body == two.body
    # the first account stands as it was
    assert client.post("/api/v1/auth/login", body).status == 200
    assert client.post("/api/v1/auth/login", {**body, "password": "another long password"}).status == 401


def test_wrong_password_and_unknown_address_look_alike(appliance, client, person):
    wrong = client.post("/api/v1/auth/login", {"email": person.email, "password": "not the password"})
    unknown = client.post("/api/v1/auth/login", {"email": "nobody@example.org", "password": "not the password"})
    assert wrong.status == unknown.status == 401
    assert wrong.code == unknown.code == "credentials-invalid"
    drop = lambda a: {k: v for k, v in a.json.items() if k != "request_id"}
    assert drop(wrong) == drop(unknown)


def test_failures_delay_but_never_lock(appliance, client):
    p = appliance.person()
    states = []
    for _ in range(12):
        a = client.post("/api/v1/auth/login", {"email": p.email, "password": "not the password"})
        states.append(a.status)
        if a.status == 429:
            break
    assert set(states) <= {401, 429}
    if states[-1] == 429:
        assert a.code == "too-many-attempts"
        # the delay is short at first, and then the right password is good
        assert int(a.headers["Retry-After"]) <= 60
        end = time.monotonic() + 70
        while p.post("/api/v1/auth/login", {"email": p.email, "password": p.password}).status == 429:
            assert time.monotonic() < end
            time.sleep(0.5)
    p.login()


# --- refresh ---

def test_refresh_rotates(person):
    a = klero.want(refresh(person, person.refresh_token), 200).json
    assert a["refresh_token"] != person.refresh_token
    old, person.token = person.token, a["access_token"]
    assert person.get("/api/v1/auth/me").status == 200
    # the older access token lives until it expires: the session is the same
    assert person.get("/api/v1/auth/me", token=old).status == 200


def test_retry_within_the_grace_gets_the_same_successor(person):
    one = klero.want(refresh(person, person.refresh_token), 200).json
    two = klero.want(refresh(person, person.refresh_token), 200).json
    assert one["refresh_token"] == two["refresh_token"]
    # and the family lives
    assert refresh(person, one["refresh_token"]).status == 200


def test_reuse_of_an_older_one_revokes_the_family(person, admin):
    first = person.refresh_token
    second = klero.want(refresh(person, first), 200).json
    third = klero.want(refresh(person, second["refresh_token"]), 200).json
    a = refresh(person, first)
    assert a.status == 401 and a.code == "refresh-token-reused"
    assert refresh(person, third["refresh_token"]).status == 401
    # the access tokens of the family are dead, too
    assert person.get("/api/v1/auth/me", token=third["access_token"]).status == 401
    actions = [i["action"] for i in admin.get("/api/v1/admin/audit?limit=100").json["items"]]
    assert any("reuse" in x for x in actions), actions
    # another login makes another family
    person.login()
    assert person.get("/api/v1/auth/me").status == 200


def test_concurrent_refreshes_agree(appliance, person):
    got = []

    def one(_):
        c = appliance.client()
        got.append(refresh(c, person.refresh_token))
        c.close()

    klero.in_parallel(one, range(8))
    assert {a.status for a in got} == {200}
    assert len({a.json["refresh_token"] for a in got}) == 1


@pytest.mark.parametrize("token", ["x", "AAAA", "A" * 200, "!!!", ""])
def test_refresh_with_rubbish(client, token):
    a = refresh(client, token)
    assert (a.status, a.code) in ((401, "refresh-token-invalid"), (400, "validation-failed"))


def test_refresh_with_one_bit_changed(client, person):
    raw = bytearray(base64.urlsafe_b64decode(person.refresh_token + "=="))
    for i in (0, 2, 10, 24, len(raw) - 1):
        bad = bytearray(raw)
        bad[i] ^= 1
        a = refresh(client, base64.urlsafe_b64encode(bad).rstrip(b"=").decode())
        assert a.status == 401 and a.code == "refresh-token-invalid"
    assert refresh(client, person.refresh_token).status == 200


# --- profile ---

def test_profile_with_versions(person):
    a = klero.want(person.get("/api/v1/me"), 200)
    version = a.json["version"]
    assert a.headers["ETag"].strip('"') == f"v{version}"
    a = person.call("PATCH", "/api/v1/me", {"display_name": "Ada", "version": version})
    assert a.status == 200 and a.json["display_name"] == "Ada" and a.json["version"] == version + 1
    stale = person.call("PATCH", "/api/v1/me", {"display_name": "Eve", "version": version})
    assert stale.status == 409 and stale.code == "version-conflict"
    none = person.call("PATCH", "/api/v1/me", {"display_name": "Eve"})
    assert none.status == 428 and none.code == "version-required"
    ok = person.call("PATCH", "/api/v1/me", {"display_name": "Åda λ"}, headers={"If-Match": a.headers["ETag"]})
    assert ok.status == 200 and ok.json["display_name"] == "Åda λ"
    assert person.get("/api/v1/me").json["display_name"] == "Åda λ"


# --- roles ---

def test_roles_by_kleroctl(appliance, person, admin):
    assert person.post("/api/v1/admin/raffles", {"title": "x", "price": {"amount": 1, "currency": "EUR"},
                                                 "capacity": 1, "winners": 1}).code == "forbidden"
    appliance.ctl("user", "roles", person.email, "user", "organiser")
    person.login()
    assert person.get("/api/v1/auth/me").json["roles"] == ["user", "organiser"]
    assert person.create()["state"] == "draft"
    # an organiser is no admin
    assert person.get("/api/v1/admin/deposits").status == 403
    assert person.get("/api/v1/admin/audit").status == 403
    appliance.ctl("user", "roles", person.email, "user", "auditor")
    person.login()
    assert person.get("/api/v1/admin/audit").status == 200
    assert person.get("/api/v1/admin/jobs").status == 403


def test_kleroctl_says_what_is_wrong(appliance):
    run = appliance.ctl("user", "roles", "nobody-here@example.org", "user", check=False)
    assert run.returncode and len(run.stderr.strip().splitlines()) == 1
    run = appliance.ctl("admin", "create", "admin2@example.org", stdin="short\n", check=False)
    assert run.returncode and len(run.stderr.strip().splitlines()) == 1
    run = appliance.ctl("admin", "create", "not an address", stdin=PASSWORD + "\n", check=False)
    assert run.returncode


ADMIN_ROWS = [("GET", "/api/v1/admin/deposits"), ("GET", "/api/v1/admin/audit"), ("GET", "/api/v1/admin/jobs"),
              ("POST", "/api/v1/admin/deposits/{id}/confirm"), ("POST", "/api/v1/admin/deposits/{id}/reject"),
              ("POST", "/api/v1/admin/raffles/{id}/open"), ("POST", "/api/v1/admin/raffles/{id}/close"),
              ("POST", "/api/v1/admin/raffles/{id}/draw"), ("GET", "/metrics")]


@pytest.mark.parametrize("method, path", ADMIN_ROWS)
def test_rows_of_admins_are_theirs(client, rich, method, path):
    path = path.replace("{id}", "01890000-0000-7000-8000-000000000000")
    assert client.call(method, path).status == 401
    a = rich.call(method, path)
    assert a.status == 403 and a.code == "forbidden"


# --- the queue of passwords ---

def test_full_password_queue_answers_503(lab):
    a = lab.make("kdfs 1", "kdf-queue 2").start()
    got = []

    def one(n):
        c = a.client()
        got.append(c.post("/api/v1/auth/login", {"email": f"x{n}@example.org", "password": "not the password"}))
        c.close()

    klero.in_parallel(one, range(24), workers=24)
    full = [x for x in got if x.status == 503]
    assert {x.status for x in got} <= {401, 503}
    assert "password-queue-full" in {x.code for x in full}
    # on a machine with much else to do, those in the queue may come to their deadline
    assert all(x.code in ("password-queue-full", "busy") and int(x.headers["Retry-After"]) > 0 for x in full)
    # nothing else waits for passwords
    assert a.client().get("/api/v1/raffles").status == 200
    a.stop()


# --- access tokens: JWKS, and every way to forge one ---

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(token):
    head, claims, signature = token.split(".")
    return json.loads(unb64(head)), json.loads(unb64(claims)), unb64(signature)


def forged(head, claims, key=None, curve=None, digest=None):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
    if head["alg"] == "none":
        return text + "."
    curve = curve or ec.SECP256R1()
    r, s = decode_dss_signature((key or ec.generate_private_key(curve)).sign(text.encode(), ec.ECDSA(digest or hashes.SHA256())))
    size = (curve.key_size + 7) // 8
    return text + "." + b64(r.to_bytes(size, "big") + s.to_bytes(size, "big"))


def test_jwks_verifies_the_token(client, person):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    head, claims, sig = parts(person.token)
    assert head["alg"] == "ES256" and head["typ"] == "at+jwt"
    keys = client.get("/.well-known/jwks.json").json["keys"]
    key = next(k for k in keys if k["kid"] == head["kid"])
    assert key["kty"] == "EC" and key["crv"] == "P-256" and key["use"] == "sig" and "d" not in key
    public = ec.EllipticCurvePublicNumbers(int.from_bytes(unb64(key["x"]), "big"), int.from_bytes(unb64(key["y"]), "big"),
                                           ec.SECP256R1()).public_key()
    der = encode_dss_signature(int.from_bytes(sig[:32], "big"), int.from_bytes(sig[32:], "big"))
    public.verify(der, person.token.rpartition(".")[0].encode(), ec.ECDSA(hashes.SHA256()))
    assert claims["iss"] == claims["aud"] == "https://localhost"
    assert claims["exp"] == claims["iat"] + 900 and claims["roles"] == ["user"]
    assert {"sub", "sid", "jti", "client_id"} <= set(claims)
    found = client.get("/.well-known/openid-configuration").json
    assert found["issuer"] == claims["iss"] and found["jwks_uri"].endswith("/.well-known/jwks.json")


def forgeries(token):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    head, claims, _ = parts(token)
    h, c, s = token.split(".")
    late = {**claims, "iat": claims["iat"] - 5000, "exp": claims["exp"] - 5000}
    flipped = bytearray(unb64(s))
    flipped[40] ^= 1
    return {
        "alg none": forged({**head, "alg": "none"}, claims),
        "alg none, old signature": b64(json.dumps({**head, "alg": "none"}).encode()) + f".{c}.{s}",
        "another key": forged(head, claims),
        "unknown kid": forged({**head, "kid": "token-v000099"}, claims),
        "no kid": forged({k: v for k, v in head.items() if k != "kid"}, claims),
        "wrong curve": forged({**head, "alg": "ES384"}, claims, curve=ec.SECP384R1(), digest=hashes.SHA384()),
        "wrong curve, right name": forged(head, claims, curve=ec.SECP384R1(), digest=hashes.SHA384()),
        "HS256": b64(json.dumps({**head, "alg": "HS256"}).encode()) + f".{c}.{s}",
        "expired, another key": forged(head, late),
        "changed claims": h + "." + b64(json.dumps({**claims, "roles": ["admin"]}).encode()) + "." + s,
        "changed signature": f"{h}.{c}.{b64(bytes(flipped))}",
        "signature of zeros": f"{h}.{c}.{b64(bytes(64))}",
        "no signature": f"{h}.{c}.",
        "two parts": f"{h}.{c}",
        "four parts": f"{h}.{c}.{s}.{s}",
        "padding": f"{h}.{c}.{s}==",
        "rubbish": "rubbish",
        "typ JWT": b64(json.dumps({**head, "typ": "JWT"}).encode()) + f".{c}.{s}",
    }


def test_forged_tokens_are_refused(client, person):
    for name, token in forgeries(person.token).items():
        a = client.get("/api/v1/auth/me", token=token)
        assert a.status == 401 and a.code in ("token-invalid", "token-expired"), (name, a)
        assert a.headers["WWW-Authenticate"].startswith("Bearer"), name
    assert client.get("/api/v1/auth/me", token=person.token).status == 200


def test_missing_and_odd_authorization(client, person):
    a = client.get("/api/v1/auth/me")
    assert a.status == 401 and a.code == "unauthenticated"
    for value in ("Bearer", "Bearer ", "Basic YTpi", person.token, "Bearer " + "a" * 5000, "Bearer a b"):
        assert client.get("/api/v1/auth/me", headers={"Authorization": value}).status in (400, 401, 431)


def test_a_token_of_another_appliance_is_refused(lab, client):
    other = lab.make().start()
    p = other.person()
    assert client.get("/api/v1/auth/me", token=p.token).code == "token-invalid"
    assert client.post("/api/v1/auth/refresh", {"refresh_token": p.refresh_token}).code == "refresh-token-invalid"
    other.stop()
