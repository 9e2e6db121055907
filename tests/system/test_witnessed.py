"""Draws that witnesses must have seen (DRAW.md section 6): two appliances that witness each other, raffles
on a drand chain of our own. A witness that is away is waited for, one that comes too late ends the raffle."""

import json
import pathlib
import re
import sys
import time

import klero
import pytest
import witness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "beacon"))
import beacon  # noqa: E402
from test_life import draft, in_state, proof_of, sold  # noqa: E402

DELAY = 15  # and so two seconds between the witness and the beacon
LONG = 90  # of a raffle whose witness is away meanwhile
ALL = ["reproduced", "signed", "logged", "beacon-verified", "witnessed"]


def seller_lines(chain):
    """But for out-authorities, which know the witnesses, too."""
    return [line for line in chain.lines(delay=DELAY) if not line.startswith("out-authorities")]


class Site:
    """The first one sells, the others are its witnesses."""

    def __init__(self, chain, a, *others):
        for one in (a, *others):
            one.start()
        self.chain, self.a, self.b = chain, a, others[0]
        self.boss, self.buyer = self.a.admin("boss@example.org"), self.a.person()
        self.boss.confirm(self.buyer.deposit(10000)["id"])

    def sold(self, lasts=5, **fields):
        """A raffle that is open, with tickets in it."""
        return sold(self.boss, [(self.buyer, 5)], lasts, **fields)

    def raffle(self, raffle):
        return self.boss.raffle(raffle)

    def draws(self):
        return self.a.client().get("/health").json["draws"]

    def metric(self, name, labels=""):
        text = klero.want(self.boss.get("/metrics"), 200).body.decode()
        return int(re.search(rf"^{name}{re.escape(labels)} (\d+)$", text, re.M).group(1))

    def check(self, proof, *args):
        """klero-verify's document, and its exit status."""
        done = self.a.verify(proof, "--json", "--min-delay", DELAY, "--drand-chain", self.chain.chain, *args)
        return json.loads(done.stdout), done.returncode


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    with beacon.Beacon(tmp_path_factory.mktemp("beacon")) as b:
        yield b


@pytest.fixture(scope="module")
def site(lab, chain):
    pair = witness.Pair(lab, *seller_lines(chain), "death-budget 1000/60", authorities=pathlib.Path(chain.ca))
    return Site(chain, *pair.made)


def altered(proof, folder, change):
    bundle = json.loads(proof.read_text())
    change(bundle)
    path = folder / "altered.json"
    path.write_text(json.dumps(bundle))
    return path


def without_cosignatures(text):
    """A proof's or a checkpoint's text with its log's signature alone."""
    head, _, lines = text.rpartition("\n\n")
    return f"{head}\n\n{lines.splitlines()[0]}\n"


def test_a_witnessed_draw(site, tmp_path):
    raffle = site.sold()
    r = in_state(site.boss, raffle, "drawn")
    assert r["witnesses"] == "in-time"
    proof = proof_of(site.boss, raffle, tmp_path)
    said, status = site.check(proof)
    assert status == 0 and said["levels"] == ALL and (said["witnesses_seen"], said["witnesses"]) == (1, 1), said
    done = site.a.verify(proof, "--min-delay", DELAY, "--drand-chain", site.chain.chain)
    assert "witnessed 1 of 1" in done.stdout and f"note: {DELAY} s between" in done.stdout and "; and 2 s between" in done.stdout
    # the policy is the configured one, with the logs' keys in it, and without anybody's address
    policy = json.loads(proof.read_text())["policy"]
    peer = f"witness peer0 {witness.vkey(witness.host(site.b) + '/klero/witness', 4, witness.key_of(site.b))}\n"
    assert policy.count("log ") == 2 and policy.endswith(f"{peer}group peers 1 peer0\nquorum peers\n") and "https" not in policy
    # so it is for whoever trusts that witness himself; and for whoever trusts another, not
    said, status = site.check(proof, "--policy", witness.policy_of(site.a))
    assert status == 0 and said["levels"] == ALL
    said, status = site.check(proof, "--policy", witness.policy_of(site.b))
    assert status == 1 and "not enough witnesses" in said["why"], said
    witness.wait_cosigned(site.a, site.b, 5, f"/r/{raffle.replace('-', '')}")
    for name in ("open_proof", "close_proof", "draw_proof"):
        def strip(bundle, name=name):
            bundle[name] = without_cosignatures(bundle[name])

        said, status = site.check(altered(proof, tmp_path, strip))
        assert status == 1 and "witnessed" not in said["levels"] and "not enough witnesses" in said["why"], (name, said)


