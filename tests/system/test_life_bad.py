"""The life of v2 raffles when relays lie, are slow or gone, when the clock is wrong and when hsm is away:
a draw waits, is made of the promised value or not at all, and money goes back once."""

import json
import subprocess
import time

import beacon
import escrow
import klero
import pytest
import tlog
from conftest import BIN
from test_life import in_state, opened, proof_of, sold, stamp

pytestmark = pytest.mark.slow

DELAY = 5
RELAYS = 8

# What a relay gives instead of the promised round, and what is said of it.
LIES = {
    "later-round": "answers with another round",
    "other-round": "answers with another round",
    "wrong-number": "gave a value that its beacon has not signed",
    "other-chain": "gave a value that its beacon has not signed",
    "infinity": "gave a value that its beacon has not signed",
    "torsion": "gave a value that its beacon has not signed",
    "flipped": "gave a value that its beacon has not signed",
}
# Those that would keep one waiting, or fill one's memory.
SLOW = ("slow", "silent", "hang", "huge", "heads", "endless", "close")


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    with beacon.Beacon(tmp_path_factory.mktemp("beacon"), relays=RELAYS) as b:
        yield b


@pytest.fixture(scope="module")
def site(lab, chain):
    a = lab.make(*chain.lines(delay=DELAY), "death-budget 1000/60")
    return a.start()


@pytest.fixture(autouse=True)
def fresh(site, chain):
    """Relays that are honest, and an engine that has seen no other."""
    all_are(chain, "honest")
    site.kill("engine")
    site.wait_ready()
    klero.until(lambda: health(site)["clock"] == "ok")
    yield
    all_are(chain, "honest")


def all_are(chain, mode, **more):
    for i in range(RELAYS):
        chain.mode("relay", i, mode, **more)


def health(a):
    c = a.client()
    try:
        return klero.want(c.get("/health"), 200).json
    finally:
        c.close()


def metric(boss, name):
    text = klero.want(boss.get("/metrics"), 200).body.decode()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))


def restart(site, chain, mode):
    """klerod ends, and starts in another world."""
    site.stop()
    all_are(chain, mode)
    site.start()


def kinds(boss, raffle):
    return [r["kind"] for r in boss.raffle(raffle)["records"]]


def verified(site, chain, boss, raffle, folder):
    done = site.verify(proof_of(boss, raffle, folder), "--min-delay", DELAY, "--drand-chain", chain.chain)
    assert done.returncode == 0 and "beacon-verified" in done.stdout, done.stdout + done.stderr


def entries_of(person, raffle):
    """What happened to the money of one raffle, the first first."""
    items = klero.want(person.get("/api/v1/wallet/entries"), 200).json["items"]
    return [e["kind"] for e in reversed(items) if e["reference_id"] == raffle]


def test_a_clock_that_is_off(site, chain, boss, buyer, tmp_path):
    """By all relays ours is five minutes ahead: nothing is closed, nothing is drawn, and it goes on
    when they agree again. One raffle meets that between its close and its draw, one at its end of sales."""
    closing = sold(boss, [(buyer, 5)], 30, beacon_delay=75)
    ends = boss.raffle(closing)["sales_close"]
    drawing = sold(boss, [(buyer, 5)], 3, beacon_delay=20)
    in_state(boss, drawing, "closed")
    klero.until(lambda: boss.step(drawing, "draw").code == "beacon-missing")
    restart(site, chain, "behind")
    klero.until(lambda: health(site)["clock"] == "off")
    # the round is there, and would be taken
    refused = klero.until(lambda: [a for a in [boss.step(drawing, "draw")] if a.code != "beacon-missing"])[0]
    assert refused.code == "clock-off" and refused.status == 503 and refused.headers["Retry-After"]
    klero.until(lambda: stamp(time.time() - 2) > ends)
    assert buyer.buy(closing).code == "raffle-not-open"
    assert boss.step(closing, "close").code == "clock-off"
    assert kinds(boss, drawing) == ["open", "close"] and kinds(boss, closing) == ["open"]
    assert health(site)["clock"] == "off" and metric(boss, "klero_beacon_lies_total") == 0
    all_are(chain, "honest")
    klero.until(lambda: health(site)["clock"] == "ok")
    in_state(boss, drawing, "drawn")
    in_state(boss, closing, "closed")
    in_state(boss, closing, "drawn")
    for raffle in (drawing, closing):
        assert kinds(boss, raffle) == ["open", "close", "draw"] and entries_of(buyer, raffle) == ["buy"]
        verified(site, chain, boss, raffle, tmp_path)


