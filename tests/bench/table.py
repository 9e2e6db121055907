"""The tables of the benchmark: for the terminal, and for the README between its markers.

	table.py [--write]     from BENCH_JSON (build/bench.json); --write puts it into README.md

Each figure is a median of the rounds; each ratio the median of the rounds' own ratios, so that what
drifts from round to round cancels out.
"""

import json
import os
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What stands between which markers of the README; a block without a figure stays as it is.
BLOCKS = {"speed": ("buys", "reads", "memory", "mixed", "handshakes", "others"), "keys": ("rotation", "hsm", "reseal"),
          "logs": ("logs",), "audit": ("audit",)}


def median(runs, key="per_second"):
    return statistics.median(r[key] for r in runs)


def ratio(rows, a, b, key="per_second"):
    return statistics.median(x[key] / max(y[key], 1e-9) for x, y in zip(rows[a], rows[b]))


def verdict(value, least=None, most=None):
    bar = f"at least {least:g}" if least is not None else f"under {most:g}"
    good = value >= least if least is not None else value < most
    return f"{bar}: {'holds' if good else 'falls short'}"


class Table:
    def __init__(self, title, head, note=""):
        self.title, self.head, self.rows, self.note = title, head, [], note

    def add(self, *cells):
        self.rows.append([c if isinstance(c, str) else f"{c:,.0f}" if abs(c) >= 100 else f"{c:,.3g}" for c in cells])

    def markdown(self):
        lines = [f"**{self.title}**" + (f" {self.note}" if self.note else ""), "",
                 "| " + " | ".join(self.head) + " |", "| --- |" + " ---: |" * (len(self.head) - 1)]
        return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in self.rows]) + "\n"

    def plain(self):
        width = [max(len(r[i]) for r in [self.head, *self.rows]) for i in range(len(self.head))]
        lines = ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, width)))
                 for r in [self.head, *self.rows]]
        return f"{self.title} {self.note}\n" + "\n".join(lines) + "\n"


def runs_of(t, rows, seconds=True):
    for name, runs in rows.items():
        more = [median(runs, k) if k in runs[0] else "" for k in ("p50_ms", "p99_ms", "cpu_us")]
        t.add(name, median(runs), *more, str(sum(r.get("lost", 0) for r in runs)))


HEAD = ["", "per second", "median ms", "p99 ms", "processor µs each", "refused, lost"]


def buys(f):
    t = Table("Durable sales", HEAD, "over 32 connections, each asking again when it is answered")
    runs_of(t, f["closed"])
    yield t
    if "paced" in f:
        t = Table("The same sales, arriving", HEAD, f"at {f['rate']} a second whether answered or not")
        runs_of(t, f["paced"])
        yield t


def connections(c):
    return "32 connections of wrk" if c == "wrk" else f"{int(c):,} connection{'s' if c != '1' else ''}"


def reads(f):
    for c in (k for k in f if k != "bytes"):
        t = Table(f"GET /raffles, {connections(c)}", HEAD,
                  f"(twenty raffles; klerod's and nginx's answer has {f['bytes']:,} bytes)")
        runs_of(t, f[c])
        yield t


def memory(f):
    states = [k for k in f if k != "per_connection_kib"]
    t = Table("Memory", ["RSS / PSS, MiB", *states])
    for role in f["idle"]:
        t.add(role, *(f"{f[s][role]['rss'] / 1024:.1f} / {f[s][role]['pss'] / 1024:.1f}" for s in states))
    t.add("all but kdf", *("{:.1f} / {:.1f}".format(*(sum(m[k] for r, m in f[s].items() if r != "kdf") / 1024
                                                    for k in ("rss", "pss"))) for s in states))
    yield t


def mixed(f):
    for which, rate, words in (("carried", f["rate"], "a rate that this machine carries"),
                               ("overload", f["over_rate"], "six times that: more logins than it can carry")):
        r = f[which]
        t = Table(f"Mixed load, {rate} requests a second,", ["", "asked", "answered", "refused", "told when to retry", "lost", "median ms",
                                                            "p99 ms"],
                  f"{words}: 80 % reads, 15 % sales, 5 % logins, {r['connections']:,} connections, {r['seconds']} s")
        for name, k in r["kinds"].items():
            refused = failures(k) - k["lost"]
            t.add(name, k["asked"], k["asked"] - failures(k), refused, k["retry_after"], k["lost"], k["p50_ms"], k["p99_ms"])
        yield t
        t = Table("Queues meanwhile", ["", "median", "most", "growth a minute"])
        for name, q in r["queues"].items():
            t.add(name, q["median"], q["max"], f"{q['per_minute']:.2f} ± {q['per_minute_error']:.2f}")
        yield t


