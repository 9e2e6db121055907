"""kleroctl hsm check: a row for each need, each of them tried; nothing is left in the token; what is
wrong on the command line or with the module is one line and a status."""

import json
import os
import pathlib


ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULE = os.environ.get("KLERO_MODULE", "softhsm")
# what the modules of the tests may do without; a newer release of one does with more
LACKS = {"softhsm": set(), "nss": {"ED25519", "SECP256K1", "UNWRAP_TEMPLATE", "DATA"}}


def needs():
    lines = (ROOT / "hsm" / "p11" / "need.def").read_text().splitlines()
    return {line[5:].split(",")[0]: line.split(",")[1].strip() for line in lines if line.startswith("NEED(")}


def reports(appliance, *more):
    return [json.loads(line) for line in appliance.ctl("hsm", "check", "--json", *more).stdout.splitlines()]


def test_each_need_is_tried(appliance):
    keys, tls = reports(appliance)
    assert (keys["for"], tls["for"]) == ("keys", "tls") and keys["usable"] and tls["usable"]
    rows = {row["id"]: row for row in keys["needs"]}
    assert set(rows) == {name for name, who in needs().items() if who != "TLS"}
    assert {name for name, row in rows.items() if not row["has"]} <= LACKS[MODULE]
    assert all(row["has"] is not None for row in rows.values())
    assert {row["id"] for row in tls["needs"]} == {name for name, who in needs().items() if who != "KEYS"}
    for name in ("RANDOM", "GCM", "HMAC", "KWP", "REVEAL", "ECDSA"):
        assert rows[name]["ns"] > 0, name
    table = appliance.ctl("hsm", "check").stdout
    assert table.count("this token can be used") == 2 and "not tried" not in table


def test_nothing_stays(fresh):
    fresh.stop()
    folder = fresh.dir / "tokens"
    before = sorted((p.name, p.stat().st_size) for p in folder.rglob("*") if p.is_file())
    reports(fresh)
    assert sorted((p.name, p.stat().st_size) for p in folder.rglob("*") if p.is_file()) == before
    fresh.start()


def test_one_token_by_name(appliance):
    [tls] = reports(appliance, "--token", "klero-tls", "--tls", "--pin-file", str(appliance.dir / "tls.pin"))
    assert tls["token"] == "klero-tls" and tls["for"] == "tls"


def test_what_is_wrong_is_said(appliance, tmp_path):
    for words, status, said in (
        (["--module", "/nowhere.so"], 1, "cannot be loaded"),
        (["--token", "no-such-token"], 1, ""),
        (["--pin-file", "/nowhere"], 2, "/nowhere"),
        (["--nonsense"], 2, "usage: kleroctl hsm check [--module"),
        (["more"], 2, "too many arguments"),
    ):
        run = appliance.ctl("hsm", "check", *words, check=False)
        assert run.returncode == status and said in run.stderr, (words, run)
    run = appliance.ctl("hsm", "check", "--token", "no-such-token", check=False)
    assert "no token labelled no-such-token" in run.stdout and "cannot be used" in run.stdout
