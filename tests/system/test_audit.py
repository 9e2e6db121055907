"""klero-verify --log over logs of throw-away keys (tests/tools/log_make.c): a good one is audited,
each thing that an operator with all keys or a server without any could change is named."""

import base64
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import threading

import pytest

from conftest import BIN, ROOT

TOOL = BIN.parent / "tools" / "log_make"
TICKETS = "r/" + "ab" * 16
SIZE = 700  # two full bundles and a partial one


def make(path, tickets=SIZE, cheat=None, *more):
    """The log's verifier key; more: picks, holders."""
    run = subprocess.run([TOOL, path, str(tickets), cheat or "good", *map(str, more)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def audit(where, vkey, *args):
    return subprocess.run([BIN / "klero-verify", "--log", where, "-k", vkey, *args], capture_output=True, text=True,
                          timeout=300)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("log")
    return path, make(path)


@pytest.fixture
def copy(made, tmp_path):
    """(a log of its own to spoil, its key)"""
    shutil.copytree(made[0], tmp_path / "log")
    return tmp_path / "log", made[1]


def refused(run, what, code=1):
    assert run.returncode == code, run
    assert run.stdout.splitlines()[-1].startswith("NOT AUDITED: ") and what in run.stdout, run.stdout


@pytest.mark.parametrize("tickets", [5, 255, 256, 257, 65536, 66000])
def test_good(tmp_path, tickets):
    vkey = make(tmp_path / "log", tickets)
    run = audit(tmp_path / "log", vkey)
    assert run.returncode == 0 and run.stdout.endswith("AUDITED\n"), run
    assert f"{tickets} tickets in 1 logs" in run.stdout
    said = json.loads(audit(tmp_path / "log", vkey, "--json").stdout)
    assert said["audited"] and said["records"] == 3 and said["tickets"] == tickets


def test_url(made):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=made[0])
    handler.log_message = lambda *a: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        good, absent = audit(url, made[1]), audit(url + "/nowhere", made[1])
        server.shutdown()
    assert good.returncode == 0 and good.stdout.endswith("AUDITED\n"), good
    refused(absent, "404", 3)


CHEATS = {
    "second-draw": "one draw or abort is allowed",
    "no-close": "the raffle was not closed",
    "other-open": "made for another open record",
    "other-key": "its draw key does not follow",
    "winner": "its winners are not those of its draw key",
    "index": f"entry {SIZE // 2} is the leaf of ticket {SIZE // 2 + 1}",
    "raffle": f"entry {SIZE // 2} is a ticket of another raffle",
    "fewer": "its checkpoint is not the one that the close record names",
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_operator(tmp_path, cheat):
    vkey = make(tmp_path / "log", cheat=cheat)
    refused(audit(tmp_path / "log", vkey), CHEATS[cheat])


@pytest.mark.parametrize("tickets,picks,holders", [
    (SIZE, 5, 0), (100, 100, 0), (2000, 801, 0), (20000, 10000, 0), (SIZE, 5, 6), (SIZE, 6, 6), (SIZE, 7, 6),
    (100_005, 6, 6), (100_005, 50, 6), (3000, 2000, 1500)])
def test_draws(tmp_path, tickets, picks, holders):
    """What was drawn is drawn again from the ticket log: listed, in a file, with holders who win once."""
    vkey = make(tmp_path / "log", tickets, None, picks, holders)
    run = audit(tmp_path / "log", vkey)
    assert run.returncode == 0 and "1 repeated" in run.stdout, run
    assert (tmp_path / "log" / TICKETS / "winners").exists() == (min(picks, holders or picks) > 800)
    assert json.loads(audit(tmp_path / "log", vkey, "--json").stdout)["draws"] == 1


DRAWS = {
    # cheat, tickets, picks, holders
    ("renamed", SIZE, 5, 0): "is not the one that the draw names",
    ("renamed", 2000, 900, 0): "is not the one that the draw names",
    ("skipped", 2000, 900, 0): "the draw has another",
    ("winner", 2000, 900, 0): "",
    ("short", 2000, 900, 0): "other numbers of winners and reserves than were announced",
    ("file", 2000, 900, 0): "it is not the file that the draw record names",
    ("skipped", SIZE, 5, 6): "is passed over, and its holder had not won",
    ("again", SIZE, 5, 6): "is of a holder who had won before",
    ("short", SIZE, 7, 6): "is passed over, and its holder had not won",
    ("skipped", 100_005, 50, 6): "is passed over, and its holder had not won",
}


@pytest.mark.parametrize("how", DRAWS, ids=lambda how: "-".join(map(str, how)))
def test_draws_that_are_not(tmp_path, how):
    vkey = make(tmp_path / "log", how[1], how[0], *how[2:])
    refused(audit(tmp_path / "log", vkey), DRAWS[how])


def test_winners_file_is_missing(tmp_path):
    vkey = make(tmp_path / "log", 2000, "no-file", 900)
    refused(audit(tmp_path / "log", vkey), "winners", 3)


def flip(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def test_server(copy):
    """What the one who serves the files can change without a key."""
    log, vkey = copy
    tickets = log / TICKETS

    def spoiled(path, how, what, code=1):
        old = path.read_bytes()
        how(path)
        refused(audit(log, vkey), what, code)
        path.write_bytes(old)
        assert audit(log, vkey).returncode == 0

    # a byte of each kind of file, the first and the last
    for at in (0, 116 * 100, -1):
        spoiled(tickets / "tile/entries/001", lambda p, at=at: flip(p, at), "")
    spoiled(tickets / "tile/0/001", lambda p: flip(p, 17), "tile/0/001 is not the one of its entries")
    spoiled(tickets / f"tile/0/002.p/{SIZE - 512}", lambda p: flip(p, -1), "is not the one of its entries")
    spoiled(tickets / "tile/1/000.p/2", lambda p: flip(p, 0), "tile/1/000.p/2 is not the one of its entries")
    spoiled(tickets / "checkpoint", lambda p: flip(p, 80), "not a checkpoint signed by")
    spoiled(log / "tile/entries/000.p/3", lambda p: flip(p, 40), "")
    # truncated, absent, another log's
    spoiled(tickets / "tile/entries/001", lambda p: p.write_bytes(p.read_bytes()[:-1]), "truncated: entry 511")
    spoiled(tickets / "tile/0/000", lambda p: p.write_bytes(p.read_bytes()[:-32]), "tile/0/000 is not the one")
    spoiled(tickets / "tile/entries/000", lambda p: p.unlink(), "tile/entries/000 cannot be read", 3)
    spoiled(tickets / "tile/0/000", lambda p: p.unlink(), "tile/0/000 cannot be read", 3)
    spoiled(tickets / "checkpoint", lambda p: p.unlink(), "checkpoint", 3)
    spoiled(tickets / "checkpoint", lambda p: p.write_bytes((log / "checkpoint").read_bytes()), "not a checkpoint signed by")
    spoiled(tickets / "tile/entries/000", lambda p: p.write_bytes(b"\xff" * 20_000_000), "entries/000 cannot be read")
    # every byte of the small files: changed, or a witness's line, which nobody asked for
    for path in (log / "checkpoint", log / "tile/entries/000.p/3", log / "tile/0/000.p/3"):
        raw = path.read_bytes()
        lines = raw.rfind(b"\n", 0, -1) + 1 if path.name == "checkpoint" else len(raw)
        for at in range(0, lines, 11):
            flip(path, at)
            assert audit(log, vkey).returncode == 1, (path, at)
            path.write_bytes(raw)


def test_full_for_partial(copy):
    """A server may forget partial tiles when it has the full ones."""
    log, vkey = copy
    for kind in ("0", "entries"):
        old = log / TICKETS / "tile" / kind / "002.p"
        part = old / str(SIZE - 512)
        (old.parent / "002").write_bytes(part.read_bytes() + b"\0" * (8192 - part.stat().st_size if kind == "0" else 100))
        shutil.rmtree(old)
    assert audit(log, vkey).returncode == 0


def test_keys(made):
    log = made[0]
    other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    refused(audit(log, other), "not a checkpoint signed by")
    run = subprocess.run([BIN / "klero-verify", "--log", log], capture_output=True, text=True)
    assert run.returncode == 2 and "--vkey" in run.stderr
    assert subprocess.run([BIN / "klero-verify", "--state", "x", "y"], capture_output=True).returncode == 2


def test_state(tmp_path):
    """The log of yesterday is the beginning of today's, or it is said."""
    state = tmp_path / "state"
    short, long, other = tmp_path / "short", tmp_path / "long", tmp_path / "other"
    vkey = make(short, cheat="open")
    # while the raffle is open there are fewer tickets
    shutil.rmtree(short / "r")
    make(tmp_path / "few", 300)
    shutil.copytree(tmp_path / "few" / "r", short / "r")
    make(long)
    make(other, cheat="rewritten")
    assert audit(short, vkey, "--state", state).returncode == 0
    old = state.read_bytes()
    # another log than yesterday's: said, and yesterday's is not forgotten
    refused(audit(other, vkey, "--state", state), "the log was rewritten: its first 300 entries")
    assert state.read_bytes() == old
    run = audit(long, vkey, "--state", state)
    assert run.returncode == 0 and "2 logs were known" in run.stdout, run
    assert state.read_bytes() != old and os.listdir(tmp_path).count("state") == 1
    assert not [p for p in os.listdir(tmp_path) if p.startswith("state.")]
    # and back: smaller than the last
    refused(audit(short, vkey, "--state", state), "is smaller than the older one")
    # a state that is none, or cannot be written
    (tmp_path / "bad").write_text("note 5\nhello")
    assert audit(long, vkey, "--state", tmp_path / "bad").returncode == 3
    run = audit(long, vkey, "--state", tmp_path / "no" / "state")
    assert run.returncode == 3
    # a checkpoint of a known log that is gone
    shutil.rmtree(long / "r")
    refused(audit(long, vkey, "--state", state), "checkpoint", 3)


def test_policy(made, tmp_path):
    """The throw-away witness saw both checkpoints; another did not."""
    log, vkey = made
    policy = tmp_path / "policy"
    bundle = json.loads((ROOT / "tests/fuzz/seeds/fuzz_bundle2/whole").read_text())
    policy.write_text(bundle["policy"])
    assert audit(log, vkey, "--policy", policy).returncode == 0
    public = b"\x04" + hashlib.sha256(b"nobody").digest()
    key_id = hashlib.sha256(b"nobody\n" + public).digest()[:4].hex()
    policy.write_text(f"witness w nobody+{key_id}+{base64.b64encode(public).decode()}\nquorum w\n")
    refused(audit(log, vkey, "--policy", policy), "not enough witnesses saw the checkpoint")


def test_other_proof(tmp_path):
    """A proof that verifies, of a raffle that this log tells otherwise."""
    vkey = make(tmp_path / "log")
    cert = ROOT / "tests/vectors/nist/cert-528943a5.pem"
    run = audit(tmp_path / "log", vkey, "--nist-certificate", cert, ROOT / "tests/fuzz/seeds/fuzz_bundle2/whole")
    refused(run, "the log has another open record")
    assert "VERIFIED\n" in run.stdout
