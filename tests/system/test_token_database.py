"""A module whose token is a database of SQLite's (pkcs11-store database, NSS softoken): what a death or
another program leaves in it. What was half written is undone by whoever may write before anybody reads it,
and a lock is waited for. Only with KLERO_MODULE=nss; see tests/modules/run.sh."""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import klero
import pytest
from conftest import BIN
from officers import decide, keys
from test_rotation import guarded, officers  # noqa: F401, fixtures

pytestmark = pytest.mark.skipif(os.environ.get("KLERO_MODULE") != "nss", reason="only over a module that keeps a database")

# Begins a change of pages that are there, has it written in part, and dies.
HALF = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size=1")
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE nssPrivate SET a3 = randomblob(3000)")
db.execute("UPDATE metaData SET item1 = randomblob(2000)")
os._exit(0)
"""


def database(appliance, token):
    return next(pathlib.Path(appliance.dir).resolve().rglob(f"{token}/key4.db"))


def journal_of(path):
    """What SQLite keeps beside a database until a change of it is whole, as its owner would."""
    journal, owner = path.with_name(path.name + "-journal"), path.stat()
    journal.touch()
    os.chown(journal, owner.st_uid, owner.st_gid)
    return journal


def begun(path, length):
    """What a writer leaves that dies before it has changed anything: a journal whose header is not yet there."""
    journal_of(path).write_bytes(bytes(length))


def half_written(path):
    """As a power cut leaves it while keyadm writes: changed, and beside it what undoes that."""
    before = path.read_bytes()
    subprocess.run([sys.executable, "-c", HALF, path], check=True)
    journal = journal_of(path)
    assert path.read_bytes() != before and journal.stat().st_size > 0
    return journal


@pytest.mark.parametrize("token", ["keys", "tls"])
def test_it_was_left_half_written(lab, token):
    a = lab.make().start()
    ca = a.ca.read_bytes()
    a.stop()
    journal = half_written(database(a, token))
    a.start()
    a.wait_ready()
    assert not journal.exists() and a.ca.read_bytes() == ca
    person = a.person()  # both tokens serve: its password is under a key of one, its connection under the other's
    klero.want(person.get("/api/v1/wallet"), 200)
    log = (a.dir / "klerod.log").read_text()
    assert "the token is complete" in log
    a.stop()


def test_nobody_reads_while_it_is_mended(lab, tmp_path):
    """tlskey finds its token half written, and hsm is slower: it waits with its own until keyadm is through."""
    a = lab.make().start()
    a.stop()
    shutil.copytree(BIN, tmp_path / "bin", copy_function=os.symlink)
    tmp_path.chmod(0o711)
    slow = tmp_path / "bin" / "klerod-hsm"
    slow.unlink()
    slow.write_text(f'#!/bin/sh\n[ "$1" = tlskey ] || sleep 1\nexec {BIN}/klerod-hsm "$@"\n')
    slow.chmod(0o755)
    a.libexec = tmp_path / "bin"
    half_written(database(a, "tls"))
    a.start()
    klero.want(a.person().get("/api/v1/wallet"), 200)
    assert a.log().count("starts again when the token is whole") == 1
    a.stop()


def test_a_writer_died_while_others_serve(lab):
    """Twice: each fresh hsm finds it so, and each time keyadm helps."""
    a = lab.make("death-budget 1000/60").start()
    for n in (1, 2):
        journal = half_written(database(a, "keys"))
        a.kill("hsm")
        # said by keyadm's last word: then nobody but us writes
        klero.until(lambda: a.log().count("the token is complete") == n)
        assert not journal.exists()
        a.wait_ready()
    a.stop()


@pytest.fixture
def crowded(guarded):  # noqa: F811
    """Others who read, and who write, are at the token's database for a moment, again and again."""
    end = threading.Event()

    def work(words):
        with contextlib.closing(sqlite3.connect(database(guarded, "keys"), isolation_level=None)) as db:
            while not end.is_set():
                with contextlib.suppress(sqlite3.OperationalError):  # locked by keyadm
                    for word in words:
                        db.execute(word).fetchall()
                        time.sleep(0.03)
                with contextlib.suppress(sqlite3.OperationalError):  # nothing was begun
                    db.execute("ROLLBACK")
                time.sleep(0.03)
    threads = [threading.Thread(target=work, args=(words,)) for words in (
        ["BEGIN", "SELECT count(*) FROM nssPrivate"], ["BEGIN IMMEDIATE", "UPDATE metaData SET item2 = item2"])]
    for t in threads:
        t.start()
    yield
    end.set()
    for t in threads:
        t.join()


def test_others_are_waited_for(guarded, officers, crowded):  # noqa: F811
    """keyadm is not killed for how SQLite waits, and how it finds out whom it waits for."""
    for length in (0, 512):
        begun(database(guarded, "keys"), length)
        before = max(v for p, v in keys(guarded) if p == "seed")
        decide(guarded, officers[:2], "rotate", "seed")
        klero.until(lambda: max(v for p, v in keys(guarded) if p == "seed") == before + 1)
    assert not guarded.sandbox_deaths()
