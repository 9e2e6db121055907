"""An engine between an hsm and a kdf of its own, where we are its net and its control client, and
every message between engine and the others passes through our hands: to be recorded, held back or
changed. Values of requests are written as daemon/api/apimsg.c writes them, from the route table
that the product prints."""

import json
import os
import select
import struct

from peers_lab import TABLE, WAIT, Breach, Role, packet

TEXT, SECRET, EMAIL, INT, UUID, ENUM, MONEY, HEX, DECIMAL, LOG, TILE, CURSOR = range(12)
PASSWORD = b"correct horse battery"


def text(value):
    return struct.pack("<H", len(value)) + value


class Route:
    def __init__(self, index, row):
        self.index, self.name, self.method = index, row[0], row[1]
        self.who, self.idem = int(row[2]), int(row[3])
        self.fields = []
        for field in row[4:]:
            name, *numbers = field.split(":")
            self.fields.append((name, *map(int, numbers)))

    def value(self, kind, v):
        if kind == INT:
            return struct.pack("<q", v)
        if kind == ENUM:
            return bytes([v])
        if kind in (UUID, LOG):
            return v
        if kind == MONEY:
            return struct.pack("<q", v[0]) + text(v[1])
        return text(v)

    def body(self, values=None, token=b"", idem=b"", if_match=0, address=b"\0" * 15 + b"\1"):
        out = struct.pack("<H", self.index) + os.urandom(16) + address + text(token) + text(idem)
        out += struct.pack("<q", if_match)
        for name, kind, *_ in self.fields:
            v = (values or {}).get(name)
            out += b"\0" if v is None else b"\1" + self.value(kind, v)
        return out

    def any(self, ids=(bytes(16),)):
        """Values that the row allows."""
        some = {TEXT: b"a text", SECRET: PASSWORD, EMAIL: b"a@b.c", UUID: ids[0], ENUM: 0,
                MONEY: (1, b"EUR"), HEX: b"\1", DECIMAL: b"1", LOG: ids[0], TILE: b"0/000.p/1",
                CURSOR: b"AAAA"}
        return {name: max(1, least) if kind == INT else some[kind].ljust(least, b"x") if kind in (TEXT, HEX) else some[kind]
                for name, kind, _, least, _ in self.fields}


