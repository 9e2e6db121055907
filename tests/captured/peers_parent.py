"""Parent's children against parent: a running appliance whose programs are stand-ins. A stand-in
becomes the real program at once, unless there are orders for it: then it plays the child that parent
has started, says what the orders say, and waits for its end. Parent must end it, name it in the log,
start the real one in its place, and go on; what is legal it must bear."""

import json
import os
import pathlib
import re
import shutil
import time

from peers_lab import Breach, PROGRAM, RANK, TABLE, WAIT, packet, klero

# Reads like a role's main(): configuration, READY if so ordered, then the orders' packets.
STAND_IN = """#!/usr/bin/python3
import array, json, os, select, socket, sys
word, index = sys.argv[1], sys.argv[2]
orders = os.path.join(ORDERS, word + "." + index)
try:
    with open(orders) as f:
        todo = json.load(f)
    os.unlink(orders)
except OSError:
    os.execv(REAL, [REAL] + sys.argv[1:])
control = socket.socket(fileno=3)
control.recv(65552)
for word in todo["packets"]:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * todo["fds"]))] if todo["fds"] else []
    control.sendmsg([bytes.fromhex(word)], rights)
if todo["log"]:
    os.write(2, b"\\xff\\x1b[2J security no line\\r" * todo["log"])
while select.select([control], [], [])[0] and control.recv(65552):
    pass
"""


