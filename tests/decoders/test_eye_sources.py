from __future__ import annotations

import pytest

from diverloop.decoders.eye_sources import (
    EyeRule,
    eog_rows_of,
    frontal_rows,
    nothing_shows_the_eyes,
)
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec


def stream(*names: str, eog: tuple[str, ...] = ()) -> StreamSpec:
    channels = tuple(Channel(name=n, kind="eog" if n in eog else "eeg") for n in names)
    return StreamSpec(name="amp", rate_hz=250.0, channels=channels)


def test_the_rows_nearest_to_the_eyes_are_taken_for_the_front():
    assert frontal_rows(stream("Cz", "FP1", "F7", "Fp2")) == [1, 3]
    assert sorted(frontal_rows(stream("Cz", "F7", "AF4"))) == [1, 2]
    assert frontal_rows(stream("Cz", "Pz")) == []


def test_eog_is_known_by_its_kind_or_its_name():
    assert eog_rows_of(stream("Cz", "E1", "VEOG", eog=("E1",))) == [1, 2]
    assert eog_rows_of(stream("Cz", "Pz")) == []


def test_a_montage_without_eyes_is_told_what_would_help():
    assert "got Cz, Pz: name EOG rows" in nothing_shows_the_eyes(stream("Cz", "Pz"))


@pytest.mark.parametrize(
    "changes",
    [
        {"least_correlation": 0.0},
        {"least_slow": 1.5},
        {"most": 4},
        {"least_frontal": 0.5},
        {"least_kurtosis": 0.0},
    ],
)
def test_a_rule_that_would_take_anything_is_refused(changes):
    with pytest.raises(ConfigError, match=r"must be"):
        EyeRule(**changes)
