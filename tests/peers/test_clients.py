"""HTTP/1.1 as other people's clients speak it: curl, node, undici, httpx, requests, aiohttp and Go
each go through one plan of requests over one connection, and every one gets the same answers; undici
and wrk pipeline; ab, which speaks HTTP/1.0 only, is refused in order."""

import hashlib
import json
import os
import re
import secrets
import subprocess
import sys

import klero
import peers
import pytest

HERE = peers.pathlib.Path(__file__).resolve().parent
JSON = {"Content-Type": "application/json"}
CONNECTIONS = re.compile(r'^klero_net_connections_total\{net="\d+"\} (\d+)$', re.M)
COUNTED = {"requests": 0, "failed": 0}


@pytest.fixture(scope="module")
def table():
    yield
    peers.row("peers: clients", "HTTP/1.1 by curl, node, undici, httpx, requests, aiohttp, Go, wrk and ab: keep-alive, pipelining, "
              "chunked bodies, HEAD, 100-continue, large answers, closing; every route by curl and httpx",
              COUNTED["requests"], "requests", COUNTED["failed"])


def by_script(*argv):
    def run(kind, given):
        r = subprocess.run([*argv], input=json.dumps({**given, "kind": kind}), capture_output=True, text=True, cwd=peers.FOLDER, timeout=300)
        assert r.returncode == 0, r.stderr[-3000:]
        return json.loads(r.stdout)
    return run


