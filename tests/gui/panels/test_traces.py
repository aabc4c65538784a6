"""The traces as a person sees and works them, without a mouse."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent

from diverloop.gui.application import dress
from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.panels.traces import Traces
from diverloop.gui.trace_store import TraceStore

from ..told import a_quality, a_session, a_stream


@pytest.fixture
def panel(qtbot):
    made = Traces(DARK, TraceStore(60.0))
    dress(made, DARK)
    qtbot.addWidget(made)
    made.resize(700, 300)
    made.show()
    qtbot.waitExposed(made)
    made.activateWindow()
    made.setFocus()
    return made


def fed(panel, qapp, seconds=4.0, **kinds):
    for n, message in enumerate(a_session(seconds, **kinds)):
        panel.take(message)
        if n % 5 == 0:
            panel.draw()
            qapp.processEvents()
    panel.draw()
    qapp.processEvents()
    return panel


def test_the_newest_sample_is_painted(panel, qapp, qtbot):
    painted = []
    panel.canvas.painted.connect(painted.append)
    fed(panel, qapp)
    qtbot.waitUntil(lambda: painted[-1:] == [960])
    assert panel.store.stop == 960


def test_a_frame_without_anything_new_paints_nothing(panel, qapp, qtbot):
    painted = []
    panel.canvas.painted.connect(painted.append)
    fed(panel, qapp)
    qtbot.waitUntil(lambda: painted[-1:] == [960])
    painted.clear()
    for _ in range(10):
        panel.draw()
        qapp.processEvents()
    assert not painted


def test_a_bad_channel_is_named_with_its_cause_and_counted(panel, qapp):
    fed(panel, qapp)
    assert "4 channels, 1 bad" in panel.says.text()
    names = panel._names.grab().toImage()
    edge = [names.pixelColor(names.width() - 4, y).name() for y in range(names.height())]
    assert DARK.bad in edge


@pytest.mark.parametrize(
    ("key", "what", "value"),
    [
        (Qt.Key.Key_Plus, "scale_uv", 70),
        (Qt.Key.Key_Minus, "scale_uv", 150),
        (Qt.Key.Key_BracketRight, "window_s", 15),
        (Qt.Key.Key_BracketLeft, "window_s", 5),
        (Qt.Key.Key_A, "auto", False),
        (Qt.Key.Key_G, "group", 16),
        (Qt.Key.Key_O, "order", "by name"),
        (Qt.Key.Key_S, "sweep", False),
    ],
)
def test_every_choice_has_a_key(panel, qtbot, key, what, value):
    qtbot.keyClick(panel.canvas, key)
    assert getattr(panel.view, what) == value
    panel.draw()


def test_a_view_filter_says_what_it_is(panel, qapp, qtbot):
    fed(panel, qapp, 1.0)
    qtbot.keyClick(panel.canvas, Qt.Key.Key_F)
    qtbot.keyClick(panel.canvas, Qt.Key.Key_N)
    panel.draw()
    assert "without 50 Hz" in panel.says.text()
    assert "not what the decoder sees" in panel.says.text()


def test_pause_look_back_and_live_again(panel, qapp, qtbot):
    panel.view.window_s = 1
    fed(panel, qapp)
    qtbot.keyClick(panel.canvas, Qt.Key.Key_P)
    held = panel.view.paused_at
    qtbot.keyClick(panel.canvas, Qt.Key.Key_Left)
    qtbot.keyClick(panel.canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert panel.view.paused_at == held - 275
    panel.draw()
    assert "PAUSED, 1 s back" in panel.says.text()
    qtbot.keyClick(panel.canvas, Qt.Key.Key_Home)
    assert panel.view.paused_at == 250
    qtbot.keyClick(panel.canvas, Qt.Key.Key_End)
    panel.draw()
    assert panel.view.paused_at is None
    assert panel.says.text().startswith("live")


def test_a_picture_that_is_held_says_so_over_the_traces(panel, qapp):
    fed(panel, qapp)
    panel.pause()
    panel.draw()
    image = panel.canvas.grab().toImage()
    assert image.pixelColor(image.width() - 60, image.height() - 30).name() != DARK.surface
    assert image.pixelColor(1, 100).name() == DARK.doubtful


def test_a_stream_that_is_silent_is_not_called_live(qtbot, qapp):
    now_s = 0.0
    panel = Traces(DARK, TraceStore(60.0), now_s=lambda: now_s)
    qtbot.addWidget(panel)
    fed(panel, qapp, 0.5)
    assert panel.says.text().startswith("live")
    now_s = 4.0
    panel.draw()
    assert panel.says.text().startswith("NO NEW SIGNAL for 4 s")


def test_the_wheel_looks_back(panel, qapp):
    fed(panel, qapp)
    panel.view.window_s = 1
    panel.draw()
    event = QWheelEvent(
        QPointF(9, 9), QPointF(9, 9), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    panel.wheelEvent(event)
    assert panel.view.paused_at == panel.store.stop - 25


def test_a_name_is_found_by_typing_and_escape_shows_all_again(panel, qapp, qtbot):
    fed(panel, qapp, 0.2)
    qtbot.keyClick(panel.canvas, Qt.Key.Key_Slash)
    qtbot.keyClicks(panel.bar.search, "cz p")
    panel.draw()
    assert panel.picture.rows.tolist() == [1, 3]
    assert "2 of 4 channels" in panel.says.text()
    qtbot.keyClick(panel.bar.search, Qt.Key.Key_Escape)
    panel.draw()
    assert len(panel.picture.rows) == 4


def test_pages_are_turned_by_key(panel, qapp, qtbot):
    fed(panel, qapp, 0.2, n_channels=40)
    qtbot.keyClick(panel.canvas, Qt.Key.Key_G)
    qtbot.keyClick(panel.canvas, Qt.Key.Key_PageDown)
    panel.draw()
    assert panel.picture.rows.tolist() == list(range(16, 32))


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=lambda look: look.name)
@pytest.mark.parametrize("sweep", [True, False])
def test_it_is_drawn_in_both_looks_swept_or_running(panel, qapp, look, sweep):
    panel.view.sweep = sweep
    panel.wear(look)
    panel.view.window_s = 2
    fed(panel, qapp, 3.0, n_channels=8)
    image = panel.canvas.grab().toImage()
    colours = {image.pixelColor(x, y).name() for x in range(0, 500, 7) for y in range(0, 250, 2)}
    assert look.surface in colours
    assert len(colours) > 20


def test_many_channels_leave_room_for_the_names_of_bad_ones(panel, qapp):
    spec = a_stream(200, 250.0)
    panel.take(spec)
    panel.take(a_quality(spec, bad=("E150",)))
    panel.draw()
    qapp.processEvents()
    assert len(panel.picture.rows) == 200
    assert "1 bad" in panel.says.text()


def test_forgetting_leaves_the_stream_and_no_sample(panel, qapp):
    fed(panel, qapp)
    panel.pause()
    panel.forget()
    panel.draw()
    qapp.processEvents()
    assert panel.store.stop == 0
    assert panel.view.paused_at is None
    assert panel.picture.end == 0


def test_before_any_stream_it_says_so(panel, qapp):
    panel.draw()
    qapp.processEvents()
    assert panel.says.text() == "no stream yet"
    assert np.ptp(panel.picture.pixels) == 0
