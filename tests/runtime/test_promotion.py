"""The box for other weights: in order, each once, from any thread."""

from __future__ import annotations

import threading

from diverloop.runtime.messages import Promotion
from diverloop.runtime.promotion import Promotions


class Weights:
    classes = ("left", "right")
    epoch = 1


def offer(epoch: int) -> tuple[Promotion, Weights]:
    return Promotion(epoch=epoch, kind="linear", settings={}, reason="better"), Weights()


def test_what_was_offered_is_taken_once_and_in_order():
    box = Promotions()
    assert box.take() == ()
    offered = [offer(n) for n in range(3)]
    for promotion, adapter in offered:
        box.offer(promotion, adapter)
    taken = box.take()
    assert taken == tuple(offered)
    assert all(one[1] is other[1] for one, other in zip(taken, offered, strict=True))
    assert box.take() == ()


def test_nothing_is_lost_or_taken_twice_while_another_thread_offers():
    box, n = Promotions(), 5000

    def fill() -> None:
        for epoch in range(n):
            box.offer(*offer(epoch))

    thread = threading.Thread(target=fill)
    thread.start()
    taken = []
    while thread.is_alive():
        taken += box.take()
    taken += box.take()
    assert [promotion.epoch for promotion, _ in taken] == list(range(n))
