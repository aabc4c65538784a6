import numpy as np
import pytest

from diverloop.runtime.record.report.quality import CAUSES, GOOD, judge, measure, verdict

RATE = 250
TIMES_S = np.arange(RATE) / RATE


def second_of(block):
    freqs = np.fft.rfftfreq(RATE, 1 / RATE)
    taper = np.hanning(RATE)
    level = block - block.mean(axis=1, keepdims=True)
    power = 2 * np.abs(np.fft.rfft(level * taper, axis=1)) ** 2 / (RATE * (taper**2).sum())
    return measure(block, power, freqs)


def session(spoil, n_seconds=20):
    """Eight channels of noise; `spoil` changes channel 3 of every second."""
    rng = np.random.default_rng(5)
    seconds = []
    for _ in range(n_seconds):
        block = np.cumsum(rng.standard_normal((8, RATE)), axis=1) + rng.standard_normal((8, RATE))
        spoil(block[3])
        seconds.append(second_of(block))
    return judge(seconds)


def flatten(row):
    row[:] = 7.0


def clip(row):
    np.clip(row, np.quantile(row, 0.2), np.quantile(row, 0.8), out=row)


def hum(row):
    row += 60 * np.sin(2 * np.pi * 50 * TIMES_S)


def rattle(row):
    row += 40 * np.random.default_rng(0).standard_normal(RATE)


def swing(row):
    row += 900 * np.sin(2 * np.pi * 2 * TIMES_S)


def lose(row):
    row[:] = np.nan


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (flatten, "flat"),
        (clip, "clipped"),
        (hum, "mains hum"),
        (rattle, "noisy"),
        (swing, "large slow swings"),
        (lose, "signal lost"),
    ],
)
def test_each_fault_is_seen_in_its_channel_and_named(spoil, cause):
    index, causes = session(spoil)
    assert (index[3] < GOOD).all()
    assert {CAUSES[code] for code in causes[3]} == {cause}
    others = np.delete(index, 3, axis=0)
    assert (others >= GOOD).all()


def test_clean_signal_is_good_everywhere():
    index, causes = session(lambda row: None)
    assert index.min() >= GOOD
    assert not causes.any()


def test_a_lost_stretch_within_a_second_is_not_taken_for_clipping():
    def lose_some(row):
        row += 100
        row[50:110] = np.nan

    _, causes = session(lose_some)
    assert "clipped" not in {CAUSES[code] for code in causes[3]}


def test_a_channel_that_turns_bad_is_dated():
    index = np.r_[np.ones(60), np.zeros(60)]
    cause = np.r_[np.zeros(60, int), np.full(60, CAUSES.index("noisy"))]
    found = verdict("F7", index, cause, np.arange(120.0))
    assert (found.good, found.cause, found.from_s) == (False, "noisy", 60.0)
    assert found.share_good == 0.5


def test_a_channel_that_comes_and_goes_has_no_date():
    index = np.tile([1.0, 0.0], 50)
    index[-1] = 1.0
    cause = np.where(index < GOOD, CAUSES.index("flat"), 0)
    found = verdict("T8", index, cause, np.arange(100.0))
    assert not found.good
    assert np.isnan(found.from_s)


def test_seconds_without_any_signal_do_not_blame_the_channel():
    index = np.r_[np.ones(30), np.zeros(70)]
    cause = np.r_[np.zeros(30, int), np.full(70, CAUSES.index("signal lost"))]
    assert verdict("Cz", index, cause, np.arange(100.0)).good
