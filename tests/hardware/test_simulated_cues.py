from __future__ import annotations

import numpy as np
import pytest

from diverloop.hardware.simulated_cues import CuedTimeline
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError


def person(**changes) -> SimulatedParticipant:
    settings = {"montage": "eeg8", "cued": True, "skill": 1.0, "snr": 3.0, "blinks_per_min": 0.0}
    made = SimulatedParticipant(SimulatorConfig(**settings | changes), VirtualClock())
    made.open()
    return made


def test_a_cue_is_followed_half_a_second_later_until_half_a_second_after_its_end():
    timeline = CuedTimeline(seed=1)
    timeline.cue("left", 10.0)
    assert timeline.intended_at(10.4) == "rest"
    assert timeline.intended_at(10.6) == timeline.intended_at(100.0) == "left"
    timeline.cue("", 14.0)
    assert timeline.busy_at(14.4)
    assert timeline.intended_at(14.4) == "left"
    assert not timeline.busy_at(14.6)
    timeline.cue("right", 15.0)
    assert timeline.intended_at(15.6) == "right"
    assert [trial.label for trial in timeline.between(14.0, 16.0)] == ["left", "right"]
    assert [trial.label for trial in timeline.between(40.0, 41.0)] == ["right"]
    assert timeline.markers(0, 10_000) == []


def test_a_new_cue_ends_the_one_before():
    timeline = CuedTimeline(seed=1)
    timeline.cue("left", 1.0)
    timeline.cue("right", 3.0)
    assert timeline.intended_at(3.4) == "left"
    assert timeline.intended_at(3.6) == "right"


def test_somebody_who_waits_for_cues_intends_nothing_until_there_is_one():
    waiting = person()
    chunk = waiting.read(2500, 10**12)
    assert chunk.markers == ()
    assert {waiting.truth(sample) for sample in range(0, 2500, 100)} == {"rest"}
    waiting.cue("left")
    assert waiting.truth(2500 + 150) == "left"


def test_the_rhythm_of_the_other_hand_shrinks_during_a_cue():
    power = {}
    for label in ("left", "right"):
        cued = person(seed=4)
        cued.read(250, 10**12)
        cued.cue(label)
        cued.read(250, 10**12)
        signal = cued.read(1500, 10**13).samples
        spectrum = np.abs(np.fft.rfft(signal)) ** 2
        band = slice(8 * 6, 13 * 6)  # 6 s: six lines a hertz
        names = cued.spec.channel_names
        power[label] = [spectrum[names.index(name), band].sum() for name in ("C3", "C4")]
    assert power["left"][1] < 0.6 * power["right"][1]
    assert power["right"][0] < 0.6 * power["left"][0]


def test_who_does_not_wait_for_cues_or_does_not_know_one_says_so():
    with pytest.raises(ConfigError, match="set cued = true"):
        person(cued=False).cue("left")
    with pytest.raises(ConfigError, match="knows left, right, got the cue 'feet'"):
        person().cue("feet")
    with pytest.raises(ConfigError, match=r"simulator\.cued needs one of the tasks"):
        SimulatorConfig(task="p300", cued=True)
