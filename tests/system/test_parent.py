"""What parent does with its children: blame, refused PINs, a token that is away, the order of the
stop. The death budget and the watchdog are in test_crash.py."""

import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time

import klero
import pytest

BIN = pathlib.Path(os.environ.get("KLERO_BIN", "build/out/bin")).resolve()
INJECT = BIN.parent / "tools" / "inject"


def until(appliance, pattern, seconds=120):
    """Waits for a line of the log; the match."""
    end = time.monotonic() + seconds
    while True:
        found = re.search(pattern, appliance.log())
        if found:
            return found
        assert time.monotonic() < end, f"no {pattern} in\n{appliance.log()[-3000:]}"
        time.sleep(0.02)


def inject(pid, *words):
    """Whether it lived long enough to hear the kernel's answer is of no interest: the log tells."""
    run = subprocess.run([INJECT, str(pid), *words], capture_output=True, text=True, timeout=60)
    assert "refused" not in run.stdout and "killed" not in run.stdout, run.stdout


def garbage(pid, fd):
    inject(pid, "garbage", str(fd))


def blame(pid, number, role, index, life):
    """Has that process say to parent what a role says of a peer that broke the protocol."""
    body = struct.pack("<BBI", role, index, life)
    inject(pid, "send", "3", (struct.pack("<HHIQ", 1, number, len(body), 0) + body).hex())


def channels(pid):
    """The process's channels to its peers: SOCK_SEQPACKET (type 0005) of AF_UNIX."""
    lines = [line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]]
    inodes = {f[6] for f in lines if f[4] == "0005"}
    folder = pathlib.Path("/proc", str(pid), "fd")
    links = {int(n): os.readlink(folder / n) for n in os.listdir(folder)}
    return sorted(fd for fd, to in links.items() if fd > 3 and to[8:-1] in inodes)


def pids(appliance):
    return {pid for one in appliance.roles().values() for pid in one}


# --- blame (DESIGN.md section 2) ---

@pytest.fixture(scope="module")
def robust(lab):
    a = lab.make("death-budget 1000/1").start()
    yield a
    a.stop()


@pytest.mark.root_only
@pytest.mark.parametrize("role", ["net", "tlskey", "engine", "hsm", "kdf"])
def test_garbage_to_parent_ends_the_child(robust, role):
    pid = robust.roles()[role][0]
    garbage(pid, 3)
    until(robust, rf"security {role}\.\d\[{pid}\] broke the protocol towards parent: killed")
    robust.wait_ready()


@pytest.mark.root_only
def test_garbage_of_net_ends_net_and_nobody_else(robust):
    towards = set()
    for n in range(2):
        pid = robust.roles()["net"][0]
        klero.until(lambda: len(channels(pid)) == 2)  # parent gives them to a fresh one while the other one serves
        others = pids(robust) - {pid}
        garbage(pid, channels(pid)[n])
        towards.add(until(robust, rf"security net\.\d\[{pid}\] broke the protocol towards (\w+): killed")[1])
        robust.wait_ready()
        assert others <= pids(robust)
    assert towards == {"tlskey", "engine"}


@pytest.mark.root_only
def test_garbage_of_engine_to_hsm_ends_engine(robust):
    hsm = robust.roles()["hsm"]
    for n in range(8):
        pid = robust.roles()["engine"][0]
        garbage(pid, channels(pid)[n])
        # towards kdf and net it is the more trusted one: these end, for they can trust nobody now
        found = until(robust, rf"security engine\.0\[{pid}\] broke the protocol towards hsm: killed"
                              rf"|(kdf|net)\.\d\[\d+\] error [^\n]*engine")
        robust.wait_ready()
        if "towards hsm" in found[0]:
            break
        # this line has served
        (robust.dir / "klerod.log").write_text("")
    assert "towards hsm" in found[0]
    assert robust.roles()["hsm"] == hsm


HSM_BLAME, ENGINE_BLAME, NET, ENGINE, HSM = 0x0145, 0x0143, 1, 3, 4  # msg.def, enum role


@pytest.mark.root_only
def test_blame_is_for_the_process_that_it_names(fresh):
    """What hsm says of an engine that has been replaced meanwhile must not end its successor."""
    hsm, = fresh.roles()["hsm"]
    fresh.kill("engine")
    fresh.wait_ready()
    second, = fresh.roles()["engine"]
    blame(hsm, HSM_BLAME, ENGINE, 0, 1)
    until(fresh, r"info hsm blames engine\.0, which is gone")
    assert fresh.roles()["engine"] == [second]
    blame(hsm, HSM_BLAME, ENGINE, 0, 2)
    until(fresh, rf"security engine\.0\[{second}\] broke the protocol towards hsm: killed")
    fresh.wait_ready()
    assert fresh.roles()["hsm"] == [hsm]


@pytest.mark.root_only
@pytest.mark.parametrize("role,number,body", [
    ("hsm", HSM_BLAME, (ENGINE, 0, 1000)),  # a process that there has never been
    ("hsm", HSM_BLAME, (NET, 0, 1)),        # no channel between them
    ("hsm", HSM_BLAME, (ENGINE, 1, 1)),     # there is one engine
    ("hsm", HSM_BLAME, (99, 0, 1)),         # no role
    ("engine", ENGINE_BLAME, (HSM, 0, 1)),  # the more trusted one
])
def test_blame_that_nobody_may_say(robust, role, number, body):
    pid, = robust.roles()[role]
    others = pids(robust) - {pid}
    blame(pid, number, *body)
    until(robust, rf"security {role}\.\d\[{pid}\] broke the protocol towards parent: killed")
    robust.wait_ready()
    assert others - {robust.roles()["engine"][0]} <= pids(robust)


