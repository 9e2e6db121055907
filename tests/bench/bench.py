"""Measures klerod against what is beneath, above and beside it, in turn within one run on one
machine: absolute figures drift, ratios stay. bench.sh says how it is called; table.py prints.

	buys        durable sales: the bare SQLCipher loop, klerod, the peer over SQLite and PostgreSQL
	reads       GET /raffles of twenty raffles over 1, 32, 256 and 2,000 connections: klerod, nginx with a
	            constant answer as long as klerod's, the peer
	memory      of each role, idle, under load, and with 2,000 connections
	mixed       reads, sales and logins at a stated rate over 1,000 connections, and at more than that
	handshakes  through tlskey, with the key in net's own process, and resumed
	rotation    sales while each purpose's key is rotated (rotation.py)
	hsm         signatures and round trips of hsm against its module alone (rotation.py)
	logs        sales into a raffle with a ticket log and into one without; a tile and a checkpoint out of
	            net's memory against nginx with a constant answer as long; what a log costs as it grows
	reseal      a million sealed values taken over by a fresh key (reseal.py)
	audit       klero-verify --log of 10^3 to 10^7 tickets (BENCH_AUDIT), and of one v2 bundle
	others      start, memory, a draw, a verification

The result of each section goes into BENCH_JSON with its date; a run is a dict as loads.py says.
"""

import datetime
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import loads
import rotation
import servers
import table

