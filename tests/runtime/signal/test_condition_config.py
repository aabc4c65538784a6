from __future__ import annotations

import math
from dataclasses import asdict, replace

import pytest

from diverloop.runtime.errors import ConfigError, SchemaMismatch
from diverloop.runtime.settings import build
from diverloop.runtime.signal.bad_channels import BadChannelConfig
from diverloop.runtime.signal.condition_config import LOOKED_FOR, ConditionConfig
from diverloop.runtime.signal.seizures import SeizureConfig

MODEL = ConditionConfig(reference="average", line_hz=50.0, bands_hz=((8.0, 30.0),))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reference": "mean"}, ["conditioning.reference", "none, average, bipolar", "'mean'"]),
        ({"reference_by": "cap"}, ["conditioning.reference_by", "stream, shaft", "'cap'"]),
        ({"clean": ("eye", "nose")}, ["conditioning.clean", "line, eye, asr", "'nose'"]),
        ({"order": 0}, ["conditioning.order", "1 to 8", "got 0"]),
        ({"order": 9}, ["conditioning.order", "1 to 8", "got 9"]),
        ({"line_hz": 16.7}, ["conditioning.line_hz", "0 or in [40, 70] Hz", "got 16.7 Hz"]),
        ({"line_hz": 71.0}, ["conditioning.line_hz", "0 or in [40, 70] Hz", "got 71 Hz"]),
        ({"line_hz": math.nan}, ["conditioning.line_hz", "0 or in [40, 70] Hz", "got nan Hz"]),
        ({"high_pass_hz": -1.0}, ["conditioning.high_pass_hz", "at least 0 Hz", "got -1 Hz"]),
        ({"high_pass_hz": math.nan}, ["conditioning.high_pass_hz", "at least 0 Hz", "got nan"]),
        ({"bands_hz": ((12.0, 8.0),)}, ["conditioning.bands_hz", "0 < low < high", "[12, 8] Hz"]),
        ({"bands_hz": ((8.0, 12.0), (0.0, 4.0))}, ["conditioning.bands_hz", "[0, 4] Hz"]),
        ({"envelopes_hz": ((0.0, 4.0),)}, ["conditioning.envelopes_hz", "[0, 4] Hz"]),
        ({"envelope_hz": 0.5}, ["conditioning.envelope_hz", "[1, 50] Hz", "got 0.5 Hz"]),
        ({"rate_hz": 10.0}, ["conditioning.rate_hz", "[50, 50000] Hz", "got 10 Hz"]),
        ({"rate_hz": math.nan}, ["conditioning.rate_hz", "got nan Hz"]),
        ({"max_changed": 0.0}, ["conditioning.max_changed", "(0, 1]", "got 0"]),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(changes, words):
    with pytest.raises(ConfigError) as caught:
        ConditionConfig(**changes)
    assert all(word in str(caught.value) for word in words)


def test_it_is_written_and_read_as_a_table():
    config = replace(MODEL, bad_channels=BadChannelConfig(), seizures=SeizureConfig())
    assert build(ConditionConfig, asdict(config), "conditioning") == config


def test_what_a_model_cannot_tell_apart_has_one_hash():
    watched = replace(MODEL, bad_channels=BadChannelConfig(), seizures=SeizureConfig())
    assert watched.sha256 == MODEL.sha256
    for change in ({"line_hz": 60.0}, {"reference": "none"}, {"rate_hz": 500.0}):
        assert replace(MODEL, **change).sha256 != MODEL.sha256


def test_a_session_may_look_for_more_than_the_calibration_did():
    given = {"seizures": SeizureConfig(), "bad_channels": None, "line_hz": 50.0}
    served = replace(MODEL, bad_channels=BadChannelConfig()).served_as(given)
    assert served == replace(MODEL, seizures=SeizureConfig())


def test_a_session_that_wants_another_signal_is_refused_with_the_differences():
    with pytest.raises(SchemaMismatch) as caught:
        MODEL.served_as({"line_hz": 60.0, "reference": "none", "order": 4})
    text = str(caught.value)
    assert "line_hz is 60.0, the model's is 50.0; reference is none, the model's is average" in text
    assert "order" not in text


def test_what_is_looked_for_are_settings_that_exist():
    assert set(LOOKED_FOR) <= set(asdict(MODEL))
