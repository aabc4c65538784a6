"""One stream beside the signal: what has come of it lately, on the loop's time base."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .alignment import Alignment
from .beside_config import BesideConfig
from .messages import Aside, Event, EventKind, Samples, StreamSpec
from .ring import Ring
from .stream_spec import sent_of
from .stretch import Presence, Stretch
from .swarm import Swarm

_ALLOWED_PERIODS, _ALLOWED_S = 2.5, 0.05  # what comes in packets ends before a window does


class SideStream:
    """Keeps the newest samples of a stream with their stamps, and finds them by loop time.

    Everything follows from what `take` is given, so that a replay that gives the same again finds
    the same. Called from the loop's thread.

    Parameters
    ----------
    config : BesideConfig
        What it is for.
    keep_s : float
        How much is kept.
    """

    def __init__(self, config: BesideConfig, keep_s: float) -> None:
        self.config = config
        self.keep_s = keep_s
        self.alignment = Alignment()
        self.spec: StreamSpec | None = None
        self._events: list[Event] = []
        self._told_away = False
        self._watched_since_s = math.nan
        self._swarm = Swarm(60.0, 3600.0)
        self._rows: NDArray[np.intp] | None = None
        self._begun = 0  # what is older has other stamps than what is newer
        self._floor_s = -math.inf

    def take(self, aside: Aside) -> None:
        """Take in rows that have come.

        Parameters
        ----------
        aside : Aside
            Of this stream.
        """
        if aside.spec is not None:
            self._begin(aside.spec)
        if self.spec is None or not len(aside.rows.stamps_s):
            return
        rows = aside.rows
        offset_s = rows.offset_s if self.spec.measured else math.nan
        self.alignment.hear(float(rows.stamps_s[-1]), aside.arrived_ns / 1e9, offset_s)
        for step_s in self.alignment.take_steps():
            self._step(step_s)
        # A stamp that goes back a little is jitter; what lies in the ring has to be in order.
        stamps_s = np.maximum.accumulate(np.maximum(rows.stamps_s, self._floor_s))
        self._floor_s = float(stamps_s[-1])
        block = np.empty((len(self._sent.microvolts) + 1, len(stamps_s)))
        block[0], block[1:] = stamps_s, self._sent.to_microvolts(rows.values)
        self._ring.write(block, self._ring.stop)

    def watch(self, now_s: float) -> None:
        """Tell people if the stream has gone, or is back.

        Parameters
        ----------
        now_s : float
            Loop time to which the signal has come.
        """
        if math.isnan(self._watched_since_s):
            self._watched_since_s = now_s
        behind_s = now_s - max(self.newest_s(), self._watched_since_s)
        if not self._told_away and behind_s > self.config.stale_s:
            if self._swarm.admit(now_s, 1):
                self._told_away = True
                self._tell(
                    EventKind.MASKED,
                    f"The stream {self.config.role!r} beside the signal has brought nothing for "
                    f"{self.config.stale_s:g} s: it is masked, and nothing waits for it.",
                )
        elif self._told_away and behind_s <= self.config.stale_s:
            self._told_away = False
            text = f"The stream {self.config.role!r} beside the signal is there again."
            self._tell(EventKind.MASKED, text)

    def newest_s(self) -> float:
        """Loop time of its newest sample; minus infinity where nothing has come."""
        if math.isinf(self._floor_s):
            return -math.inf
        loop_s = self.alignment.to_loop(np.array([self._floor_s]))
        return float(loop_s[0]) - self.config.delay_s

    def values_at(self, loop_s: NDArray[np.float64]) -> tuple[Samples, NDArray[np.bool_]]:
        """The appended channels at given moments, from what has come by now.

        Parameters
        ----------
        loop_s : ndarray of float64, shape (n_times,)
            Loop time, growing.

        Returns
        -------
        values : ndarray, shape (n_appended, n_times)
            Zero where nothing is known.
        good : ndarray of bool, shape (n_times,)
            Whether they are.
        """
        values = np.zeros((len(self.config.append), len(loop_s)))
        nothing = np.zeros(len(loop_s), bool)
        held = self._held()
        if self._rows is None or not held.shape[1] or not len(loop_s):
            return values, nothing
        at_s = self.alignment.to_stamps(loop_s + self.config.delay_s)
        place = np.searchsorted(held[0], at_s, side="right") - 1
        known = place >= 0
        place = np.maximum(place, 0)
        good = known & (at_s - held[0][place] <= self.config.stale_s)
        for row, channel in enumerate(self._rows):
            source = held[channel + 1]
            linear = self.config.fill == "linear"
            values[row] = np.interp(at_s, held[0], source) if linear else source[place]
        good &= np.isfinite(values).all(axis=0)
        values[:, ~good] = 0.0
        return values, good

    def over(self, first_s: float, last_s: float) -> Stretch:
        """Its own samples in a stretch of loop time.

        Parameters
        ----------
        first_s, last_s : float
            Loop time of the first and the last sample of a window.

        Returns
        -------
        stretch : Stretch
            What has come by now; may be empty.
        """
        held = self._held()
        stamps_s = held[0].astype(np.float64, copy=False)
        bounds_s = np.array([first_s, last_s]) + self.config.delay_s
        low, high = self.alignment.to_stamps(bounds_s)
        begin = int(np.searchsorted(stamps_s, low, side="left"))
        end = int(np.searchsorted(stamps_s, high, side="right"))
        loop_s = self.alignment.to_loop(stamps_s[begin:end]) - self.config.delay_s
        newest_s = self.newest_s()
        return Stretch(
            role=self.config.role,
            presence=self._presence(newest_s, last_s),
            samples=held[1:, begin:end],
            at_s=loop_s - first_s,
            known_s=newest_s - first_s,
        )

    def take_events(self) -> tuple[Event, ...]:
        """What was noticed since the last call."""
        events, self._events = tuple(self._events), []
        return events

    def _begin(self, spec: StreamSpec) -> None:
        self.spec = spec
        self._sent = sent_of(spec)
        self._ring = Ring(spec.n_channels + 1, max(64, round(self.keep_s * spec.rate_hz)))
        missing = [name for name in self.config.append if name not in spec.channel_names]
        if missing:
            self._tell(
                EventKind.MASKED,
                f"The stream {self.config.role!r} has no channel {', '.join(missing)}, so its rows "
                f"stay masked; it has {', '.join(spec.channel_names)}.",
            )
        elif self.config.append:
            found = [spec.channel_names.index(name) for name in self.config.append]
            self._rows = np.array(found)

    def _held(self) -> Samples:
        """All that is kept and of one clock, stamps in row 0."""
        if self.spec is None:
            return np.empty((1, 0))
        ring = self._ring
        return ring.view(max(self._begun, ring.stop - ring.capacity), ring.stop)

    def _presence(self, newest_s: float, last_s: float) -> Presence:
        if self.spec is None or math.isinf(newest_s):
            return Presence.MISSING
        behind_s = last_s - newest_s
        if behind_s > self.config.stale_s:
            return Presence.STALE
        late = behind_s > max(_ALLOWED_PERIODS / self.spec.rate_hz, _ALLOWED_S)
        return Presence.LATE if late else Presence.PRESENT

    def _step(self, step_s: float) -> None:
        self._begun, self._floor_s = self._ring.stop, -math.inf
        self._tell(
            EventKind.CLOCK_STEP,
            f"The clock of the stream {self.config.role!r} stepped by {step_s:+.3f} s, or it takes "
            f"that much less time to come here; it is on the loop's time again.",
        )

    def _tell(self, kind: EventKind, text: str) -> None:
        self._events.append(Event(kind=kind, text=text))
