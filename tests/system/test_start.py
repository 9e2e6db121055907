"""Starts that must fail: one line that names the thing, an exit status that is not 0, and nothing
altered in the store."""

import hashlib
import os
import shutil
import subprocess

import klero
import pytest


def hashes(folder):
    # an empty write-ahead log says nothing: SQLite makes it to look whether it may
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file() and not (p.name.endswith("-wal") and p.stat().st_size == 0)}


def refuses(appliance, *words):
    """klerod does not start, says so in one line with these words, and alters nothing."""
    before = hashes(appliance.dir / "store")
    p = appliance.spawn()
    try:
        out, err = p.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        appliance.stop()
        raise AssertionError("it went on starting\n" + appliance.log()[-2000:])
    appliance.process = None
    assert p.returncode not in (0, None) and "ready" not in out
    lines = [l for l in err.strip().split("\n") if "warning" not in l and "without root" not in l]
    assert len(lines) == 1, err
    for word in words:
        assert word.lower() in lines[0].lower(), lines
    assert hashes(appliance.dir / "store") == before
    return lines[0]


@pytest.fixture(scope="module")
def used(lab):
    """An appliance with something in its store, stopped. Tests work on copies of its parts."""
    a = lab.make().start()
    a.admin()
    p = a.person()
    assert p.get("/api/v1/wallet").status == 200
    a.stop()
    return a


@pytest.fixture
def broken(used):
    """The appliance, put back as it was after the test."""
    store = used.dir / "store"
    saved = {p: p.read_bytes() for p in [used.conf, used.dir / "keys.pin", used.dir / "tls.pin",
                                        *(p for p in store.iterdir() if p.is_file())]}
    owner = (store / "klero.keys").stat()
    yield used
    used.stop()
    for path in store.iterdir():
        if path.is_file() and path not in saved:
            path.unlink()
    for path, data in saved.items():
        new = not path.exists()
        path.write_bytes(data)
        if new:
            os.chown(path, owner.st_uid, owner.st_gid)


def edit(appliance, keyword, value):
    lines = [l for l in appliance.conf.read_text().split("\n") if not l.startswith(keyword + " ")]
    appliance.conf.write_text("\n".join(lines + ([f"{keyword} {value}"] if value is not None else [])) + "\n")


def test_wrong_pin(broken):
    (broken.dir / "keys.pin").write_text("not-the-pin")
    refuses(broken, "PIN", "klero-keys")


def test_wrong_pin_of_the_tls_token(broken):
    (broken.dir / "tls.pin").write_text("not-the-pin")
    refuses(broken, "PIN", "klero-tls")


def test_missing_pin_file(broken):
    edit(broken, "keys-pin-file", "/nonexistent/keys.pin")
    refuses(broken, "/nonexistent/keys.pin")


def test_pin_file_that_others_may_read(broken):
    pin = broken.dir / "keys.pin"
    pin.chmod(0o644)
    try:
        refuses(broken, "keys.pin")
    finally:
        pin.chmod(0o600)


def test_missing_token(broken):
    edit(broken, "keys-token", "no-such-token")
    refuses(broken, "no-such-token")


def test_missing_module(broken):
    edit(broken, "pkcs11-module", "/nonexistent/module.so")
    refuses(broken, "/nonexistent/module.so")


def test_module_that_is_none(broken):
    edit(broken, "pkcs11-module", "/etc/hostname")
    refuses(broken, "/etc/hostname")


def test_wrong_database_key(broken, lab):
    other = lab.make().start()
    other.stop()
    for name in ("klero.db", "klero.check"):
        shutil.copyfile(other.dir / "store" / name, broken.dir / "store" / name)
    refuses(broken, "key")


def test_schema_from_the_future(broken):
    assert broken.store_tool("schema", "999").returncode == 0
    refuses(broken, "999")


