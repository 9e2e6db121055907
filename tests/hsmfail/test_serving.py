"""Each function that serves requests fails under load with each code, and each call of a fresh hsm."""

import itertools

import hsmfail
import klero
import pytest
import ward
from conftest import LONG, SHARE

HSM = ["C_GenerateRandom", "C_SignInit", "C_Sign", "C_GenerateKey", "C_DigestInit", "C_DigestKey", "C_DigestFinal",
       "C_WrapKey", "C_UnwrapKey", "C_DestroyObject", "C_GetAttributeValue"]
TLS = ["C_SignInit", "C_Sign"]
# one of each class that the product makes of them, and what devices answer most
SOME = ["CKR_DEVICE_ERROR", "CKR_GENERAL_ERROR", "CKR_PIN_EXPIRED", "CKR_WRAPPED_KEY_INVALID", "CKR_SESSION_HANDLE_INVALID",
        "CKR_FUNCTION_NOT_SUPPORTED", "CKR_PIN_LOCKED", "CKR_USER_NOT_LOGGED_IN", "CKR_TOKEN_NOT_PRESENT"]


def plan():
    every = [("hsm", c) for c in HSM] + [("tlskey", c) for c in TLS]
    if LONG:
        return [(*who, code, mode) for who in every for i, code in enumerate(hsmfail.CKR)
                for mode in (("before", "after") if code in SOME else ("before",) if i % 2 else ("after",))][::SHARE]
    codes, modes = itertools.cycle(SOME), itertools.cycle(("before", "after"))
    return [(*who, next(codes), next(modes)) for who in every]


@pytest.mark.row("hsm-serving")
def test_every_function(make, tmp_path, count):
    a = make().start()
    with ward.under_load(a, tmp_path):
        for role, call, code, mode in plan():
            a.module.order(mode, call, [role], value=code)
            try:
                klero.until(lambda: a.module.fired() == 1)
            except klero.Failure:
                raise klero.Failure(f"{role} was never asked for {call}") from None
            a.module.well()
            count()
            klero.until(lambda: ward.health(a)["hsm" if role == "hsm" else "tls"] == "ok")
            ward.breathe()


def calls_of_a_start(a, role):
    with a.module.traced(role) as calls:
        ward.kill(a, role)
        klero.until(lambda: len(a.roles()[role]) == 1 and ward.health(a)["hsm" if role == "hsm" else "tls"] == "ok")
    return calls


def some_of(calls):
    """Long: every one. Short: the middle one of each function."""
    if LONG:
        return range(1, len(calls) + 1, SHARE)
    places = {}
    for n, c in enumerate(calls, 1):
        places.setdefault(c, []).append(n)
    return sorted(p[len(p) // 2] for p in places.values())[::5]


@pytest.mark.row("hsm-start")
@pytest.mark.parametrize("role", ["hsm", "tlskey"] if LONG else ["hsm"])
def test_a_fresh_one(make, tmp_path, count, role):
    """The Nth call of its start fails; the one after it starts."""
    a = make("death-budget 100000/1").start()  # they are killed, which is a death; to fail is none
    # a PIN is test_pin.py's; a function that is not there means another mode of work for as long as
    # that process lives
    codes = itertools.cycle(c for c in SOME if not c.startswith("CKR_PIN") and "NOT_SUPPORTED" not in c)
    with ward.under_load(a, tmp_path):
        for n in some_of(calls_of_a_start(a, role)):
            a.module.order("before" if n % 2 else "after", None, [role], first=n, value=next(codes))
            ward.kill(a, role)
            klero.until(lambda: a.module.fired() == 1)
            a.module.well()
            count()
            klero.until(lambda: ward.health(a)["hsm" if role == "hsm" else "tls"] == "ok")
            ward.breathe()
