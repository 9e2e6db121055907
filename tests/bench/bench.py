"""Measures klerod against what is beneath and above it, all in one run on one machine: absolute
figures drift, ratios stay. bench.sh says how it is called.

	durable buys   wrk, 32 kept-alive connections, TLS 1.3   against the bare SQLCipher loop
	GET /raffles   the same                                  against nginx with a constant answer
"""

import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
import klero  # noqa: E402

SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
ROUNDS, BUYERS, BATCH = 3, 50, 16


def wrk(script, url, **env):
    """(requests/s, refused or lost, 99th percentile in ms)"""
    run = subprocess.run(["wrk", "-t1", "-c32", f"-d{SECONDS}s", "-s", HERE / script, url],
                         env={**os.environ, **env}, capture_output=True, text=True)
    m = re.search(r"^RESULT ([\d.]+) (\d+) (\d+)$", run.stdout, re.M)
    if not m:
        raise klero.Failure(f"wrk: {run.stdout}{run.stderr}")
    return float(m.group(1)), int(m.group(2)), int(m.group(3)) / 1000


class Klerod:
    """An appliance with fifty rich buyers and an open raffle."""

    def __init__(self, bindir, folder):
        self.a = klero.Appliance(bindir, folder / "klerod", klero.NO_LIMITS).provision()
        self.ready = []
        for _ in range(ROUNDS):
            t = time.monotonic()
            self.a.start()
            self.ready.append((time.monotonic() - t) * 1000)
            self.a.stop()
        self.a.start()
        time.sleep(1)
        self.memory = self.idle_memory()
        self.furnish()
        self.tokens = folder / "tokens.txt"

    def idle_memory(self):
        """KiB of proportional set size of all roles but kdf (resident where PSS is hidden)."""
        total = {"Pss": 0, "Rss": 0}
        pids = [self.a.process.pid] + [p for r, ps in self.a.roles().items() if r != "kdf" for p in ps]
        for pid in pids:
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                for kind in total:
                    total[kind] += int(re.search(rf"^{kind}:\s+(\d+)", text, re.M).group(1))
            except OSError:
                text = pathlib.Path(f"/proc/{pid}/status").read_text()
                rss = int(re.search(r"^VmRSS:\s+(\d+)", text, re.M).group(1))
                total = {k: v + rss for k, v in total.items()}
        return total

    def furnish(self):
        admin = self.a.admin()
        self.people = [klero.Person(self.a.port, self.a.ca, f"u{n}@example.org") for n in range(BUYERS)]
        klero.in_parallel(lambda p: p.register().login(), self.people, workers=4)
        for p in self.people:
            admin.confirm(p.deposit(10**12)["id"])
        self.raffle = admin.create(title="Car", capacity=100_000_000)["id"]
        klero.want(admin.step(self.raffle, "open"), 200)

    def buy(self):
        for p in self.people:
            p.login()
        self.tokens.write_text("".join(p.token + "\n" for p in self.people))
        return wrk("buy.lua", f"https://127.0.0.1:{self.a.port}", TOKENS=str(self.tokens),
                   BUY=f"/api/v1/raffles/{self.raffle}/buy")

    def get(self):
        return wrk("get.lua", f"https://127.0.0.1:{self.a.port}/api/v1/raffles")


class Nginx:
    """One worker, TLS 1.3, P-256, a constant body as long as klerod's own list."""

    def __init__(self, folder, body):
        self.folder, self.port = folder / "nginx", klero.free_port()
        self.folder.mkdir()
        certificate(self.folder)
        (self.folder / "nginx.conf").write_text(
            "worker_processes 1; daemon off; pid nginx.pid; error_log nginx.err;\n"
            "events { worker_connections 4096; }\n"
            "http { access_log off; keepalive_requests 1000000000; client_body_temp_path b; proxy_temp_path p;\n"
            "  fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n"
            f"  server {{ listen 127.0.0.1:{self.port} ssl; ssl_certificate tls.crt; ssl_certificate_key tls.key;\n"
            "    ssl_protocols TLSv1.3;\n"
            f"    location / {{ default_type application/json; return 200 '{body}'; }} }} }}\n")
        self.process = subprocess.Popen(["nginx", "-p", str(self.folder), "-c", "nginx.conf", "-e", "nginx.err"])
        time.sleep(1)

    def get(self):
        return wrk("get.lua", f"https://127.0.0.1:{self.port}/")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "tls.key", "-out", folder / "tls.crt", "-days", "2", "-subj", "/CN=localhost"],
                   check=True, capture_output=True)


