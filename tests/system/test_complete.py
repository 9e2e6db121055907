"""klero-verify --complete: from public records, tickets, a seed out of an escrow and real rounds of
drand anybody finishes the draw, and gets what DRAW.md gives when Python follows it."""

import hashlib
import hmac
import json
import struct
import subprocess

import escrow
import pytest
import tlog
from conftest import BIN, ROOT

SEED, RAFFLE = bytes(range(100, 132)), bytes(range(16))
ROUND = 31799517


def kdf(key, label, context):
    return hmac.new(key, struct.pack(">I", 1) + label + b"\0" + context + struct.pack(">I", 256), hashlib.sha256).digest()


def signature():
    for line in (ROOT / "tests/vectors/drand.txt").read_text().splitlines():
        words = line.split(" ")
        if words[:2] == ["round", str(ROUND)]:
            return bytes.fromhex(words[2])
    raise AssertionError("the round is in no vector")


def shuffle(n, key):
    """DRAW.md section 8, to its end."""
    words, block = [], 0
    perm = {}

    def uniform(m):
        nonlocal block
        while True:
            if not words:
                words.extend(struct.unpack(">4Q", kdf(key, b"kleroterion/v2/stream", struct.pack(">Q", block))))
                block += 1
            x = words.pop(0)
            if x < 2**64 - 2**64 % m:
                return x % m
    for i in range(n):
        j = i + uniform(n - i)
        perm[i], perm[j] = perm.get(j, j), perm.get(i, i)
        yield perm[i]


class Raffle:
    def __init__(self, folder, n=1000, dedupe="none", winners=5, reserves=3):
        self.folder, self.n = folder, n
        folder.mkdir(exist_ok=True)
        self.leaves = [b"KLT2" + RAFFLE + struct.pack(">QQ", i, 1787740000000 + i) + hashlib.md5(b"%d" % i).digest() +
                       hashlib.sha256(b"holder %d" % (i % 4 if dedupe == "holder" else i)).digest() + bytes(32)
                       for i in range(n)]
        lines = (ROOT / "tests/vectors/draw2/open.record").read_text().split("\n")
        lines[1] = f"raffle {RAFFLE.hex()}"
        lines[3] = f"seed-commit kbkdf-hmac-sha256 {escrow.seed_commit(SEED, RAFFLE).hex()}"
        lines[4:7] = [f"winners {winners}", f"reserves {reserves}", f"dedupe {dedupe}"]
        lines = [line for line in lines if not line.startswith("beacon nist2")]
        open_text = "\n".join(lines).encode()
        self.open_leaf = tlog.leaf_hash(open_text)
        self.root = tlog.root_of([tlog.leaf_hash(leaf) for leaf in self.leaves])
        close = (f"kleroterion/v2 close\nraffle {RAFFLE.hex()}\nopen 0 {self.open_leaf.hex()}\ntickets {n}\n"
                 f"root {self.root.hex()}\nclosed-at 1787742000\n").encode()
        self.files = {"open": open_text, "close": close, "entries": b"".join(b"\0\x74" + leaf for leaf in self.leaves),
                      "round": json.dumps({"round": ROUND, "randomness": "00", "signature": signature().hex()}).encode()}
        self.want = winners + reserves

    def run(self, *more, seed=SEED.hex(), **changed):
        for name, data in {**self.files, **changed}.items():
            (self.folder / name).write_bytes(data)
        return subprocess.run([BIN / "klero-verify", "--complete", *more, self.folder / "open", self.folder / "close", seed,
                               self.folder / "entries", self.folder / "round"], capture_output=True, text=True, timeout=300)

    def picks(self):
        chain = bytes.fromhex("52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971")
        given = b"\1" + chain + struct.pack(">Q", ROUND) + hashlib.sha256(signature()).digest()
        context = hashlib.sha256(b"kleroterion/v2/context\0" + RAFFLE + self.open_leaf + struct.pack(">Q", self.n) +
                                 self.root + struct.pack(">H", 1) + given).digest()
        holders, out = set(), []
        for i in shuffle(self.n, kdf(SEED, b"kleroterion/v2/draw-key", context)):
            if len(out) == self.want:
                break
            holder = self.leaves[i][52:84]
            if holder not in holders:
                out.append((i, self.leaves[i][36:52].hex()))
                holders.add(holder)
        return out


