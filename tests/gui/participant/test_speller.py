from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import QRectF

from diverloop.adapters.speller import SpellerAdapter, SpellerConfig
from diverloop.gui.look import DARK, LIGHT, blend, contrast
from diverloop.gui.participant.speller import UNLIT, SpellerPicture, item_cells
from diverloop.gui.participant.spelling_course import SpellingConfig
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Embedding, Marker, Window
from diverloop.runtime.paradigms.profiles import GENERAL
from diverloop.runtime.paradigms.speller import (
    MATRIX,
    TARGET,
    SpellerPlan,
    is_flash,
    label_of,
    lit,
)

from .session_words import ARMED, STOPPED, Canvas, a_decision, guard

BRIEF = SpellerPlan(repetitions=2, lead_s=0.3, pause_s=1.2)
FRAME_SAMPLES = 4  # of a signal of 240 Hz
WINDOW_SAMPLES = 192
ARRAYS = {
    # A flash's feature is its log-likelihood ratio.
    "mean": np.zeros(1),
    "scale": np.ones(1),
    "weights": np.ones((1, 1)),
    "bias": np.array([-math.log(5)]),
    "temperature": np.ones(1),
    "prior_log_odds": np.array([-math.log(5)]),
    "evidence_scale": np.ones(1),
}


def picture(text="Q", language="en", **settings):
    given = {"profile": GENERAL, "plan": BRIEF, "text": tuple(text), **settings}
    return SpellerPicture(SpellingConfig(**given), language)


def difference(one, other):
    return np.abs(one.astype(int) - other).max(axis=2) > 60


def test_exactly_the_items_of_the_marker_become_bright_bold_and_larger(qapp):
    drawn = picture()
    canvas = Canvas(drawn, 640, 400)
    drawn.take(ARMED)
    while True:
        canvas.paint(0)
        if drawn.course.step(0).phase == "lead":
            break
    rest, frame = None, 0
    while True:
        frame += 1
        shown = canvas.paint(frame)
        if any(map(is_flash, shown.labels)):
            break
        rest = canvas.pixels()
    (label,) = shown.labels
    changed = difference(canvas.pixels(), rest)
    asked = MATRIX.index("Q")  # its ring goes as the first flash comes
    for n, cell in enumerate(drawn.cells):
        inside = cell.adjusted(3, 3, -3, -3).toRect()
        part = changed[inside.top() : inside.bottom(), inside.left() : inside.right()]
        if n != asked:
            assert bool(part.any()) == (n in lit(BRIEF, label)), MATRIX[n]


@pytest.mark.parametrize("look", [DARK, LIGHT])
def test_letters_at_rest_are_readable_and_far_less_bright_than_a_flash(look):
    rest = blend(look.faint, look.ground, UNLIT)
    assert contrast(rest, look.ground) >= 3  # large text
    assert contrast(look.text, look.ground) > 2.5 * contrast(rest, look.ground)


def test_the_patch_changes_with_every_flash_and_with_nothing_else(qapp):
    drawn = picture(mode="calibrate")
    canvas, before, found, frame = Canvas(drawn, 160, 100), False, [], 0
    while "end" not in found:
        if frame % 30 == 0:
            drawn.take(guard("The guard is disarmed."))
        shown = canvas.paint(frame)
        flashed = any(map(is_flash, shown.labels))
        assert flashed == (shown.lit != before)
        before = shown.lit
        found += shown.labels
        frame += 1
    assert sum(map(is_flash, found)) == BRIEF.n_flashes


class Listener:
    """An adapter that gets its windows from the markers, as an online session does."""

    def __init__(self, plan, attended):
        config = SpellerConfig(plan=plan, letter_weight=0.0)
        self.adapter, self.attended = SpellerAdapter.from_arrays(config, ARRAYS), attended
        self.markers, self.heard, self.kinds = [], 0, []
        self.rng = np.random.default_rng(3)

    def hear(self, labels, sample):
        self.markers += [Marker(label=label, sample=sample) for label in labels]

    def answers(self, now):
        """Decisions whose windows are complete."""
        while self.heard < len(self.markers):
            marker = self.markers[self.heard]
            if marker.sample + WINDOW_SAMPLES > now:
                return
            kind = label_of(self.adapter.config.plan, self.markers, self.heard)
            self.kinds.append(kind)
            self.heard += 1
            shown = lit(self.adapter.config.plan, marker.label)
            sign = 1 if MATRIX.index(self.attended()) in shown else -1
            values = np.array([self.rng.normal(2 * sign, 1.0)])
            yield marker, self.adapter.decide(Embedding(values=values), self._window(marker))

    def _window(self, marker):
        return Window(
            samples=np.zeros((1, 4)),
            first_sample=marker.sample,
            stop_sample=marker.sample + WINDOW_SAMPLES,
            due_ns=0,
            marker=marker,
        )


