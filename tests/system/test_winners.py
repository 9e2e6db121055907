"""Draws of v2 raffles that are large: more winners than a record lists, and holders who win once
among many tickets of theirs. In real time, on a drand chain of our own."""

import hashlib
import json
import pathlib
import subprocess
import sys

import klero
import pytest
from test_life import DELAY, in_state, proof_of, sold

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "beacon"))
import beacon  # noqa: E402

HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "public, max-age=604800, immutable",
           "Access-Control-Allow-Origin": "*"}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    with beacon.Beacon(tmp_path_factory.mktemp("beacon"), relays=1) as b:
        yield b


@pytest.fixture(scope="module")
def site(lab, chain):
    return lab.make(*chain.lines(delay=DELAY)).start()


@pytest.fixture(scope="module")
def rich(site, boss):
    p = site.person()
    boss.confirm(p.deposit(10_000_000)["id"])
    return p


@pytest.fixture(scope="module")
def others(site, boss):
    made = [site.person() for _ in range(5)]
    for p in made:
        boss.confirm(p.deposit(1000)["id"])
    return made


def many(person, n):
    """Purchases of n tickets."""
    return [(person, min(100, n - at)) for at in range(0, n, 100)]


def verify(site, chain, proof, *more):
    known = ["--min-delay", DELAY, "--drand-chain", chain.chain]
    run = [site.bin / "klero-verify", *known, *more, "-k", site.vkey, proof]
    return subprocess.run([str(a) for a in run], capture_output=True, text=True, timeout=300)


def by_log(site):
    return "--log", f"https://127.0.0.1:{site.port}", "--ca", site.ca


def winners(boss, raffle):
    return klero.until(lambda: [a for a in [boss.get(f"/r/{raffle}/winners")] if a.status == 200])[0]


@pytest.mark.parametrize("n,k,reserves,lasts", [(802, 800, 1, 10), (10100, 10000, 50, 25)])
def test_file(site, chain, boss, rich, tmp_path, n, k, reserves, lasts):
    raffle = sold(boss, many(rich, n), lasts, capacity=n, winners=k, reserves=reserves, price={"amount": 1, "currency": "EUR"})
    assert boss.get(f"/r/{raffle}/winners").status == 404
    r = in_state(boss, raffle, "drawn")
    assert "winners" not in r and "reserves" not in r
    file = winners(boss, raffle)
    assert r["winners_file"] == {"path": f"/r/{raffle.replace('-', '')}/winners", "count": k + reserves,
                                 "sha256": hashlib.sha256(file.body).hexdigest()}
    assert {h: file.headers.get(h) for h in HEADERS} == HEADERS
    lines = file.body.decode().splitlines()
    assert [line.split()[:2] for line in lines] == ([["winner", str(i + 1)] for i in range(k)]
                                                    + [["reserve", str(i + 1)] for i in range(reserves)])
    proof = proof_of(boss, raffle, tmp_path)
    bundle = json.loads(proof.read_text())
    assert f"winners-file {r['winners_file']['sha256']} {k + reserves}\n" in bundle["draw"]
    assert [f"{w['index']} {w['ticket_id']}" for w in bundle["winners"]] == [line.split(" ", 2)[2] for line in lines]
    done = verify(site, chain, proof, *by_log(site))
    assert done.returncode == 0 and "AUDITED" in done.stdout and "reproduced" in done.stdout, done.stdout + done.stderr
    assert klero.want(boss.post(f"/api/v1/raffles/{raffle}/verify"), 200).json["verified"] is True
    # a forfeit is followed where nobody lists the picks
    r = klero.want(boss.step(raffle, "forfeit", {"rule": "not-claimed", "evidence": "x", "winner": k}), 200).json
    assert "standing" not in r
    bundle["winners"][0], bundle["winners"][1] = bundle["winners"][1], bundle["winners"][0]
    proof.write_text(json.dumps(bundle))
    assert verify(site, chain, proof).returncode == 1


def test_files_that_were_lost(site, boss, rich):
    """The store has the file: what it gives out is written again."""
    raffle = sold(boss, many(rich, 900), 10, capacity=900, winners=850, price={"amount": 1, "currency": "EUR"})
    in_state(boss, raffle, "drawn")
    first = winners(boss, raffle).body
    for kept in site.dir.rglob("*.winners"):
        kept.unlink()
    assert winners(boss, raffle).body == first


def test_as_many_as_are_listed(boss, rich):
    raffle = sold(boss, many(rich, 900), 10, capacity=900, winners=500, reserves=300, price={"amount": 1, "currency": "EUR"})
    r = in_state(boss, raffle, "drawn")
    assert len(r["winners"]) == 500 and len(r["reserves"]) == 300 and "winners_file" not in r
    assert boss.get(f"/r/{raffle}/winners").status == 404


def test_more_than_a_draw(boss):
    body = {"title": "A car", "price": {"amount": 1, "currency": "EUR"}, "capacity": 1_000_000}
    close = {"sales_close": "2027-01-01T00:00:00.000Z"}
    too_many = boss.post("/api/v1/admin/raffles", {**body, **close, "winners": 100_000, "reserves": 1})
    assert too_many.status == 400 and too_many.json["errors"][0]["pointer"] == "/winners", too_many
    v1 = boss.post("/api/v1/admin/raffles", {**body, "format": "v1", "winners": 1001})
    assert v1.status == 400 and v1.json["errors"][0]["pointer"] == "/winners", v1


def test_one_holder_of_many(site, chain, boss, rich, others, tmp_path):
    """One has 22,000 tickets, five have one each: all tickets are looked at for a seventh holder, some in
    a turn, and the ticket log shows that it was right."""
    raffle = sold(boss, many(rich, 11_000) + [(p, 1) for p in others] + many(rich, 11_000), 45, capacity=22_005, winners=6,
                  reserves=1, dedupe="holder", price={"amount": 1, "currency": "EUR"})
    r = in_state(boss, raffle, "drawn")
    assert len(r["winners"]) == 6 and r["reserves"] == []
    assert sum(11_000 <= w["index"] < 11_005 for w in r["winners"]) == 5
    proof = proof_of(boss, raffle, tmp_path)
    assert json.loads(proof.read_text())["passed"] is None
    alone = verify(site, chain, proof)
    assert alone.returncode == 1 and "--log" in alone.stdout and "reproduced" not in alone.stdout, alone
    done = verify(site, chain, proof, *by_log(site))
    assert done.returncode == 0 and "1 repeated" in done.stdout, done.stdout + done.stderr
    assert boss.post(f"/api/v1/raffles/{raffle}/verify").code == "draw-too-long"
