"""What is said of LSL streams of other machines, and of machines that do not answer."""

from __future__ import annotations

import configparser
import socket

import pytest

from diverloop.hardware import lsl_neighbours
from diverloop.hardware.lsl_neighbours import look_around, ports_of
from diverloop.runtime.lsl_network import VARIABLE, LslNetwork


class Info:
    """A stream of a host."""

    def __init__(self, host, name="amp"):
        self.hostname, self.name = lambda: host, lambda: name
        self.type, self.channel_count, self.nominal_srate = (
            lambda: "EEG", lambda: 16, lambda: 250.0
        )  # fmt: skip


@pytest.fixture
def network(tmp_path, monkeypatch):
    """Settings that name a port of this machine, and streams that a test puts there."""
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    own = tmp_path / "lsl_api.cfg"
    monkeypatch.setenv(VARIABLE, str(own))
    streams = []
    monkeypatch.setattr(lsl_neighbours.pylsl, "resolve_streams", lambda wait_s: streams)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        own.write_text(f"[ports]\nBasePort = {taken.getsockname()[1]}\nPortRange = 1\n")
        yield own, streams, taken


def said(peers=()):
    found = look_around(LslNetwork(known_peers=peers), 0.1)
    return {one.name: one for one in found}


def test_streams_of_other_hosts_are_listed_by_host(network):
    _, streams, _ = network
    streams += [Info("amp-pc"), Info("amp-pc", "more"), Info(socket.gethostname(), "own")]
    found = said()
    assert "'amp' (EEG, 16 channels at 250 Hz), 'more'" in found["LSL streams of amp-pc"].got
    assert "LSL streams of other hosts" not in found
    assert not any("own" in one.got for one in found.values())


def test_without_any_it_says_that_multicast_may_be_dropped_and_what_to_write(network, monkeypatch):
    _, streams, _ = network
    streams += [Info(socket.gethostname())]
    monkeypatch.setattr(lsl_neighbours, "_multicast_leaves", lambda: True)
    nobody = said()["LSL streams of other hosts"]
    assert nobody.ok is False
    assert "none answered within 0.1 s; 1 of this machine did" in nobody.got
    assert "[lsl] known_peers" in nobody.advice
    monkeypatch.setattr(lsl_neighbours, "_multicast_leaves", lambda: False)
    assert "no way out for multicast" in said()["LSL streams of other hosts"].advice


def test_settings_that_confine_lsl_to_the_machine_are_named_as_the_cause(network):
    own, _, _ = network
    own.write_text("[multicast]\nResolveScope = machine\n")
    found = said()
    assert "take ResolveScope out" in found["LSL settings"].advice
    assert "confine LSL to itself" in found["LSL streams of other hosts"].advice


def test_a_machine_whose_ports_are_open_but_that_is_not_seen_has_a_firewall_or_another_id(network):
    peer = said(("127.0.0.1",))["machine 127.0.0.1"]
    assert (peer.ok, peer.got) == (False, "an LSL program is there, but does not answer")
    assert "session ids" in peer.advice


def test_a_machine_whose_ports_are_open_while_others_are_seen_is_well(network):
    network[1].append(Info("amp-pc"))
    assert said(("127.0.0.1",))["machine 127.0.0.1"].ok


def test_a_machine_without_an_lsl_program_says_so(network):
    network[2].close()
    peer = said(("127.0.0.1",))["machine 127.0.0.1"]
    assert "no LSL program on it" in peer.got
    assert "Start the sender" in peer.advice


@pytest.mark.parametrize("name", ["no-such-host.invalid", "room..3"])
def test_a_name_that_nobody_knows_is_said_to_be_one(network, name):
    assert "nobody here knows" in said((name,))[f"machine {name}"].got


def test_a_machine_that_is_off_or_behind_a_firewall_is_told_from_one_without_a_way():
    ports = range(16572, 16604)
    assert (
        "firewall blocks TCP and UDP 16572 to 16603" in lsl_neighbours._verdict(0, 0, 0, ports)[1]
    )
    assert lsl_neighbours._verdict(0, 0, 32, ports)[0] == "no way leads there"


def test_ports_that_are_no_numbers_are_the_librarys_own():
    settings = configparser.ConfigParser()
    settings.read_string("[ports]\nBasePort = x\nPortRange = 4\n")
    assert ports_of(settings) == range(16572, 16576)
