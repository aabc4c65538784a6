"""Whose models a session accepts."""

from __future__ import annotations

import pytest

from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.record.signing import fingerprint, new_key
from diverloop.runtime.record.trusted import add_trusted, remove_trusted
from diverloop.runtime.security import (
    HOUSE_NAME,
    SecurityConfig,
    seal_path,
    sign_settings,
    vouch,
    whose,
)
from diverloop.runtime.session import read_session

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


SESSION = """\
[session]
name = "a session"
[source]
kind = "lsl"
name = "amp"
[model]
bundle = "m.bundle"
"""


@pytest.fixture
def file(tmp_path):
    """A session file."""
    (tmp_path / "s.toml").write_text(SESSION)
    return tmp_path / "s.toml"


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A configuration folder that asks for signatures everywhere."""
    folder = tmp_path / "house"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("DIVERLOOP_HOME", str(folder))
    (folder / HOUSE_NAME).write_text("signed = true\n")
    return folder


def test_a_signed_file_is_read_and_says_who_vouches_for_it(file):
    assert read_session(file).signed_by == "signed by nobody"
    sign_settings(file)
    assert read_session(file).signed_by.startswith("signed by this user (")


def test_a_file_that_is_not_what_was_signed_is_refused(file):
    sign_settings(file)
    file.write_text(SESSION.replace("amp", "amp2"))
    with pytest.raises(ConfigError, match=r"s\.toml: The file is not the one that was signed"):
        read_session(file)


def test_a_signature_of_another_file_or_kind_does_not_hold(file, strange):
    seal_path(file).write_bytes((strange / "card.sig").read_bytes())
    with pytest.raises(ConfigError, match="not the one that was signed"):
        read_session(file)
    seal_path(file).write_text("rubbish")
    with pytest.raises(ConfigError, match="no signature of diverloop"):
        read_session(file)


@pytest.mark.parametrize("by", ["nobody", "a stranger"])
def test_a_file_that_asks_for_a_signature_needs_one_that_is_trusted(file, by):
    file.write_text(SESSION + "[security]\nsigned = true\n")
    if by == "a stranger":
        sign_settings(file, KEY)
    with pytest.raises(ConfigError, match=r"signed by .*diverloop trust sign"):
        read_session(file)
    with pytest.raises(ConfigError, match="diverloop trust sign"):
        read_session(file, {"security.signed": "false"})  # nor is that asked away
    sign_settings(file)
    assert read_session(file).security.signed


def test_a_signature_can_be_asked_for_on_the_command_line(file):
    with pytest.raises(ConfigError, match="signed by nobody"):
        read_session(file, {"security.signed": "true"})
    sign_settings(file)
    assert read_session(file, {"security.signed": "true"}).security.signed
    with pytest.raises(ConfigError, match=r"command line, got source\.name"):
        read_session(file, {"security.signed": "true", "source.name": "other"})


def test_what_is_signed_is_not_changed_on_the_command_line(file):
    file.write_text(SESSION + "[security]\nsigned = true\n")
    sign_settings(file)
    with pytest.raises(ConfigError, match=r"command line, got source\.name"):
        read_session(file, {"source.name": "other"})
    assert read_session(file, {"session.participant": "'p-7'"}).participant == "p-7"


def test_the_house_can_ask_for_signatures_everywhere(file, house, strange):
    with pytest.raises(ConfigError, match="signed by nobody"):
        read_session(file)
    sign_settings(file)
    assert read_session(file)
    with pytest.raises(BundleError, match="does not trust"):
        vouch(load_bundle(strange), SecurityConfig(unknown_models=True), live=False)


@pytest.mark.parametrize("text", ["signed = 1", "sgined = true", "", "[", "signed = [[[[["])
def test_a_rule_of_the_house_that_cannot_be_read_is_not_waived(file, house, text):
    (house / HOUSE_NAME).write_text(text)
    with pytest.raises(ConfigError):
        read_session(file)


def test_signed_and_any_model_exclude_each_other():
    with pytest.raises(ConfigError, match="exclude each other"):
        SecurityConfig(signed=True, unknown_models=True)
    assert SecurityConfig(signed=True).signed
