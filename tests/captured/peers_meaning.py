"""What a captured engine asks of hsm, and what a captured net tells engine, is held against its
meaning: hsm keeps its once-only rules, no lie of net's becomes another user's action, and beacon takes
no value for another. After a whole raffle between the real ones, whose messages are known to be good
and are changed here."""

import base64
import hashlib
import json
import os
import struct
import time

from peers_lab import ROOT, TABLE, WAIT, Breach, packet, witness
from peers_office import UUID, uuid

EVM, SOLANA = 1, 2


def result(body):
    return struct.unpack_from("<i", body)[0]


# --- hsm, with engine captured ---

class CapturedEngine:
    def __init__(self, suite, office):
        self.suite, self.office = suite, office
        self.channel = office.hsm.peer("engine", 1)

    def ask(self, name, body):
        """The answer's body, empty when engine was blamed for the question."""
        self.suite.messages += 1
        if self.channel.closed:
            self.channel.drop()
            self.channel = self.office.hsm.peer("engine", 1)
        try:
            return self.channel.ask(name, body)
        except Breach:
            if self.channel.closed and self.office.hsm.ping():
                return b""
            raise

    def good(self, name, body):
        answer = self.ask(name, body)
        if not answer or result(answer):
            raise Breach(f"hsm refuses a good {name}: {answer.hex()}")
        return answer

    def refused(self, name, body, what):
        answer = self.ask(name, body)
        if answer and result(answer) == 0:
            raise Breach(f"hsm does {name} for {what}")

    def flips(self, name, body, positions):
        """The positions at which a changed byte is still accepted."""
        out = []
        for i in positions:
            changed = bytearray(body)
            changed[i] ^= self.suite.rng.randrange(1, 256)
            answer = self.ask(name, bytes(changed))
            if answer and result(answer) == 0:
                out.append(i)
        return out


def database_key(e, sample):
    e.good("MSG_HSM_OPEN_DBKEY", sample)
    e.refused("MSG_HSM_OPEN_DBKEY", sample, "the second time on one channel")
    for i in e.suite.some(range(len(sample)), 20):
        e.channel.close()
        if e.flips("MSG_HSM_OPEN_DBKEY", sample, [i]):
            raise Breach(f"hsm opens a database key with byte {i} changed")
    e.channel.close()


def seeds(e, reveal, other_seed):
    """One reveal for one draw; a sealed seed is good for its own raffle and nothing else."""
    once = e.good("MSG_HSM_REVEAL_SEED", reveal)
    if e.good("MSG_HSM_REVEAL_SEED", reveal) != once:
        raise Breach("the same reveal gives another seed")
    accepted = e.flips("MSG_HSM_REVEAL_SEED", reveal, range(len(reveal)))
    if accepted:
        raise Breach(f"hsm reveals with bytes {accepted} changed")
    raffle, commit, blob = os.urandom(16), other_seed[4:36], other_seed[68:]
    draw = reveal[48:len(reveal) - len(reveal_blob(reveal))]
    e.good("MSG_HSM_REVEAL_SEED", reveal_of(reveal, other_seed))
    e.refused("MSG_HSM_REVEAL_SEED", raffle + commit + draw + blob, "another raffle")
    e.refused("MSG_HSM_REVEAL_SEED", reveal[:48] + draw + blob, "the seed of another raffle")
    dbkey = e.office.samples["MSG_HSM_OPEN_DBKEY"][0][:-16]
    e.refused("MSG_HSM_REVEAL_SEED", reveal[:48] + draw + dbkey, "the database key")
    e.channel.close()
    e.refused("MSG_HSM_OPEN_DBKEY", blob + e.office.samples["MSG_HSM_OPEN_DBKEY"][0][-16:], "a seed")


