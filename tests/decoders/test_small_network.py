"""A small network is served in numpy as it was trained in torch, and never looks at masked rows."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest

pytest.importorskip("torch", reason="a network is trained with torch")

from diverloop.decoders.small_network import SmallNetwork
from diverloop.decoders.small_network_config import SmallNetworkConfig
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.settings import build

SPEC = StreamSpec(
    name="test", rate_hz=100.0, channels=tuple(Channel(name=f"E{i}") for i in range(6))
)
N_TIMES = 120
LABELS = np.array(["left", "right"] * 20)


def config(kind: str) -> SmallNetworkConfig:
    return SmallNetworkConfig(rate_hz=100.0, kind=kind, n_maps=4, steps=60, dropout=0.2)


def windows(n: int = 40, seed: int = 1) -> np.ndarray:
    """Noise; of every second window one channel holds a stronger 12 Hz."""
    rng = np.random.default_rng(seed)
    found = 10 * rng.standard_normal((n, 6, N_TIMES))
    phase = rng.uniform(0, 2 * np.pi, n)[:, None]
    wave = np.sin(2 * np.pi * 12 * np.arange(N_TIMES) / 100 + phase)
    found[:, 2] += np.where(np.arange(n) % 2, 25, 3)[:, None] * wave
    return found


@cache
def fitted(kind: str) -> SmallNetwork:
    return SmallNetwork.fit(windows(), LABELS, config(kind))


@pytest.mark.parametrize("kind", ["power", "wave"])
def test_it_keeps_every_clause_of_an_encoder(kind):
    check_encoder(fitted(kind), SPEC, N_TIMES)


@pytest.mark.parametrize("kind", ["power", "wave"])
def test_numpy_says_what_torch_says(kind):
    import torch

    from diverloop.decoders.small_network_training import trained

    network, scale_uv = trained(windows(), LABELS, config(kind))
    with torch.no_grad():
        x = torch.from_numpy((windows(7, seed=2) / scale_uv).astype(np.float32))
        expected = network.features(x).numpy()
    np.testing.assert_allclose(fitted(kind).encode_many(windows(7, seed=2)), expected, atol=1e-5)


def test_the_same_seed_makes_the_same_network_and_draws_of_others_stay_as_they_were():
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    again = SmallNetwork.fit(windows(), LABELS, config("power"))
    assert torch.equal(torch.rand(3), expected)
    other = SmallNetwork.fit(windows(), LABELS, replace(config("power"), seed=5))
    kernels = fitted("power").to_arrays()["kernels"]
    np.testing.assert_array_equal(again.to_arrays()["kernels"], kernels)
    assert not np.allclose(other.to_arrays()["kernels"], kernels)


def test_power_of_a_rhythm_is_learnt():
    features = fitted("power").encode_many(windows(40, seed=3))
    differences = features[1::2].mean(axis=0) - features[::2].mean(axis=0)
    assert np.abs(differences / features[::2].std(axis=0)).max() > 2


@pytest.mark.parametrize("kind", ["power", "wave"])
def test_a_bundle_brings_the_same_network_back(kind):
    arrays = fitted(kind).to_arrays()
    said_by_card = json.loads(json.dumps(asdict(config(kind))))
    again = SmallNetwork.from_arrays(build(SmallNetworkConfig, said_by_card, "card"), arrays)
    np.testing.assert_array_equal(
        again.encode_many(windows(3)), fitted(kind).encode_many(windows(3))
    )
    with pytest.raises(BundleError, match="fit the model again"):
        SmallNetwork.from_arrays(config(kind), {**arrays, "kernels": arrays["kernels"][:2]})


def test_what_a_masked_row_holds_does_not_matter():
    network, usable = fitted("power"), np.array([True] * 5 + [False])
    network.open(SPEC, N_TIMES)
    samples = windows(1)[0]
    said = []
    for junk in (0.0, 1e6):
        samples[5] = junk
        window = Window(
            samples=samples, first_sample=0, stop_sample=N_TIMES, due_ns=0, usable=usable
        )
        said.append(network.encode(window))
    np.testing.assert_array_equal(said[0].values, said[1].values)
    assert 0 < said[0].quality < 1
    network.close()


def test_what_cannot_be_learnt_from_or_read_is_refused():
    with pytest.raises(ConfigError, match="too short"):
        SmallNetwork.fit(windows()[:, :, :20], LABELS, config("power"))
    silent = windows()
    silent[3] = 0
    with pytest.raises(ConfigError, match="Window 3 is silent"):
        SmallNetwork.fit(silent, LABELS, config("power"))
    with pytest.raises(ConfigError, match="1 class"):
        SmallNetwork.fit(windows(), np.array(["left"] * 40), config("power"))
    with pytest.raises(SchemaMismatch, match="120"):
        fitted("power").open(SPEC, 99)
    with pytest.raises(ConfigError, match="kind"):
        config("other")


def test_training_ends_when_its_time_is_over():
    from diverloop.decoders.small_network_training import train

    ticks = iter(np.arange(0.0, 1e6, 20.0))
    short = train(windows(), LABELS, config("power"), clock=lambda: float(next(ticks)))
    whole = train(windows(), LABELS, config("power"))
    assert not np.allclose(short["kernels"], whole["kernels"])
