from __future__ import annotations

import json

import pytest

from diverloop.runtime.access import Action, Role
from diverloop.runtime.control_client import DOOR, ControlClient, read_door
from diverloop.runtime.errors import AccessError, ConfigError
from diverloop.runtime.keys import new_curve_key

from .link_rooms import Room


def test_an_answer_to_another_request_is_passed_over(tmp_path):
    with Room(tmp_path) as room, room.client() as client:
        client.sign_of_life()
        client.sign_of_life()
        assert client.must(Action.DISARM).text == "disarm was done."


def test_what_is_refused_can_be_raised(tmp_path):
    with (
        Room(tmp_path) as room,
        room.client(Role.VIEWER) as client,
        pytest.raises(AccessError, match="The role viewer may not arm"),
    ):
        client.must(Action.ARM)


def test_where_nobody_is_the_wait_ends_in_words():
    key = new_curve_key()
    with pytest.raises(AccessError, match=r"answered within 0.1 s"):
        ControlClient("tcp://127.0.0.1:9", key.public, key, 0.1)


@pytest.mark.parametrize(("address", "server"), [("nowhere", ""), ("tcp://127.0.0.1:9", "short")])
def test_what_is_no_address_or_no_key_is_refused(address, server):
    key = new_curve_key()
    with pytest.raises(ConfigError, match="cannot be used"):
        ControlClient(address, server or key.public, key)


def test_a_session_that_listens_everywhere_is_reached_over_loopback(tmp_path):
    card = {"address": "tcp://0.0.0.0:7", "server": "x", "watch": ""}
    (tmp_path / DOOR).write_text(json.dumps(card))
    door = read_door(tmp_path)
    assert (door.address, door.server, door.watch) == ("tcp://127.0.0.1:7", "x", "")


@pytest.mark.parametrize("text", [None, "", "[]", '{"address": 1}', "[" * 100_000])
def test_a_folder_without_word_of_a_session_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / DOOR).write_text(text)
    with pytest.raises(AccessError, match="No session that can be controlled runs"):
        read_door(tmp_path)
