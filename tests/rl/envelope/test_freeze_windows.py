"""Nothing is promoted too soon, without leave, or while somebody froze."""

from __future__ import annotations

from diverloop.rl.envelope.freeze_windows import FreezeWindows


def test_a_gap_closes_after_each_change_and_opens_again():
    gate = FreezeWindows()
    assert gate.closed(0.0, True, "") == ""
    gate.changed(100.0)
    assert gate.closed(130.0, True, "") == "the last change was 30 s ago"
    assert gate.closed(160.0, True, "") == ""


def test_a_person_and_the_session_close_it_with_their_reasons():
    gate = FreezeWindows()
    assert gate.closed(0.0, False, "neurofeedback block") == "neurofeedback block"
    assert "does not allow" in gate.closed(0.0, False, "")
    gate.why = "seizure"
    assert gate.closed(0.0, True, "") == "seizure"
