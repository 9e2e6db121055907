"""What engine keeps and cannot read: credentials of users, sealed by hsm, moved from version to
version of the key `data` under logins and sales, and refused wherever they do not belong."""

import json
import os
import subprocess

import pytest

import klero
from officers import Officer, decide, keys, known
from test_rotation import Sales, metric

HEAD = "klero:1:data:v%06d:"
MANY, KEPT = 60000, 4000
FILL = f"""
BEGIN;
WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < {MANY - 1})
 INSERT INTO users (id, email, phc, display_name, roles, version, created_ms)
 SELECT CAST('u' || printf('%015d', n) AS BLOB), printf('%d@nobody.example', n),
 '$argon2id$v=19$m=65536,t=3,p=1$' || printf('%021d', n) || 'A$' || printf('%042d', n) || 'A', '', 1, 1, 0 FROM c;
UPDATE counts SET n = n + {MANY} WHERE name = 'users';
INSERT INTO counts (name, n) VALUES ('phc $argon2id$v=19$m=6553', {MANY});
COMMIT
"""


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sealed")]  # one after another


@pytest.fixture(scope="module")
def officer(tmp_path_factory):
    return Officer(tmp_path_factory.mktemp("officers"), "alice", "ed25519")


@pytest.fixture(scope="module")
def guarded(lab, officer, tmp_path_factory):
    """An appliance that one officer decides for; each test here finds it as the one before has left it."""
    fresh = lab.make()
    fresh.names = tmp_path_factory.mktemp("names") / "officers"
    fresh.names.write_text(officer.line)
    fresh.ctl("officer", "enrol", "1", str(fresh.names))
    fresh.start()
    fresh.wait_ready()
    yield fresh
    fresh.stop()


@pytest.fixture(scope="module")
def admin(guarded):
    return guarded.admin()


def rows(appliance, sql):
    run = appliance.store_tool("sql", sql)
    assert run.returncode == 0, run
    return run.stdout.split()


def heads(appliance):
    """{beginning of a credential: how many}; the appliance stands still."""
    return {line.rsplit("|", 1)[0]: int(line.rsplit("|", 1)[1]) for line in
            rows(appliance, "SELECT substr(phc, 1, 21), count(*) FROM users GROUP BY 1")}


def restart(appliance):
    appliance.start()
    appliance.wait_ready()


def left(appliance):
    run = appliance.ctl("key", "list", check=False)
    return json.loads(run.stdout)["resealing"].get("left") if run.returncode == 0 else None


def test_a_token_of_before_is_completed(guarded):
    """Without class keys, and without an anchor: keyadm makes what is lacking, once, and klerod is ready."""
    def age(*how):
        conf = dict(line.split(" ", 1) for line in guarded.conf.read_text().splitlines())
        run = subprocess.run([guarded.bin.parent / "tools" / "token_age", conf["pkcs11-module"], "klero-keys",
                              conf["keys-pin-file"], *how], capture_output=True, text=True, timeout=300,
                             env={**os.environ, "SOFTHSM2_CONF": conf["softhsm-conf"]})
        assert run.returncode == 0, run

    for how, words in ((["bare"], "it has no anchor yet"), ([], "it has no key data yet")):
        guarded.stop()
        age(*how)
        if not how:
            guarded.ctl("officer", "enrol", "1", str(guarded.names))
        restart(guarded)
        log = guarded.log()
        assert words in log and log.count("keyadm completes the token") == 1 + (not how)
        klero.until(lambda: known(guarded))
        assert keys(guarded)["data", 1]["state"] == "active"
        guarded.stop()
        restart(guarded)
    assert guarded.log().count("keyadm completes the token") == 2


def test_no_credential_stands_in_the_clear(guarded, admin):
    person = guarded.person()
    person.login()
    guarded.stop()
    assert heads(guarded) == {HEAD % 1: 2}
    assert sorted(rows(guarded, "SELECT name || '=' || n FROM counts WHERE name LIKE 'phc %'")[1::2]) == [
        f"{HEAD % 1}=2"]
    restart(guarded)
    person.login()
    admin.login()


def test_plain_ones_of_before_are_sealed(guarded):
    """And whoever is killed meanwhile goes on where the rows stand."""
    person = guarded.person()
    guarded.stop()
    rows(guarded, FILL)
    restart(guarded)
    # an end in the middle waits for nothing but what is in flight
    klero.until(lambda: (left(guarded) or 0) > 0)
    guarded.stop()
    assert "did not finish in time" not in guarded.log()
    assert set(heads(guarded)) == {HEAD % 1, "$argon2id$v=19$m=6553"}
    restart(guarded)
    guarded.kill("engine")
    guarded.wait_ready()
    person.login()
    guarded.kill("hsm")
    guarded.wait_ready()
    klero.until(lambda: left(guarded) == 0, 600)
    person.login()
    guarded.stop()
    assert list(heads(guarded)) == [HEAD % 1] and heads(guarded)[HEAD % 1] > MANY
    rows(guarded, f"BEGIN; DELETE FROM users WHERE email LIKE '%@nobody.example' AND id > CAST('u' ||"
         f" printf('%015d', {KEPT - 1}) AS BLOB); UPDATE counts SET n = n - {MANY - KEPT}"
         f" WHERE name IN ('users', 'phc {HEAD % 1}'); COMMIT")
    restart(guarded)


