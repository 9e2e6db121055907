"""Engine captured, and a client of net's waiting for its answer: whatever engine says, with whatever
descriptor, the client gets one well-formed answer or loses its connection soon, and net goes on, or
ends with status 1 when it could tell that engine broke the protocol."""

import http.client
import os
import socket
import struct
import threading

from peers_lab import Breach, TABLE, WAIT, packet, klero

HEAD = struct.Struct("<HBBIIIIIq")
CACHE, REPLAY, FILE, AUTHBAD = 1, 2, 4, 8


def answer(status=200, flags=0, kind=0, location=b"", file_len=0, body=b"{}", body_len=None, limits=(0,) * 5, version=0):
    out = HEAD.pack(status, flags, kind, *limits, version) + struct.pack("<H", len(location)) + location
    return out + struct.pack("<QI", file_len, len(body) if body_len is None else body_len) + body


def answers(suite):
    """(body, descriptor maker or None)"""
    def memfd(n):
        def make():
            fd = os.memfd_create("x")
            os.write(fd, b"x" * n)
            return fd
        return make

    def pipe():
        r, w = os.pipe()
        suite.write_ends.append(w)  # stays open and empty
        return r

    yield answer(), None
    for status in (0, 100, 101, 199, 204, 304, 308, 500, 599, 600, 65535):
        yield answer(status), None
    for flags in range(16):
        yield answer(flags=flags), None
        yield answer(flags=flags, file_len=5), memfd(5)
    for kind in range(6):
        yield answer(kind=kind), None
    for location in (b"/x", b"/x\r\nSet-Cookie: a=b", b"\0", b"\xff" * 512, b"a" * 513, b" ", b""):
        yield answer(201, location=location), None
    for limits in ((0xffffffff,) * 5, (1, 2, 3, 4, 5)):
        yield answer(429, limits=limits), None
    for version in (-1, 1, (1 << 63) - 1, -(1 << 63)):
        yield answer(version=version), None
    for length in (0, 1, 3, 0xffffffff):
        yield answer(body_len=length), None
    yield answer(body=b"x" * 65000), None
    for make in (memfd(0), memfd(3), memfd(100000), pipe, lambda: os.open("/", os.O_RDONLY),
                 lambda: os.open("/dev/null", os.O_RDWR), lambda: os.open("/dev/zero", os.O_RDONLY),
                 lambda: socket.socket().detach(), lambda: os.eventfd(0)):
        for size in (0, 3, 100000, 1 << 63, (1 << 64) - 1):
            yield answer(flags=FILE, body=b"", file_len=size), make
    whole = answer(201, 0, 1, b"/api/v1/raffles/1", 0, b'{"a":1}', None, (1, 2, 3, 4, 5), 7)
    for i in suite.some(range(len(whole)), 12):
        changed = bytearray(whole)
        changed[i] ^= suite.rng.choice((1, 0x80, 0xff))
        yield bytes(changed), None


class Client:
    """Asks once, over TLS that tlskey has signed; keeps what came."""

    def __init__(self, suite, port):
        self.got, self.error = None, None
        self.conn = http.client.HTTPSConnection("127.0.0.1", port, timeout=WAIT,
                                                context=klero.tls_context(suite.lab.appliance.ca))
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            self.conn.request("GET", "/health", headers={"Accept": "application/json"})
            r = self.conn.getresponse()
            self.got = (r.status, len(r.read()))
        except TimeoutError as e:
            self.error = e
        except (OSError, http.client.HTTPException, ValueError, OverflowError) as e:
            self.got = type(e).__name__
        finally:
            self.conn.close()


class Stage:
    def __init__(self, suite):
        self.suite, self.net = suite, None

    def ready(self):
        if self.net is None or self.net.ended() is not None:
            self.net = self.suite.lab.start("net")
            self.suite.lab.join(self.net, self.suite.keep("tlskey"))
            self.engine = self.net.peer("engine")
            listener = self.suite.lab.configuration("net")[1][1][0]
            with socket.socket(fileno=os.dup(listener)) as s:
                self.port = s.getsockname()[1]

    def question(self):
        while (m := self.engine.receive(WAIT)) is not None:
            if TABLE.by_number[m.number].name == "MSG_API_REQ":
                return m
        raise Breach(f"net does not ask engine: {self.net.said()[-500:]}")

    def tell(self, body, make):
        self.ready()
        self.suite.messages += 1
        client = Client(self.suite, self.port)
        asked = self.question()
        fds = [make()] if make else []
        self.engine.send(packet(TABLE.by_name["MSG_API_ANS"].number, body, asked.ident), fds)
        for fd in fds:
            os.close(fd)
        client.thread.join(WAIT + 5)
        what = f"{body[:48].hex()} {'with a descriptor' if fds else ''}: {self.net.said()[-300:]}"
        if client.got is None:
            raise Breach(f"the client waits for ever after {what}")
        if self.net.ended() is None and not self.net.ping() and self.net.status != 1:
            raise Breach(f"net ended with {self.net.status} after {what}")
        if self.net.status not in (None, 1):
            raise Breach(f"net ended with {self.net.status} after {what}")
        return client.got


def run(suite):
    suite.write_ends = []
    stage = Stage(suite)
    try:
        if stage.tell(answer(), None) != (200, 2):
            raise Breach("net does not pass on a good answer")
        for body, make in suite.some(answers(suite), 40):
            stage.tell(body, make)
    finally:
        for fd in suite.write_ends:
            os.close(fd)
        if stage.net is not None:
            stage.net.kill()
