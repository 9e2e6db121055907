"""What the size of the store costs: klerod with 10^3, 10^4 … 10^7 tickets in its store, a tenth as
many users and as many ledger entries, against itself with 10^3.

	size.py B [--folder DIR] [--sizes 3,4,5,6,7] [--seconds N] [--rounds N] [--readme] [STEP...]

A STEP is fillN or measureN (N: the power of ten), or table, which does nothing but show what has
been measured; without one all are run, in order. With --folder the appliances stay there for the
next call: as they were filled, so that any size can be measured again, and the one that was
measured last. --readme writes the table into README.md.

One appliance grows from size to size. Raffles are created and opened by the API, so that their
seeds are real; tests/tools/store_fill then sells their tickets while klerod stands still, and the
store is checked whole (every page, the ledger, the audit chain). Four tenths of what is added are
one raffle's, 15 in a hundred another's, the rest is spread over a raffle per thousand tickets; every tenth user
holds a second currency, and twenty buy often. Before each measurement of a size the store of 10^3
tickets is measured, from the same copy, so that each ratio is of one minute. A measurement sells some
tens of thousands of tickets and ends with a draw; the next size grows from the store as it was before.

What is warm: the store's file is in the page cache (but for "cold", where it has been dropped), and
engine has seen each buyer's token; its own cache is 64 MiB at every size.
"""

import argparse
import datetime
import json
import os
import pathlib
import random
import re
import resource
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "system"))
import klero  # noqa: E402

LINES = klero.NO_LIMITS + ["currencies EUR CHF"]
ON_SALE, BUYERS, DRAWN, PAGES, REPEATS, SALES = 20, 10_000, 20, 200, 40, 20_000
BEGIN, END = "<!-- size: made by tests/bench/size.py -->", "<!-- /size -->"
TEXT = "One of the prizes is a car that has seen better days, but none that went faster downhill. " * 8


