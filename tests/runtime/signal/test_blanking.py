from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.signal.blanking import Blanker, BlankingConfig

SPEC = StreamSpec(name="x", rate_hz=1000.0, channels=tuple(Channel(name=f"A{i}") for i in range(3)))
PULSES = (100, 130, 300, 308, 471)
cuts = st.lists(st.integers(1, 70), min_size=1, max_size=20)


def blanker(**settings) -> Blanker:
    return Blanker(BlankingConfig(labels=("pulse",), **settings), SPEC)


def ramp(n_times: int = 600) -> np.ndarray:
    """Every sample of its own value, 1 uV apart."""
    return np.arange(n_times) + np.array([[0.0], [1e3], [-2e3]])


def streamed(made: Blanker, samples: np.ndarray, sizes, pulses=PULSES):
    """In pieces; each pulse is announced before the first sample that it blanks."""
    parts, bad, at, turn = [], np.zeros(samples.shape[1], bool), 0, 0
    while at < samples.shape[1]:
        size = min(sizes[turn % len(sizes)], samples.shape[1] - at)
        for pulse in pulses:
            if at <= max(0, pulse - 5) < at + size:
                assert made.announce(pulse, "pulse") is None
        out, spans = made.apply(samples[:, at : at + size], at)
        for first, stop in spans:
            assert at <= first < stop <= at + size
            bad[first:stop] = True
        parts.append(out)
        at, turn = at + size, turn + 1
    return np.concatenate(parts, axis=1), bad


def test_a_pulse_holds_the_sample_before_it():
    made, samples = blanker(), ramp()
    made.announce(100, "pulse")
    out, spans = made.apply(samples, 0)
    assert spans == ((99, 115),)
    expected = samples.copy()
    expected[:, 99:115] = samples[:, 98:99]
    np.testing.assert_array_equal(out, expected)
    assert samples[0, 105] == 105


def test_nothing_announced_passes_through_untouched():
    made, samples = blanker(saturation_uv=500), ramp()
    out, spans = made.apply(samples, 0)
    assert out is samples
    assert spans == ()


def test_other_labels_are_ignored():
    made, samples = blanker(), ramp()
    assert made.announce(100, "cue") is None
    assert made.apply(samples, 0) == (samples, ())


@given(sizes=cuts, after_s=st.sampled_from([0.0, 0.015, 0.05]))
def test_any_cut_gives_the_same(sizes, after_s):
    samples = ramp() + np.random.default_rng(0).normal(0, 1, (3, 600))
    samples[1, 305:360] = 9e3
    samples[2, 110:114] = -9e3
    settings = {"after_s": after_s, "saturation_uv": 8e3}
    out, bad = streamed(blanker(**settings), samples, sizes)
    whole, bad_whole = streamed(blanker(**settings), samples, [600])
    np.testing.assert_array_equal(out, whole)
    np.testing.assert_array_equal(bad, bad_whole)


@given(sizes=cuts)
def test_any_cut_gives_the_same_in_a_train_while_a_channel_is_saturated(sizes):
    samples = ramp()
    samples[1, 120:420] = 9e3  # from between two pulses on, far beyond the next
    whole, bad_whole = streamed(blanker(saturation_uv=8e3), samples, [600])
    out, bad = streamed(blanker(saturation_uv=8e3), samples, sizes)
    np.testing.assert_array_equal(bad, bad_whole)
    np.testing.assert_array_equal(out, whole)


def test_a_pulse_that_begins_with_a_chunk_is_not_late_because_another_was_before_it():
    samples = ramp()
    samples[1, 150:] = 9e3
    spans = []
    for cut in (600, 299):
        made = blanker(saturation_uv=8e3)
        for pulse in (100, 300):
            made.announce(pulse, "pulse")
        spans.append([*made.apply(samples[:, :cut], 0)[1], *made.apply(samples[:, cut:], cut)[1]])
    assert spans == [[(99, 115), (299, 315)]] * 2


