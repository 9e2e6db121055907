"""The main job, told line by line: accounts, money, a raffle of 1,000 tickets, its draw, and the
proof checked by a program that knows nothing of the daemon. A client over verified HTTPS.

	demo.py BIN DIR
"""

import sys
import time

import klero

USERS, TICKETS, PRICE = 50, 1000, 250
WINNERS, RESERVES = 3, 2
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
    share = TICKETS // USERS * PRICE
    pending = [p.deposit(share, reference="demo")["id"] for p in crowd]
    before = sum(p.available() for p in crowd)
    for d in pending:
        admin.confirm(d)
    after = sum(p.available() for p in crowd)
    say(f"{USERS} deposits of {share / 100:.2f} EUR announced, then confirmed by the admin: "
        f"the wallets held {before / 100:.2f}, now {after / 100:.2f} EUR")


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


def draw(admin, raffle):
    klero.want(admin.step(raffle, "close"), 200)
    r = admin.raffle(raffle)
    say(f"sales closed; root of the {r['sold']} tickets: {r['tickets_root']}")
    entropy = "demo entropy: the operator reads it aloud after close".encode().hex()
    klero.want(admin.step(raffle, "entropy", {"entropy": entropy}), 200)
    say("external entropy entered, after close as the rules demand")
    klero.want(admin.step(raffle, "draw"), 200)
    r = admin.raffle(raffle)
    for kind in ("winners", "reserves"):
        say(f"{kind}: tickets " + ", ".join(str(w["index"]) for w in r[kind]))


def fetch_proof(appliance, raffle, path):
    nobody = appliance.client()
    for _ in range(100):
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
    money(admin, crowd)
    raffle = admin.create(title="Demo", price={"amount": PRICE, "currency": "EUR"}, capacity=TICKETS,
                          winners=WINNERS, reserves=RESERVES)["id"]
    klero.want(admin.step(raffle, "open"), 200)
    commit = admin.raffle(raffle)["seed_commit"]
    say(f"raffle opened; commitment to the server seed, published before the sale: {commit}")
    sell(raffle, crowd)
    draw(admin, raffle)
    proof = appliance.dir / "proof.json"
    fetch_proof(appliance, raffle, proof)
    vkey = appliance.dir / "klero.vkey"
    vkey.write_bytes(appliance.vkey.read_bytes())
    return proof, vkey, commit


def main():
    appliance = klero.Appliance(sys.argv[1], sys.argv[2], klero.NO_LIMITS)
    appliance.provision()
    print(appliance.provisioning, end="")
    say("throw-away appliance provisioned (SoftHSM tokens, encrypted store, certificate); "
        "its rate limits are raised, for 50 users come from one address")
    try:
        proof, vkey, commit = story(appliance)
    finally:
        appliance.stop()
    say("klerod stopped; no process is left")
    run = appliance.verify(proof, "-k", vkey, "-c", commit)
    print(run.stdout + run.stderr, end="")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
