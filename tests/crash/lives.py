"""v2 raffles in the mixed load of the crash tests, and what must hold of them after a fall.

They go on by themselves while nobody looks: they close, wait for a round of a drand chain of our own, draw
or are void at their deadline. So no answer says how they stand now; what they have been through is in the
operator log, which an auditor (klero-verify --log) reads with what earlier audits saw:

- what was acknowledged is there: an opening, an amend, an abort, a draw, a forfeit each is a record;
- each once, and an opening has one end at most;
- no log is ever smaller than an auditor has seen it, or other;
- who bought has a ticket with a receipt that verifies, or the money back, once."""

import calendar
import collections
import http.client
import subprocess
import threading
import time

import klero
import load
import tlog

DELAY = 6      # seconds to the round that a raffle waits for; hsm must hear of its close in between
DEADLINE = 15  # seconds from there on: a fall may have taken longer than that
AT_ONCE = 5
VERBS = ("open", "amend", "close", "abort", "draw", "forfeit")
# no fault of anybody: it has gone on meanwhile, or what it waits for is not there
REFUSED = (200, 409, 422)


def stamp(at_s):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at_s))


def kind(verb):
    """The kind of an op in the book: v1's have the verb's own name."""
    return "v2-" + verb


# --- the load ---

def raffles(book):
    """{id: the end of sales when it was made}, in that order."""
    return {op.json["id"]: op.extra for op in book.of(kind("create")) if op.ok}


def on_sale(book):
    now = time.time()
    opened = {op.extra for op in book.of(kind("open")) if op.ok}
    return [r for r, close in raffles(book).items() if r in opened and close > now]


def turn(work, person, rng):
    """One act of the admin; False where there is none to do now."""
    book, now = work.book, time.time()
    ended = {op.extra for op in book.of(kind("abort"), kind("forfeit")) if op.status is not None}
    living = {r: close for r, close in raffles(book).items() if close + DELAY + DEADLINE > now and r not in ended}
    if len(living) < AT_ONCE:
        return create(work, person, rng)
    raffle = rng.choice(list(living))
    if raffle not in {op.extra for op in book.of(kind("open")) if op.status is not None}:
        return act(work, person, rng, raffle, "open")
    if now < living[raffle]:
        dice = rng.random()
        if dice < 0.15:
            later = int(living[raffle]) + rng.randint(1, 3)
            return act(work, person, rng, raffle, "amend", {"sales_close": stamp(later), "draw_deadline": stamp(later + DELAY + DEADLINE)})
        if dice < 0.40:
            return act(work, person, rng, raffle, rng.choice(("close", "abort")))
        return False
    dice = rng.random()
    if dice < 0.2:
        return act(work, person, rng, raffle, "draw")
    if dice < 0.25:
        return act(work, person, rng, raffle, "abort")
    if dice < 0.5 and now > living[raffle] + DELAY + 2:
        return act(work, person, rng, raffle, "forfeit", {"rule": "not-claimed", "evidence": "a letter", "winner": 1})
    return False


def create(work, person, rng, lasts=None):
    close = int(time.time()) + (lasts or rng.randint(4, 8))
    body = {"title": f"v{rng.getrandbits(32):x}", "price": {"amount": load.PRICE, "currency": "EUR"}, "capacity": 100000,
            "winners": rng.randint(1, 3), "reserves": rng.randint(0, 2), "format": "v2", "sales_close": stamp(close),
            "draw_deadline": stamp(close + DELAY + DEADLINE)}
    op = load.Op(person.email, kind("create"), "POST", "/api/v1/admin/raffles", body, work._key(rng), close)
    # a slow machine may have come to its end of sales
    return person.ask(op, (201, 409)) is not None


def act(work, person, rng, raffle, verb, body=None):
    if verb == "abort":
        body = {"reason": f"w{rng.getrandbits(32):x}", "statement": "We are sorry."}
    op = load.Op(person.email, kind(verb), "POST", f"/api/v1/admin/raffles/{raffle}/{verb}", body, work._key(rng), raffle)
    return person.ask(op, REFUSED) is not None


