"""Roles of the real build, each spoken to as its parent and as each of its peers. What may be said,
and what may come back, is read from daemon/msg.def and daemon/msg/role.h, so a new message is
tried and judged without a word here.

A Role is one process: its own program, inside its own sandbox, with the configuration that parent's
own code makes (tests/tools/role_conf.c). A Channel is our end of one of its sockets; what comes out
of it is held against the table at once.
"""

import array
import collections
import fcntl
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("lint", "system", "beacon")]
import beacon  # noqa: E402
import escrow  # noqa: E402
import klero  # noqa: E402
import msgdef  # noqa: E402
import witness  # noqa: E402

WAIT = 120       # seconds after which somebody hangs
DELAY = 4        # between the end of sales and the first value, seconds
HEADER = struct.Struct("<HHIQ")
VERSION, BODY_MAX = 1, 65536
WORDS = ("AddressSanitizer", "runtime error:", "forbidden system call", "LeakSanitizer")
ROLES = [(m[1].lower(), m[2], int(m[3])) for m in re.finditer(
    r'X\(ROLE_(\w+), "\w+", "([\w-]*)", (\d+)\)', (ROOT / "daemon/msg/role.h").read_text())]
BEACON_ANSWERS = int(re.search(r"BEACON_ANSWERS (\d+)", (ROOT / "daemon/beacon/answer.h").read_text())[1])
NUMBER = {word: i for i, (word, _, _) in enumerate(ROLES)}
PROGRAM = {word: program for word, program, _ in ROLES}
RANK = {word: rank for word, _, rank in ROLES}


class Breach(Exception):
    """What must not happen; the text says what did."""


class Table:
    def __init__(self):
        self.rows = msgdef.read(ROOT)
        self.by_number = {m.number: m for m in self.rows}
        self.by_name = {m.name: m for m in self.rows}

    def of(self, sender, receiver):
        return [m for m in self.rows if (m.sender, m.receiver) == (sender, receiver)]

    def peers(self):
        """{role: who speaks to it}, but keyadm, which hears one order and no more."""
        out = {}
        for m in self.rows:
            if m.receiver not in ("parent", "ctl", "keyadm") and m.sender not in out.setdefault(m.receiver, []):
                out[m.receiver].append(m.sender)
        return out

    def allows(self, sender, receiver, data, nfds, when="RUN"):
        """Does the receive function of daemon/msg/msg.c let this packet pass?"""
        if not HEADER.size <= len(data) <= HEADER.size + BODY_MAX:
            return False
        version, number, length, _ = HEADER.unpack_from(data)
        m, n = self.by_number.get(number), len(data) - HEADER.size
        return (version == VERSION and m is not None and (m.sender, m.receiver) == (sender, receiver)
                and when in m.when and length == n and m.least <= n <= m.most
                and nfds in ((0,), (1,), (0, 1))[m.fd])


TABLE = Table()
ANSWERED = re.compile(r"_(ANS|SIGNED|PONG|DONE)$")


def answer_of(number):
    m = TABLE.by_number.get(number + 1)
    return m.number if m and number % 2 == 0 and ANSWERED.search(m.name) else None


def packet(number, body=b"", ident=7, version=VERSION, length=None):
    return HEADER.pack(version, number, len(body) if length is None else length & 0xffffffff, ident) + bytes(body)


Message = collections.namedtuple("Message", "number ident body fds")


class Channel:
    """Our end of a socket whose other end role holds; we are peer to it."""

    def __init__(self, sock, role, peer, index, life):
        self.sock, self.role, self.peer, self.index, self.life = sock, role, peer, index, life
        self.closed = False
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def send(self, data, fds=()):
        """False when the other end is gone, or takes no more."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], rights, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
            return True
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True
            return False

    def say(self, name, body=b"", ident=7, fds=()):
        return self.send(packet(TABLE.by_name[name].number, body, ident), fds)

    def taken(self):
        """Has the other end received everything that we sent?"""
        n = array.array("i", [0])
        fcntl.ioctl(self.sock, termios.TIOCOUTQ, n)
        return n[0] == 0

    def receive(self, seconds=0.0):
        """The next message, None when there is none in time or the channel is closed."""
        if self.closed or not select.select([self.sock], [], [], seconds)[0]:
            return None
        try:
            data, rights, _, _ = self.sock.recvmsg(HEADER.size + BODY_MAX + 1, socket.CMSG_SPACE(16 * 4))
        except ConnectionResetError:
            data, rights = b"", []
        if not data:
            self.closed = True
            return None
        fds = array.array("i")
        for _, _, raw in rights:
            fds.frombytes(raw[:len(raw) - len(raw) % fds.itemsize])
        if not TABLE.allows(self.role.word, self.peer, data, len(fds)):
            raise Breach(f"{self.role.word} said to {self.peer} what the table forbids: {data[:64].hex()}")
        _, number, _, ident = HEADER.unpack_from(data)
        return Message(number, ident, data[HEADER.size:], list(fds))

    def ask(self, name, body=b"", ident=7):
        """One request and its answer's body; a Breach when there is none."""
        if not self.say(name, body, ident):
            raise Breach(f"{self.role.word} does not take {name}")
        m = self.receive(WAIT)
        number = TABLE.by_name[name].number
        if m is None or (m.number, m.ident) != (answer_of(number), ident):
            raise Breach(f"{self.role.word} does not answer {name}, but {m}: {self.role.said()[-300:]}")
        return m.body

    def close(self):
        self.sock.close()
        self.closed = True

    def drop(self):
        """Closes it for good, and nobody remembers it."""
        self.close()
        self.role.channels.remove(self)


