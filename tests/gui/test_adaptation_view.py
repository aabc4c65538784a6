"""Weights: offered, taken or refused, and nothing claimed that was not told."""

from __future__ import annotations

import math
from dataclasses import replace

from diverloop.gui.adaptation_view import (
    NO_FIGURES,
    NOTHING_ADAPTS,
    OFFERED,
    OTHERS_REFUSED,
    REFUSED,
    TOOK_OVER,
    UNKNOWN,
    AdaptationView,
)
from diverloop.runtime.adaptation_figures import AdaptationFigures
from diverloop.runtime.messages import Event, EventKind, Promotion

from .told import a_stream, a_turn


def offered(epoch: int) -> Promotion:
    return Promotion(epoch=epoch, kind="linear", settings={}, reason="it was better", who="rule")


def decided(epoch: int):
    turn = a_turn(250)
    return replace(turn, decision=replace(turn.decision, epoch=epoch))


def test_a_session_in_which_nothing_adapts_says_so_and_an_unknown_one_does_not():
    view = AdaptationView()
    assert view.sentence() == UNKNOWN
    view.take(decided(0))
    assert view.sentence() == NOTHING_ADAPTS


def test_a_view_that_came_late_does_not_pretend_to_know_how_weights_came():
    view = AdaptationView()
    view.take(decided(3))
    assert view.sentence().startswith("Epoch 3 decides; how it came was before")


def test_weights_take_over_when_the_loop_or_a_decision_says_so():
    view = AdaptationView()
    view.take(a_stream())
    view.take(offered(1))
    assert view.changes[-1].became == OFFERED
    text = "Weights of epoch 1 took over: it was better"
    view.take(Event(kind=EventKind.PROMOTED, text=text))
    assert view.changes[-1].became == TOOK_OVER
    view.take(offered(2))
    view.take(decided(2))
    assert view.sentence() == "Weights changed 2 times; epoch 2 decides now."


def test_refused_weights_are_told_as_refused():
    view = AdaptationView()
    view.take(decided(4))
    view.take(offered(2))
    text = "Weights of epoch 2 were refused: those of epoch 4 stay."
    view.take(Event(kind=EventKind.PROMOTED, text=text))
    assert view.changes[-1].became == REFUSED
    assert view.sentence() == OTHERS_REFUSED


def test_figures_of_learner_and_envelope_are_told_in_words_and_unknown_ones_as_unknown():
    view = AdaptationView()
    assert view.told_figures() == NO_FIGURES
    view.take(AdaptationFigures(learner="reward", epoch=0, waiting="nothing was proposed"))
    assert "decided unknown of the last trials, right by rewards unknown" in view.told_figures()
    assert view.told_why() == "waiting: nothing was proposed"
    figures = AdaptationFigures(
        learner="reward", epoch=2, n_trials=60, n_rewards=41, n_shadow=30, benefit=0.08,
        lower_bound=0.01, divergence_nat=0.04, drift=0.7, reward_rate=0.8, promoted=2,
        decided_share=0.4, rolled_back=1, turned_down=3, waiting="a gap", frozen="c1 froze it",
    )  # fmt: skip
    view.take(figures)
    assert view.told_figures() == (
        "reward: 60 trials, 41 rewards; decided 40% of the last trials, right by rewards 80% of "
        "these; shadow of 30 trials: benefit +8.0 points, at least +1.0 points; last step 0.04 "
        "nat, drift 0.7; 2 promoted, 1 rolled back, 3 turned down"
    )
    assert view.told_why() == "frozen: c1 froze it"


def test_the_course_counts_what_was_not_decided_as_not_right_and_keeps_a_point_a_trial():
    view = AdaptationView()
    for n_trials, rate in ((0, math.nan), (1, 1.0), (1, 0.9), (2, 0.5)):
        view.take(
            AdaptationFigures(
                learner="reward", epoch=0, n_trials=n_trials, reward_rate=rate, decided_share=0.5
            )
        )
    assert [(one.n_trials, one.right) for one in view.course] == [(1, 0.45), (2, 0.25)]
    view.take(offered(1))
    assert list(view.changed_at) == [2]
