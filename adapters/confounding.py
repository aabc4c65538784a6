"""Classes that other recordings lack: what tells recordings apart passes for decoding.

Every recording has something of its own: impedances, drowsiness, how the cap sat. Where a class
is missing from a recording, that helps to tell classes apart in a cross-validation over blocks of
time, and not in the next recording, which has something else of its own [1]_. Held-out recordings
would show it, but of classes that one recording alone holds there is nothing left to learn from.

References
----------
.. [1] Lemm, Blankertz, Dickhaus, Müller. Introduction to machine learning for brain imaging.
   NeuroImage, 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .folds import Trials
from .linear import Floats


def confounding(trials: Trials, scores: Floats) -> dict[str, Any] | None:
    """How far recordings give classes away.

    Parameters
    ----------
    trials : Trials
        What was fitted on.
    scores : ndarray, shape (n_trials, n_classes)
        Of held-out trials, before temperature and softmax.

    Returns
    -------
    found : dict or None
        Plain numbers for a card: how many recordings lack a class, how many trials knowing the
        recording alone would get right, how many are right when nothing but the classes of a
        trial's own recording may be answered, and the warning in words. None if there is one
        recording, or if each holds every class.
    """
    places = {name: place for place, name in enumerate(dict.fromkeys(trials.recordings))}
    here = np.array([places[name] for name in trials.recordings])
    counts = np.zeros((len(places), len(trials.classes)))
    np.add.at(counts, (here, trials.targets), 1)
    lacking = int((counts == 0).any(axis=1).sum())
    if len(places) < 2 or not lacking:
        return None
    alone = float(counts.max(axis=1).sum() / counts.sum())
    within = _within(trials, scores, counts[here] > 0)
    return {
        "recordings_lacking_a_class": lacking,
        "recording_alone": alone,
        "within_recordings": within,
        "sentence": _sentence(lacking, len(places), alone, within),
    }


def _within(trials: Trials, scores: Floats, possible: Any) -> float:
    """Share of trials that are right among the classes of their own recording."""
    answers = np.where(possible, scores, -np.inf).argmax(axis=1)
    return float((answers == trials.targets).mean())


def _sentence(lacking: int, of: int, alone: float, within: float) -> str:
    return (
        f"Careful: {lacking} of {of} recordings lack a class, so what tells recordings apart "
        f"passes for decoding (the recording alone gets {alone:.0%} right), and the next recording "
        f"will do worse; among the classes of their own recording {within:.0%} of the trials are "
        f"right. Record every class in every recording."
    )
