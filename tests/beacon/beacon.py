"""A drand chain and a NIST beacon of our own for tests and the demo: relay.mjs as a fixture, whose npm
packages are installed at first use. Python's standard library only.

    with beacon.Beacon(folder, relays=3) as b:
        lines = b.lines()           # of klerod.conf
        b.mode("relay", 0, "torsion")
"""

import json
import os
import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parent
FOLDER = pathlib.Path(os.environ.get("KLERO_BEACON", SOURCE.parents[1] / "build" / "beacon"))


def install():
    """Nothing to do where it is done already: an ordinary user may only read what root has installed."""
    kept = [*SOURCE.glob("*.mjs"), SOURCE / "package-lock.json"]
    there = [FOLDER / ("installed.json" if path.suffix == ".json" else path.name) for path in kept]
    if all(t.exists() and t.read_bytes() == k.read_bytes() for k, t in zip(kept, there)):
        return
    subprocess.run([SOURCE.parents[1] / "packaging" / "npm.sh", SOURCE, FOLDER], check=True)


class Beacon:
    """The relays, until stop(). What relay.mjs says of itself are attributes: chain, hash, ca, relays,
    nist, nist_certificate, nist_chain, nist_first, nist_period, dns, period, genesis."""

    def __init__(self, folder, relays=1, nist=0, period=1, six=None, options=()):
        """six: the relays are at [::1], too, and a DNS server at this port of it after tell(six=True)."""
        install()
        self.six = six
        options = [*options, *(["--six", str(six)] if six else [])]
        self.node = subprocess.Popen(
            ["node", FOLDER / "relay.mjs", folder, "--relays", str(relays), "--nist", str(nist), "--period", str(period), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.__dict__.update(self._answer())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def _answer(self):
        line = self.node.stdout.readline()
        if not line:
            raise RuntimeError("the relays do not start, or end: see above")
        return json.loads(line)

    def tell(self, **command):
        self.node.stdin.write(json.dumps(command) + "\n")
        self.node.stdin.flush()
        return self._answer()

    def mode(self, kind, index, mode, **more):
        """kind: relay or nist; only="rounds": what is the newest one it says truly."""
        self.tell(**{kind: index, "mode": mode, **more})

    def asked(self):
        """The requests since the last call: "relay 0 /…/public/12"."""
        return self.tell(asked=True)["asked"]

    def round_at(self, unix_s):
        """The first round at or after a moment."""
        return max(1, -(-(int(unix_s) - self.genesis) // self.period) + 1)

    def lines(self, names=False, delay=1):
        """Lines of klerod.conf for an appliance that asks them; names: by DNS."""
        urls = [("drand-relay", u, "relay.test") for u in self.relays] + [("nist-beacon", u, "nist.test") for u in self.nist]
        lines = [f"{word} {url.replace('127.0.0.1', name) if names else url}" for word, url, name in urls]
        if self.relays:
            lines.append(f"drand-chain {self.chain}")
        if self.nist:
            lines.append(f"nist-certificate {self.nist_certificate}")
        if names:
            lines.append(f"out-resolver {self.dns}")
        return [*lines, f"out-authorities {self.ca}", f"beacon-delay {delay}"]

    def stop(self):
        if self.node.poll() is None:
            self.node.stdin.close()
            self.node.wait(60)
        self.node.stdout.close()
