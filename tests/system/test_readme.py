"""The README's first draw, word for word, against an appliance with the README's limits."""

import re
import subprocess

import klero
import pytest

README = klero.HERE.parents[1] / "README.md"


@pytest.mark.smoke
def test_first_draw(lab, tmp_path):
    a = lab.make(limits=True).start()
    script = re.search(r"<!-- first draw.*?-->\n```sh\n(.*?)```", README.read_text(), re.S).group(1)
    # only the place of the appliance differs from a reader's
    script = script.replace("127.0.0.1:8443", f"127.0.0.1:{a.port}")
    (tmp_path / "build" / "out").mkdir(parents=True)
    (tmp_path / "build" / "out" / "bin").symlink_to(a.bin)
    (tmp_path / "build" / "run").symlink_to(a.dir)
    run = subprocess.run(["sh", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    a.stop()
    assert run.returncode == 0, run
    assert "VERIFIED" in run.stdout.splitlines()[-1], run
