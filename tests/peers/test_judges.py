"""Go's sumdb/note and sumdb/tlog (tests/judges/judge.go) and klero-verify --log over the same logs: what
Go refuses, klero-verify refuses, wherever a bit was changed; many altered proofs for npm's
@sigstore/verify; and all of them on what a live appliance serves. The short form is
tests/system/test_judges.py."""

import json
import random
import subprocess
import sys

import pytest

from conftest import BIN, ROOT

sys.path[:0] = [str(ROOT / "tests" / "judges"), str(ROOT / "tests" / "beacon")]
import beacon  # noqa: E402
import judges  # noqa: E402
import klero  # noqa: E402
from test_life import DELAY, in_state, opened, proof_of  # noqa: E402

FLIPS = 300


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    program = tmp_path_factory.mktemp("go") / "judge"
    judges.go_build(program)
    return program


def make(path, tickets):
    return subprocess.run([BIN.parent / "tools" / "log_make", path, str(tickets)], check=True, capture_output=True,
                          text=True).stdout.strip()


def ticket_log(log, vkey):
    """Folder and key of the only ticket log below."""
    folder = next((log / "r").iterdir())
    return folder, ticket_key(vkey, folder.name)


def ticket_key(vkey, raffle):
    """The operator's key under the name of a raffle's ticket log."""
    name = f"{vkey.split('+')[0]}/r/{raffle}"
    raw = judges.base64.b64decode(vkey.split("+", 2)[2])
    key_id = judges.hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex()
    return f"{name}+{key_id}+{vkey.split('+', 2)[2]}"


def audit(log, vkey):
    return subprocess.run([BIN / "klero-verify", "-q", "--log", log, "-k", vkey], capture_output=True, text=True).returncode


@pytest.mark.parametrize("tickets", [5, 256, 257, 700, 65536, 70000])
def test_logs(go, tmp_path, tickets):
    vkey = make(tmp_path / "log", tickets)
    assert audit(tmp_path / "log", vkey) == 0
    assert judges.go_says(go, tmp_path / "log", vkey) is None
    assert judges.go_says(go, *ticket_log(tmp_path / "log", vkey)) is None


def test_flips(go, tmp_path):
    """A bit anywhere in a log's files, but in the signatures of others, for whom nobody asked."""
    log = tmp_path / "log"
    vkey = make(log, 700)
    folder, tickets_key = ticket_log(log, vkey)
    rnd, both = random.Random(5), 0
    files = sorted(p for p in log.rglob("*") if p.is_file())
    for n in range(FLIPS):
        path = files[n % len(files)]
        raw = path.read_bytes()
        end = raw.index(b"\n", raw.index(b"\n\n") + 2) if path.name == "checkpoint" else len(raw)
        at = rnd.randrange(end)
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << rnd.randrange(8)]) + raw[at + 1:])
        where = (folder, tickets_key) if folder in path.parents else (log, vkey)
        said = judges.go_says(go, *where)
        assert audit(log, vkey) == 1, (path, at, said)
        both += said is not None
        path.write_bytes(raw)
    assert audit(log, vkey) == 0
    # Go's base64 is less strict, and it reads no tile that it does not need
    assert both > FLIPS * 0.9, both


def test_truncated(go, tmp_path):
    log = tmp_path / "log"
    vkey = make(log, 700)
    folder, tickets_key = ticket_log(log, vkey)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        raw = path.read_bytes()
        path.write_bytes(raw[:-1])
        assert judges.go_says(go, folder, tickets_key) is not None, path
        assert audit(log, vkey) != 0 or path.name == "checkpoint", path
        path.write_bytes(raw)


def test_sigstore(tmp_path):
    """Bits of winners' proofs and leaves: sigstore's refusal is ours."""
    judges.install()
    good = json.loads((ROOT / "tests/fuzz/seeds/fuzz_bundle2/whole").read_text())
    rnd, rows = random.Random(6), []
    for _ in range(FLIPS):
        bad = json.loads(json.dumps(good))
        w = rnd.choice(bad["winners"])
        if rnd.random() < 0.5:
            raw = bytearray.fromhex(w["leaf_hex"])
            raw[rnd.randrange(len(raw))] ^= 1 << rnd.randrange(8)
            w["leaf_hex"] = raw.hex()
        else:
            end = w["tlog_proof"].index("\n\n")
            at = rnd.randrange(end)
            w["tlog_proof"] = w["tlog_proof"][:at] + rnd.choice("09AZaz+/") + w["tlog_proof"][at + 1:]
        rows.append((bad, {"ask": "proof", "proof": w["tlog_proof"], "leaf": w["leaf_hex"], "vkey": bad["tickets_vkey"]}))
    refused = 0
    for (bad, _), said in zip(rows, judges.ask([q for _, q in rows])):
        (tmp_path / "proof").write_text(json.dumps(bad))
        run = subprocess.run([BIN / "klero-verify", "-q", "--nist-certificate", ROOT / "tests/vectors/nist/cert-528943a5.pem",
                              tmp_path / "proof"], capture_output=True, text=True)
        assert said is True or run.returncode == 1, (said, run)
        refused += said is not True
    assert refused > FLIPS * 0.8, refused


def test_live(go, lab, tmp_path):
    """Both logs of an appliance while it sells, then the draw's proof and a buyer's receipt: over HTTPS, by Go, by
    sigstore, by drand's people and by the openssl command."""
    judges.install()
    with beacon.Beacon(tmp_path, relays=1) as chain:
        a = lab.make(*chain.lines(delay=DELAY)).start()
        boss, buyer = a.admin("boss@example.org"), a.person()
        boss.confirm(buyer.deposit(100_000)["id"])
        raffle = opened(boss, lasts=12, winners=2, reserves=2, price={"amount": 1, "currency": "EUR"})
        url, name = f"https://localhost:{a.port}", raffle.replace("-", "")
        vkey = a.vkey.read_text().strip()
        logs = [(url, vkey), (f"{url}/r/{name}", ticket_key(vkey, name))]
        bought = []
        for _ in range(3):
            for _ in range(2):
                bought += klero.want(buyer.buy(raffle, quantity=100), 201).json["tickets"]
            klero.until(lambda: int(klero.want(boss.get(f"/r/{name}/checkpoint"), 200).body.split(b"\n")[1]) == len(bought))
            assert [judges.go_says(go, *log, a.ca) for log in logs] == [None, None]
        in_state(boss, raffle, "drawn")
        bundle = json.loads(proof_of(boss, raffle, tmp_path).read_text())
        assert [judges.go_says(go, *log, a.ca) for log in logs] == [None, None]
        assert judges.go_says(go, url, ticket_key(vkey, name), a.ca) is not None
        assert "404" in judges.go_says(go, f"{url}/r/{'0' * 32}", vkey, a.ca)
        rows = judges.of_bundle(bundle)
        receipt = klero.want(buyer.get(f"/api/v1/tickets/{bought[-1]['id']}/receipt"), 200).body.decode()
        rows.append({"ask": "checkpoint", "note": receipt[receipt.index("\n\n") + 2:], "vkey": logs[1][1]})
        said = judges.ask(rows)
        assert said == [True] * len(rows), said
        note = boss.get("/checkpoint").body.decode()
        assert judges.note_signed(note, vkey) and not judges.note_signed(note, logs[1][1])
