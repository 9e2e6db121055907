"""Other people's verifiers, tests/judges, over proofs and logs of throw-away keys and the specification's
own vectors: what klero-verify takes, they take, and what they refuse, it refuses. A short form; with
more alterations, and Go's packages, in tests/peers/test_judges.py."""

import hashlib
import json
import subprocess
import sys

import pytest

from conftest import BIN, ROOT

sys.path.insert(0, str(ROOT / "tests" / "judges"))
import judges  # noqa: E402

pytestmark = pytest.mark.slow  # not again as another user
KINDS = {"proof": "proof", "checkpoint": "checkpoint", "drand_client": "drand", "noble": "drand"}
SEEDS = ROOT / "tests/fuzz/seeds/fuzz_bundle2"
VECTORS = ROOT / "tests/vectors/draw2"


@pytest.fixture(scope="module", autouse=True)
def installed():
    judges.install()


def bundle(name="whole"):
    return json.loads((SEEDS / name).read_text())


def record(text):
    """A record's lines by their first words."""
    return {line.split(" ")[0]: line for line in text.splitlines()[1:]}


@pytest.mark.parametrize("name", ["whole", "aborted", "forfeited"])
def test_bundles(name):
    b = bundle(name)
    said = judges.ask(judges.of_bundle(b))
    assert said == [True] * len(said) and len(said) > 2, said
    for kind, vkey in (("open", "operator_vkey"), ("tickets", "tickets_vkey")):
        note = b["tickets_checkpoint"] if kind == "tickets" else b["open_proof"].split("\n\n", 1)[1]
        if kind == "open":
            assert judges.note_signed(note, b[vkey])
    for beacon in b["beacons"]:
        if beacon["type"] == "nist2":
            assert judges.pulse_signed(beacon["pulse"], beacon["certificate_pem"])


def test_kdf():
    """Commitment, context and draw key of a draw by the openssl command, as klero-verify computes them."""
    for open_text, close_text, draw_text in (
            (bundle()["open"], bundle()["close"], bundle()["draw"]),
            tuple((VECTORS / f"{n}.record").read_text() for n in ("open", "close", "draw"))):
        opened, draw = record(open_text), record(draw_text)
        raffle, seed = opened["raffle"].split()[1], draw["server-seed"].split()[1]
        assert judges.kbkdf(seed, "kleroterion/v2/seed-commit", raffle) == opened["seed-commit"].split()[2]
        key = judges.kbkdf(seed, "kleroterion/v2/draw-key", draw["context"].split()[1])
        assert key == draw["draw-key"].split()[1]
        # the first winner from the first word of the stream
        n = int(record(close_text)["tickets"].split()[1])
        word = int(judges.kbkdf(key, "kleroterion/v2/stream", "00" * 8)[:16], 16)
        first = next(l for l in draw_text.splitlines() if l.startswith("winner 1 "))
        assert int(first.split()[2]) == word % n
        leaf = hashlib.sha256(b"\0" + open_text.encode()).hexdigest()
        assert record(close_text)["open"].split()[2] == leaf


def test_vectors():
    """The specification's own checkpoints and proofs."""
    keys = dict(line.split(" ", 1) for line in (VECTORS / "keys.txt").read_text().splitlines() if line[0] != "#")
    draw, proof = (VECTORS / "draw.record").read_text(), (VECTORS / "draw.tlog-proof").read_text()
    rows = [{"ask": "checkpoint", "note": (VECTORS / f"{n}.checkpoint").read_text(), "vkey": keys[n]} for n in
            ("operator", "tickets")]
    rows.append({"ask": "proof", "proof": proof, "leaf": draw.encode().hex(), "vkey": keys["operator"]})
    assert judges.ask(rows) == [True] * 3
    for n in ("operator", "tickets"):
        assert judges.note_signed((VECTORS / f"{n}.checkpoint").read_text(), keys[n])


