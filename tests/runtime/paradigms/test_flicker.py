"""A plan that exists can be shown, decoded and is allowed; a locked one names who unlocked it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.paradigms.flicker import (
    FlickerConfig,
    FlickerPlan,
    Unlock,
    frequency_of,
    label_of,
    refusal,
)
from diverloop.runtime.paradigms.profiles import EPILEPSY, GENERAL

SAFE_HZ = (8.0, 10.0, 12.0)


def plan(**fields) -> FlickerPlan:
    return FlickerPlan(**{"frequencies_hz": SAFE_HZ} | fields)


@pytest.mark.parametrize(
    ("label", "frequency_hz"),
    [
        ("flicker:12", 12.0), ("flicker:7.5", 7.5), ("12", 12.0), ("8.6", 8.6), ("13Hz", 13.0),
        ("21 hz", 21.0), ("rest", None), ("left", None), ("", None), ("flicker:", None),
        ("nan", None), ("inf", None), ("-3", None), ("0", None),
    ],
)  # fmt: skip
def test_labels_name_their_frequency_however_a_recording_writes_it(label, frequency_hz):
    assert frequency_of(label) == frequency_hz


def test_a_marker_says_what_to_attend_to_and_is_read_back():
    assert plan(frequencies_hz=(7.5, 12.0)).labels == ("flicker:7.5", "flicker:12")
    assert [frequency_of(label_of(hz)) for hz in SAFE_HZ] == list(SAFE_HZ)


def test_whole_frames_are_told_from_a_sampled_sine():
    ways = plan(frequencies_hz=(7.5, 11.0, 12.0)).record()["shown_by"]
    assert ways == ["frames", "sine", "frames"]
    assert plan(refresh_hz=59.94).shown_by(12.0) == "frames"


def test_a_cycle_of_whole_frames_repeats_exactly_for_an_hour():
    shown = plan(frequencies_hz=(12.0,), refresh_hz=59.94)
    start, late = shown.luminance(5), shown.luminance(5, first_frame=5 * 43_200)
    np.testing.assert_allclose(late, start, atol=1e-9)


def test_a_sampled_sine_has_its_power_at_its_frequency():
    light = plan(frequencies_hz=(11.0,), contrast=0.8).luminance(600)[0] - 0.5
    spectrum = np.abs(np.fft.rfft(light)) * 2 / 600
    assert spectrum.argmax() == 110
    assert spectrum[110] == pytest.approx(0.4)


@pytest.mark.parametrize("frequency_hz", [8.0, 11.0, 12.0, 30.0])
def test_luminance_uses_the_contrast_and_stays_between_black_and_white(frequency_hz):
    light = plan(frequencies_hz=(frequency_hz,)).luminance(6000)[0]
    assert light.min() >= 0
    assert light.max() <= 1
    assert light.max() - light.min() > 0.9
    weak = plan(frequencies_hz=(frequency_hz,), contrast=0.1).luminance(6000)[0]
    assert weak.max() - weak.min() <= 0.1 + 1e-9


def test_phases_shift_the_first_frame():
    shown = plan(phases_rad=(0.0, math.pi / 2, math.pi))
    np.testing.assert_allclose(shown.luminance(1)[:, 0], [0.5, 1.0, 0.5], atol=1e-12)


@pytest.mark.parametrize("frequency_hz", [31.0, 45.0, 60.0, -1.0, 0.0, math.nan])
def test_what_a_screen_cannot_show_is_refused(frequency_hz):
    with pytest.raises(ConfigError, match="half the refresh rate"):
        plan(frequencies_hz=(frequency_hz,))


@pytest.mark.parametrize("pair", [(10.0, 10.1), (8.0, 16.0 - 2.0, 28.0), (6.0, 12.1), (9.0, 9.0)])
def test_frequencies_whose_harmonics_meet_are_refused(pair):
    with pytest.raises(ConfigError, match="apart: move one"):
        plan(frequencies_hz=pair, contrast=0.1)


def test_the_order_of_the_frequencies_does_not_hide_a_collision():
    for pair in ((6.0, 12.0), (12.0, 6.0)):
        with pytest.raises(ConfigError, match="apart"):
            plan(frequencies_hz=pair)


@pytest.mark.parametrize("frequency_hz", [3.0, 8.0, 12.0, 20.0, 60.0])
def test_the_epilepsy_profile_locks_flicker_until_somebody_unlocks_it_by_name(frequency_hz):
    fields = {"frequencies_hz": (frequency_hz,), "refresh_hz": 240.0, "profile": EPILEPSY}
    with pytest.raises(ConfigError, match="locked: the epilepsy profile refuses") as refusal:
        plan(**fields)
    assert str(refusal.value).count(". ") == 0
    unlock = Unlock(operator="Dr. Weber", reason="photic stimulation was negative on Monday")
    record = plan(**fields, unlock=unlock).record()
    assert record["unlocked_by"] == "Dr. Weber"
    assert "negative" in record["unlock_reason"]
    assert "epilepsy profile" in record["refused"]


def test_one_dangerous_frequency_among_safe_ones_locks_the_plan():
    with pytest.raises(ConfigError, match="Flicker at 21 Hz"):
        plan(frequencies_hz=(13.0, 21.0))


def test_strong_flicker_of_15_to_25_hz_is_locked_for_everybody_and_weak_is_not():
    with pytest.raises(ConfigError, match="general profile refuses"):
        plan(frequencies_hz=(20.0,), profile=GENERAL)
    assert plan(frequencies_hz=(20.0,), contrast=0.2).record()["refused"] == ""


def test_an_unlock_that_was_not_needed_is_not_recorded_as_used():
    unlock = Unlock(operator="A", reason="just in case")
    record = plan(unlock=unlock).record()
    assert record["unlocked_by"] is None
    assert record["refused"] == ""


@pytest.mark.parametrize(
    "fields", [{"operator": " ", "reason": "x"}, {"operator": "A", "reason": ""}]
)
def test_nobody_unlocks_without_a_name_and_a_reason(fields):
    with pytest.raises(ConfigError, match="must not be empty"):
        Unlock(**fields)


def test_a_record_is_plain_data():
    record = plan(phases_rad=(0.0, 1.0, 2.0)).record()
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize(
    "fields",
    [
        {"frequencies_hz": ()}, {"contrast": 0.0}, {"contrast": 1.1}, {"contrast": math.nan},
        {"refresh_hz": 10.0}, {"phases_rad": (0.0,)}, {"phases_rad": (0.0, 1.0, math.inf)},
        {"apart_hz": 0.0},
    ],
)  # fmt: skip
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError, match=f"{next(iter(fields))} must"):
        plan(**fields)


def test_the_first_flicker_that_is_refused_is_named():
    assert "at 15 Hz and contrast 0.5" in refusal(GENERAL, (8.0, 15.0, 20.0), 0.5)
    assert refusal(GENERAL, (8.0, 15.0, 20.0), 0.2) == refusal(EPILEPSY, (), 1.0) == ""


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"profile": "none"}, "choose one of general, epilepsy"),
        ({"contrast": 0.0}, r"flicker.contrast must be in \(0, 1\]"),
        ({"contrast": math.nan}, r"flicker.contrast must be in \(0, 1\]"),
    ],
)
def test_what_a_session_says_of_flicker_is_checked(fields, why):
    with pytest.raises(ConfigError, match=why):
        FlickerConfig(**fields)
