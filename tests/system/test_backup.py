"""Backup and restore: taken while tickets are sold, restored on a machine that has the token and
nothing else, and every file, token and place that is not right refused with the reason."""

import hashlib
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import threading

import pytest

import klero
from conftest import BIN
from officers import Officer

SECRET = "Zebra of Ithaca"  # a title that must not stand in a backup
HEAD = b"kleroterion backup v1\n"


def take(a, path, *more, check=True):
    return a.ctl("backup", *more, str(path), check=check)


def restore(a, path, *more, **kw):
    return a.ctl("restore", *more, str(path), check=False, **kw)


def machine(lab, a, token=True, softhsm=False):
    """Another machine: the configuration and PINs of a, a copy of its token folder, and no store."""
    b = klero.Appliance(BIN, lab.dir / secrets.token_hex(4))
    lab.made.append(b)
    b.dir.mkdir()
    text = a.conf.read_text().replace(str(a.dir), str(b.dir)).replace(f":{a.port}", f":{b.port}")
    b.conf.write_text(text)
    for name in ("keys.pin", "tls.pin"):
        shutil.copy2(a.dir / name, b.dir / name)
    if token:
        shutil.copytree(a.dir / "tokens", b.dir / "tokens")
    if softhsm:  # a restore writes it, a mere check does not
        (b.dir / "softhsm2.conf").write_text((a.dir / "softhsm2.conf").read_text().replace(str(a.dir), str(b.dir)))
    return b


class Sales(threading.Thread):
    """Buys one ticket after the other; done are those that were answered with success."""

    def __init__(self, person, raffle):
        super().__init__()
        self.person, self.raffle, self.done, self.ending = person, raffle, [], False

    def run(self):
        while not self.ending:
            a = self.person.buy(self.raffle)
            assert a.status == 201, a
            self.done.append(a.json)

    def end(self):
        self.ending = True
        self.join()


class Made:
    """An appliance that has drawn one raffle and sells another, and a backup of it."""

    def __init__(self, lab):
        a = self.a = lab.make().start()
        self.admin = a.admin()
        self.people = [a.person() for _ in range(3)]
        for p in self.people:
            self.admin.confirm(p.deposit(1_000_000)["id"])
        self.drawn = self.admin.create(title=SECRET, capacity=50)["id"]
        self.open = self.admin.create(title=SECRET, capacity=100_000)["id"]
        for raffle in (self.drawn, self.open):
            klero.want(self.admin.step(raffle, "open"), 200)
        klero.want(self.people[0].buy(self.drawn, 7), 201)
        klero.want(self.admin.step(self.drawn, "close"), 200)
        klero.want(self.admin.step(self.drawn, "entropy", {"entropy": "00c0ffee"}), 200)
        klero.want(self.admin.step(self.drawn, "draw"), 200)
        self.proof = klero.want(a.client().get(f"/api/v1/raffles/{self.drawn}/proof"), 200).body
        self.refresh = self.people[0].refresh_token
        self.file = a.dir / "backup"
        sales = [Sales(p, self.open) for p in self.people]
        for s in sales:
            s.start()
        klero.until(lambda: all(len(s.done) > 5 for s in sales))
        self.before = [len(s.done) for s in sales]  # answered before the backup began
        self.said = take(a, self.file)
        self.after = [len(s.done) + 1 for s in sales]  # at most begun when it had ended
        for s in sales:
            s.end()
        self.sold = [len(s.done) for s in sales]


@pytest.fixture(scope="module")
def made(lab):
    m = Made(lab)
    yield m
    m.a.stop()


@pytest.fixture(scope="module")
def bare(lab, made):
    """The other machine, for restores that are refused: nothing of them may remain there."""
    return machine(lab, made.a)


def sections(data):
    """[(name, where its bytes begin, how many)] of a backup; the manifest's name is None."""
    found, at = [], len(HEAD)
    assert data.startswith(HEAD)
    while data[at:] != b"end\n":
        words = data[at:data.index(b"\n", at)].split(b" ")
        at = data.index(b"\n", at) + 1
        found.append((words[1].decode() if words[0] == b"section" else None, at, int(words[-1])))
        at += int(words[-1])
    return found


def write(tmp_path, data):
    path = tmp_path / secrets.token_hex(4)
    path.write_bytes(data)
    return path


def untouched(b):
    return not (b.dir / "store").exists() or os.listdir(b.dir / "store") == []