def credentials(e, opened):
    """A sealed credential opens as it is and for its own user; whatever is brought instead does not."""
    phc = e.good("MSG_HSM_OPEN_CREDENTIAL", opened)[6:]
    accepted = e.flips("MSG_HSM_OPEN_CREDENTIAL", opened, range(len(opened)))
    if accepted:
        raise Breach(f"hsm opens a credential with bytes {accepted} changed")
    user, sealed_text = opened[:16], opened[16:]
    e.refused("MSG_HSM_OPEN_CREDENTIAL", os.urandom(16) + sealed_text, "another user")
    e.refused("MSG_HSM_OPEN_CREDENTIAL", user + e.office.samples["MSG_HSM_OPEN_DBKEY"][0][:-16], "the database key")
    e.refused("MSG_HSM_SEAL_CREDENTIAL", user + struct.pack("<H", 32) + bytes(32), "what is no PHC string")
    # in one question: mine, another's, and the same in the clear for another
    plain = struct.pack("<H", len(phc)) + phc
    answer = e.good("MSG_HSM_RESEAL_CREDENTIALS", struct.pack("<H", 3) + opened + bytes(16) + sealed_text +
                    bytes(16) + plain)[4:]
    results = []
    while answer:
        n, = struct.unpack_from("<H", answer, 4)
        results.append((result(answer), n > 0))
        answer = answer[6 + n:]
    if [(r == 0, n) for r, n in results] != [(True, True), (False, False), (True, True)]:
        raise Breach(f"hsm seals anew: {results}")
    if phc in answer:
        raise Breach("hsm lets a credential out while it seals it anew")
    e.refused("MSG_HSM_RAISE", struct.pack("<BI", 0, 1), "a key that is no class key")


def reveal_blob(reveal):
    """The sealed seed behind raffle, commitment, tickets, root, aggregate and entropy."""
    return reveal[122 + struct.unpack_from("<H", reveal, 120)[0]:]


def reveal_of(reveal, made):
    """The first reveal of a seed that was made for the raffle of 16 zero bytes."""
    return bytes(16) + made[4:36] + reveal[48:len(reveal) - len(reveal_blob(reveal))] + made[68:]


def records(e, sign):
    """The very same record gives the very same signature; only its time may be another."""
    once = e.good("MSG_HSM_SIGN_DRAW1", sign)
    if e.good("MSG_HSM_SIGN_DRAW1", sign) != once:
        raise Breach("the same record gives another signature")
    accepted = e.flips("MSG_HSM_SIGN_DRAW1", sign, range(len(sign)))
    if accepted and accepted[-1] - accepted[0] > 7:
        raise Breach(f"hsm signs a record with bytes {accepted} changed")


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def checkpoint(which, raffle, size, root, begin, proof=(), note=b""):
    return (bytes([which]) + raffle + struct.pack("<Q", size) + root + struct.pack("<QB", begin, len(proof)) +
            b"".join(proof) + struct.pack("<H", len(note)) + note)


def logs(e):
    """A log that hsm has signed never shrinks and never becomes another, and no bit of the proof may
    differ; nor is anything signed under a name that is no log's."""
    name, ask = "MSG_HSM_SIGN_CHECKPOINT", checkpoint
    raffle, other, (a, b, c, d) = os.urandom(16), os.urandom(16), (os.urandom(32) for _ in range(4))
    two, three, four = node(a, b), node(node(a, b), c), node(node(a, b), node(c, d))
    e.refused(name, ask(0, bytes(16), 2, two, 0), "a raffle of no name")
    e.refused(name, ask(1, raffle, 2, two, 0), "an operator log of a raffle")
    e.refused(name, ask(2, raffle, 2, two, 0), "a kind of log that is none")
    e.refused(name, ask(0, raffle, 0, a, 0), "nothing that has leaves")
    e.refused(name, ask(0, raffle, 2, two, 0, note=b"x\n1\ny\n\n- z\n"), "a note that it has not signed")
    e.good(name, ask(0, raffle, 2, two, 0))
    e.good(name, ask(0, raffle, 2, two, 2))
    grown = ask(0, raffle, 4, four, 2, [node(c, d)])
    accepted = e.flips(name, grown, [i for i in range(len(grown)) if not 1 <= i < 17])
    if accepted:
        raise Breach(f"hsm signs a checkpoint with bytes {accepted} changed")
    e.refused(name, ask(0, raffle, 2, a, 2), "another tree of that size")
    e.refused(name, ask(0, raffle, 4, four, 2), "no proof")
    e.refused(name, ask(0, raffle, 4, four, 0), "a log from its beginning on")
    e.refused(name, ask(0, raffle, 4, four, 3, [node(c, d)]), "a proof from elsewhere")
    e.good(name, grown)
    e.refused(name, ask(0, raffle, 2, two, 2), "a smaller log")
    e.refused(name, ask(0, raffle, 3, three, 2, [c]), "a smaller log")
    e.good(name, ask(0, other, 3, three, 0))
    e.refused(name, grown.replace(raffle, other), "another raffle's log")