@pytest.fixture
def raffle(tmp_path):
    return Raffle(tmp_path)


def said(run, winners):
    lines = [line.split(" ") for line in run.stdout.splitlines() if line.startswith(("winner ", "reserve "))]
    assert [line[0] for line in lines] == ["winner"] * min(winners, len(lines)) + ["reserve"] * max(0, len(lines) - winners)
    return [(int(line[2]), line[3]) for line in lines]


def test_the_draw_is_finished(raffle):
    run = raffle.run()
    assert run.returncode == 0 and "COMPLETED" in run.stdout and said(run, 5) == raffle.picks(), run


def test_one_prize_per_holder(tmp_path):
    """Four holders for eight prizes: all tickets are looked at, and four win."""
    few = Raffle(tmp_path, n=50, dedupe="holder")
    run = few.run()
    assert run.returncode == 0 and said(run, 5) == few.picks() and len(few.picks()) == 4


def test_large_draws(tmp_path):
    """More winners than a record lists, and four holders among so many tickets."""
    many = Raffle(tmp_path / "many", n=2000, winners=1500, reserves=100)
    run = many.run()
    assert run.returncode == 0 and said(run, 1500) == many.picks() and len(many.picks()) == 1600
    few = Raffle(tmp_path / "few", n=110_000, dedupe="holder")
    run = few.run()
    assert run.returncode == 0 and said(run, 5) == few.picks() and len(few.picks()) == 4


def test_an_amend_names_another_round(raffle):
    raffle.files["open"] = raffle.files["open"]
    lines = raffle.files["open"].decode().split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("sales-close"))
    amend = ["kleroterion/v2 amend", f"raffle {RAFFLE.hex()}", f"open 0 {raffle.open_leaf.hex()}",
             *[line for line in lines[at:at + 4]]]
    (raffle.folder / "amend").write_text("\n".join(amend) + "\n")
    run = raffle.run("--amend", str(raffle.folder / "amend"))
    assert run.returncode == 0 and said(run, 5) == raffle.picks(), run
    (raffle.folder / "amend").write_text("\n".join(amend).replace(str(ROUND), str(ROUND + 1)) + "\n")
    run = raffle.run("--amend", str(raffle.folder / "amend"))
    assert run.returncode == 1 and "round that was promised" in run.stdout


def test_what_does_not_belong(raffle):
    good = raffle.files
    flip = lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    for changed, words in (
            ({"entries": flip(good["entries"], 5000)}, "not the tickets"), ({"entries": good["entries"][:-118]}, "not the tickets"),
            ({"entries": good["entries"][118:] + good["entries"][:118]}, "not the tickets"), ({"entries": b""}, "not the tickets"),
            ({"close": good["close"].replace(b"tickets 1000", b"tickets 999")}, "not the tickets"),
            ({"close": good["close"].replace(raffle.open_leaf.hex().encode(), b"0" * 64)}, "does not follow"),
            ({"close": good["open"]}, "not what it should be"), ({"open": good["close"]}, "not what it should be"),
            ({"open": good["open"].replace(b"winners 5", b"winners 6")}, "does not follow"),
            ({"round": good["round"].replace(str(ROUND).encode(), b"31799518")}, "round that was promised"),
            ({"round": good["round"].replace(signature().hex().encode(), (signature()[:-1] + b"\0").hex().encode())}, "not signed"),
            ({"round": b"{}"}, "round that was promised")):
        run = raffle.run(**changed)
        assert run.returncode == 1 and words in run.stdout and "winner" not in run.stdout, (words, run)
    run = raffle.run(seed="00" * 32)
    assert run.returncode == 1 and "committed to" in run.stdout
    assert raffle.run(seed="xx").returncode == 2
    assert raffle.run(seed=SEED.hex().upper()).returncode == 2
