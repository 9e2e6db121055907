#!/usr/bin/python3
"""Runs the fuzz targets: some seconds each in `make check`, or an hour and more (`make fuzz-long`).

	fuzz.py short BUILD            a minute over all targets together, from the seeds
	fuzz.py long BUILD [TARGET…]   FUZZ_SECONDS each, the corpora kept in BUILD/corpus
	fuzz.py merge BUILD [TARGET…]  takes what is new in the corpora into tests/fuzz/seeds
	fuzz.py coverage BUILD [TARGET…]  the lines that seeds and corpora reach, per file of the product,
	                               for a BUILD with clang's coverage counters

	JOBS=N           targets at once (short: all processors; long: one)
	FUZZ_SECONDS=N   long: processor seconds for each target (3600); short: seconds in all (60)
	FUZZ_UNTIL=HH:MM long: begin nothing after the next time that the clock says so

Time is the processor's: a run at idle priority that was stopped for a while has done nothing in
that while. So an input that took long counts only if it does so again, alone. The targets take
turns, and what was reached is kept in BUILD/long.json, so a long run goes on where it ended.
One line per target; the exit status is the number of targets that found something.
"""

import concurrent.futures
import datetime
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
SLICE = 120         # seconds of one turn of a target
HANG = 20           # processor seconds that one input may take
SEED_MAX = 4096     # bytes of a seed worth keeping
SEEDS_MAX = 100     # new ones of a target: of more, some of every size
IDLE = os.sched_param(0)
SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # some targets make a store per input


def targets(build, names):
    found = sorted(p.name for p in (build / "fuzz").glob("fuzz_*") if os.access(p, os.X_OK) and not p.suffix)
    wrong = [n for n in names if n not in found]
    if wrong or not found:
        raise SystemExit(f"fuzz: not in {build}/fuzz: {' '.join(wrong) or 'any target'}")
    return [n for n in found if not names or n in names]


