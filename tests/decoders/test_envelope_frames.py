from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.decoders.envelope_frames import EnvelopeFrames, EnvelopeFramesConfig
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window

N_ROWS, N_TIMES = 5, 12
CONFIG = EnvelopeFramesConfig(n_frames=2, frame_times=4)


def drawn(seed=0, n=40):
    return np.exp(np.random.default_rng(seed).standard_normal((n, N_ROWS, N_TIMES)))


def spec(n=N_ROWS):
    channels = tuple(Channel(name=f"|70-150|/E{row}", kind="ecog") for row in range(n))
    return StreamSpec(name="grid", rate_hz=100, channels=channels)


def window(samples, usable=None):
    return Window(
        samples=samples, first_sample=0, stop_sample=samples.shape[1], due_ns=0, usable=usable
    )


@pytest.fixture
def encoder():
    fitted = EnvelopeFrames.fit(drawn(), np.zeros(40), CONFIG)
    fitted.open(spec(), N_TIMES)
    return fitted


def test_it_keeps_the_clauses_of_an_encoder(encoder):
    check_encoder(encoder, spec(), N_TIMES)


def test_frames_are_the_log_envelopes_of_the_newest_bins_normalised(encoder):
    windows = drawn(1)
    logs = np.log(drawn()[:, :, 4:].reshape(40, N_ROWS, 2, 4).mean(axis=3))
    mean, scale = logs.mean(axis=(0, 2)), logs.std(axis=(0, 2))
    for samples in windows[:5]:
        newest = np.log(samples[:, 4:].reshape(N_ROWS, 2, 4).mean(axis=2))
        wanted = ((newest.T - mean) / scale).ravel()
        np.testing.assert_allclose(encoder.encode(window(samples)).values, wanted, atol=1e-5)


def test_many_windows_are_encoded_as_one_is(encoder):
    windows = drawn(1)
    served = np.stack([encoder.encode(window(samples)).values for samples in windows])
    np.testing.assert_array_equal(encoder.encode_many(windows), served)


def test_what_is_older_than_the_hop_does_not_matter(encoder):
    samples = drawn(1)[0]
    other = samples.copy()
    other[:, :4] *= 100
    np.testing.assert_array_equal(
        encoder.encode(window(samples)).values, encoder.encode(window(other)).values
    )


def test_a_masked_row_counts_as_usual_and_lowers_the_quality(encoder):
    usable = np.array([True, False, True, True, True])
    said = encoder.encode(window(drawn(1)[0], usable))
    assert said.quality == pytest.approx(0.8)
    assert (said.values.reshape(2, N_ROWS)[:, 1] == 0).all()


def test_too_few_good_rows_cannot_be_encoded(encoder):
    said = encoder.encode(window(drawn(1)[0], np.array([True, True, False, False, False])))
    assert said.quality == 0
    assert np.isnan(said.values).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_window_that_is_not_finite_cannot_be_encoded(encoder, value):
    samples = drawn(1)[0]
    samples[2, 10] = value
    assert encoder.encode(window(samples)).quality == 0
    assert np.isnan(encoder.encode_many(samples[None])).all()


def test_an_artefact_is_clipped(encoder):
    assert np.abs(encoder.encode(window(1e9 * drawn(1)[0])).values).max() == 5


def test_it_survives_a_bundle(encoder):
    again = EnvelopeFrames.from_arrays(CONFIG, encoder.to_arrays())
    np.testing.assert_array_equal(again.encode_many(drawn(2)), encoder.encode_many(drawn(2)))


def test_what_does_not_fit_is_refused(encoder):
    with pytest.raises(SchemaMismatch, match="needed are 8"):
        encoder.open(spec(), 7)
    with pytest.raises(SchemaMismatch, match="announced was"):
        encoder.encode(window(np.ones((N_ROWS, N_TIMES + 1))))
    with pytest.raises(ConfigError, match="lengthen them"):
        EnvelopeFrames.fit(drawn()[:, :, :6], np.zeros(40), CONFIG)
    with pytest.raises(ConfigError, match="finite and change"):
        EnvelopeFrames.fit(np.ones((4, N_ROWS, N_TIMES)), np.zeros(4), CONFIG)
    with pytest.raises(ConfigError, match="n_frames"):
        replace(CONFIG, n_frames=0)
    with pytest.raises(BundleError, match="scales positive"):
        EnvelopeFrames(CONFIG, np.zeros(3), np.zeros(3))
