"""Several encoders side by side."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from diverloop.decoders.evoked_epoch import EvokedEpoch, EvokedEpochConfig
from diverloop.decoders.joined import Joined, JoinedConfig, JoinedPart
from diverloop.decoders.xdawn import XdawnConfig, XdawnCovariance
from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.session import build

RATE_HZ, N_CHANNELS, N_TIMES = 100.0, 6, 60
XDAWN, EPOCH = XdawnConfig(n_filters=2, evoked=("target",)), EvokedEpochConfig(rate_hz=RATE_HZ)
CONFIG = JoinedConfig(
    parts=(
        JoinedPart(encoder="xdawn", settings=dataclasses.asdict(XDAWN)),
        JoinedPart(encoder="evoked_epoch", settings=dataclasses.asdict(EPOCH)),
    )
)
SPEC = StreamSpec(
    name="made", rate_hz=RATE_HZ, channels=tuple(Channel(name=f"E{n}") for n in range(N_CHANNELS))
)


def flashes(n: int = 40, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(n) % 4 == 0, "target", "nontarget")
    windows = rng.standard_normal((n, N_CHANNELS, N_TIMES))
    windows[labels == "target", 1, 20:30] += 1.5
    return windows, labels


def window(samples, usable=None) -> Window:
    return Window(
        samples=samples, first_sample=0, stop_sample=N_TIMES, due_ns=0, usable=usable
    )  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> Joined:
    return Joined.fit(*flashes(), CONFIG)


def test_the_features_are_those_of_the_parts_one_after_the_other(encoder):
    windows, labels = flashes()
    parts = [
        XdawnCovariance.fit(windows, labels, XDAWN),
        EvokedEpoch.fit(windows, labels, EPOCH),
    ]
    unseen, _ = flashes(seed=1)
    expected = np.hstack([part.encode_many(unseen) for part in parts])
    np.testing.assert_array_equal(encoder.encode_many(unseen), expected)
    assert encoder.sizes == tuple(part.n_features for part in parts)


def test_one_window_is_encoded_as_many_are(encoder):
    windows, _ = flashes(6, seed=2)
    encoder.open(SPEC, N_TIMES)
    one_by_one = [encoder.encode(window(samples)).values for samples in windows]
    np.testing.assert_array_equal(one_by_one, encoder.encode_many(windows))


def test_the_quality_is_that_of_the_part_that_suffers_most(encoder):
    windows, labels = flashes()
    usable = np.arange(N_CHANNELS) != 1
    qualities = []
    for each in (XdawnCovariance.fit(windows, labels, XDAWN), EvokedEpoch.fit(*flashes(), EPOCH)):
        each.open(SPEC, N_TIMES)
        qualities.append(each.encode(window(windows[0], usable)).quality)
    assert qualities[0] != qualities[1]
    encoder.open(SPEC, N_TIMES)
    assert encoder.encode(window(windows[0], usable)).quality == min(qualities)


def test_what_one_part_cannot_encode_is_not_encoded(encoder):
    windows, _ = flashes(3)
    windows[1, 0, 0] = np.inf
    features = encoder.encode_many(windows)
    assert np.isfinite(features[[0, 2]]).all()
    assert np.isnan(features[1]).all()
    encoder.open(SPEC, N_TIMES)
    lost = encoder.encode(window(windows[1]))
    assert np.isnan(lost.values).all()
    assert lost.quality == 0


def test_a_card_and_its_arrays_give_the_same_encoder_back(encoder):
    settings = json.loads(json.dumps(dataclasses.asdict(encoder.config)))
    config = build(JoinedConfig, settings, "card.encoder_config")
    again = Joined.from_arrays(config, encoder.to_arrays())
    windows, _ = flashes(5, seed=3)
    np.testing.assert_array_equal(again.encode_many(windows), encoder.encode_many(windows))
    halved = {name: array for name, array in encoder.to_arrays().items() if name[0] == "0"}
    with pytest.raises(BundleError, match="fit the model again"):
        Joined.from_arrays(config, halved)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((JoinedPart(encoder="xdawn"),), "at least 2 encoders, got 1"),
        ((JoinedPart(encoder="xdawn"), JoinedPart(encoder="xdwan")), "Did you mean 'xdawn'"),
        (
            (JoinedPart(encoder="xdawn"), JoinedPart(encoder="xdawn", settings={"n_filter": 2})),
            "'n_filter' is no key",
        ),
    ],
)
def test_parts_that_make_no_encoder_are_refused(parts, says):
    with pytest.raises(ConfigError, match=says):
        Joined.fit(*flashes(), JoinedConfig(parts=parts))


@pytest.mark.parametrize("name", ["joined", "student"])
def test_an_encoder_that_joins_or_streams_is_no_part(name):
    with pytest.raises(ConfigError, match="cannot be a part"):
        JoinedPart(encoder=name)