def test_an_amended_and_a_forfeited_one(site, tmp_path):
    """Records that follow are shown under cosigned checkpoints, too."""
    raffle = site.sold(lasts=600, winners=1, reserves=1)
    close = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(int(time.time()) + 700))
    klero.want(site.boss.step(raffle, "amend", {"sales_close": close}), 200)
    klero.want(site.boss.step(raffle, "abort", {"reason": "test-over", "statement": "x"}), 200)
    klero.until(lambda: "refunded_at" in site.raffle(raffle))  # before somebody counts his money
    said, status = site.check(proof_of(site.boss, raffle, tmp_path))
    assert status == 0 and said["aborted"] and said["amends"] == 1 and "witnessed" in said["levels"], said
    raffle = site.sold(winners=1, reserves=1)
    in_state(site.boss, raffle, "drawn")
    first = proof_of(site.boss, raffle, tmp_path)
    assert site.check(first)[1] == 0
    klero.want(site.boss.step(raffle, "forfeit", {"rule": "not-claimed", "evidence": "a letter", "winner": 1}), 200)
    said, status = klero.until(lambda: [c for c in [site.check(proof_of(site.boss, raffle, tmp_path))] if c[0]["forfeits"] == 1])[0]
    assert status == 0 and "witnessed" in said["levels"], said


def test_a_witness_that_is_away_is_waited_for(site, tmp_path):
    raffle = site.sold(beacon_delay=LONG)
    site.b.stop()
    in_state(site.boss, raffle, "closed")
    klero.until(lambda: site.raffle(raffle).get("witnesses") == "waiting")
    assert site.raffle(raffle)["drawable"] is True
    klero.until(lambda: site.draws() == "waiting" and site.a.client().get("/health").json["cosignatures"] == "waiting")
    assert site.metric("klero_draws_waiting") == 1 and site.metric("klero_draws_unwitnessed") == 0
    peer, since = '{witness="peer0"}', int(time.time())
    klero.until(lambda: site.metric("klero_cosigner_failures_total", peer) >= 1)
    assert site.metric("klero_cosigner_lag", peer) >= 1

    def job():
        jobs = klero.want(site.boss.get("/api/v1/admin/jobs?limit=100"), 200).json["items"]
        return [j["state"] for j in jobs if j["kind"] == "raffle" and j["subject"] == raffle][0]
    klero.until(lambda: job() == "waiting")  # between its turns, each of which it runs
    site.a.kill("engine")  # which goes on waiting
    site.a.wait_ready()
    klero.until(lambda: site.raffle(raffle).get("witnesses") == "waiting")
    site.b.start()
    klero.until(lambda: site.raffle(raffle).get("witnesses") == "in-time")
    r = klero.until(lambda: [x for x in [site.raffle(raffle)] if x["state"] == "drawn"], seconds=LONG + 120)[0]
    assert [x["kind"] for x in r["records"]] == ["open", "close", "draw"]
    said, status = site.check(proof_of(site.boss, raffle, tmp_path))
    assert status == 0 and said["levels"] == ALL, said
    assert site.draws() == "ok"
    klero.until(lambda: site.metric("klero_cosigner_lag", peer) == 0)
    assert site.metric("klero_cosigner_size", peer) >= 3 and site.metric("klero_cosigner_cosigned_total", peer) >= 1
    assert site.metric("klero_cosigner_last_timestamp_seconds", peer) >= since and site.metric("klero_draws_waiting") == 0


def test_a_witness_that_comes_too_late(site, tmp_path):
    """Nothing is drawn: the raffle is refused by name until it is aborted."""
    raffle = site.sold()
    before = site.buyer.available()
    site.b.stop()
    klero.until(lambda: site.raffle(raffle).get("witnesses") == "too-late")
    assert site.raffle(raffle)["drawable"] is False and site.draws() == "unwitnessed"
    assert site.metric("klero_draws_unwitnessed") == 1
    klero.until(lambda: "too few witnesses saw a close record in time: the raffle can only be aborted" in site.a.log())
    site.b.start()
    klero.until(lambda: site.a.client().get("/health").json["cosignatures"] == "ok")
    refused = klero.until(lambda: [a for a in [site.boss.step(raffle, "draw")] if a.code != "beacon-missing"])[0]
    assert (refused.status, refused.code) == (409, "witnessed-too-late")
    r = site.raffle(raffle)
    assert r["state"] == "closed" and [x["kind"] for x in r["records"]] == ["open", "close"]
    klero.want(site.boss.step(raffle, "abort", {"reason": "witnesses-too-late", "statement": "x"}), 200)
    klero.until(lambda: "refunded_at" in site.raffle(raffle))
    assert site.buyer.available() == before + 500
    said, status = site.check(proof_of(site.boss, raffle, tmp_path))
    assert status == 0 and said["reason"] == "witnesses-too-late" and "witnessed" in said["levels"], said
    assert site.raffle(raffle)["witnesses"] == "too-late" and site.draws() == "ok"


def test_two_witnesses_of_a_busy_log(lab, chain, tmp_path):
    """A quorum must stand on one checkpoint, also while there is a newer one each second."""
    a, *others = lab.make(*seller_lines(chain)), lab.make(), lab.make()
    witness.ask(a, others, pathlib.Path(chain.ca))
    site = Site(chain, a, *others)
    raffle = site.sold(lasts=8)
    more = 0
    while site.raffle(raffle)["state"] == "open" or more < 10:
        klero.until(lambda: site.boss.step(draft(site.boss, 600)["id"], "open").status == 200)
        more += 1
        time.sleep(0.3)
    in_state(site.boss, raffle, "drawn")
    said, status = site.check(proof_of(site.boss, raffle, tmp_path))
    assert status == 0 and said["levels"] == ALL and (said["witnesses_seen"], said["witnesses"]) == (2, 2), said
    for one in (a, *others):
        one.stop()
