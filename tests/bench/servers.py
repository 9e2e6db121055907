"""The servers that the benchmark races: klerod, nginx with a constant answer, and a peer of the same
business over SQLite or PostgreSQL. Each on 127.0.0.1 and in a folder that the caller removes; each
has port, roots() (the processes to account for) and stop().
"""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
import klero  # noqa: E402

BUYERS, RAFFLES = 50, 20


def await_port(port, process, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise klero.Failure(f"nothing listens on port {port}")


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "tls.key", "-out", folder / "tls.crt", "-days", "2", "-subj", "/CN=localhost"],
                   check=True, capture_output=True)


class Process:
    """One started program."""

    process = None

    def roots(self):
        return [self.process.pid]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


class Klerod:
    """An appliance with fifty rich buyers and twenty open raffles."""

    def __init__(self, bindir, folder, lines=(), libexec=None):
        self.a = klero.Appliance(bindir, folder, [*klero.NO_LIMITS, *lines], libexec=libexec).provision()
        self.a.start()
        self.tokens = folder / "tokens.txt"
        self.people, self.raffle = [], None

    @property
    def port(self):
        return self.a.port

    def roots(self):
        return [self.a.process.pid]

    def furnish(self):
        self.admin = self.a.admin()
        self.people = [klero.Person(self.a.port, self.a.ca, f"u{n}@example.org") for n in range(BUYERS)]
        klero.in_parallel(lambda p: p.register(), self.people, workers=4)
        self.login()
        for p in self.people:
            self.admin.confirm(p.deposit(10**12)["id"])
        for n in range(RAFFLES):
            self.raffle = self.admin.create(title=f"Car {n + 1}", capacity=100_000_000)["id"]
            klero.want(self.admin.step(self.raffle, "open"), 200)
        return self

    def logged_raffle(self):
        """One more, which has a ticket log: only a benchmark makes it so, before its first sale."""
        raffle = self.admin.create(title="Logged", capacity=100_000_000)["id"]
        klero.want(self.admin.step(raffle, "open"), 200)
        self.a.stop()
        run = self.a.store_tool("sql", f"UPDATE raffles SET format = 2, sales_close_s = 4102444800 WHERE id = x'{raffle.replace('-', '')}'")
        if run.returncode:
            raise klero.Failure(run.stderr)
        self.a.start()
        self.login()
        return raffle

    def login(self):
        """Anew: an access token lives for a quarter of an hour."""
        klero.in_parallel(lambda p: p.login(), self.people, workers=4)
        self.admin.login()
        self.tokens.write_text("".join(p.token + "\n" for p in self.people))

    def buy_path(self):
        return f"/api/v1/raffles/{self.raffle}/buy"

    def memory(self):
        """{role: {"rss": KiB, "pss": KiB}}, all processes of a role together."""
        out = {}
        pids = {"parent": [self.a.process.pid], **self.a.roles()}
        for role, group in pids.items():
            out[role] = {"rss": 0, "pss": 0}
            for pid in group:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                for kind in ("Rss", "Pss"):
                    out[role][kind.lower()] += int(re.search(rf"^{kind}:\s+(\d+)", text, re.M).group(1))
        return out

    def metrics(self):
        """{name with labels: value}"""
        lines = klero.want(self.admin.get("/metrics"), 200).body.decode().splitlines()
        return {name: float(v) for name, _, v in (l.rpartition(" ") for l in lines if not l.startswith("#"))}

    def stop(self):
        self.a.stop()


