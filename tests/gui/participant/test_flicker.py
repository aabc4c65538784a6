from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QRectF

from diverloop.gui.look import LIGHT
from diverloop.gui.participant.flicker import FlickerPicture, pixel, target_areas
from diverloop.gui.participant.flicker_course import MAX_AREA, FlickerShow
from diverloop.runtime.paradigms.flicker import FlickerPlan
from diverloop.runtime.paradigms.profiles import GENERAL

from .session_words import ARMED, RATE_HZ, STOPPED, Canvas, a_decision

PLAN = FlickerPlan(frequencies_hz=(8, 10, 12, 14))
SHOW = FlickerShow(plan=PLAN, profile=GENERAL)


def spots(canvas, show=SHOW):
    """Pixel in the middle of each target."""
    area = QRectF(canvas.image.rect())
    left = area.adjusted(0, 0, 0, -0.085 * area.height())
    free = left.adjusted(0, 0.07 * left.height(), 0, 0)
    size = area.width() * area.height()
    targets = target_areas(len(show.plan.frequencies_hz), free, show.area * size)
    return [(round(one.center().y()), round(one.center().x())) for one in targets]


def drawn_light(seconds=2, lost=lambda frame: False):
    """Light of each target, read back from what was drawn, through the display's gamma."""
    picture = FlickerPicture(SHOW)
    canvas, light, started = Canvas(picture, 200, 125), [], False
    for frame in range(2000):
        if frame % 30 == 0:
            picture.take(ARMED)
        if not (started and lost(frame)):
            started = canvas.paint(frame).lit
        if started:
            pixels = canvas.pixels()
            light.append([(pixels[y, x, 0] / 255) ** SHOW.gamma for y, x in spots(canvas)])
        if len(light) == seconds * RATE_HZ:
            break
    return np.array(light)


@pytest.mark.parametrize(("losing", "others"), [(False, 0.02), (True, 0.3)])
def test_the_light_that_is_drawn_has_the_planned_line_and_no_other(qapp, losing, others):
    light = drawn_light(lost=lambda frame: losing and frame % 20 == 0)
    assert len(light) == 2 * RATE_HZ
    at = np.fft.rfftfreq(len(light), 1 / RATE_HZ)
    for n, hertz in enumerate(PLAN.frequencies_hz):
        one = light[:, n]
        contrast = 2 * np.abs(np.fft.rfft(one - one.mean())) / len(one) / 0.5
        assert at[contrast.argmax()] == hertz
        assert contrast.max() == pytest.approx(1.0, abs=0.1)
        assert np.delete(contrast, contrast.argmax()).max() < others


def test_a_stop_makes_every_target_grey_in_the_next_frame(qapp):
    picture = FlickerPicture(SHOW)
    canvas, frame = Canvas(picture), 0
    picture.take(ARMED)
    while not canvas.paint(frame).lit:
        frame += 1
    canvas.paint(frame + 5)
    greys = [canvas.pixels()[y, x, 0] for y, x in spots(canvas)]
    assert len(set(greys)) > 1
    picture.take(STOPPED)
    shown = canvas.paint(frame + 6)
    greys = [canvas.pixels()[y, x, 0] for y, x in spots(canvas)]
    assert set(greys) == {pixel(0.5, SHOW.gamma).red()}
    assert (shown.lit, shown.labels) == (False, ("flicker:off",))


def test_a_display_of_an_unknown_rate_shows_grey():
    picture = FlickerPicture(SHOW)
    picture.take(ARMED)
    assert {light for n in range(300) for light in picture.course.step(n).light} == {0.5}


@pytest.mark.parametrize("n_targets", [1, 2, 3, 4, 6, 7, 40])
@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (800, 1280)])
def test_targets_are_squares_apart_within_their_share_of_the_screen(n_targets, size):
    area = QRectF(0, 0, *size)
    targets = target_areas(n_targets, area, MAX_AREA * size[0] * size[1])
    assert len(targets) == n_targets
    assert sum(one.width() * one.height() for one in targets) <= MAX_AREA * size[0] * size[1]
    for n, one in enumerate(targets):
        assert one.width() == one.height() > 0.03 * size[1]
        assert area.contains(one)
        around = one.adjusted(0, -0.3 * one.height(), 0, 0.3 * one.height())  # words
        assert not any(around.intersects(other) for other in targets[:n])


@pytest.mark.parametrize("mode", ["free", "calibrate"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_state_can_be_drawn(qapp, mode, language):
    show = FlickerShow(plan=PLAN, profile=GENERAL, mode=mode, trials=1, flicker_s=0.5)
    picture, seen = FlickerPicture(show, language), set()
    canvas = Canvas(picture, look=LIGHT)
    for frame in range(900):
        if frame % 60 == 5:
            picture.take(ARMED)
        if frame == 150:
            picture.take(a_decision("flicker:10", PLAN.labels))
        if frame % 10:
            picture.course.step(frame)  # drawing takes longer
            continue
        canvas.paint(frame)
        seen.add(canvas.pixels()[:30].tobytes())
    assert len(seen) >= 2


def test_pixels_give_the_light_that_was_asked_for():
    for light in (0.0, 0.1, 0.5, 1.0, 1.2):
        value = pixel(light, 2.2).redF() ** 2.2
        assert value == pytest.approx(min(light, 1.0), abs=0.01)
