"""Which machines LSL asks directly, beside what the machine's own file says."""

from __future__ import annotations

import configparser
import os

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.lsl_network import VARIABLE, LslNetwork, own_settings, peers_of


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A configuration folder, and a machine's file that can be written."""
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    path = tmp_path / "lsl_api.cfg"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def used():
    settings = configparser.ConfigParser(interpolation=None)
    settings.optionxform = str
    settings.read(os.environ[VARIABLE])
    return settings


def test_peers_are_asked_beside_those_of_the_machines_own_file_and_the_rest_of_it_stays(own):
    own.write_text("[lab]\nKnownPeers = {a, 10.0.0.2}\nSessionID = ward\n[ports]\nIPv6 = disable\n")
    LslNetwork(known_peers=("10.0.0.2", "amp.local")).use()
    assert os.environ[VARIABLE] != str(own)
    assert peers_of(used()) == ("a", "10.0.0.2", "amp.local")
    assert used().get("lab", "SessionID") == "ward"
    assert used().get("ports", "IPv6") == "disable"
    LslNetwork(known_peers=("amp.local",), session_id="room-2").use()
    assert used().get("lab", "SessionID") == "room-2"


def test_a_session_that_asks_for_nothing_changes_nothing(own):
    LslNetwork().use()
    assert os.environ[VARIABLE] == str(own)


def test_without_a_file_there_are_no_settings(own):
    assert own_settings().sections() == []
    LslNetwork(known_peers=("b",)).use()
    assert peers_of(used()) == ("b",)


def test_a_file_that_is_none_is_refused_with_its_path(own):
    own.write_text("KnownPeers = {a}\n")
    with pytest.raises(ConfigError, match=r"lsl_api.cfg cannot be read .* correct the file"):
        LslNetwork(known_peers=("b",)).use()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"known_peers": ("a, b",)}, "one machine in each"),
        ({"known_peers": ("}",)}, "names or addresses"),
        ({"known_peers": ("a",) * 65}, "64 machines at most, got 65"),
        ({"session_id": "a b"}, "letters, digits"),
    ],
)
def test_what_would_change_the_file_otherwise_is_refused(how, said):
    with pytest.raises(ConfigError, match=said):
        LslNetwork(**how)
