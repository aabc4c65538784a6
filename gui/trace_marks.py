"""What lies beside the signal in time: markers, stretches without a decision, quality as it was."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ..runtime.messages import Chunk, Decision, Marker, StreamSpec, Turn
from ..runtime.quality import Quality
from ..runtime.telemetry import Telegram
from .electrode_state import DOUBTFUL_SCORE

_MOST = 4000  # of each kind: 20 turns a second that alternate for three minutes
_MOST_QUALITIES = 600


class Grade(IntEnum):
    """How good an electrode is, in three words."""

    GOOD = 0
    DOUBTFUL = 1
    BAD = 2


class TraceMarks:
    """Gathered from messages; bounded, the oldest go first."""

    def __init__(self) -> None:
        self.markers: deque[Marker] = deque(maxlen=_MOST)
        """By order of coming."""
        self.abstained: deque[tuple[int, int]] = deque(maxlen=_MOST)
        """Stretches of stream indices, stop exclusive, for which the decoder said nothing."""
        self.causes: tuple[str, ...] = ()
        """What is wrong with each channel now; empty where nothing is."""
        self.n_markers = 0
        """How many there ever were."""
        self.touched: int | None = None
        """The earliest stream index of what came since whoever shows it has set this to None."""
        self._spec: StreamSpec | None = None
        self._decided = -1  # up to where decisions have spoken
        self._forget_quality()

    def take(self, message: Telegram) -> None:
        """Learn from a message.

        Parameters
        ----------
        message : Telegram
            Streams, chunks (for their markers), turns and qualities count.
        """
        match message:
            case StreamSpec() if message != self._spec:
                self._spec = message
                self.forget()
            case Chunk():
                for marker in message.markers:
                    self.markers.append(marker)
                    self.n_markers += 1
                    self._touch(marker.sample)
            case Turn():
                self._take_decision(message.decision)
            case Quality():
                self._take_quality(message)

    def forget(self) -> None:
        """Know nothing but the stream."""
        self.markers.clear()
        self.abstained.clear()
        self._decided = -1
        self._forget_quality()

    @property
    def grades(self) -> NDArray[np.intp]:
        """`Grade` of each channel now, shape (n_channels,)."""
        return self._grades[-1]

    def grades_at(self, samples: NDArray[np.integer]) -> NDArray[np.intp]:
        """`Grade` of each channel, as it was said for moments of the past.

        Parameters
        ----------
        samples : ndarray of int, shape (n_moments,)
            Stream indices.

        Returns
        -------
        grades : ndarray, shape (n_moments, n_channels)
            Rows follow `samples`.
        """
        if len(self._since) == 1:
            return np.broadcast_to(self._grades[0], (len(samples), len(self._grades[0])))
        places = np.searchsorted(self._since, samples, side="right") - 1
        return np.stack(self._grades)[np.maximum(places, 0)]

    def _take_decision(self, decision: Decision) -> None:
        stop = decision.stop_sample
        if stop < 0:
            return
        if stop < self._decided:  # the stream has begun anew
            self._decided = -1
        # A window reaches back over many decisions: the stretch is what was new in this one.
        first = max(decision.first_sample, self._decided) if self._decided >= 0 else stop
        self._decided = stop
        if decision.label is not None or stop <= first:
            return
        self._touch(first)
        if self.abstained and self.abstained[-1][1] == first:
            self.abstained[-1] = (self.abstained[-1][0], stop)
        else:
            self.abstained.append((first, stop))

    def _touch(self, sample: int) -> None:
        self.touched = sample if self.touched is None else min(self.touched, sample)

    def _take_quality(self, quality: Quality) -> None:
        if self._spec is None:
            return
        of = {name: place for place, name in enumerate(quality.channels)}
        places = [of.get(channel.name, -1) for channel in self._spec.channels]
        said_bad = [channel.bad for channel in self._spec.channels]
        self.causes = tuple(
            quality.causes[place] if place >= 0 else _said(bad)
            for place, bad in zip(places, said_bad, strict=True)
        )
        grades = np.array(
            [
                _grade(quality, place) if place >= 0 else Grade.BAD if bad else Grade.GOOD
                for place, bad in zip(places, said_bad, strict=True)
            ]
        )
        if np.array_equal(grades, self._grades[-1]):
            return
        place = bisect_right(self._since, quality.sample)
        self._since[place:], self._grades[place:] = [quality.sample], [grades]
        del self._since[:-_MOST_QUALITIES], self._grades[:-_MOST_QUALITIES]

    def _forget_quality(self) -> None:
        channels = self._spec.channels if self._spec else ()
        self._since = [-1]
        self._grades = [
            np.array([Grade.BAD if c.bad else Grade.GOOD for c in channels], dtype=np.intp)
        ]
        self.causes = tuple(_said(channel.bad) for channel in channels)


def _said(bad: bool) -> str:
    return "said to be bad" if bad else ""


def _grade(quality: Quality, place: int) -> Grade:
    if not quality.usable[place]:
        return Grade.BAD
    doubtful = quality.scores[place] < DOUBTFUL_SCORE or bool(quality.causes[place])
    return Grade.DOUBTFUL if doubtful else Grade.GOOD
