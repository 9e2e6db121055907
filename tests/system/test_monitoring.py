"""/metrics, the alert rules and the dashboard: one vocabulary, which promtool (Debian's prometheus) checks."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import klero
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "packaging" / "monitoring"
NAME = re.compile(r"\bklero_[a-z0-9_]+")
needs_promtool = pytest.mark.skipif(not shutil.which("promtool") and "KLERO_NEED_ALL" not in os.environ,
                                    reason="promtool (Debian's prometheus) is not here")


@pytest.fixture(scope="module")
def metrics(appliance, admin):
    appliance.person().close()  # something to count
    return klero.want(admin.get("/metrics"), 200).body.decode()


@pytest.fixture(scope="module")
def told(metrics):
    """Every name that a query may use."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", metrics, re.M):
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def promtool(*args, text=None):
    return subprocess.run(["promtool", *map(str, args)], input=text, capture_output=True, text=True, timeout=300, cwd=HERE)


@needs_promtool
def test_promtool_finds_nothing_in_the_metrics(metrics):
    run = promtool("check", "metrics", text=metrics)
    assert run.returncode == 0 and not run.stdout and not run.stderr, run
    bad = promtool("check", "metrics", text="# TYPE klero_x counter\nklero_x 1\n")
    assert bad.returncode != 0  # it does look


@needs_promtool
def test_the_rules_fire_when_they_should():
    run = promtool("check", "rules", "klerod.rules.yml")
    assert run.returncode == 0, run
    run = promtool("test", "rules", "klerod.rules.test.yml")
    assert run.returncode == 0, run


def test_the_rules_ask_for_what_is_told(told):
    text = (HERE / "klerod.rules.yml").read_text()
    used = set(NAME.findall(text))
    assert len(used) > 10 and used <= told, used - told


def test_the_dashboard_asks_for_what_is_told(told):
    board = json.loads((HERE / "kleroterion.json").read_text())
    queries = [t["expr"] for p in board["panels"] for t in p["targets"]]
    used = {name for q in queries for name in NAME.findall(q)}
    assert len(used) > 25 and used <= told, used - told
    assert all('instance=~"$instance"' in q for q in queries)
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"])


@needs_promtool
def test_the_queries_of_the_dashboard_parse(tmp_path):
    board = json.loads((HERE / "kleroterion.json").read_text())
    rules = [{"record": f"board:{n}", "expr": t["expr"]} for n, t in
             enumerate(t for p in board["panels"] for t in p["targets"])]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))  # JSON is YAML
    run = promtool("check", "rules", path)
    assert run.returncode == 0 and f"{len(rules)} rules found" in run.stdout, run