def test_sealed_key_of_another_appliance(broken, lab):
    other = lab.make()
    shutil.copyfile(other.dir / "store" / "klero.keys", broken.dir / "store" / "klero.keys")
    refuses(broken, "klero.keys")


def test_damaged_database(broken):
    db = broken.dir / "store" / "klero.db"
    data = bytearray(db.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page + 100] ^= 0xff
    db.write_bytes(data)
    refuses(broken, "damaged")


def test_truncated_database(broken):
    db = broken.dir / "store" / "klero.db"
    db.write_bytes(db.read_bytes()[:9000])
    refuses(broken, "damaged")


def test_missing_database(broken):
    db = broken.dir / "store" / "klero.db"
    db.unlink()
    refuses(broken, "restore")
    assert not db.exists()


def test_missing_certificate(broken):
    edit(broken, "tls-certificate", "/nonexistent/tls.pem")
    refuses(broken, "/nonexistent/tls.pem")


@pytest.mark.parametrize("keyword, value", [
    ("colour", "red"), ("nets", "two"), ("nets", "0"), ("listen", "127.0.0.1"), ("listen", "127.0.0.1:99999"),
    ("limit-user", "100"), ("host", None), ("store", None), ("nets", "2\nnets 2"),
])
def test_bad_configuration(broken, keyword, value):
    edit(broken, keyword, value)
    refuses(broken, "klerod.conf", keyword)


def test_configuration_with_a_control_character(broken):
    edit(broken, "log-file", "/tmp/x\x00y")
    refuses(broken, "klerod.conf:", "control character")


def test_configuration_error_names_its_line(broken):
    text = broken.conf.read_text()
    broken.conf.write_text("# first\n\ncolour red\n" + text)
    refuses(broken, "klerod.conf:3", "colour")


def test_missing_configuration(broken):
    run = subprocess.run([broken.bin / "klerod", "-c", "/nonexistent/klerod.conf"], capture_output=True, text=True, timeout=300)
    assert run.returncode and "/nonexistent/klerod.conf" in run.stderr and len(run.stderr.strip().split("\n")) == 1


def test_unreadable_configuration(broken):
    if os.getuid() == 0:
        folder = broken.dir  # root reads everything; a folder is no file
    else:
        folder = broken.dir / "secret.conf"
        folder.write_text("host x\n")
        folder.chmod(0)
    run = subprocess.run([broken.bin / "klerod", "-c", folder], capture_output=True, text=True, timeout=300)
    assert run.returncode and str(folder) in run.stderr and len(run.stderr.strip().split("\n")) == 1


def test_address_in_use(broken, appliance):
    edit(broken, "listen", f"127.0.0.1:{appliance.port}")
    refuses(broken, f"{appliance.port}")


def test_second_start_leaves_the_first_alone(appliance):
    run = subprocess.run([appliance.bin / "klerod", "-c", appliance.conf], capture_output=True, text=True, timeout=300)
    assert run.returncode and len([l for l in run.stderr.strip().split("\n") if "without root" not in l]) == 1
    assert appliance.client().get("/health").status == 200
    assert appliance.status()


def test_setup_never_overwrites(broken):
    before = hashes(broken.dir / "store"), hashes(broken.dir / "tokens")
    broken.ctl("setup", check=False)
    assert (hashes(broken.dir / "store"), hashes(broken.dir / "tokens")) == before


def test_kleroctl_without_a_daemon(broken):
    run = broken.ctl("status", check=False)
    assert run.returncode and len(run.stderr.strip().split("\n")) == 1


def test_after_all_that_it_starts(used):
    used.start()
    c = klero.Person(used.port, used.ca, "admin@example.org").login()
    assert c.get("/api/v1/auth/me").status == 200
    assert used.stop() == 0


def test_versions(used):
    for program in ("klerod", "kleroctl", "klero-verify"):
        run = subprocess.run([used.bin / program, "--version"], capture_output=True, text=True, timeout=300)
        assert run.returncode == 0 and "." in run.stdout
