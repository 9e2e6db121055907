"""What a captured engine asks of hsm is held against its meaning: hsm keeps its once-only rules, whatever
is changed in messages that are known to be good. They come from a whole v1 raffle between the real
ones (peers_office.py) and a v2 one (peers_life.py). No question of the table is left out."""

import base64
import ctypes
import hashlib
import json
import os
import re
import struct
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from peers_lab import TABLE, Breach, witness
from peers_life import life, lives, paper, result

EVM, SOLANA = 1, 2


class CapturedEngine:
    def __init__(self, suite, office):
        self.suite, self.office = suite, office
        self.channel = office.hsm.peer("engine", 1)
        self.granted, self.denied = set(), set()  # names of questions that were asked both ways

    def ask(self, name, body):
        """The answer's body, empty when engine was blamed for the question."""
        self.suite.messages += 1
        self.office.hsm.said()  # as parent does: a full pipe would stop hsm
        self.office.relay(0)    # and the real engine waits for nobody meanwhile
        if self.channel.closed:
            self.channel.drop()
            self.channel = self.office.hsm.peer("engine", 1)
        try:
            answer = self.channel.ask(name, body)
            self.office.note(name + "_ANS", answer)
            return answer
        except Breach:
            if self.channel.closed and self.office.hsm.ping():
                return b""
            raise

    def good(self, name, body):
        answer = self.ask(name, body)
        if not answer or result(answer):
            raise Breach(f"hsm refuses a good {name}: {answer.hex()}")
        self.office.note(name, body)
        self.granted.add(name)
        return answer

    def refused(self, name, body, what):
        answer = self.ask(name, body)
        self.denied.add(name)
        if answer and result(answer) == 0:
            raise Breach(f"hsm does {name} for {what}")

    def flips(self, name, body, positions):
        """The positions at which a changed byte is still accepted."""
        self.denied.add(name)
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
    # no consent is asked for here, so papers about one change nothing
    for name, papers in (("MSG_HSM_REVEAL_SEED", b""), ("MSG_HSM_REVEAL_APPROVED", paper("no proposal") + paper(""))):
        if e.good(name, papers + reveal) != once:
            raise Breach(f"{name} gives another seed")
        accepted = e.flips(name, papers + reveal, range(len(papers), len(papers + reveal)))
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
    e.good("MSG_HSM_SEAL_CREDENTIAL", user + struct.pack("<H", len(phc)) + phc)
    e.refused("MSG_HSM_SEAL_CREDENTIAL", user + struct.pack("<H", 32) + bytes(32), "what is no PHC string")
    # in one question: mine, another's, and the same in the clear for another
    plain = struct.pack("<H", len(phc)) + phc
    answer = e.good("MSG_HSM_RESEAL_CREDENTIALS", struct.pack("<H", 3) + opened + bytes(16) + sealed_text +
                    bytes(16) + plain)[4:]
    e.refused("MSG_HSM_RESEAL_CREDENTIALS", struct.pack("<H", 201) + bytes(201 * 18), "more than it takes at once")
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
    # the size's first byte apart: what is no leaf's hash to us could be the third one's of three
    accepted = e.flips(name, grown, [i for i in range(len(grown)) if not 1 <= i <= 17])
    if accepted:
        raise Breach(f"hsm signs a checkpoint with bytes {accepted} changed")
    for size in (0, 1, 2, 5, 6, 7, 8, 255):
        e.refused(name, ask(0, raffle, size, four, 2, [node(c, d)]), "a log of another size")
    e.refused(name, ask(0, raffle, 2, a, 2), "another tree of that size")
    e.refused(name, ask(0, raffle, 4, four, 2), "no proof")
    e.refused(name, ask(0, raffle, 4, four, 0), "a log from its beginning on")
    e.refused(name, ask(0, raffle, 4, four, 3, [node(c, d)]), "a proof from elsewhere")
    e.good(name, grown)
    e.refused(name, ask(0, raffle, 2, two, 2), "a smaller log")
    e.refused(name, ask(0, raffle, 3, three, 2, [c]), "a smaller log")
    e.good(name, ask(0, other, 3, three, 0))
    e.refused(name, grown.replace(raffle, other), "another raffle's log")


def wrapped(e):
    """Whatever hsm seals anew was its own, and of that row."""
    raffle = os.urandom(16)
    for name, body in (("MSG_HSM_RESEAL_DBKEY", e.office.samples["MSG_HSM_OPEN_DBKEY"][0]),
                       ("MSG_HSM_REWRAP_SEED", raffle + seed_row(e.good("MSG_HSM_NEW_SEED", raffle)[4:]))):
        e.good(name, body)
        accepted = e.flips(name, body, e.suite.some(range(len(body)), 40))
        if accepted:
            raise Breach(f"hsm does {name} with bytes {accepted} changed")
    e.good("MSG_HSM_RAISE", e.office.samples["MSG_HSM_RAISE"][0])
    for name in ("MSG_HSM_KEYS", "MSG_HSM_ANCHOR", "MSG_HSM_IMPORT_KEY"):
        e.good(name, b"")


