"""The experimenter's window, clicked through: what it says, what it asks, what it survives."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from itertools import cycle, islice

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QWidget

from diverloop.gui.controls import Answer, Controls
from diverloop.gui.dashboard import Dashboard
from diverloop.gui.layouts import Kept
from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.panels.adaptation import Adaptation
from diverloop.gui.panels.events import Events
from diverloop.gui.panels.guard_panel import GuardPanel
from diverloop.gui.recorded import Recorded, SessionTape
from diverloop.runtime.access import RIGHTS, Action, Role, Why
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.messages import Chunk, Event, EventKind, Turn
from diverloop.runtime.telemetry import TelemetryPublisher, TelemetrySubscriber

from .seen import Counting, Link
from .taped_session import write_session
from .told import Told, a_quality, a_session, a_stream, a_turn

ARMED = Event(kind=EventKind.GUARD, text="The guard went from disarmed to armed.")


class Opened:
    """A window with what is behind it."""

    def __init__(self, qtbot, teller=None, role=Role.CLINICIAN, store=None, linked=True) -> None:
        self.link, self.clock = Link(), VirtualClock(1)
        self.controls = Controls(lambda: self.link) if linked else Controls()
        self.traces, self.events, self.maps = Counting(), Events(), Counting("maps")
        may = RIGHTS[role]
        self.window = Dashboard(
            [self.traces, self.maps, GuardPanel(), self.events,
             Adaptation(DARK, self.controls, may)],
            teller if teller is not None else Told(), self.controls, session="demo", may=may,
            store=store, clock=self.clock,
        )  # fmt: skip
        qtbot.addWidget(self.window)
        with qtbot.waitExposed(self.window):
            self.window.show()
        self.window.activateWindow()
        qtbot.waitUntil(self.window.isActiveWindow)

    def close(self) -> None:
        self.window.close()
        self.controls.close()


@pytest.fixture
def opened(qtbot):
    made: list[Opened] = []

    def open_one(*args, **kwargs) -> Opened:
        made.append(Opened(qtbot, *args, **kwargs))
        return made[-1]

    yield open_one
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_session(tmp_path_factory.mktemp("session"))


def press(qtbot, window, key, modifier=Qt.KeyboardModifier.ControlModifier) -> None:
    qtbot.keyClick(QApplication.focusWidget() or window, key, modifier)


def asked(opened) -> list[Action]:
    return [action for action, _ in opened.link.asked]


def test_opened_late_it_shows_everything_in_its_first_frames(opened):
    one = opened(teller=Told([*a_session(3.0), ARMED]))
    while one.window.feed.teller.messages:
        one.window.feed.turn()
    one.window._words_at_s = -1.0
    one.window.frame()
    cells = {name: view.cell for name, view in one.window.header.cells.items()}
    assert cells["guard"].text == "▶ armed"
    assert cells["decided"].text in ("left", "right", "neutral")
    assert cells["view"].text == "live"
    assert one.traces.drawn >= 1
    assert one.window.foot.disclaimer.isVisible()


def test_closed_and_opened_again_in_mid_session_it_knows_stream_and_guard_at_once(qtbot, opened):
    publisher = TelemetryPublisher()
    publisher.watch(a_stream())
    publisher.watch(ARMED)
    for n in (1, 2):
        one = opened(teller=TelemetrySubscriber(publisher.address))
        one.window.start()
        assert publisher.wait_for_subscriber(20_000)
        publisher.watch(a_turn(250 * n))
        qtbot.waitUntil(lambda one=one: one.window.state.turn is not None, timeout=20_000)
        assert one.window.state.spec == a_stream()
        assert "armed" in one.window.state.guard
        one.close()
    publisher.close()


def test_the_stop_is_one_key_away_and_its_answer_is_told(qtbot, opened):
    one = opened()
    with qtbot.waitSignal(one.controls.answered):
        press(qtbot, one.window, Qt.Key.Key_Space, Qt.KeyboardModifier.NoModifier)
    assert asked(one) == [Action.STOP]
    assert one.window.foot.answer.whole == "Stop, done: stop it is."
    with qtbot.waitSignal(one.controls.answered):
        one.window.header.stop.click()
    assert asked(one) == [Action.STOP] * 2


@pytest.mark.parametrize(
    ("key", "action", "presses"),
    [
        (Qt.Key.Key_D, Action.DISARM, 1), (Qt.Key.Key_A, Action.ARM, 2),
        (Qt.Key.Key_R, Action.RESET, 2), (Qt.Key.Key_Z, Action.DISABLE_ADAPTATION, 1),
        (Qt.Key.Key_B, Action.ROLL_BACK, 1),
    ],
)  # fmt: skip
def test_every_action_has_its_key(qtbot, opened, key, action, presses):
    one = opened()
    for _ in range(presses - 1):
        press(qtbot, one.window, key)
        assert not one.link.asked
    with qtbot.waitSignal(one.controls.answered):
        press(qtbot, one.window, key)
    assert asked(one) == [action]


def test_a_role_can_do_what_it_may_and_no_more(opened):
    one = opened(role=Role.VIEWER)
    able = {action for action, button in one.window.header.buttons.items() if button.isEnabled()}
    assert able == {Action.DISARM, Action.DISABLE_ADAPTATION}
    one.window.note()
    assert one.window.foot.answer.whole == "Your role takes no notes."
    assert one.window.header.stop.isEnabled()


def test_a_note_is_written_without_covering_the_stop(qtbot, opened):
    one = opened()
    press(qtbot, one.window, Qt.Key.Key_N)
    line = one.window.foot.writing.line
    qtbot.waitUntil(line.hasFocus)
    qtbot.keyClicks(line, "blinks a lot")
    with qtbot.waitSignal(one.controls.answered):
        qtbot.keyClick(line, Qt.Key.Key_Return)
    assert one.link.asked == [(Action.NOTE, "blinks a lot")]
    assert one.window.header.stop.isVisible()


def test_who_is_locked_types_a_code_and_the_same_is_asked_again(qtbot, opened):
    one = opened()
    refused = Answer(
        action=Action.ARM, done=False, text="You are locked.", facts={}, why=str(Why.LOCKED)
    )
    one.controls.answered.emit(refused)
    line = one.window.foot.writing.line
    qtbot.waitUntil(line.hasFocus)
    qtbot.keyClicks(line, "123456")
    with qtbot.waitSignal(one.controls.answered):
        qtbot.keyClick(line, Qt.Key.Key_Return)
    assert one.link.codes == ["123456"]
    assert asked(one) == [Action.ARM]


def test_without_a_control_link_it_looks_on_and_says_so(opened):
    one = opened(linked=False)
    assert not any(button.isEnabled() for button in one.window.header.buttons.values())
    assert "no link" in one.window.header.stop.text()
    one.window.note()
    assert "no control link" in one.window.foot.answer.whole


def test_a_session_that_falls_silent_is_asked_about(opened):
    one = opened(teller=Told(a_session(0.5)))
    one.window.feed.turn()
    one.clock.advance(3_000_000_000)
    one.window._say_words()
    assert one.window.header.line.whole.startswith("⚠ Silent for 3 s: has the session ended?")


def test_hidden_panels_take_what_comes_and_are_not_drawn(qtbot, opened):
    one = opened()
    one.window.docks.docks["maps"].hide()
    drawn = one.maps.drawn
    for message in a_session(0.5):
        one.window.take(message)
    for _ in range(20):
        one.window.frame()
    assert one.maps.drawn == drawn
    assert one.maps.taken
    one.window.docks.docks["maps"].show()
    one.window.frame()
    assert one.maps.drawn == drawn + 1


def test_paused_pictures_stand_still_and_the_header_goes_on(qtbot, opened):
    one = opened(teller=Told([*a_session(0.5), ARMED]))
    press(qtbot, one.window, Qt.Key.Key_P)
    drawn = one.traces.drawn
    while one.window.feed.teller.messages:
        one.window.feed.turn()
    one.window._say_words()
    assert one.traces.drawn == drawn
    assert one.window.header.cells["guard"].cell.text == "▶ armed"
    assert "Paused" in one.window.header.line.whole
    press(qtbot, one.window, Qt.Key.Key_P)
    one.window.frame()
    assert one.traces.drawn == drawn + 1


def test_number_keys_go_to_panels_and_one_can_be_seen_alone(qtbot, opened):
    one = opened()
    press(qtbot, one.window, Qt.Key.Key_4, Qt.KeyboardModifier.NoModifier)
    assert one.window.docks.focused() == "events"
    press(qtbot, one.window, Qt.Key.Key_E)
    assert one.window.docks.seen() == ["events"]
    press(qtbot, one.window, Qt.Key.Key_E)
    assert {"events", "traces", "maps"} <= set(one.window.docks.seen())


def test_a_floating_panel_hears_the_keys_of_the_window_and_the_stop(qtbot, opened):
    one = opened()
    one.window.docks.focus(4)
    press(qtbot, one.window, Qt.Key.Key_O)
    dock = one.window.docks.docks["events"]
    assert dock.isFloating()
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow)
    one.events.setFocus()
    with qtbot.waitSignal(one.controls.answered):
        qtbot.keyClick(one.events.table, Qt.Key.Key_Space)
    assert asked(one) == [Action.STOP]
    one.window.docks.float_focused()
    assert not dock.isFloating()


def test_the_look_changes_by_key_and_all_keys_are_listed_by_key(qtbot, opened):
    one = opened()
    press(qtbot, one.window, Qt.Key.Key_T)
    assert one.window.look is LIGHT
    assert one.traces.look is LIGHT
    press(qtbot, one.window, Qt.Key.Key_F1, Qt.KeyboardModifier.NoModifier)
    assert one.window.help.isVisible()
    press(qtbot, one.window, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    assert not one.window.help.isVisible()


def test_a_layout_is_saved_by_name_and_the_last_one_is_kept(qtbot, opened):
    store = Kept()
    one = opened(store=store)
    one.window.docks.docks["maps"].hide()
    press(qtbot, one.window, Qt.Key.Key_S)
    qtbot.keyClicks(one.window.foot.writing.line, "night")
    qtbot.keyClick(one.window.foot.writing.line, Qt.Key.Key_Return)
    one.window.close()
    later = opened(store=store)
    assert not later.window.docks.docks["maps"].isVisible()
    later.window.reset_layout()
    assert later.window.docks.docks["maps"].isVisible()
    later.window._fill_menu()
    entries = {action.text(): action for action in later.window.menu.actions()}
    entries["night"].trigger()
    assert not later.window.docks.docks["maps"].isVisible()


def test_a_panel_that_fails_takes_nothing_with_it(qtbot, opened, monkeypatch):
    one = opened()
    monkeypatch.setattr(one.maps, "take", lambda message: 1 / 0)
    for message in a_session(0.2):
        one.window.take(message)
    one.window.frame()
    assert "'Maps' failed (ZeroDivisionError" in one.window.foot.answer.whole
    assert len(one.traces.taken) > 5
    with qtbot.waitSignal(one.controls.answered):
        one.window.header.stop.click()
    assert asked(one) == [Action.STOP]


def test_ten_thousand_messages_at_once_are_taken_in_pieces(opened):
    messages = list(islice(cycle(a_session(4.0)), 10_000))
    one = opened(teller=Told(messages))
    one.window.feed.turn()
    assert len(one.window.feed.teller.messages) > 0  # one turn does not take them all
    turns = 1
    while one.window.feed.teller.messages:
        one.window.feed.turn()
        turns += 1
    assert one.window.feed.taken == 10_000
    assert one.traces.drawn >= 1
    assert turns > 1


def test_ten_thousand_updates_leave_no_widgets_and_no_memory_behind(opened):
    one = opened()
    one.traces.take = lambda message: None
    one.maps.take = lambda message: None
    quality, turn = a_quality(a_stream()), a_turn(12)

    def later(n: int) -> Turn:
        times = replace(turn.times, acted_ns=turn.times.acted_ns + n * 48_000_000)
        return replace(turn, times=times)

    def update(first: int, stop: int) -> None:
        for n in range(first, stop):
            one.window.take(ARMED if n % 50 == 0 else quality if n % 20 == 0 else later(n))
            if n % 50 == 0:
                one.window.frame()

    update(0, 2000)  # a minute of turns, which is what the guard's panel looks back
    QApplication.processEvents()
    widgets = len(one.window.findChildren(QWidget))
    gc.collect()
    objects = len(gc.get_objects())
    update(2000, 9000)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    update(9000, 12_000)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(one.window.findChildren(QWidget)) == widgets
    assert len(gc.get_objects()) - objects < 2000  # in 10,000 updates; 200 of them are rows
    assert after - before < 100_000  # bytes in 3000 updates


# --------------------------------------------------------------------------------- a recording


def test_a_recording_is_shown_without_anything_that_could_be_taken_for_a_control(opened, folder):
    clock = VirtualClock(1)
    one = opened(teller=Recorded(SessionTape(folder), clock))
    one.window.bar.toggle()
    for _ in range(20):
        clock.advance(400_000_000)
        for _ in range(5):
            one.window.feed.turn()
    one.window._say_words()
    assert one.window.header.cells["guard"].cell.text == "▶ armed"
    assert one.window.header.cells["view"].cell.title == "this recording"
    assert not one.window.header.stop.isVisible()
    assert not any(button.isVisible() for button in one.window.header.buttons.values())
    assert max(m.stop_sample for m in one.traces.taken if isinstance(m, Chunk)) / 250 > 7.5


def test_a_jump_forgets_what_was_and_is_right_at_once(qtbot, opened, folder):
    recorded = Recorded(SessionTape(folder), VirtualClock(1))
    one = opened(teller=recorded)
    press(qtbot, one.window, Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier)
    while one.window.bar._to_s is not None or recorded.behind:
        one.window.feed.turn()
    assert one.traces.forgot == 1
    assert recorded.position_s == recorded.length_s
    press(qtbot, one.window, Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier)
    press(qtbot, one.window, Qt.Key.Key_Right)
    while one.window.bar._to_s is not None or recorded.behind:
        one.window.feed.turn()
    assert one.window.bar.mark.whole.startswith("guard: ")
    newest = max(m.stop_sample for m in one.traces.taken if isinstance(m, Chunk))
    assert newest / 250 == pytest.approx(recorded.position_s, abs=0.2)
