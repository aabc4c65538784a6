"""Look at a stream before a session does: its electrodes, its rate, what gets lost on the way.

Needs a source and a clock, and no model: what judges the electrodes is what would mask them in a
session.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .doctor import Finding
from .errors import ConfigError, SourceUnavailable
from .loop_config import LoopConfig
from .messages import BRAIN, Chunk, Event, EventKind, StreamSpec
from .quality import Quality
from .signal.bad_channels import BadChannelConfig
from .signal.condition_config import ConditionConfig
from .signal.conditioning import StreamConditioner
from .stages import Clock, Source
from .timeline import TimelineConfig

Progress = Callable[[float, float], None]

LEAST_S, MOST_S = 3.0, 3600.0
"""For how long a stream can be looked at: a fault must last a while to be believed."""

_PIECE_S = 0.1  # of signal to wait for at a time
_PATIENCE_NS = 100_000_000  # until the next look at the clock
_LOST_SHARE = 1e-3  # a good link loses less
_MASKED_SHARE = 0.3  # more masked electrodes than this cost a decoder dearly
_DOUBTFUL = 0.5
_UNEVEN = {
    EventKind.JITTER: "uneven time stamps",
    EventKind.CLOCK_STEP: "the sender's clock stepped",
    EventKind.DUPLICATE: "samples came twice",
    EventKind.REORDERED: "samples in wrong order",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCheck:
    """One electrode.

    Parameters
    ----------
    name : str
        Its label.
    score : float
        Mean over the time that was looked at, 0 unusable to 1 clean.
    masked : float
        Share of that time in which a session would have masked it, 0 to 1.
    cause : str
        What was wrong with it, in plain words and in that order; empty if nothing was.
    """

    name: str
    score: float
    masked: float
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalCheck:
    """What a stream was like.

    Parameters
    ----------
    name : str
        Of the stream.
    rate_hz : float
        What it says.
    measured_hz, rate_error_hz : float
        What its time stamps say, and the standard error of that; NaN where too few came.
    seconds : float
        Length of the signal that was looked at, lost samples counted.
    n_samples, n_lost : int
        How many samples came, and how many are known to be lost.
    n_invalid : int
        How many samples had a channel without a number (NaN or infinity).
    longest_wait_s : float
        Longest time between two deliveries; 0.1 s of signal was waited for at a time.
    channels : tuple of ChannelCheck
        Those that a session would look at, in the order of the stream.
    events : tuple of Event
        What the source noticed.
    """

    name: str
    rate_hz: float
    measured_hz: float
    rate_error_hz: float
    seconds: float
    n_samples: int
    n_lost: int
    n_invalid: int
    longest_wait_s: float
    channels: tuple[ChannelCheck, ...]
    events: tuple[Event, ...]

    @property
    def lost_share(self) -> float:
        """Share of the samples that were lost, 0 to 1."""
        return self.n_lost / max(1, self.n_lost + self.n_samples)

    @property
    def overall(self) -> float:
        """One number, 0 to 1: mean score of the electrodes times the share that arrived."""
        return float(np.mean([one.score for one in self.channels])) * (1 - self.lost_share)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the number is not 1, in plain words; empty if nothing was wrong."""
        found: dict[str, list[str]] = {}
        for one in self.channels:
            if one.cause or one.score < _DOUBTFUL:
                found.setdefault(one.cause or "doubtful", []).append(one.name)
        said = [f"{cause}: {', '.join(names)}" for cause, names in found.items()]
        if self.n_lost:
            said.append(f"{self.lost_share:.2%} of the samples were lost")
        return tuple(said)

    def findings(self) -> tuple[Finding, ...]:
        """The same as a list of things that were looked at, each with what to do about it."""
        return tuple(_findings(self))

    def to_json(self) -> dict[str, object]:
        """Plain values, for programs."""
        counts = Counter(event.kind.value for event in self.events)
        return {
            "name": self.name,
            "overall": self.overall,
            "reasons": list(self.reasons),
            "rate_hz": self.rate_hz,
            "measured_hz": self.measured_hz,
            "rate_error_hz": self.rate_error_hz,
            "seconds": self.seconds,
            "n_samples": self.n_samples,
            "n_lost": self.n_lost,
            "n_invalid": self.n_invalid,
            "longest_wait_s": self.longest_wait_s,
            "events": dict(counts),
            "channels": [
                {"name": c.name, "score": c.score, "masked": c.masked, "cause": c.cause}
                for c in self.channels
            ],
        }


