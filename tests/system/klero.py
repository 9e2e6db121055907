"""An appliance and its clients, for the demo and the system tests. Python's standard library only.

Appliance provisions, starts, stops and looks at one klerod. Client speaks HTTPS to it with the
certificate verified, one connection kept alive. Person is a client with an account. None of it
knows anything of the daemon but its command line, its configuration and its API.
"""

import atexit
import base64
import collections
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import pickle
import queue
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
NO_LIMITS = ["limit-anonymous 10000000/900", "limit-auth 10000000/900", "limit-approval 10000000/900", "limit-logs 10000000/900",
             "limit-user 10000000/900"]
PASSWORD = "correct horse battery staple"


class Failure(Exception):
    """What was asked for did not happen; the text says what did."""


HELD = collections.deque(maxlen=256)  # what keeps the newest ports of this process from others


def free_port():
    """Of those that no connection gets by itself: other tests make many, and the port is used later. Meanwhile
    no other process of the tests gets it, whoever runs it: an abstract name stands for it."""
    while True:
        port = 10240 + secrets.randbelow(32768 - 10240)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                continue
        held = socket.socket(socket.AF_UNIX)
        with socket.socket() as s, contextlib.suppress(OSError):
            held.bind(f"\0klero-test-port-{port}")
            s.bind(("127.0.0.1", port))
            HELD.append(held)
            return port
        held.close()


def tls_context(ca):
    ctx = ssl.create_default_context(cafile=str(ca))
    ctx.minimum_version = ssl.TLSVersion.TLSv1_3
    return ctx


