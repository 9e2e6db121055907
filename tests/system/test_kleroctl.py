"""kleroctl as an operator meets it: help, spelling, statuses, JSON, completion."""

import collections
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess

import klero
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def listed(appliance):
    """{command: [what it does, {option: value}, [(argument, how)]]}, from kleroctl's own list."""
    out = {}
    for line in appliance.ctl("--commands").stdout.splitlines():
        kind, name, *rest = line.split("\t")
        if kind == "command":
            out[name] = [rest[0], {}, []]
        elif kind == "option":
            out[name][1][rest[0]] = rest[1]
        elif kind == "argument":
            out[name][2].append(tuple(rest[:2]))
    return out


def test_help_is_no_mistake(appliance):
    for option in ("--help", "-h"):
        run = appliance.ctl(option)
        assert run.stdout.startswith("usage:") and not run.stderr
    assert appliance.ctl("--nonsense", check=False).returncode == 2
    assert appliance.ctl("admin", check=False).returncode == 2


def test_every_command_has_help(appliance, listed):
    assert len(listed) > 20
    everything = appliance.ctl("--help").stdout
    for name, (what, options, _) in listed.items():
        run = appliance.ctl(*name.split(" "), "--help")
        assert run.stdout.startswith("usage: kleroctl") and what in run.stdout and not run.stderr, name
        assert all(option in run.stdout for option in options) and "exit status:" in run.stdout
        assert what in everything and {"--json", "--help"} <= set(options)


def test_every_command_counts_its_words(appliance, listed):
    for name, (_, _, arguments) in listed.items():
        words = name.split(" ")
        assert appliance.ctl(*words, "--no-such-option", check=False).returncode == 2, name
        if not any(how == "many" for _, how in arguments):
            run = appliance.ctl(*words, *["x"] * (len(arguments) + 1), check=False)
            assert run.returncode == 2 and "too many arguments" in run.stderr, name
        if any(how != "maybe" for _, how in arguments):
            run = appliance.ctl(*words, check=False)
            assert run.returncode == 2 and "an argument is missing" in run.stderr, name


# arguments that are well-formed, for a klerod that is not there
SOME = {"EMAIL": "a@example.org", "ROLE": "user", "PURPOSE": "log", "VERSION": "1", "THRESHOLD": "1",
        "ID": "01890000-0000-7000-8000-000000000000", "SECTION": "token", "OFFICERS": "/nonexistent",
        "BUNDLE": "/nonexistent/b", "RECORD": "/nonexistent/r", "KEY": "/nonexistent/k", "FILE": "/nonexistent/x"}


def test_every_failure_is_one_json_text(lab, listed):
    """Without a klerod, a token or a file nothing works; each says so in the same form."""
    a = lab.make()
    shutil.move(a.dir / "tokens", a.dir / "tokens-away")
    codes = collections.Counter()
    for name, (_, _, arguments) in listed.items():
        if name in ("status", "doctor", "support"):
            continue
        words = [*name.split(" "), *(str(SOME[arg]) for arg, how in arguments if how != "maybe")]
        run = a.ctl(*words, "--json", check=False, stdin=klero.PASSWORD + "\n")
        assert run.returncode, name
        text = run.stderr if name == "unpack" else run.stdout
        told = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        assert told, (name, run)
        for answer in told:
            assert answer.get("ok", answer.get("usable")) is False and answer["why"], (name, answer)
            codes[answer.get("code")] += 1
        assert run.stderr.startswith("kleroctl: "), (name, run.stderr)
    shutil.move(a.dir / "tokens-away", a.dir / "tokens")
    assert codes["unreachable"] > 10 and codes["usage"] and codes["refused"]


def test_answers_in_json(appliance):
    told = json.loads(appliance.ctl("admin", "create", "json@example.org", "--json", stdin=klero.PASSWORD + "\n").stdout)
    assert told == {"ok": True, "words": "the admin is created"}
    run = appliance.ctl("--json", "status", check=False)
    assert run.returncode == 2  # an option of the command, not before it
    assert json.loads(appliance.ctl("status", "--json").stdout)["status"]
    run = appliance.ctl("admin", "--json", "create", "x@example.org", check=False)
    assert run.returncode == 2
    run = appliance.ctl("user", "roles", "nobody@example.org", "--json", "--", "user", check=False)
    assert run.returncode == 1 and json.loads(run.stdout) == {
        "ok": False, "code": "refused", "why": "no account has this address"}


