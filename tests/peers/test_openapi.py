"""openapi.json under redocly's recommended and spectral's OWASP rules. spectral.yaml and
redocly.yaml say which rules do not fit, and why."""

import json

import klero
import peers
import pytest


@pytest.fixture(scope="module")
def document(appliance):
    path = peers.FOLDER / "openapi.json"
    path.write_bytes(klero.want(appliance.client().get("/openapi.json"), 200).body)
    return path.name


@pytest.fixture(scope="module")
def operations(document):
    return sum(len(item) for item in json.loads((peers.FOLDER / document).read_text())["paths"].values())


def test_redocly(document, operations):
    r = peers.run("node_modules/.bin/redocly", "lint", document, "--config", "redocly.yaml", "--format", "json", check=False)
    found = json.loads(r.stdout[r.stdout.index("{"):])
    peers.row("peers: redocly", "its recommended rules over openapi.json", operations, "operations", len(found["problems"]))
    assert found["problems"] == [] and r.returncode == 0


def test_spectral(document, operations):
    r = peers.run("node_modules/.bin/spectral", "lint", document, "-r", "spectral.yaml", "-f", "json", check=False)
    found, _ = json.JSONDecoder().raw_decode(r.stdout[r.stdout.index("["):])  # words may follow
    peers.row("peers: spectral", "its OpenAPI and OWASP rules over openapi.json", operations, "operations", len(found))
    assert [(f["code"], "/".join(map(str, f["path"])), f["message"]) for f in found] == []
