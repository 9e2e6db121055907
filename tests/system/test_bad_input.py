"""Whatever is wrong with configuration or machine: one line that names the file and its line, nothing
written, and `klerod -t` says the same without starting, as far as it can know."""

import contextlib
import os
import re
import subprocess

import klero
import pytest
from test_start import hashes


@pytest.fixture(scope="module")
def used(lab):
    a = lab.make().start()
    a.admin()
    a.stop()
    yield a
    a.stop()


def set_line(a, keyword, value):
    """Puts a keyword's line anew, where it stood; returns its number, 0 when it is taken away."""
    lines = a.conf.read_text().splitlines()
    at = next((n for n, l in enumerate(lines) if l.split(" ")[0] == keyword), None)
    if at is None:
        lines.append("")
        at = len(lines) - 1
    lines[at:at + 1] = [] if value is None else [f"{keyword} {value}"]
    a.conf.write_text("\n".join(lines) + "\n")
    return 0 if value is None else at + 1


@contextlib.contextmanager
def changed(path, mode=None, owner=None, text=None):
    st, old = path.stat(), path.read_bytes()
    try:
        if text is not None:
            path.chmod(0o600)
            path.write_text(text)
            path.chmod(st.st_mode & 0o7777)
        if mode is not None:
            path.chmod(mode)
        if owner is not None:
            os.chown(path, owner, owner)
        yield
    finally:
        os.chown(path, st.st_uid, st.st_gid)
        path.chmod(0o600)
        path.write_bytes(old)
        path.chmod(st.st_mode & 0o7777)


def one_line(a, err, line, *words):
    said = [l for l in err.strip().splitlines() if "without root" not in l]
    assert len(said) == 1 and said[0].startswith("klerod: "), err
    assert f"{a.conf}:{line}: " in said[0] if line else str(a.conf) in said[0], (line, said)
    for word in words:
        assert word.lower() in said[0].lower(), said
    return said[0]


def refused(a, line, *words, test=True, status=None):
    """test: klerod -t finds it as well."""
    before = hashes(a.dir / "store"), hashes(a.dir / "tokens"), hashes(a.dir / "store-hsm")
    run = subprocess.run([a.bin / "klerod", "-t", "-c", a.conf], capture_output=True, text=True, timeout=300)
    if test:
        assert run.returncode == 1 and not run.stdout
        one_line(a, run.stderr, line, *words)
    else:
        assert run.returncode == 0, run
    p = a.spawn()
    out, err = p.communicate(timeout=300)
    a.process = None
    assert p.returncode and "ready" not in out and (status is None or p.returncode == status)
    one_line(a, err, line, *words)
    assert (hashes(a.dir / "store"), hashes(a.dir / "tokens"), hashes(a.dir / "store-hsm")) == before
    assert not (a.dir / "run" / "ctl.sock").exists()


# keyword, value, words, whether klerod -t can know
LINES = [
    ("colour", "red", ["unknown keyword colour"], True),
    ("Host", "a", ["unknown keyword Host"], True),
    ("nets", "two", ["nets wants a number"], True),
    ("nets", "0", ["nets wants a number"], True),
    ("listen", "localhost", ["listen wants"], True),
    ("store", "relative/path", ["store wants an absolute path"], True),
    ("draw-approval", "maybe", ["yes or no"], True),
    ("limit-user", "100", ["limit-user wants"], True),
    ("currencies", "euro", ["currencies wants"], True),
    ("payout-limit", "bitcoin 1 1/1", ["payout-limit wants"], True),
    ("death-budget", "5/0", ["death-budget wants"], True),
    ("host", None, ["host", "is missing"], True),
    ("store", "/nonexistent/store", ["store", "/nonexistent/store", "kleroctl setup"], True),
    ("keys-pin-file", "/nonexistent/keys.pin", ["keys-pin-file", "No such file"], True),
    ("tls-pin-file", "/nonexistent/tls.pin", ["tls-pin-file", "No such file"], True),
    ("tls-certificate", "/nonexistent/tls.pem", ["tls-certificate", "No such file"], True),
    ("pkcs11-module", "/nonexistent/module.so", ["pkcs11-module", "No such file"], True),
    ("pkcs11-module", "/etc/hostname", ["pkcs11-module", "/etc/hostname"], False),
    ("keys-token", "no-such-token", ["keys-token", "no-such-token"], False),
    ("tls-token", "no-such-token", ["tls-token", "no-such-token"], False),
    ("log-file", "/nonexistent/log", ["log-file", "No such file"], False),
    ("run-dir", "/nonexistent/run", ["run-dir", "No such file"], False),
]


@pytest.mark.parametrize("keyword,value,words,test", LINES, ids=[f"{k}-{v}" for k, v, _, _ in LINES])
def test_a_wrong_line_is_named(used, keyword, value, words, test):
    with changed(used.conf):
        line = set_line(used, keyword, value)
        refused(used, line or None, *words, test=test)


def number_of(a, keyword):
    return next(n for n, l in enumerate(a.conf.read_text().splitlines(), 1) if l.startswith(keyword + " "))


@pytest.mark.parametrize("name,keyword", [("keys.pin", "keys-pin-file"), ("tls.pin", "tls-pin-file")])
def test_a_secret_that_others_may_read(used, name, keyword):
    with changed(used.dir / name, mode=0o440):
        refused(used, number_of(used, keyword), keyword, "chmod 0400")