SECONDS = int(os.environ.get("BENCH_SECONDS", "6"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
MIXED_SECONDS = int(os.environ.get("BENCH_MIXED_SECONDS", "60"))
LOG_SIZES = os.environ.get("BENCH_LOG_SIZES", "1000 10000 100000 1000000 10000000").split()
AUDIT_TICKETS = [int(n) for n in os.environ.get("BENCH_AUDIT", "1000 10000 100000 1000000 10000000").split()]
RESEAL_VALUES = int(os.environ.get("BENCH_RESEAL_VALUES", "1000000"))
HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = (1, 32, 256, 2000)
IDLE = 2000
RAFFLES = "/api/v1/raffles"
BUY = '{"quantity":1}'


def in_turn(runners, rounds=ROUNDS):
    """{name: [run of each round]}: every round runs all of them, one after the other."""
    rows = {name: [] for name in runners}
    for n in range(rounds):
        for name, run in runners.items():
            rows[name].append(run())
            r = rows[name][-1]
            print(f"round {n + 1}: {name}: {r['per_second']:,.0f}/s, others had {r.get('elsewhere', 0):.0%}",
                  file=sys.stderr)
    return rows


class Watch:
    """Calls look() every so often while the block runs."""

    def __init__(self, look, every):
        self.look, self.every = look, every
        self.done, self.thread = threading.Event(), threading.Thread(target=self._run)

    def _run(self):
        while not self.done.wait(self.every):
            self.look()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


class Bench:
    def __init__(self, build, peer, folder):
        self.build, self.peer, self.folder = build, peer, folder
        self.load = loads.Load(build)
        self.started = []

    def start(self, make, *args, **more):
        """A server in a folder of its own, stopped when the section is over."""
        s = make(*args, self.folder / f"s{len(os.listdir(self.folder))}", **more)
        self.started.append(s)
        return s

    def stop(self):
        while self.started:
            try:
                self.started.pop().stop()
            except Exception as e:  # the others have to end, too
                print(f"a server did not stop: {e}", file=sys.stderr)

    def klerod(self, **more):
        k = servers.Klerod(self.build / "bin", self.folder / f"k{len(os.listdir(self.folder))}", **more)
        self.started.append(k)
        return k

    def peers(self):
        if not self.peer:
            return {}
        return {"peer, SQLite": self.start(lambda f: servers.Peer(self.peer, f)),
                "peer, PostgreSQL": self.start(lambda f: servers.Peer(self.peer, f, postgres=True))}

    # --- sections ---

    def floor(self):
        """The bare loop's sales in batches of 16: a part of tests/tools/bench_db."""
        store = self.folder / "floor"
        store.mkdir()
        run = subprocess.run([self.build / "tools" / "bench_db", store, str(max(1, SECONDS // 3)), "1", "16"],
                             check=True, capture_output=True, text=True)
        shutil.rmtree(store)
        return {"per_second": float(re.search(r"bare loop +(\d+)/s", run.stdout).group(1))}

    def buys(self):
        k, others = self.klerod().furnish(), self.peers()
        everyone = {"klerod": k, **others}

        def buy(s, rate=None):
            return self.load.one(s, f"buy:1:POST+:{s.buy_path()}:{BUY}", SECONDS, rate=rate, tokens=s.tokens)

        runners = {"bare loop": self.floor}
        runners.update({name: lambda s=s: buy(s) for name, s in everyone.items()})
        rows = in_turn(runners)
        out = {"closed": rows}
        if others:
            # the same arrivals for all: three quarters of what the slowest manages
            rate = int(0.75 * min(statistics.median(r["per_second"] for r in rows[n]) for n in others))
            k.login()
            out["rate"] = rate
            out["paced"] = in_turn({name: lambda s=s: buy(s, rate) for name, s in everyone.items()})
        return out

    def reads(self):
        k = self.klerod().furnish()
        body = k.a.client().get(RAFFLES).body.decode()
        paths = {"klerod": (k, RAFFLES), "nginx": (self.start(lambda f: servers.Nginx(f, body)), "/")}
        paths.update({name: (s, RAFFLES) for name, s in self.peers().items()})
        out = {"bytes": len(body)}
        for c in CONNECTIONS:
            out[str(c)] = in_turn({name: lambda s=s, p=p, c=c: self.load.one(s, f"list:1:GET:{p}", SECONDS // 2, connections=c)
                                   for name, (s, p) in paths.items() if c == 32 or name != "peer, PostgreSQL"})
        # another load generator, to check ours
        out["wrk"] = in_turn({name: lambda s=s, p=p: loads.wrk(s, p, 32, SECONDS // 2) for name, (s, p) in paths.items()})
        return out

    def logs(self):
        k = self.klerod().furnish()
        raffles = {"without a log": k.raffle, "with a log": k.logged_raffle()}
        out = {"sales": in_turn({name: lambda r=r: self.load.one(k, f"buy:1:POST+:/api/v1/raffles/{r}/buy:{BUY}", SECONDS,
                                                                tokens=k.tokens) for name, r in raffles.items()})}
        client, prefix = k.a.client(), f"/r/{raffles['with a log']}/"
        for what, path in (("checkpoint", "checkpoint"), ("tile", "tile/0/000")):
            length = len(servers.klero.want(client.get(prefix + path), 200).body)
            both = {"klerod": (k, prefix + path), "nginx": (self.start(lambda f, n=length: servers.Nginx(f, "x" * n)), "/")}
            out[what] = {"bytes": length, "runs": in_turn({
                name: lambda s=s, p=p: self.load.one(s, f"get:1:GET:{p}", SECONDS // 2) for name, (s, p) in both.items()})}
        store = self.folder / "log"
        store.mkdir()
        run = subprocess.run([self.build / "tools" / "bench_logs", store, *LOG_SIZES], check=True, capture_output=True, text=True)
        shutil.rmtree(store)
        out["growth"] = json.loads(run.stdout)
        return out

    def memory(self):
        k = self.klerod().furnish()
        out = {"idle": k.memory()}
        peak = {}

        def look():
            for role, m in k.memory().items():
                old = peak.setdefault(role, {"rss": 0, "pss": 0})
                peak[role] = {kind: max(old[kind], v) for kind, v in m.items()}

        with Watch(look, 0.5):
            self.load.mixed(k, self.kinds(k, login=1), 10, tokens=k.tokens, users=servers.BUYERS, rate=500, connections=256)
        out["under load"] = peak
        before = k.memory()["net"]
        p = self.load.idle(k, IDLE)
        time.sleep(2)
        out[f"{IDLE} connections"] = k.memory()
        self.load.close(p)
        out["per_connection_kib"] = (out[f"{IDLE} connections"]["net"]["pss"] - before["pss"]) / IDLE
        return out

    @staticmethod
    def kinds(k, login):
        """Reads 80 (half of them the list), sales 15, logins as told."""
        return [f"list:40:GET:{RAFFLES}", f"raffle:20:GET:{RAFFLES}/{k.raffle}", "wallet:20:GET+:/api/v1/wallet",
                f"buy:15:POST+:{k.buy_path()}:{BUY}",
                f'login:{login}:POST:/api/v1/auth/login:{{"email":"u%u@example.org","password":"{servers.klero.PASSWORD}"}}']

    def sampled(self, k, rate, seconds):
        """A mixed load, and the queues as /metrics and the load see them, every second."""
        samples = []

        def look():
            m = k.metrics()
            samples.append({"kdf": m["klero_kdf_queue"], "jobs": m["klero_jobs_waiting"],
                            "unsent": sum(v for n, v in m.items() if n.startswith("klero_unsent_messages"))})

        with Watch(look, 1):
            out = self.load.mixed(k, self.kinds(k, login=5), seconds, connections=1000, rate=rate, tokens=k.tokens,
                                  users=servers.BUYERS, warm=3)
        out["queues"] = {q: {"median": statistics.median(v), "max": max(v), "per_minute": growth(v)[0],
                             "per_minute_error": growth(v)[1]}
                         for q, v in {"passwords": [s["kdf"] for s in samples], "jobs": [s["jobs"] for s in samples],
                                      "messages": [s["unsent"] for s in samples],
                                      "clients": [w for _, w in out.pop("by_second")[3:seconds + 3]]}.items()}
        return out

    def mixed(self):
        k = self.klerod().furnish()
        alone = self.load.one(k, self.kinds(k, 1)[4], SECONDS, connections=2, users=servers.BUYERS)
        # 5 % of the arrivals are logins, and those may take about half of what two kdf can do
        rate = max(20, int(0.55 * alone["per_second"] / 0.05))
        carried = self.sampled(k, rate, MIXED_SECONDS)
        return {"logins_alone": alone, "rate": rate, "carried": carried,
                "over_rate": 6 * rate, "overload": self.sampled(k, 6 * rate, MIXED_SECONDS // 3)}

    def handshakes(self):
        libexec = self.folder / "libexec"
        shutil.copytree(self.build / "bin", libexec)
        shutil.copy(self.build / "localkey" / "klerod-net", libexec / "klerod-net")
        shake = self.load.handshakes
        k, own = self.klerod(), self.klerod(libexec=libexec)
        nginx = self.start(lambda f: servers.Nginx(f, "{}"))
        return in_turn({"through tlskey": lambda: shake(k, SECONDS), "key in net": lambda: shake(own, SECONDS),
                        "nginx": lambda: shake(nginx, SECONDS),
                        "through tlskey, resumed": lambda: shake(k, SECONDS, resumed=True),
                        "nginx, resumed": lambda: shake(nginx, SECONDS, resumed=True)})

    def rotation(self):
        return rotation.rotation(self, ROUNDS)

    def hsm(self):
        return rotation.hsm(self, ROUNDS, SECONDS)

    def reseal(self):
        run = subprocess.run([sys.executable, HERE / "reseal.py", self.build, "--values", str(RESEAL_VALUES)], check=True,
                             stdout=subprocess.PIPE, text=True)
        return json.loads(run.stdout)

    def audit(self):
        """What an auditor's machine needs; processor seconds, for others have the machine, too."""
        verify, rows = self.build / "bin" / "klero-verify", {}
        for tickets in AUDIT_TICKETS:
            log = self.folder / "log"
            key = subprocess.run([self.build / "tools" / "log_make", log, str(tickets)], check=True, capture_output=True,
                                 text=True).stdout.strip()
            rows[str(tickets)] = [used([verify, "-q", "--log", log, "-k", key]) for _ in range(ROUNDS)]
            shutil.rmtree(log)
        bundle = [verify, "-q", "--nist-certificate", HERE.parent / "vectors/nist/cert-528943a5.pem",
                  HERE.parent / "fuzz/seeds/fuzz_bundle2/whole"]
        return {"logs": rows, "bundle2": [used(bundle) for _ in range(ROUNDS)]}

    def others(self):
        k = self.klerod()
        ready = []
        for _ in range(ROUNDS):
            k.a.stop()
            began = time.monotonic()
            k.a.start()
            ready.append((time.monotonic() - began) * 1000)
        time.sleep(1)
        memory = k.memory()
        draw = subprocess.run([self.build / "tools" / "bench_policy", "draw"], check=True, capture_output=True, text=True)
        drand = subprocess.run([self.build / "tools" / "drand_verdict", "bench"], check=True, capture_output=True, text=True)
        bundle, verify = self.folder / "million.json", []
        subprocess.run([self.build / "tools" / "bench_policy", "bundle", "1000000", bundle], check=True, capture_output=True)
        for _ in range(ROUNDS):
            began = time.monotonic()
            subprocess.run([self.build / "bin" / "klero-verify", "-q", bundle], check=True, capture_output=True)
            verify.append((time.monotonic() - began) * 1000)
        bundle.unlink()
        return {"ready_ms": statistics.median(ready), "draw_ms": json.loads(draw.stdout)["median_ms"],
                "drand_ms": json.loads(drand.stdout)["median_ms"],
                "verify_ms": statistics.median(verify),
                "pss_mib": sum(m["pss"] for role, m in memory.items() if role != "kdf") / 1024,
                "rss_mib": sum(m["rss"] for role, m in memory.items() if role != "kdf") / 1024}


def used(command):
    """Time on the clock and of the processor, and the most memory, of a program that must succeed."""
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, u = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return {"wall_s": time.monotonic() - began, "cpu_s": u.ru_utime + u.ru_stime, "rss_mib": u.ru_maxrss / 1024}


def growth(values):
    """(growth per minute of samples that are a second apart, its standard error), by the least squares."""
    n = len(values)
    if n < 3:
        return 0.0, 0.0
    mid, mean = (n - 1) / 2, statistics.fmean(values)
    spread = sum((i - mid) ** 2 for i in range(n))
    slope = sum((i - mid) * (v - mean) for i, v in enumerate(values)) / spread
    rest = sum((v - mean - slope * (i - mid)) ** 2 for i, v in enumerate(values))
    return 60 * slope, 60 * (rest / (n - 2) / spread) ** 0.5


def machine():
    text = pathlib.Path("/proc/meminfo").read_text()
    os_release = dict(l.split("=", 1) for l in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in l)
    return {"cores": os.cpu_count(), "memory_gib": round(int(re.search(r"MemTotal:\s+(\d+)", text).group(1)) / 2**20),
            "system": os_release["PRETTY_NAME"].strip('"')}


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    peer = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    target = pathlib.Path(os.environ["BENCH_JSON"])
    sections = os.environ.get("BENCH_ONLY", "buys logs reads memory mixed handshakes rotation hsm reseal audit others").split()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of every finally
    result = json.loads(target.read_text()) if target.exists() else {}
    for name in sections:
        print(f"== {name}", file=sys.stderr)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="klero-bench."))
        folder.chmod(0o711)
        bench = Bench(build, peer, folder)
        try:
            measured = getattr(bench, name)()
        finally:
            bench.stop()
            shutil.rmtree(folder, ignore_errors=True)
        result[name] = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"), **machine(),
                        "rounds": ROUNDS, "figures": measured}
        target.write_text(json.dumps(result, indent=1) + "\n")
    print(table.text(result))


if __name__ == "__main__":
    main()
