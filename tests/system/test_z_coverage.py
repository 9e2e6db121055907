"""Runs last: every row of the route table was answered with its success status by some test, and
every kind of answer that any test got is as openapi.json says (tests/peers holds all of them against
it by other people's validators; this one needs nothing but Python)."""

import os
import re

import klero
import pytest

ROW = re.compile(r'^ROUTE\((\w+), (\w+), "([^"]+)", \w+, \w+, \w+, \w+, (\d+),', re.M)
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


@pytest.fixture(autouse=True, scope="module")
def all_the_others(request):
    """Of this process, or of the workers before it."""
    worker, alone = hasattr(request.config, "workerinput"), len({i.fspath for i in request.session.items}) < 9
    if worker or alone and "KLERO_SAMPLES" not in os.environ:
        pytest.skip("only with all the other tests")
    if alone:
        klero.Samples.load(os.environ["KLERO_SAMPLES"])


def test_every_route_was_tested():
    table = ROW.findall((klero.HERE.parents[1] / "daemon/api/route.def").read_text())
    assert len(table) > 30
    missed = []
    for name, method, path, status in table:
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path.replace("{+tile}", ".+")))
        if not any(m == method and s == int(status) and pattern.fullmatch(p) for m, p, s in klero.Client.seen):
            missed.append(name)
    assert not missed


def follow(doc, node):
    """What a reference refers to, with what stands beside the reference."""
    if "$ref" not in node:
        return node
    at = doc
    for part in node["$ref"][2:].split("/"):
        at = at[part]
    return {**at, **node}


def disagree(doc, schema, value, where=""):
    """What of a value the schema does not allow."""
    schema = follow(doc, schema)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(type(value) is TYPES[t] for t in types):
        return [f"{where} is no {types}"]
    out = []
    if value not in schema.get("enum", [value]):
        out.append(f"{where} is {value!r}")
    if isinstance(value, str) and (len(value) > schema.get("maxLength", len(value)) or not re.search(schema.get("pattern", ""), value)):
        out.append(f"{where} is {value!r}")
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        out.append(f"{where} is {value}")
    if isinstance(value, list):
        for v in value if "items" in schema else []:
            out += disagree(doc, schema["items"], v, where + "[]")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        out += [f"{where}/{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, v in value.items():
            if name in known:
                out += disagree(doc, known[name], v, f"{where}/{name}")
            elif schema.get("additionalProperties") is False:
                out.append(f"{where}/{name} is not documented")
    return out


def judge(doc, operation, answer):
    spec = operation["responses"].get(str(answer.status))
    if spec is None and answer.status >= 400:
        spec = operation["responses"]["default"]
    if spec is None:
        return ["the status is not documented"]
    spec = follow(doc, spec)
    if not spec.get("content") or not answer.body:
        return []
    kind = (answer.headers.get("Content-Type") or "").split(";")[0]
    if kind not in spec["content"]:
        return [f"the content type is {kind!r}"]
    if not kind.endswith("json"):
        return []
    out = disagree(doc, spec["content"][kind]["schema"], answer.json)
    if answer.status >= 400 and answer.code not in spec["description"].split(", "):
        out.append(f"the code {answer.code} is not documented")
    return out


def test_every_kind_of_answer_is_documented(client):
    doc = klero.want(client.get("/openapi.json"), 200).json
    # a tile's path has several segments (RFC 6570's {+tile}, which OpenAPI does not know)
    rows = [(re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path).replace(r"\{tile\}", ".+"))), item)
            for path, item in doc["paths"].items()]
    wrong, judged = set(), 0
    for (method, path, status), answers in list(klero.Samples.kept.items()):
        item = next((item for pattern, item in rows if pattern.fullmatch(path)), {})
        operation = item.get({"HEAD": "get"}.get(method, method.lower()))
        if operation is None:
            if status < 300 and method != "OPTIONS":
                wrong.add(f"{method} {path} {status}: the document does not know it")
            continue
        for a in answers:
            judged += 1
            wrong |= {f"{method} {path} {status}: {what}" for what in judge(doc, operation, a)}
    assert judged > 300
    assert wrong == set()