class Nginx(Process):
    """One worker, TLS 1.3, P-256, a constant body; resumption as nginx does it by default."""

    def __init__(self, folder, body):
        self.folder, self.port = folder, klero.free_port()
        folder.mkdir()
        certificate(folder)
        # a word of its configuration may not be as long as the body
        parts = [body[i:i + 2000] for i in range(0, len(body), 2000)]
        (folder / "nginx.conf").write_text(
            "worker_processes 1; daemon off; pid nginx.pid; error_log nginx.err;\n"
            "worker_rlimit_nofile 8192; events { worker_connections 4096; }\n"
            "http { access_log off; keepalive_requests 1000000000; client_body_temp_path b; proxy_temp_path p;\n"
            "  fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n"
            f"  server {{ listen 127.0.0.1:{self.port} ssl backlog=4096; ssl_certificate tls.crt;\n"
            "    ssl_certificate_key tls.key; ssl_protocols TLSv1.3;\n"
            "    location / { default_type application/json;\n"
            + "".join(f"      set $part{i} '{p}';\n" for i, p in enumerate(parts))
            + "      return 200 '" + "".join(f"$part{i}" for i in range(len(parts))) + "'; } } }\n")
        self.process = subprocess.Popen(["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "nginx.err"])
        await_port(self.port, self.process)


class Postgres(Process):
    """A cluster of its own with the settings that Debian ships; root lends it an ordinary user."""

    def __init__(self, folder):
        self.folder, self.port = folder, klero.free_port()
        bins = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        if not bins:
            raise klero.Failure("postgresql is not installed")
        self.bin = bins[-1]
        folder.mkdir()
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        data = folder / "data"
        subprocess.run([self.bin / "initdb", "-D", data, "-A", "trust", "-U", "klero", "-E", "UTF8", "--no-sync"],
                       check=True, capture_output=True, **self._as())
        self.process = subprocess.Popen(
            [self.bin / "postgres", "-D", data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
             "-c", f"unix_socket_directories={folder}", "-c", "logging_collector=off"],
            stderr=(folder / "log").open("w"), **self._as())
        self.url = f"postgres://klero@127.0.0.1:{self.port}/postgres"
        self._await()

    def _as(self):
        if not self.user:
            return {"cwd": self.folder}
        return {"cwd": self.folder, "user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def _await(self):
        """It listens before it answers."""
        for _ in range(300):
            if subprocess.run([self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0:
                return
            time.sleep(0.1)
        self.stop()
        raise klero.Failure(f"postgresql does not start: {(self.folder / 'log').read_text()[-500:]}")

    def sql(self, text):
        subprocess.run([self.bin / "psql", "-q", "-v", "ON_ERROR_STOP=1", self.url], input=text, text=True, check=True,
                       capture_output=True)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # fast: clients are cut off
            self.process.wait(30)


class Peer(Process):
    """The other server of the same business (PEER/README.md), installed in a folder of its own."""

    TABLES = """create table wallet("user" bigint primary key, balance bigint not null check(balance>=0));
        create table raffle(id int primary key, title text, price int, sold int, capacity int, state text);
        create table ticket(raffle int, no int, "user" bigint, primary key(raffle,no));
        create table entry(id bigserial primary key, "user" bigint, amount bigint, ref text);
        create table idem("user" bigint, key text, body text, primary key("user",key));
        create table audit(id bigserial primary key, line text, hash bytea);
        insert into raffle values(1,'Car',100,0,100000000,'open');
        insert into wallet select g, 1000000000000 from generate_series(1,1000) g;"""
    MORE = "".join(f"insert into raffle values({n},'Car {n}',100,0,100000000,'open');" for n in range(2, RAFFLES + 1))

    def __init__(self, installed, folder, postgres=False):
        self.folder, self.port, self.pg = folder, klero.free_port(), None
        try:
            self._start(installed, folder, postgres)
        except Exception:
            self.stop()
            raise

    def _start(self, installed, folder, postgres):
        shutil.copytree(installed, folder, ignore=shutil.ignore_patterns("node_modules"))
        (folder / "node_modules").symlink_to(installed / "node_modules")
        certificate(folder)
        subprocess.run("openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out jwt.pem &&"
                       " openssl ec -in jwt.pem -pubout -out jwt.pub", shell=True, cwd=folder, check=True, capture_output=True)
        env = {**os.environ, "PORT": str(self.port), "STORE": "sqlite"}
        if postgres:
            self.pg = Postgres(folder / "pg")
            self.pg.sql(self.TABLES + self.MORE)
            env.update(STORE="pg", PGURL=self.pg.url)
        self.tokens = folder / "tokens.txt"
        self.tokens.write_text(subprocess.run(["node", "server.mjs", "token"], cwd=folder, check=True, env=env,
                                              capture_output=True, text=True).stdout)
        self.process = subprocess.Popen(["node", "server.mjs"], cwd=folder, env=env)
        await_port(self.port, self.process)
        if not postgres:
            with sqlite3.connect(folder / "data.db", timeout=30) as db:
                db.executescript(self.MORE)
            db.close()

    def buy_path(self):
        return "/api/v1/raffles/1/buy"

    def roots(self):
        return [self.process.pid] + ([self.pg.process.pid] if self.pg else [])

    def stop(self):
        super().stop()
        if self.pg:
            self.pg.stop()