def handshakes(f):
    t = Table("TLS handshakes", ["", "per second", "processor µs each", "resumed", "failed"], "16 at once")
    for name, runs in f.items():
        t.add(name, median(runs), median(runs, "cpu_us"), str(sum(r["resumed"] for r in runs)), str(sum(r["lost"] for r in runs)))
    yield t


def rotation(f):
    t = Table("Sales while a key is rotated", ["", "alone, a second", "rotated, a second", "ratio", "p99 alone, ms", "slowest alone, ms",
                                               "slowest rotated, ms", "times p99", "until in use, s", "failed"],
              "over 32 connections, each asking again when it is answered")
    for purpose, runs in f.items():
        alone, rotated = [r["alone"] for r in runs], [r["rotated"] for r in runs]
        t.add(purpose, median(alone), median(rotated), rotation_rate(runs), median(alone, "p99_ms"), median(alone, "max_ms"),
              median(rotated, "max_ms"), rotation_slow(runs), statistics.median(r["took_s"] for r in runs), str(sum(r["lost"] for r in rotated)))
    yield t


def rotation_rate(runs):
    return statistics.median(r["rotated"]["per_second"] / r["alone"]["per_second"] for r in runs)


def rotation_slow(runs):
    return statistics.median(r["rotated"]["max_ms"] / r["alone"]["p99_ms"] for r in runs)


def hsm(f):
    t = Table("hsm", ["", "measured"])
    for name, values in f.items():
        t.add(name, statistics.median(values))
    yield t


def reseal(f):
    t = Table("Sealed values taken over by a fresh key", ["", "measured"], "in the background")
    for name, value in f.items():
        t.add(name.replace("_", " "), value)
    yield t


def logs(f):
    t = Table("Sales with a ticket log and without", HEAD, "over 32 connections")
    runs_of(t, f["sales"])
    yield t
    for what in ("checkpoint", "tile"):
        t = Table(f"GET of a {what}", HEAD, f"out of net's memory, {f[what]['bytes']:,} bytes, 32 connections")
        runs_of(t, f[what]["runs"])
        yield t
    t = Table("What a ticket log costs as it grows", ["tickets", "a sale's part, µs", "a checkpoint's proof, µs", "a receipt, µs",
                                                      "a full tile of hashes, µs", "of entries, µs"], "(engine's processor, without hsm)")
    for g in f["growth"]:
        t.add(f"{g['tickets']:,}", *(g[k] for k in ("sale_us", "checkpoint_us", "receipt_us", "tile_us", "entries_us")))
    yield t


def logs_bars(t, f):
    r = ratio(f["sales"], "with a log", "without a log")
    t.add("sales with a ticket log against sales without", r, verdict(r, 0.9))
    for what in ("checkpoint", "tile"):
        r = ratio(f[what]["runs"], "klerod", "nginx")
        t.add(f"a {what} out of net's memory against nginx", r, verdict(r, 0.45))


def audit(f):
    t = Table("klero-verify --log: a ticket log from its files",
              ["tickets", "on the clock, s", "processor, s", "tickets a processor second", "most memory, MiB", "asked for"])
    for tickets, runs in f["logs"].items():
        cpu, n = statistics.median(r["cpu_s"] for r in runs), int(tickets)
        # below, starting the program is most of it
        asked = verdict(n / cpu, 1e6) if n >= 1000000 else "-"
        t.add(f"{n:,}", f"{statistics.median(r['wall_s'] for r in runs):.3f}", f"{cpu:.3f}", n / cpu,
              f"{max(r['rss_mib'] for r in runs):.1f}", asked)
    t.add("one v2 bundle", f"{statistics.median(r['wall_s'] for r in f['bundle2']):.3f}",
          f"{statistics.median(r['cpu_s'] for r in f['bundle2']):.3f}", "-", f"{max(r['rss_mib'] for r in f['bundle2']):.1f}", "-")
    yield t


def others(f):
    t = Table("Besides", ["", "measured", "asked for"])
    t.add("start to ready, ms", f["ready_ms"], verdict(f["ready_ms"], most=1000))
    t.add("a draw of 1,000 among 100,000,000, ms", f["draw_ms"], verdict(f["draw_ms"], most=20))
    if "drand_ms" in f:
        t.add("the verification of a drand round, ms", f["drand_ms"], verdict(f["drand_ms"], most=100))
    t.add("klero-verify of a million tickets, ms", f["verify_ms"], verdict(f["verify_ms"], most=3000))
    t.add("idle memory without kdf, PSS MiB", f["pss_mib"], verdict(f["pss_mib"], most=64))
    yield t


