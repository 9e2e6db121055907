#!/usr/bin/python3
"""The rules of the house that a program can check: the layer law, the lengths of functions and
files, the message list, names that must not stand anywhere, generated text that must be fresh.

	lint.py [--bin DIR]     DIR: built programs, for what may be linked into which

One line a rule, "ok" or "not ok"; the exit status is the number of broken rules, 100 at most.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRODUCT = ("daemon", "hsm", "sandbox", "policy", "db")
# what they say differs between versions: Debian 12's decide
CLANG_FORMAT, SHELLCHECK, PYFLAKES = "14", "0.9", "2.5"

sys.path.insert(0, str(ROOT / "tests" / "lint"))
import manual  # noqa: E402
import msgdef  # noqa: E402


def tracked(*suffixes):
    """Paths of the source tree with one of these suffixes, relative to its root."""
    out = []
    for top in sorted(os.listdir(ROOT)):
        if top in (".git", "build", "node_modules"):
            continue
        path = ROOT / top
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        out += [p.relative_to(ROOT) for p in files if "__pycache__" not in p.parts]
    return [p for p in out if not suffixes or p.suffix in suffixes]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


# --- the layer law (DESIGN.md section 1) ---

# a header, and the only place that may include it
EXCLUSIVE = [
    (r"(sqlcipher/)?sqlite3\.h", r"db/|tests/(tools|unit)/"),
    (r"seccomp\.h|linux/seccomp\.h|linux/landlock\.h", r"sandbox/|tests/tools/"),
    (r"libp11\.h|(p11-kit/)?pkcs11\.h", r"hsm/|tests/(tools|unit|fuzz|hsmfail)/"),
    (r"curl/curl\.h", r"daemon/out/|daemon/cli/klero_verify_fetch\.c$"),
    (r"resolv\.h|arpa/nameser\.h", r"daemon/out/"),
    (r"openssl/ssl\.h", r"daemon/net/tls\w*\.[ch]$|tests/(tools|unit|fuzz)/"),
]

# who may include what of ours, besides its own folder
OURS = {
    "policy": (),
    "db": ("policy",),
    "sandbox": ("policy",),
    "hsm": ("policy", "sandbox", "daemon/msg"),
}


def includes(path):
    return re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text(path), re.M)


def rule_layers():
    bad = []
    for path in tracked(".c", ".h", ".def"):
        for kind, name in includes(path):
            for header, place in EXCLUSIVE:
                if re.fullmatch(header, name) and not re.match(place, str(path)):
                    bad.append(f"{path} includes {name}")
            top = path.parts[0]
            if kind == '"' and top in OURS:
                allowed = (top,) + OURS[top]
                if not any(name == a or name.startswith((a + "/", a + ".")) for a in allowed):
                    bad.append(f"{path} includes {name}")
    return bad


# --- lengths (DESIGN.md section 7) ---

def functions(path):
    """(name, lines) of each function: from the line of its name's type to its closing brace."""
    lines = text(path).split("\n")
    for i, line in enumerate(lines):
        if line != "{" or i == 0:
            continue
        first = i - 1
        while first > 0 and lines[first - 1].strip() and not re.match(r"\S.*[;}]$|#|.*\*/$|//", lines[first - 1]):
            first -= 1
        last = next((j for j in range(i, len(lines)) if lines[j].startswith("}")), len(lines) - 1)
        name = re.search(r"(\w+)\(", "\n".join(lines[first:i]))
        yield (name.group(1) if name else "?", last - first + 1)


def rule_functions():
    bad, lengths = [], []
    for path in tracked(".c", ".h"):
        for name, n in functions(path):
            if path.parts[0] in PRODUCT:
                lengths.append(n)
            if n > 100:
                bad.append(f"{path}: {name} has {n} lines, 100 are allowed")
    if not lengths:
        return ["no function was found"]
    lengths.sort()
    median, p95 = statistics.median(lengths), lengths[int(len(lengths) * 0.95)]
    print(f"# {len(lengths)} functions: median {median:g}, 95 % {p95}, longest {lengths[-1]}")
    if median > 16:
        bad.append(f"the median function has {median:g} lines, 16 are allowed")
    if p95 > 60:
        bad.append(f"95 % of the functions have up to {p95} lines, 60 are allowed")
    return bad


def rule_files():
    bad = []
    for path in tracked(".c", ".h", ".py", ".sh", ".def"):
        n = text(path).count("\n")
        if n > 600:
            bad.append(f"{path} has {n} lines, 600 are allowed")
    return bad


def rule_openings():
    """A source file opens with a comment that says what it is for."""
    return [f"{p} does not open with a comment" for p in tracked(".c", ".h")
            if not text(p).startswith("/*")]


# --- words that must not stand anywhere ---

def rule_words():
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b|/wo" r"rk/|/home/\w+/")
    bad = []
    for path in tracked():
        for i, line in enumerate(text(path).split("\n"), 1):
            m = words.search(line)
            if m and "mktemp" not in line:
                bad.append(f"{path}:{i}: {m.group(0)}")
    return bad


