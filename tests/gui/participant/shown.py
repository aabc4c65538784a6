"""Pictures shown on a clock that is turned by hand, and turns of a session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diverloop.gui.look import DARK, Look
from diverloop.gui.participant.frame_clock import HandClock
from diverloop.gui.participant.frame_count import Flip
from diverloop.gui.participant.picture import Picture
from diverloop.gui.participant.stage import Stage
from diverloop.runtime.messages import Chunk, Command, Event, EventKind, Marker, Turn
from diverloop.runtime.telemetry import Telegram

from ..told import a_turn

CLASSES = ("left", "right")


class Shown:
    """A picture on a stage; `labels` is what its record was told, with the frames."""

    def __init__(self, picture: Picture, look: Look = DARK, size: tuple[int, int] = (640, 360)):
        self.picture, self.clock = picture, HandClock(60.0, size)
        self.labels: list[tuple[int, str]] = []
        self.stage = Stage(picture, self.clock, look=look)
        told = self.stage.record.flipped

        def flipped(flip: Flip, labels: tuple[str, ...] = (), *, lit: bool = False) -> None:
            self.labels += [(flip.frame, label) for label in labels]
            told(flip, labels, lit=lit)

        self.stage.record.flipped = flipped  # type: ignore[method-assign]
        self.stage.show()

    def turn(self, *messages: Telegram, frames: int = 1) -> None:
        """Take messages, then show frames."""
        for message in messages:
            self.picture.take(message)
        self.clock.turn(frames)

    def said(self) -> list[str]:
        """The labels alone."""
        return [label for _, label in self.labels]

    def pixels(self) -> bytes:
        """The frame drawn last."""
        return bytes(self.clock.image.constBits())


def commanded(
    label: str | None,
    strength: float = 0.9,
    *,
    reason: str = "",
    decided: str | None = None,
    classes: tuple[str, ...] = CLASSES,
    velocity: tuple[float, ...] = (),
    chances: tuple[float, ...] = (0.5, 0.5),
    stop_sample: int = 500,
) -> Turn:
    """A turn: what passed, what was decided, and why it is neutral."""
    turn = a_turn(stop_sample)
    decision = replace(
        turn.decision,
        classes=classes,
        probabilities=np.array(chances),
        label=decided or label,
        reason="" if decided or label else reason,
    )
    command = Command(label=label, strength=strength, reason=reason, velocity=velocity)
    return replace(turn, decision=decision, command=command)


def held(decided: str = "left") -> Turn:
    """A decision that the guard does not let pass."""
    return commanded(None, reason="guard is disarmed", decided=decided)


def marked(*labels: str) -> Chunk:
    """Markers that came with the stream."""
    return Chunk(
        samples=np.zeros((4, 1), np.float32),
        first_sample=0,
        arrived_ns=0,
        markers=tuple(Marker(label=label, sample=0) for label in labels),
    )


def guard(text: str) -> Event:
    """What is told of the guard."""
    return Event(kind=EventKind.GUARD, text=text)
