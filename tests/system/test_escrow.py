"""kleroctl escrow on bundles that other people's code has made: any m officers open one, offline,
each in his turn, and whatever does not belong is refused."""

import hashlib
import itertools
import json
import os
import subprocess

import escrow
import pytest
from conftest import BIN, ROOT

SEED, RAFFLE = bytes(range(32)), bytes(range(16))


class Room:
    """Officers, a bundle, and the open record that promises it."""

    def __init__(self, folder):
        self.folder = folder
        self.officers = [escrow.Officer(folder, f"officer{i}", 4096 if i == 1 else 3072) for i in range(4)]
        self.bundle, self.record = folder / "bundle", folder / "open"
        self.write(escrow.make(SEED, RAFFLE, 3, self.officers))

    def write(self, text, m=3, n=4, raffle=RAFFLE, commit=None):
        self.bundle.write_bytes(text)
        lines = (ROOT / "tests/vectors/draw2/open.record").read_text().split("\n")
        lines[1] = f"raffle {raffle.hex()}"
        lines[3] = f"seed-commit kbkdf-hmac-sha256 {(commit or escrow.seed_commit(SEED, RAFFLE)).hex()}"
        at = next(i for i, line in enumerate(lines) if line.startswith("escrow "))
        lines[at] = f"escrow {m} {n} {hashlib.sha256(text).hexdigest()}"
        self.record.write_text("\n".join(lines))

    def ctl(self, *words, stdin=b""):
        return subprocess.run([BIN / "kleroctl", "-c", "/nonexistent", "escrow", *map(str, words)], input=stdin,
                              capture_output=True, timeout=300)

    def open(self, officers, stdin=False):
        """The last one's run; each gets what the one before has written."""
        step = []
        for i in officers:
            key = self.officers[i].private
            run = self.ctl("open", *step, self.bundle, self.record, "-" if stdin else key,
                           stdin=key.read_bytes() if stdin else b"")
            if run.returncode != 0:
                return run
            (self.folder / "step").write_bytes(run.stdout)
            step = ["--step", self.folder / "step"]
        return run


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    return Room(tmp_path_factory.mktemp("escrow"))


def test_any_three_of_four(room):
    for subset in itertools.combinations(range(4), 3):
        run = room.open(reversed(subset), stdin=0 in subset)
        assert run.returncode == 0 and run.stdout.decode().strip() == SEED.hex(), (subset, run)
        assert escrow.open_share(room.bundle.read_bytes(), subset, room.officers) == SEED
    for pair in ((3, 2), (2, 1), (3, 0)):
        run = room.open(pair)
        assert SEED.hex().encode() not in run.stdout and b"kleroterion-escrow-step/1" in run.stdout or run.returncode


def test_the_order_is_one(room):
    for order in ((0,), (1,), (2, 3), (3, 0), (3, 3)):
        run = room.open(order)
        assert run.returncode == 1 and b"officers with higher numbers come first" in run.stderr, (order, run)


def test_strangers(room, tmp_path):
    stranger = escrow.Officer(tmp_path, "stranger")
    run = room.ctl("open", room.bundle, room.record, stranger.private)
    assert run.returncode == 1 and b"no officer" in run.stderr
    run = room.ctl("open", room.bundle, room.record, stranger.public)
    assert run.returncode == 2 and b"no RSA private key" in run.stderr
    run = room.ctl("open", room.bundle, ROOT / "tests/vectors/draw2/close.record", room.officers[3].private)
    assert run.returncode == 1 and b"no open record" in run.stderr


def test_what_was_not_promised(room):
    good = room.bundle.read_bytes()
    other = escrow.make(os.urandom(32), RAFFLE, 3, room.officers)
    for text, more, words in (
            (good, {"raffle": bytes(16)}, "another raffle"), (good, {"commit": bytes(32)}, "another seed"),
            (good, {"m": 2}, "other officers"), (other, {}, "another seed"), (good + b" ", {}, "no escrow bundle"),
            (good.replace(b",\n\"shares\"", b", \n\"shares\""), {}, "no escrow bundle"), (b"", {}, "no escrow bundle")):
        room.write(text, **more)
        run = room.open((3,))
        assert run.returncode == 1 and words in run.stderr.decode(), (words, run)
    # a seed that is not the one committed to, in shares that are whole
    lie = json.loads(escrow.make(SEED, RAFFLE, 3, room.officers))
    lie["seed_commit"] = escrow.seed_commit(os.urandom(32), RAFFLE).hex()
    room.write(escrow.text(lie), commit=bytes.fromhex(lie["seed_commit"]))
    run = room.open((3,))
    assert run.returncode == 1 and b"layer is damaged" in run.stderr
    room.write(good)
    room.record.write_text(room.record.read_text().replace("escrow 3 4 ", "escrow 3 4 0"))
    assert room.open((3,)).returncode == 1
    room.write(good)


def test_a_step_of_another_bundle(room):
    good = room.bundle.read_bytes()
    assert room.open((3,)).returncode == 0
    step = (room.folder / "step").read_bytes()
    (room.folder / "other-step").write_bytes(step)
    room.write(escrow.make(SEED, RAFFLE, 3, room.officers))
    run = room.ctl("open", "--step", room.folder / "other-step", room.bundle, room.record, room.officers[2].private)
    assert run.returncode == 1 and b"of another bundle" in run.stderr
    room.write(good)
    for at in range(0, len(step), 211):
        (room.folder / "other-step").write_bytes(step[:at] + bytes([step[at] ^ 1]) + step[at + 1:])
        run = room.ctl("open", "--step", room.folder / "other-step", room.bundle, room.record, room.officers[2].private)
        assert SEED.hex().encode() not in run.stdout


def test_check(room, lab):
    a = lab.make("escrow 3 " + " ".join(str(o.public) for o in room.officers))
    told = json.loads(a.ctl("escrow", "check", "--json", "--open", str(room.record), str(room.bundle)).stdout)
    assert told == {"ok": True, "sha256": hashlib.sha256(room.bundle.read_bytes()).hexdigest(), "raffle": RAFFLE.hex(),
                    "seed_commit": escrow.seed_commit(SEED, RAFFLE).hex(), "threshold": 3, "officers": 4, "shares": 4,
                    "promised": True, "keys_known": True}
    assert "any 3 of 4 officers, 4 shares" in a.ctl("escrow", "check", str(room.bundle)).stdout
    b = lab.make("escrow 3 " + " ".join(str(o.public) for o in room.officers[:3]))
    run = b.ctl("escrow", "check", str(room.bundle), check=False)
    assert run.returncode == 1 and "officer 3, key" in run.stdout and "not in klerod.conf" in run.stdout
