"""The learning curve says in words what it draws."""

from __future__ import annotations

import pytest

from diverloop.gui.adaptation_view import AdaptationView
from diverloop.gui.learning_curve import NOTHING_YET, LearningCurve
from diverloop.gui.look import DARK
from diverloop.runtime.adaptation_figures import AdaptationFigures
from diverloop.runtime.messages import Promotion


def colours(widget):
    """All that its picture has, by name."""
    image = widget.grab().toImage()
    return {
        image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())
    }


@pytest.fixture
def curve(qtbot):
    shown = LearningCurve(AdaptationView())
    qtbot.addWidget(shown)
    shown.resize(400, 140)
    shown.show()
    return shown


def standing(n_trials, rate, decided=1.0):
    return AdaptationFigures(
        learner="reward", epoch=0, n_trials=n_trials, reward_rate=rate, decided_share=decided
    )


def test_before_any_reward_it_says_that_nobody_knows(curve):
    curve.renew()
    assert curve.accessibleDescription() == NOTHING_YET
    assert DARK.accent not in colours(curve)


def test_a_line_shows_what_was_right_and_a_stroke_where_weights_changed(curve):
    for n_trials in range(1, 60):
        curve.view.take(standing(n_trials, 0.9, 0.5))
    curve.renew()
    assert curve.said() == "Right 45%, decided 50% of the last trials"
    assert curve.accessibleDescription() == curve.said()
    assert DARK.accent in colours(curve)
    assert DARK.series[1] not in colours(curve)
    change = Promotion(epoch=1, kind="linear", settings={}, reason="better", who="rule")
    curve.view.take(change)
    curve.view.take(standing(80, 0.9))
    assert DARK.series[1] in colours(curve)
