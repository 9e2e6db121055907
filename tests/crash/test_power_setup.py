"""Power loss while an appliance is being made. What is half made is refused, or made whole by
running setup again; what starts, works; and after setup's word that it is ready, all is there."""

import collections
import shutil
import subprocess

import appliance
import disk
import klero
import load
import pytest

pytestmark = pytest.mark.traced


def record_setup(app):
    """kleroctl setup under the recorder, in a folder that holds only the configuration."""
    app.provision()
    conf = app.conf.read_text()
    shutil.rmtree(app.dir)
    app.dir.mkdir(mode=0o755)
    app.dir.chmod(0o755)
    # a folder of its own for what no other file's sync would cover
    (app.dir / "etc").mkdir(mode=0o755)
    app.conf.write_text(conf.replace(f"softhsm-conf {app.dir}/", f"softhsm-conf {app.dir}/etc/"))
    before = disk.Disk(app.dir)
    log = app.dir.parent / "setup.record"
    run = subprocess.run([app.bin.parent / "tools" / "disklog", log, app.dir, "--", app.bin / "kleroctl", "-c", app.conf,
                          "setup"], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run
    events = disk.read(log)
    log.unlink()
    return before, events


def become(app, model, rng):
    """The whole folder of the appliance becomes what the disk may show."""
    state = appliance.fresh_folder(app.dir.parent / "state")
    model.cut(rng, {str(app.dir): state})
    shutil.rmtree(app.dir)
    state.rename(app.dir)


def works_wholly(app, tmp):
    """Every key is used: database, tokens, TLS, seed, log; and once more after a new start."""
    admin, p = app.admin(), app.person()
    admin.confirm(p.deposit(10_000)["id"])
    raffle = admin.create(capacity=10)["id"]
    commit = klero.want(admin.step(raffle, "open"), 200).json["seed_commit"]
    sale = klero.want(p.buy(raffle, 3, "x", idem="once"), 201)
    klero.want(admin.step(raffle, "close"), 200)
    app.stop()
    app.start()
    assert p.buy(raffle, 3, "x", idem="once").body == sale.body
    klero.want(admin.step(raffle, "entropy", {"entropy": "00c0ffee"}), 200)
    klero.want(admin.step(raffle, "draw"), 200)
    proof = tmp / "proof.json"
    proof.write_bytes(klero.want(admin.get(f"/api/v1/raffles/{raffle}/proof"), 200).body)
    run = app.verify(proof, "-k", app.vkey, "-c", commit)
    assert run.returncode == 0, run
    admin.close()
    p.close()
    app.stop()
    load.every_page(app)


def starts(app):
    """True, or what klerod says instead."""
    p = app.spawn()
    if p.stdout.readline().startswith("klerod: ready "):
        return True
    assert p.wait(120) != 0
    words = p.stderr.read() + app.log()
    app.stop()
    assert words.strip(), "it refuses without a word"
    return words


def after_a_cut(app, tmp):
    """What becomes of a half-made appliance: how it ended, in a word."""
    if starts(app) is True:
        works_wholly(app, tmp)
        return "complete"
    run = app.ctl("setup", check=False)
    if run.returncode:
        # with a word of what stands in its way
        assert "is there already" in run.stderr or "was cut short, remove it" in run.stderr, run
        return "refused"
    assert starts(app) is True
    works_wholly(app, tmp)
    return "made whole"


def test_power_loss_in_setup(make, rng, rounds, result, tmp_path):
    row = result("power loss in setup", "the disk cut while keys, PINs and store are made, then start and setup again", "cuts")
    app = make(provision=False)
    model, events = record_setup(app)
    n = max(4, rounds(4) // 4)  # each takes several starts
    # the last steps, where files name each other, are few: they get a third of the cuts
    cuts = sorted([rng.randrange(len(events)) for _ in range(n * 2 // 3)] +
                  [len(events) - 1 - rng.randrange(60) for _ in range(n - n * 2 // 3)])
    ends, fed = collections.Counter(), 0
    for at in cuts:
        for e in events[fed:at]:
            model.feed(e)
        fed = at
        become(app, model, rng)
        ends[after_a_cut(app, tmp_path)] += 1
    for e in events[fed:]:
        model.feed(e)
    for _ in range(max(1, n // 4)):
        become(app, model, rng)
        assert starts(app) is True, "setup had said that the appliance is ready"
        works_wholly(app, tmp_path)
        ends["ready"] += 1
    print(f"{len(events)} steps of setup, ends: {dict(ends)}")
    row.write(count=sum(ends.values()), failed=0, detail=", ".join(f"{n} {word}" for word, n in sorted(ends.items())))
