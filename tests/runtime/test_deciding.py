"""The adapter at hand gets the inbox; another one takes over what it has not finished."""

from __future__ import annotations

import numpy as np

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
