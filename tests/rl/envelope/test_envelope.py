"""Nothing serves but what evidence let through, and what served before comes back to the bit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from diverloop.rl.envelope.config import STANDARD, EnvelopeConfig
from diverloop.rl.envelope.envelope import Envelope
from diverloop.rl.envelope.trust_region import step_share
from diverloop.rl.envelope.version import Proposal
from diverloop.rl.trial import Reward, Trial

from .streams import TRIAL_S, Detector, Garbage, Person, PlainLearner, Swapped, World, run

JUMP = World(jump=2.5, jump_at=30, n_trials=80)


def jumped(seed=0, config=STANDARD, **review):
    person = Person(JUMP, seed)
    return run(person, PlainLearner(person.head()), Detector(0.75, seed), config, **review)


def test_a_better_head_serves_within_forty_trials_of_an_abrupt_change():
    runs = [jumped(seed) for seed in range(2)]
    first = [
        next(v.at_s / TRIAL_S for v in one.versions if v.at_s / TRIAL_S > JUMP.jump_at)
        for one in runs
    ]
    assert max(first) <= JUMP.jump_at + 40
    late = np.mean([[one.after(60)[name] for name in ("frozen", "served")] for one in runs], axis=0)
    assert late[1] > late[0] + 0.05


def test_the_same_calls_give_the_same_versions_to_the_bit():
    one, other = jumped(), jumped()
    assert [v.sha256 for v in one.versions] == [v.sha256 for v in other.versions]
    assert [v.reason for v in one.versions] == [v.reason for v in other.versions]
    assert one.versions


def test_every_version_names_its_parent_rule_trials_and_time():
    versions = jumped().envelope.history
    assert [v.epoch for v in versions] == list(range(len(versions)))
    for before, after in pairwise(versions):
        assert after.parent == before.sha256
        assert after.sha256 == after.head.sha256
        assert after.rule == "test"
        assert "KL" in after.reason
        assert after.at_s - before.at_s >= 60 or before.epoch == 0


def test_no_step_of_a_learner_without_rewards_goes_beyond_the_small_limits():
    person = Person(World(jump=2.5, jump_at=30, n_trials=90), 1)
    one = run(person, PlainLearner(person.head(), rewarded=False))
    assert one.versions
    history = one.envelope.history
    for before, after in pairwise(history):
        assert step_share(after.head, before.head) <= 0.1 + 1e-9
        assert float(after.reason.split("KL ")[1].split()[0]) <= 0.05


@pytest.mark.parametrize(("poison", "sharp"), [("", 1e-3), ("", 1e3), ("inverted", 1.0)])
def test_of_a_thousand_random_heads_none_serves(poison, sharp):
    person = Person(World(n_trials=40), 1)
    envelope, learner = Envelope(person.head()), Garbage(person.head(), 1, sharp)
    detector = Detector(0.75, 1, poison)
    for t in range(40):
        features, meant = person.trial(t)
        trial = Trial.plain(t, features, 4, 0)
        decided = int(trial.posterior(envelope.serving.head).argmax())
        envelope.see(replace(trial, decided=decided))
        envelope.hear(detector.reward(t, decided == meant))
        for _ in range(28):
            learner.see(trial)
            envelope.propose(Proposal(head=learner.head, rule="garbage"))
            assert envelope.review(t * TRIAL_S) is None
    assert envelope.serving.epoch == 0
    assert envelope.figures().why


@pytest.mark.parametrize(
    ("poison", "learner"),
    [
        ("all right", PlainLearner), ("all wrong", Swapped), ("inverted", PlainLearner),
        ("inverted", Swapped), ("adversarial", Swapped), ("late 3", PlainLearner),
    ],
)  # fmt: skip
def test_poisoned_rewards_cost_at_most_five_points(poison, learner):
    person = Person(World(n_trials=100), 0)
    one = run(person, learner(person.head()), Detector(0.75, 0, poison, after=20))
    assert one.after(20)["frozen"] - one.after(20)["served"] <= 0.05


def test_a_learner_that_earns_trust_and_then_hands_over_a_bad_head_does_not_pass():
    person = Person(JUMP, 0)
    learner, detector = PlainLearner(person.head()), Detector(0.75, 0)
    envelope = Envelope(person.head())
    for t in range(70):
        features, meant = person.trial(t)
        trial = Trial.plain(t, features, 4, 0)
        decided = int(trial.posterior(envelope.serving.head).argmax())
        trial = replace(trial, decided=decided)
        envelope.see(trial)
        learner.see(trial)
        reward = detector.reward(t, decided == meant)
        envelope.hear(reward)
        learner.hear(reward)
        bad = replace(learner.head, prototypes=np.roll(learner.head.prototypes, 1, axis=0))
        envelope.propose(Proposal(head=bad, rule="a trap"))
        assert envelope.review(t * TRIAL_S) is None
        envelope.propose(Proposal(head=learner.head, rule="bait"))


def test_rolling_back_brings_the_exact_arrays_under_a_new_epoch_down_to_calibration():
    envelope = jumped().envelope
    served = envelope.history
    assert len(served) >= 3
    for n, earlier in enumerate(reversed(served[:-1])):
        version = envelope.roll_back(1000.0 + n, "operator", "A person asked for it.")
        assert version.sha256 == earlier.sha256
        assert all(
            np.array_equal(array, earlier.head.to_arrays()[name])
            for name, array in version.head.to_arrays().items()
        )
        assert version.epoch == len(served) + n
        assert version.who == "operator"
    assert envelope.roll_back(2000.0, "operator", "Once more.") is None
    assert envelope.serving.sha256 == served[0].sha256


def test_nothing_changes_while_frozen_or_not_allowed_except_by_a_person():
    assert not jumped(allowed=False, why_not="neurofeedback").versions
    envelope = jumped().envelope
    envelope.freeze("seizure guard")
    assert envelope.frozen == "seizure guard"
    envelope.propose(Proposal(head=envelope.history[0].head, rule="back"))
    assert envelope.review(5000.0) is None
    assert envelope.figures().why == "seizure guard"
    assert envelope.roll_back(5001.0, "operator", "A person asked for it.") is not None
    envelope.thaw()
    assert envelope.frozen == ""


def test_what_cannot_stand_in_for_the_calibrated_head_is_refused_in_words():
    head = Person(World(), 1).head()
    envelope = Envelope(head)
    envelope.propose(Proposal(head=replace(head, basis=2 * head.basis), rule="x"))
    assert "basis" in envelope.refused
    envelope.propose(Proposal(head=head, rule="x"))
    assert envelope.refused == ""


def test_trials_that_do_not_fit_and_strange_rewards_do_no_harm():
    head = Person(World(), 1).head()
    envelope = Envelope(head)
    good = Trial.plain(1, head.prototypes[0], 4, 0)
    for bad in (
        replace(good, under=good.under + 7), replace(good, decided=9),
        replace(good, prior=np.ones(2)), replace(good, features=good.features * np.nan),
    ):  # fmt: skip
        envelope.see(bad)
    envelope.hear(Reward(trial=1, meant=3))
    envelope.hear(Reward(trial=1, value=float("inf"), log_odds=2.0))
    assert envelope.review(0.0) is None
    assert envelope.figures().n_trials == 0


def test_memory_and_history_are_bounded():
    head = Person(World(), 1).head()
    config = EnvelopeConfig(holds=False, kept_versions=5, least_gap_s=0.0)
    envelope = Envelope(head, config)
    for n in range(1, 20):
        envelope.propose(Proposal(head=replace(head, centre=head.centre + n), rule="x"))
        assert envelope.review(float(n)) is not None
    assert len(envelope.history) == 5
    backs = 0
    while envelope.roll_back(100.0 + backs, "operator", "Back."):
        backs += 1
    assert backs == 4
    assert envelope.serving.sha256 == head.sha256


def test_without_the_envelope_everything_serves_at_once():
    person = Person(World(n_trials=20), 1)
    one = run(person, Garbage(person.head()), Detector(0.75, 1), EnvelopeConfig.off())
    assert len(one.versions) == 20
    assert one.served.mean() < one.frozen.mean()
