"""A walk through all that the roles of an appliance do: every kind of request, draws, proofs, large
answers, kleroctl, deaths, stops, garbage, a tampered ciphertext, the end and the next start. Under
tests/tools/sift it shows which system calls they need; without one of them it must break.
"""

import contextlib
import ctypes
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

for folder in ("system", "captured", "beacon"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / folder))
import klero  # noqa: E402
import officers  # noqa: E402
import roles  # noqa: E402

ROLES = ("hsm", "tlskey", "engine", "kdf", "out", "beacon", "net")
WAIT = 120
SIX = threading.Lock()  # there is one DNS server of IPv6
SYS_PIDFD_GETFD = 438


class Broken(Exception):
    """The walk has met what it was waiting for: a forbidden call."""


class Sifted(klero.Appliance):
    """An appliance whose klerod and kleroctl run under sift."""

    def __init__(self, build, directory, lines=(), port=None, programs="bin"):
        super().__init__(build / programs, directory, lines, port)
        self.build, self.options, self.pids = build, [], []
        self.relays = None  # tests/beacon: those that the configuration names
        self.officer = None  # who decides about the keys alone

    def spawn(self, before=(), **how):
        self.process = subprocess.Popen(
            [*before, self.build / "tools" / "sift", *self.options, self.bin / "klerod", "-c", self.conf],
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **how})
        self.pids.append(self.process.pid)
        return self.process


def stolen(pid, fd):
    """Another process's descriptor, as a socket of ours."""
    pidfd = os.pidfd_open(pid)
    try:
        mine = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
    finally:
        os.close(pidfd)
    if mine < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return socket.socket(fileno=mine)


def channels(pid):
    """The descriptors of a process that are message channels."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            s = stolen(pid, int(name))
        except OSError:
            continue
        if (s.family, s.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET) and not listening(s):
            yield int(name), s
        else:
            s.close()


def listening(s):
    return s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Watch(threading.Thread):
    """Looks at the log; when a line is there, nothing more needs to happen: the appliance goes."""

    def __init__(self, appliance, line):
        super().__init__(daemon=True)
        self.appliance, self.line = appliance, line
        self.met, self.over = False, threading.Event()

    def look(self):
        if self.line and self.line in self.appliance.log():
            self.met = True
            process = self.appliance.process
            if process is not None and process.poll() is None:
                process.kill()
        return self.met

    def soon(self):
        """A role's last words may come later than what its death brings about."""
        end = time.monotonic() + 3
        while self.line and not self.look() and time.monotonic() < end:
            time.sleep(0.05)
        return self.met

    def run(self):
        while not self.over.wait(0.02) and not self.look():
            pass


