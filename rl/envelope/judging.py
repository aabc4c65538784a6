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
    support : float
        Lower bound of how much better its heads foresaw the rewards, in nats.
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
    least : float
        What the very head that is to serve must gain on the trials that are kept, in accuracy.
    reason : str
        With the figures.
    """

    limits: Limits | None
    least: float
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
    beside = [one.seen_from for one in records if one.seen_from is not None][-n:]
    counted = [] if doubt else [one for one in records if one.counts][-n:]
    gains, nats = benefits(counted), supports(counted)
    widest = float(np.abs(gains).max(initial=1.0))
    return Evidence(
        n_trials=len(beside),
        n_rewards=len(counted),
        benefit=float(gains.mean()) if counted else 0.0,
        bound=lower_bound(gains, config.confidence, widest),
        support=lower_bound(nats, config.confidence, float(np.abs(nats).max(initial=0.0))),
        drift=drift,
        drift_beside=drift_index(beside),
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
    """
    if evidence.n_trials < config.shadow_trials:
        return _no(f"it has decided {evidence.n_trials} of {config.shadow_trials} trials beside")
    if against := _against(evidence, config):
        return _no(against)
    rewarded = evidence.n_rewards >= config.shadow_trials
    signal = _signal_agrees(evidence, config)
    if rewarded and evidence.bound > 0 and (signal or evidence.known):
        return _proven(evidence, config)
    drifts = f"the drift index goes from {evidence.drift:.2f} to {evidence.drift_beside:.2f}"
    if rewarded and evidence.support > 0:
        return _small(f"it foresees the rewards better by {evidence.support:.3f} nat", config)
    if signal and (rewarded or config.trusts_signal_alone):
        return _small(drifts, config)
    return _no(evidence.doubt or "nothing speaks for it clearly enough")


def _against(evidence: Evidence, config: EnvelopeConfig) -> str:
    """What forbids any step; empty if nothing does."""
    if evidence.drift_beside > evidence.drift * (1 + config.drift_veto) + config.drift_noise:
        return (
            f"the signal fits it worse: its drift index is {evidence.drift_beside:.2f}, not "
            f"{evidence.drift:.2f}"
        )
    enough = evidence.n_rewards >= config.shadow_trials
    if evidence.benefit < 0 or (enough and evidence.bound < -config.margin):
        return (
            f"rewards do not speak for it: benefit {evidence.benefit:+.3f}, at least "
            f"{evidence.bound:+.3f}"
        )
    return ""


def _signal_agrees(evidence: Evidence, config: EnvelopeConfig) -> bool:
    return (
        evidence.drift >= config.drift_least
        and evidence.drift_beside <= config.drift_share * evidence.drift
    )


def _proven(evidence: Evidence, config: EnvelopeConfig) -> Verdict:
    kl = min(config.kl_most, config.kl_per_update + config.kl_per_benefit * evidence.bound)
    in_block = config.kl_per_block * kl / config.kl_per_update
    return Verdict(
        limits=Limits(kl=kl, kl_block=in_block, share=config.proven_step_share),
        least=evidence.bound,
        reason=(
            f"Benefit {evidence.benefit:+.3f}, at least {evidence.bound:+.3f}, over "
            f"{evidence.n_rewards} trials, and the drift index goes from {evidence.drift:.2f} to "
            f"{evidence.drift_beside:.2f}"
        ),
    )


def _small(why: str, config: EnvelopeConfig) -> Verdict:
    limits = Limits(kl=config.kl_per_update, kl_block=config.kl_per_block, share=config.step_share)
    return Verdict(limits=limits, least=0.0, reason=f"A small step: {why}")


def _no(why: str) -> Verdict:
    return Verdict(limits=None, least=0.0, reason=why)
