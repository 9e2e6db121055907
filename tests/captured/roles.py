"""The other end of the deliberate hole (roles_hole.c): a captured role in a test's hand.

    held = Captured.all(appliance)            {"net.0": Captured, …}
    held["net.0"].call("openat", -100, b"/etc/passwd\\0", 0)

A system call answers what the kernel does, a negative errno included; Dead is raised when it was
the role's last, with the name that the log gives to it.
"""

import array
import os
import pathlib
import re
import select
import socket
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "escape"))
import walk  # noqa: E402
from walk import klero  # noqa: E402

MAGIC = b"a deliberate hole"
WHO, CALL, READ, WRITE, HEAP, ASK, FLOOD = range(7)
WAIT = 120

# x86_64; what a test calls by name
NUMBERS = {
    "read": 0, "write": 1, "open": 2, "close": 3, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10, "ioctl": 16,
    "pread64": 17, "access": 21, "getpid": 39, "sendfile": 40, "socket": 41, "connect": 42, "accept4": 288, "sendto": 44, "sendmsg": 46,
    "recvmsg": 47, "shutdown": 48, "setsockopt": 54, "fork": 57, "execve": 59, "kill": 62, "fcntl": 72, "ftruncate": 77,
    "getdents64": 217, "rename": 82, "mkdir": 83, "unlink": 87, "readlink": 89, "fchmod": 91, "ptrace": 101, "openat": 257,
    "newfstatat": 262, "unlinkat": 263, "renameat": 264, "getrandom": 318, "memfd_create": 319, "execveat": 322, "pidfd_open": 434,
}


class Dead(Exception):
    """The role has died of what it was told to do."""


class Captured:
    def __init__(self, appliance, channel, name, pid):
        self.appliance, self.channel, self.name, self.pid = appliance, channel, name, pid

    @classmethod
    def all(cls, appliance):
        """Every role of a running appliance, over parent's own ends of their channels."""
        found = {}
        for _, s in walk.channels(appliance.process.pid):
            try:
                role, index, pid = ask(s, WHO, want=64).split(b"\0")[0].decode().split()
            except (EOFError, BrokenPipeError):
                s.close()  # of one that has just died
                continue
            found[f"{role}.{index}"] = cls(appliance, s, f"{role}.{index}", int(pid))
        return found

    def close(self):
        self.channel.close()

    def _ask(self, *args, **more):
        try:
            return ask(self.channel, *args, **more)
        except (EOFError, BrokenPipeError):
            raise Dead(self.name, self.last_words()) from None

    def last_words(self):
        """The forbidden call that the log names, "" for none."""
        end = re.compile(rf"{re.escape(self.name)}\[{self.pid}\] security forbidden system call (\w+)")
        klero.until(lambda: re.search(rf"{re.escape(self.name)}\[{self.pid}\] (was killed|ended)", self.appliance.log()))
        found = end.search(self.appliance.log())
        return found[1] if found else ""

    def call(self, name, *args, want=0):
        """bytes among the arguments are laid into the role's memory; want: that many of the first
        are read back, and (result, bytes) is the answer."""
        data, relative, words = b"", 0, []
        for i, a in enumerate(args):
            if isinstance(a, bytes):
                relative |= 1 << i
                words.append(len(data))
                data += a + bytes(-len(a) % 8)
            else:
                words.append(a & 0xffffffffffffffff)
        out = self._ask(CALL, NUMBERS[name] if isinstance(name, str) else name, words, relative, data, want)
        return out if want else out[0]

    def ask_peer(self, fd, type_, body):
        """Sends a message over one of its channels; (type, body) of the answer, or a negative errno."""
        packet = struct.pack("<HHIQ", 1, type_, len(body), 7) + body
        n, out = self._ask(ASK, 0, [fd, len(packet)], data=packet, want=4096)
        if n <= 0:
            return n
        return struct.unpack("<H", out[2:4])[0], out[16:n]

    def flood(self, fd, type_, body, times):
        """Sends a message that often without taking an answer; how many were taken from it."""
        packet = struct.pack("<HHIQ", 1, type_, len(body), 7) + body
        return self._ask(FLOOD, 0, [fd, len(packet), times], data=packet)[0]

    def read(self, address, n):
        return self._ask(READ, 0, [address], want=n)[1]

    def write(self, address, data):
        return self._ask(WRITE, 0, [address, len(data)], data=data)[0]

    def heap(self):
        """Much malloc and free."""
        return self._ask(HEAP)[0]

    def descriptors(self):
        """{number: what} of a role, as the kernel sees them from outside."""
        folder = f"/proc/{self.pid}/fd"
        return {int(n): os.readlink(f"{folder}/{n}") for n in os.listdir(folder)}

    def own_channels(self):
        """Its ends of the message channels, control first: {number: inode}."""
        out = {}
        for n, s in walk.channels(self.pid):
            s.close()
            out[n] = os.readlink(f"/proc/{self.pid}/fd/{n}")
        return out

    def maps(self, part):
        """(first, last) address of the mappings whose line holds this."""
        lines = pathlib.Path(f"/proc/{self.pid}/maps").read_text().splitlines()
        return [tuple(int(x, 16) for x in line.split()[0].split("-")) for line in lines if part in line]


def ask(channel, op, nr=0, args=(), relative=0, data=b"", want=0):
    """One command; (result, bytes), or the bytes alone for WHO."""
    args = list(args) + [0] * (6 - len(args))
    packet = MAGIC + struct.pack("<IIQ6QQ", op, relative, nr, *args, want) + data
    r, w = os.pipe()
    try:
        fds = array.array("i", [w])
        channel.setblocking(True)
        channel.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        os.close(w)
        w = -1
        out = b""
        while len(out) < 8 + want:
            if not select.select([r], [], [], WAIT)[0]:
                raise TimeoutError("the captured role does not answer")
            part = os.read(r, 65536)
            if not part:
                raise EOFError
            out += part
    finally:
        os.close(r)
        if w >= 0:
            os.close(w)
    return out[8:] if op == WHO else (struct.unpack("<q", out[:8])[0], out[8:])
