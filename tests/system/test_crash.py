"""What clients and the operator see when a role dies: connections survive what is not theirs, what
waits gets a 503, too many deaths stop the appliance, a hung role is replaced. That nothing is lost
is tested in tests/crash."""

import os
import signal
import threading
import time

import klero
import pytest

pytestmark = pytest.mark.slow


def test_connections_survive_what_is_not_theirs(fresh):
    p = fresh.person()
    before = p.conn
    for role in ("engine", "hsm", "kdf", "tlskey"):
        fresh.kill(role)
        fresh.wait_ready()
        assert p.get("/api/v1/auth/me").status == 200
    assert p.conn is before


def test_what_waits_on_a_dead_role_gets_503(fresh):
    """The engine is stopped, so that requests wait for it, and then killed; none follows before the answer."""
    engine = fresh.roles()["engine"][0]
    os.kill(engine, signal.SIGSTOP)
    got = []
    c = fresh.client()
    t = threading.Thread(target=lambda: got.append(c.get("/api/v1/raffles/01890000-0000-7000-8000-000000000000")))
    t.start()
    time.sleep(0.3)
    os.kill(fresh.process.pid, signal.SIGSTOP)
    try:
        os.kill(engine, signal.SIGKILL)
        t.join()
    finally:
        os.kill(fresh.process.pid, signal.SIGCONT)
    assert got[0].status == 503 and got[0].code == "restarting" and int(got[0].headers["Retry-After"]) > 0
    fresh.wait_ready()


def test_more_deaths_than_the_budget_stop_it(lab):
    a = lab.make("death-budget 3/600").start()
    p = a.process
    for _ in range(8):
        try:
            a.kill("kdf")
        except klero.Failure:
            break  # it has stopped
        time.sleep(0.3)
    assert p.wait(120) not in (0, None)
    assert "kdf" in a.log() or "kdf" in p.stderr.read()
    a.stop()


def test_a_hung_role_is_replaced(lab):
    a = lab.make().start()
    hung = a.roles()["hsm"][0]
    os.kill(hung, signal.SIGSTOP)
    end = time.monotonic() + 180
    while hung in a.roles()["hsm"]:
        assert time.monotonic() < end, "the watchdog sleeps"
        time.sleep(0.2)
    a.wait_ready()
    a.person()
    a.stop()


def test_no_seccomp_kill_in_normal_work(appliance):
    assert "SIGSYS" not in appliance.log() and "system call" not in appliance.log()
