"""kleroctl import deposit-keys: values as the old platform's program wrote them (node's crypto) become
pools with the addresses that ethers and @solana/web3.js know; what was tampered with is named by its
line; what is inside is nowhere in clear but in hsm."""

import base64
import json
import os
import secrets
import threading

import chains
import klero
import pytest
from test_pools import LIMITS, move, pay, transfer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def packages():
    chains.install()


@pytest.fixture(scope="module")
def target(lab):
    a = lab.make(*LIMITS).start()
    yield a
    a.stop()


@pytest.fixture(scope="module")
def cashier(target):
    return target.admin("cashier@example.org")


def b64(raw):
    return base64.b64encode(raw).decode()


LAYOUTS = {
    "iv-tag-text": lambda iv, tag, text: b64(iv + tag + text),
    "iv-text-tag": lambda iv, tag, text: b64(iv + text + tag),
    "iv:tag:text": lambda iv, tag, text: ":".join(map(b64, (iv, tag, text))),
}


class Old:
    """The old platform: its key, and what it kept."""

    def __init__(self):
        self.key = secrets.token_bytes(32)

    def values(self, plains, layout="iv-tag-text"):
        got = chains.ask_all([("encrypt", {"key": self.key.hex(), "plain": p}) for p in plains])
        return ["v1:" + LAYOUTS[layout](*(bytes.fromhex(e[k]) for k in ("iv", "tag", "text"))) for e in got]


def evm_keys(n):
    """[(what the platform kept, its address)]"""
    raw = [secrets.token_bytes(32).hex() for _ in range(n)]
    addresses = chains.ask_all([("evm_private", {"key": k}) for k in raw])
    return [(("0x" if i % 2 else "") + k, a) for i, (k, a) in enumerate(zip(raw, addresses))]


def solana_keys(n):
    pairs = chains.ask_all([("solana_private", {"key": secrets.token_bytes(32).hex()}) for _ in range(n)])
    texts = chains.ask_all([("base58", {"hex": p["secret"]}) for p in pairs])
    return [(json.dumps(list(bytes.fromhex(p["secret"])), separators=(",", ":")) if i % 2 else t, p["address"])
            for i, (p, t) in enumerate(zip(pairs, texts))]


def run(target, key, *args, lines=None, check=False):
    """kleroctl import with the key on standard input; lines go into a file, which is the last argument."""
    words = list(args)
    if lines is not None:
        path = target.dir / f"values-{secrets.token_hex(4)}"
        path.write_text("".join(line + "\n" for line in lines))
        words.append(str(path))
    return target.ctl("import", "deposit-keys", *words, stdin=(key if isinstance(key, str) else b64(key)) + "\n", check=check)


def told(run):
    return [json.loads(line) for line in run.stdout.splitlines()]


