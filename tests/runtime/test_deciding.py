"""The adapter at hand gets the inbox; another one takes over what it has not finished."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.runtime.deciding import Decider
from diverloop.runtime.events import Event, EventKind
from diverloop.runtime.inbox import Inbox
from diverloop.runtime.messages import Decision, Embedding, Promotion, Window
from diverloop.runtime.promotion import Promotions

WINDOW = Window(samples=np.zeros((1, 4)), first_sample=0, stop_sample=4, due_ns=0)
EMBEDDING = Embedding(values=np.zeros(2))


class Plain:
    """An adapter that does nothing but decide."""

    classes = ("left", "right")

    def __init__(self, epoch=0):
        self.epoch = epoch

    def decide(self, embedding, window):
        nothing = np.full(2, np.nan)
        return Decision(
            classes=self.classes, probabilities=nothing, label=None, reason="made", epoch=self.epoch
        )


class Talking(Plain):
    """One that hears, tells, and goes on where another stopped."""

    def __init__(self, epoch=0):
        super().__init__(epoch)
        self.inbox, self.heard, self.before = Inbox(), [], None

    def decide(self, embedding, window):
        self.heard += self.inbox.take()
        return super().decide(embedding, window)

    def take_events(self):
        return tuple(Event(kind=EventKind.LISTENING, text=told.text) for told in self.heard)

    def hear(self, inbox):
        self.inbox = inbox

    def follow(self, before):
        self.before = before


def promote(epoch):
    return Promotion(kind="made", settings={}, arrays={}, epoch=epoch, reason="it does better")


def decider(adapter):
    promotions, inbox = Promotions(), Inbox()
    return Decider(adapter, promotions, inbox), promotions, inbox


def test_an_adapter_that_hears_is_given_the_inbox_of_the_loop():
    adapter = Talking()
    deciding, _, inbox = decider(adapter)
    inbox.listen("the operator")
    deciding.decide(EMBEDDING, WINDOW)
    assert [told.text for told in adapter.heard] == ["the operator"]
    assert [event.text for event in deciding.events()] == ["the operator"]


def test_an_adapter_that_does_nothing_but_decide_is_enough():
    deciding, promotions, _ = decider(Plain())
    promotions.offer(promote(1), Plain(1))
    ((promotion, epoch, text),) = deciding.take_over()
    assert (promotion.epoch, epoch, deciding.epoch) == (1, 1, 1)
    assert text == "Weights of epoch 1 took over: it does better"
    assert deciding.decide(EMBEDDING, WINDOW).epoch == 1
    assert deciding.events() == ()


def test_who_takes_over_hears_in_its_place_and_knows_who_was_before():
    first, second = Talking(), Talking(1)
    deciding, promotions, inbox = decider(first)
    promotions.offer(promote(1), second)
    list(deciding.take_over())
    inbox.listen("the operator")
    deciding.decide(EMBEDDING, WINDOW)
    assert second.before is first
    assert [told.text for told in second.heard] == ["the operator"]
    assert first.heard == []


def test_older_weights_are_refused_and_follow_nobody():
    first, older = Talking(3), Talking(2)
    deciding, promotions, _ = decider(first)
    promotions.offer(promote(2), older)
    ((_, epoch, text),) = deciding.take_over()
    assert (epoch, deciding.epoch, older.before) == (3, 3, None)
    assert text == "Weights of epoch 2 were refused: those of epoch 3 stay."


class Showing(Plain):
    """One that shows what it has learnt."""

    def to_arrays(self):
        return {"weights": np.ones((1, 4)), "bias": np.zeros(1)}


def offered(arrays, epoch=2):
    return Promotion(kind="made", settings={}, arrays=arrays, epoch=epoch, reason="so it is")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"weights": np.full((1, 4), np.nan)}, "their weights hold NaN, infinity or an absurd"),
        ({"bias": np.array([1e300])}, "their bias hold NaN, infinity or an absurd number"),
        ({"weights": np.ones((1, 3))}, "their weights read 3 features, not 4"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused_with_the_reason(arrays, words):
    deciding, promotions, _ = decider(Showing(1))
    promotions.offer(offered(arrays), Showing(2))
    ((_, epoch, text),) = deciding.take_over()
    assert epoch == deciding.epoch == 1
    assert text.startswith(f"Weights of epoch 2 were refused: {words}")
    assert text.endswith("; those of epoch 1 stay.")


def test_the_same_refusal_again_is_recorded_and_not_told_again():
    deciding, promotions, _ = decider(Plain(3))
    for _ in range(5):
        promotions.offer(promote(2), Plain(2))
    texts = [text for _, _, text in deciding.take_over()]
    assert texts[0].startswith("Weights of epoch 2 were refused")
    assert texts[1:] == [""] * 4
    promotions.offer(promote(4), Plain(4))
    promotions.offer(promote(2), Plain(2))
    assert all(text for _, _, text in deciding.take_over())


def test_an_adapter_that_raises_decides_nothing_and_says_so_once():
    class Broken(Plain):
        def decide(self, embedding, window):
            raise IndexError("out of range")

    deciding, _, _ = decider(Broken())
    said = [deciding.decide(EMBEDDING, WINDOW) for _ in range(3)]
    assert {(one.label, one.reason) for one in said} == {(None, "the decoder failed")}
    (event,) = deciding.events()
    assert event.text.startswith("The adapter raised IndexError (out of range)")
    assert deciding.events() == ()


def test_what_could_not_be_encoded_is_not_shown_to_the_adapter():
    deciding, _, _ = decider(Plain())
    failed = deciding.decide(Embedding(values=np.empty(0), quality=0.0), WINDOW)
    assert failed.reason == "the decoder failed"
