"""Power loss at random points of a mixed load. Each round starts the real daemon on what a disk
may show after the one before, checks that every answer that had left is still true, works on, and
loses its power again."""

import collections
import pathlib
import random
import signal

import klero
import lives
import load
import pytest

pytestmark = pytest.mark.traced

CHAIN = 25  # rounds before a new store begins
SIDE = 3    # further cuts of the same record, only checked


def cut_point(rng, events, least):
    """Anywhere; more often where much is unsynced: shortly before a sync."""
    at = rng.randint(least, len(events))
    syncs = [i for i, e in enumerate(events) if e.kind == "sync" and i > least]
    if syncs and rng.random() < 0.6:
        at = max(least, rng.choice(syncs) - rng.randint(0, 12))
    return at


class Chain:
    """One store from its first start through many falls."""

    def __init__(self, app, rng, tmp, sabotage=None):
        self.app, self.rng, self.tmp, self.sabotage = app, rng, tmp, sabotage
        self.book = load.Book("admin@example.org", [f"p{i}@example.org" for i in range(4)])
        self.new = True
        self.how, self.replays, self.acks, self.rounds = collections.Counter(), 0, 0, 0
        app.put_back("new")

    def check(self, app, settle=False):
        c = load.Check(app, self.book, self.rng, settle=settle)
        c.run(self.tmp)
        self.replays += c.replays

    def live(self, seconds):
        """One life; what it leaves: the disk before it, the record, and where it may be cut."""
        before = self.app.start_recorded()
        if self.new:
            load.settle_in(self.app, self.book)
        else:
            self.check(self.app)
        settled = max(self.book.of(), key=lambda o: (o.ack == 0, o.number))
        work = load.Load(self.app, self.book, self.rng.getrandbits(32)).start()
        work.threads[0].join(seconds)
        work.stop()
        # the load may still wait for answers: it is cut off, not finished
        events = self.app.power_off()
        work.join()
        self.book.place_acks(events)
        if self.sabotage:
            before, events = self.sabotage(self, before, events)
        least = settled.ack if self.new else 0
        self.new = False
        return before, events, least

    def fall(self, disk, events, at):
        """The store becomes what the disk may show after event `at` (fed up to there)."""
        self.how[self.app.cut(disk, self.rng)] += 1
        # with it engine would make a new store where the old one is lost
        assert not at or not (self.app.store / "klero.new").exists(), "setup's word for a new store came back"
        self.book = self.book.until(at - 1)
        self.acks += sum(o.ack is not None for o in self.book.of())

    def round(self, seconds):
        """One life and its end; also other ends that it might have had, which are only checked."""
        disk, events, least = self.live(seconds)
        whole, fed = self.book, 0
        cuts = sorted(cut_point(self.rng, events, least) for _ in range(1 + SIDE))
        for i, at in enumerate(cuts):
            for e in events[fed:at]:
                disk.feed(e)
            fed, self.book = at, whole
            self.fall(disk, events, at)
            if i < SIDE:
                self.only_checked()
        return len(cuts)

    def only_checked(self, settle=False):
        self.app.start()
        self.check(self.app, settle)
        self.app.stop()
        load.every_page(self.app)


def test_power_loss(make, drand, rng, rounds, result, tmp_path):
    n = rounds(8)
    row = result("power loss", "the disk cut at random points of a mixed load, unsynced writes lost or torn", "rounds")
    app = make(*drand)
    app.keep("new")
    done, acks, replays, how, chain = 0, 0, 0, collections.Counter(), None
    while done < n:
        if chain is None or chain.rounds >= CHAIN:
            chain = Chain(app, rng, tmp_path)
        done += chain.round(rng.choice((0.1, 0.3, 0.6)))
        chain.rounds += 1
        if chain.rounds == CHAIN or done >= n:
            chain.only_checked(settle=True)
            acks, replays, how = acks + chain.acks, replays + chain.replays, how + chain.how
    print(f"{done} falls, {acks} answers, {replays} replays, {dict(how)}")
    row.write(count=done, failed=0, detail=f"{acks} acknowledged answers held against the store")


def scripted_life(app, book):
    """All that can be acknowledged, once: from the first start, which makes and migrates the store,
    to an orderly stop, which folds its log back."""
    before = app.start_recorded()
    load.settle_in(app, book)
    work = load.Load(app, book, "script")
    rng, email = random.Random("script"), book.players[0]
    player, admin = work._person(email), work._person(book.admin)
    raffle = next(iter(book.raffles()))
    for quantity in (1, 3):
        player.ask(load.Op(email, "buy", "POST", f"/api/v1/raffles/{raffle}/buy",
                                 {"quantity": quantity, "client_seed": "x"}, work._key(rng), raffle), (201,))
    player.refresh()
    work._rename(player, rng)
    for verb, body in (("close", None), ("entropy", {"entropy": "00c0ffee"}), ("draw", None)):
        admin.ask(load.Op(book.admin, verb, "POST", f"/api/v1/admin/raffles/{raffle}/{verb}", body, work._key(rng)), (200,))
    klero.want(admin.get(f"/api/v1/raffles/{raffle}/proof"), 200)
    lives.script(work, admin, player, rng)
    work._roles(rng)
    player.close()
    admin.close()
    events = app.stop_recorded()
    book.place_acks(events)
    return before, events


def test_power_loss_at_every_write_of_a_life(make, drand, rng, rounds, result, tmp_path):
    """The real daemon on the disk as it may be after each of its steps, or after some of them."""
    row = result("power loss at every step", "first start, open, amend, buy, close, draw, abort, forfeit, stop: the disk cut after each step",
                 "states")
    app = make(*drand)
    whole = load.Book("admin@example.org", ["p0@example.org"])
    disk, events = scripted_life(app, whole)
    assert any(e.kind == "write" and pathlib.Path(e.name).parent == app.journal for e in events)
    share, n = min(1, rounds(4) / len(events)), 0
    for at in range(len(events) + 1):
        if rng.random() < share or at == len(events):
            app.cut(disk, rng)
            app.start()
            load.Check(app, whole.until(at - 1).of_the_known(), rng, logins=False).run(tmp_path)
            app.stop(signal.SIGKILL)
            load.every_page(app)
            n += 1
        if at < len(events):
            disk.feed(events[at])
    print(f"{n} of {len(events)} steps")
    row.write(count=n, failed=0)


def unsynced(chain, before, events):
    """As a store with synchronous=OFF: nothing that SQLite has written is ever synced."""
    return before, [e for e in events if not (e.kind == "sync" and "klero.db-wal" in e.name)]


def early(chain, before, events):
    """As an engine that answers before it commits: each answer leaves when the turn before it has
    been synced."""
    syncs = [i for i, e in enumerate(events) if e.kind == "sync"]
    for op in chain.book.of():
        if op.ack is not None and op.ack >= 0:
            op.ack = ([0, 0] + [i for i in syncs if i < op.ack])[-2]
    return before, events


@pytest.mark.parametrize("sabotage", [unsynced, early])
def test_a_broken_promise_is_seen(make, rng, tmp_path, sabotage):
    """The test can fail: on a disk, and with an engine, that do not keep their word."""
    app = make()
    app.keep("new")
    with pytest.raises((AssertionError, klero.Failure)) as seen:
        chain = Chain(app, rng, tmp_path, sabotage)
        for _ in range(10):
            chain.round(0.3)
    print(f"{sabotage.__name__}: {str(seen.value)[:200]}")