def test_hsm_away(guarded):
    """A login needs hsm: 503 for the known and the unknown, and well again by itself."""
    person = guarded.person()
    unknown = klero.Person(guarded.port, guarded.ca, "nobody@example.org")
    tokens = guarded.dir / "tokens"
    away = guarded.dir / "tokens-away"
    if not tokens.exists():
        pytest.skip("the token folder is elsewhere")
    tokens.rename(away)
    try:
        guarded.kill("hsm")

        def login(who):
            return who.post("/api/v1/auth/login", {"email": who.email, "password": klero.PASSWORD}, token=None)

        klero.until(lambda: login(person).status == 503)
        for who in (person, unknown):
            answer = login(who)
            assert answer.status == 503 and answer.code == "hsm-unavailable", answer
            assert int(answer.headers["retry-after"]) > 0
    finally:
        away.rename(tokens)
    klero.until(lambda: login(person).status == 200)  # one that is just tried without its token passes for ready, too


def test_rotations_under_logins_and_sales(guarded, admin, officer):
    person = guarded.person()
    admin.login()
    admin.confirm(person.deposit(10**12)["id"])
    raffle = admin.create(capacity=10**8, per_person=10**8)["id"]
    klero.want(admin.step(raffle, "open"), 200)
    others = [guarded.person() for _ in range(4)]
    sales = Sales(person, raffle)
    sales.start()
    try:
        for purpose in ("data", "master", "data"):
            decide(guarded, [officer], "rotate", purpose)
            for other in others:
                other.login()
            klero.until(lambda: left(guarded) == 0, 600)
        # a pass that began when the former hsm was gone has found nothing: older versions open no more
        klero.until(lambda: json.loads(guarded.ctl("key", "list").stdout)["resealing"].get("opens_from") == 3)
        klero.until(lambda: "versions of data before 3 open nothing any more" in guarded.log())
        versions = keys(guarded)
        assert versions["data", 3]["values"] > 5 and versions["data", 1]["values"] == 0
        assert ("deposit25519", 1) in versions
        for other in others:
            other.login()
        decide(guarded, [officer], "destroy", "data", "1")
        decide(guarded, [officer], "destroy", "data", "2")
        # what lives is not destroyed, and the active one is not either
        refused = guarded.ctl("key", "destroy", "data", "3", check=False)
        assert refused.returncode == 1, refused
        for other in others:
            other.login()
    finally:
        sales.stop()
    unknown = klero.Person(guarded.port, guarded.ca, "nobody@example.org")
    klero.want(unknown.post("/api/v1/auth/login", {"email": unknown.email, "password": klero.PASSWORD}, token=None), 401)
    guarded.stop()
    assert list(heads(guarded)) == [HEAD % 3]
    restart(guarded)
    person.login()


def test_a_credential_where_it_does_not_belong(guarded, admin, officer):
    """Of another user, altered, of a version that is gone, and no credential at all: the login fails
    with a problem, the log names the row, the metric counts, and nobody else is kept from anything."""
    people = [guarded.person() for _ in range(5)]
    well = guarded.person()
    ids = [p.id().replace("-", "") for p in people]
    guarded.stop()
    for user, value in zip(ids, (f"(SELECT phc FROM users WHERE id = x'{ids[4]}')",
                                 "substr(phc, 1, 30) || CASE substr(phc, 31, 1) WHEN 'A' THEN 'B' ELSE 'A' END ||"
                                 " substr(phc, 32)",
                                 "replace(phc, 'v000003', 'v000007')",
                                 "'x'")):
        rows(guarded, f"UPDATE users SET phc = {value} WHERE id = x'{user}'")
    restart(guarded)

    def login(who):
        return who.post("/api/v1/auth/login", {"email": who.email, "password": klero.PASSWORD}, token=None)

    admin.login()
    seen = metric(admin, "klero_sealed_bad_total")
    for person in people[:4]:
        answer = login(person)
        assert answer.status == 500, answer
        assert b"argon2" not in answer.body and b"klero:1:" not in answer.body
    assert metric(admin, "klero_sealed_bad_total") >= seen + 4
    for person, user in zip(people[:4], ids):  # their lines come by way of parent
        klero.until(lambda p=person: f"the credential of user {p.id()} does not open" in guarded.log())
        klero.until(lambda u=user: f"users.phc of row {u} does not open" in guarded.log())
    klero.want(login(well), 200)
    klero.want(login(people[4]), 200)
    # a rotation takes over what opens, and says what does not
    decide(guarded, [officer], "rotate", "data")
    klero.until(lambda: left(guarded) == 4)
    klero.want(login(well), 200)
    for p in people[:4]:
        klero.until(lambda p=p: f"credential of user {p.id()} cannot be sealed anew" in guarded.log())
    assert keys(guarded)["data", 3]["values"] > 0
    refused = guarded.ctl("key", "destroy", "data", "3", check=False)
    assert refused.returncode == 1 and "values" in refused.stderr, refused
