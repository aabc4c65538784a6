"""The analysis as a whole: what was put in comes out, and the verdict says what it means."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.hardware.simulated_photodiode import PhotodiodeConfig, SimulatedPhotodiode
from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.json_text import json_text
from diverloop.runtime.timing import Tolerances, analyse
from diverloop.runtime.timing_onsets import find_onsets

RATE_HZ = 1000.0


def markers(n=150, seed=0):
    return 2 + np.cumsum(np.random.default_rng(seed).uniform(0.3, 0.7, n))


def report(delays_s=0.001, n=150, rate_hz=RATE_HZ, **options):
    at_s = markers(n)
    return analyse(at_s * rate_hz, (at_s + delays_s) * rate_hz, rate_hz, **options)


def noise(n=150, sd_s=2e-4, seed=0):
    return sd_s * np.random.default_rng(seed).standard_normal(n)


@settings(max_examples=20)
@given(
    rate_hz=st.sampled_from([250.0, 500.0, 1000.0, 5000.0]),
    delay_s=st.floats(-1.0, 1.0),
    jitter_ms=st.sampled_from([0.0, 0.3, 2.0]),
    ppm=st.sampled_from([0.0, 20.0, -100.0]),
    lost=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 1000),
)
def test_injected_delays_are_recovered_to_a_fifth_of_a_millisecond(
    rate_hz, delay_s, jitter_ms, ppm, lost, seed
):
    rng, at_s = np.random.default_rng(seed), markers(80, seed)
    true_s = delay_s + ppm * 1e-6 * at_s + jitter_ms / 1e3 * rng.standard_normal(80)
    seen = rng.random(80) >= lost
    strays_s = (at_s[5::20] + true_s[5::20] + 0.18)[:3]  # while the light of another is long out
    lit_s = np.sort(np.concatenate(((at_s + true_s)[seen], strays_s)))
    light = SimulatedPhotodiode(PhotodiodeConfig(on_s=0.05, rise_s=0.0005), rate_hz, lit_s, seed)
    signal = light.samples(0, round((lit_s[-1] + 0.5) * rate_hz))
    found = analyse(at_s * rate_hz, find_onsets(signal, rate_hz).samples, rate_hz)
    assert found.n_missing == (~seen).sum()
    assert found.n_extra == 3
    assert found.delay.median_ms == pytest.approx(1e3 * np.median(true_s[seen]), abs=0.2)
    flat_s = (true_s - ppm * 1e-6 * at_s)[seen]
    assert found.jitter_ms == pytest.approx(1e3 * flat_s.std(ddof=1), abs=0.2)
    assert found.drift.ppm == pytest.approx(ppm, abs=5 + 20 * jitter_ms)


def test_what_is_good_enough_is_called_so():
    found = report(0.0004 + noise())
    assert found.ok
    assert found.sentence() == (
        f"Events are in the signal {found.delay.median_ms:.2f} ms after their markers (median of "
        f"150, 95 % interval {found.delay.median_interval_ms[0]:.2f} to "
        f"{found.delay.median_interval_ms[1]:.2f} ms), with a jitter of {found.jitter_ms:.2f} ms. "
        f"This is good enough for windows that are locked to events."
    )


def test_a_constant_delay_can_be_corrected_and_the_verdict_says_how():
    found = report(0.047 + noise())
    assert not found.ok
    assert "can be corrected: save it with --save" in found.sentence()
    assert "before their markers" in report(-0.047 + noise()).sentence()


@pytest.mark.parametrize(
    ("delays_s", "name"),
    [
        (noise(sd_s=4e-3), "jitter"),
        (100e-6 * markers(), "drift"),
        (np.where(np.arange(150) < 75, 0.0, 0.008) + noise(), "steps"),
    ],
)
def test_what_is_bad_is_named_with_what_to_do(delays_s, name):
    found = report(delays_s)
    bad = {finding.name: finding for finding in found.findings() if finding.ok is False}
    assert name in bad
    assert bad[name].advice
    assert name in found.sentence()


def test_missing_and_extra_ones_are_counted_and_placed():
    at_s = markers()
    onsets_s = np.sort(np.append(np.delete(at_s + 0.001, (40, 90)), (at_s[60] + 0.15,)))
    found = analyse(at_s * RATE_HZ, onsets_s * RATE_HZ, RATE_HZ)
    assert found.missing_s == pytest.approx(at_s[[40, 90]])
    assert found.extra_s == pytest.approx([at_s[60] + 0.15])
    assert {f.name: f.ok for f in found.findings()}["missing"] is False


def test_a_short_measurement_convicts_nobody_of_drift():
    found = report(20e-6 * markers(12), n=12)
    drift = next(finding for finding in found.findings() if finding.name == "drift")
    assert drift.ok is None
    assert "measure for longer" in drift.advice


def test_even_distances_and_coarse_markers_are_doubts_not_faults():
    at_s = 1 + 0.5 * np.arange(60)
    found = analyse(at_s * RATE_HZ, (at_s + 0.001) * RATE_HZ, RATE_HZ, fine=False)
    doubts = {finding.name for finding in found.findings() if finding.ok is None}
    assert doubts == {"distances", "resolution"}
    assert found.ok


def test_the_newest_delays_are_told_apart():
    found = report(np.where(np.arange(150) < 90, 0.0, 0.005))
    assert (found.newest.n, round(found.newest.median_ms, 6)) == (60, 5.0)


def test_the_report_is_plain_json():
    found = json.loads(json_text(report(0.0004 + noise()).to_json()), parse_constant=pytest.fail)
    assert found["ok"] is True
    assert found["delay"]["n"] == 150
    assert found["verdict"].startswith("Events are in the signal")


@pytest.mark.parametrize("n_onsets", [0, 9])
def test_too_few_pairs_are_refused_with_what_to_check(n_onsets):
    at_s = markers(50)
    with pytest.raises(RecordingError, match=rf"Only {n_onsets} of {max(n_onsets, 9)} markers"):
        analyse(at_s[:9] * RATE_HZ, at_s[:n_onsets] * RATE_HZ, RATE_HZ)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_tolerances_are_above_zero(value):
    with pytest.raises(ConfigError, match="tolerance jitter_ms must be above 0"):
        Tolerances(jitter_ms=value)
