"""Fixtures of the suites with a module that fails, and their rows for the attack table.

HSMFAIL=long tries everything (tests/hsmfail/attack.sh); otherwise a little of each, for make check.
KLERO_BIN names the folder of the programs, beside which are the tools (build/out/bin).
"""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "attack"), str(HERE.parent / "system"), str(HERE.parent / "crash")]
import hsmfail  # noqa: E402
import klero  # noqa: E402
import rows  # noqa: E402
from rows import count, pytest_runtest_makereport, pytest_sessionfinish  # noqa: E402, F401

BIN = pathlib.Path(os.environ.get("KLERO_BIN", HERE.parents[1] / "build" / "out" / "bin")).resolve()
LONG = os.environ.get("HSMFAIL") == "long"
SHARE = int(os.environ.get("HSMFAIL_SHARE", "1"))  # of the long form: every so many-th case
rows.declare({  # file: name in the table, what is tried, unit
    "hsm-serving": ("hsm: every call and code", "a PKCS#11 module that fails each function that serves requests with "
                    "CKR_*, before and after its effect, under a load of sales, logins, draws and handshakes", "failures"),
    "hsm-start": ("hsm: start", "each call of a fresh hsm or tlskey fails, while the load goes on", "failures"),
    "hsm-sick": ("hsm: away, slow, hanging, lying", "the device is away for minutes, hangs, is slow, dies, gives wrong "
                 "bits, zeros and lengths; its folder or module is missing", "times"),
    "hsm-keyadm": ("hsm: keyadm cut", "each call of keyadm fails during approved actions, before and after its "
                   "effect; then a fresh start, and the action once more", "failures"),
    "hsm-pin": ("hsm: PIN", "each way to refuse or lock a PIN, at the start, at a replacement and in keyadm, with "
                "C_Login counted", "refusals"),
})


def pytest_configure(config):
    rows.mark(config)
    config.addinivalue_line("markers", "long: not in make check")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long") and not LONG:
            item.add_marker(pytest.mark.skip(reason="only in the long form"))


@pytest.fixture(scope="session")
def folder():
    made = pathlib.Path(tempfile.mkdtemp(prefix="klero-hsmfail."))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def make(folder):
    """make(*lines): an appliance on the module, not started; its module is .module."""
    made = []

    def one(*lines):
        module = hsmfail.Module()
        at = folder / f"a{len(list(folder.iterdir()))}"
        at.mkdir(mode=0o711)
        shutil.copy(BIN.parent / "tools" / "hsmfail.so", at / "module.so")
        conf = [f"pkcs11-module {at / 'module.so'}", module.line, *lines, *klero.NO_LIMITS]
        a = klero.Appliance(BIN, at, conf)
        a.module = module
        made.append(a)
        return a.provision()
    yield one
    for a in made:
        a.module.well()
        try:
            a.stop()
        finally:
            a.module.close()
        assert not a.sandbox_deaths()
