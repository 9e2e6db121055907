"""The page as klerod serves it, over TLS and under its own policy: a drawn raffle by its number, and receipts whose
tickets the page fetches from the log."""

import base64
import datetime
import pathlib
import re
import time

import beacon
import klero
import pytest
import tlog
import witness


@pytest.fixture(scope="module")
def url(appliance):
    return f"https://127.0.0.1:{appliance.port}/verify"


def test_a_drawn_raffle_by_its_number(ask, url, admin, rich):
    rid = admin.create(title="<img src=x>", capacity=100, winners=2, reserves=1)["id"]
    klero.want(admin.step(rid, "open"), 200)
    klero.want(rich.buy(rid, 20, "a seed ✓"), 201)
    said = ask(url=f"{url}#{rid}")
    assert said["kind"] == "bad" and "has no proof" in said["text"]
    klero.want(admin.step(rid, "close"), 200)
    klero.want(admin.step(rid, "entropy", {"entropy": "feed"}), 200)
    klero.want(admin.step(rid, "draw"), 200)
    for address in (f"{url}#{rid}", f"{url}?raffle={rid}"):
        said = ask(url=address)
        assert said["kind"] == "half" and "2 winners of 20 tickets" in said["text"]
        assert "entropy chosen by the operator after close" in said["text"]
        assert "frame-ancestors 'none'" in said["policy"]


@pytest.fixture(scope="module")
def logged(lab):
    """An appliance with a raffle that has a ticket log, its address, a buyer and his receipts."""
    a = lab.make().start()
    admin = a.admin()
    raffle = admin.create(title="Logged", capacity=2000)["id"]
    klero.want(admin.step(raffle, "open"), 200)
    a.stop()
    # a raffle that was opened before it had a log: only a test turns one into the other
    assert a.store_tool("sql", "UPDATE raffles SET format = 2, sales_close_s = 4102444800").returncode == 0
    a.start()
    admin.close()
    buyer = a.person()
    admin.confirm(buyer.deposit(1_000_000)["id"])
    tickets = [t for _ in range(3) for t in klero.want(buyer.buy(raffle, 100, "my words"), 201).json["tickets"]]
    return a, buyer, raffle, tickets


DELAY = 10  # seconds from the end of sales to the round: hsm must have agreed to the close before


def drawn_v2(a, admin, buyer, winners, **fields):
    """A v2 raffle that has its proof, and its tickets."""
    end = datetime.datetime.fromtimestamp(int(time.time()) + 15, datetime.timezone.utc)
    raffle = admin.create(winners=winners, reserves=2, sales_close=end.strftime("%Y-%m-%dT%H:%M:%S.000Z"), **fields)["id"]
    klero.want(admin.step(raffle, "open"), 200)
    tickets = klero.want(buyer.buy(raffle, 40, "my words"), 201).json["tickets"]
    patience = time.monotonic() + 300
    while admin.get(f"/api/v1/raffles/{raffle}/proof").status != 200:
        assert time.monotonic() < patience, a.log()
        time.sleep(0.5)
    return raffle, tickets


@pytest.fixture(scope="module")
def drawn(lab, tmp_path_factory):
    """A v2 raffle, drawn by a test chain: its appliance, chain info, buyer, id and tickets."""
    with beacon.Beacon(tmp_path_factory.mktemp("beacon")) as b:
        a = lab.make(*b.lines(delay=DELAY)).start()
        admin, buyer = a.admin(), a.person()
        admin.confirm(buyer.deposit(1_000_000)["id"])
        yield a, pathlib.Path(b.chain).read_text(), buyer, *drawn_v2(a, admin, buyer, 3)


def test_a_raffle_with_pulses_of_nist(ask, lab, tmp_path_factory):
    with beacon.Beacon(tmp_path_factory.mktemp("beacon"), nist=1) as b:
        a, chain = lab.make(*b.lines(delay=DELAY)).start(), pathlib.Path(b.chain).read_text()
        admin, buyer = a.admin(), a.person()
        admin.confirm(buyer.deposit(1_000_000)["id"])
        raffle, _ = drawn_v2(a, admin, buyer, 3, nist_chain=b.nist_chain)
        ask(url=f"https://127.0.0.1:{a.port}/verify#{raffle}")
        said = ask(trust={"delay": str(DELAY), "chain": chain})
        assert said["kind"] == "half" and "certificate is not a known one" in said["text"], said
        pem = pathlib.Path(b.nist_certificate)
        said = ask(trust={"certificates": pem.with_name("other.pem").read_text()})
        assert said["kind"] == "half" and "certificate is not a known one" in said["text"], said
        said = ask(trust={"certificates": pem.read_text()})
        assert said["kind"] == "good" and "3 winners of 40 tickets" in said["text"], said
        a.stop()