class Target:
    def __init__(self, build, name, work):
        self.name, self.binary = name, build / "fuzz" / name
        self.seeds, self.dict = HERE / "seeds" / name, HERE / f"{name}.dict"
        self.work = work / name
        self.work.mkdir()

    def run(self, arguments, limit, idle=True):
        """Its output, status and processor time. Its own temporary files go with the folder."""
        # a short path: a token's folder adds much to it
        tmp = pathlib.Path(tempfile.mkdtemp(prefix="t", dir=self.work.parent))

        def before():
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
            if idle:
                os.sched_setscheduler(0, os.SCHED_IDLE, IDLE)

        with open(tmp / "log", "w+", errors="replace") as log:
            p = subprocess.Popen([self.binary, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 preexec_fn=before, env={**os.environ, "TMPDIR": str(tmp)})
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            log.seek(0)
            said = log.read()
        shutil.rmtree(tmp, ignore_errors=True)
        return said, p.returncode, usage.ru_utime + usage.ru_stime

    def holds(self, path):
        """Does an input that was complained of fail again, alone?"""
        said, status, _ = self.run([path], HANG)
        return (said, status) if status else None

    def fuzz(self, corpus, seconds, idle=True):
        """One turn. Findings are (file, words) with the file in the target's own folder."""
        arguments = [f"-max_total_time={seconds}", "-timeout=1800", "-rss_limit_mb=2048", "-print_final_stats=1",
                     "-report_slow_units=1800", "-len_control=10", f"-artifact_prefix={self.work}/"]
        if self.dict.exists():
            arguments.append(f"-dict={self.dict}")
        arguments += [p for p in (corpus, self.seeds) if p.is_dir()]
        said, status, cpu = self.run(arguments, seconds + HANG + 60, idle)
        found, late = [], False
        for path in sorted(p for p in self.work.iterdir() if p.is_file()):
            again = self.holds(path)
            if again:
                found.append((path, again[0][-3000:]))
            else:
                late |= path.name.startswith("timeout-")  # the run was stopped for as long
                path.unlink()
        if status and not found and not late:
            # without an input that shows it again: too much memory in all, an endless input, its own start
            found.append((None, f"status {status}\n{said[-3000:]}"))
        runs = re.findall(r"^stat::number_of_executed_units: (\d+)", said, re.M)
        edges = re.findall(r"\bcov: (\d+) ft: (\d+)", said)
        return {"cpu": cpu, "runs": int(runs[-1]) if runs else 0, "edges": int(edges[-1][0]) if edges else 0,
                "features": int(edges[-1][1]) if edges else 0, "found": found}


def report(kind, tally, failed, words):
    """The row of the attack table, when somebody asks for it."""
    if os.environ.get("KLERO_ATTACK"):
        row = {"name": "fuzzing", "tried": f"libFuzzer with ASan and UBSan, {len(tally)} targets ({kind})",
               "count": sum(t["runs"] for t in tally.values()), "unit": "inputs", "failed": failed, "detail": words}
        (pathlib.Path(os.environ["KLERO_ATTACK"]) / "fuzz.json").write_text(json.dumps(row) + "\n")


def short(build, names):
    """TAP lines, one per target."""
    names = targets(build, names)
    jobs = int(os.environ.get("JOBS") or os.cpu_count())
    seconds = max(1, int(float(os.environ.get("FUZZ_SECONDS") or 60) * jobs / len(names)))
    tally, failed = {}, 0
    with tempfile.TemporaryDirectory(prefix="kf.", dir=SHM) as work:
        def one(name):
            corpus = pathlib.Path(work, "corpus-" + name)
            corpus.mkdir()
            return name, Target(build, name, pathlib.Path(work)).fuzz(corpus, seconds, idle=False)

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for i, (name, t) in enumerate(pool.map(one, names), 1):
                tally[name] = t
                failed += bool(t["found"])
                print(f"{'not ok' if t['found'] else 'ok'} {i} - {name}: {t['runs']} inputs, {t['edges']} edges")
                for path, said in t["found"]:
                    print("# " + said.replace("\n", "\n# "))
                    if path:
                        print(f"# the input: {path.read_bytes().hex()}")
    report("a minute", tally, failed, f"{sum(t['cpu'] for t in tally.values()):.0f} s of processor time")
    return failed


def next_time(clock):
    """Unix seconds of the next HH:MM, which may be tomorrow's; never, if there is none."""
    if not clock:
        return float("inf")
    then, now = datetime.datetime.strptime(clock, "%H:%M"), datetime.datetime.now()
    then = now.replace(hour=then.hour, minute=then.minute, second=0, microsecond=0)
    return (then if then > now else then + datetime.timedelta(days=1)).timestamp()


class Long:
    """The state of a long run, and who is next."""

    def __init__(self, build, names, work):
        self.build, self.names, self.work = build, targets(build, names), work
        self.path = build / "long.json"
        self.wanted = float(os.environ.get("FUZZ_SECONDS") or 3600)
        self.until = next_time(os.environ.get("FUZZ_UNTIL"))
        self.state = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.lock, self.busy = threading.Lock(), set()
        self.targets = {n: Target(build, n, work) for n in self.names}
        (build / "found").mkdir(exist_ok=True)

    def of(self, name):
        blank = {"cpu": 0.0, "runs": 0, "edges": 0, "features": 0, "units": 0, "found": 0}
        return self.state.setdefault(name, blank)

    def next(self):
        """The target that has had the least, and is not at its end."""
        with self.lock:
            if time.time() >= self.until:
                return None
            left = [n for n in self.names if n not in self.busy and self.of(n)["cpu"] < self.wanted]
            if not left:
                return None
            name = min(left, key=lambda n: self.of(n)["cpu"])
            self.busy.add(name)
            return name

    def turn(self, name):
        corpus = self.build / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        rest = max(1, int(self.wanted - self.of(name)["cpu"] + 0.5))
        t = self.targets[name].fuzz(corpus, min(SLICE, rest))
        with self.lock:
            s = self.of(name)
            for key in ("cpu", "runs"):
                s[key] += t[key]
            s["edges"], s["features"] = max(s["edges"], t["edges"]), max(s["features"], t["features"])
            s["units"] = len(list(corpus.iterdir()))
            for path, said in t["found"]:
                s["found"] += 1
                kept = self.build / "found" / f"{name}-{s['found']}"
                kept.with_suffix(".txt").write_text(said)
                if path:
                    shutil.move(path, kept)
                print(f"# {name}: found something: {kept}", flush=True)
            self.busy.discard(name)
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json.dumps(self.state, indent=1) + "\n")
            fresh.replace(self.path)

    def worker(self):
        while (name := self.next()) is not None:
            self.turn(name)

    def table(self):
        print(f"{'target':18} {'cpu s':>7} {'inputs':>12} {'edges':>6} {'features':>8} {'units':>6} found")
        for n in self.names:
            s = self.of(n)
            print(f"{n:18} {s['cpu']:7.0f} {s['runs']:12} {s['edges']:6} {s['features']:8} {s['units']:6} {s['found']}")


