import numpy as np
import pytest

from diverloop.hardware.montage import scalp_position_m
from diverloop.runtime.messages import Channel
from diverloop.runtime.record.report.head_pictures import head_maps
from diverloop.runtime.record.report.locked import Cues, Locked

from .conftest import NAMES


def locked_of(effect, labels):
    cues = Cues(
        labels=("left", "right"), label_of=labels, samples=(0,) * len(labels), brief=False,
        rate_hz=250.0,
    )  # fmt: skip
    return Locked(
        cues=cues, used=(labels.count("left"), labels.count("right")), times_s=np.zeros(1),
        freqs_hz=np.ones(1), mean=np.zeros((2, 16, 1, 1)), error=np.zeros(0), effect=effect,
        effect_label=labels, band_hz=(8.0, 13.0),
    )  # fmt: skip


LOCKED = locked_of(np.random.default_rng(0).normal(0, 1, (4, 16)), ("left", "right") * 2)


def test_without_places_there_is_no_map():
    channels = [Channel(name=name) for name in NAMES]
    assert head_maps(LOCKED, channels, [True] * 16, caption="") is None


def test_three_good_electrodes_make_no_map():
    channels = [Channel(name=n, position_m=scalp_position_m(n)) for n in NAMES]
    assert head_maps(LOCKED, channels, [True] * 3 + [False] * 13, caption="") is None


def test_two_classes_get_a_map_each_and_one_of_their_difference():
    pytest.importorskip("matplotlib")
    channels = [Channel(name=n, position_m=scalp_position_m(n)) for n in NAMES]
    html = head_maps(LOCKED, channels, [True] * 15 + [False], caption="")
    assert html is not None
    for title in ("left", "right", "left less right"):
        assert f">{title}</text>" in html


def test_effects_are_shown_as_they_were_found():
    assert LOCKED.labels == ("left", "right")
    np.testing.assert_array_equal(LOCKED.of_class("left"), LOCKED.effect[[0, 2]].mean(axis=0))