def script(work, admin, player, rng):
    """Two lives from their creation to each end, all that can be acknowledged once."""
    def step(raffle, verb, body=None):
        op = load.Op(admin.email, kind(verb), "POST", f"/api/v1/admin/raffles/{raffle}/{verb}", body, work._key(rng), raffle)
        admin.ask(op, (200,))

    for lasts, end in ((600, "abort"), (15, "forfeit")):
        create(work, admin, rng, lasts)
        raffle = list(raffles(work.book))[-1]
        step(raffle, "open")
        if end == "abort":
            step(raffle, "amend", {"sales_close": stamp(int(time.time()) + 900)})
        player.ask(load.Op(player.email, "buy", "POST", f"/api/v1/raffles/{raffle}/buy", {"quantity": 3}, work._key(rng), raffle), (201,))
        if end == "abort":
            step(raffle, "abort", {"reason": "no-more", "statement": "We are sorry."})
            continue
        patience = time.monotonic() + load.PATIENCE
        while klero.want(load.until_answered(lambda: admin.get(f"/api/v1/raffles/{raffle}")), 200).json["state"] != "drawn":
            assert time.monotonic() < patience, raffle
            time.sleep(0.2)
        step(raffle, "forfeit", {"rule": "not-claimed", "evidence": "a letter", "winner": 1})


# --- what is seen while everything dies ---

class Watcher:
    """Reads the checkpoints of all logs, again and again, as any witness may: none shrinks, none is of
    another tree than one of that size before."""

    def __init__(self, appliance, book):
        self.app, self.book, self.seen, self.errors = appliance, book, {}, []
        self.looks, self.stopping = 0, threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        client = self.app.client(timeout=5)
        while not self.stopping.wait(0.05) and not self.errors:
            for path in ["/checkpoint"] + [f"/r/{r}/checkpoint" for r in raffles(self.book)]:
                try:
                    a = client.get(path)
                except (OSError, http.client.HTTPException):
                    client.close()
                    continue
                if a.status == 200:
                    self._look(path, a.body)
        client.close()

    def _look(self, path, note):
        _, size, root, *_ = note.decode().split("\n")
        before = self.seen.get(path, (0, None))
        self.looks += 1
        if int(size) < before[0] or (int(size) == before[0] and before[1] not in (None, root)):
            self.errors.append(f"{path}: {size} {root} after {before}")
        self.seen[path] = int(size), root

    def stop(self):
        self.stopping.set()
        self.thread.join()
        assert not self.errors, self.errors
        assert self.looks > 0


# --- the check ---

Record = collections.namedtuple("Record", "kind lines")