# --- key holders that cannot start again ---

@pytest.mark.parametrize("role,file", [("hsm", "keys.pin"), ("tlskey", "tls.pin")])
def test_a_refused_pin_is_not_tried_twice(fresh, role, file):
    path = fresh.dir / file
    pin = path.read_bytes()
    path.chmod(0o600)
    path.write_text("wrong-pin-000\n")
    fresh.kill(role)
    until(fresh, rf"error {role} is not started again")
    time.sleep(0.5)
    assert fresh.log().count("CKR_PIN_INCORRECT") == 1
    assert fresh.roles()[role] == []
    path.write_bytes(pin)


def test_a_token_that_was_away_comes_back_by_itself(fresh):
    tokens = pathlib.Path(re.search(r"pkcs11-folder (.*)", fresh.conf.read_text())[1])
    away = tokens.with_name("away")
    tokens.rename(away)
    fresh.kill("hsm")
    until(fresh, r"hsm\.0 is tried again in 400 ms")
    away.rename(tokens)
    klero.until(lambda: len(re.findall(r"hsm\.0\[\d+\] is ready", fresh.log())) == 2)  # one that starts passes for ready, too
    fresh.wait_ready()
    fresh.person()


# --- signals ---

def test_hangup_changes_nothing(fresh):
    before = pids(fresh)
    fresh.process.send_signal(signal.SIGHUP)
    until(fresh, "hangup")
    assert pids(fresh) == before
    fresh.wait_ready()


def test_interrupt_stops_like_terminate(lab):
    a = lab.make().start()
    assert a.stop(signal.SIGINT) == 0


def test_the_stop_goes_from_net_to_the_keys(lab):
    a = lab.make().start()
    assert a.stop() == 0
    ended = re.findall(r"info (\w+)\.\d\[\d+\] ended", a.log())
    assert ended[:3] == ["net", "net", "engine"]
    assert sorted(ended[3:]) == ["hsm", "kdf", "kdf", "tlskey"]
    assert not (a.dir / "run" / "ctl.sock").exists()


@pytest.mark.slow
def test_a_role_that_does_not_stop_is_killed(lab):
    a = lab.make().start()
    os.kill(a.roles()["engine"][0], signal.SIGSTOP)
    assert a.stop() == 0
    assert "engine.0" in re.search(r"error (\S+)\[\d+\] did not finish in time", a.log())[1]


# --- the control socket ---

@pytest.mark.root_only
def test_control_socket_is_for_root_and_its_own_user(appliance):
    path = appliance.dir / "run" / "ctl.sock"
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert path.stat().st_uid == 0


def test_a_busy_klerod_is_respected(lab):
    """One that has no time for its clients has neither died nor left its socket behind."""
    a = lab.make()
    path = a.dir / "run" / "ctl.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as busy:
        busy.bind(str(path))
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
        for s in waiting:
            s.setblocking(False)
            try:
                s.connect(str(path))
            except BlockingIOError:
                pass
        run = subprocess.run([BIN / "klerod", "-c", a.conf], capture_output=True, text=True, timeout=300)
        for s in waiting:
            s.close()
    assert run.returncode == 1 and "another klerod serves" in run.stderr
    assert path.is_socket()
    path.unlink()


def test_exit_statuses_of_kleroctl(appliance, lab):
    def status(*args, **more):
        return appliance.ctl(*args, check=False, **more).returncode

    assert status("status") == 0
    assert status("user", "roles", "nobody@example.org", "user") == 1
    assert status("user", "roles", "nobody@example.org", "emperor") == 2
    assert status("nonsense") == 2
    assert status("admin", "create", "a@example.org", stdin="\n") == 2
    assert lab.make().ctl("status", check=False).returncode == 3


def test_hsm_check(lab):
    a = lab.make()
    assert a.ctl("hsm", "check").stdout.count("this token can be used") == 2
    a.conf.write_text(a.conf.read_text().replace("keys-token klero-keys", "keys-token elsewhere"))
    run = a.ctl("hsm", "check", check=False)
    assert run.returncode == 1 and "no token labelled elsewhere" in run.stdout


def test_check_without_start(lab):
    a = lab.make()
    assert subprocess.run([BIN / "klerod", "-t", "-c", a.conf]).returncode == 0
    (a.dir / "keys.pin").chmod(0o644)
    run = subprocess.run([BIN / "klerod", "-t", "-c", a.conf], capture_output=True, text=True)
    assert run.returncode == 1 and "chmod 0400" in run.stderr


@pytest.mark.root_only
def test_store_that_engine_cannot_reach(lab):
    a = lab.make()
    closed = a.dir / "closed"
    closed.mkdir(mode=0o700)
    (a.dir / "store").rename(closed / "store")
    a.conf.write_text(a.conf.read_text().replace(f"store {a.dir}/store", f"store {closed}/store"))
    run = subprocess.run([BIN / "klerod", "-c", a.conf], capture_output=True, text=True)
    assert run.returncode == 1 and "cannot reach it" in run.stderr


def test_roles_are_set(appliance):
    p = appliance.person()
    appliance.ctl("user", "roles", p.email, "user,organiser", "auditor")
    p.login()
    me = klero.want(p.get("/api/v1/auth/me"), 200).json
    assert sorted(me["roles"]) == ["auditor", "organiser", "user"]
