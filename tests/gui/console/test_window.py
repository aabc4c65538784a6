"""The window, clicked through from identify to report."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QLineEdit, QPushButton, QVBoxLayout

from diverloop.gui.console import window as module
from diverloop.gui.console.alarms import Alarm, Alarms
from diverloop.gui.console.rehearsal import Fault
from diverloop.gui.console.session import Act, Order, Output, Step
from diverloop.gui.console.words import LANGUAGES, NOTES, Words
from diverloop.gui.look import DARK, LIGHT

from .walk import ByKeys, ByMouse, Walk

HANDS = {"mouse": ByMouse, "keys": ByKeys}
PLACES = (
    Step.IDENTIFY, Step.PREFLIGHT, Step.SIGNAL, Step.CALIBRATION, Step.DECISION, Step.FEEDBACK,
    Step.BREAK, Step.CLOSE, Step.REPORT,
)  # fmt: skip


def go_to(walk: Walk, hand: ByMouse, place: Step) -> None:
    """Do the next right thing until a step is reached; feedback is on when its step is."""
    if place is Step.IDENTIFY:
        return
    hand.type("P-017")
    hand.main()
    for step in PLACES[1:]:
        if step is Step.BREAK:
            hand.main()
        elif step is Step.CLOSE:
            hand.other("E")
        elif step is Step.REPORT:
            hand.main()  # end and save
            walk.until(Step.CLOSE, least=5.0)
            hand.main()  # write the report
        elif step not in (Step.PREFLIGHT, Step.DECISION):
            hand.main()
        if step is Step.DECISION:
            hand.main()  # start the calibration
        walk.until(step, least=5.0)
        if step is Step.FEEDBACK:
            hand.main()  # start
            walk.pass_time(12)
        if step is place:
            return


def cut_off(walk: Walk) -> list[str]:
    """Words that have less room than they need."""
    found = []
    for label in walk.console.findChildren(QLabel):
        if not label.isVisible() or not label.text() or label in (walk.electrodes,):
            continue
        if label.wordWrap():
            short = label.heightForWidth(label.width()) > label.height()
            wide = max(label.text().split(), key=len)
            short = short or label.fontMetrics().horizontalAdvance(wide) > label.width()
        else:
            short = label.fontMetrics().horizontalAdvance(label.text()) > label.width()
            short = short or label.fontMetrics().height() > label.height()
        if short:
            found.append(f"{label.text()!r} in {label.size().toTuple()}")
    for button in walk.console.findChildren(QPushButton):
        hint = button.minimumSizeHint()
        if button.isVisible() and button.text() and hint.width() > button.width():
            found.append(f"{button.text()!r} in {button.size().toTuple()}")
    bottom = max(
        label.mapTo(walk.console, label.rect().bottomLeft()).y()
        for label in walk.console.findChildren(QLabel)
        if label.isVisible()
    )
    return [*found, *(["below the window"] if bottom > walk.console.height() else [])]


@pytest.mark.parametrize("language", list(LANGUAGES))
@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
def test_a_whole_session_from_identify_to_report(qtbot, language, hand):
    walk = Walk(qtbot, language)
    hand = hand(qtbot, walk)
    go_to(walk, hand, Step.REPORT)
    session = walk.session
    assert (session.report, session.verified, session.blocks) == ("rehearsal/report.html", True, 1)
    assert session.to_feedback == 7
    assert walk.console.page.now.text() == Words(language)("report_now_done")
    hand.main()
    assert walk.work.orders == [
        Order.PREFLIGHT, Order.WATCH, Order.CALIBRATE, Order.FIT, Order.RUN, Order.ARM,
        Order.DISARM, Order.DISARM, Order.END, Order.REPORT, Order.OPEN,
    ]  # fmt: skip
    hand.other("P")
    assert walk.session.step is Step.IDENTIFY
    assert walk.console.page.code.text() == ""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
def test_one_act_stops_on_every_page(qtbot, place, hand):
    walk = Walk(qtbot)
    hand = hand(qtbot, walk)
    go_to(walk, hand, place)
    before = walk.session.actions
    hand.stop()
    assert walk.session.output is Output.STOPPED
    assert walk.session.actions == before + 1
    assert walk.work.orders[-1] is Order.STOP
    assert walk.console.chrome.light.word.text() == "STOPPED"


@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
def test_after_a_break_one_action_resumes_and_after_a_stop_two(qtbot, hand):
    walk = Walk(qtbot)
    hand = hand(qtbot, walk)
    go_to(walk, hand, Step.BREAK)
    hand.main()
    walk.pass_time(1)
    assert (walk.session.output, walk.session.to_resume) == (Output.ON, 1)
    hand.stop()
    hand.main()
    hand.main()
    walk.pass_time(1)
    assert (walk.session.output, walk.session.to_resume) == (Output.ON, 2)


def test_with_a_calibration_of_today_six_actions_lead_to_feedback(qtbot):
    walk = Walk(qtbot, known=True)
    hand = ByKeys(qtbot, walk)
    hand.type("P-017")
    for step in (Step.PREFLIGHT, Step.SIGNAL, Step.DECISION, Step.FEEDBACK):
        hand.main()
        walk.until(step, least=4.0)
    hand.main()
    walk.pass_time(1)
    assert (walk.session.output, walk.session.to_feedback) == (Output.ON, 6)
    assert Order.CALIBRATE not in walk.work.orders


def test_the_space_bar_stops_while_the_session_is_busy(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.CALIBRATION)
    hand.main()
    walk.pass_time(5)
    assert not walk.console.page.main.isEnabled()
    hand.stop()
    assert walk.work.orders[-2:] == [Order.STOP, Order.END_CALIBRATION]


def test_the_space_bar_stops_even_in_another_dialog_of_the_program(qtbot):
    walk = Walk(qtbot)
    go_to(walk, ByKeys(qtbot, walk), Step.FEEDBACK)
    dialog = QDialog(walk.console)
    dialog.setModal(True)
    field = QLineEdit()
    QVBoxLayout(dialog).addWidget(field)
    qtbot.addWidget(dialog)
    dialog.open()
    qtbot.keyClick(field, Qt.Key.Key_Space)
    assert walk.session.output is Output.STOPPED
    assert field.text() == ""


def test_a_note_takes_a_space_only_while_there_is_nothing_to_stop(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.PREFLIGHT)
    hand.press("N")
    hand.type("felt dizzy")
    hand.main()
    assert walk.work.notes == ["felt dizzy"]
    assert walk.session.output is Output.OFF


def test_while_feedback_is_on_the_space_bar_stops_in_a_note_and_shift_writes_a_space(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.FEEDBACK)
    hand.press("N")
    line = walk.console.chrome.notes.line
    assert "STOPS" in line.placeholderText()
    hand.type("felt")
    qtbot.keyClick(line, Qt.Key.Key_Space, Qt.KeyboardModifier.ShiftModifier)
    hand.type("ill")
    assert (line.text(), walk.session.output) == ("felt ill", Output.ON)
    hand.stop()
    assert (line.text(), walk.session.output) == ("felt ill", Output.STOPPED)
    hand.main()
    assert walk.work.notes == ["felt ill"]


def test_a_code_that_is_wanted_is_typed_where_notes_are_and_is_no_note(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    given = []
    walk.work.code = given.append
    go_to(walk, hand, Step.PREFLIGHT)
    walk.work.code_wanted.emit()
    assert walk.console.chrome.notes.line.placeholderText() == walk.console.words("code_hint")
    hand.type("123456")
    hand.main()
    assert (given, walk.work.notes) == (["123456"], [])
    hand.press("N")
    hand.type("tired")
    hand.main()
    assert (given, walk.work.notes) == (["123456"], ["tired"])


def test_f12_stops_too_whatever_is_being_written(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    hand.press(Qt.Key.Key_F12)
    assert walk.session.output is Output.STOPPED


def test_escape_leaves_a_note_and_nothing_is_noted(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.PREFLIGHT)
    hand.press("N")
    hand.type("no")
    hand.press(Qt.Key.Key_Escape)
    assert walk.work.notes == []
    assert not walk.console.chrome.notes.writing
    hand.main()
    assert walk.session.step is Step.SIGNAL


@pytest.mark.parametrize("number", list(NOTES))
def test_a_number_notes_in_one_key_with_the_time(qtbot, number):
    walk = Walk(qtbot, "ko")
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.PREFLIGHT)
    hand.press(str(number))
    assert walk.work.notes == [NOTES[number]]
    assert Words("ko")(f"note_{number}") in walk.console.chrome.noted.text()
    assert (walk.session.output is Output.STOPPED) == (number == 9)


def test_a_suspected_seizure_stops_and_alarms_until_it_is_seen(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.FEEDBACK)
    hand.press("9")
    walk.pass_time(1)
    assert walk.session.output is Output.STOPPED
    first = walk.console.alarms.first
    assert first is not None
    assert first.alarm is Alarm.SEIZURE
    hand.press("A")
    walk.pass_time(1)
    assert Alarm.SEIZURE not in [one.alarm for one in walk.console.alarms.standing]


def test_a_digit_in_the_code_is_no_note(qtbot):
    walk = Walk(qtbot)
    ByKeys(qtbot, walk).type("P123")
    assert walk.console.page.code.text() == "P123"
    assert walk.work.notes == []


def test_a_name_is_refused_in_words(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    walk.console.page.code.setText("김철수")
    hand.main()
    assert walk.session.step is Step.IDENTIFY
    assert "No name." in walk.console.page.todo.text()


def test_bad_electrodes_hold_the_session_up_until_they_are_good(qtbot):
    walk = Walk(qtbot, fault=Fault.ELECTRODES)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.PREFLIGHT)
    hand.main()
    walk.pass_time(3)
    assert "T7, C3, Cz, C4" in walk.console.page.now.text()
    assert not walk.console.page.main.isEnabled()
    walk.console.do(Act.TO_CALIBRATION)
    assert "4 electrodes are bad" in walk.console.page.todo.text()
    assert walk.electrodes.quality is not None
    walk.until(Step.SIGNAL)
    hand.main()
    assert walk.session.step is Step.CALIBRATION


@pytest.mark.parametrize(
    ("fault", "alarm"),
    [
        (Fault.LOOP, Alarm.LOOP_GONE),
        (Fault.SEIZURE, Alarm.SEIZURE),
        (Fault.DISK, Alarm.RECORDER),
    ],
)
def test_what_goes_wrong_in_feedback_is_an_alarm_of_the_highest_priority(qtbot, fault, alarm):
    walk = Walk(qtbot, fault=fault)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.FEEDBACK)
    walk.pass_time(10)
    first = walk.console.alarms.first
    assert first is not None
    assert first.alarm is alarm
    assert walk.console.chrome.alarms.text.text() == Words("en")(alarm)
    assert walk.console.chrome.light.word.text() in ("Fault", "STOPPED")


def test_a_session_that_went_is_started_again_with_two_actions(qtbot):
    walk = Walk(qtbot, fault=Fault.LOOP)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.FEEDBACK)
    assert not walk.session.running
    hand.main()
    walk.until(Step.FEEDBACK, least=4.0)
    hand.main()
    walk.pass_time(1)
    assert (walk.session.output, walk.session.to_resume) == (Output.ON, 2)


def test_a_stop_that_nobody_answers_says_to_disconnect_the_participant(qtbot):
    walk = Walk(qtbot, fault=Fault.DEAF)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.FEEDBACK)
    hand.stop()
    walk.pass_time(1)
    assert "Disconnect the participant" in walk.console.chrome.alarms.text.text()


@pytest.mark.parametrize(
    ("fault", "says"),
    [(Fault.FIT, "could not learn"), (Fault.POOR_MODEL, "surely yet")],
)
def test_a_calibration_that_went_wrong_is_followed_by_another(qtbot, fault, says):
    walk = Walk(qtbot, fault=fault)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.CALIBRATION)
    hand.main()
    walk.pass_time(45)
    assert says in walk.console.page.now.text()
    hand.main()
    if fault is Fault.POOR_MODEL:
        hand.main()
    walk.until(Step.DECISION, least=40.0)
    assert "better than guessing" in walk.console.page.now.text()


def test_equipment_that_is_not_ready_is_checked_again(qtbot):
    walk = Walk(qtbot, fault=Fault.EQUIPMENT)
    hand = ByKeys(qtbot, walk)
    go_to(walk, hand, Step.PREFLIGHT)
    assert walk.console.chrome.light.word.text() == "Fault"
    assert "0.2 GB" in walk.console.page.detail.text()
    hand.main()
    walk.until(Step.PREFLIGHT)
    assert walk.console.page.now.text() == "The equipment is ready."


def test_f2_changes_the_language_and_f3_the_look_even_while_a_code_is_typed(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    hand.press(Qt.Key.Key_F2)
    assert walk.console.page.now.text() == Words("ko")("identify_now")
    hand.press(Qt.Key.Key_F3)
    assert walk.electrodes.worn == [DARK, LIGHT]
    hand.press(Qt.Key.Key_F2)
    assert walk.console.page.now.text() == Words("en")("identify_now")


def test_a_key_that_is_held_acts_once(qtbot):
    walk = Walk(qtbot)
    for again in (False, True, True):
        none = Qt.KeyboardModifier.NoModifier
        event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Space, none, " ", again)
        QApplication.sendEvent(walk.console, event)
    assert walk.work.orders == [Order.STOP]


def test_enter_does_nothing_while_there_is_nothing_to_do(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    hand.type("P-017")
    hand.main()
    for _ in range(3):
        hand.main()
    assert walk.work.orders == [Order.PREFLIGHT]
    assert walk.work.notes == []


def test_the_window_does_not_close_while_a_session_runs(qtbot):
    walk = Walk(qtbot)
    go_to(walk, ByKeys(qtbot, walk), Step.FEEDBACK)
    assert not walk.console.close()
    assert "End the session" in walk.console.page.todo.text()


def test_a_closed_console_hears_no_keys_any_more(qtbot):
    walk = Walk(qtbot)
    assert walk.console.close()
    field = QLineEdit()
    qtbot.addWidget(field)
    qtbot.keyClick(field, Qt.Key.Key_Space)
    assert field.text() == " "
    assert walk.work.orders == []


def test_tones_sound_for_an_alarm_until_it_is_seen(qtbot, monkeypatch):
    monkeypatch.setattr(module, "_TONE_MS", 0)
    walk = Walk(qtbot)
    ByKeys(qtbot, walk).stop()
    walk.console.refresh()
    qtbot.waitUntil(lambda: len(walk.tones) == 3, timeout=5000)
    walk.console.acknowledge()
    walk.clock.now_s += 60
    walk.console.refresh()
    assert len(walk.tones) == 3


@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize(
    ("size", "look"), [((1280, 800), DARK), ((1920, 1080), LIGHT)], ids=["small", "large"]
)
@pytest.mark.parametrize("language", list(LANGUAGES))
def test_no_words_are_cut_off(qtbot, language, size, look):
    walk = Walk(qtbot, language, look=look, rehearsal=True)
    walk.console.resize(*size)
    hand = ByKeys(qtbot, walk)
    found = {"identify": settled(qtbot, walk)}
    hand.type("P-017")
    hand.main()
    found["waiting"] = settled(qtbot, walk)
    for step in PLACES[1:]:
        if step not in (Step.PREFLIGHT, Step.CLOSE):
            hand.main()
        if step is Step.CLOSE:
            hand.other("E")
        if step is Step.REPORT:
            found["saving"] = settled(qtbot, walk)
            walk.until(Step.CLOSE, least=5.0)
            found["saved"] = settled(qtbot, walk)
            hand.main()
        walk.until(step, least=5.0)
        if step is Step.FEEDBACK:
            found["ready"] = settled(qtbot, walk)
            hand.main()
            walk.pass_time(40)
        found[step] = settled(qtbot, walk)
        if step is Step.FEEDBACK:
            hand.stop()
            walk.pass_time(1)
            found["stopped"] = settled(qtbot, walk)
            hand.main()
            hand.main()
    assert {place: words for place, words in found.items() if words} == {}


def settled(qtbot, walk: Walk) -> list[str]:
    """What is cut off once everything has found its place."""
    walk.console.refresh()
    settle(walk)
    return cut_off(walk)


def settle(walk: Walk) -> None:
    """Let every layout find its sizes; some need a second look."""
    for _ in range(3):
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        QApplication.processEvents()
        for widget in (walk.console, walk.console.chrome.alarms, walk.console.page):
            widget.layout().activate()


@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_alarm_fits_on_its_line(qtbot, language):
    walk = Walk(qtbot, language)
    bar, words, wide = walk.console.chrome.alarms, walk.console.words, []
    values = {"count": "12", "names": "T7, C3, Cz, C4 …"}
    for alarm in Alarm:
        given = values if alarm is Alarm.ELECTRODES else {}
        bar.show_alarms(Alarms().update({alarm: given, Alarm.BREAK_DUE: {}}, 0.0), words, 0.0)
        settle(walk)
        if bar.text.fontMetrics().horizontalAdvance(bar.text.text()) > bar.text.width():
            wide.append(bar.text.text())
    assert wide == []


def test_facts_that_change_every_second_keep_their_labels_and_are_seen_at_once(qtbot):
    walk = Walk(qtbot)
    go_to(walk, ByKeys(qtbot, walk), Step.FEEDBACK)
    settle(walk)
    before = walk.console.page.facts.findChildren(QLabel)
    walk.clock.now_s += 1.0
    walk.console.refresh()
    shown = [label.text() for label in before if label.isVisible()]
    assert "0 min 13 s" in shown
    assert "How it goes" in shown


@pytest.mark.usefixtures("fonts")
def test_the_light_and_the_stop_stay_where_they_are(qtbot):
    walk = Walk(qtbot)
    hand = ByKeys(qtbot, walk)
    chrome = walk.console.chrome
    places = set()
    for place in (Step.IDENTIFY, Step.PREFLIGHT):
        go_to(walk, hand, place)
        settle(walk)
        places.add((chrome.stop.geometry().getRect(), chrome.alarms.geometry().getRect()))
    hand.stop()
    walk.pass_time(1)
    settle(walk)
    places.add((chrome.stop.geometry().getRect(), chrome.alarms.geometry().getRect()))
    assert len(places) == 1
