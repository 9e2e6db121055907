"""Request smuggling: the corpus sent to klerod directly, and through four proxies. What counts is
how many requests each side saw: the proxy's own log against klerod's counters."""

import re
import socket
import ssl
import time

import corpus
import klero
import peers
import proxies
import pytest

COUNTED = re.compile(r'^klero_net_(?:requests|malformed)_total\{net="\d+"\} (\d+)$', re.M)
AFTER = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
QUIET = 0.4  # a reader that has said nothing for so long waits for more


@pytest.fixture(scope="module")
def target(lab):
    return lab.make("nets 1", "header-timeout 5", "body-timeout 5").start()


class Count:
    """How many requests klerod has answered, without those that ask for it."""

    def __init__(self, appliance):
        self.admin, self.asked = appliance.admin(), 0
        self.admin.get("/health")

    def __call__(self):
        self.asked += 1
        text = klero.want(self.admin.get("/metrics"), 200).body.decode()
        return sum(int(n) for n in COUNTED.findall(text)) - self.asked


@pytest.fixture(scope="module")
def count(target):
    return Count(target)


def exchange(sock, message):
    """All that comes back until the other side closes or waits for more: (bytes, closed)."""
    out = b""
    try:
        sock.sendall(message)
        sock.settimeout(QUIET)
        while True:
            part = sock.recv(65536)
            if not part:
                return out, True
            out += part
    except TimeoutError:
        return out, False
    except (ssl.SSLError, ConnectionError):
        return out, True


def statuses(out):
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d{3}) ", out) if s != b"100"]


SUMS = {"messages": 0, "forwarded": 0, "differ": 0, "ways": []}


@pytest.fixture(scope="module", autouse=True)
def table():
    yield
    peers.row("peers: smuggling", f"{len(corpus.MESSAGES)} ambiguous or odd messages, " + ", ".join(SUMS["ways"]), SUMS["messages"],
              "messages", SUMS["differ"], f"{SUMS['forwarded']} requests forwarded by the proxies")


def test_corpus_is_large_enough():
    names = [name for name, _, _ in corpus.MESSAGES]
    assert len(names) >= 60 and len(set(names)) == len(names)
    print(f"{len(names)} messages")


@pytest.mark.parametrize("name, message, verdict", corpus.MESSAGES, ids=[m[0] for m in corpus.MESSAGES])
def test_direct(target, count, name, message, verdict):
    before = count()
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as plain:
        with klero.tls_context(target.ca).wrap_socket(plain, server_hostname="localhost") as tls:
            out, closed = exchange(tls, message)
    got = statuses(out)
    if verdict is None:
        good = got == [] and not closed
    elif verdict == corpus.REFUSE:
        good = len(got) == 1 and got[0] >= 400 and closed
    else:
        good = len(got) == verdict
    good = good and count() - before == len(got)
    SUMS["messages"] += 1
    SUMS["differ"] += not good
    SUMS["ways"] = SUMS["ways"] or ["directly"]
    assert good, (got, closed, out[:600])


class Tally:
    """What klerod and a proxy have counted since they last differed. Since then, and not since the
    message before: a line of a proxy's log may come late."""

    def __init__(self, count, proxy):
        self.count, self.proxy, self.total = count, proxy, 0
        self.begin()

    def begin(self):
        self.base = (self.count(), *self.proxy.forwarded())

    def now(self):
        return tuple(now - then for now, then in zip((self.count(), *self.proxy.forwarded()), self.base))

    def differs(self):
        """Waits until both have counted the same; else says how: klerod's, relayed, forwarded.
        Never more than were forwarded; fewer only where the proxy gave a request up half-way."""
        for _ in range(20):
            ours, relayed, forwarded = self.now()
            if ours == forwarded:
                break
            time.sleep(0.05)
        if relayed <= ours <= forwarded:
            return None
        self.total += forwarded
        self.begin()
        return ours, relayed, forwarded


@pytest.mark.parametrize("kind", proxies.KINDS)
def test_through_proxy(target, count, tmp_path_factory, kind):
    proxy = proxies.Proxy(kind, target, tmp_path_factory.mktemp(kind))
    try:
        differ, harmed, tally = [], [], Tally(count, proxy)
        for name, message, _ in corpus.MESSAGES:
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as s:
                exchange(s, message + AFTER)
            # another client, whom a poisoned connection would give somebody else's answer
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as s:
                s.settimeout(10)
                s.sendall(AFTER)
                out = b""
                while part := s.recv(65536):
                    out += part
            if statuses(out) != [200] or b'"status"' not in out:
                harmed.append((name, out[:200]))
            how = tally.differs()
            if how:
                differ.append((name, *how))
        total = tally.total + tally.now()[2]
        SUMS["messages"] += len(corpus.MESSAGES)
        SUMS["forwarded"] += total
        SUMS["differ"] += len(differ) + len(harmed)
        SUMS["ways"].append("through " + kind)
        print(f"{kind}: {len(corpus.MESSAGES)} messages, {total} requests forwarded, {len(differ)} counted differently")
        assert total > len(corpus.MESSAGES), proxy.errors()
        assert differ == []
        assert harmed == []
    finally:
        proxy.end()


@pytest.mark.parametrize("framing", [corpus.length(len(corpus.HIDDEN)), corpus.TE])
def test_a_body_that_pauses(target, count, framing):
    """What comes after the deadline of the body is neither its rest nor a request."""
    before = count()
    with socket.create_connection(("127.0.0.1", target.port), timeout=30) as plain:
        with klero.tls_context(target.ca).wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(corpus.POST + framing + b"\r\n")
            out = tls.recv(65536)  # body-timeout later
            more, _ = exchange(tls, corpus.HIDDEN)
    SUMS["messages"] += 1
    assert statuses(out + more) == [408] and b"Connection: close" in out
    assert count() == before  # deadlines are counted apart


def test_the_count_sees_a_smuggled_request(target, count):
    """The measure itself: two requests where one was meant are two."""
    before = count()
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as plain:
        with klero.tls_context(target.ca).wrap_socket(plain, server_hostname="localhost") as tls:
            exchange(tls, corpus.GET + b"\r\n" + corpus.HIDDEN)
    assert count() - before == 2
