"""A stream is judged before a session relies on it: electrodes, rate, losses, delivery."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from diverloop.hardware.simulator import Fault, SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError, SourceUnavailable
from diverloop.runtime.messages import Chunk, Event, EventKind
from diverloop.runtime.signal_check import ChannelCheck, SignalCheck, check_signal

RATE_HZ = 250.0
NAMES = tuple(
    one.name for one in SimulatedParticipant(SimulatorConfig(), VirtualClock()).spec.channels
)


class Spoilt:
    """A simulated participant, and what happens to the signal on its way.

    Parameters
    ----------
    clock : VirtualClock
        Of the session.
    spoil : callable
        Changes the samples of a chunk, in place.
    stamp : callable
        Gives the sender's stamp for a stream index, in seconds.
    kind : str
        What the channels call themselves.
    """

    def __init__(
        self,
        clock: VirtualClock,
        spoil: Callable[[Chunk], None] = lambda chunk: None,
        stamp: Callable[[int], float] = lambda sample: 50 + sample / RATE_HZ,
        kind: str = "eeg",
        **simulated,
    ) -> None:
        config = SimulatorConfig(task="rest", seed=4, **simulated)
        self._person, self._spoil, self._stamp = SimulatedParticipant(config, clock), spoil, stamp
        spec = self._person.spec
        rows = tuple(replace(channel, kind=kind) for channel in spec.channels)
        self.spec = replace(spec, channels=rows)
        self.closed = 0
        self.said: tuple[Event, ...] = ()
        self.open = self._person.open

    @property
    def ended(self) -> bool:
        return self._person.ended

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        chunk = self._person.read(wanted, until_ns)
        if chunk is None:
            return None
        self._spoil(chunk)
        stamp_s, said, self.said = self._stamp(chunk.stop_sample), self.said, ()
        return replace(chunk, lsl_raw_s=stamp_s, events=chunk.events + said)

    def close(self) -> None:
        self.closed += 1
        self._person.close()


def looked_at(
    spoil: Callable[[Chunk], None] = lambda chunk: None, *, seconds: float = 6.0, **given
) -> SignalCheck:
    clock = VirtualClock(7)
    return check_signal(Spoilt(clock, spoil, **given), clock, seconds=seconds)


def channel(check: SignalCheck, name: str):
    (found,) = (one for one in check.channels if one.name == name)
    return found


def finding(check: SignalCheck, name: str):
    (found,) = (one for one in check.findings() if one.name == name)
    return found


@pytest.fixture(scope="module")
def good() -> SignalCheck:
    return looked_at()


def test_a_good_stream_has_good_findings_and_a_number_near_one(good):
    assert [one.ok for one in good.findings()] == [True] * 5
    assert good.reasons == ()
    assert good.overall > 0.9
    assert [one.name for one in good.channels] == list(NAMES)
    assert all(one.cause == "" and one.masked == 0 for one in good.channels)
    assert (good.n_samples, good.n_lost, good.n_invalid) == (1500, 0, 0)
    assert good.seconds == pytest.approx(6.0)


def test_the_rate_is_measured_from_the_stamps(good):
    assert good.measured_hz == pytest.approx(RATE_HZ, rel=1e-9)
    assert "says 250 Hz, runs at 250.000 Hz (+0 ppm" in finding(good, "rate").got


def flat_and_noisy(chunk: Chunk) -> None:
    noise = np.random.default_rng(chunk.first_sample).standard_normal(chunk.samples.shape[1])
    chunk.samples[NAMES.index("C3")] = 3.0
    chunk.samples[NAMES.index("O2")] += 120 * noise.astype(np.float32)


def test_bad_electrodes_are_found_and_told_with_their_causes():
    check = looked_at(flat_and_noisy)
    assert channel(check, "C3").cause == "flat"
    assert channel(check, "O2").cause == "noisy"
    for name in ("C3", "O2"):
        assert channel(check, name).score < 0.1
        assert channel(check, name).masked > 0.7
    others = [one for one in check.channels if one.name not in ("C3", "O2")]
    assert not any(one.cause or one.masked for one in others)
    assert check.reasons == ("flat: C3", "noisy: O2")
    expected = (sum(one.score for one in others) + 0.1) / len(NAMES)
    assert check.overall == pytest.approx(expected, abs=0.02)
    signal = finding(check, "signal")
    assert signal.ok is None
    assert "A session would mask them and go on" in signal.advice


def test_too_many_bad_electrodes_are_bad():
    def flat(chunk: Chunk) -> None:
        chunk.samples[: len(NAMES) // 2] = 0

    signal = finding(looked_at(flat), "signal")
    assert signal.ok is False
    assert "go on" not in signal.advice


def test_a_fault_that_is_over_is_still_told():
    def flat_at_first(chunk: Chunk) -> None:
        if chunk.first_sample < 3 * RATE_HZ:
            chunk.samples[2] = 0

    check = looked_at(flat_at_first, seconds=12.0)
    found = channel(check, NAMES[2])
    assert found.cause.startswith("flat")
    assert 0.3 < found.masked < 0.9


def test_lost_samples_are_counted_and_lower_the_number(good):
    check = looked_at(faults=(Fault(kind="gap", at_s=3.0, length_s=0.6),))
    assert check.n_lost == 150
    assert check.n_samples == 1350
    assert check.lost_share == pytest.approx(0.1)
    losses = finding(check, "losses")
    assert losses.ok is False
    assert losses.got == "150 samples (10.00%) in 1 gaps"
    assert check.reasons == ("10.00% of the samples were lost",)
    assert 0.8 * good.overall < check.overall < 0.91 * good.overall


def test_a_stall_is_seen_and_nothing_is_called_lost():
    check = looked_at(faults=(Fault(kind="stall", at_s=2.0, length_s=0.8),))
    assert check.n_lost == 0
    assert check.longest_wait_s == pytest.approx(0.8, abs=0.11)
    assert finding(check, "delivery").ok is None
    assert "neutral" in finding(check, "delivery").advice


@pytest.mark.parametrize(("off", "ok"), [(2e-4, True), (2e-3, None), (-0.03, False)])
def test_a_wrong_rate_is_graded_as_a_session_would(off, ok):
    check = looked_at(stamp=lambda sample: sample / (RATE_HZ * (1 + off)))
    rate = finding(check, "rate")
    assert rate.ok is ok
    assert check.measured_hz == pytest.approx(RATE_HZ * (1 + off), rel=1e-6)
    assert bool(rate.advice) is (ok is not True)


def test_scattered_stamps_make_the_rate_unsure_and_not_wrong():
    rng = np.random.default_rng(2)
    check = looked_at(stamp=lambda sample: sample / RATE_HZ + rng.normal(0, 0.02))
    assert check.rate_error_hz > 0.05
    assert abs(check.measured_hz - RATE_HZ) < 4 * check.rate_error_hz
    assert finding(check, "rate").ok is True


def test_without_stamps_of_the_sender_arrival_tells_the_rate():
    check = looked_at(stamp=lambda sample: math.nan)
    assert check.measured_hz == pytest.approx(RATE_HZ, rel=1e-6)


def test_what_the_source_noticed_is_told():
    clock = VirtualClock()
    source = Spoilt(clock)
    source.said = (
        Event(kind=EventKind.JITTER, text="Time stamps scatter by 9 ms."),
        Event(kind=EventKind.JITTER, text="Time stamps scatter by 8 ms."),
        Event(kind=EventKind.SOURCE_LOST, text="The stream is gone; looking for it."),
    )
    check = check_signal(source, clock, seconds=3.0)
    stamps, delivery = finding(check, "time stamps"), finding(check, "delivery")
    assert (stamps.ok, stamps.got) == (None, "uneven time stamps (2 x)")
    assert stamps.advice == "Time stamps scatter by 8 ms."
    assert (delivery.ok, delivery.got) == (False, "The stream is gone; looking for it.")
    assert check.to_json()["events"] == {"jitter": 2, "source_lost": 1}


def test_an_electrode_without_numbers_does_not_hide_the_others():
    def broken(chunk: Chunk) -> None:
        chunk.samples[1] = np.nan
        if chunk.first_sample == 500:
            chunk.samples[2, 3] = np.inf

    check = looked_at(broken)
    assert check.n_invalid == check.n_samples
    assert channel(check, NAMES[1]).cause == "not a number"
    assert channel(check, NAMES[1]).score == 0
    assert channel(check, NAMES[2]).cause == "not a number"
    assert channel(check, NAMES[2]).score > 0.8
    assert not any(one.cause for one in check.channels[3:])
    assert finding(check, "numbers").ok is False


def test_where_nothing_is_called_brain_everything_is_looked_at():
    check = looked_at(flat_and_noisy, kind="misc")
    assert [one.name for one in check.channels] == list(NAMES)
    assert channel(check, "C3").cause == "flat"


def test_the_same_is_said_to_programs_without_nan_or_arrays(good):
    told = good.to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["channels"][0] == {
        "name": NAMES[0], "score": good.channels[0].score, "masked": 0.0, "cause": "",
    }  # fmt: skip


def test_progress_is_told_up_to_the_end():
    clock, told = VirtualClock(), []
    source = Spoilt(clock)
    check_signal(source, clock, seconds=4.0, on_progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (4.0, 4.0)
    assert told == sorted(told)
    assert source.closed == 1


def test_a_recording_that_ends_is_judged_as_far_as_it_goes():
    assert looked_at(seconds=60.0, duration_s=5.0).seconds == 5.0


def test_a_stream_that_ends_too_soon_is_refused_with_what_came():
    with pytest.raises(SourceUnavailable, match=r"Only 0\.5 s of signal came"):
        looked_at(duration_s=0.5)


class Silent(Spoilt):
    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        super().read(wanted, until_ns)
        return None


def test_a_stream_without_a_sample_is_refused_and_closed():
    clock = VirtualClock()
    source = Silent(clock)
    with pytest.raises(SourceUnavailable, match="no sample came from it in 4 s: start the ampl"):
        check_signal(source, clock, seconds=4.0)
    assert source.closed == 1
    assert clock.now_ns() >= 4_000_000_000


@pytest.mark.parametrize("seconds", [0, 2.9, 3601, math.nan])
def test_a_time_that_makes_no_sense_is_refused_before_anything_is_opened(seconds):
    with pytest.raises(ConfigError, match=f"for 3 to 3600 s, got {seconds:g} s"):
        looked_at(seconds=seconds)


def test_a_mains_frequency_that_is_none_is_refused():
    clock = VirtualClock()
    source = Spoilt(clock)
    with pytest.raises(ConfigError, match="line_hz"):
        check_signal(source, clock, line_hz=400.0)
    assert source.closed == 1


def test_mains_hum_on_one_electrode_is_told_for_the_mains_that_are_meant():
    def hum(chunk: Chunk) -> None:
        at = (chunk.first_sample + np.arange(chunk.samples.shape[1])) / RATE_HZ
        chunk.samples[4] += (300 * np.sin(2 * np.pi * 60 * at)).astype(np.float32)

    clock = VirtualClock()
    check = check_signal(Spoilt(clock, hum, line_hz=0), clock, seconds=5.0, line_hz=60.0)
    assert channel(check, NAMES[4]).cause == "mains hum"


def test_with_too_few_stamps_no_rate_is_made_up():
    check = SignalCheck(
        name="amp", rate_hz=RATE_HZ, measured_hz=math.nan, rate_error_hz=math.nan, seconds=3,
        n_samples=750, n_lost=0, n_invalid=0, longest_wait_s=0.1, events=(),
        channels=(ChannelCheck(name="Cz", score=0.3, masked=0.0, cause=""),),
    )  # fmt: skip
    assert finding(check, "rate").ok is None
    assert "too little came to measure it" in finding(check, "rate").got
    assert check.reasons == ("doubtful: Cz",)
