"""The main job, told line by line: accounts, money, a raffle of 1,000 tickets, its draw, and the
proof checked by a program that knows nothing of the daemon. A client over verified HTTPS.

	demo.py BIN DIR
"""

import pathlib
import sys
import time

import klero

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "beacon"))
import beacon  # noqa: E402

USERS, TICKETS, PRICE = 50, 1000, 250
WINNERS, RESERVES = 3, 2
SALE, DELAY = 8, 5  # seconds, more on a slow machine; a real raffle waits ten minutes for its beacon
ADMIN = "admin@example.org"

started = time.monotonic()


def say(words):
    print(f"[{time.monotonic() - started:5.1f} s] {words}", flush=True)


def people(appliance):
    crowd = [klero.Person(appliance.port, appliance.ca, f"user{n:02}@example.org") for n in range(USERS)]
    klero.in_parallel(lambda p: p.register().login(), crowd)
    say(f"{USERS} users registered and logged in; each password went through Argon2id with 64 MiB")
    return crowd


def money(admin, crowd):
    """The seconds that it took."""
    t = time.monotonic()
    share = TICKETS // USERS * PRICE
    pending = [p.deposit(share, reference="demo")["id"] for p in crowd]
    before = sum(p.available() for p in crowd)
    for d in pending:
        admin.confirm(d)
    after = sum(p.available() for p in crowd)
    say(f"{USERS} deposits of {share / 100:.2f} EUR announced, then confirmed by the admin: "
        f"the wallets held {before / 100:.2f}, now {after / 100:.2f} EUR")
    return time.monotonic() - t


def sell(raffle, crowd):
    def purchase(job):
        person, n = job
        klero.want(person.buy(raffle, 1, seed=f"{person.email} wishes for number {n}"), 201)

    def one_person(person):
        for n in range(TICKETS // USERS):
            purchase((person, n))

    t = time.monotonic()
    klero.in_parallel(one_person, crowd, workers=8)
    t = time.monotonic() - t
    say(f"{TICKETS} tickets sold, one a request, each with a client seed, in {t:.1f} s")


def opened(admin, sales_close):
    """A draft is opened as soon as a fresh beacon value is there, which its record holds."""
    raffle = admin.create(title="Demo", price={"amount": PRICE, "currency": "EUR"}, capacity=TICKETS, winners=WINNERS,
                          reserves=RESERVES, sales_close=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(sales_close)))["id"]
    for _ in range(600):
        answer = admin.step(raffle, "open")
        if answer.code != "beacon-unavailable":
            break
        time.sleep(0.1)
    r = klero.want(answer, 200).json
    say(f"raffle opened; commitment to the server seed, published before the sale: {r['seed_commit_v2']}")
    say(f"the draw will rest on round {r['beacons'][0]['round']} of a drand chain, which nobody knows before {r['beacons'][0]['at']}")
    return raffle, r["seed_commit_v2"]


def wait_for(admin, raffle, state):
    while True:
        r = admin.raffle(raffle)
        if r["state"] == state:
            return r
        time.sleep(0.1)


def draw(admin, raffle):
    r = wait_for(admin, raffle, "closed")
    say(f"sales have closed by themselves; root of the {r['sold']} tickets: {r['tickets_root']}")
    r = wait_for(admin, raffle, "drawn")
    say("the beacon's value is there and verified: drawn, by nobody's hand")
    for kind in ("winners", "reserves"):
        say(f"{kind}: tickets " + ", ".join(str(w["index"]) for w in r[kind]))


def fetch_proof(appliance, raffle, path):
    nobody = appliance.client()
    for _ in range(600):
        a = nobody.get(f"/api/v1/raffles/{raffle}/proof")
        if a.status != 503:
            break
        time.sleep(0.1)
    klero.want(a, 200)
    path.write_bytes(a.body)
    nobody.close()
    say(f"proof fetched by a stranger, {len(a.body):,} bytes: {path}")


def story(appliance):
    appliance.start()
    say(f"klerod serves on https://127.0.0.1:{appliance.port}, sandbox on; certificate verified by {appliance.ca}")
    admin = appliance.admin(ADMIN)
    say("first admin made by kleroctl, its password by standard input, and logged in")
    crowd = people(appliance)
    t = money(admin, crowd)  # four requests a user
    raffle, commit = opened(admin, int(time.time() + max(SALE, 2 * t * TICKETS / (4 * USERS))))
    sell(raffle, crowd)
    draw(admin, raffle)
    proof = appliance.dir / "proof.json"
    fetch_proof(appliance, raffle, proof)
    vkey = appliance.dir / "klero.vkey"
    vkey.write_text(appliance.status()["log_vkey"])
    return proof, vkey, commit


def main():
    folder = pathlib.Path(sys.argv[2])
    (folder / "beacon").mkdir()
    with beacon.Beacon(folder / "beacon", relays=2) as chain:
        return tell(folder, chain)


def tell(folder, chain):
    appliance = klero.Appliance(sys.argv[1], folder / "appliance", [*klero.NO_LIMITS, *chain.lines(delay=DELAY)])
    appliance.provision()
    print(appliance.provisioning, end="")
    say("throw-away appliance provisioned (SoftHSM tokens, encrypted store, certificate); its rate limits are raised, "
        "for 50 users come from one address, and a drand chain of its own makes a round each second")
    try:
        proof, vkey, commit = story(appliance)
    finally:
        appliance.stop()
    say("klerod stopped; no process is left")
    run = appliance.verify(proof, "-k", vkey, "-c", commit, "--drand-chain", chain.chain, "--min-delay", DELAY)
    print(run.stdout + run.stderr, end="")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
