"""What the calibration teaches about artefacts; each method has tests of its own."""

from __future__ import annotations

import pytest

from diverloop.cleaning import learn_to_clean, raw_signal
from diverloop.runtime.errors import BundleError, RecordingError
from diverloop.runtime.signal.condition_config import ConditionConfig

from .modelled import block


def test_nothing_is_learnt_where_nothing_is_to_be_cleaned():
    assert learn_to_clean([], ConditionConfig(), lambda *_: None) == {}


def test_what_recordings_hold_of_the_picked_rows_is_put_together():
    samples, spec = raw_signal([block(seconds=3.0), block(seconds=2.0)], ("C3", "C4"))
    assert spec.channel_names == ("C3", "C4")
    assert samples.shape == (2, 5 * 250)


def test_recordings_of_other_devices_are_not_put_together():
    with pytest.raises(BundleError, match="other channels, kinds or another rate"):
        raw_signal([block(seconds=2.0), block("eeg8", seconds=2.0)], ())


def test_without_a_recording_there_is_nothing_to_learn_from():
    with pytest.raises(RecordingError, match="no signal"):
        raw_signal([], ())
