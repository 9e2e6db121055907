"""The loads of the benchmark, and what a server's processes spent on them.

A run is a dict: per_second, p50_ms, p99_ms, lost (refused and unanswered), cpu_us (processor time of
the server's own processes for each answer), elsewhere (the share of the machine that neither the
server nor the load used: others' work, which spoils a measurement).
"""

import json
import os
import pathlib
import re
import resource
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count()


class Failure(Exception):
    """A load did not run."""


def tree(roots):
    """The processes with these ids and all that descend from them."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(pathlib.Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                pass
    found, grown = set(roots), True
    while grown:
        more = {p for p, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def cpu_of(pids):
    """{pid: seconds of processor time}"""
    out = {}
    for pid in pids:
        try:
            f = pathlib.Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
            out[pid] = (int(f[11]) + int(f[12])) / TICKS
        except OSError:
            pass
    return out


def busy():
    """Seconds of processor time that the machine has spent."""
    f = [int(v) for v in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(f) - f[3] - f[4]) / TICKS


class Account:
    """What the server's processes, the load and everybody else spend from here on."""

    def __init__(self, roots):
        self.roots = roots
        self.before = cpu_of(tree(roots))
        self.children = self._children()
        self.busy, self.began = busy(), time.monotonic()

    @staticmethod
    def _children():
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        return u.ru_utime + u.ru_stime

    def close(self, answers):
        after = cpu_of(tree(self.roots))
        server = sum(t - self.before.get(p, 0) for p, t in after.items())
        load, wall = self._children() - self.children, time.monotonic() - self.began
        return {"cpu_us": 1e6 * server / answers if answers else 0,
                "elsewhere": max(0.0, (busy() - self.busy - server - load) / (wall * CORES))}


def wrk(server, path, connections, seconds):
    """As fast as that many connections can ask, by Debian's wrk with one thread."""
    account = Account(server.roots())
    run = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", HERE / "get.lua",
                          f"https://127.0.0.1:{server.port}{path}"], capture_output=True, text=True)
    m = re.search(r"^RESULT ([\d.]+) (\d+) (\d+) (\d+)$", run.stdout, re.M)
    if not m:
        raise Failure(f"wrk: {run.stdout}{run.stderr}")
    rate = float(m.group(1))
    return {"per_second": rate, "lost": int(m.group(2)), "p50_ms": int(m.group(3)) / 1000,
            "p99_ms": int(m.group(4)) / 1000, **account.close(rate * seconds)}


class Load:
    """tests/tools/load and tests/tools/handshakes."""

    def __init__(self, build):
        self.tools = pathlib.Path(build) / "tools"

    def _run(self, *args):
        run = subprocess.run([str(a) for a in args], capture_output=True, text=True)
        if run.returncode:
            raise Failure(run.stderr.strip())
        return json.loads(run.stdout)

    def mixed(self, server, kinds, seconds, connections=32, rate=None, tokens=None, users=1, warm=1):
        """kinds: arguments of load's -k. Returns load's own report with the account's lines."""
        account = Account(server.roots())
        args = ["-c", connections, "-d", seconds, "-w", warm, "-u", users]
        args += ["-r", rate] if rate else []
        args += ["-t", tokens] if tokens else []
        for k in kinds:
            args += ["-k", k]
        out = self._run(self.tools / "load", *args, server.port)
        answers = sum(done for done, _ in out["by_second"])
        return {**out, **account.close(answers)}

    def one(self, server, kind, seconds, **more):
        """One kind of request only, as a run."""
        out = self.mixed(server, [kind], seconds, **more)
        k = next(iter(out["kinds"].values()))
        good = sum(n for status, n in k["status"].items() if status[0] == "2")
        return {"per_second": good / seconds, "lost": k["asked"] - good, "p50_ms": k["p50_ms"],
                "p99_ms": k["p99_ms"], "max_ms": k["max_ms"], "cpu_us": out["cpu_us"], "elsewhere": out["elsewhere"]}

    def handshakes(self, server, seconds, resumed=False, connections=16):
        account = Account(server.roots())
        out = self._run(self.tools / "handshakes", "-c", connections, "-d", seconds, *(["-r"] if resumed else []),
                        server.port)
        return {"per_second": out["per_second"], "lost": out["failed"], "resumed": out["resumed"],
                **account.close(out["done"])}

    def idle(self, server, connections):
        """Opens that many connections; close(them) ends them."""
        p = subprocess.Popen([str(self.tools / "load"), "-i", "-c", str(connections), str(server.port)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if p.stdout.readline() != "ready\n":
            p.kill()
            raise Failure("load: the connections do not open")
        return p

    @staticmethod
    def close(p):
        p.stdin.close()
        p.wait()
        p.stdout.close()
