"""What the others are told is held against its meaning, too: no lie of net's becomes another user's action,
kdf's are told to who waits, out asks nobody else, and beacon takes no value for another. hsm's part
is peers_hsm.py."""

import base64
import json
import re
import struct
import time

from peers_lab import BEACON_ANSWERS, ROOT, TABLE, WAIT, Breach, packet
from peers_life import result
from peers_office import UUID, uuid


# --- out, with engine captured ---

def out(suite, office):
    """It asks whom its configuration names and nobody else, whatever engine wants; what it could not ask
    is no answer."""
    lab, name, text = office.lab, "MSG_OUT_WITNESS", b"old 0\n\nno checkpoint\n"

    def ask(which, said):
        return bytes([which]) + struct.pack("<H", len(said)) + said

    role = lab.start("out")
    channel = role.peer("engine")
    suite.messages += 1
    channel.say(name, ask(0, text))
    lab.asked.settimeout(WAIT)
    guest = lab.asked.accept()[0]
    if b"old 0" in guest.recv(4096):
        raise Breach("out says in the clear what is to be cosigned")
    guest.close()
    m = channel.receive(WAIT)
    if m is None or result(m.body) == 0:
        raise Breach(f"out has an answer of a witness that gave none: {m}")
    for bad in (ask(1, text), ask(255, text), ask(0, b""), ask(0, text) + b"\0", ask(0, text)[:-1]):
        suite.messages += 1
        channel.say(name, bad)
        if role.wait() != 1:
            raise Breach(f"out ended with {role.status} after {bad!r}")
        role.forget()
        role = lab.start("out")
        channel = role.peer("engine")
    role.kill()
    lab.asked.close()  # whoever is asked from now on is not there, and no answer is waited for


# --- engine, with net captured ---

def part(text_part):
    return json.loads(base64.urlsafe_b64decode(text_part + b"=" * (-len(text_part) % 4)))


def sealed(value):
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=")


def forged(suite, ours, theirs):
    """Tokens that nobody has signed, each near to a real one."""
    header, claims, signature = theirs.split(b".")
    mine = ours.split(b".")
    changed = bytearray(signature)
    changed[suite.rng.randrange(len(changed) - 1)] ^= 1
    yield header + b"." + claims + b"." + bytes(changed)
    yield header + b"." + claims + b"." + mine[2]
    yield header + b"." + claims + b"."
    yield sealed({"alg": "none"}) + b"." + claims + b"."
    yield sealed({**part(header), "kid": "token-v000002"}) + b"." + claims + b"." + signature
    yield header + b"." + sealed({**part(mine[1]), "roles": ["user", "admin"]}) + b"." + mine[2]
    yield header + b"." + sealed({**part(mine[1]), "sub": part(claims)["sub"]}) + b"." + mine[2]
    yield theirs + b"."
    yield theirs[:-1]


class CapturedNet:
    def __init__(self, suite, office):
        self.suite, self.office = suite, office
        self.admin, self.ada, self.bob, self.drawn, self.open = suite.walked
        self.bobs = {}

    def tell(self, body):
        """The status, None when net was blamed."""
        self.suite.messages += 1
        self.office.again()
        got = self.office.raw(body)
        if got is not None and got[0] == 500:
            raise Breach(f"engine knows no answer: {got}")
        if got is not None and any(i in got[1] for i in self.bobs.get("tickets", ())):
            raise Breach(f"bob's tickets in an answer to somebody else: {got[1][:300]}")
        return got and got[0]

    def picture(self):
        """What belongs to bob and to the house, as they see it."""
        o, out = self.office, {}
        o.again()
        for name, values in (("wallet", {}), ("wallet_entries", {}), ("me_get", {}), ("auth_me", {}),
                             ("raffle_tickets", {"id": self.drawn}), ("raffle_tickets", {"id": self.open})):
            out[name, *values.values()] = o.want(200, name, self.bob, **values)
        for state in (1, 2):
            out["deposits", state] = o.want(200, "deposits", self.admin, state=state)
        for raffle in (self.drawn, self.open):
            r = o.want(200, "raffle_get", id=raffle)
            out["raffle", raffle] = {k: r[k] for k in ("state", "seed_commit")}
        return out

    def login_again(self):
        self.office.again()
        self.ada = self.office.login(b"ada@b.c")

    def bodies(self, route, token):
        """Right and wrong ones, about what belongs to bob."""
        ids = (self.open, self.drawn, self.bobs["user"], self.bobs["deposit"])
        for one in ids if any(kind == UUID for _, kind, *_ in route.fields) else ids[:1]:
            for idem in (b"buy1", b""):
                body = route.body(route.any((one,)), token, idem, if_match=1)
                yield body
            for other in self.suite.some(range(len(self.office.routes) + 1), 3):
                yield struct.pack("<H", other) + body[2:]
            changed = bytearray(body)
            changed[self.suite.rng.randrange(2, len(changed))] ^= self.suite.rng.randrange(1, 256)
            yield bytes(changed)

    def lie(self):
        """Nobody, and tokens that are none, get nothing that needs somebody."""
        false = [b""] + list(forged(self.suite, self.ada, self.admin)) + list(forged(self.suite, self.ada, self.bob))
        for route in self.office.routes.values():
            for token in self.suite.some(false, 4):
                status = self.tell(route.body(route.any((self.open,)), token, b"k"))
                if route.who and status != 401:
                    raise Breach(f"{route.name} answers {status} to a token that is none")
            if route.who & 1 == 0 and route.who:
                status = self.tell(route.body(route.any((self.open,)), self.ada, b"k"))
                if status != 403:
                    raise Breach(f"{route.name} answers {status} to a mere user")

    def meddle(self):
        """ada's own token, and whatever net can say beside it."""
        for route in self.office.routes.values():
            for body in self.bodies(route, self.ada):
                self.tell(body)
            if route.name in ("logout", "auth_me"):
                self.login_again()

    def run(self):
        o = self.office
        before = self.picture()
        public = json.dumps(o.want(200, "raffle_get", id=self.drawn))  # the winners are
        tickets = [t["id"] for t in before["raffle_tickets", self.drawn]["items"]]
        self.bobs = {"tickets": [t.encode() for t in tickets if t not in public],
                     "user": uuid(before["auth_me",]["user_id"]),
                     "deposit": uuid(o.want(202, "deposit", self.bob, b"later", money=(5, b"EUR"), provider=0)["id"])}
        before = self.picture()
        self.lie()
        self.meddle()
        self.bobs.pop("tickets")
        after = self.picture()
        for key in before:
            if before[key] != after[key]:
                raise Breach(f"{key[0]}: {before[key]} became {after[key]}")
        if o.want(200, "deposits", self.admin, state=0)["items"][-1]["id"].replace("-", "") != self.bobs["deposit"].hex():
            raise Breach("bob's deposit is pending no more")