class Lives:
    """Of one check (load.Check). settle: wait for the end of each raffle first."""

    def __init__(self, check, settle):
        self.check, self.app, self.book, self.settle = check, check.appliance, check.book, settle
        self.admin = check.person(check.book.admin)

    def shown(self, raffle):
        return klero.want(load.until_answered(lambda: self.admin.get(f"/api/v1/raffles/{raffle}")), 200).json

    def rests(self, raffle):
        """Once it is not between an abort and its last refund; when settling, once it has ended."""
        end = time.monotonic() + load.PATIENCE
        while True:
            r = self.shown(raffle)
            if not (r["state"] == "aborted" and "refunded_at" not in r) and \
                    not (self.settle and r["state"] in ("open", "closed")):
                return r
            assert time.monotonic() < end, f"{raffle} does not come to an end: {r}\n{self.app.log()[-3000:]}"
            time.sleep(0.1)

    def all(self):
        return {r: self.rests(r) for r in raffles(self.book)}

    def refunded(self):
        """Those whose holders have all been paid back."""
        return frozenset(r for r, shown in self.all().items() if shown["state"] == "aborted")

    def run(self, tmp):
        if not raffles(self.book):
            return
        self.audit(tmp)
        shown, log, money = self.moment()
        for raffle, r in shown.items():
            self.records(raffle, r, log[raffle.replace("-", "")])
            self.money(raffle, r, money)
            self.receipt(raffle, tmp)

    def moment(self):
        """What is shown of all raffles, their records in the log, and the wallets' entries, of one moment."""
        end = time.monotonic() + load.PATIENCE
        while True:
            shown = self.all()
            log = self.log()
            money = {email: self.entries(email) for email in self.book.players}
            behind = self.settle and any(len(log[r.replace("-", "")]) < len(s.get("records", ())) for r, s in shown.items())
            if not behind and shown == {r: self.shown(r) for r in shown}:
                return shown, log, money
            assert time.monotonic() < end, f"the log stays behind: {shown} {log}"

    # --- the logs ---

    def audit(self, tmp):
        """As somebody who was there before: what he saw then is still so."""
        seen, state = [op for op in self.book.of("audit") if op.ok], tmp / "audit.state"
        state.unlink(missing_ok=True)
        if seen:
            state.write_bytes(seen[-1].extra)
        run = subprocess.run([self.app.bin / "klero-verify", "--log", f"https://127.0.0.1:{self.app.port}", "--ca", self.app.ca,
                              "-k", self.app.vkey, "--state", state], capture_output=True, text=True, timeout=300)
        assert run.returncode == 0 and run.stdout.endswith("AUDITED\n"), run
        # where the next answer is in the record of the disk, this audit is too
        who = self.book.players[0]
        body = {"money": {"amount": 1, "currency": "EUR"}, "provider": "manual"}
        mark = self.book.add(load.Op(who, "deposit", "POST", "/api/v1/wallet/deposit", body, f"audit-{time.time_ns()}"))
        a = load.until_answered(lambda: self.check.person(who).call(mark.method, mark.path, mark.body, idem=mark.key))
        for op in (mark, self.book.add(load.Op(who, "audit", extra=state.read_bytes()))):
            op.answered(klero.want(a, 202).status, a.body, 0)

    def get(self, path):
        return klero.want(load.until_answered(lambda: self.admin.get("/" + path)), 200).body

    def leaves(self, prefix=""):
        size = int(self.get(prefix + "checkpoint").split(b"\n")[1])
        return [e for n, width in tlog.parts(size) for e in tlog.entries(self.get(prefix + tlog.tile("entries", n, width)))]

    def log(self):
        """{raffle: [Record]} of the operator log, in its order."""
        out = collections.defaultdict(list)
        for text in self.leaves():
            lines = text.decode().split("\n")
            raffle = next(x.split(" ")[1] for x in lines if x.startswith("raffle "))
            out[raffle].append(Record(lines[0].split(" ")[1], lines))
        return out

    # --- one raffle ---

    def records(self, raffle, shown, log):
        """Each step is recorded once; the log is a moment behind what is shown at most."""
        have, logged = collections.Counter(r["kind"] for r in shown.get("records", ())), collections.Counter(r.kind for r in log)
        state = shown["state"]
        assert not logged - have and (logged == have or not self.settle), (shown, log)
        assert have["open"] == (state != "draft") and have["close"] <= 1, shown
        assert have["draw"] == (state == "drawn") and have["abort"] == (state == "aborted"), shown
        for verb in VERBS:
            asked = [op for op in self.book.of(kind(verb)) if op.extra == raffle]
            done, many = [op for op in asked if op.ok], verb in ("amend", "forfeit")
            assert (len(done) if many else min(1, len(done))) <= have[verb], (verb, shown, asked)
            assert not many or have[verb] <= len(asked), (verb, shown, asked)
            for op in done:
                line = {"amend": lambda b: f"sales-close {unix(b['sales_close'])}", "abort": lambda b: f"reason {b['reason']}"}.get(verb)
                assert line is None or logged[verb] < have[verb] or any(line(op.body) in r.lines for r in log if r.kind == verb), (op, log)

    def entries(self, email):
        """{raffle: amounts paid back} of one wallet."""
        out, cursor, person = collections.defaultdict(list), "", self.check.person(email)
        while True:
            page = klero.want(load.until_answered(lambda: person.get(f"/api/v1/wallet/entries?limit=100{cursor}")), 200).json
            for e in page["items"]:
                if e["kind"] == "refund":
                    out[e["reference_id"]].append(e["money"]["amount"])
            if not page["next_cursor"]:
                return out
            cursor = "&cursor=" + page["next_cursor"]

    def money(self, raffle, shown, money):
        """Who bought has all of it back, once, or nothing."""
        for email in self.book.players:
            bought = sum(op.json["cost"]["amount"] for op in self.book.of("buy") if op.ok and op.who == email and op.extra == raffle)
            want = [bought] if shown["state"] == "aborted" and bought else []
            assert money[email][raffle] == want, (email, raffle, bought, money[email][raffle])

    def receipt(self, raffle, tmp):
        """Of one of its tickets."""
        sold = [(op.who, t) for op in self.book.of("buy") if op.ok and op.extra == raffle for t in op.json["tickets"]]
        if not sold:
            return
        email, ticket = self.check.rng.choice(sold)
        end = time.monotonic() + load.PATIENCE
        while True:
            a = load.until_answered(lambda: self.check.person(email).get(f"/api/v1/tickets/{ticket['id']}/receipt"))
            if a.status == 200:
                break
            assert time.monotonic() < end, a
        leaf = self.leaves(f"r/{raffle}/")[ticket["index"]]
        (tmp / "receipt").write_bytes(a.body)
        run = subprocess.run([self.app.bin / "klero-verify", "--receipt", tmp / "receipt", "--leaf", leaf.hex(), "-k", self.app.vkey],
                             capture_output=True, text=True, timeout=300)
        assert run.returncode == 0 and f"number {ticket['index']} of raffle" in run.stdout, run


def unix(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S.000Z"))
