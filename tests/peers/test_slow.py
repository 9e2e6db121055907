"""slowhttptest in its four modes, with thousands of connections, while other clients go on: none of
their requests may fail. How long they took is told, not judged."""

import http.client
import resource
import subprocess
import threading
import time

import klero
import peers
import pytest

SECONDS = 20
MODES = {
    "slow headers": ["-H", "-i", "2", "-t", "GET"],
    "slow body": ["-B", "-i", "2", "-s", "8192", "-f", "application/json"],
    "range": ["-R", "-t", "GET", "-a", "1", "-b", "2000"],
    "slow read": ["-X", "-w", "64", "-y", "128", "-n", "2", "-z", "16", "-k", "3"],
}
PATHS = {"slow body": "/api/v1/auth/login", "slow read": "/openapi.json"}


def attack(appliance, mode, connections):
    """slowhttptest, started."""
    path = PATHS.get(mode, "/api/v1/raffles")
    return subprocess.Popen(
        ["slowhttptest", *MODES[mode], "-c", str(connections), "-r", str(connections // 4), "-l", str(SECONDS), "-p", "3",
         "-v", "1", "-u", f"https://127.0.0.1:{appliance.port}{path}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (2 * connections + 100, 2 * connections + 100)))


class Normal(threading.Thread):
    """Somebody who goes on: requests on a connection that is made anew every so often. A token, if
    any, is of a user; the address is one of the loopback's."""

    def __init__(self, appliance, address, paths, token=None, fresh=10):
        super().__init__()
        self.appliance, self.address, self.paths, self.token, self.fresh = appliance, address, paths, token, fresh
        self.ended, self.errors, self.times, self.dials = threading.Event(), [], [], []
        self.start()

    def connect(self):
        began = time.monotonic()
        c = http.client.HTTPSConnection("127.0.0.1", self.appliance.port, timeout=30, source_address=(self.address, 0),
                                        context=klero.tls_context(self.appliance.ca))
        c.connect()
        self.dials.append(time.monotonic() - began)
        return c

    def run(self):
        headers = {"Authorization": "Bearer " + self.token} if self.token else {}
        c, n = None, 0
        while not self.ended.is_set():
            began = time.monotonic()
            try:
                if n % self.fresh == 0:
                    if c is not None:
                        c.close()
                    c = self.connect()
                c.request("GET", self.paths[n % len(self.paths)], headers=headers)
                r = c.getresponse()
                r.read()
                if r.status != 200:
                    self.errors.append(r.status)
            except (OSError, http.client.HTTPException) as e:
                self.errors.append(repr(e))
                c = self.connect()
            self.times.append(time.monotonic() - began)
            n += 1
            time.sleep(0.02)
        c.close()

    def end(self):
        self.ended.set()
        self.join(60)
        return self

    def words(self):
        ordered = sorted(self.times)
        return (f"{len(ordered)} requests, {len(self.errors)} failed, median {1000 * ordered[len(ordered) // 2]:.1f} ms, "
                f"longest {1000 * ordered[-1]:.0f} ms, {len(self.dials)} connections, longest to make {1000 * max(self.dials):.0f} ms")


def connections(appliance):
    """Connections that are established to the appliance, by the kernel's word."""
    port = f":{appliance.port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as f:
        return sum(1 for line in f if line.split()[1].endswith(port) and line.split()[3] == "01")


def besiege(appliance, mode, wanted, clients):
    """(most connections seen at once, what slowhttptest said)"""
    most, tool = 0, attack(appliance, mode, wanted)
    try:
        while tool.poll() is None:
            most = max(most, connections(appliance))
            time.sleep(0.2)
        said = tool.stdout.read()
    finally:
        if tool.poll() is None:
            tool.kill()
        tool.wait()
        for c in clients:
            c.end()
    return most, said


@pytest.fixture(scope="module")
def total():
    """What the modes came to, for the table."""
    sums = {"requests": 0, "failed": 0, "most": 0}
    yield sums
    peers.row("peers: slowhttptest", "slow headers, slow body, slow read, range; as many as may be open, and twice that, "
              "while other clients go on", sums["requests"], "requests of others", sums["failed"],
              f"up to {sums['most']} slow connections at once")


def judge(total, mode, most, clients, wanted):
    for c in clients:
        print(f"{mode}, {most} connections: {c.words()}")
        total["requests"] += len(c.times)
        total["failed"] += len(c.errors)
    total["most"] = max(total["most"], most)
    assert most >= wanted, "the attack did not take place"
    assert [c.errors for c in clients] == [[] for _ in clients]


@pytest.fixture(scope="module")
def limited(lab):
    """The default limits of addresses, which the attack uses up."""
    a = lab.make("limit-user 1000000/900", "limit-auth 1000/900", limits=True).start()
    yield a
    a.stop()


@pytest.mark.parametrize("mode", MODES)
def test_others_go_on(limited, total, mode):
    """One with a token at the attacker's own address, who is counted by user; one elsewhere."""
    token = limited.person().token
    clients = [Normal(limited, "127.0.0.1", ["/api/v1/me", "/api/v1/wallet"], token), Normal(limited, "127.0.0.2", ["/health", "/health/ready"])]
    most, _ = besiege(limited, mode, 2000, clients)
    # those of the range mode are answered and end, as quickly as they come
    judge(total, mode, most, clients, 1 if mode == "range" else 300)


def test_addresses_are_counted_also_on_the_loopback(limited):
    """127.0.0.1 is no exception: who has used up its requests there is refused, others are not."""
    def status(address):
        c = http.client.HTTPSConnection("127.0.0.1", limited.port, timeout=30, source_address=(address, 0),
                                        context=klero.tls_context(limited.ca))
        c.request("GET", "/api/v1/raffles")
        r = c.getresponse()
        r.read()
        c.close()
        return r.status
    for _ in range(100):
        status("127.0.0.3")
    assert status("127.0.0.3") == 429 and status("127.0.0.4") == 200


@pytest.fixture(scope="module")
def small(lab):
    """So few places that the attack fills them all."""
    a = lab.make("nets 2", "max-connections 250").start()
    yield a
    a.stop()


@pytest.mark.parametrize("mode", ["slow headers", "slow body", "slow read"])
def test_others_go_on_when_every_place_is_taken(small, total, mode):
    clients = [Normal(small, "127.0.0.1", ["/health", "/api/v1/raffles"], fresh=10 ** 9), Normal(small, "127.0.0.2", ["/health"])]
    most, _ = besiege(small, mode, 2000, clients)
    # what has no place yet is established to the kernel, too
    judge(total, mode + ", no place free", most, clients, 300)
