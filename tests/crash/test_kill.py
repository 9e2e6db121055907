"""kill -9 of one role, or of all at once, at random moments of a mixed load. Clients ask again under
their keys until they are answered; every answer stays true."""

import collections
import os
import signal
import socket
import time

import klero
import lives
import load

ROLES = ("net", "tlskey", "engine", "hsm", "kdf", "beacon", "out")
CHECK_EVERY = 50  # rounds; nothing that was lost comes back, so a later look finds it too


class Fall:
    """An appliance under load that is killed again and again."""

    def __init__(self, app, rng, tmp):
        self.app, self.rng, self.tmp = app, rng, tmp
        self.book = load.Book("admin@example.org", [f"p{i}@example.org" for i in range(4)])
        self.back = collections.defaultdict(list)
        self.load = self.watcher = None

    def begin(self):
        self.load = load.Load(self.app, self.book, self.rng.getrandbits(32)).start()
        self.watcher = lives.Watcher(self.app, self.book)

    def pause_and_check(self):
        """Everybody gets the answer that is due, then all is compared."""
        self.load.stopping.set()
        self.load.join()
        self.watcher.stop()
        unknown = [o for o in self.book.of() if o.ack is None]
        load.Check(self.app, self.book, self.rng, settle=True).run(self.tmp)
        return len(unknown)

    def kill_one(self, role):
        pids = self.app.roles()[role]
        if not pids:
            return  # it is just being replaced
        os.kill(self.rng.choice(pids), signal.SIGKILL)
        began = time.monotonic()
        until_ready(self.app, pids)
        self.back[role].append(time.monotonic() - began)

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
        self.app.wait_ready()
        self.back["all"].append(time.monotonic() - began)


def until_free(port):
    """A child that the parent was just starting ends a moment after it, and holds the listening
    socket until then; a supervisor waits for it too."""
    for _ in range(500):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return
            except OSError:
                time.sleep(0.005)
    raise klero.Failure(f"port {port} is still taken: something outlived the parent")


def until_ready(app, old):
    """Until a new process stands for the old one and sales and draws work."""
    end = time.monotonic() + load.PATIENCE
    while time.monotonic() < end:
        c = app.client(timeout=10)
        try:
            if c.get("/health/ready").status == 200 and not set(klero.children(app.process.pid)) >= set(old):
                return
        except (OSError, klero.http.client.HTTPException):
            pass
        finally:
            c.close()
        time.sleep(0.02)
    raise klero.Failure(f"not ready after {load.PATIENCE} s: {app.log()[-2000:]}")


def told(times):
    """What was measured, in words."""
    return ", ".join(f"{what} {sorted(t)[len(t) // 2] * 1000:.0f}/{max(t) * 1000:.0f} ms" for what, t in sorted(times.items()))


def test_kill(on_disk, rng, rounds, result, tmp_path):
    n = rounds(24)
    row = result("kill -9", "each role and all at once, at random moments of a mixed load", "rounds")
    fall = Fall(on_disk.start(), rng, tmp_path)
    load.settle_in(fall.app, fall.book)
    fall.begin()
    answers = 0
    for i in range(n):
        time.sleep(rng.random() * 0.3)
        victim = rng.choice(ROLES * 2 + ("all",))
        if victim == "all":
            fall.kill_all()
        else:
            fall.kill_one(victim)
        if (i + 1) % CHECK_EVERY == 0 or i + 1 == n:
            fall.pause_and_check()
            answers += sum(o.ack is not None for o in fall.book.of())
            if i + 1 < n:
                fall.begin()
    assert "killed by its sandbox" not in fall.app.log()
    fall.app.stop()
    load.every_page(fall.app)
    print(f"{n} rounds, {len(fall.book.of())} operations; back after, median/longest: {told(fall.back)}")
    row.write(count=n, failed=0, detail=f"{len(fall.book.of())} operations; back after (median/longest): {told(fall.back)}")
