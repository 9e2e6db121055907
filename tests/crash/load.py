"""A mixed load on one appliance, and the book of what was asked and what was answered, which the
crash tests hold against the appliance after each fall.

An op is one request with its answer, or without one: then nobody knows whether it happened. After
the fall every op is asked for again under its key: an acknowledged one must give the first answer
to the byte, an unknown one is done now or was done then. After that the whole state follows from
the book, and the appliance must show exactly that.

Who asks keeps one session alive through all of it: access tokens grow old, refresh tokens are used
once, and one whose answer was lost is good for the same successor within its grace."""

import collections
import http.client
import json
import random
import ssl
import threading
import time

import klero
import lives

PRICE = 100
PATIENCE = 180
GRACE = 30  # seconds: API.md "Conventions"
ROLES = ("organiser", "auditor")


class Op:
    """ack: where in the record its answer left (disk.py), -1: in an earlier life; None: unknown."""

    def __init__(self, who, kind, method="", path="", body=None, key=None, extra=None):
        self.who, self.kind, self.method, self.path, self.body, self.key = who, kind, method, path, body, key
        self.extra = extra
        self.status, self.raw, self.ack = None, b"", None

    def answered(self, status, raw, ack=-1):
        self.status, self.raw, self.ack = status, raw, ack

    @property
    def ok(self):
        return self.ack is not None and self.status in (200, 201, 202, 204)

    @property
    def json(self):
        return json.loads(self.raw)

    def copy(self, until):
        o = Op(self.who, self.kind, self.method, self.path, self.body, self.key, self.extra)
        if self.ack is not None and self.ack <= until:
            o.answered(self.status, self.raw)
        return o

    def __repr__(self):
        return f"<{self.kind} by {self.who} {self.method} {self.path} {self.body} key {self.key}: {self.status} {self.raw[:300]!r}>"


class Book:
    def __init__(self, admin="", players=()):
        self.lock = threading.Lock()
        self.admin, self.players = admin, list(players)
        self.kinds, self.count = collections.defaultdict(list), 0

    def add(self, op):
        with self.lock:
            self.count += 1
            op.number = self.count
            self.kinds[op.kind].append(op)
        return op

    def of(self, *kinds):
        """The ops of these kinds (of all without any), in the order in which they were asked."""
        with self.lock:
            return sorted((o for k in kinds or self.kinds for o in self.kinds[k]), key=lambda o: o.number)

    def drop(self, ops):
        for op in ops:
            self.kinds[op.kind].remove(op)

    def until(self, event):
        """As it stands when the power fails after event number `event` of the record."""
        other = Book(self.admin, self.players)
        for op in self.of():
            other.add(op.copy(event))
        return other

    def of_the_known(self):
        """Without a person who cannot log in yet, and without what has no key to ask again with."""
        self.players = [p for p in self.players if self.tokens(p)[0]]
        known = self.people()
        self.drop([o for o in self.of() if o.ack is None and (o.who not in known or not (o.key or o.kind in ("refresh", "roles")))])
        return self

    def people(self):
        return ([self.admin] if self.tokens(self.admin)[0] else []) + self.players

    def place_acks(self, events):
        """Finds in the record where each answer of this life left engine: from there on it is true."""
        sent = {}
        for i, e in enumerate(events):
            if e.kind == "send" and e.a == 0x0301:
                sent[answer_body(e.data)] = i
        roles = [i for i, e in enumerate(events) if e.kind == "send" and e.a != 0x0301]
        for op in self.of("roles", "admin"):
            if op.ack == 0:
                op.ack = roles.pop(0)
        here = [op for op in self.of() if op.ack == 0]
        for op in here:
            op.ack = sent.get(op.raw, len(events))
        found = sum(op.ack < len(events) for op in here)
        assert found >= 0.9 * len(here), f"only {found} of {len(here)} answers are in the record"
        return found

    # --- what follows from it ---

    def tokens(self, email):
        """(access, refresh token) of the newest acknowledged answer."""
        for op in reversed(self.of("login", "refresh")):
            if op.who == email and op.ok:
                return op.json["access_token"], op.json["refresh_token"]
        return None, None

    def ended(self, email):
        """The newest session was taken away: its refresh token came again after the grace."""
        asked = [op for op in self.of("login", "refresh") if op.who == email and op.ack is not None]
        return bool(asked) and not asked[-1].ok

    def raffles(self):
        """{id: its newest answer}, in order of creation."""
        out = {}
        for op in self.of("create", "open", "close", "entropy", "draw"):
            if op.ok and op.json["version"] > out.get(op.json["id"], {"version": 0})["version"]:
                out[op.json["id"]] = op.json
        return out

    def decided(self):
        return {op.extra for op in self.of("confirm", "reject") if op.ok}

    def money(self, email, refunded=()):
        """refunded: raffles whose tickets have been paid back."""
        confirmed = {op.extra for op in self.of("confirm") if op.ok}
        there = sum(op.json["money"]["amount"] for op in self.of("deposit")
                    if op.ok and op.who == email and op.json["id"] in confirmed)
        return there - sum(op.json["cost"]["amount"] for op in self.of("buy")
                           if op.ok and op.who == email and op.extra not in refunded)

    def tickets(self):
        """{raffle: {email: {index: id}}}"""
        out = collections.defaultdict(lambda: collections.defaultdict(dict))
        for op in self.of("buy"):
            if op.ok:
                for t in op.json["tickets"]:
                    assert t["index"] not in out[op.extra][op.who], f"sold twice: {op}"
                    out[op.extra][op.who][t["index"]] = t["id"]
        return out


