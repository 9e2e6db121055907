"""Fixtures of the system tests: one appliance for all tests that leave it whole, and fresh ones
for those that do not. KLERO_BIN names the folder of the programs (build/out/bin)."""

import os
import pathlib
import secrets
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "beacon")]
import klero  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What these look at is the same whoever runs the daemon: not repeated as an ordinary user.
ONCE = {f"test_{name}.py" for name in (
    "accounts audit bad_input beacons complete escrow escrow_live generator http input judges life life_bad logs monitoring net nist "
    "officers_api page pools proof raffles verify_modes wallet winners witness witnessed").split()}
BIN = pathlib.Path(os.environ.get("KLERO_BIN", ROOT / "build" / "out" / "bin"))


def pytest_configure(config):
    for line in ("root_only: needs root", "as_shipped: not of a build with sanitizers", "slow: not repeated as an ordinary user",
                 "smoke: the short walk through everything",
                 "xdist_group(name): of one worker, in their order (--dist loadgroup)"):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("root_only") and os.getuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if item.get_closest_marker("as_shipped") and "san" in BIN.parts:
            item.add_marker(pytest.mark.skip(reason="sanitizers have no seccomp, memory and variables of their own"))
        if item.path.name in ONCE:
            item.add_marker(pytest.mark.slow)


def pytest_sessionfinish(session):
    """A worker leaves what it was answered to test_z_coverage.py, which runs when all are done."""
    if "KLERO_SAMPLES" in os.environ and hasattr(session.config, "workerinput"):
        klero.Samples.save(os.environ["KLERO_SAMPLES"])


class Lab:
    """Makes appliances under one temporary folder, all of them stopped and removed at the end."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="klero-test."))
        self.dir.chmod(0o711)  # the roles' own users pass through
        self.made = []

    def make(self, *lines, limits=False, libexec=None):
        """A provisioned appliance, not started; limits=True keeps the default limits."""
        a = klero.Appliance(BIN, self.dir / secrets.token_hex(4), list(lines) + ([] if limits else klero.NO_LIMITS), libexec=libexec)
        self.made.append(a)
        return a.provision()

    def end(self):
        failed = []
        for a in self.made:
            try:
                a.stop()
            except klero.Failure as e:
                failed.append(str(e))
            failed += a.sandbox_deaths()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not failed, failed


@pytest.fixture(scope="session")
def lab():
    made = Lab()
    yield made
    made.end()


@pytest.fixture(scope="session")
def appliance(lab):
    """The appliance that the tests share; started, its limits raised."""
    return lab.make().start()


@pytest.fixture(scope="session")
def admin(appliance):
    return appliance.admin()


@pytest.fixture
def client(appliance):
    c = appliance.client()
    yield c
    c.close()


@pytest.fixture
def person(appliance):
    p = appliance.person()
    yield p
    p.close()


@pytest.fixture(scope="session")
def rich(appliance, admin):
    """A user with money, shared by tests that only spend."""
    p = appliance.person()
    admin.confirm(p.deposit(100_000_000)["id"])
    return p


@pytest.fixture(scope="module")
def boss(site):
    """The admin of a module's own appliance, which that module calls site."""
    return site.admin("boss@example.org")


@pytest.fixture(scope="module")
def buyer(site, boss):
    p = site.person()
    boss.confirm(p.deposit(100000)["id"])
    return p


@pytest.fixture
def fresh(lab):
    """An appliance of the test's own, started; stopped afterwards."""
    a = lab.make().start()
    yield a
    a.stop()


@pytest.fixture
def open_raffle(admin):
    """Makes and opens a raffle: open_raffle(capacity=10) -> its id."""
    def make(**fields):
        raffle = admin.create(**fields)["id"]
        klero.want(admin.step(raffle, "open"), 200)
        return raffle
    return make
