"""One-time codes against the vectors of the RFC, and everything that a code must not do twice."""

from __future__ import annotations

import base64
import stat

import pytest

from diverloop.runtime.access import Why
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.second_factor import (
    LOCKOUT_S,
    MOST_WRONG,
    STEP_S,
    SecondFactors,
    new_secret,
    otpauth_uri,
    totp,
    utc_s,
)

SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW_S = 1_700_000_000.0


class Wall:
    def __init__(self):
        self.s = NOW_S

    def __call__(self):
        return self.s

    def code(self, steps=0):
        return totp(SECRET, int(self.s // STEP_S) + steps)


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def codes(tmp_path, wall):
    return SecondFactors(tmp_path / "used", wall)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_rfc_6238_appendix_b(seconds, code):
    assert totp(SECRET, seconds // STEP_S, digits=8) == code
    assert totp(SECRET, seconds // STEP_S) == code[-6:]


def test_a_secret_that_is_none_is_refused_without_showing_it():
    with pytest.raises(ConfigError, match=r"base32.*keys renew") as caught:
        totp("no/secret", 1)
    assert "no/secret" not in str(caught.value)


def test_secrets_differ_and_the_uri_holds_what_an_app_needs():
    assert len({new_secret() for _ in range(50)}) == 50
    assert len(base64.b32decode(new_secret())) == 20
    assert otpauth_uri("p 1", "ABC").startswith("otpauth://totp/diverloop:p%201?secret=ABC&")


def test_utc_is_a_time_of_these_years():
    assert utc_s() > NOW_S


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_of_now_or_one_step_beside_counts(codes, wall, steps):
    assert codes.check("p1", SECRET, wall.code(steps)) is None


@pytest.mark.parametrize("steps", [-2, 2, -100])
def test_an_expired_or_early_code_is_wrong(codes, wall, steps):
    assert codes.check("p1", SECRET, wall.code(steps)) is Why.CODE_WRONG


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "\u0661\u0662\u0663456", "é"])
def test_what_is_no_code_is_wrong(codes, code):
    assert codes.check("p1", SECRET, code) is Why.CODE_WRONG


def test_a_code_counts_once_and_none_older_after_it(codes, wall):
    assert codes.check("p1", SECRET, wall.code()) is None
    assert codes.check("p1", SECRET, wall.code()) is Why.CODE_USED
    assert codes.check("p1", SECRET, wall.code(-1)) is Why.CODE_USED
    assert codes.check("p1", SECRET, wall.code(1)) is None
    assert codes.check("p2", SECRET, wall.code()) is None, "everybody has codes of their own"


def test_another_session_of_the_machine_does_not_take_the_code_again(codes, tmp_path, wall):
    assert codes.check("p1", SECRET, wall.code()) is None
    assert SecondFactors(tmp_path / "used", wall).check("p1", SECRET, wall.code()) is Why.CODE_USED
    assert stat.S_IMODE((tmp_path / "used").stat().st_mode) == 0o600


def test_wrong_codes_lock_a_person_out_for_a_time_and_nobody_else(codes, wall):
    for _ in range(MOST_WRONG - 1):
        assert codes.check("p1", SECRET, wall.code(9)) is Why.CODE_WRONG
    assert codes.locked_out("p1") is None
    assert codes.check("p1", SECRET, wall.code(9)) is Why.CODE_WRONG
    assert codes.locked_out("p1") is codes.check("p1", SECRET, wall.code()) is Why.LOCKED_OUT
    assert codes.check("p2", SECRET, wall.code()) is None
    wall.s += LOCKOUT_S - 1
    assert codes.check("p1", SECRET, wall.code()) is Why.LOCKED_OUT
    wall.s += 1
    assert codes.check("p1", SECRET, wall.code()) is None


def test_a_good_code_forgives_the_wrong_ones_before_it(codes, wall):
    for _ in range(3):
        for _ in range(MOST_WRONG - 1):
            assert codes.check("p1", SECRET, wall.code(9)) is Why.CODE_WRONG
        assert codes.check("p1", SECRET, wall.code()) is None
        wall.s += STEP_S


def test_a_clock_set_back_makes_no_old_code_good(codes, wall):
    assert codes.check("p1", SECRET, wall.code()) is None
    wall.s -= 3600
    assert codes.check("p1", SECRET, wall.code()) is Why.CODE_USED


@pytest.mark.parametrize("damage", [b'{"p1": 3}', b'{"p\xff": {"step": 1}}', "rights"])
def test_without_its_memory_no_code_counts(codes, tmp_path, wall, damage):
    assert codes.check("p1", SECRET, wall.code()) is None
    path = tmp_path / "used"
    if damage == "rights":
        path.chmod(0o644)
    else:
        path.write_bytes(damage)
    assert codes.check("p1", SECRET, wall.code(1)) is Why.UNCHECKED
    assert codes.locked_out("p1") is Why.UNCHECKED
