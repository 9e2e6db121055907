"""kill -9 of one role, or of all at once, at random moments of a mixed load. Clients ask again under
their keys until they are answered; every answer stays true.

How soon it is back is measured by one who was not in the load: from the kill to the first good answer
on a new connection to a question that needs what was killed. A refresh needs net, tlskey, engine, its
store and hsm; a login needs kdf as well, and the time that a password takes; out and beacon answer
nobody, so they are back when a refresh is answered and a new process stands for the old one."""

import collections
import os
import signal
import socket
import time

import klero
import lives
import load

ROLES = ("net", "tlskey", "engine", "hsm", "kdf", "beacon", "out")
UNSEEN = ("out", "beacon")
CHECK_EVERY = 50  # rounds; nothing that was lost comes back, so a later look finds it too


class Fall:
    """An appliance under load that is killed again and again."""

    def __init__(self, app, rng, tmp):
        self.app, self.rng, self.tmp = app, rng, tmp
        self.book = load.Book("admin@example.org", [f"p{i}@example.org" for i in range(4)])
        self.back, self.calm = collections.defaultdict(list), []
        self.load = self.watcher = self.prober = None

    def settle_in(self):
        load.settle_in(self.app, self.book)
        # not of the book: nothing is compared about him but that he is answered
        self.prober = load.Member(self.app, load.Book(), "prober@example.org")
        self.prober.register()
        self.prober.login()
        self.prober.close()

    def begin(self):
        self.load = load.Load(self.app, self.book, self.rng.getrandbits(32)).start()
        self.watcher = lives.Watcher(self.app, self.book)

    def stop(self):
        """Nobody begins anything new."""
        self.load.stop()
        self.watcher.stopping.set()

    def pause_and_check(self):
        """Everybody gets the answer that is due, then all is compared."""
        self.stop()
        self.load.join()
        self.watcher.stop()
        load.Check(self.app, self.book, self.rng, settle=True).run(self.tmp)

    def rounds(self, n):
        self.begin()
        for done in range(1, n + 1):
            time.sleep(self.rng.random() * 0.3)
            victim = self.rng.choice(ROLES * 2 + ("all",))
            if victim == "all":
                self.kill_all()
            else:
                self.kill_one(victim)
            if done == n or done % CHECK_EVERY == 0:
                self.pause_and_check()
                print(f"{done} rounds: {self.told()}")
            if done < n and done % CHECK_EVERY == 0:
                self.begin()

    def kill_one(self, role):
        pids = self.app.roles()[role]
        if not pids:
            return  # it is just being replaced
        victim = self.rng.choice(pids)
        if role == "kdf":
            self.calm.append(self.answered(role))
        began = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        self.until_back(role, began)
        while len(now := self.app.roles()[role]) < len(pids) or victim in now:
            assert time.monotonic() - began < load.PATIENCE, f"{role} is not replaced: {self.app.log()[-2000:]}"
            time.sleep(0.005)
        if role in UNSEEN:
            self.back[role][-1] = time.monotonic() - began

    def kill_all(self):
        """All at the same moment. The parent is the first, or it would begin to replace the others."""
        pids = [p for of_role in self.app.roles().values() for p in of_role]
        self.rng.shuffle(pids)
        began = time.monotonic()
        for pid in [self.app.process.pid] + pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # with its parent
        self.app.stop(signal.SIGKILL)
        until_free(self.app.port)
        self.app.start()
        self.until_back("all", began)

    def until_back(self, role, began):
        self.answered(role)
        self.back[role].append(time.monotonic() - began)

    def answered(self, role):
        """How long the prober waits for an answer that needs this role, again and again as everybody."""
        began = time.monotonic()
        ask = self.prober.login if role == "kdf" else self.prober.refresh
        self.prober.close()
        assert ask() is not None
        return time.monotonic() - began

    def told(self):
        """What was measured, in words: median, 99th percentile and longest."""
        return f"{of([x for t in self.back.values() for x in t])}; " + ", ".join(
            f"{what} {of(t)}" for what, t in sorted(self.back.items())) + f"; a login without a fall {of(self.calm)}"


def of(times):
    t = sorted(times)
    return "/".join(f"{t[min(len(t) - 1, int(len(t) * q))] * 1000:.0f}" for q in (0.5, 0.99, 1)) + f" ms of {len(t)}" if t else "-"


def until_free(port):
    """A child that the parent was just starting ends a moment after it, and holds the listening
    socket until then; a supervisor waits for it too."""
    for _ in range(12000):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return
            except OSError:
                time.sleep(0.005)
    raise klero.Failure(f"port {port} is still taken: something outlived the parent")


def test_kill(on_disk, rng, rounds, result, tmp_path):
    n = rounds(24)
    row = result("kill -9", "each role and all at once, at random moments of a mixed load", "rounds")
    fall = Fall(on_disk.start(), rng, tmp_path)
    fall.settle_in()
    try:
        fall.rounds(n)
    finally:
        fall.stop()
    assert not fall.app.sandbox_deaths()
    fall.app.stop()
    load.every_page(fall.app)
    said = f"{len(fall.book.of())} operations; to the first good answer, median/p99/longest: {fall.told()}"
    print(f"{n} rounds, {said}")
    row.write(count=n, failed=0, detail=said)