class Stage:
    def __init__(self, suite):
        self.suite, lab = suite, suite.lab
        self.bin, self.orders = lab.appliance.dir / "stand-ins", lab.appliance.dir / "orders"
        self.bin.mkdir(mode=0o755)
        self.orders.mkdir()
        for program in ("klerod", "kleroctl"):
            shutil.copy(lab.bin / program, self.bin)
        for program in set(PROGRAM.values()) - {""}:
            text = f"ORDERS, REAL = {str(self.orders)!r}, {str(lab.bin / program)!r}\n"
            (self.bin / program).write_text(STAND_IN.replace("import array", text + "import array", 1))
            (self.bin / program).chmod(0o755)
        with open(lab.appliance.conf, "a") as f:
            f.write("death-budget 100000/1\n")
        self.appliance = klero.Appliance(self.bin, lab.appliance.dir, port=lab.appliance.port)
        self.read = 0

    def log(self):
        return self.appliance.log()[self.read:]

    def wait_log(self, pattern):
        end = time.monotonic() + WAIT
        while not (found := re.search(pattern, self.log())):
            if time.monotonic() > end or self.appliance.process.poll() is not None:
                raise Breach(f"parent does not say {pattern}: {self.log()[-1500:]}")
            time.sleep(0.01)
        return found

    def last(self, word, index):
        """The process that was ready last, while it lives; or None."""
        ready = re.findall(rf" {word}\.{index}\[(\d+)\] is ready", self.appliance.log())
        return int(ready[-1]) if ready and pathlib.Path("/proc", ready[-1]).exists() else None

    def wait_back(self, word, index):
        end = time.monotonic() + WAIT
        while self.last(word, index) is None:
            if time.monotonic() > end:
                raise Breach(f"{word}.{index} does not come back: {self.log()[-1000:]}")
            time.sleep(0.01)

    @staticmethod
    def kill(pid):
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass  # it has been ended and reaped meanwhile

    def play(self, word, index, packets, fds=0, log=0):
        """One stand-in with these orders."""
        self.wait_back(word, index)
        self.read = len(self.appliance.log())
        orders = {"packets": [p.hex() for p in packets], "fds": fds, "log": log}
        path = self.orders / f"{word}.{index}"
        path.with_suffix(".new").write_text(json.dumps(orders))
        path.with_suffix(".new").rename(path)
        self.suite.messages += len(packets)
        end = time.monotonic() + WAIT
        while path.exists():  # until a fresh one has taken them
            if time.monotonic() > end:
                raise Breach(f"{word}.{index} is not started again: {self.log()[-1000:]}")
            pid = self.last(word, index)
            if pid is not None and path.exists():
                self.kill(pid)
            time.sleep(0.02)

    def is_ended(self, word, index):
        self.wait_log(rf"security {word}\.{index}\[\d+\] broke the protocol towards parent: killed")
        self.wait_back(word, index)

    def is_borne(self, word, index):
        """It is ready for parent, and lives until we end it."""
        pid = int(self.wait_log(rf" {word}\.{index}\[(\d+)\] is ready")[1])
        time.sleep(0.1)
        if "killed" in self.log().split("is ready", 1)[1] or not pathlib.Path("/proc", str(pid)).exists():
            raise Breach(f"parent ends {word}.{index} for what is legal: {self.log()[-800:]}")
        self.kill(pid)

    def children(self):
        """Those whose death is cheap, in turn; in the long form all."""
        dear = [("out", 0), ("beacon", 0), ("tlskey", 0), ("engine", 0), ("hsm", 0)] if self.suite.long else []
        while True:
            yield from [("kdf", 0), ("net", 0), ("kdf", 1), ("net", 1), *dear]

    def illegal(self, word, early):
        ready, least = TABLE.by_name[f"MSG_{word.upper()}_READY"].number, TABLE.by_name[f"MSG_{word.upper()}_READY"].least
        for m in TABLE.rows:
            # READY itself is illegal the second time
            if (m.sender, m.receiver) != (word, "parent") or (m.number == ready and not early):
                yield packet(m.number, bytes(m.least))
        yield from (packet(ready, bytes(least), version=2), packet(ready, bytes(2000)), packet(ready, length=1), packet(0xffff), packet(ready)[:7],
                    packet(ready, bytes(65537)))

    def attack(self):
        turn = self.children()
        suite = self.suite
        for early in (True, False):
            for i in range(1000 if suite.long else 4):
                word, index = next(turn)
                all_of = list(self.illegal(word, early))
                if i >= len(all_of):
                    break
                told = TABLE.by_name[f"MSG_{word.upper()}_READY"]
                ready = packet(told.number, bytes(told.least))
                bad = all_of[i] if suite.long else suite.rng.choice(all_of)
                self.play(word, index, [bad] if early else [ready, bad])
                self.is_ended(word, index)
        for word, index in (("kdf", 0), ("net", 0)):
            ready, pong = (packet(TABLE.by_name[f"MSG_{word.upper()}_{verb}"].number) for verb in ("READY", "PONG"))
            self.play(word, index, [ready], fds=1)
            self.is_ended(word, index)
            self.play(word, index, [ready] + [pong] * 2000)  # that nobody has asked for
            self.is_ended(word, index)
            self.play(word, index, [ready], log=20000)
            self.is_borne(word, index)

    def blames(self):
        """net has nobody below it, and kdf is engine's to blame, not net's."""
        for word, index in (("net", 0), ("kdf", 1)):
            name = f"MSG_{word.upper()}_"
            ready = packet(TABLE.by_name[name + "READY"].number)
            number = TABLE.by_name.get(name + "BLAME", TABLE.by_name["MSG_NET_BLAME"]).number
            for whom in self.suite.some(range(len(RANK)), 2):
                self.play(word, index, [ready, packet(number, bytes([whom, 0]) + b"\1\0\0\0")])
                self.is_ended(word, index)

    def run(self):
        a = self.appliance.start()
        try:
            self.attack()
            self.blames()
            a.wait_ready(WAIT)
            if not all(32 <= ord(c) < 127 or c == "\n" for c in a.log()):
                raise Breach("the log holds what is not printable")
        finally:
            status = a.stop()
        if status:
            raise Breach(f"klerod ended with {status}")


def run(suite):
    for r in list(suite.lab.alive):
        r.kill()
    Stage(suite).run()