class Office:
    def __init__(self, lab):
        self.lab = lab
        self.routes = {r[0]: Route(i, r) for i, r in enumerate(lab.routes())}
        self.samples = {}  # message name → [body]: what really passed
        self.hsm, self.kdf = lab.start("hsm"), lab.start("kdf")
        self.engine = None
        self.pairs = []  # (engine's peer as we play it, the real one's channel)
        self.ident = 100
        self.start()

    def start(self):
        self.engine = Role(self.lab, "engine").configure()
        self.pairs = [(self.engine.peer("hsm"), self.hsm.peer("engine"))]
        while not self.is_ready():
            self.relay(0.1)
        self.pairs.append((self.engine.peer("kdf"), self.kdf.peer("engine")))
        self.net = self.engine.peer("net")
        self.ctl = self.engine.client()

    def again(self):
        """A fresh channel for net, when the last one was closed for what net said."""
        if self.net.closed:
            self.net.drop()
            self.net = self.engine.peer("net")
            self.engine.ping()  # and hears the blames: parent always does

    def is_ready(self):
        m = self.engine.hear()
        if self.engine.ended() is not None:
            raise Breach(f"engine does not start: {self.engine.said()}")
        return m is not None and TABLE.by_number[m.number].name == "MSG_ENGINE_READY"

    def keep(self, m):
        kept = self.samples.setdefault(TABLE.by_number[m.number].name, [])
        if len(kept) < 4 and m.body not in kept:
            kept.append(m.body)

    def relay(self, seconds, wanted=None):
        """Passes on what waits between engine and the others; no longer than until wanted has something."""
        all_of = {c.sock: (c, other) for pair in self.pairs for c, other in (pair, pair[::-1])}
        for sock in select.select(list(all_of) + ([wanted.sock] if wanted else []), [], [], seconds)[0]:
            if sock in all_of:
                c, other = all_of[sock]
                m = c.receive()
                if m is not None:
                    self.keep(m)
                    other.send(packet(m.number, m.body, m.ident))

    def wait_answer(self, channel, ident):
        while True:
            m = channel.receive()
            if m is not None and TABLE.by_number[m.number].name == "MSG_CACHE_DROP":
                continue
            if m is not None and m.ident == ident:
                return m
            if m is not None or channel.closed:
                raise Breach(f"engine says {m} instead of an answer: {self.engine.said()[-500:]}")
            before = len(self.engine.said())
            self.relay(0.5, channel)
            self.patience -= len(self.engine.said()) == before
            if self.patience < 0:
                raise Breach(f"engine does not answer {self.asked.hex()}: {self.engine.said()[-500:]}")

    def raw(self, body):
        """One API_REQ; (status, body of the answer), or None when net was blamed for it."""
        self.ident, self.asked = self.ident + 1, body
        self.patience = 2 * WAIT
        if not self.net.say("MSG_API_REQ", body, self.ident):
            return None
        try:
            m = self.wait_answer(self.net, self.ident)
        except Breach:
            if self.net.closed and self.engine.ended() is None:
                return None
            raise
        self.keep(m)
        status, flags = struct.unpack_from("<HB", m.body)
        n, = struct.unpack_from("<H", m.body, 32)
        payload = m.body[32 + 2 + n + 12:]
        if flags & 4:
            with os.fdopen(m.fds[0], "rb") as f:
                payload = f.read()
        return status, payload

    def call(self, name, token=b"", idem=b"", if_match=0, **values):
        body = self.routes[name].body(values, token, idem, if_match)
        self.samples.setdefault("MSG_API_REQ", []).append(body)
        status, payload = self.raw(body)
        return status, json.loads(payload) if payload[:1] in (b"{", b"[") else payload

    def want(self, status, name, *args, **more):
        got, answer = self.call(name, *args, **more)
        if got != status:
            raise Breach(f"{name}: {got} {answer}")
        return answer

    def control(self, name, body):
        self.asked = body
        self.patience = 2 * WAIT
        self.samples.setdefault(name, []).append(body)
        self.ctl.say(name, body, 5)
        m = self.wait_answer(self.ctl, 5)
        self.keep(m)
        return struct.unpack_from("<i", m.body)[0]

    # --- people, money, a whole raffle ---

    def person(self, email):
        self.want(201, "register", email=email, password=PASSWORD)
        return self.login(email)

    def login(self, email):
        return self.want(200, "login", email=email, password=PASSWORD)["access_token"].encode()

    def admin(self, email=b"admin@b.c"):
        if self.control("MSG_CTL_ADMIN", text(email) + text(PASSWORD)) != 0:
            raise Breach("no admin")
        self.control("MSG_CTL_ROLES", text(email) + b"\x09")
        self.control("MSG_CTL_STATUS", b"")
        return self.login(email)

    def fund(self, admin, token, amount=100000):
        d = self.want(202, "deposit", token, os.urandom(8).hex().encode(), money=(amount, b"EUR"), provider=0)
        self.want(200, "deposit_confirm", admin, id=uuid(d["id"]))

    def raffle(self, admin):
        r = self.want(201, "raffle_create", admin, title=b"A car", price=(100, b"EUR"), capacity=100, winners=2, reserves=1)
        self.want(200, "raffle_open", admin, id=uuid(r["id"]))
        return uuid(r["id"])

    def draw(self, admin, raffle, entropy=b"\x07\x08"):
        self.want(200, "raffle_close", admin, id=raffle)
        self.want(200, "raffle_entropy", admin, id=raffle, entropy=entropy)
        self.want(200, "raffle_draw", admin, id=raffle)

    def walk(self):
        """Everything once; (admin, two players, a drawn raffle, an open one)."""
        admin = self.admin()
        ada, bob = self.person(b"ada@b.c"), self.person(b"bob@b.c")
        login = self.want(200, "login", email=b"ada@b.c", password=PASSWORD)
        self.want(200, "refresh", refresh_token=login["refresh_token"].encode())
        for who in (ada, bob):
            self.fund(admin, who)
        drawn = self.raffle(admin)
        for i, who in enumerate((ada, bob, ada)):
            self.want(201, "raffle_buy", who, b"buy%d" % i, id=drawn, quantity=3, client_seed=b"s%d" % i)
        self.draw(admin, drawn)
        return admin, ada, bob, drawn, self.raffle(admin)

    def stop(self):
        for r in (self.engine, self.hsm, self.kdf):
            r.kill()


def uuid(value):
    return bytes.fromhex(value.replace("-", ""))


__all__ = ["Office", "Route", "uuid", "text", "PASSWORD", "WAIT"]
