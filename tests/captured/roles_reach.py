#!/usr/bin/python3
"""What a captured role really reaches, against SECURITY.md's table "If … is captured": each role's
own program with a deliberate hole (roles_hole.c), inside its real sandbox, does what it is told.

    roles_reach.py BUILD        BUILD/captured is made by `make captured`; TAP lines; root only

The words before each check are the cell of the table that it belongs to. The calls that are deadly
in every role are tried one by one in tests/escape/escape.py.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import secrets
import shutil
import struct
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "escape"))
import walk  # noqa: E402
from roles import Captured, Dead  # noqa: E402
from walk import klero  # noqa: E402

LINES = klero.NO_LIMITS + ["death-budget 100000/1", "drand-relay https://127.0.0.1:1"]
TYPES = dict(re.findall(r"MSG\(MSG_(\w+),\s*(0x[0-9a-f]+)", (HERE.parents[1] / "daemon" / "msg.def").read_text()))
TYPES = {name: int(number, 16) for name, number in TYPES.items()}
KE_OK = 0
EACCES, EPERM, ENOENT = -13, -1, -2
AT_FDCWD, O_RDONLY, O_RDWR, O_CREAT, O_PATH = -100, 0, 2, 0o100, 0o10000000
SHUT_RDWR, F_SETFL, MSG_NOSIGNAL = 2, 4, 0x4000
# who talks to whom: parent, then the peers of DESIGN.md section 2 (two nets, two kdfs)
CHANNELS = {"net": 3, "tlskey": 3, "engine": 7 + 1, "hsm": 2, "kdf": 2, "out": 2, "beacon": 2}
SPACES = b" " * 64 + b"TLS 1.3, server CertificateVerify\0"


def memory_holds(pid, secrets_):
    """Which of {name: bytes} stand in a process's memory."""
    found = set()
    with open(f"/proc/{pid}/mem", "rb") as mem:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            if line.split()[1][0] != "r" or "[v" in line:
                continue
            first, last = (int(x, 16) for x in line.split()[0].split("-"))
            try:
                mem.seek(first)
                data = mem.read(last - first)
            except OSError:
                continue
            found |= {name for name, s in secrets_.items() if s in data}
    return found