def buy_bars(t, f):
    rows = f["closed"]
    t.add("sales against the bare loop in batches of 16", ratio(rows, "klerod", "bare loop"),
          verdict(ratio(rows, "klerod", "bare loop"), 0.6))
    for peer, bar in (("peer, SQLite", 5), ("peer, PostgreSQL", 12)):
        if peer not in rows:
            continue
        t.add(f"sales against the {peer}", ratio(rows, "klerod", peer), verdict(ratio(rows, "klerod", peer), bar))
        for how, r in (("", rows), (f", all at {f['rate']}/s", f["paced"])):
            p99 = median(r["klerod"], "p99_ms") / median(r[peer], "p50_ms")
            t.add(f"sales: p99 against the median of the {peer}{how}", p99, verdict(p99, most=1))


def read_bars(t, f):
    for c in (k for k in f if k != "bytes"):
        many = connections(c)
        t.add(f"list against nginx's constant answer, {many}", ratio(f[c], "klerod", "nginx"),
              verdict(ratio(f[c], "klerod", "nginx"), 0.45))
        if "peer, SQLite" in f[c]:
            t.add(f"list against the peer, {many}", ratio(f[c], "klerod", "peer, SQLite"),
                  verdict(ratio(f[c], "klerod", "peer, SQLite"), 4))


def failures(kind):
    return kind["asked"] - sum(n for s, n in kind["status"].items() if s[0] == "2")


def mixed_bars(t, f):
    c = f["carried"]
    bad = sum(failures(k) for k in c["kinds"].values())
    t.add(f"mixed load at {f['rate']}/s, 1,000 connections: not answered with success", bad, verdict(bad, most=1))
    worst = max(c["queues"].values(), key=lambda q: q["per_minute"])
    # more than one a minute, and more than twice what chance makes of it
    grows = any(q["per_minute"] - 2 * q["per_minute_error"] > 1 for q in c["queues"].values())
    t.add("the same: growth of the fastest growing queue, a minute",
          f"{worst['per_minute']:.2f} ± {worst['per_minute_error']:.2f}",
          "no queue grows: " + ("falls short" if grows else "holds"))


def overload_bars(t, f):
    kinds = f["overload"]["kinds"]
    bad = sum(failures(k) for name, k in kinds.items() if name != "login")
    t.add(f"mixed load at {f['over_rate']}/s: reads and sales not answered with success", bad, verdict(bad, most=1))
    untold = sum(k["asked"] - k["status"].get("200", 0) - k["retry_after"] for name, k in kinds.items() if name == "login")
    t.add("the same: logins neither answered nor told when to retry", untold, verdict(untold, most=1))


def rotation_bars(t, f):
    lost = sum(r["rotated"]["lost"] for runs in f.values() for r in runs)
    t.add("sales that failed while any key was rotated", lost, verdict(lost, most=1))
    worst = min(f, key=lambda p: rotation_rate(f[p]))
    t.add(f"sales while a key is rotated against without, least ({worst})", rotation_rate(f[worst]), verdict(rotation_rate(f[worst]), 0.8))
    worst = max(f, key=lambda p: rotation_slow(f[p]))
    t.add(f"slowest answer meanwhile against the p99 without, most ({worst})", rotation_slow(f[worst]),
          verdict(rotation_slow(f[worst]), most=3))
    # a disk that stalls does so without a rotation, too
    runs = [r for of_purpose in f.values() for r in of_purpose]
    for which, words in (("rotated", "a rotation"), ("alone", "none")):
        slow = sum(r[which]["max_ms"] > 3 * r["alone"]["p99_ms"] for r in runs)
        t.add(f"runs with {words} whose slowest answer was over 3 times that p99", f"{slow} of {len(runs)}", "-")


def hsm_bars(t, f):
    for bare, words in (("bare signatures a second", "a bare C_Sign loop"), ("bare sessions a second", "the same calls of the module, bare")):
        value = statistics.median(a / b for a, b in zip(f["sessions a second"], f[bare]))
        t.add(f"token signatures by hsm against {words}", value, verdict(value, 0.8))
    for name, words in (("round trip us", "one at a time"), ("round trip after a pause us", "hsm asleep before"),
                        ("message us, 32 under way", "32 under way")):
        value = statistics.median(f[name])
        t.add(f"message to hsm and back, {words}, µs", value, verdict(value, most=30))


