"""What a simulated participant intends, and how feedback changes how well.

Two small models, both open to inspection: `Timeline` says what is cued and intended at every
moment, `Reaction` moves skill and attention. They know nothing of signals.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..runtime.errors import ConfigError
from ..runtime.messages import Marker

REST = "rest"
REWARD = "reward"
REST_S = 2.0  # before every cue
CUE_TO_INTENT_S = 0.5  # people read a cue before they follow it
INTENT_S = 4.0
PAUSE_S = (1.0, 2.0)  # after a trial, drawn evenly, so that nobody can count along
_LONGEST_S = 60.0

FLASH_S = 0.25  # from flash to flash; slow enough to see single responses
FLASHES_A_ROUND = 6  # rows or columns of a speller: one of them is the target
ROUNDS = 10

_TIMELINE_STREAM = 1  # keeps the draws of the timeline apart from those of the signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How quickly cued trials follow each other; flashes have a pace of their own.

    Parameters
    ----------
    rest_s : float
        Before every cue, 0 to 60 s.
    intent_s : float
        For how long the cue is followed, 0.5 to 60 s, beginning half a second after it.
    pause_s : tuple of 2 float
        After a trial, drawn evenly between these, 0 to 60 s.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    rest_s: float = REST_S
    intent_s: float = INTENT_S
    pause_s: tuple[float, float] = PAUSE_S

    def __post_init__(self) -> None:
        shortest, longest = self.pause_s
        if not (
            0 <= self.rest_s <= _LONGEST_S
            and 0.5 <= self.intent_s <= _LONGEST_S
            and 0 <= shortest <= longest <= _LONGEST_S
        ):
            raise ConfigError(
                f"simulator.pace needs rest_s in [0, 60] s, intent_s in [0.5, 60] s and pause_s "
                f"rising within [0, 60] s, got {self.rest_s!r}, {self.intent_s!r} and "
                f"{self.pause_s}: leave them out for {REST_S:g}, {INTENT_S:g} and {PAUSE_S}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One cue and what follows from it.

    Parameters
    ----------
    label : str
        What is cued, and intended between `start_s` and `stop_s`.
    cue_s, start_s, stop_s : float
        Stream time of the cue, and of the start and the end of the intention.
    vigour : float
        How strongly the participant responds in this trial; 1 on average.
    leaning : float
        How much the weaker hemisphere responds in this trial, around 0.
    lateness_s : float
        By how much the evoked response of this trial is late.
    """

    label: str
    cue_s: float
    start_s: float
    stop_s: float
    vigour: float
    leaning: float
    lateness_s: float


class Timeline:
    """Trials without end, drawn as far as somebody asks.

    Parameters
    ----------
    task : str
        A key of `TASK_CLASSES`.
    labels : tuple of str
        Classes of the task.
    rate_hz : float
        Sampling rate, to place markers at samples.
    seed : int
        Same seed, same timeline.
    pace : Pace
        Of cued trials.
    """

    def __init__(
        self,
        task: str,
        labels: tuple[str, ...],
        rate_hz: float,
        seed: int,
        pace: Pace = Pace(),
    ) -> None:
        self._rate_hz, self._pace = rate_hz, pace
        self._rng = np.random.default_rng([seed, _TIMELINE_STREAM])
        self._closes = task != "p300"  # flashes have no end of their own
        self._source = self._flashes() if task == "p300" else self._cues(labels)
        self._trials: list[Trial] = []
        self._starts_s: list[float] = []
        self._tries = task == "neurofeedback"  # all the time, for reward
        self._known_s = math.inf if task in ("rest", "neurofeedback") else 0.0

    def between(self, start_s: float, stop_s: float) -> list[Trial]:
        """Trials whose cue lies in [start_s, stop_s)."""
        self._extend(stop_s)
        low = bisect.bisect_left(self._trials, start_s, key=lambda trial: trial.cue_s)
        high = bisect.bisect_left(self._trials, stop_s, key=lambda trial: trial.cue_s)
        return self._trials[low:high]

    def intended_at(self, time_s: float) -> str:
        """Class intended at a moment; ``"rest"`` when there is none."""
        if self._tries:
            return REWARD
        self._extend(time_s)
        index = bisect.bisect_right(self._starts_s, time_s) - 1
        if index < 0 or time_s >= self._trials[index].stop_s:
            return REST
        return self._trials[index].label

    def busy_at(self, time_s: float) -> bool:
        """Whether a trial asks something of the participant at a moment."""
        self._extend(time_s)
        index = bisect.bisect_right(self._starts_s, time_s) - 1
        return self._tries or (index >= 0 and time_s < self._trials[index].stop_s)

    def markers(self, first: int, stop: int) -> list[Marker]:
        """Cues, and ends of intentions, at samples in [first, stop), without LSL times."""
        # A trial that began before may end here.
        margin_s = CUE_TO_INTENT_S + self._pace.intent_s + 1.0
        found = []
        for trial in self.between(first / self._rate_hz - margin_s, stop / self._rate_hz):
            found.append(Marker(label=trial.label, sample=sample_at(trial.cue_s, self._rate_hz)))
            if self._closes:
                found.append(Marker(label=REST, sample=sample_at(trial.stop_s, self._rate_hz)))
        return [marker for marker in found if first <= marker.sample < stop]

    def _extend(self, until_s: float) -> None:
        """Draw trials until the last known one starts after a moment."""
        while self._known_s <= until_s:
            trial = next(self._source)
            self._trials.append(trial)
            self._starts_s.append(trial.start_s)
            self._known_s = trial.cue_s

    def _cues(self, labels: tuple[str, ...]) -> Iterator[Trial]:
        """Rest, cue, intention, pause; every class twice in each shuffled group."""
        time_s, pace = 0.0, self._pace
        while True:
            for label in self._rng.permutation(labels * 2):
                cue_s = time_s + pace.rest_s
                start_s = cue_s + CUE_TO_INTENT_S
                yield self._trial(str(label), cue_s, start_s, start_s + pace.intent_s)
                time_s = start_s + pace.intent_s + self._rng.uniform(*pace.pause_s)

    def _flashes(self) -> Iterator[Trial]:
        """Rest, then rounds of flashes, one of each round the target."""
        time_s = 0.0
        while True:
            time_s += REST_S
            for _ in range(ROUNDS):
                target = self._rng.integers(FLASHES_A_ROUND)
                for flash in range(FLASHES_A_ROUND):
                    label = "target" if flash == target else "nontarget"
                    yield self._trial(label, time_s, time_s, time_s + FLASH_S)
                    time_s += FLASH_S

    def _trial(self, label: str, cue_s: float, start_s: float, stop_s: float) -> Trial:
        return draw_trial(self._rng, label, cue_s, start_s, stop_s)


