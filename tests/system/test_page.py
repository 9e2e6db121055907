"""GET /verify: the page that checks proofs in the reader's browser, as net serves it. What it does there is
tried by tests/page."""

import base64
import hashlib
import re
import uuid

import klero
import pytest


@pytest.fixture
def page(client):
    return klero.want(client.get("/verify"), 200)


def test_it_is_one_document_without_foreign_parts(page):
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")
    assert not re.search(r"""(?:src|href|action|url\()\s*=?\s*["']?(?:https?:)?//""", text)


def test_its_policy_allows_its_own_script_and_style_alone(page):
    policy = page.headers["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for element, name in (("script", "script-src"), ("style", "style-src")):
        inside = re.findall(rf"<{element}>(.*?)</{element}>", page.body.decode(), re.S)
        assert len(inside) == 1
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'" and rules["connect-src"] == "'self'" and rules["frame-ancestors"] == "'none'"
    assert rules["require-trusted-types-for"] == "'script'" and "unsafe" not in policy
    # the saved file carries the same, but for what only a server can say
    assert re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page.body.decode())[1] == policy.replace("; frame-ancestors 'none'", "")


def test_who_has_it_is_not_sent_it_again(client, page):
    tag = page.headers["ETag"]
    assert page.headers["Cache-Control"] == "no-cache"
    for has in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        a = client.get("/verify", headers={"If-None-Match": has})
        assert (a.status, a.body, a.headers["ETag"]) == (304, b"", tag) and "Content-Length" not in a.headers
    for has in ('"other"', tag[1:-1], tag[:-2] + '"', ""):
        assert client.get("/verify", headers={"If-None-Match": has}).status == 200


def test_head_names_and_types(client, page):
    a = client.call("HEAD", "/verify")
    assert (a.status, a.body, a.headers["Content-Length"]) == (200, b"", str(len(page.body)))
    assert client.get(f"/verify?raffle={uuid.uuid4()}").body == page.body
    assert client.get("/verify?raffle=../../etc").status == 400
    assert client.get("/verify?other=1").status == 400
    assert client.get("/verify", headers={"Accept": "text/html,application/xhtml+xml;q=0.9"}).status == 200
    assert client.get("/verify", headers={"Accept": "image/png"}).status == 406
    assert client.call("POST", "/verify").status == 405
