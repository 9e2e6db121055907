#!/usr/bin/python3
"""Captured peers: each role of the real build is spoken to as its parent and as each of its peers,
with every message of daemon/msg.def, legal or not, in every order, at every time, with wrong
descriptors, headers and bodies (DESIGN.md section 2, "Blame is asymmetric").

	peers.py BUILD [short|long]     TAP; long is an hour, short a minute

Must hold: no death by a signal or with a sanitizer's word; nothing said that the table forbids; an
answer to each question that is due one; garbage of a less trusted peer costs that peer its channel
and its name is told to parent, garbage of a more trusted one ends the role with status 1; whoever
lives answers PING; memory stays bounded. peers_hsm.py and peers_meaning.py ask for the meaning too,
peers_client.py has a client wait meanwhile, peers_parent.py is what children do to parent.
"""

import json
import os
import pathlib
import random
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import peers_client  # noqa: E402
import peers_hsm  # noqa: E402
import peers_meaning  # noqa: E402
import peers_parent  # noqa: E402
from peers_lab import (BEACON_ANSWERS, BODY_MAX, HEADER, NUMBER, RANK, TABLE, WAIT, Breach, Lab, Role,  # noqa: E402
                       answer_of, packet)
from peers_lab import klero  # noqa: E402
from peers_office import Office  # noqa: E402

SERVES = ("hsm", "tlskey", "kdf", "beacon")  # a request is answered at once, or its peer blamed
# roles that end by themselves, with status 0, after so many answers
LIVES = {"beacon": BEACON_ANSWERS}
# Whose bodies are not carried between the roles of an office: net's numbers, and a cache's tags, which
# have no meaning to get wrong.
PLAIN = {"MSG_CACHE_DROP", "MSG_NET_STATS"}
MEMORY = 64 << 20                  # that one role may grow by under all of this
MOST_STARTS = 3000                 # of a role that ends each time, for one kind of nonsense


class Stage:
    """One role and us as one of its peers; made anew whenever it has ended."""

    def __init__(self, suite, word, peer):
        self.suite, self.lab, self.word, self.peer = suite, suite.lab, word, peer
        self.role = self.channel = None
        self.first = self.given = 0  # memory at its start; answers since

    def ready(self):
        if self.role is None or self.role.status is not None:
            if self.role is not None:
                self.role.forget()
            self.role = self.suite.engine() if self.word == "engine" else self.lab.start(self.word)
            self.channel = None
            self.first, self.given = self.role.memory(), 0
        if self.channel is None or self.channel.closed:
            if self.channel is not None and self.channel in self.role.channels:
                self.channel.drop()
            if self.peer == "parent":
                self.channel = self.role.control
            else:
                self.channel = self.role.client() if self.peer == "ctl" else self.role.peer(self.peer)
        return self.channel

    def strike(self, packets, when="RUN"):
        """Sends [(packet, descriptors)] and holds against the law what comes of it."""
        c = self.ready()
        blames = len(self.role.blames)
        sent, due, bad, stop = {}, 0, False, False
        for data, fds in packets:
            self.suite.messages += 1
            good = TABLE.allows(self.peer, self.word, data, len(fds), when)
            number, ident = HEADER.unpack_from(data.ljust(HEADER.size, b"\0"))[1::2]
            if good and not bad and not stop:
                stop = "STOP" in TABLE.by_number[number].name
                if answer_of(number) and (self.word in SERVES or self.word == "engine" or self.peer == "parent"):
                    sent[ident] = answer_of(number)
                    due += 1
            bad = bad or not good
            if not c.send(data, fds):
                break
        answers = self.hear(c, sent, due, bad or stop)
        self.judge(c, sent, (answers, due), bad, (stop, len(packets)), blames)

    def hear(self, c, sent, due, ends):
        """The answers until the channel ends or nothing more is due."""
        answers, end = 0, time.monotonic() + WAIT
        while ends or answers < due or not c.taken():
            m = c.receive(WAIT if ends or answers < due else 0.0005)
            if c.closed or self.role.ended() is not None:
                break
            if m is not None:
                answers += self.is_answer(m, sent)
            elif time.monotonic() > end:
                raise Breach(f"{self.word} neither answers {self.peer} nor closes: {self.role.said()[-400:]}")
        return answers

    def is_answer(self, m, sent):
        for fd in m.fds:
            os.close(fd)
        if m.number not in sent.values():
            # what a role says by itself: blames, questions, word that a cache is stale
            return 0
        if self.peer == "parent":
            return 1
        if sent.pop(m.ident, None) != m.number:
            raise Breach(f"{self.word} gave {self.peer} an answer it has not asked for: {m}")
        self.given += 1
        return 1

    def judge_end(self, stop, many):
        """It has ended: by our garbage, at our word, or because it was time."""
        trusted, spent = RANK[self.peer] > RANK[self.word], self.given >= LIVES.get(self.word, self.given + 1)
        allowed = {0} if stop or spent else {1}
        if stop and many > 1 or spent:
            allowed.add(1)
        if not trusted or self.role.status not in allowed:
            raise Breach(f"{self.word} ended with {self.role.status}: {self.role.said()[-600:]}")

    def judge(self, c, sent, counted, bad, stop, blames):
        answers, due = counted
        stop, many = stop
        trusted = RANK[self.peer] > RANK[self.word]
        if c.closed and (trusted or self.peer == "parent") and self.role.ended() is None:
            self.role.wait()
        if self.role.ended() is not None:
            self.judge_end(stop, many)
            return
        if not self.role.ping():
            self.judge_end(False, many)
            return
        while (m := c.receive()) is not None:  # what came before PONG, or that it was closed
            answers += self.is_answer(m, sent)
        if bad and trusted:
            raise Breach(f"{self.word} lives on after garbage of {self.peer}")
        if c.closed and self.peer != "ctl":
            told = [b for b in self.role.blames[blames:] if b == (NUMBER[self.peer], c.index, c.life)]
            if len(told) != 1:
                raise Breach(f"{self.word} closed {self.peer}'s channel and told parent {self.role.blames[blames:]}: {self.role.said()[-300:]}")
        if bad and not c.closed:
            raise Breach(f"{self.word} goes on with {self.peer} after garbage")
        if not c.closed and answers < due:
            raise Breach(f"{self.word} owes {self.peer} an answer")

    def check_memory(self):
        if self.role is not None and self.role.ended() is None and self.role.memory() > self.first + MEMORY:
            raise Breach(f"{self.word} grew from {self.first >> 20} to {self.role.memory() >> 20} MiB")

    def end(self):
        if self.role is not None:
            self.check_memory()
            self.role.kill()


