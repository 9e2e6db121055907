"""A log that asks witnesses for cosignatures, and their check, by c2sp.org/tlog-witness and
tlog-cosignature alone: RFC 6962 trees of tlog.py, keys of python3-cryptography. And two appliances
that witness each other."""

import base64
import hashlib
import re
import struct
import time

import tlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DASH = "\u2014"


def key_id(name, kind, public):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def vkey(name, kind, public):
    return f"{name}+{key_id(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


def consistency(leaves, old):
    """RFC 6962 section 2.1.2."""
    def sub(m, part, whole):
        if m == len(part):
            return [] if whole else [tlog.root_of(part)]
        k = 1 << (len(part) - 1).bit_length() - 1
        if m <= k:
            return sub(m, part[:k], whole) + [tlog.root_of(part[k:])]
        return sub(m - k, part[k:], False) + [tlog.root_of(part[:k])]
    return sub(old, leaves, True) if 0 < old < len(leaves) else []


class Log:
    """Leaves under an origin, and the key that signs them."""

    def __init__(self, origin, key=None, leaves=()):
        self.origin, self.key = origin, key or Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.leaves = list(leaves)

    def vkey(self):
        return vkey(self.origin, 1, self.public)

    def grow(self, n, word="leaf"):
        self.leaves += [tlog.leaf_hash(f"{word} {len(self.leaves) + i}".encode()) for i in range(n)]
        return self

    def fork(self, size):
        """The same log with another last leaf of so many, by the same key."""
        return Log(self.origin, self.key, self.leaves[:size - 1] + [tlog.leaf_hash(b"another")])

    def text(self):
        return f"{self.origin}\n{len(self.leaves)}\n{base64.b64encode(tlog.root_of(self.leaves)).decode()}\n"

    def note(self):
        blob = key_id(self.origin, 1, self.public) + self.key.sign(self.text().encode())
        return f"{self.text()}\n{DASH} {self.origin} {base64.b64encode(blob).decode()}\n".encode()

    def submission(self, old, proof=None):
        return submission(old, consistency(self.leaves, old) if proof is None else proof, self.note())


def submission(old, proof, note):
    return b"".join([f"old {old}\n".encode(), *(base64.b64encode(p) + b"\n" for p in proof), b"\n", note])


def cosigned(line, name, public, text):
    """When, by a cosignature line of that witness on a checkpoint's text; None when it does not verify."""
    dash, said, blob = line.rstrip("\n").split(" ")
    raw = base64.b64decode(blob, validate=True)
    if dash != DASH or said != name or raw[:4] != key_id(name, 4, public) or len(raw) != 76:
        return None
    when, = struct.unpack(">Q", raw[4:12])
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw[12:], f"cosignature/v1\ntime {when}\n{text}".encode())
    except InvalidSignature:
        return None
    return when


def cosign(one, text, when):
    """The line by which a witness (a Log's name and key) cosigns a checkpoint's text."""
    signature = one.key.sign(f"cosignature/v1\ntime {when}\n{text}".encode())
    blob = key_id(one.origin, 4, one.public) + struct.pack(">Q", when) + signature
    return f"{DASH} {one.origin} {base64.b64encode(blob).decode()}\n"


def host(a):
    return re.search(r"^host\s+(\S+)", a.conf.read_text(), re.M).group(1)


def key_of(a):
    return tlog.Key(a.vkey.read_text()).public


def policy_of(a):
    return a.dir / "policy"


def ask(a, others, *believed):
    """Appliances that are to witness a third one, all of whom a's policy wants; believed: files of
    certificates that a believes besides. None of them is started yet."""
    names = [f"peer{i}" for i in range(len(others))]
    lines = [f"witness {name} {vkey(host(b) + '/klero/witness', 4, key_of(b))} https://localhost:{b.port}/witness"
             for name, b in zip(names, others)]
    lines += [f"group peers all {' '.join(names)}", "quorum peers"]
    policy_of(a).write_text("\n".join(lines) + "\n")
    authorities = a.dir / "peers.pem"
    authorities.write_text("".join(p.read_text() for p in [*(b.ca for b in others), *believed]))
    for path in (policy_of(a), authorities):
        path.chmod(0o644)
    a.conf.write_text(f"{a.conf.read_text()}witness-policy {policy_of(a)}\nout-authorities {authorities}\n")
    for b in others:
        b.conf.write_text(f"{b.conf.read_text()}witness-log {vkey(host(a) + '/klero', 1, key_of(a))}\n")


class Pair:
    """Two appliances that witness each other, made and not started. lines are of both; authorities is a
    file that both believe besides."""

    def __init__(self, lab, *lines, authorities=None):
        self.made = [lab.make(*lines), lab.make(*lines)]
        for a, b in (self.made, self.made[::-1]):
            ask(a, [b], *([authorities] if authorities else []))

    def start(self):
        for a in self.made:
            a.start()
        return self


def wait_cosigned(a, b, size, prefix=""):
    """Waits until b's cosignature is on a checkpoint of a log of a with so many leaves."""
    client, end = a.client(), time.monotonic() + 240
    while time.monotonic() < end:
        answer = client.get(f"{prefix}/checkpoint")
        if answer.status == 200:
            text, lines = answer.body.decode().rsplit("\n\n", 1)
            for line in lines.splitlines()[1:] if int(text.split("\n")[1]) >= size else ():
                if cosigned(line, host(b) + "/klero/witness", key_of(b), text + "\n"):
                    return
        time.sleep(0.2)
    raise AssertionError(a.log()[-3000:] + b.log()[-1000:])
