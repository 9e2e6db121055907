"""kleroctl doctor and kleroctl support: what they find, what they change (nothing), what leaves the house."""

import io
import json
import os
import re
import subprocess
import tarfile

import pytest
from test_start import edit, hashes


@pytest.fixture(scope="module")
def patient(lab):
    a = lab.make().start()
    a.admin()
    a.stop()
    yield a
    a.stop()


def doctor(a, *more):
    """(exit status, {check: [level]}, {check: words of the worst})"""
    run = a.ctl("doctor", "--json", *more, check=False)
    told = json.loads(run.stdout)
    levels, words = {}, {}
    for f in told["findings"]:
        levels.setdefault(f["check"], set()).add(f["level"])
        if f["level"] != "ok" or f["check"] not in words:
            words[f["check"]] = f["words"]
    worst = max((f["level"] for f in told["findings"]), key=["ok", "attention", "broken"].index)
    assert told["level"] == worst and told["ok"] == (worst == "ok")
    assert run.returncode == {"ok": 0, "attention": 5, "broken": 6}[worst]
    return told["running"], levels, words


def unwell(levels):
    return {check for check, found in levels.items() if "broken" in found}


def test_a_stopped_one_is_well_and_stays_as_it_is(patient):
    before = hashes(patient.dir / "store"), hashes(patient.dir / "tokens"), patient.log()
    running, levels, words = doctor(patient, "--store")
    assert not running and not unwell(levels), words
    assert {"landlock", "seccomp", "memfd", "namespaces", "configuration", "clock", "disk", "files", "hsm-journal",
            "certificate", "hsm-keys", "hsm-tls", "store-token", "store-store", "store-log", "store-balances"} <= set(levels)
    assert (hashes(patient.dir / "store"), hashes(patient.dir / "tokens"), patient.log()) == before


def test_a_running_one_is_well_and_serves_on(patient):
    patient.start()
    running, levels, words = doctor(patient, "--store")
    assert running and not unwell(levels), words
    assert {"store", "ledger", "hsm-keys", "hsm-tls", "passwords", "store-copy"} <= set(levels)
    assert patient.client().get("/health/ready").status == 200
    assert not (patient.dir / "store" / "restoring").exists()
    patient.stop()


def test_before_the_first_start(lab):
    _, levels, words = doctor(lab.make(), "--store")
    assert not unwell(levels) and "first" in words["store"]


def test_without_a_configuration(patient):
    run = patient.ctl("-c", "/nonexistent/klerod.conf", "doctor", check=False)
    assert run.returncode == 6 and "/nonexistent/klerod.conf" in run.stdout and "landlock" in run.stdout


def test_for_people_it_is_a_line_each(patient):
    run = patient.ctl("doctor", check=False)
    assert run.returncode in (0, 5) and not run.stderr
    *findings, sums = run.stdout.splitlines()
    assert all(l.split()[0] in ("ok", "attention") for l in findings) and re.fullmatch(r"\d+ ok, \d+ to look at, 0 broken", sums)


def chmod(name, mode):
    def change(a):
        path = a.dir / name
        old = path.stat().st_mode & 0o7777
        path.chmod(mode)
        return lambda: path.chmod(old)
    return change


def rewrite(name, new):
    def change(a):
        path = a.dir / name
        old, mode = path.read_bytes(), path.stat().st_mode & 0o7777
        path.chmod(0o600)
        path.write_bytes(new(old))
        path.chmod(mode)
        return lambda: (path.chmod(0o600), path.write_bytes(old), path.chmod(mode))
    return change


def conf(keyword, value):
    def change(a):
        old = a.conf.read_text()
        edit(a, keyword, value)
        return lambda: a.conf.write_text(old)
    return change


def damage(at):
    return lambda old: old[:at] + bytes([old[at] ^ 1]) + old[at + 1:]


WRONG = [
    (chmod("keys.pin", 0o644), "secrets", "keys.pin"),
    (chmod("tls.pin.so", 0o440), "secrets", "tls.pin.so"),
    (chmod("klerod.conf", 0o666), "configuration", "klerod.conf"),
    (chmod("store", 0o777), "store-files", "chmod 0700"),
    (chmod("store/klero.keys", 0o622), "store-files", "klero.keys"),
    (chmod("tls.pem", 0o666), "files", "tls.pem"),
    (conf("tls-certificate", "/nonexistent/tls.pem"), "certificate", "/nonexistent/tls.pem"),
    (conf("keys-token", "no-such-token"), "hsm-keys", "no-such-token"),
    (conf("pkcs11-module", "/nonexistent/module.so"), "programs", "/nonexistent/module.so"),
    (conf("store", "/nonexistent/store"), "setup", "/nonexistent/store"),
    (rewrite("tls.pem", lambda old: b"no certificate\n"), "certificate", "holds no certificate"),
    (rewrite("store-hsm/journal", damage(40)), "hsm-journal", "1 of its records"),
    (rewrite("store/klero.db", damage(4096 + 100)), "store-store", "damaged"),
    (rewrite("klerod.conf", lambda old: old + b"colour red\n"), "configuration", "colour"),
]


@pytest.mark.parametrize("change,check,words", WRONG, ids=[f"{c}-{n}" for n, (_, c, _) in enumerate(WRONG)])
def test_what_is_wrong_is_found(patient, change, check, words):
    undo = change(patient)
    try:
        _, levels, said = doctor(patient, "--store")
    finally:
        undo()
    assert check in unwell(levels) and words in said[check], (levels, said)


