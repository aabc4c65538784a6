"""Electrodes where they are, and one of them chosen."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt

from diverloop.gui.electrode_map import ElectrodeMap
from diverloop.hardware.montage import scalp_position_m
from diverloop.runtime.messages import Channel, StreamSpec

SCALP = {name: scalp_position_m(name) for name in ("C3", "Cz", "C4", "Fz", "Pz")}


@pytest.fixture
def drawn(qtbot) -> ElectrodeMap:
    drawn = ElectrodeMap(positions=SCALP)
    qtbot.addWidget(drawn)
    drawn.resize(400, 360)
    channels = tuple(Channel(name=name) for name in SCALP)
    drawn.show_spec(StreamSpec(name="made", rate_hz=250, channels=channels))
    return drawn


def place(drawn: ElectrodeMap, name: str) -> QPointF:
    return next(points[name] for *_, points in drawn._place_all() if name in points)


def test_the_electrode_under_the_mouse_is_chosen_and_told(drawn, qtbot):
    told = []
    drawn.chosen.connect(told.append)
    drawn.show()
    at = place(drawn, "C3")
    qtbot.mouseMove(drawn, QPoint(round(at.x()), round(at.y())))
    qtbot.waitUntil(lambda: drawn.choice == "C3")
    assert told == ["C3"]
    assert drawn.spot_at(QPointF(2, 2)) == ""


def test_the_arrow_keys_go_to_the_next_electrode_that_way(drawn, qtbot):
    drawn.choose("Cz")
    gone = []
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Up):
        qtbot.keyClick(drawn, key)
        gone.append(drawn.choice)
    assert gone == ["C3", "Cz", "C4", "Fz"]
    qtbot.keyClick(drawn, Qt.Key.Key_Escape)
    assert drawn.choice == ""


def test_every_electrode_can_be_reached_with_the_arrow_keys(drawn, qtbot):
    reached = set()
    for start in SCALP:
        for key in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down):
            drawn.choose(start)
            qtbot.keyClick(drawn, key)
            reached.add(drawn.choice)
    assert reached == set(SCALP)


def test_left_is_left_and_the_nose_is_up(drawn):
    assert place(drawn, "C3").x() < place(drawn, "Cz").x() < place(drawn, "C4").x()
    assert place(drawn, "Fz").y() < place(drawn, "Cz").y() < place(drawn, "Pz").y()


def test_places_follow_the_size_of_the_widget_and_stay_inside(drawn):
    for size in ((200, 180), (900, 300), (300, 900)):
        drawn.resize(*size)
        for name in SCALP:
            assert drawn.rect().contains(place(drawn, name).toPoint())
        drawn.grab()


def test_several_maps_are_side_by_side_and_do_not_overlap(drawn):
    channels = (
        *(Channel(name=f"G{n}", kind="ecog") for n in range(1, 17)),
        *(Channel(name=f"{shaft}{n}", kind="seeg") for shaft in ("A", "B") for n in range(1, 9)),
    )
    drawn.show_spec(StreamSpec(name="made", rate_hz=250, channels=channels))
    boxes = [box for _, box, *_ in drawn._place_all()]
    assert len(boxes) == 2
    assert not boxes[0].intersects(boxes[1])
    assert not drawn.grab().isNull()
