"""The README's commands, word for word, against appliances with the README's limits."""

import os
import re
import subprocess

import klero
import officers
import pytest

README = klero.HERE.parents[1] / "README.md"


def script(name, port):
    """The commands under that name; only the place of the appliance differs from a reader's."""
    text = re.search(rf"<!-- {name}: run by.*?-->\n```sh\n(.*?)```", README.read_text(), re.S).group(1)
    return text.replace("127.0.0.1:8443", f"127.0.0.1:{port}")


def run(commands, folder):
    # a password for which a busy machine has no time is answered 503, and asked again
    (folder / ".curlrc").write_text("retry = 9\nretry-max-time = 120\n")
    env = {**os.environ, "PATH": f"{folder / 'shim'}:{os.environ['PATH']}", "CURL_HOME": str(folder)}
    done = subprocess.run(["sh", "-eu", "-c", commands], cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done
    return done.stdout


def place(a, folder):
    """The folders as a reader has them."""
    (folder / "build" / "out").mkdir(parents=True)
    (folder / "build" / "out" / "bin").symlink_to(a.bin)
    (folder / "build" / "run").symlink_to(a.dir)
    officers.shim(folder / "shim")


@pytest.mark.smoke
def test_first_draw(lab, tmp_path):
    a = lab.make(limits=True).start()
    place(a, tmp_path)
    said = run(script("first draw", a.port), tmp_path)
    a.stop()
    assert "VERIFIED" in said.splitlines()[-1], said


def test_pools(lab, tmp_path):
    a = lab.make("payout-limit evm:11155111 10000000000000000 50000000000000000/86400", limits=True).start()
    place(a, tmp_path)
    said = run(script("first draw", a.port) + script("pools", a.port), tmp_path).splitlines()
    a.stop()
    assert any(line.startswith("0x02f8") for line in said) and '"chain":"solana"' in said[-1], said


def test_another_machine(lab, tmp_path):
    """The commands on the old machine, then those on a new one that has none of its files."""
    a = lab.make(limits=True)
    old, new = tmp_path, lab.dir / "new"  # the roles' own users pass through lab's
    new.mkdir()
    new.chmod(0o711)
    place(a, old)
    run(script("officers", a.port), old)
    a.start()
    person = a.person()
    (old / "safe").mkdir()
    klero.until(lambda: '"known":true' in a.ctl("key", "list").stdout)
    said = run(script("backup", a.port), old)
    assert "the backup is good" in said
    a.stop()
    store = a.dir / "store"
    b = klero.Appliance(a.bin, new / "build" / "run", port=a.port)
    (new / "build" / "out").mkdir(parents=True)
    (new / "build").chmod(0o711)
    (new / "build" / "out" / "bin").symlink_to(a.bin)
    for name in ("klero-backup", "alice"):
        (old / name).rename(new / name)
    (old / "safe").rename(new / "safe")
    # the reader changes what is different here: the folder
    commands = script("restore", a.port).replace(
        "unpack configuration klero-backup >", f"unpack configuration klero-backup | sed 's#{a.dir}#{b.dir}#' >")
    said = run(commands, new)
    assert said.splitlines()[-1].startswith("ok   restored"), said
    lab.made.append(b)
    b.start()
    klero.Person(b.port, b.ca, person.email).login()
    b.stop()
    assert store.exists()


def test_officers_rotate(lab, tmp_path):
    a = lab.make(limits=True)
    place(a, tmp_path)
    run(script("officers", a.port), tmp_path)
    a.start()
    said = run(script("rotation", a.port), tmp_path)
    assert len(re.findall(r"^means make a new version of the key 'log'.*$", said, re.M)) == 2, said
    assert '"state":"done"' in said
    klero.until(lambda: '"purpose":"log","version":2,"state":"active"' in a.ctl("key", "list").stdout)
    a.stop()