def tls_key_name(ca):
    """By what tlskey knows the key of a certificate: the SHA-256 of its P-256 point."""
    der = ssl.PEM_cert_to_DER_cert(pathlib.Path(ca).read_text())
    at = der.index(bytes.fromhex("06082a8648ce3d030107034200")) + 13
    return hashlib.sha256(der[at:at + 65]).digest()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of a problem document, None for anything else."""
        if "problem+json" not in (self.headers.get("Content-Type") or ""):
            return None
        return self.json.get("code")

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class Samples:
    """Some answers of each method, path and status, ids left out: test_z_coverage.py holds them
    against openapi.json."""

    ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    kept = collections.defaultdict(list)

    @classmethod
    def save(cls, folder):
        """For the process that looks at what all the others were told."""
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".samples", delete=False) as f:
            pickle.dump((cls.kept, Client.seen), f)

    @classmethod
    def load(cls, folder):
        for path in pathlib.Path(folder).glob("*.samples"):
            kept, seen = pickle.loads(path.read_bytes())
            Client.seen.update(seen)
            for kind, answers in kept.items():
                cls.kept[kind] += answers

    @classmethod
    def add(cls, method, target, answer):
        some = cls.kept[method, cls.ID.sub("{id}", target.split("?")[0]), answer.status]
        if len(some) < 20 and len(answer.body) < 65536:
            some.append(answer)


class Record:
    """Every request and its answer, a line of JSON each, in a file of this process under the folder
    that KLERO_RECORD names; nothing when it names none. tests/peers holds them against openapi.json."""

    folder = os.environ.get("KLERO_RECORD")
    lock = threading.Lock()

    @classmethod
    def add(cls, method, target, headers, body, answer):
        if not cls.folder:
            return
        line = json.dumps({
            "method": method, "target": target, "headers": {str(k): _text(v) for k, v in headers.items()},
            "body": None if body is None else base64.b64encode(body).decode(), "status": answer.status,
            "answer_headers": list(answer.headers.items()), "answer": base64.b64encode(answer.body).decode()})
        with cls.lock, open(pathlib.Path(cls.folder, f"{os.getpid()}.jsonl"), "a") as f:
            f.write(line + "\n")


def _text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class Client:
    """One kept-alive connection. seen collects (method, path, status) of every answer."""

    seen = collections.Counter()

    def __init__(self, port, ca, timeout=60):
        self.port, self.ca, self.timeout = port, ca, timeout
        self.token = None
        self.conn = None

    def _connection(self):
        if self.conn is None:
            self.conn = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=self.timeout, context=tls_context(self.ca))
        return self.conn

    def call(self, method, path, body=None, *, idem=None, headers=None, token="own", raw=None):
        """One request, one Answer. A connection that the server closed meanwhile is opened anew. Passwords are
        hashed behind everything else: where the machine had no time for one, it is asked again."""
        for _ in range(20):
            a = self._call(method, path, body, idem, headers, token, raw)
            if not path.startswith("/api/v1/auth/") or a.code != "busy":
                break
            time.sleep(int(a.headers["Retry-After"]))
        return a

    def _call(self, method, path, body, idem, headers, token, raw):
        h = dict(headers or {})
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            h.setdefault("Content-Type", "application/json")
        token = self.token if token == "own" else token
        if token:
            h["Authorization"] = "Bearer " + token
        if idem is True:
            idem = secrets.token_hex(16)
        if idem is not None:
            h["Idempotency-Key"] = idem
        for attempt in (0, 1):
            fresh = self.conn is None
            try:
                conn = self._connection()
                conn.request(method, path, body=data, headers=h)
                r = conn.getresponse()
                a = Answer(r.status, r.headers, r.read())
                break
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
                self.close()
                if fresh or attempt:
                    raise
            except (OSError, http.client.HTTPException):
                self.close()  # half a request stands on it
                raise
        if r.will_close:
            self.close()
        Client.seen[method, path.split("?")[0], a.status] += 1
        Samples.add(method, path, a)
        Record.add(method, path, h, data, a)
        return a

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def close(self):
        if self.conn is not None:
            self.conn.close()
        self.conn = None


def until(what, seconds=240):
    """The first value of what() that is true."""
    end = time.monotonic() + seconds
    while not (value := what()):
        if time.monotonic() > end:
            raise Failure(f"it did not come to that in {seconds} s")
        time.sleep(0.05)
    return value


def want(answer, status):
    if answer.status != status:
        raise Failure(f"wanted {status}, got {answer}")
    return answer


class Person(Client):
    """A client with an account."""

    def __init__(self, port, ca, email, password=PASSWORD):
        super().__init__(port, ca)
        self.email, self.password = email, password
        self.refresh_token = None

    def _hashed(self, verb, status):
        return want(self.post(f"/api/v1/auth/{verb}", {"email": self.email, "password": self.password}, token=None), status)

    def register(self):
        self._hashed("register", 201)
        return self

    def login(self):
        self.take(self._hashed("login", 200).json)
        return self

    def take(self, tokens):
        self.token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]

    def id(self):
        return want(self.get("/api/v1/auth/me"), 200).json["user_id"]

    def deposit(self, amount, currency="EUR", reference=None):
        body = {"money": {"amount": amount, "currency": currency}, "provider": "manual"}
        if reference:
            body["reference"] = reference
        return want(self.post("/api/v1/wallet/deposit", body, idem=True), 202).json

    def confirm(self, deposit_id):
        return want(self.post(f"/api/v1/admin/deposits/{deposit_id}/confirm"), 200).json

    def available(self, currency="EUR"):
        for b in want(self.get("/api/v1/wallet"), 200).json["balances"]:
            if b["currency"] == currency:
                return b["available"]["amount"]
        return 0

    def buy(self, raffle, quantity=1, seed=None, idem=True):
        body = {"quantity": quantity}
        if seed is not None:
            body["client_seed"] = seed
        return self.post(f"/api/v1/raffles/{raffle}/buy", body, idem=idem)

    def create(self, **fields):
        body = {"title": "A car", "price": {"amount": 100, "currency": "EUR"}, "capacity": 1000, "winners": 1}
        body.update(fields)
        return want(self.post("/api/v1/admin/raffles", body), 201).json

    def step(self, raffle, verb, body=None):
        return self.post(f"/api/v1/admin/raffles/{raffle}/{verb}", body)

    def raffle(self, raffle):
        return want(self.get(f"/api/v1/raffles/{raffle}"), 200).json


def in_parallel(work, items, workers=8):
    """work(item) for each item, some at a time; the first failure is raised."""
    todo, errors = queue.SimpleQueue(), []
    for i in items:
        todo.put(i)

    def run():
        while not errors:
            try:
                item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                work(item)
            except Exception as e:  # handed to the caller below
                errors.append(e)

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def role_of(argv):
    """The word behind the program's name; a tool that runs the program may stand before it."""
    program = next((i for i, a in enumerate(argv) if re.match(r"([^-].*/)?klerod-\w+$", a)), 0)
    return argv[program + 1] if len(argv) > program + 1 else "?"


