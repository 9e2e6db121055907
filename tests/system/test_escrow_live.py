"""A v2 raffle in escrow, from its opening to its draw: the bundle that hsm made is the one its open
record promises, two of three officers get the very seed that the draw then shows, and with it
anybody finishes the draw as the appliance did."""

import hashlib
import json
import subprocess

import escrow
import klero
import tlog
from conftest import BIN
from test_life import DELAY, chain, draft, in_state, proof_of, sold  # noqa: F401


def test_whole_way(lab, chain, tmp_path):  # noqa: F811
    guards = [escrow.Officer(tmp_path, f"officer{i}") for i in range(3)]
    a = lab.make(*chain.lines(delay=DELAY), "death-budget 1000/60", "escrow 2 " + " ".join(str(g.public) for g in guards))
    a.start()
    boss, buyer = a.admin(), a.person()
    boss.confirm(buyer.deposit(10000)["id"])
    waiting = draft(boss)
    assert buyer.get(f"/api/v1/raffles/{waiting['id']}/escrow").status == 404
    raffle = sold(boss, [(buyer, 5)], 8, capacity=10, winners=2, reserves=1)
    bundle = klero.want(buyer.get(f"/api/v1/raffles/{raffle}/escrow"), 200).body
    (tmp_path / "bundle").write_bytes(bundle)
    seed = escrow.open_share(bundle, (0, 2), guards)
    assert {escrow.open_share(bundle, pair, guards) for pair in ((0, 1), (1, 2))} == {seed}

    in_state(buyer, raffle, "drawn")
    proof = json.loads(proof_of(buyer, raffle, tmp_path).read_text())
    assert f"escrow 2 3 {hashlib.sha256(bundle).hexdigest()}\non-default escrow\n" in proof["open"]
    assert klero.want(buyer.get(f"/api/v1/raffles/{raffle}"), 200).json["on_default"] == "escrow"
    assert f"server-seed {seed.hex()}\n" in proof["draw"]
    for name in ("open", "close"):
        (tmp_path / name).write_text(proof[name])
    told = json.loads(a.ctl("escrow", "check", "--json", "--open", str(tmp_path / "open"), str(tmp_path / "bundle")).stdout)
    assert told["ok"] and told["promised"] and told["keys_known"]

    step = []
    for guard in (guards[2], guards[1]):
        run = subprocess.run([BIN / "kleroctl", "-c", "/nonexistent", "escrow", "open", *step, tmp_path / "bundle",
                              tmp_path / "open", guard.private], capture_output=True, text=True, check=True)
        (tmp_path / "step").write_text(run.stdout)
        step = ["--step", tmp_path / "step"]
    assert run.stdout.strip() == seed.hex()

    tickets = buyer.raffle(raffle)["sold"]
    (tmp_path / "entries").write_bytes(klero.want(buyer.get(f"/r/{raffle}/{tlog.tile('entries', 0, tickets)}"), 200).body)
    value = next(b for b in proof["beacons"] if b["type"] == "drand")
    (tmp_path / "round").write_text(json.dumps({"round": value["round"], "signature": value["signature"]}))
    run = subprocess.run([BIN / "klero-verify", "--complete", "--drand-chain", chain.chain, tmp_path / "open",
                          tmp_path / "close", seed.hex(), tmp_path / "entries", tmp_path / "round"],
                         capture_output=True, text=True)
    assert run.returncode == 0, run
    lines = [line for line in proof["draw"].splitlines() if line.startswith(("context ", "draw-key ", "winner ", "reserve "))]
    assert run.stdout.splitlines()[:-1] == lines and len(lines) == 5