@pytest.mark.root_only
def test_a_file_of_another_user(patient):
    keys = patient.dir / "store" / "klero.keys"
    st = keys.stat()
    os.chown(keys, 12345, 12345)
    _, levels, words = doctor(patient)
    os.chown(keys, st.st_uid, st.st_gid)
    assert "store-files" in unwell(levels) and "chown" in words["store-files"]


def test_a_link_in_the_store(patient):
    link = patient.dir / "store" / "klero.link"
    link.symlink_to("/etc/passwd")
    _, levels, words = doctor(patient)
    link.unlink()
    assert "store-files" in unwell(levels) and "symbolic link" in words["store-files"]


def test_a_clock_that_is_behind(patient):
    db = patient.dir / "store" / "klero.db"
    st = db.stat()
    os.utime(db, (st.st_atime, st.st_mtime + 86400))
    _, levels, words = doctor(patient)
    os.utime(db, (st.st_atime, st.st_mtime))
    assert "clock" in unwell(levels) and "behind" in words["clock"]


@pytest.mark.root_only
def test_a_full_and_a_read_only_disk(patient, tmp_path):
    """In a mount namespace of its own: a small disk in the place of hsm's journal, then one that is shut."""
    folder = patient.dir / "store-hsm"
    for option, words in (("size=1m", "full"), ("size=200m,ro", "read-only")):
        script = f'mount -t tmpfs -o {option} tmpfs "$1" && exec "$2" -c "$3" doctor --json'
        run = subprocess.run(["unshare", "--mount", "sh", "-c", script, "-", folder, patient.bin / "kleroctl", patient.conf],
                             capture_output=True, text=True, timeout=300)
        found = [f["words"] for f in json.loads(run.stdout)["findings"] if f["check"] == "disk" and f["level"] == "broken"]
        assert run.returncode == 6 and len(found) == 1 and words in found[0]


# --- support ---

PLANTED = {
    "mail": "carol.secret@example.net", "id": "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001", "address": "203.0.113.77",
    "v6": "2001:db8:77::9", "phone": "+4915123456789", "token": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.QUJDREVGR0hJSktMTU5PUA1",
    "hex": "9f86d081884c7d659a2feaa0c55ad015", "parameters": "secretword", "environment": "hunter2",
}


@pytest.mark.parametrize("running", [False, True])
def test_the_bundle_holds_nothing_that_was_planted(patient, tmp_path, running):
    if running:
        patient.start()
    old = patient.conf.read_text()
    pins = [(patient.dir / f"{n}.pin{so}").read_text().strip() for n in ("keys", "tls") for so in ("", ".so")]
    with patient.conf.open("a") as f:
        f.write(f"# {PLANTED['mail']} {pins[0]}\nkeys-parameters a={PLANTED['parameters']}\npkcs11-env PASS={PLANTED['environment']}\n")
    with (patient.dir / "klerod.log").open("a") as f:
        f.write("2026-11-21T09:00:00.123Z engine.0[1] info planted " + " ".join(list(PLANTED.values())[:-2]) + "\n")
        f.write("".join(f"2026-11-21T09:00:00.124Z engine.0[1] info x{pin}y\n" for pin in pins))
    path = tmp_path / "bundle.tar"
    try:
        run = patient.ctl("support", str(path), "--json")
    finally:
        patient.stop()
        patient.conf.write_text(old)
    assert json.loads(run.stdout) == {"ok": True, "file": str(path)} and path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as tar:
        held = {m.name: tar.extractfile(m).read().decode() for m in tar.getmembers()}
    everything = "\n".join(held.values())
    for word in (*PLANTED.values(), *pins):
        assert word not in everything, word
    assert set(held) == {"versions", "klerod.conf", "doctor.json", "status.json", "log"}
    assert "info planted <email> <id> <address> <address> <number> " in held["log"] and "<secret>" in held["log"]
    assert "keys-parameters ~\n" in held["klerod.conf"] and held["klerod.conf"].startswith("host localhost\n")
    assert json.loads(held["doctor.json"])["running"] == running
    assert ('"database"' in held["status.json"]) == running
    assert "kleroctl " in held["versions"] and "OpenSSL" in held["versions"]
    # the key of the store, in any of its forms
    sealed = (patient.dir / "store" / "klero.keys").read_text().split()
    assert not any(word in everything for word in sealed if len(word) > 8)


def test_the_bundle_of_a_wrong_configuration(patient, tmp_path):
    old = patient.conf.read_text()
    patient.conf.write_text("colour red\n" + old)
    run = subprocess.run([patient.bin / "kleroctl", "-c", patient.conf, "support", "-"], capture_output=True, timeout=300)
    patient.conf.write_text(old)
    assert run.returncode == 0
    with tarfile.open(fileobj=io.BytesIO(run.stdout)) as tar:
        told = json.loads(tar.extractfile("doctor.json").read())
    assert any("klerod.conf:1" in f["words"] for f in told["findings"])


def test_a_bundle_overwrites_nothing(patient, tmp_path):
    path = tmp_path / "there"
    path.write_text("x")
    run = patient.ctl("support", str(path), check=False)
    assert run.returncode == 1 and "there already" in run.stderr and path.read_text() == "x"
