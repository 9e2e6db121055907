#!/usr/bin/python3
"""Which system calls the roles need: the profiles of sandbox/profiles.c against the truth.

    calls.py trace BUILD              every row is seen in a walk through all that the roles do
    calls.py minimal BUILD [ROLE...]  as trace; then, without any one of them something breaks
    calls.py sample BUILD [N]         as minimal, with N rows of each role, by chance
    calls.py short BUILD              one walk, and each row of kdf

TAP lines; root only. The programs are the product's, or the same with the hole of
tests/captured/roles_hole.c, by which a role is told to use its heap; BUILD/captured is made by `make
captured`, BUILD/tests by `make unit`. A row is taken away by a second filter that tests/tools/sift
loads before the role's own, so the product knows nothing of this.
"""

import collections
import json
import os
import pathlib
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import walk  # noqa: E402, it knows where the next two are
import beacon  # noqa: E402
import klero  # noqa: E402
import officers  # noqa: E402

LINES = klero.NO_LIMITS + ["death-budget 50/60"]
# How a walk is made: which programs, words for sift, lines of the configuration.
WALKS = {
    "plain": ("captured", [], []),
    "old kernel, hours later": ("captured", ["--no-vdso", "--later"], []),
    "keys in files": ("captured", ["--wide"], ["pkcs11-module {build}/tools/nocopy.so"]),
    "keys in files, old kernel, hours later": ("captured", ["--wide", "--no-vdso", "--later"],
                                               ["pkcs11-module {build}/tools/nocopy.so"]),
}
WORKERS = 1 + os.cpu_count()
# Where each reading of the time is a system call, as it is on many virtual machines.
SLOW_CLOCK = "old kernel, hours later"
SETUPS = {"keys made": [], "keys made, old kernel, hours later": ["--no-vdso", "--later"],
          "a database as token": ["--database"], "a database as token, old kernel": ["--database", "--no-vdso"]}
# Set where this has a network of its own: with IPv6, and a DNS server at [::1] that is the system's.
APART = "KLERO_CALLS_APART"
FORBIDDEN = "security forbidden system call "
# What keyadm is for: kleroctl setup, and what officers approve.
KEYADM_TESTS = ("test_keyadm", "test_approved")
DATABASE_TESTS = pathlib.Path(__file__).resolve().parents[1] / "system" / "test_token_database.py"


def not_here(row, why):
    """The reason why a row may go unseen here; None."""
    version = re.search(r'VERSION_ID="(\d+)"', pathlib.Path("/etc/os-release").read_text())[1]
    other = re.search(r"Debian (\d+)", why)
    if other and other[1] != version:
        return f"for Debian {other[1]}"
    if "IPv6" in why and APART not in os.environ:
        return "no network of its own with IPv6 here"
    return "kept without a test, see profiles.c" if "; kept" in why else None


def rows(build):
    """{"net fcntl 4": why, …}: what the profiles allow here."""
    out = subprocess.run([build / "tools" / "sift", "--list"], capture_output=True, text=True, check=True).stdout
    return {line.split("\t")[0]: line.split("\t")[2] for line in out.splitlines()}


