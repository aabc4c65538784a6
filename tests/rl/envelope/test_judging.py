"""Small steps need a word for them and none against; large ones need two witnesses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.rl.envelope.judging import Evidence, judge

CONFIG = EnvelopeConfig()
GOOD = Evidence(
    n_trials=30, n_rewards=30, benefit=0.2, bound=0.05, support=0.02, support_most=0.1,
    fit=0.5, fit_most=0.9, drift=2.0, drift_beside=0.5,
)  # fmt: skip


def test_rewards_and_signal_together_allow_a_step_as_wide_as_the_evidence():
    wide = judge(GOOD, CONFIG)
    wider = judge(replace(GOOD, bound=0.1), CONFIG)
    assert CONFIG.kl_per_update < wide.limits.kl < wider.limits.kl <= CONFIG.kl_most
    assert "+0.050" in wide.reason


@pytest.mark.parametrize(
    "change",
    [
        {"fit": 0.0},  # the signal says nothing: rewards alone
        {"n_rewards": 0, "benefit": 0.0, "bound": -1.0, "support": -1.0},  # the signal alone
        {"benefit": -0.01, "bound": -0.1, "support": -0.1},  # rewards say nothing
    ],
    ids=str,
)
def test_one_witness_allows_a_small_step(change):
    limits = judge(replace(GOOD, **change), CONFIG).limits
    assert (limits.kl, limits.kl_block, limits.share) == (0.05, 0.2, 0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"n_trials": 29},
        {"fit_most": -0.01},
        {"benefit": -0.15},
        {"support_most": -0.01},
        {"fit": 0.0, "bound": -0.1, "support": -0.1},
        {"n_rewards": 0, "bound": -1.0, "support": -1.0, "drift_beside": 1.5},
        {"n_rewards": 0, "bound": -1.0, "support": -1.0, "drift": 0.3, "drift_beside": 0.0},
    ],
    ids=str,
)
def test_too_little_evidence_or_a_word_against_allows_nothing(change):
    verdict = judge(replace(GOOD, **change), CONFIG)
    assert verdict.limits is None
    assert verdict.reason


def test_what_was_meant_needs_no_other_witness():
    known = replace(GOOD, fit=0.0, known=True)
    assert judge(known, CONFIG).limits.kl > CONFIG.kl_per_update


def test_a_learner_without_rewards_can_be_held_altogether():
    alone = replace(GOOD, n_rewards=0, bound=-1.0, support=-1.0)
    assert judge(alone, EnvelopeConfig(trusts_signal_alone=False)).limits is None
