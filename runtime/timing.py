"""Markers against what really happened: delay, jitter, drift, and a verdict in words.

A task says "flash" and writes a marker; a photodiode on the screen says when there was light. The
distance between the two, in samples of the same stream, is what every event-locked window is off
by. Its constant part can be corrected, its scatter cannot.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .doctor import Finding
from .errors import ConfigError, RecordingError
from .timing_figures import (
    Drift,
    Spread,
    Step,
    between_steps,
    drift_of,
    robust_sd,
    spread_of,
    steps_of,
)
from .timing_matching import MatchConfig, Matches, match

Times = NDArray[np.float64]

_FEWEST = 10
_NEWEST = 60
_TOLD = 20  # missing and extra ones that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """What is good enough.

    Parameters
    ----------
    bias_ms : float
        Constant delay, either way.
    jitter_ms : float
        Standard deviation once drift and steps are taken out.
    drift_ms : float
        Change of the delay in ten minutes.
    step_ms : float
        Smallest change at once that is reported.
    missing, extra : float
        Share of the markers.
    """

    bias_ms: float = 2.0
    jitter_ms: float = 1.0
    drift_ms: float = 1.0
    step_ms: float = 1.0
    missing: float = 0.01
    extra: float = 0.01

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"The tolerance {name} must be above 0, got {value}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingReport:
    """What a measurement came to.

    Parameters
    ----------
    n_markers, n_onsets, n_pairs : int
        How many of each.
    missing_s : tuple of float
        When the markers without an onset were, in seconds of the stream; the first 20.
    extra_s : tuple of float
        When onsets without a marker were; the first 20.
    n_missing, n_extra : int
        All of them.
    delay : Spread
        Onset minus marker, as it was measured.
    drift : Drift
        How it grew.
    jitter_ms, jitter_mad_ms : float
        Standard deviation, and its robust estimate, once drift and steps are taken out.
    steps : tuple of Step
        Where it changed at once.
    span_s : float
        From the first pair to the last.
    rate_hz : float
        Of the stream.
    even : bool
        Whether the markers came at equal distances.
    fine : bool
        Whether the markers' moments were known to fractions of a sample.
    newest : Spread
        Of the newest 60 delays.
    tolerances : Tolerances
        What is good enough.
    """

    n_markers: int
    n_onsets: int
    n_pairs: int
    missing_s: tuple[float, ...]
    extra_s: tuple[float, ...]
    n_missing: int
    n_extra: int
    delay: Spread
    drift: Drift
    jitter_ms: float
    jitter_mad_ms: float
    steps: tuple[Step, ...]
    span_s: float
    rate_hz: float
    even: bool
    fine: bool
    newest: Spread
    tolerances: Tolerances

    @property
    def ok(self) -> bool:
        """Whether everything is within its tolerance."""
        return all(finding.ok is not False for finding in self.findings())

    @property
    def drift_ms(self) -> float:
        """Change of the delay in ten minutes."""
        return self.drift.ppm * 600 / 1e3

    def findings(self) -> tuple[Finding, ...]:
        """Each figure, whether it is good enough, and what to do if it is not."""
        return (
            self._bias(),
            self._jitter(),
            self._drift(),
            self._steps(),
            *self._counts(),
            *self._doubts(),
        )

    def sentence(self) -> str:
        """The verdict, in words."""
        delay, (low, high) = self.delay, self.delay.median_interval_ms
        told = (
            f"Events are in the signal {abs(delay.median_ms):.2f} ms "
            f"{'after' if delay.median_ms >= 0 else 'before'} their markers (median of {delay.n}, "
            f"95 % interval {low:.2f} to {high:.2f} ms), with a jitter of {self.jitter_ms:.2f} ms."
        )
        bad = [finding.name for finding in self.findings() if finding.ok is False]
        if not bad:
            return f"{told} This is good enough for windows that are locked to events."
        if bad == ["delay"]:
            return (
                f"{told} Only the constant delay is too long, and it can be corrected: save it "
                f"with --save, and name the file in the session."
            )
        return f"{told} Not good enough: {', '.join(bad)}."

    def to_json(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            **asdict(self),
            "drift_ms_in_10_min": self.drift_ms,
            "ok": self.ok,
            "verdict": self.sentence(),
            "findings": [asdict(finding) for finding in self.findings()],
        }

    def _bias(self) -> Finding:
        most = self.tolerances.bias_ms
        ok = abs(self.delay.median_ms) <= most
        return Finding(
            name="delay",
            ok=ok,
            got=f"{self.delay.median_ms:+.2f} ms, allowed are {most:g} ms either way",
            advice="" if ok else "It is constant, so it can be corrected: --save writes it down.",
        )

    def _jitter(self) -> Finding:
        most = self.tolerances.jitter_ms
        ok = self.jitter_ms <= most
        return Finding(
            name="jitter",
            ok=ok,
            got=f"{self.jitter_ms:.2f} ms (robust {self.jitter_mad_ms:.2f}), "
            f"allowed are {most:g} ms",
            advice=""
            if ok
            else "Draw on the vertical refresh, full screen, and write the marker right after it.",
        )

    def _drift(self) -> Finding:
        low, high = self.drift.interval_ppm
        most = self.tolerances.drift_ms
        known = math.isfinite(low)
        # Delays that follow each other are alike, so the interval of a short measurement is too
        # narrow: what did not move by half of what is allowed is not held against anybody.
        small = abs(self.drift_ms) <= most
        bad = known and not small and min(abs(low), abs(high)) * 0.6 > most and low * high > 0
        bad = bad and abs(self.drift.ppm) * self.span_s / 1e3 > most / 2
        return Finding(
            name="drift",
            ok=False if bad else (True if small else None),
            got=f"{self.drift.ppm:+.1f} ppm ({low:+.1f} to {high:+.1f}), "
            f"{self.drift_ms:+.2f} ms in 10 minutes, allowed are {most:g} ms",
            advice=""
            if small
            else (
                "The two clocks run apart: have both streams stamped by one of them."
                if bad
                else "The measurement is too short to tell: measure for longer."
            ),
        )

    def _steps(self) -> Finding:
        told = ", ".join(f"{one.by_ms:+.1f} ms at {one.at_s:.1f} s" for one in self.steps[:5])
        return Finding(
            name="steps",
            ok=not self.steps,
            got=f"{len(self.steps)}: {told}" if self.steps else "none",
            advice="Look what happened then: samples lost unnoticed, or a clock that was set."
            if self.steps
            else "",
        )

    def _counts(self) -> Iterator[Finding]:
        advice = "Check the threshold, the patch's place, and that every flash has its marker."
        for name, count, most in (
            ("missing", self.n_missing, self.tolerances.missing),
            ("extra", self.n_extra, self.tolerances.extra),
        ):
            ok = count <= most * self.n_markers
            what = "markers without an onset" if name == "missing" else "onsets without a marker"
            yield Finding(
                name=name,
                ok=ok,
                got=f"{count} {what}, of {self.n_markers} markers",
                advice="" if ok else advice,
            )

    def _doubts(self) -> Iterator[Finding]:
        if self.even:
            yield Finding(
                name="distances",
                ok=None,
                got="The markers come at equal distances",
                advice="A delay of a whole distance more would look the same: flash unevenly.",
            )
        if not self.fine:
            yield Finding(
                name="resolution",
                ok=None,
                got=f"markers are known to whole samples, {1e3 / self.rate_hz:.2f} ms",
                advice="Jitter below a third of that is the counting's own.",
            )


def analyse(
    markers: Times,
    onsets: Times,
    rate_hz: float,
    *,
    matching: MatchConfig | None = None,
    tolerances: Tolerances | None = None,
    fine: bool = True,
) -> TimingReport:
    """Compare markers with onsets.

    Parameters
    ----------
    markers, onsets : ndarray, shape (n_markers,) and (n_onsets,)
        Stream indices, in fractions of a sample, growing.
    rate_hz : float
        Sampling rate.
    matching : MatchConfig, optional
        How far apart the two may lie.
    tolerances : Tolerances, optional
        What is good enough.
    fine : bool
        Whether the markers' indices have fractions.

    Returns
    -------
    report : TimingReport
        With a verdict.

    Raises
    ------
    RecordingError
        If fewer than ten pairs are found.
    """
    markers_s, onsets_s = np.sort(markers) / rate_hz, np.sort(onsets) / rate_hz
    found = match(markers_s, onsets_s, matching)
    _refuse_few(found, len(markers), len(onsets))
    tolerances = tolerances or Tolerances()
    times_s = markers_s[found.markers]
    delays_s = onsets_s[found.onsets] - times_s
    steps = steps_of(times_s, delays_s, tolerances.step_ms / 1e3)
    parts = between_steps(times_s, steps)
    drift = drift_of(times_s, delays_s, parts)
    left_s = _left(times_s, delays_s, drift, parts)
    return TimingReport(
        n_markers=len(markers),
        n_onsets=len(onsets),
        n_pairs=len(times_s),
        missing_s=tuple(markers_s[found.missing][:_TOLD].tolist()),
        extra_s=tuple(onsets_s[found.extra][:_TOLD].tolist()),
        n_missing=len(found.missing),
        n_extra=len(found.extra),
        delay=spread_of(delays_s),
        drift=drift,
        jitter_ms=float(left_s.std(ddof=1) * 1e3),
        jitter_mad_ms=robust_sd(left_s) * 1e3,
        steps=steps,
        span_s=float(times_s[-1] - times_s[0]),
        rate_hz=rate_hz,
        even=found.even,
        fine=fine,
        newest=spread_of(delays_s[-_NEWEST:]),
        tolerances=tolerances,
    )


def _refuse_few(found: Matches, n_markers: int, n_onsets: int) -> None:
    if len(found.markers) >= _FEWEST:
        return
    raise RecordingError(
        f"Only {len(found.markers)} of {n_markers} markers and {n_onsets} onsets belong together, "
        f"and {_FEWEST} are needed: check that the markers named are those of the flashes, that "
        f"the sensor sees them, and measure for longer."
    )


def _left(times_s: Times, delays_s: Times, drift: Drift, parts: Sequence[slice]) -> Times:
    """What is left of the delays without drift and steps."""
    slope = 0.0 if math.isnan(drift.ppm) else drift.ppm / 1e6
    left: Times = delays_s - slope * (times_s - times_s[0])
    for part in parts:
        if len(left[part]):
            left[part] = left[part] - np.median(left[part])
    return left
