import numpy as np
import pytest

from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.record.report import survey as module
from diverloop.runtime.record.report.survey import look_through

from .conftest import noise


def test_every_lost_stretch_is_found_at_the_start_between_and_at_the_end(bare_record):
    lost = ((0, 100), (900, 1000), (2400, 2500))
    found = look_through(bare_record(noise(4, 2500), lost=lost), None)
    assert found.lost == lost
    assert found.n_lost == 300


def test_only_brain_channels_are_judged(bare_record):
    channels = (Channel(name="C3"), Channel(name="trigger", kind="misc"), Channel(name="C4"))
    spec = StreamSpec(name="x", rate_hz=250.0, channels=channels)
    found = look_through(bare_record(noise(3, 5000), spec=spec), None)
    assert found.names == ("C3", "C4")


def test_the_spectrum_is_the_power_of_a_known_sine(bare_record):
    times_s = np.arange(250 * 30) / 250
    signal = np.tile(10 * np.sin(2 * np.pi * 10 * times_s), (4, 1)).astype(np.float32)
    signal += np.random.default_rng(0).normal(0, 0.01, signal.shape).astype(np.float32)
    found = look_through(bare_record(signal), None)
    near = (found.freqs_hz >= 8) & (found.freqs_hz <= 12)
    # A sine of amplitude 10 has a mean square of 50.
    np.testing.assert_allclose(found.psd[:, near].sum(axis=1), 50, rtol=0.01)


def test_long_sessions_are_sampled_and_say_so(bare_record, monkeypatch):
    monkeypatch.setattr(module, "_MOST_SAMPLES", 250 * 4 * 25)
    found = look_through(bare_record(noise(4, 250 * 100)), None)
    assert found.every == 4
    assert len(found.verdicts) == 4
    assert all(entry.good for entry in found.verdicts)


@pytest.mark.parametrize("n_times", [0, 60])
def test_less_than_a_second_is_not_judged(bare_record, n_times):
    found = look_through(bare_record(np.zeros((4, n_times), np.float32)), None)
    assert found.verdicts == ()


def test_the_map_has_few_enough_columns_to_print(bare_record):
    found = look_through(bare_record(noise(2, 250 * 400)), None)
    assert found.index.shape == (2, 134)
    assert found.cell_s == 3.0