def by_go(kind, given):
    program = peers.FOLDER / "client-go"
    if not program.exists() or program.stat().st_mtime < (HERE / "client.go").stat().st_mtime:
        subprocess.run(["go", "build", "-o", program, HERE / "client.go"], check=True, timeout=600, env={
            **os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off", "GOCACHE": str(peers.FOLDER / "go"), "CGO_ENABLED": "0"})
    return by_script(program)(kind, given)


def by_curl(_, given):
    """One curl for the whole plan: its parts joined by --next share the connection."""
    folder = peers.FOLDER / ("curl-" + secrets.token_hex(4))
    folder.mkdir()
    argv = []
    for i, q in enumerate(given["plan"]):
        argv += ["--next"] if i else []
        argv += ["--cacert", given["ca"], "--silent", "--show-error", "--globoff", "--path-as-is", "--http1.1", "--max-time", "60",
                 "--dump-header", folder / f"{i}.head", "--output", folder / f"{i}.body", given["url"] + q["path"]]
        argv += ["--head"] if q["method"] == "HEAD" else ["--request", q["method"]]
        headers = dict(q["headers"])
        if q.get("chunked"):
            headers["Transfer-Encoding"] = "chunked"
        headers["Expect"] = "100-continue" if q.get("expect") else ""
        for k, v in headers.items():
            argv += ["--header", f"{k}: {v}" if v else f"{k}:"]
        if q.get("body") is not None:
            argv += ["--data-binary", q["body"]]
    r = subprocess.run(["curl", *argv], capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stderr
    out = []
    for i, q in enumerate(given["plan"]):
        blocks = (folder / f"{i}.head").read_bytes().decode().replace("\r\n", "\n").strip().split("\n\n")
        lines = blocks[-1].split("\n")
        body = (folder / f"{i}.body").read_bytes() if (folder / f"{i}.body").exists() and q["method"] != "HEAD" else b""
        out.append({"status": int(lines[0].split()[1]), "length": len(body), "digest": hashlib.sha256(body).hexdigest(),
                    "headers": {k.lower(): v for k, _, v in (l.partition(": ") for l in lines[1:])},
                    "continued": " 100" in blocks[0].split("\n")[0]})
    for p in folder.iterdir():
        p.unlink()
    folder.rmdir()
    return out


CLIENTS = {
    "curl": by_curl, "go": by_go,
    **{name: by_script("node", "client.mjs") for name in ("node", "undici")},
    **{name: by_script(sys.executable, HERE / "client.py") for name in ("httpx", "requests", "aiohttp")},
}
# whoever can wait for a 100 before the body
WAITING = ("curl", "go", "node", "aiohttp")
# asks for the end of the connection with every HEAD, for fear of servers that send a body
CLOSING = ("undici",)


class Opened:
    """How many connections the appliance has taken, without those that ask."""

    def __init__(self, appliance):
        self.admin = appliance.admin()
        self.admin.get("/health")

    def __call__(self):
        return sum(map(int, CONNECTIONS.findall(klero.want(self.admin.get("/metrics"), 200).body.decode())))


@pytest.fixture(scope="module")
def appliance(lab):
    """With one net, whose counters are of now when it is asked."""
    a = lab.make("nets 1").start()
    yield a
    a.stop()


@pytest.fixture(scope="module")
def opened(appliance):
    return Opened(appliance)


def given(appliance, plan, **more):
    return {"url": f"https://localhost:{appliance.port}", "ca": str(appliance.ca), "plan": plan, **more}


def login(person, **more):
    body = json.dumps({"email": person.email, "password": person.password})
    return {"method": "POST", "path": "/api/v1/auth/login", "headers": JSON, "body": body, "chunked": False, "expect": False, **more}


def ask(method, path, headers=None, body=None, **more):
    return {"method": method, "path": path, "headers": headers or {}, "body": body, "chunked": False, "expect": False, **more}


def the_plan(person, other, waiting):
    """(request, status) in turn; the last one closes."""
    mine, its = {"Authorization": "Bearer " + person.token}, {"Authorization": "Bearer " + other.token}
    version = klero.want(person.get("/api/v1/me"), 200).json["version"]
    big = json.dumps({"email": "a" * 60000, "password": "x"})
    return [
        *[(ask("GET", "/health"), 200)] * 5,
        (ask("HEAD", "/health"), 200), (ask("HEAD", "/openapi.json"), 200), (ask("HEAD", "/nowhere"), 404),
        *[(ask("GET", "/openapi.json"), 200)] * 3,
        (ask("GET", "/openapi.json", {"Accept-Encoding": "gzip, br", "Range": "bytes=0-9"}), 200),
        (ask("GET", "/nowhere"), 404), (ask("DELETE", "/health"), 405), (ask("OPTIONS", "/health"), 405),
        (ask("GET", "/auth/me"), 308), (ask("GET", "/api/v1/me"), 401), (ask("GET", "/api/v1/me", mine), 200),
        (ask("GET", "/api/v1/raffles?limit=1&state=open"), 200), (ask("GET", "/api/v1/raffles?limit=0"), 400),
        (login(person), 200), (login(person, chunked=True), 200),
        *([(login(person, expect=True), 200)] if waiting else []),
        (ask("POST", "/api/v1/auth/login", JSON, "{"), 400), (ask("POST", "/api/v1/auth/login", JSON, "[1,", chunked=True), 400),
        (ask("POST", "/api/v1/auth/login", {"Content-Type": "text/plain"}, "hello"), 415),
        (ask("POST", "/api/v1/auth/login", JSON, big), 400), (ask("POST", "/api/v1/auth/login", JSON, big, chunked=True), 400),
        (ask("PATCH", "/api/v1/me", {**mine, **JSON}, json.dumps({"display_name": "n", "version": version})), 200),
        (ask("PATCH", "/api/v1/me", {**mine, **JSON}, json.dumps({"display_name": "n", "version": version})), 409),
        (ask("POST", "/api/v1/auth/logout", its), 204), (ask("GET", "/api/v1/me", its), 401),
        (ask("GET", "/health", {"Connection": "close"}), 200),
    ]


@pytest.mark.parametrize("name", CLIENTS)
def test_one_plan_one_connection(appliance, opened, table, name):
    plan = the_plan(appliance.person(), appliance.person(), name in WAITING)
    document = klero.want(appliance.client().get("/openapi.json"), 200).body
    digest = hashlib.sha256(document).hexdigest()
    before = opened()
    answers = CLIENTS[name](name, given(appliance, [q for q, _ in plan]))
    assert len(answers) == len(plan)
    wrong = []
    for i, ((q, status), a) in enumerate(zip(plan, answers)):
        what = (i, q["method"], q["path"], status, {k: v for k, v in a.items() if k != "headers"})
        last = i == len(plan) - 1 or (name in CLOSING and q["method"] == "HEAD")
        good = a.get("status") == status and ("close" in a["headers"].get("connection", "")) == last
        if good and q["method"] == "HEAD":
            good = a["length"] == 0 and (status != 200 or int(a["headers"]["content-length"]) > 0)
        elif good and q["path"] == "/openapi.json":
            good = a["digest"] == digest and "content-encoding" not in a["headers"]
        elif good and status == 204:
            good = a["length"] == 0 and "content-length" not in a["headers"]
        elif good and q["expect"]:
            # aiohttp does not tell; what it waits for it has got, or it would have failed
            good = a.get("continued", name == "aiohttp")
        if not good:
            wrong.append(what)
    COUNTED["requests"] += len(plan)
    COUNTED["failed"] += len(wrong)
    assert wrong == []
    heads = sum(q["method"] == "HEAD" for q, _ in plan)
    assert opened() - before == 1 + heads * (name in CLOSING), "more connections than one"


@pytest.mark.parametrize("name", CLIENTS)
def test_what_is_too_large_is_told(appliance, table, name):
    """The answer comes while the body is still on its way, and the connection ends: it must not be lost."""
    big = "x" * 100000
    plan = [ask("POST", "/api/v1/auth/login", JSON, big), ask("GET", "/health")]
    answers = CLIENTS[name](name, given(appliance, plan))
    COUNTED["requests"] += 2
    COUNTED["failed"] += [a.get("status") for a in answers] != [413, 200]
    assert [a.get("status") for a in answers] == [413, 200], answers


def test_undici_pipelines(appliance, opened, table):
    paths = ["/health", "/api/v1/raffles", "/nowhere", "/openapi.json", "/.well-known/jwks.json"]
    plan = [ask("GET", paths[i % len(paths)]) for i in range(500)]
    before = opened()
    answers = CLIENTS["undici"]("undici", given(appliance, plan, pipeline=20))
    wrong = [(q["path"], a["status"]) for q, a in zip(plan, answers) if a["status"] != (404 if q["path"] == "/nowhere" else 200)]
    COUNTED["requests"] += len(plan)
    COUNTED["failed"] += len(wrong)
    assert wrong == [] and opened() - before == 1
    # in order: every answer is the one to its request
    assert len({(q["path"], a["digest"]) for q, a in zip(plan, answers) if q["path"] in (paths[3], paths[4])}) == 2


@pytest.mark.parametrize("depth", [1, 16])
def test_wrk(appliance, table, tmp_path, depth):
    script = tmp_path / "plan.lua"
    script.write_text("""
local paths, depth, n = {"/health", "/api/v1/raffles", "/.well-known/jwks.json"}, %d, 0
function init(args)
    local r = {}
    for i = 1, depth do r[i] = wrk.format("GET", paths[i %% #paths + 1]) end
    all = table.concat(r)
end
function request() return all end
function done(s, latency, requests)
    io.write(string.format("RESULT %%d %%d\\n", s.requests, s.errors.status + s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout))
end
""" % depth)
    r = subprocess.run(["wrk", "-t1", "-c20", "-d3s", "-s", script, f"https://127.0.0.1:{appliance.port}"], capture_output=True, text=True, timeout=120)
    asked, failed = map(int, re.search(r"^RESULT (\d+) (\d+)$", r.stdout, re.M).groups())
    COUNTED["requests"] += asked
    COUNTED["failed"] += failed
    assert asked > 100 and failed == 0, r.stdout


def test_ab_is_refused_in_order(appliance, table):
    """HTTP/1.0: 505 for each, whole, none left hanging."""
    r = subprocess.run(["ab", "-q", "-n", "200", "-c", "10", "-f", "TLS1.3", f"https://localhost:{appliance.port}/health"],
                       capture_output=True, text=True, timeout=120)
    said = dict(re.findall(r"^([A-Z][\w /-]+?): +(\d+)", r.stdout, re.M))
    COUNTED["requests"] += 200
    assert said["Complete requests"] == "200" and said["Failed requests"] == "0" and said["Non-2xx responses"] == "200", r.stdout + r.stderr


# what fits the parameters of any path
EXAMPLE = {**dict.fromkeys(("id", "raffle", "payout"), "01890000-0000-7000-8000-000000000000"), "tile": "0/000"}


@pytest.mark.parametrize("name", ["curl", "httpx"])
def test_every_route(appliance, opened, table, name):
    document = klero.want(appliance.client().get("/openapi.json"), 200).json
    plan, documented = [], []
    for path, item in document["paths"].items():
        for method, op in item.items():
            headers = {"Authorization": "Bearer " + opened.admin.token, "Idempotency-Key": secrets.token_hex(8)}
            body = None
            if "requestBody" in op:
                headers.update(JSON)
                body = "{}"
            if path != "/api/v1/auth/logout":  # its token is needed still
                plan.append(ask(method.upper(), path.format(**EXAMPLE), headers, body))
                documented.append(op["responses"])
    answers = CLIENTS[name](name, given(appliance, plan))
    wrong = [(q["method"], q["path"], a.get("status")) for q, a, d in zip(plan, answers, documented) if str(a.get("status")) not in d]
    COUNTED["requests"] += len(plan)
    COUNTED["failed"] += len(wrong)
    assert wrong == [] and len(plan) >= 30
    # and some of them with success
    assert sum(a["status"] == 200 for a in answers) >= 10