# Calls that have no place in this code: unbounded, or not ours to use.
BANNED = r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|system|popen|alloca|rand|srand)\s*\("


def rule_calls():
    bad = []
    for path in tracked(".c", ".h"):
        if path.parts[0] not in PRODUCT:
            continue
        code = re.sub(r"/\*.*?\*/|\"(\\.|[^\"\\])*\"", "", text(path), flags=re.S)
        bad += [f"{path}: calls {m}" for m in re.findall(BANNED, code)]
        if re.search(r"^\s*typedef\s+struct\b", code, re.M):
            bad.append(f"{path}: a typedef'd struct")
    return bad


# --- lists and what is made from them ---

def rule_messages():
    return msgdef.check(msgdef.read(ROOT))


def rule_security_table():
    if msgdef.table(msgdef.read(ROOT)) not in text("SECURITY.md"):
        return ["the message table in SECURITY.md is old: tests/lint/msgdef.py --write"]
    return []


def rule_manuals():
    if not shutil.which("mandoc"):
        return ["mandoc is missing"]
    pages = [str(p) for p in tracked(".1", ".5", ".8")]
    if not pages:
        return ["there are no manual pages"]
    run = subprocess.run(["mandoc", "-Tlint", "-Wstyle", *pages], cwd=ROOT, capture_output=True, text=True)
    # the pages may name each other before they are installed
    return [l for l in run.stdout.splitlines() if "referenced manual not found" not in l]


# --- what other tools say, each of the version whose words count ---

def is_here(tool, version):
    """Says so when it is not."""
    said = subprocess.run([*tool, "--version"], capture_output=True, text=True).stdout if shutil.which(tool[0]) else ""
    if not re.search(rf"\b{version}\.", said):
        print(f"# not asked: {' '.join(tool)} {version} is not here")
        return False
    return True


def scripts():
    return [p for p in tracked() if re.match(r"#!.*\b(ba)?sh\b", text(p)) or p.suffix == ".sh"]


def rule_scripts():
    bad = []
    for path in scripts():
        shell = "bash" if "bash" in text(path).split("\n")[0] else "sh"
        run = subprocess.run([shell, "-n", str(path)], cwd=ROOT, capture_output=True, text=True)
        program = text(path).startswith("#!")  # what is only sourced has no such line
        if run.returncode or (program and not os.access(ROOT / path, os.X_OK)):
            bad.append(f"{path}: {run.stderr.strip() or 'not executable'}")
    return bad


def rule_shellcheck():
    tool = ["shellcheck"]
    if not is_here(tool, SHELLCHECK):
        return []
    run = subprocess.run([*tool, "-x", "-P", "SCRIPTDIR", "-S", "warning", "-f", "gcc", *map(str, scripts())],
                         cwd=ROOT, capture_output=True, text=True)
    return run.stdout.splitlines() or ([run.stderr.strip()] if run.returncode else [])


def rule_pyflakes():
    """A line marked noqa, and what it names, is meant: pytest looks for fixtures by their names."""
    tool = [sys.executable, "-m", "pyflakes"]
    if not is_here(tool, PYFLAKES):
        return []
    run = subprocess.run([*tool, *map(str, tracked(".py"))], cwd=ROOT, capture_output=True, text=True)
    bad = [run.stderr.strip()] if run.stderr else []
    for line in run.stdout.splitlines():
        path, number, words = line.split(":", 2)
        first = re.search(r"redefinition of unused .* from line (\d+)$", words)
        marked = text(path).split("\n")[int(first.group(1) if first else number) - 1]
        if "# noqa" not in marked:
            bad.append(line)
    return bad


def rule_format():
    tool = shutil.which("clang-format-" + CLANG_FORMAT) or "clang-format"
    if not is_here([tool], CLANG_FORMAT):
        return []
    bad = []
    for path in tracked(".c", ".h"):
        run = subprocess.run([tool, str(path)], cwd=ROOT, capture_output=True, text=True)
        if run.stdout != text(path):
            bad.append(f"{path} is not formatted: make format")
    return bad


# --- what is linked into which program: what is not there cannot be jumped to ---

# symbols that may stand only in these programs
LINKED = [
    (r"sqlite3_\w+|db_raffle_\w+", {"klerod-engine"}),
    (r"SSL_accept|SSL_read\w*|SSL_CTX_new\w*", {"klerod-net"}),
    (r"p11_\w+|PKCS11_\w+", {"klerod-hsm", "klerod-keyadm", "kleroctl"}),
    (r"event_base_\w+", {"klerod-net", "klerod-engine"}),
    (r"api_raffle_\w+", {"klerod-engine"}),
    (r"curl_\w+", {"klerod-out", "klero-verify"}),
    (r"res_n\w+", {"klerod-out"}),
    (r"bls_verify|__gmp\w+", {"klerod-beacon", "klerod-hsm", "klero-verify"}),
]


def rule_linked(bindir):
    bad = []
    for program in sorted(os.listdir(bindir)):
        run = subprocess.run(["nm", os.path.join(bindir, program)], capture_output=True, text=True)
        names = {line.split()[-1].split("@")[0] for line in run.stdout.splitlines() if line.split()}
        for pattern, homes in LINKED:
            hit = next((n for n in sorted(names) if re.fullmatch(pattern, n)), None)
            if hit and program not in homes:
                bad.append(f"{program} holds {hit}")
    return bad


def rule_commands(bindir):
    """The manual page says what kleroctl's own list of commands says."""
    run = subprocess.run([os.path.join(bindir, "kleroctl"), "--commands"], capture_output=True, text=True)
    return manual.check(run.stdout) if run.returncode == 0 else [run.stderr.strip()]


RULES = [rule_layers, rule_functions, rule_files, rule_openings, rule_words, rule_calls,
         rule_messages, rule_security_table, rule_manuals, rule_scripts, rule_shellcheck, rule_pyflakes, rule_format]


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bin")
    args = args.parse_args()
    rules = [(r.__name__, r) for r in RULES]
    if args.bin:
        rules.append(("rule_linked", lambda: rule_linked(args.bin)))
        rules.append(("rule_commands", lambda: rule_commands(args.bin)))
    broken = 0
    for name, rule in rules:
        bad = rule()
        broken += bool(bad)
        print(("not ok " if bad else "ok ") + name[5:].replace("_", " "))
        for line in bad:
            print("#   " + line)
    return min(broken, 100)


if __name__ == "__main__":
    sys.exit(main())
