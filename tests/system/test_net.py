"""net alone, with a harness in the place of parent, engine and tlskey (tests/tools/net_harness.c):
what it does when one of them goes and comes, what it keeps and drops, and how it is bounded."""

import contextlib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import conftest
import klero
import pytest
from test_http import Wire

HARNESS = pathlib.Path(os.environ.get("KLERO_NET_HARNESS", conftest.BIN.parent / "tools" / "net_harness"))
HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
RAFFLES = b"GET /api/v1/raffles" + HEAD + b"\r\n"
HEALTH = b"GET /health" + HEAD + b"\r\n"
ME = b"GET /api/v1/me" + HEAD + b"Authorization: Bearer %s\r\n\r\n"


class Net:
    """klerod-net in its sandbox, steered through the harness."""

    def __init__(self, folder, *options):
        self.port = klero.free_port()
        self.ca = folder / "cert.pem"
        self.process = subprocess.Popen(
            [HARNESS, "-p", str(self.port), *options, conftest.BIN / "klerod-net", self.ca],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("ready")

    def say(self, word):
        """Steers; returns how many requests engine has seen so far."""
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        done, said, count = self.process.stdout.readline().split()
        assert (done, said) == ("done", word)
        return int(count)

    def seen(self):
        return self.say("engine-on")  # it is on: this changes nothing

    def wire(self):
        return Wire(self)

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.write("stop\n")
            self.process.stdin.flush()
        status = self.process.wait(120)
        self.process.stdin.close()
        self.process.stdout.close()
        self.log = self.process.stderr.read()
        self.process.stderr.close()
        return status


@pytest.fixture
def net(tmp_path, request):
    options = getattr(request, "param", ["-l", "0"])
    made = Net(tmp_path, *options)
    yield made
    assert made.end() == 0


def header(head, name):
    for line in head.split(b"\r\n"):
        if line.lower().startswith(name.lower() + b":"):
            return line.split(b":", 1)[1].strip().decode()
    return None


def later(seconds, function, *arguments):
    timer = threading.Timer(seconds, function, arguments)
    timer.start()
    return timer


# --- engine goes and comes ---

def test_waiting_request_is_told_that_engine_went(net):
    w = net.wire()
    net.say("hold")
    w.send(ME % b"t")
    while net.say("hold") == 0:
        time.sleep(0.01)
    net.say("engine-off")
    status, head, body = w.answer()
    assert status == 503 and json.loads(body)["code"] == "restarting"
    assert header(head, b"Retry-After") == "1"
    # the connection lives on, through the time without engine and into the time after it
    assert w.send(HEALTH).answer()[0] == 503
    net.say("engine-on")
    net.process.stdin.flush()
    net.say("tlskey-on")
    w.close()


def test_connection_survives_a_new_engine(net):
    w = net.wire()
    assert w.send(RAFFLES).answer()[0] == 200
    net.say("engine-off")
    assert w.send(HEALTH).answer()[0] == 503
    # what engine said before may be true no more
    assert w.send(RAFFLES).answer()[0] == 503
    net.say("engine-on")
    deadline = time.monotonic() + 60
    while w.send(HEALTH).answer()[0] != 200:
        assert time.monotonic() < deadline
    assert w.send(RAFFLES).answer()[0] == 200
    w.close()


def test_late_answer_reaches_nobody_else(net):
    first, second = net.wire(), net.wire()
    net.say("hold")
    first.send(ME % b"first")
    while net.say("hold") != 1:
        time.sleep(0.01)
    first.close()
    time.sleep(0.1)
    again = net.wire()  # takes the slot that became free
    again.send(ME % b"again-token")
    second.send(ME % b"second")
    while net.say("hold") != 3:
        time.sleep(0.01)
    net.say("release")
    assert json.loads(again.answer()[2])["token_len"] == len("again-token")
    assert json.loads(second.answer()[2])["token_len"] == len("second")
    again.close()
    second.close()


def test_engine_that_never_answers(net):
    w = net.wire()
    net.say("hold")
    began = time.monotonic()
    status, head, body = w.send(ME % b"t").answer()
    assert status == 503 and json.loads(body)["code"] == "busy" and header(head, b"Retry-After")
    assert time.monotonic() - began > 9
    net.say("release")  # the late answer is nobody's
    assert json.loads(w.send(ME % b"four").answer()[2])["token_len"] == 4
    w.close()


# --- tlskey goes and comes ---

def test_new_connections_wait_for_tlskey(net):
    old = net.wire()
    net.say("tlskey-off")
    assert old.send(HEALTH).answer()[0] == 200  # nobody who is in notices
    back = threading.Event()
    timer = later(0.6, lambda: (back.set(), net.say("tlskey-on")))
    w = net.wire()
    assert back.is_set()
    assert w.send(HEALTH).answer()[0] == 200
    timer.join()
    old.close()
    w.close()


def test_tlskey_that_is_stuck(net):
    old = net.wire()
    net.say("tlskey-hold")
    began = time.monotonic()
    with pytest.raises((ssl.SSLError, OSError)):
        net.wire()
    assert time.monotonic() - began > 0.9
    began = time.monotonic()
    for _ in range(20):  # one waited its second, the others need not
        with pytest.raises((ssl.SSLError, OSError)):
            net.wire()
    assert time.monotonic() - began < 18
    assert old.send(HEALTH).answer()[0] == 200
    net.say("tlskey-release")  # the late answer is no signature of the next handshake
    deadline = time.monotonic() + 60
    w = None
    while w is None:  # until that answer has come
        assert time.monotonic() < deadline
        with contextlib.suppress(ssl.SSLError, OSError):
            w = net.wire()
    assert w.send(HEALTH).answer()[0] == 200
    old.close()
    w.close()


def test_wrong_tls_key_is_named(tmp_path):
    net = Net(tmp_path, "-w")
    for _ in range(2):
        with pytest.raises((ssl.SSLError, OSError)):
            net.wire()
    assert net.end() == 0
    assert "the key in tlskey is not the certificate's" in net.log


# --- the cache ---

def test_public_answers_are_kept_until_dropped(net):
    w = net.wire()
    bodies = [w.send(RAFFLES).answer()[2] for _ in range(5)]
    assert len(set(bodies)) == 1 and net.seen() == 1
    head = w.send(b"HEAD /api/v1/raffles" + HEAD + b"\r\n")
    assert b"Content-Length: %d" % len(bodies[0]) in head.sock.recv(4096) and net.seen() == 1
    w.send(b"GET /api/v1/raffles?limit=5" + HEAD + b"\r\n").answer()
    assert net.seen() == 2  # another target
    net.say("drop")
    w.send(HEALTH).answer()  # its answer came behind the drop
    w.send(RAFFLES).answer()
    assert net.seen() == 4
    w.close()


def test_a_token_bypasses_the_cache(net):
    w = net.wire()
    w.send(RAFFLES).answer()
    for _ in range(2):
        w.send(b"GET /api/v1/raffles" + HEAD + b"Authorization: Bearer t\r\n\r\n").answer()
    assert net.seen() == 3
    w.send(RAFFLES).answer()
    assert net.seen() == 3
    w.close()


def test_private_rows_are_never_kept(net):
    w = net.wire()
    w.send(HEALTH).answer()
    w.send(HEALTH).answer()
    assert net.seen() == 2
    w.close()


def test_the_same_question_is_asked_once(net):
    net.say("hold")
    wires = [net.wire() for _ in range(20)]
    for w in wires:
        w.send(RAFFLES)
    wires[0].close()  # that the first one goes changes nothing for the others
    while net.say("hold") == 0:
        time.sleep(0.01)
    time.sleep(0.3)
    assert net.say("hold") == 1
    net.say("release")
    answers = [w.answer() for w in wires[1:]]
    assert {a[0] for a in answers} == {200}
    assert net.seen() == 1
    for w in wires[1:]:
        w.close()


def test_what_was_on_its_way_at_a_drop_is_not_kept(net):
    net.say("hold")
    wires = [net.wire()]
    wires[0].send(RAFFLES)
    while net.say("hold") != 1:
        time.sleep(0.01)
    net.say("drop")
    deadline = time.monotonic() + 60
    while net.say("hold") != 2:  # who asks when net has heard of it may not be given the answer that was on its way
        assert time.monotonic() < deadline
        wires.append(net.wire())
        wires[-1].send(RAFFLES)
        time.sleep(0.1)
    net.say("release")
    assert {w.answer()[0] for w in wires} == {200}
    assert wires[-1].send(RAFFLES).answer()[0] == 200
    assert net.seen() == 2  # the second answer was kept
    for w in wires:
        w.close()


# --- limits ---

@pytest.mark.parametrize("net", [["-l", "3"]], indirect=True)
def test_anonymous_limit(net):
    w = net.wire()
    for left in (2, 1, 0):
        status, head, _ = w.send(RAFFLES).answer()
        assert status == 200
        assert header(head, b"RateLimit-Policy") == '"anonymous";q=3;w=900'
        assert header(head, b"RateLimit").startswith(f'"anonymous";r={left};t=')
    w.close()
    w = net.wire()  # another connection of the same address
    status, head, body = w.send(RAFFLES).answer()
    assert status == 429 and json.loads(body)["code"] == "rate-limited"
    assert 0 < int(header(head, b"Retry-After")) <= 900
    assert w.send(b"GET /nothing" + HEAD + b"\r\n").answer()[0] == 429
    assert w.send(HEALTH).answer()[0] == 200  # not counted
    assert w.send(ME % b"t").answer()[0] == 200  # counted per user, by engine
    w.close()


@pytest.mark.parametrize("net", [["-l", "20"]], indirect=True)
def test_bad_tokens_are_counted(net):
    w = net.wire()
    for _ in range(21):
        status, head, _ = w.send(ME % b"bad").answer()
        assert status == 401
        assert header(head, b"WWW-Authenticate") == 'Bearer realm="klero", error="invalid_token"'
    before = net.seen()
    assert w.send(ME % b"bad").answer()[0] == 429
    assert w.send(ME % b"good").answer()[0] == 429  # one cannot tell them apart before asking
    assert net.seen() == before
    assert w.send(RAFFLES).answer()[0] == 200
    w.close()


@pytest.mark.parametrize("net", [["-l", "1000"]], indirect=True)
def test_password_guessing_has_its_own_limit(net):
    w = net.wire()
    login = b'{"email":"a@b.example","password":"x"}'
    request = (b"POST /api/v1/auth/login" + HEAD + b"Content-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(login)) + login
    assert [w.send(request).answer()[0] for _ in range(6)] == [200] * 5 + [429]
    assert w.send(RAFFLES).answer()[0] == 200
    w.close()


# --- connections ---

@pytest.mark.parametrize("net", [["-l", "0", "-m", "4"]], indirect=True)
def test_a_new_connection_takes_the_place_of_the_longest_idle(net):
    wires = []
    for _ in range(4):
        wires.append(net.wire())
        assert wires[-1].send(HEALTH).answer()[0] == 200
    assert wires[0].send(HEALTH).answer()[0] == 200  # so the second is idle longest now
    fifth = net.wire()
    assert fifth.send(HEALTH).answer()[0] == 200
    wires[1].sock.settimeout(60)
    try:
        assert wires[1].sock.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        pass
    for w in (wires[0], wires[2], wires[3]):
        assert w.send(HEALTH).answer()[0] == 200
    for w in wires + [fifth]:
        w.close()


SLOW = {
    "handshake": None,
    "head": b"GET /health HTTP/1.1\r\nX",
    "body": b"POST /api/v1/auth/login" + HEAD + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    "answer": (b"GET /openapi.json" + HEAD + b"\r\n") * 200,
}


@pytest.mark.parametrize("kind", SLOW)
@pytest.mark.parametrize("net", [["-l", "0", "-m", "4"]], indirect=True)
def test_the_slow_give_way_before_those_who_go_on(net, kind):
    """Three of four places are held by who never comes to an end; the fourth by one who behaves."""
    good = net.wire()
    slow = []
    for _ in range(3):
        if SLOW[kind] is None:
            slow.append(socket.create_connection(("127.0.0.1", net.port), timeout=30))
        else:
            slow.append(net.wire())
            slow[-1].sock.settimeout(0.5)
            try:
                slow[-1].send(SLOW[kind])  # and what is answered is not read
            except TimeoutError:
                pass
    for _ in range(30):  # longer than a slow one is waited for
        assert good.send(HEALTH).answer()[0] == 200
        time.sleep(0.1)
    new = [net.wire() for _ in range(3)]
    for w in [good, *new]:
        assert w.send(HEALTH).answer()[0] == 200
    for w in [good, *new, *slow]:
        w.close()


@pytest.mark.parametrize("net", [["-l", "0", "-m", "4"]], indirect=True)
def test_busy_connections_are_not_pushed_out(net):
    wires = [net.wire() for _ in range(4)]
    net.say("hold")
    for w in wires:
        w.send(ME % b"t")
    while net.say("hold") != 4:
        time.sleep(0.01)
    timer = later(0.5, net.say, "release")
    fifth = net.wire()  # waits until one is idle
    assert fifth.send(HEALTH).answer()[0] == 200
    timer.join()
    answers = 0
    for w in wires:
        answers += w.answer()[0] == 200
    assert answers == 4
    for w in wires + [fifth]:
        w.close()


def test_stop_lets_the_answer_leave(tmp_path):
    net = Net(tmp_path, "-l", "0")
    busy, idle = net.wire(), net.wire()
    net.say("hold")
    busy.send(ME % b"t")
    while net.say("hold") != 1:
        time.sleep(0.01)
    net.say("stop")
    assert idle.until_close() == b""
    with pytest.raises(TimeoutError):  # not served any more
        socket.create_connection(("127.0.0.1", net.port), timeout=0.5).recv(1)
    net.say("release")
    status, head, _ = busy.answer()
    assert status == 200 and header(head, b"Connection") == "close"
    assert busy.until_close() == b""
    assert net.end() == 0


# --- order and pressure ---

def test_pipelined_requests_keep_their_order(net):
    w = net.wire()
    requests = []
    for i in range(60):
        requests.append(RAFFLES if i % 3 else ME % (b"t" * (i + 1)))
    w.send(b"".join(requests))
    data = b""
    while data.count(b"HTTP/1.1 200") < 60 or not data.endswith(b"}"):
        data += w.sock.recv(65536)
    bodies = [part.split(b"\r\n\r\n", 1)[1] for part in data.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    for i, body in enumerate(bodies):
        if i % 3:
            assert json.loads(body)["items"]
        else:
            assert json.loads(body)["token_len"] == i + 1
    w.close()


def test_a_slow_reader_gets_every_byte(net):
    w = net.wire()
    w.send(b"GET /openapi.json" + HEAD + b"Connection: close\r\n\r\n")
    whole = w.until_close().split(b"\r\n\r\n", 1)[1]
    json.loads(whole)
    w = net.wire()
    count = 100
    reader = threading.Thread(target=w.send, args=(b"GET /openapi.json" + HEAD + b"\r\n",))
    reader.start()
    reader.join()
    sender = threading.Thread(target=lambda: [w.send(b"GET /openapi.json" + HEAD + b"\r\n") for _ in range(count - 1)])
    sender.start()
    time.sleep(1)  # by now its window is full, and reading has stopped
    other = net.wire()
    assert other.send(HEALTH).answer()[0] == 200
    other.close()
    data = b""
    while data.count(whole) < count:
        part = w.sock.recv(65536)
        assert part
        data += part
    sender.join()
    w.close()


PROOF = b"GET /api/v1/raffles/01890000-0000-7000-8000-000000000000/proof" + HEAD + b"Connection: close\r\n\r\n"
PROOF_BYTES = 13 << 18  # net_harness.c


def read_steadily(net, piece, pause):
    """Asks for a large file and reads so many bytes, then waits, and so on: how many came.
    Its window is small, so that little hides in the kernel on its side."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    plain.settimeout(30)
    plain.connect(("127.0.0.1", net.port))
    sock = klero.tls_context(net.ca).wrap_socket(plain, server_hostname="localhost")
    sock.sendall(PROOF)
    came = 0
    try:
        while part := sock.recv(piece):
            came += len(part)
            time.sleep(pause * len(part) / piece)
    except (ssl.SSLEOFError, ConnectionError):
        pass
    sock.close()
    return came


# Half a second for each 64 KiB (conn.c). Some of what has left net is still with the kernel, so a reader
# that is late is known by the file that it does not get whole, not by when it is cut.
@pytest.mark.parametrize("net", [["-l", "0", "-b", "500"]], indirect=True)
def test_a_reader_below_the_floor_is_cut(net):
    assert read_steadily(net, 4096, 0.1) < PROOF_BYTES  # 40 KiB/s


# two seconds for each piece here: a busy machine may well keep this reader from running for one
@pytest.mark.parametrize("net", [["-l", "0", "-b", "2000"]], indirect=True)
@pytest.mark.parametrize("pause", [0, 0.08])
def test_a_reader_above_the_floor_is_served(net, pause):
    assert read_steadily(net, 16384, pause) > PROOF_BYTES  # 200 KiB/s and more


# --- CORS and the fields of every answer ---

@pytest.mark.parametrize("net", [["-l", "0", "-o", "https://app.example"]], indirect=True)
def test_cors_only_for_configured_origins(net):
    w = net.wire()

    def preflight(origin, path=b"/api/v1/me"):
        return w.send(b"OPTIONS " + path + HEAD + b"Origin: " + origin +
                      b"\r\nAccess-Control-Request-Method: PATCH\r\n\r\n").answer()

    status, head, _ = preflight(b"https://app.example")
    assert status == 204 and header(head, b"Content-Length") is None
    assert header(head, b"Access-Control-Allow-Origin") == "https://app.example"
    assert header(head, b"Access-Control-Allow-Methods") == "GET, HEAD, PATCH, OPTIONS"
    for origin in (b"https://app.example.evil", b"http://app.example", b"https://app.exampl", b"null", b"https://APP.example"):
        status, head, _ = preflight(origin)
        assert status == 405 and header(head, b"Access-Control-Allow-Origin") is None
    assert preflight(b"https://app.example", b"/nothing")[0] == 404
    for origin, allowed in ((b"https://app.example", "https://app.example"), (b"https://other.example", None)):
        _, head, _ = w.send(b"GET /api/v1/raffles" + HEAD + b"Origin: " + origin + b"\r\n\r\n").answer()
        assert header(head, b"Access-Control-Allow-Origin") == allowed
        assert header(head, b"Vary") == "Origin"
    assert net.seen() == 1  # one cached body, with the right fields for each
    w.close()


def test_every_answer_carries_the_fields(net):
    w = net.wire()
    ids = set()
    for request, status in ((RAFFLES, 200), (HEALTH, 200), (b"GET /nothing" + HEAD + b"\r\n", 404),
                            (b"GET /api/v1/me" + HEAD + b"\r\n", 401), (b"GET /api/raffles" + HEAD + b"\r\n", 308),
                            (b"BREW /" + HEAD + b"\r\n", 501)):
        got, head, body = w.send(request).answer()
        assert got == status
        for name in (b"Date", b"X-Request-Id", b"Strict-Transport-Security", b"Content-Security-Policy",
                     b"X-Content-Type-Options", b"Referrer-Policy", b"Cross-Origin-Opener-Policy",
                     b"Cross-Origin-Resource-Policy", b"Cache-Control"):
            assert header(head, name), name
        ids.add(header(head, b"X-Request-Id"))
        if status >= 400:
            assert header(head, b"Content-Type") == "application/problem+json"
            assert json.loads(body)["request_id"] == header(head, b"X-Request-Id")
    assert len(ids) == 6
    w.close()


def test_openapi_describes_every_row(net):
    w = net.wire()
    document = json.loads(w.send(b"GET /openapi.json" + HEAD + b"\r\n").answer()[2])
    operations = {o["operationId"]: (path, method)
                  for path, item in document["paths"].items() for method, o in item.items()}
    rows = (conftest.ROOT / "daemon" / "api" / "route.def").read_text()
    names = [line.split("(")[1].split(",")[0] for line in rows.splitlines() if line.startswith("ROUTE(")]
    assert sorted(operations) == sorted(names)
    assert operations["raffle_buy"] == ("/api/v1/raffles/{id}/buy", "post")
    w.close()


# --- session tickets ---

def visit(net, context, session=None):
    """One request over a new connection; (was it resumed, its ticket)."""
    plain = socket.create_connection(("127.0.0.1", net.port), timeout=30)
    with context.wrap_socket(plain, server_hostname="localhost", session=session) as s:
        s.sendall(RAFFLES)
        assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
        return s.session_reused, s.session


def test_a_session_is_resumed_without_tlskey(net):
    context = klero.tls_context(net.ca)
    resumed, ticket = visit(net, context)
    assert not resumed and ticket.has_ticket and ticket.ticket_lifetime_hint <= 3600
    net.say("tlskey-hold")
    resumed, ticket = visit(net, context, ticket)
    assert resumed
    net.say("tlskey-release")


def test_another_process_does_not_know_the_ticket(net, tmp_path):
    # not verified: both certificates have one name
    context = ssl._create_unverified_context()
    _, ticket = visit(net, context)
    folder = tmp_path / "other"
    folder.mkdir()
    other = Net(folder, "-l", "0")
    try:
        resumed, _ = visit(other, context, ticket)
        assert not resumed
    finally:
        assert other.end() == 0
