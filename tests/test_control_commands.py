"""The commands that control a session, against a link of its own."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from diverloop.cli import app
from diverloop.runtime.access import Action, Role
from diverloop.runtime.control_client import DOOR
from diverloop.runtime.keys import PersonKey, write_person_key

from .runtime.link_rooms import Room


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Room(tmp_path) as made:
        folder = tmp_path / "recordings" / "session"
        folder.mkdir(parents=True)
        card = {"address": made.server.address, "server": made.server.public_key, "watch": ""}
        (folder / DOOR).write_text(json.dumps(card))
        for role, key in made.keys.items():
            person = PersonKey(name=str(role), key=key, server=made.server.public_key)
            write_person_key(tmp_path / f"{role}.key", person)
        yield made


def said(*arguments, status=0):
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == status, done.output
    return done.stdout


@pytest.mark.parametrize("command", ["stop", "disarm", "arm", "roll-back"])
def test_the_owner_needs_a_command_and_nothing_else(room, command):
    assert "was done" in said(command)
    assert room.acts == [(Action(command.replace("-", "_")), "owner", "")]


def test_what_needs_a_clinician_takes_a_key_and_a_code(room):
    key = room.folder / "clinician.key"
    said("reset", status=2)
    said("reset", "--key", key)
    said("enable", "stimulation", "--key", key, status=2)
    done = json.loads(
        said("enable", "stimulation", "--key", key, "--code", room.code("clinician"), "--json")
    )
    assert done["done"] is True
    assert room.server.permissions.holds(Action.ENABLE_STIMULATION, 0)
    said("disable", "stimulation", "--key", room.folder / "viewer.key")
    assert not room.server.permissions.holds(Action.ENABLE_STIMULATION, 0)
    assert room.did(Action.RESET) == ["clinician"]


def test_the_status_is_one_json_object_and_a_table(room):
    assert json.loads(said("status", "--json"))["guard"] == "x"
    assert "link required" in said("status", room.folder / "recordings" / "session")


def test_a_session_elsewhere_is_reached_by_its_address_and_the_key_file_alone(room, monkeypatch):
    monkeypatch.setenv("DIVERLOOP_KEY", str(room.folder / f"{Role.VIEWER}.key"))
    said("stop", "--at", room.server.address)
    assert room.did(Action.STOP) == ["viewer"]


def test_a_refusal_is_one_sentence_and_status_2(room):
    text = said("arm", "--key", room.folder / "viewer.key", "--json", status=2)
    assert "The role viewer may not arm" in text
    assert room.acts == []
