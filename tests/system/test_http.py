"""Malformed HTTP, and the forms of HTTP that must work, byte by byte over TLS."""

import re
import ssl
import socket
import time

import klero
import pytest

OK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


class Wire:
    """A raw TLS connection."""

    def __init__(self, appliance, context=None):
        plain = socket.create_connection(("127.0.0.1", appliance.port), timeout=60)
        self.sock = (context or klero.tls_context(appliance.ca)).wrap_socket(plain, server_hostname="localhost")

    def send(self, data):
        self.sock.sendall(data)
        return self

    def until_close(self):
        out = b""
        try:
            while True:
                part = self.sock.recv(65536)
                if not part:
                    break
                out += part
        except (ssl.SSLEOFError, ConnectionResetError):
            pass
        self.sock.close()
        return out

    def answer(self):
        """One answer with a Content-Length: (status, head, body)."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = self.sock.recv(65536)
            if not part:
                raise klero.Failure(f"closed after {data!r}")
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            body += self.sock.recv(65536)
        self.rest = body[length:]
        return int(head.split()[1]), head, body[:length]

    def close(self):
        self.sock.close()


@pytest.fixture
def wire(appliance):
    w = Wire(appliance)
    yield w
    w.close()


# What is ambiguous or wrong is refused, and the connection closed: nothing after it is read.
MALFORMED = {
    "bare LF": b"GET /health HTTP/1.1\nHost: localhost\n\n",
    "LF in the head": b"GET /health HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    "obs-fold": OK + b"X: a\r\n b\r\n\r\n",
    "space before the colon": OK + b"X : a\r\n\r\n",
    "no colon": OK + b"nonsense\r\n\r\n",
    "empty field name": OK + b": a\r\n\r\n",
    "control in a value": OK + b"X: a\x01b\r\n\r\n",
    "NUL in a value": OK + b"X: a\x00b\r\n\r\n",
    "CR in a value": OK + b"X: a\rb\r\n\r\n",
    "two Hosts": OK + b"Host: localhost\r\n\r\n",
    "no Host": b"GET /health HTTP/1.1\r\n\r\n",
    "two lengths": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "length list": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2, 2\r\n\r\n{}",
    "signed length": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\n{}",
    "hex length": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x2\r\n\r\n{}",
    "length and coding": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "unknown coding": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding twice": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk size": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "negative chunk": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "huge chunk size": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "chunk without CRLF": b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
    "no method": b" /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two spaces": b"GET  /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version": b"GET /health\r\nHost: localhost\r\n\r\n",
    "lower-case version": b"GET /health http/1.1\r\nHost: localhost\r\n\r\n",
    "control in the target": b"GET /hea\x01lth HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two empty lines before": b"\r\n\r\n" + OK + b"\r\n",
    "absolute target of http": b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "absolute target, another host": b"GET https://other/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_is_400_and_close(wire, name):
    # the request behind it must never be answered
    out = wire.send(MALFORMED[name] + OK + b"\r\n").until_close()
    assert out.startswith(b"HTTP/1.1 400 "), out[:200]
    assert out.count(b"HTTP/1.1 ") == 1
    assert b"application/problem+json" in out and b'"http-malformed"' in out
    assert b"connection: close" in out.lower()


def test_an_absolute_target_and_an_empty_line_before(wire):
    """RFC 9112 sections 3.2.2 and 2.2: each request is answered, and nothing else is."""
    out = wire.send(b"".join([
        b"GET https://localhost/api/v1/raffles?limit=1 HTTP/1.1\r\nHost: LOCALHOST\r\n\r\n",
        b"\r\n", OK, b"\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json;\r\nContent-Length: 2\r\n\r\n{}\r\n",
        b"GET https://localhost HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"])).until_close()
    assert re.findall(rb"HTTP/1\.1 (\d+) ", out) == [b"200", b"200", b"400", b"404"], out[:2000]


@pytest.mark.parametrize("request_bytes, status, code", [
    (b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n", 505, b"http-version"),
    (b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, b"http-version"),
    (b"BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 501, b"method-unknown"),
    (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, b"uri-too-long"),
    (OK + b"X: " + b"a" * 40000 + b"\r\n\r\n", 431, b"header-fields-too-large"),
    (OK + b"".join(b"X%d: a\r\n" % i for i in range(300)) + b"\r\n", 431, b"header-fields-too-large"),
    (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
     b"Content-Length: 70000\r\n\r\n", 413, b"content-too-large"),
    (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
     b"Content-Length: 99999999999999999999999\r\n\r\n", 400, b"http-malformed"),
    (OK + b"Expect: wonders\r\n\r\n", 417, b"expectation-failed"),
], ids=["1.0", "2.0", "method", "long target", "long head", "many fields", "long body", "endless body", "expect"])
def test_refused_with_its_own_code(wire, request_bytes, status, code):
    out = wire.send(request_bytes).until_close()
    assert out.startswith(b"HTTP/1.1 %d " % status), out[:200]
    assert b'"' + code + b'"' in out


def test_chunked_body_past_the_limit(wire):
    head = (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    out = wire.send(head + chunk * 17 + b"0\r\n\r\n").until_close()
    assert out.startswith(b"HTTP/1.1 413 "), out[:200]


def test_chunked_body_in_pieces(wire):
    wire.send(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n")
    for piece in (b"1\r\n{\r\n", b"01\r\n}\r", b"\n0\r\n", b"\r\n"):
        wire.send(piece)
        time.sleep(0.02)
    status, _, body = wire.answer()
    assert status == 400 and b"validation-failed" in body


def test_pipelined_requests_are_answered_in_order(wire):
    paths = [b"/health", b"/api/v1/raffles", b"/nowhere", b"/health/ready"]
    data = b"".join(b"GET " + p + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" for p in paths)
    wire.send(data)
    seen, rest = [], b""
    while len(seen) < len(paths):
        part = wire.sock.recv(65536)
        assert part
        rest += part
        while True:
            head, found, body = rest.partition(b"\r\n\r\n")
            if not found:
                break
            length = next(int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:"))
            if len(body) < length:
                break
            seen.append(int(head.split()[1]))
            rest = body[length:]
    assert seen == [200, 200, 404, 200]


def test_one_byte_at_a_time(wire):
    for b in OK + b"\r\n":
        wire.send(bytes([b]))
    assert wire.answer()[0] == 200


def test_head_has_the_length_and_no_body(wire):
    full = wire.send(OK + b"\r\n").answer()
    wire.send(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    out = wire.until_close()
    assert out.startswith(b"HTTP/1.1 200 ") and out.endswith(b"\r\n\r\n")
    assert b"content-length: %d" % len(full[2]) in out.lower()


def net_requests(admin):
    rows = dict(l.rsplit(" ", 1) for l in admin.get("/metrics").body.decode().splitlines() if l[0] != "#")
    return sum(int(n) for name, n in rows.items() if name.startswith("klero_net_requests_total"))


def test_continue_only_after_authentication(appliance, rich, admin):
    body = b'{"quantity":0}'
    head = (b"POST /api/v1/raffles/01890000-0000-7000-8000-000000000000/buy HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nIdempotency-Key: k\r\nExpect: 100-continue\r\nContent-Length: %d\r\n" % len(body))
    stranger = Wire(appliance)
    out = stranger.send(head + b"\r\n").until_close()
    assert out.startswith(b"HTTP/1.1 401 ") and b"100 Continue" not in out
    known = Wire(appliance)
    known.send(head + b"Authorization: Bearer " + rich.token.encode() + b"\r\n\r\n")
    assert known.sock.recv(65536).startswith(b"HTTP/1.1 100 ")
    assert known.send(body).answer()[0] == 400
    known.close()


def test_a_refused_expectation_is_counted(lab):
    a = lab.make("nets 1").start()
    admin = a.admin()
    before = net_requests(admin)
    for _ in range(10):
        out = Wire(a).send(b"POST /api/v1/wallet/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
                           b"Expect: 100-continue\r\n\r\n").until_close()
        assert out.startswith(b"HTTP/1.1 401 ")
    assert net_requests(admin) == before + 11  # the ten, and the second look at the metrics
    a.stop()


def test_connection_close_is_obeyed(wire):
    out = wire.send(OK + b"Connection: close\r\n\r\n").until_close()
    assert out.startswith(b"HTTP/1.1 200 ") and b"connection: close" in out.lower()


def test_options_star_and_unknown_paths(wire):
    wire.send(b"GET /api/v1/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert wire.answer()[0] in (400, 404)


def test_wrong_method_names_the_right_ones(client):
    a = client.call("DELETE", "/api/v1/raffles")
    assert a.status == 405 and a.code == "method-not-allowed"
    assert "GET" in a.headers["Allow"]


def test_old_paths_move_for_good(client):
    for old, new in (("/api/auth/me", "/api/v1/auth/me"), ("/auth/me", "/api/v1/auth/me"),
                     ("/api/raffles", "/api/v1/raffles")):
        a = client.get(old)
        assert a.status == 308 and a.headers["Location"].endswith(new), a


# --- TLS ---

def test_tls_12_is_refused(appliance):
    ctx = ssl.create_default_context(cafile=str(appliance.ca))
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Wire(appliance, ctx)


def test_tls_is_13_with_our_certificate(wire):
    assert wire.sock.version() == "TLSv1.3"
    assert ("DNS", "localhost") in wire.sock.getpeercert()["subjectAltName"]


def test_plain_http_gets_nothing(appliance):
    with socket.create_connection(("127.0.0.1", appliance.port), timeout=30) as s:
        s.sendall(OK + b"\r\n")
        out = b""
        try:
            while part := s.recv(4096):
                out += part
        except ConnectionResetError:
            pass
    assert b"HTTP/1.1 200" not in out


# --- slow and silent clients: their own deadline, and nobody else slower ---

@pytest.fixture(scope="module")
def hasty(lab):
    a = lab.make("header-timeout 1", "body-timeout 1", "idle-timeout 2").start()
    yield a
    a.stop()


def test_slow_header_ends_at_its_deadline(hasty):
    w = Wire(hasty)
    out = b""
    try:
        # a byte now and then must not extend a total deadline
        for b in OK * 20:
            w.send(bytes([b]))
            time.sleep(0.1)
    except (OSError, ssl.SSLError):
        pass
    try:
        out = w.until_close()
    except OSError:
        pass
    assert out == b"" or out.startswith(b"HTTP/1.1 408 "), out[:100]
    hasty.client().get("/health")


def test_slow_body_ends_at_its_deadline(hasty):
    w = Wire(hasty)
    w.send(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    out = w.until_close()
    assert out.startswith(b"HTTP/1.1 408 ") and b'"request-timeout"' in out, out[:200]


def test_silent_connections_are_closed(hasty):
    idle = Wire(hasty)
    assert idle.send(OK + b"\r\n").answer()[0] == 200
    assert idle.until_close() == b""
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=30) as mute:
        assert mute.recv(1) == b""  # not even a handshake


def test_slow_readers_hold_nobody_up(lab):
    """They may take ten minutes: who had to wait for one of them would give up."""
    a = lab.make("header-timeout 600").start()
    slow = [Wire(a) for _ in range(50)]
    for w in slow:
        w.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n")  # and never the end
    c = a.client()
    for _ in range(100):
        assert c.get("/health").status == 200
    for w in slow:
        w.close()
    a.stop()
