"""Error potentials: whether a person takes what was just shown for an error.

About a quarter of a second after feedback that is wrong, fronto-central electrodes show a response
that right feedback lacks [1]_ [2]_. One window behind each piece of feedback is read by itself; its
probability of ``"wrong"`` is what a decoder that adapts to its user can learn from
(`error_probability`).

Markers are ``"feedback:right"`` and ``"feedback:wrong"``, or plain ``"right"`` and ``"wrong"``.
``"feedback"`` alone is decoded as well, and teaches nothing: nobody knows what it was. Where cues
are called ``"right"``, too, as in motor imagery, feedback must carry the prefix, and the plain
names must be taken out of ``window.lock_to``.

References
----------
.. [1] Ferrez, Millán. Error-related EEG potentials generated during simulated brain-computer
   interaction. IEEE Transactions on Biomedical Engineering, 2008.
.. [2] Chavarriaga, Sobolewski, Millán. Errare machinale est: the use of error-related potentials
   in brain-machine interfaces. Frontiers in Neuroscience, 2014.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..runtime.card import Card
from ..runtime.collection import Collected, TrialSpan
from ..runtime.messages import Decision, Marker
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.windows import WindowConfig
from .calibration import platt
from .choosing import Fitted
from .detection_scorer import DetectionScorer
from .linear import LinearAdapter, recalibrated
from .rates import auc
from .scorer import Scorer
from .task import Finished, Task, Way

RIGHT, WRONG = "right", "wrong"
FEEDBACK = "feedback"
SECONDS = 0.8  # after the feedback

SLOW = ConditionConfig(bands_hz=((1.0, 10.0),), order=2, bad_channels=BadChannelConfig())
"""Slow potentials as the amplifier gives them; error potentials end below 10 Hz."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackSpan(TrialSpan):
    """Trials that begin with a piece of feedback and are called after what it was."""

    def label(self, cues: Sequence[Marker], place: int) -> str | None:
        """Right or wrong, if the marker says so."""
        said = cues[place].label.removeprefix(f"{FEEDBACK}:")
        return said if said in self.classes else None


def error_ways(classes: tuple[str, ...]) -> tuple[Way, ...]:
    """Ways to decode a response to feedback."""
    return (
        Way(encoder="evoked_epoch", conditioning=SLOW, classifier="lda"),
        Way(encoder="xdawn", conditioning=SLOW, scale="common"),
    )


def error_probability(decision: Decision) -> float:
    """Probability that the person took the feedback for an error.

    Calibrated on held-out trials, for feedback that is wrong as often as it was in calibration
    (``error_share`` on the card).

    Parameters
    ----------
    decision : Decision
        By a model of this task.

    Returns
    -------
    probability : float
        0 to 1; NaN where nothing was decoded.

    Raises
    ------
    ValueError
        If the decision is another task's.
    """
    if WRONG not in decision.classes:
        raise ValueError(
            f"The decision must know the class {WRONG!r}, it knows {decision.classes}: ask a model "
            f"of the task error_potential."
        )
    return float(decision.probabilities[decision.classes.index(WRONG)])


def _calibrate(fitted: Fitted[Any], parts: Sequence[Collected]) -> Finished:
    """The linear reader with calibrated odds, and how often it is right of each kind."""
    wrong = fitted.trials.classes.index(WRONG)
    real = fitted.trials.labels == WRONG
    margins = fitted.held_out[:, wrong] - fitted.held_out[:, 1 - wrong]
    slope, offset = platt(margins, real)
    offsets = offset * np.eye(2)[wrong]
    learnt = recalibrated(fitted.adapter.to_arrays(), fitted.trials.classes, slope, offsets)
    # A threshold that was found for other probabilities promises nothing.
    config = dataclasses.replace(fitted.adapter.config, abstain_below=0.0, promised_error=0.0)
    adapter = LinearAdapter.from_arrays(config, learnt)
    share = float(real.mean())
    # More probable than errors are on the whole: the evidence itself speaks for an error.
    found = slope * margins + offset > math.log(share / (1 - share))
    sensitivity, specificity = float(found[real].mean()), float(1 - found[~real].mean())
    report = {
        "auc": auc(margins, real),
        "error_share": share,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "served": f"What serves, its odds calibrated, found {sensitivity:.0%} of the errors and "
        f"took {1 - specificity:.0%} of right feedback for one, on left-out trials.",
    }
    return Finished(kind="linear", adapter=adapter, report=report)


def _scorer(card: Card) -> Scorer:
    span = FeedbackSpan(classes=card.classes, start_s=0.0, stop_s=SECONDS)
    return DetectionScorer(span, WRONG)


ERROR_POTENTIAL = Task(
    name="error_potential",
    title="error potential",
    span=FeedbackSpan(classes=(RIGHT, WRONG), start_s=0.0, stop_s=SECONDS),
    window=WindowConfig(
        length_s=SECONDS,
        lock_to=(FEEDBACK, f"{FEEDBACK}:{RIGHT}", f"{FEEDBACK}:{WRONG}", RIGHT, WRONG),
    ),
    ways=error_ways,
    priors="observed",
    feedback={"memory_s": 0.0, "dwell_s": 0.0, "refractory_s": 0.0},
    finish=_calibrate,
    scorer=_scorer,
    simulator={"task": "error", "snr": 8.0},
)
"""Single pieces of feedback, each taken for right or for wrong."""