class Lab:
    def __init__(self, build):
        self.build = build
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="klero-calls."))
        self.dir.chmod(0o711)
        self.count = self.bad = self.skipped = 0
        self.said = ""  # by the last life of keyadm that failed
        self.reported, self.lock = (0, 0, 0), threading.Lock()
        self.officer = officers.Officer(self.dir, "officer")
        self.relays = beacon.Beacon(self.dir / "relays", relays=2, nist=1, six=53 if APART in os.environ else None)

    def end(self):
        self.relays.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def say(self, good, text):
        with self.lock:
            self.count += 1
            self.bad += not good
            self.skipped += text.endswith("# SKIP")
            print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)

    def appliance(self, name, options):
        """A fresh appliance for a walk of that name; made once, then copied."""
        programs, words, lines = WALKS[name]
        template = self.dir / f"template-{list(WALKS).index(name)}"
        a = walk.Sifted(self.build, self.dir / "a", LINES + self.relays.lines(names=True) + [line.format(build=self.build) for line in lines],
                        programs=programs)
        if not template.exists():
            shutil.rmtree(a.dir, ignore_errors=True)
            a.provision()
            names = self.dir / "officers"
            names.write_text(self.officer.line)
            a.ctl("officer", "enrol", "1", names)
            shutil.move(a.dir, template)
        walk.copy(template, a.dir)
        a.port = klero.free_port()  # the template's may be somebody else's by now
        a.conf.write_text(re.sub(r"(?m)^listen .*$", f"listen 127.0.0.1:{a.port}", a.conf.read_text()))
        a.options, a.relays, a.officer = words + options, self.relays, self.officer
        return a

    def wrapped(self, options):
        """The folder of programs in which klerod and kleroctl run under sift, and note that they did."""
        programs = self.dir / "programs"
        shutil.rmtree(programs, ignore_errors=True)
        shutil.copytree(self.build / "bin", programs, copy_function=os.symlink)
        for name in ("klerod", "kleroctl"):
            words = " ".join(f"'{o}'" for o in [self.build / "tools" / "sift", *options, self.build / "bin" / name])
            (programs / name).unlink()
            (programs / name).write_text(f'#!/bin/sh\necho $$ >>{self.dir}/ran\nexec {words} "$@"\n')
            (programs / name).chmod(0o755)
        return programs

    def ran(self):
        """How many they were, counted from the last time that this was asked."""
        path = self.dir / "ran"
        n = len(path.read_text().split())
        path.unlink()
        return n

    def database(self, options):
        """The life of keyadm over NSS softoken, with what else may be at its database."""
        env = {**os.environ, "KLERO_BIN": str(self.wrapped(options)), "KLERO_MODULE": "nss", "TMPDIR": str(self.dir)}
        run = subprocess.run([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", DATABASE_TESTS],
                             env=env, capture_output=True, text=True)
        self.said = run.stdout + run.stderr
        return run.returncode == 0

    def setup(self, options):
        """The life of keyadm, under sift; False when something breaks."""
        if "--database" in options:
            return self.database(options)
        shutil.rmtree(self.dir / "s", ignore_errors=True)
        a = klero.Appliance(self.wrapped(options), self.dir / "s", LINES)
        try:
            a.provision()
        except klero.Failure as e:
            self.said = str(e)
            return False
        now = [o for o in options if o != "--later"]  # what is approved today is not for two hours later
        for t in KEYADM_TESTS:
            run = subprocess.run([self.build / "tools" / "sift", *now, self.build / "tests" / t], capture_output=True, text=True)
            if run.returncode:
                self.said = run.stdout + run.stderr
                return False
        return True


def trace(lab, setups, walks):
    """The walks, traced; {row: names of those that needed it}."""
    seen = collections.defaultdict(list)

    def collect(name, base):
        for path in lab.dir.glob(base + ".*"):
            for row in path.read_text().split("\n"):
                seen[row] += [name] if name not in seen[row] else []
            path.unlink()

    for name, options in setups.items():
        if not lab.setup([*options, "--trace", str(lab.dir / "setup")]):
            raise klero.Failure(f"keyadm fails: {name}\n{lab.said[-5000:]}")
        others = 0 if "--database" in options else len(KEYADM_TESTS)
        ran = lab.ran()
        klero.until(lambda: len([p for p in lab.dir.glob("setup.*") if p.suffix != ".new"]) == ran + others)
        collect(name, "setup")
    for name in walks:
        a = lab.appliance(name, ["--trace", str(lab.dir / "walk")])
        walk.Walk(a).go()
        klero.until(lambda: all((lab.dir / f"walk.{pid}").exists() for pid in a.pids))
        collect(name, "walk")
    seen.pop("", None)
    return dict(seen)


def check_trace(lab):
    seen, listed = trace(lab, SETUPS, WALKS), rows(lab.build)
    for row, why in listed.items():
        if row not in seen and not_here(row, why):
            lab.say(True, f"{row}: {not_here(row, why)} # SKIP")
        else:
            lab.say(row in seen, f"needed: {row}" + (f" ({seen[row][0]})" if row in seen else ": allowed and never made"))
    for row in sorted(set(seen) - set(listed)):
        lab.say(False, f"made and not allowed: {row}")
    return seen


def breaks(lab, row, name):
    """Does a walk without this row end in the death that names it?"""
    call = row.split()[1]
    if name in SETUPS:
        return not lab.setup([*SETUPS[name], "--without", row])
    a = lab.appliance(name, ["--without", row])
    # without write there are no last words
    line = "was killed by its sandbox" if call == "write" else f"{FORBIDDEN}{call} ("
    try:
        return walk.Walk(a).go(line)
    finally:
        a.stop(9)


def sampled(lab, seen, n):
    """So many of the rows of each role that a walk has needed."""
    by_role = {}
    for row in rows(lab.build):
        if row in seen:
            by_role.setdefault(row.split()[0], []).append(row)
    return {row for some in by_role.values() for row in random.sample(some, min(n, len(some)))}


def missed(lab, row, names):
    """Without this row one of these walks breaks, each of which has needed it once: (whether, how). What
    needs luck, such as the generator's next seed, may come about in the second only."""
    how = []
    for name in names:
        try:
            if breaks(lab, row, name):
                return True, name
            how.append(f"{name}: no")
        except Exception as e:  # it broke, but not of what was taken away
            how.append(f"{name}: {e!r}"[:200])
    return False, ", ".join(how)


def check_minimal(lab, roles, seen, only=None, workers=1):
    """workers: walks at a time; they mostly wait."""
    labs = [lab] + [Lab(lab.build) for _ in range(workers - 1)]
    free = queue.SimpleQueue()
    for one in labs:
        free.put(one)

    def check(item):
        row, why = item
        if row in seen:
            mine = free.get()
            good, how = missed(mine, row, seen[row])
            free.put(mine)
            lab.say(good, f"without {row} something breaks ({how})")
        elif not_here(row, why):
            lab.say(True, f"{row}: {not_here(row, why)} # SKIP")
        else:
            lab.say(False, f"{row} is never needed")

    asked = [(row, why) for row, why in rows(lab.build).items()
             if (not roles or row.split()[0] in roles) and (only is None or row in only)]
    try:
        klero.in_parallel(check, asked, workers)
    finally:
        for one in labs[1:]:
            one.end()


def check_short(lab):
    seen = trace(lab, {}, [SLOW_CLOCK])
    more = set(seen) - set(rows(lab.build))
    lab.say(not more, f"nothing is made that is not allowed: {more or len(seen)}")
    check_minimal(lab, ["kdf"], seen)


def report(lab, what):
    """The row of the attack table, when `make attack` asks for one: what was said since the last."""
    if "KLERO_ATTACK" not in os.environ:
        return
    release = re.search(r'PRETTY_NAME="(\w+ \S+ \d+)', pathlib.Path("/etc/os-release").read_text())[1].replace("GNU/Linux ", "")
    name = f"sandbox: {what}, {release}"
    tried = {"calls": "every allowed call seen in a walk through all that the roles do",
             "minimality": "the product's own roles without one of their calls at a time",
             "a sample of minimality": "of each role some rows by chance taken away, one at a time"}[what]
    now = (lab.count, lab.bad, lab.skipped)
    count, bad, skipped = (n - before for n, before in zip(now, lab.reported))
    lab.reported = now
    row = {"name": name, "tried": tried, "count": count - skipped, "unit": "rows", "failed": bad}
    if skipped:
        row["detail"] = f"{skipped} more for another release, or kept for a reason"
    path = pathlib.Path(os.environ["KLERO_ATTACK"], re.sub(r"\W+", "-", name) + ".json")
    path.write_text(json.dumps(row) + "\n")


def go_apart():
    """Starts this again in a network and with a resolv.conf of its own, where the system lets it."""
    beacon.install()  # from the network that is not to be had in there
    # inside a chroot, as tests/release.sh makes it, the root is no mount; its namespace is private already
    private = subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0
    enter = ["unshare", "--net", "--mount", "--propagation", "private" if private else "unchanged", "sh", "-euc", """
        ip link set lo up
        grep -q ' lo$' /proc/net/if_inet6
        file=$(mktemp)
        echo nameserver ::1 >"$file"
        mount --bind "$file" /etc/resolv.conf
        rm "$file"
        exec "$@" """, "apart"]
    if subprocess.run([*enter, "true"], capture_output=True).returncode == 0:
        os.environ[APART] = "1"
        os.execvp(enter[0], [*enter, sys.executable, *sys.argv])


def main():
    if APART not in os.environ:
        go_apart()
    what, build, more = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
    lab = Lab(build)
    try:
        if what == "short":
            check_short(lab)
        else:
            seen = check_trace(lab)
            report(lab, "calls")
        if what == "minimal":
            check_minimal(lab, more, seen, workers=WORKERS)
            if not more:
                report(lab, "minimality")
        elif what == "sample":
            check_minimal(lab, [], seen, sampled(lab, seen, int((more or ["2"])[0])), WORKERS)
            report(lab, "a sample of minimality")
    finally:
        lab.end()
    print(f"1..{lab.count}")
    sys.exit(lab.bad != 0)


if __name__ == "__main__":
    main()
