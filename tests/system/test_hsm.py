"""The HSM behind a running appliance: a PIN that is refused is tried once, a lost hsm comes back
and still knows every older seed."""

import shutil
import signal

import pytest

import klero
from officers import Officer, decide, keys, known

REFUSED = "refuses the PIN"


def _lose_hsm(appliance):
    old = appliance.kill("hsm")
    klero.until(lambda: appliance.roles()["hsm"] not in ([], [old]))
    appliance.wait_ready()


def test_a_refused_pin_is_tried_once(fresh):
    """Not again by the next hsm, by keyadm or after a SIGHUP, and at a start the exit status says so;
    a right one in its place serves without a restart."""
    pin = fresh.dir / "keys.pin"
    right = pin.read_text()
    pin.write_text("wrong-" + right)
    fresh.kill("hsm")
    klero.until(lambda: "not started again" in fresh.log())
    client = fresh.client()
    klero.until(lambda: client.get("/health").json["hsm"] == "pin-refused")
    for n in (1, 2):
        fresh.process.send_signal(signal.SIGHUP)  # a certificate's renewal does that
        klero.until(lambda: fresh.log().count("not started again") == 1 + n)  # the end of that start
        assert fresh.log().count("has refused this PIN") == n
    assert fresh.log().count(REFUSED) == 1
    assert "hsm" not in fresh.roles()
    assert fresh.status()["hsm"] == "pin-refused"
    klero.want(client.get("/api/v1/raffles"), 200)  # what needs no key goes on
    pin.write_text(right)
    fresh.process.send_signal(signal.SIGHUP)
    fresh.wait_ready()
    assert client.get("/health").json["hsm"] == "ok"
    client.close()
    fresh.stop()
    pin.write_text("wrong-" + right)
    with pytest.raises(klero.Failure, match=REFUSED):
        fresh.start()
    assert fresh.stop() == 4  # RestartPreventExitStatus= in the unit
    pin.write_text(right)
    fresh.start()


def test_a_refused_tls_pin(fresh):
    pin = fresh.dir / "tls.pin"
    right = pin.read_text()
    client = fresh.client()
    klero.want(client.get("/health"), 200)
    pin.write_text("wrong-" + right)
    fresh.kill("tlskey")
    klero.until(lambda: fresh.status()["tls"] == "pin-refused")
    klero.want(client.get("/api/v1/raffles"), 200)  # a connection that stands goes on
    pin.write_text(right)
    fresh.process.send_signal(signal.SIGHUP)
    fresh.wait_ready()
    assert fresh.status()["tls"] == "ok"
    client.close()


def test_another_token_is_not_taken(fresh, lab):
    """Another appliance's tokens in the place of ours, then none; the right ones again serve again."""
    admin, other = fresh.admin(), lab.make()
    pins = {name: (fresh.dir / name).read_text() for name in ("keys.pin", "tls.pin")}
    here, away = fresh.dir / "tokens", fresh.dir / "away"
    here.rename(away)
    (other.dir / "tokens").rename(here)
    for name in pins:
        (fresh.dir / name).write_text((other.dir / name).read_text())
    fresh.kill("hsm")
    fresh.kill("tlskey")
    klero.until(lambda: fresh.log().count("holds none of the keys that served before") >= 2)
    klero.until(lambda: fresh.status()["hsm"] == fresh.status()["tls"] == "other-token")
    assert fresh.log().count("is ready after") == 7  # none of the two
    shutil.rmtree(here)
    klero.until(lambda: fresh.status()["hsm"] == fresh.status()["tls"] == "unavailable")
    for name, pin in pins.items():
        (fresh.dir / name).write_text(pin)
    # a start that has read the former PINs still must not find the tokens
    tried = fresh.log().count("is tried again in")
    klero.until(lambda: fresh.log().count("is tried again in") >= tried + 4)
    away.rename(here)
    fresh.wait_ready()
    klero.want(admin.get("/api/v1/auth/me"), 200)  # its token is as good as before


