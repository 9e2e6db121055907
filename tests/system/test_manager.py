"""klerod under a service manager, which these tests are: its socket, what it is told, its watchdog;
and a syslog daemon."""

import os
import re
import socket

import klero
import pytest


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(60)
        self.said = []

    def until(self, line):
        """Reads until that was said; what came before it stays in said."""
        while line not in self.said:
            self.said += self.socket.recv(4096).decode().split("\n")
        self.said = self.said[self.said.index(line) + 1:]


@pytest.fixture
def manager(tmp_path):
    m = Manager(tmp_path)
    yield m
    m.socket.close()


def start(appliance, manager, port=None, **more):
    """By a shell, which becomes klerod: LISTEN_PID is its own number."""
    env = {**os.environ, "NOTIFY_SOCKET": str(manager.path), **more}
    if port is None:
        return appliance.start(env=env)
    listening = socket.create_server(("127.0.0.1", port), backlog=64)
    os.set_inheritable(listening.fileno(), True)
    script = f'exec 3<&{listening.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    try:
        return appliance.start(["bash", "-c", script, "-"], env=env, pass_fds=[listening.fileno()])
    finally:
        listening.close()


def test_all_that_a_manager_hears(lab, manager):
    a = start(lab.make(), manager, WATCHDOG_USEC="2000000")
    url = f"https://127.0.0.1:{a.port}"
    assert a.client().get("/health/ready").status == 200
    manager.until("READY=1")
    manager.until(f"MAINPID={a.process.pid}")
    manager.until(f"STATUS=serves {url}")
    for _ in range(3):
        manager.until("WATCHDOG=1")
    a.process.send_signal(1)
    manager.until("RELOADING=1")
    manager.until("READY=1")
    assert a.stop() == 0
    manager.until("STOPPING=1")
    manager.until("STATUS=stopping")


def test_a_role_that_is_not_there_stands_in_the_status(lab, manager):
    a = start(lab.make("death-budget 100/60"), manager)
    manager.until("READY=1")
    while not any(re.fullmatch(r"STATUS=serves .*; not there: kdf\.[01]", line) for line in manager.said):
        a.kill("kdf")
        manager.said += manager.socket.recv(4096).decode().split("\n")
    a.wait_ready()
    a.stop()


def test_the_socket_of_the_manager(lab, manager):
    a = lab.make()
    start(a, manager, a.port)
    assert a.client().get("/health/ready").status == 200
    a.kill("net")  # its successor gets the same one
    a.wait_ready()
    assert a.stop() == 0


def test_another_socket_than_the_configuration_says(lab, manager):
    a = lab.make()
    with pytest.raises(klero.Failure, match="listen: the service manager's socket is another one"):
        start(a, manager, klero.free_port())
    a.process = None


def test_a_syslog_daemon_hears_rfc_5424(lab, tmp_path):
    daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    daemon.bind(str(tmp_path / "log"))
    daemon.settimeout(60)
    a = lab.make()
    a.conf.write_text("".join(l + "\n" for l in a.conf.read_text().split("\n") if not l.startswith("log-file"))
                      + f"log-syslog {tmp_path}/log\n")
    a.start()
    lines = []
    while not any("ready https://" in l for l in lines):
        lines.append(daemon.recv(4096).decode())
    form = re.compile(r"<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [!-~]+ klerod \d+ (info|warn) - (parent|\w+\.\d+): [ -~]+")
    assert all(form.fullmatch(l) for l in lines), lines
    assert {form.fullmatch(l)[1] for l in lines} <= {"30", "28"}
    assert a.stop() == 0
    daemon.close()


def test_a_file_and_a_syslog_daemon_are_one_too_many(lab):
    a = lab.make()
    with a.conf.open("a") as f:
        f.write("log-syslog /dev/log\n")
    with pytest.raises(klero.Failure, match="log-file and log-syslog: choose one"):
        a.start()
    a.process = None
