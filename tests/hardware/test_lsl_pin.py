"""A pinned stream: whoever else answers to its name is refused, and the right one is waited for."""

from __future__ import annotations

import re
import socket
from dataclasses import replace

import numpy as np
import pytest

from diverloop.hardware.lsl_inlet import LslConfig, LslSource, pin_of
from diverloop.hardware.lsl_pin import StreamPin, schema_sha256
from diverloop.runtime.errors import ConfigError, SchemaMismatch, SourceUnavailable
from diverloop.runtime.messages import Channel, EventKind, StreamSpec
from diverloop.runtime.received import Sent
from diverloop.runtime.session import parse_session, tables_of
from diverloop.runtime.settings import build

from .test_lsl_inlet import Pair
from .test_lsl_link import START_S, Sender

live = pytest.mark.live
SPEC = StreamSpec(
    name="amp",
    rate_hz=100.0,
    channels=(Channel(name="C3"), Channel(name="C4"), Channel(name="Cz")),
    sent=Sent(dtype="<f4", microvolts=(1.0, 1.0, 1.0)),
)
SCHEMA = "0" * 64


class Pinned(Pair):
    """A sender and a source that is pinned to what that sender is, or to something else."""

    def __init__(self, wait_s: float = 5.0, **pinned: str) -> None:
        super().__init__()
        wanted = {"source_id": "serial-1", "hostname": socket.gethostname()}
        pin = StreamPin(**({**wanted, "schema": schema_sha256(SPEC), "about": "mine"} | pinned))
        config = LslConfig(name=self.name, markers="", wait_s=wait_s, pin=pin)
        self.source = LslSource(config, self.clock)

    def impostor(self, **changes) -> Sender:
        """Another sender under the same name."""
        return Sender(self.name, self.clock, at_s=START_S + 50, **changes)


@live
def test_the_pinned_stream_is_opened_and_read():
    with Pinned() as pair:
        sent = pair.sender.send_some(20)
        np.testing.assert_array_equal(pair.take(20), sent)
    assert pair.kinds() == []


@live
@pytest.mark.parametrize(
    ("pinned", "why"),
    [
        ({"source_id": "serial-9"}, "source_id is 'serial-1', pinned is 'serial-9'"),
        ({"hostname": "another-host"}, "pinned is 'another-host'"),
        ({"schema": SCHEMA}, r"it sends 3 eeg channels at 100 Hz as <f4 in 1 uV .*pinned is mine"),
    ],
)
def test_a_session_does_not_start_with_another_stream_and_says_what_differs(pinned, why):
    pair = Pinned(wait_s=0.6, **pinned)
    with pytest.raises(SchemaMismatch, match=why):
        pair.source.open()
    pair.source.close()


@live
def test_the_pin_of_a_stream_is_what_it_says_of_itself():
    pair = Pair()
    pin = pin_of(LslConfig(name=pair.name, pin=StreamPin(source_id="", hostname="", schema=SCHEMA)))
    assert (pin.source_id, pin.hostname) == ("serial-1", socket.gethostname())
    assert pin.schema == schema_sha256(SPEC)
    assert pin.about == "3 eeg channels at 100 Hz as <f4 in 1 uV (C3, C4, Cz)"


@live
def test_a_session_does_not_start_without_any_stream():
    pair = Pinned(wait_s=0.2)
    pair.sender.close()
    with pytest.raises(SourceUnavailable, match=r"answered within 0\.2 s"):
        pair.source.open()


@live
def test_of_several_streams_of_one_name_the_pinned_one_is_read_and_the_other_is_told_of():
    pair = Pinned()
    other = pair.impostor(source_id="serial-2")
    other.send_some(5, seed=9)
    with pair:
        sent = pair.sender.send_some(20)
        np.testing.assert_array_equal(pair.take(20), sent)
    (event,) = [one for one in pair.events if one.kind is EventKind.IMPOSTOR]
    assert "source_id is 'serial-2', pinned is 'serial-1'" in event.text


