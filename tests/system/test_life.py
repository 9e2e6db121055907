"""The life of v2 raffles in real time, on a drand chain of our own with rounds each second: they
close, wait for the beacon and draw by themselves, and klero-verify believes none of it but checks."""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import uuid

import klero
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "beacon"))
import beacon  # noqa: E402

DELAY = 5  # in which hsm has to hear of the close


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    with beacon.Beacon(tmp_path_factory.mktemp("beacon"), relays=2, nist=1) as b:
        yield b


@pytest.fixture(scope="module")
def site(lab, chain):
    a = lab.make(*chain.lines(delay=DELAY), "death-budget 1000/60")
    a.start()
    a.wait_ready()
    return a


@pytest.fixture(scope="module")
def buyers(site, boss):
    made = [site.person() for _ in range(3)]
    for p in made:
        boss.confirm(p.deposit(10000)["id"])
    return made


def stamp(at_s):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at_s))


def draft(boss, lasts=4, **fields):
    return boss.create(**{"sales_close": stamp(int(time.time()) + lasts), **fields})


def opened_in_time(boss, lasts=4, **fields):
    """An open raffle; None where the end of its sales was sooner than the machine."""
    r = draft(boss, lasts, **fields)
    answer = klero.until(lambda: [a for a in [boss.step(r["id"], "open")] if a.code != "beacon-unavailable"])[0]
    assert answer.status == 200 or answer.code in ("sales-ended", "beacon-too-early"), answer
    return r["id"] if answer.status == 200 else None


def opened(boss, lasts=4, **fields):
    while (raffle := opened_in_time(boss, lasts, **fields)) is None:
        lasts *= 2
    return raffle


def sold_in_time(raffle, sales):
    """sales: (a person, what he buys). False where one of them came too late."""
    for person, *what in sales:
        answer = person.buy(raffle, *what)
        if answer.code == "raffle-not-open":
            return False
        klero.want(answer, 201)
    return True


def sold(boss, sales, lasts=4, **fields):
    """A raffle that has sold; where the machine was too slow, another one that lasts longer."""
    while not sold_in_time(raffle := opened(boss, lasts, **fields), sales):
        lasts *= 2
    return raffle


def in_state(person, raffle, state):
    def look():
        r = person.raffle(raffle)
        return r if r["state"] == state else None

    return klero.until(look)


def proof_of(person, raffle, folder):
    def get():
        answer = person.get(f"/api/v1/raffles/{raffle}/proof")
        return answer if answer.status == 200 else None

    path = folder / "proof.json"
    path.write_bytes(klero.until(get).body)
    return path


def verify(site, chain, path):
    return site.verify(path, "--min-delay", DELAY, "--drand-chain", chain.chain)


def test_whole_life(site, chain, boss, buyers, tmp_path):
    rules = "The first prize is a car.\n"
    raffle = sold(boss, [(p, 5, f"seed {i}") for i, p in enumerate(buyers)], 8, winners=2, reserves=2, dedupe="holder", rules=rules)
    r = boss.raffle(raffle)
    assert r["format"] == "v2" and r["state"] == "open"
    assert r["rules_sha256"] == hashlib.sha256(rules.encode()).hexdigest()
    assert r["beacons"][0]["drand_chain"] == chain.hash and r["beacon_delay"] >= DELAY
    assert [x["kind"] for x in r["records"]] == ["open"]
    assert boss.step(raffle, "draw").code == "raffle-not-closed"
    assert boss.step(raffle, "close").code == "sales-go-on"
    assert boss.step(raffle, "entropy", {"entropy": "00"}).code == "raffle-format"
    in_state(boss, raffle, "closed")
    assert buyers[0].buy(raffle).code == "raffle-not-open"
    r = in_state(boss, raffle, "drawn")
    assert [x["kind"] for x in r["records"]] == ["open", "close", "draw"]
    assert len(r["winners"]) == 2 and len(r["reserves"]) == 1  # of three holders
    proof = proof_of(boss, raffle, tmp_path)
    done = verify(site, chain, proof)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    for level in ("reproduced", "signed", "logged", "beacon-verified"):
        assert level in said
    assert klero.want(boss.post(f"/api/v1/raffles/{raffle}/verify"), 200).json["verified"] is True
    assert boss.step(raffle, "draw").code == "raffle-drawn"
    abort = boss.step(raffle, "abort", {"reason": "too-late", "statement": "x"})
    assert abort.code == "raffle-drawn"
    # it names the program that wrote it
    bundle = json.loads(proof.read_text())
    commit = subprocess.run([klero.HERE.parents[1] / "packaging/commit.sh"], capture_output=True, text=True).stdout.strip()
    said, engine = bundle["software"], site.bin / "klerod-engine"
    assert said["sha256"] == hashlib.sha256(engine.read_bytes()).hexdigest()
    assert said["git"].removesuffix("-dirty") == commit.removesuffix("-dirty") and said["version"]
    # one byte of it altered is found out
    bundle["winners"][0]["index"] ^= 1
    proof.write_text(json.dumps(bundle))
    assert verify(site, chain, proof).returncode != 0


