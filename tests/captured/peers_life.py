"""A whole v2 raffle between the real engine and the real hsm, with engine captured at each step: hsm hears
first what it must not agree to (another seed, other tickets, values that are known, a close that
nobody has seen), then the true story, and at the end what would take it back. See peers_hsm.py."""

import hashlib
import os
import re
import struct
import time

from peers_lab import TABLE, Breach, witness


def result(body):
    return struct.unpack_from("<i", body)[0]


def paper(text):
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<H", len(raw)) + raw


def lives(e):
    """Of a beacon that is not pinned here hsm agrees to no open record, and so to nothing that follows
    one; nor does it reveal a seed for a story that it was not told."""
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


class Story:
    """AGREE's or REVEAL2's body in its parts, and again as a body with some of them changed."""

    def __init__(self, name, body):
        self.name, self.raw, self.at = name, body, 0
        reveals = name == "MSG_HSM_REVEAL2"
        self.parts = {"proposal": self.string(), "approvals": self.string()} if reveals else {}
        self.parts |= {"commit": self.take(32), "seed": self.string()}
        self.parts |= {"proof": self.string()} if reveals else {}
        self.parts["papers"] = [self.string() for _ in range(self.take(1)[0])]
        self.parts |= {"values": body[self.at:]} if reveals else {}
        self.kind = "reveal" if reveals else self.parts["papers"][-1].split(b"\n")[0].split(b" ")[1].decode()

    def take(self, n):
        self.at += n
        return self.raw[self.at - n:self.at]

    def string(self):
        return self.take(*struct.unpack("<H", self.take(2)))

    def put(self, **changes):
        out = b""
        for part, value in {**self.parts, **changes}.items():
            if part == "papers":
                out += bytes([len(value)]) + b"".join(paper(p) for p in value)
            else:
                out += value if part in ("commit", "values") else paper(value)
        return out

    def last(self, **lines):
        """With lines of its last paper changed: word → what stands behind it."""
        *before, text = self.parts["papers"]
        for word, value in lines.items():
            changed = re.sub(rb"(?m)^%s .*$" % word.replace("_", "-").encode(), b"%s %s" % (word.replace("_", "-").encode(), value), text)
            if changed == text:
                raise Breach(f"no such line: {word}")
            text = changed
        return self.put(papers=[*before, text])

    def word(self, which, paper=-1):
        return re.search(rb"(?m)^%s (.*)$" % which, self.parts["papers"][paper])[1]


def other(hexadecimal):
    """The same with another last digit."""
    return hexadecimal[:-1] + (b"1" if hexadecimal[-1:] != b"1" else b"2")


def open_lies(e, s):
    """The seed, the tickets' log, the escrow and the time that the open record promises are hsm's to check."""
    name, foreign = s.name, e.good("MSG_HSM_NEW_SEED", bytes(16))[4:]
    accepted = e.flips(name, s.raw, e.suite.some(range(34 + len(s.parts["seed"])), 40))
    if accepted:
        raise Breach(f"hsm agrees to an open record with bytes {accepted} of its seed changed")
    early = b"%d" % (int(time.time()) - 10)
    kind, commit = s.word(b"seed-commit").split(b" ")
    before = s.word(b"not-before").split(b" ")
    moment = re.search(rb"(?m)^beacon drand (\w+) (\d+)$", s.parts["papers"][0])
    escrow_of = s.word(b"escrow").split(b" ")
    for body, what in (
            (s.put(commit=foreign[:32], seed=foreign[66:]), "the seed of another raffle"),
            (s.put(commit=foreign[:32], seed=b""), "no seed"),
            (s.last(seed_commit=kind + b" " + other(commit)), "another commitment"),
            (s.last(tickets_origin=b"elsewhere.example/r/x"), "tickets that are logged elsewhere"),
            (s.last(raffle=other(s.word(b"raffle"))), "another raffle"),
            (s.last(sales_close=early), "sales that have ended"),
            (s.last(not_before=b" ".join([*before[:-1], other(before[-1])])), "a value of now that its chain has not signed"),
            (s.last(not_before=b" ".join([before[0], before[1], b"1", before[-1]])), "a value of long ago"),
            (s.last(beacon=b"drand %s %s" % (moment[1], before[2])), "values that are known already"),
            (s.last(beacon=b"drand %s %s" % (other(moment[1]), moment[2])), "a beacon that is not pinned"),
            (s.last(escrow=b" ".join([*escrow_of[:-1], other(escrow_of[-1])])), "an escrow that it did not make"),
            (s.last(escrow=b"0 0 " + b"0" * 64), "no escrow, where there are officers")):
        e.refused(name, body, "an open record with " + what)