def test_seeds_outlive_hsm(fresh):
    admin = fresh.admin()
    person = fresh.person()
    admin.confirm(person.deposit(100_000)["id"])
    raffle = admin.create(capacity=20)["id"]
    klero.want(admin.step(raffle, "open"), 200)
    klero.want(person.buy(raffle, 5, "mine"), 201)
    for _ in range(3):
        _lose_hsm(fresh)
    klero.want(admin.step(raffle, "close"), 200)
    klero.want(admin.step(raffle, "entropy", {"entropy": "00ff"}), 200)
    _lose_hsm(fresh)
    klero.want(admin.step(raffle, "draw"), 200)


def test_a_worn_hsm_is_replaced_without_a_lost_request(lab):
    """Each opening makes objects in the session; after so many a fresh hsm takes over, while others
    ask, and nobody notices. What the one before has made is known to the next."""
    fresh = lab.make("hsm-objects 100").start()
    fresh.wait_ready()
    admins = [fresh.admin(f"admin{i}@example.org") for i in range(3)]
    admin, first, raffles = admins[0], set(fresh.roles()["hsm"]), []

    def replaced():
        return fresh.log().count("is worn: a fresh one is started")

    def open_and_refresh(one):
        for _ in range(1000):
            if replaced() >= 2:
                return
            raffles.append((raffle := one.create(capacity=20)["id"]))
            klero.want(one.step(raffle, "open"), 200)
            one.take(klero.want(one.post("/api/v1/auth/refresh", {"refresh_token": one.refresh_token}, token=None), 200).json)

    klero.in_parallel(open_and_refresh, admins)
    assert replaced() >= 2
    klero.until(lambda: not first & set(fresh.roles()["hsm"]))
    assert "hsm-unavailable" not in fresh.log() and "ended with status" not in fresh.log()
    # those of the first process are the last one's too
    person = fresh.person()
    admin.confirm(person.deposit(100_000)["id"])
    klero.want(person.buy(raffles[0], 1, "mine"), 201)
    for step, body in (("close", None), ("entropy", {"entropy": "00ff"}), ("draw", None)):
        klero.want(admin.step(raffles[0], step, body), 200)
    fresh.stop()


def test_a_start_leaves_the_token_as_it_is(fresh):
    """SoftHSM writes its token's file at every login; a kill in that moment would cost all keys."""
    files = sorted(p for p in (fresh.dir / "tokens").rglob("*") if p.is_file())
    before = [(p.read_bytes(), p.stat().st_mtime_ns) for p in files]
    fresh.kill("hsm")
    fresh.wait_ready()
    fresh.stop()
    fresh.start()
    assert files and [(p.read_bytes(), p.stat().st_mtime_ns) for p in files] == before


class WithoutLandlock(klero.Appliance):
    def spawn(self, before=(), **how):
        return super().spawn([*before, self.bin.parent / "tools" / "no_landlock"], **how)


@pytest.mark.root_only
def test_without_landlock(fresh, tmp_path):
    """On a kernel that lacks it hsm serves, knows its officers and is replaced; with a module that
    cannot copy keys it says at its start why that cannot be."""
    old, two = fresh, [Officer(tmp_path, name) for name in ("alice", "bob")]
    names = tmp_path / "officers"
    names.write_text("".join(o.line for o in two))
    old.stop()
    old.ctl("officer", "enrol", "2", str(names))
    lines = old.conf.read_text()
    bare = WithoutLandlock(old.bin, old.dir, port=old.port)
    bare.start()
    bare.wait_ready()
    klero.until(lambda: "Landlock (ABI 0)" in bare.log())
    klero.until(lambda: known(bare))
    decide(bare, two, "rotate", "seed")
    klero.until(lambda: keys(bare).get(("seed", 2), {"state": ""})["state"] == "active")
    bare.stop()
    module = next(line for line in lines.splitlines() if line.startswith("pkcs11-module "))
    bare.conf.write_text(lines.replace(module, f"pkcs11-module {old.bin.parent}/tools/nocopy.so"))
    with pytest.raises(klero.Failure, match="needs a kernel with Landlock"):
        bare.start()
    bare.conf.write_text(lines)