def test_two_beacons(site, chain, boss, buyers, tmp_path):
    """All that are promised are waited for, and are in the proof."""
    raffle = sold(boss, [(buyers[0], 5)], nist_chain=chain.nist_chain)
    r = in_state(boss, raffle, "drawn")
    assert [b["type"] for b in r["beacons"]] == ["drand", "nist2"]
    done = site.verify(proof_of(boss, raffle, tmp_path), "--min-delay", DELAY, "--drand-chain", chain.chain,
                       "--nist-certificate", chain.nist_certificate)
    assert done.returncode == 0 and "beacon-verified" in done.stdout, done.stdout + done.stderr


def test_forfeit(site, chain, boss, buyers, tmp_path):
    raffle = sold(boss, [(p,) for p in buyers], winners=1, reserves=1)
    forfeit = {"rule": "not-claimed", "evidence": "a letter", "winner": 1}
    assert boss.step(raffle, "forfeit", forfeit).code == "raffle-not-drawn"
    r = in_state(boss, raffle, "drawn")
    assert "standing" not in r
    first = klero.want(boss.post(f"/api/v1/admin/raffles/{raffle}/forfeit", forfeit, idem="the-first"), 200)
    r = first.json
    assert r["standing"] == [{**r["reserves"][0], "pos": 1}]
    assert boss.step(raffle, "forfeit", {**forfeit, "winner": 2}).code == "no-such-winner"
    r = klero.want(boss.step(raffle, "forfeit", forfeit), 200).json
    assert r["standing"] == []
    assert boss.step(raffle, "forfeit", forfeit).code == "no-such-winner"
    # what was answered stays answered, whatever has come since
    again = boss.post(f"/api/v1/admin/raffles/{raffle}/forfeit", forfeit, idem="the-first")
    assert again.body == first.body and again.headers["Idempotent-Replayed"] == "true"
    done = klero.until(lambda: [d for d in [verify(site, chain, proof_of(boss, raffle, tmp_path))]
                             if d.stdout.count("forfeited: ") == 2 or d.returncode != 0])[0]
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_record_that_hsm_agrees_to_late(site, boss):
    """The request is told to try again, and its effect comes without it: under its key, it is told of
    that one effect, once the raffle's job has had it as well as before."""
    amended, aborted = opened(boss, 600), opened(boss, 600)
    close = {"sales_close": stamp(int(time.time()) + 900)}
    asks = {amended: ("amend", close), aborted: ("abort", {"reason": "a", "statement": "b"})}
    answers = {}

    def ask(raffle):
        verb, body = asks[raffle]
        with contextlib.closing(klero.Person(site.port, site.ca, boss.email)) as one:
            one.token = boss.token
            return one.post(f"/api/v1/admin/raffles/{raffle}/{verb}", body, idem=f"late-{raffle}")

    def is_recorded(raffle):
        return [x["kind"] for x in boss.raffle(raffle)["records"]] == ["open", asks[raffle][0]]

    hsm = site.roles()["hsm"][0]
    os.kill(hsm, signal.SIGSTOP)
    try:
        threads = [threading.Thread(target=lambda r=r: answers.update({r: ask(r)})) for r in asks]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(hsm, signal.SIGCONT)
    assert [answers[r].code for r in asks] == ["hsm-unavailable"] * 2, answers
    klero.want(klero.until(lambda: (a := ask(aborted)).status != 503 and a), 200)
    klero.until(lambda: is_recorded(amended))
    told = klero.want(ask(amended), 200)
    assert "Idempotent-Replayed" in told.headers and told.json["sales_close"] == close["sales_close"]
    later = {"sales_close": stamp(int(time.time()) + 1200)}
    klero.want(boss.step(amended, "amend", later), 200)
    assert ask(amended).body == told.body
    asks[amended] = ("amend", later)
    assert ask(amended).code == "idempotency-key-reused"
    assert len(boss.raffle(amended)["records"]) == 3 and is_recorded(aborted)
    assert ask(aborted).status == 200