def spell(text, lost=lambda frame: False, drawing=True, **settings):
    """A whole session: picture, markers, windows, decisions, picture."""
    drawn = picture(text, **settings)
    canvas, frame = Canvas(drawn, 160, 100), 0
    listener = Listener(
        drawn.config.plan, lambda: text[min(len(drawn.course.typed), len(text) - 1)]
    )
    while not drawn.course.done and frame < 20_000:
        frame += 1
        if frame % 60 == 1:
            drawn.take(ARMED)
        if lost(frame):
            continue
        for marker, decision in listener.answers(frame * FRAME_SAMPLES):
            drawn.take(a_decision(decision.label, decision.classes, marker=marker))
        shown = canvas.paint(frame) if drawing else drawn.course.step(frame)
        listener.hear(shown.labels, frame * FRAME_SAMPLES)
    return drawn, listener


@pytest.mark.parametrize("flashing", ["row_column", "checkerboard"])
@pytest.mark.parametrize("losing", [False, True])
def test_an_online_session_decodes_what_is_spelled_from_the_markers_alone(qapp, flashing, losing):
    plan = SpellerPlan(flashing=flashing, repetitions=6, lead_s=0.3, pause_s=1.2)
    drawing = flashing == "row_column" and not losing  # which takes long
    drawn, listener = spell("QI", lambda f: losing and f % 7 == 0, drawing, plan=plan)
    assert drawn.course.typed == ("Q", "I")
    assert listener.adapter.spelled == ("Q", "I")
    assert 0 < listener.kinds.count(TARGET) < listener.kinds.count("nontarget")
    # It stopped early: some flashes of each selection were never shown.
    flashes = [m for m in listener.markers if is_flash(m.label)]
    assert len(flashes) < 2 * plan.n_flashes


def test_the_adapter_and_the_plan_agree_on_what_each_marker_was_to_the_person(qapp):
    drawn, listener = spell("Q", drawing=False)
    asked = MATRIX.index("Q")
    running = False
    for place, marker in enumerate(listener.markers):
        if not is_flash(marker.label):
            running = marker.label.startswith("select")
            continue
        kind = label_of(BRIEF, listener.markers, place)
        assert running
        assert (kind == TARGET) == (asked in lit(BRIEF, marker.label))
    assert drawn.course.typed == ("Q",)


def test_a_stop_darkens_everything_within_one_frame(qapp):
    drawn = picture("", mode="free")  # no ring around a letter
    canvas, frame = Canvas(drawn), 0
    drawn.take(ARMED)
    dark = canvas.paint(frame) and canvas.pixels()
    while not any(map(is_flash, canvas.paint(frame).labels)):
        frame += 1
    area = drawn.cells[0].united(drawn.cells[-1]).toRect()
    part = (slice(area.top(), area.bottom()), slice(area.left(), area.right()))
    drawn.take(STOPPED)
    assert difference(canvas.pixels()[part], dark[part]).any()
    assert canvas.paint(frame + 1).labels == ("end",)
    assert not difference(canvas.pixels()[part], dark[part]).any()


def test_notes_tell_what_takes_longer_than_planned(qapp):
    drawn = picture()
    drawn.begin(60.0, DARK)
    assert any("soa_s is 11 frames" in note for note in drawn.notes)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("mode", ["copy", "free", "calibrate"])
def test_every_state_can_be_drawn_in_each_language(qapp, language, mode):
    drawn = picture("" if mode == "free" else "Q" * 60, language, mode=mode)
    canvas, seen = Canvas(drawn, look=LIGHT), set()
    for frame in range(500):
        if frame == 5:
            drawn.take(ARMED)
        if frame in (100, 200, 300):
            held = "guard is holding" if frame == 200 else ""
            drawn.take(a_decision("Q" if frame < 300 else "X", MATRIX, held_back=held))
        if frame == 310:
            drawn.take(a_decision("wrong", ("right", "wrong")))
        if frame % 10:
            drawn.course.step(frame)  # drawing takes longer
            continue
        canvas.paint(frame)
        seen.add(canvas.pixels().tobytes())
    assert len(seen) > 5


def test_an_unknown_language_is_refused():
    with pytest.raises(ConfigError, match="language"):
        picture(language="tlh")


@pytest.mark.parametrize("n_items", [2, 5, 36])
def test_cells_lie_within_the_area_and_never_over_each_other(n_items):
    plan = SpellerPlan(items=tuple(map(str, range(n_items))), flashing="single")
    area = QRectF(10, 20, 640, 300)
    cells = item_cells(plan.positions, area)
    for n, cell in enumerate(cells):
        assert area.adjusted(-1, -1, 1, 1).contains(cell)
        shrunk = cell.adjusted(1, 1, -1, -1)
        assert not any(shrunk.intersects(other.adjusted(1, 1, -1, -1)) for other in cells[:n])