def alterations(b):
    """(what, the altered bundle, the question that must be refused) …"""
    def changed(path, to):
        out = json.loads(json.dumps(b))
        at = out
        for p in path[:-1]:
            at = at[p]
        at[path[-1]] = to(at[path[-1]])
        return out

    def letter(s, at):
        return s[:at] + ("A" if s[at] != "A" else "B") + s[at + 1:]

    def lines(s, n, new):
        parts = s.split("\n")
        parts[n] = new(parts[n])
        return "\n".join(parts)

    flip = "0123456789abcdef"
    yield "a winner's leaf", changed(("winners", 0, "leaf_hex"), lambda s: s[:-1] + flip[int(s[-1], 16) ^ 1]), "proof"
    yield "a winner's index", changed(("winners", 0, "tlog_proof"), lambda s: lines(s, 1, lambda l: l + "1")), "proof"
    yield "a hash of a path", changed(("winners", 1, "tlog_proof"), lambda s: lines(s, 2, lambda l: letter(l, 5))), "proof"
    yield "a path too short", changed(("winners", 1, "tlog_proof"), lambda s: "\n".join(s.split("\n")[:2] + s.split("\n")[3:])), "proof"
    yield "a path too long", changed(("winners", 1, "tlog_proof"), lambda s: "\n".join(s.split("\n")[:3] + s.split("\n")[2:])), "proof"
    yield "the open record", changed(("open",), lambda s: s.replace("winners 3", "winners 4")), "proof"
    yield "the root", changed(("tickets_checkpoint",), lambda s: lines(s, 2, lambda l: letter(l, 9))), "checkpoint"
    yield "the size", changed(("tickets_checkpoint",), lambda s: lines(s, 1, lambda l: "19")), "checkpoint"
    yield "the signature", changed(("tickets_checkpoint",), lambda s: lines(s, 4, lambda l: letter(l, -20))), "checkpoint"
    yield "the ticket log's key", changed(("tickets_vkey",), lambda s: letter(s, -6)), "checkpoint"
    yield "the operator's key", changed(("operator_vkey",), lambda s: letter(s, -6)), "proof"
    yield "the round", changed(("beacons", 0, "round"), lambda n: n + 1), "drand"
    yield "the round's signature", changed(("beacons", 0, "signature"), lambda s: s[:-1] + flip[int(s[-1], 16) ^ 1]), "drand"
    yield "infinity", changed(("beacons", 0, "signature"), lambda s: "c0" + "00" * 47), "drand"


def ours(b, tmp_path):
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(b))
    return subprocess.run([BIN / "klero-verify", "-q", "--nist-certificate", ROOT / "tests/vectors/nist/cert-528943a5.pem", path],
                          capture_output=True, text=True, timeout=300)


def test_refusals(tmp_path):
    good = bundle()
    assert ours(good, tmp_path).returncode == 0
    rows = list(alterations(good))
    for what, bad, _ in rows:
        run = ours(bad, tmp_path)
        assert run.returncode == 1 and run.stdout.startswith("NOT VERIFIED: "), (what, run)
    questions = [judges.of_bundle(bad) for _, bad, _ in rows]
    answers = iter(judges.ask([q for row in questions for q in row]))
    for (what, _, kind), row in zip(rows, questions):
        said = [a for q, a in [(q, next(answers)) for q in row] if kind == KINDS[q["ask"]]]
        refused = [a for a in said if a is not True]
        # both of drand's people, and of a log's proofs the one that was altered
        assert len(refused) == len(said) if kind == "drand" else refused, (what, said)


def test_openssl_refuses():
    b = bundle()
    note = b["tickets_checkpoint"]
    assert judges.note_signed(note, b["tickets_vkey"])
    assert not judges.note_signed(note.replace("\n20\n", "\n21\n"), b["tickets_vkey"])
    nist = next(x for x in b["beacons"] if x["type"] == "nist2")
    pulse = json.loads(json.dumps(nist["pulse"]))
    inner = pulse.get("pulse", pulse)
    inner["statusCode"] = 1
    assert judges.pulse_signed(nist["pulse"], nist["certificate_pem"]) and not judges.pulse_signed(pulse, nist["certificate_pem"])
