from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.band_power import BandPower, BandPowerConfig
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.stages import Encoder

N_BANDS, N_CHANNELS, N_TIMES = 2, 4, 100
LOUDNESS = np.array([1.0, 2.0, 4.0, 8.0, 0.5, 1.0, 2.0, 4.0])


def rest(n_windows: int = 30, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n_windows, N_BANDS * N_CHANNELS, N_TIMES))
    return noise * LOUDNESS[:, None]


def config(**fields) -> BandPowerConfig:
    return BandPowerConfig(**{"n_bands": N_BANDS} | fields)


def fitted(**fields) -> BandPower:
    windows = rest()
    encoder = BandPower.fit(windows, np.zeros(len(windows)), config(**fields))
    encoder.open(spec(), N_TIMES)
    return encoder


def spec(n_rows: int = N_BANDS * N_CHANNELS) -> StreamSpec:
    channels = tuple(Channel(name=f"row{row}") for row in range(n_rows))
    return StreamSpec(name="conditioned", rate_hz=160.0, channels=channels)


def window(samples: np.ndarray, masked: tuple[int, ...] = ()) -> Window:
    usable = np.array([row not in masked for row in range(len(samples))]) if masked else None
    return Window(
        samples=samples, first_sample=0, stop_sample=samples.shape[1], due_ns=0, usable=usable
    )


def test_it_is_an_encoder_that_keeps_the_clauses():
    assert isinstance(fitted(), Encoder)
    check_encoder(fitted(), spec(), N_TIMES)
    check_encoder(fitted(regions=((0, 2), (1, 3))), spec(), N_TIMES)


def test_a_feature_is_the_mean_log_power_of_a_region_in_a_band():
    encoder = fitted(regions=((0, 1), (3,)))
    samples = rest(1, seed=5)[0]
    level = np.log((samples**2).mean(axis=1)).reshape(N_BANDS, N_CHANNELS)
    by_hand = [level[0, :2].mean(), level[0, 3], level[1, :2].mean(), level[1, 3]]
    np.testing.assert_allclose(encoder.encode(window(samples)).values, by_hand, atol=1e-12)


def test_without_masks_what_was_fitted_does_not_matter():
    untaught = BandPower(config(), np.zeros((N_BANDS, N_CHANNELS)))
    windows = rest(3, seed=1)
    np.testing.assert_array_equal(untaught.encode_many(windows), fitted().encode_many(windows))


def test_serving_one_window_and_encoding_many_agree():
    encoder, windows = fitted(regions=((2, 0), (1,))), rest(4, seed=2)
    one_by_one = [encoder.encode(window(samples)).values for samples in windows]
    np.testing.assert_array_equal(encoder.encode_many(windows), one_by_one)


def test_twice_the_amplitude_is_log_four_more():
    encoder, samples = fitted(), rest(1)[0]
    more = encoder.encode(window(2 * samples)).values - encoder.encode(window(samples)).values
    np.testing.assert_allclose(more, np.log(4))


def test_a_masked_channel_is_left_out_and_the_mean_stays_where_it_was():
    encoder, masked = fitted(), (3, N_CHANNELS + 3)
    windows = rest(200, seed=3)
    whole = encoder.encode_many(windows).mean(axis=0)
    found = [encoder.encode(window(samples, masked)) for samples in windows]
    assert found[0].quality == pytest.approx(3 / 4)
    # The loudest channel is gone: without the usual levels the mean would fall by log(16) / 3.
    np.testing.assert_allclose(np.mean([f.values for f in found], axis=0), whole, atol=0.03)


def test_a_channel_masked_in_one_band_is_masked_in_all():
    encoder, samples = fitted(), rest(1)[0]
    one = encoder.encode(window(samples, (3,))).values
    both = encoder.encode(window(samples, (3, N_CHANNELS + 3))).values
    np.testing.assert_array_equal(one, both)


def test_a_region_without_a_usable_channel_cannot_be_encoded():
    encoder, samples = fitted(regions=((0, 1), (3,))), rest(1)[0]
    found = encoder.encode(window(samples, (3,)))
    assert found.quality == 0
    assert np.isnan(found.values).all()
    assert np.isfinite(encoder.encode(window(samples, (0,))).values).all()
    # Channel 2 is in no region: its mask costs nothing.
    assert encoder.encode(window(samples, (2,))).quality == 1


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e200])
def test_a_row_without_a_power_makes_the_window_nan_if_it_is_looked_at(value):
    samples = rest(1)[0]
    samples[2] = value
    whole, part = fitted(), fitted(regions=((0, 1),))
    assert whole.encode(window(samples)).quality == 0
    assert np.isnan(whole.encode_many(samples[None])).all()
    assert np.isfinite(part.encode(window(samples)).values).all()


def test_what_a_bundle_keeps_rebuilds_the_encoder():
    first = fitted(regions=((0, 3),))
    again = BandPower.from_arrays(first.config, first.to_arrays())
    again.open(spec(), N_TIMES)
    samples = rest(1, seed=9)[0]
    for masked in ((), (3,)):
        found = again.encode(window(samples, masked))
        np.testing.assert_array_equal(found.values, first.encode(window(samples, masked)).values)


def test_settings_arrays_and_signal_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="n_bands must be at least 1"):
        config(n_bands=0)
    for regions in (((),), ((0, 0),), ((-1,),)):
        with pytest.raises(ConfigError, match="regions must hold"):
            config(regions=regions)
    assert config(regions=[[0, 1]]).regions == ((0, 1),)
    with pytest.raises(ConfigError, match="must name channels 0 to 3"):
        fitted(regions=((4,),))
    with pytest.raises(ConfigError, match="record a baseline"):
        BandPower.fit(rest(0), np.zeros(0), config())
    silent = rest(3)
    silent[1, 4] = 0
    with pytest.raises(ConfigError, match="Window 1 is silent"):
        BandPower.fit(silent, np.zeros(3), config())
    for levels in (np.zeros((3, 4)), np.full((2, 4), np.nan)):
        with pytest.raises(BundleError, match="do not fit"):
            BandPower(config(), levels)
    with pytest.raises(BundleError, match="channel numbers up to 4"):
        BandPower(config(regions=((4,),)), np.zeros((2, 4)))
    with pytest.raises(SchemaMismatch, match="announced"):
        fitted().encode(window(rest(1)[0][:, :50]))
    closed = fitted()
    closed.close()
    with pytest.raises(RuntimeError, match="before open"):
        closed.encode(window(rest(1)[0]))
