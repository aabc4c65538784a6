"""Time stamps become stream indices: what is lost is found, what is late is not called lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.hardware.placement import believable, place

RATE_HZ = 250.0


def clocked(n_times: int, *, rate_hz: float = RATE_HZ, seed: int = 0) -> np.ndarray:
    """Stamps of a device with a sample clock, scattering by 1 % of a period."""
    scatter = np.random.default_rng(seed).normal(0, 0.01 / rate_hz, n_times)
    return 1000 + np.arange(n_times) / rate_hz + scatter


def in_packets(n_times: int, *, packet: int = 9, seed: int = 0) -> np.ndarray:
    """Stamps of a device that stamps whole packets on arrival, up to 30 ms late."""
    sent = np.ceil((np.arange(n_times) + 1) / packet) * packet / RATE_HZ
    late = np.random.default_rng(seed).uniform(0, 0.03, n_times // packet + 2)
    return 1000 + np.maximum.accumulate(sent + late[np.arange(n_times) // packet])


@given(
    runs=st.lists(st.tuples(st.integers(4, 200), st.integers(1, 400)), max_size=6),
    drift=st.floats(-1e-4, 1e-4),
    seed=st.integers(0, 100),
)
def test_every_sample_lost_from_a_clocked_stream_is_found(runs, drift, seed):
    held = [np.repeat([True, False], [kept, lost]) for kept, lost in runs]
    truth = np.flatnonzero(np.concatenate([*held, np.ones(200, dtype=bool)]))
    truth -= truth[0]
    stamps_s = clocked(truth[-1] + 1, rate_hz=RATE_HZ * (1 + drift), seed=seed)
    np.testing.assert_array_equal(place(stamps_s[truth], RATE_HZ).indices, truth)


def test_a_late_sample_of_a_clocked_stream_is_not_a_hole():
    stamps_s = clocked(1000)
    stamps_s[500] += 0.8 / RATE_HZ
    placed = place(stamps_s, RATE_HZ)
    assert placed.gaps == ()
    assert placed.n_times == 1000


def test_drift_does_not_open_holes_in_an_hour():
    placed = place(clocked(3600 * 250, rate_hz=RATE_HZ * 0.9998), RATE_HZ)
    assert placed.gaps == ()
    assert placed.rate_hz == pytest.approx(RATE_HZ * 0.9998, rel=1e-4)


def test_packets_do_not_open_holes_even_when_one_is_late_and_caught_up():
    stamps_s = in_packets(5000)
    stalled = slice(2500, 2500 + 225)
    stamps_s[stalled] = np.maximum(stamps_s[stalled], stamps_s[2499] + 0.9)
    assert place(stamps_s, RATE_HZ).gaps == ()


def test_packets_with_a_real_hole_give_a_gap_of_its_length():
    stamps_s = np.delete(in_packets(5000), np.s_[2502:3402])
    ((start, stop),) = place(stamps_s, RATE_HZ).gaps
    assert start == 2502
    assert stop - start == pytest.approx(900, abs=10)  # a packet and its scatter


def test_the_stamps_of_packets_are_smoothed_to_a_fraction_of_their_scatter():
    stamps_s = in_packets(5000)
    placed = place(stamps_s, RATE_HZ)
    true_s = 1000 + np.arange(5000) / RATE_HZ
    scatter_s = np.std(stamps_s - true_s)
    assert np.std(placed.stamps_s - true_s) < scatter_s / 3
    assert (np.diff(placed.stamps_s) >= 0).all()


def test_damaged_stamps_are_dropped_and_their_samples_count_as_lost():
    stamps_s = clocked(1000)
    stamps_s[300:310] = [1e177, -1e70, 0, np.nan, 0, np.inf, -np.inf, 0, 5e-300, 999.99e9]
    placed = place(stamps_s, RATE_HZ)
    assert placed.gaps == ((300, 310),)
    assert placed.n_times == 1000
    assert not np.isin(np.arange(300, 310), placed.kept).any()


def test_a_hole_is_not_mistaken_for_damage():
    stamps_s = clocked(1000)
    stamps_s[400:] += 273.5
    assert believable(stamps_s).all()


def test_a_moment_is_given_the_first_sample_at_or_after_it():
    stamps_s = 1000 + np.arange(100) / RATE_HZ
    placed = place(stamps_s, RATE_HZ)
    assert placed.index_at(1000 + 40 / RATE_HZ) == 40
    assert placed.index_at(1000 + 40.2 / RATE_HZ) == 41
    assert placed.index_at(1000 + 40 / RATE_HZ + 9e-5) == 40
    assert placed.index_at(1000 - 0.5 / RATE_HZ) == 0


def test_a_moment_inside_a_hole_keeps_its_place_in_time():
    stamps_s = np.delete(1000 + np.arange(1000) / RATE_HZ, np.s_[300:700])
    assert place(stamps_s, RATE_HZ).index_at(1000 + 500 / RATE_HZ) == 500


@pytest.mark.parametrize("moment_s", [1000 - 0.1, 1000 + 4.1])
def test_a_moment_outside_the_recording_has_no_sample(moment_s):
    assert place(1000 + np.arange(1000) / RATE_HZ, RATE_HZ).index_at(moment_s) is None


def test_a_single_sample_is_placed_at_zero():
    placed = place(np.array([12.5]), RATE_HZ)
    assert placed.indices.tolist() == [0]
    assert placed.rate_hz == RATE_HZ


def test_stamps_of_which_none_is_a_number_are_refused():
    with pytest.raises(ValueError, match="none of 3 time stamps"):
        place(np.full(3, np.nan), RATE_HZ)
