import numpy as np
import pytest

from diverloop.runtime.messages import Marker
from diverloop.runtime.record.report.locked import find_cues
from diverloop.runtime.record.report.survey import look_through

RATE = 250.0


def marked(*pairs):
    return tuple(Marker(label=label, sample=sample) for label, sample in pairs)


def test_without_a_model_frequent_labels_are_the_cues(bare_record):
    markers = marked(*((str(i % 2), 500 + 1000 * i) for i in range(8)), ("start", 10))
    cues = find_cues(bare_record(np.zeros((2, 10_000), np.float32), markers=markers))
    assert cues.labels == ("0", "1")
    assert len(cues.samples) == 8
    assert not cues.brief


def test_fast_events_are_averaged(bare_record):
    markers = marked(*(("flash", 500 + 50 * i) for i in range(40)))
    cues = find_cues(bare_record(np.zeros((2, 10_000), np.float32), markers=markers))
    assert cues.brief


def test_rare_labels_are_no_cues(bare_record):
    record = bare_record(np.zeros((2, 1000), np.float32), markers=marked(("begin", 1), ("end", 9)))
    assert find_cues(record) is None


def test_with_a_model_its_classes_are_the_cues_in_its_order(whole):
    record, _ = whole
    assert find_cues(record).labels == ("left", "right")


def test_the_mean_over_events_is_the_hidden_response(bare_record):
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 1, (3, 30_000)).astype(np.float32)
    response = np.exp(-(((np.arange(200) - 87) / 20.0) ** 2)).astype(np.float32)
    onsets = list(range(1000, 29_000, 100))
    for onset in onsets:
        signal[1, onset : onset + 200] += 5 * response
    record = bare_record(signal, markers=marked(*(("flash", onset) for onset in onsets)))
    locked = look_through(record, find_cues(record)).locked
    peak = int(locked.mean[0, 1].argmax())
    assert locked.times_s[peak] == pytest.approx(87 / RATE, abs=0.02)
    assert np.abs(locked.mean[0, 0]).max() < 0.5
    assert locked.used == (len(onsets),)


def test_a_fall_of_power_is_measured_in_its_true_size(bare_record):
    rng = np.random.default_rng(1)
    n = 40 * 2000
    times_s = np.arange(n) / RATE
    strength = np.full(n, 20.0)
    onsets = [1000 + 2000 * i for i in range(38)]
    for onset in onsets:
        strength[onset + 100 : onset + 1250] *= 0.5
    rhythm = strength * np.sin(2 * np.pi * 10 * times_s)
    signal = np.stack([rhythm, np.zeros(n)]).astype(np.float32)
    signal += rng.normal(0, 0.05, signal.shape).astype(np.float32)
    record = bare_record(signal, markers=marked(*(("move", onset) for onset in onsets)))
    locked = look_through(record, find_cues(record)).locked
    at = int(np.abs(locked.freqs_hz - 10).argmin())
    late = locked.times_s > 1.5
    # Half the amplitude is a quarter of the power.
    assert np.expm1(locked.log_change()[0, 0, late, at].mean()) == pytest.approx(-0.75, abs=0.02)


def test_trials_that_touch_a_gap_are_left_out(bare_record):
    signal = np.random.default_rng(2).normal(0, 1, (2, 20_000)).astype(np.float32)
    markers = marked(*(("go", 2000 + 3000 * i) for i in range(6)))
    record = bare_record(signal, markers=markers, lost=((5100, 5150), (15_000, 20_000)))
    locked = look_through(record, find_cues(record)).locked
    assert locked.used == (3,)


def test_trials_do_not_depend_on_how_the_stream_was_cut(bare_record):
    from dataclasses import replace

    from .conftest import chunks_of

    signal = np.random.default_rng(3).normal(0, 1, (2, 12_000)).astype(np.float32)
    record = bare_record(signal, markers=marked(*(("go", 1500 + 2500 * i) for i in range(4))))
    found = []
    for size in (7, 500, 12_000):
        cut = replace(record, chunks=chunks_of(signal, size=size))
        survey = look_through(cut, find_cues(cut))
        found.append((survey.locked.mean, survey.index, survey.psd))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
