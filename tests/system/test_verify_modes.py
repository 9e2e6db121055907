"""klero-verify's other uses: a buyer's receipt, and what test laboratories get."""

import collections
import hashlib
import hmac
import json
import subprocess

import pytest

from conftest import BIN, ROOT

KEY = "ab" * 32


def run(*args):
    return subprocess.run([BIN / "klero-verify", *map(str, args)], capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def ticket():
    b = json.loads((ROOT / "tests/fuzz/seeds/fuzz_bundle2/whole").read_text())
    return {**b["winners"][0], "operator": b["operator_vkey"], "tickets": b["tickets_vkey"], "policy": b["policy"]}


def receipt(tmp_path, text, *args):
    (tmp_path / "receipt").write_text(text)
    return run("--receipt", tmp_path / "receipt", *args)


def test_receipt(ticket, tmp_path):
    leaf = ("--leaf", ticket["leaf_hex"])
    for key in ("operator", "tickets"):
        r = receipt(tmp_path, ticket["tlog_proof"], *leaf, "-k", ticket[key])
        assert r.returncode == 0 and r.stdout.endswith(b"VERIFIED\n"), r
        assert f"number {ticket['index']} of raffle".encode() in r.stdout
    for form in (bytes.fromhex(ticket["leaf_hex"]), ticket["leaf_hex"].encode() + b"\n"):
        (tmp_path / "leaf").write_bytes(form)
        assert receipt(tmp_path, ticket["tlog_proof"], "--leaf", tmp_path / "leaf", "-k", ticket["operator"]).returncode == 0
    (tmp_path / "policy").write_text(ticket["policy"])
    r = receipt(tmp_path, ticket["tlog_proof"], *leaf, "-k", ticket["operator"], "--policy", tmp_path / "policy")
    assert r.returncode == 0 and b"1 saw that" in r.stdout


def test_receipt_refused(ticket, tmp_path):
    key, proof, leaf = ("-k", ticket["operator"]), ticket["tlog_proof"], ticket["leaf_hex"]
    other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    # what, receipt, arguments, exit status, words
    rows = [
        ("another leaf", proof, ["--leaf", leaf[:-1] + ("0" if leaf[-1] != "0" else "1"), *key], 1, "not in the log"),
        ("no leaf", proof, ["--leaf", "00" * 116, *key], 1, "not the leaf of a ticket"),
        ("short leaf", proof, ["--leaf", tmp_path / "receipt", *key], 2, "116 bytes"),
        ("no file", proof, ["--leaf", "/nonexistent", *key], 3, "/nonexistent"),
        ("another key", proof, ["--leaf", leaf, "-k", other], 1, "not signed by that key"),
        ("another index", proof.replace("\nindex ", "\nindex 1", 1), ["--leaf", leaf, *key], 1, "not in the log"),
        ("another size", proof.replace("\n20\n", "\n21\n", 1), ["--leaf", leaf, *key], 1, "altered"),
        ("half", proof[:40], ["--leaf", leaf, *key], 1, "not a receipt"),
        ("nothing", "", ["--leaf", leaf, *key], 1, "not a receipt"),
        ("a holder", proof, ["--leaf", leaf, *key, "--holder", "somebody"], 1, "no salt"),
        ("a wish", proof, ["--leaf", leaf, *key, "--client-seed", "another"], 1, "another client seed"),
        ("no key", proof, ["--leaf", leaf], 2, "--vkey"),
        ("a proof, too", proof, ["--leaf", leaf, *key, "proof.json"], 2, "take no proof"),
    ]
    for what, text, args, code, words in rows:
        r = receipt(tmp_path, text, *args)
        assert r.returncode == code and words in (r.stdout + r.stderr).decode(), (what, r)


def test_words():
    """The stream is what anybody computes with HMAC, block by block."""
    r = run("--dump", "words", "--draw-key", KEY, "--count", 10001)
    assert r.returncode == 0 and len(r.stdout) == 80008

    label = b"kleroterion/v2/stream"
    for block in (0, 1, 2500):
        text = b"\0\0\0\1" + label + b"\0" + block.to_bytes(8, "big") + b"\0\0\1\0"
        have = hmac.new(bytes.fromhex(KEY), text, hashlib.sha256).digest()
        got = r.stdout[32 * block:32 * block + 32]
        assert have[:len(got)] == got
    said = r.stderr.decode()
    chi = float(said.split("chi-square of the byte values: ")[1].split()[0])
    counts = collections.Counter(r.stdout)
    assert abs(chi - sum((counts[b] - 312.53125) ** 2 / 312.53125 for b in range(256))) < 0.01, said
    assert "255 degrees of freedom" in said and 0.0001 < float(said.split("p = ")[1].split()[0]) < 0.9999


def test_draws():
    r = run("--dump", "draws", "--draw-key", KEY, "--count", 5000, "--tickets", 10, "--winners", 3)
    assert r.returncode == 0
    rows = [tuple(map(int, line.split())) for line in r.stdout.decode().splitlines()]
    assert len(rows) == 5000 and all(len(set(row)) == 3 and 0 <= min(row) and max(row) < 10 for row in rows)
    first = collections.Counter(row[0] for row in rows)
    chi = sum((first[i] - 500) ** 2 / 500 for i in range(10))
    assert f"chi-square of the first winners: {chi:.2f} with 9 degrees" in r.stderr.decode()
    every = collections.Counter(i for row in rows for i in row)
    chi = sum((every[i] - 1500) ** 2 / 1500 for i in range(10)) * 9 / 7
    assert f"chi-square of all winners: {chi:.2f} with 9 degrees" in r.stderr.decode()
    # each of the 720 orders of three comes up about seven times
    assert len(set(rows)) > 700


@pytest.mark.parametrize("args", [("words",), ("words", "--draw-key", KEY), ("words", "--draw-key", "AB" * 32, "--count", "1"),
                                  ("words", "--draw-key", KEY, "--count", "0"), ("dice", "--draw-key", KEY, "--count", "1"),
                                  ("draws", "--draw-key", KEY, "--count", "1", "--tickets", "3", "--winners", "4"),
                                  ("draws", "--draw-key", KEY, "--count", "1", "--tickets", "99999999999", "--winners", "1")])
def test_dump_usage(args):
    assert run("--dump", *args).returncode == 2
