"""A PIN that is refused or locked is tried once, whoever would try it, and a word of the operator's
brings it back. C_Login is counted in the module."""

import signal
import time

import klero
import pytest
import ward
from conftest import LONG

pytestmark = pytest.mark.row("hsm-pin")
REFUSED = ["CKR_PIN_INCORRECT", "CKR_PIN_EXPIRED", "CKR_PIN_INVALID", "CKR_PIN_LEN_RANGE"]
LOCKED = ["CKR_PIN_LOCKED", "CKR_USER_PIN_NOT_INITIALIZED"]
PIN = {"hsm": "keys.pin", "tlskey": "tls.pin"}
WORD = {"hsm": "hsm", "tlskey": "tls"}


def hup(a, words):
    """SIGHUP, and its effect is in the log."""
    before = a.log().count(words)
    a.process.send_signal(signal.SIGHUP)
    klero.until(lambda: a.log().count(words) > before)


@pytest.mark.parametrize("code", (REFUSED + LOCKED) if LONG else ["CKR_PIN_INCORRECT", "CKR_PIN_LOCKED"])
@pytest.mark.parametrize("role", ["hsm", "tlskey"] if LONG else ["hsm"])
def test_replaced(make, role, code, count):
    a = make().start()
    m = a.module
    client = a.client()
    klero.want(client.get("/health"), 200)
    m.order("before", "C_Login", [role], last=2**63, value=code)
    before = m.count("C_Login", role)
    a.kill(role)
    word = "pin-locked" if code in LOCKED else "pin-refused"
    klero.until(lambda: ward.health(a)[WORD[role]] == word)
    time.sleep(1)  # for tries that there must not be
    assert m.count("C_Login", role) == before + 1
    klero.want(client.get("/api/v1/raffles"), 200)
    assert klero.want(client.get("/health"), 200).json[WORD[role]] == word
    hup(a, "is not started again")
    if code in LOCKED:
        # the operator has unlocked it, or says so too early: each word is one look
        assert m.count("C_Login", role) == before + 2
    else:
        assert "has refused this PIN" in a.log()
        assert m.count("C_Login", role) == before + 1
    count(2)
    m.well()
    if code in REFUSED:
        # another one that is refused, too; then the right one
        path = a.dir / PIN[role]
        right = path.read_text()
        path.write_text("0000" + right)
        m.order("before", "C_Login", [role], value=code)
        hup(a, "is not started again")
        assert m.count("C_Login", role) == before + 2
        m.well()
        path.write_text(right)
    a.process.send_signal(signal.SIGHUP)
    ward.wait_well(a)
    client.close()


def test_at_the_start(make, count):
    """klerod ends with 4, so that systemd does not try again."""
    for code in (REFUSED + LOCKED) if LONG else REFUSED[:1]:
        a = make()
        a.module.order("before", "C_Login", ["hsm"], last=2**63, value=code)
        with pytest.raises(klero.Failure, match="PIN"):
            a.start()
        assert a.stop() == 4
        assert a.module.count("C_Login") == 1
        count()
        a.module.well()
        a.start().stop()
