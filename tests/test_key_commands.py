"""Enrolling, listing and revoking people on the command line."""

from __future__ import annotations

import json
import stat

import pytest
from typer.testing import CliRunner

from diverloop.key_commands import keys
from diverloop.runtime.access import Role
from diverloop.runtime.keys import read_person_key
from diverloop.runtime.people import People


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def said(*arguments, status=0):
    done = CliRunner().invoke(keys, [str(one) for one in arguments])
    assert done.exit_code == status, done.output
    return done.stdout


def test_a_new_person_gets_a_private_key_file_and_a_second_factor_shown_once(home, tmp_path):
    path = tmp_path / "c1.key"
    text = said("new", "c1", "--role", "clinician", "--out", path)
    person = People(home).named("c1")
    assert person.role is Role.CLINICIAN
    assert person.secret in text
    assert "otpauth://totp/diverloop:c1?secret=" in text
    held = read_person_key(path)
    assert (held.name, held.key.public) == ("c1", person.public_key)
    assert held.server == json.loads(said("server", "--json"))["server"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert held.key.secret not in text
    assert person.secret not in said("list") + said("list", "--json")


def test_a_revoked_person_stays_on_the_list_as_such(home):
    said("new", "v1", "--role", "viewer", "--json")
    said("revoke", "v1")
    (shown,) = json.loads(said("list", "--json"))["people"]
    assert shown["revoked"]
    assert "revoked" in said("list")
    said("revoke", "v1", status=2)


def test_a_second_factor_can_be_renewed(home):
    before = json.loads(said("new", "v1", "--role", "viewer", "--json"))["secret"]
    after = json.loads(said("renew", "v1", "--json"))["secret"]
    assert before != after == People(home).named("v1").secret


def test_a_person_whose_key_could_not_be_written_counts_for_nothing(home, tmp_path):
    (tmp_path / "there.key").write_text("")
    said("new", "v1", "--role", "viewer", "--out", tmp_path / "there.key", status=2)
    assert People(home).named("v1").revoked


def test_a_role_that_is_none_is_refused(home):
    said("new", "v1", "--role", "king", status=2)
    assert "Nobody is enrolled" in said("list")
