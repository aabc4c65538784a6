"""From what the loop decided to the trials that learners are told."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.messages import Marker, Turn
from ..runtime.prototype_head import Floats
from .trial import ABSTAINED, Trial

MOST_WINDOWS = 512
"""Windows that may wait for the end of their trial: at 20 a second, more than any trial holds."""

SELECTION, CUE, WINDOW = "selection", "cue", "window"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A window that was encoded; one that was refused has probabilities of NaN."""

    values: Floats
    first: int
    stop: int
    locked: bool
    quality: float
    epoch: int
    probabilities: NDArray[np.float64]

    @property
    def decided(self) -> bool:
        return bool(np.isfinite(self.probabilities).all())


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A trial, and what else is known of how it came about.

    Parameters
    ----------
    trial : Trial
        For learners.
    epoch : int
        Of the weights that decided all of it; -1 if they changed in the middle.
    cue : str
        What the task asked for; empty if that is not known.
    """

    trial: Trial
    epoch: int
    cue: str = ""


class TrialMaker:
    """Gathers windows until somebody could call what came of them right or wrong.

    A window that the decoder refused, because it is unlike calibration, belongs to a trial all the
    same, which is then one without a decision: a cap that was put on again is unlike calibration,
    and nobody could learn it otherwise. No selection rests on such a window.

    Sliding windows overlap, and their evidence is not independent; so those of one trial are
    averaged over stretches that overlap no more than their ends do. Windows that are locked to
    markers stay as they are.

    Parameters
    ----------
    classes : tuple of str
        Of the decoder.
    kind : str
        ``"selection"``: a trial ends with a selection, and rests on what came since the one before
        or since the signal was lost. ``"cue"``: it begins with a marker called after a class.
        ``"window"``: each window is one.
    rate_hz : float
        Of the source.
    trial_s : float
        How far back from a selection, or for how long after a cue.
    from_s : float
        From a cue to the first sample that counts.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        kind: str = SELECTION,
        *,
        rate_hz: float,
        trial_s: float = 4.0,
        from_s: float = 0.0,
    ) -> None:
        self._classes = classes
        self._kind = kind
        self._reach = round(trial_s * rate_hz)
        self._from = round(from_s * rate_hz)
        self._waiting: deque[_Seen] = deque(maxlen=MOST_WINDOWS)
        self._cue: Marker | None = None
        self._last = -1

    def mark(self, marker: Marker, at_s: float) -> Made | None:
        """Take a marker of the task; with cues, the next one ends a trial.

        Parameters
        ----------
        marker : Marker
            Any.
        at_s : float
            When it came, in seconds of the loop's clock.

        Returns
        -------
        made : Made or None
            The trial that it ended.
        """
        label = marker.label.rpartition(":")[2]
        if self._kind != CUE or label not in self._classes:
            return None
        ended = self._end_cued(at_s)
        self._cue = marker
        return ended

    def take(self, turn: Turn) -> Made | None:
        """Take a decision.

        Parameters
        ----------
        turn : Turn
            With its embedding; one without ends what a selection could rest on.

        Returns
        -------
        made : Made or None
            The trial that it ended.
        """
        at_s = turn.times.acted_ns / 1e9
        seen = _seen(turn)
        if seen is None:
            if self._kind == SELECTION and turn.embedding is None:
                self._waiting.clear()
            return None
        if self._kind == CUE:
            return self._take_cued(seen, at_s)
        if self._kind == WINDOW:
            return self._made([seen], self._place(turn.decision.label), at_s)
        if seen.decided:
            self._waiting.append(seen)
        if not turn.command.selected:
            return None
        since = seen.stop - self._reach
        rests_on = [one for one in self._drained() if one.first >= since or one is seen]
        return self._made(rests_on, self._place(turn.command.label), at_s)

    def _take_cued(self, seen: _Seen, at_s: float) -> Made | None:
        if self._cue is None:
            return None
        begins = self._cue.sample + self._from
        if seen.stop > self._cue.sample + self._reach:
            return self._end_cued(at_s)
        if seen.first >= begins or (seen.locked and seen.stop > begins):
            self._waiting.append(seen)
        return None

    def _end_cued(self, at_s: float) -> Made | None:
        cue, self._cue = self._cue, None
        windows = self._drained()
        if cue is None or not windows:
            return None
        decoded, decided = [one for one in windows if one.decided], ABSTAINED
        if decoded:
            sums = sum(np.log(np.maximum(one.probabilities, 1e-12)) for one in decoded)
            decided = int(np.argmax(sums))
        # An odd window that was refused is left out; where most were, the signal is another.
        if 2 * len(decoded) >= len(windows):
            windows = decoded
        return self._made(windows, decided, at_s, cue.label.rpartition(":")[2])

    def _made(self, windows: list[_Seen], decided: int, at_s: float, cue: str = "") -> Made | None:
        number = windows[-1].stop
        if number <= self._last:  # a stream that began anew counts on, so this is no new one
            return None
        self._last = number
        trial = Trial.plain(
            number,
            _thinned(windows),
            len(self._classes),
            decided,
            at_s=at_s,
            quality=min(one.quality for one in windows),
        )
        epochs = {one.epoch for one in windows}
        return Made(trial=trial, epoch=epochs.pop() if len(epochs) == 1 else -1, cue=cue)

    def _drained(self) -> list[_Seen]:
        windows = list(self._waiting)
        self._waiting.clear()
        return windows

    def _place(self, label: str | None) -> int:
        return self._classes.index(label) if label in self._classes else ABSTAINED


def _seen(turn: Turn) -> _Seen | None:
    """What is kept of a turn; None if it could not be encoded."""
    decision, embedding = turn.decision, turn.embedding
    if embedding is None:
        return None
    values = np.array(embedding.values, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        return None
    quality = float(embedding.quality)
    return _Seen(
        values,
        decision.first_sample,
        decision.stop_sample,
        decision.marker is not None,
        quality if math.isfinite(quality) else 0.0,
        decision.epoch,
        decision.probabilities,
    )


def _thinned(windows: Iterable[_Seen]) -> NDArray[Any]:
    """Features of windows; those of sliding ones averaged over stretches of a window's length."""
    groups: list[list[_Seen]] = []
    for one in windows:
        begun = groups[-1] if groups else None
        if begun and not one.locked and one.first < begun[0].stop:
            begun.append(one)
        else:
            groups.append([one])
    return np.stack([np.mean([one.values for one in group], axis=0) for group in groups])
