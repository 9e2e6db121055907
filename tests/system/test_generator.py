"""What systemd is told of klerod.conf by klerod-generator, in drop-ins that systemd itself reads."""

import configparser
import pathlib
import shutil
import subprocess

import pytest

UNITS = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "systemd"
USUAL = """host a.example.org
listen 127.0.0.1:8443
store /var/lib/kleroterion
run-dir /run/kleroterion
tls-certificate /etc/kleroterion/tls/certificate.pem
pkcs11-module /usr/lib/softhsm/libsofthsm2.so
pkcs11-folder /var/lib/kleroterion-tokens
keys-pin-file /etc/kleroterion/keys.pin
"""


def generate(tmp_path, text):
    """{unit: {(section, key): [value, …]}}"""
    conf, out = tmp_path / "klerod.conf", tmp_path / "out"
    conf.write_text(text)
    out.mkdir()
    run = subprocess.run([UNITS / "klerod-generator", out], env={"KLEROD_CONF": str(conf), "PATH": "/usr/bin:/bin"},
                         capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and not run.stderr and not run.stdout, run
    told = {}
    for path in sorted(out.rglob("*.conf")):
        unit, section = told.setdefault(path.parent.name.removesuffix(".d"), {}), None
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = line[1:-1]
                continue
            key, value = line.split("=", 1)
            unit.setdefault((section, key), []).append(value)
    return told


def binds(told):
    service = told["klerod.service"]
    return service.get(("Service", "BindPaths"), []), service.get(("Service", "BindReadOnlyPaths"), [])


def test_the_usual_places_need_nothing(tmp_path):
    told = generate(tmp_path, USUAL)
    assert binds(told) == (["-/etc/kleroterion/tls"], [])
    assert told["klerod.socket"] == {("Unit", "SourcePath"): [str(tmp_path / "klerod.conf")],
                                     ("Socket", "ListenStream"): ["127.0.0.1:8443"]}
    assert ("Service", "PrivateNetwork") not in told["klerod.service"]
    assert ("Service", "ReadWritePaths") not in told["klerod-backup.service"]


def test_other_places_are_bound(tmp_path):
    told = generate(tmp_path, USUAL.replace("/var/lib/kleroterion-tokens", "/data/tokens").replace("/var/lib/kleroterion", "/data/klero")
                    .replace("/usr/lib/softhsm/", "/vendor/lib/").replace("/etc/kleroterion/keys.pin", "/pins/keys.pin")
                    + "log-file /logs/klero/log\nbackup-folder /backups/here  # each night\n"
                    "nist-certificate /certs/a/1.pem\nnist-certificate /certs/b/2.pem\n")
    write, read = binds(told)
    assert write == ["-/data/klero", "-/data/klero-hsm", "-/data/tokens", "-/logs/klero", "-/etc/kleroterion/tls"]
    assert read == ["-/vendor/lib", "-/pins", "-/certs/a", "-/certs/b"]
    assert told["klerod.service"]["Service", "ExecPaths"] == ["-+/vendor/lib"]
    for unit in ("klerod.service", "klerod.socket", "klerod-backup.service"):
        assert told[unit]["Unit", "ConditionPathExists"] == ["", "/data/klero/klero.keys"]
    assert told["klerod-backup.service"]["Service", "ReadWritePaths"] == ["-/backups/here"]
    assert told["klerod-acme.service"]["Service", "ReadWritePaths"] == ["-/etc/kleroterion/tls", "-/data/tokens", "-/data/klero-hsm"]
    assert "/data/klero" in told["klerod.service"]["Unit", "RequiresMountsFor"]


@pytest.mark.parametrize("line,asks", [
    ("drand-relay https://relay.example.org", True), ("nist-beacon https://beacon.example.org", True),
    ("witness-policy /etc/kleroterion/policy", True), ("witness-log x", False), ("# drand-relay https://relay.example.org", False),
])
def test_the_network_where_somebody_is_asked(tmp_path, line, asks):
    told = generate(tmp_path, USUAL + line + "\n")
    assert (told["klerod.service"].get(("Service", "PrivateNetwork")) == ["no"]) == asks


@pytest.mark.parametrize("value", ["/data/%h", "/data/$HOME", "/data/../etc", "/data/a;b", "relative", "/data/\\x", "/data:/etc", "-/data"])
def test_what_systemd_would_read_otherwise_is_passed_over(tmp_path, value):
    told = generate(tmp_path, USUAL + f"backup-folder {value}\nlog-file {value}/log\nlisten {value}\n")
    assert binds(told)[0] == ["-/etc/kleroterion/tls"] and "klerod.socket" not in told
    assert ("Service", "ReadWritePaths") not in told["klerod-backup.service"]


def test_without_a_configuration_nothing_is_said(tmp_path):
    run = subprocess.run([UNITS / "klerod-generator", tmp_path / "out"], env={"KLEROD_CONF": "/nonexistent", "PATH": "/usr/bin:/bin"}, timeout=300)
    assert run.returncode == 0 and not (tmp_path / "out").exists()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_the_exposure_is_what_the_documents_say():
    run = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / "klerod.service"],
                         capture_output=True, text=True, timeout=300)
    level = float(run.stdout.split("klerod.service: ")[1].split()[0])
    assert level <= 1.5, run.stdout
    for page in ("README.md", "SECURITY.md"):
        assert f" {level} " in (UNITS.parents[1] / page).read_text().replace(",", " ").replace("\n", " ").replace(":", " "), page


def test_units_are_well_formed():
    for path in UNITS.glob("klerod*.*"):
        if path.suffix not in (".service", ".socket", ".timer"):
            continue
        unit = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
        unit.optionxform = str
        unit.read(path)
        assert unit["Unit"]["Description"].startswith("Kleroterion raffle appliance") and unit["Unit"]["Documentation"], path