@live
def test_two_streams_that_both_claim_to_be_the_pinned_one_are_both_refused():
    pair = Pinned(wait_s=1.5)
    twin = pair.impostor()
    with pytest.raises(SchemaMismatch, match=r"Two streams .* answer at once"):
        pair.source.open()
    twin.close()
    pair.source.close()


@live
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"source_id": "serial-2"}, "source_id is 'serial-2', pinned is 'serial-1'"),
        ({"labels": ("C4", "C3", "Cz")}, r"\(C4, C3, Cz\)"),
        ({"rate_hz": 200.0}, "3 eeg channels at 200 Hz"),
        ({"unit": "mV"}, "1000 uV"),
        ({"number": "int16"}, "as <i2"),
    ],
    ids=["source_id", "order", "rate", "unit", "format"],
)
def test_an_impostor_that_comes_while_the_stream_is_away_is_refused_until_that_is_back(
    changes, why
):
    with Pinned() as pair:
        pair.sender.send_some(20)
        pair.take(20)
        pair.restart(away=100, **changes)
        refusal = pair.await_event(EventKind.IMPOSTOR)
        pair.sender.send_some(20)  # nobody listens
        assert pair.read() is None
        pair.sender.close()
        pair.sender = Sender(pair.name, pair.clock, at_s=START_S + 9)
        pair.await_event(EventKind.SOURCE_BACK)
        sent = pair.sender.send_some(30, seed=1)
        np.testing.assert_array_equal(pair.take(30), sent)
    assert re.search(why, refusal.text)


@pytest.mark.parametrize(
    "changes",
    [
        {"rate_hz": 200.0},
        {"channels": SPEC.channels[:2], "sent": Sent(dtype="<f4", microvolts=(1.0, 1.0))},
        {"channels": (SPEC.channels[1], SPEC.channels[0], SPEC.channels[2])},
        {"channels": (replace(SPEC.channels[0], kind="eog"), *SPEC.channels[1:])},
        {"sent": Sent(dtype="<f8", microvolts=(1.0, 1.0, 1.0))},
        {"sent": Sent(dtype="<f4", microvolts=(1.0, 1.0, 1000.0))},
    ],
    ids=["rate", "count", "order", "kind", "format", "unit"],
)
def test_the_schema_speaks_of_all_that_describes_a_row(changes):
    assert schema_sha256(replace(SPEC, **changes)) != schema_sha256(SPEC)


def test_the_schema_does_not_speak_of_what_may_differ_from_day_to_day():
    moved = replace(SPEC.channels[0], position_m=(0.1, 0.0, 0.0))
    other = replace(SPEC, name="x", source_id="y", channels=(moved, *SPEC.channels[1:]))
    assert schema_sha256(other) == schema_sha256(SPEC)
    assert schema_sha256(SPEC) == "b53e3461ce9f155bb4b3e6ba8bb677bf44c74606288c9271a875b4c68c0d76ae"


@pytest.mark.parametrize("schema", ["", "abc", "G" * 64, "a" * 63])
def test_a_schema_that_is_no_hash_is_refused(schema):
    with pytest.raises(ConfigError, match=r"source\.pin\.schema"):
        StreamPin(source_id="a", hostname="b", schema=schema)


def test_a_pin_is_a_table_of_the_session_file_and_comes_back(tmp_path):
    pin = {"source_id": "a", "hostname": "b", "schema": SCHEMA, "about": "3 channels"}
    tables = {
        "session": {"name": "x"},
        "source": {"kind": "lsl", "name": "amp", "pin": pin},
        "model": {"bundle": "m.bundle"},
    }
    session = parse_session(tables, tmp_path)
    assert session.source.settings.pin == StreamPin(**pin)
    assert parse_session(tables_of(session), tmp_path) == session
    with pytest.raises(ConfigError, match=r"source\.pin\.schema is missing"):
        build(LslConfig, {"name": "amp", "pin": {"source_id": "a", "hostname": "b"}}, "source")