def test_a_draw_that_hsm_is_late_for(site, boss, buyers):
    """The same of a draw, which is done by the raffle's job."""
    raffle = sold(boss, [(buyers[0], 3)], beacon_delay=12)
    in_state(boss, raffle, "closed")
    time.sleep(3)  # hsm is told of the close meanwhile
    path = f"/api/v1/admin/raffles/{raffle}/draw"
    hsm = site.roles()["hsm"][0]
    os.kill(hsm, signal.SIGSTOP)
    try:
        for key in map("late-{}".format, range(1000)):
            first = boss.post(path, idem=key)
            if first.code != "beacon-missing":
                break
            time.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(hsm, signal.SIGCONT)
    assert first.code == "hsm-unavailable", first
    in_state(boss, raffle, "drawn")
    told = klero.want(boss.post(path, idem=key), 200)
    assert told.headers["Idempotent-Replayed"] == "true" and told.json["state"] == "drawn"
    assert boss.post(path, idem=key).body == told.body
    assert boss.post(path, idem=key + "-other").code == "raffle-drawn"


def test_amend(boss, buyers):
    raffle = opened(boss, lasts=600)
    later = int(time.time()) + 900
    r = klero.want(boss.step(raffle, "amend", {"sales_close": stamp(later)}), 200).json
    assert r["sales_close"] == stamp(later)
    klero.want(boss.step(raffle, "amend", {"sales_close": stamp(later - 100)}), 200)
    klero.want(buyers[0].buy(raffle), 201)
    # in the log, which hsm knows too
    klero.until(lambda: boss.get(f"/r/{raffle}/checkpoint").status == 200)
    earlier = boss.step(raffle, "amend", {"sales_close": stamp(later - 200)})
    assert earlier.code == "not-later"
    early = boss.step(raffle, "amend", {"sales_close": stamp(later), "drand_round": 1})
    assert early.code == "beacon-too-early"
    r = klero.want(boss.step(raffle, "amend", {"sales_close": stamp(later)}), 200).json
    assert [x["kind"] for x in r["records"]] == ["open", "amend", "amend", "amend"]
    klero.want(boss.step(raffle, "abort", {"reason": "test-over", "statement": "x"}), 200)
    klero.until(lambda: "refunded_at" in boss.raffle(raffle))  # before somebody counts his money


def test_abort_pays_back(site, chain, boss, buyers, tmp_path):
    raffle = opened(boss, lasts=600)
    before = [p.available() for p in buyers]
    for i, p in enumerate(buyers):
        klero.want(p.buy(raffle, quantity=i + 1), 201)
    assert [p.available() for p in buyers] != before
    assert boss.step(raffle, "abort", {"reason": "Two Words", "statement": "x"}).status == 400
    r = klero.want(boss.step(raffle, "abort", {"reason": "organiser-withdrew", "statement": "We are sorry."}), 200).json
    assert r["state"] == "aborted" and [x["kind"] for x in r["records"]] == ["open", "abort"]
    klero.until(lambda: "refunded_at" in boss.raffle(raffle))
    assert [p.available() for p in buyers] == before
    again = boss.step(raffle, "abort", {"reason": "again", "statement": "x"})
    assert again.code == "raffle-aborted"
    assert buyers[0].buy(raffle).code == "raffle-not-open"
    kinds = [e["kind"] for e in klero.want(buyers[0].get("/api/v1/wallet/entries"), 200).json["items"]]
    assert kinds[0] == "refund"
    done = verify(site, chain, proof_of(boss, raffle, tmp_path))
    assert "aborted" in done.stdout + done.stderr, done


def test_terms_that_cannot_be(boss, chain):
    now = int(time.time())
    base = {"title": "A car", "price": {"amount": 100, "currency": "EUR"}, "capacity": 1000, "winners": 1}

    def code(**fields):
        answer = boss.post("/api/v1/admin/raffles", {**base, **fields})
        return answer.code, answer.status

    assert code()[1] == 400  # sales_close is missing
    assert code(sales_close="tomorrow")[1] == 400
    assert code(sales_close="2026-02-30T00:00:00.000Z")[1] == 400
    assert code(sales_close=stamp(now - 5)) == ("sales-ended", 409)
    close = stamp(now + 60)
    assert code(sales_close=close, drand_round=chain.round_at(now + 60)) == ("beacon-too-early", 422)
    assert code(sales_close=close, drand_chain="00" * 32) == ("beacon-unknown", 422)
    assert code(sales_close=close, draw_deadline=close) == ("terms-too-far", 422)
    assert code(sales_close=stamp(now + 400 * 86400))[0] == "terms-too-far"
    assert code(sales_close=close, winners=100_001)[1] == 400
    assert code(format="v1", sales_close=close)[1] == 400
    v1 = klero.want(boss.post("/api/v1/admin/raffles", {**base, "format": "v1"}), 201).json
    assert v1["format"] == "v1"
    for verb, body in (("amend", {"sales_close": close}), ("abort", {"reason": "a", "statement": "b"})):
        assert boss.step(v1["id"], verb, body).code == "raffle-format"
    nobody = str(uuid.uuid4())
    for verb, body in (("amend", {"sales_close": close}), ("abort", {"reason": "a", "statement": "b"}),
                       ("forfeit", {"rule": "a", "evidence": "b", "winner": 1})):
        assert boss.step(nobody, verb, body).code == "not-found"