def paper(text):
    return struct.pack("<H", len(text)) + text.encode()


def lives(e):
    """Here no beacon is pinned: hsm agrees to no open record, whatever it promises, and so to nothing
    that follows one; nor does it reveal a seed for a story that it was not told."""
    raffle = os.urandom(16)
    made = e.good("MSG_HSM_NEW_SEED", raffle)[4:]
    commit1, commit2, blob = made[:32], made[32:64], made[64:]
    now, name = int(time.time()), raffle.hex()
    terms = f"sales-close {now + 60}\nbeacon drand {'11' * 32} 5\nnot-before drand {'11' * 32} 4 {'22' * 48}\ndraw-deadline {now + 900}\n"
    first = (f"kleroterion/v2 open\nraffle {name}\ntickets-origin localhost/klero/r/{name}\n"
             f"seed-commit kbkdf-hmac-sha256 {commit2.hex()}\nwinners 1\nreserves 0\ndedupe none\n{terms}"
             f"escrow 0 0 {'00' * 32}\non-default void\nrules {'33' * 32}\n")
    leaf = hashlib.sha256(b"\0" + first.encode()).hexdigest()
    head = f"raffle {name}\nopen 0 {leaf}\n"
    later = {
        "amend": f"kleroterion/v2 amend\n{head}{terms}",
        "close": f"kleroterion/v2 close\n{head}tickets 5\nroot {'44' * 32}\nclosed-at {now}\n",
        "abort": f"kleroterion/v2 abort\n{head}reason because\nstatement {'55' * 32}\naborted-at {now}\n",
    }
    ask = commit1 + blob
    e.refused("MSG_HSM_AGREE", ask + b"\x01" + paper(first), "an open record with a beacon that nobody has pinned")
    for kind, text in later.items():
        e.refused("MSG_HSM_AGREE", ask + b"\x02" + paper(first) + paper(text), f"the {kind} of a raffle that was never opened")
        e.refused("MSG_HSM_AGREE", ask + b"\x01" + paper(text), f"the {kind} of nothing")
    papers = b"\x02" + paper(first) + paper(later["close"])
    e.refused("MSG_HSM_REVEAL2", bytes(4) + ask + bytes(2) + papers + b"\x01" + bytes(48), "a seed for a story that it was not told")
    e.refused("MSG_HSM_REVEAL2", bytes(4) + ask + bytes(2) + b"\x01" + paper(first) + b"\x00", "a seed before the close")


def escrows(e):
    """A seed is put into escrow for the raffle it was made for, and nothing else is."""
    name, raffle = "MSG_HSM_ESCROW", os.urandom(16)
    blob = e.good("MSG_HSM_NEW_SEED", raffle)[4 + 64:]
    bundle = e.good(name, raffle + blob)[6:]
    if json.loads(bundle)["raffle"] != raffle.hex():
        raise Breach(f"an escrow of another raffle: {bundle[:200]}")
    accepted = e.flips(name, raffle + blob, e.suite.some(range(16 + len(blob)), 40))
    if accepted:
        raise Breach(f"hsm puts a seed with bytes {accepted} changed into escrow")
    e.refused(name, os.urandom(16) + blob, "the seed of another raffle")
    e.refused(name, raffle + e.office.samples["MSG_HSM_OPEN_DBKEY"][0][:-16], "the database key")