def refused(b, path, words, status=None, *more):
    run = restore(b, path, *more)
    assert run.returncode != 0 and words in run.stderr, run
    assert status is None or run.returncode == status, run
    assert untouched(b), os.listdir(b.dir / "store")
    return run


def test_under_load_and_elsewhere(lab, made, tmp_path):
    b = machine(lab, made.a)
    run = restore(b, made.file)
    assert run.returncode == 0, run
    for what in ("file", "program", "token", "signature", "store", "log", "balances", "raffles", "proof", "sessions"):
        assert f"\nok   {what} " in "\n" + run.stdout, run.stdout
    assert "1 stood open and 0 closed" in run.stdout
    assert f"raffle {made.drawn}: verified, 7 tickets" in run.stdout
    # the log was folded in and checked; nothing of the way there is left
    assert sorted(os.listdir(b.dir / "store")) == ["klero.check", "klero.db", "klero.keys", "klero.vkey", "proofs"]
    assert b.ca.read_bytes() == made.a.ca.read_bytes()
    checked = b.store_tool("check")
    assert checked.returncode == 0, checked
    b.start()
    assert b.status()["ledger"] in ("ok", "being checked")
    for i, person in enumerate(made.people):
        c = klero.Person(b.port, b.ca, person.email).login()
        bought = (1_000_000 - c.available() - (700 if i == 0 else 0)) // 100
        assert made.before[i] <= bought <= made.after[i] <= made.sold[i] + 1
    total = b.client().get(f"/api/v1/raffles/{made.open}").json["sold"]
    assert sum(made.before) <= total <= sum(made.after)
    # an old proof is the very same, the open raffle goes on to its own
    again = klero.want(b.client().get(f"/api/v1/raffles/{made.drawn}/proof"), 200).body
    assert again == made.proof
    admin = klero.Person(b.port, b.ca, made.admin.email).login()
    klero.want(c.buy(made.open), 201)
    klero.want(admin.step(made.open, "close"), 200)
    klero.want(admin.step(made.open, "entropy", {"entropy": "aa55"}), 200)
    klero.want(admin.step(made.open, "draw"), 200)
    proof = tmp_path / "proof.json"
    proof.write_bytes(klero.want(b.client().get(f"/api/v1/raffles/{made.open}/proof"), 200).body)
    assert b.verify(proof, "--vkey-file", b.vkey).returncode == 0
    # sessions of before are over, and the log says why
    old = b.client().post("/api/v1/auth/refresh", {"refresh_token": made.refresh})
    assert old.status == 401, old
    lines = klero.want(admin.get("/api/v1/admin/audit?limit=100"), 200).json["items"]
    assert [x["action"] for x in lines if x["action"] in ("restored", "backup")] == ["restored"]
    b.stop()


def test_what_the_file_is(made):
    assert made.file.stat().st_mode & 0o777 == 0o600
    data = made.file.read_bytes()
    for clear in [SECRET, made.people[0].email, made.people[0].id(), "SQLite format 3", "CREATE TABLE"]:
        assert clear.encode() not in data
    for pin in ("keys.pin", "tls.pin"):
        assert (made.a.dir / pin).read_bytes().strip() not in data
    names = [name for name, _, _ in sections(data)]
    assert names == ["store", "log", "check", "keys", "vkey", "journal", "anchor", "configuration", "certificate", None]
    conf = made.a.ctl("unpack", "configuration", str(made.file)).stdout
    assert conf == made.a.conf.read_text()
    lines = klero.want(made.admin.get("/api/v1/admin/audit?limit=100"), 200).json["items"]
    assert "backup" in [x["action"] for x in lines]


@pytest.mark.slow
def test_json_and_pipe(made, tmp_path):
    said = json.loads(take(made.a, tmp_path / "one", "--json").stdout)
    assert said["bytes"] == (tmp_path / "one").stat().st_size and not said["with_token"]
    with open(tmp_path / "two", "wb") as f:
        subprocess.run([BIN / "kleroctl", "-c", made.a.conf, "backup", "-"], stdout=f, stderr=subprocess.PIPE, check=True)
    # looked at beside the running appliance, from a pipe
    with open(tmp_path / "two", "rb") as f:
        run = subprocess.run([BIN / "kleroctl", "-c", made.a.conf, "restore", "--check", "--json", "-"], stdin=f,
                             capture_output=True, text=True)
    said = json.loads(run.stdout)
    assert run.returncode == 0 and said["ok"] and all(f["ok"] for f in said["findings"]), run
    assert {f["what"] for f in said["findings"]} >= {"file", "signature", "log", "balances", "proof"}
    assert not (made.a.dir / "store" / "restoring").exists()


