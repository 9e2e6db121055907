"""A reader of transparency logs, for the tests: RFC 6962 trees, c2sp.org tiles, notes and proofs, by
their specifications and nothing of the product's. Python's standard library and OpenSSL's command."""

import base64
import hashlib
import subprocess
import tempfile

ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaves):
    """Of any number of leaf hashes, joined level by level."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
    return level[0]


def number(n):
    groups = []
    while True:
        groups.insert(0, f"{n % 1000:03}")
        n //= 1000
        if not n:
            break
    return "/".join(["x" + g for g in groups[:-1]] + groups[-1:])


def tile(level, n, width=256):
    return f"tile/{level}/{number(n)}" + (f".p/{width}" if width < 256 else "")


def parts(hashes):
    """(number, width) of the tiles that so many hashes fill."""
    return [(n, min(256, hashes - 256 * n)) for n in range((hashes + 255) // 256)]


def entries(bundle):
    out = []
    while bundle:
        n = int.from_bytes(bundle[:2], "big")
        assert len(bundle) >= 2 + n
        out.append(bundle[2:2 + n])
        bundle = bundle[2 + n:]
    return out


class Key:
    """An Ed25519 verifier key, under whatever name its notes have."""

    def __init__(self, vkey):
        raw = base64.b64decode(vkey.strip().split("+", 2)[2], validate=True)
        assert raw[0] == 1 and len(raw) == 33
        self.public = raw[1:]

    def id(self, name):
        return hashlib.sha256(name.encode() + b"\n\x01" + self.public).digest()[:4]

    def signed(self, text, signature):
        with tempfile.NamedTemporaryFile() as key, tempfile.NamedTemporaryFile() as msg, tempfile.NamedTemporaryFile() as sig:
            for f, data in ((key, ED25519_SPKI + self.public), (msg, text), (sig, signature)):
                f.write(data)
                f.flush()
            run = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", key.name, "-rawin",
                                  "-in", msg.name, "-sigfile", sig.name], capture_output=True, check=False)
        return run.returncode == 0

    def checkpoint(self, note, origin):
        """(size, root) of a signed note, whose signature is checked."""
        text, lines = note.rsplit(b"\n\n", 1)
        text += b"\n"
        dash, name, blob = lines.split(b"\n")[0].decode().split(" ")
        raw = base64.b64decode(blob, validate=True)
        assert dash == "\u2014" and name == origin and raw[:4] == self.id(origin) and self.signed(text, raw[4:])
        first, size, root, end = text.decode().split("\n")
        assert first == origin and end == ""
        return int(size), base64.b64decode(root, validate=True)


class Log:
    """A log behind get(path), which answers the bytes."""

    def __init__(self, get, key, origin):
        self.get, self.key, self.origin = get, key, origin

    def checkpoint(self):
        return self.key.checkpoint(self.get("checkpoint"), self.origin)

    def leaves(self, size):
        """Every leaf hash, from the level-0 tiles, held against the entries; and the entries."""
        hashes, all_entries = [], []
        for n, width in parts(size):
            data = self.get(tile(0, n, width))
            assert len(data) == 32 * width
            hashes += [data[i:i + 32] for i in range(0, len(data), 32)]
            all_entries += entries(self.get(tile("entries", n, width)))
        assert [leaf_hash(e) for e in all_entries] == hashes
        return hashes, all_entries

    def root_from_tiles(self, size, hashes):
        """Every higher tile holds what the one below says; then the root."""
        level = 0
        while len(hashes) >= 256:
            above = [root_of(hashes[i:i + 256]) for i in range(0, len(hashes) // 256 * 256, 256)]
            level += 1
            for n, width in parts(len(above)):
                assert self.get(tile(level, n, width)) == b"".join(above[256 * n:256 * n + width])
            hashes = above
        return level


class Proof:
    """A c2sp.org/tlog-proof@v1."""

    def __init__(self, text):
        head, self.note = text.split(b"\n\n", 1)
        lines = head.decode().split("\n")
        assert lines.pop(0) == "c2sp.org/tlog-proof@v1"
        self.extra = base64.b64decode(lines.pop(0)[6:], validate=True) if lines[0].startswith("extra ") else b""
        assert lines[0].startswith("index ")
        self.index = int(lines.pop(0)[6:])
        self.path = [base64.b64decode(p, validate=True) for p in lines]

    def root(self, leaf, size):
        """RFC 9162 section 2.1.3.2."""
        fn, sn, r = self.index, size - 1, leaf
        for p in self.path:
            assert sn
            if fn & 1 or fn == sn:
                r = node_hash(p, r)
                while not fn & 1 and fn:
                    fn >>= 1
                    sn >>= 1
            else:
                r = node_hash(r, p)
            fn >>= 1
            sn >>= 1
        assert sn == 0
        return r