def test_single_precision_stays_single_precision():
    made = blanker()
    made.announce(20, "pulse")
    out, spans = made.apply(ramp().astype(np.float32), 0)
    assert spans
    assert out.dtype == np.float32


def test_trains_make_one_stretch():
    made = blanker()
    for pulse in (100, 110, 120):
        made.announce(pulse, "pulse")
    assert made.apply(ramp(), 0)[1] == ((99, 135),)


def test_an_amplifier_at_its_end_keeps_the_blank_open():
    made, samples = blanker(saturation_uv=8e3), ramp()
    samples[1, 101:150] = 9e3
    made.announce(100, "pulse")
    assert made.apply(samples, 0)[1] == ((99, 150),)


def test_a_short_excursion_does_not():
    made, samples = blanker(saturation_uv=8e3), ramp()
    samples[1, 113:117] = 9e3
    made.announce(100, "pulse")
    assert made.apply(samples, 0)[1] == ((99, 115),)


def test_a_channel_that_was_saturated_before_the_pulse_does_not():
    made, samples = blanker(saturation_uv=8e3), ramp()
    samples[1, 50:] = 9e3
    made.announce(100, "pulse")
    assert made.apply(samples, 0)[1] == ((99, 115),)


def test_it_ends_at_the_latest_when_the_settings_say():
    made, samples = blanker(saturation_uv=8e3, longest_s=0.2), ramp()
    samples[1, 101:] = 9e3
    made.announce(100, "pulse")
    assert made.apply(samples, 0)[1] == ((99, 300),)


def test_saturation_without_a_pulse_is_not_blanked():
    made, samples = blanker(saturation_uv=8e3), ramp()
    samples[1, 101:150] = 9e3
    assert made.apply(samples, 0)[1] == ()


def test_a_late_marker_says_what_went_by_and_blanks_the_rest():
    made, samples = blanker(), ramp()
    made.apply(samples[:, :110], 0)
    assert made.announce(100, "pulse") == (99, 110)
    assert made.apply(samples[:, 110:], 110)[1] == ((110, 115),)


def test_a_marker_that_is_too_late_altogether_blanks_nothing():
    made, samples = blanker(), ramp()
    made.apply(samples[:, :300], 0)
    assert made.announce(100, "pulse") == (99, 115)
    assert made.apply(samples[:, 300:], 300)[1] == ()


def test_at_the_very_start_the_first_sample_is_held():
    made, samples = blanker(), ramp()
    made.announce(0, "pulse")
    out, spans = made.apply(samples, 0)
    assert spans == ((0, 15),)
    np.testing.assert_array_equal(out[:, :15], np.repeat(samples[:, :1], 15, axis=1))


def test_across_lost_samples_the_last_good_one_is_held():
    made, samples = blanker(), ramp()
    made.announce(100, "pulse")
    made.apply(samples[:, :102], 0)
    made.restart()
    out, spans = made.apply(samples[:, 108:], 108)
    assert spans == ((108, 115),)
    np.testing.assert_array_equal(out[:, :7], np.repeat(samples[:, 98:99], 7, axis=1))


def test_an_empty_chunk_changes_nothing():
    made, samples = blanker(), ramp()
    made.announce(100, "pulse")
    assert made.apply(samples[:, :0], 0)[1] == ()
    assert made.apply(samples, 0)[1] == ((99, 115),)


def test_announced_pulses_are_forgotten_once_they_are_over():
    made, samples = blanker(longest_s=0.02), ramp()
    for pulse in range(0, 600, 40):
        made.announce(pulse, "pulse")
    made.apply(samples, 0)
    assert not made._pulses


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"before_s": 0.2}, r"before_s must be in 0 to 0.1 s, got 0.2"),
        ({"after_s": 0.6}, r"after_s must be in 0 to 0.5 s, got 0.6"),
        ({"saturated_s": -1}, r"saturated_s must be in 0 to 0.1 s"),
        ({"after_s": 0.2, "longest_s": 0.1}, r"longest_s must be in 0.2 to 10 s"),
        ({"saturation_uv": -5}, r"at least 0 uV"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        BlankingConfig(**settings)
