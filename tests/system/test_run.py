"""`make run`: provisions once, serves in the foreground, says where things are, ends cleanly."""

import signal
import subprocess

import klero
import pytest
from conftest import BIN


def run_once(folder, port, how):
    p = subprocess.Popen([klero.HERE / "run.sh", BIN, folder, str(port)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        while not lines or not lines[-1].startswith("klerod: ready"):
            lines.append(p.stdout.readline())
            assert lines[-1], p.stderr.read()
        said = "".join(lines)
        assert f"CA file: {folder}/tls.pem" in said and f"{folder}/klerod.log" in said
        assert lines[-1] == f"klerod: ready https://127.0.0.1:{port}\n"
        kids = klero.children(p.pid)
        assert klero.Client(port, folder / "tls.pem").get("/health/ready").status == 200
        p.send_signal(how)
        assert p.wait(120) == 0
    finally:
        p.kill()
        p.communicate()
    assert kids and not klero.Appliance._outlived(kids)


@pytest.mark.smoke
def test_run_twice(lab):
    folder, port = lab.dir.resolve() / "run", klero.free_port()
    run_once(folder, port, signal.SIGTERM)
    key = (folder / "store" / "klero.keys").read_text()
    run_once(folder, port, signal.SIGINT)
    assert (folder / "store" / "klero.keys").read_text() == key
