"""Weights in a table, and the two buttons that hold on to them."""

from __future__ import annotations

from diverloop.gui.adaptation_view import NO_FIGURES, NOTHING_ADAPTS
from diverloop.gui.controls import Controls
from diverloop.gui.look import LIGHT
from diverloop.gui.panels.adaptation import Adaptation
from diverloop.runtime.access import Action
from diverloop.runtime.adaptation_figures import AdaptationFigures
from diverloop.runtime.messages import Promotion

from ..seen import Link
from ..told import a_stream, a_turn


def promoted(epoch: int) -> Promotion:
    return Promotion(epoch=epoch, kind="linear", settings={}, reason="it was better", who="rule")


def test_when_nothing_adapts_it_says_so_and_claims_no_figures(qtbot):
    panel = Adaptation()
    qtbot.addWidget(panel)
    panel.show()
    panel.take(a_turn(250))
    panel.draw()
    assert panel.sentence.text() == NOTHING_ADAPTS
    assert panel.figures.whole == NO_FIGURES
    assert not panel.table.isVisible()
    assert not panel.buttons


def test_changes_stand_in_a_table_the_newest_on_top_and_are_forgotten(qtbot):
    panel = Adaptation(LIGHT)
    qtbot.addWidget(panel)
    panel.show()
    figures = AdaptationFigures(
        learner="reward", epoch=2, n_trials=7, reward_rate=0.8, decided_share=0.5, waiting="a gap"
    )
    for message in (a_stream(), promoted(1), promoted(2), figures):
        panel.take(message)
    panel.draw()
    cells = [panel.table.item(0, column).text() for column in range(5)]
    assert cells == ["2", "0:00:00.0", "offered", "rule", "it was better"]
    assert panel.figures.whole.startswith("reward: 7 trials")
    assert panel.why.whole == "waiting: a gap"
    assert panel.curve.isVisible()
    panel.forget()
    panel.draw()
    assert panel.table.rowCount() == 0
    assert not panel.curve.isVisible()


def test_in_a_low_dock_the_last_three_changes_are_still_to_be_read(qtbot):
    panel = Adaptation()
    qtbot.addWidget(panel)
    panel.setFixedSize(360, 300)
    panel.show()
    for message in (a_stream(), *(promoted(epoch) for epoch in range(1, 6))):
        panel.take(message)
    panel.take(
        AdaptationFigures(learner="reward", epoch=5, n_trials=7, reward_rate=0.8, decided_share=0.5)
    )
    panel.draw()
    qtbot.waitUntil(lambda: panel.table.viewport().height() > 0 and panel.curve.isVisible())
    seen = panel.table.viewport().rect()
    assert all(
        seen.contains(panel.table.visualItemRect(panel.table.item(row, 0))) for row in range(3)
    )


def test_freeze_and_roll_back_ask_the_session(qtbot):
    link = Link()
    controls = Controls(lambda: link)
    panel = Adaptation(controls=controls, may={Action.DISABLE_ADAPTATION})
    qtbot.addWidget(panel)
    freeze, back = panel.buttons
    with qtbot.waitSignal(controls.answered):
        freeze.click()
    assert [action for action, _ in link.asked] == [Action.DISABLE_ADAPTATION]
    assert not back.isEnabled()
    assert "role does not allow" in back.toolTip()
    controls.close()
