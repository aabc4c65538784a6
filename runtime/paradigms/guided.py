"""A guided calibration: which trial comes next, whether it counts, and when enough is known.

Blocks of cued trials, classes balanced and in random order. A trial whose signal was bad is asked
for again, later. At the end of a block somebody may tell how many cross-validated trials are
right, and the calibration ends early if that settles the matter: an interval for the accuracy
[1]_ that is narrow enough, or lies on one side of what the task needs. Looking several times
gives chance several chances, so each look gets an equal share of the doubt that is allowed.

There is no clock here and no device: whoever runs it shows each phase of a trial at its time, puts
the phase's marker into the stream, and judges the trial afterwards. The same seed and the same
judgements give the same calibration.

References
----------
.. [1] Wilson. Probable inference, the law of succession, and statistical inference. J. Am. Stat.
   Assoc., 1927.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from .guided_outcome import SENTENCES, TOO_FEW, Ended, GuidedSummary, GuidedVerdict, wilson
from .guided_plan import (
    MOST_IN_A_ROW,
    GuidedPhase,
    GuidedPlan,
    GuidedTrial,
    TrialLimits,
    TrialQuality,
)


def shuffled(rng: np.random.Generator, counts: dict[str, int]) -> list[str] | None:
    """So many of each class in random order, none more often in a row than is allowed.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws.
    counts : dict of str to int
        Trials of each class.

    Returns
    -------
    labels : list of str or None
        None if no order was found, as where there is only one class.
    """
    for _ in range(100):  # a draw fails one time in three for two classes of 20
        left, order = Counter(counts), list[str]()
        while left.total():
            full = order[-MOST_IN_A_ROW:]
            blocked = full[0] if len(full) == MOST_IN_A_ROW and len(set(full)) == 1 else None
            open_to = [name for name in counts if left[name] and name != blocked]
            if not open_to:
                break
            weights = np.array([left[name] for name in open_to], dtype=np.float64)
            order.append(str(rng.choice(open_to, p=weights / weights.sum())))
            left[order[-1]] -= 1
        else:
            return order
    return None


class GuidedCalibration:
    """Asks for trials, judges them, and says when it is over.

    Parameters
    ----------
    plan : GuidedPlan
        What was chosen.
    seed : int
        Order and rests follow from it.
    limits : TrialLimits, optional
        What a good trial is.

    Examples
    --------
    >>> guided = GuidedCalibration(GuidedPlan(trials_per_class=2), seed=1)
    >>> while (trial := guided.next_trial()) is not None:
    ...     verdict = guided.judge(trial, TrialQuality())
    >>> guided.summary().kept
    {'left': 2, 'right': 2}
    """

    def __init__(self, plan: GuidedPlan, seed: int = 0, limits: TrialLimits | None = None) -> None:
        self.plan, self._limits = plan, limits or TrialLimits()
        self._rng = np.random.default_rng(seed)
        self._ahead: list[tuple[int, str]] = []  # slots and labels of this block
        self._later: list[tuple[int, str]] = []  # bad ones that found no place in their block
        self._attempts: Counter[int] = Counter()
        self._kept: Counter[str] = Counter()
        self._n_planned = self._given_up = self._asked = self._block = 0
        self._shown: list[str] = []  # labels since the last pause
        self._pause = False
        self._spent_s = 0.0
        self._trial: GuidedTrial | None = None
        self._told = (0, 0)
        self._ended: Ended | Literal[""] = ""

    @property
    def ended(self) -> Ended | Literal[""]:
        """Why it ended; empty while it goes on."""
        return self._ended

    @property
    def at_a_check(self) -> bool:
        """Whether a block is over and there are enough trials for an accuracy to be told."""
        fewest = min(self._kept[name] for name in self.plan.classes)
        idle = self._trial is None and not self._ended and not self._ahead
        return idle and fewest >= min(self.plan.first_check, self.plan.first_give_up)

    def next_trial(self) -> GuidedTrial | None:
        """What is to be shown now.

        Returns
        -------
        trial : GuidedTrial or None
            The same until it has been judged; None when the calibration has ended.
        """
        if self._ended or self._trial is not None:
            return self._trial
        if not self._ahead and not self._begin_block():
            self._ended = "given up" if self._given_up else "complete"
            return None
        self._break_a_run()
        slot, label = self._ahead[0]
        trial = self._make(slot, label)
        if self._spent_s + trial.length_s > self.plan.max_s:
            self._ended = "time"
            return None
        self._ahead.pop(0)
        self._shown.append(label)
        self._pause, self._trial = False, trial
        return trial

    def judge(self, trial: GuidedTrial, quality: TrialQuality) -> GuidedVerdict:
        """Say how a trial went.

        Parameters
        ----------
        trial : GuidedTrial
            The one that `next_trial` gave.
        quality : TrialQuality
            Of its signal.

        Returns
        -------
        verdict : GuidedVerdict
            Kept, to be repeated, or given up.

        Raises
        ------
        ValueError
            If another trial is on, or none.
        """
        if self._trial is None or trial != self._trial:
            raise ValueError(f"Trial {trial.number} is not on: judge the one from next_trial.")
        self._trial = None
        self._asked += 1
        self._spent_s += trial.length_s
        self._attempts[trial.slot] += 1
        complaint = self._limits.complaint(quality)
        if not complaint:
            self._kept[trial.label] += 1
            return GuidedVerdict(kept=True, repeat=False, sentence=f"Trial {trial.number}: good.")
        if self._attempts[trial.slot] > self.plan.max_repeats:
            self._given_up += 1
            told = f"Trial {trial.number} is left out: {complaint}. It was bad too often."
            return GuidedVerdict(kept=False, repeat=False, sentence=told)
        self._again(trial.slot, trial.label)
        told = f"Trial {trial.number} does not count: {complaint}. It comes again later."
        return GuidedVerdict(kept=False, repeat=True, sentence=told)

    def tell(self, n_right: int, n_judged: int) -> Ended | Literal[""]:
        """Tell how many trials are right when held out, and end if that settles it.

        Parameters
        ----------
        n_right, n_judged : int
            Of the trials kept so far, each judged by a decoder that has not seen it.

        Returns
        -------
        ended : str
            Why it ended now, or empty: it goes on. A tell between two checks is noted only.

        Raises
        ------
        ValueError
            If the numbers cannot be.
        """
        if not 0 <= n_right <= n_judged <= sum(self._kept.values()):
            raise ValueError(
                f"Of {sum(self._kept.values())} kept trials {n_right} of {n_judged} cannot be "
                f"right: count trials, not windows."
            )
        if self._ended:
            return ""
        self._told = (n_right, n_judged)
        # When all trials are there nothing is left to be saved.
        if self.at_a_check and (self._later or self._n_planned < self.plan.n_trials):
            self._ended = self._settled()
        return self._ended

    def stop(self) -> None:
        """End at once, by somebody's wish; the trial that is on does not count."""
        if not self._ended:
            self._ended, self._trial = "stopped", None

    def summary(self) -> GuidedSummary:
        """What has come of it so far."""
        kept = {name: self._kept[name] for name in self.plan.classes}
        sentence, next_step = SENTENCES[self._ended] if self._ended else ("It goes on.", "")
        if self._ended and min(kept.values()) < 2:
            next_step = TOO_FEW
        return GuidedSummary(
            kept=kept,
            asked=self._asked,
            repeats=self._asked - len(self._attempts),
            given_up=self._given_up,
            spent_s=self._spent_s,
            ended=self._ended,
            n_right=self._told[0],
            n_judged=self._told[1],
            interval=self._interval(),
            sentence=sentence,
            what_next=next_step,
        )

    def _interval(self) -> tuple[float, float]:
        return wilson(*self._told, 1 - (1 - self.plan.confidence) / self.plan.n_looks)

    def _settled(self) -> Ended | Literal[""]:
        low, high = self._interval()
        fewest = min(self._kept[name] for name in self.plan.classes)
        if fewest >= self.plan.first_check and low >= self.plan.needed_accuracy:
            return "enough"
        if fewest >= self.plan.first_give_up and high < self.plan.needed_accuracy:
            return "below"
        if fewest >= self.plan.first_check and (high - low) / 2 <= self.plan.narrow:
            return "known"
        return ""

    def _begin_block(self) -> bool:
        """Fill the next block with planned trials, or with what is left to repeat."""
        planned = self.plan.n_trials - self._n_planned
        per_class = min(self.plan.block_per_class, planned // len(self.plan.classes))
        if per_class:
            labels = shuffled(self._rng, dict.fromkeys(self.plan.classes, per_class))
            slots = range(self._n_planned, self._n_planned + per_class * len(self.plan.classes))
            # The classes of a plan are balanced, so an order is always found.
            self._ahead = list(zip(slots, labels or (), strict=True))
            self._n_planned = slots.stop
        elif self._later:
            self._ahead, self._later = self._later, []
            self._rng.shuffle(self._ahead)
        else:
            return False
        self._pause = self._block > 0
        self._block += 1
        if self._pause:
            self._shown = []
        return True

    def _break_a_run(self) -> None:
        """Let a pause come where repetitions would otherwise make a run too long."""
        if _too_long([*self._shown[-MOST_IN_A_ROW:], self._ahead[0][1]]):
            self._shown, self._pause = [], True

    def _again(self, slot: int, label: str) -> None:
        """Find a place for a bad trial: later in its block, not at once, in no long run."""
        places = [
            place
            for place in range(1, len(self._ahead) + 1)
            if not _too_long(
                [
                    *self._shown,
                    *(name for _, name in self._ahead[:place]),
                    label,
                    *(name for _, name in self._ahead[place:]),
                ]
            )
        ]
        if places:
            self._ahead.insert(int(self._rng.choice(places)), (slot, label))
        else:
            self._later.append((slot, label))

    def _make(self, slot: int, label: str) -> GuidedTrial:
        plan, attempt = self.plan, self._attempts[slot] + 1
        rest_s = float(self._rng.uniform(*plan.rest_s))
        parts = [("rest", rest_s, "", "Rest, and look at the cross.")]
        if self._pause:
            text = "Pause. Move, blink, stretch."
            parts.insert(0, ("pause", plan.pause_s, "pause", text))
        said = plan.said(label)
        parts += [("cue", plan.cue_s, label, said), ("trial", plan.trial_s, "", said)]
        parts.append(("end", 0.0, plan.end_marker, "Rest."))
        return GuidedTrial(
            number=self._asked + 1,
            slot=slot,
            label=label,
            block=self._block,
            attempt=attempt,
            phases=_in_time(parts),
            staff=self._staff(label, attempt),
        )

    def _staff(self, label: str, attempt: int) -> str:
        good = sum(self._kept.values())
        text = f"{label}; {good} of {self.plan.n_trials} trials are good; block {self._block}"
        text += "" if attempt == 1 else f"; repetition {attempt - 1} of a bad trial"
        return text + ("; a pause comes first." if self._pause else ".")


def _in_time(parts: Sequence[tuple[str, float, str, str]]) -> tuple[GuidedPhase, ...]:
    """Kind, length, marker and instruction of each part, one after the other."""
    found, at_s = [], 0.0
    for kind, length_s, marker, text in parts:
        found.append(
            GuidedPhase(
                kind=kind, start_s=at_s, stop_s=at_s + length_s, marker=marker, instruction=text
            )
        )
        at_s += length_s
    return tuple(found)


def _too_long(labels: Sequence[str]) -> bool:
    """Whether a class stands too often in a row somewhere."""
    size = MOST_IN_A_ROW + 1
    return any(len(set(labels[i : i + size])) == 1 for i in range(len(labels) - size + 1))
