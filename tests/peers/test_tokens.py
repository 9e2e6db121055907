"""Access tokens in the hands of npm's jose and jsonwebtoken: ours verify there; what they forge
does not pass here. Claims that would need a forged signature are signed with the appliance's own
key by OpenSC's pkcs11-tool, so that it is the claim that is refused and not the signature."""

import base64
import hashlib
import json
import os
import pathlib
import re
import subprocess

import klero
import peers
import pytest


TOLD = {"tokens": 0, "failed": 0}


@pytest.fixture(scope="module", autouse=True)
def table():
    yield
    peers.row("peers: tokens", "access tokens forged and confused by npm's jose and jsonwebtoken, or signed with the own key by "
              "OpenSC", TOLD["tokens"], "tokens", TOLD["failed"])


@pytest.fixture(scope="module")
def made(appliance):
    user = appliance.person()
    jwks = klero.want(user.get("/.well-known/jwks.json"), 200).json
    issuer = klero.want(user.get("/.well-known/openid-configuration"), 200).json["issuer"]
    given = {"token": user.token, "jwks": jwks, "issuer": issuer}
    out = json.loads(peers.node("tokens.mjs", json.dumps(given)))
    out["user"] = user
    return out


def me(user, token):
    return user.call("GET", "/api/v1/auth/me", token=token)


def test_ours_verify_with_jose(made):
    said = made["said"]
    assert said["verified"].get("error") is None, said
    assert said["verified"]["payload"]["sub"] == made["user"].id()
    assert said["verified"]["header"]["typ"] == "at+jwt"
    assert said["jsonwebtoken"] == said["verified"]["payload"]
    assert said["flipped"] == {"error": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"}


def test_forged_are_refused(made):
    user = made["user"]
    assert me(user, user.token).status == 200
    accepted = []
    for name, token in made["forged"].items():
        a = me(user, token)
        if a.status != 401 or a.code != "token-invalid" or "Bearer" not in a.headers.get("WWW-Authenticate", ""):
            accepted.append((name, a))
    TOLD["tokens"] += len(made["forged"])
    TOLD["failed"] += len(accepted)
    print(f"{len(made['forged'])} forged tokens")
    assert accepted == []
    assert me(user, user.token).status == 200


class Signer:
    """The appliance's token key, used behind its back."""

    def __init__(self, appliance, folder):
        self.conf = dict(line.split(" ", 1) for line in appliance.conf.read_text().splitlines())
        self.folder = folder
        self.env = {**os.environ, "SOFTHSM2_CONF": self.conf["softhsm-conf"],
                    "PIN": pathlib.Path(self.conf["keys-pin-file"]).read_text().strip()}

        # of several private keys the tool takes any when told a label, but the right one by its id
        listed = self.tool("--list-objects", "--type", "privkey")
        self.id = re.search(r"label: +klero/token/v000001\n +ID: +([0-9a-f]+)\n", listed).group(1)

    def tool(self, *args):
        run = subprocess.run(["pkcs11-tool", "--module", self.conf["pkcs11-module"],
                              "--token-label", self.conf.get("keys-token", "klero-keys"),
                              "--login", "--pin", "env:PIN", *args],
                             env=self.env, capture_output=True, text=True, timeout=30)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def sign(self, text):
        (self.folder / "digest").write_bytes(hashlib.sha256(text.encode()).digest())
        self.tool("--sign", "-m", "ECDSA", "--id", self.id,
                  "--input-file", self.folder / "digest", "--output-file", self.folder / "sig")
        sig = (self.folder / "sig").read_bytes()
        assert len(sig) == 64
        return text + "." + base64.urlsafe_b64encode(sig).rstrip(b"=").decode()


@pytest.mark.root_only  # reads the key store's folder, which is the role's own
def test_confused_ones_of_our_own_key_are_refused(appliance, made, tmp_path):
    user, signer = made["user"], Signer(appliance, tmp_path)
    wrong = []
    for name, case in made["signed"].items():
        a = me(user, signer.sign(case["input"]))
        if a.status != (200 if case["good"] else 401):
            wrong.append((name, a))
        if name == "expired" and a.code != "token-expired":
            wrong.append((name, a))
    TOLD["tokens"] += len(made["signed"])
    TOLD["failed"] += len(wrong)
    print(f"{len(made['signed'])} signed tokens, {sum(c['good'] for c in made['signed'].values())} of them good")
    assert wrong == []


def test_a_token_comes_in_one_way_only(made):
    user = made["user"]
    path, token = "/api/v1/auth/me", user.token

    def status(**headers):
        return user.call("GET", path, headers=headers, token=None).status

    assert status(Authorization="Bearer " + token) == status(Authorization="bearer " + token) == 200
    for value in (token, "Basic " + token, "Token " + token, "Bearer", "Bearer " + token + ", Bearer " + token, "Bearer " + token + " x",
                  "Bearer\t" + token, "BearerX " + token, "Bearer=" + token, 'Bearer "' + token + '"'):
        assert status(Authorization=value) in (400, 401), value
    assert user.get(path + "?access_token=" + token, token=None).status == 401
    assert user.get(path + "?access_token=" + token).status == 400
    assert status(**{"X-Access-Token": token, "Cookie": "access_token=" + token, "Proxy-Authorization": "Bearer " + token}) == 401


def test_a_mirrored_signature_dies_with_its_session(made):
    """ECDSA lets anybody turn (r, s) into (r, n - s): another text of the same token, no more."""
    user, other = made["user"], made["mirrored"]
    assert "payload" in made["said"]["mirrored"]
    assert me(user, other).status == 200
    klero.want(user.post("/api/v1/auth/logout"), 204)
    assert me(user, user.token).status == 401 and me(user, other).status == 401
