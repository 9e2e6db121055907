"""kleroctl setup, asked: the dialogue at a terminal and its answers from a file."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest
from cryptography import x509
from officers import Officer
from test_setup import bare, names  # noqa: F401  the fixture


class Terminal:
    """A program at a pty, and the words that it shows."""

    def __init__(self, *argv):
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], [str(a) for a in argv])

    def _more(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            got = os.read(self.fd, 4096)
        except OSError:  # the other end is closed
            got = b""
        self.shown += got.decode(errors="replace").replace("\r", "")
        return bool(got)

    def expect(self, words):
        end = time.monotonic() + 300
        while words not in self.shown:
            assert self._more(1) or time.monotonic() < end and self._alive(), self.shown
            assert time.monotonic() < end, self.shown
        self.shown = self.shown.split(words, 1)[1]

    def _alive(self):
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def answer(self, question, words=""):
        self.expect(question)
        self.expect(": ")
        os.write(self.fd, words.encode() + b"\n")

    def end(self):
        while self._more(120):
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def dialogue(a, *more):
    return Terminal(a.bin / "kleroctl", "-c", a.conf, "setup", *more)


def line(a, keyword):
    found = re.search(rf"^{keyword} (.*)$", a.conf.read_text(), re.M)
    return found and found[1]


def test_a_dialogue_makes_an_appliance(bare, tmp_path):  # noqa: F811
    officers = tmp_path / "officers"
    officers.write_text("".join(Officer(tmp_path, n).line for n in ("alice", "bob", "carol")))
    backups = bare.dir / "backups"
    t = dialogue(bare)
    t.answer("name of this appliance", "two words")
    t.expect("host wants a host name")  # and is asked again
    t.answer("name of this appliance", "raffle.example.org")
    t.answer("names and addresses", "raffle.example.org localhost 127.0.0.1")
    t.answer("address and port", "everywhere")
    t.expect("listen wants")
    t.answer("address and port", f"127.0.0.1:{bare.port}")
    t.answer("currencies of wallets", "EUR CHF")
    t.answer("HSM", "3")
    t.answer("HSM", "1")
    t.answer("certificate", "4")
    t.answer("certificate", "1")
    t.answer("file with the security officers", "/nonexistent")
    t.answer("how many of them", "2")
    t.expect("No such file")
    t.answer("file with the security officers", str(officers))
    t.answer("how many of them", "2")
    t.answer("folder for backups", str(backups))
    t.answer("how many of them remain", "none")
    t.expect("backup-keep wants a number")
    t.answer("how many of them remain", "3")
    assert names(bare.dir) == ["klerod.conf"]
    t.answer("make the appliance", "yes")
    t.expect("klerod-backup.timer")
    t.expect("the appliance is ready")
    assert t.end() == 0
    assert backups.stat().st_mode & 0o777 == 0o700 and line(bare, "backup-keep") == "3"
    assert (line(bare, "host"), line(bare, "currencies")) == ("raffle.example.org", "EUR CHF")
    bare.start()
    assert bare.client().get("/health").json["status"] == "ok"
    bare.ctl("backup")
    assert [n for n in names(backups) if n.startswith("klero-raffle.example.org-")] == names(backups)
    assert len(names(backups)) == 1
    assert bare.stop() == 0


@pytest.mark.parametrize("last", ["no", "", None])
def test_nothing_is_made_without_a_yes(bare, last):  # noqa: F811
    before = bare.conf.read_bytes()
    t = dialogue(bare)
    for question in ("name of this appliance", "names and addresses", "address and port", "currencies", "HSM", "certificate",
                     "file with the security officers", "folder for backups"):
        t.answer(question, "other.example.org" if question == "name of this appliance" else "")
    if last is None:
        t.expect("make the appliance")
        os.write(t.fd, b"\x04")
    else:
        t.answer("make the appliance", last)
    t.expect("nothing was changed")
    assert t.end() == 1
    assert names(bare.dir) == ["klerod.conf"] and bare.conf.read_bytes() == before


def test_tokens_that_are_there_are_adopted(bare, lab):  # noqa: F811
    """Another appliance's SoftHSM with two fresh tokens plays the hardware: its PINs are typed."""
    token = bare.dir / "hardware"
    token.mkdir(mode=0o711)
    conf = bare.dir / "hardware.conf"
    conf.write_text(f"directories.tokendir = {token}\nobjectstore.backend = file\n")
    for label, pin in (("vendor-keys", "typed-pin-1"), ("vendor-tls", "typed-pin-2")):
        run = subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "so-pin-1"],
                                   env={**os.environ, "SOFTHSM2_CONF": str(conf)}, capture_output=True, text=True)
        assert run.returncode == 0, run
    if os.getuid() == 0:
        subprocess.run(["chmod", "-R", "a+rwX", token], check=True)
    module = line(bare, "pkcs11-module")
    with bare.conf.open("a") as f:
        f.write(f"pkcs11-env SOFTHSM2_CONF={conf}\n")
    t = dialogue(bare)
    for question in ("name of this appliance", "names and addresses", "address and port", "currencies"):
        t.answer(question)
    t.answer("HSM", "2")
    t.answer("PKCS#11 module", module)
    t.answer("folder of its files", str(token))
    t.answer("label of the token for the keys", "vendor-keys")
    t.answer("label of the token for the TLS key", "vendor-tls")
    t.answer("PIN of the token for the keys", "typed-pin-1")
    t.answer("PIN of the token for the TLS key", "typed-pin-2")
    t.answer("certificate")
    t.answer("file with the security officers")
    t.answer("folder for backups")
    assert "typed-pin" not in t.shown  # no echo
    t.answer("make the appliance", "yes")
    t.expect("token vendor-keys: found")
    t.expect("the appliance is ready")
    assert t.end() == 0
    assert line(bare, "softhsm-conf") is None and line(bare, "pkcs11-folder") == str(token)
    pin = bare.dir / "keys.pin"
    assert pin.read_text() == "typed-pin-1" and pin.stat().st_mode & 0o777 == 0o400


