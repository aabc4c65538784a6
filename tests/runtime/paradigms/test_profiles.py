"""Profiles refuse what they say, and electrodes inside the skull choose the strict one."""

from __future__ import annotations

import pytest

from diverloop.runtime.errors import ConfigError, UnknownName
from diverloop.runtime.paradigms.profiles import (
    EPILEPSY,
    GENERAL,
    PROFILES,
    Profile,
    profile_for,
    profile_named,
)


@pytest.mark.parametrize("kind", ["ecog", "seeg", "lfp"])
def test_one_channel_inside_the_skull_makes_the_epilepsy_profile_the_default(kind):
    assert profile_for(["eeg", "eog", kind, "misc"]) is EPILEPSY


def test_a_scalp_stream_begins_with_the_general_profile():
    assert profile_for(["eeg", "eeg", "eog", "emg", "misc"]) is GENERAL
    assert profile_for([]) is GENERAL


@pytest.mark.parametrize("frequency_hz", [3.0, 12.0, 20.0, 60.0])
@pytest.mark.parametrize("contrast", [0.01, 1.0])
def test_the_epilepsy_profile_refuses_3_to_60_hz_at_any_contrast(frequency_hz, contrast):
    assert "between 3 and 60 Hz" in EPILEPSY.objection(frequency_hz, contrast)


@pytest.mark.parametrize("frequency_hz", [2.9, 60.1])
def test_the_epilepsy_profile_has_no_objection_outside_its_range(frequency_hz):
    assert EPILEPSY.objection(frequency_hz, 1.0) == ""


@pytest.mark.parametrize(
    ("frequency_hz", "contrast", "refused"),
    [
        (15.0, 1.0, True), (25.0, 0.3, True), (20.0, 0.29, False),
        (14.9, 1.0, False), (25.1, 1.0, False),
    ],
)  # fmt: skip
def test_the_general_profile_refuses_only_strong_flicker_of_15_to_25_hz(
    frequency_hz, contrast, refused
):
    assert bool(GENERAL.objection(frequency_hz, contrast)) is refused


def test_nobody_is_shown_flicker_for_more_than_a_quarter_of_an_hour():
    assert all(0 < profile.rest_after_s <= 900 for profile in PROFILES.values())
    assert EPILEPSY.rest_after_s < GENERAL.rest_after_s


def test_profiles_are_found_by_name_and_no_other_name_is_taken():
    assert profile_named("epilepsy") is EPILEPSY
    with pytest.raises(UnknownName, match="'epilepsie': choose one of general, epilepsy"):
        profile_named("epilepsie")


@pytest.mark.parametrize(
    "fields",
    [
        {"refused_hz": (60.0, 3.0)},
        {"refused_high_contrast_hz": (0.0, 3.0)},
        {"high_contrast": 0.0},
        {"rest_after_s": 901.0},
    ],
)
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError, match=f"{next(iter(fields))} must be"):
        Profile(name="made", **fields)
