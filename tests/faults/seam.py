"""The harness's side of seam.c: orders to the processes of one appliance, through shared memory.

A Seam makes a folder of the programs with the seam in them and the file of orders beside them; an
appliance that is started from that folder obeys. The layout is seam.c's.
"""

import contextlib
import errno
import mmap
import os
import pathlib
import re
import shutil
import struct

HERE = pathlib.Path(__file__).resolve().parent
KINDS = {name: (number, getattr(errno, error)) for number, (name, error) in enumerate(
    re.findall(r"^SEAM_KIND\((\w+), (\w+)\)", (HERE / "seam.def").read_text(), re.M))}
ROLES = ["parent", "net", "tlskey", "engine", "hsm", "kdf", "keyadm", "out", "beacon", "kleroctl"]
KINDS_MAX, TRACE_MAX = 32, 65536
ORDER = struct.Struct("5Q")  # calls, first, last, fired, error
CLOCK_AT = len(ROLES) * KINDS_MAX * ORDER.size
TRACE_AT = CLOCK_AT + 8 * len(ROLES)
TRACED_AT = TRACE_AT + 3 * 8  # behind whose, of which kind, how deep
WHO_AT = TRACED_AT + 8 * TRACE_MAX
SIZE = WHO_AT + 4096
FOR_EVER = 2**64 - 1


class Seam:
    def __init__(self, programs, folder):
        """folder gets links to (or copies of) the programs; it must not exist."""
        self.bin = pathlib.Path(folder)
        self.bin.mkdir(parents=True)
        for program in pathlib.Path(programs).iterdir():
            try:
                os.link(program, self.bin / program.name)
            except OSError:
                shutil.copy(program, self.bin / program.name)
        path = self.bin / "seam.orders"
        path.write_bytes(bytes(SIZE))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), SIZE)

    def close(self):
        self.map.close()

    @staticmethod
    def _at(role, kind):
        return (ROLES.index(role) * KINDS_MAX + KINDS[kind][0]) * ORDER.size

    def fail(self, role, kind, first=1, last=None, error=None):
        """From now on: calls first to last (that one alone without) of this kind fail."""
        ORDER.pack_into(self.map, self._at(role, kind), 0, 0, 0, 0, error or KINDS[kind][1])
        struct.pack_into("Q", self.map, self._at(role, kind) + 16, last or first)
        struct.pack_into("Q", self.map, self._at(role, kind) + 8, first)

    def clear(self):
        """Nothing fails any more, and everything is counted anew."""
        self.map[:CLOCK_AT] = bytes(CLOCK_AT)

    def calls(self, role, kind):
        return ORDER.unpack_from(self.map, self._at(role, kind))[0]

    def fired(self, role, kind):
        return ORDER.unpack_from(self.map, self._at(role, kind))[3]

    @contextlib.contextmanager
    def failing(self, role, kind, first=1, last=FOR_EVER, error=None):
        self.fail(role, kind, first, last, error)
        try:
            yield
        finally:
            self.clear()

    def who(self):
        """Who met the last failure: a line per caller, innermost first."""
        return self.map[WHO_AT:SIZE].split(b"\0")[0].decode(errors="replace")

    def clock(self, ms, *which):
        """The wall clock of these roles (all without) is off by so many milliseconds."""
        for role in which or ROLES:
            struct.pack_into("q", self.map, CLOCK_AT + 8 * ROLES.index(role), ms)

    @contextlib.contextmanager
    def traced(self, role, kind, depth=16):
        """Yields a list that is filled at the end: of each call from then on, who called (depth callers)."""
        who = []
        self.clear()
        struct.pack_into("2Q", self.map, TRACE_AT + 8, KINDS[kind][0], depth)
        struct.pack_into("Q", self.map, TRACE_AT, ROLES.index(role) + 1)
        yield who
        struct.pack_into("Q", self.map, TRACE_AT, 0)
        n = min(self.calls(role, kind), TRACE_MAX - 1)
        who += struct.unpack_from(f"{n}Q", self.map, TRACED_AT + 8)
        self.clear()
