"""An engine between an hsm, a kdf, an out and a beacon of its own, where we are its net and its control
client, and every message between engine and the others passes through our hands: to be recorded,
held back or changed. Its one witness we are ourselves. Values of requests are written as
daemon/api/apimsg.c writes them, from the route table that the product prints."""

import hashlib
import json
import os
import select
import struct
import time

from peers_lab import TABLE, WAIT, Breach, Role, packet, witness

OTHERS = ("kdf", "out", "beacon")  # whom engine has, besides hsm, which it waits for
SALES = 15  # seconds that a raffle sells: on a busy machine its opening takes some of them

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
        self.hsm = lab.start("hsm")
        self.others = {word: lab.start(word) for word in OTHERS}
        self.engine = None
        self.pairs = {}  # role → (engine's peer as we play it, the real one's channel)
        # message name → what is done with it instead of passing it on: (channel, other, message)
        self.between = {"MSG_OUT_WITNESS": self.cosign}
        self.ident = 100
        self.start()

    def start(self):
        self.engine = Role(self.lab, "engine").configure()
        self.pairs = {"hsm": (self.engine.peer("hsm"), self.hsm.peer("engine"))}
        while not self.is_ready():
            self.relay(0.1)
        for word, role in self.others.items():
            self.pairs[word] = self.engine.peer(word), role.peer("engine")
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
        self.note(TABLE.by_number[m.number].name, m.body)

    def note(self, name, body):
        kept = self.samples.setdefault(name, [])
        if len(kept) < 4 and body not in kept:
            kept.append(body)

    def relay(self, seconds, wanted=None):
        """Passes on what waits between engine and the others; no longer than until wanted has something."""
        all_of = {c.sock: (c, other) for pair in self.pairs.values() for c, other in (pair, pair[::-1]) if not c.closed}
        for sock in select.select(list(all_of) + ([wanted.sock] if wanted else []), [], [], seconds)[0]:
            if sock in all_of:
                c, other = all_of[sock]
                m = c.receive()
                if m is None:
                    continue
                self.keep(m)
                act = self.between.get(TABLE.by_number[m.number].name, self.pass_on)
                act(c, other, m)

    @staticmethod
    def pass_on(_, other, m):
        other.send(packet(m.number, m.body, m.ident))

    def cosign(self, channel, _, m):
        """Out's answer, with the cosignature of a witness that is quick."""
        note = m.body[3:].partition(b"\n\n")[2].decode()
        line = witness.cosign(self.lab.witness, note.partition("\n\n")[0] + "\n", int(time.time())).encode()
        answer = bytes(4) + text(line)
        self.note("MSG_OUT_WITNESS_ANS", answer)
        channel.send(packet(m.number + 1, answer, m.ident))

    def until(self, what):
        """Passes on what waits until what() is true; its value."""
        end = time.monotonic() + WAIT
        while not (value := what()):
            if time.monotonic() > end:
                raise Breach(f"it does not come to that: {self.engine.said()[-800:]}{self.hsm.said()[-800:]}")
            self.relay(0.1)
        return value

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
        return self.login(email)

    def control_all(self):
        """Whatever else kleroctl asks of engine, each once, be it answered well or not."""
        name, none = bytes(16), struct.pack("<H", 0)
        rotate = bytes([0, 3]) + struct.pack("<IQ", 0, 3600) + none + none
        old = bytes([1, 1]) + struct.pack("<Q", 1) + text(b"old") + bytes([0]) + bytes(80) + text(b"v1:AAAA")
        for verb, body in (("STATUS", b""), ("KEYS", b""), ("PROPOSE", rotate), ("PROPOSALS", b""), ("PROPOSALS", name),
                           ("PROPOSAL", name), ("APPROVE", name + text(b"x")), ("REJECT", name), ("IMPORT_KEY", b""),
                           ("IMPORT", old)):
            self.control("MSG_CTL_" + verb, body)
        self.backup()

    def backup(self):
        """A backup's manifest, which hsm signs."""
        self.control("MSG_CTL_BACKUP", b"")
        self.control("MSG_CTL_BACKUP_CUT", b"")
        cut = self.samples["MSG_CTL_BACKUP_CUT_ANS"][-1]
        nothing = hashlib.sha256(b"").hexdigest().encode()
        sections = b"".join(b"section %s 0 %s\n" % (word, nothing) for word in (b"store", b"log", b"keys", b"configuration"))
        manifest = cut[6:6 + struct.unpack_from("<H", cut, 4)[0]].removesuffix(b"end\n") + sections + b"end\n"
        if self.control("MSG_CTL_BACKUP_SIGN", text(manifest)) != 0:
            raise Breach(f"no signature of {manifest}: {self.engine.said()[-300:]}")

    def fund(self, admin, token, amount=100000):
        d = self.want(202, "deposit", token, os.urandom(8).hex().encode(), money=(amount, b"EUR"), provider=0)
        self.want(200, "deposit_confirm", admin, id=uuid(d["id"]))

    def raffle(self, admin):
        r = self.want(201, "raffle_create", admin, title=b"A car", price=(100, b"EUR"), capacity=100, winners=2, reserves=1,
                      format=0)
        self.want(200, "raffle_open", admin, id=uuid(r["id"]))
        return uuid(r["id"])

    def life(self, admin, buyer):
        """A raffle that closes and draws by itself, by drand and NIST: sold, and told when it is drawn."""
        self.until(lambda: self.want(200, "health")["clock"] == "ok")  # out and beacon have told it
        ends = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(int(time.time()) + SALES)).encode()
        r = self.want(201, "raffle_create", admin, title=b"A house", price=(100, b"EUR"), capacity=100, winners=2, reserves=1,
                      sales_close=ends, nist_chain=self.lab.relays.nist_chain)
        raffle = uuid(r["id"])
        self.want(200, "raffle_open", admin, id=raffle)
        self.want(201, "raffle_buy", buyer, b"live", id=raffle, quantity=5)
        self.until(lambda: self.want(200, "raffle_get", id=raffle)["state"] == "drawn")
        return raffle

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
        self.control_all()
        return admin, ada, bob, drawn, self.raffle(admin)

    def stop(self):
        for r in (self.engine, self.hsm, *self.others.values()):
            r.kill()


def uuid(value):
    return bytes.fromhex(value.replace("-", ""))


__all__ = ["Office", "Route", "uuid", "text", "PASSWORD", "WAIT"]
