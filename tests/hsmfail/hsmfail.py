"""The harness's side of module.c: orders to the module and its counters, through shared memory that
the processes of one appliance attach to by the id in their environment."""

import contextlib
import ctypes
import pathlib
import re
import struct

HERE = pathlib.Path(__file__).resolve().parent
CALLS = re.findall(r"^CALL\((\w+),", (HERE / "calls.def").read_text(), re.M)
ROLES = ["tlskey", "hsm", "keyadm", "other"]
MODES = ["before", "after", "delay", "hang", "flip", "zero", "length", "die"]
ORDERS, CALLS_MAX, TRACE_MAX = 4, 32, 16384
ORDER = struct.Struct("8Q")  # first, last, roles, calls, mode, value, seen, fired
COUNT_AT = ORDERS * ORDER.size
TRACE_AT = COUNT_AT + len(ROLES) * CALLS_MAX * 8
SIZE = TRACE_AT + 8 + 8 * TRACE_MAX
FOR_EVER = 2**64 - 1

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
IPC_CREAT, IPC_RMID = 0o1000, 0


def codes():
    """{name: value} of every CKR_* that the product names, in its order, with the class of each."""
    header = pathlib.Path("/usr/include/p11-kit-1/p11-kit/pkcs11.h").read_text()
    values = {n: int(v, 0) for n, v in re.findall(r"#define\s+(CKR_\w+)\s+\(?\(?(?:\(\w+\)\s*)?(0x[0-9a-fA-F]+|\d+)UL", header)}
    rows = re.findall(r"ROW\((CKR_\w+), (KE_\w+)\)", (HERE.parents[1] / "hsm/p11/ckr.c").read_text())
    return {name: (values[name], kind) for name, kind in rows if name != "CKR_OK" and name in values}


CKR = codes()


class Module:
    """Orders for one appliance. line is what its configuration must have."""

    def __init__(self):
        self.id = libc.shmget(0, SIZE, IPC_CREAT | 0o666)
        if self.id < 0:
            raise OSError(ctypes.get_errno(), "shmget")
        self.at = libc.shmat(self.id, None, 0)
        self.map = (ctypes.c_char * SIZE).from_address(self.at)
        # it goes with the last process that has it; on Linux others can still attach
        libc.shmctl(self.id, IPC_RMID, None)

    @property
    def line(self):
        return f"pkcs11-env HSMFAIL={self.id}"

    def close(self):
        libc.shmdt(ctypes.c_void_p(self.at))
        self.at = self.map = None

    def order(self, mode, calls=None, roles=("hsm",), first=1, last=None, value=0, place=0):
        """From now on: of the calls (names; all without) by these roles the first-th to last-th (that
        one alone without) go wrong. value: a CKR_*'s name, milliseconds, a length."""
        mask = sum(1 << CALLS.index(c) for c in ([calls] if isinstance(calls, str) else calls or CALLS))
        who = sum(1 << ROLES.index(r) for r in roles)
        value = CKR[value][0] if isinstance(value, str) else value
        at = place * ORDER.size
        self.forget(place)
        ORDER.pack_into(self.map, at, 0, last or first, who, mask, MODES.index(mode), value, 0, 0)
        struct.pack_into("Q", self.map, at, first)  # the last to be written: it is an order now

    def forget(self, place=0):
        struct.pack_into("Q", self.map, place * ORDER.size, 0)

    def well(self):
        """Nothing goes wrong any more."""
        for place in range(ORDERS):
            self.forget(place)

    def fired(self, place=0):
        return ORDER.unpack_from(self.map, place * ORDER.size)[7]

    def count(self, call, role="hsm"):
        """How often it was called since the module was made."""
        at = COUNT_AT + (ROLES.index(role) * CALLS_MAX + CALLS.index(call)) * 8
        return struct.unpack_from("Q", self.map, at)[0]

    def seen(self):
        """{role: {function: how often}}"""
        return {r: {c: n for c in CALLS if (n := self.count(c, r))} for r in ROLES}

    @contextlib.contextmanager
    def traced(self, role):
        """Yields a list that is filled at the end with the functions that the role has called."""
        struct.pack_into("Q", self.map, TRACE_AT, 0)
        calls = []
        yield calls
        n = min(struct.unpack_from("Q", self.map, TRACE_AT)[0], TRACE_MAX)
        for what in struct.unpack_from(f"{n}Q", self.map, TRACE_AT + 8):
            if ROLES[what // 256] == role:
                calls.append(CALLS[what % 256])

    @contextlib.contextmanager
    def failing(self, *args, **more):
        self.order(*args, **more)
        try:
            yield
        finally:
            self.well()