class Lab:
    def __init__(self, build, folder):
        self.a = klero.Appliance(build / "captured", folder, LINES)
        self.held = {}
        self.count = self.bad = 0

    def say(self, good, text):
        self.count += 1
        self.bad += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)

    def take(self, name):
        """That role, as it lives now."""
        def all_there():
            for held in self.held.values():
                held.close()
            self.held = Captured.all(self.a)
            return len(self.held) == len(CHANNELS) + 2

        klero.until(all_there)
        self.a.wait_ready()
        return self.held[name]

    def outcome(self, role, *call):
        """What the call gives, or Dead with the call that the log names. A role that was going to die
        of something else in that moment, as on a machine with much other work, is asked once more."""
        for _ in range(3):
            try:
                return self.take(role).call(*call)
            except Dead as e:
                dead = e
            if dead.args[1]:
                break
        return dead

    def deadly(self, cell, role, *call):
        """The role dies of it, and the log names the call."""
        r = self.outcome(role, *call)
        words = r.args[1] if isinstance(r, Dead) else None
        self.say(words == call[0], f"{cell}: {role} dies of {call[0]} (the log says {words})")

    def answers(self, cell, role, wanted, *call):
        r = self.outcome(role, *call)
        if isinstance(r, Dead):
            r = f"death by {r.args[1]}"
        self.say(r == wanted if not callable(wanted) else not isinstance(r, str) and wanted(r), f"{cell}: {role}: {call[0]} gives {r}")

    def serves(self):
        c = self.a.client()
        try:
            return all(c.get("/api/v1/raffles").status == 200 for _ in range(8))
        except (OSError, http.client.HTTPException) as e:
            print("#", repr(e))
            return False
        finally:
            c.close()

    # --- every role ---

    def edges(self):
        self.take("net.0")
        for name, held in sorted(self.held.items()):
            own = held.own_channels()
            self.say(len(own) == CHANNELS[held.name.split(".")[0]], f"edges: {name} holds {len(own)} channels")

    def memory(self):
        """After a login and a draw, when the clients have gone."""
        a = self.a
        password, email = "pw-" + secrets.token_hex(12), f"{secrets.token_hex(8)}@example.org"
        p = klero.Person(a.port, a.ca, email, password).register().login()
        p.get("/api/v1/wallet")
        known = {
            "keys PIN": (a.dir / "keys.pin").read_bytes().strip(), "TLS PIN": (a.dir / "tls.pin").read_bytes().strip(),
            "password": password.encode(), "e-mail": email.encode(), "access token": p.token.encode(),
            "refresh token": p.refresh_token.encode(),
        }
        p.close()
        may, end = {"engine": {"e-mail"}}, time.monotonic() + 30
        for role, pids in sorted(a.roles().items()):
            for pid in pids:
                while (found := memory_holds(pid, known) - may.get(role, set())) and time.monotonic() < end:
                    time.sleep(0.5)  # it has not heard yet that they have gone
                self.say(not found, f"holds: {role}[{pid}] keeps none of {', '.join(known)}" + (f" but {found}" if found else ""))
        found = memory_holds(a.process.pid, known)
        self.say(not found, f"holds: parent has wiped the PINs{f' but not {found}' if found else ''}")

    # --- net ---

    def net(self):
        a = self.a
        listen = self.listener(self.take("net.0"))
        self.deadly("net, not files", "net.0", "openat", AT_FDCWD, b"/etc/passwd\0", O_RDONLY)
        self.deadly("net, not new connections", "net.0", "socket", 2, 1, 0)
        self.deadly("net, not other net processes", "net.0", "shutdown", listen, SHUT_RDWR)
        self.say(self.serves(), "net, not other net processes: others are served when one has tried to end the listening socket")
        self.deadly("net, not other net processes", "net.0", "fcntl", listen, F_SETFL, 0)
        self.say(self.serves(), "net, not other net processes: and when one has tried to make it block")
        self.sign()
        self.flood()
        self.shut_out()
        del a

    @staticmethod
    def listener(held):
        for fd, s in sockets(held.pid):
            is_it = walk.listening(s)
            s.close()
            if is_it:
                return fd
        raise klero.Failure("net listens to nothing")

    def channel(self, held, peer):
        """The descriptor of its channel to a peer: whichever of its channels that role shares."""
        mine = {int(re.search(r"\d+", x)[0]): fd for fd, x in held.own_channels().items()}
        theirs = {int(re.search(r"\d+", x)[0]) for h in self.held.values() if h.name.startswith(peer)
                  for x in h.own_channels().values()}
        pairs = peers_of(mine)
        return [fd for inode, fd in mine.items() if pairs.get(inode) in theirs]

    def sign(self):
        held = self.take("net.0")
        fd = self.channel(held, "tlskey")[0]
        kind, body = held.ask_peer(fd, TYPES["TLS_SIGN"], self.key() + SPACES + bytes(32))
        good = kind == TYPES["TLS_SIGNED"] and struct.unpack("<i", body[:4])[0] == KE_OK and len(body) == 68
        self.say(good, "net, gets: tlskey signs a handshake for it")
        kind, body = held.ask_peer(fd, TYPES["TLS_SIGN"], self.key() + b"x" * 98 + bytes(32))
        self.say(struct.unpack("<i", body[:4])[0] != KE_OK and len(body) == 4, "net, no other signature: and nothing else")
        before = held.pid
        try:
            held.ask_peer(fd, TYPES["HSM_OPEN_DBKEY"], bytes(64))
        except Dead:
            pass
        klero.until(lambda: before not in self.a.roles()["net"])
        self.say("broke the protocol towards tlskey" in self.a.log(), "net, no other signature: a message of another role costs it its life")

    def flood(self):
        """It asks for signatures and takes no answer: the other net must still get its own."""
        held = self.take("net.0")
        fd = self.channel(held, "tlskey")[0]
        busy = threading.Thread(target=self.flood_with, args=(held, fd))
        busy.start()
        before = self.a.roles()["tlskey"]
        good = self.handshakes()
        busy.join()
        self.say(good and before == self.a.roles()["tlskey"],
                 "net, not other net processes: tlskey serves the others while one takes no answers")

    def key(self):
        return klero.tls_key_name(self.a.ca)

    def flood_with(self, held, fd):
        with contextlib.suppress(Dead):
            held.flood(fd, TYPES["TLS_SIGN"], self.key() + SPACES + bytes(32), 20_000_000)

    def handshakes(self):
        return all(self.serves() for _ in range(20))

    def shut_out(self):
        held = self.take("net.0")
        first, last = held.maps("klero-limits")[0]
        for at in range(first, last, 32768):
            n = min(32768, last - at)
            table = bytearray(held.read(at, n))
            for slot in range(64 if at == first else 0, n, 16):
                table[slot + 8:slot + 16] = struct.pack("<II", 0xffffffff, int(time.monotonic()) + 600)
            held.write(at, bytes(table))
        c = self.a.client()
        self.say(c.get("/api/v1/raffles").status == 429, "net, gets: it can shut out clients by the shared limits")
        c.close()
        self.a.stop()
        self.a.start()

    # --- the others ---

    def tlskey(self):
        self.deadly("tlskey, no files", "tlskey.0", "openat", AT_FDCWD, b"/\0", O_RDONLY)
        self.deadly("tlskey, no network", "tlskey.0", "socket", 2, 1, 0)
        self.deadly("tlskey, no files", "tlskey.0", "read", 3, b"", 0)

    def engine(self):
        self.answers("engine, gets the database", "engine.0", lambda r: r >= 0, "openat", AT_FDCWD, b"/klero.db\0", O_RDWR)
        for path in ("/etc/passwd", str(self.a.dir / "keys.pin"), str(self.a.dir / "tokens"), "/proc/self/mem"):
            self.answers("engine, no other file", "engine.0", lambda r: r in (EACCES, ENOENT), "openat", AT_FDCWD, path.encode() + b"\0", O_RDONLY)
        self.answers("engine, no other file", "engine.0", lambda r: r in (EACCES, ENOENT), "openat", AT_FDCWD, b"/tmp/klero-captured\0", O_RDWR | O_CREAT, 0o600)
        for path in ("/etc/passwd", "/root", "/proc/1"):
            self.answers("engine, no other file", "engine.0", lambda r: r < 0, "newfstatat", AT_FDCWD, path.encode() + b"\0", bytes(256), 0)
        self.answers("engine, no other file", "engine.0", lambda r: r < 0, "openat", AT_FDCWD, b"/etc\0", O_PATH)
        self.deadly("engine, no other file", "engine.0", "readlink", b"/proc/1/exe\0", bytes(256), 256)
        self.deadly("engine, no network", "engine.0", "socket", 1, 1, 0)
        held = self.take("engine.0")
        fd = self.channel(held, "hsm")[0]
        keys = (self.a.dir / "store" / "klero.keys").read_text()
        sealed, appliance = re.search(r"dbkey (\S+)", keys)[1].encode(), bytes.fromhex(re.search(r"appliance (\w+)", keys)[1])
        answer = held.ask_peer(fd, TYPES["HSM_OPEN_DBKEY"], struct.pack("<H", len(sealed)) + sealed + appliance)
        self.say(answer[0] == TYPES["HSM_OPEN_DBKEY_ANS"] and struct.unpack("<i", answer[1][:4])[0] != KE_OK and len(answer[1]) == 4,
                 "engine, not the keys: hsm opens the database key once per channel")

    def hsm(self):
        self.deadly("hsm, not the database", "hsm.0", "openat", AT_FDCWD, b"/\0", O_RDONLY)
        self.answers("hsm, not the network", "hsm.0", EACCES, "socket", 2, 1, 0)
        self.deadly("hsm, not the network", "hsm.0", "connect", 3, bytes(16), 16)

    def kdf(self):
        self.deadly("kdf, nothing else", "kdf.0", "openat", AT_FDCWD, b"/\0", O_RDONLY)
        self.deadly("kdf, nothing else", "kdf.0", "socket", 2, 1, 0)

    def out(self):
        self.deadly("out, no files", "out.0", "openat", AT_FDCWD, b"/\0", O_RDONLY)
        self.deadly("out, no clients", "out.0", "accept4", 3, 0, 0, 0)
        self.deadly("out, no socket but of the internet", "out.0", "socket", 1, 1, 0)

    def beacon(self):
        self.deadly("beacon, nothing else", "beacon.0", "openat", AT_FDCWD, b"/\0", O_RDONLY)
        self.deadly("beacon, nothing else", "beacon.0", "socket", 2, 1, 0)

    def signals(self):
        parent = self.a.process.pid
        for name in ("net.0", "tlskey.0", "engine.0", "hsm.0", "kdf.0", "out.0", "beacon.0"):
            self.deadly("no signals", name, "kill", parent, 0)

    def store(self):
        """Whoever has the files has ciphertext."""
        p = self.a.person()
        self.a.stop()
        plain = [p.email.encode(), b"CREATE TABLE", b"SQLite format 3"]
        for path in sorted((self.a.dir / "store").glob("klero.db*")):
            data = path.read_bytes()
            self.say(not any(x in data for x in plain), f"the store's files: {path.name} is ciphertext")

    CHECKS = (edges, memory, net, tlskey, engine, hsm, kdf, out, beacon, signals, store)

    def run(self):
        self.a.provision().start()
        try:
            self.a.admin()
            for check in self.CHECKS:
                check(self)
        finally:
            self.a.stop()


def sockets(pid):
    for name in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            yield int(name), walk.stolen(pid, int(name))


def peers_of(inodes):
    """{inode: the other end's}, by what ss knows of the kernel's unix sockets."""
    import subprocess
    out = subprocess.run(["ss", "-xnpH"], capture_output=True, text=True, check=True).stdout
    pairs = {}
    for line in out.splitlines():
        numbers = re.findall(r"\* (\d+)", line)
        if len(numbers) == 2:
            pairs[int(numbers[0])] = int(numbers[1])
    return pairs


def report(lab):
    if "KLERO_ATTACK" in os.environ:
        row = {"name": "captured roles", "tried": "each role's own program with a hole, told to reach what the table says it cannot",
               "count": lab.count, "unit": "checks", "failed": lab.bad}
        pathlib.Path(os.environ["KLERO_ATTACK"], "captured-roles.json").write_text(json.dumps(row) + "\n")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="klero-reach."))
    folder.chmod(0o711)
    lab = Lab(pathlib.Path(sys.argv[1]).resolve(), folder / "a")
    try:
        lab.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"1..{lab.count}")
    report(lab)
    sys.exit(lab.bad != 0)


if __name__ == "__main__":
    main()
