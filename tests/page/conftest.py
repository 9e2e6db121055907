"""The page GET /verify of a real appliance: the fixtures of the system tests, and the page in chromium."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SYSTEM = HERE.parent / "system"
PLAYWRIGHT = HERE.parents[1] / "build" / "page-tests"
sys.path[:0] = [str(SYSTEM), str(HERE.parent / "beacon")]
spec = importlib.util.spec_from_file_location("system_conftest", SYSTEM / "conftest.py")
system = importlib.util.module_from_spec(spec)
spec.loader.exec_module(system)
pytest_configure = system.pytest_configure
lab, appliance, admin, client, rich = system.lab, system.appliance, system.admin, system.client, system.rich


@pytest.fixture(scope="session")
def ask():
    """ask(**question): see live.mjs. Nothing the page does may break its policy or leave its origin."""
    node = subprocess.Popen(["node", HERE / "live.mjs", PLAYWRIGHT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def one(**question):
        node.stdin.write(json.dumps(question) + "\n")
        node.stdin.flush()
        line = node.stdout.readline()
        assert line, "the page has ended; what is wrong is above"
        answer = json.loads(line)
        assert answer.pop("wrong") == []
        return answer

    yield one
    node.stdin.close()
    assert node.wait(120) == 0
