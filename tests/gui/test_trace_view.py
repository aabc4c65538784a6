"""What can be chosen: every step stays within what is allowed."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.gui.trace_view import SCALES_UV, WINDOWS_S, TraceView, fitting_scale

NAMES = ("E10", "E2", "Cz", "C3")
GOOD = np.zeros(4, np.intp)


def test_steps_end_at_the_ends():
    view = TraceView()
    for _ in range(30):
        view.stretch(1)
        view.magnify(1)
    assert (view.window_s, view.scale_uv, view.auto) == (WINDOWS_S[-1], SCALES_UV[0], False)
    for _ in range(30):
        view.stretch(-1)
        view.magnify(-1)
    assert (view.window_s, view.scale_uv) == (WINDOWS_S[0], SCALES_UV[-1])


@pytest.mark.parametrize(
    ("choice", "rows"),
    [
        ({}, [0, 1, 2, 3]),
        ({"order": "by name"}, [3, 2, 1, 0]),
        ({"order": "worst first"}, [2, 0, 1, 3]),
        ({"find": "c"}, [2, 3]),
        ({"find": "cz e2"}, [1, 2]),
        ({"find": "nobody"}, []),
    ],
)
def test_channels_are_ordered_and_found(choice, rows):
    grades = np.array([0, 0, 2, 0])
    assert TraceView(**choice).rows(NAMES, grades).tolist() == rows


def test_pages_go_round():
    view, names = TraceView(group=16), [f"E{n}" for n in range(40)]
    view.turn_page(-1, 40)
    assert view.rows(names, np.zeros(40, np.intp)).tolist() == list(range(32, 40))
    view.turn_page(1, 40)
    assert view.place == 0


def test_looking_back_stops_at_what_is_kept():
    view = TraceView()
    view.scroll(-(10**9), first=500, stop=5000, window=1000)
    assert view.paused_at == 1500
    view.scroll(10**9, first=500, stop=5000, window=1000)
    assert view.paused_at == 5000


def test_before_a_window_is_full_there_is_nothing_to_look_back_to():
    view = TraceView()
    view.scroll(-100, first=0, stop=300, window=1000)
    assert view.paused_at == 300


def test_a_scale_that_fits_is_left_alone():
    assert fitting_scale(80.0, 100) == 100
    assert fitting_scale(float("nan"), 100) == 100
    assert fitting_scale(10.0, 100) == 15
    assert fitting_scale(1000.0, 100) == 1500
    assert fitting_scale(1e9, 100) == SCALES_UV[-1]


def test_a_scale_that_was_chosen_is_kept_when_the_signal_stays():
    for spread in (3.0, 42.0, 777.0):
        chosen = fitting_scale(spread, 1)
        assert fitting_scale(spread, chosen) == chosen
