"""The picture: only new columns are drawn, and what is drawn is what came."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.trace_marks import TraceMarks
from diverloop.gui.trace_picture import TracePicture
from diverloop.gui.trace_store import TraceStore
from diverloop.gui.trace_view import TraceView
from diverloop.runtime.messages import Chunk

from .told import a_quality, a_session, a_stream

WIDTH, HEIGHT = 200, 80
SURFACE = int("ff" + DARK.surface[1:], 16)


def a_picture(**view) -> TracePicture:
    return TracePicture(TraceStore(60.0), TraceMarks(), TraceView(**view), DARK)


def feed(picture: TracePicture, messages) -> list[tuple[int, int]]:
    """Every message, a picture after each."""
    drawn = []
    for message in messages:
        picture.store.take(message)
        picture.marks.take(message)
        drawn.append(picture.advance(WIDTH, HEIGHT))
    return drawn


def test_each_column_is_drawn_about_once():
    picture = a_picture(window_s=5)
    drawn = feed(picture, a_session(8.0))
    n_drawn = sum(stop - first for first, stop in drawn)
    assert n_drawn <= 8 / 5 * WIDTH + 2 * len(drawn)
    assert picture.end - picture.begin == WIDTH
    assert picture.shown_stop == picture.store.stop


def test_a_picture_drawn_piece_by_piece_is_the_picture_drawn_at_once():
    one, other = a_picture(window_s=5), a_picture(window_s=5)
    messages = [m for m in a_session(4.0) if not hasattr(m, "usable")]
    feed(one, messages)
    for message in messages:
        other.store.take(message)
    other.advance(WIDTH, HEIGHT)
    one._centres = other._centres = one._centres * 0
    for picture in (one, other):
        picture.begin = picture.end = picture._over = 0
        picture.advance(WIDTH, HEIGHT)
    assert np.array_equal(one.pixels, other.pixels)


def test_a_change_of_view_draws_everything_anew():
    picture = a_picture(window_s=5)
    feed(picture, a_session(3.0))
    voids = picture.voids
    for change in ("window_s", "scale_uv"):
        setattr(picture.view, change, 2)
        first, stop = picture.advance(WIDTH, HEIGHT)
        assert stop - first > 100
    picture.look = LIGHT
    picture.advance(WIDTH, HEIGHT)
    assert picture.voids == voids + 3 + 3  # each begins at another column


def test_a_large_picture_is_filled_over_several_frames(monkeypatch):
    picture = a_picture(window_s=5)
    for message in a_session(5.0):
        picture.store.take(message)
    monkeypatch.setattr("diverloop.gui.trace_picture._AT_ONCE", 1000)
    steps = 0
    while picture.end < picture.last_column or not steps:
        first, stop = picture.advance(WIDTH, HEIGHT)
        steps += 1
        assert stop - first <= 40
    assert steps >= 5


def test_looking_back_draws_only_what_had_been_out_of_sight():
    picture = a_picture(window_s=2)
    feed(picture, a_session(8.0))
    picture.view.scroll(-250, picture.store.first, picture.store.stop, picture.window)
    drawn = [picture.advance(WIDTH, HEIGHT) for _ in range(5)]
    assert sum(stop - first for first, stop in drawn) == pytest.approx(WIDTH / 2, abs=4)
    assert picture.begin <= picture.last_column - WIDTH
    picture.view.paused_at = None
    picture.advance(WIDTH, HEIGHT)
    assert picture.shown_stop == picture.store.stop


def test_a_held_picture_stays_when_what_it_shows_is_forgotten():
    picture = a_picture(window_s=2)
    picture.store.keep_s = 5.0
    picture.store.spec = None
    feed(picture, a_session(4.0))
    picture.view.paused_at = picture.store.stop
    before = picture.pixels.copy()
    feed(picture, list(a_session(20.0))[80:])
    assert np.array_equal(picture.pixels, before)


def test_a_gap_is_hatched_and_no_trace_crosses_it():
    picture = a_picture(window_s=5)
    spec = a_stream(1, 250.0)
    flat = np.zeros((1, 250), np.float32)
    chunks = [Chunk(samples=flat, first_sample=n, arrived_ns=0) for n in (0, 750)]
    feed(picture, [spec, *chunks])
    column = picture.pixels[:, 80]
    middle = picture.pixels[HEIGHT // 2 - 1 : HEIGHT // 2 + 1]
    assert (column != SURFACE).sum() == HEIGHT / 8
    assert (middle[:, 30] != SURFACE).any()
    assert (middle[:, 45:115] != SURFACE).mean() < 0.2


def test_a_bad_channel_is_dashed_in_another_colour():
    picture = a_picture(window_s=5)
    spec = a_stream(2, 250.0)
    samples = np.zeros((2, 1000), np.float32)
    feed(picture, [spec, a_quality(spec, 0), Chunk(samples=samples, first_sample=0, arrived_ns=0)])
    good, bad = (picture.pixels[y - 1 : y + 1, 1:120].max(axis=0) != SURFACE for y in (20, 60))
    assert good.mean() > 0.95
    assert 0.4 < bad.mean() < 0.6


def test_the_scale_follows_the_signal_until_a_person_chooses():
    picture = a_picture(window_s=5, scale_uv=5000)
    feed(picture, a_session(3.0))
    assert picture.follow_signal()
    assert 50 <= picture.view.scale_uv <= 100
    picture.view.magnify(-1)
    chosen = picture.view.scale_uv
    picture.advance(WIDTH, HEIGHT)
    assert not picture.follow_signal()
    assert picture.view.scale_uv == chosen


def test_a_long_window_comes_from_bins():
    picture = a_picture(window_s=60)
    drawn = feed(picture, a_session(5.0, n_channels=2, rate_hz=500.0))
    assert picture.per_column > 64
    assert drawn[-1][1] >= 5 / 60 * WIDTH - 2


def test_nothing_that_fits_a_search_is_an_empty_picture():
    picture = a_picture(find="nobody")
    feed(picture, a_session(1.0))
    assert not len(picture.rows)
    assert not picture.follow_signal()
