"""Keys that turn over while the doors stay open: what clients notice of it, and what the hsm role costs
over its module. Two sections of bench.py:

	rotation    the sales load alone, and with one purpose's key rotated in the middle of it, in turn
	hsm         tests/tools/bench_hsm
"""

import json
import os
import pathlib
import re
import subprocess
import threading
import time

import servers

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUY = '{"quantity":1}'
ROTATE_SECONDS = int(os.environ.get("BENCH_ROTATE_SECONDS", "8"))
BEFORE = 2      # seconds of load before the last approval
PATIENCE = 60


def purposes():
    return re.findall(r'X\(KEY_\w+, "(\w+)"', (ROOT / "policy" / "purpose.h").read_text())


class Officers:
    """Two, both of whom must approve; their keys are OpenSSH's, their approvals ssh-keygen's."""

    def __init__(self, klerod, folder):
        import klero
        import officers
        self.a = klerod.a
        self.people = [officers.Officer(folder, name) for name in ("alice", "bob")]
        names = folder / "officers"
        names.write_text("".join(o.line for o in self.people))
        self.a.stop()
        self.a.ctl("officer", "enrol", "2", str(names))
        self.a.start()
        klero.until(self.known)

    def known(self):
        run = self.a.ctl("key", "list", check=False)
        return run.returncode == 0 and json.loads(run.stdout)["known"]

    def propose(self, purpose):
        """All but the last approval: (number, the last signature)."""
        end = time.monotonic() + PATIENCE
        while not self.known() and time.monotonic() < end:
            time.sleep(0.1)
        number = self.a.ctl("key", "rotate", purpose).stdout.strip()
        text = self.a.ctl("proposal", "show", number).stdout
        self.a.ctl("proposal", "approve", number, stdin=self.people[0].sign(text))
        return number, self.people[1].sign(text)

    def state(self, number):
        return next(p["state"] for p in json.loads(self.a.ctl("proposal", "list").stdout) if p["id"] == number)


class Turn(threading.Thread):
    """The last approval in the middle of a load, and how long it takes until the key is in use."""

    def __init__(self, officers, number, signature):
        super().__init__()
        self.officers, self.number, self.signature = officers, number, signature
        self.took = None

    def run(self):
        time.sleep(1 + BEFORE)  # the load has a second of its own before it counts
        began = time.monotonic()
        self.officers.a.ctl("proposal", "approve", self.number, stdin=self.signature)
        while time.monotonic() < began + PATIENCE:
            if self.officers.state(self.number) in ("done", "failed") and self.officers.known():
                self.took = time.monotonic() - began
                return
            time.sleep(0.2)


def rotation(bench, rounds):
    """{purpose: [{"alone": run, "rotated": run, "took_s": seconds}]}"""
    k = bench.klerod(lines=["token-publish 1"])
    folder = bench.folder / "officers"
    folder.mkdir()
    who = Officers(k, folder)
    k.furnish()

    def buy():
        return bench.load.one(k, f"buy:1:POST+:{k.buy_path()}:{BUY}", ROTATE_SECONDS, tokens=k.tokens)

    out = {}
    for n in range(rounds):
        for purpose in purposes():
            k.login()
            row = {"alone": buy()}
            number, signature = who.propose(purpose)
            turn = Turn(who, number, signature)
            turn.start()
            row["rotated"] = buy()
            turn.join()
            state = who.state(number)
            if state != "done":
                raise servers.klero.Failure(f"{purpose} was not rotated: {state}")
            row["took_s"] = turn.took
            out.setdefault(purpose, []).append(row)
            print(f"round {n + 1}: {purpose}: {row['alone']['per_second']:,.0f}/s, p99 {row['alone']['p99_ms']:.1f} ms, "
                  f"slowest {row['alone']['max_ms']:.1f} ms; rotated "
                  f"{row['rotated']['per_second']:,.0f}/s, slowest {row['rotated']['max_ms']:.1f} ms, lost {row['rotated']['lost']}",
                  flush=True)
    return out


def hsm(bench, rounds, seconds):
    run = subprocess.run([bench.build / "tools" / "bench_hsm", str(rounds), str(max(1, seconds // 2))], check=True,
                         capture_output=True, text=True)
    return json.loads(run.stdout)