class Walk:
    def __init__(self, appliance):
        self.a = appliance
        self.large = []  # paths of answers that no message holds

    def until(self, what):
        """As klero's, but nobody waits for a klerod that Watch has ended."""
        def now():
            if self.a.process.poll() is not None:
                raise klero.Failure("klerod is gone")
            return what()
        return klero.until(now)

    # --- the steps, the common ones first ---

    def accounts(self):
        a = self.a
        self.admin = a.admin()
        self.person = p = a.person()
        klero.want(p.call("PATCH", "/api/v1/me", {"display_name": "A", "version": 1}), 200)
        p.take(klero.want(p.post("/api/v1/auth/refresh", {"refresh_token": p.refresh_token}, token=None), 200).json)
        assert p.post("/api/v1/auth/login", {"email": p.email, "password": "not the one at all"}, token=None).status == 401
        p.get("/api/v1/auth/me", token="eyJhbGciOiJub25lIn0.e30.")
        other = a.person()
        klero.want(other.post("/api/v1/auth/logout"), 204)
        a.status()
        a.ctl("user", "roles", p.email, "user", check=False)
        self.admin.confirm(p.deposit(10_000_000)["id"])

    def sell(self, tickets, **fields):
        raffle = self.admin.create(capacity=100000, format="v1", **fields)["id"]
        klero.want(self.admin.step(raffle, "open"), 200)
        for n in range(0, tickets, 100):
            klero.want(self.person.buy(raffle, 100, "seed %d" % n), 201)
        return raffle

    def draw_out(self, raffle):
        for verb, body in (("close", None), ("entropy", {"entropy": "00ff"}), ("draw", None)):
            klero.want(self.admin.step(raffle, verb, body), 200)

    def draw(self):
        raffle = self.sell(200, title="A", winners=3, reserves=2)
        self.draw_out(raffle)
        klero.want(self.person.get(f"/api/v1/raffles/{raffle}/proof"), 200)
        klero.want(self.person.post(f"/api/v1/raffles/{raffle}/verify"), 200)

    def largest_draw(self):
        """The longest records there are, and answers that are longer than a message."""
        for _ in range(4):
            raffle = self.sell(2100, title="All win", winners=1000, reserves=1000)
            self.draw_out(raffle)
            klero.want(self.person.get(f"/api/v1/raffles/{raffle}/proof"), 200)
            self.large.append(f"/api/v1/raffles/{raffle}")

    def proof_that_fails(self):
        """Something stands where the proof is to go: what was written of it is removed."""
        raffle = self.sell(100, title="No proof", winners=1)
        folder = self.a.dir / "store" / "proofs" / f"{raffle}.json"
        folder.mkdir()
        self.draw_out(raffle)
        self.person.get(f"/api/v1/raffles/{raffle}/proof")
        folder.rmdir()

    def reads(self):
        for path in ("/openapi.json", "/health", "/health/live", "/health/ready", "/.well-known/jwks.json",
                     "/.well-known/openid-configuration", "/api/v1/raffles", "/api/v1/nothing"):
            self.person.get(path)
            self.person.call("HEAD", path)
        self.person.get("/metrics")
        for path in ("/api/v1/wallet", "/api/v1/wallet/entries", "/api/v1/me"):
            klero.want(self.person.get(path), 200)
        for path in ("/api/v1/admin/audit?limit=100", "/api/v1/admin/jobs", "/api/v1/admin/deposits"):
            klero.want(self.admin.get(path), 200)

    def large_answers(self):
        """More than a message holds, and more than a socket takes at once."""
        large = self.large[0]
        size = len(klero.want(self.person.get(large), 200).body)
        assert size > 65536 * 2
        clients = [self.a.client() for _ in range(40)]
        for c in clients:
            klero.want(c.get(large), 200)
        for c in clients:
            c.close()
        with self.tls() as s:
            s.sendall(f"GET {large} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 16)
            time.sleep(0.3)
            total = 0
            s.settimeout(60)
            while total < 16 * size:
                total += len(s.recv(65536))

    def tls(self):
        raw = socket.create_connection(("127.0.0.1", self.a.port), timeout=60)
        return klero.tls_context(self.a.ca).wrap_socket(raw, server_hostname="localhost")

    def rude_clients(self):
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\x00\x01\x02\r\n\r\n",
                     b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n"):
            with self.tls() as s:
                s.sendall(data)
                while s.recv(65536):
                    pass
        with socket.create_connection(("127.0.0.1", self.a.port), timeout=60) as s:
            s.sendall(b"not TLS at all\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                s.recv(100)
        with socket.create_connection(("127.0.0.1", self.a.port), timeout=60) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with self.tls() as s:  # closed by us, in order and not
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while s.recv(65536):
                pass

    def stopped_and_continued(self):
        """A wait that SIGSTOP interrupts goes on after SIGCONT."""
        for role in ROLES:
            for pid in self.a.roles()[role]:
                self.stop(pid)
                os.kill(pid, signal.SIGCONT)
        self.a.wait_ready()
        # net waits for a signature, and is stopped there
        tlskey, nets = self.a.roles()["tlskey"][0], self.a.roles()["net"]
        self.stop(tlskey)
        waiting = [socket.create_connection(("127.0.0.1", self.a.port), timeout=60) for _ in range(8)]
        t = [threading.Thread(target=self.handshake, args=(s,)) for s in waiting]
        for x in t:
            x.start()
        time.sleep(0.3)
        for pid in nets:
            self.stop(pid)
            os.kill(pid, signal.SIGCONT)
        os.kill(tlskey, signal.SIGCONT)
        for x in t:
            x.join()
        self.a.wait_ready()

    @staticmethod
    def stop(pid):
        os.kill(pid, signal.SIGSTOP)
        for _ in range(200):
            if state_of(pid) in "Tt":
                return
            time.sleep(0.005)

    def handshake(self, raw):
        try:
            klero.tls_context(self.a.ca).wrap_socket(raw, server_hostname="localhost").close()
        except OSError:
            raw.close()

    def deaths(self):
        for role in ROLES:
            self.gone({self.a.kill(role)})
        klero.want(self.person.get("/api/v1/wallet"), 200)

    def not_asked(self):
        """A fresh out loses engine before it was asked for anything: no reason to die of its sandbox."""
        engine = self.a.roles()["engine"][0]
        self.stop(engine)
        old = self.a.kill("out")
        fresh = self.until(lambda: [pid for pid in self.a.roles()["out"] if pid != old])[0]
        self.until(lambda: len(list(channels(fresh))) > 1)
        os.kill(engine, signal.SIGKILL)
        self.gone({engine})
        if self.a.roles()["out"] != [fresh]:
            raise klero.Failure(f"out has died\n{self.a.log()[-1000:]}")

    def rotations(self):
        """keyadm writes the tokens while those that hold their keys use them, in the token's files where need be."""
        end = threading.Event()

        def use(once):
            while not end.is_set():
                with contextlib.suppress(OSError, http.client.HTTPException, klero.Failure):
                    once()
        users = [threading.Thread(target=use, args=(once,)) for once in (self.shake_hands, self.sign_in)]
        for t in users:
            t.start()
        try:
            # hours later the fresh certificate is not yet valid here
            for purpose in ("seed",) if "--later" in self.a.options else ("seed", "tls"):
                self.until(lambda: officers.known(self.a))
                officers.decide(self.a, [self.a.officer], "rotate", purpose)
        finally:
            end.set()
            for t in users:
                t.join()
        self.a.wait_ready(WAIT)

    def shake_hands(self):
        self.handshake(socket.create_connection(("127.0.0.1", self.a.port), timeout=60))

    def sign_in(self):
        """An access token is signed."""
        with contextlib.closing(self.a.client()) as c:
            body = {"email": self.person.email, "password": klero.PASSWORD}
            c.post("/api/v1/auth/login", body, token=None)

    def beacons(self):
        """A fresh out looks the relays' names up, by datagram and, when that is cut, by TCP."""
        for truncate in (False, True):
            self.a.relays.tell(truncate=truncate)
            self.a.relays.asked()
            self.gone({self.a.kill("out"), self.a.kill("engine")})
            self.until(lambda: any(path.startswith("relay ") for path in self.a.relays.asked()))
            self.until(lambda: klero.want(self.person.get("/health"), 200).json["clock"] == "ok")
        self.a.relays.tell(truncate=False)

    def crowd(self):
        """More connections at once than net holds memory for."""
        crowd = [self.tls() for _ in range(300)]
        for s in crowd:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for s in crowd:
            s.recv(100)
            s.close()

    def slow_peer(self):
        """What net does not take at once waits in engine, with the descriptors that belong to it."""
        engine, nets = self.a.roles()["engine"][0], self.a.roles()["net"]
        clients = [self.tls() for _ in range(40)]
        self.sell(0, title="drops what net keeps")
        self.stop(engine)
        for n, s in enumerate(clients):  # first what fills the channel, then what goes with a descriptor
            path = "/api/v1/admin/audit?limit=100" if n < 30 else self.large[n % len(self.large)]
            s.sendall((f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                       f"Authorization: Bearer {self.admin.token}\r\n\r\n").encode())
            if n == 29:
                time.sleep(0.2)
        time.sleep(0.2)
        for pid in nets:
            self.stop(pid)
        os.kill(engine, signal.SIGCONT)
        time.sleep(1)
        for pid in nets:
            os.kill(pid, signal.SIGCONT)
        for s in clients:
            s.recv(100)
            s.close()
        self.a.wait_ready(WAIT)

    def garbage(self):
        """From parent, to whom every role listens."""
        before = {pid for pids in self.a.roles().values() for pid in pids}
        for _, s in channels(self.a.process.pid):
            s.setblocking(False)
            s.send(b"this is no message")
            s.close()
        self.gone(before)

    def gone(self, pids):
        """Until all of them have died and are replaced."""
        self.until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids))
        self.a.wait_ready(WAIT)

    def heap(self):
        """malloc and free of any size go on working (in the programs with the hole)."""
        if self.a.bin.name != "captured":
            return
        held = roles.Captured.all(self.a)
        for name, role in held.items():
            if not name.startswith("kdf"):
                assert role.heap() == 1
            role.close()

    def second_start(self):
        """With what a crash or a restored backup may leave: other modes, a journal, a link."""
        self.a.stop()
        store = self.a.dir / "store"
        (store / "klero.db").chmod(0o640)
        journal = store / "klero.db-journal"
        journal.write_bytes(bytes(512))
        shutil.copystat(store / "klero.db", journal)
        os.chown(journal, store.stat().st_uid, store.stat().st_gid)
        conf = self.a.conf.read_text()
        link = self.a.dir / "link"
        link.symlink_to("store")
        self.a.conf.write_text(re.sub(r"(?m)^store .*$", f"store {link}", conf))
        try:
            self.a.start()
            self.a.person()
            self.a.stop()
        finally:
            self.a.conf.write_text(conf)
            link.unlink()

    def over_six(self):
        """Names that have an address of IPv6 alone, and a DNS server of IPv6: the system's own, see calls.py."""
        if not self.a.relays.six:
            return
        conf = self.a.conf.read_text()
        self.a.conf.write_text(re.sub(r"(?m)^out-resolver .*\n", "", conf))
        with SIX:
            self.a.relays.tell(six=True)
            self.a.relays.asked()
            try:
                self.a.start()
                self.until(lambda: any(path.startswith("relay ") for path in self.a.relays.asked()))
                self.until(lambda: klero.want(self.a.client().get("/health"), 200).json["clock"] == "ok")
                self.a.stop()
            finally:
                self.a.relays.tell(six=False)
                self.a.conf.write_text(conf)

    def tampered(self):
        """hsm is given a sealed key that is none: SoftHSM wants to tell syslog."""
        path = self.a.dir / "store" / "klero.keys"
        good = path.read_text()
        sealed = [line for line in good.splitlines() if line.startswith("dbkey ")][0]
        at = len(sealed) - 8
        bad = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1:]
        path.write_text(good.replace(sealed, bad))
        try:
            self.a.start()
        except klero.Failure:
            pass
        else:
            raise klero.Failure("it starts with a sealed key that was tampered with")
        finally:
            path.write_text(good)
            self.a.stop()

    STEPS = (accounts, heap, reads, draw, rude_clients, stopped_and_continued, deaths, rotations, garbage, not_asked, beacons, proof_that_fails, largest_draw,
             large_answers, crowd, slow_peer, second_start, over_six, tampered)

    def go(self, line=None, say=lambda text: None):
        """All steps; True when a line that was waited for has come into the log."""
        watch = Watch(self.a, line)
        watch.start()
        try:
            self.a.start()
            for step in self.STEPS:
                began = time.monotonic()
                step(self)
                say(f"{step.__name__} {time.monotonic() - began:.1f} s")
                if watch.met:
                    break
            watch.soon()
        except (klero.Failure, roles.Dead, OSError, http.client.HTTPException, ssl.SSLError, AssertionError, IndexError):
            if not watch.soon():
                raise
        finally:
            watch.over.set()
            watch.join()
            try:
                self.a.stop(signal.SIGKILL if watch.met else signal.SIGTERM)
            except klero.Failure:
                if not watch.met:
                    raise
        return watch.met


def copy(template, directory):
    """A fresh appliance where its configuration says that it is."""
    shutil.rmtree(directory, ignore_errors=True)
    subprocess.run(["cp", "-a", str(template), str(directory)], check=True)
