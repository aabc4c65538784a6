"""Finding a stream, staying bound to one, and knowing what its clock is off by."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import numpy as np
import pylsl
import pytest

from diverloop.hardware.lsl_link import (
    ClockOffset,
    Finder,
    _Search,
    connect,
    find_one,
    find_optional,
    full_info,
)
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import SchemaMismatch, SourceUnavailable

pytestmark = pytest.mark.live

START_S = 5000.0  # the sender's clock is not this machine's


def unique() -> str:
    """A stream name that no other test uses."""
    return f"test-{uuid.uuid4().hex}"


def at_last(what: Callable[[], object], tries: int = 300) -> object:
    """Ask again and again, each time waiting inside `what`, until something comes."""
    for _ in range(tries):
        if found := what():
            return found
    raise AssertionError(f"nothing came in {tries} tries")


class Sender:
    """An amplifier made of pylsl: sends what it is told, with stamps on an exact grid.

    Parameters
    ----------
    name : str
        Of the signal stream.
    clock : VirtualClock
        Moves on by as much as was sent.
    at_s : float
        Stamp of the first sample.
    words : bool
        With a marker stream, ``<name>-markers``.
    """

    def __init__(
        self,
        name: str,
        clock: VirtualClock,
        *,
        source_id: str = "serial-1",
        labels: tuple[str, ...] = ("C3", "C4", "Cz"),
        unit: str = "uV",
        rate_hz: float = 100.0,
        number: str = "float32",
        at_s: float = START_S,
        words: bool = False,
    ) -> None:
        self.name, self.clock, self.rate_hz = name, clock, rate_hz
        self.next_s = at_s
        self._n = len(labels)
        self.words = self._words_outlet(source_id) if words else None
        info = pylsl.StreamInfo(name, "EEG", self._n, rate_hz, number, source_id)
        rows = info.desc().append_child("channels")
        for label in labels:
            row = rows.append_child("channel")
            row.append_child_value("label", label)
            row.append_child_value("unit", unit)
        self.signal = pylsl.StreamOutlet(info)

    def _words_outlet(self, source_id: str) -> pylsl.StreamOutlet:
        info = pylsl.StreamInfo(
            f"{self.name}-markers", "Markers", 1, 0.0, "string", f"{source_id}-markers"
        )
        return pylsl.StreamOutlet(info)

    def pass_over(self, n: int) -> None:
        """Let the time of so many samples pass without sending any."""
        self.next_s += n / self.rate_hz
        self.clock.advance(round(n * 1e9 / self.rate_hz))

    def send(self, values: np.ndarray) -> np.ndarray:
        """Send samples, (n_channels, n_times), and return them."""
        n = values.shape[1]
        self.pass_over(n)
        self.signal.push_chunk(np.ascontiguousarray(values.T), self.next_s - 1 / self.rate_hz)
        return values

    def send_some(self, n: int, seed: int = 0, dtype: type = np.float32) -> np.ndarray:
        """Send whole numbers, which every format carries exactly."""
        values = np.random.default_rng(seed).integers(-9999, 9999, (self._n, n))
        return self.send(values.astype(dtype))

    def say(self, label: str, at_s: float) -> None:
        """Send a marker with its stamp."""
        assert self.words is not None
        self.words.push_sample([label], at_s)

    def close(self) -> None:
        """Take the streams down."""
        self.signal = self.words = None


def sender(name: str, **changes) -> Sender:
    return Sender(name, VirtualClock(), **changes)


def test_a_stream_is_found_by_its_name():
    amp = sender(unique())
    assert find_one({"name": amp.name, "type": ""}, 5.0).source_id() == "serial-1"


def test_two_streams_of_one_name_are_refused_and_both_are_named():
    name = unique()
    amps = [sender(name, source_id=f"serial-{number}") for number in (1, 2)]
    with pytest.raises(SourceUnavailable) as refusal:
        find_one({"name": name}, 5.0)
    text = str(refusal.value)
    assert f"2 LSL streams match name='{name}'" in text
    assert "source_id 'serial-1'" in text
    assert "source_id 'serial-2'" in text
    assert "Add a source_id" in text
    assert all(amp.signal is not None for amp in amps)


def test_the_source_id_tells_two_streams_of_one_name_apart():
    name = unique()
    amps = [sender(name, source_id=f"serial-{number}") for number in (1, 2)]
    found = find_one({"name": name, "source_id": "serial-2"}, 5.0)
    assert found.uid() == amps[1].signal.get_info().uid()


@pytest.mark.parametrize("source_id", ["the lab's", 'say "amp"', """the lab's "amp\""""])
def test_a_stream_is_found_again_whatever_quotes_it_calls_itself_by(source_id):
    amp = sender(unique(), source_id=source_id)
    with _Search({"name": amp.name, "source_id": source_id}) as search:
        found = search.wait(5.0, threading.Event())
    assert [info.source_id() for info in found] == [source_id]


def test_without_a_sender_the_error_lists_what_is_there():
    amp, missing = sender(unique()), unique()
    with pytest.raises(SourceUnavailable) as refusal:
        find_one({"name": missing}, 0.1)
    assert f"No LSL stream with name='{missing}' answered within 0.1 s" in str(refusal.value)
    assert f"'{amp.name}' (EEG, source_id 'serial-1')" in str(refusal.value)


def test_a_stream_that_need_not_be_there_is_none():
    assert find_optional({"name": unique()}, 0.1) is None


def test_a_stream_that_was_announced_but_is_gone_is_unavailable():
    amp = sender(unique())
    info = find_one({"name": amp.name}, 5.0)
    amp.close()
    with pytest.raises(SourceUnavailable, match="was announced but does not answer"):
        connect(info, 10.0)


@pytest.mark.parametrize("error", [pylsl.util.LostError, pylsl.util.TimeoutError])
def test_a_sender_that_dies_before_it_describes_itself_is_unavailable(error):
    class Dying:
        def info(self, timeout):
            raise error("gone")

    with pytest.raises(SourceUnavailable, match="does not describe itself within 2 s"):
        full_info(Dying(), 2.0)


def test_a_finder_survives_a_refused_stream_and_takes_the_next():
    name = unique()
    wrong = sender(name, source_id="wrong")
    finder = Finder({"name": name}, 10.0, refuse_wrong)
    try:
        assert at_last(finder.take_refusal, tries=10_000_000) == "the wrong one"
        assert finder.wait(0.0) is None
        right = sender(name, source_id="right")
        found = finder.wait(10.0)
        assert found is not None
        assert found.info(5.0).uid() == right.signal.get_info().uid()
        assert finder.take_refusal() == ""
        assert wrong.signal is not None
    finally:
        finder.stop()


def refuse_wrong(inlet: pylsl.StreamInlet) -> None:
    if full_info(inlet, 5.0).source_id() == "wrong":
        raise SchemaMismatch("the wrong one")


class Clocked:
    """An inlet whose clock offset is 2.5 s, once it can be measured."""

    def __init__(self):
        self.asked = 0
        self.measured = threading.Event()

    def time_correction(self, timeout):
        self.asked += 1
        if self.asked == 1:
            raise pylsl.util.TimeoutError("not yet")
        if self.asked == 2:
            return 2.5
        self.measured.set()  # only after the second answer has been stored
        raise pylsl.util.LostError("gone")


def test_the_offset_is_zero_until_it_is_measured_and_survives_a_failure():
    inlet = Clocked()
    offset = ClockOffset(inlet, every_s=0.001)
    assert inlet.measured.wait(10.0)
    assert offset.seconds == 2.5
    offset.stop()
