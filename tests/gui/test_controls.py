"""What a person does in a window: asked elsewhere, answered here, the stop at once."""

from __future__ import annotations

import threading

import pytest

from diverloop.gui.controls import Controls
from diverloop.runtime.access import SAFER, Action
from diverloop.runtime.control_wire import Reply
from diverloop.runtime.errors import AccessError


class Link:
    """Answers what makes things safer at once, and all else once it may."""

    def __init__(self, may: threading.Event, asked: list[Action], broken: bool = False) -> None:
        self.may, self.asked, self.broken, self.closed = may, asked, broken, False

    def ask(self, action, *, code="", text=""):
        if action not in SAFER:
            self.may.wait(20)
        self.asked.append(action)
        if self.broken:
            raise AccessError("Nobody answered.")
        return Reply(1, True, f"{action} {text}".strip(), facts={"guard": "armed"})

    def close(self):
        self.closed = True


@pytest.fixture
def may():
    return threading.Event()


def answers_of(controls):
    found = []
    controls.answered.connect(found.append)
    return found


def test_a_stop_waits_for_no_question_that_hangs(qtbot, may):
    asked = []
    controls = Controls(lambda: Link(may, asked))
    found = answers_of(controls)
    for action in (Action.STATUS, Action.NOTE, Action.ARM, Action.STOP, Action.DISARM):
        controls.ask(action, text="x")
    qtbot.waitUntil(lambda: len(found) == 2, timeout=20_000)
    assert asked == [Action.STOP, Action.DISARM]
    may.set()
    qtbot.waitUntil(lambda: len(found) == 5, timeout=20_000)
    assert asked[2:] == [Action.STATUS, Action.NOTE, Action.ARM]
    assert found[0].facts == {"guard": "armed"}
    controls.close()


def test_a_link_that_broke_is_opened_anew(qtbot, may):
    may.set()
    links = [Link(may, [], broken=True), Link(may, [])]
    opened = iter(links)
    controls = Controls(lambda: next(opened))
    found = answers_of(controls)
    controls.ask(Action.STOP)
    controls.ask(Action.STOP)
    qtbot.waitUntil(lambda: len(found) == 2, timeout=20_000)
    assert [(answer.done, answer.text) for answer in found] == [
        (False, "Nobody answered."),
        (True, "stop"),
    ]
    controls.close()
    assert all(link.closed for link in links)


def test_a_link_that_fails_in_a_way_nobody_foresaw_is_told_and_the_next_stop_is_heard(qtbot, may):
    class Odd(Link):
        def ask(self, action, *, code="", text=""):
            raise OSError("no buffer space")

        def close(self):
            raise OSError("no buffer space")

    opened = iter([Odd(may, []), Link(may, [])])
    controls = Controls(lambda: next(opened))
    found = answers_of(controls)
    controls.ask(Action.STOP)
    controls.ask(Action.STOP)
    qtbot.waitUntil(lambda: len(found) == 2, timeout=20_000)
    assert [answer.done for answer in found] == [False, True]
    assert "OSError: no buffer space" in found[0].text
    assert "press the stop at the machine" in found[0].text
    controls.close()


def test_a_link_that_cannot_be_opened_is_told_when_somebody_asks(qtbot):
    def refuse():
        raise AccessError("The key is not known.")

    controls = Controls(refuse)
    found = answers_of(controls)
    controls.ask(Action.STOP)
    qtbot.waitUntil(lambda: bool(found), timeout=20_000)
    assert (found[0].done, found[0].text) == (False, "The key is not known.")
    controls.close()


def test_without_a_link_every_answer_says_so(qtbot):
    controls = Controls()
    found = answers_of(controls)
    controls.ask(Action.STOP)
    qtbot.waitUntil(lambda: bool(found), timeout=20_000)
    assert not found[0].done
    assert "Press the stop at the machine" in found[0].text
    assert not controls.connected
    controls.close()