@pytest.mark.slow
def test_flipped_bits(bare, made, tmp_path):
    data = made.file.read_bytes()
    for name, at, n in sections(data):
        if n == 0:
            continue
        where = at + secrets.randbelow(n) if name else at + data[at:at + n].index(b"audit ") + 6
        bad = bytearray(data)
        bad[where] ^= 1
        run = restore(bare, write(tmp_path, bytes(bad)))
        assert run.returncode != 0 and untouched(bare), (name, where, run)
        if name:
            assert run.returncode == 4 and f"section {name} is not what its manifest says" in run.stderr, (where, run)


@pytest.mark.slow
def test_cut(bare, made, tmp_path):
    data = made.file.read_bytes()
    ends = [at + n for _, at, n in sections(data)]
    for n in [0, 1, len(HEAD) - 1, len(HEAD), ends[0] - 1, *ends[:3], ends[-2], ends[-1], len(data) - 1, secrets.randbelow(len(data))]:
        refused(bare, write(tmp_path, data[:n]), "was cut", 4)
    refused(bare, write(tmp_path, data + b"\n"), "damaged", 4)
    refused(bare, write(tmp_path, b"SQLite format 3\0" + data), "it is none", 4)


@pytest.mark.slow
def test_altered(bare, made, tmp_path):
    """Someone who knows the format and makes hashes fit has not the log key."""
    data = made.file.read_bytes()
    at = data.index(b"made 1") + 5
    refused(bare, write(tmp_path, data[:at] + b"2" + data[at + 1:]), "signature: forged", 4)
    vkey = next(i for i in sections(data) if i[0] == "vkey")
    new = bytearray(data)
    old = hashlib.sha256(data[vkey[1]:vkey[1] + vkey[2]]).hexdigest().encode()
    new[vkey[1]] ^= 1
    fresh = hashlib.sha256(bytes(new[vkey[1]:vkey[1] + vkey[2]])).hexdigest().encode()
    refused(bare, write(tmp_path, bytes(new).replace(old, fresh)), "signature: forged", 4)


@pytest.mark.slow
def test_newer_program(bare, made, tmp_path):
    data = made.file.read_bytes()
    refused(bare, write(tmp_path, data.replace(HEAD, b"kleroterion backup v2\n", 1)), "newer program", 1)
    at = data.index(b"schema ", data.rindex(b"manifest ")) + 7
    end = data.index(b"\n", at)
    newer = b"9" * (end - at)
    refused(bare, write(tmp_path, data[:at] + newer + data[end:]),
            f"made by a newer program, 0.1.0, whose store is of version {newer.decode()}", 1)


@pytest.mark.slow
def test_wrong_hsm(lab, made):
    other = lab.make()
    for name in ("store", "tls.pem"):
        path = other.dir / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused(other, made.file, "the wrong HSM", 1)


@pytest.mark.slow
def test_no_token(lab, made):
    b = machine(lab, made.a, token=False)
    run = restore(b, made.file)
    assert run.returncode != 0 and untouched(b), run


@pytest.mark.slow
def test_occupied_and_running(lab, made):
    b = machine(lab, made.a)
    assert restore(b, made.file).returncode == 0
    before = sorted(os.listdir(b.dir / "store"))
    run = restore(b, made.file)
    assert run.returncode == 1 and "--replace" in run.stderr and sorted(os.listdir(b.dir / "store")) == before
    (b.dir / "store" / "mark").write_text("x")
    run = restore(b, made.file, "--replace")
    assert run.returncode == 0 and "what was there is in" in run.stdout, run
    aside = next(p for p in (b.dir / "store").iterdir() if p.name.startswith("replaced-"))
    assert sorted(os.listdir(aside)) == before
    b.start()
    run = restore(b, made.file, "--replace")
    assert run.returncode == 1 and "it runs" in run.stderr
    b.stop()