def pools(cashier):
    items, cursor = [], ""
    while True:
        page = klero.want(cashier.get(f"/api/v1/pools?limit=100{cursor}"), 200).json
        items += page["items"]
        if not page["next_cursor"]:
            return {p["address"]: p for p in items}
        cursor = "&cursor=" + page["next_cursor"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_taken_over(target, cashier, layout):
    old, evm, solana = Old(), evm_keys(3), solana_keys(2)
    values = old.values([k for k, _ in evm + solana], layout)
    lines = ["# of the old platform", "name,chain,value", ""]
    lines += [f"pool {i}, evm:1 ,{v}" for i, v in enumerate(values[:3])]
    lines += [f"Kasse {i},solana:devnet,{v}" for i, v in enumerate(values[3:])]
    before = pools(cashier)
    looked = run(target, old.key, "--layout", layout, "--dry-run", "--json", lines=lines)
    addresses = [a for _, a in evm + solana]
    assert looked.returncode == 0, looked
    assert [(o["line"], o["state"], o["address"]) for o in told(looked)] == [(i + 4, "would-import", a) for i, a in enumerate(addresses)]
    assert pools(cashier) == before
    done = run(target, old.key, "--layout", layout, lines=lines)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "5 imported, 0 there already, 0 failed", done
    assert [line.split(": ")[1] for line in done.stdout.splitlines()[:-1]] == [f"imported {a}" for a in addresses]
    now = pools(cashier)
    assert set(now) - set(before) == set(addresses)
    assert now[addresses[4]]["name"] == "Kasse 1" and now[addresses[4]]["cluster"] == "devnet"
    assert all(now[a]["key"] == "imported" and "created_by" not in now[a] for a in addresses)
    # begun again, it finds them all; in hex the key is the same key
    again = run(target, old.key.hex(), "--layout", layout, "--json", lines=lines)
    assert again.returncode == 0 and [(o["state"], o["pool_id"]) for o in told(again)] == [("exists", now[a]["id"]) for a in addresses]
    # and they pay
    for address, body, ask in ((addresses[0], transfer(), "evm_transaction"), (addresses[4], move(), "solana_transaction")):
        paid = klero.want(pay(cashier, now[address], body), 201).json
        assert chains.ask(ask, raw=paid["transaction"])["from"] == address


def spoil(value, at):
    """One bit of a value's base64 text flipped."""
    raw = bytearray(base64.b64decode(value[3:]))
    raw[at] ^= 1
    return "v1:" + b64(bytes(raw))


def test_each_bad_line_is_named(target, cashier):
    old, other = Old(), Old()
    (key, address), (last, last_address), (foreign, _) = evm_keys(3)
    (solana, _), = solana_keys(1)
    good, end, wrong_kind = old.values([key, last, solana])
    no_key, no_hex, short, zero, huge, words = old.values(["", "zz" * 32, "11" * 31, "00" * 32, "ff" * 32, "correct horse battery staple"])
    stranger, = other.values([foreign])
    lines = [
        good,
        spoil(good, 0), spoil(good, 13), spoil(good, -1),         # iv, tag, text
        good[:-4], good[:-1], good + "AAAA", "v1:", "v1:AAAA", good[3:], "v2:" + good[3:], "V1:" + good[3:], good.replace("v1:", "v1: "),
        stranger, wrong_kind, no_key, no_hex, short, zero, huge, words, "v1:" + "A" * 900,
        f"a,evm:1,{good},more", f"a,{good}", f",evm:1,{good}", f"a,bitcoin,{good}", f"a,evm:0,{good}", f"a,solana:moon,{good}",
        f"\"a\",evm:1,{good}", f"{'x' * 65},evm:1,{good}", "a,evm:1,",
        f"a,solana,{good}",                                       # a key of another chain
        f"elsewhere,evm:5,{good}",                                # an address is one pool
        end,
    ]
    done = run(target, old.key, "--chain", "evm:1", "--json", lines=lines)
    out = told(done)
    assert done.returncode == 1 and [o["line"] for o in out] == list(range(1, len(lines) + 1))
    assert (out[0]["state"], out[0]["address"]) == ("imported", address)
    assert (out[-1]["state"], out[-1]["address"]) == ("imported", last_address)
    assert all(o["state"] == "failed" and o["why"] for o in out[1:-1]), out
    assert "another network" in out[-2]["why"] and "does not open" in out[1]["why"] and "does not begin with v1:" in out[10]["why"]
    assert key not in done.stdout + done.stderr
    # of another layout none opens
    for layout in ("iv-text-tag", "iv:tag:text", "iv16-tag-text"):
        refused = run(target, old.key, "--chain", "evm:1", "--layout", layout, lines=[good])
        assert refused.returncode == 1 and "failed" in refused.stdout
    text = run(target, old.key, "--chain", "evm:1", lines=[good, "nonsense"])
    assert text.stdout.splitlines()[1].split(": ", 1)[1].startswith("failed: ") and text.stdout.endswith("0 imported, 1 there already, 1 failed\n")


def test_usage(target, tmp_path):
    old = Old()
    key = tmp_path / "key"
    key.write_text(b64(old.key) + "\n")
    key.chmod(0o600)
    (secret, _), = evm_keys(1)
    value, = old.values([secret])
    assert run(target, "", "--chain", "evm:1", "--key-file", str(key), "--dry-run", lines=[value]).returncode == 0
    assert target.ctl("import", "deposit-keys", "--chain", "evm:1", "--key-file", str(key), "--dry-run", "-",
                      stdin=value + "\n").stdout.splitlines()[-1].startswith("1 would be imported")
    assert run(target, old.key, lines=[value]).returncode == 1  # of which chain?
    key.chmod(0o640)
    refused = run(target, "", "--chain", "evm:1", "--key-file", str(key), lines=[value])
    assert refused.returncode == 2 and "chmod 600" in refused.stderr
    for words, key_text in ((["--chain", "evm:1", "-"], b64(old.key)), (["--chain", "evm:x", "x"], ""), (["--layout", "x", "x"], ""),
                            (["--nonsense", "x"], ""), ([], ""), (["a", "b"], ""), (["/does/not/exist"], b64(old.key)),
                            (["--key-file", "/does/not/exist", "/dev/null"], ""), (["/dev/null"], ""), (["/dev/null"], "short"),
                            (["/dev/null"], b64(old.key)[:-1]), (["/dev/null"], b64(old.key + b"x")), (["/dev/null"], old.key.hex()[:-1])):
        run_ = target.ctl("import", "deposit-keys", *words, stdin=key_text + "\n", check=False)
        assert run_.returncode == 2 and run_.stderr, (words, run_)
    assert run(target, old.key, "/dev/null").returncode == 0


def test_no_klerod(lab):
    stopped, old = lab.make(), Old()
    refused = run(stopped, old.key, "--chain", "evm:1", lines=["v1:AAAA", "v1:AAAA"])
    assert refused.returncode == 3 and "begin again" in refused.stderr and refused.stdout.count("failed:") == 1


def test_killed_in_the_middle(target, cashier):
    """Engine and hsm die while many values come; the same file again has them all."""
    old, keys = Old(), evm_keys(60)
    values = old.values([k for k, _ in keys])
    ends = threading.Event()

    def killer():
        for role in ("hsm", "engine", "hsm"):
            if ends.wait(0.2):
                return
            try:
                target.kill(role)
            except IndexError:
                pass

    t = threading.Thread(target=killer)
    t.start()
    first = run(target, old.key, "--chain", "evm:1", "--json", lines=values)
    ends.set()
    t.join()
    target.wait_ready()
    assert first.returncode in (0, 1, 3)
    again = run(target, old.key, "--chain", "evm:1", "--json", lines=values)
    assert again.returncode == 0 and [o["address"] for o in told(again)] == [a for _, a in keys], again
    taken = {o["line"] for o in told(first) if o["state"] == "imported"}
    assert {o["line"] for o in told(again) if o["state"] == "exists"} >= taken
    assert {a for _, a in keys} <= set(pools(cashier))


def everything_stored(target):
    """Every value of every table, as SQL literals."""
    def sql(text):
        run = target.store_tool("sql", text)
        assert run.returncode == 0, run
        return run.stdout
    out = ""
    for table in sql("SELECT name FROM sqlite_master WHERE type = 'table'").split():
        columns = " || ".join(f"quote({c})" for c in sql(f"SELECT name FROM pragma_table_info('{table}')").split())
        out += sql(f"SELECT {columns} FROM {table}")
    return out


def test_plaintext_is_nowhere(lab):
    """Neither the old platform's key nor what it kept is in the store, however deep one looks, in any
    file of the appliance, in a log, or in what kleroctl says."""
    a, old = lab.make(*LIMITS).start(), Old()
    evm, solana = evm_keys(4), solana_keys(4)
    values = old.values([k for k, _ in evm + solana])
    lines = [f"p,{'evm:1' if i < 4 else 'solana'},{v}" for i, v in enumerate(values)]
    said = run(a, old.key, "--json", lines=lines + ["p,evm:1," + spoil(values[0], 30)])
    assert [o["state"] for o in told(said)] == ["imported"] * 8 + ["failed"]
    a.stop()
    secret = [old.key] + [bytes.fromhex(k[-64:]) for k, _ in evm]
    for text, _ in solana:
        raw = bytes(json.loads(text)) if text.startswith("[") else None
        secret += [raw[:32]] if raw else []
    needles = [form for s in secret for form in (s, s.hex().encode(), s.hex().upper().encode(), b64(s).encode())]
    needles += [k.encode() for k, _ in evm + solana]
    stored = everything_stored(a)
    assert evm[0][1] in stored and "klero:1:deposit:" in stored and "klero:1:deposit25519:" in stored
    where = {"kleroctl": (said.stdout + said.stderr).encode(), "the store": stored.encode()}
    for folder, _, files in os.walk(a.dir):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                where[path] = f.read()
    assert len(where) > 8
    for place, content in where.items():
        assert not any(n in content for n in needles), place
