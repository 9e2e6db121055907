"""Other people's verifiers as the judges of logs, proofs and rounds: npm's @sigstore/verify, drand-client
and @noble/curves (judges.mjs, installed at first use), the openssl command, and Go's sumdb/note and
sumdb/tlog (judge.go, where Debian's golang is)."""

import base64
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER = pathlib.Path(os.environ.get("KLERO_JUDGES", ROOT / "build" / "judges"))


# --- npm ---

def install():
    subprocess.run([ROOT / "packaging" / "npm.sh", HERE, FOLDER], check=True)


def ask(questions):
    """The answers to [{"ask": …}, …] in order: True, or why not."""
    run = subprocess.run(["node", FOLDER / "judges.mjs"], input=json.dumps(questions) + "\n", capture_output=True, text=True,
                         timeout=600)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def of_bundle(bundle):
    """Everything in a v2 bundle that sigstore and drand's people can judge, as questions."""
    rows = []
    for kind in ("open", "close", "draw", "abort"):
        if bundle[kind] is not None:
            rows.append({"ask": "proof", "proof": bundle[f"{kind}_proof"], "leaf": bundle[kind].encode().hex(),
                         "vkey": bundle["operator_vkey"]})
    for r in bundle["amends"] + bundle["forfeits"]:
        rows.append({"ask": "proof", "proof": r["proof"], "leaf": r["record"].encode().hex(), "vkey": bundle["operator_vkey"]})
    if bundle["tickets_checkpoint"] is not None:
        rows.append({"ask": "checkpoint", "note": bundle["tickets_checkpoint"], "vkey": bundle["tickets_vkey"]})
    for w in bundle["winners"] + bundle["passed"]:
        rows.append({"ask": "proof", "proof": w["tlog_proof"], "leaf": w["leaf_hex"], "vkey": bundle["tickets_vkey"]})
    for b in bundle["beacons"]:
        if b["type"] == "drand":
            for who in ("drand_client", "noble"):
                rows.append({"ask": who, "info": b["chain_info"], "round": b["round"], "signature": b["signature"]})
    return rows


# --- the openssl command ---

def openssl(*args, data=None):
    return subprocess.run(["openssl", *map(str, args)], input=data, capture_output=True, timeout=60)


def kbkdf(key, label, context):
    run = openssl("kdf", "-keylen", 32, "-kdfopt", "mac:HMAC", "-kdfopt", "digest:SHA256", "-kdfopt", "mode:COUNTER",
                  "-kdfopt", f"hexkey:{key}", "-kdfopt", f"salt:{label}", "-kdfopt", f"hexinfo:{context}", "-binary", "KBKDF")
    assert run.returncode == 0, run.stderr
    return run.stdout.hex()


def note_signed(note, vkey):
    """Is the note's text signed by the key? By `openssl pkeyutl`."""
    name, _, key = vkey.rsplit("+", 2) if vkey.count("+") == 2 else vkey.split("+", 2)
    public = bytes.fromhex("302a300506032b6570032100") + base64.b64decode(key)[1:]
    text, lines = note.split("\n\n", 1)
    line = next((l for l in lines.splitlines() if l.startswith(f"\u2014 {name} ")), None)
    if line is None:
        return False
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        (d / "key").write_bytes(public)
        (d / "sig").write_bytes(base64.b64decode(line.split(" ")[2])[4:])
        (d / "text").write_bytes((text + "\n").encode())
        return openssl("pkeyutl", "-verify", "-pubin", "-inkey", d / "key", "-keyform", "DER", "-rawin", "-in", d / "text",
                       "-sigfile", d / "sig").returncode == 0


def pulse_bytes(p):
    """What a pulse of NIST's beacon 2.0 signs: DRAW.md section 7."""
    def lp(b):
        return len(b).to_bytes(4, "big") + b

    def text(s):
        return lp(s.encode())

    def hexa(s):
        return lp(bytes.fromhex(s))

    def u(n, size):
        return int(n).to_bytes(size, "big")

    lists = {v["type"]: v["value"] for v in p["listValues"]}
    out = text(p["uri"]) + text(p["version"]) + u(p["cipherSuite"], 4) + u(p["period"], 4) + hexa(p["certificateId"])
    out += u(p["chainIndex"], 8) + u(p["pulseIndex"], 8) + text(p["timeStamp"]) + hexa(p["localRandomValue"])
    out += hexa(p["external"]["sourceId"]) + u(p["external"]["statusCode"], 4) + hexa(p["external"]["value"])
    for kind in ("previous", "hour", "day", "month", "year"):
        out += hexa(lists[kind])
    return out + hexa(p["precommitmentValue"]) + u(p["statusCode"], 4)


def pulse_signed(pulse, pem):
    p = pulse.get("pulse", pulse)
    signed = pulse_bytes(p)
    signature = bytes.fromhex(p["signatureValue"])
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        (d / "cert").write_text(pem)
        (d / "key").write_bytes(openssl("x509", "-in", d / "cert", "-noout", "-pubkey").stdout)
        (d / "sig").write_bytes(signature)
        good = openssl("dgst", "-sha512", "-verify", d / "key", "-signature", d / "sig", data=signed).returncode == 0
    return good and hashlib.sha512(signed + signature).hexdigest() == p["outputValue"].lower()


# --- Go ---

def go_build(out):
    env = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(pathlib.Path(out).parent / "go"),
           "GOFLAGS": ""}
    subprocess.run(["go", "build", "-o", out, HERE / "judge.go"], check=True, env=env, cwd=HERE)


def go_says(program, where, vkey, ca=None):
    """What judge.go says of a log's folder or URL: None when it is good, else why not."""
    env = {**os.environ, "SSL_CERT_FILE": str(ca)} if ca else None
    run = subprocess.run([program, where, vkey], capture_output=True, text=True, timeout=300, env=env)
    assert run.returncode in (0, 1), run.stderr
    return None if run.returncode == 0 else run.stdout.strip()
