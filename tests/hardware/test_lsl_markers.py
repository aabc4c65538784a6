"""Marker streams beside a signal: found by name, told apart, placed on the signal's samples."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pylsl
import pytest

from diverloop.hardware import lsl_markers
from diverloop.hardware.lsl_link import find_one
from diverloop.hardware.lsl_markers import LslMarkers
from diverloop.runtime.errors import SchemaMismatch, SourceUnavailable
from diverloop.runtime.timeline import Timeline

from .test_lsl_link import at_last, unique

pytestmark = pytest.mark.live


class Words:
    """A marker stream made of pylsl; with numbers, one that is none."""

    def __init__(self, name: str, form: str = "string") -> None:
        self.name = name
        info = pylsl.StreamInfo(name, "Markers", 1, 0.0, form, f"{name}-id")
        self.outlet = pylsl.StreamOutlet(info)

    def say(self, label: str, at_s: float) -> None:
        self.outlet.push_sample([label], at_s)


@pytest.fixture(scope="module")
def signal():
    """A signal stream, as the library describes it."""
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(unique(), "EEG", 1, 100.0, "float32", "amp"))
    yield find_one({"name": outlet.get_info().name()}, 5.0)
    del outlet


@pytest.fixture
def timeline():
    """One second of signal at 100 Hz, sample 0 at 50 s."""
    made = Timeline(100.0)
    made.place(np.zeros((1, 100)), 50.0 + np.arange(100) / 100, 51.0)
    return made


def taken(markers: LslMarkers, timeline: Timeline, n: int, offset_s: float = 0.0) -> list:
    """So many markers, however many calls it takes."""
    got: list = []
    at_last(lambda: (got.extend(markers.take(timeline, offset_s)), len(got) >= n)[1], 10_000_000)
    assert len(got) == n
    return got


def closing(found: tuple[LslMarkers, ...]) -> None:
    for one in found:
        one.close()
        one.close()


def test_each_name_between_commas_is_a_stream_and_blanks_are_none(signal, timeline):
    streams = [Words(unique()) for _ in range(3)]
    names = f" {streams[0].name},,{streams[1].name} , {streams[2].name},"
    found = LslMarkers.beside(signal, names, 5.0)
    assert len(found) == 3
    for number, stream in enumerate(streams):
        stream.say(f"cue {number}", 50.25)
    for number, (one, stream) in enumerate(zip(found, streams, strict=True)):
        (marker,) = taken(one, timeline, 1)
        assert (marker.label, marker.stream, marker.sample) == (f"cue {number}", stream.name, 25)
    closing(found)


@pytest.mark.parametrize("names", ["", " ", ",", " , "])
def test_no_name_is_no_stream(signal, names):
    assert LslMarkers.beside(signal, names, 5.0) == ()


def test_a_name_that_is_given_twice_is_one_stream(signal, timeline):
    words = Words(unique())
    found = LslMarkers.beside(signal, f"{words.name}, {words.name}", 5.0)
    assert len(found) == 1
    closing(found)


def test_a_star_is_the_stream_that_goes_with_the_signal_if_there_is_one(signal):
    assert LslMarkers.beside(signal, "*", 5.0) == ()
    words = Words(f"{signal.name()}-markers")
    found = LslMarkers.beside(signal, "*", 5.0)
    assert len(found) == 1
    words.say("cue", 50.5)
    timeline = Timeline(100.0)
    timeline.place(np.zeros((1, 100)), 50.0 + np.arange(100) / 100, 51.0)
    (marker,) = taken(found[0], timeline, 1)
    assert (marker.sample, marker.stream) == (50, words.name)
    closing(found)


def test_one_that_does_not_answer_is_named_and_the_others_are_let_go(signal, monkeypatch):
    words, missing = Words(unique()), unique()
    inlets: list[pylsl.StreamInlet] = []
    real = lsl_markers.connect
    monkeypatch.setattr(
        lsl_markers, "connect", lambda info, s: inlets.append(real(info, s)) or inlets[-1]
    )
    with pytest.raises(SourceUnavailable, match=rf"'{missing}' answered within 0\.2 s"):
        LslMarkers.beside(signal, f"{words.name},{missing}", 0.2)
    assert len(inlets) == 1
    at_last(lambda: not words.outlet.have_consumers(), tries=10_000_000)
    assert not words.outlet.have_consumers()


def test_numbers_are_refused_by_name(signal):
    numbers = Words(unique(), "int32")
    with pytest.raises(SchemaMismatch, match=f"'{numbers.name}' holds numbers, not marker texts"):
        LslMarkers.beside(signal, numbers.name, 5.0)


class Annotations:
    """Numbers in place of words, a channel for each, as MNE-LSL sends them."""

    def __init__(self, *labels: str) -> None:
        self.name = unique()
        n_channels = len(labels) or 1
        info = pylsl.StreamInfo(self.name, "annotations", n_channels, 0.0, "double64", self.name)
        if labels:
            info.set_channel_labels(list(labels))
        self.outlet = pylsl.StreamOutlet(info)


def test_annotations_in_numbers_are_labelled_by_their_channels(signal, timeline):
    sent = Annotations("left", "right")
    found = LslMarkers.beside(signal, sent.name, 5.0)
    sent.outlet.push_sample([0.0, -1.0], 50.25)
    sent.outlet.push_sample([0.0, 0.0], 50.3)
    sent.outlet.push_sample([0.1, 0.1], 50.5)
    markers = taken(found[0], timeline, 3)
    assert [(one.label, one.sample) for one in markers] == [
        ("right", 25), ("left", 50), ("right", 50)
    ]  # fmt: skip
    closing(found)


def test_annotations_that_name_no_channel_are_refused(signal):
    sent = Annotations()
    before = set(threading.enumerate())
    with pytest.raises(SchemaMismatch, match=f"'{sent.name}' holds numbers and does not name its"):
        LslMarkers(find_one({"name": sent.name}, 5.0), same_clock=False)
    # Nobody measures the clock of what was refused.
    assert "lsl-clock" not in {one.name for one in set(threading.enumerate()) - before}
    at_last(lambda: not sent.outlet.have_consumers(), tries=10_000_000)


def test_what_has_come_is_taken_in_order_and_64_at_a_time(signal, timeline):
    words = Words(unique())
    (found,) = LslMarkers.beside(signal, words.name, 5.0)
    words.say("first", 50.0)
    taken(found, timeline, 1)
    for number in range(150):
        words.say(str(number), 50.0 + number / 1000)
    got, most = [], 0
    while len(got) < 150:
        part = found.take(timeline, 0.0)
        most = max(most, len(part))
        got += part
    assert most <= 64
    assert [one.label for one in got] == [str(number) for number in range(150)]
    assert found.take(timeline, 0.0) == ()
    closing((found,))


def test_the_text_is_what_was_sent(signal, timeline):
    words = Words(unique())
    (found,) = LslMarkers.beside(signal, words.name, 5.0)
    labels = ["", "zwei Wörter", '左, "x"\n', " left "]
    for label in labels:
        words.say(label, 50.1)
    assert [one.label for one in taken(found, timeline, 4)] == labels
    closing((found,))


class Pulled:
    """An inlet that gives one marker, and then is lost."""

    def __init__(self) -> None:
        self.closed = 0
        self._gives = [([["cue"]], [43.4])]

    def pull_chunk(self, timeout, most):
        if not self._gives:
            raise pylsl.util.LostError("gone")
        return self._gives.pop()

    def close_stream(self) -> None:
        self.closed += 1


def with_inlet(signal, offset_s: float | None) -> LslMarkers:
    """Markers whose inlet and clock are stand-ins; without an offset they share the signal's."""
    words = Words(unique())
    found = LslMarkers(find_one({"name": words.name}, 5.0), same_clock=True)
    found.close()
    found._inlet = Pulled()
    if offset_s is not None:
        found._offset = SimpleNamespace(seconds=offset_s, stop=lambda: None)
    return found


