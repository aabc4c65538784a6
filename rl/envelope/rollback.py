"""When a promotion is taken back: it is worse than before, and what served before would be better.

A reward rate over 20 trials is a noisy thing: from an error detector of balanced accuracy 0.75 its
standard error is 0.2, and a bare threshold 10 points below the baseline would fire in one window of
three with nothing wrong. So each rule asks, beside its threshold, that the fall is clear of noise,
and that the head to go back to would have done better on the same trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from ...runtime.prototype_head import Floats, PrototypeHead
from ..trial import ABSTAINED
from .config import EnvelopeConfig
from .shadow import Beside, lower_bound, replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How things stood when a head began to serve.

    Parameters
    ----------
    rate : float
        Mean reward, which is an estimate of accuracy.
    gap : float
        By how much decisions were surer than right.
    n_trials : int
        Over how many trials; of fewer than 10 nothing follows.
    """

    rate: float = 0.0
    gap: float = 0.0
    n_trials: int = 0


def baseline(records: Sequence[Beside], config: EnvelopeConfig) -> Baseline:
    """Take stock of the last trials.

    Parameters
    ----------
    records : sequence of Beside
        Oldest first.
    config : EnvelopeConfig
        How many trials.

    Returns
    -------
    baseline : Baseline
        Empty if nothing came of any.
    """
    judged = [one for one in records if one.judged][-config.evidence_trials :]
    if not judged:
        return Baseline()
    values, sure = _outcomes(judged)
    return Baseline(
        rate=float(values.mean()), gap=float((sure - values).mean()), n_trials=len(judged)
    )


def why_back(
    since: Sequence[Beside],
    before: Baseline,
    earlier: PrototypeHead,
    believed: bool,
    config: EnvelopeConfig,
) -> str:
    """Why the head that serves should give way to the one before it.

    Parameters
    ----------
    since : sequence of Beside
        Trials that the serving head decided, oldest first.
    before : Baseline
        From before it served.
    earlier : PrototypeHead
        What it would go back to.
    believed : bool
        Whether rewards are believed.
    config : EnvelopeConfig
        Thresholds.

    Returns
    -------
    why : str
        One sentence without its full stop; empty if nothing is wrong.
    """
    if collapsed := _collapsed(since, earlier, config):
        return collapsed
    judged = [one for one in since if one.judged][-config.rollback_trials :]
    if not believed or len(judged) < config.rollback_trials:
        return ""
    old = [one.trial.posterior(earlier) for one in judged]
    return _fewer_rewards(judged, old, before, config) or _surer(judged, old, before, config)


def _fewer_rewards(
    judged: Sequence[Beside], old: Sequence[Floats], before: Baseline, config: EnvelopeConfig
) -> str:
    values, _ = _outcomes(judged)
    lost = replayed(judged, old, [one.served for one in judged])
    bound = lower_bound(lost, config.confidence, float(np.abs(lost).max(initial=1.0)))
    fell = before.n_trials >= 10 and values.mean() < before.rate - config.reward_drop
    if not (bound > 0 or (fell and lost.mean() > config.reward_drop)):
        return ""
    return (
        f"The reward rate is {values.mean():.2f} over {len(judged)} trials and was "
        f"{before.rate:.2f}; the head before would have had {lost.mean():+.2f}"
    )


def _surer(
    judged: Sequence[Beside], old: Sequence[Floats], before: Baseline, config: EnvelopeConfig
) -> str:
    """Expected calibration error with a single bin: more need more trials than there are."""
    values, sure = _outcomes(judged)
    gaps = sure - values
    error = gaps.std(ddof=1) / np.sqrt(len(gaps))
    clear = abs(gaps.mean()) - ndtri(config.confidence) * error
    would = np.array([_at(p, r.trial.decided) for p, r in zip(old, judged, strict=True)])
    if before.n_trials < 10 or clear < abs(before.gap) + config.calibration_rise:
        return ""
    if abs((would - values).mean()) > abs(gaps.mean()) - config.calibration_rise:
        return ""
    return (
        f"Decisions are surer than right by {gaps.mean():.2f} over {len(gaps)} trials, and were by "
        f"{before.gap:.2f}"
    )


def _collapsed(since: Sequence[Beside], earlier: PrototypeHead, config: EnvelopeConfig) -> str:
    n = config.collapse_trials
    last = [one for one in since if one.trial.decided != ABSTAINED][-n:]
    if len(last) < n:
        return ""
    chosen = np.array([one.trial.decided for one in last])
    option = int(np.bincount(chosen).argmax())
    share = float((chosen == option).mean())
    expected = float(np.mean([_at(one.trial.prior, option) for one in last]))
    allowed = max(config.collapse_share, expected + 3 * np.sqrt(expected * (1 - expected) / n))
    if share <= allowed:
        return ""
    before = float(np.mean([one.trial.posterior(earlier).argmax() == option for one in last]))
    if before > config.collapse_share:
        return ""
    return (
        f"{share:.0%} of {n} decisions are the same, expected were {expected:.0%}; the head before "
        f"would have given {before:.0%}"
    )


def _outcomes(judged: Sequence[Beside]) -> tuple[Floats, Floats]:
    values = [one.worth(one.trial.decided) for one in judged]
    sure = [_at(one.served, one.trial.decided) for one in judged]
    return np.array(values), np.array(sure)


def _at(shares: Floats, option: int) -> float:
    """How probable an option is; 0 for none."""
    return float(shares[option]) if 0 <= option < len(shares) else 0.0
