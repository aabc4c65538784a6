"""Who decides: the adapter at hand, what it is told, and how another takes over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .events import Event
from .inbox import Inbox
from .messages import Decision, Embedding, Marker, Promotion, Window
from .promotion import Promotions
from .shield import FAILED, Complaint, Kept
from .stages import Adapter


@runtime_checkable
class Hears(Protocol):
    """An adapter that is told things while it decides; it looks once for each window."""

    def hear(self, inbox: Inbox) -> None:
        """Look into this inbox from now on."""


@runtime_checkable
class Tells(Protocol):
    """An adapter that has more to tell people than its decisions."""

    def take_events(self) -> tuple[Event, ...]:
        """What happened since the last call. The loop adds place and time."""


@runtime_checkable
class Follows(Protocol):
    """An adapter that goes on where the one before it stopped."""

    def follow(self, before: Adapter) -> None:
        """Take on what the adapter before has not finished. Called before the next window."""


@runtime_checkable
class Shows(Protocol):
    """An adapter that shows what it has learnt."""

    def to_arrays(self) -> Mapping[str, NDArray[np.floating]]:
        """By name."""


ABSURD = 1e12
"""No weight is so large, whatever its unit."""


def unusable(promotion: Promotion, adapter: Adapter, was: Adapter) -> str:
    """Why weights cannot be meant for what the present ones read; empty if they can.

    Parameters
    ----------
    promotion : Promotion
        With its arrays.
    adapter, was : Adapter
        Made from it, and the present one.

    Returns
    -------
    reason : str
        The middle of a sentence.
    """
    for name, array in promotion.arrays.items():
        if not (np.abs(array) < ABSURD).all():
            return f"their {name} hold NaN, infinity or an absurd number; "
    if type(adapter) is not type(was) or not isinstance(was, Shows):
        return ""
    present = was.to_arrays()
    for name, array in promotion.arrays.items():
        if name in present and array.ndim == 2 and array.shape[-1] != present[name].shape[-1]:
            return f"their {name} read {array.shape[-1]} features, not {present[name].shape[-1]}; "
    return ""


class Decider:
    """The adapter that decides now.

    Parameters
    ----------
    adapter : Adapter
        The first one.
    promotions : Promotions
        Where others wait until they may take over.
    inbox : Inbox
        Where things wait for an adapter that hears.
    """

    def __init__(self, adapter: Adapter, promotions: Promotions, inbox: Inbox) -> None:
        self._promotions = promotions
        self._inbox = inbox
        self._refused = ""
        self._kept, self._own = Kept(), list[Event]()
        self._complaint = Complaint("The adapter", "output is neutral while it does")
        self._seat(adapter)

    @property
    def classes(self) -> tuple[str, ...]:
        """What the probabilities speak of."""
        return self._adapter.classes

    @property
    def epoch(self) -> int:
        """Which set of weights is active."""
        return self._adapter.epoch

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        """Let the adapter decide; neutral where the encoder or it had nothing but an error."""
        if not embedding.values.size and not embedding.quality:
            return self._failed(window)
        with self._kept as kept:
            return self._adapter.decide(embedding, window)
        assert kept.error is not None
        if event := self._complaint.of(kept.error, window.due_ns):
            self._own.append(event)
        return self._failed(window)

    def events(self) -> tuple[Event, ...]:
        """What the adapter has to tell people since the last call."""
        told, self._own = tuple(self._own), []
        return told + (self._teller.take_events() if self._teller is not None else ())

    def neutral(
        self,
        reason: str,
        span: tuple[int, int],
        marker: Marker | None,
        lsl_s: tuple[float, float],
    ) -> Decision:
        """The decision for a stretch of the stream of which nothing can be read.

        Parameters
        ----------
        reason : str
            Why not.
        span : (int, int)
            First and stop sample of the source.
        marker : Marker or None
            What it is locked to.
        lsl_s : (float, float)
            LSL time of its last sample, raw and corrected.

        Returns
        -------
        decision : Decision
            Neutral.
        """
        classes = self.classes
        return Decision(
            classes=classes,
            probabilities=np.full(len(classes), np.nan),
            label=None,
            reason=reason,
            first_sample=span[0],
            stop_sample=span[1],
            epoch=self.epoch,
            marker=marker,
            lsl_raw_s=lsl_s[0],
            lsl_corrected_s=lsl_s[1],
        )

    def _failed(self, window: Window) -> Decision:
        span = window.first_sample, window.stop_sample
        lsl_s = window.lsl_raw_s, window.lsl_corrected_s
        return self.neutral(FAILED, span, window.marker, lsl_s)

    def take_over(self) -> Iterator[tuple[Promotion, int, str]]:
        """Let others take over, if they speak of the same classes and are newer.

        Yields
        ------
        promotion : Promotion
            What was offered.
        epoch : int
            Which weights are active now.
        text : str
            What became of it, in one sentence; empty if the one before was refused likewise.
        """
        for promotion, adapter in self._promotions.take():
            yield promotion, *self._adopt(promotion, adapter)

    def _adopt(self, promotion: Promotion, adapter: Adapter) -> tuple[int, str]:
        was = self._adapter
        other = adapter.classes != was.classes or adapter.epoch <= was.epoch
        reason = "" if other else unusable(promotion, adapter, was)
        if other or reason:
            before = self._refused
            self._refused = (
                f"Weights of epoch {adapter.epoch} were refused: {reason}those of epoch "
                f"{was.epoch} stay."
            )
            return was.epoch, self._refused if self._refused != before else ""
        self._refused = ""
        self._seat(adapter)
        if isinstance(adapter, Follows):
            adapter.follow(was)
        return adapter.epoch, f"Weights of epoch {adapter.epoch} took over: {promotion.reason}"

    def _seat(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._teller = adapter if isinstance(adapter, Tells) else None
        if isinstance(adapter, Hears):
            adapter.hear(self._inbox)