def answer_body(data):
    """The body within an API_ANS (daemon/api/apimsg.c)."""
    data = bytes(data)
    location = 2 + 1 + 1 + 5 * 4 + 8
    at = location + 2 + int.from_bytes(data[location:location + 2], "little") + 8
    return data[at + 4:at + 4 + int.from_bytes(data[at:at + 4], "little")]


def until_answered(call, stopping=None):
    """As a careful client: again and again under the same key. None: stopped before an answer."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            a = call()
            if a.status != 503 and a.code != "idempotency-key-in-flight":
                return a
        except (OSError, http.client.HTTPException, ssl.SSLError, ValueError) as e:
            a = e
        if stopping and stopping.is_set():
            return None
        if time.monotonic() > end:
            raise klero.Failure(f"no answer for {PATIENCE} s: {a!r}")
        time.sleep(0.01)


class Member(klero.Person):
    """Somebody whose requests are in the book. What the access token is too old for is asked again
    under the next one, as a real client does."""

    def __init__(self, appliance, book, email, stopping=None):
        super().__init__(appliance.port, appliance.ca, email)
        self.book, self.stopping = book, stopping
        self.token, self.refresh_token = book.tokens(email)

    def call(self, method, path, body=None, *, token="own", **more):
        a = super().call(method, path, body, token=token, **more)
        if token != "own" or a.code != "token-expired":
            return a
        if not self.refresh():
            raise InterruptedError("stopped without a token")
        return super().call(method, path, body, token=token, **more)

    def ask(self, op, expected):
        """Does an op until it is answered; ack 0: in this life, place_acks() will say where."""
        self.book.add(op)
        return self.again(op, expected)

    def again(self, op, expected):
        token = None if op.kind in ("register", "login", "refresh") else "own"
        a = until_answered(lambda: self.call(op.method, op.path, op.body, idem=op.key, token=token), self.stopping)
        if a is None:
            return None
        if a.status not in expected:
            raise klero.Failure(f"{op}: {a}")
        op.answered(a.status, a.body, 0)
        return a

    def names(self):
        return {"email": self.email, "password": self.password}

    def register(self):
        return self.ask(Op(self.email, "register", "POST", "/api/v1/auth/register", self.names()), (201,))

    def login(self):
        op = Op(self.email, "login", "POST", "/api/v1/auth/login", self.names())
        return self.ask(op, (200,)) and self.renewed(op)

    def refresh(self):
        """The next pair of tokens; None: stopped before it came."""
        began = time.monotonic()
        op = Op(self.email, "refresh", "POST", "/api/v1/auth/refresh", {"refresh_token": self.refresh_token})
        if not self.ask(op, (200, 401)):
            return None
        if not op.ok and time.monotonic() - began < GRACE:
            raise klero.Failure(f"a session ended within the grace of its token: {op}")
        return self.renewed(op)

    def renewed(self, op):
        """What a login or a refresh has brought; a session that has ended is followed by another."""
        if not op.ok:
            return self.login()
        self.take(op.json)
        return op


class Load:
    """Threads that work on the appliance until they are stopped: an admin and some players."""

    def __init__(self, appliance, book, seed):
        self.appliance, self.book, self.seed = appliance, book, seed
        self.v2 = any(line.startswith("drand-relay ") for line in appliance.lines)
        self.stopping = threading.Event()
        self.errors, self.threads = [], []

    def start(self):
        for i, (work, email) in enumerate([(self._admin_turn, self.book.admin)] +
                                          [(self._player_turn, p) for p in self.book.players]):
            t = threading.Thread(target=self._run, args=(work, self._person(email), random.Random(f"{self.seed}/{i}")))
            self.threads.append(t)
            t.start()
        return self

    def _person(self, email):
        return Member(self.appliance, self.book, email, self.stopping)

    def _run(self, work, person, rng):
        try:
            while not self.stopping.is_set():
                work(person, rng)
        except Exception as e:
            self.errors.append(e)
        finally:
            person.close()

    def stop(self):
        self.stopping.set()

    def join(self):
        for t in self.threads:
            t.join()
        if self.errors:
            raise self.errors[0]

    def _key(self, rng):
        return f"{rng.getrandbits(96):024x}"

    # --- players ---

    def _player_turn(self, person, rng):
        dice = rng.random()
        if dice < 0.80:
            self._buy(person, rng)
        elif dice < 0.90:
            body = {"money": {"amount": rng.randint(1000, 100000), "currency": "EUR"}, "provider": "manual"}
            person.ask(Op(person.email, "deposit", "POST", "/api/v1/wallet/deposit", body, self._key(rng)), (202,))
        elif dice < 0.95:
            self._rename(person, rng)
        elif dice < 0.98:
            person.refresh()
        elif dice < 0.99:
            self._register(rng)
        else:
            self._in_and_out(person)

    def _buy(self, person, rng):
        open_now = [r["id"] for r in self.book.raffles().values() if r["state"] == "open"] + lives.on_sale(self.book)
        if not open_now:
            time.sleep(0.01)
            return
        raffle = rng.choice(open_now)
        body = {"quantity": rng.choice((1, 1, 2, 3, 10)), "client_seed": f"{rng.getrandbits(32):x}"}
        person.ask(Op(person.email, "buy", "POST", f"/api/v1/raffles/{raffle}/buy", body, self._key(rng), raffle),
                 (201, 402, 409))

    def _rename(self, person, rng):
        a = until_answered(lambda: person.get("/api/v1/me"), self.stopping)
        if a is not None:
            body = {"display_name": f"n{rng.getrandbits(32):x}", "version": klero.want(a, 200).json["version"]}
            # a change of roles may come between
            person.ask(Op(person.email, "rename", "PATCH", "/api/v1/me", body, self._key(rng)), (200, 409))

    def _register(self, rng):
        somebody = self._person(f"r{rng.getrandbits(64):x}@example.org")
        somebody.register()
        somebody.close()

    def _in_and_out(self, person):
        """A second session of the same person, which ends again."""
        other = self._person(person.email)
        a = until_answered(lambda: other.post("/api/v1/auth/login", other.names(), token=None), self.stopping)
        if a is not None:
            other.take(klero.want(a, 200).json)
            # a repeated one finds its session gone
            other.ask(Op(person.email, "logout", "POST", "/api/v1/auth/logout", extra=other.token), (204, 401))
        other.close()

    # --- the admin ---

    def _admin_turn(self, person, rng):
        if self.v2 and rng.random() < 0.4 and lives.turn(self, person, rng):
            return
        unsold = {op.extra for op in self.book.of("draw") if op.status == 409}
        waiting = [r for r in self.book.raffles().values() if r["state"] != "drawn" and r["id"] not in unsold]
        dice = rng.random()
        if len(waiting) < 3:
            self._create(person, rng)
        elif dice < 0.35:
            self._advance(person, rng, rng.choice(waiting))
        elif dice < 0.40:
            self._roles(rng)
        elif dice < 0.42:
            person.refresh()
        else:
            self._decide(person, rng)

    def _create(self, person, rng):
        body = {"title": f"t{rng.getrandbits(32):x}", "price": {"amount": PRICE, "currency": "EUR"},
                "capacity": rng.choice((50, 400, 100000)), "winners": rng.randint(1, 3), "reserves": rng.randint(0, 2),
                "format": "v1"}
        person.ask(Op(person.email, "create", "POST", "/api/v1/admin/raffles", body, self._key(rng)), (201,))

    def _advance(self, person, rng, raffle):
        """One step on in its life; an open one stays open for a while."""
        body = None
        if raffle["state"] == "draft":
            verb = "open"
        elif raffle["state"] == "open":
            if rng.random() < 0.7:
                return
            verb = "close"
        elif "entropy" not in raffle:
            verb, body = "entropy", {"entropy": f"{rng.getrandbits(64):016x}"}
        else:
            verb = "draw"
        # nobody may have bought, and then there is nothing to draw
        person.ask(Op(person.email, verb, "POST", f"/api/v1/admin/raffles/{raffle['id']}/{verb}", body,
                            self._key(rng), raffle["id"]), (200, 409))

    def _decide(self, person, rng):
        done = self.book.decided()
        pending = [op.json["id"] for op in self.book.of("deposit") if op.ok and op.json["id"] not in done]
        if not pending:
            time.sleep(0.01)
            return
        kind, deposit = "reject" if rng.random() < 0.1 else "confirm", rng.choice(pending)
        person.ask(Op(person.email, kind, "POST", f"/api/v1/admin/deposits/{deposit}/{kind}", None,
                            self._key(rng), deposit), (200,))

    def _roles(self, rng):
        email = rng.choice(self.book.players)
        roles = sorted(rng.sample(ROLES, rng.randint(0, 2)) + ["user"])
        op = self.book.add(Op(email, "roles", extra=roles))
        end = time.monotonic() + PATIENCE
        while not self.stopping.is_set():
            run = self.appliance.ctl("user", "roles", email, ",".join(roles), check=False)
            if run.returncode == 0:
                op.answered(200, b"", 0)
                return
            if time.monotonic() > end:
                raise klero.Failure(f"kleroctl user roles: {run.stderr}")
            time.sleep(0.02)


def settle_in(appliance, book):
    """The first life begins: an admin, players with money, a raffle that sells."""
    op = book.add(Op(book.admin, "admin"))
    appliance.ctl("admin", "create", book.admin, stdin=klero.PASSWORD + "\n")
    op.answered(200, b"", 0)
    load = Load(appliance, book, "settle")
    for email in book.players:
        person = load._person(email)
        person.register()
        person.login()
        person.close()
    admin = load._person(book.admin)
    admin.login()
    rng = random.Random("settle")
    for email in book.players:
        body = {"money": {"amount": 10_000_000, "currency": "EUR"}, "provider": "manual"}
        load._person(email).ask(Op(email, "deposit", "POST", "/api/v1/wallet/deposit", body, load._key(rng)), (202,))
    while len(book.decided()) < len(book.players):
        load._decide(admin, rng)
    load._create(admin, rng)
    load._advance(admin, rng, next(iter(book.raffles().values())))
    admin.close()


# --- does the appliance show what the book says? ---

class Check:
    """Everything that must hold after a fall. sample: how many older ops are replayed besides; settle:
    v2 raffles come to their end first."""

    def __init__(self, appliance, book, rng, sample=40, logins=True, settle=False):
        self.appliance, self.book, self.rng, self.sample, self.logins = appliance, book, rng, sample, logins
        self.people = {}
        self.replays = 0
        self.lives = lives.Lives(self, settle)

    def person(self, email):
        if email not in self.people:
            self.people[email] = Member(self.appliance, self.book, email)
        return self.people[email]

    def run(self, tmp):
        try:
            self.sessions()
            self.replay()
            self.registered()
            self.wallets_and_tickets()
            self.raffles(tmp)
            self.lives.run(tmp)
            self.profiles()
            while self.appliance.status()["ledger"] == "being checked":
                time.sleep(0.05)
            assert self.appliance.status()["ledger"] == "ok"
        finally:
            for p in self.people.values():
                p.close()

    def sessions(self):
        """The newest acknowledged tokens work; a session that has ended stays so."""
        for email in self.book.people():
            self.settle_session(email, self.person(email))
            klero.want(until_answered(lambda: self.person(email).get("/api/v1/auth/me")), 200)
        c = self.appliance.client()
        for op in [o for o in self.book.of("logout") if o.ok][-self.sample:]:
            c.token = op.extra
            assert until_answered(lambda: c.get("/api/v1/auth/me")).status == 401, f"a session that had ended: {op}"
        c.close()

    def settle_session(self, email, person):
        """What became of a refresh that nobody knows of: asked again soon it gives the same successor,
        later it ends the session."""
        unknown = [o for o in self.book.of("refresh") if o.who == email and o.ack is None]
        if unknown:
            person.again(unknown[0], (200, 401))
            self.book.drop(unknown[1:])
            person.renewed(unknown[0])
        elif self.book.ended(email):
            person.login()

    def replay(self):
        keyed = [o for o in self.book.of() if o.key]
        known = [o for o in keyed if o.ack is not None]
        old = known[:-200]
        wanted = set(map(id, known[-200:] + self.rng.sample(old, min(len(old), self.sample))))
        for op in keyed:
            if op.ack is None or id(op) in wanted:
                self._replay(op)

    def _replay(self, op):
        a = until_answered(lambda: self.person(op.who).call(op.method, op.path, op.body, idem=op.key))
        self.replays += 1
        if op.ack is None:
            assert a.status < 500 and a.status != 401, f"{op}: {a}"
            op.answered(a.status, a.body, 0)
            return
        if (a.status, a.body) != (op.status, op.raw):
            raise klero.Failure(f"an acknowledged answer changed: {op}: {a}")
        assert a.headers["Idempotent-Replayed"] == "true", f"{op} was done again: {a}"

    def registered(self):
        """One that was told of its account can log in."""
        known = [o for o in self.book.of("register") if o.ok]
        if not known or not self.logins or self.rng.random() < 0.7:
            return  # a password takes a core for a while
        op = self.rng.choice(known)
        c = self.appliance.client()
        klero.want(until_answered(lambda: c.post("/api/v1/auth/login", {"email": op.who, "password": klero.PASSWORD})), 200)
        c.close()

    def wallets_and_tickets(self):
        sold = self.book.tickets()
        for email in self.book.players:
            p = self.person(email)
            have, want = self._money(p)
            assert have == want, f"{email} has {have} and must have {want}"
            for raffle, said in self.book.raffles().items():
                if said["state"] == "draft":
                    continue  # not shown to players
                assert own_tickets(p, raffle) == sold[raffle][email], f"tickets of {email} in {raffle}"
        for raffle, owners in sold.items():
            indexes = sorted(i for tickets in owners.values() for i in tickets)
            assert indexes == list(range(len(indexes))), f"a ticket of {raffle} was sold twice or got lost: {indexes}"

    def _money(self, person):
        """What somebody has and must have, with the same raffles paid back before and after the look."""
        while True:
            refunded = self.lives.refunded()
            have = person.available()
            if refunded == self.lives.refunded():
                return have, self.book.money(person.email, refunded)

    def raffles(self, tmp):
        sold = self.book.tickets()
        commits = {o.json["id"]: o.json["seed_commit"] for o in self.book.of("open") if o.ok}
        listed, admin = self.book.raffles(), self.person(self.book.admin)
        for raffle, said in listed.items():
            shown = klero.want(until_answered(lambda: admin.get(f"/api/v1/raffles/{raffle}")), 200).json
            n = sum(map(len, sold[raffle].values()))
            assert shown["sold"] == n, f"{raffle}: {shown['sold']} sold, {n} tickets are known"
            if shown["state"] == "open":
                for x in (said, shown):
                    x.pop("sold"), x.pop("version")
            assert shown == said, f"raffle: said {said}, shown {shown}"
            if said["state"] == "drawn":
                self._proof(tmp, raffle, commits[raffle], n)

    def _proof(self, tmp, raffle, commit, tickets):
        path = tmp / "proof.json"
        path.write_bytes(klero.want(until_answered(lambda: self.person(self.book.admin).get(f"/api/v1/raffles/{raffle}/proof")), 200).body)
        run = self.appliance.verify(path, "-k", self.appliance.vkey, "-c", commit)
        assert run.returncode == 0 and "VERIFIED" in run.stdout, run
        assert len(json.loads(path.read_text())["leaves"]) == tickets

    def profiles(self):
        for email in self.book.players:
            me = klero.want(self.person(email).get("/api/v1/me"), 200).json
            names = {o.json["version"]: o.json["display_name"] for o in self.book.of("rename") if o.ok and o.who == email}
            if names:
                assert me["display_name"] == names[max(names)], f"{email}: {me}, told {names[max(names)]}"
            allowed = []
            for op in self.book.of("roles"):
                if op.who == email:
                    allowed = [op.extra] if op.ok else allowed + [op.extra]
            if allowed and any(o.ok for o in self.book.of("roles") if o.who == email):
                assert sorted(me["roles"]) in allowed, f"roles of {email}: {me['roles']}, told {allowed}"


def own_tickets(person, raffle):
    out, cursor = {}, ""
    while True:
        page = klero.want(person.get(f"/api/v1/raffles/{raffle}/tickets?limit=100{cursor}"), 200).json
        out.update({t["index"]: t["id"] for t in page["items"]})
        if not page["next_cursor"]:
            return out
        cursor = "&cursor=" + page["next_cursor"]


def every_page(appliance):
    """Every page's MAC, every transfer's sum, every balance, every link of the audit chain."""
    run = appliance.store_tool("check")
    if run.returncode:
        raise klero.Failure(f"store_tool check: {run.stderr}")
