"""A million sealed values taken over by a fresh key in the background, against the module's own
bare loop of C_Encrypt and C_Decrypt in the same run.

	reseal.py B [--values N]

The values are credentials of users who are nobody, put into the store while klerod stands still:
plain first, as an older klerod has left them, so that the first of the two passes measured is that
upgrade. The second is an approved rotation of the key `data`. Prints one JSON object.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
import klero  # noqa: E402
from officers import Officer  # noqa: E402

PLAIN = 97  # bytes of a PHC string
FILL = """
BEGIN;
WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < {values} - 1)
 INSERT INTO users (id, email, phc, display_name, roles, version, created_ms)
 SELECT CAST('u' || printf('%015d', n) AS BLOB), printf('%d@nobody.example', n),
 '$argon2id$v=19$m=65536,t=3,p=1$' || printf('%021d', n) || 'A$' || printf('%042d', n) || 'A', '', 1, 1, 0 FROM c;
UPDATE counts SET n = n + {values} WHERE name = 'users';
INSERT INTO counts (name, n) VALUES ('phc $argon2id$v=19$m=6553', {values});
COMMIT
"""


class Run:
    def __init__(self, build, folder):
        self.build = build
        self.a = klero.Appliance(build / "bin", folder / "a", klero.NO_LIMITS).provision()
        self.officers = [Officer(folder, name, "ed25519") for name in ("alice", "bob")]
        names = folder / "officers"
        names.write_text("".join(o.line for o in self.officers))
        self.a.ctl("officer", "enrol", "1", str(names))
        self.conf = dict(line.split(" ", 1) for line in self.a.conf.read_text().splitlines())

    def tool(self, name, *args):
        run = subprocess.run([self.build / "tools" / name, self.conf["pkcs11-module"], self.conf["keys-token"],
                              self.conf["keys-pin-file"], *args], capture_output=True, text=True,
                             env={**os.environ, "SOFTHSM2_CONF": self.conf["softhsm-conf"]})
        if run.returncode:
            raise klero.Failure(f"{name}: {run.stderr}")
        return run.stdout

    def fill(self, values):
        self.a.start()
        self.a.wait_ready()
        self.a.stop()
        self.tool("store_tool", self.conf["store"], "sql", FILL.format(values=values))

    def left(self):
        run = self.a.ctl("key", "list", check=False)
        return json.loads(run.stdout)["resealing"].get("left") if run.returncode == 0 else None

    def drain(self, since):
        """Seconds until none is left."""
        while self.left() != 0:
            time.sleep(0.25)
        return time.monotonic() - since

    def rotate(self):
        number = self.a.ctl("key", "rotate", "data").stdout.strip()
        text = self.a.ctl("proposal", "show", number).stdout
        self.a.ctl("proposal", "approve", number, stdin=self.officers[0].sign(text))
        klero.until(lambda: (self.left() or 0) > 0)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("build", type=pathlib.Path)
    args.add_argument("--values", type=int, default=1_000_000)
    args = args.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="klero-bench."))
    folder.chmod(0o711)
    run = None
    try:
        run = Run(args.build.resolve(), folder)
        run.fill(args.values)
        run.a.start()
        run.a.wait_ready()
        upgrade = run.drain(time.monotonic())
        before = float(run.tool("bench_gcm", str(PLAIN), "3"))
        run.rotate()
        rotation = run.drain(time.monotonic())
        after = float(run.tool("bench_gcm", str(PLAIN), "3"))
        bare, rate = (before + after) / 2, args.values / rotation
        print(json.dumps({"values": args.values, "upgrade_s": round(upgrade, 1), "rotation_s": round(rotation, 1),
                          "per_second": round(rate), "bare_gcm_per_second": round(bare),
                          "ratio": round(rate / bare, 3)}))
    finally:
        if run is not None:
            run.a.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
