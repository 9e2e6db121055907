"""Escrow of server seeds by other people's code: python3-cryptography makes and opens bundles from
policy/escrow.h's description alone, as an independent peer of hsm and of kleroctl."""

import base64
import hashlib
import hmac
import itertools
import json
import os
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def seed_commit(seed, raffle):
    label = b"kleroterion/v2/seed-commit"
    return hmac.new(seed, struct.pack(">I", 1) + label + b"\0" + raffle + struct.pack(">I", 256), hashlib.sha256).digest()


def _oaep(wrap):
    hash_of = hashes.SHA1 if wrap == "rsa-oaep-sha1" else hashes.SHA256
    return padding.OAEP(padding.MGF1(hash_of()), hash_of(), None)


def _aad(bundle, officers, below):
    return (b"kleroterion/v2/escrow\0" + bytes.fromhex(bundle["raffle"]) + bytes.fromhex(bundle["seed_commit"]) +
            struct.pack(">HB", sum(1 << i for i in officers), below))


class Officer:
    """An RSA key pair and its files."""

    def __init__(self, folder, name, bits=3072):
        self.key = rsa.generate_private_key(65537, bits)
        self.private, self.public = folder / f"{name}.key", folder / f"{name}.pub"
        self.private.write_bytes(self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        self.private.chmod(0o600)
        self.public.write_bytes(self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
        self.public.chmod(0o644)

    def der(self):
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def text(bundle):
    """The one form of a bundle."""
    shares = ",\n".join(json.dumps(s, separators=(",", ":")) for s in bundle["shares"])
    officers = ",\n".join(f'"{k}"' for k in bundle["officers"])
    return (f'{{"format":"{bundle["format"]}",\n"raffle":"{bundle["raffle"]}",\n'
            f'"seed_commit":"{bundle["seed_commit"]}",\n"wrap":"{bundle["wrap"]}",\n'
            f'"threshold":{bundle["threshold"]},\n"officers":[\n{officers}],\n"shares":[\n{shares}]}}\n').encode()


def make(seed, raffle, m, officers, wrap="rsa-oaep-sha256"):
    bundle = {"format": "kleroterion-escrow/1", "raffle": raffle.hex(), "seed_commit": seed_commit(seed, raffle).hex(),
              "wrap": wrap, "threshold": m, "officers": [base64.b64encode(o.der()).decode() for o in officers],
              "shares": []}
    subsets = sorted(itertools.combinations(range(len(officers)), m), key=lambda s: sum(1 << i for i in s))
    for subset in subsets:
        sealed = officers[subset[0]].key.public_key().encrypt(seed, _oaep(wrap))
        for below, i in enumerate(subset[1:], 1):
            key, iv = os.urandom(32), os.urandom(12)
            inner = AESGCM(key).encrypt(iv, sealed, _aad(bundle, subset, below))
            sealed = officers[i].key.public_key().encrypt(key, _oaep("rsa-oaep-sha256")) + iv + inner
        bundle["shares"].append({"officers": list(subset), "sealed": base64.b64encode(sealed).decode()})
    return text(bundle)


def open_share(bundle_text, subset, officers):
    """The seed, by the keys of those officers alone."""
    bundle = json.loads(bundle_text)
    share = next(s for s in bundle["shares"] if s["officers"] == list(subset))
    sealed = base64.b64decode(share["sealed"])
    for below in range(len(subset) - 1, 0, -1):
        key, n = officers[subset[below]].key, officers[subset[below]].key.key_size // 8
        once = key.decrypt(sealed[:n], _oaep("rsa-oaep-sha256"))
        sealed = AESGCM(once).decrypt(sealed[n:n + 12], sealed[n + 12:], _aad(bundle, subset, below))
    return officers[subset[0]].key.decrypt(sealed, _oaep(bundle["wrap"]))