def children(pid):
    """{pid: argv} of the living children of a process."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            argv = pathlib.Path("/proc", entry, "cmdline").read_bytes().split(b"\0")[:-1]
        except OSError:
            continue
        if int(stat[1]) == pid and stat[0] != "Z":
            found[int(entry)] = [a.decode() for a in argv]
    return found


class Appliance:
    """One klerod under dir. lines are added to its configuration. libexec: other programs for its roles."""

    def __init__(self, bindir, directory, lines=(), port=None, libexec=None):
        self.bin, self.dir = pathlib.Path(bindir).resolve(), pathlib.Path(directory)
        self.libexec = libexec
        self.port = port or free_port()
        self.lines = list(lines)
        self.process, self.provisioning = None, ""

    @property
    def conf(self):
        return self.dir / "klerod.conf"

    @property
    def ca(self):
        return self.dir / "tls.pem"

    @property
    def vkey(self):
        return self.dir / "store" / "klero.vkey"

    def log(self):
        path = self.dir / "klerod.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def sandbox_deaths(self):
        """What the log says of roles that their sandbox has killed. They are replaced, and their clients may
        never have missed them: whoever looks for nothing of the kind asks at the end."""
        return [line for line in self.log().splitlines() if "forbidden system call" in line or "killed by its sandbox" in line]

    def provision(self):
        run = subprocess.run([HERE / "provision.sh", self.bin, self.dir, str(self.port), *self.lines],
                             capture_output=True, text=True)
        if run.returncode:
            raise Failure(run.stderr.strip())
        self.provisioning = run.stdout
        elsewhere = pathlib.Path(self.dir) / "elsewhere"  # where the roles' users reach it
        if elsewhere.exists():
            atexit.register(shutil.rmtree, elsewhere.read_text().strip(), ignore_errors=True)
        return self

    def spawn(self, before=(), **how):
        """Starts klerod and returns at once; before is a command that runs it, how is Popen's."""
        more = ["-L", self.libexec] if self.libexec else []
        self.process = subprocess.Popen([*before, self.bin / "klerod", "-c", self.conf, *more], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)
        return self.process

    def start(self, before=(), **how):
        p = self.spawn(before, **how)
        line = p.stdout.readline()
        if not line.startswith("klerod: ready "):
            p.wait(120)
            raise Failure(f"klerod did not start: {line}{p.stderr.read()}{self.log()[-2000:]}")
        return self

    def stop(self, how=signal.SIGTERM):
        """Ends it and returns the exit status. No child may outlive it."""
        p, self.process = self.process, None
        if p is None:
            return 0
        kids = {pid: _begun(pid) for pid in children(p.pid)}
        if p.poll() is None:
            p.send_signal(how)
        try:
            status = p.wait(120)
        except subprocess.TimeoutExpired:
            p.kill()
            raise Failure("klerod did not stop within 120 s")
        finally:
            p.stdout.close()
            p.stderr.close()
        left = self._outlived(kids)
        if left:
            raise Failure(f"left behind: {left}")
        return status

    @staticmethod
    def _outlived(kids):
        for _ in range(2400):  # kdf, which gives way to everybody, sees only after its hash that parent is gone
            left = [pid for pid, begun in kids.items() if begun and _begun(pid) == begun]
            if not left:
                break
            time.sleep(0.05)
        return left

    def roles(self):
        """{"engine": [pid], "net": [pid, pid], …}"""
        out = collections.defaultdict(list)
        for pid, argv in children(self.process.pid).items():
            out[role_of(argv)].append(pid)
        return out

    def kill(self, role, which=0):
        """Once it is there: one that was killed before may still be on its way back. It is dead afterwards, and
        its peers can see it."""
        end = time.monotonic() + 30
        while True:
            there = sorted(self.roles()[role])
            if len(there) <= which:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise Failure(f"no {role} {which} to kill: {there}")
                time.sleep(0.05)
                continue
            pid = there[which]
            try:
                os.kill(pid, signal.SIGKILL)
                break
            except ProcessLookupError:  # it was just being replaced
                pass
        while pid in children(self.process.pid):
            time.sleep(0.001)
        return pid

    def wait_ready(self, seconds=120):
        """Until /health/ready answers 200: after a role was killed."""
        end = time.monotonic() + seconds
        while True:
            try:
                c = self.client(timeout=15)
                a = c.get("/health/ready")
                c.close()
                if a.status == 200:
                    return
            except (OSError, http.client.HTTPException) as e:
                a = e
            if self.process is not None and self.process.poll() is not None:
                raise Failure(f"klerod has ended\n{self.log()[-2000:]}")
            if time.monotonic() > end:
                raise Failure(f"not ready after {seconds} s: {a!r}\n{self.log()[-2000:]}")
            time.sleep(0.05)

    def ctl(self, *args, stdin="", check=True):
        run = subprocess.run([self.bin / "kleroctl", "-c", self.conf, *args], input=stdin,
                             capture_output=True, text=True, timeout=300)
        if check and run.returncode:
            raise Failure(f"kleroctl {' '.join(args)}: {run.stderr.strip()}")
        return run

    def status(self):
        return json.loads(self.ctl("status").stdout)

    def client(self, **more):
        return Client(self.port, self.ca, **more)

    def admin(self, email="admin@example.org"):
        """A new admin, logged in."""
        self.ctl("admin", "create", email, stdin=PASSWORD + "\n")
        return Person(self.port, self.ca, email).login()

    def person(self, email=None):
        """A new user, logged in."""
        email = email or f"u{secrets.token_hex(6)}@example.org"
        return Person(self.port, self.ca, email).register().login()

    def store_tool(self, *args, timeout=300):
        """tests/tools/store_tool on the store of this appliance, which is stopped."""
        if os.environ.get("KLERO_MODULE", "softhsm") != "softhsm":
            import pytest
            pytest.skip("store_tool knows SoftHSM's tokens only")
        conf = dict(line.split(" ", 1) for line in self.conf.read_text().splitlines())
        return subprocess.run([self.bin.parent / "tools" / "store_tool", conf["pkcs11-module"], conf.get("keys-token", "klero-keys"),
                               conf["keys-pin-file"], conf["store"], *args], capture_output=True, text=True,
                              env={**os.environ, "SOFTHSM2_CONF": conf["softhsm-conf"]}, timeout=timeout)

    def verify(self, proof, *args, env=None):
        """klero-verify in a process that knows nothing of the daemon."""
        return subprocess.run([self.bin / "klero-verify", *map(str, args), str(proof)], cwd="/",
                              env=env or {"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=300)


def _begun(pid):
    """When this process began, in the kernel's ticks; None once it is gone. One that is just ending has
    no command line any more, but still its locks."""
    try:
        stat = pathlib.Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if stat[0] in "ZX" else stat[19]
