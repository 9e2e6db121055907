"""Proof bundles through klero-verify: a good one verifies, and each kind of tampering has its own
message and an exit status that is not 0."""

import os
import base64
import json

import klero
import pytest
import tlog
import witness


@pytest.fixture(scope="module")
def drawn(appliance, admin, rich):
    """(bundle, commitment) of a drawn raffle."""
    rid = admin.create(title="Proof", capacity=100, winners=2, reserves=1)["id"]
    klero.want(admin.step(rid, "open"), 200)
    for n in range(20):
        klero.want(rich.buy(rid, 1, f"seed {n} ✓"), 201)
    klero.want(admin.step(rid, "close"), 200)
    klero.want(admin.step(rid, "entropy", {"entropy": "feed"}), 200)
    klero.want(admin.step(rid, "draw"), 200)
    return klero.want(admin.get(f"/api/v1/raffles/{rid}/proof"), 200).json, admin.raffle(rid)["seed_commit"]


@pytest.fixture
def check(appliance, tmp_path):
    def run(bundle, *args, text=None):
        path = tmp_path / "proof.json"
        path.write_text(text if text is not None else json.dumps(bundle))
        return appliance.verify(path, *args)
    return run


def altered(bundle, **changes):
    out = json.loads(json.dumps(bundle))
    for name, change in changes.items():
        out[name] = change(out[name])
    return out


def first_changed(items, value):
    return [value] + items[1:]


def flip(leaf, at):
    raw = bytearray(base64.b64decode(leaf))
    raw[at] ^= 1
    return base64.b64encode(raw).decode()


def test_good(check, drawn, appliance):
    bundle, commit = drawn
    run = check(bundle, "-k", appliance.vkey, "-c", commit)
    assert run.returncode == 0 and run.stdout.splitlines()[-1].startswith("VERIFIED")
    assert "reproduced" in run.stdout
    assert check(bundle).returncode == 0
    # the key as text is as good as a file
    assert check(bundle, "-k", appliance.vkey.read_text().strip()).returncode == 0
    if os.environ.get("KLERO_MODULE", "softhsm") != "softhsm":
        return  # a module without Ed25519 has a log key of another kind
    # and as earlier versions published it, under the notes' name; not under any other
    name, key = appliance.vkey.read_text().split("+")[0], tlog.Key(appliance.vkey.read_text())
    for other, code in ((f"{name}/log", 0), (f"{name}/notes", 1), (f"x{name}", 1)):
        assert check(bundle, "-k", witness.vkey(other, 1, key.public)).returncode == code, other


TAMPERINGS = {
    "a winner": {"note": lambda n: n.replace("winner 1 ", "winner 1 1", 1)},
    "the seed": {"note": lambda n: n.replace("server-seed ", "server-seed 0", 1)},
    "signature": {"note": lambda n: n[:-10] + ("A" if n[-10] != "A" else "B") + n[-9:]},
    "no signature": {"note": lambda n: n.split("\n\n")[0] + "\n\n"},
    "a leaf": {"leaves": lambda l: first_changed(l, flip(l[0], 100))},
    "a leaf's index": {"leaves": lambda l: [l[1], l[0]] + l[2:]},
    "a leaf missing": {"leaves": lambda l: l[:-1], "client_seeds": lambda s: s[:-1]},
    "a leaf twice": {"leaves": lambda l: l + l[-1:], "client_seeds": lambda s: s + s[-1:]},
    "a short leaf": {"leaves": lambda l: first_changed(l, "AAAA")},
    "a client seed": {"client_seeds": lambda s: first_changed(s, "another wish")},
    "client seeds swapped": {"client_seeds": lambda s: [s[1], s[0]] + s[2:]},
    "fewer client seeds": {"client_seeds": lambda s: s[:-1]},
    "the format": {"format": lambda f: "kleroterion-proof/9"},
    "the key": {"vkey": lambda v: v[:-4] + ("AAA=" if not v.endswith("AAA=") else "BBB=")},
}


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_tampering(check, drawn, appliance, kind):
    bundle, commit = drawn
    bad = altered(bundle, **TAMPERINGS[kind])
    assert bad != bundle
    run = check(bad, "-k", appliance.vkey, "-c", commit)
    if kind == "the key":
        run = check(bad)  # with a trusted key the bundle's own word does not count
    assert run.returncode == 1, run
    assert "VERIFIED" not in run.stdout.replace("NOT VERIFIED", "")
    assert len((run.stderr or run.stdout).strip().split("\n")[-1]) < 300


def test_each_tampering_has_its_own_message(check, drawn, appliance):
    bundle, commit = drawn
    kinds = ["signature", "a leaf", "a leaf's index", "a client seed", "the format", "a leaf missing"]
    said = {k: (lambda r: r.stderr.strip() or r.stdout.strip())(
        check(altered(bundle, **TAMPERINGS[k]), "-k", appliance.vkey, "-c", commit)) for k in kinds}
    assert len({m.splitlines()[-1] for m in said.values()}) == len(kinds), said


def test_other_commitment_and_other_key(check, drawn, appliance, lab):
    bundle, commit = drawn
    run = check(bundle, "-k", appliance.vkey, "-c", "00" * 32)
    assert run.returncode == 1 and "commit" in (run.stdout + run.stderr).lower()
    other = lab.make()
    run = check(bundle, "-k", other.vkey, "-c", commit)
    assert run.returncode == 1
    assert check(bundle, "-c", "xyz").returncode == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format":"kleroterion-proof/1"}', "{" * 1000, "\x00"])
def test_rubbish(check, text):
    run = check(None, text=text)
    assert run.returncode == 1 and (run.stdout + run.stderr).strip()


def test_no_file(appliance):
    run = appliance.verify("/nonexistent/proof.json")
    assert run.returncode == 3 and "/nonexistent/proof.json" in run.stderr
    assert appliance.verify("-x").returncode == 2