def sample_at(time_s: float, rate_hz: float) -> int:
    """Stream index of the first sample at or after a moment.

    Parameters
    ----------
    time_s : float
        Stream time.
    rate_hz : float
        Sampling rate.
    """
    return math.ceil(round(time_s * rate_hz, 6))


def draw_trial(
    rng: np.random.Generator, label: str, cue_s: float, start_s: float, stop_s: float
) -> Trial:
    """Draw how a trial differs from the average one.

    Single trials of one person differ about as much as these spreads say; they, and not the
    noise alone, keep a good decoder from being always right.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws.
    label, cue_s, start_s, stop_s
        See `Trial`.

    Returns
    -------
    trial : Trial
        With vigour, leaning and lateness of its own.
    """
    return Trial(
        label=label,
        cue_s=cue_s,
        start_s=start_s,
        stop_s=stop_s,
        vigour=float(np.clip(rng.normal(1.0, 0.35), 0.0, 1.6)),
        leaning=float(rng.normal(0.0, 0.25)),
        lateness_s=float(np.clip(rng.normal(0.0, 0.025), -0.06, 0.06)),
    )


PATIENCE_S = 3.0  # so much neutral feedback in a row is put up with
FATIGUE_PER_S = 0.03  # then attention sinks so fast
RECOVERY_PER_S = 0.1  # and any feedback brings it back so fast
LOWEST_ATTENTION = 0.3


class Reaction:
    """How feedback changes a participant: the whole model, in three sentences.

    While feedback agrees with the intention, skill moves towards its upper bound by
    ``learning_rate`` of the way a second, and while it disagrees, towards its lower bound.
    Feedback that stays neutral for more than 3 s of trying lowers attention
    by 0.03 a second, down to 0.3, and any other feedback brings it back. Between trials nothing
    changes, and a participant who was never shown any feedback stays as it is.

    It is a caricature of operant learning [1]_, simple enough that every effect in a closed-loop
    test can be traced; it makes no claim about people.

    Parameters
    ----------
    skill : float
        At the start, 0 to 1.
    bounds : tuple of 2 float
        Between these it moves.
    learning_rate : float
        Share of the way moved in one second.

    Attributes
    ----------
    skill, attention : float
        As they are now; their product scales the response to the task.

    References
    ----------
    .. [1] Wolpaw et al. Brain-computer interfaces for communication and control. Clinical
       Neurophysiology, 2002.
    """

    def __init__(self, skill: float, bounds: tuple[float, float], learning_rate: float) -> None:
        self.skill = skill
        self.attention = 1.0
        self._lowest, self._highest = bounds
        self._learning_rate = learning_rate
        self._due: deque[tuple[int, str | None, str | None]] = deque()
        self._shown: tuple[str | None, str | None] | None = None
        self._neutral_s = 0.0

    @property
    def drive(self) -> float:
        """Scale of the response to the task, 0 to 1."""
        return self.skill * self.attention

    def show(self, at_sample: int, label: str | None, asked: str | None) -> None:
        """Take feedback that will be perceived later.

        Parameters
        ----------
        at_sample : int
            First stream index that it may change.
        label : str or None
            What is shown; None is neutral.
        asked : str or None
            Label of the marker it answers; None when it speaks of the moment it is seen.
        """
        self._due.append((at_sample, label, asked))

    def advance(self, sample: int, intended: str | None, length_s: float) -> None:
        """Live through a stretch of time.

        Parameters
        ----------
        sample : int
            Stream index at which the stretch starts.
        intended : str or None
            Class intended in it; None between trials.
        length_s : float
            How long it is, in seconds.
        """
        while self._due and self._due[0][0] <= sample:
            self._shown = self._due.popleft()[1:]
        if self._shown is None or intended is None:
            return
        label, asked = self._shown
        if label is None and (asked or intended) == REST:
            return  # nothing was asked for, and nothing came
        elif label is None:
            self._tire(length_s)
        else:
            self._learn(label == (asked or intended), length_s)

    def _tire(self, length_s: float) -> None:
        """Neutral feedback: patience first, then fatigue."""
        self._neutral_s += length_s
        if self._neutral_s > PATIENCE_S:
            self.attention = max(LOWEST_ATTENTION, self.attention - FATIGUE_PER_S * length_s)

    def _learn(self, right: bool, length_s: float) -> None:
        """Right or wrong feedback: skill goes up or down, attention comes back."""
        self._neutral_s = 0.0
        self.attention = min(1.0, self.attention + RECOVERY_PER_S * length_s)
        bound = self._highest if right else self._lowest
        self.skill += (bound - self.skill) * min(1.0, self._learning_rate * length_s)