def test_a_failure_takes_the_answers_back(bare):  # noqa: F811
    before = bare.conf.read_bytes()
    (bare.dir / "answers").write_text("host other.example.org\nhsm module\npkcs11-module /etc/hostname\n")
    run = bare.ctl("setup", "--answers", str(bare.dir / "answers"), check=False)
    assert run.returncode == 1 and "pkcs11-module" in run.stderr
    assert bare.conf.read_bytes() == before and names(bare.dir) == ["answers", "klerod.conf"]


def test_answers_from_a_file(bare):  # noqa: F811
    text = "# an appliance\nhost file.example.org\n  currencies EUR  USD \n\nhsm softhsm\n"
    run = bare.ctl("setup", "--answers", "-", "--json", stdin=text)
    assert '"ok":true' in run.stdout
    assert (line(bare, "host"), line(bare, "currencies")) == ("file.example.org", "EUR  USD")
    before = bare.conf.read_bytes()
    again = bare.ctl("setup", "--answers", "-", stdin="host again.example.org\n", check=False)
    assert again.returncode == 1 and "nothing was changed" in again.stderr and bare.conf.read_bytes() == before
    bare.start()
    assert bare.stop() == 0


@pytest.mark.parametrize("text,words", [
    ("colour red\n", "-:1: setup asks for no such thing"),
    ("host a.example.org\nlisten nowhere\n", "-:2:"),
    ("hsm abacus\n", "-:1:"),
    ("certificate stamped\n", "-:1:"),
    ("certificate acme\nacme-mail nobody\n", "-:2:"),
    ("certificate acme\nacme-mail --config=/x@y\n", "-:2:"),
    ("certificate acme\nacme-mail a@b --config /x\n", "-:2:"),
    ("certificate acme\nacme-server http://ca.example.org\n", "-:2:"),
    ("certificate acme\nacme-server https://ca.example.org/$(id)\n", "-:2:"),
    ("acme-mail a@example.org\n", "are for certificate acme"),
    ("backup-keep 0\n", "-:1:"),
    ("officers /nonexistent\n", "stand together"),
    ("officers /nonexistent\nthreshold 2\n", "No such file"),
    pytest.param("host " + "a" * 600 + "\n", "-:1:", id="long"),
])
def test_wrong_answers(bare, text, words):  # noqa: F811
    before = bare.conf.read_bytes()
    run = bare.ctl("setup", "--answers", "-", stdin=text, check=False)
    assert run.returncode == 2 and words in run.stderr, run
    assert names(bare.dir) == ["klerod.conf"] and bare.conf.read_bytes() == before