def test_lies_about_the_round_of_a_draw(site, chain, boss, buyer, tmp_path):
    """Seven relays, each with a lie of its own, and one that has the round last of all."""
    at = len(site.log())
    chain.mode("relay", 0, "missing", only="rounds")
    for i, mode in enumerate(LIES, 1):
        chain.mode("relay", i, mode, only="rounds")
    raffle = sold(boss, [(buyer, 5)])
    for i, (mode, words) in enumerate(LIES.items(), 1):
        klero.until(lambda: f"security {chain.relays[i]} {words}: left alone" in site.log()[at:], 300)
    assert metric(boss, "klero_beacon_lies_total") == len(LIES)
    assert kinds(boss, raffle) == ["open", "close"]
    chain.mode("relay", 0, "honest")
    in_state(boss, raffle, "drawn")
    verified(site, chain, boss, raffle, tmp_path)


def test_relays_that_take_their_time(site, chain, boss, buyer, tmp_path):
    """Each is given up for the next one; nobody else waits for them, and out is still the same."""
    chain.mode("relay", 0, "missing", only="rounds")
    for i, mode in enumerate(SLOW, 1):
        chain.mode("relay", i, mode, only="rounds")
    out = site.roles()["out"]
    raffle, other = sold(boss, [(buyer, 5)]), opened(boss, lasts=3600)
    chain.asked()
    heard = set()

    def all_asked():
        heard.update(path.split(" /")[0] for path in chain.asked() if not path.endswith("/latest"))
        klero.want(buyer.buy(other), 201)
        time.sleep(1)  # there is an end to tickets and money
        return heard == {f"relay {i}" for i in range(RELAYS)}

    klero.until(all_asked, 300)
    klero.until(lambda: f"security {chain.relays[1 + SLOW.index('huge')]} answers without end" in site.log())
    chain.mode("relay", 0, "honest")
    in_state(boss, raffle, "drawn")
    assert site.roles()["out"] == out
    verified(site, chain, boss, raffle, tmp_path)
    klero.want(boss.step(other, "abort", {"reason": "test-over", "statement": "x"}), 200)
    klero.until(lambda: "refunded_at" in boss.raffle(other))  # before somebody counts his money


def test_a_late_beacon(site, chain, boss, buyer, tmp_path):
    """No relay has the round at its time: the raffle waits, /health says so, and then it is drawn."""
    raffle = sold(boss, [(buyer, 5)], 5)
    all_are(chain, "late")
    in_state(boss, raffle, "closed")
    klero.until(lambda: boss.step(raffle, "draw").code == "beacon-missing")
    assert health(site)["draws"] == "ok"
    klero.until(lambda: health(site)["draws"] == "late")
    assert metric(boss, "klero_draws_late") == 1 and kinds(boss, raffle) == ["open", "close"]
    all_are(chain, "honest")
    in_state(boss, raffle, "drawn")
    assert health(site)["draws"] == "ok"
    verified(site, chain, boss, raffle, tmp_path)


def test_no_value_until_the_deadline(site, chain, boss, buyer, tmp_path):
    """All relays lie or are down: at its deadline the raffle is void, and stays so when they come back."""
    other = site.person()
    boss.confirm(other.deposit(1000)["id"])
    before = buyer.available(), other.available()
    close = int(time.time()) + 12
    raffle = opened(boss, lasts=12, draw_deadline=stamp(close + DELAY + 15))
    assert boss.raffle(raffle)["on_default"] == "void"
    klero.want(buyer.buy(raffle, 5), 201)
    klero.want(other.buy(raffle, 2), 201)
    for i, mode in enumerate(("torsion", "close", "wrong-number", "silent", "garbage", "error", "missing", "late")):
        chain.mode("relay", i, mode)
    in_state(boss, raffle, "closed")
    r = in_state(boss, raffle, "aborted")
    assert r["abort_reason"] == "not-drawn-in-time" and kinds(boss, raffle) == ["open", "close", "abort"]
    klero.until(lambda: "refunded_at" in boss.raffle(raffle))
    assert health(site)["draws"] == "ok"
    all_are(chain, "honest")
    site.kill("engine")
    site.wait_ready()
    assert (buyer.available(), other.available()) == before
    for p in (buyer, other):
        assert entries_of(p, raffle) == ["buy", "refund"]
    assert boss.step(raffle, "draw").code == "raffle-aborted"
    assert kinds(boss, raffle) == ["open", "close", "abort"]
    done = site.verify(proof_of(boss, raffle, tmp_path), "--min-delay", DELAY, "--drand-chain", chain.chain)
    assert "aborted" in done.stdout + done.stderr, done
    lines = klero.want(boss.get("/api/v1/admin/audit?limit=100"), 200).json["items"]
    mine = [e for e in lines if e.get("subject") == raffle and e["action"] == "raffle-abort"]
    assert len(mine) == 1 and "actor" not in mine[0]


