"""net alone and another certificate while it serves: who connects from then on sees it, who is there
goes on, and one that is not usable changes nothing."""

import socket
import ssl
import time

import klero
import pytest
from test_net import RAFFLES, Net, net, visit  # noqa: F401


def serial(net, context):
    with socket.create_connection(("127.0.0.1", net.port), timeout=30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            return s.getpeercert(binary_form=True)


def until_new(net):
    """Until a handshake is good under the file that was written last."""
    context = klero.tls_context(net.ca)
    end = time.monotonic() + 120
    while True:
        try:
            return context, serial(net, context)
        except ssl.SSLCertVerificationError:
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.mark.parametrize("net", [["-l", "0", "-t", "300000"]], indirect=True)  # one of them takes its time
def test_a_new_certificate(net):
    w, old = net.wire(), klero.tls_context(net.ca)
    assert w.send(RAFFLES).answer()[0] == 200
    half = socket.create_connection(("127.0.0.1", net.port), timeout=30)
    visit(net, old)  # half was there first, so it is accepted by now
    for _ in range(5):
        former = ssl.PEM_cert_to_DER_cert(net.ca.read_text())
        net.say("cert")
        context, seen = until_new(net)
        assert seen == ssl.PEM_cert_to_DER_cert(net.ca.read_text()) != former
        assert w.send(RAFFLES).answer()[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        serial(net, old)
    # an older ticket would hide the new certificate
    loose = ssl._create_unverified_context()
    net.say("cert")
    until_new(net)
    _, ticket = visit(net, loose)
    assert visit(net, loose, ticket)[0]
    net.say("cert")
    until_new(net)
    assert not visit(net, loose, ticket)[0]
    # who was accepted before shakes hands by what was promised then
    with old.wrap_socket(half, server_hostname="localhost") as s:
        s.sendall(RAFFLES)
        assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert w.send(RAFFLES).answer()[0] == 200
    w.close()


def test_a_certificate_that_is_none(tmp_path):
    net = Net(tmp_path, "-l", "0")
    try:
        context = klero.tls_context(net.ca)
        first = serial(net, context)
        for word in ("cert-bad", "cert-foreign", "cert-bad"):
            net.say(word)
            for _ in range(3):
                assert serial(net, context) == first
        net.say("cert")
        until_new(net)
    finally:
        assert net.end() == 0
    assert net.log.count("the former certificate stays in use") == 3
    assert net.log.count("not a PEM certificate") == 2
    assert net.log.count("tlskey does not hold its key") == 1


def test_a_certificate_without_tlskey(net):
    """It is away for a moment: that is no reason to keep the old one."""
    net.say("tlskey-off")
    net.say("cert")
    time.sleep(0.2)
    net.say("tlskey-on")
    until_new(net)