def check_signal(
    source: Source,
    clock: Clock,
    *,
    seconds: float = 10.0,
    line_hz: float = 0.0,
    on_progress: Progress = lambda done_s, of_s: None,
) -> SignalCheck:
    """Open a source, look at it for a while, close it.

    Parameters
    ----------
    source : Source
        Not open yet.
    clock : Clock
        The source's own.
    seconds : float
        For how long, 3 to 3600.
    line_hz : float
        Mains frequency; 0 looks for 50 and 60 Hz both.
    on_progress : callable
        Told after every piece how much is done, and of how much, in seconds.

    Returns
    -------
    check : SignalCheck
        What was seen.

    Raises
    ------
    ConfigError
        If `seconds` or `line_hz` cannot be used.
    SourceUnavailable
        If the stream is not there, or nothing or too little comes from it.
    """
    if not LEAST_S <= seconds <= MOST_S:
        raise ConfigError(
            f"A stream can be looked at for {LEAST_S:g} to {MOST_S:g} s, got {seconds:g} s."
        )
    source.open()
    try:
        looker = _Looker(source.spec, line_hz)
        start_ns = clock.now_ns()
        end_ns = start_ns + round(seconds * 1e9)
        wanted = max(1, round(_PIECE_S * source.spec.rate_hz))
        while (now_ns := clock.now_ns()) < end_ns and not source.ended:
            chunk = source.read(wanted, min(end_ns, now_ns + _PATIENCE_NS))
            if chunk is not None:
                looker.take(chunk)
            on_progress(min(seconds, (clock.now_ns() - start_ns) / 1e9), seconds)
    finally:
        source.close()
    return looker.result(seconds)


class _Looker:
    """Gathers what is seen of a stream."""

    def __init__(self, spec: StreamSpec, line_hz: float) -> None:
        brain = any(channel.kind in BRAIN for channel in spec.channels)
        config = ConditionConfig(
            # Where nothing calls itself brain, all of it is looked at.
            pick=() if brain else spec.channel_names,
            line_hz=line_hz,
            bad_channels=BadChannelConfig(),
        )
        self._spec, self._conditioner = spec, StreamConditioner(config)
        self._conditioner.open(spec)
        self._qualities: list[Quality] = []
        self._events: list[Event] = []
        self._invalid = np.zeros(spec.n_channels, np.int64)
        self._n_invalid = self._n_samples = 0
        self._first = self._stop = -1
        self._stamps: list[tuple[int, float]] = []
        self._arrived_ns: int | None = None
        self._longest_ns = 0

    def take(self, chunk: Chunk) -> None:
        """Look at what a source delivered."""
        self._events += chunk.events
        if not chunk.samples.shape[1]:
            return
        if self._arrived_ns is not None:
            self._longest_ns = max(self._longest_ns, chunk.arrived_ns - self._arrived_ns)
        self._arrived_ns = chunk.arrived_ns
        self._first = chunk.first_sample if self._first < 0 else self._first
        self._stop = chunk.stop_sample
        self._n_samples += chunk.samples.shape[1]
        known = math.isfinite(chunk.lsl_raw_s)
        stamp_s = chunk.lsl_raw_s if known else chunk.arrived_ns / 1e9
        self._stamps.append((chunk.stop_sample, stamp_s))
        quality = self._conditioner.process(self._made_finite(chunk)).quality
        if quality is not None:
            self._qualities.append(quality)

    def _made_finite(self, chunk: Chunk) -> Chunk:
        """Zeros in place of what is no number: one electrode's must not hide all the others."""
        finite = np.isfinite(chunk.samples)
        if finite.all():
            return chunk
        self._invalid += (~finite).sum(axis=1)
        self._n_invalid += int((~finite).any(axis=0).sum())
        samples = np.where(finite, chunk.samples, 0)
        return Chunk(samples=samples, first_sample=chunk.first_sample, arrived_ns=chunk.arrived_ns)

    def result(self, asked_s: float) -> SignalCheck:
        """Sum up."""
        name, rate_hz = self._spec.name, self._spec.rate_hz
        if not self._n_samples:
            raise SourceUnavailable(
                f"The stream {name!r} is there, but no sample came from it in {asked_s:g} s: "
                f"start the amplifier."
            )
        if not self._qualities:
            raise SourceUnavailable(
                f"Only {self._n_samples / rate_hz:.1f} s of signal came from the stream {name!r}, "
                f"too little to judge it (at least {LEAST_S:g} s without a gap are needed)."
            )
        measured_hz, error_hz = _measured_rate(self._stamps)
        return SignalCheck(
            name=name,
            rate_hz=rate_hz,
            measured_hz=measured_hz,
            rate_error_hz=error_hz,
            seconds=(self._stop - self._first) / rate_hz,
            n_samples=self._n_samples,
            n_lost=self._stop - self._first - self._n_samples,
            n_invalid=self._n_invalid,
            longest_wait_s=self._longest_ns / 1e9,
            channels=tuple(self._channels()),
            events=tuple(self._events),
        )

    def _channels(self) -> Iterator[ChannelCheck]:
        # Scores start at 1 and need a second to become what they are.
        told = self._qualities[1:] or self._qualities
        scores = np.mean([quality.scores for quality in told], axis=0)
        masked = 1 - np.mean([quality.usable for quality in told], axis=0)
        invalid = dict(
            zip(self._spec.channel_names, self._invalid / self._n_samples, strict=True)
        )  # fmt: skip
        for row, name in enumerate(told[0].channels):
            causes = dict.fromkeys(quality.causes[row] for quality in told if quality.causes[row])
            cause = "not a number" if invalid[name] else ", then ".join(causes)
            score = float(scores[row]) * (1 - invalid[name])
            yield ChannelCheck(
                name=name, score=float(score), masked=float(masked[row]), cause=cause
            )