def test_a_stream_of_the_signals_machine_shares_its_clock(signal, timeline):
    (marker,) = with_inlet(signal, None).take(timeline, 7.0)
    assert (marker.lsl_raw_s, marker.lsl_corrected_s) == (43.4, 50.4)
    assert marker.sample == timeline.sample_at(43.4)


def test_a_stream_of_another_machine_is_brought_to_the_signals_clock(signal, timeline):
    # Corrected, the marker is at 43.4 + 9 = 52.4 s of this machine, 45.4 s of the signal's.
    (marker,) = with_inlet(signal, 9.0).take(timeline, 2.0)
    assert marker.lsl_corrected_s == pytest.approx(52.4)
    assert marker.sample == timeline.sample_at(50.4) == 40


def test_a_stream_that_is_lost_is_quiet_until_it_is_back(signal, timeline):
    words = Words(unique())
    found = LslMarkers(find_one({"name": words.name}, 5.0), same_clock=True)
    found.close()
    found._inlet = gone = Pulled()
    assert len(found.take(timeline, 0.0)) == 1
    assert found.take(timeline, 0.0) == ()
    assert gone.closed == 1
    # Said until it is heard: the outlet may still count the inlet that was closed.
    marker = at_last(lambda: (words.say("again", 50.2), found.take(timeline, 0.0))[1], 10**7)[0]
    assert (marker.label, marker.sample, marker.stream) == ("again", 20, words.name)
    found.close()
    found.close()
    assert found.take(timeline, 0.0) == ()