def test_a_v2_raffle_and_its_tickets(ask, drawn):
    a, chain, buyer, raffle, tickets = drawn
    said = ask(url=f"https://127.0.0.1:{a.port}/verify#{raffle}")
    # sooner than the standard has it, and by a chain that only this test knows
    assert said["kind"] == "bad" and "less than 600 s" in said["text"], said
    said = ask(trust={"delay": str(DELAY)})
    assert said["kind"] == "half" and "its chain is not a known one" in said["text"] or "not-before" in said["text"], said
    said = ask(trust={"chain": chain})
    assert said["kind"] == "good" and "3 winners of 40 tickets" in said["text"], said
    bundle = buyer.get(f"/api/v1/raffles/{raffle}/proof").json
    for place, words in ((0, "winner 1"), (2, "winner 3"), (3, "reserve 1")):
        won = bundle["winners"][place]
        said = ask(receipt=receipt(buyer, tickets[won["index"]]), holder=buyer.id())
        assert said["kind"] == "good" and words in said["text"] and "It is yours" in said["text"], said
    lost = next(t for t in tickets if t["index"] not in {w["index"] for w in bundle["winners"]})
    said = ask(receipt=receipt(buyer, lost))
    assert said["kind"] == "good" and "did not win" in said["text"], said


def receipt(buyer, ticket):
    end = time.monotonic() + 180
    while True:
        a = buyer.get(f"/api/v1/tickets/{ticket['id']}/receipt")
        if a.status == 200:
            return a.body.decode()
        assert a.code == "receipt-preparing" and time.monotonic() < end, a
        time.sleep(0.2)


def key_of(a, raffle):
    """The verifier key of the raffle's ticket log: the log key under its name."""
    host = re.search(r"^host\s+(\S+)", a.conf.read_text(), re.M).group(1)
    key, origin = tlog.Key(a.vkey.read_text()), f"{host}/klero/r/{raffle.replace('-', '')}"
    return f"{origin}+{key.id(origin).hex()}+{base64.b64encode(bytes([1]) + key.public).decode()}"


def test_receipts(ask, logged):
    a, buyer, raffle, tickets = logged
    key = key_of(a, raffle)
    ask(url=f"https://127.0.0.1:{a.port}/verify")
    for ticket in (tickets[0], tickets[255], tickets[256], tickets[299]):
        text = receipt(buyer, ticket)
        said = ask(receipt=text, key=key, holder=buyer.id())
        assert said["kind"] == "good", said
        assert ticket["id"] in said["text"] and "It is yours" in said["text"] and len(said["leaf"]) == 232
    said = ask(receipt=text, key=key, holder="somebody else")
    assert said["kind"] == "bad" and "not of that buyer" in said["text"]
    # the operator's key is every ticket log's, by either of its names; another's is not
    key2 = a.vkey.read_text().strip()
    for name in ("", "/log"):
        key = tlog.Key(key2)
        host = key2.split("+")[0] + name
        said = ask(receipt=text, key=f"{host}+{key.id(host).hex()}+{key2.split('+', 2)[2]}", holder="")
        assert said["kind"] == "good", said
    key = key_of(a, raffle)
    said = ask(receipt=text, key="PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", holder="")
    assert said["kind"] == "bad"
    said = ask(receipt=text.replace("index 299", "index 298"), key=key)
    assert said["kind"] == "bad" and "not in the log" in said["text"], said


def test_witnesses(ask, lab, tmp_path):
    """A raffle of an appliance with a witness: the page says that it was witnessed, by the proof's own policy."""
    with beacon.Beacon(tmp_path) as b:
        lines = [line for line in b.lines(delay=DELAY) if not line.startswith("out-authorities")]
        pair = witness.Pair(lab, *lines, authorities=pathlib.Path(b.ca)).start()
        a = pair.made[0]
        admin, buyer = a.admin(), a.person()
        admin.confirm(buyer.deposit(1_000_000)["id"])
        raffle = drawn_v2(a, admin, buyer, 3)[0]
        ask(url=f"https://127.0.0.1:{a.port}/verify#{raffle}")
        said = ask(trust={"delay": str(DELAY), "chain": pathlib.Path(b.chain).read_text()})
        assert said["kind"] == "good" and "witnessed" in said["text"] and "not shown" not in said["text"], said
        for one in pair.made:
            one.stop()
