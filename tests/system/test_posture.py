"""What each running role still has: seen from outside, in /proc, at a real appliance with the sandbox
on. What it may still do is tested by tests/escape/ and tests/unit/test_sandbox.c."""

import contextlib
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "beacon"))
import beacon  # noqa: E402

ROLES = {"net": 2, "tlskey": 1, "engine": 1, "hsm": 1, "kdf": 2, "out": 1, "beacon": 1}
BASE = 59900  # uid-base of provision.sh, and the order of the roles after it
UIDS = {"net": BASE, "engine": BASE + 1, "hsm": BASE + 2, "tlskey": BASE + 3, "kdf": BASE + 5,
        "out": BASE + 6, "beacon": BASE + 7}


@pytest.fixture(scope="module")
def appliance(lab):
    """One with all the roles that there are."""
    with beacon.Beacon(lab.dir / "posture", nist=1) as b:
        a = lab.make(*b.lines()).start()
        yield a
        a.stop()


def status(pid):
    lines = pathlib.Path("/proc", str(pid), "status").read_text().splitlines()
    return {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}


def each(appliance):
    return [(role, pid) for role, pids in appliance.roles().items() for pid in pids]


def test_roles_and_numbers(appliance):
    assert {role: len(pids) for role, pids in appliance.roles().items()} == ROLES


def test_passwords_give_way(appliance):
    usual = os.getpriority(os.PRIO_PROCESS, appliance.process.pid)
    for role, pid in each(appliance):
        want = min(19, usual + 10) if role == "kdf" else usual
        assert os.getpriority(os.PRIO_PROCESS, pid) == want, role


@pytest.mark.as_shipped
def test_filter_and_privileges(appliance):
    for role, pid in each(appliance):
        s = status(pid)
        assert (s["Seccomp"], s["NoNewPrivs"]) == ("2", "1"), role
        assert s["Threads"] == "1", role
        for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(s[caps], 16) == 0, (role, caps)


@pytest.mark.root_only
def test_identities(appliance):
    for role, pid in each(appliance):
        s = status(pid)
        want = [str(UIDS[role])] * 4
        assert s["Uid"].split() == want, role
        assert s["Gid"].split() == want, role
        assert s["Groups"].split() == [], role


@pytest.mark.root_only
def test_parent_keeps_four_capabilities(appliance):
    s = status(appliance.process.pid)
    for caps in ("CapPrm", "CapEff", "CapBnd"):
        assert bin(int(s[caps], 16)).count("1") == 4, caps
    assert int(s["CapInh"], 16) == 0


@pytest.mark.root_only
def test_root_folders(appliance):
    for role, pid in each(appliance):
        root = pathlib.Path("/proc", str(pid), "root")
        if role == "engine":
            assert os.path.samefile(root, appliance.dir / "store")
            continue
        assert os.listdir(root) == [], role
        assert os.stat(root).st_uid == 0, role


@pytest.mark.root_only
def test_not_dumpable(appliance):
    """The files of /proc/PID belong to root when the process is not dumpable, whoever it runs as."""
    for _, pid in each(appliance):
        assert os.stat(f"/proc/{pid}/maps").st_uid == 0


@pytest.mark.root_only
def test_limits(appliance):
    for role, pid in each(appliance):
        limits = pathlib.Path("/proc", str(pid), "limits").read_text().splitlines()
        hard = {line[:26].strip(): line[47:68].strip() for line in limits}
        assert hard["Max core file size"] == "0", role
        assert hard["Max processes"] == "0", role
        assert int(hard["Max open files"]) <= 65536, role
        if role != "engine":
            # hsm adds to its journal
            assert hard["Max file size"] == (str(160 << 20) if role == "hsm" else "0"), role


@pytest.mark.root_only
def test_descriptors(appliance):
    """0 to 3 as parent has made them; beyond them only channels, and what the role is for."""
    extra = {
        "net": ("socket:", "pipe:", "anon_inode:[eventpoll]", "/memfd:klero-limits", "/memfd:openapi.json", "/memfd:verify.html"),
        "engine": ("socket:", "pipe:", "anon_inode:[eventpoll]", str(appliance.dir.resolve()), "/var/tmp/kleroterion."),
        "hsm": ("socket:", str(appliance.dir.resolve() / "store-hsm/journal")), "tlskey": ("socket:",), "kdf": ("socket:",),
        "out": ("socket:",), "beacon": ("socket:",),
    }
    for role, pid in each(appliance):
        folder = pathlib.Path("/proc", str(pid), "fd")
        fds = {}
        for n in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                fds[int(n)] = os.readlink(folder / n)
        assert (fds.pop(0), fds.pop(1)) == ("/dev/null", "/dev/null"), role
        assert fds.pop(2).startswith("pipe:"), role
        assert fds.pop(3).startswith("socket:"), role
        for fd, what in fds.items():
            assert what.startswith(extra[role]), (role, fd, what)


@pytest.mark.as_shipped
@pytest.mark.root_only
def test_empty_environment_and_plain_arguments(appliance):
    for role, pid in each(appliance):
        assert pathlib.Path("/proc", str(pid), "environ").read_bytes() == b"", role
        argv = pathlib.Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")[:-1]
        assert len(argv) == 3 and argv[1].decode() == role and argv[2].isdigit()


@pytest.mark.root_only
def test_no_memory_is_writable_and_executable(appliance):
    for role, pid in each(appliance):
        for line in pathlib.Path("/proc", str(pid), "maps").read_text().splitlines():
            rights = line.split()[1]
            assert not ("w" in rights and "x" in rights), (role, line)
