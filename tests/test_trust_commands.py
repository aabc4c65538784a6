"""`diverloop trust`: whose models a live session runs, in a configuration folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.record.audit import read_audit
from diverloop.runtime.record.signing import fingerprint, load_or_create_key, new_key

from .modelled import fitted
from .test_cli import SESSION, call, refused, told


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A configuration folder of this test's own."""
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def strange(tmp_path) -> Path:
    """A bundle of somebody unknown, and a session with it; its path."""
    save_bundle(fitted(), tmp_path / "lab.bundle", new_key())
    (tmp_path / "s.toml").write_text(SESSION.format(bundle=tmp_path / "lab.bundle"))
    return tmp_path / "lab.bundle"


def test_the_list_begins_with_this_users_own_fingerprint(home):
    own = fingerprint(load_or_create_key(home).public)
    assert told("trust", "list") == {"own": own, "trusted": []}
    assert own in call("trust", "list").stdout


def test_a_key_is_added_by_what_it_signed_and_removed_by_its_name(strange):
    added = told("trust", "add", strange, "--name", "lab a")
    assert added["fingerprint"] == load_bundle(strange).standing().signed_by
    assert told("trust", "list")["trusted"] == [added]
    assert "lab a" in call("trust", "list").stdout
    assert told("trust", "remove", "lab a") == added
    assert told("trust", "list")["trusted"] == []


def test_a_key_is_added_by_its_fingerprint():
    mark = fingerprint(new_key().public)
    result = call("trust", "add", mark, "--name", "lab a")
    assert (result.exit_code, mark in result.stdout) == (0, True)
    assert "Compare the fingerprint" in result.stdout


def test_what_nobody_signed_names_no_key(strange):
    (strange / "card.sig").unlink()
    assert "signed by nobody" in refused("trust", "add", strange, "--name", "lab a")["message"]


def test_a_live_session_refuses_the_model_until_its_key_is_trusted(strange, tmp_path):
    session, kept = tmp_path / "s.toml", tmp_path / "kept"
    arguments = ("run", session, "--seconds", 0.5, "--no-view", "--recordings", kept)
    assert "diverloop trust add" in refused(*arguments)["message"]
    assert not kept.exists()
    call("trust", "add", strange, "--name", "lab a")
    report = told(*arguments)
    (entry,) = [one for one in read_audit(report["recording"]) if one.what == "model"]
    assert "signed by lab a" in entry.why
    assert entry.details["signed_by"] == load_bundle(strange).standing().signed_by
    copied = load_bundle(Path(report["recording"]) / "model.bundle")
    assert copied.standing().name == "lab a"


def test_a_session_that_takes_any_model_puts_that_on_record(strange, tmp_path):
    report = told(
        "run", tmp_path / "s.toml", "--seconds", 0.5, "--recordings", tmp_path / "kept",
        "--set", "security.unknown_models=true",
    )  # fmt: skip
    whats = {one.what: one for one in read_audit(report["recording"])}
    assert "does not trust" in whats["override"].why
    assert whats["model"].details["trusted"] is False


def test_a_signature_of_this_user_answers_for_a_model_from_before(strange, home):
    (strange / "card.sig").unlink()
    own = fingerprint(load_or_create_key(home).public)
    assert told("trust", "sign", strange)["signed_by"] == own
    assert load_bundle(strange).standing().name == "this user"


def signature(session: Path) -> dict:
    """What the doctor finds of a session's model."""
    findings = told("doctor", "--session", session)["findings"]
    return next(one for one in findings if one["name"] == "signature")


def test_the_doctor_says_who_signed_and_what_to_do(strange, tmp_path):
    found = signature(tmp_path / "s.toml")
    assert found["ok"] is False
    assert "diverloop trust add" in found["advice"]
    call("trust", "sign", strange)
    found = signature(tmp_path / "s.toml")
    assert found["ok"] is True


def test_a_session_file_is_signed_and_its_key_can_be_trusted_by_it(strange, tmp_path):
    session = tmp_path / "s.toml"
    assert "signed by nobody" in refused("trust", "add", session, "--name", "lab a")["message"]
    signed = told("trust", "sign", session)
    assert (tmp_path / "s.toml.sig").exists()
    added = told("trust", "add", session, "--name", "myself")
    assert added["fingerprint"] == signed["signed_by"]
    session.write_text(session.read_text().replace("test", "else"))
    assert "not the one that was signed" in refused("doctor", "--session", session)["message"]
    assert "is not the file" in refused("trust", "add", session, "--name", "x")["message"]


def test_what_is_no_session_is_not_signed(tmp_path):
    (tmp_path / "s.toml").write_text("[session]\n")
    assert "source" in refused("trust", "sign", tmp_path / "s.toml")["message"]
    assert not (tmp_path / "s.toml.sig").exists()
