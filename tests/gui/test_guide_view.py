from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from diverloop.gui.guide_view import GuideView
from diverloop.runtime.paradigms.guided_course import Scene

CUE = Scene(
    kind="cue", instruction="Now: left", trial=3, good=2, planned=8, last="Trial 2: good.",
    staff="left; block 1.",
)  # fmt: skip


def drawn(scene: Scene) -> str:
    console = Console(file=io.StringIO(), width=80, height=24)
    console.print(GuideView(console, "morning").drawn(scene, 24))
    return console.file.getvalue()


def test_the_instruction_is_large_and_nothing_else_disturbs_who_does_the_task():
    text = drawn(CUE)
    assert "L E F T" in text
    assert "Trial 3. 2 of 8 trials are good." in text
    assert "Trial 2: good." not in text
    assert "block 1" not in text
    assert "investigational, not a medical device" in text
    assert len(text.splitlines()) <= 24


def test_a_rest_says_how_the_last_trial_went_and_what_is_next_for_the_operator():
    text = drawn(replace(CUE, kind="rest", instruction="Rest."))
    assert "R E S T ." in text
    assert "Trial 2: good." in text
    assert "left; block 1." in text


def test_without_a_screen_each_scene_is_one_line_and_none_comes_twice():
    console = Console(file=io.StringIO(), width=200)
    with GuideView(console, "morning") as view:
        view.show(CUE)
        view.show(replace(CUE, kind="trial"))
        view.show(replace(CUE, kind="end", instruction="Rest."))
    assert console.file.getvalue().splitlines() == [
        "morning: investigational, not a medical device.",
        "Trial 3: Now: left (2 of 8 good)",
        "Trial 3: Rest. (2 of 8 good)",
    ]


def test_a_screen_is_taken_and_given_back():
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    with GuideView(console, "morning") as view:
        view.show(CUE)
    written = console.file.getvalue()
    assert "L E F T" in written
    assert written.index("\x1b[?1049h") < written.index("\x1b[?1049l")