def long(build, names):
    with tempfile.TemporaryDirectory(prefix="kf.", dir=SHM) as work:
        run = Long(build, names, pathlib.Path(work))
        workers = [threading.Thread(target=run.worker) for _ in range(int(os.environ.get("JOBS") or 1))]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        run.table()
        tally = {n: run.of(n) for n in run.names}
        failed = sum(bool(t["found"]) for t in tally.values())
        report("long", tally, failed, f"{sum(t['cpu'] for t in tally.values()) / 3600:.1f} h of processor time, "
                                      f"{sum(t['edges'] for t in tally.values())} edges")
        return failed


def merge(build, names):
    """The smallest set of small inputs that adds to what the seeds reach, into the seeds."""
    with tempfile.TemporaryDirectory(prefix="kf.", dir=SHM) as work:
        for name in targets(build, names):
            t, corpus = Target(build, name, pathlib.Path(work)), build / "corpus" / name
            little = pathlib.Path(work, "little-" + name)
            little.mkdir()
            for p in corpus.iterdir() if corpus.is_dir() else ():
                if p.stat().st_size <= SEED_MAX:
                    shutil.copy(p, little)
            t.seeds.mkdir(exist_ok=True)
            old = {p.name for p in t.seeds.iterdir()}
            merged = pathlib.Path(work, "merged-" + name)
            shutil.copytree(t.seeds, merged)
            said, status, _ = t.run(["-set_cover_merge=1", merged, little], 3600, idle=False)
            if status:
                raise SystemExit(f"fuzz: {name}: merge: status {status}\n{said[-2000:]}")
            fresh = sorted((p for p in merged.iterdir() if p.name not in old), key=lambda p: p.stat().st_size)
            for p in fresh[::-(-len(fresh) // SEEDS_MAX) or 1]:
                shutil.copy(p, t.seeds / p.name[:12])
            print(f"{name}: {len(old)} seeds before, {len(list(t.seeds.iterdir()))} now", flush=True)
    return 0


def coverage(build, names):
    """Corpora of a long run are taken from its folder beside this build."""
    with tempfile.TemporaryDirectory(prefix="kf.", dir=SHM) as work:
        names, raw = targets(build, names), pathlib.Path(work, "raw")
        for name in names:
            t, corpus = Target(build, name, pathlib.Path(work)), build.parent / "fuzzlong" / "corpus" / name
            os.environ["LLVM_PROFILE_FILE"] = f"{raw}/{name}"
            said, status, _ = t.run(["-runs=0", *(p for p in (corpus, t.seeds) if p.is_dir())], 3600, idle=False)
            if status:
                print(f"# {name}: status {status}\n{said[-500:]}")
        merged = pathlib.Path(work, "all")
        subprocess.run(["llvm-profdata", "merge", "-o", merged, *raw.iterdir()], check=True)
        objects = [a for n in names[1:] for a in ("-object", build / "fuzz" / n)]
        files = [ROOT / top for top in ("daemon", "hsm", "policy", "db")]
        out = subprocess.run(["llvm-cov", "export", "-summary-only", "-instr-profile", merged, build / "fuzz" / names[0],
                              *objects, *files], check=True, capture_output=True, text=True).stdout
        table = json.loads(out)["data"][0]
        total = table["totals"]
        print(f"{total['lines']['percent']:6.1f} % of {total['lines']['count']:5} lines  "
              f"{total['branches']['percent']:6.1f} % of {total['branches']['count']:5} branches  together")
        for f in sorted(table["files"], key=lambda f: f["summary"]["lines"]["percent"]):
            s = f["summary"]
            if s["lines"]["count"] == 0:
                continue
            print(f"{s['lines']['percent']:6.1f} % of {s['lines']['count']:5} lines  "
                  f"{s['branches']['percent']:6.1f} % of {s['branches']['count']:5} branches  "
                  f"{pathlib.Path(f['filename']).relative_to(ROOT)}")
    return 0


def main():
    verbs = {"short": short, "long": long, "merge": merge, "coverage": coverage}
    if len(sys.argv) < 3 or sys.argv[1] not in verbs:
        raise SystemExit(__doc__)
    sys.exit(min(verbs[sys.argv[1]](pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]), 100))


main()
