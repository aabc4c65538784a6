"""What a stream says of itself becomes a `StreamSpec`, or is refused in a sentence."""

from __future__ import annotations

import numpy as np
import pylsl
import pytest

from diverloop.hardware.lsl_description import describe_stream
from diverloop.runtime.errors import SchemaMismatch, UnitError


def info(labels=("C3", "C4"), units=None, kinds=None, *, n=None, rate=100.0, number="float32"):
    """A stream with that description; None leaves that part of it out."""
    stream = pylsl.StreamInfo("amp", "EEG", n or len(labels or "12"), rate, number, "serial-1")
    if labels is None:
        return stream
    rows = stream.desc().append_child("channels")
    for place, label in enumerate(labels):
        row = rows.append_child("channel")
        row.append_child_value("label", label)
        if units:
            row.append_child_value("unit", units[place])
        if kinds:
            row.append_child_value("type", kinds[place])
    return stream


def test_names_kinds_rate_and_sender_are_taken_over():
    spec = describe_stream(info(units=("uV", "uV"), kinds=("EEG", "EOG")))
    assert [(row.name, row.kind) for row in spec.channels] == [("C3", "eeg"), ("C4", "eog")]
    assert (spec.name, spec.rate_hz, spec.source_id) == ("amp", 100.0, "serial-1")
    assert set(spec.sent.microvolts) == {1.0}


def test_a_channel_without_a_kind_has_that_of_the_stream():
    spec = describe_stream(info(units=("uV", "uV")))
    assert {row.kind for row in spec.channels} == {"eeg"}


def test_every_channel_has_its_own_factor_to_microvolts():
    labels, units = ("a", "b", "c", "d"), ("V", "mV", "microvolts", "nV")
    spec = describe_stream(info(labels, units))
    np.testing.assert_allclose(spec.sent.microvolts, [1e6, 1e3, 1.0, 1e-3], rtol=1e-6)


def test_powers_of_ten_of_volts_are_read_as_mne_lsl_writes_them():
    stream = info(("a", "b", "c", "d"), ("0", "-3", "-6", "-9"))
    stream.desc().child("channels").child("channel").append_child_value("coil_type", "1")
    spec = describe_stream(stream)
    np.testing.assert_allclose(spec.sent.microvolts, [1e6, 1e3, 1.0, 1e-3], rtol=1e-6)


def test_a_power_of_zero_may_be_no_unit_at_all_and_is_refused_from_others():
    with pytest.raises(UnitError, match="'0' is not known"):
        describe_stream(info(units=("-6", "0")))


def test_a_missing_unit_is_refused_with_the_way_out():
    with pytest.raises(UnitError, match=r"'C3' of stream 'amp' names no unit.*assume_unit"):
        describe_stream(info())


def test_an_unknown_unit_is_refused_with_what_is_allowed():
    with pytest.raises(UnitError, match=r"'arb'.*allowed are V, mV, uV and nV"):
        describe_stream(info(units=("uV", "arb")))


@pytest.mark.parametrize("units", [None, ("arb", ""), ("counts", "arb")])
def test_an_assumed_unit_takes_the_place_of_what_is_missing_or_unknown(units):
    spec = describe_stream(info(units=units), assume_unit="mV")
    np.testing.assert_array_equal(spec.sent.microvolts, [1e3, 1e3])


def test_an_assumed_unit_does_not_overrule_a_known_one():
    spec = describe_stream(info(units=("uV", "")), assume_unit="V")
    np.testing.assert_array_equal(spec.sent.microvolts, np.array([1, 1e6], np.float32))


@pytest.mark.parametrize("kind", ["MISC", "Stim", "TRIG", "aux", "counter"])
def test_what_is_no_voltage_needs_no_unit_and_is_not_scaled(kind):
    spec = describe_stream(info(units=("mV", ""), kinds=("EEG", kind)))
    np.testing.assert_array_equal(spec.sent.microvolts, [1e3, 1])


def test_repeated_names_are_refused():
    with pytest.raises(SchemaMismatch, match=r"'amp' uses the channel name 'C3' more than once"):
        describe_stream(info(("C3", "C4", "C3"), ("uV",) * 3))


@pytest.mark.parametrize("n", [1, 3])
def test_a_description_of_another_number_of_channels_is_refused(n):
    with pytest.raises(SchemaMismatch, match=f"describes 2 channels but sends {n}"):
        describe_stream(info(units=("uV", "uV"), n=n))


def test_a_stream_without_a_description_has_numbered_channels():
    spec = describe_stream(info(None), assume_unit="uV")
    assert spec.channel_names == ("ch1", "ch2")
    assert set(spec.sent.microvolts) == {1.0}


def test_a_stream_of_events_is_refused_as_signal():
    with pytest.raises(SchemaMismatch, match=r"'amp' has no regular rate.*source\.markers"):
        describe_stream(info(units=("uV", "uV"), rate=0.0))


def test_a_stream_of_texts_is_refused_as_signal():
    with pytest.raises(SchemaMismatch, match="'amp' holds text, or numbers of a format"):
        describe_stream(info(units=("uV", "uV"), number="string"))


def test_places_are_read_as_millimetres():
    stream = info(units=("uV", "uV"))
    row = stream.desc().child("channels").child("channel")
    where = row.append_child("location")
    for axis, millimetres in zip("XYZ", ("-60", "0", "72.5"), strict=True):
        where.append_child_value(axis, millimetres)
    spec = describe_stream(stream)
    assert spec.channels[0].position_m == pytest.approx((-0.06, 0.0, 0.0725))
    assert spec.channels[1].position_m is None


@pytest.mark.parametrize("number", ["float32", "double64", "int8", "int16", "int32"])
def test_the_number_format_and_the_senders_own_words_are_kept(number):
    sent = describe_stream(info(units=("mV", "uV"), number=number)).sent
    assert np.dtype(sent.dtype).name == {"double64": "float64"}.get(number, number)
    assert "<name>amp</name>" in sent.description
    rows = np.array([[2, 3]], sent.dtype)
    np.testing.assert_array_equal(sent.to_microvolts(rows), [[2000], [3]])


def test_a_description_that_would_fill_the_memory_as_text_is_refused():
    stream = info(units=("uV", "uV"))
    inside = stream.desc()
    for _ in range(100):
        inside = inside.append_child("a")
    with pytest.raises(SchemaMismatch, match="nested deeper than 64"):
        describe_stream(stream)


def test_more_channels_than_any_device_has_are_refused():
    with pytest.raises(SchemaMismatch, match="allowed are 65536"):
        describe_stream(pylsl.StreamInfo("amp", "EEG", 1_000_000, 100.0, "float32", "s"))