class Store:
    """One appliance, and what has been put into its store (kept in state.json beside it)."""

    def __init__(self, build, folder):
        self.folder, self.file = folder, folder / "state.json"
        self.s = {"tickets": 0, "users": 0, "port": klero.free_port(), "sale": [], "big": None, "step": 1}
        if self.file.exists():
            self.s = json.loads(self.file.read_text())
        self.a = klero.Appliance(build / "bin", folder, LINES, port=self.s["port"])
        self.build = build

    def keep(self):
        self.file.write_text(json.dumps(self.s))

    def tool(self, *args, stdin=""):
        conf = dict(line.split(" ", 1) for line in self.a.conf.read_text().splitlines())
        run = subprocess.run([self.build / "tools" / "store_fill", conf["pkcs11-module"], conf["keys-token"],
                              conf["keys-pin-file"], conf["store"], *args], input=stdin, capture_output=True, text=True,
                             env={**os.environ, "SOFTHSM2_CONF": conf["softhsm-conf"]})
        if run.returncode:
            raise klero.Failure(f"store_fill: {run.stderr}")
        return run.stdout

    def admin(self):
        return klero.Person(self.a.port, self.a.ca, "admin@example.org").login()

    def grow(self, size):
        """To `size` tickets."""
        if not self.s["users"]:
            self.folder.mkdir(parents=True)
            self.a.provision()
        self.a.start()
        try:
            if not self.s["users"]:
                self.a.admin()
            parts = self.plan(self.admin(), size)
        finally:
            self.a.stop()
        for part in parts:
            self.tool("fill", stdin="".join(line + "\n" for line in part))
        self.keep()
        check = self.a.store_tool("check", timeout=3600)
        if check.returncode:
            raise klero.Failure(f"the store does not hold: {check.stderr}")
        print(f"{size}: {check.stdout.strip()}", file=sys.stderr)
        self.s["entries"] = int(re.search(r"(\d+) entries", check.stdout).group(1))
        self.keep()

    def plan(self, admin, size):
        """Lines for store_fill, in parts of a million tickets."""
        had, users, added = self.s["users"], size // 10, size - self.s["tickets"]
        buyers, parts = min(BUYERS, users), max(1, added // 1_000_000)
        small = max(ON_SALE + DRAWN, added // 1000)
        made = self.raffles(admin, small + 2)
        closed, sale = made[2:-ON_SALE], made[-ON_SALE:]
        self.s.update(tickets=size, users=users, step=users // buyers, big=made[0][0], small=[i for i, _ in closed],
                      sale=[i for i, c in sale if c == "EUR"])
        plan = []
        for k in range(parts):
            last = k == parts - 1
            plan.append([f"users {had + (users - had) * k // parts} {had + (users - had) * (k + 1) // parts} CHF",
                         f"raffle {made[0][0]} {made[0][1]} {(added * 4 // 10 - 3 * buyers) // parts} open",
                         f"raffle {made[1][0]} {made[1][1]} {added * 15 // 100 // parts} {'close' if last else 'open'}"])
            plan[-1] += [f"raffle {i} {c} {max(1, added * 45 // 100 // small)} close" for i, c in closed[k::parts]]
            if last:
                plan[-1] += [f"raffle {i} {c} {max(1, added * 45 // 100 // small)} open" for i, c in sale]
            plan[-1].append(f"sell {max(had, had + (users - had) * (k + 1) // parts)}")
        plan[-1] += [f"pair {k * self.s['step']} {i}" for k, i in self.pairs() + self.pairs_of_one()] + [f"jobs {small}"]
        return plan

    def raffles(self, admin, n):
        """[(id, currency)]: opened; and a tenth as many drafts."""
        made = []
        for k in range(n + n // 10):
            currency = "CHF" if k % 10 == 9 else "EUR"
            raffle = admin.create(title=f"Raffle {k}", description=TEXT[:k % len(TEXT) + 1], capacity=100_000_000, winners=3,
                                  reserves=2, price={"amount": 100, "currency": currency})["id"]
            if k < n:
                klero.want(admin.step(raffle, "open"), 200)
                made.append((raffle, currency))
        return made

    def buyers(self):
        return self.s["users"] // self.s["step"]

    def pairs(self):
        """[(buyer, raffle)]: two of the raffles on sale for each buyer."""
        sale = self.s["sale"]
        return [(k, sale[(k + d * 7) % len(sale)]) for k in range(self.buyers()) for d in (0, 1)]

    def pairs_of_one(self):
        return [(k, self.s["big"]) for k in range(self.buyers())]

    def write_pairs(self):
        """Files for size.lua: many raffles, and the big one."""
        tokens = self.tool("tokens", "localhost", str(self.s["step"]), str(self.buyers())).split()
        for name, pairs in (("many", self.pairs()), ("one", self.pairs_of_one())):
            random.Random(1).shuffle(pairs)
            (self.folder / name).write_text("".join(f"{tokens[k]} {i}\n" for k, i in pairs))
        return tokens

    def pages(self):
        """{load: [read, written]}: pages for each sale, where nobody else's work shows."""
        out = {}
        for name, pairs in (("many", self.pairs()), ("one", self.pairs_of_one())):
            lines = "".join(f"{k * self.s['step']} {i}\n" for k, i in pairs)
            out[name] = [float(v) for v in self.tool("pages", str(SALES), stdin=lines).split()]
        return out

    def processor(self):
        """Seconds of processor time: of engine, of all that is ours, of the whole machine."""
        def of(pid):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        roles = self.a.roles()
        load = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = sum(of(p) for ps in roles.values() for p in ps) + load.ru_utime + load.ru_stime
        busy = [int(v) for v in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        return of(roles["engine"][0]), ours, (sum(busy) - busy[3] - busy[4]) / os.sysconf("SC_CLK_TCK")

    def wrk(self, name, seconds, **env):
        """{"rate": a second, "engine": its processor us each, "others": share of the machine that others had}"""
        before, t = self.processor(), time.monotonic()
        run = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", HERE / "size.lua",
                              f"https://127.0.0.1:{self.a.port}"],
                             env={**os.environ, "PAIRS": str(self.folder / name), **env}, capture_output=True, text=True)
        m = re.search(r"^RESULT ([\d.]+) (\d+) (\d+)$", run.stdout, re.M)
        if not m or int(m.group(2)):
            raise klero.Failure(f"wrk: {run.stdout}{run.stderr}")
        engine, ours, busy = (y - x for x, y in zip(before, self.processor()))
        machine = (time.monotonic() - t) * os.cpu_count()
        rate = float(m.group(1))
        return {"rate": rate, "engine": engine * 1e6 / (rate * seconds),
                "others": max(0, busy - ours) / machine}

    def warm(self):
        self.wrk("one", 3, ME="1")
        for name in ("many", "one"):
            self.wrk(name, 2)

    def forget(self):
        """The store leaves the page cache."""
        for f in (self.a.dir / "store").iterdir():
            if f.is_file():
                fd = os.open(f, os.O_RDONLY)
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)

    def start_ms(self):
        t = time.perf_counter()
        self.a.start()
        return (time.perf_counter() - t) * 1000

    def engine_mib(self):
        pid = self.a.roles()["engine"][0]
        return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024

    def size_on_disk(self):
        return sum(f.stat().st_size for f in (self.a.dir / "store").iterdir() if f.name.startswith("klero.db"))


class Wire:
    """One connection, timed from the first byte of the request to the last of the answer."""

    def __init__(self, a):
        raw = socket.create_connection(("127.0.0.1", a.port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s = klero.tls_context(a.ca).wrap_socket(raw, server_hostname="localhost")

    def ask(self, method, path, token=None, body=None, status=200, headers=""):
        auth = f"Authorization: Bearer {token}\r\n" if token else ""
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{auth}{kind}{headers}\r\n{body or ''}".encode()
        t = time.perf_counter()
        self.s.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, _, data = data.partition(b"\r\n\r\n")
        n = int(re.search(rb"content-length: (\d+)", head, re.I).group(1)) if method != "HEAD" else 0
        while len(data) < n:
            data += self.more()
        ms = (time.perf_counter() - t) * 1000
        if status and int(head.split()[1]) != status:
            raise klero.Failure(f"{method} {path}: {head.decode()}{data.decode()}")
        return ms, int(head.split()[1]), data

    def more(self):
        part = self.s.recv(1 << 18)
        if not part:
            raise klero.Failure("the connection was closed")
        return part


def lists(store, admin, often, pool):
    """{name: (path, token)}: every list of the API with each of its filters."""
    states = {"/api/v1/raffles": ["", "draft", "open", "closed", "drawn"],
              "/api/v1/admin/deposits": ["", "pending", "confirmed", "rejected"]}
    found = {}
    for path, words in states.items():
        for word in words:
            found[f"{path}{word and '?state='}{word}"] = (f"{path}?limit=100{word and '&state='}{word}", admin)
    found["/api/v1/wallet/entries"] = ("/api/v1/wallet/entries?limit=100", often)
    found["/api/v1/wallet"] = ("/api/v1/wallet", often)
    found["/api/v1/raffles/{id}/tickets"] = (f"/api/v1/raffles/{store.s['big']}/tickets?limit=100", often)
    found["/api/v1/admin/audit"] = ("/api/v1/admin/audit?limit=100", admin)
    for path in ("/api/v1/pools", "/api/v1/admin/proposals", "/api/v1/admin/jobs"):
        found[path] = (f"{path}?limit=100", admin)
    found["/api/v1/pools/{id}/payouts"] = (f"/api/v1/pools/{pool}/payouts?limit=100", admin)
    return found


def all_lists(wire, found):
    """None of the API's lists may be forgotten here: those with a cursor, as openapi.json says."""
    paths = json.loads(wire.ask("GET", "/openapi.json")[2])["paths"]
    for path, methods in paths.items():
        names = [p.get("name") for p in methods.get("get", {}).get("parameters", [])]
        if "cursor" in names and path not in {name.partition("?")[0] for name in found}:
            raise klero.Failure(f"{path} is a list, and not measured")


def time_lists(wire, found):
    """({name: median ms of the first and of a deep page}, the longest single answer)"""
    out, longest = {}, 0
    for name, (path, token) in found.items():
        pages, at = {"first": path}, path
        for _ in range(PAGES):
            answer = json.loads(wire.ask("GET", at, token)[2])
            if not answer.get("next_cursor"):
                break
            at = f"{path}{'&' if '?' in path else '?'}cursor={answer['next_cursor']}"
            pages["deep"] = at
        for which, page in pages.items():
            times = [wire.ask("GET", page, token)[0] for _ in range(REPEATS)]
            out[f"{name} {which}"], longest = statistics.median(times), max(longest, max(times))
    return out, longest


def time_draw(store, admin):
    """ms of close, entropy and draw of the big raffle, s until its proof can be read; the proof is verified."""
    wire, raffle, out = Wire(store.a), store.s["big"], {}
    commit = json.loads(wire.ask("GET", f"/api/v1/raffles/{raffle}")[2])["seed_commit"]
    for verb, body in (("close", None), ("entropy", '{"entropy":"00c0ffee"}'), ("draw", None)):
        length = "" if body else "Content-Length: 0\r\n"
        out[verb] = wire.ask("POST", f"/api/v1/admin/raffles/{raffle}/{verb}", admin, body, headers=length)[0]
    t = time.perf_counter()
    while wire.ask("HEAD", f"/api/v1/raffles/{raffle}/proof", status=None)[1] != 200:
        time.sleep(0.1)
    out["proof"] = time.perf_counter() - t
    file = store.folder / "proof.json"
    with open(file, "wb") as f:
        subprocess.run(["curl", "-sS", "--fail", "--cacert", store.a.ca, f"https://localhost:{store.a.port}/api/v1/raffles/{raffle}/proof"],
                       stdout=f, check=True)
    verified = subprocess.run([store.a.bin / "klero-verify", "-q", "-c", commit, file], capture_output=True, text=True)
    file.unlink()
    if verified.returncode:
        raise klero.Failure(f"klero-verify: {verified.stdout}{verified.stderr}")
    return out


def draw_some(store, admin):
    """Some small ones, so that there are raffles of every state."""
    for raffle in store.s["small"][:DRAWN]:
        klero.want(admin.step(raffle, "entropy", {"entropy": secrets.token_hex(16)}), 200)
        klero.want(admin.step(raffle, "draw"), 200)


def buys(large, small, saved, seconds, rounds):
    """{load: {"small": [buys/s], "large": [buys/s]}}"""
    out = {name: {"small": [], "large": []} for name in ("many", "one")}
    for _ in range(rounds):
        copy(saved, small.a.dir / "store")
        small.a.start()
        small.warm()
        for name in out:
            out[name]["small"].append(small.wrk(name, seconds))
        small.a.stop()
        for name in out:
            out[name]["large"].append(large.wrk(name, seconds))
    return out


def measure(large, small, saved, options):
    r = {"tickets": large.s["tickets"], "users": large.s["users"], "entries": large.s["entries"], "bytes": large.size_on_disk()}
    large.forget()
    r["start_cold"] = large.start_ms()
    admin = large.admin()
    often = large.write_pairs()[0]
    pool = klero.want(admin.post("/api/v1/pools", {"name": "size", "chain": "evm", "chain_id": 1}, idem=f"size-{r['tickets']}"), 201)
    found = lists(large, admin.token, often, pool.json["id"])
    wire = Wire(large.a)
    all_lists(wire, found)
    r["lists_cold"] = {name: wire.ask("GET", path, token)[0] for name, (path, token) in found.items()}
    draw_some(large, admin)
    r["lists"], r["longest"] = time_lists(wire, found)
    t = time.perf_counter()
    large.a.status()
    r["status"] = (time.perf_counter() - t) * 1000
    small.write_pairs()
    large.warm()
    r["buys"] = buys(large, small, saved, options.seconds, options.rounds)
    r["engine_mib"] = large.engine_mib()
    r["draw"] = time_draw(large, admin.token)
    large.a.stop()
    r["start"] = []
    for _ in range(3):
        r["start"].append(large.start_ms())
        large.a.stop()
    return r


def ratio(runs, what):
    """Of the large store's median to the small one's."""
    middle = {k: statistics.median(run[what] for run in v) for k, v in runs.items()}
    return middle["large"] / middle["small"]


def slowest(r):
    return max(r["lists"], key=r["lists"].get)


def row(r):
    cells = [f"{r['tickets']:,}", f"{r['users']:,}", f"{r['entries']:,}", f"{r['bytes'] >> 20:,}",
             f"{statistics.median(r['start']):.0f} / {r['start_cold']:.0f}"]
    for load in ("many", "one"):
        runs = r["buys"][load]
        cells += [f"{statistics.median(run['rate'] for run in runs['large']):,.0f}", f"{ratio(runs, 'rate'):.2f}",
                  f"{statistics.median(run['engine'] for run in runs['large']):.0f} ({ratio(runs, 'engine'):.1f})",
                  " / ".join(f"{n:.1f}" for n in r["pages"][load])]
    return cells + [f"{r['lists'][slowest(r)]:.1f} / {max(r['lists_cold'].values()):.1f}", f"{r['draw']['draw']:.0f}",
                    f"{r['status']:.0f}", f"{r['engine_mib']:.0f}"]


def table(results):
    head = ["tickets", "users", "ledger entries", "store, MiB", "start, ms, warm / cold", "sales/s, 18 raffles", "of 10³'s",
            "engine, µs each (of 10³'s)", "pages each, read / written", "sales/s, one raffle", "of 10³'s",
            "engine, µs each (of 10³'s)", "pages each, read / written", "slowest list, ms, warm / cold",
            "draw, ms", "status, ms", "engine, MiB"]
    rows = [head, ["---:"] * len(head)] + [row(r) for r in results]
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    worst = sorted({slowest(r).rpartition(" ")[0] for r in results})
    others = statistics.median(run["others"] for r in results for v in r["buys"].values() for runs in v.values() for run in runs)
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return lines + ["", f"Measured on {date}, {os.cpu_count()} cores (the load runs on them, too); medians of "
                    f"{len(results[0]['buys']['many']['large'])} rounds. Other work had {others:.0%} of the machine meanwhile (median). "
                    f"Lists are asked for in pages of 100, the first and one {PAGES} pages on; slowest: {', '.join(worst)}."]


def write_readme(lines):
    path = ROOT / "README.md"
    before, found, rest = path.read_text().partition(BEGIN)
    if not found:
        raise klero.Failure(f"README.md has no line {BEGIN}")
    path.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.partition(END)[2])


def copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)


def at_size(build, folder, n):
    """The appliance, which stands in one place only, as it was when it was filled to 10^n; a new one."""
    if (folder / f"large-{n}").exists():
        copy(folder / f"large-{n}", folder / "large")
    else:
        shutil.rmtree(folder / "large", ignore_errors=True)
    return Store(build, folder / "large")


def run(build, folder, options):
    sizes = [int(s) for s in options.sizes.split(",")]
    steps = options.step or [f"{what}{n}" for n in sizes for what in ("fill", "measure")]
    file, saved = folder / "results.json", folder / "small-store"
    results = json.loads(file.read_text()) if file.exists() else {}
    for step in steps:
        if step == "table":
            continue
        what, n = re.fullmatch(r"(fill|measure)(\d)", step).groups()
        large, small = at_size(build, folder, int(n) - (what == "fill")), Store(build, folder / "small")
        t = time.monotonic()
        try:
            if what == "fill":
                if not small.s["users"]:
                    small.grow(10 ** min(sizes))
                    copy(small.a.dir / "store", saved)
                large.grow(10 ** int(n))
                copy(large.folder, folder / f"large-{n}")
            else:
                pages = large.pages()
                large = at_size(build, folder, int(n))
                results[n] = {**measure(large, small, saved, options), "pages": pages}
                file.write_text(json.dumps(results, indent=1))
        finally:
            large.a.stop()
            small.a.stop()
        print(f"{step}: {time.monotonic() - t:.0f} s", file=sys.stderr)
    lines = table([results[n] for n in sorted(results)]) if results else []
    print("\n".join(lines))
    if options.readme:
        write_readme(lines)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("--folder", type=pathlib.Path)
    p.add_argument("--sizes", default="3,4,5,6,7")
    p.add_argument("--seconds", type=int, default=5)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--readme", action="store_true")
    p.add_argument("step", nargs="*")
    options = p.parse_intermixed_args()
    folder = options.folder or pathlib.Path(tempfile.mkdtemp(prefix="klero-size."))
    folder.mkdir(exist_ok=True, parents=True)
    folder.chmod(0o711)
    try:
        run(options.build.resolve(), folder.resolve(), options)
    finally:
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