def reseal_bars(t, f):
    t.add(f"{f['values']:,} sealed values taken over, s", f["rotation_s"], verdict(f["rotation_s"], most=600 * f["values"] / 1e6))
    t.add("the same against a bare loop of C_Encrypt and C_Decrypt", f["ratio"], verdict(f["ratio"], 0.7))


def bars(result):
    """What was asked for, and whether it holds."""
    t = Table("Asked and measured", ["", "ratio or figure", "asked"])
    if "buys" in result:
        buy_bars(t, result["buys"]["figures"])
    if "reads" in result:
        read_bars(t, result["reads"]["figures"])
    if "logs" in result:
        logs_bars(t, result["logs"]["figures"])
    if "memory" in result:
        kib = result["memory"]["figures"]["per_connection_kib"]
        t.add("memory of an idle connection, KiB", kib, verdict(kib, most=40))
    if "mixed" in result:
        mixed_bars(t, result["mixed"]["figures"])
        overload_bars(t, result["mixed"]["figures"])
    if "handshakes" in result:
        r = ratio(result["handshakes"]["figures"], "through tlskey", "key in net")
        t.add("handshakes through tlskey against a key in net", r, verdict(r, 0.6))
    if "rotation" in result:
        rotation_bars(t, result["rotation"]["figures"])
    if "hsm" in result:
        hsm_bars(t, result["hsm"]["figures"])
    if "reseal" in result:
        reseal_bars(t, result["reseal"]["figures"])
    return t


SECTIONS = {"buys": buys, "logs": logs, "reads": reads, "memory": memory, "mixed": mixed, "handshakes": handshakes, "rotation": rotation,
            "hsm": hsm, "reseal": reseal, "audit": audit, "others": others}


def tables(result):
    yield bars(result)
    for name, make in SECTIONS.items():
        if name in result:
            yield from make(result[name]["figures"])


def summary(result):
    """What is behind the ratios, for the README: the rest is for who runs the benchmark."""
    t = Table("Measured", HEAD)
    named = {"sale": ("buys", "closed"), "paced sale": ("buys", "paced"), "list": ("reads", "32"), "handshake": ("handshakes", None)}
    for what, (section, part) in named.items():
        f = result.get(section, {}).get("figures", {})
        rows = f.get(part, {}) if part else f
        runs_of(t, {f"{what}: {name}": runs for name, runs in rows.items()})
    asked = bars(result)
    if asked.rows:
        yield asked
    if t.rows:
        yield t
    for name in ("logs", "memory", "mixed", "rotation", "hsm", "reseal", "audit"):
        if name in result:
            yield from SECTIONS[name](result[name]["figures"])


def text(result):
    return "\n".join(t.plain() for t in tables(result))


def others_share(value):
    """Every "elsewhere" in a result."""
    if isinstance(value, dict):
        for k, v in value.items():
            yield from [v] if k == "elsewhere" else others_share(v)
    elif isinstance(value, list):
        for v in value:
            yield from others_share(v)


def markdown(result):
    made = [result[n] for n in SECTIONS if n in result]
    dates = sorted({s["date"] for s in made})
    m = made[0]
    rounds = f"medians of {m['rounds']} rounds; a ratio is the median of the rounds' own" if m["rounds"] > 1 else "one round"
    head = (f"Measured on {' and '.join(dates)}, {m['cores']} cores (the load runs on them, too), {m['memory_gib']} GiB, "
            f"{m['system']}; {rounds}.")
    shares = list(others_share(result))
    if shares:
        head += (f" Other work had {statistics.median(shares):.0%} of the machine meanwhile (median; processor time is not "
                 "changed by that, waiting is).")
    return "\n".join([head, "", *(t.markdown() for t in summary(result))])


def main():
    result = json.loads(pathlib.Path(os.environ.get("BENCH_JSON", ROOT / "build" / "bench.json")).read_text())
    if "--write" not in sys.argv:
        print(text(result))
        return
    readme = ROOT / "README.md"
    page = readme.read_text()
    for name, sections in BLOCKS.items():
        own = {n: result[n] for n in sections if n in result}
        begin, end = f"<!-- {name}: made by make bench-table -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        if end not in rest:
            sys.exit(f"table: README.md lacks the markers {begin} and {end}")
        if own:
            page = before + begin + "\n" + markdown(own) + "\n" + end + rest.partition(end)[2]
    readme.write_text(page)


if __name__ == "__main__":
    main()