def cosignatures(e):
    """As a witness hsm cosigns one growing tree of a log that it knows, by that log's own key alone."""
    name, log = "MSG_HSM_COSIGN", e.office.lab.witnessed.grow(5)

    def ask(log, old, proof=None, key=None):
        proof = witness.consistency(log.leaves, old) if proof is None else proof
        origin, sig = log.origin.encode(), (key or log.key).sign(log.text().encode())
        return (struct.pack("<H", len(origin)) + origin + struct.pack("<Q", len(log.leaves)) + witness.tlog.root_of(log.leaves) +
                struct.pack("<H", len(sig)) + sig + struct.pack("<QB", old, len(proof)) + b"".join(proof))

    e.refused(name, ask(witness.Log("stranger.example/klero", log.key, log.leaves), 0), "a log that it does not know")
    e.refused(name, ask(log, 0, key=witness.Log("x").key), "a checkpoint that its log has not signed")
    e.refused(name, ask(log, 3), "a log that it has never seen, from its third leaf on")
    answer = e.good(name, ask(log, 0))
    blob = base64.b64encode(answer[4:8] + struct.pack(">Q", *struct.unpack("<Q", answer[8:16])) + answer[16:]).decode()
    own = e.office.lab.appliance
    if not witness.cosigned(f"{witness.DASH} {witness.host(own)}/klero/witness {blob}", f"{witness.host(own)}/klero/witness",
                            witness.key_of(own), log.text()):
        raise Breach(f"a cosignature that does not verify: {answer.hex()}")
    smaller = witness.Log(log.origin, log.key, log.leaves[:4])
    log.grow(8)
    grown = ask(log, 5)
    accepted = e.flips(name, grown, range(len(grown)))
    if accepted:
        raise Breach(f"hsm cosigns with bytes {accepted} changed")
    e.refused(name, ask(log, 0), "a log from its beginning on")
    e.refused(name, ask(log, 5, []), "no proof")
    e.refused(name, ask(log.fork(5), 5), "another tree of the size that it cosigned")
    e.refused(name, ask(smaller, 5), "a smaller log")
    e.good(name, grown)
    e.refused(name, ask(log.fork(13), 13), "another tree of the size that it cosigned")
    e.refused(name, ask(witness.Log(log.origin, log.key, log.leaves[:6]), 5), "the log as it was before")


def tokens(e, session, refresh):
    now = bytearray(session)
    for seconds in (-400, 400, 1 << 40, -(1 << 40)):
        at, = struct.unpack_from("<Q", session, 37)
        struct.pack_into("<Q", now, 37, (at + seconds) % (1 << 64))
        e.refused("MSG_HSM_SESSION", bytes(now), f"{seconds} s from now")
    for roles in (0x10, 0x80, 0xff):
        e.refused("MSG_HSM_SESSION", session[:32] + bytes([roles]) + session[33:], "roles that are none")
    e.good("MSG_HSM_REFRESH", refresh)
    accepted = e.flips("MSG_HSM_REFRESH", refresh, range(2, len(refresh)))
    if accepted:
        raise Breach(f"hsm knows a refresh token with bytes {accepted} changed")