def net(suite, office):
    CapturedNet(suite, office).run()


# --- engine, with kdf captured ---

def wait_asked(office, channel):
    """Engine asks hsm for the credential first: that goes on meanwhile."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        office.relay(0.05)
        asked = channel.receive(0.05)
        if asked is not None:
            return asked
    raise Breach(f"engine asks kdf nothing: {office.engine.said()[-300:]}")


def kdf(suite, office):
    """Whatever kdf answers, who waits for it is told, and nobody gets in by it."""
    for name, body in (("MSG_KDF_HASH_ANS", bytes(4) + b"\0\0"), ("MSG_KDF_VERIFY_ANS", bytes(4) + b"\7"),
                       ("MSG_KDF_VERIFY_ANS", bytes(4)), ("MSG_API_ANS", bytes(60))):
        office.pairs.pop("kdf", None)  # the real one's channel is replaced by ours
        mine = office.engine.peer("kdf")
        office.again()
        login = office.routes["login"].body({"email": b"ada@b.c", "password": b"wrong"})
        office.net.say("MSG_API_REQ", login, 9)
        while True:
            asked = wait_asked(office, mine)
            if TABLE.by_number[asked.number].name == "MSG_KDF_VERIFY":
                break
            mine.send(packet(asked.number + 1, bytes(4) + b"\x0a\0$argon2id$", asked.ident))  # the dummy
        suite.messages += 1
        mine.send(packet(TABLE.by_name[name].number, body, asked.ident))
        m = office.net.receive(WAIT)
        if m is None or struct.unpack_from("<H", m.body)[0] != 503 or b"restarting" not in m.body:
            raise Breach(f"a login that kdf answered with {name} {body.hex()} gets {m}")
        office.engine.ping()
        if mine.receive(WAIT) is not None or not mine.closed:
            raise Breach(f"engine goes on with a kdf that says {name} {body.hex()}")
        mine.drop()


# --- beacon, with engine captured ---

def rounds():
    """{round: signature} of quicknet, and [(round, signature)] that are none: tests/vectors/drand.txt."""
    real, forged = {}, []
    for line in (ROOT / "tests/vectors/drand.txt").read_text().splitlines():
        words = line.split(" ")
        if words[0] == "round":
            real[int(words[1])] = bytes.fromhex(words[2])
        elif words[0] == "forged":
            forged.append((int(words[1]), bytes.fromhex(words[2])))
    return real, forged


def beacon(suite, office):
    """A value is its round's or it is not, whoever asks: no bit of it may differ, nor the round."""
    real, forged = rounds()
    lab, conf = office.lab, office.lab.appliance.conf
    before = conf.read_text()
    conf.write_text(re.sub(r"(?m)^drand-chain .*\n", "", before))  # then quicknet is pinned
    lab.conf.pop(("beacon", 0))
    lab.configuration("beacon")
    conf.write_text(before)
    role, left = lab.start("beacon"), BEACON_ANSWERS
    c = role.peer("engine")

    def verdict(number, signature, chain=0):
        suite.messages += 1
        nonlocal role, c, left
        if left == 0:  # it is replaced now and then, by its own wish
            if role.wait() != 0:
                raise Breach(f"beacon ended with {role.status}")
            role.forget()
            role, left = lab.start("beacon"), BEACON_ANSWERS
            c = role.peer("engine")
        left -= 1
        return result(c.ask("MSG_BEACON_ROUND", struct.pack("<BQ", chain, number) + signature))

    for number, signature in real.items():
        if verdict(number, signature) != 0:
            raise Breach(f"beacon refuses round {number}")
        for other in (number + 1, number - 1, number ^ 1 << 40):
            if verdict(other, signature) == 0:
                raise Breach(f"beacon takes round {number} for {other}")
    for number, signature in forged:
        if len(signature) == 48 and verdict(number, signature) == 0:
            raise Breach(f"beacon takes {signature.hex()} for round {number}")
    number, signature = next(iter(real.items()))
    for bit in suite.some(range(8 * 48), 40):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        if verdict(number, bytes(changed)) == 0:
            raise Breach(f"beacon takes round {number} with bit {bit} changed")
    c.say("MSG_BEACON_ROUND", struct.pack("<BQ", 200, number) + signature)
    if c.receive(WAIT) is not None or not c.closed:
        raise Breach("beacon answers of a chain that nobody has pinned")
    role.kill()
    lab.conf.pop(("beacon", 0))
