from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.motor_imagery import MU_BETA
from diverloop.hardware.simulator import Fault, SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.paradigms.guided_plan import TrialLimits
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.trial_watch import TrialWatch


def watched(change=lambda samples, at: None, condition=MU_BETA, **settings) -> TrialWatch:
    """A watch that has heard 12 s at 250 Hz, in pieces of 0.1 s, as they were changed."""
    person = SimulatedParticipant(
        SimulatorConfig(montage="eeg16", duration_s=12.0, seed=2, **settings), VirtualClock()
    )
    watch = TrialWatch(condition)
    person.open()
    watch.open(person.spec)
    while not person.ended:
        chunk = person.read(25, 10**12)
        if chunk is not None:
            change(chunk.samples, chunk.first_sample)
            watch.take(chunk)
    return watch


def test_a_clean_trial_is_good():
    quality = watched().quality(1000, 2000)
    assert (quality.usable_share, quality.lost_share) == (1.0, 0.0)
    assert TrialLimits().complaint(quality) == ""


def test_samples_that_never_came_or_are_no_numbers_count_as_lost():
    lost = watched(faults=(Fault(kind="gap", at_s=5.0, length_s=1.0),)).quality(1000, 2000)
    assert lost.lost_share == pytest.approx(0.25)

    def spoil(samples, at):
        if 1250 <= at < 1500:
            samples[3] = np.nan

    assert watched(spoil).quality(1000, 2000).lost_share == pytest.approx(0.25)


def test_electrodes_that_come_off_are_told_in_the_trials_in_which_they_are_off():
    def off(samples, at):
        if at >= 1250:
            samples[:5] = 0.0

    watch = watched(off)
    bad = watch.quality(2000, 3000)
    assert bad.usable_share <= 11 / 16
    assert "flat" in bad.reason
    assert watch.quality(250, 1250).usable_share == 1.0


def test_electrodes_are_watched_even_where_a_decoder_would_not_look():
    assert watched(condition=ConditionConfig()).quality(1000, 2000).usable_share == 1.0


def test_a_stretch_of_which_nothing_was_heard_is_bad():
    quality = watched().quality(5000, 6000)
    assert (quality.usable_share, quality.lost_share) == (0.0, 1.0)


def test_a_stream_without_a_brain_channel_is_refused():
    spec = StreamSpec(name="x", rate_hz=250.0, channels=(Channel(name="t", kind="misc"),))
    with pytest.raises(SchemaMismatch, match="no brain channel"):
        TrialWatch(MU_BETA).open(spec)
