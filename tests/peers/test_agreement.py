"""openapi.json against the daemon: the whole system suite runs while every request and answer of its
is recorded, and npm's openapi-request-validator and openapi-response-validator hold each of them
against the document (agree.mjs). KLERO_RECORD names a folder with records of an earlier run."""

import base64
import json
import os
import pathlib
import subprocess
import sys

import klero
import peers
import pytest

SYSTEM = pathlib.Path(__file__).resolve().parents[1] / "system"


@pytest.fixture(scope="module")
def document(appliance):
    return klero.want(appliance.client().get("/openapi.json"), 200).json


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The folder of the records of a whole run."""
    if os.environ.get("KLERO_RECORD"):
        return pathlib.Path(os.environ["KLERO_RECORD"])
    folder = tmp_path_factory.mktemp("records")
    many = ["-n", str(2 * os.cpu_count()), "--dist", "loadgroup"]  # as tests/check.sh does
    r = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *many, SYSTEM], timeout=3600,
                       env={**os.environ, "KLERO_RECORD": str(folder)}, capture_output=True, text=True)
    assert r.returncode == 0, r.stdout[-3000:]
    return folder


def agree(document, folder):
    return json.loads(peers.node("agree.mjs", json.dumps({"document": document, "folder": str(folder)})))


def test_document_and_daemon_agree(document, records):
    r = agree(document, records)
    counted, wrong = r["counted"], r["wrong"]
    print(counted, r["pairs"], "pairs of operation and status")
    peers.row("peers: openapi", "every request and answer of the system suite, by npm's openapi-request-validator and "
              "openapi-response-validator", counted["exchanges"], "exchanges", sum(wrong.values()),
              f"{r['pairs']} pairs of operation and status")
    assert wrong == {}
    assert r["unseen"] == []
    assert counted["exchanges"] > 5000 and counted["requests"] > 1000 and r["pairs"] >= 90


def exchanges(folder):
    for path in folder.glob("*.jsonl"):
        with open(path) as f:
            yield from map(json.loads, f)


def first(records, method, target, status):
    return next(e for e in exchanges(records) if (e["method"], e["target"], e["status"]) == (method, target, status))


def put(e, **members):
    return {**e, "answer": base64.b64encode(json.dumps({**json.loads(base64.b64decode(e["answer"])), **members}).encode()).decode()}


def test_the_validators_see_disagreement(document, records, tmp_path):
    """The measure itself: an exchange that is right, and what is made wrong of it."""
    good = first(records, "GET", "/api/v1/me", 200)
    refused = first(records, "GET", "/api/v1/wallet", 401)
    made = first(records, "POST", "/api/v1/wallet/deposit", 202)
    headers = good["answer_headers"]
    asked = json.loads(base64.b64decode(made["body"]))

    def ask(**members):
        return {**made, "body": base64.b64encode(json.dumps({**asked, **members}).encode()).decode()}

    wrong = {
        "status": {**good, "status": 203},
        "member too many": put(good, colour="red"),
        "member of another type": put(good, version="1"),
        "id that is none": put(good, id="1"),
        "time without milliseconds": put(good, created_at="2026-11-21T14:00:00Z"),
        "header too many": {**good, "answer_headers": [*headers, ["X-Colour", "red"]]},
        "header that is missing": {**good, "answer_headers": [h for h in headers if h[0] != "Strict-Transport-Security"]},
        "type": {**good, "answer_headers": [["Content-Type", "text/html"] if h[0] == "Content-Type" else h for h in headers]},
        "code that the operation lacks": put(refused, code="sold-out"),
        "code that nobody has": put(refused, code="colour"),
        "path that is not documented": {**good, "target": "/api/v1/colours"},
        "query that is not documented": {**good, "target": "/api/v1/me?colour=red"},
        "field too many, accepted": ask(colour="red"),
        "field of another type, accepted": ask(reference=1),
        "amount of nothing, accepted": ask(money={"amount": 0, "currency": "EUR"}),
        "header that is required, not there, and accepted": {**made, "headers": {"Content-Type": "application/json"}},
    }
    for name, e in {"": good, " ": refused, "  ": made, **wrong}.items():
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "1.jsonl").write_text(json.dumps(e) + "\n")
        found = agree(document, folder)["wrong"]
        assert bool(found) == (name in wrong), (name, found)
