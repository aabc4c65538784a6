"""Watches the raw signal beside the chain, and tells the chain what to leave out.

It gathers blocks into steps. A whole step is shown to everybody who looks for something, one after
the other with each block that follows, so that no single piece of signal waits for all of them;
what they find holds from the next block on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..conditioned import Shut
from ..errors import BundleError, ConfigError
from ..messages import Event, EventKind, Marker, Samples, StreamSpec
from ..quality import Quality
from .asr import Asr
from .bad_channels import BadChannels
from .blanking import Blanker
from .chain import Chain
from .cleaning import Projection, muscle_band_hz, muscle_index, share_changed
from .condition_config import ConditionConfig
from .monitors import Finding, Monitor
from .ripples import RippleGuard
from .seizures import SeizureGuard
from .spikes import SpikeGuard

Floats = NDArray[np.float64]
Look = Callable[[], None]

SHUT_FOR = {
    EventKind.SPIKE: "research guard: the window touches spike-like activity",
    EventKind.BLANKED: "the window touches a stimulation pulse",
}
_QUALITY_S = 1.0
_CHANGED_S = 1.0  # a blink is most of what happens while it lasts, and not of what a window holds


class Overseer:
    """Bad electrodes, research guards, blanking and artefact removal for one stream.

    Parameters
    ----------
    config : ConditionConfig
        What to look for.
    arrays : mapping of str to ndarray
        What artefact removal has learnt.
    picked : StreamSpec
        The channels that were picked.
    chain : Chain
        What is told which channels to use, and how to clean them.
    step : int
        Samples from one look to the next, a multiple of the chain's block.
    """

    def __init__(
        self,
        config: ConditionConfig,
        arrays: Mapping[str, NDArray[np.floating]],
        picked: StreamSpec,
        chain: Chain,
        step: int,
    ) -> None:
        self._config, self._picked, self._chain = config, picked, chain
        self._names = picked.channel_names
        self._filling, self._whole = np.zeros((2, picked.n_channels, step), np.float32)
        self._filled = 0
        self._stop = self._now = 0  # one past the whole step; one past the newest block
        self._wanted = np.array([not channel.bad for channel in picked.channels])
        self._usable = self._wanted
        self._bad = None
        if config.bad_channels:
            self._bad = BadChannels(config.bad_channels, picked, step, config.line_hz)
        self._monitors = _monitors(config, picked, step)
        self._blanker = Blanker(config.blanking, picked) if config.blanking else None
        self._cleaner = (
            Cleaner(config, arrays, picked.n_channels, step / picked.rate_hz)
            if config.clean
            else None
        )
        self._steps_until_quality = self._steps_a_quality = max(
            1, round(_QUALITY_S * picked.rate_hz / step)
        )
        self._masks: list[tuple[int, NDArray[np.bool_]]] = []
        self._shut: list[Shut] = []
        self._events: list[Event] = []
        self._quality: Quality | None = None
        if self._cleaner or not self._wanted.all():
            self._mix()
        self._leave_out_unwanted()
        self._scalp = _scalp_rows(picked)
        self._second: deque[Samples] = deque(maxlen=self._steps_a_quality)
        lookers = [self._look_for_bad, *map(self._look_with, self._monitors), self._sum_up]
        self._turns = _by_turns(lookers, step // chain.n_times)
        self._due: list[tuple[Look, ...]] = []

    @property
    def idle(self) -> bool:
        """Whether there is nothing to look for."""
        return not (self._bad or self._monitors or self._cleaner)

    def restart(self, first_sample: int) -> None:
        """Samples were lost before this one."""
        self._filled, self._now = 0, first_sample
        self._due = []
        self._second.clear()
        for part in (self._bad, *self._monitors, self._blanker, self._cleaner):
            if part:
                part.restart()

    def take_said(self) -> dict[str, Any]:
        """What there is to say since the last time, as fields of `Conditioned`."""
        said = {
            "masks": tuple(self._masks),
            "shut": tuple(self._shut),
            "events": tuple(self._events),
            "quality": self._quality,
        }
        self._masks, self._shut, self._events, self._quality = [], [], [], None
        return said

    def blank(self, samples: Samples, first_sample: int, markers: Sequence[Marker]) -> Samples:
        """Leave stimulation pulses out of new samples, and remember where they were.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, n_times)
            Picked channels.
        first_sample : int
            Source stream index of the first of them.
        markers : sequence of Marker
            What came with them.

        Returns
        -------
        samples : ndarray, shape (n_channels, n_times)
            The same, if there is no pulse in them.
        """
        if not self._blanker:
            return samples
        for marker in markers:
            if self._config.blanking and marker.label in self._config.blanking.labels:
                text = f"A stimulation pulse ({marker.label}): what it touches is left out."
                self._say(EventKind.BLANKED, text, 1, marker.sample)
            late = self._blanker.announce(marker.sample, marker.label)
            if late:
                self._shut_for(EventKind.BLANKED, *late)
        samples, spans = self._blanker.apply(samples, first_sample)
        for span in spans:
            self._shut_for(EventKind.BLANKED, *span)
        return samples

    def take_in(self, block: Floats) -> None:
        """Add a full block, and look at the step before it.

        Parameters
        ----------
        block : ndarray, shape (n_channels, n_times)
            Raw picked channels.
        """
        if self.idle:
            return
        stop = self._filled + block.shape[1]
        self._filling[:, self._filled : stop] = block
        self._filled = stop
        self._now += block.shape[1]
        if stop == self._filling.shape[1]:
            self._filling, self._whole = self._whole, self._filling
            self._stop, self._filled = self._now, 0
            self._due = list(self._turns)
        if self._due:
            for look in self._due.pop(0):
                look()

    def _look_for_bad(self) -> None:
        if self._bad and self._bad.look(self._whole, self._first):
            self._remask(self._bad)

    def _look_with(self, monitor: Monitor) -> Look:
        def look() -> None:
            for finding in monitor.look(self._whole, self._first, self._usable):
                self._report(finding)

        return look

    def _sum_up(self) -> None:
        if self._cleaner and self._cleaner.look(self._whole, self._first, self._usable):
            self._mix(fade=True)
        self._check_changed()
        if self._bad and len(self._scalp):
            self._second.append(self._whole[self._scalp])
        self._steps_until_quality -= 1
        if not self._steps_until_quality:
            self._steps_until_quality = self._steps_a_quality
            self._quality = self._judge()

    @property
    def _first(self) -> int:
        """Source index of the first sample of the whole step."""
        return self._stop - int(self._whole.shape[1])

    def _leave_out_unwanted(self) -> None:
        """What a person has called bad is masked from the first sample on."""
        if not self._wanted.all():
            self._masks.append((0, self._chain.usable(self._wanted)))
            named = [self._names[row] for row in np.flatnonzero(~self._wanted)]
            text = f"{', '.join(named)} {'is' if len(named) == 1 else 'are'} masked: called bad."
            self._say(EventKind.BAD_CHANNEL, text, len(named))

    def _remask(self, bad: BadChannels) -> None:
        was, now = self._usable, bad.usable & self._wanted
        self._usable = now
        self._mix()
        at = self._chain.pace.conditioned(self._now)
        self._masks.append((at, self._chain.usable(now)))
        for rows, what in ((was & ~now, "masked"), (now & ~was, "used again")):
            if rows.any():
                named = [_with_cause(self._names[r], bad.causes[r]) for r in np.flatnonzero(rows)]
                text = f"{', '.join(named)} {'is' if len(named) == 1 else 'are'} {what}."
                self._say(EventKind.BAD_CHANNEL, text, len(named))

    def _mix(self, *, fade: bool = False) -> None:
        cleaner = self._cleaner.matrix(self._usable) if self._cleaner else None
        self._chain.mix(self._usable, cleaner, fade=fade)

    def _report(self, finding: Finding) -> None:
        count = len(finding.rows)
        self._say(finding.kind, finding.text, count, finding.first)
        if finding.kind in SHUT_FOR:
            self._shut_for(finding.kind, finding.first, finding.stop)

    def _check_changed(self) -> None:
        if self._cleaner and self._cleaner.changed > self._config.max_changed:
            share = self._cleaner.changed
            text = (
                f"artefact removal changed {share:.0%} of the signal's variance, more than the "
                f"{self._config.max_changed:.0%} that are allowed"
            )
            pace = self._chain.pace
            first, stop = pace.conditioned(self._first), pace.conditioned(self._stop)
            self._shut.append(Shut(first=first, stop=stop, reason=text))
            self._say(EventKind.CLEANED, f"{text[0].upper()}{text[1:]}.", 1)

    def _shut_for(self, kind: EventKind, first: int, stop: int) -> None:
        pace = self._chain.pace
        span = pace.conditioned(max(0, first)), pace.conditioned(stop)
        self._shut.append(Shut(first=span[0], stop=span[1], reason=SHUT_FOR[kind]))

    def _say(self, kind: EventKind, text: str, count: int, sample: int | None = None) -> None:
        at = self._stop if sample is None else sample
        self._events.append(Event(kind=kind, text=text, sample=at, count=count))

    def _judge(self) -> Quality | None:
        if not self._bad:
            return None
        return Quality(
            channels=self._names,
            scores=self._bad.scores.astype(np.float32),
            causes=self._bad.causes,
            usable=self._usable,
            changed=self._cleaner.changed if self._cleaner else 0.0,
            muscle=self._muscle(),
            sample=self._stop,
        )

    def _muscle(self) -> float:
        if 2 * len(self._second) < self._steps_a_quality:
            return 0.0  # just after a gap: half a second is needed to hear muscle
        second = np.concatenate(self._second, axis=1)
        index = muscle_index(second, self._picked.rate_hz, self._config.line_hz)
        known = index[np.isfinite(index) & self._usable[self._scalp]]
        return float(np.median(known)) if len(known) else 0.0


class Cleaner:
    """Line and eye projections, and the adaptive reconstruction, as one matrix.

    Parameters
    ----------
    config : ConditionConfig
        Which are wanted.
    arrays : mapping of str to ndarray
        What was fitted, ``"line.…"``, ``"eye.…"`` and ``"asr.…"``.
    n_channels : int
        Rows that were picked.
    step_s : float
        From one look to the next.

    Raises
    ------
    BundleError
        If something was not fitted, or on another number of channels.

    Attributes
    ----------
    changed : float
        Share of the variance of about the last second that is taken out; 1 where more is disturbed
        than may be taken out.
    """

    def __init__(
        self,
        config: ConditionConfig,
        arrays: Mapping[str, NDArray[np.floating]],
        n_channels: int,
        step_s: float,
    ) -> None:
        fixed = [name for name in ("line", "eye") if name in config.clean]
        self._fixed = [Projection.from_arrays(arrays, f"{name}.") for name in fixed]
        self._asr = Asr.from_arrays(arrays, "asr.") if "asr" in config.clean else None
        self._check(n_channels)
        self._adaptive = np.eye(n_channels)
        self._now = self._adaptive
        self._power = np.zeros((n_channels, n_channels))
        self._memory = math.exp(-step_s / _CHANGED_S)
        self.changed = 0.0

    def restart(self) -> None:
        """Samples were lost."""
        if self._asr:
            self._asr.restart()
        self._power[:] = 0
        self.changed = 0.0

    def matrix(self, usable: NDArray[np.bool_]) -> Floats:
        """All of them, in order, for these channels, shape (n_channels, n_channels)."""
        matrix = np.eye(len(usable))
        for projection in self._fixed:
            matrix = projection.matrix(usable) @ matrix
        adaptive = self._adaptive
        if not usable.all():
            # It was made before the newest mask, and must not mix what that leaves out into others.
            adaptive = np.where(np.outer(usable, usable), adaptive, np.eye(len(usable)))
        self._now = adaptive @ matrix
        return self._now

    def look(self, samples: Samples, first_sample: int, usable: NDArray[np.bool_]) -> bool:
        """Take the next step; tell whether the matrix is another one now."""
        centred = samples - samples.mean(axis=1, keepdims=True, dtype=np.float64)
        self._power *= self._memory
        self._power += centred @ centred.T
        good = np.ix_(usable, usable)
        share = share_changed(self._now[good], self._power[good])
        self.changed = 0.0 if math.isnan(share) else share  # of silence, nothing is changed
        if not self._asr:
            return False
        was, self._adaptive = self._adaptive, self._asr.look(samples, first_sample, usable)
        if self._asr.n_over > self._asr.n_removed:
            self.changed = 1.0  # more is disturbed than may be taken out
        return self._adaptive is not was

    def _check(self, n_channels: int) -> None:
        fitted: list[Projection | Asr] = [*self._fixed, *([self._asr] if self._asr else [])]
        for part in fitted:
            if part.n_channels != n_channels:
                raise BundleError(
                    f"Artefact removal was fitted on {part.n_channels} channels, and {n_channels} "
                    f"are picked: fit the model again."
                )


def _scalp_rows(picked: StreamSpec) -> NDArray[np.intp]:
    """Where muscle is listened for; nowhere, if the rate is too low to hear it."""
    try:
        muscle_band_hz(picked.rate_hz)
    except ConfigError:
        return np.zeros(0, np.intp)
    return np.flatnonzero([channel.kind == "eeg" for channel in picked.channels])


def _by_turns(lookers: Sequence[Look], n_turns: int) -> list[tuple[Look, ...]]:
    """Who looks with which block behind a step: as few at once as there are blocks for."""
    shares = np.array_split(np.arange(len(lookers)), min(n_turns, len(lookers)))
    return [tuple(lookers[place] for place in share) for share in shares]


def _monitors(config: ConditionConfig, picked: StreamSpec, step: int) -> list[Monitor]:
    """The research guards; they look at raw signal, so they have to know the mains, too."""
    asked: tuple[tuple[Any, Any], ...] = (
        (config.spikes, SpikeGuard),
        (config.seizures, SeizureGuard),
        (config.ripples, RippleGuard),
    )
    return [
        guard(replace(own, line_hz=own.line_hz or config.line_hz), picked, step)
        for own, guard in asked
        if own
    ]


def _with_cause(name: str, cause: str) -> str:
    return f"{name} ({cause})" if cause else name