def seed_row(made):
    """v1 commitment and wrapped seed, of an answer that has the v2 commitment between them."""
    return made[:32] + made[64:]


def holders(e):
    """One salt for one holder in one raffle."""
    one = os.urandom(48)
    salts = [e.good("MSG_HSM_HOLDER", body) for body in (one, one, os.urandom(16) + one[16:], one[:16] + os.urandom(32))]
    if len({s[4:] for s in salts}) != 3 or salts[0] != salts[1]:
        raise Breach("a holder's salt is not that holder's")


def imports(e):
    """A key of the old platform is taken over when box and value are whole, and the value's tag holds."""
    sodium = ctypes.CDLL("libsodium.so.23")
    name, key, iv = "MSG_HSM_IMPORT_DEPOSIT", os.urandom(32), os.urandom(12)
    box = ctypes.create_string_buffer(80)
    sodium.crypto_box_seal(box, key, ctypes.c_ulonglong(32), e.good("MSG_HSM_IMPORT_KEY", b"")[4:])
    sealed_text = AESGCM(key).encrypt(iv, os.urandom(32).hex().encode(), None)
    value = b"v1:" + base64.b64encode(iv + sealed_text[-16:] + sealed_text[:-16])
    body = os.urandom(16) + bytes([EVM, 0]) + box.raw + paper(value)
    e.good(name, body)
    accepted = e.flips(name, body, e.suite.some(range(17, len(body)), 60))
    if accepted:
        raise Breach(f"hsm takes a key over with bytes {accepted} changed")
    e.refused(name, body[:16] + bytes([SOLANA]) + body[17:], "a key of another kind of chain")


def backups(e):
    """hsm vouches for the appliance, its anchor, its key and the time, and knows its own signature."""
    name, said = "MSG_HSM_SIGN_BACKUP", e.office.samples["MSG_HSM_SIGN_BACKUP"][0]
    e.good(name, said)
    for word, value in ((b"appliance", b"0" * 32), (b"anchor", b"99"), (b"log-key", b"2"), (b"made", b"1"), (b"made", b"99999999999")):
        e.refused(name, paper(re.sub(rb"(?m)^%s .*$" % word, word + b" " + value, said[2:])), f"another {word.decode()}")
    e.refused(name, paper(re.sub(rb"(?m)^section .*\n", b"", said[2:])), "a backup of nothing")
    line = e.office.samples["MSG_CTL_BACKUP_SIGN_ANS"][0]
    note = paper(said[2:] + b"\n" + line[6:])
    e.good("MSG_HSM_CHECK_BACKUP", note)
    accepted = e.flips("MSG_HSM_CHECK_BACKUP", note, e.suite.some(range(len(note)), 60))
    if accepted:
        raise Breach(f"hsm knows a backup with bytes {accepted} changed")


# needs officers' signatures, and this appliance has none: tests/system/test_pools.py grants it
OFFICERS = {"MSG_HSM_SIGN_APPROVED"}
# to which anything can be asked
FREE = {"MSG_HSM_NEW_SEED", "MSG_HSM_HOLDER"}


def both_ways(e):
    """No question of the table that is not asked here rightly and wrongly."""
    table = {m.name: m for m in TABLE.of("engine", "hsm")}
    never = {f"grants {n}" for n in set(table) - e.granted - OFFICERS}
    never |= {f"refuses {n}" for n, m in table.items() if m.most > 0 and n not in e.denied | FREE}
    if never:
        raise Breach(f"nobody has looked whether hsm {sorted(never)}")


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
    def at(seconds):
        return session[:37] + struct.pack("<Q", (int(time.time()) + seconds) % (1 << 64))

    e.good("MSG_HSM_SESSION", at(0))
    for seconds in (-400, 400, 1 << 40, -(1 << 40)):
        e.refused("MSG_HSM_SESSION", at(seconds), f"{seconds} s from now")
    for roles in (0x10, 0x80, 0xff):
        e.refused("MSG_HSM_SESSION", at(0)[:32] + bytes([roles]) + at(0)[33:], "roles that are none")
    e.good("MSG_HSM_REFRESH", refresh)
    accepted = e.flips("MSG_HSM_REFRESH", refresh, range(2, len(refresh)))
    if accepted:
        raise Breach(f"hsm knows a refresh token with bytes {accepted} changed")


def payouts(e, kind, fields):
    """A deposit key is good for its own address, a payout's id for one transaction: nothing that is
    changed but the id is signed (nor the pool, which an EVM key is not bound to)."""
    pool, ident = os.urandom(16), os.urandom(16)
    made = e.good("MSG_HSM_NEW_DEPOSIT", pool + bytes([kind]))[4:]
    e.refused("MSG_HSM_NEW_DEPOSIT", pool + bytes([7]), "a chain of no kind")
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
    e.good("MSG_HSM_REWRAP_DEPOSIT", pool + made)
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
            e.office.note("MSG_HSM_SIGN_APPROVED", head + sign)


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
    life(e)
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
    wrapped(e)
    holders(e)
    imports(e)
    backups(e)
    both_ways(e)
    if not office.hsm.ping():
        raise Breach("hsm has ended")