class Suite:
    def __init__(self, build, directory, long):
        self.lab, self.long = Lab(build, directory), long
        self.messages = self.failed = self.count = 0
        self.rng = random.Random(4711)
        self.keepers = {}
        self.samples = {"MSG_TLS_SIGN": [klero.tls_key_name(self.lab.appliance.ca) + b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + bytes(32)]}

    def keep(self, word):
        """A real one for engines that are not spoken to as it."""
        if word not in self.keepers or self.keepers[word].ended() is not None:
            self.keepers[word] = self.lab.start(word)
        return self.keepers[word]

    def engine(self):
        e = self.lab.engine(self.keep("hsm"))
        self.lab.join(e, self.keep("kdf"))
        return e

    def test(self, name, work, *arguments):
        began, before = time.monotonic(), self.messages
        self.count += 1
        try:
            work(*arguments)
            word = "ok"
        except (Breach, OSError, ValueError) as e:
            word = "not ok"
            self.failed += 1
            print("# " + f"{type(e).__name__}: {e}".replace("\n", "\n# "))
        print(f"{word} {self.count} - {name} # {self.messages - before} messages, {time.monotonic() - began:.1f} s", flush=True)

    def whole(self):
        """So that a new message cannot be tried with zeros alone."""
        for m in TABLE.of("net", "tlskey"):
            self.samples[m.name + "ED"] = [self.keep("tlskey").peer("net").ask(m.name, self.samples[m.name][0])]
        between = [m for m in TABLE.rows if m.most > 0 and "parent" not in (m.sender, m.receiver)]
        lacking = {m.name for m in between} - set(self.samples) - PLAIN
        if lacking:
            raise Breach(f"without a body of its own: {sorted(lacking)}")

    def some(self, items, short, stage=None):
        """All of them, or a random choice in the short form: a small one where each ends the role, of
        which there are only so many in the long form."""
        items = list(items)
        ends = stage is not None and RANK[stage.peer] > RANK[stage.word]
        most = short // 5 if ends else short
        if self.long:
            most = MOST_STARTS if ends else len(items)
        return items if len(items) <= most else self.rng.sample(items, most)

    # --- what is sent ---

    def body(self, m):
        kept = self.samples.get(m.name)
        return self.rng.choice(kept) if kept and self.rng.random() < 0.7 else bytes(m.least)

    def message(self, m, ident=7, body=None):
        """As the table wants it, with a descriptor where one must be."""
        fds = [self.spare()] if m.fd == 1 else []
        return packet(m.number, self.body(m) if body is None else body, ident), fds

    def spare(self):
        if not hasattr(self, "socket"):
            self.socket, self.other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return self.socket.fileno()

    def lengths(self, m):
        for n in sorted({0, 1, m.least - 1, m.least, m.least + 1, m.most - 1, m.most, m.most + 1, BODY_MAX, BODY_MAX + 1}):
            if n >= 0:
                yield bytes(n)
                yield self.rng.randbytes(n)
        yield b"\xff" * m.most

    def mutations(self, m):
        for body in self.samples.get(m.name, []):
            for i in self.some(range(len(body)), 12):
                changed = bytearray(body)
                changed[i] ^= self.rng.choice((1, 0x80, 0xff, self.rng.randrange(1, 256)))
                yield bytes(changed)
            yield body[:-1]
            yield body + b"\0"

    def headers(self, word, peer):
        """Wrong in the header alone: the body is one that would be answered, if there is such."""
        legal = TABLE.of(peer, word) or TABLE.rows
        m = next((m for m in legal if self.samples.get(m.name) and m.fd == 0), legal[0])
        n, body = m.number, self.samples.get(m.name, [bytes(m.least)])[0]
        for version in (0, 2, 0xffff):
            yield packet(n, body, version=version)
        for number in (0, 1, 0x7fff, 0xffff, n ^ 0x8000):
            yield packet(number, body)
        for length in (len(body) + 1, len(body) - 1, 0xffffffff, 0x80000000, 65536):
            yield packet(n, body, length=length)
        whole = packet(n, body)
        for short in (1, 2, 4, 8, 15):
            yield whole[:short]

    # --- the attacks ---

    def everything(self, s):
        """Every message of the table, from this peer, once with and once without a body."""
        for m in self.some(TABLE.rows, 60, s):
            s.strike([self.message(m, body=bytes(m.least))])
            if m.name in self.samples:
                s.strike([self.message(m)])

    def wrong_headers(self, s):
        for data in self.some(self.headers(s.word, s.peer), 20, s):
            s.strike([(data, [])])

    def wrong_bodies(self, s):
        for m in TABLE.of(s.peer, s.word):
            for body in self.some(self.lengths(m), 15, s):
                s.strike([self.message(m, body=body)])
            for body in self.some(self.mutations(m), 24, s):
                s.strike([self.message(m, body=body)])
        s.check_memory()

    def wrong_descriptors(self, s):
        kinds = [self.spare(), os.open("/dev/null", os.O_RDWR), os.open("/", os.O_RDONLY), os.memfd_create("x")]
        kinds += os.pipe()
        stream = socket.socket()
        kinds.append(stream.fileno())
        for m in TABLE.of(s.peer, s.word):
            data = packet(m.number, self.body(m))
            for fds in self.some(([kinds[0]] * 2, kinds[:5], kinds * 4, []), 5, s):
                s.strike([(data, fds)])
            for fd in self.some(kinds, 5, s):
                s.strike([(data, [fd])])
        for fd in kinds[1:-1]:
            os.close(fd)
        stream.close()

    def orders(self, s):
        """Pairs of legal and any, triples of legal, long random ones; then ids used twice."""
        legal = TABLE.of(s.peer, s.word)
        for a, b in self.some([(a, b) for a in legal for b in TABLE.rows], 60, s):
            s.strike([self.message(a, 1), self.message(b, 2)])
        for three in self.some([(a, b, c) for a in legal for b in legal for c in legal], 60, s):
            s.strike([self.message(m, i) for i, m in enumerate(three)])
        for _ in range(200 if self.long else 8):
            many = self.rng.randrange(4, 40)
            s.strike([self.message(self.rng.choice(legal), i) for i in range(many)])
        s.check_memory()

    def too_early(self, word):
        """Before its configuration, and between that and READY."""
        for m in self.some(TABLE.rows, 5):
            r = Role(self.lab, word)
            r.control.send(*self.message(m, body=bytes(m.least)))
            self.messages += 1
            r.control.sock.shutdown(socket.SHUT_WR)
            if r.wait() not in (0, 1):
                raise Breach(f"{word} began with {m.name}: {r.status}")
            r.forget()
        for m in self.some([m for m in TABLE.rows if m.name != r.name("CONF")], 5):
            r = Role(self.lab, word).configure()
            r.control.send(*self.message(m, body=bytes(m.least)))
            self.messages += 1
            r.control.sock.shutdown(socket.SHUT_WR)
            if r.wait() not in (0, 1):
                raise Breach(f"{word} had {m.name} before READY: {r.status}")
            r.forget()

    def too_late(self, s):
        """After STOP nothing counts any more, and the role goes."""
        stop = TABLE.by_name[f"MSG_{s.word.upper()}_STOP"]
        for m in self.some(TABLE.rows, 3):
            s.strike([(packet(stop.number), []), self.message(m, body=bytes(m.least))])

    def nobody_reads(self, s):
        """A peer that asks and takes no answer holds up nobody else."""
        c = s.ready()
        m = next(m for m in TABLE.of(s.peer, s.word) if answer_of(m.number))
        data = packet(m.number, self.samples[m.name][0])
        sent, idle = 0, 0
        while idle < 100 and sent < 50000:  # until it takes no more
            taken = c.send(data)
            sent, idle = sent + taken, 0 if taken else idle + 1
            if not taken:
                time.sleep(0.005)
        self.messages += sent
        other = s.role.peer(s.peer, 1)
        other.say(m.name, self.samples[m.name][0], 9)
        answer = other.receive(WAIT / 2)
        if not s.role.ping():
            raise Breach(f"{s.word} has ended: {s.role.said()[-300:]}")
        if answer is None or answer.ident != 9:
            raise Breach(f"{s.word} answers nobody while {s.peer} 0 does not read")
        s.check_memory()

    def keyadm(self):
        """One order, whatever it says: an answer or an end, and the token as it was."""
        order = self.lab.configuration("keyadm", 2)[0][0][HEADER.size:]
        bodies = [order, order[:-1], order + b"\0", b"", bytes(16384), bytes(16385)]
        for i in self.some(range(len(order)), 40):
            changed = bytearray(order)
            changed[i] ^= self.rng.choice((1, 0x80, 0xff))
            bodies.append(bytes(changed))
        packets = [packet(TABLE.by_name["MSG_KEYADM_CONF"].number, b) for b in bodies]
        packets += [packet(m.number, bytes(m.least)) for m in TABLE.rows] + list(self.headers("keyadm", "parent"))
        for data in self.some(packets, 30):
            r = Role(self.lab, "keyadm")
            r.control.send(data)
            self.messages += 1
            m = r.control.receive(WAIT)
            # it may be a PIN that was changed on the way: hsm/role/exit.h knows these ends
            if r.wait() not in ((1,) if m is None else range(10)):
                raise Breach(f"keyadm ended with {r.status} and {m}")
            if r.status == 0:
                raise Breach(f"keyadm did what was not to be done again: {m}")
            r.forget()
        self.lab.start("tlskey").kill()

    # --- all of it ---

    def run(self):
        only = os.environ.get("KLERO_PEERS_ONLY")
        office = Office(self.lab)
        self.test("hsm holds what its messages mean", peers_hsm.hsm, self, office)
        self.test("out asks nobody else", peers_meaning.out, self, office)
        self.test("net's lies are nobody's action", peers_meaning.net, self, office)
        self.test("kdf's lies are told to who waits", peers_meaning.kdf, self, office)
        self.test("beacon takes no value for another", peers_meaning.beacon, self, office)
        for name, bodies in office.samples.items():
            self.samples[name] = bodies[:6 if self.long else 2]
        office.stop()
        self.test("every message has a body that means something", self.whole)
        for word, peers in TABLE.peers().items():
            if only and word not in only:
                continue
            self.test(f"{word}: too early", self.too_early, word)
            for peer in peers:
                s = Stage(self, word, peer)
                for attack in (self.everything, self.wrong_headers, self.wrong_bodies, self.wrong_descriptors, self.orders):
                    self.test(f"{word} from {peer}: {attack.__name__.replace('_', ' ')}", attack, s)
                if peer == "parent":
                    self.test(f"{word}: too late", self.too_late, s)
                elif word in SERVES and word not in LIVES:
                    self.test(f"{word} from {peer}: nobody reads", self.nobody_reads, s)
                s.end()
        self.test("net from engine: a client waits", peers_client.run, self)
        self.test("keyadm: any order", self.keyadm)
        self.test("parent from its children", peers_parent.run, self)
        self.lab.end()

    def report(self):
        print(f"1..{self.count}")
        if not os.environ.get("KLERO_ATTACK"):
            return
        sanitized = "san" in self.lab.build.name
        row = {"name": "captured: peers" + (", sanitized" if sanitized else ""),
               "tried": "every role spoken to as each of its peers: every message, order, time, length, descriptor",
               "count": self.messages, "unit": "messages", "failed": self.failed,
               "detail": f"{sum(Role.started.values())} processes"}
        name = "peers-san.json" if sanitized else "peers.json"
        (pathlib.Path(os.environ["KLERO_ATTACK"]) / name).write_text(json.dumps(row) + "\n")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["short"], ["long"]):
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory(prefix="klero-peers.") as directory:
        pathlib.Path(directory).chmod(0o711)
        suite = Suite(sys.argv[1], pathlib.Path(directory) / "a", sys.argv[2:] == ["long"])
        try:
            suite.run()
        finally:
            suite.lab.end()
        suite.report()
    sys.exit(min(suite.failed, 100))


main()
