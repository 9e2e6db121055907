"""Public randomness: the appliance asks relays of a chain of our own, takes what its key has signed, and
leaves those alone that lie; its clock is held against the newest round."""

import os
import pathlib
import re
import subprocess
import sys

import klero
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "beacon"))
import beacon  # noqa: E402
from conftest import BIN  # noqa: E402

pytestmark = pytest.mark.slow

LIES = {
    "wrong-signature": "a value that its beacon has not signed",
    "wrong-number": "a value that its beacon has not signed",
    "torsion": "a value that its beacon has not signed",
    "infinity": "a value that its beacon has not signed",
    "negated": "a value that its beacon has not signed",
    "other-chain": "a value that its beacon has not signed",
    "short": "answers what is no value",
    "garbage": "answers what is no value",
    "empty": "answers what is no value",
    "huge": "answers without end",
    "foreign": "has a certificate that is not believed",
}
FAILURES = ("close", "redirect", "error", "missing", "heads")


@pytest.fixture(scope="module")
def relays(lab):
    made = beacon.Beacon(lab.dir / "relays", relays=2, nist=1)
    yield made
    made.stop()


@pytest.fixture
def asking(lab, relays):
    """An appliance that asks them; both honest at the end."""
    a = lab.make(*relays.lines(), "death-budget 100/1")
    yield a
    a.stop()
    for i in range(2):
        relays.mode("relay", i, "honest")
    relays.tell(offset=0, truncate=False)


def health(a):
    return klero.want(a.client().get("/health"), 200).json


def metric(a, name):
    a.operator = getattr(a, "operator", None) or a.admin()
    text = klero.want(a.operator.get("/metrics"), 200).body.decode()
    return int(re.search(rf"^{name} (\d+)$", text, re.M)[1])


def test_the_clock_agrees(asking):
    asking.start()
    klero.until(lambda: health(asking)["clock"] == "ok")
    assert health(asking)["beacons"] == "ok"
    assert metric(asking, "klero_beacon_values_total") >= 1
    assert metric(asking, "klero_beacon_lies_total") == 0


@pytest.mark.parametrize("mode", LIES)
def test_a_liar_is_dropped(asking, relays, mode):
    """The first relay lies, and the second one has the value."""
    relays.mode("relay", 0, mode)
    asking.start()
    klero.until(lambda: health(asking)["clock"] == "ok")
    line = f"security {relays.relays[0]} .*{LIES[mode]}.*: left alone for 600 s"
    klero.until(lambda: re.search(line, asking.log()))
    relays.asked()
    asking.kill("beacon")  # whatever it has seen, it is made again
    klero.until(lambda: asking.roles().get("beacon"))
    assert metric(asking, "klero_beacon_lies_total") == 1
    assert not any(path.startswith("relay 0 ") for path in relays.asked())


@pytest.mark.parametrize("mode", FAILURES)
def test_one_that_fails_is_asked_later(asking, relays, mode):
    relays.mode("relay", 0, mode)
    asking.start()
    klero.until(lambda: health(asking)["clock"] == "ok")
    assert " security " not in asking.log()
    assert metric(asking, "klero_beacon_lies_total") == 0


def test_a_stale_relay_does_not_stop_the_clock(asking, relays):
    relays.mode("relay", 0, "stale")
    asking.start()
    klero.until(lambda: health(asking)["clock"] == "ok")
    klero.until(lambda: re.search(rf"warn {relays.relays[0]} has no newer round than", asking.log()))


@pytest.mark.parametrize("offset", (-300, 300))
def test_a_wrong_clock_is_off(asking, relays, offset):
    """All relays live at another time: then it is ours that is wrong."""
    relays.tell(offset=offset)
    asking.start()
    klero.until(lambda: health(asking)["clock"] == "off")
    assert metric(asking, "klero_beacon_lies_total") == 0


def test_a_clock_before_a_stored_round_is_off_without_a_relay(asking, relays):
    relays.tell(offset=300)
    asking.start()
    klero.until(lambda: health(asking)["clock"] == "off")
    asking.stop()
    for i in range(2):
        relays.mode("relay", i, "close")
    asking.start()
    assert health(asking)["clock"] == "off"


