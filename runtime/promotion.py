"""The box in which another set of weights waits until the loop is between two windows."""

from __future__ import annotations

from collections import deque

from .messages import Promotion
from .stages import Adapter


class Promotions:
    """Promotions on their way into the loop. Offered by any thread, taken by the loop's."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Promotion, Adapter]] = deque()

    def offer(self, promotion: Promotion, adapter: Adapter) -> None:
        """Let another adapter decide from the next window on.

        Parameters
        ----------
        promotion : Promotion
            What is to be remembered of it.
        adapter : Adapter
            The stage itself, made from the promotion.
        """
        self._waiting.append((promotion, adapter))

    def take(self) -> tuple[tuple[Promotion, Adapter], ...]:
        """What was offered since the last call, in order."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return tuple(taken)
