"""How often a chart is drawn."""

from __future__ import annotations

from diverloop.gui.pace import Pace


def test_the_first_drawing_is_due_at_once_and_the_next_after_the_interval():
    now = [5.0]
    pace = Pace(0.1, lambda: now[0])
    asked = []
    for at in (5.0, 5.05, 5.099, 5.1001, 5.15, 5.3):
        now[0] = at
        asked.append(pace.due())
    assert asked == [True, False, False, True, False, True]
