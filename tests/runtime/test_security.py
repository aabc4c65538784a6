"""Whose models a session accepts."""

from __future__ import annotations

import pytest

from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.errors import BundleError
from diverloop.runtime.record.signing import fingerprint, new_key
from diverloop.runtime.record.trusted import add_trusted, remove_trusted
from diverloop.runtime.security import SecurityConfig, vouch, whose

from .test_bundle import bundle

KEY = new_key()


@pytest.fixture
def strange(tmp_path):
    """A bundle that somebody unknown has signed."""
    save_bundle(bundle(), tmp_path / "m.bundle", KEY)
    return tmp_path / "m.bundle"


def test_a_live_session_runs_what_this_user_has_signed(tmp_path):
    save_bundle(bundle(), tmp_path / "m.bundle")
    own = load_bundle(tmp_path / "m.bundle")
    assert vouch(own, SecurityConfig(), live=True).name == "this user"
    assert whose(own) == ()


def test_a_live_session_refuses_a_model_of_an_unknown_key(strange):
    with pytest.raises(BundleError, match=r"does not trust .*diverloop trust add"):
        vouch(load_bundle(strange), SecurityConfig(), live=True)


def test_a_live_session_refuses_an_unsigned_model(strange):
    (strange / "card.sig").unlink()
    with pytest.raises(BundleError, match=r"signed by nobody.*diverloop trust sign"):
        vouch(load_bundle(strange), SecurityConfig(), live=True)


@pytest.mark.parametrize("unsigned", [False, True])
def test_a_replay_runs_any_model_and_says_so(strange, unsigned):
    if unsigned:
        (strange / "card.sig").unlink()
    read = load_bundle(strange)
    assert not vouch(read, SecurityConfig(), live=False).trusted
    (notice,) = whose(read)
    assert notice.startswith("Notice: this model is signed by")


def test_a_session_may_say_that_any_model_will_do(strange):
    read = load_bundle(strange)
    assert not vouch(read, SecurityConfig(unknown_models=True), live=True).trusted


def test_a_key_that_was_added_is_as_good_as_the_own_one(strange):
    add_trusted(fingerprint(KEY.public), "lab a")
    try:
        assert vouch(load_bundle(strange), SecurityConfig(), live=True).name == "lab a"
    finally:
        remove_trusted("lab a")
