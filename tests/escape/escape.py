#!/usr/bin/python3
"""Every role of a running appliance is made to try what a captured process would try, one attempt
at a time, inside its real sandbox (tests/tools/inject.c): each must be refused or deadly, a death
must name its system call in the log, and the appliance must go on.

    escape.py BUILD
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

for folder in ("system", "beacon"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / folder))
import beacon  # noqa: E402
import klero  # noqa: E402

# hsm last: an engine that starts needs it, and one that cannot start is tried again ever more rarely
ROLES = ("engine", "net", "tlskey", "kdf", "out", "beacon", "hsm")
# Many deaths are the point here; the short window keeps the waiting before a new start short.
LINES = klero.NO_LIMITS + ["death-budget 100000/1"]
WAIT = 120

# What may be refused without killing: a library asks, and can live with the answer
# (sandbox/profiles.c); or Landlock decides by the path.
MAY_REFUSE = {
    "hsm": {"socket-inet", "socket-unix", "socket-netlink", "socket-packet", "socket-alg", "socket-vsock"},
    "engine": {"read-file", "read-proc", "write-file"},
}
# What a role is there for.
OWN = {"out": {"socket-inet", "connect"}}
# The kernel kills before the filter's trap could tell the log the name.
UNNAMED = {"x32-getpid"}


class Tally:
    """The TAP lines of all labs together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.count = self.bad = 0

    def say(self, good, text):
        with self.lock:
            self.count += 1
            self.bad += not good
            print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)


class Lab:
    """One appliance, and the attempts that are made in it."""

    def __init__(self, build, directory, tally, lines):
        self.inject = build / "tools" / "inject"
        self.appliance = klero.Appliance(build / "bin", directory, LINES + lines)
        self.say = tally.say
        self.lines = ""  # of the log, as far as read

    def log(self):
        with open(self.appliance.dir / "klerod.log", errors="replace") as f:
            f.seek(len(self.lines.encode()))
            self.lines += f.read()
        return self.lines

    def pid(self, role):
        """The first process of a role, once it is ready."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            ready = re.findall(rf" {role}\.0\[(\d+)\] is ready", self.log())
            if ready and pathlib.Path("/proc", ready[-1]).exists():
                return int(ready[-1])
            time.sleep(0.005)
        raise klero.Failure(f"{role} is not ready again\n{self.log()[-3000:]}")

    def in_log(self, line):
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            if line in self.log():
                return True
            time.sleep(0.005)
        return False

    def attempt(self, role, name):
        if role == "hsm":
            self.pid("engine")
        pid = self.pid(role)
        run = subprocess.run([self.inject, str(pid), name], capture_output=True, text=True, timeout=300)
        said = (run.stdout + run.stderr).strip()
        if said == "killed":
            good = self.in_log(f" security {role}.0[{pid}] was killed by its sandbox") and \
                (name in UNNAMED or self.in_log(f" {role}.0[{pid}] security forbidden system call "))
            said += "" if good else ", but the log does not name the call"
        else:
            good = said.startswith("refused ") and name in MAY_REFUSE.get(role, ())
        self.say(good, f"{role}: {name}: {said}")

    def run(self, names):
        self.appliance.provision().start()
        try:
            # in turn, so that one role is made again while the others try
            for name in names:
                for role in ROLES:
                    if name not in OWN.get(role, ()):
                        self.attempt(role, name)
            for role in ROLES:
                self.pid(role)
            self.appliance.wait_ready(WAIT)
            self.appliance.person()
            self.say(True, "the appliance has outlived it all")
        finally:
            status = self.appliance.stop()
        self.say(status == 0, f"and stops with status {status}")


def report(tally):
    """The row of the attack table, when somebody asks for one."""
    if "KLERO_ATTACK" in os.environ:
        row = {"name": "sandbox: escapes", "tried": "system calls that a captured process would try, in each running role",
               "count": tally.count, "unit": "attempts", "failed": tally.bad}
        pathlib.Path(os.environ["KLERO_ATTACK"], "sandbox-escapes.json").write_text(json.dumps(row) + "\n")


def main():
    build, tally = pathlib.Path(sys.argv[1]).resolve(), Tally()
    names = subprocess.run([build / "tools" / "inject", "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tempfile.TemporaryDirectory(prefix="klero-escape.") as directory:
        pathlib.Path(directory).chmod(0o711)
        relays = beacon.Beacon(pathlib.Path(directory) / "relays")
        # a start of a role is waiting, mostly: another appliance has its attempts meanwhile
        many = 1 + os.cpu_count()
        try:
            klero.in_parallel(lambda n: Lab(build, pathlib.Path(directory) / f"a{n}", tally, relays.lines()).run(names[n::many]),
                              range(many), many)
        finally:
            relays.stop()
    print(f"1..{tally.count}")
    report(tally)
    sys.exit(tally.bad != 0)


main()
