"""kleroctl tls: a request that an authority signs, what came back installed while klerod serves; and
the same by ACME, with certbot and pebble."""

import datetime
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import time

import klero
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = datetime.datetime.utcnow()
DAY = datetime.timedelta(days=1)


class Authority:
    """A root, an issuer below it, and what they sign."""

    def __init__(self):
        self.root_key, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root_name, self.name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("root", "issuer"))
        self.root = self.sign(self.root_key.public_key(), self.root_name, ca=True, by=(self.root_name, self.root_key))
        self.cert = self.sign(self.key.public_key(), self.name, ca=True, by=(self.root_name, self.root_key))

    def sign(self, key, subject, names=None, ca=False, by=None, start=NOW - DAY, end=NOW + 60 * DAY):
        issuer, signer = by or (self.name, self.key)
        b = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
             .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
             .add_extension(x509.BasicConstraints(ca, None), critical=True))
        if names is not None:
            b = b.add_extension(names, critical=False)
        return b.sign(signer, hashes.SHA256())

    def answer(self, request, names=None, chain=None, key=None, **dates):
        """PEM of what it makes of a request."""
        san = names or request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        leaf = self.sign(key or request.public_key(), x509.Name([]), san, **dates)
        return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in [leaf, *(chain or [self.cert])])


@pytest.fixture(scope="module")
def served(lab):
    a = lab.make().start()
    yield a
    a.stop()


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def request_of(served):
    return x509.load_pem_x509_csr(served.ctl("tls", "request").stdout.encode())


def under(a, ca, path, seconds=120):
    """Until a handshake is good under that root alone."""
    path.write_bytes(ca)
    context = klero.tls_context(path)
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", a.port), timeout=30) as plain:
                return context.wrap_socket(plain, server_hostname="localhost").getpeercert()
        except ssl.SSLCertVerificationError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_the_request(served, request_of):
    assert request_of.is_signature_valid
    san = request_of.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in san.get_values_for_type(x509.DNSName)
    here = x509.load_pem_x509_certificate(served.ca.read_bytes())
    assert request_of.public_key().public_numbers() == here.public_key().public_numbers()
    told = json.loads(served.ctl("tls", "request", "--json").stdout)
    assert told["ok"] and "BEGIN CERTIFICATE REQUEST" in told["request"]


def test_the_request_is_made_while_klerod_is_stopped(lab):
    a = lab.make()
    assert "BEGIN CERTIFICATE REQUEST" in a.ctl("tls", "request").stdout


def test_a_signed_certificate_serves_and_drops_nobody(served, authority, request_of, tmp_path):
    old = served.client()
    assert old.get("/health").status == 200
    conn, former = old.conn.sock, served.ca.read_text()
    (tmp_path / "full.pem").write_text(authority.answer(request_of))
    told = json.loads(served.ctl("tls", "install", str(tmp_path / "full.pem"), "--json").stdout)
    assert "serves with it" in told["words"]
    under(served, authority.root.public_bytes(serialization.Encoding.PEM), tmp_path / "root.pem")
    assert old.get("/health").status == 200 and old.conn.sock is conn  # the same connection
    old.close()
    assert (served.dir / "tls.pem.old").read_text() == former
    served.ctl("doctor", check=False)


BAD = {
    "not for the key": lambda au, q: au.answer(q, key=ec.generate_private_key(ec.SECP256R1()).public_key()),
    "has expired": lambda au, q: au.answer(q, start=NOW - 9 * DAY, end=NOW - DAY),
    "not valid yet": lambda au, q: au.answer(q, start=NOW + DAY),
    "is not in it": lambda au, q: au.answer(q, names=x509.SubjectAlternativeName([x509.DNSName("other.example.org")])),
    "do not follow each other": lambda au, q: au.answer(q, chain=[Authority().cert]),
    "no certificate is in it": lambda au, q: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}


@pytest.mark.parametrize("words", BAD)
def test_what_is_refused(served, authority, request_of, tmp_path, words):
    before = served.ca.read_bytes()
    (tmp_path / "bad.pem").write_text(BAD[words](authority, request_of))
    run = served.ctl("tls", "install", str(tmp_path / "bad.pem"), check=False)
    assert run.returncode == 1 and words in run.stderr and served.ca.read_bytes() == before