def test_nothing_sold(site, boss):
    """There is nothing to draw and nobody to pay back: it ends by itself when it closes."""
    raffle = opened(boss, lasts=3)
    r = in_state(boss, raffle, "aborted")
    assert r["abort_reason"] == "nothing-sold" and kinds(boss, raffle) == ["open", "close", "abort"]
    klero.until(lambda: "refunded_at" in boss.raffle(raffle))
    assert boss.step(raffle, "abort", {"reason": "again", "statement": "x"}).code == "raffle-aborted"
    assert boss.step(raffle, "draw").code == "raffle-aborted"


def test_hsm_is_away_at_the_end_of_sales(site, chain, boss, buyer, tmp_path):
    """It hears of the close when it is back, in time for a draw: nobody waits longer than it was away."""
    raffle = sold(boss, [(buyer, 5)], beacon_delay=40)
    tokens = site.dir / "tokens"
    away = tokens.with_name("tokens-away")
    tokens.rename(away)
    site.kill("hsm")
    in_state(boss, raffle, "closed")
    # tries of twice the time each would come next when it is too late; hsm's own starts are tried so, and one
    # of them comes between these 15 s and the beacon's value, also where each of them takes a second
    time.sleep(15)
    away.rename(tokens)
    r = in_state(boss, raffle, "drawn")
    assert [x["kind"] for x in r["records"]] == ["open", "close", "draw"]
    verified(site, chain, boss, raffle, tmp_path)


def test_escrow_instead_of_void(lab, chain, tmp_path):
    """Past its deadline a raffle in escrow is late and stays; with the officers' seed anybody draws what
    the appliance draws when it gets the value after all."""
    guards = [escrow.Officer(tmp_path, f"officer{i}") for i in range(2)]
    a = lab.make(*chain.lines(delay=DELAY), "escrow 2 " + " ".join(str(g.public) for g in guards)).start()
    boss, buyer = a.admin(), a.person()
    boss.confirm(buyer.deposit(10000)["id"])
    close = int(time.time()) + 12
    raffle = opened(boss, lasts=12, winners=2, draw_deadline=stamp(close + DELAY + 5))
    klero.want(buyer.buy(raffle, 5), 201)
    all_are(chain, "missing", only="rounds")
    in_state(boss, raffle, "closed")
    klero.until(lambda: health(a)["draws"] == "late")
    klero.until(lambda: time.time() > close + DELAY + 10)
    assert boss.raffle(raffle)["state"] == "closed"
    bundle = klero.want(buyer.get(f"/api/v1/raffles/{raffle}/escrow"), 200).body
    seed = escrow.open_share(bundle, (0, 1), guards)
    (tmp_path / "entries").write_bytes(klero.want(buyer.get(f"/r/{raffle}/{tlog.tile('entries', 0, 5)}"), 200).body)
    all_are(chain, "honest")
    in_state(boss, raffle, "drawn")
    proof = json.loads(proof_of(boss, raffle, tmp_path).read_text())
    (tmp_path / "round").write_text(json.dumps({k: proof["beacons"][0][k] for k in ("round", "signature")}))
    for name in ("open", "close"):
        (tmp_path / name).write_text(proof[name])
    run = subprocess.run([BIN / "klero-verify", "--complete", "--drand-chain", chain.chain, tmp_path / "open",
                          tmp_path / "close", seed.hex(), tmp_path / "entries", tmp_path / "round"], capture_output=True, text=True)
    assert run.returncode == 0, run
    assert [x for x in run.stdout.splitlines() if x.startswith("winner ")] == \
        [x for x in proof["draw"].splitlines() if x.startswith("winner ")]
    a.stop()
