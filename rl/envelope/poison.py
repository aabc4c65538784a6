"""Signs that rewards are not about the decisions: then they are believed no more.

What protects first is not here: a step that rewards ask for needs the signal as a second witness,
and who poisons rewards has no hand in the signal. These tests say when something is wrong, and
keep such rewards from being heard at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from ...runtime.prototype_head import Floats
from ..trial import UNKNOWN
from .config import EnvelopeConfig
from .shadow import WIDEST, Beside


def doubts(records: Sequence[Beside], config: EnvelopeConfig) -> str:
    """Why rewards should not be believed.

    Parameters
    ----------
    records : sequence of Beside
        The last trials, oldest first.
    config : EnvelopeConfig
        How many are looked at, and how improbable a sign must be.

    Returns
    -------
    doubt : str
        A clause for a person; empty if nothing is wrong.
    """
    heard = [one for one in records if one.judged and one.reward and one.reward.meant == UNKNOWN]
    heard = heard[-config.poison_trials :]
    if len(heard) < 10:
        return ""
    sure = np.array([float(one.served[one.trial.decided]) for one in heard])
    odds = np.array([one.reward.log_odds for one in heard if one.reward])
    values = np.array([one.reward.value for one in heard if one.reward])
    chance = np.array([1 / len(one.served) for one in heard])
    tests = (
        _too_constant(odds, config.poison_level),
        _below_chance(values, chance, config.poison_level),
        _against_confidence(sure, values, config.poison_level),
    )
    return next((doubt for doubt in tests if doubt), "")


def _too_constant(odds: Floats, level: float) -> str:
    """A detector that errs now and then must be seen to err, whatever the decisions are worth."""
    signs = np.sign(odds)
    same = int(np.argmin(signs[::-1] == signs[-1])) or len(signs)  # 0 where none is another
    strongest = np.clip(np.abs(odds[-same:]), 0, WIDEST)
    if -np.log1p(np.exp(-strongest)).sum() < np.log(level):
        word = "right" if signs[-1] > 0 else "wrong"
        return f"{same} rewards in a row said {word}, which its own errors make improbable"
    return ""


def _below_chance(values: Floats, chance: Floats, level: float) -> str:
    """Drift makes decisions as good as chance, hardly ever worse."""
    error = max(values.std(ddof=1), 0.1) / np.sqrt(len(values))
    if values.mean() < chance.mean() + ndtri(level) * error:
        return (
            f"rewards give an accuracy of {values.mean():.2f} over {len(values)} trials, below "
            f"chance"
        )
    return ""


def _against_confidence(sure: Floats, values: Floats, level: float) -> str:
    """Decisions that were surer must not be wrong more often."""
    if len(values) < 30 or sure.std() < 1e-6 or values.std() < 1e-6:
        return ""
    correlation = float(np.corrcoef(sure, values)[0, 1])
    if np.arctanh(correlation) * np.sqrt(len(values) - 3) < ndtri(level):
        return (
            f"rewards are worse the surer the decision was, correlation {correlation:.2f} over "
            f"{len(values)} trials"
        )
    return ""
