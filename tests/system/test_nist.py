"""NIST's beacon in v2 raffles, by a beacon of our own with an RSA-4096 key: the promised pulse or the first
one after its moment, and no other; then the bundle, klero-verify and the page's own eyes on it."""

import json
import subprocess
import time

import beacon
import klero
import pytest
import tlog
from conftest import BIN
from test_life import in_state, opened_in_time, proof_of, sold_in_time, stamp
from test_life_bad import kinds, metric

pytestmark = pytest.mark.slow

DELAY = 5
LIES = {
    "wrong-signature": "gave a value that its beacon has not signed",
    "wrong-certificate": "gave a pulse of a certificate that is not pinned",
    "wrong-output": "answers what is no value",
    "other-chain": "answers with another pulse",
    "early": "answers with another pulse",
    "skip": "gave a pulse that is not the first from its moment on",
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    with beacon.Beacon(tmp_path_factory.mktemp("beacon"), relays=1, nist=4) as b:
        yield b


@pytest.fixture(scope="module")
def site(lab, chain):
    return lab.make(*chain.lines(delay=DELAY), "death-budget 1000/60").start()


def promise(boss, buyer, chain, between, lasts=7):
    """A raffle with seven tickets sold whose moment is that of a pulse, or lies between two of them; and the
    moment. Where the machine was too slow, one that lasts longer."""
    close = int(time.time()) + lasts
    if ((close + DELAY) * 1000 - chain.nist_first) % chain.nist_period != (1000 if between else 0):
        close += 1
    raffle = opened_in_time(boss, sales_close=stamp(close), nist_chain=chain.nist_chain, winners=2, reserves=1)
    if raffle is None or not sold_in_time(raffle, [(buyer, 7)]):
        return promise(boss, buyer, chain, between, 2 * lasts)
    return raffle, (close + DELAY) * 1000


def drawn(boss, buyer, chain, between, folder):
    raffle, moment = promise(boss, buyer, chain, between)
    in_state(boss, raffle, "drawn")
    return raffle, moment, json.loads(proof_of(boss, raffle, folder).read_text())


def verify(site, chain, folder, bundle, certificate):
    path = folder / "bundle.json"
    path.write_text(json.dumps(bundle))
    return site.verify(path, "--min-delay", DELAY, "--drand-chain", chain.chain, "--nist-certificate", certificate)


def ms(pulse):
    text = pulse["pulse"]["timeStamp"]
    return int(time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone) * 1000 + int(text[20:23])


def complete(buyer, raffle, bundle, chain, folder, pulse, previous=None, certificate=None):
    """klero-verify --complete with the seed that the draw record shows."""
    seed = next(x.split()[1] for x in bundle["draw"].splitlines() if x.startswith("server-seed "))
    for name in ("open", "close"):
        (folder / name).write_text(bundle[name])
    (folder / "entries").write_bytes(klero.want(buyer.get(f"/r/{raffle}/{tlog.tile('entries', 0, 7)}"), 200).body)
    (folder / "round").write_text(json.dumps({k: bundle["beacons"][0][k] for k in ("round", "signature")}))
    (folder / "pulse").write_text(json.dumps(pulse))
    (folder / "previous").write_text(json.dumps(previous))
    more = ["--previous-pulse", folder / "previous"] if previous else []
    return subprocess.run([BIN / "klero-verify", "--complete", "--drand-chain", chain.chain, "--nist-certificate",
                           certificate or chain.nist_certificate, *more, folder / "open", folder / "close", seed,
                           folder / "entries", folder / "round", folder / "pulse"], capture_output=True, text=True)


def picks(text):
    return [x for x in text.splitlines() if x.startswith(("winner ", "reserve "))]


def test_the_pulse_of_the_moment(site, chain, boss, buyer, tmp_path):
    raffle, moment, bundle = drawn(boss, buyer, chain, False, tmp_path)
    nist = bundle["beacons"][1]
    assert nist["type"] == "nist2" and nist["previous_pulse"] is None and ms(nist["pulse"]) == moment
    assert len(nist["pulse"]["pulse"]["signatureValue"]) == 1024  # RSA-4096
    done = verify(site, chain, tmp_path, bundle, chain.nist_certificate)
    assert done.returncode == 0 and "beacon-verified" in done.stdout, done
    run = complete(buyer, raffle, bundle, chain, tmp_path, nist["pulse"])
    assert run.returncode == 0 and picks(run.stdout) == picks(bundle["draw"]), run


def test_the_first_pulse_after_the_moment(site, chain, boss, buyer, tmp_path):
    """Its predecessor, which is from before, shows that it is the first."""
    raffle, moment, bundle = drawn(boss, buyer, chain, True, tmp_path)
    nist = bundle["beacons"][1]
    pulse, previous = nist["pulse"], nist["previous_pulse"]
    assert ms(previous) < moment < ms(pulse) and ms(pulse) - ms(previous) == chain.nist_period
    done = verify(site, chain, tmp_path, bundle, chain.nist_certificate)
    assert done.returncode == 0 and "beacon-verified" in done.stdout, done
    run = complete(buyer, raffle, bundle, chain, tmp_path, pulse, previous)
    assert run.returncode == 0 and picks(run.stdout) == picks(bundle["draw"]), run
    other = chain.nist_certificate.replace("nist.pem", "other.pem")
    for given, words in (((pulse,), "not the first one"), ((pulse, pulse), "not the first one"),
                         ((previous, previous), "not the first one"),
                         ((pulse, changed(previous, "localRandomValue")), "not signed"),
                         ((changed(pulse, "localRandomValue"), previous), "not signed"),
                         ((pulse, previous, other), "not signed")):
        run = complete(buyer, raffle, bundle, chain, tmp_path, *given)
        assert run.returncode == 1 and words in run.stdout and not picks(run.stdout), (words, run)


def changed(pulse, member):
    value = pulse["pulse"][member]
    return {"pulse": {**pulse["pulse"], member: ("1" if value[0] == "0" else "0") + value[1:]}}


def test_a_bundle_that_was_changed(site, chain, boss, buyer, tmp_path):
    raffle, moment, bundle = drawn(boss, buyer, chain, True, tmp_path)
    nist = bundle["beacons"][1]

    def said(**fields):
        done = verify(site, chain, tmp_path, {**bundle, "beacons": [bundle["beacons"][0], {**nist, **fields}]}, chain.nist_certificate)
        assert done.returncode == 1, done
        return done.stdout + done.stderr

    with open(chain.nist_certificate.replace("nist.pem", "other.pem")) as f:
        other = f.read()
    assert "not signed by its certificate" in said(pulse=changed(nist["pulse"], "localRandomValue"))
    assert "previous pulse is not signed" in said(previous_pulse=changed(nist["previous_pulse"], "localRandomValue"))
    assert "not the first one" in said(previous_pulse=None)
    assert "not the draw record's" in said(pulse=nist["previous_pulse"])
    assert "not signed by its certificate" in said(certificate_pem=other)
    # whole, but of a certificate that this auditor does not trust
    done = verify(site, chain, tmp_path, bundle, chain.nist_certificate.replace("nist.pem", "other.pem"))
    assert done.returncode == 1 and "not a known one" in done.stdout + done.stderr, done


def forget(site):
    """Engine begins anew, and knows of no lie."""
    site.kill("engine")
    site.wait_ready()


@pytest.mark.parametrize("lies", [tuple(LIES)[:3], tuple(LIES)[3:]])
def test_false_pulses(site, chain, boss, buyer, tmp_path, lies):
    """Three hosts with a lie each, and one that has the pulse last of all."""
    chain.mode("nist", 0, "missing")
    for i, mode in enumerate(lies, 1):
        chain.mode("nist", i, mode)
    forget(site)
    at = len(site.log())
    raffle, moment = promise(boss, buyer, chain, True)
    for i, mode in enumerate(lies, 1):
        klero.until(lambda: f"security {chain.nist[i]} {LIES[mode]}: left alone" in site.log()[at:], 300)
    assert metric(boss, "klero_beacon_lies_total") == 3 and kinds(boss, raffle) == ["open", "close"]
    for i in range(4):
        chain.mode("nist", i, "honest")
    in_state(boss, raffle, "drawn")
    bundle = json.loads(proof_of(boss, raffle, tmp_path).read_text())
    assert verify(site, chain, tmp_path, bundle, chain.nist_certificate).returncode == 0


def test_a_pulse_that_nobody_shows_to_be_the_first(site, chain, boss, buyer):
    """It is not taken without its predecessor, however well it is signed."""
    forget(site)
    for i in range(4):
        chain.mode("nist", i, "alone")
    raffle, moment = promise(boss, buyer, chain, True)
    in_state(boss, raffle, "closed")
    chain.asked()
    heard = set()

    def all_asked():
        heard.update(path.split(" /")[0] for path in chain.asked() if "/chain/" in path)
        return heard == {f"nist {i}" for i in range(4)}

    klero.until(all_asked, 300)
    assert boss.step(raffle, "draw").code == "beacon-missing"
    for i in range(4):
        chain.mode("nist", i, "honest")
    in_state(boss, raffle, "drawn")