def test_installed_while_stopped(lab, authority, tmp_path):
    a = lab.make()
    request = x509.load_pem_x509_csr(a.ctl("tls", "request").stdout.encode())
    assert "does not run" in a.ctl("tls", "install", "-", stdin=authority.answer(request)).stdout
    a.start()
    under(a, authority.root.public_bytes(serialization.Encoding.PEM), tmp_path / "root.pem")
    assert a.stop() == 0


# --- ACME ---

class Pebble:
    """Let's Encrypt's test server, with an authority of its own; validates by HTTP on a port of ours."""

    def __init__(self, folder):
        self.dir, self.port, self.http, admin = folder, klero.free_port(), klero.free_port(), klero.free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "pebble.key",
                        "-out", folder / "pebble.pem"], check=True, capture_output=True)
        (folder / "pebble.json").write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{admin}",
            "certificate": str(folder / "pebble.pem"), "privateKey": str(folder / "pebble.key"),
            "httpPort": self.http, "tlsPort": klero.free_port(), "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
        self.log = open(folder / "pebble.log", "w")
        self.process = subprocess.Popen(["pebble", "-config", folder / "pebble.json"], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT, env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"})
        for _ in range(2400):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("pebble does not start")

    def end(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


@pytest.mark.as_shipped
@pytest.mark.slow
def test_a_key_that_net_has_itself(lab, appliance):
    """What `make bench` holds tlskey against serves, with a key that no token has."""
    libexec = lab.dir / "libexec-of-bench"
    shutil.copytree(appliance.bin, libexec)
    shutil.copy(appliance.bin.parent / "localkey" / "klerod-net", libexec)
    a = lab.make(libexec=libexec).start()
    assert ssl.get_server_certificate(("127.0.0.1", a.port)) != a.ca.read_text()
    a.stop()


@pytest.mark.skipif(not shutil.which("pebble") or not shutil.which("certbot"), reason="pebble and certbot are not here")
def test_acme(lab, tmp_path):
    a = lab.make()
    a.conf.write_text("".join(l for l in a.conf.read_text().splitlines(True) if not l.startswith("tls-names ")) + "tls-names localhost\n")
    a.start()
    pebble = Pebble(tmp_path)
    try:
        old = a.client()
        assert old.get("/health").status == 200
        tools = tmp_path / "path"
        tools.mkdir()
        (tools / "kleroctl").symlink_to(a.bin / "kleroctl")
        env = {**os.environ, "PATH": f"{tools}:/usr/bin:/bin", "KLERO_CONF": str(a.conf), "KLERO_ACME": str(tmp_path / "acme"),
               "REQUESTS_CA_BUNDLE": str(tmp_path / "pebble.pem")}
        hook = [ROOT / "packaging" / "acme" / "klerod-acme", "--server", f"https://localhost:{pebble.port}/dir", "--standalone",
                "--http-01-address", "127.0.0.1", "--http-01-port", str(pebble.http), "--agree-tos", "--register-unsafely-without-email"]
        run = subprocess.run(hook, env=env, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0 and "serves with it" in run.stdout, (run, (tmp_path / "pebble.log").read_text()[-2000:])
        assert old.get("/health").status == 200  # nobody was cut off
        old.close()
        chain = a.ca.read_text()
        leaf = x509.load_pem_x509_certificate(chain.encode())
        assert "Pebble" in leaf.issuer.rfc4514_string()
        # good for long enough: a second run asks nobody
        again = subprocess.run(hook, env=env, capture_output=True, text=True, timeout=300)
        assert again.returncode == 0 and not again.stdout and a.ca.read_text() == chain
        # and when it is due, it comes anew
        more = subprocess.run(hook, env={**env, "KLERO_DAYS": "-1"}, capture_output=True, text=True, timeout=300)
        assert more.returncode == 0 and a.ca.read_text() != chain, more
    finally:
        pebble.end()
        assert a.stop() == 0