def test_a_terminal_may_ask_for_no_dialogue(bare):  # noqa: F811
    t = dialogue(bare, "--yes")
    t.expect("the appliance is ready")
    assert t.end() == 0
    shutil.rmtree(bare.dir / "store")


# --- who signs the certificate, where backups go ---

def test_a_request_for_an_authority(bare):  # noqa: F811
    told = json.loads(bare.ctl("setup", "--answers", "-", "--json", stdin="certificate request\n").stdout)
    path = bare.dir / "tls.pem.request"
    assert str(path) in told["made"] and [str(path) in step for step in told["next"]] == [True]
    request = x509.load_pem_x509_csr(path.read_bytes())
    assert request.is_signature_valid
    certificate = x509.load_pem_x509_certificate(bare.ca.read_bytes())
    assert request.public_key().public_numbers() == certificate.public_key().public_numbers()


def test_acme_is_prepared(bare):  # noqa: F811
    t = dialogue(bare)
    for question in ("name of this appliance", "names and addresses", "address and port", "currencies", "HSM"):
        t.answer(question)
    t.answer("certificate", "3")
    t.answer("e-mail address", "not an address")
    t.answer("e-mail address", "ops@example.org")
    t.answer("ACME directory", "https://ca.example.org/dir")
    t.answer("file with the security officers")
    t.answer("folder for backups")
    t.answer("make the appliance", "yes")
    t.expect("klerod-acme.timer")
    t.expect("the appliance is ready")
    assert t.end() == 0
    assert (bare.dir / "acme.conf").read_text().splitlines()[1:] == [
        "CERTBOT_ARGUMENTS=--standalone --agree-tos -m ops@example.org --server https://ca.example.org/dir"]


@pytest.mark.parametrize("there", [False, True])
def test_a_failure_takes_acme_conf_back(bare, there):  # noqa: F811
    acme = bare.dir / "acme.conf"
    if there:
        acme.write_text("the operator's own\n")
    before = names(bare.dir)
    bad = "certificate acme\nbackup-folder " + str(bare.dir / "backups") + "\nhsm module\npkcs11-module /etc/hostname\n"
    assert bare.ctl("setup", "--answers", "-", stdin=bad, check=False).returncode == 1
    assert names(bare.dir) == before
    # and the same again, with what was wrong put right
    bare.ctl("setup", "--answers", "-", stdin="certificate acme\nbackup-folder " + str(bare.dir / "backups") + "\n")
    assert ("operator's own" in acme.read_text()) == there and names(bare.dir / "backups") == []


def test_the_newest_backups_remain(bare):  # noqa: F811
    folder = bare.dir / "backups"
    bare.ctl("setup", "--answers", "-", stdin=f"backup-folder {folder}\nbackup-keep 3\n")
    host = line(bare, "host")
    old = [f"klero-{host}-2020010{n}T000000Z" for n in range(1, 6)]
    others = [f"klero-{host}-20200101T000000Z.txt", f"klero-{host}.other-20200101T000000Z", "klero-x-20200101T000000Z",
              f"klero-{host}-2020-1-1T000000Z", "note"]
    for name in old + others:
        (folder / name).write_text("x")
    (folder / f"klero-{host}-20190101T000000Z").mkdir()
    (folder / f"klero-{host}-20190102T000000Z").symlink_to(folder / "note")
    kept = {*others, f"klero-{host}-20190101T000000Z", f"klero-{host}-20190102T000000Z"}
    run = bare.ctl("backup", "--prune", check=False)
    assert run.returncode == 3 and set(names(folder)) == kept | set(old)  # none was made, so none goes
    bare.start()
    told = json.loads(bare.ctl("backup", "--prune", "--json").stdout)
    fresh = told["file"].rsplit("/", 1)[1]
    assert told["pruned"] == 3 and set(names(folder)) == kept | {*old[3:], fresh}
    assert bare.ctl("backup", "--prune", str(bare.dir / "b"), check=False).returncode == 2
    assert bare.stop() == 0