@pytest.mark.root_only
@pytest.mark.parametrize("name,keyword", [("keys.pin", "keys-pin-file"), ("tls.pem", "tls-certificate")])
def test_a_file_of_somebody_else(used, name, keyword):
    with changed(used.dir / name, owner=12345):
        refused(used, number_of(used, keyword), keyword, "chown")


@pytest.mark.root_only
def test_a_user_that_is_not_there(used):
    with changed(used.conf):
        line = set_line(used, "user-kdf", "nobody-of-that-name")
        refused(used, line, "user-kdf", "there is no user nobody-of-that-name")


def test_a_taken_port(used, appliance):
    with changed(used.conf):
        line = set_line(used, "listen", f"127.0.0.1:{appliance.port}")
        refused(used, line, "listen", str(appliance.port), "in use")


def test_a_running_klerod_has_its_own_port(appliance):
    run = subprocess.run([appliance.bin / "klerod", "-t", "-c", appliance.conf], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and "is good" in run.stdout


@pytest.mark.parametrize("name,keyword", [("keys.pin", "keys-pin-file"), ("tls.pin", "tls-pin-file")])
def test_a_wrong_pin_is_tried_once(used, name, keyword):
    at = len(used.log())
    with changed(used.dir / name, text="not-the-pin\n"):
        refused(used, number_of(used, keyword), keyword, "PIN", test=False, status=4)
    told = [l for l in used.log()[at:].splitlines() if "CKR_PIN_INCORRECT" in l or "refuses the PIN" in l]
    assert len(told) == 1, told


# --- the machine, in a mount namespace of its own ---

FULL = ('cp -a "$1" "$1.copy"; o=$(stat -c %u:%g "$1"); mount -t tmpfs -o size=2m,mode=0700 tmpfs "$1"; '
        'cp -a "$1.copy/." "$1/"; chown $o "$1"; rm -r "$1.copy"; dd if=/dev/zero of="$1/fill" bs=4k 2>/dev/null || :')
SHUT = 'mount --bind "$1{0}" "$1{0}"; mount -o remount,ro,bind "$1{0}"'


def inside(a, script):
    """How to run klerod where a script has changed the mounts; $1 is the store."""
    return ["unshare", "--mount", "sh", "-c", script + '; shift; exec "$@"', "-", a.dir / "store"]


@pytest.mark.root_only
@pytest.mark.parametrize("folder,keyword", [("", "store"), ("-hsm", "store"), ("/../run", "run-dir")])
def test_a_read_only_disk(used, folder, keyword):
    before = hashes(used.dir / "store")
    p = used.spawn(before=inside(used, SHUT.format(folder)))
    out, err = p.communicate(timeout=300)
    used.process = None
    assert p.returncode == 1 and "ready" not in out
    one_line(used, err, number_of(used, keyword), keyword, "read-only file system")
    assert hashes(used.dir / "store") == before


@contextlib.contextmanager
def running(a, **how):
    """Stopped in any case, so that the next test has its port."""
    a.start(**how)
    try:
        yield a.client()
        assert a.stop() == 0
    finally:
        a.stop()


@pytest.mark.root_only
def test_a_full_disk(used):
    """It serves what it can, takes nothing, and says why; with room again nothing is missing."""
    before, at = hashes(used.dir / "store"), len(used.log())
    with running(used, before=inside(used, FULL)) as client:
        for _ in range(3):
            run = used.ctl("admin", "create", "full@example.org", stdin=klero.PASSWORD + "\n", check=False)
            assert run.returncode == 1, run
        klero.until(lambda: client.get("/health").json["database"] == "unavailable")
        klero.until(lambda: "database or disk is full" in used.log()[at:])
    assert hashes(used.dir / "store") == before
    with running(used) as client:
        assert client.get("/health").json["database"] == "ok"


@pytest.mark.root_only
@pytest.mark.parametrize("script", ["mount -t tmpfs -o mode=0 tmpfs /dev/shm", "umount -l /dev/shm; mount -t tmpfs -o ro,mode=0755 tmpfs /dev/shm"])
def test_without_dev_shm(used, script):
    with running(used, before=inside(used, script)) as client:
        assert client.get("/health").json["status"] == "ok"


@pytest.mark.root_only
def test_without_landlock_it_is_named(used):
    at = len(used.log())
    with running(used, before=[used.bin.parent / "tools" / "no_landlock"]) as client:
        assert client.get("/health").json["status"] == "ok"
    warned = re.findall(r"(\w+)\.\d\[\d+\] warn .*Landlock \(ABI 0\)", used.log()[at:])
    assert {"engine", "hsm", "net"} <= set(warned), used.log()[at:]


# --- kleroctl setup on such machines ---

@pytest.mark.root_only
@pytest.mark.parametrize("script,words", [
    ('mount -t tmpfs -o size=16k,mode=0755 tmpfs "$1"', "No space left"),
    ('mount -t tmpfs -o ro tmpfs "$1"', "Read-only file system"),
])
def test_setup_leaves_nothing_half_written(used, tmp_path, script, words):
    tmp_path.chmod(0o711)
    place = tmp_path / "disk"
    place.mkdir(mode=0o711)
    conf = tmp_path / "klerod.conf"
    conf.write_text(used.conf.read_text().replace(str(used.dir), str(place)))
    run = subprocess.run(["unshare", "--mount", "sh", "-c",
                          script + '; "$2" -c "$3" setup; s=$?; find "$1" -mindepth 1; exit $s', "-", place,
                          used.bin / "kleroctl", conf], capture_output=True, text=True, timeout=120)
    assert run.returncode == 1 and words.lower() in run.stderr.lower() and not run.stdout.strip().split("token")[0], run
    assert str(place) not in run.stdout, run
