"""kleroctl setup: what it makes and for whom, and that a failure leaves nothing half-done."""

import base64
import json
import os
import re
import stat

import klero
import pytest
import tlog
from conftest import BIN
from officers import Officer


@pytest.fixture
def bare(lab):
    """A configuration in a folder with nothing else, and a way to run setup there."""
    made = lab.make()
    a = klero.Appliance(made.bin, made.dir.with_name(made.dir.name + "-bare"))
    a.dir.mkdir()
    text = made.conf.read_text().replace(str(made.dir), str(a.dir))
    # provision.sh may put the large folders elsewhere; here everything is below a.dir
    for keyword, folder in (("store", "store"), ("pkcs11-folder", "tokens")):
        text = re.sub(rf"^{keyword} .*$", f"{keyword} {a.dir}/{folder}", text, flags=re.M)
    a.conf.write_text(text)
    yield a
    a.stop()


def names(folder):
    return sorted(os.listdir(folder))


def mode(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_what_is_made(bare):
    out = bare.ctl("setup").stdout
    assert "the appliance is ready" in out
    assert names(bare.dir / "store") == ["klero.keys", "klero.new", "klero.vkey"]
    modes = {"store": "0o700", "tokens": "0o700", "run": "0o755", "keys.pin": "0o400", "keys.pin.so": "0o400",
             "tls.pin": "0o400", "tls.pin.so": "0o400", "tls.pem": "0o644", "store/klero.keys": "0o600",
             "store/klero.vkey": "0o644"}
    assert {name: mode(bare.dir / name) for name in modes} == modes
    # the operator log's key, as any reader of such logs wants it
    name, key_id, _ = bare.vkey.read_text().split("+", 2)
    assert name.endswith("/klero") and key_id == tlog.Key(bare.vkey.read_text()).id(name).hex()
    code = re.search(r"code (\S{20})\n", out)[1]
    assert not any(code in p.read_text(errors="replace") for p in bare.dir.rglob("*") if p.is_file())
    pins = {(bare.dir / name).read_text() for name in ("keys.pin", "keys.pin.so", "tls.pin", "tls.pin.so")}
    assert len(pins) == 4
    assert not any(pin.strip() in out for pin in pins)


@pytest.mark.root_only
def test_owners(bare):
    bare.ctl("setup")
    base = int(re.search(r"uid-base (\d+)", bare.conf.read_text())[1])
    assert (bare.dir / "store").stat().st_uid == base + 1
    assert (bare.dir / "store" / "klero.keys").stat().st_uid == base + 1
    for path in (bare.dir / "tokens", *(bare.dir / "tokens").rglob("*")):
        assert path.stat().st_uid == base + 4, path
    for name in ("keys.pin", "tls.pin", "tls.pem", "run"):
        assert (bare.dir / name).stat().st_uid == 0, name


@pytest.mark.parametrize("keyword,value,words", [
    ("tls-certificate", "{dir}/missing/tls.pem", "missing/tls.pem"),
    ("pkcs11-module", "/nonexistent/module.so", "/nonexistent/module.so"),
    ("keys-pin-file", "{dir}/missing/keys.pin", "missing/keys.pin"),
    ("tls-names", "1:2", "tls-names"),  # refused by keyadm, when the other token has its keys
])
def test_a_failure_leaves_nothing(bare, keyword, value, words):
    good = bare.conf.read_text()
    line = f"{keyword} {value.format(dir=bare.dir)}"
    bare.conf.write_text(re.sub(rf"^{keyword} .*$", line, good, flags=re.M))
    run = bare.ctl("setup", check=False)
    assert run.returncode in (1, 2) and words in run.stderr
    assert "remain" not in run.stderr
    assert names(bare.dir) == ["klerod.conf"], run.stderr
    # and then it works
    bare.conf.write_text(good)
    bare.ctl("setup")


def test_pins_of_the_operator_are_kept(bare):
    pin = bare.dir / "keys.pin"
    pin.write_text("operator-7\n")
    pin.chmod(0o400)
    bare.ctl("setup")
    assert pin.read_text() == "operator-7\n"
    bare.start()
    assert bare.stop() == 0


def test_pins_that_others_may_read_are_refused(bare):
    pin = bare.dir / "keys.pin"
    pin.write_text("operator-7\n")
    pin.chmod(0o444)
    run = bare.ctl("setup", check=False)
    assert run.returncode == 1 and "chmod 0400" in run.stderr
    assert names(bare.dir) == ["keys.pin", "klerod.conf"]


def test_a_second_setup_changes_nothing(bare):
    bare.ctl("setup")
    before = {p: p.read_bytes() for p in bare.dir.rglob("*") if p.is_file()}
    run = bare.ctl("setup", check=False)
    assert run.returncode == 1 and "nothing was changed" in run.stderr
    assert {p: p.read_bytes() for p in bare.dir.rglob("*") if p.is_file()} == before


# --- officers ---

def test_officers_from_the_start(bare, tmp_path):
    file = tmp_path / "officers"
    file.write_text("# any two of these\n\n" + "".join(Officer(tmp_path, n, k).line for n, k in
                                                        (("alice", "ed25519"), ("bob", "ecdsa"), ("carol", "ed25519"))))
    assert "the officers are enrolled" in bare.ctl("setup", "2", str(file)).stdout
    again = bare.ctl("officer", "enrol", "1", str(file), check=False)
    assert again.returncode == 1 and "only they" in again.stderr
    bare.start()
    listed = klero.until(lambda: (told := json.loads(bare.ctl("officer", "list").stdout))["known"] and told)
    assert listed["threshold"] == 2 and [o["name"] for o in listed["officers"]] == ["alice", "bob", "carol"]
    assert re.fullmatch(r"[0-9a-f-]{36}\n", bare.ctl("key", "rotate", "log").stdout)
    bare.stop()


@pytest.mark.parametrize("threshold,second,words", [
    ("3", "ed25519", "threshold"),
    ("0", "ed25519", "threshold"),
    ("two", "ed25519", "how many of them"),
    ("1", "rsa", "officers:2: not NAME and an SSH key"),
    ("1", "ecdsa -b 384", "officers:2: not NAME and an SSH key"),
    ("1", None, "missing: No such file"),
])
def test_wrong_officers_leave_nothing(bare, tmp_path, threshold, second, words):
    file = tmp_path / ("officers" if second else "missing")
    if second:
        kind, *more = second.split(" ")
        file.write_text(Officer(tmp_path, "alice").line + Officer(tmp_path, "bob", kind, *more).line)
    run = bare.ctl("setup", threshold, str(file), check=False)
    assert run.returncode == 2 and words in run.stderr
    assert names(bare.dir) == ["klerod.conf"]


def test_setup_takes_both_or_neither(bare):
    assert bare.ctl("setup", "2", check=False).returncode == 2
    assert names(bare.dir) == ["klerod.conf"]


@pytest.mark.as_shipped
@pytest.mark.skipif(os.environ.get("KLERO_MODULE", "softhsm") != "softhsm", reason="SoftHSM's")
def test_a_module_that_does_not_copy_its_ed25519_keys(lab):
    """As NSS softoken 3.110: it makes them and it copies others. The log key is P-256 then."""
    plain, bound = lab.make(), lab.make(f"pkcs11-module {BIN.parent / 'tools' / 'noedcopy.so'}")
    # a verifier key begins with its type (c2sp.org/signed-note): 1 is Ed25519, 2 is ECDSA
    kinds = [base64.b64decode(a.vkey.read_text().split("+", 2)[2])[0] for a in (plain, bound)]
    assert kinds == [1, 2]
    bound.start()
    klero.want(bound.person().get("/api/v1/wallet"), 200)
    assert "the token folder stays readable" not in bound.log()
    assert bound.stop() == 0