def test_without_an_answer_the_clock_is_unknown(asking, relays):
    for i in range(2):
        relays.mode("relay", i, "missing")
    asking.start()
    klero.until(lambda: len(relays.asked()) > 0)
    assert health(asking)["clock"] == "unknown"


def test_names_by_dns(lab, relays):
    a = lab.make(*relays.lines(names=True)).start()
    klero.until(lambda: health(a)["clock"] == "ok")
    relays.tell(truncate=True)  # a fresh out asks again, and by TCP
    a.kill("out")
    a.kill("engine")
    a.wait_ready()
    klero.until(lambda: health(a)["clock"] == "ok")
    relays.tell(truncate=False)
    a.stop()


def test_its_roles_come_back(asking):
    asking.start()
    for role in ("out", "beacon"):
        before = asking.roles()[role]
        asking.kill(role)
        klero.until(lambda: asking.roles().get(role) not in (None, [], before))
    asking.kill("engine")
    asking.wait_ready()
    klero.until(lambda: health(asking)["clock"] == "ok")


def test_without_beacons_nobody_goes_out(appliance):
    assert not {"out", "beacon"} & set(appliance.roles())
    assert health(appliance)["clock"] == "unchecked"
    assert "beacons" not in health(appliance)


@pytest.mark.parametrize("lines, words", [
    (["drand-chain quicknet"], "drand-chain: needs a drand-relay"),
    (["drand-relay http://relay.test"], "drand-relay wants https"),
    (["drand-relay https://relay.test/"], "drand-relay wants https"),
    (["drand-relay https://u@relay.test"], "drand-relay wants https"),
    (["drand-relay https://relay.test:0"], "drand-relay wants https"),
    (["drand-relay https://relay.test/?q"], "drand-relay wants https"),
    (["drand-relay https://relay.test", "drand-chain /etc/passwd"], "/etc/passwd: no information of a drand chain"),
    (["drand-relay https://relay.test", "drand-chain /nowhere"], "/nowhere: No such file"),
    (["drand-relay https://relay.test", "drand-chain quicknet", "drand-chain quicknet"], "drand-chain: one of them stands twice"),
    (["nist-beacon https://nist.test"], "nist-beacon: needs a nist-certificate"),
    (["nist-beacon https://nist.test", "nist-certificate /etc/hostname"], "/etc/hostname: no certificate in PEM"),
    (["out-resolver ::1"], "out-resolver wants"),
    (["beacon-delay 0"], "beacon-delay wants"),
    (["drand-relay https://relay.test", "out-authorities /nowhere"], "/nowhere: No such file"),
])
def test_mistakes(appliance, tmp_path, lines, words):
    conf = tmp_path / "klerod.conf"
    conf.write_text(appliance.conf.read_text() + "".join(line + "\n" for line in lines))
    run = subprocess.run([appliance.bin / "klerod", "-t", "-c", conf], capture_output=True, text=True)
    assert run.returncode == 1 and words in run.stderr, run.stderr


def test_a_short_delay_is_said(asking):
    run = subprocess.run([asking.bin / "klerod", "-t", "-c", asking.conf], capture_output=True, text=True, check=True)
    assert "beacon-delay is 1 s: who verifies a draw demands 600 s" in run.stdout


@pytest.mark.parametrize("seed", range(int(os.environ.get("KLERO_ORACLE_SEEDS", "1"))))
def test_verdicts_are_those_of_noble_curves(seed):
    """A round, a signature or a key with something changed: 210 of them for each seed."""
    beacon.install()
    asked = subprocess.run(["node", beacon.FOLDER / "oracle.mjs", "210", str(seed)], capture_output=True, text=True, check=True)
    tool = BIN.parent / "tools" / "drand_verdict"
    said = subprocess.run([tool], input=asked.stdout, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout[-2000:]
    counted = re.search(r"(\d+) rounds, (\d+) of them good, 0 verdicts differ", said.stdout)
    assert int(counted[1]) == 210 and int(counted[2]) >= 10