def payouts(e, kind, fields):
    """A deposit key is good for its own address, a payout's id for one transaction: nothing that is
    changed but the id is signed (nor the pool, which an EVM key is not bound to)."""
    pool, ident = os.urandom(16), os.urandom(16)
    made = e.good("MSG_HSM_NEW_DEPOSIT", pool + bytes([kind]))[4:]
    sign = pool + made + ident + bytes([kind]) + fields
    e.good("MSG_HSM_SIGN_PAYOUT", sign)
    e.good("MSG_HSM_SIGN_PAYOUT", sign)
    at = len(pool + made)
    may = set(range(at, at + 16)) | (set(range(16)) if kind == EVM else set())
    accepted = set(e.flips("MSG_HSM_SIGN_PAYOUT", sign, range(len(sign)))) - may
    if accepted:
        raise Breach(f"hsm signs a payout with bytes {sorted(accepted)} changed")
    # the same again under a fresh id: another chain, a fee or a value above the limits
    much = [*range(8), *range(29, 32), *range(60, 84)] if kind == EVM else range(len(fields) - 4, len(fields))
    for i in much:
        over = bytearray(fields)
        over[i] |= 0x80
        e.refused("MSG_HSM_SIGN_PAYOUT", sign[:at] + os.urandom(16) + bytes([kind]) + over, f"byte {i} too much")
    e.refused("MSG_HSM_REWRAP_DEPOSIT", pool + made[:1] + os.urandom(made[0]) + made[1 + made[0]:], "another's key")
    e.refused("MSG_HSM_REWRAP_SEED", bytes(48) + made[1 + made[0]:], "a deposit key")
    return sign


def approvals(e, sign):
    """What nobody has signed is approved by nobody, whatever stands around it; and a message that
    carries approvals opens no way around the limits."""
    for proposal in (b"kleroterion approval v1\n", b"x" * 8192, os.urandom(200)):
        for armor in (b"", os.urandom(300), b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n" * 9):
            head = struct.pack("<H", len(proposal)) + proposal + struct.pack("<H", len(armor)) + armor
            e.refused("MSG_HSM_SIGN_APPROVED", head + sign, "approved by nobody")


def deposits(e):
    ether = struct.pack("<QQQQQ", 1, 0, 1 << 55, 1 << 55, 21000) + bytes([0x11] * 20) + (10**17).to_bytes(32, "big")
    cheap = struct.pack("<QQQQQ", 1, 0, 0, 0, 21000) + ether[40:]
    key = payouts(e, EVM, cheap)[:-109]
    e.refused("MSG_HSM_SIGN_PAYOUT", key + os.urandom(16) + bytes([EVM]) + ether, "fees above its limit")
    quorum = key + os.urandom(16) + bytes([EVM]) + struct.pack("<Q", 6) + cheap[8:]
    e.refused("MSG_HSM_SIGN_PAYOUT", quorum, "without the officers' approval")
    approvals(e, quorum)
    payouts(e, SOLANA, bytes([0x33] * 32) + bytes([0x22] * 32) + struct.pack("<Q", 10**6))


def hsm(suite, office):
    suite.walked = office.walk()
    kept, e = office.samples, CapturedEngine(suite, office)
    database_key(e, kept["MSG_HSM_OPEN_DBKEY"][0])
    seeds(e, kept["MSG_HSM_REVEAL_SEED"][0], e.good("MSG_HSM_NEW_SEED", bytes(16)))
    records(e, kept["MSG_HSM_SIGN_DRAW1"][0])
    tokens(e, kept["MSG_HSM_SESSION"][-1], kept["MSG_HSM_REFRESH"][0])
    deposits(e)
    logs(e)
    lives(e)
    escrows(e)
    cosignatures(e)
    credentials(e, kept["MSG_HSM_OPEN_CREDENTIAL"][0])
    if not office.hsm.ping():
        raise Breach("hsm has ended")


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
        office.pairs = office.pairs[:1]  # the real one's channel is replaced by ours
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
    conf = office.lab.appliance.conf
    before = conf.read_text()
    conf.write_text(before + "drand-relay https://127.0.0.1:1\n")  # without one no chain is pinned
    office.lab.configuration("beacon")
    conf.write_text(before)
    role = office.lab.start("beacon")
    c = role.peer("engine")

    def verdict(number, signature, chain=0):
        suite.messages += 1
        nonlocal role, c
        if role.ended() is not None or c.closed:  # it is replaced now and then, by its own wish
            role.forget()
            role = office.lab.start("beacon")
            c = role.peer("engine")
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