def test_place_for_the_file(made, tmp_path):
    there = tmp_path / "there"
    there.write_text("mine")
    run = take(made.a, there, check=False)
    assert run.returncode == 1 and "is there already" in run.stderr and there.read_text() == "mine"
    run = take(made.a, tmp_path / "no" / "folder", check=False)
    assert run.returncode == 1 and "No such file" in run.stderr
    with open("/dev/full", "wb") as full:
        run = subprocess.run([BIN / "kleroctl", "-c", made.a.conf, "backup", "-"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 1 and "No space left" in run.stderr
    assert os.listdir(tmp_path) == ["there"]
    run = made.a.ctl("backup", "--nonsense", "x", check=False)
    assert run.returncode == 2


@pytest.mark.root_only
def test_full_disks(lab, made, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=True)
    try:
        run = take(made.a, small / "backup", check=False)
        assert run.returncode == 1 and "No space left" in run.stderr and os.listdir(small) == []
        b = machine(lab, made.a)
        b.conf.write_text(b.conf.read_text().replace(f"store {b.dir}/store", f"store {small}/store"))
        tmp_path.chmod(0o711)
        run = restore(b, made.file)
        assert run.returncode != 0 and "No space left" in run.stderr and os.listdir(small) == [], run
    finally:
        subprocess.run(["umount", small], check=True)


def slow_backup(a):
    """A backup into a pipe that nobody reads: it stands in the middle of the store."""
    p = subprocess.Popen([BIN / "kleroctl", "-c", a.conf, "backup", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.stdout.read(len(HEAD)) == HEAD
    return p


@pytest.mark.slow
def test_while_one_is_made(made, tmp_path):
    """Sales go on, another backup waits for its turn, and who dies in the middle leaves nothing."""
    a = made.a
    p = slow_backup(a)
    for _ in range(20):
        klero.want(made.people[0].buy(made.open), 201)
    run = take(a, tmp_path / "second", check=False)
    assert run.returncode == 1 and "another backup is being made" in run.stderr
    p.kill()
    p.communicate()
    klero.until(lambda: take(a, tmp_path / "third", check=False).returncode == 0)
    # a file, not a pipe: its name comes last
    assert os.listdir(tmp_path) == ["third"]
    p = slow_backup(a)
    klero.want(made.people[0].buy(made.open), 201)
    a.kill("engine")
    _, err = p.communicate()
    assert p.returncode == 3 and b"klerod does not answer" in err, err
    a.wait_ready()
    run = take(a, tmp_path / "fourth")
    assert restore(a, tmp_path / "fourth", "--check").returncode == 0


@pytest.mark.slow
def test_drawn_since(lab, tmp_path):
    """A draw that was made after the backup is public; hsm remembers it, whatever store is put back."""
    a = lab.make().start()
    admin, person = a.admin(), a.person()
    admin.confirm(person.deposit(10_000)["id"])
    raffle = admin.create()["id"]
    klero.want(admin.step(raffle, "open"), 200)
    klero.want(person.buy(raffle, 9), 201)
    klero.want(admin.step(raffle, "close"), 200)
    take(a, tmp_path / "backup")
    klero.want(admin.step(raffle, "entropy", {"entropy": "00c0ffee"}), 200)
    klero.want(admin.step(raffle, "draw"), 200)
    # other entropy would give other winners, the same at another time another record
    for entropy in ("1234", "00c0ffee"):
        a.stop()
        assert restore(a, tmp_path / "backup", "--replace").returncode == 0
        a.start()
        klero.want(admin.login().step(raffle, "entropy", {"entropy": entropy}), 200)
        again = admin.step(raffle, "draw")
        assert again.status == 409 and again.code == "raffle-drawn", again
    a.stop()


@pytest.mark.slow
def test_killed_restore(lab, made):
    """Whenever it is killed, the next one finds its way."""
    b = machine(lab, made.a)
    for _ in range(6):
        p = subprocess.Popen([BIN / "kleroctl", "-c", b.conf, "restore", made.file], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(secrets.randbelow(9)):
            p.stdout.readline()
        p.kill()
        p.communicate()
    run = restore(b, made.file, "--replace")
    assert run.returncode == 0, run
    b.start()
    b.wait_ready()
    b.stop()


# --- keys that have turned over ---

@pytest.fixture
def guarded(lab, tmp_path):
    """An appliance with one officer, alice."""
    a = lab.make()
    alice = Officer(tmp_path, "alice")
    (tmp_path / "officers").write_text(alice.line)
    a.ctl("officer", "enrol", "1", str(tmp_path / "officers"))
    a.start()
    klero.until(lambda: json.loads(a.ctl("key", "list").stdout)["known"])
    yield a, alice
    a.stop()


def decide(a, alice, *words):
    number = a.ctl(*words).stdout.strip()
    a.ctl("proposal", "approve", number, stdin=alice.sign(a.ctl("proposal", "show", number).stdout))

    def state():
        return next(p for p in json.loads(a.ctl("proposal", "list").stdout) if p["id"] == number)
    klero.until(lambda: state()["state"] in ("done", "failed"))
    assert state()["state"] == "done", state()


@pytest.mark.slow
def test_keys_turned_over(lab, guarded, tmp_path):
    a, alice = guarded
    old_token = machine(lab, a)
    admin = a.admin()
    raffle = admin.create()["id"]
    klero.want(admin.step(raffle, "open"), 200)
    take(a, tmp_path / "early")
    decide(a, alice, "key", "rotate", "log")
    decide(a, alice, "key", "rotate", "master")
    klero.until(lambda: b"v000002" in (a.dir / "store" / "klero.keys").read_bytes())
    take(a, tmp_path / "late")
    # the token's present state opens both
    now = machine(lab, a, softhsm=True)
    run = restore(now, tmp_path / "early", "--check")
    assert run.returncode == 0 and "officers have acted since" in run.stdout, run
    assert restore(now, tmp_path / "late", "--check").returncode == 0
    # the token of before is older than the later one
    refused(old_token, tmp_path / "late", "the token is older than the backup", 1)
    decide(a, alice, "key", "destroy", "log", "1")
    now = machine(lab, a, softhsm=True)
    refused(now, tmp_path / "early", "log key version 1 is not in the token any more", 1)
    run = restore(now, tmp_path / "early", "--check", "--unsigned")
    assert run.returncode == 0 and "not checked, as you asked" in run.stdout, run
    decide(a, alice, "key", "destroy", "master", "1")
    refused(machine(lab, a), tmp_path / "early", "key master version 1, under which values of this backup stand, was destroyed since", 1)


@pytest.mark.slow
def test_older_store_shows(lab, guarded, tmp_path):
    """The token knows the audit log as of the officers' last action."""
    a, alice = guarded
    assert a.status()["history"] == "ok"
    take(a, tmp_path / "early")
    decide(a, alice, "key", "rotate", "log")
    assert restore(a, tmp_path / "early", "--check").returncode == 0
    take(a, tmp_path / "late")
    b = machine(lab, a)
    run = restore(b, tmp_path / "early")
    assert run.returncode == 0 and "ok   history     older than the officers' last action" in run.stdout, run
    b.start()
    klero.until(lambda: b.status()["history"] == "older-than-token")
    assert b.client().get("/health").json["history"] == "older-than-token"
    klero.until(lambda: "security the store is older than the token" in b.log())  # its line comes by way of parent
    # the next action of theirs takes the present store for the true one
    decide(b, alice, "key", "rotate", "log")
    klero.until(lambda: b.status()["history"] == "ok")
    b.stop()
    c = machine(lab, a)
    run = restore(c, tmp_path / "late")
    assert run.returncode == 0 and "history" not in run.stdout, run
    c.start()
    klero.until(lambda: c.status()["history"] == "ok")
    c.stop()


@pytest.mark.slow
def test_with_token(lab, guarded, tmp_path):
    a, alice = guarded
    if not pathlib.Path("/usr/bin/age").exists():
        run = take(a, tmp_path / "backup", "--with-token", check=False)
        assert run.returncode == 1 and "age" in run.stderr and os.listdir(tmp_path).count("backup") == 0
        return
    run = take(a, tmp_path / "backup", "--with-token")
    assert f"the token opens for alice ({alice.print})" in run.stderr
    b = machine(lab, a, token=False)
    sealed = subprocess.run([BIN / "kleroctl", "unpack", "token", tmp_path / "backup"], capture_output=True, check=True).stdout
    assert sealed.startswith(b"age-encryption.org/v1\n")
    tar = subprocess.run(["age", "-d", "-i", alice.key], input=sealed, capture_output=True, check=True).stdout
    (b.dir / "tokens").mkdir(mode=0o700)
    subprocess.run(["tar", "-x", "-C", b.dir / "tokens"], input=tar, check=True)
    run = restore(b, tmp_path / "backup")
    assert run.returncode == 0, run
    b.start()
    b.wait_ready()
    b.stop()


@pytest.mark.slow
def test_with_token_but_nobody_to_open_it(made, tmp_path):
    run = take(made.a, tmp_path / "backup", "--with-token", check=False)
    assert run.returncode == 1 and "no officers" in run.stderr and os.listdir(tmp_path) == []