def close_lies(e, s):
    """A close record follows what was agreed to, and is of the end of sales."""
    first = s.parts["papers"][0]
    ends, opened = int(s.word(b"sales-close", 0)), s.word(b"open")
    for body, what in (
            (s.last(closed_at=b"%d" % (ends - 1)), "a time before the end of sales"),
            (s.last(closed_at=b"%d" % (int(time.time()) + 3600)), "a time that is not yet"),
            (s.last(open=other(opened)), "another open record in it"),
            (s.put(papers=s.parts["papers"][1:]), "no open record"),
            (s.put(papers=[re.sub(rb"(?m)^winners .*$", b"winners 7", first), s.parts["papers"][1]]), "another open record")):
        e.refused(s.name, body, "a close record with " + what)
    reveal = bytes(4) + s.put()[:34 + len(s.parts["seed"])] + bytes(2) + s.put()[34 + len(s.parts["seed"]):] + b"\0"
    e.refused("MSG_HSM_REVEAL2", reveal, "a raffle whose close record it has not agreed to")


def reveal_lies(e, s):
    """Nobody learns a seed before its values are known, or for other ones, or unseen by the witness."""
    lab, proof, papers = e.office.lab, s.parts["proof"], s.parts["papers"]
    note = proof[proof.index(b"\n\n") + 2:].decode()
    checkpoint_text, signed = note.split("\n\n")[0] + "\n", proof[:proof.rindex(b"\n", 0, -1) + 1]
    stranger = witness.Log(lab.witness.origin)
    now, seen = int(time.time()), int(s.word(b"closed-at"))
    foreign = e.good("MSG_HSM_NEW_SEED", bytes(16))[4:]
    one, rest = s.parts["values"][1:49], s.parts["values"][49:]
    pulse = rest[2:2 + struct.unpack_from("<H", rest)[0]]
    earlier = [a[12:60] for a in e.office.samples["MSG_OUT_ROUND_ANS"] if result(a) == 0 and a[12:60] != one]
    for changes, what in (
            ({"proof": b""}, "what nobody has seen"),
            ({"proof": signed}, "what no witness has seen"),
            ({"proof": signed + witness.cosign(lab.witness, checkpoint_text, now).encode()}, "what a witness has seen too late"),
            ({"proof": signed + witness.cosign(stranger, checkpoint_text, seen).encode()}, "what a false witness has seen"),
            ({"papers": papers[:1]}, "a raffle that goes on"),
            ({"papers": papers[1:]}, "no open record"),
            ({"papers": [papers[0], re.sub(rb"(?m)^tickets .*$", b"tickets 4", papers[1])]}, "other tickets"),
            ({"commit": foreign[:32], "seed": foreign[66:]}, "another seed"),
            ({"values": b"\0"}, "no value"),
            ({"values": b"\1" + one}, "one value of two"),
            ({"values": b"\2" + earlier[0] + rest}, "another round"),
            ({"values": b"\2" + bytes(48) + rest}, "no signature"),
            ({"values": b"\2" + one + paper(b"") + paper(b"")}, "no pulse"),
            ({"values": b"\2" + one + paper(pulse[:-1]) + paper(b"")}, "a pulse that is cut")):
        e.refused(s.name, s.put(**changes), "a seed for " + what)


def life(e):
    """A whole v2 raffle between the real ones. Of each of its records hsm hears first what it must not agree
    to, and at the end what would take it back."""
    office, lies, told = e.office, {"open": open_lies, "close": close_lies, "reveal": reveal_lies}, {}

    def hear(channel, hsm_channel, m):
        s = Story(TABLE.by_number[m.number].name, m.body)
        if s.kind not in told:
            told[s.kind] = s
            lies[s.kind](e, s)
        office.pass_on(channel, hsm_channel, m)

    office.between |= {"MSG_HSM_AGREE": hear, "MSG_HSM_REVEAL2": hear}
    office.life(*e.suite.walked[:2])
    if set(told) != set(lies):
        raise Breach(f"a life of {set(told)}")
    seed = {e.good(s.name, s.raw) for s in told.values() if s.kind == "reveal" for _ in range(2)}
    if len(seed) != 1:
        raise Breach("the same reveal gives another seed")
    accepted = e.flips("MSG_HSM_REVEAL2", told["reveal"].raw, e.suite.some(range(len(told["reveal"].raw)), 60))
    if accepted:
        raise Breach(f"hsm reveals for a story with bytes {accepted} changed")
    afterwards(e, told["open"], told["close"])


def afterwards(e, opened, closed):
    """What was agreed to stands, and nothing beside it."""
    for s in (opened, closed):
        e.good(s.name, s.raw)
    name, head = opened.name, b"raffle %s\nopen %s\n" % (opened.word(b"raffle"), closed.word(b"open"))
    terms = opened.parts["papers"][0]
    terms = terms[terms.index(b"sales-close"):terms.index(b"escrow ")]
    for text, what in ((b"kleroterion/v2 amend\n" + head + terms, "amend"),
                       (b"kleroterion/v2 abort\n%sreason because\nstatement %s\naborted-at %d\n" % (head, b"5" * 64, int(time.time())), "abort")):
        e.refused(name, opened.put(papers=[opened.parts["papers"][0], text]), f"{what} when the seed is out")
    e.refused(name, opened.last(winners=b"1"), "a second open record")
    e.refused(name, closed.last(root=other(closed.word(b"root"))), "a second close record")
    e.refused(name, closed.last(tickets=b"4"), "a close record with other tickets")