class Role:
    """One process. word is the role's; the parent's end of its control channel is ours."""

    started = collections.Counter()

    def __init__(self, lab, word, index=0):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.lab, self.word, self.index = lab, word, index
        self.log_end, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write, True)
        path = str(lab.bin / PROGRAM[word])
        env = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1", "UBSAN_OPTIONS": "abort_on_error=1"}
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1),
                   (os.POSIX_SPAWN_DUP2, write, 2), (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
        self.pid = os.posix_spawn(path, [path, word, str(index)], env, file_actions=actions)
        os.close(write)
        theirs.close()
        self.log, self.status, self.blames, self.lives = "", None, [], 0
        self.channels = []
        self.control = Channel(ours, self, "parent", 0, 0)
        Role.started[word] += 1
        lab.alive.append(self)

    # --- as its parent ---

    def name(self, verb):
        return f"MSG_{self.word.upper()}_{verb}"

    def configure(self):
        for data, fds in self.lab.configuration(self.word, self.index):
            self.control.send(data, fds)
        return self

    def peer(self, word, index=0, fd=None):
        """Introduces a peer; our end of the channel to be that peer with, unless fd is its end."""
        self.lives += 1
        ours, theirs = (None, fd) if fd is not None else socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.say(self.name("PEER"), struct.pack("<BBI", NUMBER[word], index, self.lives), fds=[
            theirs if fd is not None else theirs.fileno()])
        if fd is not None:
            return None
        theirs.close()
        c = Channel(ours, self, word, index, self.lives)
        self.channels.append(c)
        return c

    def client(self):
        """A client of the control socket, as parent hands it to engine."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.say("MSG_ENGINE_CLIENT", struct.pack("<I", 0), fds=[theirs.fileno()])
        theirs.close()
        c = Channel(ours, self, "ctl", 0, 0)
        self.channels.append(c)
        return c

    def hear(self, seconds=0.0):
        """One message of the control channel; blames are kept."""
        m = self.control.receive(seconds)
        if m is not None and "BLAME" in TABLE.by_number[m.number].name:
            self.blames.append(struct.unpack("<BBI", m.body))
        return m

    def wait_ready(self):
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            m = self.hear(0.5)
            if m is not None and m.number == TABLE.by_name[self.name("READY")].number:
                return self
            if self.control.closed or self.ended() is not None:
                break
        raise Breach(f"{self.word} is not ready ({self.ended()}): {self.said()[-500:]}")

    def ended(self):
        """None while it lives; its exit status, or minus the signal."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                self.lab.alive.remove(self)
                self.judge()
        return self.status

    def judge(self):
        """A signal or a sanitizer's word is a breach, whoever was to blame."""
        said = self.said()
        if self.status < 0 or any(w in said for w in WORDS):
            raise Breach(f"{self.word} ended with {self.status}: {said[-1500:]}")

    def wait(self, seconds=WAIT):
        end = time.monotonic() + seconds
        while self.ended() is None:
            if time.monotonic() > end:
                raise Breach(f"{self.word} does not end")
            time.sleep(0.0005)
        return self.status

    def ping(self):
        """True when it answers; False when it has ended. As parent does, hears the log meanwhile."""
        self.said()
        if not self.control.say(self.name("PING")):
            self.wait()
            return False
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            m = self.hear(1)
            if m is not None and m.number == TABLE.by_name[self.name("PONG")].number:
                return True
            if self.control.closed:
                self.wait()
                return False
        raise Breach(f"{self.word} does not answer PING")

    def said(self):
        try:
            while some := os.read(self.log_end, 65536):
                self.log = (self.log + some.decode(errors="replace"))[-20000:]
        except (BlockingIOError, OSError):
            pass
        return self.log

    def memory(self):
        """Resident bytes."""
        return int(pathlib.Path("/proc", str(self.pid), "statm").read_text().split()[1]) * 4096

    def stop(self):
        if self.ended() is None:
            self.control.say(self.name("STOP"))
            for c in self.channels:
                c.close()
            try:
                return self.wait()
            finally:
                self.kill()
        return self.status

    def kill(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.status = 0
            self.lab.alive.remove(self)
        self.forget()

    def forget(self):
        for c in self.channels + [self.control]:
            c.close()
        if self.log_end >= 0:
            self.said()
            os.close(self.log_end)
        self.log_end = -1


class Lab:
    """A provisioned appliance that is never started as one: its roles are ours to start."""

    def __init__(self, build, directory):
        self.build = pathlib.Path(build).resolve()
        self.bin = self.build / "bin"
        self.witnessed = witness.Log("peer.example/klero")  # that hsm is a witness of
        self.witness = witness.Log("w.example")  # whom a draw waits for
        self.asked = socket.create_server(("127.0.0.1", 0))  # where out finds it
        self.relays = beacon.Beacon(pathlib.Path(directory).parent / "relays", nist=1)
        # the tool only writes messages: the ordinary build's will do for the sanitizers' roles
        self.tool = os.environ.get("KLERO_ROLE_CONF") or str(self.build / "tools" / "role_conf")
        self.appliance = klero.Appliance(self.bin, directory, klero.NO_LIMITS + [
            "payout-limit evm:1 1000000000000000000 1000000000000000000000/86400",
            "payout-limit evm:6 1000000000000000000 1000000000000000000000/86400 50000000000000000",
            "payout-limit solana 1000000000 1000000000000/86400",
            f"witness-log {self.witnessed.vkey()}", *self.relays.lines(delay=DELAY)]).provision()
        self.name_others()
        self.conf, self.alive = {}, []
        empty = self.appliance.dir / "run" / "empty"
        if not empty.exists():
            empty.mkdir(0o555)

    def name_others(self):
        """A witness that must have seen what is drawn, and an officer who opens escrows."""
        a, folder = self.appliance, self.appliance.dir
        policy = folder / "policy"
        policy.write_text(f"witness w {witness.vkey(self.witness.origin, 4, self.witness.public)} "
                          f"https://127.0.0.1:{self.asked.getsockname()[1]}\nquorum w\n")
        policy.chmod(0o644)
        officer = escrow.Officer(folder, "officer")
        a.conf.write_text(f"{a.conf.read_text()}witness-policy {policy}\nescrow 1 {officer.public}\n")

    def configuration(self, word, index=0):
        """[(packet, descriptors)]: what parent says to this role before it is ready."""
        if (word, index) not in self.conf:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            at_three = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
            pid = os.posix_spawn(self.tool, [self.tool, str(self.appliance.conf), word, str(index)],
                                 {"ASAN_OPTIONS": "detect_leaks=0"}, file_actions=at_three)
            theirs.close()
            said = []
            while True:
                data, rights, _, _ = ours.recvmsg(HEADER.size + BODY_MAX, socket.CMSG_SPACE(16))
                if not data:
                    break
                fds = array.array("i")
                for _, _, raw in rights:
                    fds.frombytes(raw)
                if word == "kdf":  # the cheapest password that kdf takes: 8 MiB, one pass
                    data = data[:-8] + struct.pack("<II", 8192, 1)
                said.append((data, list(fds)))
            ours.close()
            if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) or not said:
                raise Breach(f"role_conf has no configuration for {word}")
            self.conf[word, index] = said
        return self.conf[word, index]

    def routes(self):
        lines = subprocess.run([self.tool, "routes"], capture_output=True, text=True, check=True).stdout.splitlines()
        return [line.split("\t") for line in lines]

    def start(self, word, index=0):
        return Role(self, word, index).configure().wait_ready()

    def join(self, a, b):
        """A channel between two roles of ours, without us in between."""
        x, y = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        a.peer(b.word, b.index, x.fileno())
        b.peer(a.word, a.index, y.fileno())
        x.close()
        y.close()

    def engine(self, hsm):
        """An engine over the real store, joined to that hsm, ready."""
        e = Role(self, "engine").configure()
        self.join(e, hsm)
        return e.wait_ready()

    def end(self):
        self.asked.close()
        for r in list(self.alive):
            r.kill()
        self.relays.stop()
