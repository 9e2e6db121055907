"""kleroctl as an operator meets it: help, spelling, statuses."""

import klero


def test_help_is_no_mistake(appliance):
    for option in ("--help", "-h"):
        run = appliance.ctl(option)
        assert run.stdout.startswith("usage:") and not run.stderr
    assert appliance.ctl("--nonsense", check=False).returncode == 2
    assert appliance.ctl("admin", check=False).returncode == 2


def test_an_address_in_capitals_is_the_same_address(appliance):
    appliance.ctl("admin", "create", "Capital.Letters@Example.ORG", stdin=klero.PASSWORD + "\n")
    admin = klero.Person(appliance.port, appliance.ca, "capital.letters@example.org").login()
    assert "admin" in klero.want(admin.get("/api/v1/auth/me"), 200).json["roles"]
    again = appliance.ctl("admin", "create", "capital.letters@example.org", stdin=klero.PASSWORD + "\n", check=False)
    assert again.returncode == 1
    appliance.ctl("user", "roles", "CAPITAL.letters@example.org", "user")
    assert klero.want(admin.get("/api/v1/auth/me"), 200).json["roles"] == ["user"]
    admin.close()
