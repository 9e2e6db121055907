"""Security officers with real OpenSSH keys, and what they decide by kleroctl, for the system tests."""

import json
import os
import pwd
import subprocess

import klero


def _as_somebody():
    """OpenSSH's programs refuse a user without a name, as the one that root lends the tests is; in a
    user namespace of its own that user is root."""
    try:
        pwd.getpwuid(os.getuid())
        return []
    except KeyError:
        return ["unshare", "--map-root-user"]


AS = _as_somebody()


def shim(folder):
    """A folder for PATH in which ssh-keygen is one that runs for this user, too."""
    folder.mkdir()
    program = folder / "ssh-keygen"
    program.write_text(f"#!/bin/sh\nexec {' '.join(AS)} /usr/bin/ssh-keygen \"$@\"\n")
    program.chmod(0o755)
    return folder


class Officer:
    """An OpenSSH key, and approvals by ssh-keygen -Y sign."""

    def __init__(self, folder, name, kind="ed25519", *more):
        self.name, self.key, self.env = name, folder / name, None
        subprocess.run([*AS, "ssh-keygen", "-q", "-N", "", "-C", name, "-t", kind, *more, "-f", str(self.key)], check=True)

    @property
    def line(self):
        return self.name + " " + self.key.with_suffix(".pub").read_text()

    @property
    def print(self):
        """As ssh-keygen shows it."""
        return subprocess.run([*AS, "ssh-keygen", "-l", "-f", str(self.key.with_suffix(".pub"))],
                              capture_output=True, text=True, check=True).stdout.split()[1]

    def sign(self, text, namespace="kleroterion"):
        key = self.key if self.key.exists() else self.key.with_suffix(".pub")
        run = subprocess.run([*AS, "ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key)], env=self.env,
                             input=text, capture_output=True, text=True, check=True)
        return run.stdout

    def into_agent(self):
        """From now on only an ssh-agent holds the private key; returns the agent's process."""
        sock = self.key.with_suffix(".agent")
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
        klero.until(sock.exists)
        self.env = {**os.environ, "SSH_AUTH_SOCK": str(sock)}
        subprocess.run([*AS, "ssh-add", "-q", str(self.key)], env=self.env, check=True)
        self.key.unlink()
        return agent


def known(appliance):
    """Has hsm told engine what the token knows?"""
    run = appliance.ctl("key", "list", check=False)
    return run.returncode == 0 and json.loads(run.stdout)["known"]


def keys(appliance):
    """{(purpose, version): its row}"""
    rows = json.loads(appliance.ctl("key", "list").stdout)["keys"]
    return {(row["purpose"], row["version"]): row for row in rows}


def proposal(appliance, number):
    return next(p for p in json.loads(appliance.ctl("proposal", "list").stdout) if p["id"] == number)


def approve(appliance, number, *who):
    text = appliance.ctl("proposal", "show", number).stdout
    for officer in who:
        appliance.ctl("proposal", "approve", number, stdin=officer.sign(text))


def settle(appliance, number):
    return klero.until(lambda: proposal(appliance, number)["state"] in ("done", "failed") and proposal(appliance, number))


def decide(appliance, who, *words):
    number = appliance.ctl("key", *words).stdout.strip()
    approve(appliance, number, *who)
    end = settle(appliance, number)
    assert end["state"] == "done", end["reason"]
    klero.until(lambda: known(appliance))
    return end
