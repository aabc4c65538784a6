"""From evidence to how far a step may go: two classes of step, two kinds of witness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .config import EnvelopeConfig
from .drift_index import drift_index
from .shadow import Beside, benefits, lower_bound, supports
from .trust_region import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for a learner and against it, from the last trials.

    Parameters
    ----------
    n_trials : int
        Trials that its heads decided beside the serving one.
    n_rewards : int
        Those of them of which something came.
    benefit, bound : float
        Mean benefit in accuracy, and its lower confidence bound.
    support, support_most : float
        Lower and upper bound of how much better its heads foresaw the rewards, in nats.
    fit, fit_most : float
        Lower and upper bound of how much better the signal fits its heads, in nats.
    drift, drift_beside : float
        Drift index of the serving head and of its heads.
    doubt : str
        Why rewards are not believed; empty if they are.
    known : bool
        Whether every reward knew what was meant.
    """

    n_trials: int = 0
    n_rewards: int = 0
    benefit: float = 0.0
    bound: float = -float("inf")
    support: float = -float("inf")
    support_most: float = float("inf")
    fit: float = -float("inf")
    fit_most: float = float("inf")
    drift: float = 0.0
    drift_beside: float = 0.0
    doubt: str = ""
    known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How far a step may go, and why.

    Parameters
    ----------
    limits : Limits, optional
        None if nothing may change.
    reason : str
        With the figures.
    """

    limits: Limits | None
    reason: str


def weigh(records: Sequence[Beside], drift: float, doubt: str, config: EnvelopeConfig) -> Evidence:
    """Sum up the last trials.

    Parameters
    ----------
    records : sequence of Beside
        All that are kept, oldest first.
    drift : float
        Drift index of the serving head.
    doubt : str
        Why rewards are not believed.
    config : EnvelopeConfig
        How many trials count.

    Returns
    -------
    evidence : Evidence
        Without benefit where no reward is believed.
    """
    n = config.evidence_trials
    beside = [one for one in records if one.seen_from is not None][-n:]
    counted = [] if doubt else [one for one in records if one.counts][-n:]
    gains, nats = benefits(counted), supports(counted)
    fits = np.array([one.fit for one in beside])
    most = float(np.abs(nats).max(initial=0.0))
    return Evidence(
        n_trials=len(beside),
        n_rewards=len(counted),
        benefit=float(gains.mean()) if counted else 0.0,
        bound=lower_bound(gains, config.confidence, float(np.abs(gains).max(initial=1.0))),
        support=lower_bound(nats, config.confidence, most),
        support_most=-lower_bound(-nats, config.confidence, most),
        fit=lower_bound(fits, config.confidence),
        fit_most=-lower_bound(-fits, config.confidence),
        drift=drift,
        drift_beside=drift_index([one.seen_from for one in beside if one.seen_from]),
        doubt=doubt,
        known=bool(counted) and all(one.reward and one.reward.meant >= 0 for one in counted),
    )


def judge(evidence: Evidence, config: EnvelopeConfig) -> Verdict:
    """Decide how far the newest head may be followed.

    Parameters
    ----------
    evidence : Evidence
        Of the last trials.
    config : EnvelopeConfig
        Limits.

    Returns
    -------
    verdict : Verdict
        With the reason, whatever it is.

    Notes
    -----
    Rewards are the weaker witness: at 30 of them from a detector of balanced accuracy 0.75 the
    benefit has a standard error of 0.1. So where the bound of the *signal* is clear, it is enough
    that rewards lean the same way, and the step is as wide as the signal's bound; where rewards
    are clear by themselves and the signal is not, the step is small.
    """
    if evidence.n_trials < config.shadow_trials:
        return _no(f"it has decided {evidence.n_trials} of {config.shadow_trials} trials beside")
    if against := _against(evidence, config):
        return _no(against)
    rewarded = evidence.n_rewards >= config.shadow_trials
    rewards = rewarded and max(evidence.bound, evidence.support) > 0
    leaning = rewarded and evidence.benefit > 0 and evidence.support + evidence.support_most > 0
    signal = evidence.fit > config.fit_margin
    if (leaning and signal) or (rewards and (signal or (evidence.known and evidence.bound > 0))):
        return _proven(evidence, config)
    if rewards:
        return _small(f"it foresees the rewards better by {evidence.support:.3f} nat", config)
    if signal and (rewarded or (_halves(evidence, config) and config.trusts_signal_alone)):
        return _small(_signal(evidence), config)
    return _no(evidence.doubt or "nothing speaks for it clearly enough")


def _against(evidence: Evidence, config: EnvelopeConfig) -> str:
    """What forbids any step; empty if nothing does."""
    if evidence.fit_most < 0:
        return f"the signal fits it worse, by {-evidence.fit_most:.2f} nat at least"
    if evidence.n_rewards and (evidence.benefit < -config.margin or evidence.support_most < 0):
        return (
            f"rewards speak against it: benefit {evidence.benefit:+.3f}, foreseen better by "
            f"{evidence.support_most:+.3f} nat at most"
        )
    return ""


def _halves(evidence: Evidence, config: EnvelopeConfig) -> bool:
    return (
        evidence.drift >= config.drift_least
        and evidence.drift_beside <= config.drift_share * evidence.drift
    )


def _signal(evidence: Evidence) -> str:
    return (
        f"the signal fits it better by {evidence.fit:.2f} nat at least, and the drift index goes "
        f"from {evidence.drift:.2f} to {evidence.drift_beside:.2f}"
    )


def _proven(evidence: Evidence, config: EnvelopeConfig) -> Verdict:
    kl = config.kl_per_update + config.kl_per_benefit * max(0.0, evidence.bound)
    kl = min(config.kl_most, kl + config.kl_per_fit * max(0.0, evidence.fit))
    in_block = config.kl_per_block * kl / config.kl_per_update
    return Verdict(
        limits=Limits(kl=kl, kl_block=in_block, share=config.proven_step_share),
        reason=(
            f"Benefit {evidence.benefit:+.3f}, at least {evidence.bound:+.3f}, over "
            f"{evidence.n_rewards} trials, and {_signal(evidence)}"
        ),
    )


def _small(why: str, config: EnvelopeConfig) -> Verdict:
    limits = Limits(kl=config.kl_per_update, kl_block=config.kl_per_block, share=config.step_share)
    return Verdict(limits=limits, reason=f"A small step: {why}")


def _no(why: str) -> Verdict:
    return Verdict(limits=None, reason=why)