def test_only_admins(site, boss, buyers):
    r = draft(boss, lasts=600)
    for verb, body in (("open", None), ("amend", {"sales_close": r["sales_close"]}), ("abort", {"reason": "a", "statement": "b"}),
                       ("forfeit", {"rule": "a", "evidence": "b", "winner": 1})):
        assert buyers[0].step(r["id"], verb, body).status == 403


def anyway(call):
    """The answer, or None where the appliance was not there to give one."""
    try:
        return call()
    except (OSError, http.client.HTTPException):
        return None


@pytest.mark.parametrize("ms", [0, 1, 3, 6, 10, 20, 40])
def test_refunds_survive_death(site, boss, ms):
    """Engine dies this long after an abort was asked for: each holder is paid back once."""
    crowd = crowd_of(site, boss)
    before = [p.available() for p in crowd]
    raffle = opened(boss, lasts=600)
    for i, p in enumerate(crowd):
        klero.want(p.buy(raffle, quantity=1 + i % 3), 201)
    ask = threading.Thread(target=lambda: anyway(lambda: boss.step(raffle, "abort", {"reason": "died", "statement": "x"})))
    ask.start()
    time.sleep(ms / 1000)
    site.kill("engine")
    ask.join()
    site.wait_ready()

    def over():
        r = anyway(lambda: boss.raffle(raffle))
        if r is not None and r["state"] == "open":
            anyway(lambda: boss.step(raffle, "abort", {"reason": "died", "statement": "x"}))
        return r is not None and r.get("refunded_at")

    klero.until(over)
    assert [p.available() for p in crowd] == before
    records = [x["kind"] for x in boss.raffle(raffle)["records"]]
    assert records == ["open", "abort"]
    assert site.status()["ledger"] in ("ok", "being checked")
    for p in crowd:
        mine = [e for e in klero.want(p.get("/api/v1/wallet/entries"), 200).json["items"] if e["reference_id"] == raffle]
        assert [e["kind"] for e in mine] == ["refund", "buy"]


CROWD = []


def crowd_of(site, boss):
    """More than one step of refunds pays back at once."""
    if not CROWD:
        CROWD.extend(site.person() for _ in range(23))
        for p in CROWD:
            boss.confirm(p.deposit(100000)["id"])
    return CROWD


def test_draw_after_deaths(site, chain, boss, buyers, tmp_path):
    """Engine and hsm die around every step; the raffle still has one end, which verifies."""
    # hsm must hear of the end of sales before the first value, or it refuses the draw
    raffle = sold(boss, [(buyers[0], 3)], beacon_delay=30)
    end = time.monotonic() + 6
    while time.monotonic() < end:
        site.kill("engine")
        time.sleep(1.5)
        site.kill("hsm")
        time.sleep(1.5)
    site.wait_ready()
    r = in_state(boss, raffle, "drawn")
    assert [x["kind"] for x in r["records"]] == ["open", "close", "draw"]
    done = verify(site, chain, proof_of(boss, raffle, tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_audited(site, chain, boss, buyers, tmp_path):
    """Both kinds of log over HTTPS after all of the above, and one proof with them; then again from
    where that audit ended."""
    site.wait_ready()
    raffle = sold(boss, [(buyers[0], 5)], winners=1, reserves=1)
    in_state(boss, raffle, "drawn")
    proof = proof_of(boss, raffle, tmp_path)
    url, state = f"https://127.0.0.1:{site.port}", tmp_path / "state"

    def audit(*args, where=url, key=site.vkey):
        run = [site.bin / "klero-verify", "--log", where, "--ca", site.ca, "-k", key, *args]
        return subprocess.run([str(a) for a in run], capture_output=True, text=True, timeout=300)

    done = audit("--state", state, "--min-delay", DELAY, "--drand-chain", chain.chain, proof)
    assert done.returncode == 0 and done.stdout.endswith("AUDITED\n"), done
    old = state.read_bytes()
    klero.want(buyers[0].buy(opened(boss, lasts=600), quantity=3), 201)
    # a checkpoint that covers the sale comes a second later
    done = klero.until(lambda: [d for d in [audit("--state", state)] if d.returncode == 0 and state.read_bytes() != old])[0]
    assert "known, and begin as they did" in done.stdout
    # not there, and signed by somebody else
    assert audit(where=url + "/nowhere").returncode == 3
    assert audit(key="PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").returncode == 1