def test_people_read_tables_and_programs_json(appliance):
    def at_a_terminal(*words):
        master, slave = os.openpty()
        run = subprocess.Popen([appliance.bin / "kleroctl", "-c", appliance.conf, *words], stdin=subprocess.DEVNULL,
                               stdout=slave, stderr=subprocess.STDOUT)
        os.close(slave)
        told = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # nobody has its other end open any more
                break
            told += piece
        os.close(master)
        assert run.wait(300) == 0
        return told.decode().replace("\r\n", "\n")

    keys = at_a_terminal("key", "list")
    assert "\nkeys\n  purpose " in keys and "{" not in keys
    row = re.search(r"^  token +1 +active +(\S+)  no", keys, re.M)
    made = datetime.datetime.fromisoformat(row[1].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - made).total_seconds()) < 3600
    assert json.loads(at_a_terminal("key", "list", "--json")) == json.loads(appliance.ctl("key", "list").stdout)


def test_backup_in_json_goes_where_no_bytes_are(appliance):
    run = subprocess.run([appliance.bin / "kleroctl", "-c", appliance.conf, "backup", "--json", "-"], capture_output=True, timeout=300)
    assert run.returncode == 0 and run.stdout.startswith(b"kleroterion backup v1\n")
    assert json.loads(run.stderr)["bytes"] == len(run.stdout)


def test_the_words_of_a_file_do_not_reach_the_terminal(appliance, tmp_path):
    evil = tmp_path / "a\x1b]0;evil\x07\xff"
    run = appliance.ctl("unpack", "token", str(evil), "--json", check=False)
    told = json.loads([l for l in run.stderr.splitlines() if l.startswith("{")][0])
    assert run.returncode == 2 and "\x1b" not in told["why"]


# --- completion ---

PLACES = [
    ("key ro", {"rotate", "roll-back"}),
    ("-c x se", {"setup"}),
    ("key rotate d", {"data", "deposit25519", "deposit"}),
    ("user roles a@b org", {"organiser"}),
    ("user roles a@b user ad", {"admin"}),
    ("hsm check --to", {"--token"}),
    ("hsm check --token ", set()),
    ("import deposit-keys --layout iv16-ta", {"iv16-tag-text"}),
    ("import deposit-keys --key-file {dir}/ke", {"{dir}/key.txt"}),
    ("unpack tok", {"token"}),
    ("unpack token {dir}/ke", {"{dir}/key.txt"}),
    ("backup --with", {"--with-token"}),
    ("backup --with-token --json {dir}/k", {"{dir}/key.txt"}),
]


@pytest.fixture(scope="module")
def completion(appliance, tmp_path_factory):
    made = {}
    for shell in ("bash", "zsh"):
        run = subprocess.run([ROOT / "packaging" / "completion.sh", shell], input=appliance.ctl("--commands").stdout,
                             capture_output=True, text=True, timeout=300)
        assert run.returncode == 0 and not run.stderr
        made[shell] = tmp_path_factory.mktemp("completion") / shell
        made[shell].write_text(run.stdout)
    return made


@pytest.mark.parametrize("line,wanted", PLACES)
def test_completion(completion, tmp_path, line, wanted):
    (tmp_path / "key.txt").write_text("")
    words = line.format(dir=tmp_path).split(" ")
    run = subprocess.run(["bash", "-c", '. "$1"; shift; COMP_WORDS=(kleroctl "$@"); COMP_CWORD=$#; _kleroctl; printf "%s\\n" "${COMPREPLY[@]}"',
                          "-", completion["bash"], *words], capture_output=True, text=True, timeout=300)
    assert set(run.stdout.split()) == {w.format(dir=tmp_path) for w in wanted}, run.stderr


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
@pytest.mark.parametrize("line,wanted", [p for p in PLACES if "{dir}" not in p[0]])
def test_completion_of_zsh(completion, line, wanted):
    script = ('compadd() { shift; print -l -- "$@"; }; words=(kleroctl "${@:2}"); CURRENT=$#words; _files() {}; . "$1"')
    run = subprocess.run(["zsh", "-f", "-c", script, "-", completion["zsh"], *line.split(" ")],
                         capture_output=True, text=True, timeout=300)
    cursor = line.split(" ")[-1]
    assert {w for w in run.stdout.split() if w.startswith(cursor)} >= wanted, run.stderr
    assert not run.stderr


def test_an_address_in_capitals_is_the_same_address(appliance):
    appliance.ctl("admin", "create", "Capital.Letters@Example.ORG", stdin=klero.PASSWORD + "\n")
    admin = klero.Person(appliance.port, appliance.ca, "capital.letters@example.org").login()
    assert "admin" in klero.want(admin.get("/api/v1/auth/me"), 200).json["roles"]
    again = appliance.ctl("admin", "create", "capital.letters@example.org", stdin=klero.PASSWORD + "\n", check=False)
    assert again.returncode == 1
    appliance.ctl("user", "roles", "CAPITAL.letters@example.org", "user")
    assert klero.want(admin.get("/api/v1/auth/me"), 200).json["roles"] == ["user"]
    admin.close()
