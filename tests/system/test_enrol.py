"""The first admin, made over HTTPS by the code that kleroctl setup has shown once."""

import json
import re
import time

import klero
import pytest
from test_setup import bare  # noqa: F401  the fixture


@pytest.fixture
def made(bare):  # noqa: F811
    bare.port = int(re.search(r"^listen 127\.0\.0\.1:(\d+)$", bare.conf.read_text(), re.M)[1])
    return bare


def enrol(a, code, email="first@example.org", **more):
    return a.client().post("/api/v1/auth/enrol", {"email": email, "password": klero.PASSWORD, "code": code, **more})


def test_the_code_makes_one_admin(made):
    code = json.loads(made.ctl("setup", "--json").stdout)["admin_code"]
    made.start()
    klero.Person(made.port, made.ca, "early@example.org").register()
    assert enrol(made, code[:-1] + ("A" if code[-1] != "A" else "B")).code == "credentials-invalid"
    assert enrol(made, "").code == "validation-failed"
    assert enrol(made, code, "early@example.org").code == "validation-failed"  # no account is taken over
    made.stop()
    made.start()  # it outlives a restart
    klero.want(enrol(made, code, display_name="First"), 201)
    assert enrol(made, code, "second@example.org").code == "credentials-invalid"
    first = klero.Person(made.port, made.ca, "first@example.org").login()
    assert "admin" in first.get("/api/v1/auth/me").json["roles"]
    lines = [(l["action"], l["detail"]) for l in first.get("/api/v1/admin/audit?limit=100").json["items"]]
    assert ("admin-create", {"by": "code"}) in lines and ("enrol-refused", {}) in lines
    assert code not in json.dumps(lines) + made.log()
    made.stop()


def test_it_ends_with_its_day(made):
    code = json.loads(made.ctl("setup", "--json").stdout)["admin_code"]
    path = made.dir / "store" / "klero.new"
    path.write_text(re.sub(r" (\d+)\n", f" {int(time.time()) - 1}\n", path.read_text()))
    made.start()
    assert enrol(made, code).code == "credentials-invalid"
    made.stop()


@pytest.mark.parametrize("text", ["code 00 1\n", "code " + "0" * 64 + " x\n", "code " + "0" * 64 + " 1", "word\n"])
def test_a_word_that_setup_has_not_written(made, text):
    made.ctl("setup")
    (made.dir / "store" / "klero.new").write_text(text)
    with pytest.raises(klero.Failure, match="klero.new"):
        made.start()
    made.stop()


def test_a_restored_or_older_appliance_has_no_code(appliance):
    assert enrol(appliance, "anything").code == "credentials-invalid"
