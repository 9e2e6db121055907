"""TLS as testssl.sh sees it. The certificate is for the token's own key, but signed by an authority of
the test's with addresses for revocation, as an operator's would be: the one that kleroctl setup
signs with itself has none, and testssl.sh rightly says so."""

import datetime
import json
import subprocess

import klero
import peers
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MINOR = {"OK", "INFO", "LOW"}

# What testssl.sh says of itself and not of klerod.
OWN = {"engine_problem": "it would like an OpenSSL with GOST", "scanTime": "how long it took"}


def name(words):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, words)])


def certify(appliance):
    """Puts a certificate by a new authority in the place of the appliance's own; returns the authority's."""
    own = x509.load_pem_x509_certificate(appliance.ca.read_bytes())
    now, key = datetime.datetime.utcnow(), ec.generate_private_key(ec.SECP256R1())

    def builder(subject, public, days):
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(name("tests")).public_key(public)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=days)))

    ca = builder(name("tests"), key.public_key(), 200).add_extension(x509.BasicConstraints(True, 0), True).add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False).sign(key, hashes.SHA256())
    leaf = builder(own.subject, own.public_key(), 89)
    for e in own.extensions:
        if not isinstance(e.value, (x509.BasicConstraints, x509.AuthorityKeyIdentifier)):
            leaf = leaf.add_extension(e.value, e.critical)
    where = x509.DistributionPoint([x509.UniformResourceIdentifier("http://ca.invalid/crl")], None, None, None)
    leaf = leaf.add_extension(x509.CRLDistributionPoints([where]), False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    chain = leaf.public_bytes(pem)
    with open(appliance.ca, "r+b") as f:  # whose owner and mode stay
        f.truncate()
        f.write(chain)
    authority = appliance.dir / "authority.pem"
    authority.write_bytes(ca.public_bytes(pem))
    return authority


@pytest.fixture(scope="module")
def certified(lab):
    a = lab.make()
    authority = certify(a)
    yield a.start(), authority
    a.stop()


def test_testssl(certified, tmp_path):
    a, authority = certified
    out = tmp_path / "found.json"
    subprocess.run(["testssl", "--jsonfile", out, "--warnings", "off", "--color", "0", "--quiet", "--ip", "127.0.0.1",
                    "--nodns", "none", "--add-ca", authority, f"localhost:{a.port}"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path, timeout=1800)
    found = [f for f in json.loads(out.read_text()) if f["id"] not in OWN]
    ids = {f["id"]: f["finding"] for f in found}
    above = [(f["id"], f["severity"], f["finding"]) for f in found if f["severity"] not in MINOR]
    low = [(f["id"], f["finding"]) for f in found if f["severity"] == "LOW"]
    print(f"{len(found)} findings; LOW: {low}; above: {above}")
    peers.row("peers: testssl", "testssl.sh against klerod, every check", len(found), "findings", len(above),
              f"{len(low)} LOW, none above" if not above else "")
    assert above == []
    # it has looked, and at us: all of its checks, a chain that it trusts, and one protocol
    assert len(found) > 100 and "passed" in ids["cert_chain_of_trust"]
    assert "offered" in ids["TLS1_3"] and all(ids[p] == "not offered" for p in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2"))


def test_the_certificate_works(certified):
    a, authority = certified
    c = klero.Client(a.port, authority)
    assert c.get("/health").status == 200
    c.close()