def _measured_rate(stamps: list[tuple[int, float]]) -> tuple[float, float]:
    """Samples per second by least squares over the stamps, with its standard error."""
    if len(stamps) < 4:
        return math.nan, math.nan
    index, stamp_s = (np.array(column, np.float64) for column in zip(*stamps, strict=True))
    index -= index.mean()
    power = float(index @ index)
    period_s = float(index @ stamp_s) / power if power else 0.0
    if not period_s > 0:
        return math.nan, math.nan
    rest: NDArray[np.float64] = stamp_s - stamp_s.mean() - period_s * index
    error_s = math.sqrt(float(rest @ rest) / (len(rest) - 2) / power)
    return 1 / period_s, error_s / period_s**2


def _findings(check: SignalCheck) -> Iterator[Finding]:
    yield _rate(check)
    yield _losses(check)
    yield _stamps(check)
    yield _waits(check)
    if check.n_invalid:
        yield Finding(
            name="numbers",
            ok=False,
            got=f"{check.n_invalid} samples with NaN or infinity",
            advice="Windows that touch them are not decoded: look at the sender's settings.",
        )
    yield _electrodes(check)


def _rate(check: SignalCheck) -> Finding:
    limits = TimelineConfig()
    got = f"says {check.rate_hz:g} Hz"
    if math.isnan(check.measured_hz):
        return Finding(name="rate", ok=None, got=f"{got}; too little came to measure it")
    off = check.measured_hz / check.rate_hz - 1
    ppm = round(1e6 * off)
    unsure = 2 * check.rate_error_hz / check.rate_hz
    got += f", runs at {check.measured_hz:.3f} Hz ({ppm:+d} ppm, error {1e6 * unsure:.0f})"
    if abs(off) > limits.rate_limit + unsure:
        advice = "Nothing would be decoded: check the amplifier's settings."
        return Finding(name="rate", ok=False, got=got, advice=advice)
    if abs(off) > limits.rate_tolerance + unsure:
        advice = "Decoding would go on; check the amplifier's settings."
        return Finding(name="rate", ok=None, got=got, advice=advice)
    return Finding(name="rate", ok=True, got=got)


def _losses(check: SignalCheck) -> Finding:
    if not check.n_lost:
        return Finding(name="losses", ok=True, got=f"none in {check.n_samples} samples")
    gaps = sum(event.kind is EventKind.GAP for event in check.events)
    got = f"{check.n_lost} samples ({check.lost_share:.2%}) in {max(1, gaps)} gaps"
    few = check.lost_share < _LOST_SHARE
    advice = "Use a cable or a free radio channel; no window is cut across a gap."
    return Finding(name="losses", ok=None if few else False, got=got, advice=advice)


def _stamps(check: SignalCheck) -> Finding:
    counts = Counter(event.kind for event in check.events if event.kind in _UNEVEN)
    if not counts:
        return Finding(name="time stamps", ok=True, got="even")
    got = "; ".join(f"{_UNEVEN[kind]} ({n} x)" for kind, n in counts.items())
    newest = next(event for event in reversed(check.events) if event.kind in _UNEVEN)
    return Finding(name="time stamps", ok=None, got=got, advice=newest.text)


def _waits(check: SignalCheck) -> Finding:
    away = [e for e in check.events if e.kind is EventKind.SOURCE_LOST]
    if away:
        advice = "Check cable, radio link and sender."
        return Finding(name="delivery", ok=False, got=away[0].text, advice=advice)
    longest_s = check.longest_wait_s
    fine = longest_s < _PIECE_S + LoopConfig().stale_s
    return Finding(
        name="delivery",
        ok=True if fine else None,
        got=f"at most {longest_s:.2f} s between two deliveries",
        advice="" if fine else "Output would turn neutral meanwhile: see to the link's buffers.",
    )


def _electrodes(check: SignalCheck) -> Finding:
    bad = [one for one in check.channels if one.cause]
    got = f"quality {check.overall:.2f} of 1"
    if check.reasons:
        got += f" ({'; '.join(check.reasons)})"
    if not bad:
        return Finding(name="signal", ok=True, got=got)
    many = len(bad) > _MASKED_SHARE * len(check.channels)
    advice = "See to these electrodes: gel, cable, reference."
    if not many:
        advice += " A session would mask them and go on."
    return Finding(name="signal", ok=False if many else None, got=got, advice=advice)