class Peer:
    """Another server of the same business, as PEER/README.md describes: Fastify on port 4443."""

    def __init__(self, source, folder):
        self.folder = folder / "peer"
        shutil.copytree(source, self.folder)
        if not (self.folder / "node_modules").exists():
            subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=self.folder, check=True, capture_output=True)
        certificate(self.folder)
        subprocess.run("openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out jwt.pem &&"
                       " openssl ec -in jwt.pem -pubout -out jwt.pub", shell=True, cwd=self.folder, check=True, capture_output=True)
        tokens = subprocess.run(["node", "server.mjs", "token"], cwd=self.folder, check=True, capture_output=True, text=True).stdout
        self.tokens = self.folder / "tokens.txt"
        self.tokens.write_text(tokens)
        self.port = klero.free_port()
        self.process = subprocess.Popen(["node", "server.mjs"], cwd=self.folder, env={**os.environ, "PORT": str(self.port)})
        time.sleep(3)

    def buy(self):
        return wrk("buy.lua", f"https://127.0.0.1:{self.port}", TOKENS=str(self.tokens), BUY="/api/v1/raffles/1/buy")

    def get(self):
        return wrk("get.lua", f"https://127.0.0.1:{self.port}/api/v1/raffles")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def floor(build, folder):
    """Sales/s of the bare loop, in batches of 16: its half of tests/tools/bench_db."""
    store = folder / "bench_db"
    store.mkdir()
    run = subprocess.run([build / "tools" / "bench_db", store, "3", "1"], check=True, capture_output=True, text=True)
    shutil.rmtree(store)
    return float(re.search(rf"turns of {BATCH}:.*bare loop +(\d+)/s", run.stdout).group(1)), 0, 0.0


def policy(build, folder):
    """{"what": ms}: a draw, and the check of a million tickets."""
    draw = subprocess.run([build / "tools" / "bench_policy", "draw"], check=True, capture_output=True, text=True).stdout
    bundle = folder / "million.json"
    subprocess.run([build / "tools" / "bench_policy", "bundle", "1000000", bundle], check=True, capture_output=True)
    times = []
    for _ in range(ROUNDS):
        t = time.monotonic()
        subprocess.run([build / "bin" / "klero-verify", "-q", bundle], check=True, capture_output=True)
        times.append((time.monotonic() - t) * 1000)
    bundle.unlink()
    return {"draw of 1,000 among 100,000,000, ms": json.loads(draw)["median_ms"],
            "klero-verify of a million tickets, ms": statistics.median(times)}


def table(rows, medians):
    names = list(rows)
    print(f"\n{'':34}" + "".join(f"{f'round {n + 1}':>12}" for n in range(ROUNDS)) + f"{'median':>12}{'lost':>8}{'p99 ms':>9}")
    for name in names:
        runs = rows[name]
        print(f"{name:34}" + "".join(f"{r[0]:12,.0f}" for r in runs) + f"{medians[name]:12,.0f}"
              f"{sum(r[1] for r in runs):8}{statistics.median(r[2] for r in runs):9.1f}")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    peer_source = sys.argv[2] if len(sys.argv) > 2 else None
    folder = pathlib.Path(tempfile.mkdtemp(prefix="klero-bench."))
    folder.chmod(0o711)
    k = nginx = peer = None
    try:
        k = Klerod(build / "bin", folder)
        nginx = Nginx(folder, k.a.client().get("/api/v1/raffles").body.decode())
        peer = Peer(peer_source, folder) if peer_source else None
        runners = {"bare SQLCipher loop, batches of 16": lambda: floor(build, folder), "klerod, durable buys": k.buy,
                   "nginx, constant answer": nginx.get, "klerod, GET /raffles": k.get}
        if peer:
            runners.update({"peer, durable buys": peer.buy, "peer, GET /raffles": peer.get})
        rows = {name: [] for name in runners}
        for n in range(ROUNDS):
            for name, run in runners.items():
                rows[name].append(run())
                print(f"round {n + 1}: {name}: {rows[name][-1][0]:,.0f}/s", file=sys.stderr)
        medians = {name: statistics.median(r[0] for r in runs) for name, runs in rows.items()}
        table(rows, medians)
        report(medians, k, policy(build, folder), rows)
    finally:
        for thing in (nginx, peer):
            if thing:
                thing.stop()
        if k:
            k.a.stop()
        shutil.rmtree(folder, ignore_errors=True)


def report(medians, k, more, rows):
    bare, nginx = medians["bare SQLCipher loop, batches of 16"], medians["nginx, constant answer"]
    figures = {
        "buys against the bare loop": medians["klerod, durable buys"] / bare,
        "reads against nginx": medians["klerod, GET /raffles"] / nginx,
        "idle memory without kdf, PSS MiB": k.memory["Pss"] / 1024,
        "idle memory without kdf, RSS MiB": k.memory["Rss"] / 1024,
        "start to ready, ms": statistics.median(k.ready),
        **more,
    }
    if "peer, durable buys" in medians:
        figures["buys against the peer"] = medians["klerod, durable buys"] / medians["peer, durable buys"]
        figures["reads against the peer"] = medians["klerod, GET /raffles"] / medians["peer, GET /raffles"]
    bars = {"buys against the bare loop": "0.40 or more", "reads against nginx": "0.25 or more",
            "idle memory without kdf, PSS MiB": "under 64", "start to ready, ms": "under 1000",
            "draw of 1,000 among 100,000,000, ms": "under 20", "klero-verify of a million tickets, ms": "under 3000"}
    print()
    for name, value in figures.items():
        print(f"{name:40}{value:10.2f}   {bars.get(name, '')}")
    if os.environ.get("BENCH_JSON"):
        pathlib.Path(os.environ["BENCH_JSON"]).write_text(
            json.dumps({"per_second": {n: [r[0] for r in v] for n, v in rows.items()}, "figures": figures}, indent=1))


if __name__ == "__main__":
    main()
